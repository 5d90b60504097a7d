//! The rules for metadata that every kind shares.
//!
//! Upstream runs them more than once for an update, once for all kinds and again in the kind's own validation, and each
//! run adds causes to the Status. [`on_create`] and [`on_update`] are what the pipeline calls: they repeat the runs.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::{Node, StringMap, Strings, View};
use corten_views::meta_v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference};

use crate::strategy::{MetadataRun, Strategy};

pub const FIELD_IMMUTABLE: &str = "field is immutable";

const TOTAL_ANNOTATION_SIZE: usize = 256 * 1024;
const MANAGER_LENGTH: usize = 128;
const SUBRESOURCE_LENGTH: usize = 256;
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What is wrong with the metadata of a new object, whose name has been generated already.
pub fn on_create(strategy: &dyn Strategy, meta: ObjectMeta<'_>, namespaced: bool) -> Errors {
    let mut errors = Errors::default();
    run(MetadataRun::Whole, strategy, meta, meta, namespaced, &mut errors);
    errors
}

/// What is wrong with the metadata of an object that is about to replace `old`.
pub fn on_update(strategy: &dyn Strategy, meta: ObjectMeta<'_>, old: ObjectMeta<'_>, namespaced: bool) -> Errors {
    let mut errors = Errors::default();
    validate_generic(meta, namespaced, &path_segment_errors, &METADATA, &mut errors);
    validate_update_generic(meta, old, &METADATA, &mut errors);
    for &kind in strategy.metadata_on_update() {
        run(kind, strategy, meta, old, namespaced, &mut errors);
    }
    errors
}

fn run(
    kind: MetadataRun,
    strategy: &dyn Strategy,
    meta: ObjectMeta<'_>,
    old: ObjectMeta<'_>,
    namespaced: bool,
    errors: &mut Errors,
) {
    let name_errors = |name: &str, prefix| strategy.name_errors(name, prefix);
    match kind {
        MetadataRun::Whole => validate_generic(meta, namespaced, &name_errors, &METADATA, errors),
        MetadataRun::Change => validate_update_generic(meta, old, &METADATA, errors),
    }
    if strategy.checks_finalizer_names() {
        validate_kube_finalizers(meta.finalizers(), &METADATA.child("finalizers"), errors);
    }
}

const METADATA: Path<'static> = Path::new("metadata");

/// The rules for the metadata of the built-in kinds, whose finalizers are qualified or well known.
pub fn validate(
    meta: ObjectMeta<'_>,
    requires_namespace: bool,
    name_errors: &dyn Fn(&str, bool) -> Vec<String>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    validate_generic(meta, requires_namespace, name_errors, path, errors);
    validate_kube_finalizers(meta.finalizers(), &path.child("finalizers"), errors);
}

/// The rules for changes of the metadata of the built-in kinds.
pub fn validate_update(new: ObjectMeta<'_>, old: ObjectMeta<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_update_generic(new, old, path, errors);
    validate_kube_finalizers(new.finalizers(), &path.child("finalizers"), errors);
}

/// The rules for the metadata of any object, custom ones too.
pub fn validate_generic(
    meta: ObjectMeta<'_>,
    requires_namespace: bool,
    name_errors: &dyn Fn(&str, bool) -> Vec<String>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if !meta.generate_name().is_empty() {
        invalid_each(
            name_errors(meta.generate_name(), true),
            meta.generate_name(),
            &path.child("generateName"),
            errors,
        );
    }
    if meta.name().is_empty() {
        errors.push(Error::required(&path.child("name"), "name or generateName is required"));
    } else {
        invalid_each(name_errors(meta.name(), false), meta.name(), &path.child("name"), errors);
    }
    let namespace = path.child("namespace");
    if requires_namespace && meta.namespace().is_empty() {
        errors.push(Error::required(&namespace, ""));
    } else if requires_namespace {
        invalid_each(names::name_is_dns_label(meta.namespace(), false), meta.namespace(), &namespace, errors);
    } else if !meta.namespace().is_empty() {
        errors.push(Error::forbidden(&namespace, "not allowed on this type"));
    }
    validate_nonnegative(meta.generation(), &path.child("generation"), errors);
    validate_labels(meta.labels(), &path.child("labels"), errors);
    validate_annotations(meta.annotations(), &path.child("annotations"), errors);
    validate_owner_references(meta, &path.child("ownerReferences"), errors);
    validate_finalizers(meta, &path.child("finalizers"), errors);
    validate_managed_fields(meta, &path.child("managedFields"), errors);
}

