//! Where a kind's own rules hook into the pipeline.
//!
//! A strategy sees objects of its kind's hub version (the one that is stored): the pipeline converts before and after.
//! Every method has the default that fits a kind without rules of its own, so that a strategy says only what is special.

use std::borrow::Cow;
use std::collections::BTreeMap;

use corten_api::field::Errors;
use corten_object::tree::{Edit, Node, Tree};

use crate::table::{self, Cell, Column, Row};

/// What a strategy may know of the request that it serves.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// "" for the resource itself.
    pub subresource: &'c str,
    /// The group through which the request came: "" or `events.k8s.io` for an Event.
    pub group: &'c str,
    /// The version in which the request came: `v1`.
    pub version: &'c str,
    pub namespace: &'c str,
    pub name: &'c str,
    pub user: Requester<'c>,
    pub dry_run: bool,
    /// The time of the request, in seconds and nanoseconds since 1970.
    pub now: (i64, u32),
}

/// Who sent the request.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'c> {
    pub name: &'c str,
    pub uid: &'c str,
    pub groups: &'c [String],
    pub extra: &'c BTreeMap<String, Vec<String>>,
}

/// How a delete is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// At once.
    Immediate,
    /// Marked, and ended by a second delete with no grace. With no seconds it goes at once, but the answer shows it
    /// marked (and its generation raised).
    Graceful { seconds: i64 },
    /// Marked, and ended by an update when the kind's own finalizers are done: see [`Strategy::mark_deleting`].
    Finalize,
}

/// A run of the metadata rules within a kind's own validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataRun {
    /// What holds for any object.
    Whole,
    /// What may not change.
    Change,
}

pub trait Strategy: Send + Sync {
    /// Defaults of one version that depend on other fields; the plain ones of the tables are set already. Also called
    /// for what is read from storage, so it must be quick and leave alone what is set.
    fn default(&self, _version: &str, _object: &mut Edit<'_>) {}

    /// What is shown of objects that older servers stored, or of those that rules let pass half filled in; called for
    /// what was read from storage and, once the rules have passed it, for what goes there: never for requests.
    fn default_on_read(&self, _object: &mut Edit<'_>) {}

    /// What an object that has nothing in it still shows, such as a watch's bookmark.
    fn show_empty(&self, _object: &mut Edit<'_>) {}

    /// Clears and sets what a client may not choose on create: status, generation rules of the kind's own.
    fn prepare_create(&self, _object: &mut Edit<'_>, _context: &Context<'_>) {}

    /// The same for an update: puts back what this (sub)resource may not touch.
    fn prepare_update(&self, _object: &mut Edit<'_>, _old: Node<'_>, _context: &Context<'_>) {}

    /// Everything but metadata's common rules, which the pipeline checks with [`Strategy::name_errors`].
    fn validate(&self, _object: Node<'_>, _context: &Context<'_>) -> Errors {
        Errors::default()
    }

    /// Both what holds for any object of the kind and what may not change.
    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, context: &Context<'_>) -> Errors {
        self.validate(object, context)
    }

    /// Whether an object lacks the first status that a controller of this server gives it, and that clients look for as
    /// soon as their create is answered: that answer waits for it, for a while.
    fn awaits_first_status(&self, _object: Node<'_>) -> bool {
        false
    }

    /// Warnings about a new object as it was sent, before [`Strategy::prepare_create`] changes it.
    fn warn_received(&self, _object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        Vec::new()
    }

    fn warn_create(&self, _object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        Vec::new()
    }

    fn warn_update(&self, _object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        Vec::new()
    }

    /// What is wrong with a name (or, with `prefix`, with a generateName); upstream's `ValidateNameFunc`.
    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        corten_api::names::name_is_dns_subdomain(name, prefix)
    }

    /// The runs of the metadata rules on update beyond the one that all kinds share: what each finds is a cause of its own.
    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change]
    }

    /// Finalizers without a prefix must be well known ones.
    fn checks_finalizer_names(&self) -> bool {
        true
    }

    /// Whether a change from `old` to `object` raises metadata.generation; only for kinds that keep one.
    fn generation_changes(&self, _object: Node<'_>, _old: Node<'_>) -> bool {
        false
    }

    /// Whether new objects start with generation 1.
    fn keeps_generation(&self) -> bool {
        false
    }

    /// Whether the generation of new objects is 1, in a kind that keeps one.
    fn starts_with_generation(&self) -> bool {
        self.keeps_generation()
    }

    /// An update without a resourceVersion is taken as it comes.
    fn allows_unconditional_update(&self) -> bool {
        true
    }

    /// PUT makes what is not there.
    fn allows_create_on_update(&self) -> bool {
        false
    }

    /// How an object is deleted, given the grace period that was asked for.
    fn deletion(&self, _object: Node<'_>, _grace_seconds: Option<i64>) -> Deletion {
        Deletion::Immediate
    }

    /// What else marks an object whose deletion is `Finalize`d; the deletion timestamp is set already.
    fn mark_deleting(&self, _object: &mut Edit<'_>, _context: &Context<'_>) {}

    /// Whether a deletion that is `Finalize`d also marks what becomes of dependents.
    fn marks_dependents(&self) -> bool {
        false
    }

    /// Whether an object that is being deleted, and has no finalizer in its metadata, is at its end.
    fn is_finished(&self, _object: Node<'_>) -> bool {
        true
    }

    /// Whether deletes may leave dependents to the garbage collector.
    fn collects_garbage(&self) -> bool {
        true
    }

    /// Dependents are orphaned when nobody says otherwise.
    fn orphans_by_default(&self) -> bool {
        false
    }

    /// Values of the field labels of the kind's row beyond metadata.name and metadata.namespace, in the row's order.
    fn selectable<'t>(&self, _object: Node<'t>, _out: &mut Vec<Cow<'t, str>>) {}

    /// What is said to who selects by a field that cannot be selected by, in a kind with labels of its own.
    fn unknown_label(&self, label: &str) -> String {
        format!("field label not supported: {label}")
    }

    /// A warning for deletes that say nothing of dependents.
    fn warn_delete(&self) -> Option<&'static str> {
        None
    }

    /// The columns of a Table.
    fn columns(&self) -> &'static [Column] {
        &table::DEFAULT_COLUMNS
    }

    /// The row of an object, a cell for each column.
    fn row(&self, object: Node<'_>) -> Row {
        let text = |path: &[&str]| object.at(path).map_or("", Node::as_str);
        let created = Cell::Str(text(&["metadata", "creationTimestamp"]).to_owned());
        Row { cells: vec![Cell::Str(text(&["metadata", "name"]).to_owned()), created], conditions: Vec::new() }
    }

    /// What a Table's rows are ordered by, before their names, if by anything else.
    fn table_order(&self) -> Option<fn(Node<'_>) -> i64> {
        None
    }

    /// The strategy of a subresource that writes the object itself (`status`, `ephemeralcontainers`, ...).
    fn subresource(&self, _name: &str) -> Option<&dyn Strategy> {
        None
    }

    /// What a write through this (sub)resource does not own in managedFields, as paths: `["status"]`.
    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[]
    }

    /// Makes an object of the hub version of one of another, or the other way round; `None` where the kind has one only.
    fn convert(&self, _object: &Tree, _to_version: (&str, &str)) -> Option<Tree> {
        None
    }
}

/// A kind without rules of its own.
pub struct Plain;

impl Strategy for Plain {}
