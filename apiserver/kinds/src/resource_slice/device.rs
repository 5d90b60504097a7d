//! One device: what it is, what it can take, where it is.

use std::cmp::Ordering;
use std::sync::LazyLock;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::quantity::Quantity;
use corten_object::tree::{Node, View};
use corten_views::resource_v1::{
    CapacityRequestPolicy, CapacityRequestPolicyRange, Device, DeviceAttribute, DeviceCapacity,
    NodeAllocatableResourceMapping,
};
use regex::Regex;

use super::{validate_counter_name, validate_counters, validate_node_name};
use crate::access::{same, view};
use crate::devices::{
    quantity, validate_binding_conditions, validate_list, validate_map, validate_qualified_name, validate_taint,
    validate_unique,
};
use crate::pod::affinity::validate_node_selector;
use crate::pod::checks::dns_label;
use crate::pod::internal;
use crate::resource_name::is_native;

const PROPERTIES_MAX: usize = 32;
const VALUES_MAX: usize = 48;
const VALUE_LENGTH: usize = 64;
const TAINTS_MAX: usize = 16;
const CONSUMPTIONS_MAX: usize = 2;
const OPTIONS_MAX: usize = 10;
/// A domain, a slash and a name.
const NAME_LENGTH: usize = 63 + 1 + 32;

pub fn validate(device: Device<'_>, old: Option<Device<'_>>, by_device: bool, path: &Path<'_>, errors: &mut Errors) {
    dns_label(device.name(), &path.child("name"), errors);
    validate_size(device, path, errors);
    let attributes = path.child("attributes");
    let attribute = |node: Node<'_>, path: &Path<'_>, errors: &mut Errors| validate_attribute(view(node), path, errors);
    validate_map(device.attributes(), None, NAME_LENGTH, &attributes, errors, validate_qualified_name, attribute);
    let shared = device.allow_multiple_allocations() == Some(true);
    let capacity = |node: Node<'_>, path: &Path<'_>, errors: &mut Errors| {
        validate_capacity(view(node), shared, path, errors);
    };
    let capacities = path.child("capacity");
    validate_map(device.capacity(), None, NAME_LENGTH, &capacities, errors, validate_qualified_name, capacity);
    if old.is_none_or(|old| !same(device, old, Device::TAINTS)) {
        validate_list(device.taints().iter(), Some(TAINTS_MAX), &path.child("taints"), errors, validate_taint);
    }
    validate_consumption(device, &path.child("consumesCounters"), errors);
    if by_device {
        validate_place(device, path, errors);
    } else if device.node_name().is_some() || device.node_selector().is_some() || device.all_nodes().is_some() {
        let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to \
            true in the ResourceSlice spec";
        errors.push(Error::invalid(path, BadValue::Null, detail));
    }
    validate_binding_conditions(device.binding_conditions(), device.binding_failure_conditions(), path, errors);
    validate_mappings(device, &path.child("nodeAllocatableResourceMappings"), errors);
}

fn validate_size(device: Device<'_>, path: &Path<'_>, errors: &mut Errors) {
    let properties = device.attributes().len() + device.capacity().len();
    if properties > PROPERTIES_MAX {
        let detail = format!("the total number of attributes and capacities must not exceed {PROPERTIES_MAX}");
        errors.push(Error::invalid(path, properties, detail));
    }
    let values: usize = device.attributes().iter().map(|(_, attribute)| count_values(view(attribute))).sum();
    if values > VALUES_MAX {
        let detail = format!("the total number of attribute values must not exceed {VALUES_MAX}");
        errors.push(Error::invalid(path, values, detail));
    }
}

/// One, or as many as the lists hold.
fn count_values(attribute: DeviceAttribute<'_>) -> usize {
    let listed =
        attribute.bools().len() + attribute.ints().len() + attribute.strings().len() + attribute.versions().len();
    listed.max(1)
}

