//! Objects and values that are valid and small, from which the large ones are grown.
//!
//! `samples/objects.jsonl` has a minimal object of every kind, `samples/values.jsonl` a minimal value of each type whose
//! required fields alone would not be valid. Strings in them may hold tokens (see `grow`) for what tells the elements
//! of a list apart.

use std::collections::HashMap;
use std::sync::LazyLock;

use corten_schema::{Field, FieldId, RawKind, SchemaOr, Shape, TypeId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub static OBJECTS: &str = include_str!("samples/objects.jsonl");
static VALUES: &str = include_str!("samples/values.jsonl");

/// How deep a value that is made from the schema alone nests.
const DEPTH_MAX: usize = 4;

/// Structs that protobuf embeds and of whose fields only one may be set.
const ONE_OF: [&str; 3] = ["VolumeSource", "PersistentVolumeSource", "ProbeHandler"];

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    /// What a field of a type needs beside it, as a merge patch of the struct.
    Beside {
        r#type: String,
        field: String,
        with: Value,
    },
    Value {
        r#type: String,
        is: Value,
    },
    /// An element of a list: `TYPE.field`.
    Item {
        item: String,
        is: Value,
    },
}

#[derive(Default)]
struct Samples {
    values: HashMap<String, Value>,
    items: HashMap<String, Value>,
    beside: HashMap<(String, String), Value>,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let mut samples = Samples::default();
    for line in VALUES.lines() {
        match serde_json::from_str(line).expect("a line of samples/values.jsonl") {
            Line::Beside { r#type, field, with } => drop(samples.beside.insert((r#type, field), with)),
            Line::Value { r#type, is } => drop(samples.values.insert(r#type, is)),
            Line::Item { item, is } => drop(samples.items.insert(item, is)),
        }
    }
    samples
});

/// A minimal value of a type: the sample, or what the schema requires.
pub fn of_type(ty: TypeId) -> Value {
    at_depth(ty, 0)
}

fn at_depth(ty: TypeId, depth: usize) -> Value {
    if let Some(sample) = SAMPLES.values.get(ty.get().name) {
        return sample.clone();
    }
    let mut object = Map::new();
    if depth < DEPTH_MAX {
        for field in ty.get().fields {
            if field.markers.required || !(field.omit_empty || field.pointer || field.omit_zero) {
                object.insert(field.name.to_owned(), of_shape(&field.shape, field, depth + 1));
            }
        }
    }
    Value::Object(object)
}

fn of_shape(shape: &Shape, field: &Field, depth: usize) -> Value {
    match shape {
        Shape::Bool => json!(true),
        Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => json!(1),
        Shape::String => json!(field.markers.enumeration.first().unwrap_or(&"a")),
        Shape::Bytes => json!("MQ=="),
        Shape::Time => json!("2020-01-01T00:00:00Z"),
        Shape::MicroTime => json!("2020-01-01T00:00:00.000001Z"),
        Shape::Duration => json!("1s"),
        Shape::Quantity => json!("1"),
        Shape::Raw(RawKind::Json) => json!("a"),
        Shape::Raw(_) => json!({}),
        Shape::SchemaOr(SchemaOr::Bool(ty) | SchemaOr::Array(ty) | SchemaOr::Strings(ty)) | Shape::Struct(ty) => {
            at_depth(*ty, depth)
        }
        Shape::List(item) | Shape::WrappedList(item) => json!([of_shape(item, field, depth)]),
        Shape::Map(_) => json!({}),
    }
}

/// An element of a list, with something that tells it from others: a key that merges go by, or the first text.
pub fn item(ty: TypeId, field: &'static Field, shape: &Shape) -> Value {
    let name = format!("{}.{}", ty.get().name, field.name);
    if let Some(sample) = SAMPLES.items.get(&name) {
        return sample.clone();
    }
    match shape {
        Shape::String | Shape::Raw(RawKind::Json) => json!("@K@"),
        Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString | Shape::Quantity => json!("@N@"),
        Shape::Raw(_) => json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "@K@"}}),
        Shape::Struct(ty) => told_apart(*ty, field),
        shape => of_shape(shape, field, 0),
    }
}

fn told_apart(ty: TypeId, field: &Field) -> Value {
    let mut value = of_type(ty);
    let has_token = |value: &Value| value.to_string().contains('@');
    if has_token(&value) {
        return value;
    }
    let merge_key = Some(field.markers.merge_key).filter(|key| !key.is_empty());
    let by_key = field.markers.list_map_keys.iter().copied().chain(merge_key);
    let texts = ty.get().fields.iter().filter(|field| matches!(field.shape, Shape::String)).map(|field| field.name);
    for name in by_key.chain(texts) {
        let Some(id) = ty.get().field_named(name) else { continue };
        let token = match ty.field(id).shape {
            Shape::String => "@K@",
            Shape::Int32 | Shape::Int64 => "@N@",
            _ => continue,
        };
        value[name] = json!(token);
        break;
    }
    value
}

/// The key and the value of an entry of a map.
pub fn entry(field: &'static Field, shape: &Shape) -> (String, Value) {
    match shape {
        Shape::String => ("@K@".into(), json!("@K@")),
        Shape::Quantity => ("example.com/@K@".into(), json!("1")),
        Shape::Struct(ty) => ("@K@".into(), of_type(*ty)),
        shape => ("@K@".into(), of_shape(shape, field, 0)),
    }
}

/// What a field needs beside it to be valid, as a merge patch of its struct.
pub fn beside(ty: TypeId, id: FieldId) -> Option<Value> {
    let field = ty.field(id);
    let key = (ty.get().name.to_owned(), field.name.to_owned());
    if let Some(with) = SAMPLES.beside.get(&key) {
        return Some(with.clone());
    }
    let one_of = field.embedded.split('.').find(|name| ONE_OF.contains(name))?;
    let others = ty.get().fields.iter().filter(|other| other.name != field.name);
    let others = others.filter(|other| other.embedded.split('.').any(|name| name == one_of));
    Some(Value::Object(others.map(|other| (other.name.to_owned(), Value::Null)).collect()))
}

/// Applies a merge patch.
pub fn merge(value: &mut Value, patch: &Value) {
    let (Value::Object(object), Value::Object(patch)) = (&mut *value, patch) else {
        *value = patch.clone();
        return;
    };
    for (name, patch) in patch {
        if patch.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), patch);
        }
    }
}
