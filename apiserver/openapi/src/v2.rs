//! OpenAPI version 2: one document of everything, in JSON and in protobuf.
//!
//! It is joined from parts that stay packed: the operations of a group version, and definitions. They are made from what
//! version 3 is made from. What version 2 cannot say is left out as upstream leaves it out: a
//! reference takes its siblings beside it, defaults and alternatives go, and what may be null or holds unknown fields
//! has no type.

mod protobuf;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ring::digest::{Digest, SHA512, digest};
use serde_json::{Map, Value, json};

use crate::components;
use crate::custom;
use crate::descriptions::Text;
use crate::documents::{Document, etag_of};
use crate::json::Writer;
use crate::negotiate::Form;
use crate::operation::{Content, Operation, Parameter, Paths, Place, split_parameters};
use crate::packed::{Gzip, Packed};
use crate::source::{Entry, Source};

/// Group versions that only servers know, and that clients' library does not.
const MORE_VERSIONS: [(&str, &str); 8] = [
    ("admission.k8s.io", "v1"),
    ("admission.k8s.io", "v1beta1"),
    ("apiextensions.k8s.io", "v1"),
    ("apiextensions.k8s.io", "v1beta1"),
    ("apiregistration.k8s.io", "v1"),
    ("apiregistration.k8s.io", "v1beta1"),
    ("imagepolicy.k8s.io", "v1alpha1"),
    ("", "v1"),
];

/// Operations whose paths follow each other in the document, or definitions: what each form of the document has of them.
pub(crate) struct Part {
    /// The first path, or the name of the first definition.
    name: String,
    json: Packed,
    protobuf: Packed,
    /// The hash of the JSON.
    hash: Digest,
}

/// The parts of what the server has by itself.
pub(crate) struct BuiltInParts {
    pub operations: Vec<Part>,
    /// In the order of their names.
    pub definitions: Vec<Package>,
}

/// The definitions of a package, which follow each other unless a custom kind stands between them.
pub(crate) struct Package {
    part: Part,
    last: String,
}

impl Part {
    pub fn name(&self) -> &str {
        &self.name
    }

    fn new(name: String, json: &[u8], protobuf: &[u8]) -> Part {
        Part { name, json: Packed::new(json), protobuf: Packed::new(protobuf), hash: digest(&SHA512, json) }
    }
}

pub(crate) fn built_in(entries: &BTreeMap<String, Entry>) -> BuiltInParts {
    let (mut operations, mut roots) = (Vec::new(), BTreeSet::new());
    let mut versions: BTreeSet<(&str, &str)> = custom::DELETE_OPTIONS.iter().chain(&MORE_VERSIONS).copied().collect();
    for entry in entries.values() {
        let mut paths = Paths::default();
        entry.source.add_paths(&mut paths);
        roots.extend(paths.components().cloned());
        operations.push(self::operations(&paths));
        if let Source::GroupVersion { group, version, .. } = &entry.source {
            versions.insert((group, version));
        }
    }
    roots.extend(custom::shared_components(true));
    let names: Vec<String> = components::reached(roots).into_iter().collect();
    let shared: Vec<(&str, &str)> = versions.into_iter().collect();
    let text = Text::inflate();
    let descriptions = text.index();
    let package = |name: &str| name.rfind('.').map(|end| name[..end].to_owned());
    let packages = names.chunk_by(|a, b| package(a) == package(b)).map(|names| {
        let definitions = names.iter().map(|name| {
            let mut w = Writer::new();
            components::write(&mut w, name, &shared, &descriptions);
            (name.as_str(), definition(name, serde_json::from_slice(&w.finish()).unwrap_or_default()))
        });
        Package { part: part_of_definitions(definitions), last: names.last().cloned().unwrap_or_default() }
    });
    BuiltInParts { operations, definitions: packages.collect() }
}

impl Package {
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// Whether one of these stands between the package's definitions, or replaces one of them.
    pub fn is_interrupted(&self, custom: &BTreeMap<&str, &Part>) -> bool {
        custom.range(self.part.name.as_str()..=self.last.as_str()).next().is_some()
    }

    /// Its definitions one by one.
    pub fn split(&self) -> Vec<Part> {
        let members = [b"{", &self.part.json.plain()[..], b"}"].concat();
        let definitions: Map<String, Value> = serde_json::from_slice(&members).unwrap_or_default();
        definitions.into_iter().map(|(name, definition)| part_of_definitions([(name.as_str(), definition)])).collect()
    }
}

