//! A custom resource whose schema has a list, a map and a text of each sort, and its sites.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::sites::{self, Grown, Seen, Site, Step, Text};

pub const PLURAL: &str = "things";
pub const NAME: &str = "things.hostile.example.com";

static DEFINITION: &str = include_str!("samples/thing.json");

/// The definition, to be created before anything else.
pub fn definition() -> Result<Value> {
    serde_json::from_str(DEFINITION).context("samples/thing.json")
}

/// The sites of the definition's schema, and those of the metadata.
pub fn sites(seen: &mut Seen) -> Result<Vec<Site>> {
    let definition = definition()?;
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut walk = Walk { path: Vec::new(), sites: Vec::new() };
    walk.value(schema)?;
    let object = corten_schema::kind("", "v1", "ConfigMap").context("the type of any object")?;
    walk.sites.extend(sites::of_field(object.ty, "metadata", seen));
    Ok(walk.sites)
}

struct Walk {
    path: Vec<Step>,
    sites: Vec<Site>,
}

impl Walk {
    fn site(&mut self, grown: Grown) {
        self.sites.push(Site { path: self.path.clone(), grown });
    }

    fn value(&mut self, schema: &Value) -> Result<()> {
        if schema["x-kubernetes-preserve-unknown-fields"] == true {
            self.site(Grown::Json { fields: false });
        }
        match schema["type"].as_str() {
            Some("string") => self.site(Grown::Text(Text::String)),
            Some("integer" | "number") => self.site(Grown::Text(Text::Number)),
            Some("array") => {
                let item = fresh(&schema["items"]);
                let merge_key = "";
                self.site(Grown::List { item: item.clone(), merge_key });
                self.path.push(Step::Item { fresh: item });
                self.value(&schema["items"])?;
                self.path.pop();
            }
            Some("object") => self.object(schema)?,
            _ => {}
        }
        Ok(())
    }

    fn object(&mut self, schema: &Value) -> Result<()> {
        if let Some(values) = schema.get("additionalProperties") {
            let value = fresh(values);
            self.site(Grown::Map { key: "@K@".into(), value: value.clone() });
            self.path.push(Step::Entry { fresh: value });
            self.value(values)?;
            self.path.pop();
        }
        let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
        self.site(Grown::Unknown);
        let first = properties.keys().next().context("properties without one")?;
        self.site(Grown::Duplicate { member: format!("\"{first}\":null") });
        for (name, schema) in properties {
            self.path.push(Step::Field { name: name.clone(), fresh: fresh(schema), beside: None });
            self.value(schema)?;
            self.path.pop();
        }
        Ok(())
    }
}

/// A small value of a schema, with what tells it from its neighbours.
fn fresh(schema: &Value) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return json!("@K@");
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => json!("2020-01-01T00:00:00Z"),
        (Some("string"), Some("ipv4")) => json!("@A@"),
        (Some("string"), _) => json!("@K@"),
        (Some("integer" | "number"), _) => json!("@N@"),
        (Some("boolean"), _) => json!(true),
        (Some("array"), _) => json!([fresh(&schema["items"])]),
        _ if schema["x-kubernetes-embedded-resource"] == true => {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "@K@"}})
        }
        _ => {
            let required: Vec<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            Value::Object(
                required
                    .iter()
                    .map(|name| ((*name).into(), fresh(&schema["properties"][*name])))
                    .collect::<Map<_, _>>(),
            )
        }
    }
}
