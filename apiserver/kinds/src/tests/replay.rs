//! Recorded creates of kube-apiserver: a line of `creates.tsv` is apiVersion, kind, body, and the causes of the answer,
//! none where the object was made.

use super::{context, create, lines, object};
use crate::rows::objects::ROWS;

const CLUSTER_SCOPED: &[&str] = &[
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "DeviceClass",
    "Namespace",
    "PersistentVolume",
    "ResourceSlice",
];

#[test]
fn recorded_creates() {
    let mut wrong = Vec::new();
    for line in include_str!("creates.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [api_version, kind, body, expected] = columns[..] else { panic!("{line}") };
        // The record has the causes sorted.
        let mut found: Vec<String> = answer(api_version, kind, body).lines().map(str::to_owned).collect();
        found.sort_by(|a, b| a.split(": ").cmp(b.split(": ")));
        let found = found.join(" | ");
        if found != expected {
            wrong.push(format!("{body}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

fn answer(api_version: &str, kind: &str, body: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = corten_schema::RESOURCES
        .iter()
        .find(|row| (row.group, row.version, row.kind) == (group, version, kind))
        .unwrap_or_else(|| panic!("no resource of {kind}"));
    let row = ROWS
        .iter()
        .find(|row| (row.group, row.resource) == (group, resource.plural))
        .unwrap_or_else(|| panic!("no row of {kind}"));
    let mut tree = object(group, version, kind, body);
    if kind == "Service" {
        return lines(&crate::service::tests::create_errors(&mut tree));
    }
    lines(&create(row.strategy, &mut tree, &context(group, version), !CLUSTER_SCOPED.contains(&kind)))
}