/// The operations of paths that follow each other.
pub(crate) fn operations(paths: &Paths) -> Part {
    let (mut w, mut protobuf) = (Writer::new(), Vec::new());
    for (path, operations) in paths.iter() {
        let item = path_item(operations);
        w.key(path);
        w.value(&item);
        protobuf.extend(protobuf::path(path, &item));
    }
    let first = paths.iter().next().map(|(path, _)| path.clone()).unwrap_or_default();
    Part::new(first, &w.finish(), &protobuf)
}

/// The definition of a built-in type, from its schema of version 3.
fn definition(name: &str, mut schema: Map<String, Value>) -> Value {
    if let components::QUANTITY | components::INT_OR_STRING = name {
        schema.remove("oneOf");
        schema.insert("type".into(), "string".into());
    } else {
        reduce(&mut schema);
    }
    schema.into()
}

/// The definition of a custom kind, from its schema of version 3.
pub(crate) fn custom_definition(name: &str, schema: &[u8]) -> Part {
    let mut schema: Value = serde_json::from_slice(schema).unwrap_or_default();
    if let Value::Object(schema) = &mut schema {
        if holds_unknown_fields(schema) {
            // Clients would refuse what is not among the properties.
            schema.retain(|key, _| key == "x-kubernetes-group-version-kind" || key == "x-kubernetes-selectable-fields");
            schema.insert("type".into(), "object".into());
        }
        reduce(schema);
    }
    part_of_definitions([(name, schema)])
}

fn part_of_definitions<'n>(definitions: impl IntoIterator<Item = (&'n str, Value)>) -> Part {
    let (mut first, mut w, mut protobuf) = (None, Writer::new(), Vec::new());
    for (name, definition) in definitions {
        first.get_or_insert(name);
        w.key(name);
        w.value(&definition);
        protobuf.extend(protobuf::definition(name, &definition));
    }
    Part::new(first.unwrap_or_default().to_owned(), &w.finish(), &protobuf)
}

const HEAD: &[u8] = br#"{"swagger":"2.0","info":{"title":"Kubernetes","version":"1.36"},"paths":{"#;
const BETWEEN: &[u8] = br#"},"definitions":{"#;
const TAIL: &[u8] = br#"},"securityDefinitions":{"BearerToken":{"description":"Bearer Token authentication","type":"apiKey","name":"authorization","in":"header"}},"security":[{"BearerToken":[]}]}"#;

/// The document in a form. Its hash, the same in both, is that of the hashes of the parts.
pub(crate) fn join(form: Form, mut operations: Vec<&Part>, definitions: Vec<&Part>) -> Document {
    operations.sort_by(|a, b| a.name.cmp(&b.name));
    let hashes = operations.iter().chain(&definitions).flat_map(|part| part.hash.as_ref()).copied();
    let etag = etag_of(&hashes.collect::<Vec<u8>>());
    let gzip = match form {
        Form::Json => join_json(&operations, &definitions),
        Form::Protobuf => join_protobuf(&operations, &definitions),
    };
    Document { etag, gzip }
}

fn join_json(operations: &[&Part], definitions: &[&Part]) -> Bytes {
    let mut json = Gzip::new();
    json.plain(HEAD);
    join_members(&mut json, operations);
    json.plain(BETWEEN);
    join_members(&mut json, definitions);
    json.plain(TAIL);
    json.finish()
}

fn join_protobuf(operations: &[&Part], definitions: &[&Part]) -> Bytes {
    let mut document = Gzip::new();
    document.plain(&protobuf::head());
    for (number, parts) in [(protobuf::PATHS, operations), (protobuf::DEFINITIONS, definitions)] {
        document.plain(&protobuf::length(number, parts.iter().map(|part| part.protobuf.len()).sum()));
        parts.iter().for_each(|part| document.packed(&part.protobuf));
    }
    document.plain(&protobuf::tail());
    document.finish()
}

fn join_members(json: &mut Gzip, parts: &[&Part]) {
    for (place, part) in parts.iter().enumerate() {
        json.plain(if place > 0 { b"," } else { b"" });
        json.packed(&part.json);
    }
}

fn holds_unknown_fields(schema: &Map<String, Value>) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
}

