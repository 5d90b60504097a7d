//! What upstream's controllers write into a definition's status, as pure functions from what is there to what should be.
//!
//! A definition's names are accepted where nobody in its group has them ([`accept_names`]); then it is served, and said
//! to be established ([`establish`]). One that is being deleted is kept by a finalizer until its objects are gone
//! ([`begin_cleanup`], [`end_cleanup`]). A function returns the definition as it should be stored, or None if it is so
//! already; nothing is done twice.

use std::collections::HashSet;

use corten_api::field::{BadValue, Error, Errors, Path, quote};
use corten_api::seen::Seen;
use corten_api::time::Timestamp;
use corten_object::tree::{Edit, Id, Tree, View};
use corten_views::apiextensions_v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionStatus,
};
use corten_views::meta_v1::ObjectMeta;

use crate::custom_resource_definition::{approval, structural};
use crate::schema::Schema;

#[cfg(test)]
mod tests;

pub const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Built-in resources whose objects are kept where those of a definition of the same name would be: they stay.
const OVERLAPPING: [(&str, &str); 2] =
    [("apiregistration.k8s.io", "apiservices"), ("apiextensions.k8s.io", "customresourcedefinitions")];

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub kind: &'static str,
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
}

impl Condition {
    fn new(kind: &'static str, status: &'static str, reason: &'static str, message: impl Into<String>) -> Condition {
        Condition { kind, status, reason, message: message.into() }
    }

    /// What the first delete of a definition says.
    pub fn deletion_pending() -> Condition {
        let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        Condition::new("Terminating", "True", "InstanceDeletionPending", message)
    }
}

/// A condition of a definition.
pub fn condition<'t>(crd: CustomResourceDefinition<'t>, kind: &str) -> Option<CustomResourceDefinitionCondition<'t>> {
    crd.status().conditions().iter().find(|condition| condition.type_() == kind)
}

pub fn is_true(crd: CustomResourceDefinition<'_>, kind: &str) -> bool {
    condition(crd, kind).is_some_and(|condition| condition.status() == "True")
}

fn has(crd: CustomResourceDefinition<'_>, wanted: &Condition) -> bool {
    condition(crd, wanted.kind).is_some_and(|found| {
        found.status() == wanted.status && found.reason() == wanted.reason && found.message() == wanted.message
    })
}

/// Sets a condition; the time of its transition moves only with its status.
pub fn set_condition(object: &mut Edit<'_>, new: &Condition, now: Timestamp) {
    let mut status = object.ensure(CustomResourceDefinition::STATUS);
    let conditions = status.items(CustomResourceDefinitionStatus::CONDITIONS);
    let tree = status.tree();
    let found = conditions
        .into_iter()
        .find(|&id| CustomResourceDefinitionCondition::from_struct(tree.node(id).as_struct()).type_() == new.kind);
    let mut edit = match found {
        Some(id) => tree.edit_at(id),
        None => {
            let ty = CustomResourceDefinitionCondition::TYPE;
            status.append(CustomResourceDefinitionStatus::CONDITIONS, ty)
        }
    };
    let old: CustomResourceDefinitionCondition<'_> = edit.view();
    if old.status() != new.status || old.last_transition_time().is_empty() {
        let now = now.truncate_to_seconds().format();
        edit.set(CustomResourceDefinitionCondition::LAST_TRANSITION_TIME, now.as_str());
    }
    edit.set(CustomResourceDefinitionCondition::TYPE_, new.kind);
    edit.set(CustomResourceDefinitionCondition::STATUS, new.status);
    edit.set(CustomResourceDefinitionCondition::REASON, new.reason);
    edit.set(CustomResourceDefinitionCondition::MESSAGE, new.message.as_str());
}

fn remove_condition(object: &mut Edit<'_>, kind: &str) {
    let Some(mut status) = object.field(CustomResourceDefinition::STATUS) else { return };
    let conditions = status.items(CustomResourceDefinitionStatus::CONDITIONS);
    let tree = status.tree();
    let kept: Vec<Id> = conditions
        .into_iter()
        .filter(|&id| CustomResourceDefinitionCondition::from_struct(tree.node(id).as_struct()).type_() != kind)
        .collect();
    let list = tree.list(&kept);
    status.put(CustomResourceDefinitionStatus::CONDITIONS, list);
}

