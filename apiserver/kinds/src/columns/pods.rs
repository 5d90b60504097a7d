//! Pods: the one status that sums up a pod's phase, conditions and containers.

use std::borrow::Cow;

use corten_api::seen::Index;
use corten_api::selector::labels::format_labels;
use corten_object::tree::Node;
use corten_views::core_v1::{ContainerStatus, Pod, PodStatus, PodTemplate};

use super::{
    AGE, CONTAINERS, IMAGES, NAME, NONE, Printer, age, container_images, container_names, or, seconds, text, view, wide,
};
use crate::table::{Cell, Condition, Row};

pub(super) static POD: Printer = Printer {
    columns: &[
        NAME,
        text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
        text("Status", "The aggregate status of the containers in this pod."),
        text(
            "Restarts",
            "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
        ),
        AGE,
        wide(
            "IP",
            "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.",
        ),
        wide(
            "Node",
            "NodeName indicates in which node this pod is scheduled. If empty, this pod is a candidate for scheduling by the scheduler defined in schedulerName. Once this field is set, the kubelet for this node becomes responsible for the lifecycle of this pod. This field should not be used to express a desire for the pod to be scheduled on a specific node. https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename",
        ),
        wide(
            "Nominated Node",
            "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right away as preemption victims receive their graceful termination periods. This field does not guarantee that the pod will be scheduled on this node. Scheduler may decide to place the pod elsewhere if other nodes become available sooner. Scheduler may also decide to give the resources on this node to a higher priority pod that is created after preemption. As a result, this field may be different than PodSpec.nodeName when the pod is scheduled.",
        ),
        wide(
            "Readiness Gates",
            "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers are ready AND all conditions specified in the readiness gates have status equal to \"True\" More info: https://git.k8s.io/enhancements/keps/sig-network/580-pod-readiness-gates",
        ),
    ],
    row: pod,
};

pub(super) static POD_TEMPLATE: Printer = Printer {
    columns: &[
        NAME,
        text("Containers", CONTAINERS),
        text("Images", IMAGES),
        text("Pod Labels", "The labels for the pod template."),
    ],
    row: pod_template,
};

fn pod(object: Node<'_>) -> Row {
    let pod: Pod = view(object);
    let status = pod.status();
    let summary = Summary::of(pod);
    let mut row = row![
        pod.metadata().name(),
        format!("{}/{}", summary.ready, summary.containers),
        summary.reason,
        summary.restarts.cell(),
        age(pod.metadata()),
        or(address(status), NONE),
        or(pod.spec().node_name(), NONE),
        or(status.nominated_node_name(), NONE),
        readiness_gates(pod),
    ];
    let completed = match status.phase() {
        "Succeeded" => Some("The pod has completed successfully."),
        "Failed" => Some("The pod failed."),
        _ => None,
    };
    row.conditions.extend(completed.map(|message| Condition {
        kind: "Completed",
        status: "True",
        reason: status.phase().to_owned(),
        message: message.to_owned(),
    }));
    row
}

/// The single address wins over a list that does not agree with it, which old kubelets leave behind.
fn address(status: PodStatus<'_>) -> &str {
    let first = || status.pod_ips().get(0).map_or("", |address| address.ip());
    match status.pod_ip() {
        "" => first(),
        address => address,
    }
}

fn readiness_gates(pod: Pod<'_>) -> Cow<'static, str> {
    let gates = pod.spec().readiness_gates();
    if gates.is_empty() {
        return NONE.into();
    }
    let conditions = pod.status().conditions().iter();
    let statuses = Index::of_first(conditions.map(|condition| (condition.type_(), condition.status())));
    let open = gates.iter().filter(|gate| statuses.get(gate.condition_type()) == Some(&"True")).count();
    format!("{open}/{}", gates.len()).into()
}

#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<i64>,
}

impl Restarts {
    fn add(&mut self, container: ContainerStatus<'_>) {
        self.count += container.restart_count();
        if let Some(terminated) = container.last_state().terminated() {
            self.last = self.last.max(seconds(terminated.finished_at()));
        }
    }

    fn cell(self) -> Cell {
        match self.last {
            Some(since) if self.count != 0 => {
                Cell::Around { before: format!("{} (", self.count), since, after: " ago)".to_owned() }
            }
            _ => Cell::Str(self.count.to_string()),
        }
    }
}

struct Summary<'p> {
    reason: Cow<'p, str>,
    ready: usize,
    containers: usize,
    restarts: Restarts,
}

