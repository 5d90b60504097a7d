//! A definition as upstream keeps it: in version v1beta1, where what all versions share stands once, beside them.

use corten_object::json::{self, Form};
use corten_object::tree::{Id, Tree, View};
use corten_schema::{TypeId, ids::apiextensions_v1beta1};
use corten_views::apiextensions_v1::CustomResourceDefinition;

use super::internal::Spec;

const V1: &str = "apiextensions.k8s.io/v1";
const V1BETA1: &str = "apiextensions.k8s.io/v1beta1";

/// What may stand beside the versions, and what a version calls it.
const SHARED: [(&str, &str); 4] = [
    ("validation", "schema"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

/// The form that is kept, of one that is served. None for what is no definition.
pub fn to_kept(object: &Tree) -> Option<Tree> {
    let crd: CustomResourceDefinition<'_> = object.view();
    let shared = Spec::of(crd.spec());
    let shares = [shared.shares_schema, shared.shares_subresources, shared.shares_columns, shared.shares_selectable];
    let mut tree = plain(object)?;
    let root = tree.root_id();
    set_string(&mut tree, root, "apiVersion", V1BETA1);
    if let Some(spec) = tree.get(root, "spec") {
        let versions = members(&tree, spec, "versions");
        if let Some(name) = versions.first().and_then(|&first| tree.get(first, "name")) {
            tree.set_key(spec, "version", name);
        }
        for (shares, (beside, within)) in shares.into_iter().zip(SHARED) {
            let taken: Vec<Option<Id>> =
                versions.iter().filter(|_| shares).map(|&version| tree.remove_key(version, within)).collect();
            if let Some(Some(value)) = taken.first() {
                tree.set_key(spec, beside, *value);
            }
        }
        rename_columns(&mut tree, spec, "jsonPath", "JSONPath");
        if let Some(conversion) = tree.get(spec, "conversion")
            && let Some(webhook) = tree.remove_key(conversion, "webhook")
        {
            move_member(&mut tree, (webhook, "clientConfig"), (conversion, "webhookClientConfig"));
            move_member(&mut tree, (webhook, "conversionReviewVersions"), (conversion, "conversionReviewVersions"));
        }
        // There it would be true if nothing were said.
        if tree.get(spec, "preserveUnknownFields").is_none() {
            let no = tree.bool(false);
            tree.set_key(spec, "preserveUnknownFields", no);
        }
    }
    typed(&tree, apiextensions_v1beta1::CUSTOM_RESOURCE_DEFINITION)
}

/// The form that is served, of one that is kept. None for what is no definition.
pub fn from_kept(object: &Tree) -> Option<Tree> {
    let mut tree = plain(object)?;
    let root = tree.root_id();
    set_string(&mut tree, root, "apiVersion", V1);
    if let Some(spec) = tree.get(root, "spec") {
        default_kept(&mut tree, spec);
        tree.remove_key(spec, "version");
        rename_columns(&mut tree, spec, "JSONPath", "jsonPath");
        let versions = members(&tree, spec, "versions");
        for (beside, within) in SHARED {
            let Some(value) = tree.remove_key(spec, beside) else { continue };
            for &version in &versions {
                let own = tree.duplicate(value);
                tree.set_key(version, within, own);
            }
        }
        if let Some(conversion) = tree.get(spec, "conversion") {
            let webhook = tree.map();
            move_member(&mut tree, (conversion, "webhookClientConfig"), (webhook, "clientConfig"));
            move_member(&mut tree, (conversion, "conversionReviewVersions"), (webhook, "conversionReviewVersions"));
            if tree.len(webhook) > 0 {
                tree.set_key(conversion, "webhook", webhook);
            }
        }
    }
    typed(&tree, <CustomResourceDefinition<'_> as View<'_>>::TYPE)
}

/// The defaults that only that version has.
fn default_kept(tree: &mut Tree, spec: Id) {
    if tree.get(spec, "scope").is_none_or(|scope| tree.node(scope).as_str().is_empty()) {
        set_string(tree, spec, "scope", "Namespaced");
    }
    if tree.get(spec, "preserveUnknownFields").is_none() {
        let yes = tree.bool(true);
        tree.set_key(spec, "preserveUnknownFields", yes);
    }
    let name = tree.get(spec, "version").filter(|&name| !tree.node(name).as_str().is_empty());
    if let Some(name) = name.filter(|_| members(tree, spec, "versions").is_empty()) {
        let (served, storage) = (tree.bool(true), tree.bool(true));
        let version = tree.map_of(&[("name", name), ("served", served), ("storage", storage)]);
        let versions = tree.list(&[version]);
        tree.set_key(spec, "versions", versions);
    }
}

fn plain(object: &Tree) -> Option<Tree> {
    json::parse(json::to_vec(object.root()), Form::Plain).ok().map(|parsed| parsed.tree)
}

fn typed(tree: &Tree, ty: TypeId) -> Option<Tree> {
    json::parse(json::to_vec(tree.root()), Form::Typed(ty)).ok().map(|parsed| parsed.tree)
}

fn set_string(tree: &mut Tree, id: Id, key: &str, value: &str) {
    let value = tree.string(value);
    tree.set_key(id, key, value);
}

fn members(tree: &Tree, id: Id, key: &str) -> Vec<Id> {
    tree.get(id, key).map_or(Vec::new(), |list| tree.items(list).collect())
}

fn move_member(tree: &mut Tree, (from, old): (Id, &str), (to, new): (Id, &str)) {
    if let Some(value) = tree.remove_key(from, old) {
        tree.set_key(to, new, value);
    }
}

/// Renames a member of every column, beside the versions and in them.
fn rename_columns(tree: &mut Tree, spec: Id, old: &str, new: &str) {
    let mut holders = members(tree, spec, "versions");
    holders.push(spec);
    for holder in holders {
        for column in members(tree, holder, "additionalPrinterColumns") {
            move_member(tree, (column, old), (column, new));
        }
    }
}
