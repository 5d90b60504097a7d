//! Discovery: which groups, versions and resources there are. The documents are made anew when what is served changes,
//! and sent with an ETag.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use corten_api::json::{write_array, write_string};
use corten_schema::GROUPS;
use ring::digest::{SHA512, digest};

use crate::resource::{Registry, Resource, Subresource, api_version};

#[derive(Default)]
pub struct Discovery(ArcSwap<Documents>);

#[derive(Default)]
pub struct Documents {
    /// `/apis`
    pub groups: Bytes,
    /// `/api` and `/apis`, aggregated.
    pub aggregated_core: Tagged,
    pub aggregated_groups: Tagged,
    /// `/apis/GROUP`
    pub group: HashMap<String, Bytes>,
    /// `/apis/GROUP/VERSION` and `/api/v1`, by group and version.
    pub version: HashMap<(String, String), Bytes>,
}

#[derive(Default, Clone)]
pub struct Tagged {
    pub body: Bytes,
    pub etag: String,
}

/// A group with its versions, the preferred one first.
struct Group<'r> {
    name: &'r str,
    versions: Vec<(&'r str, Vec<&'r Arc<Resource>>)>,
}

impl Discovery {
    pub fn load(&self) -> Arc<Documents> {
        self.0.load_full()
    }

    pub fn update(&self, registry: &Registry) {
        self.0.store(Arc::new(Documents::of(registry)));
    }
}

impl Documents {
    fn of(registry: &Registry) -> Documents {
        let groups = groups(registry);
        let mut documents = Documents::default();
        let (core, named): (Vec<&Group<'_>>, Vec<&Group<'_>>) = groups.iter().partition(|group| group.name.is_empty());
        documents.aggregated_core = aggregated(&core);
        documents.aggregated_groups = aggregated(&named);
        let mut list = b"{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[".to_vec();
        for (i, group) in named.iter().enumerate() {
            if i > 0 {
                list.push(b',');
            }
            list.push(b'{');
            write_group(group, &mut list);
            let mut alone = b"{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",".to_vec();
            write_group(group, &mut alone);
            documents.group.insert(group.name.to_owned(), line(alone));
        }
        list.extend_from_slice(b"]}");
        documents.groups = line(list);
        for group in &groups {
            for (version, resources) in &group.versions {
                let body = resource_list(group.name, version, resources);
                documents.version.insert((group.name.to_owned(), (*version).to_owned()), body);
            }
        }
        documents
    }
}

fn line(mut json: Vec<u8>) -> Bytes {
    json.push(b'\n');
    json.into()
}

fn groups(registry: &Registry) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for resource in registry.all() {
        let place = match groups.iter().position(|group| group.name == &*resource.group) {
            Some(place) => place,
            None => {
                groups.push(Group { name: &resource.group, versions: Vec::new() });
                groups.len() - 1
            }
        };
        let versions = &mut groups[place].versions;
        match versions.iter_mut().find(|(version, _)| *version == &*resource.version) {
            Some((_, resources)) => resources.push(resource),
            None => versions.push((&resource.version, vec![resource])),
        }
    }
    for group in &mut groups {
        group.versions.sort_by(|(a, _), (b, _)| version_rank(b).cmp(&version_rank(a)).then(a.cmp(b)));
        for (_, resources) in &mut group.versions {
            resources.sort_by(|a, b| a.plural.cmp(&b.plural));
        }
    }
    // Groups of custom resources come last, by name.
    let rank = |name: &str| GROUPS.iter().position(|known| known.name == name).unwrap_or(GROUPS.len());
    groups.sort_by(|a, b| rank(a.name).cmp(&rank(b.name)).then(a.name.cmp(b.name)));
    groups
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

fn write_group(group: &Group<'_>, out: &mut Vec<u8>) {
    let version = |version: &str| {
        format!("{{\"groupVersion\":\"{}\",\"version\":\"{version}\"}}", api_version(group.name, version))
    };
    let all: Vec<String> = group.versions.iter().map(|(name, _)| version(name)).collect();
    let preferred = all.first().cloned().unwrap_or_default();
    out.extend_from_slice(
        format!("\"name\":\"{}\",\"versions\":[{}],\"preferredVersion\":{preferred}}}", group.name, all.join(","))
            .as_bytes(),
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

fn resource_list(group: &str, version: &str, resources: &[&Arc<Resource>]) -> Bytes {
    let head = if resources.iter().any(|resource| resource.is_custom()) {
        "APIResourceList\",\"apiVersion\":\"v1"
    } else {
        "APIResourceList"
    };
    // The core group's list leaves its apiVersion out.
    let head = if group.is_empty() { head.to_owned() } else { "APIResourceList\",\"apiVersion\":\"v1".to_owned() };
    let mut out = format!("{{\"kind\":\"{head}\",\"groupVersion\":\"{}\",\"resources\":[", api_version(group, version))
        .into_bytes();
    let mut first = true;
    for resource in resources {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        let (plural, singular, kind) = (&resource.plural, &resource.singular, &resource.kind);
        let namespaced = resource.namespaced;
        out.extend_from_slice(
            format!("{{\"name\":\"{plural}\",\"singularName\":\"{singular}\",\"namespaced\":{namespaced},\"kind\":\"{kind}\"").as_bytes(),
        );
        write_strings("verbs", resource.verbs.iter(), &mut out);
        write_strings("shortNames", resource.short_names.iter(), &mut out);
        write_strings("categories", resource.categories.iter(), &mut out);
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
            write_strings("verbs", row.verbs.iter(), &mut out);
            out.push(b'}');
        }
    }
    out.extend_from_slice(b"]}");
    line(out)
}

/// Those of built-in resources by name; those of custom ones stand in an order of their own.
fn sorted(resource: &Resource) -> Vec<&Subresource> {
    let mut rows: Vec<&Subresource> = resource.subresources.iter().collect();
    if !resource.is_custom() {
        rows.sort_by_key(|row| row.name);
    }
    rows
}

fn aggregated(groups: &[&Group<'_>]) -> Tagged {
    let mut out =
        b"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"metadata\":{},\"items\":"
            .to_vec();
    write_array(&mut out, groups, |group, out| {
        let metadata = if group.name.is_empty() { "{}".to_owned() } else { format!("{{\"name\":\"{}\"}}", group.name) };
        out.extend_from_slice(format!("{{\"metadata\":{metadata},\"versions\":").as_bytes());
        write_array(out, &group.versions, |(version, resources), out| {
            out.extend_from_slice(format!("{{\"version\":\"{version}\",\"resources\":").as_bytes());
            write_array(out, resources, |resource, out| write_aggregated(resource, out));
            out.extend_from_slice(b",\"freshness\":\"Current\"}");
        });
        out.push(b'}');
    });
    out.push(b'}');
    let body = line(out);
    let etag = digest(&SHA512, &body).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    Tagged { body, etag }
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
