//! Writing: a struct's fields in declaration order with Go's rules of omission, maps by key, text escaped for HTML.

use corten_api::json::{Members, write_array, write_f64, write_string};
use corten_schema::{Field, FieldId, Shape, TypeId};

use crate::tree::{Node, Struct, Value};

/// An object's JSON as it is kept: without its resourceVersion, which is known only after it is stored.
#[derive(Debug, Clone, Default)]
pub struct Canonical {
    pub json: Vec<u8>,
    /// Where the resourceVersion belongs.
    pub revision_at: u32,
    /// Where metadata begins, behind kind and apiVersion, where they come first: the items of a list of built-in objects
    /// go without what stands before.
    pub prefix: u32,
    /// The value of `metadata`.
    pub metadata: std::ops::Range<u32>,
}

/// Writes an object to be kept. Custom objects have all their keys sorted.
pub fn canonical(root: Node<'_>) -> Canonical {
    let mut out = Canonical { json: Vec::with_capacity(1024), ..Canonical::default() };
    match root.value() {
        Value::Struct(structure) => canonical_struct(structure, &mut out),
        Value::Map(map) => {
            out.json.push(b'{');
            for (i, (key, value)) in map.iter().enumerate() {
                if i > 0 {
                    out.json.push(b',');
                }
                write_string(&mut out.json, key);
                out.json.push(b':');
                if key == "metadata" {
                    canonical_metadata(value.as_struct(), true, &mut out);
                } else {
                    write(value, &mut out.json);
                }
            }
            out.json.push(b'}');
        }
        _ => write(root, &mut out.json),
    }
    out
}

fn canonical_struct(structure: Struct<'_>, out: &mut Canonical) {
    let ty = structure.ty().expect("a struct node has a type");
    out.json.push(b'{');
    let mut first = true;
    for (i, field) in ty.get().fields.iter().enumerate() {
        let node = structure.node(FieldId(i as u16));
        if !is_written(field, node) {
            continue;
        }
        let follows = !std::mem::take(&mut first);
        if follows {
            out.json.push(b',');
        }
        if field.name == "metadata" && follows {
            out.prefix = out.json.len() as u32;
        }
        write_name(field.name, &mut out.json);
        match node {
            _ if field.name == "metadata" => canonical_metadata(structure.structure(FieldId(i as u16)), false, out),
            Some(node) if is_empty(node) => out.json.extend_from_slice(b"null"),
            Some(node) => write_as::<true>(node, &mut out.json),
            None => write_zero(field, &mut out.json),
        }
    }
    out.json.push(b'}');
}

fn canonical_metadata(metadata: Struct<'_>, sorted: bool, out: &mut Canonical) {
    let start = out.json.len() as u32;
    let Some(ty) = metadata.ty() else {
        out.revision_at = start + 1;
        out.json.extend_from_slice(b"{}");
        out.metadata = start..start + 2;
        return;
    };
    let fields = ty.get().fields;
    let by_name = ty.get().by_name;
    out.json.push(b'{');
    out.revision_at = 0;
    let mut seen_revision = false;
    for (place, &named) in by_name.iter().enumerate() {
        let i = if sorted { named } else { place as u16 };
        let (field, node) = (&fields[i as usize], metadata.node(FieldId(i)));
        if field.name == "resourceVersion" {
            seen_revision = true;
            continue;
        }
        if !is_written(field, node) {
            continue;
        }
        if out.json.len() as u32 > start + 1 {
            out.json.push(b',');
        }
        if std::mem::take(&mut seen_revision) {
            out.revision_at = out.json.len() as u32;
        }
        write_name(field.name, &mut out.json);
        match node {
            Some(node) if sorted => write_sorted(node, &mut out.json),
            Some(node) => write(node, &mut out.json),
            None => write_zero(field, &mut out.json),
        }
    }
    if out.revision_at == 0 {
        out.revision_at = out.json.len() as u32;
    }
    out.json.push(b'}');
    out.metadata = start..out.json.len() as u32;
}

