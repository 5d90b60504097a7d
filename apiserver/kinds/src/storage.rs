//! StorageClass, VolumeAttributesClass and VolumeAttachment, and what they share with the CSI kinds.

use std::collections::HashMap;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::{Index, Seen};
use corten_object::tree::{Edit, Node, StringMap};
use corten_views::core_v1::TopologySelectorTerm;
use corten_views::storage_v1::{StorageClass, VolumeAttachment, VolumeAttributesClass, VolumeError};

use crate::access::{bad_field, put_back, put_back_metadata, same, view};
use crate::node_labels::deprecation;
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each, validate_label_name};
use crate::persistent_volume;
use crate::strategy::{Context, MetadataRun, Strategy};

const PARAMETERS_SIZE: usize = 256 * 1024;
const PARAMETERS_MAX: usize = 512;
const ATTACHMENT_SIZE: usize = 256 * 1024;
const MESSAGE_SIZE: usize = 1024;
const DRIVER_NAME_LENGTH: usize = 63;

pub struct StorageClasses;
pub struct VolumeAttributesClasses;
pub struct VolumeAttachments;
pub struct VolumeAttachmentStatus;

impl Strategy for StorageClasses {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let class: StorageClass<'_> = view(object);
        validate_provisioner(class.provisioner(), &Path::new("provisioner"), &mut errors);
        validate_parameters(class.parameters(), true, &Path::new("parameters"), &mut errors);
        let policies = ["Delete", "Retain"];
        if let Some(policy) = class.reclaim_policy().filter(|policy| !policy.is_empty() && !policies.contains(policy)) {
            errors.push(Error::not_supported(&Path::new("reclaimPolicy"), BadValue::typed(policy), &policies));
        }
        let modes = ["Immediate", "WaitForFirstConsumer"];
        let path = Path::new("volumeBindingMode");
        match class.volume_binding_mode() {
            None => errors.push(Error::required(&path, "")),
            Some(mode) if !modes.contains(&mode) => {
                errors.push(Error::not_supported(&path, BadValue::typed(mode), &modes));
            }
            Some(_) => {}
        }
        validate_topologies(class, &Path::new("allowedTopologies"), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old): (StorageClass<'_>, StorageClass<'_>) = (view(object), view(old));
        for (field, name) in [
            (StorageClass::PARAMETERS, "parameters"),
            (StorageClass::PROVISIONER, "provisioner"),
            (StorageClass::RECLAIM_POLICY, "reclaimPolicy"),
            (StorageClass::VOLUME_BINDING_MODE, "volumeBindingMode"),
        ] {
            if !same(new, old, field) {
                errors.push(Error::invalid(&Path::new(name), bad_field(new, field), FIELD_IMMUTABLE));
            }
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let path = Path::new("allowedTopologies");
        let mut out = Vec::new();
        for (i, topology) in view::<StorageClass<'_>>(object).allowed_topologies().iter().enumerate() {
            let path = path.index(i);
            let path = path.child("matchLabelExpressions");
            for (j, expression) in topology.match_label_expressions().iter().enumerate() {
                if let Some(message) = deprecation(expression.key()) {
                    out.push(format!("{}: {message}", path.index(j).child("key")));
                }
            }
        }
        out
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, context: &Context<'_>) -> Vec<String> {
        self.warn_create(object, context)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }
}

impl Strategy for VolumeAttributesClasses {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let class: VolumeAttributesClass<'_> = view(object);
        validate_provisioner(class.driver_name(), &Path::new("driverName"), &mut errors);
        validate_parameters(class.parameters(), false, &Path::new("parameters"), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (VolumeAttributesClass<'_>, VolumeAttributesClass<'_>) = (view(object), view(old));
        for (field, name) in
            [(VolumeAttributesClass::DRIVER_NAME, "driverName"), (VolumeAttributesClass::PARAMETERS, "parameters")]
        {
            if !same(new, old, field) {
                errors.push(Error::forbidden(&Path::new(name), format!("updates to {name} are forbidden.")));
            }
        }
        errors.append(self.validate(object, context));
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }
}

impl Strategy for VolumeAttachments {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(VolumeAttachment::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), VolumeAttachment::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_attachment(view(object), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old): (VolumeAttachment<'_>, VolumeAttachment<'_>) = (view(object), view(old));
        if !same(new, old, VolumeAttachment::SPEC) {
            errors.push(Error::invalid(&Path::new("spec"), shown_attachment(new), FIELD_IMMUTABLE));
        }
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole]
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&VolumeAttachmentStatus) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for VolumeAttachmentStatus {
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), VolumeAttachment::SPEC);
        put_back_metadata(object, old.as_struct(), VolumeAttachment::METADATA);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        VolumeAttachments.validate_update(object, old, context)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole]
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }
}

fn validate_provisioner(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.is_empty() {
        return errors.push(Error::required(path, ""));
    }
    let lower = name.to_lowercase();
    invalid_each(names::is_qualified_name(&lower), &lower, path, errors);
}

fn validate_parameters(parameters: StringMap<'_>, may_be_empty: bool, path: &Path<'_>, errors: &mut Errors) {
    if parameters.len() > PARAMETERS_MAX {
        return errors.push(Error::too_long(path, PARAMETERS_MAX));
    }
    let mut size = 0;
    for (key, value) in parameters.iter() {
        if key.is_empty() {
            errors.push(Error::invalid(path, key, "field can not be empty."));
        }
        size += key.len() + value.len();
    }
    if size > PARAMETERS_SIZE {
        errors.push(Error::too_long(path, PARAMETERS_SIZE));
    }
    if !may_be_empty && parameters.is_empty() {
        errors.push(Error::required(path, "must contain at least one key/value pair"));
    }
}

