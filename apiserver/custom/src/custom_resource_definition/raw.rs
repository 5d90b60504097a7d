//! JSON values inside of schemas, as upstream writes them back: keys sorted, numbers in their shortest form.

use corten_object::json;
use corten_object::tree::{Edit, Id, Tree, Value};
use corten_views::apiextensions_v1::JSONSchemaProps;

use crate::schema::parse_json;

/// Rewrites every value of a definition that is kept as text; a default or example of null is none.
pub fn canonicalize(object: &mut Edit<'_>) {
    let root = object.id();
    let tree = object.tree();
    // Schemas nest as deep as somebody likes, before anybody has refused them.
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        match tree.node(id).value() {
            Value::Raw(text) => {
                if let Some(canonical) = canonical(text) {
                    let raw = tree.raw(&canonical);
                    tree.assign(id, raw);
                }
            }
            Value::Struct(structure) => {
                let is_schema = structure.ty() == Some(<JSONSchemaProps as corten_object::tree::View>::TYPE);
                open.extend(structure.fields().map(|(_, node)| node.id()));
                if is_schema {
                    drop_nulls(tree, id);
                }
            }
            Value::Map(map) => open.extend(map.iter().map(|(_, node)| node.id())),
            Value::List(list) => open.extend(list.iter().map(|node| node.id())),
            _ => {}
        }
    }
}

fn drop_nulls(tree: &mut Tree, schema: Id) {
    for field in [JSONSchemaProps::DEFAULT, JSONSchemaProps::EXAMPLE] {
        let is_null = |id: Id| tree.node(id).as_raw() == Some("null");
        if tree.field(schema, field).is_some_and(is_null) {
            tree.remove_field(schema, field);
        }
    }
}

/// None if the text is canonical already.
fn canonical(text: &str) -> Option<String> {
    let tree = parse_json(text)?;
    let mut out = Vec::with_capacity(text.len());
    json::write_sorted(tree.root(), &mut out);
    String::from_utf8(out).ok().filter(|canonical| canonical != text)
}
