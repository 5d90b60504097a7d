//! Nodes, and how the control plane says it is.

use std::collections::BTreeSet;

use corten_object::tree::Node as Object;
use corten_views::core_v1::{ComponentStatus, Node};
use corten_views::node_v1::RuntimeClass;

use super::{AGE, NAME, NONE, Printer, UNKNOWN, age, join, or, text, view, wide};
use crate::table::Row;

pub(super) static NODE: Printer = Printer {
    columns: &[
        NAME,
        text("Status", "The status of the node"),
        text("Roles", "The roles of the node"),
        AGE,
        text("Version", "Kubelet Version reported by the node."),
        wide(
            "Internal-IP",
            "List of addresses reachable to the node. Queried from cloud provider, if available. More info: https://kubernetes.io/docs/reference/node/node-status/#addresses Note: This field is declared as mergeable, but the merge key is not sufficiently unique, which can cause data corruption when it is merged. Callers should instead use a full-replacement patch. See https://pr.k8s.io/79391 for an example. Consumers should assume that addresses can change during the lifetime of a Node. However, there are some exceptions where this may not be possible, such as Pods that inherit a Node's address in its own status or consumers of the downward API (status.hostIP).",
        ),
        wide(
            "External-IP",
            "List of addresses reachable to the node. Queried from cloud provider, if available. More info: https://kubernetes.io/docs/reference/node/node-status/#addresses Note: This field is declared as mergeable, but the merge key is not sufficiently unique, which can cause data corruption when it is merged. Callers should instead use a full-replacement patch. See https://pr.k8s.io/79391 for an example. Consumers should assume that addresses can change during the lifetime of a Node. However, there are some exceptions where this may not be possible, such as Pods that inherit a Node's address in its own status or consumers of the downward API (status.hostIP).",
        ),
        wide("OS-Image", "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy))."),
        wide("Kernel-Version", "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64)."),
        wide(
            "Container-Runtime",
            "ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).",
        ),
    ],
    row: node,
};

pub(super) static RUNTIME_CLASS: Printer = Printer { columns: &[NAME, text("Handler", ""), AGE], row: runtime_class };

pub(super) static COMPONENT_STATUS: Printer = Printer {
    columns: &[
        NAME,
        text("Status", "Status of the component conditions"),
        text("Message", "Message of the component conditions"),
        text("Error", "Error of the component conditions"),
    ],
    row: component_status,
};

fn node(object: Object<'_>) -> Row {
    let node: Node = view(object);
    let info = node.status().node_info();
    let kernel = or(info.kernel_version(), UNKNOWN);
    let kernel = match info.architecture() {
        "" => kernel.to_owned(),
        architecture => format!("{kernel} ({architecture})"),
    };
    row![
        node.metadata().name(),
        readiness(node),
        or(&roles(node), NONE),
        age(node.metadata()),
        info.kubelet_version(),
        address(node, "InternalIP"),
        address(node, "ExternalIP"),
        or(info.os_image(), UNKNOWN),
        kernel,
        or(info.container_runtime_version(), UNKNOWN),
    ]
}

/// Of several conditions `Ready` the last counts.
fn readiness(node: Node<'_>) -> String {
    let mut conditions = node.status().conditions().iter().rev();
    let ready = match conditions.find(|condition| condition.type_() == "Ready") {
        Some(ready) if ready.status() == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if node.spec().unschedulable() { format!("{ready},SchedulingDisabled") } else { ready.to_owned() }
}

fn roles(node: Node<'_>) -> String {
    let role = |(key, value)| match key {
        "kubernetes.io/role" => value,
        key => str::strip_prefix(key, "node-role.kubernetes.io/").unwrap_or(""),
    };
    let roles: BTreeSet<&str> = node.metadata().labels().iter().map(role).filter(|role| !role.is_empty()).collect();
    join(roles, ",")
}

fn address<'n>(node: Node<'n>, kind: &str) -> &'n str {
    let mut addresses = node.status().addresses().iter();
    addresses.find(|address| address.type_() == kind).map_or(NONE, |address| address.address())
}

fn runtime_class(object: Object<'_>) -> Row {
    let object: RuntimeClass = view(object);
    row![object.metadata().name(), object.handler(), age(object.metadata())]
}

fn component_status(object: Object<'_>) -> Row {
    let object: ComponentStatus = view(object);
    let mut conditions = object.conditions().iter();
    match conditions.find(|condition| condition.type_() == "Healthy") {
        None => row![object.metadata().name(), "Unknown", "", ""],
        Some(condition) => {
            let status = if condition.status() == "True" { "Healthy" } else { "Unhealthy" };
            row![object.metadata().name(), status, condition.message(), condition.error()]
        }
    }
}