/// Accepts what names nobody else of the group has. What this definition has itself counts as taken too.
pub fn accept_names(crd: &Tree, taken: &Taken<'_>, now: Timestamp) -> Option<Tree> {
    let view: CustomResourceDefinition<'_> = crd.view();
    if has_its_names(view) {
        return None;
    }
    let (wanted, accepted) = (view.spec().names(), view.status().accepted_names());
    let mut tree = crd.clone();
    let mut edit = tree.edit();
    let mut status = edit.ensure(CustomResourceDefinition::STATUS);
    let mut names = status.ensure(CustomResourceDefinitionStatus::ACCEPTED_NAMES);
    let naming = choose_names(wanted, accepted, taken, &mut names);
    let same_names = names.view::<CustomResourceDefinitionNames>().as_struct().equals(accepted.as_struct());
    if same_names && has(view, &naming) {
        return None;
    }
    let installed = is_true(view, "Established");
    set_condition(&mut edit, &naming, now);
    if !installed {
        let established = if naming.status == "True" {
            let message = "the initial names have been accepted";
            Condition::new("Established", "False", "Installing", message)
        } else {
            match condition(view, "Established") {
                Some(_) => return Some(tree),
                None => Condition::new("Established", "False", "NotAccepted", "not all names are accepted"),
            }
        };
        set_condition(&mut edit, &established, now);
    }
    Some(tree)
}

/// Whether a definition has been given every name that it wants.
pub fn has_its_names(crd: CustomResourceDefinition<'_>) -> bool {
    crd.spec().names().as_struct().equals(crd.status().accepted_names().as_struct())
}

/// The names that a definition has been given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptedNames {
    resources: Box<[Box<str>]>,
    kinds: Box<[Box<str>]>,
}

impl AcceptedNames {
    pub fn of(crd: CustomResourceDefinition<'_>) -> AcceptedNames {
        let names = crd.status().accepted_names();
        let resources = [names.plural(), names.singular()].into_iter().chain(names.short_names().iter());
        AcceptedNames {
            resources: resources.map(Box::from).collect(),
            kinds: [names.kind(), names.list_kind()].map(Box::from).into(),
        }
    }
}

/// The names that the definitions of a group have been given.
pub struct Taken<'n> {
    resources: HashSet<&'n str>,
    kinds: HashSet<&'n str>,
}

impl<'n> FromIterator<&'n AcceptedNames> for Taken<'n> {
    fn from_iter<I: IntoIterator<Item = &'n AcceptedNames>>(all: I) -> Taken<'n> {
        let mut taken = Taken { resources: HashSet::new(), kinds: HashSet::new() };
        for names in all {
            taken.resources.extend(names.resources.iter().map(|name| &**name));
            taken.kinds.extend(names.kinds.iter().map(|name| &**name));
        }
        taken
    }
}

/// Takes over each name that is free, or was this definition's before. The last conflict is the one that is told.
fn choose_names(
    wanted: CustomResourceDefinitionNames<'_>,
    accepted: CustomResourceDefinitionNames<'_>,
    taken: &Taken<'_>,
    names: &mut Edit<'_>,
) -> Condition {
    use CustomResourceDefinitionNames as Names;
    let mut naming = Condition::new("NamesAccepted", "True", "NoConflicts", "no conflicts found");
    let conflict = |wanted: &str, accepted: &str, taken: &HashSet<&str>| {
        (wanted != accepted && taken.contains(wanted)).then(|| format!("{} is already in use", quote(wanted)))
    };
    let mut refuse = |reason, message| naming = Condition::new("NamesAccepted", "False", reason, message);
    let resources = [
        (Names::PLURAL, wanted.plural(), accepted.plural(), "PluralConflict"),
        (Names::SINGULAR, wanted.singular(), accepted.singular(), "SingularConflict"),
    ];
    for (field, wanted, accepted, reason) in resources {
        match conflict(wanted, accepted, &taken.resources) {
            Some(message) => refuse(reason, message),
            None => names.set(field, wanted),
        }
    }
    // A name that was accepted, or that came before, is not looked at.
    let mut known: Seen<&str> = accepted.short_names().iter().collect();
    let added = wanted.short_names().iter().filter(|name| known.insert(*name));
    let conflicts: Vec<String> = added.filter_map(|name| conflict(name, "", &taken.resources)).collect();
    match conflicts.as_slice() {
        [] => set_strings(names, Names::SHORT_NAMES, wanted.short_names().iter()),
        [one] => refuse("ShortNamesConflict", one.clone()),
        several => refuse("ShortNamesConflict", format!("[{}]", several.join(", "))),
    }
    let kinds = [
        (Names::KIND, wanted.kind(), accepted.kind(), "KindConflict"),
        (Names::LIST_KIND, wanted.list_kind(), accepted.list_kind(), "ListKindConflict"),
    ];
    for (field, wanted, accepted, reason) in kinds {
        match conflict(wanted, accepted, &taken.kinds) {
            Some(message) => refuse(reason, message),
            None => names.set(field, wanted),
        }
    }
    set_strings(names, Names::CATEGORIES, wanted.categories().iter());
    naming
}

