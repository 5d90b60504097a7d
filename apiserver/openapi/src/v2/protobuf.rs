//! The protobuf form of version 2, by the field numbers of the `openapi.v2` messages that clients decode.
//!
//! Each message is written from the JSON value that stands for it. Values of any kind travel as YAML, of which JSON is
//! a part.

use serde_json::{Map, Value};

/// A protobuf message as it grows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn length(&mut self, number: u32, length: usize) {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(length as u64);
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.length(number, bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, number: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(number, &inner.0);
    }

    fn text(&mut self, number: u32, value: Option<&Value>) {
        if let Some(text) = value.and_then(Value::as_str) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn texts(&mut self, number: u32, value: Option<&Value>) {
        for text in value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn truth(&mut self, number: u32, value: Option<&Value>) {
        if value == Some(&Value::Bool(true)) {
            self.varint(u64::from(number) << 3);
            self.varint(1);
        }
    }

    fn int(&mut self, number: u32, value: Option<&Value>) {
        if let Some(value) = value.and_then(Value::as_i64).filter(|value| *value != 0) {
            self.varint(u64::from(number) << 3);
            self.varint(value as u64);
        }
    }

    fn double(&mut self, number: u32, value: Option<&Value>) {
        if let Some(value) = value.and_then(Value::as_f64).filter(|value| *value != 0.0) {
            self.varint(u64::from(number) << 3 | 1);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// `Any`: its YAML.
    fn any(&mut self, number: u32, value: &Value) {
        self.message(number, |any| any.bytes(2, value.to_string().as_bytes()));
    }

    /// `NamedX { name = 1; value = 2 }`.
    fn named(&mut self, number: u32, name: &str, value: impl FnOnce(&mut Message)) {
        self.message(number, |named| {
            named.bytes(1, name.as_bytes());
            named.message(2, value);
        });
    }

    fn extensions(&mut self, number: u32, owner: &Map<String, Value>) {
        for (name, value) in owner.iter().filter(|(name, _)| name.starts_with("x-")) {
            self.message(number, |named| {
                named.bytes(1, name.as_bytes());
                named.any(2, value);
            });
        }
    }
}

/// The numbers of the document's members that hold paths and definitions.
pub(super) const PATHS: u32 = 8;
pub(super) const DEFINITIONS: u32 = 9;

/// What a document has before its paths.
pub(super) fn head() -> Vec<u8> {
    let mut document = Message::default();
    document.bytes(1, b"2.0");
    document.message(2, |info| {
        info.bytes(1, b"Kubernetes");
        info.bytes(2, b"1.36");
    });
    document.0
}

/// What a member of the document begins with.
pub(super) fn length(number: u32, length: usize) -> Vec<u8> {
    let mut document = Message::default();
    document.length(number, length);
    document.0
}

/// One of the document's paths.
pub(super) fn path(path: &str, item: &Value) -> Vec<u8> {
    let mut paths = Message::default();
    paths.named(2, path, |m| path_item(m, item));
    paths.0
}

/// One of the document's definitions.
pub(super) fn definition(name: &str, definition: &Value) -> Vec<u8> {
    let mut definitions = Message::default();
    definitions.named(1, name, |m| schema(m, definition));
    definitions.0
}

/// What a document has after its definitions.
pub(super) fn tail() -> Vec<u8> {
    let mut document = Message::default();
    // One requirement: the token, without scopes.
    document.message(12, |m| m.named(1, "BearerToken", |_| {}));
    document.message(13, |m| {
        m.named(1, "BearerToken", |m| {
            m.message(2, |key| {
                key.bytes(1, b"apiKey");
                key.bytes(2, b"authorization");
                key.bytes(3, b"header");
                key.bytes(4, b"Bearer Token authentication");
            });
        });
    });
    document.0
}

fn path_item(m: &mut Message, item: &Value) {
    let methods = ["get", "put", "post", "delete", "options", "head", "patch"];
    for (number, method) in (2..).zip(methods) {
        if let Some(Value::Object(found)) = item.get(method) {
            m.message(number, |m| operation(m, found));
        }
    }
    parameters(m, 9, item.get("parameters"));
}

fn operation(m: &mut Message, value: &Map<String, Value>) {
    m.texts(1, value.get("tags"));
    m.text(3, value.get("description"));
    m.text(5, value.get("operationId"));
    m.texts(6, value.get("produces"));
    m.texts(7, value.get("consumes"));
    parameters(m, 8, value.get("parameters"));
    m.message(9, |m| {
        for (code, response) in value.get("responses").and_then(Value::as_object).into_iter().flatten() {
            m.named(1, code, |m| {
                m.message(1, |m| {
                    m.text(1, response.get("description"));
                    if let Some(found) = response.get("schema") {
                        m.message(2, |item| item.message(1, |m| schema(m, found)));
                    }
                });
            });
        }
    });
    m.texts(10, value.get("schemes"));
    m.extensions(13, value);
}

/// Each a `ParametersItem { Parameter { body or other } }`.
fn parameters(m: &mut Message, number: u32, value: Option<&Value>) {
    for parameter in value.and_then(Value::as_array).into_iter().flatten() {
        let place = parameter.get("in").and_then(Value::as_str).unwrap_or_default();
        m.message(number, |item| {
            item.message(1, |m| match place {
                "body" => m.message(1, |m| body(m, parameter)),
                "path" => m.message(2, |other| other.message(4, |m| simple(m, parameter, [5, 18]))),
                _ => m.message(2, |other| other.message(3, |m| simple(m, parameter, [6, 20]))),
            });
        });
    }
}

fn body(m: &mut Message, parameter: &Value) {
    m.text(2, parameter.get("name"));
    m.text(3, parameter.get("in"));
    m.truth(4, parameter.get("required"));
    if let Some(found) = parameter.get("schema") {
        m.message(5, |m| schema(m, found));
    }
}

/// A parameter of a path or a query; the numbers of `type` and `unique_items` differ.
fn simple(m: &mut Message, parameter: &Value, [kind, unique]: [u32; 2]) {
    m.truth(1, parameter.get("required"));
    m.text(2, parameter.get("in"));
    m.text(3, parameter.get("description"));
    m.text(4, parameter.get("name"));
    m.text(kind, parameter.get("type"));
    m.truth(unique, parameter.get("uniqueItems"));
}

fn schema(m: &mut Message, value: &Value) {
    let Value::Object(value) = value else { return };
    for (number, name) in [(1, "$ref"), (2, "format"), (3, "title"), (4, "description"), (13, "pattern")] {
        m.text(number, value.get(name));
    }
    for (number, name) in [(6, "multipleOf"), (7, "maximum"), (9, "minimum")] {
        m.double(number, value.get(name));
    }
    for (number, name) in [(8, "exclusiveMaximum"), (10, "exclusiveMinimum"), (16, "uniqueItems")] {
        m.truth(number, value.get(name));
    }
    let limits = [
        (11, "maxLength"),
        (12, "minLength"),
        (14, "maxItems"),
        (15, "minItems"),
        (17, "maxProperties"),
        (18, "minProperties"),
    ];
    for (number, name) in limits {
        m.int(number, value.get(name));
    }
    m.texts(19, value.get("required"));
    for allowed in value.get("enum").and_then(Value::as_array).into_iter().flatten() {
        m.any(20, allowed);
    }
    match value.get("additionalProperties") {
        Some(Value::Bool(allows)) => m.message(21, |m| {
            m.varint(2 << 3);
            m.varint(u64::from(*allows));
        }),
        Some(nested) => m.message(21, |item| item.message(1, |m| schema(m, nested))),
        None => {}
    }
    if value.contains_key("type") {
        m.message(22, |m| m.text(1, value.get("type")));
    }
    if let Some(nested) = value.get("items") {
        m.message(23, |items| items.message(1, |m| schema(m, nested)));
    }
    if let Some(Value::Object(properties)) = value.get("properties") {
        m.message(25, |m| {
            for (name, property) in properties {
                m.named(1, name, |m| schema(m, property));
            }
        });
    }
    if let Some(docs) = value.get("externalDocs") {
        m.message(29, |m| {
            m.text(1, docs.get("description"));
            m.text(2, docs.get("url"));
        });
    }
    if let Some(example) = value.get("example") {
        m.any(30, example);
    }
    m.extensions(31, value);
}