fn validate_topologies(class: StorageClass<'_>, path: &Path<'_>, errors: &mut Errors) {
    let topologies = class.allowed_topologies();
    let mut seen: Index<Vec<(&str, Vec<&str>)>, usize> = Index::default();
    for (i, term) in topologies.iter().enumerate() {
        let path = path.index(i);
        let requirements = validate_topology(term, &path, errors);
        // Upstream's list begins with as many empty terms as there are terms, which an empty one equals.
        let first = if requirements.is_empty() { topologies.len() } else { 0 };
        let earlier = seen.entry(requirements, || first);
        errors.repeat(*earlier, || Error::duplicate(&path.child("matchLabelExpressions"), ""));
        *earlier += 1;
    }
}

/// The requirements of a term, in a form that can be compared.
fn validate_topology<'t>(
    term: TopologySelectorTerm<'t>,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Vec<(&'t str, Vec<&'t str>)> {
    let mut by_key: HashMap<&str, Vec<&str>> = HashMap::new();
    let path = path.child("matchLabelExpressions");
    for (i, requirement) in term.match_label_expressions().iter().enumerate() {
        let path = path.index(i);
        let values = path.child("values");
        if requirement.values().is_empty() {
            errors.push(Error::required(&values, ""));
        }
        let mut seen = Seen::default();
        for (j, value) in requirement.values().iter().enumerate() {
            if !seen.insert(value) {
                errors.push(Error::duplicate(&values.index(j), value));
            }
        }
        validate_label_name(requirement.key(), &path.child("key"), errors);
        if by_key.insert(requirement.key(), seen.sorted().into_iter().copied().collect()).is_some() {
            errors.push(Error::duplicate(&path.child("key"), requirement.key()));
        }
    }
    let mut out: Vec<_> = by_key.into_iter().collect();
    out.sort_unstable();
    out
}

/// Upstream's `ValidateCSIDriverName`.
pub fn validate_driver_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.is_empty() {
        return errors.push(Error::required(path, ""));
    }
    if name.len() > DRIVER_NAME_LENGTH {
        errors.push(Error::too_long(path, DRIVER_NAME_LENGTH));
    }
    invalid_each(names::is_dns1123_subdomain(&name.to_lowercase()), name, path, errors);
}

fn validate_attachment(attachment: VolumeAttachment<'_>, errors: &mut Errors) {
    let (spec, path) = (attachment.spec(), Path::new("spec"));
    validate_driver_name(spec.attacher(), &path.child("attacher"), errors);
    let source = path.child("source");
    let volume = spec.source().persistent_volume_name();
    let exactly_one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (spec.source().inline_volume_spec(), volume) {
        (None, None) => errors.push(Error::required(&source, exactly_one)),
        (Some(_), Some(_)) => errors.push(Error::forbidden(&source, exactly_one)),
        (None, Some("")) => {
            let detail = "must specify non empty persistentVolumeName";
            errors.push(Error::required(&source.child("persistentVolumeName"), detail));
        }
        (Some(inline), None) => persistent_volume::validate_inline(inline, &source.child("inlineVolumeSpec"), errors),
        (None, Some(_)) => {}
    }
    let node = names::name_is_dns_subdomain(spec.node_name(), false);
    invalid_each(node, spec.node_name(), &path.child("nodeName"), errors);
    let (status, path) = (attachment.status(), Path::new("status"));
    let size: usize = status.attachment_metadata().iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > ATTACHMENT_SIZE {
        errors.push(Error::too_long(&path.child("attachmentMetadata"), ATTACHMENT_SIZE));
    }
    for (field, error) in [("attachError", status.attach_error()), ("detachError", status.detach_error())] {
        if let Some(error) = error {
            validate_error(error, &path.child(field), errors);
        }
    }
    if let Some(volume) = volume {
        let path = Path::new("spec.source.persistentVolumeName");
        invalid_each(names::name_is_dns_subdomain(volume, false), volume, &path, errors);
    }
}

fn validate_error(error: VolumeError<'_>, path: &Path<'_>, errors: &mut Errors) {
    if error.message().len() > MESSAGE_SIZE {
        // The limit that upstream names is another one.
        errors.push(Error::too_long(&path.child("message"), ATTACHMENT_SIZE));
    }
    if let Some(code) = error.error_code().filter(|code| *code < 0) {
        let detail = names::inclusive_range_error(0, i64::from(i32::MAX));
        errors.push(Error::invalid(&path.child("errorCode"), code, detail));
    }
}

/// The spec as Go's JSON of the internal type shows it, where its source is a volume's name.
fn shown_attachment(attachment: VolumeAttachment<'_>) -> BadValue {
    let spec = attachment.spec();
    if spec.source().inline_volume_spec().is_some() {
        return bad_field(attachment, VolumeAttachment::SPEC);
    }
    let volume = spec.source().persistent_volume_name().map_or(BadValue::Null, BadValue::typed);
    let source = crate::access::go_struct(&[("PersistentVolumeName", volume), ("InlineVolumeSpec", BadValue::Null)]);
    crate::access::go_struct(&[
        ("Attacher", spec.attacher().into()),
        ("Source", source),
        ("NodeName", spec.node_name().into()),
    ])
}
