use std::collections::{BTreeMap, BTreeSet};

use corten_schema::{RESOURCES, Resource};
use serde_json::Value;

use crate::{CustomKind, Documents, accepts_json};

/// Facts of upstream's documents: each schema without descriptions and kinds, ...
const SCHEMAS: &str = include_str!("../facts/schemas.jsonl");
/// ... the kinds that each document gives its schemas, ...
const KINDS: &str = include_str!("../facts/kinds.tsv");
/// ... and every operation.
const OPERATIONS: &str = include_str!("../facts/operations.tsv");

fn served() -> Vec<&'static Resource> {
    RESOURCES.iter().filter(|row| row.served_by_default).collect()
}

fn parsed(documents: &Documents, path: &str) -> Value {
    serde_json::from_slice(&documents.document(path).expect(path).json()).expect(path)
}

/// Every document of the index, but for custom kinds.
fn built_in() -> BTreeMap<String, Value> {
    let documents = Documents::new(&served(), Vec::new());
    let index: Value = serde_json::from_slice(&documents.index().json).unwrap();
    index["paths"].as_object().unwrap().keys().map(|path| (path.clone(), parsed(&documents, path))).collect()
}

/// Whether the facts say something of a document.
fn is_group_version(path: &str) -> bool {
    path == "api/v1" || (path.starts_with("apis/") && path.matches('/').count() == 2)
}

fn members<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// What a schema means.
fn reduced(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(key, value)| {
                !(*key == "description" && value.is_string()) && *key != "x-kubernetes-group-version-kind"
            });
            kept.map(|(key, value)| (key.clone(), reduced(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(reduced).collect(),
        other => other.clone(),
    }
}

/// Whether a reference is wrapped follows from descriptions, which the facts lack.
fn with_references_wrapped(schema: Value) -> Value {
    match schema {
        Value::Object(members) => {
            if let (Some(target), 1) = (members.get("$ref"), members.len()) {
                return serde_json::json!({"allOf": [target]});
            }
            if let Some([Value::Object(only)]) = members.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
                && let Some(target) = only.get("$ref")
            {
                let mut members = members.clone();
                members.insert("allOf".into(), serde_json::json!([target]));
                return Value::Object(members);
            }
            Value::Object(members.into_iter().map(|(key, value)| (key, with_references_wrapped(value))).collect())
        }
        Value::Array(elements) => elements.into_iter().map(with_references_wrapped).collect(),
        other => other,
    }
}

#[test]
fn schemas_mean_what_upstreams_mean() {
    let documents = built_in();
    let mut expected: BTreeMap<String, Value> = BTreeMap::new();
    for line in SCHEMAS.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        expected.insert(line["name"].as_str().unwrap().to_owned(), with_references_wrapped(line["schema"].clone()));
    }
    let mut seen = BTreeSet::new();
    let mut differences = Vec::new();
    for (path, document) in documents.iter().filter(|(path, _)| is_group_version(path)) {
        for (name, schema) in members(document, "/components/schemas") {
            seen.insert(name.clone());
            let ours = with_references_wrapped(reduced(schema));
            if expected.get(name) != Some(&ours) {
                differences.push(format!("{path} {name}\n  ours     {ours}\n  upstream {:?}", expected.get(name)));
            }
        }
    }
    differences.extend(expected.keys().filter(|name| !seen.contains(*name)).map(|name| format!("no {name}")));
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn schemas_name_the_kinds_that_upstreams_name() {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut ours = BTreeSet::new();
    for (path, document) in built_in().iter().filter(|(path, _)| is_group_version(path)) {
        for (name, schema) in members(document, "/components/schemas") {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
            let kinds: Vec<String> = kinds
                .map(|gvk| format!("{}/{}/{}", text(&gvk["group"]), text(&gvk["version"]), text(&gvk["kind"])))
                .collect();
            if !kinds.is_empty() {
                ours.insert(format!("{path}\t{name}\t{}", kinds.join(",")));
            }
        }
    }
    compare(&ours, KINDS);
}

#[test]
fn operations_are_upstreams() {
    let mut ours = BTreeSet::new();
    for (path, document) in built_in().iter().filter(|(path, _)| is_group_version(path)) {
        for (place, item) in members(document, "/paths") {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
                ours.insert(format!("{path}\t{place}\t{method}\t{}", summary(item, operation)));
            }
        }
    }
    compare(&ours, OPERATIONS);
}

