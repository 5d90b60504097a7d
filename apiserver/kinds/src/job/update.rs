//! What of a job's spec may change.

use corten_api::field::{Error, Errors, Path};
use corten_object::tree::{Node, Value, View};
use corten_schema::FieldId;
use corten_views::batch_v1::{Job, JobSpec};
use corten_views::core_v1::{Affinity, Container, PodSpec};

use crate::access::{bad_field, same};
use crate::object_meta::FIELD_IMMUTABLE;
use crate::pod::internal;

use super::SPEC;
use super::status::has_condition;

pub fn validate(new: JobSpec<'_>, old_job: Job<'_>, errors: &mut Errors) {
    let old = old_job.spec();
    validate_completions(new, old, errors);
    let fixed = |field: FieldId, name: &str, errors: &mut Errors| {
        if !same(new, old, field) {
            let value = match new.as_struct().node(field) {
                Some(node) if matches!(node.value(), Value::Struct(_)) => internal::bad_node(node),
                _ => bad_field(new, field),
            };
            errors.push(Error::invalid(&SPEC.child(name), value, FIELD_IMMUTABLE));
        }
    };
    fixed(JobSpec::SELECTOR, "selector", errors);
    if !may_change_template(old_job) {
        fixed(JobSpec::TEMPLATE, "template", errors);
    } else if !same_but_for_scheduling(new.template().spec(), old.template().spec()) {
        let value = internal::bad_value(new.template().spec());
        errors.push(Error::invalid(&Path::new("spec.template.spec"), value, FIELD_IMMUTABLE));
    }
    fixed(JobSpec::COMPLETION_MODE, "completionMode", errors);
    fixed(JobSpec::POD_FAILURE_POLICY, "podFailurePolicy", errors);
    fixed(JobSpec::BACKOFF_LIMIT_PER_INDEX, "backoffLimitPerIndex", errors);
    fixed(JobSpec::MANAGED_BY, "managedBy", errors);
    fixed(JobSpec::SUCCESS_POLICY, "successPolicy", errors);
}

fn validate_completions(new: JobSpec<'_>, old: JobSpec<'_>, errors: &mut Errors) {
    let path = SPEC.child("completions");
    if same(new, old, JobSpec::COMPLETIONS) {
        return;
    }
    let value = bad_field(new, JobSpec::COMPLETIONS);
    if new.completion_mode() != Some("Indexed") {
        errors.push(Error::invalid(&path, value, FIELD_IMMUTABLE));
    } else if new.completions().is_some() && new.completions() != new.parallelism() {
        errors.push(Error::invalid(&path, value, "can only be modified in tandem with spec.parallelism"));
    }
}

/// While the job is suspended, and nothing of it runs.
fn may_change_template(old: Job<'_>) -> bool {
    let status = old.status();
    let stopped = status.start_time().is_none() || has_condition(old, "Suspended");
    old.spec().suspend() == Some(true) && stopped && status.active() == 0
}

fn same_but_for_scheduling(new: PodSpec<'_>, old: PodSpec<'_>) -> bool {
    const FREE: [FieldId; 6] = [
        PodSpec::NODE_SELECTOR,
        PodSpec::TOLERATIONS,
        PodSpec::SCHEDULING_GATES,
        PodSpec::AFFINITY,
        PodSpec::CONTAINERS,
        PodSpec::INIT_CONTAINERS,
    ];
    fn affinity(spec: PodSpec<'_>, field: FieldId) -> Option<Node<'_>> {
        spec.as_struct().structure(PodSpec::AFFINITY).node(field)
    }
    let same_affinity = [Affinity::POD_AFFINITY, Affinity::POD_ANTI_AFFINITY].iter().all(|field| {
        match (affinity(new, *field), affinity(old, *field)) {
            (Some(new), Some(old)) => new.equals(old),
            (new, old) => new.is_none() && old.is_none(),
        }
    });
    fields(PodSpec::TYPE.get().fields.len()).filter(|field| !FREE.contains(field)).all(|field| same(new, old, field))
        && same_affinity
        && same_containers(new.containers().iter(), old.containers().iter())
        && same_containers(new.init_containers().iter(), old.init_containers().iter())
}

/// But for what they ask for.
fn same_containers<'a, 'b>(
    new: impl ExactSizeIterator<Item = Container<'a>>,
    old: impl ExactSizeIterator<Item = Container<'b>>,
) -> bool {
    new.len() == old.len()
        && new.zip(old).all(|(new, old)| {
            fields(Container::TYPE.get().fields.len())
                .filter(|field| *field != Container::RESOURCES)
                .all(|field| same(new, old, field))
        })
}

fn fields(count: usize) -> impl Iterator<Item = FieldId> {
    (0..count).map(|i| FieldId(i as u16))
}
