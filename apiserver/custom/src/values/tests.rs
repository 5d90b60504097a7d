use std::sync::Arc;

use corten_kinds::strategy::Strategy;

use crate::testing::{causes, context, plain, strings, text, widget, widgets};
use crate::{CustomStrategy, Definition};

/// What kube-apiserver says of values of `spec`: its schema, the value, and the causes.
const RECORDED: &str = include_str!("recorded.jsonl");

#[test]
fn says_what_upstream_says() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case = plain(line);
        let case = case.root().as_list();
        let (schema, value) = (text(case.get(0).unwrap()), text(case.get(1).unwrap()));
        let expected = strings(case.get(2).unwrap());
        let crd = widgets(&format!(r#""schema":{{"openAPIV3Schema":{{"type":"object","properties":{{"spec":{schema}}}}}}}"#));
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
