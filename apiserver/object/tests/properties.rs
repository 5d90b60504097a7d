//! Properties that hold for every kind and every field: nothing is lost on any way between the forms of an object.
//!
//! Objects are made from the schema tables by a seeded generator: each kind once with every field set, then with fields
//! left out at random. A failure names its kind and seed.

#[path = "properties/generate.rs"]
mod generate;

use std::cell::Cell;
use std::collections::BTreeSet;

use corten_object::json::{self, Form};
use corten_object::managed::{self, Manager, OneVersion};
use corten_object::tree::{Node, Tree, Value};
use corten_object::typing::TypeRef;
use corten_object::{patch, protobuf, yaml};
use corten_schema::{FieldId, KINDS, Kind, Shape, TypeId};
use generate::{Fill, generate};

/// How many objects of each kind have fields left out.
const SPARSE: u64 = 4;

/// What is wrong, if anything is.
type Checked = Result<(), String>;

fn typed(text: &[u8], kind: &Kind) -> Result<Tree, String> {
    let parsed =
        json::parse(text.to_vec(), Form::Typed(kind.ty)).map_err(|error| format!("{error}: {}", show(text)))?;
    match parsed.strict.as_slice() {
        [] => Ok(parsed.tree),
        strict => Err(format!("{strict:?}")),
    }
}

fn plain(text: &[u8]) -> Tree {
    json::parse(text.to_vec(), Form::Plain).expect("JSON").tree
}

fn text(tree: &Tree) -> String {
    json::to_string(tree.root())
}

fn show(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Two texts are the same; if not, shows where they part.
fn same(what: &str, found: &str, expected: &str) -> Checked {
    if found == expected {
        return Ok(());
    }
    let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| show(&text.as_bytes()[at.saturating_sub(40)..(at + 60).min(text.len())]);
    Err(format!("{what}: found …{}…, expected …{}…", around(found), around(expected)))
}

/// An object as somebody applies it.
fn config(object: &[u8]) -> Tree {
    let mut config = plain(object);
    let metadata = config.get(config.root_id(), "metadata").filter(|id| !config.node(*id).as_map().is_empty());
    if let Some(metadata) = metadata {
        config.remove_key(metadata, "managedFields");
    }
    config
}

/// Runs a check on objects of every kind.
fn for_every_kind(check: impl Fn(&Kind, &[u8]) -> Checked) {
    let mut failures = Vec::new();
    for kind in KINDS {
        let fills = std::iter::once((0, Fill::Everything)).chain((1..=SPARSE).map(|seed| (seed, Fill::Sparse)));
        for (seed, fill) in fills {
            if let Err(error) = check(kind, &generate(kind, seed, fill)) {
                failures.push(format!("{}/{} {} with seed {seed}: {error}", kind.group, kind.version, kind.kind));
            }
        }
    }
    let shown = failures.len().min(20);
    assert!(failures.is_empty(), "{} failures, the first are\n{}", failures.len(), failures[..shown].join("\n"));
}

/// Kinds that are kept have it; lists and reviews do not.
fn has_object_meta(kind: &Kind) -> bool {
    let metadata = kind.ty.get().field_named("metadata").map(|field| kind.ty.field(field).shape);
    matches!(metadata, Some(Shape::Struct(corten_schema::ids::meta_v1::OBJECT_META)))
}

/// The first place where something stands in `part` that does not stand in `whole`, which may hold zeros beside it.
fn missing(part: Node<'_>, whole: Node<'_>) -> Option<String> {
    match (part.value(), whole.value()) {
        (Value::Map(part), Value::Map(whole)) => part.iter().find_map(|(key, value)| match whole.get(key) {
            Some(other) => missing(value, other).map(|path| format!(".{key}{path}")),
            None => Some(format!(".{key} is not there")),
        }),
        (Value::List(part), Value::List(whole)) if part.len() == whole.len() => {
            let mut both = part.iter().zip(whole.iter()).enumerate();
            both.find_map(|(i, (part, whole))| missing(part, whole).map(|path| format!("[{i}]{path}")))
        }
        _ if part.equals(whole) => None,
        _ => Some(format!(": {} became {}", json::to_string(part), json::to_string(whole))),
    }
}

/// The first place where two trees differ.
fn differing(one: Node<'_>, other: Node<'_>) -> Option<String> {
    if one.equals(other) {
        return None;
    }
    let below = match (one.value(), other.value()) {
        (Value::Struct(one), Value::Struct(other)) => one.ty().and_then(|ty| {
            let fields = ty.get().fields.iter().enumerate();
            fields.into_iter().find_map(|(i, field)| {
                match (one.node(FieldId(i as u16)), other.node(FieldId(i as u16))) {
                    (None, None) => None,
                    (Some(a), Some(b)) => differing(a, b).map(|path| format!(".{}{path}", field.name)),
                    (a, _) => Some(format!(".{} only {}", field.name, if a.is_some() { "before" } else { "after" })),
                }
            })
        }),
        (Value::List(one), Value::List(other)) => {
            one.iter().zip(other.iter()).find_map(|(a, b)| differing(a, b).map(|path| format!("[]{path}")))
        }
        (Value::Map(one), Value::Map(other)) => one
            .iter()
            .find_map(|(key, a)| other.get(key).and_then(|b| differing(a, b)).map(|path| format!(".{key}{path}"))),
        _ => None,
    };
    Some(below.unwrap_or_else(|| format!(": {} and {}", json::to_string(one), json::to_string(other))))
}

#[test]
fn what_is_parsed_is_written() {
    for_every_kind(|kind, object| {
        let written = text(&typed(object, kind)?);
        missing(plain(object).root(), plain(written.as_bytes()).root()).map_or(Ok(()), Err)
    });
}

#[test]
fn what_is_written_is_parsed() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind)?;
        let again = typed(text(&tree).as_bytes(), kind)?;
        same("parsed again", &text(&again), &text(&tree))?;
        // Whether an update changes anything is decided on trees.
        differing(tree.root(), again.root()).map_or(Ok(()), Err)
    });
}

