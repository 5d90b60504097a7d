//! Properties that hold for every kind and every field: nothing is lost on any way between the forms of an object.
//!
//! Objects are made from the schema tables by a seeded generator: each kind once with every field set, then with fields
//! left out at random. A failure names its kind and seed.

#[path = "properties/generate.rs"]
mod generate;

use corten_object::json::{self, Form};
use corten_object::tree::{Node, Tree, Value};
use corten_object::{patch, protobuf, yaml};
use corten_schema::{KINDS, Kind};
use generate::{Fill, generate};

/// How many objects of each kind have fields left out.
const SPARSE: u64 = 8;

fn typed(text: &[u8], kind: &Kind) -> Tree {
    let parsed = json::parse(text.to_vec(), Form::Typed(kind.ty)).expect("an object");
    assert_eq!(parsed.strict, Vec::<String>::new(), "every field is known, and there once");
    parsed.tree
}

fn text(tree: &Tree) -> String {
    json::to_string(tree.root())
}

/// Runs a check on objects of every kind.
fn for_every_kind(check: impl Fn(&Kind, &[u8])) {
    for kind in KINDS {
        let fills = std::iter::once((0, Fill::Everything)).chain((1..=SPARSE).map(|seed| (seed, Fill::Sparse)));
        for (seed, fill) in fills {
            let object = generate(kind, seed, fill);
            let name = format!("{}/{} {} with seed {seed}", kind.group, kind.version, kind.kind);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(kind, &object)));
            assert!(result.is_ok(), "{name}:\n{}", String::from_utf8_lossy(&object));
        }
    }
}

/// Everything that stands in `part` stands in `whole`, which may hold zeros beside it.
fn is_within(part: Node<'_>, whole: Node<'_>) -> bool {
    match (part.value(), whole.value()) {
        (Value::Map(part), Value::Map(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|other| is_within(value, other)))
        }
        (Value::List(part), Value::List(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole.iter()).all(|(a, b)| is_within(a, b))
        }
        _ => part.equals(whole),
    }
}

fn plain(text: &[u8]) -> Tree {
    json::parse(text.to_vec(), Form::Plain).expect("JSON").tree
}

#[test]
fn what_is_parsed_is_written() {
    for_every_kind(|kind, object| {
        let written = text(&typed(object, kind));
        assert!(is_within(plain(object).root(), plain(written.as_bytes()).root()), "{written}");
    });
}

#[test]
fn what_is_written_is_parsed() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind);
        let again = typed(text(&tree).as_bytes(), kind);
        assert!(again.root().equals(tree.root()));
        assert_eq!(text(&again), text(&tree));
    });
}

#[test]
fn protobuf_loses_nothing() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind);
        let bytes = protobuf::encode(tree.root());
        let decoded = protobuf::decode(bytes.clone(), kind.ty).expect("decodes");
        assert_eq!(text(&decoded), text(&tree));
        assert_eq!(protobuf::encode(decoded.root()), bytes, "the same bytes again");
    });
}

#[test]
fn yaml_loses_nothing() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind);
        let written = yaml::from_json(text(&tree).as_bytes());
        let converted = yaml::to_json(&written).expect("YAML");
        assert_eq!(converted.strict, None, "no key is there twice");
        assert_eq!(text(&typed(&converted.json, kind)), text(&tree), "{written}");
    });
}

#[test]
fn canonical_json_with_a_revision_is_the_object_at_it() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind);
        let canonical = json::canonical(tree.root());
        let mut expected = plain(text(&tree).as_bytes());
        let metadata = expected.get(expected.root_id(), "metadata").expect("every kind has metadata");
        let revision = expected.string("4711");
        expected.set_key(metadata, "resourceVersion", revision);
        let spliced = canonical.splice(4711);
        let found = plain(&spliced);
        assert!(found.root().equals(expected.root()), "{}", String::from_utf8_lossy(&spliced));
        // It is the writer's own order: parsed and written again, it is the same text.
        assert_eq!(text(&typed(&spliced, kind)).as_bytes(), spliced);
    });
}

#[test]
fn patches_that_change_nothing_change_nothing() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind);
        let same = text(&tree);
        for (name, patched) in [
            ("empty merge patch", patch::merge(&tree, b"{}")),
            ("empty JSON patch", patch::json(&tree, b"[]")),
            ("empty strategic merge patch", patch::strategic(&tree, b"{}")),
            ("the object as a merge patch", patch::merge(&tree, same.as_bytes())),
        ] {
            let patched = patched.unwrap_or_else(|status| panic!("{name}: {}", status.message()));
            assert_eq!(text(&patched.tree), same, "{name}");
        }
    });
}