fn set_strings<'s>(edit: &mut Edit<'_>, field: corten_schema::FieldId, values: impl Iterator<Item = &'s str>) {
    let tree = edit.tree();
    let items: Vec<Id> = values.map(|value| tree.string(value)).collect();
    if items.is_empty() {
        edit.remove(field);
        return;
    }
    let list = tree.list(&items);
    edit.put(field, list);
}

/// Whether a definition's objects are served. One that was established stays so when it asks for names that it cannot
/// have.
pub fn is_served(crd: CustomResourceDefinition<'_>) -> bool {
    is_true(crd, "NamesAccepted") || is_true(crd, "Established")
}

/// Says of a definition whose names are accepted, and that is served, that it is established.
pub fn establish(crd: &Tree, now: Timestamp) -> Option<Tree> {
    let view: CustomResourceDefinition<'_> = crd.view();
    if !is_true(view, "NamesAccepted") || is_true(view, "Established") {
        return None;
    }
    let message = "the initial names have been accepted";
    Some(with_condition(crd, &Condition::new("Established", "True", "InitialNamesAccepted", message), now))
}

fn with_condition(crd: &Tree, condition: &Condition, now: Timestamp) -> Tree {
    let mut tree = crd.clone();
    set_condition(&mut tree.edit(), condition, now);
    tree
}

/// Says of a definition whether its schemas are structural, if they are not.
pub fn note_structure(crd: &Tree, now: Timestamp) -> Option<Tree> {
    let view: CustomResourceDefinition<'_> = crd.view();
    match non_structural(view) {
        None if condition(view, "NonStructuralSchema").is_none() => None,
        None => {
            let mut tree = crd.clone();
            remove_condition(&mut tree.edit(), "NonStructuralSchema");
            Some(tree)
        }
        Some(wanted) if has(view, &wanted) => None,
        Some(wanted) => Some(with_condition(crd, &wanted, now)),
    }
}

fn non_structural(crd: CustomResourceDefinition<'_>) -> Option<Condition> {
    const KIND: &str = "NonStructuralSchema";
    let mut errors = Errors::default();
    let spec = Path::new("spec");
    if crd.spec().preserve_unknown_fields() {
        let path = spec.child("preserveUnknownFields");
        errors.push(Error::invalid(&path, BadValue::Bool(true), "must be false"));
    }
    let versions = spec.child("versions");
    for (index, version) in crd.spec().versions().iter().enumerate() {
        let Some(schema) = version.schema().and_then(|schema| schema.open_api_v3_schema()) else { continue };
        if let Err(error) = Schema::compile(schema) {
            let message = format!("failed to check validation schema for version {}: {error}", version.name());
            return Some(Condition::new(KIND, "Unknown", "StructuralError", message));
        }
        let path = versions.index(index);
        errors.append(structural::validate(schema, &path.child("schema").child("openAPIV3Schema")));
    }
    (!errors.is_empty()).then(|| Condition::new(KIND, "True", "Violations", errors.to_string()))
}

/// Says of a definition in one of the community's groups whether it has been approved.
pub fn note_approval(crd: &Tree, now: Timestamp) -> Option<Tree> {
    let view: CustomResourceDefinition<'_> = crd.view();
    if !approval::is_protected(view.spec().group()) {
        return None;
    }
    let (state, message) = approval::state(view);
    let (status, reason) = match state {
        approval::State::Invalid => ("False", "InvalidAnnotation"),
        approval::State::Missing => ("False", "MissingAnnotation"),
        approval::State::Approved => ("True", "ApprovedAnnotation"),
        approval::State::Bypassed => ("False", "UnapprovedAnnotation"),
    };
    let wanted = Condition::new("KubernetesAPIApprovalPolicyConformant", status, reason, message);
    if has(view, &wanted) { None } else { Some(with_condition(crd, &wanted, now)) }
}

