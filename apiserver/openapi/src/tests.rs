use std::collections::{BTreeMap, BTreeSet};

use corten_schema::{RESOURCES, Resource};
use serde_json::Value;

use crate::{CustomKind, Documents, Form, accepts_json};

mod changes;
mod synthetic;

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
    serde_json::from_slice(&documents.document(path).expect(path).plain()).expect(path)
}

/// Every document of the index, but for custom kinds.
fn built_in() -> BTreeMap<String, Value> {
    let documents = Documents::new(&served());
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
    let documents = built_in();
    let of_versions = documents.iter().filter(|(path, _)| is_group_version(path));
    let ours = of_versions.flat_map(|(path, document)| operations(path, document)).collect();
    compare(&ours, OPERATIONS);
}

/// Lines as operations.tsv has them.
fn operations(path: &str, document: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (place, item) in members(document, "/paths") {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            lines.insert(format!("{path}\t{place}\t{method}\t{}", summary(item, operation)));
        }
    }
    lines
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
        schema: r#"{"type":"object","x-kubernetes-group-version-kind":[{"kind":"Widget"}]}"#.into(),
        list_schema: r#"{"type":"object","x-kubernetes-group-version-kind":[{"kind":"WidgetList"}]}"#.into(),
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
        ..widget()
    }
}

/// `example.com/v1` with Widget and Thing, as upstream publishes them.
const CUSTOM_OPERATIONS: &str = include_str!("../facts/custom_operations.tsv");

#[test]
fn operations_of_custom_kinds_are_upstreams() {
    let documents = Documents::new(&[]).with("all", vec![widget(), thing()]);
    compare(&operations("apis/example.com/v1", &parsed(&documents, "apis/example.com/v1")), CUSTOM_OPERATIONS);
}

#[test]
fn documents_of_custom_kinds_hold_their_schemas_and_what_those_may_name() {
    let documents = Documents::new(&[]).with("all", vec![widget(), thing()]);
    let document = parsed(&documents, "apis/example.com/v1");
    assert_eq!(document["info"]["title"], "Kubernetes CRD Swagger");
    let check = |pointer: &str, expected: &str| {
        assert_eq!(document.pointer(&format!("/components/schemas/{pointer}")), Some(&expected.into()), "{pointer}");
    };
    check("com.example.v1.Widget/x-kubernetes-group-version-kind/0/kind", "Widget");
    check("com.example.v1.WidgetList/x-kubernetes-group-version-kind/0/kind", "WidgetList");
    check("com.example.v1.Thing/type", "object");
    check("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta/type", "object");
    check("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta/type", "object");
    check(
        "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions/x-kubernetes-group-version-kind/52/group",
        "storagemigration.k8s.io",
    );
}

fn hashes(documents: &Documents) -> BTreeMap<String, String> {
    let index: Value = serde_json::from_slice(&documents.index().json).unwrap();
    let text = |entry: &Value| entry["serverRelativeURL"].as_str().unwrap().to_owned();
    members(&index, "/paths").map(|(path, entry)| (path.clone(), text(entry))).collect()
}

#[test]
fn the_index_tells_where_documents_lie() {
    let documents = Documents::new(&served()).with("widgets", vec![widget()]);
    let hashes = hashes(&documents);
    for path in ["api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "apis/example.com/v1", "version"] {
        let document = documents.document(path).expect(path);
        assert_eq!(hashes[path], crate::location(path, &document.etag), "{path}");
        assert_eq!(document.etag.len(), 128, "{path}");
    }
    assert!(documents.document("apis/example.com").is_none());
    assert!(documents.document("apis/apps/v2").is_none());
    assert!(documents.document("").is_none());
}

