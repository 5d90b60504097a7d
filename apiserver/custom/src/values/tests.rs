use std::sync::Arc;

use corten_kinds::strategy::Strategy;

use crate::testing::{causes, context, parts, plain, strings, text, widget, widgets};
use crate::{CustomStrategy, Definition};

/// What kube-apiserver says of values of `spec`: its schema, the value, and the causes.
const RECORDED: &str = include_str!("recorded.jsonl");

#[test]
fn says_what_upstream_says() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case = parts(line);
        let (schema, value) = (case[0], case[1]);
        let expected = strings(plain(case[2]).root());
        let crd =
            widgets(&format!(r#""schema":{{"openAPIV3Schema":{{"type":"object","properties":{{"spec":{schema}}}}}}}"#));
        let definition = Arc::new(Definition::compile(crd.root()).unwrap());
        let mut object = widget(&format!(r#","spec":{value}"#));
        let version = Arc::clone(&definition.versions()[0]);
        let got = match version.decode(&mut object) {
            Ok(_) => {
                version.default(&mut object);
                causes(&CustomStrategy::new(definition).validate(object.root(), &context("v1", "")))
            }
            Err(error) => vec![error],
        };
        if got != expected {
            wrong.push(format!("{line}\n   got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Updates of objects that were made when less was asked: the schema of `spec` now, the old value, the new one, causes.
const UPDATES: &str = include_str!("recorded_updates.jsonl");

#[test]
fn lets_be_what_upstream_lets_be() {
    let mut wrong = Vec::new();
    for line in UPDATES.lines() {
        let case = plain(line);
        let case = case.root().as_list();
        let part = |index: usize| text(case.get(index).unwrap());
        let schema = part(0);
        let crd =
            widgets(&format!(r#""schema":{{"openAPIV3Schema":{{"type":"object","properties":{{"spec":{schema}}}}}}}"#));
        let strategy = CustomStrategy::new(Arc::new(Definition::compile(crd.root()).unwrap()));
        let old = widget(&format!(r#","spec":{}"#, part(1)));
        let new = widget(&format!(r#","spec":{}"#, part(2)));
        let got = causes(&strategy.validate_update(new.root(), old.root(), &context("v1", "")));
        if got != strings(case.get(3).unwrap()) {
            wrong.push(format!("{line}\n   got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Errors that each show a whole enumeration end at some megabytes; those of an ordinary object are all there.
#[test]
fn long_messages_are_not_listed_without_end() {
    let errors = |values: usize, items: usize| {
        let allowed: Vec<String> =
            (0..values).map(|value| format!("{value:?}", value = format!("value{value}"))).collect();
        let schema = format!(r#"{{"type":"array","items":{{"type":"string","enum":[{}]}}}}"#, allowed.join(","));
        let crd =
            widgets(&format!(r#""schema":{{"openAPIV3Schema":{{"type":"object","properties":{{"spec":{schema}}}}}}}"#));
        let wrong: Vec<String> = (0..items).map(|item| format!("\"w{item}\"")).collect();
        let object = widget(&format!(r#","spec":[{},"value1"]"#, wrong.join(",")));
        let definition = Arc::new(Definition::compile(crd.root()).unwrap());
        CustomStrategy::new(definition).validate(object.root(), &context("v1", "")).len()
    };
    assert_eq!(errors(10, 2000), 2000);
    assert!((10..200).contains(&errors(10_000, 2000)));
}
