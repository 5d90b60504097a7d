//! What a claim asks for.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::seen::Seen;
use corten_object::tree::Items;
use corten_views::resource_v1::{
    DeviceClaim, DeviceConstraint, DeviceRequest, DeviceSelector, DeviceToleration, ResourceClaimSpec,
};

use crate::devices::{
    CONFIGURATIONS_MAX, validate_configuration, validate_fully_qualified_name, validate_list, validate_names,
    validate_selectors, validate_toleration, validate_unique,
};
use crate::pod::checks::{dns_label, dns_subdomain, one_of};

pub const REQUESTS_MAX: usize = 32;
const CONSTRAINTS_MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;
const NOT_A_REQUEST: &str =
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

pub fn validate(spec: ResourceClaimSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (claim, path) = (spec.devices(), path.child("devices"));
    let requests = path.child("requests");
    if validate_list(claim.requests().iter(), Some(REQUESTS_MAX), &requests, errors, validate_request) {
        validate_unique(claim.requests().iter().map(|request| request.name()), named, &requests, errors);
    }
    let names = &Requests::of(claim);
    let constraints = path.child("constraints");
    validate_list(
        claim.constraints().iter(),
        Some(CONSTRAINTS_MAX),
        &constraints,
        errors,
        |constraint, path, errors| {
            validate_constraint(constraint, names, path, errors);
        },
    );
    let config = path.child("config");
    validate_list(claim.config().iter(), Some(CONFIGURATIONS_MAX), &config, errors, |config, path, errors| {
        validate_names(config.requests(), REQUESTS_MAX, &path.child("requests"), errors, |name, path, errors| {
            validate_reference(name, names, path, errors);
        });
        validate_configuration(config.opaque(), false, path, errors);
    });
}

fn named(name: &&str) -> BadValue {
    BadValue::Str((*name).to_owned())
}

/// The requests of a claim and the alternatives in them, by their names. Of requests with one name the last counts.
pub struct Requests<'t> {
    requests: Seen<&'t str>,
    alternatives: Seen<(&'t str, &'t str)>,
}

impl<'t> Requests<'t> {
    pub fn of(claim: DeviceClaim<'t>) -> Self {
        let (mut requests, mut alternatives) = (Seen::default(), Seen::default());
        for request in claim.requests().iter().rev() {
            if requests.insert(request.name()) {
                for alternative in request.first_available().iter() {
                    alternatives.insert((request.name(), alternative.name()));
                }
            }
        }
        Requests { requests, alternatives }
    }
}

/// A request of the claim, or an alternative in one: `request/alternative`.
pub fn validate_reference(name: &str, claim: &Requests<'_>, path: &Path<'_>, errors: &mut Errors) {
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 2 {
        return errors.push(Error::invalid(path, name, NOT_A_REQUEST));
    }
    for part in &parts {
        dns_label(part, path, errors);
    }
    let found = match parts[..] {
        [request, alternative] => claim.alternatives.contains(&(request, alternative)),
        _ => claim.requests.contains(parts[0]),
    };
    if !found {
        errors.push(Error::invalid(path, name, NOT_A_REQUEST));
    }
}

fn validate_request(request: DeviceRequest<'_>, path: &Path<'_>, errors: &mut Errors) {
    dns_label(request.name(), &path.child("name"), errors);
    let alternatives = request.first_available();
    match (request.exactly(), alternatives.is_empty()) {
        (None, true) => {
            errors.push(Error::required(path, "exactly one of `exactly` or `firstAvailable` is required"));
        }
        (Some(_), false) => {
            let detail = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errors.push(Error::invalid(path, BadValue::Null, detail));
        }
        (Some(exactly), true) => {
            let asked = Asked {
                class: exactly.device_class_name(),
                selectors: exactly.selectors(),
                mode: exactly.allocation_mode(),
                count: exactly.count(),
                tolerations: exactly.tolerations(),
            };
            asked.validate(&path.child("exactly"), errors);
        }
        (None, false) => {
            let path = path.child("firstAvailable");
            let whole =
                validate_list(alternatives.iter(), Some(ALTERNATIVES_MAX), &path, errors, |one, path, errors| {
                    dns_label(one.name(), &path.child("name"), errors);
                    let asked = Asked {
                        class: one.device_class_name(),
                        selectors: one.selectors(),
                        mode: one.allocation_mode(),
                        count: one.count(),
                        tolerations: one.tolerations(),
                    };
                    asked.validate(path, errors);
                });
            if whole {
                validate_unique(alternatives.iter().map(|one| one.name()), named, &path, errors);
            }
        }
    }
}

/// What a request and an alternative in one have alike.
struct Asked<'t> {
    class: &'t str,
    selectors: Items<'t, DeviceSelector<'t>>,
    mode: &'t str,
    count: i64,
    tolerations: Items<'t, DeviceToleration<'t>>,
}

impl Asked<'_> {
    fn validate(&self, path: &Path<'_>, errors: &mut Errors) {
        let class = path.child("deviceClassName");
        if self.class.is_empty() {
            errors.push(Error::required(&class, ""));
        } else {
            dns_subdomain(self.class, &class, errors);
        }
        validate_selectors(self.selectors, &path.child("selectors"), errors);
        let count = path.child("count");
        match self.mode {
            "All" if self.count != 0 => {
                let detail = "must not be specified when allocationMode is 'All'";
                errors.push(Error::invalid(&count, self.count, detail));
            }
            "ExactCount" if self.count <= 0 => {
                errors.push(Error::invalid(&count, self.count, "must be greater than zero"));
            }
            mode => one_of(mode, &["All", "ExactCount"], &path.child("allocationMode"), errors),
        }
        let path = path.child("tolerations");
        for (i, toleration) in self.tolerations.iter().enumerate() {
            validate_toleration(toleration, &path.index(i), errors);
        }
    }
}

fn validate_constraint(constraint: DeviceConstraint<'_>, claim: &Requests<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_names(constraint.requests(), REQUESTS_MAX, &path.child("requests"), errors, |name, path, errors| {
        validate_reference(name, claim, path, errors);
    });
    if let Some(name) = constraint.match_attribute() {
        validate_fully_qualified_name(name, &path.child("matchAttribute"), errors);
    } else if let Some(name) = constraint.distinct_attribute() {
        validate_fully_qualified_name(name, &path.child("distinctAttribute"), errors);
    } else {
        let detail =
            "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set";
        errors.push(Error::required(path, detail));
    }
}
