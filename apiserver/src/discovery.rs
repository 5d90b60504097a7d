//! Discovery: which groups, versions and resources there are.
//!
//! What is said of a resource is written once, when it is first asked for; documents are joined from that.

use std::sync::OnceLock;

use bytes::Bytes;
use corten_api::json::{write_array, write_string};
use corten_schema::GROUPS;
use ring::digest::{SHA512, digest};

use crate::registry::{Group, Registry, Resources, Served};
use crate::resource::{Resource, Subresource, api_version};

/// The documents of a registry that tell of many groups, each made when it is first asked for.
#[derive(Default)]
pub struct Documents {
    groups: OnceLock<Bytes>,
    aggregated_core: OnceLock<Tagged>,
    aggregated_groups: OnceLock<Tagged>,
}

#[derive(Clone)]
pub struct Tagged {
    pub body: Bytes,
    pub etag: String,
}

/// What discovery says of a resource, made when it is first asked for.
#[derive(Default)]
pub struct Texts {
    /// Its elements in the list of its group version.
    listed: OnceLock<Box<[u8]>>,
    /// Its element in the aggregated form.
    aggregated: OnceLock<Box<[u8]>>,
}

impl Registry {
    /// `/apis`
    pub fn group_list(&self) -> &Bytes {
        self.discovery.groups.get_or_init(|| {
            let mut list = b"{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":".to_vec();
            let groups: Vec<(&str, &Group)> = ordered(self).into_iter().filter(|(name, _)| !name.is_empty()).collect();
            write_array(&mut list, groups, |(name, group), out| {
                out.push(b'{');
                write_group(name, group, out);
            });
            list.push(b'}');
            line(list)
        })
    }

    /// `/apis/GROUP`
    pub fn group_document(&self, name: &str) -> Option<Bytes> {
        let group = self.group(name).filter(|_| !name.is_empty())?;
        let mut alone = b"{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",".to_vec();
        write_group(name, group, &mut alone);
        Some(line(alone))
    }

    /// `/apis/GROUP/VERSION` and `/api/v1`
    pub fn resource_list(&self, group: &str, version: &str) -> Option<Bytes> {
        let resources = self.resources(group, version)?;
        // The core group's list leaves its apiVersion out.
        let head = if group.is_empty() { "APIResourceList" } else { "APIResourceList\",\"apiVersion\":\"v1" };
        let group_version = api_version(group, version);
        let mut out = format!("{{\"kind\":\"{head}\",\"groupVersion\":\"{group_version}\",\"resources\":").into_bytes();
        write_array(&mut out, resources.values(), |served, out| out.extend_from_slice(served.listed()));
        out.push(b'}');
        Some(line(out))
    }

    /// `/api`, aggregated.
    pub fn aggregated_core(&self) -> &Tagged {
        self.discovery.aggregated_core.get_or_init(|| self.aggregated(|name| name.is_empty()))
    }

    /// `/apis`, aggregated.
    pub fn aggregated_groups(&self) -> &Tagged {
        self.discovery.aggregated_groups.get_or_init(|| self.aggregated(|name| !name.is_empty()))
    }

    fn aggregated(&self, is_wanted: impl Fn(&str) -> bool) -> Tagged {
        let mut out =
            b"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"metadata\":{},\"items\":"
                .to_vec();
        let groups: Vec<(&str, &Group)> = ordered(self).into_iter().filter(|(name, _)| is_wanted(name)).collect();
        write_array(&mut out, groups, |(name, group), out| write_aggregated_group(name, group, out));
        out.push(b'}');
        let body = line(out);
        let etag = digest(&SHA512, &body).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Tagged { body, etag }
    }
}

impl Served {
    fn listed(&self) -> &[u8] {
        self.texts.listed.get_or_init(|| {
            let mut out = Vec::new();
            write_listed(&self.resource, &mut out);
            out.into()
        })
    }

    fn aggregated(&self) -> &[u8] {
        self.texts.aggregated.get_or_init(|| {
            let mut out = Vec::new();
            write_aggregated(&self.resource, &mut out);
            out.into()
        })
    }
}

#[cfg(test)]
impl Texts {
    pub fn is_made(&self) -> bool {
        self.listed.get().is_some() && self.aggregated.get().is_some()
    }
}

fn line(mut json: Vec<u8>) -> Bytes {
    json.push(b'\n');
    json.into()
}

/// The groups in the order of discovery: those of custom resources come last, by name.
fn ordered(registry: &Registry) -> Vec<(&str, &Group)> {
    let rank = |name: &str| GROUPS.iter().position(|known| known.name == name).unwrap_or(GROUPS.len());
    let mut groups: Vec<(&str, &Group)> = registry.groups().collect();
    groups.sort_by_cached_key(|(name, _)| rank(name));
    groups
}

/// The versions of a group, the preferred one first.
fn versions(group: &Group) -> Vec<(&str, &Resources)> {
    let mut versions: Vec<(&str, &Resources)> = group.versions().collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(version_rank(version)));
    versions
}

/// Kubernetes' order of versions: GA over beta over alpha, then the higher number; what is no such version comes last.
fn version_rank(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let Ok(major) = rest[..digits].parse::<u64>() else { return (0, 0, 0) };
    let minor = |text: &str| text.parse::<u64>().ok();
    match &rest[digits..] {
        "" => (3, major, 0),
        stage => match (stage.strip_prefix("beta").and_then(minor), stage.strip_prefix("alpha").and_then(minor)) {
            (Some(minor), _) => (2, major, minor),
            (_, Some(minor)) => (1, major, minor),
            _ => (0, 0, 0),
        },
    }
}

