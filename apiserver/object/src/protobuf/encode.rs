//! From trees to protobuf.

use corten_schema::{Field, Proto, ProtoItem, RawKind, SchemaOr, Shape, TypeId};

use super::{
    MAGIC,
    wire::{FIXED64, Writer},
};
use crate::scalar;
use crate::tree::{Node, Struct, Value};

/// An object in its envelope; its kind and apiVersion are taken from the root.
pub fn encode(root: Node<'_>) -> Vec<u8> {
    let structure = root.as_struct();
    let word = |name: &str| root.get(name).map_or("", Node::as_str);
    envelope(word("apiVersion"), word("kind"), &encode_message(structure))
}

/// An object as it is kept: as [`encode`], but what only an answer says of it (its resourceVersion and selfLink) left
/// out.
pub fn encode_kept(root: Node<'_>) -> Vec<u8> {
    let structure = root.as_struct();
    let word = |name: &str| root.get(name).map_or("", Node::as_str);
    let mut out = Writer::with_capacity(2048);
    for item in structure.ty().map_or(&[][..], |ty| ty.get().proto).iter().rev() {
        match (structure.ty(), &item.item) {
            (Some(ty), ProtoItem::Field(id)) if ty.field(*id).name == "metadata" => {
                let end = out.len();
                write_kept_metadata(structure.structure(*id), &mut out);
                out.head_since(item.number, end);
            }
            (Some(ty), _) => write_items(ty, std::slice::from_ref(item), structure, &mut out),
            (None, _) => {}
        }
    }
    envelope(word("apiVersion"), word("kind"), &out.into_vec())
}

fn write_kept_metadata(metadata: Struct<'_>, out: &mut Writer) {
    let ty = corten_schema::ids::meta_v1::OBJECT_META;
    for item in ty.get().proto.iter().rev() {
        match &item.item {
            ProtoItem::Field(id) if matches!(ty.field(*id).name, "resourceVersion" | "selfLink") => {
                write_zero(item.number, &Shape::String, out);
            }
            _ => write_items(ty, std::slice::from_ref(item), metadata, out),
        }
    }
}

/// A struct's message, without an envelope.
pub fn encode_message(structure: Struct<'_>) -> Vec<u8> {
    let mut out = Writer::with_capacity(2048);
    if let Some(ty) = structure.ty() {
        write_struct(ty, structure, &mut out);
    }
    out.into_vec()
}

/// An envelope around a message.
pub fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(message.len() + api_version.len() + kind.len() + 32);
    // contentType and contentEncoding, which upstream writes empty.
    out.string(4, b"");
    out.string(3, b"");
    out.string(2, message);
    let end = out.len();
    out.string(2, kind.as_bytes());
    out.string(1, api_version.as_bytes());
    out.head_since(1, end);
    out.bytes(MAGIC);
    out.into_vec()
}

fn write_struct(ty: TypeId, structure: Struct<'_>, out: &mut Writer) {
    write_items(ty, ty.get().proto, structure, out);
}

fn write_items(ty: TypeId, items: &'static [Proto], structure: Struct<'_>, out: &mut Writer) {
    for item in items.iter().rev() {
        match &item.item {
            ProtoItem::Field(id) => write_field(item.number, ty.field(*id), structure.node(*id), out),
            ProtoItem::Embedded { pointer, items } => {
                if *pointer && !any_present(items, structure) {
                    continue;
                }
                let end = out.len();
                write_items(ty, items, structure, out);
                out.head_since(item.number, end);
            }
        }
    }
}

fn any_present(items: &[Proto], structure: Struct<'_>) -> bool {
    items.iter().any(|item| match &item.item {
        ProtoItem::Field(id) => structure.has(*id),
        ProtoItem::Embedded { items, .. } => any_present(items, structure),
    })
}

fn write_field(number: u32, field: &'static Field, node: Option<Node<'_>>, out: &mut Writer) {
    match (node, &field.shape) {
        (Some(node), shape) => write_value(number, shape, node, out),
        (None, _) if field.pointer => {}
        (None, Shape::List(_) | Shape::Map(_) | Shape::WrappedList(_) | Shape::Bytes) => {}
        (None, shape) => write_zero(number, shape, out),
    }
}

