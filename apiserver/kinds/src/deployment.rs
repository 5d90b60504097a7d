//! Deployment.

use corten_api::field::{Error, Errors, Path};
use corten_object::tree::{Edit, IntOrStr, Node, View};
use corten_views::apps_v1::{
    Deployment, DeploymentSpec, DeploymentStatus, DeploymentStrategy, RollingUpdateDeployment,
};
use corten_views::meta_v1::ObjectMeta;

use crate::access::{bad_field, put_back, same, view};
use crate::label_selector::{self, Leniency};
use crate::object_meta::{FIELD_IMMUTABLE, validate_nonnegative};
use crate::pod::{Options, internal};
use crate::pod_template;
use crate::rolling_update::{amount, shown, validate_at_most_all, validate_int_or_percent};
use crate::strategy::{Context, Strategy};
use crate::workload_status::validate_collision_count;

const SPEC: Path<'static> = Path::new("spec");

pub struct Deployments;

impl Strategy for Deployments {
    fn show_empty(&self, object: &mut Edit<'_>) {
        object.ensure(Deployment::SPEC).set(DeploymentSpec::REPLICAS, 0i64);
    }

    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let mut spec = object.ensure(Deployment::SPEC);
        default_spec(&mut spec);
        pod_template::default(&mut spec.ensure(DeploymentSpec::TEMPLATE));
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(Deployment::STATUS);
        object.ensure(Deployment::STATUS);
        pod_template::drop_disabled(&mut object.ensure_path([Deployment::SPEC, DeploymentSpec::TEMPLATE]), None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Deployment::STATUS);
        let old: Deployment<'_> = view(old);
        let mut template = object.ensure_path([Deployment::SPEC, DeploymentSpec::TEMPLATE]);
        pod_template::drop_disabled(&mut template, Some(old.spec().template()));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let deployment: Deployment<'_> = view(object);
        validate_spec(deployment.spec(), &Options::for_template(None), &mut errors);
        validate_rollback(deployment, &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old) = (view::<Deployment<'_>>(object).spec(), view::<Deployment<'_>>(old).spec());
        validate_rollback(view(object), &mut errors);
        validate_spec(new, &Options::for_template(Some(old.template())), &mut errors);
        if !same(new, old, DeploymentSpec::SELECTOR) {
            let value = bad_field(new, DeploymentSpec::SELECTOR);
            errors.push(Error::invalid(&SPEC.child("selector"), value, FIELD_IMMUTABLE));
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let deployment: Deployment<'_> = view(object);
        let mut out: Vec<String> = pod_template::name_warning(deployment.metadata().name()).into_iter().collect();
        out.extend(pod_template::warnings(deployment.spec().template(), &SPEC.child("template")));
        out
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        if !self.generation_changes(object, old) {
            return Vec::new();
        }
        pod_template::warnings(view::<Deployment<'_>>(object).spec().template(), &SPEC.child("template"))
    }

    /// Annotations count, because the ReplicaSets get them too.
    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        let (new, old): (Deployment<'_>, Deployment<'_>) = (view(object), view(old));
        !same(new, old, Deployment::SPEC) || !same(new.metadata(), old.metadata(), ObjectMeta::ANNOTATIONS)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        (name == "status").then_some(&StatusOfDeployments)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

pub struct StatusOfDeployments;

impl Strategy for StatusOfDeployments {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Deployments.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Deployment::SPEC);
        let old: Deployment<'_> = view(old);
        put_back(&mut object.ensure(Deployment::METADATA), old.metadata().as_struct(), ObjectMeta::LABELS);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Deployment<'_>, Deployment<'_>) = (view(object), view(old));
        validate_status(new.status(), old.status(), &mut errors);
        errors
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"], &["metadata", "labels"]]
    }
}

fn default_spec(spec: &mut Edit<'_>) {
    spec.default(DeploymentSpec::REPLICAS, 1i64);
    spec.default(DeploymentSpec::REVISION_HISTORY_LIMIT, 10i64);
    spec.default(DeploymentSpec::PROGRESS_DEADLINE_SECONDS, 600i64);
    let mut strategy = spec.ensure(DeploymentSpec::STRATEGY);
    strategy.default(DeploymentStrategy::TYPE_, "RollingUpdate");
    if strategy.view::<DeploymentStrategy<'_>>().type_() == "RollingUpdate" {
        let mut rolling = strategy.ensure(DeploymentStrategy::ROLLING_UPDATE);
        rolling.default(RollingUpdateDeployment::MAX_UNAVAILABLE, "25%");
        rolling.default(RollingUpdateDeployment::MAX_SURGE, "25%");
    }
}

