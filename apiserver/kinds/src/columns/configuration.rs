//! Namespaces and what is kept in them for others to read.

use corten_object::tree::Node;
use corten_views::coordination_v1::Lease;
use corten_views::core_v1::{ConfigMap, Namespace, ResourceQuota, Secret};

use super::{AGE, NAME, Printer, age, text, view};
use crate::table::Row;

pub(super) static CONFIG_MAP: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Data",
            "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap with the keys in the BinaryData field, this is enforced during validation process.",
        ),
        AGE,
    ],
    row: config_map,
};

pub(super) static SECRET: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Type",
            "Used to facilitate programmatic handling of secret data. More info: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types",
        ),
        text(
            "Data",
            "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4",
        ),
        AGE,
    ],
    row: secret,
};

pub(super) static NAMESPACE: Printer =
    Printer { columns: &[NAME, text("Status", "The status of the namespace"), AGE], row: namespace };

pub(super) static LEASE: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Holder",
            "holderIdentity contains the identity of the holder of a current lease. If Coordinated Leader Election is used, the holder identity must be equal to the elected LeaseCandidate.metadata.name field.",
        ),
        AGE,
    ],
    row: lease,
};

pub(super) static RESOURCE_QUOTA: Printer = Printer {
    columns: &[
        NAME,
        text("Request", "Request represents a minimum amount of cpu/memory that a container may consume."),
        text(
            "Limit",
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
        ),
        AGE,
    ],
    row: resource_quota,
};

fn config_map(object: Node<'_>) -> Row {
    let object: ConfigMap = view(object);
    let keys = object.data().len() + object.binary_data().len();
    row![object.metadata().name(), keys as i64, age(object.metadata())]
}

fn secret(object: Node<'_>) -> Row {
    let object: Secret = view(object);
    row![object.metadata().name(), object.type_(), object.data().len() as i64, age(object.metadata())]
}

fn namespace(object: Node<'_>) -> Row {
    let object: Namespace = view(object);
    row![object.metadata().name(), object.status().phase(), age(object.metadata())]
}

fn lease(object: Node<'_>) -> Row {
    let object: Lease = view(object);
    row![object.metadata().name(), object.spec().holder_identity().unwrap_or(""), age(object.metadata())]
}

fn resource_quota(object: Node<'_>) -> Row {
    let object: ResourceQuota = view(object);
    let (hard, used) = (object.status().hard(), object.status().used());
    let mut hard: Vec<_> = hard.iter().collect();
    hard.sort_unstable();
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, limit) in hard {
        let column = if resource.starts_with("limits.") { &mut limits } else { &mut requests };
        column.push(format!("{resource}: {}/{limit}", used.get(resource).unwrap_or("0")));
    }
    row![object.metadata().name(), requests.join(", "), limits.join(", "), age(object.metadata())]
}
