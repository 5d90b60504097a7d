//! What keeps sets of pods.

use corten_api::selector::labels::format_labels;
use corten_object::tree::Node;
use corten_views::apps_v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use corten_views::core_v1::ReplicationController;
use corten_views::meta_v1::OwnerReference;

use super::{
    AGE, CONTAINERS, IMAGES, NAME, NONE, Printer, age, container_images, container_names, format_selector, integer,
    parse_selector, text, view, wide,
};
use crate::table::Row;

pub(super) static DEPLOYMENT: Printer = Printer {
    columns: &[
        NAME,
        text("Ready", "Number of the pod with ready state"),
        text(
            "Up-to-date",
            "Total number of non-terminating pods targeted by this deployment that have the desired template spec.",
        ),
        text(
            "Available",
            "Total number of available non-terminating pods (ready for at least minReadySeconds) targeted by this deployment.",
        ),
        AGE,
        wide("Containers", CONTAINERS),
        wide("Images", IMAGES),
        wide(
            "Selector",
            "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones affected by this deployment. It must match the pod template's labels.",
        ),
    ],
    row: deployment,
};

pub(super) static REPLICA_SET: Printer = Printer {
    columns: &[
        NAME,
        integer(
            "Desired",
            "Replicas is the number of desired pods. This is a pointer to distinguish between explicit zero and unspecified. Defaults to 1. More info: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset",
        ),
        integer(
            "Current",
            "Replicas is the most recently observed number of non-terminating pods. More info: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset",
        ),
        integer("Ready", "The number of non-terminating pods targeted by this ReplicaSet with a Ready Condition."),
        AGE,
        wide("Containers", CONTAINERS),
        wide("Images", IMAGES),
        wide(
            "Selector",
            "Selector is a label query over pods that should match the replica count. Label keys and values that must match in order to be controlled by this replica set. It must match the pod template's labels. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
        ),
    ],
    row: replica_set,
};

pub(super) static REPLICATION_CONTROLLER: Printer = Printer {
    columns: &[
        NAME,
        integer(
            "Desired",
            "Replicas is the number of desired replicas. This is a pointer to distinguish between explicit zero and unspecified. Defaults to 1. More info: https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller#what-is-a-replicationcontroller",
        ),
        integer(
            "Current",
            "Replicas is the most recently observed number of replicas. More info: https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller#what-is-a-replicationcontroller",
        ),
        integer("Ready", "The number of ready replicas for this replication controller."),
        AGE,
        wide("Containers", CONTAINERS),
        wide("Images", IMAGES),
        wide(
            "Selector",
            "Selector is a label query over pods that should match the Replicas count. If Selector is empty, it is defaulted to the labels present on the Pod template. Label keys and values that must match in order to be controlled by this replication controller, if empty defaulted to labels on Pod template. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
        ),
    ],
    row: replication_controller,
};

pub(super) static STATEFUL_SET: Printer = Printer {
    columns: &[
        NAME,
        text("Ready", "Number of the pod with ready state"),
        AGE,
        wide("Containers", CONTAINERS),
        wide("Images", IMAGES),
    ],
    row: stateful_set,
};

pub(super) static DAEMON_SET: Printer = Printer {
    columns: &[
        NAME,
        integer(
            "Desired",
            "The total number of nodes that should be running the daemon pod (including nodes correctly running the daemon pod). More info: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
        ),
        integer(
            "Current",
            "The number of nodes that are running at least 1 daemon pod and are supposed to run the daemon pod. More info: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
        ),
        integer(
            "Ready",
            "numberReady is the number of nodes that should be running the daemon pod and have one or more of the daemon pod running with a Ready Condition.",
        ),
        integer("Up-to-date", "The total number of nodes that are running updated daemon pod"),
        integer(
            "Available",
            "The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available (ready for at least spec.minReadySeconds)",
        ),
        text(
            "Node Selector",
            "NodeSelector is a selector which must be true for the pod to fit on a node. Selector which must match a node's labels for the pod to be scheduled on that node. More info: https://kubernetes.io/docs/concepts/configuration/assign-pod-node/",
        ),
        AGE,
        wide("Containers", CONTAINERS),
        wide("Images", IMAGES),
        wide(
            "Selector",
            "A label query over pods that are managed by the daemon set. Must match in order to be controlled. It must match the pod template's labels. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
        ),
    ],
    row: daemon_set,
};

