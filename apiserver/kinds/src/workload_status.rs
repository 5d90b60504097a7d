//! The status subresource of kinds whose spec it leaves alone.

use corten_api::field::{Error, Errors, Path};
use corten_object::tree::{Edit, Node};
use corten_schema::FieldId;

use crate::access::put_back;
use crate::object_meta::validate_nonnegative;
use crate::strategy::{Context, MetadataRun, Strategy};

pub struct StatusOf {
    pub kind: &'static dyn Strategy,
    pub spec: FieldId,
    /// Of the new and the old object.
    pub validate: fn(Node<'_>, Node<'_>, &mut Errors),
    pub metadata: &'static [MetadataRun],
    /// Puts back what of the old object the kind keeps beside the spec.
    pub carry: fn(&mut Edit<'_>, Node<'_>),
}

pub fn nothing_else(_: &mut Edit<'_>, _: Node<'_>) {}

impl Strategy for StatusOf {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        self.kind.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), self.spec);
        (self.carry)(object, old);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        (self.validate)(object, old, &mut errors);
        errors
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        self.kind.name_errors(name, prefix)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        self.metadata
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

pub type Count<'n> = (i64, &'n str);

/// None is negative; those of the second list are not more than `replicas`, and available ones not more than ready ones.
pub fn validate_counts(counts: &[Count<'_>], parts: &[Count<'_>], replicas: i64, errors: &mut Errors) {
    let path = Path::new("status");
    for (count, field) in counts {
        validate_nonnegative(*count, &path.child(field), errors);
    }
    for (part, field) in parts.iter().filter(|(part, _)| *part > replicas) {
        errors.push(Error::invalid(&path.child(field), *part, "cannot be greater than status.replicas"));
    }
}

/// `than`: what upstream calls the ready ones.
pub fn validate_available(available: i64, ready: i64, than: &str, errors: &mut Errors) {
    if available > ready {
        let detail = format!("cannot be greater than {than}");
        errors.push(Error::invalid(&Path::new("status.availableReplicas"), available, detail));
    }
}

/// The count of name collisions only grows.
pub fn validate_collision_count(new: Option<i64>, old: Option<i64>, errors: &mut Errors) {
    if old.is_some_and(|old| new.is_none_or(|new| new < old)) {
        let path = Path::new("status.collisionCount");
        errors.push(Error::invalid(&path, new.unwrap_or(0), "cannot be decremented"));
    }
}