fn validate_attribute(attribute: DeviceAttribute<'_>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(text) = attribute.string() {
        validate_text(text, &path.child("string"), errors);
    }
    if let Some(version) = attribute.version() {
        validate_version(version, &path.child("version"), errors);
    }
    for (field, name) in [
        (DeviceAttribute::BOOLS, "bools"),
        (DeviceAttribute::INTS, "ints"),
        (DeviceAttribute::STRINGS, "strings"),
        (DeviceAttribute::VERSIONS, "versions"),
    ] {
        if attribute.as_struct().node(field).is_some_and(|list| list.as_list().is_empty()) {
            let empty = BadValue::Json("[]".to_owned());
            errors.push(Error::invalid(&path.child(name), empty, "must not be empty if specified"));
        }
    }
    for (i, text) in attribute.strings().iter().enumerate() {
        validate_text(text, &path.child("strings").index(i), errors);
    }
    for (i, version) in attribute.versions().iter().enumerate() {
        validate_version(version, &path.child("versions").index(i), errors);
    }
    let detail = "exactly one value must be specified";
    match attribute.as_struct().fields().count() {
        0 => errors.push(Error::invalid(path, "", detail)),
        1 => {}
        _ => errors.push(Error::invalid(path, internal::bad_value(attribute), detail)),
    }
}

fn validate_text(text: &str, path: &Path<'_>, errors: &mut Errors) {
    if text.len() > VALUE_LENGTH {
        errors.push(Error::too_long(path, VALUE_LENGTH));
    }
}

/// `1.2.3-alpha.1+build.5`
static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let number = r"(0|[1-9][0-9]*)";
    let before = r"(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)";
    let build = "[0-9a-zA-Z-]+";
    let pattern = format!(r"^{number}\.{number}\.{number}(-{before}(\.{before})*)?(\+{build}(\.{build})*)?$");
    Regex::new(&pattern).ok()
});

fn validate_version(version: &str, path: &Path<'_>, errors: &mut Errors) {
    if !VERSION.as_ref().is_some_and(|pattern| pattern.is_match(version)) {
        errors.push(Error::invalid(path, version, "must be a string compatible with semver.org spec 2.0.0"));
    }
    validate_text(version, path, errors);
}

fn validate_consumption(device: Device<'_>, path: &Path<'_>, errors: &mut Errors) {
    let consumed = device.consumes_counters();
    let whole = validate_list(consumed.iter(), Some(CONSUMPTIONS_MAX), path, errors, |one, path, errors| {
        validate_counter_name(one.counter_set(), &path.child("counterSet"), errors);
        validate_counters(one.counters(), path, errors);
    });
    if whole {
        validate_unique(consumed.iter().map(|one| one.counter_set()), |name| (*name).into(), path, errors);
    }
}

