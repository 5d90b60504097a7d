//! A job's status, whose steps are checked since other controllers than the own one may take them. Most rules hold only
//! for what changes.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::seen::Seen;
use corten_api::time::Timestamp;
use corten_object::tree::Node;
use corten_views::batch_v1::{Job, JobStatus, UncountedTerminatedPods};

use crate::access::{go_time, same, view};
use crate::object_meta::validate_nonnegative;
use crate::pod::internal;

use super::indexes;

const STATUS: Path<'static> = Path::new("status");

pub fn has_condition(job: Job<'_>, kind: &str) -> bool {
    condition_is(job, kind, "True")
}

fn condition_is(job: Job<'_>, kind: &str, status: &str) -> bool {
    job.status().conditions().iter().any(|condition| condition.type_() == kind && condition.status() == status)
}

pub fn validate(object: Node<'_>, old: Node<'_>, errors: &mut Errors) {
    let change = Change::new(view(object), view(old));
    let status = change.status;
    validate_alone(status, errors);
    change.validate_conditions(errors);
    change.validate_end(errors);
    change.validate_indexes(errors);
    change.validate_rest(errors);
    change.validate_steps(errors);
}

fn validate_alone(status: JobStatus<'_>, errors: &mut Errors) {
    let counts = [
        (status.active(), "active"),
        (status.succeeded(), "succeeded"),
        (status.failed(), "failed"),
        (status.ready().unwrap_or(0), "ready"),
        (status.terminating().unwrap_or(0), "terminating"),
    ];
    for (count, name) in counts {
        validate_nonnegative(count, &STATUS.child(name), errors);
    }
    let Some(pods) = status.uncounted_terminated_pods() else { return };
    let mut seen = Seen::default();
    for (uids, name) in [(pods.succeeded(), "succeeded"), (pods.failed(), "failed")] {
        let path = STATUS.child("uncountedTerminatedPods");
        let path = path.child(name);
        for (i, uid) in uids.iter().enumerate() {
            if uid.is_empty() {
                errors.push(Error::invalid(&path.index(i), BadValue::typed(uid), "must not be empty"));
            } else if !seen.insert(uid) {
                errors.push(Error::duplicate(&path.index(i), BadValue::typed(uid)));
            }
        }
    }
}

fn shown(time: Option<&str>) -> BadValue {
    go_time(time.unwrap_or_default())
}

fn conditions_error(detail: impl Into<String>) -> Error {
    Error::invalid(&STATUS.child("conditions"), BadValue::Omit, detail)
}

struct Change<'n, 'o> {
    new: Job<'n>,
    old: Job<'o>,
    status: JobStatus<'n>,
    indexed: bool,
    complete: bool,
    failed: bool,
    target: bool,
    met: bool,
    complete_changed: bool,
    failed_changed: bool,
    finished_changed: bool,
    start_changed: bool,
    completion_changed: bool,
}

impl<'n, 'o> Change<'n, 'o> {
    fn new(new: Job<'n>, old: Job<'o>) -> Self {
        let (complete, failed) = (has_condition(new, "Complete"), has_condition(new, "Failed"));
        let (was_complete, had_failed) = (has_condition(old, "Complete"), has_condition(old, "Failed"));
        Self {
            new,
            old,
            status: new.status(),
            indexed: new.spec().completion_mode() == Some("Indexed"),
            complete,
            failed,
            target: has_condition(new, "FailureTarget"),
            met: has_condition(new, "SuccessCriteriaMet"),
            complete_changed: complete != was_complete,
            failed_changed: failed != had_failed,
            finished_changed: (complete || failed) != (was_complete || had_failed),
            start_changed: new.status().start_time() != old.status().start_time(),
            completion_changed: new.status().completion_time() != old.status().completion_time(),
        }
    }

    fn validate_conditions(&self, errors: &mut Errors) {
        let target_changed = self.target != has_condition(self.old, "FailureTarget");
        if (self.complete_changed || self.failed_changed) && self.complete && self.failed {
            errors.push(conditions_error("cannot set Complete=True and Failed=true conditions"));
        }
        if (self.complete_changed || target_changed) && self.complete && self.target {
            errors.push(conditions_error("cannot set Complete=True and FailureTarget=true conditions"));
        }
    }

    fn validate_end(&self, errors: &mut Errors) {
        let path = STATUS.child("completionTime");
        let (start, end) = (self.status.start_time(), self.status.completion_time());
        if self.complete_changed || self.completion_changed {
            if end.is_some() && !self.complete {
                let detail = "cannot set completionTime when there is no Complete=True condition";
                errors.push(Error::invalid(&path, shown(end), detail));
            }
            if end.is_none() && self.complete {
                errors.push(Error::required(&path, "completionTime is required for Complete jobs"));
            }
        }
        let parse = |time: Option<&str>| time.and_then(|time| Timestamp::parse(time).ok());
        if let (Some(from), Some(to)) = (parse(start), parse(end))
            && (self.start_changed || self.completion_changed)
            && to < from
        {
            errors.push(Error::invalid(&path, shown(end), "must be equal to or after `startTime`"));
        }
        let failed_indexes_changed = self.status.failed_indexes() != self.old.status().failed_indexes();
        if (self.failed_changed || failed_indexes_changed) && self.failed && !self.target {
            errors.push(conditions_error("cannot set Failed=True condition without the FailureTarget=true condition"));
        }
        let met_changed = self.met != has_condition(self.old, "SuccessCriteriaMet");
        if (self.complete_changed || met_changed) && self.complete && !self.met {
            let detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
            errors.push(conditions_error(detail));
        }
        if self.complete || self.failed {
            self.validate_finished(errors);
        }
    }

