//! The objects of every cluster, as a list.

use anyhow::{Context, Result, bail};
use corten_object::json;

use crate::readiness::Step;
use crate::registry::Registry;

pub const RBAC: &str = "rbac.authorization.k8s.io";
pub const FLOW_CONTROL: &str = "flowcontrol.apiserver.k8s.io";

/// One object a line.
const OBJECTS: &str = include_str!("../initial_objects.jsonl");

/// An object that every cluster has.
pub struct Initial {
    pub group: String,
    pub plural: String,
    pub name: String,
    /// `namespace/name`, or the name alone.
    pub key: String,
    /// The path of its collection.
    pub collection: String,
    pub json: &'static str,
    /// The step of a start that includes it.
    pub step: Step,
}

impl Initial {
    pub fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }

    fn parse(line: &'static str, registry: &Registry) -> Result<Initial> {
        let parsed = json::parse(line.as_bytes().to_vec(), json::Form::Plain)?.tree;
        let word = |path: &[&str]| parsed.root().at(path).map_or("", |node| node.as_str()).to_owned();
        let (api_version, kind) = (word(&["apiVersion"]), word(&["kind"]));
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let (namespace, name) = (word(&["metadata", "namespace"]), word(&["metadata", "name"]));
        let Some(resource) = registry.all().find(|resource| {
            *resource.group == *group
                && *resource.version == *version
                && *resource.kind == *kind
                && resource.storage.is_some()
        }) else {
            bail!("{api_version} {kind} is not served")
        };
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let (below, key) = match resource.namespaced {
            true => (format!("namespaces/{namespace}/"), format!("{namespace}/{name}")),
            false => (String::new(), name.clone()),
        };
        Ok(Initial {
            collection: format!("{root}/{version}/{below}{}", resource.plural),
            plural: resource.plural.to_string(),
            step: match (group, kind.as_str()) {
                ("", _) => Step::Namespaces,
                (RBAC, _) => Step::Roles,
                (FLOW_CONTROL, _) => Step::FlowControl,
                _ => Step::PriorityClasses,
            },
            group: group.to_owned(),
            name,
            key,
            json: line,
        })
    }
}

/// All of them.
pub fn objects(registry: &Registry) -> Result<Vec<Initial>> {
    let lines = OBJECTS.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| Initial::parse(line, registry).with_context(|| format!("read an initial object: {line}")))
        .collect()
}
