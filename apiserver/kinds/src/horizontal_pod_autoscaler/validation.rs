//! The rules of a HorizontalPodAutoscaler's spec.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;
use corten_views::autoscaling_v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource, HPAScalingPolicy,
    HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
    ObjectMetricSource, PodsMetricSource, ResourceMetricSource,
};

use crate::object_meta::{invalid_each, path_segment_errors};
use crate::resource_name;

const PERIOD_SECONDS_MAX: i64 = 1800;
const STABILIZATION_SECONDS_MAX: i64 = 3600;
const METRIC_TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];

/// What an older object allows the new one.
struct Options {
    min_replicas: i64,
    target: Reference,
    object: Reference,
}

#[derive(Clone, Copy)]
struct Reference {
    empty_group: bool,
    any_version: bool,
}

impl Options {
    fn new(new: HorizontalPodAutoscalerSpec<'_>, old: Option<HorizontalPodAutoscalerSpec<'_>>) -> Options {
        let mut options = Options {
            // Scaling to zero is off, but what has it keeps it.
            min_replicas: if old.is_some_and(|old| old.min_replicas() == Some(0)) { 0 } else { 1 },
            target: Reference { empty_group: false, any_version: false },
            object: Reference { empty_group: true, any_version: false },
        };
        let target = new.scale_target_ref();
        let same_target = old
            .map(HorizontalPodAutoscalerSpec::scale_target_ref)
            .is_some_and(|old| old.api_version() == target.api_version() && old.kind() == target.kind());
        options.target.any_version = same_target;
        options.target.empty_group = !same_target && target.kind() == "ReplicationController";
        options.object.any_version = old.is_some_and(|old| {
            old.metrics().iter().filter(|metric| metric.type_() == "Object").any(|metric| {
                metric.object().is_some_and(|object| {
                    version_problem(object.described_object().api_version(), options.object).is_some()
                })
            })
        });
        options
    }
}

pub fn validate(new: HorizontalPodAutoscaler<'_>, old: Option<HorizontalPodAutoscaler<'_>>) -> Errors {
    let mut errors = Errors::default();
    let options = Options::new(new.spec(), old.map(HorizontalPodAutoscaler::spec));
    validate_spec(new.spec(), &options, &Path::new("spec"), &mut errors);
    errors
}

fn validate_spec(spec: HorizontalPodAutoscalerSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let (min, max) = (spec.min_replicas(), spec.max_replicas());
    if let Some(min) = min.filter(|min| *min < options.min_replicas) {
        let detail = format!("must be greater than or equal to {}", options.min_replicas);
        errors.push(Error::invalid(&path.child("minReplicas"), min, detail));
    }
    let max_path = path.child("maxReplicas");
    if max == 0 {
        errors.push(Error::required(&max_path, "must be set and greater than 0"));
    } else if max < 0 {
        errors.push(Error::invalid(&max_path, max, "must be greater than or equal to 1"));
    }
    if min.is_some_and(|min| max < min) {
        errors.push(Error::invalid(&max_path, max, "must be greater than or equal to `minReplicas`"));
    }
    validate_reference(spec.scale_target_ref(), options.target, &path.child("scaleTargetRef"), errors);
    validate_metrics(spec, options, &path.child("metrics"), errors);
    if let Some(behavior) = spec.behavior() {
        let path = path.child("behavior");
        for (name, rules) in [("scaleUp", behavior.scale_up()), ("scaleDown", behavior.scale_down())] {
            if let Some(rules) = rules {
                validate_rules(rules, &path.child(name), errors);
            }
        }
    }
}

fn validate_reference(
    reference: CrossVersionObjectReference<'_>,
    rules: Reference,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    for (field, value) in [("kind", reference.kind()), ("name", reference.name())] {
        let path = path.child(field);
        if value.is_empty() {
            errors.push(Error::required(&path, ""));
        } else {
            invalid_each(path_segment_errors(value, false), value, &path, errors);
        }
    }
    if let Some(problem) = version_problem(reference.api_version(), rules) {
        errors.push(Error::invalid(&path.child("apiVersion"), reference.api_version(), problem));
    }
}

