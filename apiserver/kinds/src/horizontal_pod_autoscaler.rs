//! HorizontalPodAutoscaler: v2 is stored, v1 shows it with the rest in annotations.

use corten_api::field::{Errors, Path};
use corten_object::tree::{Edit, Id, Node, Tree, View};
use corten_views::autoscaling_v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget, ResourceMetricSource,
};

use crate::access::{put_back, view};
use crate::object_meta::validate_nonnegative;
use crate::strategy::{Context, Strategy};

mod conversion;
#[cfg(test)]
mod tests;
mod validation;

const DEFAULT_CPU_UTILIZATION: i64 = 80;

pub struct HorizontalPodAutoscalers;
pub struct Status;

impl Strategy for HorizontalPodAutoscalers {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        if version != "v2" {
            return;
        }
        let mut spec = object.ensure(HorizontalPodAutoscaler::SPEC);
        if spec.view::<HorizontalPodAutoscalerSpec<'_>>().metrics().is_empty() {
            default_metrics(&mut spec);
        }
        if let Some(mut behavior) = spec.field(HorizontalPodAutoscalerSpec::BEHAVIOR) {
            let mut up = behavior.ensure(HorizontalPodAutoscalerBehavior::SCALE_UP);
            up.default(HPAScalingRules::STABILIZATION_WINDOW_SECONDS, 0);
            default_rules(&mut up, &[("Pods", 4), ("Percent", 100)]);
            default_rules(&mut behavior.ensure(HorizontalPodAutoscalerBehavior::SCALE_DOWN), &[("Percent", 100)]);
        }
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(HorizontalPodAutoscaler::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), HorizontalPodAutoscaler::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        validation::validate(view(object), None)
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        validation::validate(view(object), Some(view(old)))
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }

    fn convert(&self, object: &Tree, to_version: (&str, &str)) -> Option<Tree> {
        match to_version {
            ("autoscaling", "v1") => Some(conversion::to_v1(object)),
            ("autoscaling", "v2") => Some(conversion::from_v1(object)),
            _ => None,
        }
    }
}

impl Strategy for Status {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        HorizontalPodAutoscalers.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), HorizontalPodAutoscaler::SPEC);
    }

    fn validate_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let status = view::<HorizontalPodAutoscaler<'_>>(object).status();
        let path = Path::new("status");
        validate_nonnegative(status.current_replicas(), &path.child("currentReplicas"), &mut errors);
        validate_nonnegative(status.desired_replicas(), &path.child("desiredReplicas"), &mut errors);
        errors
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

/// Without any metric, the processors' use is the one.
fn default_metrics(spec: &mut Edit<'_>) {
    let mut metric = spec.append(HorizontalPodAutoscalerSpec::METRICS, MetricSpec::TYPE);
    metric.set(MetricSpec::TYPE_, "Resource");
    let mut resource = metric.ensure(MetricSpec::RESOURCE);
    resource.set(ResourceMetricSource::NAME, "cpu");
    let mut target = resource.ensure(ResourceMetricSource::TARGET);
    target.set(MetricTarget::TYPE_, "Utilization");
    target.set(MetricTarget::AVERAGE_UTILIZATION, DEFAULT_CPU_UTILIZATION);
}

fn default_rules(rules: &mut Edit<'_>, policies: &[(&str, i64)]) {
    rules.default(HPAScalingRules::SELECT_POLICY, "Max");
    if rules.has(HPAScalingRules::POLICIES) {
        return;
    }
    for &(ty, value) in policies {
        let mut policy = rules.append(HPAScalingRules::POLICIES, HPAScalingPolicy::TYPE);
        policy.set(HPAScalingPolicy::TYPE_, ty);
        policy.set(HPAScalingPolicy::VALUE, value);
        policy.set(HPAScalingPolicy::PERIOD_SECONDS, 15);
    }
}

/// A list made of items of other trees.
fn list_of(out: &mut Tree, trees: &[Tree]) -> Id {
    let items: Vec<Id> = trees.iter().map(|tree| out.import(tree.root())).collect();
    out.list(&items)
}