pub(super) static CONTROLLER_REVISION: Printer = Printer {
    columns: &[
        NAME,
        text("Controller", "Controller of the object"),
        text("Revision", "Revision indicates the revision of the state represented by Data."),
        AGE,
    ],
    row: controller_revision,
};

/// Its selector, unlike other kinds', is left empty where it selects everything.
fn deployment(object: Node<'_>) -> Row {
    let object: Deployment = view(object);
    let (spec, status) = (object.spec(), object.status());
    let selector = match spec.selector().map(parse_selector) {
        None => String::new(),
        Some(Ok(selector)) => selector.to_string(),
        Some(Err(_)) => "<invalid>".to_owned(),
    };
    row![
        object.metadata().name(),
        format!("{}/{}", status.ready_replicas(), spec.replicas().unwrap_or(0)),
        status.updated_replicas(),
        status.available_replicas(),
        age(object.metadata()),
        container_names(spec.template()),
        container_images(spec.template()),
        selector,
    ]
}

fn replica_set(object: Node<'_>) -> Row {
    let object: ReplicaSet = view(object);
    let (spec, status) = (object.spec(), object.status());
    row![
        object.metadata().name(),
        spec.replicas().unwrap_or(0),
        status.replicas(),
        status.ready_replicas(),
        age(object.metadata()),
        container_names(spec.template()),
        container_images(spec.template()),
        format_selector(spec.selector()),
    ]
}

fn replication_controller(object: Node<'_>) -> Row {
    let object: ReplicationController = view(object);
    let (spec, status) = (object.spec(), object.status());
    row![
        object.metadata().name(),
        spec.replicas().unwrap_or(0),
        status.replicas(),
        status.ready_replicas(),
        age(object.metadata()),
        spec.template().map(container_names).unwrap_or_default(),
        spec.template().map(container_images).unwrap_or_default(),
        format_labels(spec.selector().iter()),
    ]
}

fn stateful_set(object: Node<'_>) -> Row {
    let object: StatefulSet = view(object);
    let spec = object.spec();
    row![
        object.metadata().name(),
        format!("{}/{}", object.status().ready_replicas(), spec.replicas().unwrap_or(0)),
        age(object.metadata()),
        container_names(spec.template()),
        container_images(spec.template()),
    ]
}

fn daemon_set(object: Node<'_>) -> Row {
    let object: DaemonSet = view(object);
    let (spec, status) = (object.spec(), object.status());
    row![
        object.metadata().name(),
        status.desired_number_scheduled(),
        status.current_number_scheduled(),
        status.number_ready(),
        status.updated_number_scheduled(),
        status.number_available(),
        format_labels(spec.template().spec().node_selector().iter()),
        age(object.metadata()),
        container_names(spec.template()),
        container_images(spec.template()),
        format_selector(spec.selector()),
    ]
}

fn controller_revision(object: Node<'_>) -> Row {
    let object: ControllerRevision = view(object);
    let mut owners = object.metadata().owner_references().iter();
    let controller = owners.find(|owner| owner.controller() == Some(true));
    row![
        object.metadata().name(),
        controller.map_or_else(|| NONE.to_owned(), reference),
        object.revision(),
        age(object.metadata()),
    ]
}

/// `daemonset.apps/name`.
fn reference(owner: OwnerReference<'_>) -> String {
    let group = owner.api_version().split_once('/').map_or("", |(group, _)| group);
    match (owner.kind(), group) {
        ("", "") => owner.name().to_owned(),
        (kind, "") => format!("{}/{}", kind.to_lowercase(), owner.name()),
        (kind, group) => format!("{}.{}/{}", kind.to_lowercase(), group.to_lowercase(), owner.name()),
    }
}