fn write_zero(number: u32, shape: &Shape, out: &mut Writer) {
    match shape {
        Shape::Bool | Shape::Int32 | Shape::Int64 => out.int(number, 0),
        Shape::Float64 => {
            out.bytes(&0f64.to_le_bytes());
            out.tag(number, FIXED64);
        }
        Shape::Struct(ty) => {
            let end = out.len();
            write_struct(*ty, Struct::ABSENT, out);
            out.head_since(number, end);
        }
        Shape::IntOrString => write_int_or_string(number, Value::Int(0), out),
        Shape::Duration => {
            let end = out.len();
            out.int(1, 0);
            out.head_since(number, end);
        }
        Shape::Quantity => {
            let end = out.len();
            out.string(1, b"0");
            out.head_since(number, end);
        }
        _ => out.string(number, b""),
    }
}

fn write_value(number: u32, shape: &'static Shape, node: Node<'_>, out: &mut Writer) {
    match shape {
        Shape::Bool => out.int(number, i64::from(node.as_bool())),
        Shape::Int32 | Shape::Int64 => out.int(number, node.as_int()),
        Shape::Float64 => {
            out.bytes(&node.as_float().to_le_bytes());
            out.tag(number, FIXED64);
        }
        Shape::String => out.string(number, node.as_str().as_bytes()),
        Shape::Bytes => out.string(number, &scalar::decode_base64(node.as_str())),
        Shape::List(item) => {
            for node in node.as_list().iter().rev() {
                write_value(number, item, node, out);
            }
        }
        Shape::Map(item) => {
            for (key, node) in node.as_map().iter().rev() {
                let end = out.len();
                write_value(2, item, node, out);
                out.string(1, key.as_bytes());
                out.head_since(number, end);
            }
        }
        Shape::IntOrString => write_int_or_string(number, node.value(), out),
        _ => {
            let end = out.len();
            write_message(shape, node, out);
            out.head_since(number, end);
        }
    }
}

/// The body of what is a message though JSON writes it otherwise.
fn write_message(shape: &'static Shape, node: Node<'_>, out: &mut Writer) {
    match shape {
        Shape::Struct(ty) => write_struct(*ty, node.as_struct(), out),
        Shape::WrappedList(item) => {
            for node in node.as_list().iter().rev() {
                write_value(1, item, node, out);
            }
        }
        Shape::Quantity => out.string(1, node.as_str().as_bytes()),
        Shape::Time | Shape::MicroTime => {
            if let Some((seconds, nanos)) = scalar::time_parts(node.as_str()) {
                out.int(2, i64::from(nanos));
                out.int(1, seconds);
            }
        }
        Shape::Duration => out.int(1, scalar::duration_nanos(node.as_str())),
        Shape::Raw(kind) => match node.as_raw() {
            Some("null") if *kind != RawKind::Json => {}
            Some(json) => out.string(1, json.as_bytes()),
            None => {}
        },
        Shape::SchemaOr(form) => write_schema_or(*form, node, out),
        _ => {}
    }
}

fn write_int_or_string(number: u32, value: Value<'_>, out: &mut Writer) {
    let (kind, int, string) = match value {
        Value::Int(value) => (0, value, ""),
        Value::Str(value) => (1, 0, value),
        _ => (0, 0, ""),
    };
    let end = out.len();
    out.string(3, string.as_bytes());
    out.int(2, int);
    out.int(1, kind);
    out.head_since(number, end);
}

fn write_schema_or(form: SchemaOr, node: Node<'_>, out: &mut Writer) {
    let schema = |ty: TypeId, number: u32, out: &mut Writer| {
        let end = out.len();
        write_struct(ty, node.as_struct(), out);
        out.head_since(number, end);
    };
    match (form, node.value()) {
        (SchemaOr::Bool(ty), Value::Struct(_)) => {
            schema(ty, 2, out);
            out.int(1, 1);
        }
        (SchemaOr::Bool(_), value) => out.int(1, i64::from(matches!(value, Value::Bool(true)))),
        (SchemaOr::Array(ty) | SchemaOr::Strings(ty), Value::Struct(_)) => schema(ty, 1, out),
        (SchemaOr::Array(ty), _) => {
            for item in node.as_list().iter().rev() {
                let end = out.len();
                write_struct(ty, item.as_struct(), out);
                out.head_since(2, end);
            }
        }
        (SchemaOr::Strings(_), _) => {
            for item in node.as_list().iter().rev() {
                out.string(2, item.as_str().as_bytes());
            }
        }
    }
}
