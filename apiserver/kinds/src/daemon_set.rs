//! DaemonSet.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::{Edit, IntOrStr, Node};
use corten_views::apps_v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use corten_views::meta_v1::ObjectMeta;

use crate::access::{bad_field, put_back, same, view};
use crate::label_selector::{self, Leniency};
use crate::object_meta::{FIELD_IMMUTABLE, validate_nonnegative};
use crate::pod::{Options, internal};
use crate::pod_template;
use crate::rolling_update::{amount, shown, validate_at_most_all, validate_int_or_percent};
use crate::strategy::{Context, MetadataRun, Strategy};
use crate::workload_status::{StatusOf, validate_collision_count, validate_counts};

const SPEC: Path<'static> = Path::new("spec");
/// How often the template changed; a field of the internal API that the versioned one keeps here.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub struct DaemonSets;

static STATUS: StatusOf = StatusOf {
    kind: &DaemonSets,
    spec: DaemonSet::SPEC,
    validate: validate_status,
    metadata: &[MetadataRun::Change],
    carry,
};

impl Strategy for DaemonSets {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        // The field of the internal API has a number always, and shows as the annotation.
        if object.view::<DaemonSet<'_>>().metadata().annotations().get(TEMPLATE_GENERATION).is_none() {
            set_template_generation(object, 0);
        }
        let mut spec = object.ensure(DaemonSet::SPEC);
        spec.default(DaemonSetSpec::REVISION_HISTORY_LIMIT, 10i64);
        let mut strategy = spec.ensure(DaemonSetSpec::UPDATE_STRATEGY);
        strategy.default(DaemonSetUpdateStrategy::TYPE_, "RollingUpdate");
        if strategy.view::<DaemonSetUpdateStrategy<'_>>().type_() == "RollingUpdate" {
            let mut rolling = strategy.ensure(DaemonSetUpdateStrategy::ROLLING_UPDATE);
            rolling.default(RollingUpdateDaemonSet::MAX_UNAVAILABLE, 1i64);
        }
        if strategy.view::<DaemonSetUpdateStrategy<'_>>().rolling_update().is_some() {
            let mut rolling = strategy.ensure(DaemonSetUpdateStrategy::ROLLING_UPDATE);
            rolling.default(RollingUpdateDaemonSet::MAX_UNAVAILABLE, 0i64);
            rolling.default(RollingUpdateDaemonSet::MAX_SURGE, 0i64);
        }
        pod_template::default(&mut spec.ensure(DaemonSetSpec::TEMPLATE));
    }

    fn default_on_read(&self, object: &mut Edit<'_>) {
        let generation = template_generation(object.view());
        set_template_generation(object, generation);
    }

    fn show_empty(&self, object: &mut Edit<'_>) {
        set_template_generation(object, 0);
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(DaemonSet::STATUS);
        object.ensure(DaemonSet::STATUS);
        let generation = template_generation(object.view()).max(1);
        set_template_generation(object, generation);
        pod_template::drop_disabled(&mut object.ensure_path([DaemonSet::SPEC, DaemonSetSpec::TEMPLATE]), None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), DaemonSet::STATUS);
        let old: DaemonSet<'_> = view(old);
        let mut template = object.ensure_path([DaemonSet::SPEC, DaemonSetSpec::TEMPLATE]);
        pod_template::drop_disabled(&mut template, Some(old.spec().template()));
        let changed = !same(object.view::<DaemonSet<'_>>().spec(), old.spec(), DaemonSetSpec::TEMPLATE);
        set_template_generation(object, template_generation(old) + i64::from(changed));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_spec(view::<DaemonSet<'_>>(object), &Options::for_template(None), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (DaemonSet<'_>, DaemonSet<'_>) = (view(object), view(old));
        if !same(new.spec(), old.spec(), DaemonSetSpec::SELECTOR) {
            let value = bad_field(new.spec(), DaemonSetSpec::SELECTOR);
            errors.push(Error::invalid(&SPEC.child("selector"), value, FIELD_IMMUTABLE));
        }
        let mut options = Options::for_template(Some(old.spec().template()));
        options.invalid_affinity_selectors |= label_selector::has_invalid_values(old.spec().selector());
        validate_spec(new, &options, &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        pod_template::warnings(view::<DaemonSet<'_>>(object).spec().template(), &SPEC.child("template"))
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Vec<String> {
        let (new, old): (DaemonSet<'_>, DaemonSet<'_>) = (view(object), view(old));
        match same(new.spec(), old.spec(), DaemonSetSpec::TEMPLATE) {
            true => Vec::new(),
            false => self.warn_create(object, context),
        }
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<DaemonSet<'_>>(object), view::<DaemonSet<'_>>(old), DaemonSet::SPEC)
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

fn template_generation(set: DaemonSet<'_>) -> i64 {
    set.metadata().annotations().get(TEMPLATE_GENERATION).and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn set_template_generation(object: &mut Edit<'_>, generation: i64) {
    let mut annotations = object.ensure_path([DaemonSet::METADATA, ObjectMeta::ANNOTATIONS]);
    annotations.set_key(TEMPLATE_GENERATION, &generation.to_string());
}

/// The count is of the spec, which a status update keeps.
fn carry(object: &mut Edit<'_>, old: Node<'_>) {
    set_template_generation(object, template_generation(view(old)));
}

fn validate_spec(set: DaemonSet<'_>, options: &Options, errors: &mut Errors) {
    let spec = set.spec();
    let (selector_path, template_path) = (SPEC.child("selector"), SPEC.child("template"));
    if let Some(selector) = spec.selector() {
        let leniency = Leniency { invalid_values: options.invalid_affinity_selectors, ..Leniency::default() };
        label_selector::validate(selector, leniency, &selector_path, errors);
    }
    let labels = spec.template().metadata().labels();
    if pod_template::as_selector(spec.selector()).is_some_and(|selector| !selector.matches(|key| labels.get(key))) {
        errors.push(pod_template::does_not_match(spec.template(), &template_path));
    }
    if spec.selector().is_some_and(label_selector::is_empty) {
        let value = bad_field(spec, DaemonSetSpec::SELECTOR);
        errors.push(Error::invalid(&selector_path, value, "empty selector is invalid for daemonset"));
    }
    pod_template::validate(spec.template(), options, &template_path, errors);
    pod_template::validate_runs_always(spec.template(), "DaemonSet", &template_path, errors);
    validate_nonnegative(spec.min_ready_seconds(), &SPEC.child("minReadySeconds"), errors);
    validate_nonnegative(template_generation(set), &SPEC.child("templateGeneration"), errors);
    validate_strategy(spec.update_strategy(), &SPEC.child("updateStrategy"), errors);
    if let Some(limit) = spec.revision_history_limit() {
        validate_nonnegative(limit, &SPEC.child("revisionHistoryLimit"), errors);
    }
}

fn validate_strategy(strategy: DaemonSetUpdateStrategy<'_>, path: &Path<'_>, errors: &mut Errors) {
    let rolling_path = path.child("rollingUpdate");
    match (strategy.type_(), strategy.rolling_update()) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errors.push(Error::required(&rolling_path, "")),
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &rolling_path, errors),
        _ => {
            let value: BadValue = internal::bad_value(strategy);
            errors.push(Error::not_supported(path, value, &["RollingUpdate", "OnDelete"]));
        }
    }
}

fn validate_rolling(rolling: RollingUpdateDaemonSet<'_>, path: &Path<'_>, errors: &mut Errors) {
    let unavailable = rolling.max_unavailable().unwrap_or(IntOrStr::Int(0));
    let surge = rolling.max_surge().unwrap_or(IntOrStr::Int(0));
    let (unavailable_path, surge_path) = (path.child("maxUnavailable"), path.child("maxSurge"));
    validate_int_or_percent(unavailable, &unavailable_path, errors);
    validate_int_or_percent(surge, &surge_path, errors);
    validate_at_most_all(unavailable, &unavailable_path, errors);
    validate_at_most_all(surge, &surge_path, errors);
    match (amount(unavailable) != 0, amount(surge) != 0) {
        (true, true) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            errors.push(Error::invalid(&surge_path, shown(surge), detail));
        }
        (false, false) => errors.push(Error::required(&unavailable_path, "cannot be 0 when maxSurge is 0")),
        _ => {}
    }
}

fn validate_status(object: Node<'_>, old: Node<'_>, errors: &mut Errors) {
    let (status, old) = (view::<DaemonSet<'_>>(object).status(), view::<DaemonSet<'_>>(old).status());
    let mut counts = vec![
        (status.current_number_scheduled(), "currentNumberScheduled"),
        (status.number_misscheduled(), "numberMisscheduled"),
        (status.desired_number_scheduled(), "desiredNumberScheduled"),
        (status.number_ready(), "numberReady"),
        (status.observed_generation(), "observedGeneration"),
        (status.updated_number_scheduled(), "updatedNumberScheduled"),
        (status.number_available(), "numberAvailable"),
        (status.number_unavailable(), "numberUnavailable"),
    ];
    counts.extend(status.collision_count().map(|count| (count, "collisionCount")));
    validate_counts(&counts, &[], 0, errors);
    validate_collision_count(status.collision_count(), old.collision_count(), errors);
}
