//! Pod.

use std::borrow::Cow;

use corten_api::field::{Errors, Path};
use corten_object::tree::{Edit, Node};
use corten_views::core_v1::Pod;

use crate::access::view;
use crate::strategy::{Context, Deletion, Strategy};

mod affinity;
mod annotations;
mod checks;
pub mod claim_template;
pub mod containers;
pub mod defaults;
mod env;
mod image_reference;
pub mod internal;
mod mounts;
mod network;
mod options;
mod prepare;
mod probes;
mod projected;
mod resources;
mod security;
mod spec;
#[cfg(test)]
mod tests;
mod tolerations;
mod topology;
mod totals;
mod volume_plugins;
mod volumes;
mod windows;

pub use options::Options;
pub use prepare::drop_disabled;
pub use spec::validate as validate_spec;

const SPEC: Path<'static> = Path::new("spec");

pub struct Pods;

impl Strategy for Pods {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        defaults::pod(object);
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        prepare::create(object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        prepare::update(object, old);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_create(view(object), &mut errors);
        errors
    }
}

fn validate_create(pod: Pod<'_>, errors: &mut Errors) {
    validate_whole(pod, &Options::for_pod(None), errors);
    let (spec, annotations) = (pod.spec(), pod.metadata().annotations());
    if !spec.ephemeral_containers().is_empty() {
        let path = SPEC.child("ephemeralContainers");
        errors.push(corten_api::field::Error::forbidden(&path, "cannot be set on create"));
    }
    if !spec.node_name().is_empty() && !spec.scheduling_gates().is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(corten_api::field::Error::forbidden(&SPEC.child("nodeName"), detail));
    }
    annotations::validate_match(annotations, spec, &SPEC, errors);
}

/// What holds for every pod, new or changed.
fn validate_whole(pod: Pod<'_>, options: &Options, errors: &mut Errors) {
    let metadata = Path::new("metadata");
    let (spec, annotations) = (pod.spec(), pod.metadata().annotations());
    annotations::validate(annotations, spec, options, &metadata.child("annotations"), errors);
    validate_spec(spec, Some(pod.metadata()), options, &SPEC, errors);
    spec::validate_only_for_pod(spec, &SPEC, errors);
}
