//! What the tests of kinds share: an object goes through defaults, preparation and validation as in the pipeline.

use corten_api::field::Errors;
use corten_object::defaults::Plan;
use corten_object::json::{Form, parse, to_string};
use corten_object::tree::{Node, Tree, View};
use corten_views::meta_v1::ObjectMeta;

use crate::object_meta;
use crate::strategy::{Context, Requester, Strategy};

mod growth;
mod metadata;
mod objects;
mod replay;

static NO_EXTRA: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();

pub fn context<'c>(group: &'c str, version: &'c str) -> Context<'c> {
    Context {
        subresource: "",
        group,
        version,
        namespace: "ns",
        name: "",
        user: Requester { name: "tester", uid: "u-1", groups: &[], extra: &NO_EXTRA },
        dry_run: false,
        now: (1_700_000_000, 0),
    }
}

/// Parses an object with the plain defaults of its table.
pub fn object(group: &str, version: &str, kind: &str, json: &str) -> Tree {
    let row = corten_schema::kind(group, version, kind).unwrap_or_else(|| panic!("no kind {group}/{version} {kind}"));
    let mut tree = parse(json.as_bytes().to_vec(), Form::Typed(row.ty)).unwrap_or_else(|e| panic!("{json}: {e}")).tree;
    let of_kind = |row: &&corten_schema::Default| (row.group, row.version, row.kind) == (group, version, kind);
    let root = tree.root_id();
    Plan::new(row.ty, corten_schema::DEFAULTS.iter().filter(of_kind)).apply(&mut tree, root);
    tree
}

fn meta(node: Node<'_>) -> ObjectMeta<'_> {
    ObjectMeta::from_struct(node.get("metadata").map_or(corten_object::tree::Struct::ABSENT, Node::as_struct))
}

/// The errors of creating the object, which is changed as the server changes it.
pub fn create(strategy: &dyn Strategy, tree: &mut Tree, context: &Context<'_>, namespaced: bool) -> Errors {
    strategy.default(context.version, &mut tree.edit());
    if namespaced && meta(tree.root()).namespace().is_empty() {
        let metadata = tree.root_id();
        let metadata = match tree.get(metadata, "metadata") {
            Some(metadata) => metadata,
            None => {
                let made = tree.structure(ObjectMeta::TYPE);
                tree.set_named(metadata, "metadata", made);
                made
            }
        };
        let namespace = tree.string(context.namespace);
        tree.set_named(metadata, "namespace", namespace);
    }
    strategy.prepare_create(&mut tree.edit(), context);
    let mut errors = object_meta::on_create(strategy, meta(tree.root()), namespaced);
    errors.append(strategy.validate(tree.root(), context));
    errors
}

/// The errors of replacing `old` by `new`.
pub fn update(strategy: &dyn Strategy, new: &mut Tree, old: &Tree, context: &Context<'_>) -> Errors {
    strategy.default(context.version, &mut new.edit());
    strategy.prepare_update(&mut new.edit(), old.root(), context);
    strategy.validate_update(new.root(), old.root(), context)
}

/// One error a line.
pub fn lines(errors: &Errors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

pub fn json(tree: &Tree) -> String {
    to_string(tree.root())
}
