//! OpenAPI version 2: one document of everything, in JSON and in protobuf.
//!
//! It is made from what version 3 is made from. What version 2 cannot say is left out as upstream leaves it out: a
//! reference takes its siblings beside it, defaults and alternatives go, and what may be null or holds unknown fields
//! has no type.

mod protobuf;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::components;
use crate::descriptions::Descriptions;
use crate::json::Writer;
use crate::names;
use crate::operation::{Content, Operation, Parameter, Paths, Place, split_parameters};

pub(crate) struct Forms {
    pub json: Vec<u8>,
    pub protobuf: Vec<u8>,
}

pub(crate) fn make(
    paths: &Paths,
    custom: &BTreeMap<String, &str>,
    shared: &[(&str, &str)],
    descriptions: &Descriptions<'_>,
) -> Forms {
    let definitions = definitions(paths, custom, shared, descriptions);
    let mut w = Writer::new();
    w.object(|w| {
        w.member("swagger", "2.0");
        w.object_member("info", |w| {
            w.member("title", "Kubernetes");
            w.member("version", "1.36");
        });
        w.object_member("paths", |w| {
            for (path, operations) in paths.iter() {
                w.key(path);
                w.value(&path_item(operations));
            }
        });
        w.object_member("definitions", |w| {
            for (name, definition) in &definitions {
                w.key(name);
                w.value(definition);
            }
        });
        w.raw_member("securityDefinitions", SECURITY);
        w.raw_member("security", r#"[{"BearerToken":[]}]"#);
    });
    let items = paths.iter().map(|(path, operations)| (path.as_str(), path_item(operations)));
    Forms { json: w.finish(), protobuf: protobuf::document(items, &definitions) }
}

const SECURITY: &str = r#"{"BearerToken":{"description":"Bearer Token authentication","type":"apiKey","name":"authorization","in":"header"}}"#;

fn definitions(
    paths: &Paths,
    custom: &BTreeMap<String, &str>,
    shared: &[(&str, &str)],
    descriptions: &Descriptions<'_>,
) -> Map<String, Value> {
    let mut roots: BTreeSet<String> = paths.components().cloned().collect();
    roots.extend(["ObjectMeta", "ListMeta"].map(|name| format!("{}{name}", names::META)));
    let mut w = Writer::new();
    w.object(|w| components::write(w, roots, custom, shared, descriptions));
    let mut definitions: Map<String, Value> = serde_json::from_slice(&w.finish()).unwrap_or_default();
    for (name, schema) in &mut definitions {
        match (name.as_str(), schema) {
            (components::QUANTITY | components::INT_OR_STRING, Value::Object(schema)) => {
                schema.remove("oneOf");
                schema.insert("type".into(), "string".into());
            }
            (name, Value::Object(schema)) => {
                if custom.contains_key(name) && holds_unknown_fields(schema) {
                    // Clients would refuse what is not among the properties.
                    schema.retain(|key, _| {
                        key == "x-kubernetes-group-version-kind" || key == "x-kubernetes-selectable-fields"
                    });
                    schema.insert("type".into(), "object".into());
                }
                reduce(schema);
            }
            _ => {}
        }
    }
    definitions
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
        *target = definition(target);
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

fn definition(target: &str) -> String {
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