#[test]
fn protobuf_loses_nothing() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind)?;
        let bytes = protobuf::encode(tree.root());
        let decoded = protobuf::decode(bytes.clone(), kind.ty).map_err(|error| error.0)?;
        same("decoded", &text(&decoded), &text(&tree))?;
        if protobuf::encode(decoded.root()) == bytes { Ok(()) } else { Err("encoded again, the bytes differ".into()) }
    });
}

#[test]
fn yaml_loses_nothing() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind)?;
        let written = yaml::from_json(text(&tree).as_bytes());
        let converted = yaml::to_json(&written).map_err(|error| format!("{error}: {written}"))?;
        if let Some(strict) = converted.strict {
            return Err(strict);
        }
        same("from YAML", &text(&typed(&converted.json, kind)?), &text(&tree))
    });
}

#[test]
fn canonical_json_with_a_revision_is_the_object_at_it() {
    for_every_kind(|kind, object| {
        if !has_object_meta(kind) {
            return Ok(());
        }
        let tree = typed(object, kind)?;
        let Some(metadata) = tree.get(tree.root_id(), "metadata") else { return Ok(()) };
        let mut expected = tree.clone();
        let revision = expected.string("4711");
        expected.set_named(metadata, "resourceVersion", revision);
        let spliced = json::canonical(tree.root()).splice(4711);
        same("spliced", &show(&spliced), &text(&expected))
    });
}

#[test]
fn patches_that_change_nothing_change_nothing() {
    for_every_kind(|kind, object| {
        let tree = typed(object, kind)?;
        let written = text(&tree);
        for (name, patched) in [
            ("empty merge patch", patch::merge(&tree, b"{}")),
            ("empty JSON patch", patch::json(&tree, b"[]")),
            ("empty strategic merge patch", patch::strategic(&tree, b"{}")),
            ("the object as a merge patch", patch::merge(&tree, written.as_bytes())),
        ] {
            let patched = patched.map_err(|status| format!("{name}: {}", status.message()))?;
            same(name, &text(&patched.tree), &written)?;
        }
        Ok(())
    });
}