#[test]
fn only_what_changes_gets_another_hash() {
    let documents = Documents::new(&served()).with("widgets", vec![widget()]);
    let before = hashes(&documents);
    let documents = documents.with("others", vec![CustomKind { group: "other.example.com".into(), ..thing() }]);
    let between = hashes(&documents);
    let documents = documents.without("others").with("things", vec![thing()]);
    let after = hashes(&documents);
    let changed = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
        let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        paths.into_iter().filter(|path| a.get(*path) != b.get(*path)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(changed(&before, &between), ["apis/other.example.com/v1"]);
    assert_eq!(changed(&between, &after), ["apis/example.com/v1", "apis/other.example.com/v1"]);
    let documents = documents.without("things").without("widgets");
    assert_eq!(changed(&hashes(&documents), &before), ["apis/example.com/v1"]);
}

#[test]
fn a_custom_kind_cannot_replace_a_built_in_document() {
    let documents = Documents::new(&served());
    let before = hashes(&documents);
    let documents = documents.with("widgets", vec![CustomKind { group: "apps".into(), ..widget() }]);
    assert_eq!(hashes(&documents), before);
}

#[test]
fn every_type_and_field_has_a_description_where_upstream_has_one() {
    // These have none upstream either, apart from the parts of conditions and lists that speak for themselves.
    let documents = built_in();
    let schemas: BTreeMap<&String, &Value> =
        documents.values().flat_map(|document| members(document, "/components/schemas")).collect();
    let (described, fields): (usize, usize) = schemas.values().fold((0, 0), |(described, fields), schema| {
        let own: Vec<&Value> = members(schema, "/properties").map(|(_, property)| property).collect();
        let with = own.iter().filter(|property| property["description"].is_string()).count();
        (described + with, fields + own.len())
    });
    assert!(described * 100 > fields * 98, "{described} of {fields} fields are described");
    let description = |name: &str, field: &str| {
        let schema = schemas.iter().find(|(key, _)| key.ends_with(name)).expect(name).1;
        schema["properties"][field]["description"].as_str().unwrap_or_default().to_owned()
    };
    assert!(description("core.v1.PodSpec", "containers").starts_with("List of containers belonging to the pod."));
    assert!(
        description("core.v1.PodSpec", "restartPolicy")
            .ends_with("\n\nPossible enum values:\n - `\"Always\"`\n - `\"Never\"`\n - `\"OnFailure\"`")
    );
    assert!(description("core.v1.PodList", "items").starts_with("The objects"));
}

#[test]
fn accepts() {
    let check = |accept: &str, expected| assert_eq!(accepts_json(accept), expected, "{accept:?}");
    check("", true);
    check("*/*", true);
    check("application/json", true);
    check("application/json, */*", true);
    check("application/*;q=0.3", true);
    check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true);
    check("application/com.github.proto-openapi.spec.v3@v1.0+protobuf", false);
    check("application/com.github.proto-openapi.spec.v3.v1.0+protobuf, application/json", true);
    check("application/yaml", false);
    check("text/plain", false);
}

#[test]
fn accepts_forms_of_version_2() {
    let check = |accept: &str, expected| assert_eq!(Form::of_v2(accept), expected, "{accept:?}");
    check("", Some(Form::Json));
    check("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", Some(Form::Protobuf));
    check("application/com.github.proto-openapi.spec.v2.v1.0+protobuf, application/json", Some(Form::Protobuf));
    check("application/com.github.proto-openapi.spec.v2.v1.0+protobuf;q=0.5, application/json", Some(Form::Json));
    check("application/json, */*", Some(Form::Json));
    check("application/yaml", None);
}

/// What version 2 can say of a schema of version 3, as far as built-in types go.
fn without_what_version_2_lacks(schema: &Value) -> Value {
    let mut kept = serde_json::Map::new();
    for (key, value) in schema.as_object().expect("a schema") {
        let (key, value) = match key.as_str() {
            "default" | "oneOf" => continue,
            "allOf" => ("$ref", value[0]["$ref"].clone()),
            "items" | "additionalProperties" => (key.as_str(), without_what_version_2_lacks(value)),
            "properties" => {
                let properties = value.as_object().expect("properties").iter();
                (key.as_str(), properties.map(|(name, of)| (name.clone(), without_what_version_2_lacks(of))).collect())
            }
            key => (key, value.clone()),
        };
        let value = match value {
            Value::String(text) => text.replace("#/components/schemas/", "#/definitions/").into(),
            other => other,
        };
        kept.insert(key.to_owned(), value);
    }
    kept.into()
}

#[test]
fn version_2_says_what_version_3_says() {
    let documents = Documents::new(&served());
    let document: Value = serde_json::from_slice(&documents.v2(Form::Json).plain()).unwrap();
    for line in SCHEMAS.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = line["name"].as_str().unwrap();
        let mut expected = without_what_version_2_lacks(&line["schema"]);
        if name.ends_with(".Quantity") || name.ends_with(".IntOrString") {
            expected["type"] = "string".into();
        }
        assert_eq!(reduced(&document["definitions"][name]), expected, "{name}");
    }
    let of_version_3: usize = built_in().values().map(|document| members(document, "/paths").count()).sum();
    assert_eq!(members(&document, "/paths").count(), of_version_3);
    let create = &document["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"];
    assert_eq!(create["parameters"][0]["schema"]["$ref"], "#/definitions/io.k8s.api.core.v1.Pod");
    assert_eq!(create["responses"]["201"]["schema"]["$ref"], "#/definitions/io.k8s.api.core.v1.Pod");
}