fn version_problem(api_version: &str, rules: Reference) -> Option<String> {
    if rules.any_version {
        return None;
    }
    if api_version.matches('/').count() > 1 {
        return Some(format!("unexpected GroupVersion string: {api_version}"));
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    (group.is_empty() && !rules.empty_group).then(|| "apiVersion must specify API group".to_owned())
}

fn validate_metrics(spec: HorizontalPodAutoscalerSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    for (i, metric) in spec.metrics().iter().enumerate() {
        validate_metric(metric, options.object, &path.index(i), errors);
    }
    let outside = spec.metrics().iter().any(|metric| ["Object", "External"].contains(&metric.type_()));
    if spec.min_replicas() == Some(0) && !outside {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(Error::forbidden(path, detail));
    }
}

fn validate_metric(metric: MetricSpec<'_>, object: Reference, path: &Path<'_>, errors: &mut Errors) {
    let ty = metric.type_();
    let type_path = path.child("type");
    let unsupported = || Error::not_supported(&type_path, BadValue::typed(ty), METRIC_TYPES);
    if ty.is_empty() {
        errors.push(Error::required(&type_path, "must specify a metric source type"));
    }
    if !METRIC_TYPES.contains(&ty) {
        errors.push(unsupported());
    }
    let sources = [
        ("object", metric.object().is_some()),
        ("external", metric.external().is_some()),
        ("pods", metric.pods().is_some()),
        ("resource", metric.resource().is_some()),
        ("containerResource", metric.container_resource().is_some()),
    ];
    let present: Vec<&str> = sources.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect();
    // Only the first that is there is looked into.
    if let Some(&first) = present.first() {
        validate_source(metric, first, object, &path.child(first), errors);
    }
    let expected = match ty {
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "External" => "external",
        "ContainerResource" => "containerResource",
        _ => {
            errors.push(unsupported());
            ""
        }
    };
    if !expected.is_empty() && !present.contains(&expected) {
        let detail = "must populate information for the given metric source";
        errors.push(Error::required(&path.child(expected), detail));
    }
    if present.len() != 1 {
        for name in present.into_iter().filter(|name| *name != expected) {
            errors.push(Error::forbidden(&path.child(name), "must populate the given metric source only"));
        }
    }
}

fn validate_source(metric: MetricSpec<'_>, name: &str, object: Reference, path: &Path<'_>, errors: &mut Errors) {
    match name {
        "object" => metric.object().into_iter().for_each(|source| validate_object(source, object, path, errors)),
        "external" => metric.external().into_iter().for_each(|source| validate_external(source, path, errors)),
        "pods" => metric.pods().into_iter().for_each(|source| validate_pods(source, path, errors)),
        "resource" => metric.resource().into_iter().for_each(|source| validate_resource(source, path, errors)),
        _ => metric.container_resource().into_iter().for_each(|source| validate_container(source, path, errors)),
    }
}

fn validate_object(source: ObjectMetricSource<'_>, rules: Reference, path: &Path<'_>, errors: &mut Errors) {
    validate_reference(source.described_object(), rules, &path.child("describedObject"), errors);
    validate_identifier(source.metric(), &path.child("metric"), errors);
    let target = path.child("target");
    validate_target(source.target(), &target, errors);
    if source.target().value().is_none() && source.target().average_value().is_none() {
        let detail = "must set either a target value or averageValue";
        errors.push(Error::required(&target.child("averageValue"), detail));
    }
}

fn validate_external(source: ExternalMetricSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_identifier(source.metric(), &path.child("metric"), errors);
    let target = path.child("target");
    validate_target(source.target(), &target, errors);
    match (source.target().value(), source.target().average_value()) {
        (None, None) => {
            let detail = "must set either a target value for metric or a per-pod target";
            errors.push(Error::required(&target.child("averageValue"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errors.push(Error::forbidden(&target.child("value"), detail));
        }
        _ => {}
    }
}

fn validate_pods(source: PodsMetricSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_identifier(source.metric(), &path.child("metric"), errors);
    let target = path.child("target");
    validate_target(source.target(), &target, errors);
    if source.target().average_value().is_none() {
        let detail = "must specify a positive target averageValue";
        errors.push(Error::required(&target.child("averageValue"), detail));
    }
}

fn validate_resource(source: ResourceMetricSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    if source.name().is_empty() {
        errors.push(Error::required(&path.child("name"), "must specify a resource name"));
    }
    validate_utilization(source.target(), &path.child("target"), errors);
}

fn validate_container(source: ContainerResourceMetricSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    let name = path.child("name");
    if source.name().is_empty() {
        errors.push(Error::required(&name, "must specify a resource name"));
    } else {
        resource_name::validate_of_container(source.name(), &name, errors);
    }
    let container = path.child("container");
    if source.container().is_empty() {
        errors.push(Error::required(&container, "must specify a container"));
    } else {
        invalid_each(names::is_dns1123_label(source.container()), source.container(), &container, errors);
    }
    validate_utilization(source.target(), &path.child("target"), errors);
}

fn validate_utilization(target: MetricTarget<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_target(target, path, errors);
    match (target.average_utilization(), target.average_value()) {
        (None, None) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.push(Error::required(&path.child("averageUtilization"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.push(Error::forbidden(&path.child("averageValue"), detail));
        }
        _ => {}
    }
}

fn validate_target(target: MetricTarget<'_>, path: &Path<'_>, errors: &mut Errors) {
    let ty = target.type_();
    if ty.is_empty() {
        errors.push(Error::required(&path.child("type"), "must specify a metric target type"));
    }
    if !["Utilization", "Value", "AverageValue"].contains(&ty) {
        let detail = "must be either Utilization, Value, or AverageValue";
        errors.push(Error::invalid(&path.child("type"), BadValue::typed(ty), detail));
    }
    for (field, value) in [("value", target.value()), ("averageValue", target.average_value())] {
        if let Some(value) = value.filter(|value| sign(value) != 1) {
            errors.push(Error::invalid(&path.child(field), BadValue::typed(value), "must be positive"));
        }
    }
    if let Some(utilization) = target.average_utilization().filter(|utilization| *utilization < 1) {
        errors.push(Error::invalid(&path.child("averageUtilization"), utilization, "must be greater than 0"));
    }
}

fn sign(quantity: &str) -> i32 {
    Quantity::parse(quantity).map_or(0, |quantity| quantity.sign())
}

fn validate_identifier(metric: MetricIdentifier<'_>, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("name");
    if metric.name().is_empty() {
        errors.push(Error::required(&path, "must specify a metric name"));
    } else {
        invalid_each(path_segment_errors(metric.name(), false), metric.name(), &path, errors);
    }
}

fn validate_rules(rules: HPAScalingRules<'_>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(seconds) = rules.stabilization_window_seconds() {
        let path = path.child("stabilizationWindowSeconds");
        if seconds < 0 {
            errors.push(Error::invalid(&path, seconds, "must be greater than or equal to zero"));
        }
        if seconds > STABILIZATION_SECONDS_MAX {
            let detail = format!("must be less than or equal to {STABILIZATION_SECONDS_MAX}");
            errors.push(Error::invalid(&path, seconds, detail));
        }
    }
    let selects = ["Disabled", "Max", "Min"];
    if let Some(select) = rules.select_policy().filter(|select| !selects.contains(select)) {
        errors.push(Error::not_supported(&path.child("selectPolicy"), BadValue::typed(select), &selects));
    }
    let policies = path.child("policies");
    if rules.policies().is_empty() {
        errors.push(Error::required(&policies, "must specify at least one Policy"));
    }
    for (i, policy) in rules.policies().iter().enumerate() {
        validate_policy(policy, &policies.index(i), errors);
    }
    if let Some(tolerance) = rules.tolerance().filter(|tolerance| sign(tolerance) < 0) {
        errors.push(Error::invalid(&path.child("tolerance"), tolerance, "must be greater than or equal to 0"));
    }
}

fn validate_policy(policy: HPAScalingPolicy<'_>, path: &Path<'_>, errors: &mut Errors) {
    let types = ["Percent", "Pods"];
    if !types.contains(&policy.type_()) {
        errors.push(Error::not_supported(&path.child("type"), BadValue::typed(policy.type_()), &types));
    }
    if policy.value() <= 0 {
        errors.push(Error::invalid(&path.child("value"), policy.value(), "must be greater than zero"));
    }
    let (seconds, path) = (policy.period_seconds(), path.child("periodSeconds"));
    if seconds <= 0 {
        errors.push(Error::invalid(&path, seconds, "must be greater than zero"));
    }
    if seconds > PERIOD_SECONDS_MAX {
        let detail = format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
        errors.push(Error::invalid(&path, seconds, detail));
    }
}