fn compare(ours: &BTreeSet<String>, upstream: &str) {
    let upstream: BTreeSet<String> = upstream.lines().map(|line| line.trim_end().to_owned()).collect();
    let ours: BTreeSet<String> = ours.iter().map(|line| line.trim_end().to_owned()).collect();
    let lack: Vec<&String> = upstream.difference(&ours).take(8).collect();
    let more: Vec<&String> = ours.difference(&upstream).take(8).collect();
    assert!(ours == upstream, "missing {lack:#?}\nnot upstream's {more:#?}");
}

/// The columns of operations.tsv from the fourth.
fn summary(item: &Value, operation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let gvk = &operation["x-kubernetes-group-version-kind"];
    let kind = match gvk {
        Value::Null => String::new(),
        gvk => format!("{}/{}/{}", text(&gvk["group"]), text(&gvk["version"]), text(&gvk["kind"])),
    };
    let parameters: BTreeSet<String> = [item, operation]
        .iter()
        .flat_map(|owner| owner["parameters"].as_array().into_iter().flatten())
        .map(|row| format!("{}:{}:{}", text(&row["in"]), text(&row["name"]), text(&row["schema"]["type"])))
        .collect();
    let parameters: Vec<String> = parameters.into_iter().collect();
    let responses: Vec<String> =
        members(operation, "/responses").map(|(code, response)| format!("{code}={}", content(response))).collect();
    [
        text(&operation["operationId"]),
        text(&operation["x-kubernetes-action"]),
        kind,
        parameters.join(","),
        content(&operation["requestBody"]),
        responses.join(" "),
    ]
    .join("\t")
}

/// `io.k8s.api.core.v1.Pod[application/json]`.
fn content(body: &Value) -> String {
    let media: Vec<&String> = members(body, "/content").map(|(media, _)| media).collect();
    let Some((_, first)) = members(body, "/content").next() else { return String::new() };
    let schema = &first["schema"];
    let name = schema["$ref"].as_str().map(|target| target.rsplit('/').next().unwrap_or_default());
    let name = name.or(schema["type"].as_str()).unwrap_or_default();
    let media: BTreeSet<&String> = media.into_iter().collect();
    let media: Vec<&str> = media.into_iter().map(String::as_str).collect();
    format!("{name}[{}]", media.join(","))
}

fn widget() -> CustomKind {
    CustomKind {
        group: "example.com".into(),
        version: "v1".into(),
        plural: "widgets".into(),
        kind: "Widget".into(),
        list_kind: "WidgetList".into(),
        namespaced: true,
        status: true,
        scale: true,
        selectable_fields: vec![".spec.color".into()],
        schema: Some(include_str!("../facts/widget.schema.json").into()),
    }
}

fn thing() -> CustomKind {
    CustomKind {
        plural: "things".into(),
        kind: "Thing".into(),
        list_kind: "ThingList".into(),
        namespaced: false,
        status: false,
        scale: false,
        selectable_fields: Vec::new(),
        schema: Some(r#"{"type":"object","properties":{"metadata":{"type":"object","maxProperties":5}}}"#.into()),
        ..widget()
    }
}

#[test]
fn dump() {
    let Ok(dir) = std::env::var("DUMP") else { return };
    let documents = Documents::new(&served(), vec![widget(), thing()]);
    let at = std::time::Instant::now();
    let index = documents.index();
    eprintln!("index {:?}", at.elapsed());
    let at = std::time::Instant::now();
    documents.document("api/v1").unwrap();
    eprintln!("api/v1 {:?}", at.elapsed());
    let index: Value = serde_json::from_slice(&index.json).unwrap();
    let mut kept = 0;
    for path in index["paths"].as_object().unwrap().keys() {
        let document = documents.document(path).unwrap();
        kept += document.gzip.len();
        std::fs::write(format!("{dir}/{}.json", path.replace('/', "_")), document.json()).unwrap();
    }
    eprintln!("kept {kept}");
}
