//! Values as Go's `%v` shows them: `map[name:a ports:[80 81]]`.

use std::fmt::{self, Display};

use crate::tree::{Node, Value};

pub struct Go<'t>(pub Node<'t>);

impl Display for Go<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value() {
            Value::Null => f.write_str("<nil>"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Float(value) => f.write_str(&float(value)),
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

/// Like `%g`, but an exponent comes only at 21 digits.
fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    match exponent {
        -4..21 => value.to_string(),
        _ => {
            let mantissa = scientific.split_once('e').map_or(scientific.as_str(), |(mantissa, _)| mantissa);
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
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
