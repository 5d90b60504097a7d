//! What the targets share: how bytes become a kind and an object.

use std::collections::BTreeMap;

use corten_object::json::{self, Form};
use corten_object::tree::{Node, Tree};
use corten_schema::{KINDS, Kind, Shape};
use cost::Cost;

#[path = "../../apiserver/object/tests/growth/cost.rs"]
mod cost;

/// What a run may cost: so much, and so much more for each byte of its input. Sanitizers make everything some ten times
/// as slow; what costs more even so costs more than its size explains, once an input is some ten thousand bytes long.
const NANOS: f64 = 5e8;
const NANOS_FOR_A_BYTE: f64 = 2e4;
const BYTES: f64 = 128.0 * 1024.0 * 1024.0;
const BYTES_FOR_A_BYTE: f64 = 4096.0;

/// Runs a target on an input of this length; what costs too much is a finding.
pub fn within_budget(length: usize, run: impl FnOnce()) {
    let cost = Cost::of(run);
    let (nanos, bytes) = (NANOS + NANOS_FOR_A_BYTE * length as f64, BYTES + BYTES_FOR_A_BYTE * length as f64);
    assert!(cost.nanos <= nanos, "{length} bytes take {:.1} s of the processor", cost.nanos / 1e9);
    assert!(cost.bytes <= bytes, "{length} bytes make {:.0} MiB be allocated", cost.bytes / 1024.0 / 1024.0);
}

/// The first byte picks the kind, so that every kind is reached by a small change.
pub fn kind(data: &[u8]) -> Option<(&'static Kind, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((&KINDS[usize::from(*first) % KINDS.len()], rest))
}

/// The two texts around the first zero byte.
pub fn pair(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let middle = data.iter().position(|byte| *byte == 0)?;
    Some((&data[..middle], &data[middle + 1..]))
}

pub fn typed(text: &[u8], kind: &Kind) -> Option<Tree> {
    json::parse(text.to_vec(), Form::Typed(kind.ty)).ok().map(|parsed| parsed.tree)
}

/// Lists and reviews have none of their own, and are never kept.
pub fn has_metadata(kind: &Kind) -> bool {
    let metadata = kind.ty.get().field_named("metadata").map(|field| kind.ty.field(field).shape);
    matches!(metadata, Some(Shape::Struct(corten_schema::ids::meta_v1::OBJECT_META)))
}

pub fn text(tree: &Tree) -> String {
    json::to_string(tree.root())
}

/// An object of a kind, or a custom one where the first byte says so.
pub fn object(data: &[u8]) -> Option<Tree> {
    let (kind, rest) = kind(data)?;
    if data[0] < 128 {
        return typed(rest, kind);
    }
    let metadata = corten_schema::ids::meta_v1::OBJECT_META;
    json::parse(rest.to_vec(), Form::Custom { metadata }).ok().map(|parsed| parsed.tree)
}

/// Whether something holds for a node or one below it.
pub fn any(node: Node<'_>, holds: &impl Fn(Node<'_>) -> bool) -> bool {
    let mut below = node.as_list().iter().chain(node.as_map().iter().map(|(_, value)| value));
    holds(node) || below.any(|node| any(node, holds))
}

/// A map with a null in it.
pub fn has_null(node: Node<'_>) -> bool {
    node.as_map().iter().any(|(_, value)| value.is_null())
}

/// What a patch left must be an object like any other: written and read again, it stays the same. Only a float of
/// negative zero is written `-0` and read as the whole number 0, in Go as well.
pub fn check_patched(patched: &Tree) {
    let form = match patched.type_of(patched.root_id()) {
        Some(ty) => Form::Typed(ty),
        None => Form::Custom { metadata: corten_schema::ids::meta_v1::OBJECT_META },
    };
    let read = |written: String| json::parse(written.into_bytes(), form).expect("what was written is parsed").tree;
    let again = read(text(patched));
    assert!(again.root().equals(patched.root()), "{}", text(patched));
    let written = text(&again);
    assert_eq!(text(&read(written.clone())), written);
}

/// A definition as a create makes it, if its kind's rules let it pass.
pub fn definition(text: &[u8]) -> Option<Tree> {
    let kind = corten_schema::kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")?;
    let strategy = corten_custom::custom_resource_definition::ROWS[0].strategy;
    let mut tree = typed(text, kind).filter(|tree| !tree.root().is_null())?;
    let no_extra = BTreeMap::new();
    let context = corten_kinds::strategy::Context {
        subresource: "",
        group: kind.group,
        version: kind.version,
        namespace: "",
        name: "",
        user: corten_kinds::strategy::Requester { name: "fuzz", uid: "", groups: &[], extra: &no_extra },
        dry_run: false,
        now: (0, 0),
    };
    strategy.default(kind.version, &mut tree.edit());
    strategy.prepare_create(&mut tree.edit(), &context);
    strategy.validate(tree.root(), &context).is_empty().then_some(tree)
}
