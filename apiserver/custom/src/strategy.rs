//! Custom objects in the pipeline of all kinds.

use std::borrow::Cow;
use std::sync::Arc;

use corten_api::field::{Error, Errors, Path, quote};
use corten_api::names;
use corten_api::seen::Seen;
use corten_kinds::strategy::{Context, Strategy};
use corten_object::tree::{Edit, Id, Node, Value, View};
use corten_views::meta_v1::ObjectMeta;

use crate::definition::{Definition, Version};
use crate::scale::{self, Scale};
use crate::values::{self, Correlated};
use crate::{embedded, lists};

#[cfg(test)]
mod tests;

/// The rules of one definition's objects. Like upstream, it works on objects of the request's version, by that version's
/// schema and subresources.
pub struct CustomStrategy {
    definition: Arc<Definition>,
    status: StatusStrategy,
}

/// The rules for writes of the status.
struct StatusStrategy {
    definition: Arc<Definition>,
}

impl CustomStrategy {
    pub fn new(definition: Arc<Definition>) -> CustomStrategy {
        CustomStrategy { status: StatusStrategy { definition: Arc::clone(&definition) }, definition }
    }

    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }
}

impl Definition {
    /// The version of a request; the one that is kept, where the request names none that is known.
    fn of_request(&self, context: &Context<'_>) -> &Arc<Version> {
        self.version(context.version).unwrap_or_else(|| self.storage())
    }
}

impl Definition {
    /// The values of an object of another kind are not looked at; its lists and embedded resources are.
    fn kind_errors(&self, object: Node<'_>) -> Errors {
        let kind = object.get("kind").map_or("", Node::as_str);
        let wanted = &*self.names().kind;
        if kind == wanted {
            return Errors::default();
        }
        Error::invalid(&Path::new("kind"), kind, format!("must be {wanted}")).into()
    }
}

impl Strategy for CustomStrategy {
    fn prepare_create(&self, object: &mut Edit<'_>, context: &Context<'_>) {
        if self.definition.of_request(context).has_status() {
            let root = object.id();
            object.tree().remove_key(root, "status");
        }
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, context: &Context<'_>) {
        if self.definition.of_request(context).has_status() {
            put_back(object, old, "status");
        }
    }

