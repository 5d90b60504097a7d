//! Requests and limits, of containers and of whole pods.

use std::borrow::Cow;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;
use corten_api::seen::{Index, Seen};
use corten_object::tree::{Items, StringMap, View};
use corten_views::core_v1::{PodResourceClaim, PodSpec, ResourceClaim, ResourceRequirements};

use super::checks::{TextSet, dns_label, object_name};
use super::internal;
use super::options::Options;
use super::totals::{self, Amounts};

const HUGE_PAGES: &str = "hugepages-";
/// Sorted, as errors list them.
const POD_LEVEL: &[&str] = &["cpu", HUGE_PAGES, "memory"];
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
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];
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

/// A quantity of an object: parsing has seen to it that it is one.
pub fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_default()
}

pub fn is_huge_pages(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// Whether a number of bytes is a whole number of pages of the size that the resource's name says.
pub fn is_whole_pages(name: &str, value: &Quantity) -> bool {
    let Some(Ok(page)) = name.strip_prefix(HUGE_PAGES).map(Quantity::parse) else { return false };
    page.sign() > 0 && page.milli_value() % 1000 == 0 && page.value() != 0 && value.value() % page.value() == 0
}

pub fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_pages(name)
}

pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

pub fn is_overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_pages(name)
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::is_qualified_name(&format!("requests.{name}")).is_empty()
}

pub fn validate_container(
    requirements: ResourceRequirements<'_>,
    claims: &TextSet<'_>,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let parts = (requirements.limits(), requirements.requests());
    validate_lists(parts, validate_container_name, options, path, errors);
    validate_claim_names(requirements.claims(), claims, &path.child("claims"), errors);
}

pub fn validate_overhead(overhead: StringMap<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let none = ResourceRequirements::from_struct(corten_object::tree::Struct::ABSENT);
    validate_lists((overhead, none.requests()), validate_container_name, options, path, errors);
}

/// Resources of the pod as a whole.
pub fn validate_pod(spec: PodSpec<'_>, claims: &TextSet<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let Some(requirements) = spec.resources() else { return };
    if spec.os().is_some_and(|os| os.name() == "windows") {
        errors.push(Error::forbidden(path, "may not be set for a windows pod"));
        return;
    }
    if requirements.as_struct().has(ResourceRequirements::CLAIMS) {
        errors.push(Error::forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level"));
    }
    let parts = (requirements.limits(), requirements.requests());
    validate_lists(parts, validate_pod_level_name, options, path, errors);
    validate_claim_names(requirements.claims(), claims, &path.child("claims"), errors);
    validate_sums(spec, requirements, path, errors);
}

type ValidateName = fn(&str, &Path<'_>, &mut Errors);

fn validate_lists(
    (limits, requests): (StringMap<'_>, StringMap<'_>),
    validate_name: ValidateName,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let (mut computes, mut huge) = (false, false);
    for (name, value) in limits.iter() {
        let value = quantity(value);
        validate_amount(name, &value, validate_name, options, &limits_path.key(name), errors);
        computes |= matches!(name, "cpu" | "memory");
        huge |= is_huge_pages(name);
    }
    for (name, value) in requests.iter() {
        let value = quantity(value);
        let path = requests_path.key(name);
        validate_name(name, &path, errors);
        validate_value(name, &value, &path, errors);
        match limits.get(name).map(quantity) {
            Some(limit) if value != limit && !is_overcommit_allowed(name) => {
                let detail = format!("must be equal to {name} limit of {limit}");
                errors.push(Error::invalid(&requests_path, value.to_string(), detail));
            }
            Some(limit) if value > limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                errors.push(Error::invalid(&requests_path, value.to_string(), detail));
            }
            None if !is_overcommit_allowed(name) => {
                errors.push(Error::required(&limits_path, "Limit must be set for non overcommitable resources"));
            }
            _ => {}
        }
        validate_pages(name, &value, options, &path, errors);
        computes |= matches!(name, "cpu" | "memory");
        huge |= is_huge_pages(name);
    }
    if huge && !computes {
        errors.push(Error::forbidden(path, "HugePages require cpu or memory"));
    }
}

fn validate_amount(
    name: &str,
    value: &Quantity,
    validate_name: ValidateName,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    validate_name(name, path, errors);
    validate_value(name, value, path, errors);
    validate_pages(name, value, options, path, errors);
}

fn validate_pages(name: &str, value: &Quantity, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    if is_huge_pages(name) && !options.indivisible_huge_pages && !is_whole_pages(name, value) {
        let text = value.to_string();
        let detail = format!("{text} is not positive integer multiple of {name}");
        errors.push(Error::invalid(path, text, detail));
    }
}

/// Upstream's `ValidateResourceQuantityValue`.
pub fn validate_value(name: &str, value: &Quantity, path: &Path<'_>, errors: &mut Errors) {
    if value.sign() < 0 {
        errors.push(Error::invalid(path, value.to_string(), "must be greater than or equal to 0"));
    }
    if (COUNTED.contains(&name) || is_extended(name)) && value.milli_value() % 1000 != 0 {
        errors.push(Error::invalid(path, BadValue::typed(&value.to_string()), "must be an integer"));
    }
}

fn validate_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let wrong = names::is_qualified_name(name);
    if wrong.is_empty() {
        let quota_pages = is_huge_pages(name) || name.starts_with("requests.hugepages-");
        if !name.contains('/') && !STANDARD.contains(&name) && !quota_pages {
            let detail = "must be a standard resource type or fully qualified";
            errors.push(Error::invalid(path, BadValue::typed(name), detail));
        }
        return;
    }
    for message in wrong {
        errors.push(Error::invalid(path, BadValue::typed(name), message));
    }
}