impl Canonical {
    /// The JSON with its resourceVersion.
    pub fn splice(&self, revision: u64) -> Vec<u8> {
        let (head, tail) = self.json.split_at(self.revision_at as usize);
        let mut out = Vec::with_capacity(self.json.len() + 42);
        out.extend_from_slice(head);
        let last = tail.first() == Some(&b'}');
        if last && head.last() != Some(&b'{') {
            out.push(b',');
        }
        out.extend_from_slice(b"\"resourceVersion\":\"");
        out.extend_from_slice(itoa::Buffer::new().format(revision).as_bytes());
        out.extend_from_slice(if last { b"\"" } else { b"\"," });
        out.extend_from_slice(tail);
        out
    }
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    // Field names are plain ASCII.
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Like [`write`], the keys of structs sorted too.
pub fn write_sorted(node: Node<'_>, out: &mut Vec<u8>) {
    match node.value() {
        Value::Map(map) => {
            let mut members = Members::new(out);
            map.iter().for_each(|(key, value)| write_sorted(value, members.name(key)));
            members.end();
        }
        Value::List(list) => write_array(out, list.iter(), write_sorted),
        Value::Struct(structure) => {
            let Some(ty) = structure.ty() else { return out.extend_from_slice(b"{}") };
            out.push(b'{');
            let mut first = true;
            for &i in ty.get().by_name {
                let (field, node) = (&ty.get().fields[i as usize], structure.node(FieldId(i)));
                if !is_written(field, node) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                write_name(field.name, out);
                match node {
                    Some(node) => write_sorted(node, out),
                    None => write_zero(field, out),
                }
            }
            out.push(b'}');
        }
        _ => write(node, out),
    }
}

pub fn to_vec(node: Node<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(node, &mut out);
    out
}

pub fn to_string(node: Node<'_>) -> String {
    String::from_utf8(to_vec(node)).expect("JSON is written as UTF-8")
}

pub fn write(node: Node<'_>, out: &mut Vec<u8>) {
    write_as::<false>(node, out);
}

/// What is kept (`KEPT`) has been through protobuf on other servers, which knows no empty lists and maps: a field that
/// holds one reads null.
fn write_as<const KEPT: bool>(node: Node<'_>, out: &mut Vec<u8>) {
    match node.value() {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Float(value) => write_f64(out, value),
        Value::Str(value) => write_string(out, value),
        Value::Raw(json) => write_compact(json.as_bytes(), out),
        Value::List(list) => write_array(out, list.iter(), write_as::<KEPT>),
        Value::Map(map) => {
            let mut members = Members::new(out);
            map.iter().for_each(|(key, value)| write_as::<KEPT>(value, members.name(key)));
            members.end();
        }
        Value::Struct(structure) => write_struct::<KEPT>(structure.ty(), structure, out),
    }
}

fn write_struct<const KEPT: bool>(ty: Option<TypeId>, structure: Struct<'_>, out: &mut Vec<u8>) {
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
        write_name(field.name, out);
        match node {
            Some(node) if KEPT && is_empty(node) => out.extend_from_slice(b"null"),
            Some(node) => write_as::<KEPT>(node, out),
            None => write_zero(field, out),
        }
    }
    out.push(b'}');
}

fn is_empty(node: Node<'_>) -> bool {
    match node.value() {
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

pub(crate) fn is_written(field: &Field, node: Option<Node<'_>>) -> bool {
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
        Shape::Struct(ty) => return write_struct::<false>(Some(ty), Struct::ABSENT, out),
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

/// Whether [`write_compact`] certainly changes nothing. Most is as it must be already, managedFields above all; looking at
/// all bytes at once is what a processor is good at.
pub(crate) fn is_compact(json: &[u8]) -> bool {
    let suspect =
        |found: bool, &byte: &u8| found | matches!(byte, b'\t' | b'\n' | b'\r' | b' ' | b'<' | b'>' | b'&' | 0xe2);
    !json.iter().fold(false, suspect)
}

/// Writes JSON text without white space, `<`, `>`, `&` and the two line separators escaped, as Go writes what a
/// marshaller gave it.
pub fn write_compact(json: &[u8], out: &mut Vec<u8>) {
    if is_compact(json) {
        return out.extend_from_slice(json);
    }
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
