//! A schema as apply and managedFields see it.

use corten_object::tree::{Value, View};
use corten_object::typing::structural::{Additional, Kind, ListKind, Structural};
use corten_views::apiextensions_v1::JSONSchemaProps;

use crate::schema::properties;

/// Of a schema that has been compiled, and so is not too deep.
pub fn structural(props: JSONSchemaProps<'_>) -> Structural {
    let below = |node: corten_object::tree::Node<'_>| structural(JSONSchemaProps::from_struct(node.as_struct()));
    Structural {
        kind: kind(props),
        properties: properties(props).map(|(name, props)| (name.into(), structural(props))).collect(),
        additional: match props.additional_properties().map(|node| (node, node.value())) {
            None | Some((_, Value::Null)) => Additional::Unset,
            Some((node, Value::Struct(_))) => Additional::Schema(Box::new(below(node))),
            Some((node, _)) if node.as_bool() => Additional::Allowed,
            Some(_) => Additional::Denied,
        },
        items: props.items().filter(|node| matches!(node.value(), Value::Struct(_))).map(|node| Box::new(below(node))),
        list: match props.x_kubernetes_list_type() {
            Some("set") => ListKind::Set,
            Some("map") => ListKind::Map,
            _ => ListKind::Atomic,
        },
        list_map_keys: props.x_kubernetes_list_map_keys().iter().map(Into::into).collect(),
        map_atomic: props.x_kubernetes_map_type() == Some("atomic"),
        preserve_unknown: props.x_kubernetes_preserve_unknown_fields() == Some(true),
        embedded_resource: props.x_kubernetes_embedded_resource(),
        int_or_string: props.x_kubernetes_int_or_string(),
        nullable: props.nullable(),
        default: props.default().map(Into::into),
    }
}

fn kind(props: JSONSchemaProps<'_>) -> Kind {
    if props.x_kubernetes_int_or_string() {
        return Kind::Any;
    }
    match (props.type_(), props.format()) {
        ("object", _) => Kind::Object,
        ("array", _) => Kind::Array,
        ("integer" | "number", _) => Kind::Number,
        ("boolean", _) => Kind::Boolean,
        ("string", "" | "byte") => Kind::String,
        ("string", _) => Kind::FormattedString,
        _ => Kind::Any,
    }
}
