//! Job.

pub mod indexes;
pub mod spec;
pub mod status;
pub mod update;

use std::borrow::Cow;

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Edit, Node};
use corten_views::batch_v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use corten_views::core_v1::PodTemplateSpec;
use corten_views::meta_v1::{LabelSelector, ObjectMeta};

use crate::access::{bad_field, put_back, same, view};
use crate::label_selector;
use crate::pod::Options;
use crate::pod_template;
use crate::strategy::{Context, MetadataRun, Strategy};
use crate::workload_status::StatusOf;

const SPEC: Path<'static> = Path::new("spec");

const JOB_NAME: &str = "batch.kubernetes.io/job-name";
const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const LEGACY_JOB_NAME: &str = "job-name";
const LEGACY_CONTROLLER_UID: &str = "controller-uid";

pub struct Jobs;

static STATUS: StatusOf = StatusOf {
    kind: &Jobs,
    spec: Job::SPEC,
    validate: status::validate,
    metadata: &[MetadataRun::Change],
    carry: |object, _| share_labels(object),
};

impl Strategy for Jobs {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let mut spec = object.ensure(Job::SPEC);
        default_spec(&mut spec);
        default_template(&mut spec);
        // What comes in takes them when it is complete.
        if !object.view::<Job<'_>>().metadata().uid().is_empty() {
            share_labels(object);
        }
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        let job: Job<'_> = view(object.node());
        let labelled = !job.spec().template().metadata().labels().is_empty();
        // Upstream shares labels that it made only after it checked them.
        let shares = labelled || names::is_valid_label_value(job.metadata().name()).is_empty();
        if job.spec().manual_selector() != Some(true) {
            generate_selector(object);
        }
        if shares {
            share_labels(object);
        }
        object.remove(Job::STATUS);
        object.ensure(Job::STATUS);
        pod_template::drop_disabled(&mut object.ensure_path([Job::SPEC, JobSpec::TEMPLATE]), None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Job::STATUS);
        share_labels(object);
        let old = view::<Job<'_>>(old).spec().template();
        pod_template::drop_disabled(&mut object.ensure_path([Job::SPEC, JobSpec::TEMPLATE]), Some(old));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_whole(view(object), &Options::for_template(None), true, &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Job<'_>, Job<'_>) = (view(object), view(old));
        let mut options = Options::for_template(Some(old.spec().template()));
        options.invalid_affinity_selectors |= label_selector::has_invalid_values(old.spec().selector());
        let labels = old.spec().template().metadata().labels();
        let prefixed = labels.get(JOB_NAME).is_some() && labels.get(CONTROLLER_UID).is_some();
        validate_whole(new, &options, prefixed, &mut errors);
        spec::validate_selected(new.spec(), &options, &SPEC, &mut errors);
        update::validate(new.spec(), old, &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let job: Job<'_> = view(object);
        let mut out: Vec<String> = pod_template::name_warning(job.metadata().name()).into_iter().collect();
        out.extend(spec::warnings(job.spec(), &SPEC));
        out
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        match self.generation_changes(object, old) {
            true => spec::warnings(view::<Job<'_>>(object).spec(), &SPEC),
            false => Vec::new(),
        }
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<Job<'_>>(object), view::<Job<'_>>(old), Job::SPEC)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn orphans_by_default(&self) -> bool {
        true
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        out.push(view::<Job<'_>>(object).status().succeeded().to_string().into());
    }

    fn unknown_label(&self, label: &str) -> String {
        format!("field label {} not supported for Job", corten_api::field::quote(label))
    }

    fn warn_delete(&self) -> Option<&'static str> {
        Some(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
             them or set propagationPolicy=Orphan to suppress this warning",
        )
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        (name == "status").then_some(&STATUS)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

fn default_spec(spec: &mut Edit<'_>) {
    let sent: JobSpec<'_> = spec.view();
    let counted = sent.completions().is_some() || sent.parallelism().is_some();
    let backoff_limit = if sent.backoff_limit_per_index().is_some() { i64::from(i32::MAX) } else { 6 };
    let replacement = if sent.pod_failure_policy().is_some() { "Failed" } else { "TerminatingOrFailed" };
    if !counted {
        spec.set(JobSpec::COMPLETIONS, 1i64);
    }
    spec.default(JobSpec::PARALLELISM, 1i64);
    spec.default(JobSpec::BACKOFF_LIMIT, backoff_limit);
    spec.default(JobSpec::COMPLETION_MODE, "NonIndexed");
    spec.default(JobSpec::SUSPEND, false);
    spec.default(JobSpec::POD_REPLACEMENT_POLICY, replacement);
    spec.default(JobSpec::MANUAL_SELECTOR, false);
}

/// What is defaulted in a cron job's template too.
pub fn default_template(spec: &mut Edit<'_>) {
    if let Some(mut policy) = spec.field(JobSpec::POD_FAILURE_POLICY) {
        for rule in policy.items(PodFailurePolicy::RULES) {
            let mut rule = policy.at(rule);
            for pattern in rule.items(PodFailurePolicyRule::ON_POD_CONDITIONS) {
                rule.at(pattern).default(PodFailurePolicyOnPodConditionsPattern::STATUS, "True");
            }
        }
    }
    pod_template::default(&mut spec.ensure(JobSpec::TEMPLATE));
}

/// A job without labels takes those of its template.
fn share_labels(object: &mut Edit<'_>) {
    let job: Job<'_> = object.view();
    let labels = job.spec().template().metadata().labels();
    if labels.is_empty() || !job.metadata().labels().is_empty() {
        return;
    }
    let labels: Vec<(String, String)> = labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut own = object.ensure_path([Job::METADATA, ObjectMeta::LABELS]);
    for (key, value) in labels {
        own.set_key(&key, value.as_str());
    }
}

fn generate_selector(object: &mut Edit<'_>) {
    let job: Job<'_> = object.view();
    let (name, uid) = (job.metadata().name().to_owned(), job.metadata().uid().to_owned());
    let labels = job.spec().template().metadata().labels();
    let wanted = [(LEGACY_JOB_NAME, &name), (JOB_NAME, &name), (LEGACY_CONTROLLER_UID, &uid), (CONTROLLER_UID, &uid)];
    let missing: Vec<_> = wanted.into_iter().filter(|(key, _)| labels.get(key).is_none()).collect();
    let has = job.spec().selector().is_some_and(|selector| selector.match_labels().get(CONTROLLER_UID).is_some());
    let path = [Job::SPEC, JobSpec::TEMPLATE, PodTemplateSpec::METADATA, ObjectMeta::LABELS];
    let mut labels = object.ensure_path(path);
    for (key, value) in missing {
        labels.set_key(key, value.as_str());
    }
    if !has {
        let mut selector = object.ensure_path([Job::SPEC, JobSpec::SELECTOR, LabelSelector::MATCH_LABELS]);
        selector.set_key(CONTROLLER_UID, uid.as_str());
    }
}

/// `ValidateJob`.
fn validate_whole(job: Job<'_>, options: &Options, prefixed: bool, errors: &mut Errors) {
    let spec = job.spec();
    validate_generated_selector(job, prefixed, errors);
    spec::validate_selected(spec, options, &SPEC, errors);
    if let (Some("Indexed"), Some(completions @ 1..)) = (spec.completion_mode(), spec.completions()) {
        let host = format!("{}-{}", job.metadata().name(), completions - 1);
        if !names::is_dns1123_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            errors.push(Error::invalid(&Path::new("metadata.name"), job.metadata().name(), detail));
        }
    }
}

fn validate_generated_selector(job: Job<'_>, prefixed: bool, errors: &mut Errors) {
    let Some(selector) = job.spec().selector() else { return };
    if job.spec().manual_selector() == Some(true) {
        return;
    }
    let (name, uid) = (job.metadata().name(), job.metadata().uid());
    if uid.is_empty() {
        errors.push(Error::required(&Path::new("metadata.uid"), ""));
    }
    let expected = [(LEGACY_CONTROLLER_UID, uid), (LEGACY_JOB_NAME, name), (CONTROLLER_UID, uid), (JOB_NAME, name)];
    let expected = if prefixed { &expected[..] } else { &expected[..2] };
    let metadata = job.spec().template().metadata();
    let path = Path::new("spec.template.metadata.labels");
    for (key, value) in expected {
        match metadata.labels().get(key) {
            None => errors.push(Error::required(&path.key(key), format!("must be '{value}'"))),
            Some(found) if found != *value => {
                let labels = bad_field(metadata, ObjectMeta::LABELS);
                errors.push(Error::invalid(&path.key(key), labels, format!("must be '{value}'")));
            }
            Some(_) => {}
        }
    }
    let find = |key: &str| expected.iter().find(|(other, _)| *other == key).map(|(_, value)| *value);
    if pod_template::as_selector(Some(selector)).is_some_and(|selector| !selector.matches(find)) {
        let value = bad_field(job.spec(), JobSpec::SELECTOR);
        errors.push(Error::invalid(&SPEC.child("selector"), value, "`selector` not auto-generated"));
    }
}