fn validate_container_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    validate_name(name, path, errors);
    if !name.contains('/') {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_pages(name) {
            let detail = "must be a standard resource for containers";
            errors.push(Error::invalid(path, BadValue::typed(name), detail));
        }
    } else if !is_native(name) && !is_extended(name) {
        let detail = "doesn't follow extended resource name standard";
        errors.push(Error::invalid(path, BadValue::typed(name), detail));
    }
}

fn validate_pod_level_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let before = errors.len();
    validate_name(name, path, errors);
    if errors.len() == before && !is_pod_level(name) {
        errors.push(Error::not_supported(path, BadValue::typed(name), POD_LEVEL));
    }
}

/// What the containers ask for together must fit into what the pod asks for.
fn validate_sums(spec: PodSpec<'_>, pod: ResourceRequirements<'_>, path: &Path<'_>, errors: &mut Errors) {
    let compare = |sums: Amounts<'_>, own: StringMap<'_>, what: &str, path: &Path<'_>, errors: &mut Errors| {
        for (name, sum) in sums {
            if what == "limits" && !is_huge_pages(name) {
                continue;
            }
            let Some(own) = own.get(name).map(quantity) else { continue };
            if sum > own {
                let detail = format!("must be greater than or equal to aggregate container {what} of {sum}");
                errors.push(Error::invalid(&path.key(name), own.to_string(), detail));
            }
        }
    };
    compare(totals::requests(spec), pod.requests(), "requests", &path.child("requests"), errors);
    compare(totals::limits(spec), pod.limits(), "limits", &path.child("limits"), errors);
    for (i, container) in spec.containers().iter().enumerate() {
        for (name, limit) in container.resources().limits().iter() {
            let Some(own) = pod.limits().get(name).map(quantity) else { continue };
            let limit = quantity(limit);
            if limit > own {
                let detail = format!("must be less than or equal to pod limits of {own}");
                let containers = path.child("containers");
                let container = containers.index(i);
                errors.push(Error::invalid(&container.key(name).child("limits"), limit.to_string(), detail));
            }
        }
    }
}

/// Claims that a container uses: each must be one of the pod's, and none may be used twice.
fn validate_claim_names(
    claims: Items<'_, ResourceClaim<'_>>,
    of_pod: &TextSet<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen: Seen<Cow<'_, str>> = Seen::default();
    // How many of the keys name a request of each claim.
    let mut requests: Index<&str, usize> = Index::default();
    for (i, claim) in claims.iter().enumerate() {
        let path = path.index(i);
        let (name, request) = (claim.name(), claim.request());
        if name.is_empty() {
            errors.push(Error::required(&path, ""));
            continue;
        }
        if seen.contains(name) {
            errors.push(Error::duplicate(&path, name));
        } else {
            let mut key = Cow::Borrowed(name);
            if !request.is_empty() {
                dns_label(request, &path.child("request"), errors);
                key = Cow::Owned(format!("{name}/{request}"));
            }
            if seen.contains(&key) {
                errors.push(Error::duplicate(&path, key.clone().into_owned()));
            } else if request.is_empty() {
                errors.repeat(requests.get(name).copied().unwrap_or(0), || Error::duplicate(&path, name));
            }
            if !request.is_empty() {
                *requests.entry(name, || 0) += 1;
            }
            seen.insert(key);
        }
        if !of_pod.contains(name) {
            errors.push_with(|| {
                let mut error = Error::not_found(&path, name);
                error.detail = match of_pod.is_empty() {
                    true => "must be one of the names in pod.spec.resourceClaims which is empty".to_owned(),
                    false => {
                        let known = of_pod.sorted().into_iter().copied().collect::<Vec<_>>().join(", ");
                        format!("must be one of the names in pod.spec.resourceClaims: {known}")
                    }
                };
                error
            });
        }
    }
}

/// The claims of the pod itself. `mirror`: it stands for a static pod.
pub fn validate_pod_claims(
    claims: Items<'_, PodResourceClaim<'_>>,
    mirror: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut names = TextSet::default();
    for (i, claim) in claims.iter().enumerate() {
        if mirror {
            errors.push(Error::forbidden(&Path::new(""), "static pods do not support resource claims"));
            continue;
        }
        let path = path.index(i);
        if claim.name().is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        } else if !names.insert(claim.name()) {
            errors.push(Error::duplicate(&path.child("name"), claim.name()));
        } else {
            dns_label(claim.name(), &path.child("name"), errors);
        }
        let (direct, template) = (claim.resource_claim_name(), claim.resource_claim_template_name());
        let detail = match (direct, template) {
            (Some(_), Some(_)) => {
                Some("at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
            }
            (None, None) => Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            _ => None,
        };
        if let Some(detail) = detail {
            errors.push(Error::invalid(&path, internal::bad_value(claim), detail));
        }
        for (name, field) in [(direct, "resourceClaimName"), (template, "resourceClaimTemplateName")] {
            if let Some(name) = name {
                object_name(name, &path.child(field), errors);
            }
        }
    }
}
