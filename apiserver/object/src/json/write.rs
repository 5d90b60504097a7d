//! Writing: a struct's fields in declaration order with Go's rules of omission, maps by key, text escaped for HTML.

use corten_api::json::{write_f64, write_string};
use corten_schema::{Field, FieldId, Shape, TypeId};

use crate::tree::{Node, Struct, Value};

pub fn to_vec(node: Node<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(node, &mut out);
    out
}

pub fn to_string(node: Node<'_>) -> String {
    String::from_utf8(to_vec(node)).expect("JSON is written as UTF-8")
}

pub fn write(node: Node<'_>, out: &mut Vec<u8>) {
    match node.value() {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Float(value) => write_f64(out, value),
        Value::Str(value) => write_string(out, value),
        Value::Raw(json) => write_compact(json.as_bytes(), out),
        Value::List(list) => {
            out.push(b'[');
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.push(b'{');
            for (i, (key, value)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
        Value::Struct(structure) => write_struct(structure.ty(), structure, out),
    }
}

fn write_struct(ty: Option<TypeId>, structure: Struct<'_>, out: &mut Vec<u8>) {
    let Some(ty) = ty else {
        out.extend_from_slice(b"{}");
        return;
    };
    out.push(b'{');
    let mut first = true;
    let mut present = structure.fields().peekable();
    for (i, field) in ty.get().fields.iter().enumerate() {
        let node = present.next_if(|&(id, _)| id == FieldId(i as u16)).map(|(_, node)| node);
        if !is_written(field, node) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        // Field names are plain ASCII.
        out.push(b'"');
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b"\":");
        match node {
            Some(node) => write(node, out),
            None => write_zero(field, out),
        }
    }
    out.push(b'}');
}

fn is_written(field: &Field, node: Option<Node<'_>>) -> bool {
    let value_struct = matches!(field.shape, Shape::Struct(_)) && !field.pointer;
    match node {
        None => (!field.omit_empty && !field.omit_zero) || (value_struct && !field.omit_zero),
        Some(node) => match node.value() {
            Value::List(list) => !(field.omit_empty && list.is_empty()),
            Value::Map(map) => !(field.omit_empty && map.is_empty()),
            Value::Struct(structure) => !(field.omit_zero && value_struct && structure.is_zero()),
            _ => true,
        },
    }
}

fn write_zero(field: &Field, out: &mut Vec<u8>) {
    let zero: &[u8] = match field.shape {
        _ if field.pointer => b"null",
        Shape::Struct(ty) => return write_struct(Some(ty), Struct::ABSENT, out),
        Shape::Bool => b"false",
        Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => b"0",
        Shape::String => b"\"\"",
        Shape::Duration => b"\"0s\"",
        Shape::Quantity => b"\"0\"",
        Shape::Bytes
        | Shape::Time
        | Shape::MicroTime
        | Shape::Raw(_)
        | Shape::SchemaOr(_)
        | Shape::List(_)
        | Shape::Map(_)
        | Shape::WrappedList(_) => b"null",
    };
    out.extend_from_slice(zero);
}

/// Writes JSON text without white space, `<`, `>`, `&` and the two line separators escaped, as Go writes what a
/// marshaller gave it.
pub fn write_compact(json: &[u8], out: &mut Vec<u8>) {
    let mut in_string = false;
    let mut i = 0;
    while i < json.len() {
        let byte = json[i];
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                out.extend_from_slice(&json[i..(i + 2).min(json.len())]);
                i += 2;
                continue;
            }
            b'<' | b'>' | b'&' => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(match byte {
                    b'<' => b"3c",
                    b'>' => b"3e",
                    _ => b"26",
                });
                i += 1;
                continue;
            }
            0xe2 if json[i..].starts_with(&[0xe2, 0x80, 0xa8]) || json[i..].starts_with(&[0xe2, 0x80, 0xa9]) => {
                out.extend_from_slice(if json[i + 2] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                i += 3;
                continue;
            }
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => {
                i += 1;
                continue;
            }
            _ => {}
        }
        out.push(byte);
        i += 1;
    }
}
