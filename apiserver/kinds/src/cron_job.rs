//! CronJob.

pub mod schedule;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::{Edit, Node};
use corten_views::batch_v1::{CronJob, CronJobSpec, JobSpec, JobTemplateSpec};

use crate::access::{bad_field, put_back, same, view};
use crate::job;
use crate::object_meta::validate_nonnegative;
use crate::pod::Options;
use crate::pod_template;
use crate::strategy::{Context, Strategy};
use crate::workload_status::{StatusOf, nothing_else};

const SPEC: Path<'static> = Path::new("spec");
const JOB_SPEC: Path<'static> = Path::new("spec.jobTemplate.spec");

pub struct CronJobs;

static STATUS: StatusOf =
    StatusOf { kind: &CronJobs, spec: CronJob::SPEC, validate: |_, _, _| {}, metadata: &[], carry: nothing_else };

impl Strategy for CronJobs {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let mut spec = object.ensure(CronJob::SPEC);
        spec.default(CronJobSpec::CONCURRENCY_POLICY, "Allow");
        spec.default(CronJobSpec::SUSPEND, false);
        spec.default(CronJobSpec::SUCCESSFUL_JOBS_HISTORY_LIMIT, 3i64);
        spec.default(CronJobSpec::FAILED_JOBS_HISTORY_LIMIT, 1i64);
        job::default_template(&mut spec.ensure_path([CronJobSpec::JOB_TEMPLATE, JobTemplateSpec::SPEC]));
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(CronJob::STATUS);
        object.ensure(CronJob::STATUS);
        pod_template::drop_disabled(&mut template(object), None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), CronJob::STATUS);
        let old = view::<CronJob<'_>>(old).spec().job_template().spec().template();
        pod_template::drop_disabled(&mut template(object), Some(old));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let job: CronJob<'_> = view(object);
        validate_spec(job.spec(), None, &Options::for_template(None), &mut errors);
        let name = job.metadata().name();
        if name.len() > 52 {
            errors.push(Error::invalid(&Path::new("metadata.name"), name, "must be no more than 52 characters"));
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old) = (view::<CronJob<'_>>(object).spec(), view::<CronJob<'_>>(old).spec());
        let options = Options::for_template(Some(old.job_template().spec().template()));
        validate_spec(new, Some(old), &options, &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let job: CronJob<'_> = view(object);
        let mut out: Vec<String> = pod_template::name_warning(job.metadata().name()).into_iter().collect();
        out.extend(job::spec::warnings(job.spec().job_template().spec(), &JOB_SPEC));
        out
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let spec = view::<CronJob<'_>>(object).spec();
        let mut out = match self.generation_changes(object, old) {
            true => job::spec::warnings(spec.job_template().spec(), &JOB_SPEC),
            false => Vec::new(),
        };
        if spec.schedule().contains("TZ") {
            out.push("cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details".to_owned());
        }
        out
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<CronJob<'_>>(object), view::<CronJob<'_>>(old), CronJob::SPEC)
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

fn template<'e>(object: &'e mut Edit<'_>) -> Edit<'e> {
    object.ensure_path([CronJob::SPEC, CronJobSpec::JOB_TEMPLATE, JobTemplateSpec::SPEC, JobSpec::TEMPLATE])
}

fn validate_spec(spec: CronJobSpec<'_>, old: Option<CronJobSpec<'_>>, options: &Options, errors: &mut Errors) {
    let path = SPEC.child("schedule");
    if spec.schedule().is_empty() {
        errors.push(Error::required(&path, ""));
    } else {
        let had_zone = old.is_some_and(|old| old.schedule().contains("TZ"));
        validate_schedule(spec, had_zone, &path, errors);
    }
    let nonnegative = |value: Option<i64>, name: &str, errors: &mut Errors| {
        validate_nonnegative(value.unwrap_or(0), &SPEC.child(name), errors);
    };
    nonnegative(spec.starting_deadline_seconds(), "startingDeadlineSeconds", errors);
    if old.is_none_or(|old| old.time_zone() != spec.time_zone()) {
        validate_time_zone(spec.time_zone(), &SPEC.child("timeZone"), errors);
    }
    let path = SPEC.child("concurrencyPolicy");
    match spec.concurrency_policy() {
        "Allow" | "Forbid" | "Replace" => {}
        "" => errors.push(Error::required(&path, "")),
        policy => {
            errors.push(Error::not_supported(&path, BadValue::typed(policy), &["Allow", "Forbid", "Replace"]));
        }
    }
    validate_template(spec.job_template().spec(), options, errors);
    nonnegative(spec.successful_jobs_history_limit(), "successfulJobsHistoryLimit", errors);
    nonnegative(spec.failed_jobs_history_limit(), "failedJobsHistoryLimit", errors);
}

fn validate_template(spec: JobSpec<'_>, options: &Options, errors: &mut Errors) {
    job::spec::validate(spec, options, &JOB_SPEC, errors);
    if spec.selector().is_some() {
        let value = bad_field(spec, JobSpec::SELECTOR);
        errors.push(Error::invalid(&JOB_SPEC.child("selector"), value, "`selector` will be auto-generated"));
    }
    if spec.manual_selector() == Some(true) {
        errors.push(Error::not_supported(&JOB_SPEC.child("manualSelector"), BadValue::Bool(true), &["nil", "false"]));
    }
}

fn validate_schedule(spec: CronJobSpec<'_>, may_name_zone: bool, path: &Path<'_>, errors: &mut Errors) {
    let schedule = spec.schedule();
    if let Err(e) = schedule::check(schedule) {
        errors.push(Error::invalid(path, schedule, e));
    }
    if !schedule.contains("TZ") {
        return;
    }
    let detail = match (may_name_zone, spec.time_zone().is_some()) {
        (true, true) => "cannot use both timeZone field and TZ or CRON_TZ in schedule",
        (true, false) => return,
        (false, _) => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    };
    errors.push(Error::invalid(path, schedule, detail));
}

fn validate_time_zone(zone: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    let Some(zone) = zone else { return };
    if zone.is_empty() {
        errors.push(Error::invalid(path, zone, "timeZone must be nil or non-empty string"));
        return;
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
    let fits = |part: &str| {
        (1..=14).contains(&part.len())
            && part != "."
            && part != ".."
            && !part.starts_with('-')
            && part.bytes().all(allowed)
    };
    if !zone.split('/').all(fits) {
        errors.push(Error::invalid(path, zone, format!("unknown time zone {zone}")));
        return;
    }
    if zone.eq_ignore_ascii_case("Local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.push(Error::invalid(path, zone, detail));
    }
    if !schedule::is_zone(zone) {
        errors.push(Error::invalid(path, zone, format!("unknown time zone {zone}")));
    }
}
