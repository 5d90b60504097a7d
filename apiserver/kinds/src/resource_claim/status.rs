//! What a claim was given, who uses it, and what drivers say of it.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::View;
use corten_views::resource_v1::{
    AllocatedDeviceStatus, AllocationResult, DeviceAllocationConfiguration, DeviceClaim, DeviceRequestAllocationResult,
    NetworkDeviceData, ResourceClaim, ResourceClaimConsumerReference, ResourceClaimStatus,
};

use super::spec::{REQUESTS_MAX, Requests, validate_reference};
use crate::devices::{
    CONFIGURATIONS_MAX, SharedDevice, validate_binding_conditions, validate_configuration, validate_list,
    validate_names, validate_pool_name, validate_raw, validate_uid, validate_unique,
};
use crate::object_meta::{FIELD_IMMUTABLE, validate_conditions};
use crate::pod::affinity::validate_node_selector;
use crate::pod::checks::{dns_label, require, required_one_of};
use crate::pod::internal;
use crate::storage::validate_driver_name;

const RESULTS_MAX: usize = 32;
const CONSUMERS_MAX: usize = 256;
const CONDITIONS_MAX: usize = 8;
const ADDRESSES_MAX: usize = 16;
const INTERFACE_LENGTH: usize = 256;
const HARDWARE_ADDRESS_LENGTH: usize = 128;

const STATUS: Path<'static> = Path::new("status");

/// The devices that are given.
pub fn allocated<'t>(status: ResourceClaimStatus<'t>) -> impl Iterator<Item = SharedDevice<'t>> {
    let device = |result: DeviceRequestAllocationResult<'t>| SharedDevice {
        driver: result.driver(),
        pool: result.pool(),
        device: result.device(),
        share: result.share_id().unwrap_or_default(),
    };
    status.allocation().into_iter().flat_map(|allocation| allocation.devices().results().iter()).map(device)
}

/// The device of which a driver speaks.
pub fn device_of(status: AllocatedDeviceStatus<'_>) -> SharedDevice<'_> {
    SharedDevice {
        driver: status.driver(),
        pool: status.pool(),
        device: status.device(),
        share: status.share_id().unwrap_or_default(),
    }
}

pub fn validate_change(new: ResourceClaim<'_>, old: ResourceClaim<'_>, errors: &mut Errors) {
    let (claim, status, was) = (new.spec().devices(), new.status(), old.status());
    validate_consumers(status, &STATUS.child("reservedFor"), errors);
    validate_devices(status, &STATUS.child("devices"), errors);
    if !status.reserved_for().is_empty() {
        let path = STATUS.child("reservedFor");
        if status.allocation().is_none() {
            errors.push(Error::forbidden(&path, "may not be specified when `allocated` is not set"));
        } else if new.metadata().deletion_timestamp().is_some() && adds_consumer(status, was) {
            let detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.push(Error::forbidden(&path, detail));
        }
    }
    let path = STATUS.child("allocation");
    match (status.allocation(), was.allocation()) {
        (Some(new), Some(old)) if !new.as_struct().equals(old.as_struct()) => {
            errors.push(Error::invalid(&path, internal::bad_value(new), FIELD_IMMUTABLE));
        }
        (Some(new), None) => validate_allocation(new, claim, &path, errors),
        _ => {}
    }
}

fn adds_consumer(status: ResourceClaimStatus<'_>, was: ResourceClaimStatus<'_>) -> bool {
    fn key<'t>(one: ResourceClaimConsumerReference<'t>) -> [&'t str; 4] {
        [one.api_group(), one.resource(), one.name(), one.uid()]
    }
    let known: Seen<[&str; 4]> = was.reserved_for().iter().map(key).collect();
    status.reserved_for().iter().any(|consumer| !known.contains(&key(consumer)))
}

fn validate_consumers(status: ResourceClaimStatus<'_>, path: &Path<'_>, errors: &mut Errors) {
    let consumers = status.reserved_for();
    let whole = validate_list(consumers.iter(), Some(CONSUMERS_MAX), path, errors, |consumer, path, errors| {
        require(consumer.resource(), path, "resource", errors);
        require(consumer.name(), path, "name", errors);
        require(consumer.uid(), path, "uid", errors);
    });
    if whole {
        validate_unique(consumers.iter().map(|one| one.uid()), |uid| BadValue::typed(uid), path, errors);
    }
}

