//! A server's OpenAPI v3 and discovery documents, reduced to what can be compared.
//!
//! Schemas are kept whole but for their descriptions: one line for each type, since all documents that hold a type hold the
//! same. What a document says about a type's kinds and operations is kept by document.

use anyhow::Context;
use kube::Client;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The texts of the three files of OpenAPI facts.
pub struct OpenApi {
    /// A line of JSON for each type: `{"name": ..., "schema": {...}}`, by name.
    pub schemas: String,
    /// document, type, and its group/version/kind triples there.
    pub kinds: String,
    /// document, path, method, action, group/version/kind, parameters, request and response types.
    pub operations: String,
    /// type, field, and what its description says of one of its values; descriptions are otherwise k8s-openapi's, which
    /// leave that out.
    pub enum_values: String,
}

/// Documents of built-in groups with a version; the others hold no types of their own.
fn versioned(path: &str) -> bool {
    path == "api/v1" || path.starts_with("apis/") && path.split('/').count() == 3
}

pub async fn openapi(client: &Client) -> anyhow::Result<OpenApi> {
    let index = get(client, "/openapi/v3", JSON).await?;
    let paths = index["paths"].as_object().context("an index has paths")?;
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let (mut kinds, mut operations, mut enum_values) = (String::new(), String::new(), String::new());
    for (name, entry) in paths.iter().filter(|(name, _)| versioned(name)) {
        let url = entry["serverRelativeURL"].as_str().context("a document has a URL")?;
        let document = get(client, url, JSON).await?;
        for (kind, schema) in document["components"]["schemas"].as_object().context("a document has schemas")? {
            write_enum_values(&mut enum_values, kind, schema)?;
            let mut schema = without_descriptions(schema);
            if let Some(gvks) = schema.as_object_mut().and_then(|o| o.remove("x-kubernetes-group-version-kind")) {
                writeln!(kinds, "{name}\t{kind}\t{}", triples(&gvks))?;
            }
            if let Some(other) = schemas.insert(kind.clone(), schema.clone()) {
                anyhow::ensure!(other == schema, "{kind} is not the same in all documents");
            }
        }
        write_operations(&mut operations, name, &document["paths"])?;
    }
    let mut lines = String::new();
    for (name, schema) in schemas {
        writeln!(lines, "{}", serde_json::json!({"name": name, "schema": sorted(&schema)}))?;
    }
    let [kinds, operations, enum_values] = [kinds, operations, enum_values].map(|text| sorted_lines(&text));
    Ok(OpenApi { schemas: lines, kinds, operations, enum_values })
}

fn write_enum_values(out: &mut String, kind: &str, schema: &Value) -> anyhow::Result<()> {
    for (field, property) in schema["properties"].as_object().into_iter().flatten() {
        let described = property["description"].as_str().unwrap_or_default();
        let Some((_, values)) = described.split_once("\n\nPossible enum values:\n - ") else { continue };
        for value in values.split("\n - ") {
            writeln!(out, "{kind}\t{field}\t{value}")?;
        }
    }
    Ok(())
}

fn write_operations(out: &mut String, document: &str, paths: &Value) -> anyhow::Result<()> {
    for (path, item) in paths.as_object().context("paths")? {
        let shared = names(&item["parameters"]);
        for method in ["get", "put", "post", "delete", "options", "head", "patch"] {
            let Some(operation) = item.get(method) else { continue };
            let parameters: BTreeSet<_> = shared.union(&names(&operation["parameters"])).cloned().collect();
            let parameters = parameters.into_iter().collect::<Vec<_>>().join(",");
            let responses: Vec<_> = operation["responses"].as_object().into_iter().flatten().collect();
            let responses =
                responses.iter().map(|(code, body)| format!("{code}={}", contents(body))).collect::<Vec<_>>();
            let columns = [
                document,
                path,
                method,
                operation["operationId"].as_str().unwrap_or_default(),
                operation["x-kubernetes-action"].as_str().unwrap_or_default(),
                &triples(&operation["x-kubernetes-group-version-kind"]),
                &parameters,
                &contents(&operation["requestBody"]),
                &responses.join(" "),
            ];
            writeln!(out, "{}", columns.join("\t"))?;
        }
    }
    Ok(())
}