#[test]
fn what_is_applied_twice_is_applied_once() {
    let applied = Cell::new(0);
    for_every_kind(|kind, object| {
        if !has_object_meta(kind) {
            return Ok(());
        }
        let version = match kind.group {
            "" => kind.version.to_owned(),
            group => format!("{group}/{}", kind.version),
        };
        let manager =
            Manager { name: "test", api_version: &version, time: "2024-01-02T03:04:05Z", ..Manager::default() };
        let typing = TypeRef::built_in(kind.ty);
        let apply = |live: Option<&Tree>, config: &Tree| {
            managed::apply(live, config, typing, &manager, false, &[], &OneVersion)
                .map(|applied| applied.object)
                .map_err(|status| status.message().to_owned())
        };
        let config = config(object);
        let first = match apply(None, &config) {
            Ok(first) => first,
            Err(message) if message.contains("duplicate entries for key") => return Ok(()),
            Err(message) => return Err(message),
        };
        applied.set(applied.get() + 1);
        let second = apply(Some(&first), &config)?;
        same("applied again", &text(&second), &text(&first))
    });
    assert!(applied.get() > 300, "no more than {} could be applied", applied.get());
}

/// A custom object of any shape, whose schema says nothing.
#[test]
fn what_is_custom_is_applied_twice_as_once() {
    for_every_kind(|kind, object| {
        if !has_object_meta(kind) {
            return Ok(());
        }
        let config = config(object);
        let version = config.root().get("apiVersion").map_or("", |node| node.as_str()).to_owned();
        let manager =
            Manager { name: "test", api_version: &version, time: "2024-01-02T03:04:05Z", ..Manager::default() };
        let typing = TypeRef::deduced();
        let apply = |live: Option<&Tree>| {
            managed::apply(live, &config, typing, &manager, false, &[], &OneVersion)
                .map(|applied| applied.object)
                .map_err(|status| status.message().to_owned())
        };
        let first = apply(None)?;
        same("applied again", &text(&apply(Some(&first))?), &text(&first))
    });
}

/// Nothing that protobuf carries is left out: a field that no object has would be one that no test sees.
#[test]
fn every_field_is_in_some_object() {
    let mut seen = BTreeSet::new();
    for kind in KINDS {
        for (seed, fill) in std::iter::once((0, Fill::Everything)).chain((1..=SPARSE).map(|seed| (seed, Fill::Sparse)))
        {
            let tree =
                typed(&generate(kind, seed, fill), kind).unwrap_or_else(|error| panic!("{}: {error}", kind.kind));
            note_fields(tree.root(), &mut seen);
        }
    }
    let mut types = Vec::new();
    KINDS.iter().for_each(|kind| reach(kind.ty, &mut types));
    let mut missing = Vec::new();
    for ty in types.iter().map(|id| id.get()) {
        let fields = ty.fields.iter().enumerate().filter(|(i, _)| generate::in_protobuf(ty.proto, FieldId(*i as u16)));
        missing.extend(fields.map(|(_, field)| (ty.name, field.name)).filter(|field| !seen.contains(field)));
    }
    // Canonical JSON leaves the one out; the other is a struct without fields.
    let expected = [("meta.v1.ObjectMeta", "resourceVersion"), ("apiserverinternal.v1alpha1.StorageVersion", "spec")];
    assert_eq!(missing, expected);
}

fn note_fields(node: Node<'_>, seen: &mut BTreeSet<(&'static str, &'static str)>) {
    match node.value() {
        Value::Struct(structure) => {
            let Some(ty) = structure.ty() else { return };
            for (field, node) in structure.fields() {
                seen.insert((ty.get().name, ty.field(field).name));
                note_fields(node, seen);
            }
        }
        Value::List(list) => list.iter().for_each(|node| note_fields(node, seen)),
        Value::Map(map) => map.iter().for_each(|(_, node)| note_fields(node, seen)),
        _ => {}
    }
}

/// The types that are in a type.
fn reach(ty: TypeId, types: &mut Vec<TypeId>) {
    if types.contains(&ty) {
        return;
    }
    types.push(ty);
    for field in ty.get().fields {
        if let Some(below) = generate::struct_of(&field.shape) {
            reach(below, types);
        }
    }
}
