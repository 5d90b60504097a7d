//! What a strategic patch led to is read into its type value by value, not as JSON: whole floats are integers, and what
//! does not fit is told in other words.

use corten_schema::{Field, Shape, TypeId};

use super::show::{go_kind, go_type as dynamic_type};
use crate::scalar;
use crate::tree::{Node, Value};

/// The error that upstream would find first.
pub fn check_struct(node: Node<'_>, ty: TypeId) -> Result<(), String> {
    if !matches!(node.value(), Value::Map(_)) {
        return Err(format!("cannot restore struct from: {}", go_kind(node)));
    }
    for field in ty.get().fields {
        if let Some(value) = node.get(field.name) {
            check(value, field, &field.shape, 0)?;
        }
    }
    Ok(())
}

/// `level` counts the lists and maps between the field and the value.
fn check(node: Node<'_>, field: &'static Field, shape: &'static Shape, level: usize) -> Result<(), String> {
    if node.is_null() {
        return Ok(());
    }
    match shape {
        Shape::Struct(ty) => check_struct(node, *ty),
        Shape::Bytes if node.as_string().is_some() => Ok(()),
        Shape::List(_) | Shape::WrappedList(_) | Shape::Bytes if !matches!(node.value(), Value::List(_)) => {
            Err(format!("cannot restore slice from {}", go_kind(node)))
        }
        Shape::List(item) | Shape::WrappedList(item) => {
            node.as_list().iter().try_for_each(|node| check(node, field, item, level + 1))
        }
        Shape::Map(_) if !matches!(node.value(), Value::Map(_)) => {
            Err(format!("cannot restore map from {}", go_kind(node)))
        }
        Shape::Map(item) => node.as_map().iter().try_for_each(|(_, node)| check(node, field, item, level + 1)),
        Shape::Bool | Shape::String | Shape::Int32 | Shape::Int64 | Shape::Float64 => {
            check_scalar(node, field, shape, level)
        }
        // These read themselves from JSON, with nothing around them.
        Shape::IntOrString if node.as_string().is_none() => check_integer(node),
        Shape::Time | Shape::MicroTime | Shape::Duration if node.as_string().is_none() => {
            let what = crate::patch::json_kind(node);
            Err(format!("json: cannot unmarshal {what} into Go value of type string"))
        }
        _ => Ok(()),
    }
}

fn check_integer(node: Node<'_>) -> Result<(), String> {
    let what = match node.value() {
        Value::Int(value) if i32::try_from(value).is_ok() => return Ok(()),
        Value::Int(_) | Value::Float(_) => format!("number {}", crate::json::to_string(node)),
        _ => crate::patch::json_kind(node).to_owned(),
    };
    Err(format!("json: cannot unmarshal {what} into Go value of type int32"))
}

fn check_scalar(node: Node<'_>, field: &'static Field, shape: &'static Shape, level: usize) -> Result<(), String> {
    let number = matches!(shape, Shape::Int32 | Shape::Int64 | Shape::Float64);
    let convertible = match (node.value(), shape) {
        (Value::Bool(_), Shape::Bool) | (Value::Str(_), Shape::String) => return Ok(()),
        (Value::Int(_), _) if number => return Ok(()),
        (Value::Float(_), Shape::Float64) => return Ok(()),
        (Value::Float(value), _) if number && value.fract() == 0.0 => return Ok(()),
        (Value::Float(_), _) => number,
        // Go converts an integer to a string as a code point, so this fails in other words.
        (Value::Int(_), Shape::String) => true,
        _ => false,
    };
    if convertible {
        let wanted = scalar::go_type(field, shape, level);
        return Err(format!("cannot convert {} to {wanted}", dynamic_type(node)));
    }
    Err(format!("unrecognized type: {}", scalar::go_name(shape)))
}
