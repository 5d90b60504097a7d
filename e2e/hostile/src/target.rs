//! What bodies are sent to: every resource that takes a POST, and some subresources that do.

use anyhow::{Context, Result};
use corten_schema::{Resource, TypeId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::custom;
use crate::samples;
use crate::sites::{self, Seen, Site};

pub const NAMESPACE: &str = "hostile";
/// The name of the object of each kind that is there from the beginning.
pub const BASE: &str = "base";

pub struct Target {
    /// `deployments.apps`, `horizontalpodautoscalers.v1.autoscaling` where there are several versions of a kind.
    pub name: String,
    pub sample: Value,
    pub ty: Option<TypeId>,
    /// The path that a POST goes to.
    pub collection: String,
    /// Whether there are objects of it to update, patch and delete.
    pub persisted: bool,
    pub stored: Stored,
    /// Who writes it, if not an administrator: one who may write rules, but not more than they have themselves.
    pub user: Option<String>,
    pub has_status: bool,
    pub sites: Vec<Site>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    object: Value,
    /// The subresource that takes it.
    at: Option<String>,
    #[serde(default)]
    stored: Stored,
    r#as: Option<String>,
}

/// Which objects of a kind may be stored; others would change what the server does with other requests, could not be
/// deleted, or are not taken.
#[derive(Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    #[default]
    All,
    /// The sample alone.
    Base,
    Nothing,
}

/// All targets, in the order of the samples.
pub fn all() -> Result<Vec<Target>> {
    let mut seen = Seen::default();
    let lines = samples::OBJECTS.lines().enumerate();
    lines.map(|(i, line)| target(line, &mut seen).with_context(|| format!("samples/objects.jsonl:{}", i + 1))).collect()
}

fn target(line: &str, seen: &mut Seen) -> Result<Target> {
    let Line { mut object, at, stored, r#as: user } = serde_json::from_str(line)?;
    let api_version = object["apiVersion"].as_str().context("it has no apiVersion")?.to_owned();
    let kind = object["kind"].as_str().context("it has no kind")?.to_owned();
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let prefix = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let within = format!("{prefix}/namespaces/{NAMESPACE}");
    let ty = corten_schema::kind(group, version, &kind).map(|kind| kind.ty);
    let resource = resource(group, version, &kind);
    let (name, collection, namespaced) = match (&at, resource) {
        (Some(at), _) => {
            let name = at.replace(&format!("/{BASE}/"), "/");
            (name, format!("/api/v1/namespaces/{NAMESPACE}/{at}"), true)
        }
        (None, Some(resource)) => {
            let folder = if resource.namespaced { &within } else { &prefix };
            (resource_name(resource), format!("{folder}/{}", resource.plural), resource.namespaced)
        }
        (None, None) => (custom::NAME.to_owned(), format!("{within}/{}", custom::PLURAL), true),
    };
    let metadata = &mut object["metadata"];
    if metadata["name"].is_null() {
        metadata["name"] = json!(BASE);
    }
    if namespaced {
        metadata["namespace"] = json!(NAMESPACE);
    }
    let sites = match ty {
        Some(ty) => sites::of_kind(ty, seen),
        None => custom::sites(seen)?,
    };
    let persisted = at.is_none() && resource.is_none_or(|resource| resource.persisted);
    let has_status = match resource {
        Some(resource) => resource.subresources.iter().any(|sub| sub.name == "status"),
        None => ty.is_none(),
    };
    let stored = if persisted { stored } else { Stored::Nothing };
    Ok(Target { name, sample: object, ty, collection, persisted, stored, user, has_status, sites })
}

fn resource(group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
    let group = if group.is_empty() { "core" } else { group };
    let mut rows = corten_schema::RESOURCES.iter();
    rows.find(|row| {
        (row.version, row.kind) == (version, kind) && (row.group == group || row.group.is_empty() && group == "core")
    })
}

fn resource_name(resource: &Resource) -> String {
    let mut versions = corten_schema::RESOURCES.iter().filter(|row| row.served_by_default);
    let group = if resource.group == "core" { "" } else { resource.group };
    let several =
        versions.by_ref().filter(|row| (row.group, row.plural) == (resource.group, resource.plural)).count() > 1;
    match (group, several) {
        ("", _) => resource.plural.to_owned(),
        (group, false) => format!("{}.{group}", resource.plural),
        (group, true) => format!("{}.{}.{group}", resource.plural, resource.version),
    }
}

impl Target {
    /// The name of the object that is there from the beginning.
    pub fn base(&self) -> &str {
        self.sample["metadata"]["name"].as_str().unwrap_or(BASE)
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.collection)
    }

    /// The sample under another name. Where the name says what the object holds, that is renamed too.
    pub fn renamed(&self, name: &str) -> Value {
        let base = self.base();
        if self.stored == Stored::Nothing {
            return self.sample.clone();
        }
        let Some((first, _)) = base.split_once('.') else {
            let mut object = self.sample.clone();
            object["metadata"]["name"] = json!(name);
            return object;
        };
        serde_json::from_str(&self.sample.to_string().replace(first, name)).unwrap_or(Value::Null)
    }

    /// The subresource by which a site is written, with its slash, or "".
    pub fn subresource(&self, site: &Site) -> &'static str {
        let name = site.name();
        let written = SUBRESOURCES.iter().find(|(target, start, _)| *target == self.name && name.starts_with(start));
        match written {
            Some((.., subresource)) => subresource,
            None if self.has_status && site.member() == Some("status") => "/status",
            None => "",
        }
    }
}

/// Parts of an object that are written by a subresource alone, beyond the status.
const SUBRESOURCES: [(&str, &str, &str); 1] = [("pods", "spec.ephemeralContainers", "/ephemeralcontainers")];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_resource_that_takes_a_post_has_a_sample() {
        let targets = super::all().expect("the samples");
        let names: BTreeSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let served = corten_schema::RESOURCES.iter().filter(|row| row.served_by_default);
        let mut lacking: Vec<_> =
            served.filter(|row| row.verbs.contains(&"create")).map(super::resource_name).collect();
        lacking.retain(|name| !names.contains(name.as_str()));
        // A binding by the collection is a binding by the pod's subresource.
        assert_eq!(lacking, ["bindings"]);
    }
}
