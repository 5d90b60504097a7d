use std::sync::Arc;

use corten_kinds::strategy::Strategy;

use crate::testing::{causes, context, plain, text, widget, widgets};
use crate::{CustomStrategy, Definition};

/// What kube-apiserver makes of values of `spec`: its schema, the value, what strict decoding says, and what is made.
const RECORDED: &str = include_str!("recorded.jsonl");

#[test]
fn deep_nesting_is_walked() {
    let crd = widgets(
        r#""schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"array","items":{"type":"string"}}}}}"#,
    );
    let definition = Arc::new(Definition::compile(crd.root()).unwrap());
    let mut object = widget(&format!(",\"spec\":{}{}", "[".repeat(900), "]".repeat(900)));
    let version = Arc::clone(&definition.versions()[0]);
    version.decode(&mut object).unwrap();
    version.default(&mut object);
    let errors = CustomStrategy::new(definition).validate(object.root(), &context("v1", ""));
    assert_eq!(errors.len(), 1);
}

#[test]
fn makes_what_upstream_makes() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case = plain(line);
        let case = case.root().as_list();
        let part = |index: usize| text(case.get(index).unwrap());
        let (schema, value) = (part(0), part(1));
        let crd =
            widgets(&format!(r#""schema":{{"openAPIV3Schema":{{"type":"object","properties":{{"spec":{schema}}}}}}}"#));
        let definition = Arc::new(Definition::compile(crd.root()).unwrap());
        let version = Arc::clone(&definition.versions()[0]);
        let mut object = widget(&format!(r#","spec":{value}"#));
        let (notes, made) = match version.decode(&mut object) {
            Err(error) => (error.clone(), format!("\"ERROR {error}\"")),
            Ok(notes) => {
                version.default(&mut object);
                let errors = CustomStrategy::new(definition).validate(object.root(), &context("v1", ""));
                let made = text(object.root().get("spec").unwrap());
                (notes.join(", "), causes(&errors).first().cloned().unwrap_or(made))
            }
        };
        let strict = case.get(2).unwrap().as_str();
        let expected_notes = strict.split_once("strict decoding error: ").map_or("", |(_, notes)| notes);
        let refused = part(3).starts_with("\"ERROR");
        let same = if refused {
            strict.contains(&made.trim_matches('"').replace("ERROR ", "").replace("\\\"", "\""))
        } else {
            made == part(3) && notes == expected_notes
        };
        if !same {
            wrong.push(format!("{line}\n   notes {notes}\n   made {made}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
