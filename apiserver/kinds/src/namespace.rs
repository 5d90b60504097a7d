//! Namespace, whose life ends by its own list of finalizers, through a subresource of their own.

use std::borrow::Cow;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Edit, Node, Strings, View};
use corten_views::core_v1::{Namespace, NamespaceSpec, NamespaceStatus};
use corten_views::meta_v1::ObjectMeta;

use crate::access::{put_back, view};
use crate::object_meta::{invalid_each, validate_kube_finalizer};
use crate::strategy::{Context, Deletion, MetadataRun, Strategy};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";
const KUBERNETES: &str = "kubernetes";
const ACTIVE: &str = "Active";
const TERMINATING: &str = "Terminating";

pub struct Namespaces;
pub struct Status;
pub struct Finalize;

impl Strategy for Namespaces {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        label_with_name(object);
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(Namespace::STATUS);
        object.ensure(Namespace::STATUS).set(NamespaceStatus::PHASE, ACTIVE);
        if !object.view::<Namespace<'_>>().spec().finalizers().contains(KUBERNETES) {
            let list = object.ensure_path([Namespace::SPEC, NamespaceSpec::FINALIZERS]).id();
            let finalizer = object.tree().string(KUBERNETES);
            object.tree().push_item(list, finalizer);
        }
        label_with_name(object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        let old_spec = view::<Namespace<'_>>(old).spec();
        put_back(&mut object.ensure(Namespace::SPEC), old_spec.as_struct(), NamespaceSpec::FINALIZERS);
        put_back(object, old.as_struct(), Namespace::STATUS);
        label_with_name(object);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let spec = Path::new("spec");
        let path = spec.child("finalizers");
        for finalizer in view::<Namespace<'_>>(object).spec().finalizers().iter() {
            validate_finalizer(finalizer, &path, &mut errors);
        }
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        names::name_is_dns_label(name, prefix)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn deletion(&self, _object: Node<'_>, _grace_seconds: Option<i64>) -> Deletion {
        Deletion::Finalize
    }

    fn mark_deleting(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.ensure(Namespace::STATUS).set(NamespaceStatus::PHASE, TERMINATING);
    }

    fn marks_dependents(&self) -> bool {
        true
    }

    fn is_finished(&self, object: Node<'_>) -> bool {
        view::<Namespace<'_>>(object).spec().finalizers().is_empty()
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        out.push(view::<Namespace<'t>>(object).status().phase().into());
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        match name {
            "status" => Some(&Status),
            "finalize" => Some(&Finalize),
            _ => None,
        }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Namespaces.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Namespace::SPEC);
        label_with_name(object);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let namespace: Namespace<'_> = view(object);
        let (wanted, detail) = match namespace.metadata().deletion_timestamp() {
            None => (ACTIVE, "may only be 'Active' if `deletionTimestamp` is empty"),
            Some(_) => (TERMINATING, "may only be 'Terminating' if `deletionTimestamp` is not empty"),
        };
        if namespace.status().phase() != wanted {
            let phase = BadValue::typed(namespace.status().phase());
            errors.push(Error::invalid(&Path::new("status").child("Phase"), phase, detail));
        }
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        Namespaces.name_errors(name, prefix)
    }

    fn is_finished(&self, object: Node<'_>) -> bool {
        Namespaces.is_finished(object)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

impl Strategy for Finalize {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Namespaces.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Namespace::STATUS);
        label_with_name(object);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let finalizers: Strings<'_> = view::<Namespace<'_>>(object).spec().finalizers();
        let spec = Path::new("spec");
        let path = spec.child("finalizers");
        for (i, finalizer) in finalizers.iter().enumerate() {
            validate_finalizer(finalizer, &path.index(i), &mut errors);
        }
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        Namespaces.name_errors(name, prefix)
    }

    fn is_finished(&self, object: Node<'_>) -> bool {
        Namespaces.is_finished(object)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

/// Every namespace can be selected by its name; nobody can take the label away.
fn label_with_name(object: &mut Edit<'_>) {
    let meta = object.view::<Namespace<'_>>().metadata();
    if meta.name().is_empty() || meta.labels().get(NAME_LABEL) == Some(meta.name()) {
        return;
    }
    let name = meta.name().to_owned();
    object.ensure_path([Namespace::METADATA, ObjectMeta::LABELS]).set_key(NAME_LABEL, &name);
}

fn validate_finalizer(finalizer: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::is_qualified_name(finalizer), finalizer, path, errors);
    validate_kube_finalizer(finalizer, path, errors);
}