/// Everything that can be said before a definition is served.
pub fn reconcile(crd: &Tree, taken: &Taken<'_>, now: Timestamp) -> Option<Tree> {
    let mut changed = accept_names(crd, taken, now);
    for step in [note_structure, note_approval] {
        if let Some(next) = step(changed.as_ref().unwrap_or(crd), now) {
            changed = Some(next);
        }
    }
    changed
}

/// What a definition that is being deleted needs.
#[derive(Debug)]
pub enum Cleanup {
    /// It is not being deleted, or its objects are gone.
    Nothing,
    /// Its objects are to be deleted; the definition says so, if it did not.
    DeleteObjects { announce: Option<Tree> },
    /// There are no objects: the finalizer can go.
    Finish(Tree),
}

/// How the deletion of a definition's objects went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    All,
    ListFailed(String),
    DeleteFailed(String),
    /// Not all of them were gone in time.
    Remaining(String),
}

pub fn begin_cleanup(crd: &Tree, now: Timestamp) -> Cleanup {
    let view: CustomResourceDefinition<'_> = crd.view();
    let meta = view.metadata();
    if meta.deletion_timestamp().is_none() || !meta.finalizers().contains(CLEANUP_FINALIZER) {
        return Cleanup::Nothing;
    }
    if OVERLAPPING.contains(&(view.spec().group(), view.spec().names().plural())) {
        let message = "instances overlap with built-in resources in storage";
        let overlaps = Condition::new("Terminating", "False", "OverlappingBuiltInResource", message);
        return Cleanup::Finish(finish(crd, &overlaps, now));
    }
    // It is served a while before it says that it is established, and may have objects by then.
    if !is_served(view) {
        let message = "resource was never established";
        return Cleanup::Finish(finish(crd, &Condition::new("Terminating", "False", "NeverEstablished", message), now));
    }
    let message = "CustomResource deletion is in progress";
    let progress = Condition::new("Terminating", "True", "InstanceDeletionInProgress", message);
    let announce = (!has(view, &progress)).then(|| with_condition(crd, &progress, now));
    Cleanup::DeleteObjects { announce }
}

/// What the definition says when the deletion of its objects has ended; without its finalizer if they are gone.
pub fn end_cleanup(crd: &Tree, deleted: &Deleted, now: Timestamp) -> Tree {
    let failed = |reason, message| with_condition(crd, &Condition::new("Terminating", "True", reason, message), now);
    match deleted {
        Deleted::All => {
            let done = Condition::new("Terminating", "False", "InstanceDeletionCompleted", "removed all instances");
            finish(crd, &done, now)
        }
        Deleted::ListFailed(error) => failed("InstanceDeletionFailed", format!("could not list instances: {error}")),
        Deleted::DeleteFailed(error) => {
            failed("InstanceDeletionFailed", format!("could not issue all deletes: {error}"))
        }
        Deleted::Remaining(error) => {
            failed("InstanceDeletionCheck", format!("could not confirm zero CustomResources remaining: {error}"))
        }
    }
}

fn finish(crd: &Tree, condition: &Condition, now: Timestamp) -> Tree {
    let mut tree = with_condition(crd, condition, now);
    let mut edit = tree.edit();
    let mut meta = edit.ensure(CustomResourceDefinition::METADATA);
    let others: Vec<String> = meta
        .view::<ObjectMeta>()
        .finalizers()
        .iter()
        .filter(|name| *name != CLEANUP_FINALIZER)
        .map(str::to_owned)
        .collect();
    set_strings(&mut meta, ObjectMeta::FINALIZERS, others.iter().map(String::as_str));
    tree
}

/// Whether new objects are refused because their definition is going. One that is being deleted stays so when its own
/// cleanup is done, while others' finalizers keep it: what was created then would outlive it.
pub fn is_terminating(crd: CustomResourceDefinition<'_>) -> bool {
    is_true(crd, "Terminating") || crd.metadata().deletion_timestamp().is_some()
}

/// The resource that a definition is of: group and plural name.
pub fn resource_of(crd: CustomResourceDefinition<'_>) -> (&str, &str) {
    let spec: CustomResourceDefinitionSpec<'_> = crd.spec();
    (spec.group(), spec.names().plural())
}