#[test]
fn version_2_drops_what_old_clients_trip_over() {
    let check = |schema: &str, expected: &str| {
        let schema = format!(r#"{{"type":"object","properties":{{"field":{schema}}}}}"#);
        let kind = CustomKind { schema: schema.as_str().into(), ..widget() };
        let documents = Documents::new(&[]).with("widgets", vec![kind]);
        let document: Value = serde_json::from_slice(&documents.v2(Form::Json).plain()).unwrap();
        let field = &document["definitions"]["com.example.v1.Widget"]["properties"]["field"];
        assert_eq!(field, &serde_json::from_str::<Value>(expected).unwrap(), "{schema}");
    };
    check(r#"{"type":"string","default":"a","enum":["a"]}"#, r#"{"type":"string","enum":["a"]}"#);
    check(r#"{"type":"string","nullable":true}"#, "{}");
    check(
        r#"{"anyOf":[{"type":"integer"}],"x-kubernetes-int-or-string":true}"#,
        r#"{"x-kubernetes-int-or-string":true}"#,
    );
    check(
        r#"{"type":"object","properties":{"a":{}},"x-kubernetes-preserve-unknown-fields":true}"#,
        r#"{"x-kubernetes-preserve-unknown-fields":true}"#,
    );
    check(
        r#"{"type":"object","required":["a"],"properties":{"a":{"type":"string","nullable":true}}}"#,
        r#"{"type":"object","properties":{"a":{}}}"#,
    );
    check(r#"{"type":"array"}"#, "{}");
    check(
        r##"{"description":"M","allOf":[{"$ref":"#/components/schemas/x.M"}]}"##,
        r##"{"description":"M","$ref":"#/definitions/x.M"}"##,
    );
    check(
        r#"{"type":"object","additionalProperties":{"type":"array","items":{"not":{}}}}"#,
        r#"{"type":"object","additionalProperties":{"type":"array","items":{}}}"#,
    );
}

/// Fields of a protobuf message: number, and bytes of those that have a length.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(message: &mut &[u8]) -> u64 {
        let length = message.iter().position(|byte| byte & 0x80 == 0).expect("a varint") + 1;
        let (head, rest) = message.split_at(length);
        *message = rest;
        head.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let length = match tag & 7 {
            0 => {
                varint(&mut message);
                0
            }
            1 => 8,
            2 => varint(&mut message) as usize,
            other => panic!("wire type {other}"),
        };
        let (value, rest) = message.split_at(length);
        message = rest;
        found.push((tag >> 3, value));
    }
    found
}

fn field(message: &[u8], number: u64) -> &[u8] {
    fields(message).into_iter().find(|(found, _)| *found == number).expect("the field").1
}

#[test]
fn protobuf_of_version_2_holds_what_the_json_holds() {
    let documents = Documents::new(&served());
    let json: Value = serde_json::from_slice(&documents.v2(Form::Json).plain()).unwrap();
    let protobuf = documents.v2(Form::Protobuf).plain();
    assert_eq!(field(&protobuf, 1), b"2.0");
    let named = |number: u64| -> BTreeMap<String, &[u8]> {
        let entries = fields(field(&protobuf, number)).into_iter();
        entries.map(|(_, entry)| (String::from_utf8_lossy(field(entry, 1)).into_owned(), field(entry, 2))).collect()
    };
    let (paths, definitions) = (named(8), named(9));
    assert!(paths.keys().eq(members(&json, "/paths").map(|(path, _)| path).collect::<BTreeSet<_>>()));
    assert!(definitions.keys().eq(members(&json, "/definitions").map(|(name, _)| name).collect::<BTreeSet<_>>()));
    let pod = definitions["io.k8s.api.core.v1.Pod"];
    assert_eq!(field(field(pod, 22), 1), b"object");
    let extension = field(pod, 31);
    assert_eq!(field(extension, 1), b"x-kubernetes-group-version-kind");
    assert_eq!(field(field(extension, 2), 2), br#"[{"group":"","kind":"Pod","version":"v1"}]"#);
    let spec = fields(field(pod, 25)).into_iter().map(|(_, entry)| entry).find(|entry| field(entry, 1) == b"spec");
    assert_eq!(field(field(spec.unwrap(), 2), 1), b"#/definitions/io.k8s.api.core.v1.PodSpec");
    let read = field(paths["/api/v1/namespaces/{namespace}/pods/{name}"], 2);
    assert_eq!(field(read, 5), b"readCoreV1NamespacedPod");
}