/// Leaves of a version 3 schema what version 2 can say.
fn reduce(schema: &mut Map<String, Value>) {
    let all_of = schema.remove("allOf");
    if let Some(target) = all_of.as_ref().and_then(|all| all.get(0)?.get("$ref")).and_then(Value::as_str) {
        schema.insert("$ref".into(), target.into());
    }
    if let Some(Value::String(target)) = schema.get_mut("$ref") {
        *target = definition_reference(target);
    }
    for key in ["default", "oneOf", "anyOf", "not"] {
        schema.remove(key);
    }
    let nullable = |schema: &Value| schema.get("nullable") == Some(&Value::Bool(true));
    let null_properties: BTreeSet<String> = match schema.get("properties") {
        Some(Value::Object(properties)) => {
            properties.iter().filter(|(_, property)| nullable(property)).map(|(name, _)| name.clone()).collect()
        }
        _ => BTreeSet::new(),
    };
    let embedded = schema.contains_key("x-kubernetes-embedded-resource");
    if schema.remove("nullable").is_some() {
        schema.retain(|key, _| !matches!(key.as_str(), "type" | "items" | "properties"));
    }
    if holds_unknown_fields(schema) {
        schema.retain(|key, _| !matches!(key.as_str(), "items" | "properties"));
        if schema.get("type").is_some_and(|kind| kind == "object") {
            schema.remove("type");
        }
    }
    if !schema.contains_key("items") && schema.get("type").is_some_and(|kind| kind == "array") {
        schema.remove("type");
    }
    let drop_embedded = embedded && holds_unknown_fields(schema);
    let keep = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        let of_embedded = drop_embedded && matches!(name, "apiVersion" | "kind");
        !of_embedded && !null_properties.contains(name)
    };
    let null_values = schema.get("additionalProperties").is_some_and(nullable);
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| keep(name) && !null_values);
        if required.is_empty() {
            schema.remove("required");
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(nested)) = schema.get_mut(key) {
            reduce(nested);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(reduce);
    }
}

fn definition_reference(target: &str) -> String {
    target.replacen("#/components/schemas/", "#/definitions/", 1)
}

fn path_item(operations: &[Operation]) -> Value {
    let (common, own) = split_parameters(operations);
    let mut item = Map::new();
    for (operation, own) in operations.iter().zip(own) {
        item.insert(operation.method.into(), operation_value(operation, &own));
    }
    if !common.is_empty() {
        item.insert("parameters".into(), common.into_iter().map(parameter_value).collect());
    }
    item.into()
}

fn operation_value(operation: &Operation, own: &[&Parameter]) -> Value {
    let mut parameters: Vec<Value> = own.iter().map(|parameter| parameter_value(parameter)).collect();
    // What describes the API takes no body, and says so in its own way.
    let mut consumes = match operation.action {
        None if operation.produces.len() > 1 => operation.produces.clone(),
        None => Vec::new(),
        Some(_) => vec!["*/*"],
    };
    if let Some(body) = &operation.body {
        consumes = body.media.to_vec();
        let mut value = json!({"name": "body", "in": "body", "schema": schema_of(&body.content)});
        if body.required {
            value["required"] = true.into();
        }
        parameters.insert(0, value);
    }
    parameters.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let mut responses = Map::new();
    for (code, content) in &operation.responses {
        let description = crate::operation::reason(*code);
        responses.insert(code.to_string(), json!({"description": description, "schema": schema_of(content)}));
    }
    responses.insert("401".into(), json!({"description": crate::operation::reason(401)}));
    let mut value = json!({
        "description": operation.description,
        "consumes": consumes,
        "produces": operation.produces,
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.id,
    });
    if !parameters.is_empty() {
        value["parameters"] = parameters.into();
    }
    value["responses"] = responses.into();
    if let Some((action, gvk)) = &operation.action {
        value["x-kubernetes-action"] = (*action).into();
        value["x-kubernetes-group-version-kind"] =
            json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version});
    }
    value
}

fn parameter_value(parameter: &Parameter) -> Value {
    let mut value = json!({"uniqueItems": true, "type": parameter.kind});
    if !parameter.description.is_empty() {
        value["description"] = parameter.description.as_str().into();
    }
    value["name"] = parameter.name.as_str().into();
    value["in"] = if parameter.place == Place::Path { "path" } else { "query" }.into();
    if parameter.place == Place::Path {
        value["required"] = true.into();
    }
    value
}

fn schema_of(content: &Content) -> Value {
    match content {
        Content::Component(name) => json!({"$ref": format!("#/definitions/{name}")}),
        Content::Text => json!({"type": "string"}),
    }
}