fn validate_spec(spec: DeploymentSpec<'_>, options: &Options, errors: &mut Errors) {
    validate_nonnegative(spec.replicas().unwrap_or(0), &SPEC.child("replicas"), errors);
    let selector_path = SPEC.child("selector");
    match spec.selector() {
        None => errors.push(Error::required(&selector_path, "")),
        Some(selector) => {
            label_selector::validate(selector, Leniency::default(), &selector_path, errors);
            if label_selector::is_empty(selector) {
                let value = bad_field(spec, DeploymentSpec::SELECTOR);
                errors.push(Error::invalid(&selector_path, value, "empty selector is invalid for deployment"));
            }
        }
    }
    match pod_template::as_selector(spec.selector()) {
        None => {
            let value = bad_field(spec, DeploymentSpec::SELECTOR);
            errors.push(Error::invalid(&selector_path, value, "invalid label selector"));
        }
        Some(selector) => {
            let path = SPEC.child("template");
            pod_template::validate_for_replicas(spec.template(), &selector, options, &path, errors);
        }
    }
    validate_strategy(spec.strategy(), &SPEC.child("strategy"), errors);
    validate_nonnegative(spec.min_ready_seconds(), &SPEC.child("minReadySeconds"), errors);
    if let Some(limit) = spec.revision_history_limit() {
        validate_nonnegative(limit, &SPEC.child("revisionHistoryLimit"), errors);
    }
    if let Some(deadline) = spec.progress_deadline_seconds() {
        let path = SPEC.child("progressDeadlineSeconds");
        validate_nonnegative(deadline, &path, errors);
        if deadline <= spec.min_ready_seconds() {
            errors.push(Error::invalid(&path, deadline, "must be greater than minReadySeconds"));
        }
    }
}

/// The revision to go back to was a field once, and is an annotation now.
fn validate_rollback(deployment: Deployment<'_>, errors: &mut Errors) {
    let revision = deployment.metadata().annotations().get("deprecated.deployment.rollback.to");
    if let Some(revision) = revision.and_then(|revision| revision.parse().ok()) {
        validate_nonnegative(revision, &SPEC.child("rollback.version"), errors);
    }
}

fn validate_strategy(strategy: DeploymentStrategy<'_>, path: &Path<'_>, errors: &mut Errors) {
    let rolling_path = path.child("rollingUpdate");
    match (strategy.type_(), strategy.rolling_update()) {
        ("Recreate", Some(_)) => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(Error::forbidden(&rolling_path, detail));
        }
        ("Recreate", None) => {}
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &rolling_path, errors),
        ("RollingUpdate", None) => {
            errors.push(Error::required(&rolling_path, "this should be defaulted and never be nil"));
        }
        _ => {
            let supported = &["Recreate", "RollingUpdate"];
            errors.push(Error::not_supported(path, internal::bad_value(strategy), supported));
        }
    }
}

fn validate_rolling(rolling: RollingUpdateDeployment<'_>, path: &Path<'_>, errors: &mut Errors) {
    let unavailable = rolling.max_unavailable().unwrap_or(IntOrStr::Int(0));
    let surge = rolling.max_surge().unwrap_or(IntOrStr::Int(0));
    let unavailable_path = path.child("maxUnavailable");
    validate_int_or_percent(unavailable, &unavailable_path, errors);
    validate_int_or_percent(surge, &path.child("maxSurge"), errors);
    if amount(unavailable) == 0 && amount(surge) == 0 {
        let detail = "may not be 0 when `maxSurge` is 0";
        errors.push(Error::invalid(&unavailable_path, shown(unavailable), detail));
    }
    validate_at_most_all(unavailable, &unavailable_path, errors);
}

fn validate_status(status: DeploymentStatus<'_>, old: DeploymentStatus<'_>, errors: &mut Errors) {
    let path = Path::new("status");
    let replicas = status.replicas();
    let counts = [
        (Some(status.observed_generation()), "observedGeneration"),
        (Some(replicas), "replicas"),
        (Some(status.updated_replicas()), "updatedReplicas"),
        (Some(status.ready_replicas()), "readyReplicas"),
        (Some(status.available_replicas()), "availableReplicas"),
        (Some(status.unavailable_replicas()), "unavailableReplicas"),
        (status.terminating_replicas(), "terminatingReplicas"),
        (status.collision_count(), "collisionCount"),
    ];
    for (count, field) in counts {
        if let Some(count) = count {
            validate_nonnegative(count, &path.child(field), errors);
        }
    }
    let parts = [
        (status.updated_replicas(), "updatedReplicas"),
        (status.ready_replicas(), "readyReplicas"),
        (status.available_replicas(), "availableReplicas"),
    ];
    for (part, field) in parts.into_iter().filter(|(part, _)| *part > replicas) {
        errors.push(Error::invalid(&path.child(field), part, "cannot be greater than status.replicas"));
    }
    if status.available_replicas() > status.ready_replicas() {
        let path = path.child("availableReplicas");
        errors.push(Error::invalid(&path, status.available_replicas(), "cannot be greater than readyReplicas"));
    }
    validate_collision_count(status.collision_count(), old.collision_count(), errors);
}
