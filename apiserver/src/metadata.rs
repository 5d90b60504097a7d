//! Metadata of an object tree, whatever its kind: built-in roots are structs, custom ones maps, the metadata of both is
//! an ObjectMeta.

use corten_api::seen::Seen;
use corten_object::tree::{Edit, Id, Tree, View};
use corten_views::meta_v1::ObjectMeta;

/// An object's metadata, to be read.
pub fn read(tree: &Tree) -> ObjectMeta<'_> {
    let node = tree.get(tree.root_id(), "metadata").map(|id| tree.node(id).as_struct());
    ObjectMeta::from_struct(node.unwrap_or(corten_object::tree::Struct::ABSENT))
}

/// An object's metadata, to be changed; made where it is absent.
pub fn edit(tree: &mut Tree) -> Edit<'_> {
    let root = tree.root_id();
    let id = match tree.get(root, "metadata").filter(|&id| tree.type_of(id).is_some()) {
        Some(id) => id,
        None => {
            let made = tree.structure(ObjectMeta::TYPE);
            tree.set_named(root, "metadata", made);
            made
        }
    };
    tree.edit_at(id)
}

pub fn kind(tree: &Tree) -> &str {
    tree.root().get("kind").map_or("", |node| node.as_str())
}

pub fn api_version(tree: &Tree) -> &str {
    tree.root().get("apiVersion").map_or("", |node| node.as_str())
}

pub fn set_kind(tree: &mut Tree, api_version: &str, kind: &str) {
    let root = tree.root_id();
    for (name, value) in [("kind", kind), ("apiVersion", api_version)] {
        let value = tree.string(value);
        tree.set_named(root, name, value);
    }
}

/// Clears what only the server may set on a new object.
pub fn wipe_system_fields(tree: &mut Tree) {
    let mut meta = edit(tree);
    for field in [
        ObjectMeta::CREATION_TIMESTAMP,
        ObjectMeta::DELETION_TIMESTAMP,
        ObjectMeta::DELETION_GRACE_PERIOD_SECONDS,
        ObjectMeta::UID,
        ObjectMeta::SELF_LINK,
    ] {
        meta.remove(field);
    }
}

/// Drops owner references that are the same as an earlier one; the uids of those dropped.
pub fn dedup_owner_references(tree: &mut Tree) -> Vec<String> {
    let owners = read(tree).owner_references();
    if owners.len() < 2 {
        return Vec::new();
    }
    let (mut kept, mut dropped): (Vec<Id>, Vec<String>) = (Vec::new(), Vec::new());
    let mut seen = Seen::default();
    for owner in owners.iter() {
        let Some(id) = owner.id() else { continue };
        let texts = [owner.api_version(), owner.kind(), owner.name(), owner.uid()];
        if seen.insert((texts, owner.controller(), owner.block_owner_deletion())) {
            kept.push(id);
        } else {
            dropped.push(owner.uid().to_owned());
        }
    }
    drop(seen);
    if !dropped.is_empty() {
        let list = tree.list(&kept);
        edit(tree).put(ObjectMeta::OWNER_REFERENCES, list);
    }
    dropped
}

/// Sets a list of finalizers.
pub fn set_finalizers<'f>(tree: &mut Tree, finalizers: impl Iterator<Item = &'f str>) {
    let items: Vec<Id> = finalizers.map(|finalizer| tree.string(finalizer)).collect();
    if items.is_empty() {
        return edit(tree).remove(ObjectMeta::FINALIZERS);
    }
    let list = tree.list(&items);
    edit(tree).put(ObjectMeta::FINALIZERS, list);
}
