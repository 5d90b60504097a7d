//! Jobs and what starts them.

use corten_api::time::{Duration, human_duration};
use corten_object::tree::Node;
use corten_views::batch_v1::{CronJob, Job};

use super::{
    AGE, CONTAINERS, IMAGES, NAME, NONE, Printer, UNSET, age, boolean, container_images, container_names,
    format_selector, integer, seconds, text, view, wide,
};
use crate::table::{Cell, Row};

pub(super) static JOB: Printer = Printer {
    columns: &[
        NAME,
        text("Status", "Status of the job."),
        text(
            "Completions",
            "The number of pods which reached phase Succeeded. The value increases monotonically for a given spec. However, it may decrease in reaction to scale down of elastic indexed jobs.",
        ),
        text("Duration", "Time required to complete the job."),
        AGE,
        wide("Containers", CONTAINERS),
        wide("Images", IMAGES),
        wide(
            "Selector",
            "A label query over pods that should match the pod count. Normally, the system sets this field for you. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
        ),
    ],
    row: job,
};

pub(super) static CRON_JOB: Printer = Printer {
    columns: &[
        NAME,
        text("Schedule", "The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron."),
        text(
            "Timezone",
            "The time zone name for the given schedule, see https://en.wikipedia.org/wiki/List_of_tz_database_time_zones. If not specified, this will default to the time zone of the kube-controller-manager process. The set of valid time zone names and the time zone offset is loaded from the system-wide time zone database by the API server during CronJob validation and the controller manager during execution. If no system-wide time zone database can be found a bundled version of the database is used instead. If the time zone name becomes invalid during the lifetime of a CronJob or due to a change in host configuration, the controller will stop creating new new Jobs and will create a system event with the reason UnknownTimeZone. More information can be found in https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#time-zones",
        ),
        boolean(
            "Suspend",
            "This flag tells the controller to suspend subsequent executions, it does not apply to already started executions.  Defaults to false.",
        ),
        integer("Active", "A list of pointers to currently running jobs."),
        text("Last Schedule", "Information when was the last time the job was successfully scheduled."),
        AGE,
        wide("Containers", CONTAINERS),
        wide("Images", IMAGES),
        wide(
            "Selector",
            "A label query over pods that should match the pod count. Normally, the system sets this field for you. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
        ),
    ],
    row: cron_job,
};

fn job(object: Node<'_>) -> Row {
    let job: Job = view(object);
    let spec = job.spec();
    row![
        job.metadata().name(),
        state(job),
        completions(job),
        duration(job),
        age(job.metadata()),
        container_names(spec.template()),
        container_images(spec.template()),
        format_selector(spec.selector()),
    ]
}

fn state(job: Job<'_>) -> &'static str {
    // Only the first condition of a type counts.
    let has = |kind: &str| {
        let mut conditions = job.status().conditions().iter();
        conditions.find(|condition| condition.type_() == kind).is_some_and(|condition| condition.status() == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if job.metadata().deletion_timestamp().is_some() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: Job<'_>) -> String {
    let succeeded = job.status().succeeded();
    match (job.spec().completions(), job.spec().parallelism()) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, Some(parallelism)) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(job: Job<'_>) -> Cell {
    let (start, end) = (job.status().start_time(), job.status().completion_time());
    match (start.map(seconds), end.map(seconds)) {
        (None, _) => Cell::Str(String::new()),
        (Some(start), None) => Cell::Age(start),
        (Some(start), Some(end)) => {
            let lasted = end.unwrap_or(0).saturating_sub(start.unwrap_or(0));
            Cell::Str(human_duration(Duration(lasted.saturating_mul(1_000_000_000))))
        }
    }
}

fn cron_job(object: Node<'_>) -> Row {
    let object: CronJob = view(object);
    let (spec, status) = (object.spec(), object.status());
    let template = spec.job_template().spec().template();
    let suspend = match spec.suspend() {
        None => UNSET,
        Some(true) => "True",
        Some(false) => "False",
    };
    row![
        object.metadata().name(),
        spec.schedule(),
        spec.time_zone().unwrap_or(NONE),
        suspend,
        status.active().len() as i64,
        status.last_schedule_time().map_or_else(|| NONE.into(), |time| Cell::Age(seconds(time))),
        age(object.metadata()),
        container_names(template),
        container_images(template),
        format_selector(spec.job_template().spec().selector()),
    ]
}
