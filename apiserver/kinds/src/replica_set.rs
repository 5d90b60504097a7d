//! ReplicaSet.

use corten_api::field::{Error, Errors, Path};
use corten_object::tree::{Edit, Node};
use corten_views::apps_v1::{ReplicaSet, ReplicaSetSpec};

use crate::access::{bad_field, put_back, same, view};
use crate::label_selector::{self, Leniency};
use crate::object_meta::{FIELD_IMMUTABLE, validate_nonnegative};
use crate::pod::Options;
use crate::pod_template;
use crate::strategy::{Context, MetadataRun, Strategy};
use crate::workload_status::{StatusOf, nothing_else, validate_available, validate_counts};

const SPEC: Path<'static> = Path::new("spec");

pub struct ReplicaSets;

static STATUS: StatusOf = StatusOf {
    kind: &ReplicaSets,
    spec: ReplicaSet::SPEC,
    validate: validate_status,
    metadata: &[MetadataRun::Change],
    carry: nothing_else,
};

impl Strategy for ReplicaSets {
    fn show_empty(&self, object: &mut Edit<'_>) {
        object.ensure(ReplicaSet::SPEC).set(ReplicaSetSpec::REPLICAS, 0i64);
    }

    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let mut spec = object.ensure(ReplicaSet::SPEC);
        spec.default(ReplicaSetSpec::REPLICAS, 1i64);
        pod_template::default(&mut spec.ensure(ReplicaSetSpec::TEMPLATE));
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(ReplicaSet::STATUS);
        object.ensure(ReplicaSet::STATUS);
        pod_template::drop_disabled(&mut object.ensure_path([ReplicaSet::SPEC, ReplicaSetSpec::TEMPLATE]), None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), ReplicaSet::STATUS);
        let old: ReplicaSet<'_> = view(old);
        let mut template = object.ensure_path([ReplicaSet::SPEC, ReplicaSetSpec::TEMPLATE]);
        pod_template::drop_disabled(&mut template, Some(old.spec().template()));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_spec(view::<ReplicaSet<'_>>(object).spec(), &Options::for_template(None), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old) = (view::<ReplicaSet<'_>>(object).spec(), view::<ReplicaSet<'_>>(old).spec());
        validate_spec(new, &Options::for_template(Some(old.template())), &mut errors);
        if !same(new, old, ReplicaSetSpec::SELECTOR) {
            let value = bad_field(new, ReplicaSetSpec::SELECTOR);
            errors.push(Error::invalid(&SPEC.child("selector"), value, FIELD_IMMUTABLE));
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let set: ReplicaSet<'_> = view(object);
        let mut out: Vec<String> = pod_template::name_warning(set.metadata().name()).into_iter().collect();
        out.extend(pod_template::warnings(set.spec().template(), &SPEC.child("template")));
        out
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        match self.generation_changes(object, old) {
            true => pod_template::warnings(view::<ReplicaSet<'_>>(object).spec().template(), &SPEC.child("template")),
            false => Vec::new(),
        }
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<ReplicaSet<'_>>(object), view::<ReplicaSet<'_>>(old), ReplicaSet::SPEC)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        (name == "status").then_some(&STATUS)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

fn validate_spec(spec: ReplicaSetSpec<'_>, options: &Options, errors: &mut Errors) {
    validate_nonnegative(spec.replicas().unwrap_or(0), &SPEC.child("replicas"), errors);
    validate_nonnegative(spec.min_ready_seconds(), &SPEC.child("minReadySeconds"), errors);
    let path = SPEC.child("selector");
    match spec.selector() {
        None => errors.push(Error::required(&path, "")),
        Some(selector) => {
            label_selector::validate(selector, Leniency::default(), &path, errors);
            if label_selector::is_empty(selector) {
                let value = bad_field(spec, ReplicaSetSpec::SELECTOR);
                errors.push(Error::invalid(&path, value, "empty selector is invalid for deployment"));
            }
        }
    }
    match pod_template::as_selector(spec.selector()) {
        None => {
            let value = bad_field(spec, ReplicaSetSpec::SELECTOR);
            errors.push(Error::invalid(&path, value, "invalid label selector"));
        }
        Some(selector) => {
            let path = SPEC.child("template");
            pod_template::validate_for_replicas(spec.template(), &selector, options, &path, errors);
        }
    }
}

fn validate_status(object: Node<'_>, _old: Node<'_>, errors: &mut Errors) {
    let status = view::<ReplicaSet<'_>>(object).status();
    let parts = [
        (status.fully_labeled_replicas(), "fullyLabeledReplicas"),
        (status.ready_replicas(), "readyReplicas"),
        (status.available_replicas(), "availableReplicas"),
    ];
    let mut counts = vec![(status.replicas(), "replicas")];
    counts.extend(parts);
    counts.push((status.observed_generation(), "observedGeneration"));
    counts.extend(status.terminating_replicas().map(|count| (count, "terminatingReplicas")));
    validate_counts(&counts, &parts, status.replicas(), errors);
    validate_available(status.available_replicas(), status.ready_replicas(), "readyReplicas", errors);
}