/// The rules for changes of the metadata of any object.
pub fn validate_update_generic(new: ObjectMeta<'_>, old: ObjectMeta<'_>, path: &Path<'_>, errors: &mut Errors) {
    if old.deletion_timestamp().is_some() {
        validate_no_new_finalizers(new.finalizers(), old.finalizers(), &path.child("finalizers"), errors);
    }
    if new.resource_version().is_empty() {
        errors.push(Error::invalid(&path.child("resourceVersion"), "", "must be specified for an update"));
    }
    if new.generation() < old.generation() {
        errors.push(Error::invalid(&path.child("generation"), new.generation(), "must not be decremented"));
    }
    let mut immutable = |field: &str, same: bool, value: BadValue| {
        if !same {
            errors.push(Error::invalid(&path.child(field), value, FIELD_IMMUTABLE));
        }
    };
    immutable("name", new.name() == old.name(), new.name().into());
    immutable("namespace", new.namespace() == old.namespace(), new.namespace().into());
    immutable("uid", new.uid() == old.uid(), BadValue::typed(new.uid()));
    let created = (new.creation_timestamp(), old.creation_timestamp());
    immutable("creationTimestamp", created.0 == created.1, time(Some(created.0).filter(|time| !time.is_empty())));
    let deleted = (new.deletion_timestamp(), old.deletion_timestamp());
    immutable("deletionTimestamp", deleted.0 == deleted.1, time(deleted.0));
    let grace = (new.deletion_grace_period_seconds(), old.deletion_grace_period_seconds());
    immutable("deletionGracePeriodSeconds", grace.0 == grace.1, grace.0.into());

    validate_labels(new.labels(), &path.child("labels"), errors);
    validate_annotations(new.annotations(), &path.child("annotations"), errors);
    validate_owner_references(new, &path.child("ownerReferences"), errors);
    validate_managed_fields(new, &path.child("managedFields"), errors);
}

fn time(value: Option<&str>) -> BadValue {
    value.map_or(BadValue::Null, BadValue::typed)
}

/// Names that can be a part of a URL's path, which is all that some kinds ask for.
pub fn path_segment_errors(name: &str, prefix: bool) -> Vec<String> {
    if !prefix && (name == "." || name == "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"].iter().filter(|part| name.contains(*part)).map(|part| format!("may not contain '{part}'")).collect()
}

/// One error for each message about a value.
pub fn invalid_each(messages: Vec<String>, value: &str, path: &Path<'_>, errors: &mut Errors) {
    for message in messages {
        errors.push(Error::invalid(path, value, message));
    }
}

pub fn validate_nonnegative(value: i64, path: &Path<'_>, errors: &mut Errors) {
    if value < 0 {
        errors.push(Error::invalid(path, value, "must be greater than or equal to 0"));
    }
}

pub fn validate_label_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::is_qualified_name(name), name, path, errors);
}

pub fn validate_labels(labels: StringMap<'_>, path: &Path<'_>, errors: &mut Errors) {
    for (key, value) in labels.iter() {
        validate_label_name(key, path, errors);
        invalid_each(names::is_valid_label_value(value), value, path, errors);
    }
}

pub fn validate_annotations(annotations: StringMap<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.iter() {
        // Unlike a label's, an annotation's prefix may hold capitals.
        invalid_each(names::is_qualified_name(&key.to_lowercase()), key, path, errors);
        size += key.len() + value.len();
    }
    if size > TOTAL_ANNOTATION_SIZE {
        errors.push(Error::too_long(path, TOTAL_ANNOTATION_SIZE));
    }
}

fn validate_owner_references(meta: ObjectMeta<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in meta.owner_references().iter() {
        validate_owner_reference(owner, path, errors);
        if owner.controller() != Some(true) {
            continue;
        }
        let found = format!("{}/{}", owner.kind(), owner.name());
        let Some(first) = &controller else {
            controller = Some(found);
            continue;
        };
        errors.push_with(|| {
            let all = meta.as_struct().node(ObjectMeta::OWNER_REFERENCES).map_or(BadValue::Null, Node::bad_value);
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {found}"
            );
            Error::invalid(path, all, detail)
        });
    }
}

fn validate_owner_reference(owner: OwnerReference<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (group, version) = group_and_version(owner.api_version());
    if version.is_empty() {
        errors.push(Error::invalid(&path.child("apiVersion"), owner.api_version(), "version must not be empty"));
    }
    if owner.kind().is_empty() {
        errors.push(Error::invalid(&path.child("kind"), "", "must not be empty"));
    }
    if owner.name().is_empty() {
        errors.push(Error::invalid(&path.child("name"), "", "must not be empty"));
    }
    if owner.uid().is_empty() {
        errors.push(Error::invalid(&path.child("uid"), BadValue::typed(""), "must not be empty"));
    }
    if (group, version, owner.kind()) == ("", "v1", "Event") {
        errors.push(Error::invalid(path, owner.bad_value(), "/v1, Kind=Event is disallowed from being an owner"));
    }
}

/// The parts of an apiVersion; both empty where it has too many.
pub fn group_and_version(api_version: &str) -> (&str, &str) {
    match api_version.split_once('/') {
        None => ("", api_version),
        Some((_, version)) if version.contains('/') => ("", ""),
        Some(parts) => parts,
    }
}

fn validate_finalizers(meta: ObjectMeta<'_>, path: &Path<'_>, errors: &mut Errors) {
    let finalizers = meta.finalizers();
    for finalizer in finalizers.iter() {
        invalid_each(names::is_qualified_name(finalizer), finalizer, path, errors);
    }
    if finalizers.contains(ORPHAN) && finalizers.contains(FOREGROUND) {
        let detail = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.push(Error::invalid(path, BadValue::strings(finalizers.iter()), detail));
    }
}

