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
