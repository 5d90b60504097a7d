//! Names of resources: processors, memory, what devices offer.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;

use crate::object_meta::invalid_each;

const STANDARD: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
    "storage",
    "requests.storage",
];
const HUGE_PAGES: &str = "hugepages-";
const QUOTA_HUGE_PAGES: &str = "requests.hugepages-";
const NATIVE: &str = "kubernetes.io/";
const REQUESTS: &str = "requests.";

pub fn is_huge_pages(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

pub fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || name.starts_with(HUGE_PAGES) || name.starts_with(QUOTA_HUGE_PAGES)
}

pub fn is_standard_of_container(name: &str) -> bool {
    ["cpu", "memory", "ephemeral-storage"].contains(&name) || is_huge_pages(name)
}

/// Unprefixed, or of Kubernetes' own.
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains(NATIVE)
}

pub fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with(REQUESTS) && names::is_qualified_name(&format!("{REQUESTS}{name}")).is_empty()
}

/// Upstream's `validateResourceName`.
pub fn validate(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let messages = names::is_qualified_name(name);
    if !messages.is_empty() {
        invalid_each(messages, name, path, errors);
    } else if !name.contains('/') && !is_standard(name) {
        let detail = "must be a standard resource type or fully qualified";
        errors.push(Error::invalid(path, BadValue::typed(name), detail));
    }
}

/// Upstream's `ValidateContainerResourceName`.
pub fn validate_of_container(name: &str, path: &Path<'_>, errors: &mut Errors) {
    validate(name, path, errors);
    let mut invalid = |detail: &str| errors.push(Error::invalid(path, BadValue::typed(name), detail));
    if !name.contains('/') {
        if !is_standard_of_container(name) {
            invalid("must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        invalid("doesn't follow extended resource name standard");
    }
}

const COUNTED: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Measured in whole things.
pub fn is_counted(name: &str) -> bool {
    COUNTED.contains(&name) || is_extended(name)
}

/// Upstream's `ValidateResourceQuantityValue`.
pub fn validate_quantity(name: &str, quantity: &str, path: &Path<'_>, errors: &mut Errors) {
    let Ok(parsed) = Quantity::parse(quantity) else { return };
    if parsed.sign() < 0 {
        errors.push(Error::invalid(path, quantity, "must be greater than or equal to 0"));
    }
    if is_counted(name) && parsed.milli_value() % 1000 != 0 {
        errors.push(Error::invalid(path, BadValue::typed(quantity), "must be an integer"));
    }
}
