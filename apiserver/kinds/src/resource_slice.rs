//! ResourceSlice: what devices a driver has, on a node or for several.

mod device;

use std::borrow::Cow;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::time::Timestamp;
use corten_object::tree::{Edit, Items, Map, Node, View};
use corten_views::core_v1::NodeSelector;
use corten_views::resource_v1::{
    CounterSet, Device, DeviceAttribute, DeviceTaint, ResourcePool, ResourceSlice, ResourceSliceSpec,
};

use crate::access::{bad_field, same, view};
use crate::devices::{validate_list, validate_map, validate_pool_name, validate_unique};
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each};
use crate::pod::affinity::validate_node_selector;
use crate::pod::checks::dns_label;
use crate::pod::internal;
use crate::storage::validate_driver_name;
use crate::strategy::{Context, MetadataRun, Strategy};

pub const SELECTABLE: &[&str] = &["spec.driver", "spec.nodeName"];
const DEVICES_MAX: usize = 128;
/// Where taints, counters or lists make devices large.
const LARGE_DEVICES_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;
const COUNTERS_MAX: usize = 32;
const LABEL_LENGTH: usize = 63;

const SPEC: Path<'static> = Path::new("spec");

pub struct ResourceSlices;

impl Strategy for ResourceSlices {
    fn prepare_create(&self, object: &mut Edit<'_>, context: &Context<'_>) {
        prepare(object, None, context);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, context: &Context<'_>) {
        prepare(object, Some(view(old)), context);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_spec(view::<ResourceSlice<'_>>(object).spec(), None, &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old) = (view::<ResourceSlice<'_>>(object).spec(), view::<ResourceSlice<'_>>(old).spec());
        validate_spec(new, Some(old), &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let driver = view::<ResourceSlice<'_>>(object).spec().driver();
        if driver == driver.to_lowercase() {
            return Vec::new();
        }
        let driver = corten_api::field::quote(driver);
        vec![format!("spec.driver: driver names should be lowercase; {driver} contains uppercase characters")]
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, context: &Context<'_>) -> Vec<String> {
        self.warn_create(object, context)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<ResourceSlice<'_>>(object), view::<ResourceSlice<'_>>(old), ResourceSlice::SPEC)
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change]
    }

    fn unknown_label(&self, label: &str) -> String {
        format!("field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {label}")
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        let spec = view::<ResourceSlice<'_>>(object).spec();
        out.push(spec.driver().into());
        out.push(spec.node_name().unwrap_or_default().into());
    }
}

/// A taint has been there since somebody put it there. Lists as attributes and what devices take of a node's resources
/// are not served yet, unless they are there already.
fn prepare(object: &mut Edit<'_>, old: Option<ResourceSlice<'_>>, context: &Context<'_>) {
    let Some(mut spec) = object.field(ResourceSlice::SPEC) else { return };
    let old = old.map(ResourceSlice::spec);
    let keeps_lists = old.is_some_and(has_lists);
    let maps = |device: Device<'_>| !device.node_allocatable_resource_mappings().is_empty();
    let keeps_mappings = old.is_some_and(|old| old.devices().iter().any(maps));
    let now = Timestamp::from_seconds(context.now.0).format();
    for id in spec.items(ResourceSliceSpec::DEVICES) {
        let mut device = spec.at(id);
        for taint in device.items(Device::TAINTS) {
            device.at(taint).default(DeviceTaint::TIME_ADDED, &now);
        }
        if !keeps_mappings {
            device.remove(Device::NODE_ALLOCATABLE_RESOURCE_MAPPINGS);
        }
        if keeps_lists {
            continue;
        }
        let attributes: Vec<_> = device.view::<Device<'_>>().attributes().iter().map(|(_, node)| node.id()).collect();
        for attribute in attributes {
            let mut attribute = device.at(attribute);
            for field in LISTS {
                attribute.remove(*field);
            }
        }
    }
}

const LISTS: &[corten_schema::FieldId] =
    &[DeviceAttribute::BOOLS, DeviceAttribute::INTS, DeviceAttribute::STRINGS, DeviceAttribute::VERSIONS];

fn has_lists(spec: ResourceSliceSpec<'_>) -> bool {
    let lists = |attribute: Node<'_>| LISTS.iter().any(|field| attribute.as_struct().has(*field));
    spec.devices().iter().any(|device| device.attributes().iter().any(|(_, attribute)| lists(attribute)))
}

