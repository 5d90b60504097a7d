//! PersistentVolume.

mod sources;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;
use corten_api::time::Timestamp;
use corten_object::tree::{Edit, Node, View};
use corten_views::core_v1::{
    CSIPersistentVolumeSource, NodeSelectorRequirement, PersistentVolume, PersistentVolumeSpec, PersistentVolumeStatus,
    VolumeNodeAffinity,
};

use crate::access::{bad_field, put_back, same, view};
use crate::node_labels::warnings_for_node_term;
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each};
use crate::pod::affinity::validate_node_selector;
use crate::pod::checks::{not_supported, one_of, positive_quantity};
use crate::pod::internal;
use crate::strategy::{Context, MetadataRun, Strategy};

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const RECLAIM_POLICIES: &[&str] = &["Delete", "Recycle", "Retain"];
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];
const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const PENDING: &str = "Pending";

/// Labels of nodes that selectors may give up for their successors.
const SUCCESSORS: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
];

const SPEC: Path<'static> = Path::new("spec");

pub struct PersistentVolumes;
pub struct Status;

impl Strategy for PersistentVolumes {
    fn prepare_create(&self, object: &mut Edit<'_>, context: &Context<'_>) {
        object.remove(PersistentVolume::STATUS);
        let mut status = object.ensure(PersistentVolume::STATUS);
        status.set(PersistentVolumeStatus::PHASE, PENDING);
        status.set(PersistentVolumeStatus::LAST_PHASE_TRANSITION_TIME, &now(context));
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), PersistentVolume::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let volume: PersistentVolume<'_> = view(object);
        validate_spec(volume.spec(), volume.metadata().name(), false, &mut errors);
        validate_mount_options(volume, &mut errors);
        errors
    }

    /// The spec is looked through twice, as upstream does, and each finding counts.
    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (PersistentVolume<'_>, PersistentVolume<'_>) = (view(object), view(old));
        let lenient = selects_by_invalid_values(old.spec().node_affinity());
        validate_spec(new.spec(), new.metadata().name(), lenient, &mut errors);
        validate_mount_options(new, &mut errors);
        validate_spec(new.spec(), new.metadata().name(), lenient, &mut errors);
        validate_change(new.spec(), old.spec(), &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Whole]
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, context: &Context<'_>) {
        put_back(object, old.as_struct(), PersistentVolume::SPEC);
        let old = view::<PersistentVolume<'_>>(old).status();
        let mut status = object.ensure(PersistentVolume::STATUS);
        let new: PersistentVolumeStatus<'_> = status.view();
        let given = new.last_phase_transition_time();
        if new.phase() == old.phase() {
            if given.is_none() {
                put_back(&mut status, old.as_struct(), PersistentVolumeStatus::LAST_PHASE_TRANSITION_TIME);
            }
        } else if given.is_none() || given == old.last_phase_transition_time() {
            status.set(PersistentVolumeStatus::LAST_PHASE_TRANSITION_TIME, &now(context));
        }
    }

    fn validate_update(&self, _object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        Errors::default()
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

fn now(context: &Context<'_>) -> String {
    Timestamp::from_seconds(context.now.0).format()
}

fn validate_spec(spec: PersistentVolumeSpec<'_>, name: &str, lenient: bool, errors: &mut Errors) {
    validate_access_modes(spec, &SPEC.child("accessModes"), errors);
    validate_capacity(spec, &SPEC.child("capacity"), errors);
    let policy = spec.persistent_volume_reclaim_policy();
    if !policy.is_empty() {
        one_of(policy, RECLAIM_POLICIES, &SPEC.child("persistentVolumeReclaimPolicy"), errors);
    }
    if let Some(affinity) = spec.node_affinity() {
        let path = SPEC.child("nodeAffinity");
        let path = path.child("required");
        match affinity.required() {
            Some(selector) => validate_node_selector(selector, lenient, &path, errors),
            None => errors.push(Error::required(&path, "must specify required node constraints")),
        }
    }
    sources::validate(spec, name, &SPEC, errors);
    let class = spec.storage_class_name();
    if !class.is_empty() {
        invalid_each(names::name_is_dns_subdomain(class, false), class, &SPEC.child("storageClassName"), errors);
    }
    if let Some(mode) = spec.volume_mode() {
        one_of(mode, VOLUME_MODES, &SPEC.child("volumeMode"), errors);
    }
    if let Some(class) = spec.volume_attributes_class_name() {
        let path = SPEC.child("volumeAttributesClassName");
        if class.is_empty() {
            errors.push(Error::required(&path, "an empty string is disallowed"));
        } else {
            invalid_each(names::name_is_dns_subdomain(class, false), class, &path, errors);
        }
        if spec.csi().is_none() {
            let detail = "has to be specified when using volumeAttributesClassName";
            errors.push(Error::required(&SPEC.child("csi"), detail));
        }
    }
}

/// The rules for a volume that an attachment describes itself.
pub fn validate_inline(spec: PersistentVolumeSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let forbid = |given: bool, field: &str, errors: &mut Errors| {
        if given {
            errors.push(Error::forbidden(&path.child(field), "may not be specified in the context of inline volumes"));
        }
    };
    forbid(spec.claim_ref().is_some(), "claimRef", errors);
    forbid(!spec.capacity().is_empty(), "capacity", errors);
    if spec.csi().is_none() {
        errors.push(Error::required(&path.child("csi"), "has to be specified in the context of inline volumes"));
    }
    validate_access_modes(spec, &path.child("accessModes"), errors);
    if !matches!(spec.persistent_volume_reclaim_policy(), "" | "Retain") {
        let detail = "may only be Retain in the context of inline volumes";
        errors.push(Error::forbidden(&path.child("persistentVolumeReclaimPolicy"), detail));
    }
    forbid(spec.node_affinity().is_some(), "nodeAffinity", errors);
    sources::validate(spec, "", path, errors);
    forbid(!spec.storage_class_name().is_empty(), "storageClassName", errors);
    if spec.volume_mode().is_some_and(|mode| mode != "Filesystem") {
        let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.push(Error::forbidden(&path.child("volumeMode"), detail));
    }
}

fn validate_access_modes(spec: PersistentVolumeSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    if spec.access_modes().is_empty() {
        errors.push(Error::required(path, ""));
    }
    let (mut alone, mut shared) = (false, false);
    for mode in spec.access_modes().iter() {
        if !ACCESS_MODES.contains(&mode) {
            errors.push(not_supported(mode, ACCESS_MODES, path));
        } else if mode == "ReadWriteOncePod" {
            alone = true;
        } else {
            shared = true;
        }
    }
    if alone && shared {
        errors.push(Error::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
}

fn validate_capacity(spec: PersistentVolumeSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let capacity = spec.capacity();
    if capacity.is_empty() {
        errors.push(Error::required(path, ""));
    }
    if capacity.get("storage").is_none() || capacity.len() > 1 {
        let value = bad_field(spec, PersistentVolumeSpec::CAPACITY);
        errors.push(Error::not_supported(path, value, &["storage"]));
    }
    for (name, value) in capacity.iter() {
        let (quantity, path) = (Quantity::parse(value).unwrap_or_default(), path.key(name));
        if quantity.value() < 0 {
            errors.push(Error::invalid(&path, quantity.value(), "must be a valid resource quantity"));
        }
        positive_quantity(&quantity, &path, errors);
    }
}

/// The annotation was for volumes whose plugin knew of options.
fn validate_mount_options(volume: PersistentVolume<'_>, errors: &mut Errors) {
    if volume.metadata().annotations().contains_key(MOUNT_OPTIONS) && !sources::takes_mount_options(volume.spec()) {
        let path = Path::new("metadata");
        let path = path.child("annotations");
        errors.push(Error::forbidden(&path.child(MOUNT_OPTIONS), "may not specify mount options for this volume type"));
    }
}

fn selects_by_invalid_values(affinity: Option<VolumeNodeAffinity<'_>>) -> bool {
    let Some(selector) = affinity.and_then(VolumeNodeAffinity::required) else { return false };
    let invalid = |requirement: NodeSelectorRequirement<'_>| {
        requirement.values().iter().any(|value| !names::is_valid_label_value(value).is_empty())
    };
    selector.node_selector_terms().iter().any(|term| term.match_expressions().iter().any(invalid))
}

fn validate_change(new: PersistentVolumeSpec<'_>, old: PersistentVolumeSpec<'_>, errors: &mut Errors) {
    sources::validate_change(new, old, &SPEC.child("persistentvolumesource"), errors);
    if !same(new, old, PersistentVolumeSpec::VOLUME_MODE) {
        let value = new.volume_mode().map(BadValue::typed);
        errors.push(Error::invalid(&Path::new("volumeMode"), value, FIELD_IMMUTABLE));
    }
    if let Some(affinity) = old.node_affinity()
        && !selects_the_same(new.node_affinity(), affinity)
    {
        let value = new.node_affinity().map_or(BadValue::Null, internal::bad_value);
        let detail = format!("{FIELD_IMMUTABLE}, except for updating from beta label to GA");
        errors.push(Error::invalid(&Path::new("nodeAffinity"), value, detail));
    }
    if old.volume_attributes_class_name().is_some() && new.volume_attributes_class_name().is_none() {
        let path = SPEC.child("volumeAttributesClassName");
        errors.push(Error::forbidden(&path, "update from non-nil value to nil is forbidden"));
    }
}

/// Whether the same nodes are selected by the same labels, or by their successors.
fn selects_the_same(new: Option<VolumeNodeAffinity<'_>>, old: VolumeNodeAffinity<'_>) -> bool {
    let Some(new) = new else { return false };
    let (new, old) = match (new.required(), old.required()) {
        (Some(new), Some(old)) => (new.node_selector_terms(), old.node_selector_terms()),
        (new, old) => return new.is_none() && old.is_none(),
    };
    new.len() == old.len()
        && new.iter().zip(old.iter()).all(|(new, old)| {
            let lists = [(new.match_expressions(), old.match_expressions()), (new.match_fields(), old.match_fields())];
            lists.into_iter().all(|(new, old)| {
                new.len() == old.len() && new.iter().zip(old.iter()).all(|(new, old)| requires_the_same(new, old))
            })
        })
}

fn requires_the_same(new: NodeSelectorRequirement<'_>, old: NodeSelectorRequirement<'_>) -> bool {
    (new.key() == old.key() || SUCCESSORS.contains(&(old.key(), new.key())))
        && new.operator() == old.operator()
        && same(new, old, NodeSelectorRequirement::VALUES)
}

fn warnings(volume: PersistentVolume<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for (annotation, message) in [
        (CLASS, "deprecated since v1.8; use \"storageClassName\" attribute instead"),
        (MOUNT_OPTIONS, "deprecated since v1.31; use \"mountOptions\" attribute instead"),
    ] {
        if volume.metadata().annotations().contains_key(annotation) {
            out.push(format!("metadata.annotations[{annotation}]: {message}"));
        }
    }
    let spec = volume.spec();
    if spec.persistent_volume_reclaim_policy() == "Recycle" {
        out.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .to_owned(),
        );
    }
    if let Some(selector) = spec.node_affinity().and_then(VolumeNodeAffinity::required) {
        let path = SPEC.child("nodeAffinity.required.nodeSelectorTerms");
        for (i, term) in selector.node_selector_terms().iter().enumerate() {
            warnings_for_node_term(term, false, &path.index(i), &mut out);
        }
    }
    sources::warn(spec, &SPEC, &mut out);
    out
}

/// A secret may be named for what could not be expanded before.
fn expands_with_new_secret(new: PersistentVolumeSpec<'_>, old: PersistentVolumeSpec<'_>) -> bool {
    let secret = CSIPersistentVolumeSource::controller_expand_secret_ref;
    old.csi().is_some_and(|old| secret(old).is_none()) && new.csi().is_some_and(|new| secret(new).is_some())
}
