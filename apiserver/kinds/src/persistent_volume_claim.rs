//! PersistentVolumeClaim.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;
use corten_object::tree::{Edit, Node, Scalar, StringMap, Struct, Tree, View};
use corten_views::core_v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, TypedLocalObjectReference,
    TypedObjectReference, VolumeResourceRequirements,
};

use crate::access::{put_back, same, view};
use crate::label_selector;
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each};
use crate::pod::claim_template::{ClaimLeniency, validate_spec};
use crate::pod::internal;
use crate::resource_name::{is_native, validate_quantity};
use crate::strategy::{Context, MetadataRun, Strategy};

const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const BOUND: &str = "Bound";
const STORAGE: &str = "storage";
const RESIZE_STATUSES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

pub struct PersistentVolumeClaims;
pub struct Status;

impl Strategy for PersistentVolumeClaims {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(PersistentVolumeClaim::STATUS);
        object.ensure(PersistentVolumeClaim::STATUS).set(PersistentVolumeClaimStatus::PHASE, "Pending");
        prepare_sources(object, None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), PersistentVolumeClaim::STATUS);
        prepare_sources(object, Some(view::<PersistentVolumeClaim<'_>>(old).spec()));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let spec = view::<PersistentVolumeClaim<'_>>(object).spec();
        validate_spec(spec, ClaimLeniency::default(), &Path::new("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (PersistentVolumeClaim<'_>, PersistentVolumeClaim<'_>) = (view(object), view(old));
        validate_spec(new.spec(), leniency(old.spec()), &Path::new("spec"), &mut errors);
        validate_change(new, old, &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), PersistentVolumeClaim::SPEC);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_status(view(object), &mut errors);
        errors
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

/// dataSource is the older field for what dataSourceRef holds: each is filled from the other, and what the older one
/// never took is dropped, unless it is there already.
fn prepare_sources(object: &mut Edit<'_>, old: Option<PersistentVolumeClaimSpec<'_>>) {
    let Some(mut spec) = object.field(PersistentVolumeClaim::SPEC) else { return };
    let had_reference = old.is_some_and(|old| old.data_source_ref().is_some());
    let had_source = had_reference || old.is_some_and(|old| old.data_source().is_some());
    let reads: PersistentVolumeClaimSpec<'_> = spec.view();
    let crosses = |reference: TypedObjectReference<'_>| reference.namespace().is_some_and(|name| !name.is_empty());
    if reads.data_source_ref().is_some_and(crosses) && !had_reference {
        spec.remove(PersistentVolumeClaimSpec::DATA_SOURCE_REF);
    }
    let reads: PersistentVolumeClaimSpec<'_> = spec.view();
    if !had_source && reads.data_source_ref().is_none() && !reads.data_source().is_some_and(was_always_taken) {
        spec.remove(PersistentVolumeClaimSpec::DATA_SOURCE);
    }
    normalize_sources(&mut spec);
}

fn was_always_taken(source: TypedLocalObjectReference<'_>) -> bool {
    matches!(
        (source.kind(), source.api_group().unwrap_or_default()),
        ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
    )
}

fn normalize_sources(spec: &mut Edit<'_>) {
    let reads: PersistentVolumeClaimSpec<'_> = spec.view();
    let own =
        |kind: &str, name: &str, group: Option<&str>| (kind.to_owned(), name.to_owned(), group.map(str::to_owned));
    let (field, (kind, name, group)) = match (reads.data_source(), reads.data_source_ref()) {
        (Some(source), None) => {
            (PersistentVolumeClaimSpec::DATA_SOURCE_REF, own(source.kind(), source.name(), source.api_group()))
        }
        (None, Some(source)) if source.namespace().unwrap_or_default().is_empty() => {
            (PersistentVolumeClaimSpec::DATA_SOURCE, own(source.kind(), source.name(), source.api_group()))
        }
        _ => return,
    };
    let made = spec.ensure(field).id();
    let tree = spec.tree();
    for (key, value) in [("kind", Some(kind)), ("name", Some(name)), ("apiGroup", group)] {
        if let Some(value) = value {
            let value = tree.scalar(Scalar::Str(&value));
            tree.set_named(made, key, value);
        }
    }
}

fn leniency(old: PersistentVolumeClaimSpec<'_>) -> ClaimLeniency {
    ClaimLeniency {
        invalid_selector_values: old.selector().is_some_and(|selector| !label_selector::can_select(selector)),
        invalid_api_groups: old.data_source().and_then(TypedLocalObjectReference::api_group).is_some()
            || old.data_source_ref().and_then(TypedObjectReference::api_group).is_some(),
    }
}

fn quantity(list: StringMap<'_>) -> Quantity {
    list.get(STORAGE).and_then(|text| Quantity::parse(text).ok()).unwrap_or_default()
}

/// What may change: the volume once, the class by way of upgrades, and for bound claims size and attributes class.
fn validate_change(new: PersistentVolumeClaim<'_>, old: PersistentVolumeClaim<'_>, errors: &mut Errors) {
    let by_annotation = upgrades_from_annotation(new, old);
    if !by_annotation {
        let value = |claim: PersistentVolumeClaim<'_>| claim.metadata().annotations().get(CLASS).map(str::to_owned);
        let (is, was) = (value(new).unwrap_or_default(), value(old).unwrap_or_default());
        if is != was {
            let path = Path::new("metadata");
            let path = path.child("annotations");
            errors.push(Error::invalid(&path.child(CLASS), is, FIELD_IMMUTABLE));
        }
    }
    let path = Path::new("spec");
    let (new_tree, old_tree) = compared(new, old, by_annotation);
    let (new_spec, old_spec): (PersistentVolumeClaimSpec<'_>, PersistentVolumeClaimSpec<'_>) =
        (new_tree.view(), old_tree.view());
    if !new_spec.as_struct().equals(old_spec.as_struct()) {
        let detail = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
             claims\n{}",
            internal::diff(old_spec, new_spec)
        );
        errors.push(Error::forbidden(&path, detail));
    }
    let mut size = quantity(new.spec().resources().requests());
    let wanted = size.clone();
    size.sub(&quantity(old.spec().resources().requests()));
    if size.sign() < 0 {
        let mut above = wanted;
        above.sub(&quantity(old.status().capacity()));
        if above.sign() <= 0 {
            let path = path.child("resources");
            let path = path.child("requests");
            errors.push(Error::forbidden(&path.child(STORAGE), "field can not be less than status.capacity"));
        }
    }
    if !same(new.spec(), old.spec(), PersistentVolumeClaimSpec::VOLUME_MODE) {
        let value = new.spec().volume_mode().map(BadValue::typed);
        errors.push(Error::invalid(&Path::new("volumeMode"), value, FIELD_IMMUTABLE));
    }
    let class = new.spec().volume_attributes_class_name();
    if class != old.spec().volume_attributes_class_name()
        && old.status().current_volume_attributes_class_name().is_some()
    {
        let to = match class {
            None => "nil",
            Some("") => "empty string",
            Some(_) => return,
        };
        let detail = format!("update to {to} is forbidden when status.currentVolumeAttributesClassName is not nil");
        errors.push(Error::forbidden(&path.child("volumeAttributesClassName"), detail));
    }
}

/// Both specs, with what may differ made the same.
fn compared(new: PersistentVolumeClaim<'_>, old: PersistentVolumeClaim<'_>, by_annotation: bool) -> (Tree, Tree) {
    let copy = |spec: Struct<'_>| {
        let mut tree = Tree::of(PersistentVolumeClaimSpec::TYPE);
        if let Some(node) = spec.as_node() {
            let root = tree.import(node);
            tree.set_root(root);
        }
        tree
    };
    let mut to = copy(new.spec().as_struct());
    let mut from = copy(old.spec().as_struct());
    normalize_sources(&mut from.edit());
    if old.spec().volume_name().is_empty() {
        from.edit().set(PersistentVolumeClaimSpec::VOLUME_NAME, new.spec().volume_name());
    }
    let class = (new.spec().storage_class_name(), old.spec().storage_class_name());
    if by_annotation {
        to.edit().remove(PersistentVolumeClaimSpec::STORAGE_CLASS_NAME);
    } else if let (Some(class), None) = class {
        let annotation = old.metadata().annotations().get(CLASS);
        if annotation.is_none_or(|annotation| annotation == class) {
            to.edit().remove(PersistentVolumeClaimSpec::STORAGE_CLASS_NAME);
        }
    }
    if new.status().phase() == BOUND {
        put_back(&mut to.edit(), old.spec().as_struct(), PersistentVolumeClaimSpec::VOLUME_ATTRIBUTES_CLASS_NAME);
        if !new.spec().resources().requests().is_empty() {
            let size = old.spec().resources().requests().get(STORAGE).unwrap_or("0");
            to.edit()
                .ensure_path([PersistentVolumeClaimSpec::RESOURCES, VolumeResourceRequirements::REQUESTS])
                .set_key(STORAGE, size);
        }
    }
    (to, from)
}

/// From the class in the old annotation to the same in the field.
fn upgrades_from_annotation(new: PersistentVolumeClaim<'_>, old: PersistentVolumeClaim<'_>) -> bool {
    let Some(class) = old.metadata().annotations().get(CLASS) else { return false };
    old.spec().storage_class_name().is_none()
        && new.spec().storage_class_name() == Some(class)
        && new.metadata().annotations().get(CLASS).is_none_or(|annotation| annotation == class)
}

fn validate_status(claim: PersistentVolumeClaim<'_>, errors: &mut Errors) {
    if claim.spec().access_modes().is_empty() {
        errors.push(Error::required(&Path::new("Spec").child("accessModes"), ""));
    }
    let (status, path) = (claim.status(), Path::new("status"));
    let capacity = path.child("capacity");
    for (name, value) in status.capacity().iter() {
        validate_basic(value, &capacity.key(name), errors);
    }
    let resize = path.child("allocatedResourceStatuses");
    for (name, value) in status.allocated_resource_statuses().iter() {
        validate_resource_key(name, &resize, errors);
        if !RESIZE_STATUSES.contains(&value) {
            errors.push(Error::not_supported(&resize, BadValue::typed(name), RESIZE_STATUSES));
        }
    }
    let allocated = path.child("allocatedResources");
    for (name, value) in status.allocated_resources().iter() {
        let path = allocated.key(name);
        if validate_resource_key(name, &allocated, errors) && validate_basic(value, &path, errors) {
            validate_quantity(STORAGE, value, &path, errors);
        }
    }
}

fn validate_basic(value: &str, path: &Path<'_>, errors: &mut Errors) -> bool {
    let value = Quantity::parse(value).map_or(0, |quantity| quantity.value());
    if value < 0 {
        errors.push(Error::invalid(path, value, "must be a valid resource quantity"));
    }
    value >= 0
}

fn validate_resource_key(name: &str, path: &Path<'_>, errors: &mut Errors) -> bool {
    let messages = names::is_qualified_name(name);
    let wrong = !messages.is_empty();
    invalid_each(messages, name, path, errors);
    if !wrong && is_native(name) && name != STORAGE {
        errors.push(Error::not_supported(path, name, &[STORAGE]));
        return false;
    }
    !wrong
}

fn warnings(claim: PersistentVolumeClaim<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if claim.metadata().annotations().contains_key(CLASS) {
        out.push(format!(
            "metadata.annotations[{CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        ));
    }
    let resources = claim.spec().resources();
    for (field, list) in [("requests", resources.requests()), ("limits", resources.limits())] {
        let Some(text) = list.get(STORAGE) else { continue };
        if Quantity::parse(text).is_ok_and(|quantity| quantity.milli_value() % 1000 != 0) {
            let quoted = corten_api::field::quote(text);
            out.push(format!(
                "spec.resources.{field}[{STORAGE}]: fractional byte value {quoted} is invalid, must be an integer"
            ));
        }
    }
    out
}
