//! The claim that an ephemeral volume makes; the rules of its spec are those of any PersistentVolumeClaim.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::View;
use corten_schema::FieldId;
use corten_views::core_v1::{PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate};
use corten_views::meta_v1::ObjectMeta;

use super::checks::{dns_subdomain, not_supported, object_name, positive_quantity, require};
use super::resources::{quantity, validate_value};
use crate::label_selector::{self, Leniency};
use crate::object_meta::{invalid_each, validate_annotations, validate_labels};

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];

/// What a claim keeps although it would not be taken today.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimLeniency {
    pub invalid_selector_values: bool,
    pub invalid_api_groups: bool,
}

/// Metadata of a template: labels and annotations only. The names are upstream's.
const NOT_IN_TEMPLATES: &[(FieldId, &str)] = &[
    (ObjectMeta::NAME, "name"),
    (ObjectMeta::GENERATE_NAME, "generateName"),
    (ObjectMeta::NAMESPACE, "namespace"),
    (ObjectMeta::SELF_LINK, "selfLink"),
    (ObjectMeta::UID, "uID"),
    (ObjectMeta::RESOURCE_VERSION, "resourceVersion"),
    (ObjectMeta::GENERATION, "generation"),
    (ObjectMeta::CREATION_TIMESTAMP, "creationTimestamp"),
    (ObjectMeta::DELETION_TIMESTAMP, "deletionTimestamp"),
    (ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, "deletionGracePeriodSeconds"),
    (ObjectMeta::OWNER_REFERENCES, "ownerReferences"),
    (ObjectMeta::FINALIZERS, "finalizers"),
    (ObjectMeta::MANAGED_FIELDS, "managedFields"),
];

pub fn validate(template: PersistentVolumeClaimTemplate<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_template_metadata(template.metadata(), &path.child("metadata"), errors);
    validate_spec(template.spec(), ClaimLeniency::default(), &path.child("spec"), errors);
}

/// `ValidateTemplateObjectMeta`, for templates of claims of any kind.
pub fn validate_template_metadata(metadata: ObjectMeta<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_annotations(metadata.annotations(), &path.child("annotations"), errors);
    validate_labels(metadata.labels(), &path.child("labels"), errors);
    for &(field, name) in NOT_IN_TEMPLATES {
        if metadata.as_struct().node(field).is_some_and(|node| !node.is_null()) {
            errors.push(Error::forbidden(&path.child(name), "cannot be set"));
        }
    }
}

/// `ValidatePersistentVolumeClaimSpec`.
pub fn validate_spec(
    spec: PersistentVolumeClaimSpec<'_>,
    leniency: ClaimLeniency,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    validate_access_modes(spec, &path.child("accessModes"), leniency, path, errors);
    let storage_path = path.child("resources");
    let storage_path = storage_path.key("storage");
    match spec.resources().requests().get("storage").map(quantity) {
        None => errors.push(Error::required(&storage_path, "")),
        Some(storage) if !positive_quantity(&storage, &storage_path, errors) => {}
        Some(storage) => validate_value("storage", &storage, &storage_path, errors),
    }
    if let Some(class) = spec.storage_class_name().filter(|class| !class.is_empty()) {
        object_name(class, &path.child("storageClassName"), errors);
    }
    if let Some(mode) = spec.volume_mode().filter(|mode| !VOLUME_MODES.contains(mode)) {
        errors.push(not_supported(mode, VOLUME_MODES, &path.child("volumeMode")));
    }
    validate_data_sources(spec, leniency, path, errors);
    if let Some(class) = spec.volume_attributes_class_name().filter(|class| !class.is_empty()) {
        object_name(class, &path.child("volumeAttributesClassName"), errors);
    }
}

fn validate_access_modes(
    spec: PersistentVolumeClaimSpec<'_>,
    modes_path: &Path<'_>,
    leniency: ClaimLeniency,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if spec.access_modes().is_empty() {
        errors.push(Error::required(modes_path, "at least 1 access mode is required"));
    }
    if let Some(selector) = spec.selector() {
        let leniency = Leniency { invalid_values: leniency.invalid_selector_values, ..Leniency::default() };
        label_selector::validate(selector, leniency, &path.child("selector"), errors);
    }
    let (mut alone, mut shared) = (false, false);
    for mode in spec.access_modes().iter() {
        if !ACCESS_MODES.contains(&mode) {
            errors.push(not_supported(mode, ACCESS_MODES, modes_path));
        } else if mode == "ReadWriteOncePod" {
            alone = true;
        } else {
            shared = true;
        }
    }
    if alone && shared {
        errors.push(Error::forbidden(modes_path, "may not use ReadWriteOncePod with other access modes"));
    }
}

fn validate_data_sources(
    spec: PersistentVolumeClaimSpec<'_>,
    leniency: ClaimLeniency,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let (source, reference) = (spec.data_source(), spec.data_source_ref());
    if let Some(source) = source {
        let parts = (source.api_group(), source.kind(), source.name());
        validate_reference(parts, leniency, &path.child("dataSource"), errors);
    }
    if let Some(reference) = reference {
        let path = path.child("dataSourceRef");
        let parts = (reference.api_group(), reference.kind(), reference.name());
        validate_reference(parts, leniency, &path, errors);
        if let Some(namespace) = reference.namespace().filter(|namespace| !namespace.is_empty()) {
            let wrong = names::validate_namespace_name(namespace, false);
            invalid_each(wrong, namespace, &path.child("namespace"), errors);
        }
    }
    let (Some(source), Some(reference)) = (source, reference) else { return };
    let detail = if reference.namespace().is_some_and(|namespace| !namespace.is_empty()) {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if (source.api_group(), source.kind(), source.name())
        != (reference.api_group(), reference.kind(), reference.name())
    {
        "must match dataSourceRef"
    } else {
        return;
    };
    // Upstream shows the path itself as the value, of which JSON knows nothing.
    errors.push(Error::invalid(path, BadValue::Json("{}".to_owned()), detail));
}

type Reference<'t> = (Option<&'t str>, &'t str, &'t str);

fn validate_reference(
    (group, kind, name): Reference<'_>,
    leniency: ClaimLeniency,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    require(name, path, "name", errors);
    require(kind, path, "kind", errors);
    let group = group.unwrap_or_default();
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(Error::invalid(path, kind, detail));
    }
    if !group.is_empty() && !leniency.invalid_api_groups {
        dns_subdomain(group, &path.child("apiGroup"), errors);
    }
}
