//! Recorded creates of pods and deployments: a line of `creates.tsv` is apiVersion, kind, body, and the causes of the
//! answer, none where the object was made.

use corten_object::json::{Form, parse};
use corten_object::tree::Tree;

use crate::rows::workloads::ROWS;
use crate::strategy::Strategy;
use crate::tests::{context, create, lines};

/// Without the tables' plain defaults: a pod's spec is defaulted by its strategy alone.
pub fn object(group: &str, version: &str, kind: &str, json: &str) -> Tree {
    let row = corten_schema::kind(group, version, kind).unwrap_or_else(|| panic!("no kind {group}/{version} {kind}"));
    parse(json.as_bytes().to_vec(), Form::Typed(row.ty)).unwrap_or_else(|e| panic!("{json}: {e}")).tree
}

pub fn strategy(group: &str, kind: &str) -> &'static dyn Strategy {
    let resource = corten_schema::RESOURCES.iter().find(|row| (row.group, row.kind) == (group, kind));
    let resource = resource.unwrap_or_else(|| panic!("no resource of {kind}")).plural;
    let row = ROWS.iter().find(|row| (row.group, row.resource) == (group, resource));
    row.unwrap_or_else(|| panic!("no row of {kind}")).strategy
}

/// Sorted, as the record has them.
fn causes(api_version: &str, kind: &str, body: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut tree = object(group, version, kind, body);
    let errors = create(strategy(group, kind), &mut tree, &context(group, version), true);
    let lines = lines(&errors);
    let mut found: Vec<&str> = lines.lines().collect();
    found.sort_by(|a, b| a.split(": ").cmp(b.split(": ")));
    found.join(" | ")
}

#[test]
fn recorded_creates() {
    let mut wrong = Vec::new();
    for line in include_str!("creates.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [api_version, kind, body, expected] = columns[..] else { panic!("{line}") };
        let found = causes(api_version, kind, body);
        if found != expected {
            wrong.push(format!("{body}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
