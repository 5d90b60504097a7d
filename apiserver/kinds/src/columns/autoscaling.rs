//! HorizontalPodAutoscalers: what is measured, against what is wanted.

use corten_object::tree::Node;
use corten_views::autoscaling_v1::Scale;
use corten_views::autoscaling_v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};

use super::{AGE, NAME, NONE, Printer, UNKNOWN, UNSET, age, column, integer, text, view};
use crate::table::{CREATED_DESCRIPTION, NAME_DESCRIPTION, Row};

pub(super) static HORIZONTAL_POD_AUTOSCALER: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Reference",
            "scaleTargetRef points to the target resource to scale, and is used to the pods for which metrics should be collected, as well as to actually change the replica count.",
        ),
        text(
            "Targets",
            "metrics contains the specifications for which to use to calculate the desired replica count (the maximum replica count across all metrics will be used).  The desired replica count is calculated multiplying the ratio between the target value and the current value by the current number of pods.  Ergo, metrics used must decrease as the pod count is increased, and vice-versa.  See the individual metric source types for more information about how each type of metric must respond. If not set, the default metric will be set to 80% average CPU utilization.",
        ),
        text(
            "MinPods",
            "minReplicas is the lower limit for the number of replicas to which the autoscaler can scale down.  It defaults to 1 pod.  minReplicas is allowed to be 0 if the alpha feature gate HPAScaleToZero is enabled and at least one Object or External metric is configured.  Scaling is active as long as at least one metric value is available.",
        ),
        text(
            "MaxPods",
            "maxReplicas is the upper limit for the number of replicas to which the autoscaler can scale up. It cannot be less that minReplicas.",
        ),
        text(
            "Replicas",
            "currentReplicas is current number of replicas of pods managed by this autoscaler, as last seen by the autoscaler.",
        ),
        AGE,
    ],
    row: autoscaler,
};

pub(super) const SCALE: Printer = Printer {
    columns: &[
        text("Name", NAME_DESCRIPTION),
        integer("Desired", "replicas is the desired number of instances for the scaled object."),
        integer("Available", "replicas is the actual number of observed instances of the scaled object."),
        AGE,
    ],
    row: scale,
};

/// The same of custom resources, which say it in other words.
pub(super) const CUSTOM_SCALE: Printer = Printer {
    columns: &[
        NAME,
        integer("Desired", "Number of desired replicas"),
        integer("Available", "Number of actual replicas"),
        column("Age", "date", CREATED_DESCRIPTION),
    ],
    row: scale,
};

fn autoscaler(object: Node<'_>) -> Row {
    let object: HorizontalPodAutoscaler = view(object);
    let (spec, status) = (object.spec(), object.status());
    let target = spec.scale_target_ref();
    row![
        object.metadata().name(),
        format!("{}/{}", target.kind(), target.name()),
        metrics(object),
        spec.min_replicas().map_or_else(|| UNSET.to_owned(), |replicas| replicas.to_string()),
        spec.max_replicas(),
        status.current_replicas(),
        age(object.metadata()),
    ]
}

/// At most two metrics.
fn metrics(object: HorizontalPodAutoscaler<'_>) -> String {
    let (specs, statuses) = (object.spec().metrics(), object.status().current_metrics());
    if specs.is_empty() {
        return NONE.to_owned();
    }
    let shown = specs.iter().take(2).enumerate().map(|(i, spec)| metric(spec, statuses.get(i)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match specs.len().checked_sub(2) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} + {more} more..."),
    }
}

fn metric(spec: MetricSpec<'_>, status: Option<MetricStatus<'_>>) -> String {
    match spec.type_() {
        "External" => {
            let current = status.and_then(|status| status.external()).map(|external| external.current());
            whole(spec.external().map(|external| external.target()), current)
        }
        "Object" => {
            let current = status.and_then(|status| status.object()).map(|object| object.current());
            whole(spec.object().map(|object| object.target()), current)
        }
        "Pods" => {
            let current = status.and_then(|status| status.pods()).map(|pods| pods.current());
            let target = spec.pods().map(|pods| pods.target());
            format!("{}/{}", average(current), quantity(target.and_then(|target| target.average_value())))
        }
        "Resource" => {
            let current = status.and_then(|status| status.resource()).map(|resource| resource.current());
            let Some(resource) = spec.resource() else { return String::new() };
            utilization(resource.name(), resource.target(), current)
        }
        "ContainerResource" => {
            let current = status.and_then(|status| status.container_resource()).map(|resource| resource.current());
            let Some(resource) = spec.container_resource() else { return String::new() };
            utilization(resource.name(), resource.target(), current)
        }
        _ => "<unknown type>".to_owned(),
    }
}

/// Go's text of a quantity that may be absent.
fn quantity(value: Option<&str>) -> &str {
    value.unwrap_or("<nil>")
}

fn average(current: Option<MetricValueStatus<'_>>) -> &str {
    current.map_or(UNKNOWN, |current| quantity(current.average_value()))
}

/// A metric of one object or from outside.
fn whole(target: Option<MetricTarget<'_>>, current: Option<MetricValueStatus<'_>>) -> String {
    match target.and_then(|target| target.average_value()) {
        Some(target) => {
            let current = current.and_then(|current| current.average_value()).unwrap_or(UNKNOWN);
            format!("{current}/{target} (avg)")
        }
        None => {
            let current = current.map_or(UNKNOWN, |current| quantity(current.value()));
            format!("{current}/{}", quantity(target.and_then(|target| target.value())))
        }
    }
}

fn utilization(name: &str, target: MetricTarget<'_>, current: Option<MetricValueStatus<'_>>) -> String {
    if let Some(target) = target.average_value() {
        return format!("{name}: {}/{target}", average(current));
    }
    let percent = |value: Option<i64>, otherwise: &str| match value {
        Some(value) => format!("{value}%"),
        None => otherwise.to_owned(),
    };
    let current = percent(current.and_then(|current| current.average_utilization()), UNKNOWN);
    format!("{name}: {current}/{}", percent(target.average_utilization(), "<auto>"))
}

fn scale(object: Node<'_>) -> Row {
    let object: Scale = view(object);
    row![object.metadata().name(), object.spec().replicas(), object.status().replicas(), age(object.metadata())]
}
