//! Through all schemas of a schema, in upstream's order.

use corten_object::tree::{Map, Node, Value, View};
use corten_views::apiextensions_v1::JSONSchemaProps;

use crate::schema::DEPTH_MAX;

/// The schemas right below one.
pub fn children(schema: JSONSchemaProps<'_>) -> Vec<JSONSchemaProps<'_>> {
    let mut out = Vec::new();
    if let Some(items) = schema.items() {
        match items.value() {
            Value::List(list) => out.extend(list.iter().map(of_node)),
            Value::Struct(_) => out.push(of_node(items)),
            _ => {}
        }
    }
    out.extend(schema.all_of().iter());
    out.extend(schema.any_of().iter());
    out.extend(schema.one_of().iter());
    out.extend(schema.not());
    out.extend(members(schema.properties()));
    out.extend(schema.additional_properties().and_then(struct_of));
    out.extend(members(schema.pattern_properties()));
    out.extend(schema.additional_items().and_then(struct_of));
    out.extend(members(schema.definitions()));
    out.extend(schema.dependencies().iter().filter_map(|(_, node)| struct_of(node)));
    out
}

fn members(map: Map<'_>) -> impl Iterator<Item = JSONSchemaProps<'_>> {
    map.iter().map(|(_, node)| of_node(node))
}

/// A node that may be a schema or something else: `true`, a list.
pub fn struct_of(node: Node<'_>) -> Option<JSONSchemaProps<'_>> {
    matches!(node.value(), Value::Struct(_)).then(|| of_node(node))
}

fn of_node(node: Node<'_>) -> JSONSchemaProps<'_> {
    JSONSchemaProps::from_struct(node.as_struct())
}

/// Whether a schema, or one in it, is such.
pub fn any(schema: JSONSchemaProps<'_>, is_such: &dyn Fn(JSONSchemaProps<'_>) -> bool) -> bool {
    is_such(schema) || children(schema).into_iter().any(|child| any(child, is_such))
}

/// Calls for a schema and all in it.
pub fn each<'t>(schema: JSONSchemaProps<'t>, call: &mut dyn FnMut(JSONSchemaProps<'t>)) {
    call(schema);
    children(schema).into_iter().for_each(|child| each(child, call));
}

/// Whether schemas nest so deep that nothing else may walk them.
pub fn is_too_deep(schema: JSONSchemaProps<'_>) -> bool {
    let mut open = vec![(schema, 0)];
    while let Some((schema, depth)) = open.pop() {
        if depth > DEPTH_MAX {
            return true;
        }
        open.extend(children(schema).into_iter().map(|child| (child, depth + 1)));
    }
    false
}
