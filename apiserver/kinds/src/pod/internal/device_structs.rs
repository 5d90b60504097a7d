//! The same for what claims of devices are made of, and for the conditions of requests for certificates.

use super::structs::Zero::{Json, Struct};
use super::structs::{Field, field};

/// By the struct's name, sorted.
#[rustfmt::skip]
pub static STRUCTS: &[(&str, &[Field])] = &[
    ("AllocationResult", &[
        field("Devices", "devices", Struct("DeviceAllocationResult")),
        field("NodeSelector", "nodeSelector", Json("null")),
        field("AllocationTimestamp", "allocationTimestamp", Json("null")),
    ]),
    ("CELDeviceSelector", &[
        field("Expression", "expression", Json("\"\"")),
    ]),
    ("CapacityRequirements", &[
        field("Requests", "requests", Json("null")),
    ]),
    ("CertificateSigningRequestCondition", &[
        field("Type", "type", Json("\"\"")), field("Status", "status", Json("\"\"")),
        field("Reason", "reason", Json("\"\"")), field("Message", "message", Json("\"\"")),
        field("LastUpdateTime", "lastUpdateTime", Json("null")),
        field("LastTransitionTime", "lastTransitionTime", Json("null")),
    ]),
    ("DeviceAllocationConfiguration", &[
        field("Source", "source", Json("\"\"")), field("Requests", "requests", Json("null")),
        field("Opaque", "opaque", Json("null")),
    ]),
    ("DeviceAllocationResult", &[
        field("Results", "results", Json("null")), field("Config", "config", Json("null")),
    ]),
    ("DeviceAttribute", &[
        field("IntValue", "int", Json("null")), field("BoolValue", "bool", Json("null")),
        field("StringValue", "string", Json("null")), field("VersionValue", "version", Json("null")),
        field("IntValues", "ints", Json("null")), field("BoolValues", "bools", Json("null")),
        field("StringValues", "strings", Json("null")), field("VersionValues", "versions", Json("null")),
    ]),
    ("DeviceClaim", &[
        field("Requests", "requests", Json("null")), field("Constraints", "constraints", Json("null")),
        field("Config", "config", Json("null")),
    ]),
    ("DeviceClaimConfiguration", &[
        field("Requests", "requests", Json("null")), field("Opaque", "opaque", Json("null")),
    ]),
    ("DeviceConstraint", &[
        field("Requests", "requests", Json("null")), field("MatchAttribute", "matchAttribute", Json("null")),
        field("DistinctAttribute", "distinctAttribute", Json("null")),
    ]),
    ("DeviceRequest", &[
        field("Name", "name", Json("\"\"")), field("Exactly", "exactly", Json("null")),
        field("FirstAvailable", "firstAvailable", Json("null")),
    ]),
    ("DeviceRequestAllocationResult", &[
        field("Request", "request", Json("\"\"")), field("Driver", "driver", Json("\"\"")),
        field("Pool", "pool", Json("\"\"")), field("Device", "device", Json("\"\"")),
        field("AdminAccess", "adminAccess", Json("null")), field("Tolerations", "tolerations", Json("null")),
        field("BindingConditions", "bindingConditions", Json("null")),
        field("BindingFailureConditions", "bindingFailureConditions", Json("null")),
        field("ShareID", "shareID", Json("null")), field("ConsumedCapacity", "consumedCapacity", Json("null")),
    ]),
    ("DeviceSelector", &[
        field("CEL", "cel", Json("null")),
    ]),
    ("DeviceSubRequest", &[
        field("Name", "name", Json("\"\"")), field("DeviceClassName", "deviceClassName", Json("\"\"")),
        field("Selectors", "selectors", Json("null")), field("AllocationMode", "allocationMode", Json("\"\"")),
        field("Count", "count", Json("0")), field("Tolerations", "tolerations", Json("null")),
        field("Capacity", "capacity", Json("null")),
    ]),
    ("DeviceToleration", &[
        field("Key", "key", Json("\"\"")), field("Operator", "operator", Json("\"\"")),
        field("Value", "value", Json("\"\"")), field("Effect", "effect", Json("\"\"")),
        field("TolerationSeconds", "tolerationSeconds", Json("null")),
    ]),
    ("ExactDeviceRequest", &[
        field("DeviceClassName", "deviceClassName", Json("\"\"")), field("Selectors", "selectors", Json("null")),
        field("AllocationMode", "allocationMode", Json("\"\"")), field("Count", "count", Json("0")),
        field("AdminAccess", "adminAccess", Json("null")), field("Tolerations", "tolerations", Json("null")),
        field("Capacity", "capacity", Json("null")),
    ]),
    ("OpaqueDeviceConfiguration", &[
        field("Driver", "driver", Json("\"\"")), field("Parameters", "parameters", Json("null")),
    ]),
    ("ResourceClaimSpec", &[
        field("Devices", "devices", Struct("DeviceClaim")),
    ]),
];