fn validate_devices(status: ResourceClaimStatus<'_>, path: &Path<'_>, errors: &mut Errors) {
    let given: Seen<SharedDevice<'_>> = allocated(status).collect();
    validate_list(status.devices().iter(), None, path, errors, |device, path, errors| {
        validate_device(device, &given, path, errors);
    });
    validate_unique(status.devices().iter().map(device_of), SharedDevice::shown, path, errors);
}

fn validate_device(
    device: AllocatedDeviceStatus<'_>,
    given: &Seen<SharedDevice<'_>>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    validate_driver_name(device.driver(), &path.child("driver"), errors);
    validate_pool_name(device.pool(), &path.child("pool"), errors);
    dns_label(device.device(), &path.child("device"), errors);
    if let Some(share) = device.share_id() {
        validate_uid(share, &path.child("shareID"), errors);
    }
    let shared = device_of(device);
    if !given.contains(&shared) {
        errors.push(Error::invalid(path, shared.shown(), "must be an allocated device in the claim"));
    }
    let conditions = path.child("conditions");
    if device.conditions().len() > CONDITIONS_MAX {
        errors.push(Error::too_many(&conditions, device.conditions().len(), CONDITIONS_MAX));
    }
    validate_conditions(device.conditions(), &conditions, errors);
    if let Some(data) = device.data().filter(|data| !data.is_empty() && *data != "null") {
        validate_raw(data, false, &path.child("data"), errors);
    }
    if let Some(network) = device.network_data() {
        validate_network(network, &path.child("networkData"), errors);
    }
}

fn validate_network(network: NetworkDeviceData<'_>, path: &Path<'_>, errors: &mut Errors) {
    for (value, field, max) in [
        (network.interface_name(), "interfaceName", INTERFACE_LENGTH),
        (network.hardware_address(), "hardwareAddress", HARDWARE_ADDRESS_LENGTH),
    ] {
        if value.len() > max {
            errors.push(Error::too_long(&path.child(field), max));
        }
    }
    validate_names(network.ips(), ADDRESSES_MAX, &path.child("ips"), errors, |address, path, errors| {
        errors.append(names::is_valid_interface_address(path, address));
    });
}

fn validate_allocation(allocation: AllocationResult<'_>, claim: DeviceClaim<'_>, path: &Path<'_>, errors: &mut Errors) {
    let claim = &Requests::of(claim);
    let devices = path.child("devices");
    let results = devices.child("results");
    let given = allocation.devices();
    validate_list(given.results().iter(), Some(RESULTS_MAX), &results, errors, |result, path, errors| {
        validate_result(result, claim, path, errors);
    });
    let config = devices.child("config");
    let max = 2 * CONFIGURATIONS_MAX;
    validate_list(given.config().iter(), Some(max), &config, errors, |config, path, errors| {
        validate_allocated_configuration(config, claim, path, errors);
    });
    if let Some(selector) = allocation.node_selector() {
        validate_node_selector(selector, false, &path.child("nodeSelector"), errors);
    }
}

fn validate_result(
    result: DeviceRequestAllocationResult<'_>,
    claim: &Requests<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    validate_reference(result.request(), claim, &path.child("request"), errors);
    validate_driver_name(result.driver(), &path.child("driver"), errors);
    validate_pool_name(result.pool(), &path.child("pool"), errors);
    dns_label(result.device(), &path.child("device"), errors);
    validate_binding_conditions(result.binding_conditions(), result.binding_failure_conditions(), path, errors);
    if let Some(share) = result.share_id() {
        validate_uid(share, &path.child("shareID"), errors);
    }
}

fn validate_allocated_configuration(
    config: DeviceAllocationConfiguration<'_>,
    claim: &Requests<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    required_one_of(config.source(), &["FromClaim", "FromClass"], &path.child("source"), errors);
    validate_names(config.requests(), REQUESTS_MAX, &path.child("requests"), errors, |name, path, errors| {
        validate_reference(name, claim, path, errors);
    });
    validate_configuration(config.opaque(), false, path, errors);
}