fn validate_kube_finalizers(finalizers: Strings<'_>, path: &Path<'_>, errors: &mut Errors) {
    for (i, finalizer) in finalizers.iter().enumerate() {
        validate_kube_finalizer(finalizer, &path.index(i), errors);
    }
}

/// Finalizers without a prefix are the few that Kubernetes itself made.
pub fn validate_kube_finalizer(finalizer: &str, path: &Path<'_>, errors: &mut Errors) {
    if !finalizer.contains('/') && !["kubernetes", ORPHAN, FOREGROUND].contains(&finalizer) {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errors.push(Error::invalid(path, finalizer, detail));
    }
}

fn validate_no_new_finalizers(new: Strings<'_>, old: Strings<'_>, path: &Path<'_>, errors: &mut Errors) {
    let old: Seen<&str> = old.iter().collect();
    let mut extra: Vec<&str> = new.iter().filter(|finalizer| !old.contains(finalizer)).collect();
    if extra.is_empty() {
        return;
    }
    extra.sort_unstable();
    extra.dedup();
    let extra: Vec<String> = extra.into_iter().map(corten_api::field::quote).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        extra.join(", ")
    );
    errors.push(Error::forbidden(path, detail));
}

fn validate_managed_fields(meta: ObjectMeta<'_>, path: &Path<'_>, errors: &mut Errors) {
    for (i, entry) in meta.managed_fields().iter().enumerate() {
        validate_managed_fields_entry(entry, &path.index(i), errors);
    }
}

fn validate_managed_fields_entry(entry: ManagedFieldsEntry<'_>, path: &Path<'_>, errors: &mut Errors) {
    if !["Apply", "Update"].contains(&entry.operation()) {
        let value = BadValue::typed(entry.operation());
        errors.push(Error::invalid(&path.child("operation"), value, "must be `Apply` or `Update`"));
    }
    if !["", "FieldsV1"].contains(&entry.fields_type()) {
        errors.push(Error::invalid(&path.child("fieldsType"), entry.fields_type(), "must be `FieldsV1`"));
    }
    validate_field_manager(entry.manager(), &path.child("manager"), errors);
    if entry.subresource().len() > SUBRESOURCE_LENGTH {
        errors.push(Error::too_long(&path.child("subresource"), SUBRESOURCE_LENGTH));
    }
}

/// A field manager is short and printable.
pub fn validate_field_manager(manager: &str, path: &Path<'_>, errors: &mut Errors) {
    if manager.len() > MANAGER_LENGTH {
        errors.push(Error::too_long(path, MANAGER_LENGTH));
    }
    for (at, c) in manager.char_indices() {
        if !is_printable(c) {
            let detail = || format!("invalid character U+{:04X} (at position {at})", c as u32);
            errors.push_with(|| Error::invalid(path, manager, detail()));
        }
    }
}

/// Go's `unicode.IsPrint`, by the quoting that leaves just those characters alone.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\\') || corten_api::field::quote(c.encode_utf8(&mut [0; 4])).chars().nth(1) == Some(c)
}

/// The pieces of upstream's `ValidateCondition`.
pub fn validate_conditions(
    conditions: corten_object::tree::Items<'_, corten_views::meta_v1::Condition<'_>>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen = Seen::default();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        if !seen.insert(condition.type_()) {
            errors.push(Error::duplicate(&path.child("type"), condition.type_()));
        }
        validate_condition(condition, &path, errors);
    }
}

fn validate_condition(condition: corten_views::meta_v1::Condition<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_label_name(condition.type_(), &path.child("type"), errors);
    let statuses = ["False", "True", "Unknown"];
    if !statuses.contains(&condition.status()) {
        let value = BadValue::typed(condition.status());
        errors.push(Error::not_supported(&path.child("status"), value, &statuses));
    }
    if condition.observed_generation() < 0 {
        let detail = "must be greater than or equal to zero";
        errors.push(Error::invalid(&path.child("observedGeneration"), condition.observed_generation(), detail));
    }
    if condition.last_transition_time().is_empty() {
        errors.push(Error::required(&path.child("lastTransitionTime"), ""));
    }
    let reason = path.child("reason");
    if condition.reason().is_empty() {
        errors.push(Error::required(&reason, ""));
    } else {
        if !is_condition_reason(condition.reason()) {
            errors.push(Error::invalid(&reason, condition.reason(), CONDITION_REASON));
        }
        if condition.reason().len() > 1024 {
            errors.push(Error::too_long(&reason, 1024));
        }
    }
    if condition.message().len() > 32 * 1024 {
        errors.push(Error::too_long(&path.child("message"), 32 * 1024));
    }
}

const CONDITION_REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a \
    string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or \
    'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
    '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

fn is_condition_reason(reason: &str) -> bool {
    let bytes = reason.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(|last| last.is_ascii_alphanumeric() || *last == b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_,:".contains(byte))
}