fn validate_spec(spec: ResourceSliceSpec<'_>, old: Option<ResourceSliceSpec<'_>>, errors: &mut Errors) {
    validate_driver_name(spec.driver(), &SPEC.child("driver"), errors);
    validate_pool(spec.pool(), &SPEC.child("pool"), errors);
    if let Some(old) = old {
        validate_change(spec, old, errors);
    }
    validate_place(spec, errors);
    if spec.as_struct().has(ResourceSliceSpec::SHARED_COUNTERS) && spec.as_struct().has(ResourceSliceSpec::DEVICES) {
        errors.push(Error::invalid(&SPEC, "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let large =
        spec.devices().iter().any(|device| !device.taints().is_empty() || !device.consumes_counters().is_empty());
    let max = if large || has_lists(spec) { LARGE_DEVICES_MAX } else { DEVICES_MAX };
    let path = SPEC.child("devices");
    let by_device = spec.per_device_node_selection() == Some(true);
    let whole = validate_list(spec.devices().iter(), Some(max), &path, errors, |device, path, errors| {
        let old = old.and_then(|old| old.devices().iter().find(|old| old.name() == device.name()));
        device::validate(device, old, by_device, path, errors);
    });
    if whole {
        validate_unique(spec.devices().iter().map(|device| device.name()), |name| (*name).into(), &path, errors);
    }
    validate_counter_sets(spec.shared_counters(), &SPEC.child("sharedCounters"), errors);
}

fn validate_pool(pool: ResourcePool<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_pool_name(pool.name(), &path.child("name"), errors);
    let (count, generation) = (pool.resource_slice_count(), pool.generation());
    if count <= 0 {
        errors.push(Error::invalid(&path.child("resourceSliceCount"), count, "must be greater than zero"));
    }
    if generation < 0 {
        errors.push(Error::invalid(&path.child("generation"), generation, "must be greater than or equal to zero"));
    }
}

fn validate_change(spec: ResourceSliceSpec<'_>, old: ResourceSliceSpec<'_>, errors: &mut Errors) {
    let (new_pool, old_pool) = (spec.pool().name(), old.pool().name());
    if new_pool != old_pool {
        errors.push(Error::invalid(&SPEC.child("pool.name"), new_pool, FIELD_IMMUTABLE));
    }
    if spec.driver() != old.driver() {
        errors.push(Error::invalid(&SPEC.child("driver"), spec.driver(), FIELD_IMMUTABLE));
    }
    if spec.node_name() != old.node_name() {
        errors.push(Error::invalid(&SPEC.child("nodeName"), spec.node_name(), FIELD_IMMUTABLE));
    }
}

/// Where the devices are is said in one way.
fn validate_place(spec: ResourceSliceSpec<'_>, errors: &mut Errors) {
    let mut set = Vec::new();
    match spec.node_name() {
        None => {}
        Some("") => {
            let detail = "must be either unset or set to a non-empty string";
            errors.push(Error::invalid(&SPEC.child("nodeName"), "", detail));
        }
        Some(name) => {
            set.push("`nodeName`");
            validate_node_name(name, &SPEC.child("nodeName"), errors);
        }
    }
    if let Some(selector) = spec.node_selector() {
        set.push("`nodeSelector`");
        let path = SPEC.child("nodeSelector");
        validate_node_selector(selector, false, &path, errors);
        if selector.node_selector_terms().len() != 1 {
            let path = path.child("nodeSelectorTerms");
            errors.push(Error::invalid(&path, bad_terms(selector), "must have exactly one node selector term"));
        }
    }
    for (value, field, name) in [
        (spec.all_nodes(), "allNodes", "`allNodes`"),
        (spec.per_device_node_selection(), "perDeviceNodeSelection", "`perDeviceNodeSelection`"),
    ] {
        match value {
            None => {}
            Some(true) => set.push(name),
            Some(false) => {
                errors.push(Error::invalid(&SPEC.child(field), false, "must be either unset or set to true"));
            }
        }
    }
    let one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errors.push(Error::required(&SPEC, one)),
        1 => {}
        _ => {
            let detail = format!("{one}, but multiple fields are set");
            errors.push(Error::invalid(&SPEC, format!("{{{}}}", set.join(", ")), detail));
        }
    }
}

fn bad_terms(selector: NodeSelector<'_>) -> BadValue {
    if selector.as_struct().has(NodeSelector::NODE_SELECTOR_TERMS) {
        internal::bad_list(selector.node_selector_terms().nodes().iter())
    } else {
        bad_field(selector, NodeSelector::NODE_SELECTOR_TERMS)
    }
}

pub fn validate_node_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::name_is_dns_subdomain(name, false), name, path, errors);
}

fn validate_counter_sets<'t>(sets: Items<'t, CounterSet<'t>>, path: &Path<'_>, errors: &mut Errors) {
    let whole = validate_list(sets.iter(), Some(COUNTER_SETS_MAX), path, errors, |set, path, errors| {
        validate_counter_name(set.name(), &path.child("name"), errors);
        validate_counters(set.counters(), path, errors);
    });
    if whole {
        validate_unique(sets.iter().map(|set| set.name()), |name| (*name).into(), path, errors);
    }
}

pub fn validate_counter_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.is_empty() { errors.push(Error::required(path, "")) } else { dns_label(name, path, errors) }
}

/// Counters by their names; what they count may be any quantity.
pub fn validate_counters(counters: Map<'_>, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("counters");
    if counters.is_empty() {
        return errors.push(Error::required(&path, ""));
    }
    validate_map(counters, Some(COUNTERS_MAX), LABEL_LENGTH, &path, errors, dns_label, |_, _, _| {});
}