    fn validate(&self, object: Node<'_>, context: &Context<'_>) -> Errors {
        let version = self.definition.of_request(context);
        let schema = version.schema();
        let mut errors = self.definition.kind_errors(object);
        if errors.is_empty() {
            errors = values::validate(object, schema, &Path::root());
            validate_scale(version, object, &mut errors);
        }
        embedded::validate(object, schema, &Path::root(), false, &mut errors);
        lists::validate(object, schema, &Path::root(), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let version = self.definition.of_request(context);
        let schema = version.schema();
        let mut errors = self.definition.kind_errors(object);
        if errors.is_empty() {
            errors = values::validate_update(Correlated::new(object, old, schema), schema, &Path::root());
            validate_scale(version, object, &mut errors);
        }
        embedded::validate(object, schema, &Path::root(), false, &mut errors);
        let mut old_lists = Errors::default();
        lists::validate(old, schema, &Path::root(), &mut old_lists);
        if old_lists.is_empty() {
            lists::validate(object, schema, &Path::root(), &mut errors);
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        finalizer_warnings(object, None)
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        finalizer_warnings(object, Some(old))
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    /// Everything but metadata counts.
    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        let members = |node: Node<'_>| node.as_map().iter().filter(|(key, _)| *key != "metadata").count();
        let same =
            |(key, value): (&str, Node<'_>)| key == "metadata" || old.get(key).is_some_and(|old| old.equals(value));
        members(object) != members(old) || !object.as_map().iter().all(same)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        out.extend(self.definition.selectable().iter().map(|field| field.value(object)));
    }

    fn subresource(&self, name: &str) -> Option<&dyn Strategy> {
        (name == "status").then_some(&self.status as &dyn Strategy)
    }
}

impl Strategy for StatusStrategy {
    /// Nothing but the status is taken, and what managedFields say of it.
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        let root = object.id();
        let Value::Map(old_members) = old.value() else { return };
        let names: Vec<String> = object.node().as_map().iter().map(|(key, _)| key.to_owned()).collect();
        for name in names.iter().filter(|name| !matches!(name.as_str(), "metadata" | "status")) {
            if old.get(name).is_none() {
                object.tree().remove_key(root, name);
            }
        }
        for (name, value) in old_members.iter() {
            match name {
                "status" => {}
                "metadata" => keep_metadata(object, value),
                name => {
                    let tree = object.tree();
                    let value = tree.import(value);
                    tree.set_key(root, name, value);
                }
            }
        }
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let version = self.definition.of_request(context);
        let schema = version.schema();
        let mut errors = Errors::default();
        if let (Some(status), Some(below)) = (object.get("status"), schema.property("status")) {
            let correlated = Correlated { old: old.get("status"), new: Some(status), schema: below };
            errors = values::validate_update(correlated, below, &Path::new("status"));
        }
        if let Some(scale) = version.scale() {
            validate_scale_status(scale, object, &mut errors);
        }
        let mut list_errors = Errors::default();
        lists::validate(object, schema, &Path::root(), &mut list_errors);
        if !list_errors.is_empty() {
            let mut old_lists = Errors::default();
            lists::validate(old, schema, &Path::root(), &mut old_lists);
            if old_lists.is_empty() {
                errors.append(list_errors);
            }
        }
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
}

/// A member as it was in an older object.
fn put_back(object: &mut Edit<'_>, old: Node<'_>, name: &str) {
    let root = object.id();
    let tree = object.tree();
    match old.get(name) {
        Some(value) => {
            let value = tree.import(value);
            tree.set_key(root, name, value);
        }
        None => {
            tree.remove_key(root, name);
        }
    }
}

/// The old metadata, but for what the request's revision and managedFields say.
fn keep_metadata(object: &mut Edit<'_>, old: Node<'_>) {
    let root = object.id();
    let tree = object.tree();
    let kept: Vec<_> = match tree.get(root, "metadata") {
        Some(meta) => {
            let fields = [ObjectMeta::RESOURCE_VERSION, ObjectMeta::MANAGED_FIELDS];
            fields.into_iter().map(|field| (field, tree.field(meta, field))).collect()
        }
        None => Vec::new(),
    };
    let meta: Id = tree.import(old);
    tree.set_key(root, "metadata", meta);
    if tree.type_of(meta) != Some(ObjectMeta::TYPE) {
        return;
    }
    for (field, value) in kept {
        match value {
            Some(value) => tree.set_field(meta, field, value),
            None => tree.remove_field(meta, field),
        }
    }
}

fn validate_scale(version: &Version, object: Node<'_>, errors: &mut Errors) {
    if let Some(scale) = version.scale() {
        validate_scale_spec(scale, object, errors);
        validate_scale_status(scale, object, errors);
    }
}

fn validate_scale_spec(scale: &Scale, object: Node<'_>, errors: &mut Errors) {
    validate_replicas(&scale.spec_replicas_path, object, errors);
}

fn validate_scale_status(scale: &Scale, object: Node<'_>, errors: &mut Errors) {
    validate_replicas(&scale.status_replicas_path, object, errors);
    if let Some(path) = &scale.label_selector_path
        && let Err(message) = scale::string_at(object, path)
    {
        errors.push(Error::invalid(&Path::new(path), "", message));
    }
}

fn validate_replicas(path: &str, object: Node<'_>, errors: &mut Errors) {
    let place = Path::new(path);
    match scale::int_at(object, path) {
        Err(message) => errors.push(Error::invalid(&place, 0i64, message)),
        Ok(Some(replicas)) if replicas < 0 => {
            errors.push(Error::invalid(&place, replicas, "should be a non-negative integer"));
        }
        Ok(Some(replicas)) if replicas > i64::from(i32::MAX) => {
            let detail = format!("should be less than or equal to {}", i32::MAX);
            errors.push(Error::invalid(&place, replicas, detail));
        }
        Ok(_) => {}
    }
}

/// Upstream asks for finalizers that name their domain, but only asks.
fn finalizer_warnings(object: Node<'_>, old: Option<Node<'_>>) -> Vec<String> {
    fn finalizers<'t>(node: Node<'t>) -> impl Iterator<Item = &'t str> {
        let meta = node.get("metadata").map(|meta| ObjectMeta::from_struct(meta.as_struct()));
        meta.into_iter().flat_map(|meta| meta.finalizers().iter())
    }
    let known: Seen<&str> = old.into_iter().flat_map(finalizers).collect();
    let mut added: Vec<&str> = finalizers(object).filter(|name| !known.contains(name)).collect();
    added.sort_unstable();
    added.dedup();
    added.iter().flat_map(|name| finalizer_warning(name)).collect()
}

fn finalizer_warning(name: &str) -> Vec<String> {
    let quoted = quote(name);
    let mut warnings: Vec<String> = names::is_qualified_name(name)
        .into_iter()
        .map(|wrong| format!("metadata.finalizers: {quoted}: {wrong}"))
        .collect();
    if !name.contains('/') && !matches!(name, "orphan" | "foregroundDeletion" | "kubernetes") {
        let path = if name.contains('.') { " including a path (/)" } else { "" };
        warnings.push(format!(
            "metadata.finalizers: {quoted}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"
        ));
    }
    warnings
}