    fn validate_finished(&self, errors: &mut Errors) {
        let (status, old, spec) = (self.status, self.old.status(), self.new.spec());
        if (self.finished_changed || status.active() != old.active()) && status.active() > 0 {
            let detail = "active>0 is invalid for finished job";
            errors.push(Error::invalid(&STATUS.child("active"), status.active(), detail));
        }
        let never_ran = spec.suspend() == Some(true) && spec.completions() == Some(0);
        if (self.finished_changed || self.start_changed) && !never_ran && status.start_time().is_none() {
            errors.push(Error::required(&STATUS.child("startTime"), "startTime is required for finished job"));
        }
        let pods_changed = !same(status, old, JobStatus::UNCOUNTED_TERMINATED_PODS);
        if let Some(pods) = status.uncounted_terminated_pods()
            && (self.finished_changed || pods_changed)
            && has_uids(pods)
        {
            let value = internal::bad_value(pods);
            let path = STATUS.child("uncountedTerminatedPods");
            errors.push(Error::invalid(&path, value, "must be empty for finished job"));
        }
    }

    fn validate_indexes(&self, errors: &mut Errors) {
        let (completed_path, failed_path) = (STATUS.child("completedIndexes"), STATUS.child("failedIndexes"));
        let (spec, status, old) = (self.new.spec(), self.status, self.old.status());
        let (completed, failed) = (status.completed_indexes(), status.failed_indexes());
        let completed_changed = completed != old.completed_indexes();
        let failed_changed = failed != old.failed_indexes();
        let retries_each = spec.backoff_limit_per_index().is_some();
        if let Some(completions) = spec.completions() {
            if completed_changed && let Err(e) = indexes::count(completed, completions) {
                let detail = format!("error parsing completedIndexes: {e}");
                errors.push(Error::invalid(&completed_path, completed, detail));
            }
            if let Some(failed) = failed.filter(|_| failed_changed && retries_each)
                && let Err(e) = indexes::count(failed, completions)
            {
                errors.push(Error::invalid(&failed_path, failed, format!("error parsing failedIndexes: {e}")));
            }
        }
        if completed_changed && !completed.is_empty() && !self.indexed {
            let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
            errors.push(Error::invalid(&completed_path, completed, detail));
        }
        let Some(failed) = failed else { return };
        if failed_changed && !retries_each {
            let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            errors.push(Error::invalid(&failed_path, failed, detail));
        }
        if let Some(completions) = spec.completions().filter(|_| failed_changed || completed_changed)
            && let Some(index) = indexes::overlap(completed, failed, completions)
        {
            let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
            errors.push(Error::invalid(&failed_path, failed, detail));
        }
    }

    fn validate_rest(&self, errors: &mut Errors) {
        let (status, old) = (self.status, self.old.status());
        let terminating = status.terminating().unwrap_or(0);
        let terminating_changed = status.terminating() != old.terminating();
        if (self.finished_changed || terminating_changed) && terminating > 0 && (self.complete || self.failed) {
            let detail = "terminating>0 is invalid for finished job";
            errors.push(Error::invalid(&STATUS.child("terminating"), terminating, detail));
        }
        let counts_changed = status.ready() != old.ready() || status.active() != old.active();
        if let Some(ready) = status.ready().filter(|ready| counts_changed && *ready > status.active()) {
            errors.push(Error::invalid(&STATUS.child("ready"), ready, "cannot set more ready pods than active"));
        }
        if self.met && self.failed {
            errors.push(conditions_error("cannot set SuccessCriteriaMet=True and Failed=true conditions"));
        }
        if self.met && self.target {
            errors.push(conditions_error("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"));
        }
        if self.new.spec().success_policy().is_some() && !self.met && self.complete {
            let detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            errors.push(conditions_error(detail));
        }
    }

    fn validate_steps(&self, errors: &mut Errors) {
        let (status, old, spec) = (self.status, self.old.status(), self.new.spec());
        for kind in ["Failed", "Complete", "FailureTarget"] {
            if has_condition(self.old, kind) && !has_condition(self.new, kind) {
                errors.push(conditions_error(format!("cannot disable the terminal {kind}=True condition")));
            }
        }
        if status.failed() < old.failed() {
            let detail = "cannot decrease the failed counter";
            errors.push(Error::invalid(&STATUS.child("failed"), status.failed(), detail));
        }
        let scales = self.indexed && spec.completions() == spec.parallelism();
        if !scales && status.succeeded() < old.succeeded() {
            let detail = "cannot decrease the succeeded counter";
            errors.push(Error::invalid(&STATUS.child("succeeded"), status.succeeded(), detail));
        }
        let end = status.completion_time();
        if self.completion_changed && end.is_some() && old.completion_time().is_some() {
            errors.push(Error::invalid(&STATUS.child("completionTime"), shown(end), "field is immutable"));
        }
        let resumes = has_condition(self.old, "Suspended") && condition_is(self.new, "Suspended", "False");
        let suspended = spec.suspend() == Some(true);
        if self.start_changed && !resumes && old.start_time().is_some() && !suspended {
            let detail = "field is immutable for unsuspended job once set";
            errors.push(Error::invalid(&STATUS.child("startTime"), shown(status.start_time()), detail));
        }
        let was_met = has_condition(self.old, "SuccessCriteriaMet");
        if was_met && !self.met {
            errors.push(conditions_error("cannot disable the SuccessCriteriaMet=True condition"));
        }
        if has_condition(self.old, "Complete") && !was_met && self.met {
            let detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            errors.push(conditions_error(detail));
        }
    }
}

fn has_uids(pods: UncountedTerminatedPods<'_>) -> bool {
    !pods.succeeded().is_empty() || !pods.failed().is_empty()
}