/// Where this device is, if each says it for itself.
fn validate_place(device: Device<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut set = Vec::new();
    match device.node_name() {
        None => {}
        Some("") => errors.push(Error::invalid(&path.child("nodeName"), "", "must not be empty")),
        Some(name) => {
            set.push("`nodeName`");
            validate_node_name(name, &path.child("nodeName"), errors);
        }
    }
    if let Some(selector) = device.node_selector() {
        set.push("`nodeSelector`");
        validate_node_selector(selector, false, &path.child("nodeSelector"), errors);
    }
    match device.all_nodes() {
        None => {}
        Some(true) => set.push("`allNodes`"),
        Some(false) => {
            errors.push(Error::invalid(&path.child("allNodes"), false, "must be either unset or set to true"));
        }
    }
    let detail = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` \
        is set to true in the ResourceSlice spec";
    match set.len() {
        0 => errors.push(Error::required(path, detail)),
        1 => {}
        _ => errors.push(Error::invalid(path, format!("{{{}}}", set.join(", ")), detail)),
    }
}

fn validate_mappings(device: Device<'_>, path: &Path<'_>, errors: &mut Errors) {
    for (name, node) in device.node_allocatable_resource_mappings().iter() {
        let path = path.key(name);
        let mapping: NodeAllocatableResourceMapping<'_> = view(node);
        if !is_native(name) {
            let detail = "must be a node allocatable resource name";
            errors.push(Error::invalid(&path, BadValue::typed(name), detail));
        }
        let (multiplier, key) = (mapping.allocation_multiplier(), mapping.capacity_key());
        if multiplier.is_none() && key.is_none() {
            let detail = "at least one of allocationMultiplier or capacityKey must be set";
            errors.push(Error::invalid(&path, "", detail));
        }
        if let Some(multiplier) = multiplier.map(quantity).filter(|multiplier| multiplier.sign() <= 0) {
            let path = path.child("allocationMultiplier");
            errors.push(Error::invalid(&path, multiplier.to_string(), "must be positive"));
        }
        let path = path.child("capacityKey");
        match key {
            None => {}
            Some("") => errors.push(Error::invalid(&path, "", "capacityKey must not be an empty string")),
            Some(key) if device.capacity().get(key).is_none() => {
                errors.push(Error::not_found(&path, BadValue::typed(key)));
            }
            Some(_) => {}
        }
    }
}

/// Only what several may have a part of has rules for the parts.
fn validate_capacity(capacity: DeviceCapacity<'_>, shared: bool, path: &Path<'_>, errors: &mut Errors) {
    let Some(policy) = capacity.request_policy() else { return };
    let path = path.child("requestPolicy");
    if shared {
        validate_policy(&quantity(capacity.value()), policy, &path, errors);
    } else {
        errors.push(Error::forbidden(&path, "allowMultipleAllocations must be true"));
    }
}

fn validate_policy(capacity: &Quantity, policy: CapacityRequestPolicy<'_>, path: &Path<'_>, errors: &mut Errors) {
    let default = policy.default().map(quantity);
    match (policy.valid_values().is_empty(), policy.valid_range()) {
        (false, Some(_)) => {
            let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
            errors.push(Error::forbidden(path, detail));
        }
        (false, None) => match default {
            None => errors.push(Error::required(&path.child("default"), "required when validValues is defined")),
            Some(default) => validate_options(&default, capacity, policy, &path.child("validValues"), errors),
        },
        (true, Some(range)) => match default {
            None => errors.push(Error::required(&path.child("default"), "required when validRange is defined")),
            Some(default) => validate_range(&default, capacity, range, &path.child("validRange"), errors),
        },
        (true, None) => {}
    }
}

fn validate_options(
    default: &Quantity,
    capacity: &Quantity,
    policy: CapacityRequestPolicy<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let options: Vec<Quantity> = policy.valid_values().iter().map(quantity).collect();
    for (i, pair) in options.windows(2).enumerate().filter(|(_, pair)| pair[0] > pair[1]) {
        let detail = "values must be sorted in ascending order";
        errors.push(Error::invalid(&path.index(i + 1), pair[1].to_string(), detail));
    }
    let whole = validate_list(options.iter(), Some(OPTIONS_MAX), path, errors, |option, path, errors| {
        if option > capacity {
            let detail = format!("option is larger than capacity value: {capacity}");
            errors.push(Error::invalid(path, option.to_string(), detail));
        }
    });
    if whole {
        let keys = options.iter().map(|option| option.value().to_string());
        validate_unique(keys, |key| BadValue::Str(key.clone()), path, errors);
    }
    // A list that is too long is not searched.
    if !whole || !options.iter().any(|option| option.cmp(default) == Ordering::Equal) {
        let detail = "default value is not valid according to the requestPolicy";
        errors.push(Error::invalid(path, default.to_string(), detail));
    }
}

fn validate_range(
    default: &Quantity,
    capacity: &Quantity,
    range: CapacityRequestPolicyRange<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let (min_path, max_path) = (path.child("min"), path.child("max"));
    let Some(min) = range.min().map(quantity) else {
        return errors.push(Error::required(&min_path, "required when validRange is defined"));
    };
    let mut invalid = |wrong: bool, path: &Path<'_>, value: &Quantity, detail: String| {
        if wrong {
            errors.push(Error::invalid(path, value.to_string(), detail));
        }
    };
    invalid(min > *capacity, &min_path, &min, format!("min is larger than capacity value: {capacity}"));
    invalid(*default < min, &min_path, default, format!("default is less than min: {min}"));
    let max = range.max().map(quantity);
    if let Some(max) = &max {
        invalid(min > *max, &max_path, &min, format!("min is larger than max: {max}"));
        invalid(max > capacity, &max_path, max, format!("max is larger than capacity value: {capacity}"));
        invalid(default > max, &max_path, default, format!("default is more than max: {max}"));
    }
    let Some(step) = range.step().map(quantity) else { return };
    let path = path.child("step");
    let mut added = min.clone();
    added.add(&step);
    invalid(added > *capacity, &path, &step, format!("one step {added} is larger than capacity value: {capacity}"));
    for value in std::iter::once(default).chain(&max) {
        // Steps that are nothing reach nothing but the beginning.
        let off = (value.value() - min.value()).checked_rem(step.value()).is_none_or(|rest| rest != 0);
        let detail = format!("value is not a multiple of a given step ({step}) from ({min})");
        invalid(off, &path, value, detail);
    }
}