/// The members of a group, and the brace that closes it.
fn write_group(name: &str, group: &Group, out: &mut Vec<u8>) {
    let version = |(version, _): (&str, &Resources)| {
        format!("{{\"groupVersion\":\"{}\",\"version\":\"{version}\"}}", api_version(name, version))
    };
    let all: Vec<String> = versions(group).into_iter().map(version).collect();
    let preferred = all.first().cloned().unwrap_or_default();
    out.extend_from_slice(
        format!("\"name\":\"{name}\",\"versions\":[{}],\"preferredVersion\":{preferred}}}", all.join(",")).as_bytes(),
    );
}

fn write_strings(key: &str, values: impl Iterator<Item = impl AsRef<str>>, out: &mut Vec<u8>) {
    let mut first = true;
    for value in values {
        if std::mem::take(&mut first) {
            out.extend_from_slice(format!(",\"{key}\":[").as_bytes());
        } else {
            out.push(b',');
        }
        write_string(out, value.as_ref());
    }
    if !first {
        out.push(b']');
    }
}

fn write_listed(resource: &Resource, out: &mut Vec<u8>) {
    let (plural, singular, kind) = (&resource.plural, &resource.singular, &resource.kind);
    let namespaced = resource.namespaced;
    out.extend_from_slice(
        format!(
            "{{\"name\":\"{plural}\",\"singularName\":\"{singular}\",\"namespaced\":{namespaced},\"kind\":\"{kind}\""
        )
        .as_bytes(),
    );
    write_strings("verbs", resource.verbs.iter(), out);
    write_strings("shortNames", resource.short_names.iter(), out);
    write_strings("categories", resource.categories.iter(), out);
    if !resource.storage_version_hash.is_empty() {
        out.extend_from_slice(format!(",\"storageVersionHash\":\"{}\"", resource.storage_version_hash).as_bytes());
    }
    out.push(b'}');
    for row in sorted(resource) {
        let group_version = row.group_version.map_or(String::new(), |(group, version)| {
            let group = if group.is_empty() { String::new() } else { format!("\"group\":\"{group}\",") };
            format!("{group}\"version\":\"{version}\",")
        });
        out.extend_from_slice(
            format!(",{{\"name\":\"{plural}/{}\",\"singularName\":\"\",\"namespaced\":{namespaced},{group_version}\"kind\":\"{}\"", row.name, row.kind)
                .as_bytes(),
        );
        write_strings("verbs", row.verbs.iter(), out);
        out.push(b'}');
    }
}

/// Those of built-in resources by name; those of custom ones stand in an order of their own.
fn sorted(resource: &Resource) -> Vec<&Subresource> {
    let mut rows: Vec<&Subresource> = resource.subresources.iter().collect();
    if !resource.is_custom() {
        rows.sort_by_key(|row| row.name);
    }
    rows
}

fn write_aggregated_group(name: &str, group: &Group, out: &mut Vec<u8>) {
    let metadata = if name.is_empty() { "{}".to_owned() } else { format!("{{\"name\":\"{name}\"}}") };
    out.extend_from_slice(format!("{{\"metadata\":{metadata},\"versions\":").as_bytes());
    write_array(out, versions(group), |(version, resources), out| {
        out.extend_from_slice(format!("{{\"version\":\"{version}\",\"resources\":").as_bytes());
        write_array(out, resources.values(), |served, out| out.extend_from_slice(served.aggregated()));
        out.extend_from_slice(b",\"freshness\":\"Current\"}");
    });
    out.push(b'}');
}

fn write_aggregated(resource: &Resource, out: &mut Vec<u8>) {
    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
    // Custom resources name their group and version, built-in ones leave them to where they stand.
    let (group, version) = if resource.is_custom() { (&*resource.group, &*resource.version) } else { ("", "") };
    let kind = |group: &str, version: &str, kind: &str| {
        format!("{{\"group\":\"{group}\",\"version\":\"{version}\",\"kind\":\"{kind}\"}}")
    };
    out.extend_from_slice(
        format!(
            "{{\"resource\":\"{}\",\"responseKind\":{},\"scope\":\"{scope}\",\"singularResource\":\"{}\"",
            resource.plural,
            kind(group, version, &resource.kind),
            resource.singular
        )
        .as_bytes(),
    );
    write_strings("verbs", resource.verbs.iter(), out);
    write_strings("shortNames", resource.short_names.iter(), out);
    write_strings("categories", resource.categories.iter(), out);
    for (i, row) in sorted(resource).into_iter().enumerate() {
        out.extend_from_slice(if i == 0 { b",\"subresources\":[" } else { b"," });
        let (group, version) = row.group_version.unwrap_or((group, version));
        out.extend_from_slice(
            format!("{{\"subresource\":\"{}\",\"responseKind\":{}", row.name, kind(group, version, &row.kind))
                .as_bytes(),
        );
        write_strings("verbs", row.verbs.iter(), out);
        out.push(b'}');
    }
    if !resource.subresources.is_empty() {
        out.push(b']');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::version_rank;

    #[test]
    fn versions_are_ordered_as_kubernetes_does() {
        let mut versions = vec!["v1alpha1", "foo10", "v1", "v2beta1", "v10", "v2", "v1beta2"];
        versions.sort_by_key(|version| std::cmp::Reverse(version_rank(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo10"]);
    }
}
