//! ResourceClaim and ResourceClaimTemplate.

mod spec;
mod status;

use corten_api::field::{Error, Errors, Path};
use corten_api::seen::Seen;
use corten_object::tree::{Edit, Node, View};
use corten_views::resource_v1::{
    AllocatedDeviceStatus, DeviceClaim, DeviceRequest, DeviceSubRequest, ExactDeviceRequest, ResourceClaim,
    ResourceClaimSpec, ResourceClaimStatus, ResourceClaimTemplate, ResourceClaimTemplateSpec,
};

use crate::access::{put_back, put_back_metadata, same, view};
use crate::device_class::default_request;
use crate::object_meta::FIELD_IMMUTABLE;
use crate::pod::claim_template::validate_template_metadata;
use crate::pod::internal;
use crate::strategy::{Context, MetadataRun, Strategy};

const SPEC: Path<'static> = Path::new("spec");

pub struct ResourceClaims;
pub struct Status;
pub struct ResourceClaimTemplates;

impl Strategy for ResourceClaims {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        if let Some(mut spec) = object.field(ResourceClaim::SPEC) {
            default_spec(&mut spec);
        }
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(ResourceClaim::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), ResourceClaim::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        spec::validate(view::<ResourceClaim<'_>>(object).spec(), &SPEC, &mut errors);
        errors
    }

    /// The spec stays, so that nothing else can be wrong with it.
    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (ResourceClaim<'_>, ResourceClaim<'_>) = (view(object), view(old));
        if !same(new, old, ResourceClaim::SPEC) {
            let value = internal::bad_value_as("ResourceClaimSpec", new.spec().as_struct());
            errors.push(Error::invalid(&SPEC, value, FIELD_IMMUTABLE));
        }
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        ResourceClaims.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), ResourceClaim::SPEC);
        put_back_metadata(object, old.as_struct(), ResourceClaim::METADATA);
        forget_deallocated(object, view::<ResourceClaim<'_>>(old).status());
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        status::validate_change(view(object), view(old), &mut errors);
        errors
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }
}

impl Strategy for ResourceClaimTemplates {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        if let Some(mut spec) = object.path([ResourceClaimTemplate::SPEC, ResourceClaimTemplateSpec::SPEC]) {
            default_spec(&mut spec);
        }
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let template = view::<ResourceClaimTemplate<'_>>(object).spec();
        validate_template_metadata(template.metadata(), &SPEC.child("metadata"), &mut errors);
        spec::validate(template.spec(), &SPEC.child("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        let (new, old): (ResourceClaimTemplate<'_>, ResourceClaimTemplate<'_>) = (view(object), view(old));
        if !same(new, old, ResourceClaimTemplate::SPEC) {
            let value = internal::bad_value_as("ResourceClaimTemplateSpec", new.spec().as_struct());
            errors.push(Error::invalid(&SPEC, value, FIELD_IMMUTABLE));
        }
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }
}

fn default_spec(spec: &mut Edit<'_>) {
    let Some(mut devices) = spec.field(ResourceClaimSpec::DEVICES) else { return };
    for request in devices.items(DeviceClaim::REQUESTS) {
        let mut request = devices.at(request);
        if let Some(mut exactly) = request.field(DeviceRequest::EXACTLY) {
            default_request(&mut exactly, ExactDeviceRequest::ALLOCATION_MODE, ExactDeviceRequest::COUNT);
        }
        for alternative in request.items(DeviceRequest::FIRST_AVAILABLE) {
            let mut alternative = request.at(alternative);
            default_request(&mut alternative, DeviceSubRequest::ALLOCATION_MODE, DeviceSubRequest::COUNT);
        }
    }
}

/// What drivers said of devices goes when the devices do, so that clients that know nothing of it need not care.
fn forget_deallocated(object: &mut Edit<'_>, old: ResourceClaimStatus<'_>) {
    let Some(mut status) = object.field(ResourceClaim::STATUS) else { return };
    let kept: Vec<bool> = {
        let new: ResourceClaimStatus<'_> = status.view();
        let (now, before): (Seen<_>, Seen<_>) = (status::allocated(new).collect(), status::allocated(old).collect());
        let gone = |device| {
            let device = status::device_of(device);
            before.contains(&device) && !now.contains(&device)
        };
        new.devices().iter().map(|device: AllocatedDeviceStatus<'_>| !gone(device)).collect()
    };
    let ids = status.items(ResourceClaimStatus::DEVICES);
    let left: Vec<_> = ids.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(id, _)| id).collect();
    if left.is_empty() {
        status.remove(ResourceClaimStatus::DEVICES);
    } else {
        let list = status.tree().list(&left);
        status.put(ResourceClaimStatus::DEVICES, list);
    }
}
