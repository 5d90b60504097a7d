//! Kinds, resources and defaults.

use anyhow::{Context, Result, ensure};

use crate::facts::Table;
use crate::types::Types;

pub struct Kind {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub ty: String,
}

pub struct Resource {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub short_names: Vec<String>,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    pub subresources: Vec<Subresource>,
    pub categories: Vec<String>,
    pub served_by_default: bool,
    pub persisted: bool,
    pub storage_group: String,
    pub storage_version: String,
    pub storage_prefix: String,
    pub storage_version_hash: String,
}

pub struct Subresource {
    pub name: String,
    pub kind: String,
    pub group: String,
    pub version: String,
    pub verbs: Vec<String>,
}

pub struct Default {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub path: String,
    pub value: String,
}

/// Sorted by group, version and kind.
pub fn kinds(table: &Table, types: &Types) -> Result<Vec<Kind>> {
    let mut kinds = Vec::new();
    for row in table.rows() {
        let (group, version) = group_version(row.cell("group_version")?);
        let ty = row.cell("type")?.to_owned();
        ensure!(types.contains_key(&ty), "kinds.tsv: there is no type {ty}");
        kinds.push(Kind { group, version, kind: row.cell("kind")?.to_owned(), ty });
    }
    kinds.sort_by(|a, b| a.key().cmp(&b.key()));
    let twice = kinds.windows(2).find(|pair| pair[0].key() == pair[1].key());
    ensure!(twice.is_none(), "kinds.tsv: {:?} stands twice", twice.map(|pair| pair[0].key()));
    Ok(kinds)
}

impl Kind {
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.group, &self.version, &self.kind)
    }
}

/// In discovery's order, which is the file's.
pub fn resources(table: &Table) -> Result<Vec<Resource>> {
    let mut resources = Vec::new();
    for row in table.rows() {
        let owned = |column| row.list(column).map(|parts| parts.into_iter().map(str::to_owned).collect::<Vec<_>>());
        let group = row.cell("group")?;
        let plural = row.cell("plural")?.to_owned();
        let (storage_group, storage_version) = group_version(row.cell("storage_version")?);
        let key = row.cell("etcd_key_template")?;
        resources.push(Resource {
            group: if group == "core" { String::new() } else { group.to_owned() },
            version: row.cell("version")?.to_owned(),
            singular: row.cell("singular")?.to_owned(),
            kind: row.cell("kind")?.to_owned(),
            short_names: owned("shortNames")?,
            namespaced: row.yes("namespaced")?,
            verbs: owned("verbs")?,
            subresources: subresources(row.cell("subresources")?).with_context(|| plural.clone())?,
            categories: owned("categories")?,
            served_by_default: row.yes("served_by_default")?,
            persisted: row.yes("persisted")?,
            storage_group,
            storage_version,
            storage_prefix: storage_prefix(key, row.yes("namespaced")?).with_context(|| plural.clone())?,
            storage_version_hash: row.cell("storageVersionHash")?.to_owned(),
            plural,
        });
    }
    Ok(resources)
}

fn storage_prefix(template: &str, namespaced: bool) -> Result<String> {
    if template.is_empty() {
        return Ok(String::new());
    }
    let tail = if namespaced { "{ns}/{name}" } else { "{name}" };
    Ok(template.strip_suffix(tail).with_context(|| format!("{template} does not end in {tail}"))?.to_owned())
}

/// `eviction=policy/v1.Eviction[create]; log=Pod[get]`
fn subresources(text: &str) -> Result<Vec<Subresource>> {
    let mut found = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, rest) = part.split_once('=').with_context(|| format!("no = in {part}"))?;
        let (kind, verbs) = rest.split_once('[').with_context(|| format!("no [ in {part}"))?;
        let verbs = verbs.strip_suffix(']').with_context(|| format!("no ] in {part}"))?;
        let (gv, kind) = kind.rsplit_once('.').unwrap_or(("", kind));
        let (group, version) = group_version(gv);
        let verbs = verbs.split(',').map(str::to_owned).collect();
        found.push(Subresource { name: name.to_owned(), kind: kind.to_owned(), group, version, verbs });
    }
    Ok(found)
}

/// Those whose value is plain. `(now)` is left to code.
pub fn defaults(table: &Table) -> Result<Vec<Default>> {
    let mut defaults = Vec::new();
    for row in table.rows() {
        let value = row.cell("value")?.to_owned();
        if value == "(now)" {
            continue;
        }
        let (group, version) = group_version(row.cell("group_version")?);
        let (kind, path) = (row.cell("kind")?.to_owned(), row.cell("path")?.to_owned());
        serde_json::from_str::<serde_json::Value>(&value).with_context(|| format!("{kind} {path}: not JSON"))?;
        defaults.push(Default { group, version, kind, path, value });
    }
    Ok(defaults)
}

/// `apps/v1`; the core group's is `v1`.
fn group_version(text: &str) -> (String, String) {
    let (group, version) = text.split_once('/').unwrap_or(("", text));
    (group.to_owned(), version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subresources_of_other_groups() {
        let found = subresources("eviction=policy/v1.Eviction[create]; log=Pod[get,patch]").unwrap();
        assert_eq!(
            (found[0].group.as_str(), found[0].version.as_str(), found[0].kind.as_str()),
            ("policy", "v1", "Eviction")
        );
        assert_eq!((found[1].group.as_str(), found[1].kind.as_str(), found[1].verbs.len()), ("", "Pod", 2));
        assert!(subresources("log").is_err());
    }

    #[test]
    fn prefixes() {
        assert_eq!(storage_prefix("/registry/pods/{ns}/{name}", true).unwrap(), "/registry/pods/");
        assert_eq!(storage_prefix("/registry/minions/{name}", false).unwrap(), "/registry/minions/");
        assert!(storage_prefix("/registry/minions/{name}", true).is_err());
    }
}
