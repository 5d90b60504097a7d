//! Lease.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Edit, Node};
use corten_views::coordination_v1::{Lease, LeaseSpec};

use crate::access::view;
use crate::object_meta::invalid_each;
use crate::strategy::{Context, Strategy};

pub struct Leases;

impl Strategy for Leases {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        drop_coordination(object, None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        drop_coordination(object, Some(view(old)));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_spec(view::<Lease<'_>>(object).spec(), &Path::new("spec"), &mut errors);
        errors
    }

    fn checks_finalizer_names(&self) -> bool {
        false
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

/// Coordinated leader election is off: what it needs can be kept, not added.
fn drop_coordination(object: &mut Edit<'_>, old: Option<Lease<'_>>) {
    let Some(mut spec) = object.field(Lease::SPEC) else { return };
    if old.is_none_or(|old| old.spec().strategy().is_none()) {
        spec.remove(LeaseSpec::STRATEGY);
    }
    if old.is_none_or(|old| old.spec().preferred_holder().is_none()) {
        spec.remove(LeaseSpec::PREFERRED_HOLDER);
    }
}

fn validate_spec(spec: LeaseSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(seconds) = spec.lease_duration_seconds().filter(|seconds| *seconds <= 0) {
        errors.push(Error::invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0"));
    }
    if let Some(count) = spec.lease_transitions().filter(|count| *count < 0) {
        errors.push(Error::invalid(&path.child("leaseTransitions"), count, "must be greater than or equal to 0"));
    }
    if let Some(strategy) = spec.strategy() {
        validate_strategy(strategy, &path.child("strategy"), errors);
    }
    let strategy = spec.strategy().unwrap_or_default();
    if spec.preferred_holder().is_some_and(|holder| !holder.is_empty()) && strategy.is_empty() {
        let detail = "may only be specified if `strategy` is defined";
        errors.push(Error::forbidden(&path.child("preferredHolder"), detail));
    }
}

fn validate_strategy(strategy: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("strategy");
    if strategy.contains('/') {
        invalid_each(names::is_qualified_name(strategy), strategy, &path, errors);
    } else if strategy != "OldestEmulationVersion" {
        errors.push(Error::not_supported(&path, BadValue::typed(strategy), &["OldestEmulationVersion"]));
    }
}
