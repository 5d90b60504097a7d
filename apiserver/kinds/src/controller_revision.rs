//! ControllerRevision: a state that a DaemonSet or a StatefulSet can go back to.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::Node;
use corten_views::apps_v1::ControllerRevision;

use crate::access::{same, view};
use crate::object_meta::{FIELD_IMMUTABLE, validate_nonnegative};
use crate::strategy::{Context, MetadataRun, Strategy};

pub struct ControllerRevisions;

impl Strategy for ControllerRevisions {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let revision: ControllerRevision<'_> = view(object);
        validate_nonnegative(revision.revision(), &Path::new("revision"), &mut errors);
        let detail = match revision.data().map(str::trim_start) {
            None | Some("null") => Some("data is mandatory"),
            Some(data) if !data.starts_with('{') => Some("data must be a valid JSON object"),
            Some(_) => None,
        };
        if let Some(detail) = detail {
            errors.push(Error::required(&Path::new("data"), detail));
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (ControllerRevision<'_>, ControllerRevision<'_>) = (view(object), view(old));
        validate_nonnegative(new.revision(), &Path::new("revision"), &mut errors);
        if !same(new, old, ControllerRevision::DATA) {
            let value = new.data().map_or(BadValue::Null, |data| BadValue::Json(data.to_owned()));
            errors.push(Error::invalid(&Path::new("data"), value, FIELD_IMMUTABLE));
        }
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }
}
