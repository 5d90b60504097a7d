use corten_api::names;
use corten_kinds::object_meta;
use corten_kinds::strategy::Strategy;
use corten_object::tree::Tree;
use corten_views::apiextensions_v1::CustomResourceDefinition;

use super::*;
use crate::testing::{causes, context, definition, plain, strings, text};

/// What kube-apiserver says of new definitions: the definition, and the causes.
const RECORDED: &str = include_str!("recorded.jsonl");

fn created(body: &str) -> Tree {
    let mut tree = definition(body);
    DefinitionStrategy.default("v1", &mut tree.edit());
    DefinitionStrategy.prepare_create(&mut tree.edit(), &context("v1", ""));
    tree
}

fn errors_of(tree: &Tree) -> Errors {
    let meta = tree.view::<CustomResourceDefinition>().metadata();
    let mut errors = Errors::default();
    let path = corten_api::field::Path::new("metadata");
    object_meta::validate(meta, false, &names::name_is_dns_subdomain, &path, &mut errors);
    errors.append(DefinitionStrategy.validate(tree.root(), &context("v1", "")));
    errors
}

#[test]
fn says_what_upstream_says() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case = plain(line);
        let case = case.root().as_list();
        let tree = created(&text(case.get(0).unwrap()));
        let expected = strings(case.get(1).unwrap());
        let got = causes(&errors_of(&tree));
        if got != expected {
            let missing: Vec<_> = expected.iter().filter(|cause| !got.contains(cause)).collect();
            let more: Vec<_> = got.iter().filter(|cause| !expected.contains(cause)).collect();
            wrong.push(format!("{line}\n   missing {missing:?}\n   more {more:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

const SMALL: &str = r#"{"metadata":{"name":"as.g.io"},"spec":{"group":"g.io","scope":"Cluster","names":{"plural":"as","kind":"A"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]},"status":{"storedVersions":["v0"],"conditions":[{"type":"Established","status":"True"}]}}"#;

#[test]
fn a_new_definition_is_completed() {
    let tree = created(SMALL);
    assert_eq!(
        text(tree.root().at(&["spec", "names"]).unwrap()),
        r#"{"plural":"as","singular":"a","kind":"A","listKind":"AList"}"#
    );
    assert_eq!(text(tree.root().at(&["spec", "conversion"]).unwrap()), r#"{"strategy":"None"}"#);
    assert_eq!(
        text(tree.root().get("status").unwrap()),
        r#"{"conditions":null,"acceptedNames":{"plural":"","kind":""},"storedVersions":["v1"]}"#
    );
    assert_eq!(errors_of(&tree).len(), 0);
}

#[track_caller]
fn update(old: &str, new: &str, expected: &[&str]) {
    let (old, mut new) = (definition(old), definition(new));
    let context = context("v1", "");
    DefinitionStrategy.default("v1", &mut new.edit());
    DefinitionStrategy.prepare_update(&mut new.edit(), old.root(), &context);
    assert_eq!(causes(&DefinitionStrategy.validate_update(new.root(), old.root(), &context)), expected);
}

#[test]
fn what_objects_are_stored_by_does_not_change() {
    let old = SMALL.replace("v0", "v1");
    update(&old, &old, &[]);
    update(
        &old,
        &old.replace("Cluster", "Namespaced"),
        &["spec.scope: Invalid value: \"Namespaced\": field is immutable"],
    );
    update(
        &old,
        &old.replace("\"kind\":\"A\"", "\"kind\":\"B\""),
        &["spec.names.kind: Invalid value: \"B\": field is immutable"],
    );
    update(
        &old,
        &old.replace("\"plural\":\"as\"", "\"plural\":\"bs\""),
        &["spec.names.plural: Invalid value: \"bs\": field is immutable"],
    );
    // Before it is established, only what its name is made of is fixed.
    let fresh = old.replace("Established", "Other");
    update(&fresh, &fresh.replace("Cluster", "Namespaced"), &[]);
    update(
        &fresh,
        &fresh.replace("\"g.io\"", "\"h.io\""),
        &["spec.group: Invalid value: \"h.io\": field is immutable"],
    );
    update(
        &old,
        &old.replace("\"name\":\"v1\"", "\"name\":\"v2\""),
        &[
            "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions",
        ],
    );
}

#[test]
fn what_was_accepted_once_is_accepted_again() {
    let schema = |schema: &str| SMALL.replace("v0", "v1").replace(r#"{"type":"object"}"#, schema);
    let loose = schema(
        r#"{"type":"object","properties":{"a":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"object"}}}}"#,
    );
    update(&loose, &loose, &[]);
    update(
        &schema(r#"{"type":"object"}"#),
        &loose,
        &[
            "spec.validation.openAPIV3Schema.properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
        ],
    );
    let rules = schema(r#"{"type":"object","x-kubernetes-validations":[{"rule":"true"}]}"#);
    update(&rules, &rules, &[]);
    update(
        &schema(r#"{"type":"object"}"#),
        &rules,
        &[
            "spec.validation.openAPIV3Schema.x-kubernetes-validations: Forbidden: validation rules (CEL) are not supported by this server yet",
        ],
    );
}

#[test]
fn what_is_not_built_yet_is_refused() {
    let body = SMALL.replace("\"scope\"", r#""conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"https://a.b"}}},"scope""#);
    assert_eq!(
        causes(&errors_of(&created(&body))),
        ["spec.conversion.strategy: Forbidden: conversion webhooks are not supported by this server yet"]
    );
    let deep = format!("{}{}", r#"{"type":"object","properties":{"a":"#.repeat(400), r#"{"type":"object"}"#)
        + &"}}".repeat(400);
    let body = SMALL.replace(r#"{"type":"object"}"#, &deep);
    assert_eq!(
        causes(&errors_of(&created(&body))),
        ["spec.validation.openAPIV3Schema: Invalid value: \"\": the schema is nested too deeply"]
    );
}

#[test]
fn the_first_delete_marks() {
    let mut tree = definition(SMALL);
    assert_eq!(DefinitionStrategy.deletion(tree.root(), None), Deletion::Finalize);
    DefinitionStrategy.mark_deleting(&mut tree.edit(), &context("v1", ""));
    assert!(lifecycle::is_terminating(view(tree.root())));
    assert_eq!(text(tree.root().at(&["metadata", "finalizers"]).unwrap()), format!("[{CLEANUP_FINALIZER:?}]"));
    DefinitionStrategy.mark_deleting(&mut tree.edit(), &context("v1", ""));
    assert_eq!(view(tree.root()).metadata().finalizers().len(), 1);
}

#[test]
fn formats_that_mean_nothing_are_warned_of() {
    let with = |format: &str| {
        definition(&SMALL.replace(
            r#"{"type":"object"}"#,
            &format!(r#"{{"type":"object","properties":{{"a":{{"type":"string","format":"{format}"}}}}}}"#),
        ))
    };
    let warned = |format: &str| DefinitionStrategy.warn_create(with(format).root(), &context("v1", ""));
    assert_eq!(warned("foo"), ["unrecognized format \"foo\""]);
    assert!(warned("date-time").is_empty());
    assert!(DefinitionStrategy.warn_update(with("foo").root(), with("foo").root(), &context("v1", "")).is_empty());
}

#[test]
fn values_in_schemas_are_written_as_upstream_writes_them() {
    let body = SMALL.replace(
        r#"{"type":"object"}"#,
        r#"{"type":"object","properties":{"a":{"type":"object","default":{"b":1.0,"a":[2, 3]},"example":null,"enum":[2.50,null]}}}"#,
    );
    let tree = created(&body);
    let path = ["spec", "versions"];
    let version = tree.root().at(&path).unwrap().as_list().get(0).unwrap();
    assert_eq!(
        text(version.at(&["schema", "openAPIV3Schema", "properties", "a"]).unwrap()),
        r#"{"type":"object","default":{"a":[2,3],"b":1},"enum":[2.5,null]}"#
    );
}

/// An error that shows a whole list comes until the texts of all are long, not for each of its items.
#[test]
fn whole_lists_are_shown_some_times() {
    let names = |count: usize| (0..count).map(|name| format!("\"k{name}\"")).collect::<Vec<_>>().join(",");
    let with = |keys: usize| {
        created(&SMALL.replace(
            r#"{"type":"object"}"#,
            &format!(
                r#"{{"type":"object","properties":{{"a":{{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":[{}],"items":{{"type":"object"}}}}}}}}"#,
                names(keys)
            ),
        ))
    };
    let shown = |keys: usize| {
        errors_of(&with(keys))
            .iter()
            .filter(|error| error.body().contains("must all be names of item properties"))
            .count()
    };
    assert_eq!(shown(5), 5);
    let (some, many) = (shown(5000), shown(10_000));
    assert!(0 < many && many < some && some < 50, "{some}, {many}");
}
