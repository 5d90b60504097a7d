//! One rule: verbs on resources of groups (perhaps on named ones only), or verbs on paths.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::authorize::Attributes;
use crate::words::quoted_list;

pub const ALL: &str = "*";

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicyRule {
    #[serde(deserialize_with = "null_is_empty")]
    pub verbs: Vec<String>,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Only these; every name where it is empty.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

impl PolicyRule {
    pub fn new(verbs: &[&str], groups: &[&str], resources: &[&str]) -> PolicyRule {
        let own = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        PolicyRule { verbs: own(verbs), api_groups: own(groups), resources: own(resources), ..PolicyRule::default() }
    }

    pub fn named(mut self, names: &[&str]) -> PolicyRule {
        self.resource_names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    pub fn paths(verbs: &[&str], paths: &[&str]) -> PolicyRule {
        let non_resource_urls = paths.iter().map(|&path| path.to_owned()).collect();
        PolicyRule { non_resource_urls, ..PolicyRule::new(verbs, &[], &[]) }
    }

    pub fn allows(&self, attributes: &Attributes<'_>) -> bool {
        if !contains(&self.verbs, attributes.verb) {
            return false;
        }
        if !attributes.resource_request {
            return self.non_resource_urls.iter().any(|url| path_matches(url, attributes.path));
        }
        contains(&self.api_groups, attributes.group)
            && self.resources.iter().any(|rule| resource_matches(rule, attributes.resource, attributes.subresource))
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == attributes.name))
    }
}

impl fmt::Display for PolicyRule {
    /// `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        f.write_str("{")?;
        let mut separator = "";
        for (name, values) in parts.into_iter().filter(|(_, values)| !values.is_empty()) {
            write!(f, "{separator}{name}:{}", quoted_list(values))?;
            separator = ", ";
        }
        f.write_str("}")
    }
}

fn contains(values: &[String], wanted: &str) -> bool {
    values.iter().any(|value| value == ALL || value == wanted)
}

/// `*`, `pods`, `pods/log` or `*/scale`; a resource alone does not stand for its subresources.
fn resource_matches(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == ALL {
        return true;
    }
    if subresource.is_empty() {
        return rule == resource;
    }
    let before = rule.strip_suffix(subresource).and_then(|rest| rest.strip_suffix('/'));
    before.is_some_and(|before| before == resource || before == "*")
}

/// A trailing `*` stands for any rest of the path.
pub(super) fn path_matches(rule: &str, path: &str) -> bool {
    rule == ALL || rule == path || (rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*')))
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
