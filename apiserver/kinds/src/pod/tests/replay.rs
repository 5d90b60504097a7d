//! What kube-apiserver answered to creates of pods and what makes them. A line of `rules.tsv` is `pod` or `deployment`
//! and a spec, or `pod=` or another kind and a whole object, where `{@` begins the usual container; then, sorted, the causes
//! of the answer without their examples and regular expressions, none where the object was made.

use corten_object::json::{Form, parse};
use corten_object::tree::Tree;

use crate::rows::workloads::ROWS;
use crate::strategy::Strategy;
use crate::tests::{context, create};

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

/// Without ` (e.g. 'x', regex used for validation is 'y')`.
fn without_examples(mut message: String) -> String {
    while let Some(start) = message.find(" (e.g. '") {
        let Some(regex) = message[start..].find("regex used for validation is '") else { break };
        let Some(end) = message[start + regex..].find("')") else { break };
        message.replace_range(start..start + regex + end + 2, "");
    }
    message
}

fn causes(group: &str, version: &str, kind: &str, body: &str) -> String {
    let mut tree = object(group, version, kind, body);
    let errors = create(strategy(group, kind), &mut tree, &context(group, version), true);
    let mut found: Vec<String> = errors.iter().map(|error| without_examples(error.to_string())).collect();
    found.sort();
    found.join(" | ")
}

#[test]
fn recorded_creates() {
    let mut wrong = Vec::new();
    for line in include_str!("rules.tsv").lines() {
        let (case, expected) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
        let (form, body) = case.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        let body = body.replace("{@", r#"{"name":"c","image":"i:1""#);
        let found = match form {
            "pod" => causes(
                "",
                "v1",
                "Pod",
                &format!(r#"{{"metadata":{{"name":"p","namespace":"default"}},"spec":{body}}}"#),
            ),
            "deployment" => {
                let body = format!(r#"{{"metadata":{{"name":"d","namespace":"default"}},"spec":{body}}}"#);
                causes("apps", "v1", "Deployment", &body)
            }
            "pod=" => causes("", "v1", "Pod", &body),
            "deployment=" => causes("apps", "v1", "Deployment", &body),
            "PodTemplate=" | "ReplicationController=" => causes("", "v1", form.trim_end_matches('='), &body),
            "Job=" | "CronJob=" => causes("batch", "v1", form.trim_end_matches('='), &body),
            _ => causes("apps", "v1", form.trim_end_matches('='), &body),
        };
        if found != expected {
            wrong.push(format!("{case}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
