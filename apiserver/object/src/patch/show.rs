//! Values as Go's `%v` shows them: `map[name:a ports:[80 81]]`.

use std::fmt::{self, Display};

use crate::tree::{Node, Value};
use crate::yaml::format_g;

pub struct Go<'t>(pub Node<'t>);

impl Display for Go<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value() {
            Value::Null => f.write_str("<nil>"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Float(value) => f.write_str(&format_g(value)),
            Value::Str(value) | Value::Raw(value) => f.write_str(value),
            Value::List(list) => {
                f.write_str("[")?;
                for (i, item) in list.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { " " } else { "" }, Go(item))?;
                }
                f.write_str("]")
            }
            Value::Map(map) => {
                f.write_str("map[")?;
                for (i, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}:{}", if i > 0 { " " } else { "" }, Go(value))?;
                }
                f.write_str("]")
            }
            Value::Struct(_) => f.write_str("map[]"),
        }
    }
}

/// What Go calls the dynamic type of a value.
pub fn go_type(node: Node<'_>) -> &'static str {
    match node.value() {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) | Value::Raw(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) | Value::Struct(_) => "map[string]interface {}",
    }
}

/// Its kind alone.
pub fn go_kind(node: Node<'_>) -> &'static str {
    match node.value() {
        Value::List(_) => "slice",
        Value::Map(_) | Value::Struct(_) => "map",
        _ => go_type(node),
    }
}

/// As Go's `%#v` shows it: `map[string]interface {}{"a":1}`.
pub struct GoSyntax<'t>(pub Node<'t>);

impl Display for GoSyntax<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value() {
            Value::Null => f.write_str("interface {}(nil)"),
            Value::Str(value) | Value::Raw(value) => f.write_str(&corten_api::field::quote(value)),
            Value::List(list) => {
                f.write_str("[]interface {}{")?;
                for (i, item) in list.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { ", " } else { "" }, GoSyntax(item))?;
                }
                f.write_str("}")
            }
            Value::Map(map) => {
                f.write_str("map[string]interface {}{")?;
                for (i, (key, value)) in map.iter().enumerate() {
                    let key = corten_api::field::quote(key);
                    write!(f, "{}{key}:{}", if i > 0 { ", " } else { "" }, GoSyntax(value))?;
                }
                f.write_str("}")
            }
            _ => Go(self.0).fmt(f),
        }
    }
}
