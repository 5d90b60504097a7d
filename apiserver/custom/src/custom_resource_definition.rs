//! The rules of CustomResourceDefinitions themselves.
//!
//! Upstream moves what all versions of a definition share out of them before it looks ([`internal`]), and its errors
//! speak of that form: `spec.validation.openAPIV3Schema` is the schema of every version.

use std::collections::HashSet;

use corten_api::field::Errors;
use corten_api::time::Timestamp;
use corten_kinds::rows::Row;
use corten_kinds::strategy::{Context, Deletion, Strategy};
use corten_object::tree::{Edit, Node, Tree, View};
use corten_views::apiextensions_v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
    CustomResourceDefinitionStatus, ServiceReference, WebhookClientConfig, WebhookConversion,
};
use corten_views::meta_v1::ObjectMeta;

use crate::lifecycle::{self, CLEANUP_FINALIZER, Condition};

pub mod approval;
mod defaults;
mod field_path;
mod internal;
mod raw;
mod schema_rules;
mod stored;
pub(crate) mod structural;
#[cfg(test)]
mod tests;
mod validate;
mod walk;

pub(crate) use defaults::prune_defaults;

/// The row of definitions in the table of kinds.
pub static ROWS: &[Row] = &[Row {
    group: "apiextensions.k8s.io",
    resource: "customresourcedefinitions",
    strategy: &DefinitionStrategy,
    selectable: &[],
}];

pub struct DefinitionStrategy;

struct StatusStrategy;

fn view(node: Node<'_>) -> CustomResourceDefinition<'_> {
    CustomResourceDefinition::from_struct(node.as_struct())
}

impl Strategy for DefinitionStrategy {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        if object.node().as_struct().is_absent() {
            return;
        }
        default_spec(&mut object.ensure(CustomResourceDefinition::SPEC));
        store_version(object, true);
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(CustomResourceDefinition::STATUS);
        raw::canonicalize(object);
        store_version(object, false);
    }

    /// `kubectl wait --for=condition=Established` fails where conditions are null.
    fn awaits_first_status(&self, object: Node<'_>) -> bool {
        view(object).status().conditions().is_empty()
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old, CustomResourceDefinition::STATUS);
        raw::canonicalize(object);
        store_version(object, false);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        validate::validate(view(object))
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        validate::validate_update(view(object), view(old))
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        validate::unknown_formats(view(object)).iter().map(|format| format_warning(format)).collect()
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let known: HashSet<String> = validate::unknown_formats(view(old)).into_iter().collect();
        let new = validate::unknown_formats(view(object));
        new.iter().filter(|format| !known.contains(*format)).map(|format| format_warning(format)).collect()
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !view(object).spec().as_struct().equals(view(old).spec().as_struct())
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    /// Its objects go first.
    fn deletion(&self, _object: Node<'_>, _grace_seconds: Option<i64>) -> Deletion {
        Deletion::Finalize
    }

    fn mark_deleting(&self, object: &mut Edit<'_>, context: &Context<'_>) {
        let mut meta = object.ensure(CustomResourceDefinition::METADATA);
        if !meta.view::<ObjectMeta>().finalizers().contains(CLEANUP_FINALIZER) {
            let mut finalizers = meta.ensure(ObjectMeta::FINALIZERS);
            let list = finalizers.id();
            let tree = finalizers.tree();
            let name = tree.string(CLEANUP_FINALIZER);
            tree.push_item(list, name);
        }
        let now = Timestamp { seconds: context.now.0, nanos: context.now.1 };
        lifecycle::set_condition(object, &Condition::deletion_pending(), now);
    }

    fn subresource(&self, name: &str) -> Option<&dyn Strategy> {
        (name == "status").then_some(&StatusStrategy as &dyn Strategy)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }

    fn convert(&self, object: &Tree, to_version: (&str, &str)) -> Option<Tree> {
        match to_version.1 {
            "v1" => stored::from_kept(object),
            "v1beta1" => stored::to_kept(object),
            _ => None,
        }
    }
}

impl Strategy for StatusStrategy {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        DefinitionStrategy.default(version, object);
    }

    /// Metadata may be changed with the status, as upstream has it.
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old, CustomResourceDefinition::SPEC);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate::validate_status(view(object), &mut errors);
        errors
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

fn format_warning(format: &str) -> String {
    format!("unrecognized format {}", corten_api::field::quote(format))
}

fn put_back(object: &mut Edit<'_>, old: Node<'_>, field: corten_schema::FieldId) {
    match old.as_struct().node(field) {
        Some(value) => {
            let value = object.tree().import(value);
            object.put(field, value);
        }
        None => object.remove(field),
    }
}

fn default_spec(spec: &mut Edit<'_>) {
    let mut names = spec.ensure(CustomResourceDefinitionSpec::NAMES);
    let kind = names.view::<CustomResourceDefinitionNames>().kind().to_owned();
    names.default(CustomResourceDefinitionNames::SINGULAR, kind.to_lowercase().as_str());
    if !kind.is_empty() {
        names.default(CustomResourceDefinitionNames::LIST_KIND, format!("{kind}List").as_str());
    }
    if !spec.has(CustomResourceDefinitionSpec::CONVERSION) {
        let mut conversion = spec.ensure(CustomResourceDefinitionSpec::CONVERSION);
        conversion.set(CustomResourceConversion::STRATEGY, "None");
    }
    let webhook = [
        CustomResourceDefinitionSpec::CONVERSION,
        CustomResourceConversion::WEBHOOK,
        WebhookConversion::CLIENT_CONFIG,
        WebhookClientConfig::SERVICE,
    ];
    if let Some(mut service) = spec.path(webhook) {
        service.default(ServiceReference::PORT, 443i64);
    }
}

/// Notes in the status that the storage version is one that objects are stored in.
fn store_version(object: &mut Edit<'_>, only_if_none: bool) {
    let crd: CustomResourceDefinition<'_> = object.view();
    let stored = crd.status().stored_versions();
    let version = crd.spec().versions().iter().find(|version| version.storage());
    let Some(version) = version.map(|version| version.name().to_owned()) else { return };
    if stored.contains(&version) || (only_if_none && !stored.is_empty()) {
        return;
    }
    let mut status = object.ensure(CustomResourceDefinition::STATUS);
    let mut versions = status.ensure(CustomResourceDefinitionStatus::STORED_VERSIONS);
    let list = versions.id();
    let tree = versions.tree();
    let name = tree.string(&version);
    tree.push_item(list, name);
}