fn names(parameters: &Value) -> BTreeSet<String> {
    let name =
        |p: &Value| Some(format!("{}:{}:{}", p["in"].as_str()?, p["name"].as_str()?, p["schema"]["type"].as_str()?));
    parameters.as_array().into_iter().flatten().filter_map(name).collect()
}

/// `TYPE[media,media]` for the types of a body.
fn contents(body: &Value) -> String {
    let mut by_type: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (media, content) in body["content"].as_object().into_iter().flatten() {
        let schema = &content["schema"];
        let reference = schema["$ref"].as_str().map(|reference| reference.rsplit('/').next().unwrap_or_default());
        by_type.entry(reference.or(schema["type"].as_str()).unwrap_or_default()).or_default().push(media);
    }
    let show = |(name, mut media): (&str, Vec<&str>)| {
        media.sort_unstable();
        format!("{name}[{}]", media.join(","))
    };
    by_type.into_iter().map(show).collect::<Vec<_>>().join("+")
}

/// `group/version/kind` of one object or a list of them.
fn triples(value: &Value) -> String {
    let one = |gvk: &Value| {
        let part = |key: &str| gvk[key].as_str().unwrap_or_default();
        format!("{}/{}/{}", part("group"), part("version"), part("kind"))
    };
    match value {
        Value::Array(list) => list.iter().map(one).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(","),
        Value::Object(_) => one(value),
        _ => String::new(),
    }
}

/// A property may itself be called `description`; then its value is an object.
fn without_descriptions(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, value)| *key != "description" || !value.is_string());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_descriptions(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(without_descriptions).collect()),
        other => other.clone(),
    }
}

const LEGACY: &str = "application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const JSON: &str = "application/json";

/// A line of JSON for each discovery document: `{"path": ..., "accept": ..., "body": {...}}`.
pub async fn discovery(client: &Client) -> anyhow::Result<String> {
    let mut paths: Vec<String> = ["/api", "/api/v1", "/apis"].map(Into::into).into();
    let groups = get(client, "/apis", LEGACY).await?;
    for group in groups["groups"].as_array().context("groups")? {
        paths.push(format!("/apis/{}", group["name"].as_str().context("a group's name")?));
        for version in group["versions"].as_array().context("versions")? {
            paths.push(format!("/apis/{}", version["groupVersion"].as_str().context("a version's name")?));
        }
    }
    let mut lines = String::new();
    let requests =
        paths.iter().map(|path| (path.as_str(), LEGACY)).chain([("/api", AGGREGATED), ("/apis", AGGREGATED)]);
    for (path, accept) in requests {
        let mut body = get(client, path, accept).await?;
        // An address is the server's own.
        if let Some(body) = body.as_object_mut() {
            body.remove("serverAddressByClientCIDRs");
        }
        writeln!(lines, "{}", serde_json::json!({"path": path, "accept": accept, "body": body}))?;
    }
    Ok(lines)
}

async fn get(client: &Client, path: &str, accept: &str) -> anyhow::Result<Value> {
    let request = http::Request::get(path).header("Accept", accept).body(Vec::new())?;
    client.request(request).await.with_context(|| path.to_owned())
}

/// Keys in order, because documents are made from maps without one.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let by_key: BTreeMap<_, _> = fields.iter().collect();
            Value::Object(by_key.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn sorted_lines(text: &str) -> String {
    let lines: BTreeSet<_> = text.lines().collect();
    lines.into_iter().flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn descriptions_go_and_properties_of_that_name_stay() {
        let schema = json!({"description": "d", "properties": {"description": {"description": "d", "type": "string"}}});
        assert_eq!(without_descriptions(&schema), json!({"properties": {"description": {"type": "string"}}}));
    }

    #[test]
    fn kinds_are_written_in_order() {
        let gvks = json!([{"group": "b", "version": "v1", "kind": "K"}, {"group": "", "version": "v1", "kind": "K"}]);
        assert_eq!(triples(&gvks), "/v1/K,b/v1/K");
    }
}
