//! Definitions come, change and go: what that makes of the documents, and what it costs.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::synthetic::{Definition, definition, definitions};
use super::{field, fields, members, served, widget};
use crate::json::WRITTEN;
use crate::{CustomKind, Documents, Form};

fn publish(documents: Documents, definition: Definition) -> Documents {
    documents.with(&definition.name, definition.kinds)
}

/// The documents by their paths.
fn all(documents: &Documents) -> BTreeMap<String, Bytes> {
    let index: Value = serde_json::from_slice(&documents.index().json).unwrap();
    let paths = members(&index, "/paths").map(|(path, _)| path.clone());
    let mut found: BTreeMap<String, Bytes> =
        paths.map(|path| (path.clone(), documents.document(&path).expect("an indexed document").plain())).collect();
    found.insert("index".into(), documents.index().json);
    found.insert("version 2".into(), documents.v2(Form::Json).plain());
    found.insert("version 2 in protobuf".into(), documents.v2(Form::Protobuf).plain());
    found
}

#[test]
fn changes_in_any_order_give_the_documents_of_the_last_state() {
    // The same definition stands more than once, each time as another change leaves it; None is its end.
    let steps = [
        (0, Some(0)),
        (1, Some(0)),
        (2, Some(0)),
        (3, Some(0)),
        (2, Some(1)),
        (17, Some(0)),
        (0, None),
        (1, Some(1)),
        (5, None),
        (18, Some(0)),
        (3, None),
        (0, Some(2)),
        (2, None),
        (2, Some(0)),
        (33, Some(0)),
        (1, None),
    ];
    let (mut documents, mut present) = (Documents::new(&[]), BTreeMap::new());
    for (step, (number, edition)) in steps.into_iter().enumerate() {
        documents = match edition {
            Some(edition) => publish(documents, definition(number, edition)),
            None => documents.without(&definition(number, 0).name),
        };
        match edition {
            Some(edition) => _ = present.insert(number, edition),
            None => _ = present.remove(&number),
        }
        // Sometimes nobody asks between two changes.
        if step.is_multiple_of(3) {
            let anew = present.iter().fold(Documents::new(&[]), |documents, (number, edition)| {
                publish(documents, definition(*number, *edition))
            });
            let (documents, anew) = (all(&documents), all(&anew));
            assert!(documents.keys().eq(anew.keys()), "step {step}");
            let differs = documents.iter().find(|(path, document)| anew.get(*path) != Some(document));
            assert_eq!(differs.map(|(path, _)| path), None, "step {step}");
        }
    }
}

#[test]
fn the_etag_of_version_2_follows_its_text() {
    let base = Documents::new(&[]);
    let one = publish(base.clone(), definition(1, 0));
    let other = publish(one.clone(), definition(1, 1));
    let again = publish(other.clone(), definition(1, 0));
    let etag = |documents: &Documents| documents.v2(Form::Json).etag;
    assert_eq!(etag(&one), etag(&again));
    assert_eq!(etag(&one), one.v2(Form::Protobuf).etag);
    assert_ne!(etag(&one), etag(&other));
    assert_ne!(etag(&one), etag(&base));
    assert_eq!(etag(&base), etag(&one.without(&definition(1, 0).name)));
}

/// Names of definitions of version 2, in both forms.
fn names(documents: &Documents) -> Vec<String> {
    let json: Value = serde_json::from_slice(&documents.v2(Form::Json).plain()).unwrap();
    let protobuf = documents.v2(Form::Protobuf).plain();
    let of_protobuf = fields(field(&protobuf, 9)).into_iter().map(|(_, entry)| field(entry, 1).to_vec());
    let of_protobuf: Vec<String> = of_protobuf.map(|name| String::from_utf8(name).unwrap()).collect();
    assert!(of_protobuf.iter().eq(members(&json, "/definitions").map(|(name, _)| name)));
    of_protobuf
}

#[test]
fn kinds_may_stand_between_the_definitions_of_a_built_in_package() {
    let before = Documents::new(&served());
    let kind = |name: &str| CustomKind {
        group: "apps.api.k8s.io".into(),
        kind: name.into(),
        list_kind: format!("{name}List").into(),
        schema: r#"{"type":"object","description":"ours"}"#.into(),
        ..widget()
    };
    let documents = before.with("between", vec![kind("Between")]).with("instead", vec![kind("Deployment")]);
    let mut expected = names(&before);
    let more = ["Between", "BetweenList"].map(|name| format!("io.k8s.api.apps.v1.{name}"));
    expected.extend(more);
    expected.sort_unstable();
    assert_eq!(names(&documents), expected);
    let json: Value = serde_json::from_slice(&documents.v2(Form::Json).plain()).unwrap();
    assert_eq!(json["definitions"]["io.k8s.api.apps.v1.Deployment"]["description"], "ours");
    let without = documents.without("between").without("instead");
    assert!(without.v2(Form::Json).plain() == before.v2(Form::Json).plain());
}

/// How many bytes of JSON it takes.
fn written(work: impl FnOnce()) -> usize {
    let before = WRITTEN.get();
    work();
    WRITTEN.get() - before
}

/// A client asks for everything after each change. The index names every document, and so is as long as they are many;
/// whatever else is written is the changed definition's own.
#[test]
fn a_change_costs_what_the_definition_costs() {
    let cost = |others: usize| {
        let documents = definitions(others).into_iter().fold(Documents::new(&served()), publish);
        let ask = |documents: &Documents| {
            let index = documents.index();
            _ = documents.document("apis/tried.example.com/v1");
            _ = (documents.v2(Form::Json), documents.v2(Form::Protobuf));
            index.json.len()
        };
        ask(&documents);
        let tried = |edition| {
            let kinds = definition(1, edition).kinds.into_iter();
            kinds.map(|kind| CustomKind { group: "tried.example.com".into(), ..kind }).collect::<Vec<_>>()
        };
        let mut index = 0;
        let mut costs = Vec::new();
        let mut changed = documents;
        for kinds in [tried(0), tried(1), Vec::new()] {
            changed = changed.with("tried", kinds);
            costs.push(written(|| index = ask(&changed)) - index);
        }
        assert_eq!(written(|| _ = ask(&changed)), 0, "what is made stays made");
        costs
    };
    let (few, many) = (cost(6), cost(40));
    assert_eq!(few, many);
    assert_eq!(many.last(), Some(&0), "nothing is left to be made when a definition goes");
}
