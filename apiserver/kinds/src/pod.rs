//! Pod.
//!
//! What is said of a pod's spec holds for the templates of other kinds too: see [`crate::pod_template`].

use std::borrow::Cow;

use corten_api::field::{Error, Errors, Path};
use corten_api::time::Timestamp;
use corten_object::tree::{Edit, Node};
use corten_views::core_v1::Pod;

use crate::access::{same, view};
use crate::strategy::{Context, Deletion, MetadataRun, Strategy};

pub mod affinity;
pub mod annotations;
pub mod checks;
pub mod claim_template;
pub mod containers;
pub mod defaults;
mod env;
mod image_reference;
pub mod internal;
mod mounts;
mod network;
mod options;
mod overlaps;
mod prepare;
mod probes;
mod projected;
mod resources;
mod security;
mod spec;
mod status;
mod subresources;
#[cfg(test)]
mod tests;
mod tolerations;
mod topology;
mod totals;
mod update;
pub mod volume_plugins;
pub mod volumes;
pub mod warnings;
mod windows;

pub use options::Options;
pub use prepare::drop_disabled;
pub use spec::validate as validate_spec;
pub use tolerations::validate as validate_tolerations;

const SPEC: Path<'static> = Path::new("spec");

/// `status.podIPs` is known as a label, but always reads as nothing.
pub const SELECTABLE: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

pub struct Pods;

impl Strategy for Pods {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        defaults::pod(object);
    }

    fn prepare_create(&self, object: &mut Edit<'_>, context: &Context<'_>) {
        prepare::create(object, Timestamp::from_seconds(context.now.0));
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        prepare::update(object, old);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_create(view(object), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Pod<'_>, Pod<'_>) = (view(object), view(old));
        let options = options_for(old);
        validate_whole(new, &options, &mut errors);
        update::validate(new, old, &options, &mut errors);
        errors
    }

    fn warn_received(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings::for_app_armor(view(object))
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings::for_pod(view(object))
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<Pod<'_>>(object), view::<Pod<'_>>(old), Pod::SPEC)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    /// A pod that no node has, or that has ended, has nothing to end gracefully; it goes at once, but marked.
    fn deletion(&self, object: Node<'_>, grace_seconds: Option<i64>) -> Deletion {
        let pod: Pod<'_> = view(object);
        let asked = grace_seconds.or(pod.spec().termination_grace_period_seconds()).unwrap_or(0);
        let ended = matches!(pod.status().phase(), "Failed" | "Succeeded");
        let seconds = match asked {
            _ if pod.spec().node_name().is_empty() || ended => 0,
            seconds if seconds < 0 => 1,
            seconds => seconds,
        };
        Deletion::Graceful { seconds }
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        let pod: Pod<'t> = view(object);
        let (spec, status) = (pod.spec(), pod.status());
        let on_host = if spec.host_network() { "true" } else { "false" };
        let address = status.pod_ips().get(0).map_or("", |ip| ip.ip());
        let values = [
            spec.node_name(),
            spec.restart_policy(),
            spec.scheduler_name(),
            spec.service_account_name(),
            on_host,
            status.phase(),
            address,
            "",
            status.nominated_node_name(),
        ];
        out.extend(values.map(Cow::Borrowed));
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        match name {
            "status" => Some(&StatusOfPods),
            "ephemeralcontainers" => Some(&EphemeralContainersOfPods),
            "resize" => Some(&ResizeOfPods),
            _ => None,
        }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

pub struct StatusOfPods;

impl Strategy for StatusOfPods {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Pods.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        status::prepare(object, old);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Pod<'_>, Pod<'_>) = (view(object), view(old));
        let options = options_for(old);
        status::validate(new, old, &options, &mut errors);
        errors
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        status::warnings(view::<Pod<'_>>(object).status())
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]
    }
}

pub struct EphemeralContainersOfPods;

impl Strategy for EphemeralContainersOfPods {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Pods.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        subresources::prepare_ephemeral(object, old);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Pod<'_>, Pod<'_>) = (view(object), view(old));
        let options = options_for(old);
        validate_whole(new, &options, &mut errors);
        subresources::validate_ephemeral(new, old, &options, &mut errors);
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        Pods.metadata_on_update()
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        Pods.generation_changes(object, old)
    }

    fn keeps_generation(&self) -> bool {
        true
    }
}

pub struct ResizeOfPods;

impl Strategy for ResizeOfPods {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Pods.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        subresources::prepare_resize(object, old);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Pod<'_>, Pod<'_>) = (view(object), view(old));
        validate_whole(new, &options_for(old), &mut errors);
        subresources::validate_resize(new, old, &mut errors);
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        Pods.metadata_on_update()
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        Pods.generation_changes(object, old)
    }

    fn keeps_generation(&self) -> bool {
        true
    }
}

fn options_for(old: Pod<'_>) -> Options {
    Options::for_pod(Some((old.spec(), old.metadata())))
}

fn validate_create(pod: Pod<'_>, errors: &mut Errors) {
    validate_whole(pod, &Options::for_pod(None), errors);
    let (spec, annotations) = (pod.spec(), pod.metadata().annotations());
    if !spec.ephemeral_containers().is_empty() {
        errors.push(Error::forbidden(&SPEC.child("ephemeralContainers"), "cannot be set on create"));
    }
    if !spec.node_name().is_empty() && !spec.scheduling_gates().is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(Error::forbidden(&SPEC.child("nodeName"), detail));
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
