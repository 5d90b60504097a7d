//! The `resource.k8s.io` group.

use corten_object::tree::Node;
use corten_views::resource_v1::{DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice};

use super::{AGE, NAME, Printer, age, text, view};
use crate::table::Row;

pub(super) fn printer(plural: &str) -> Option<&'static Printer> {
    Some(match plural {
        "deviceclasses" => &DEVICE_CLASS,
        "resourceclaims" => &RESOURCE_CLAIM,
        "resourceclaimtemplates" => &RESOURCE_CLAIM_TEMPLATE,
        "resourceslices" => &RESOURCE_SLICE,
        _ => return None,
    })
}

static DEVICE_CLASS: Printer = Printer { columns: &[NAME, AGE], row: device_class };

static RESOURCE_CLAIM: Printer = Printer {
    columns: &[NAME, text("State", "A summary of the current state (allocated, pending, reserved, etc.)."), AGE],
    row: resource_claim,
};

static RESOURCE_CLAIM_TEMPLATE: Printer = Printer { columns: &[NAME, AGE], row: resource_claim_template };

static RESOURCE_SLICE: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Node",
            "NodeName identifies the node which provides the resources in this pool. A field selector can be used to list only ResourceSlice objects belonging to a certain node.\n\nThis field can be used to limit access from nodes to ResourceSlices with the same node name. It also indicates to autoscalers that adding new nodes of the same type as some old node might also make new resources available.\n\nExactly one of NodeName, NodeSelector, AllNodes, and PerDeviceNodeSelection must be set. This field is immutable.",
        ),
        text(
            "Driver",
            "Driver identifies the DRA driver providing the capacity information. A field selector can be used to list only ResourceSlice objects with a certain driver name.\n\nMust be a DNS subdomain and should end with a DNS domain owned by the vendor of the driver. It should use only lower case characters. This field is immutable.",
        ),
        text(
            "Pool",
            "Name is used to identify the pool. For node-local devices, this is often the node name, but this is not required.\n\nIt must not be longer than 253 characters and must consist of one or more DNS sub-domains separated by slashes. This field is immutable.",
        ),
        AGE,
    ],
    row: resource_slice,
};

fn device_class(object: Node<'_>) -> Row {
    let object: DeviceClass = view(object);
    row![object.metadata().name(), age(object.metadata())]
}

fn resource_claim(object: Node<'_>) -> Row {
    let claim: ResourceClaim = view(object);
    let is_deleted = claim.metadata().deletion_timestamp().is_some();
    let state = match (claim.status().allocation().is_some(), claim.status().reserved_for().is_empty()) {
        (false, _) if is_deleted => "deleted",
        (false, _) => "pending",
        (true, true) if is_deleted => "deleted,allocated",
        (true, true) => "allocated",
        (true, false) if is_deleted => "deleted,allocated,reserved",
        (true, false) => "allocated,reserved",
    };
    row![claim.metadata().name(), state, age(claim.metadata())]
}

fn resource_claim_template(object: Node<'_>) -> Row {
    let object: ResourceClaimTemplate = view(object);
    row![object.metadata().name(), age(object.metadata())]
}

fn resource_slice(object: Node<'_>) -> Row {
    let object: ResourceSlice = view(object);
    let spec = object.spec();
    row![
        object.metadata().name(),
        spec.node_name().unwrap_or(""),
        spec.driver(),
        spec.pool().name(),
        age(object.metadata()),
    ]
}