impl<'p> Summary<'p> {
    fn of(pod: Pod<'p>) -> Self {
        let (spec, status) = (pod.spec(), pod.status());
        let sidecars = spec.init_containers().iter().filter(|container| container.restart_policy() == Some("Always"));
        let mut summary = Summary {
            reason: phase_reason(status).into(),
            ready: 0,
            containers: spec.containers().len() + sidecars.count(),
            restarts: Restarts::default(),
        };
        let mut sidecars = Restarts::default();
        let initializing = summary.add_init_containers(pod, &mut sidecars);
        if !initializing || is_initialized(status) {
            summary.restarts = sidecars;
            summary.add_containers(status);
        }
        if pod.metadata().deletion_timestamp().is_some() {
            if status.reason() == "NodeLost" {
                summary.reason = "Unknown".into();
            } else if !matches!(status.phase(), "Failed" | "Succeeded") {
                summary.reason = "Terminating".into();
            }
        }
        summary
    }

    /// Up to the first init container that is not done; whether there is one.
    fn add_init_containers(&mut self, pod: Pod<'p>, sidecars: &mut Restarts) -> bool {
        let specs = pod.spec().init_containers();
        let policies = Index::of_first(specs.iter().map(|spec| (spec.name(), spec.restart_policy())));
        for (i, container) in pod.status().init_container_statuses().iter().enumerate() {
            let sidecar = policies.get(container.name()) == Some(&Some("Always"));
            self.restarts.add(container);
            if sidecar {
                sidecars.add(container);
            }
            let state = container.state();
            if state.terminated().is_some_and(|terminated| terminated.exit_code() == 0) {
                continue;
            }
            if sidecar && container.started() == Some(true) {
                self.ready += usize::from(container.ready());
                continue;
            }
            let waiting = state.waiting().map_or("", |waiting| waiting.reason());
            self.reason = match state.terminated() {
                Some(_) => format!("Init:{}", end(container)),
                None if !matches!(waiting, "" | "PodInitializing") => format!("Init:{waiting}"),
                None => format!("Init:{i}/{}", specs.len()),
            }
            .into();
            return true;
        }
        false
    }

    /// From last to first, so that the first container's reason is the one that stays.
    fn add_containers(&mut self, status: PodStatus<'p>) {
        let mut running = false;
        let mut failure = None;
        for container in status.container_statuses().iter().rev() {
            self.restarts.add(container);
            let state = container.state();
            let waiting = state.waiting().map_or("", |waiting| waiting.reason());
            if !waiting.is_empty() {
                self.reason = waiting.into();
            } else if let Some(terminated) = state.terminated() {
                self.reason = end(container);
                if terminated.exit_code() != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if container.ready() && state.running().is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if running && has_condition(status, "Ready") {
                self.reason = "Running".into();
            } else if let Some(failure) = failure {
                self.reason = failure;
            } else if running {
                self.reason = "NotReady".into();
            }
        }
    }
}

fn phase_reason(status: PodStatus<'_>) -> &str {
    let is_gated = |condition: corten_views::core_v1::PodCondition<'_>| {
        condition.type_() == "PodScheduled" && condition.reason() == "SchedulingGated"
    };
    if status.conditions().iter().any(is_gated) { "SchedulingGated" } else { or(status.reason(), status.phase()) }
}

/// How a container ended.
fn end(container: ContainerStatus<'_>) -> Cow<'_, str> {
    let Some(terminated) = container.state().terminated() else { return "".into() };
    match (terminated.reason(), terminated.signal()) {
        ("", 0) => format!("ExitCode:{}", terminated.exit_code()).into(),
        ("", signal) => format!("Signal:{signal}").into(),
        (reason, _) => reason.into(),
    }
}

fn has_condition(status: PodStatus<'_>, kind: &str) -> bool {
    status.conditions().iter().any(|condition| condition.type_() == kind && condition.status() == "True")
}

/// Only the first condition of the type counts.
fn is_initialized(status: PodStatus<'_>) -> bool {
    let mut conditions = status.conditions().iter();
    conditions
        .find(|condition| condition.type_() == "Initialized")
        .is_some_and(|condition| condition.status() == "True")
}

fn pod_template(object: Node<'_>) -> Row {
    let object: PodTemplate = view(object);
    let template = object.template();
    row![
        object.metadata().name(),
        container_names(template),
        container_images(template),
        format_labels(template.metadata().labels().iter()),
    ]
}
