//! What a job's spec may hold.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_views::batch_v1::{
    JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule, SuccessPolicyRule,
};

use crate::access::bad_field;
use crate::label_selector::{self, Leniency};
use crate::object_meta::{validate_label_name, validate_nonnegative};
use crate::pod::{Options, internal};
use crate::pod_template;

use super::indexes;

const MANY_COMPLETIONS: i64 = 100_000;
const MOST_PARALLEL: i64 = 100_000;
const MOST_FAILED: i64 = 100_000;
/// Of parallelism and failed indexes, where there are many completions.
const LIMIT_FOR_MANY: i64 = 10_000;
const MOST_RULES: usize = 20;

pub fn warnings(spec: JobSpec<'_>, path: &Path<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let many = spec.completions().unwrap_or(0) > MANY_COMPLETIONS && spec.parallelism().unwrap_or(0) > LIMIT_FOR_MANY;
    if spec.completion_mode() == Some("Indexed") && many {
        out.push(format!("{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"));
    }
    out.extend(pod_template::warnings(spec.template(), &path.child("template")));
    out
}

/// With the selector that it has by now.
pub fn validate_selected(spec: JobSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    validate(spec, options, path, errors);
    match spec.selector() {
        None => errors.push(Error::required(&path.child("selector"), "")),
        Some(selector) => {
            let leniency = Leniency { invalid_values: options.invalid_affinity_selectors, ..Leniency::default() };
            label_selector::validate(selector, leniency, &path.child("selector"), errors);
        }
    }
    let labels = spec.template().metadata().labels();
    if pod_template::as_selector(spec.selector()).is_some_and(|selector| !selector.matches(|key| labels.get(key))) {
        errors.push(pod_template::does_not_match(spec.template(), &path.child("template")));
    }
}

/// `validateJobSpec`.
pub fn validate(spec: JobSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let counts = [
        (spec.parallelism(), "parallelism"),
        (spec.completions(), "completions"),
        (spec.active_deadline_seconds(), "activeDeadlineSeconds"),
        (spec.backoff_limit(), "backoffLimit"),
        (spec.ttl_seconds_after_finished(), "ttlSecondsAfterFinished"),
        (spec.backoff_limit_per_index(), "backoffLimitPerIndex"),
        (spec.max_failed_indexes(), "maxFailedIndexes"),
    ];
    for (count, name) in counts {
        validate_nonnegative(count.unwrap_or(0), &path.child(name), errors);
    }
    if spec.max_failed_indexes().is_some() && spec.backoff_limit_per_index().is_none() {
        errors.push(Error::required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"));
    }
    if let Some(manager) = spec.managed_by() {
        let path = path.child("managedBy");
        errors.append(names::is_domain_prefixed_path(&path, manager));
        if manager.len() > 63 {
            errors.push(Error::too_long(&path, 63));
        }
    }
    validate_mode(spec, path, errors);
    if spec.pod_failure_policy().is_some() {
        validate_failure_policy(spec, &path.child("podFailurePolicy.rules"), errors);
    }
    validate_success_policy(spec, &path.child("successPolicy"), errors);
    validate_replacement(spec, &path.child("podReplacementPolicy"), errors);
    pod_template::validate(spec.template(), options, &path.child("template"), errors);
    validate_restarts(spec, &path.child("template.spec.restartPolicy"), errors);
}

fn validate_mode(spec: JobSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mode = spec.completion_mode();
    let (per_index, max_failed) = (spec.backoff_limit_per_index(), spec.max_failed_indexes());
    match mode {
        None | Some("NonIndexed") => {
            for (value, name) in [(per_index, "backoffLimitPerIndex"), (max_failed, "maxFailedIndexes")] {
                if let Some(value) = value {
                    errors.push(Error::invalid(&path.child(name), value, "requires indexed completion mode"));
                }
            }
        }
        Some("Indexed") => validate_indexed(spec, path, errors),
        Some(other) => {
            let value = BadValue::typed(other);
            errors.push(Error::not_supported(&path.child("completionMode"), value, &["NonIndexed", "Indexed"]));
        }
    }
}

fn validate_indexed(spec: JobSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (parallelism_path, failed_path) = (path.child("parallelism"), path.child("maxFailedIndexes"));
    let (completions, parallelism) = (spec.completions(), spec.parallelism().unwrap_or(0));
    let failed = spec.max_failed_indexes();
    if completions.is_none() {
        errors.push(Error::required(&path.child("completions"), "when completion mode is Indexed"));
    }
    if parallelism > MOST_PARALLEL {
        let detail = format!("must be less than or equal to {MOST_PARALLEL} when completion mode is Indexed");
        errors.push(Error::invalid(&parallelism_path, parallelism, detail));
    }
    if let (Some(completions), Some(failed)) = (completions, failed)
        && failed > completions
    {
        errors.push(Error::invalid(&failed_path, failed, "must be less than or equal to completions"));
    }
    if let Some(failed) = failed.filter(|failed| *failed > MOST_FAILED) {
        errors.push(Error::invalid(&failed_path, failed, format!("must be less than or equal to {MOST_FAILED}")));
    }
    if completions.is_none_or(|completions| completions <= MANY_COMPLETIONS) || spec.backoff_limit_per_index().is_none()
    {
        return;
    }
    if failed.is_none() {
        let detail = format!("must be specified when completions is above {MANY_COMPLETIONS}");
        errors.push(Error::required(&failed_path, detail));
    }
    for (value, path) in [(parallelism, &parallelism_path), (failed.unwrap_or(0), &failed_path)] {
        if value > LIMIT_FOR_MANY {
            let detail = format!(
                "must be less than or equal to {LIMIT_FOR_MANY} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
            );
            errors.push(Error::invalid(path, value, detail));
        }
    }
}

fn validate_failure_policy(spec: JobSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(policy) = spec.pod_failure_policy() else { return };
    if policy.rules().len() > MOST_RULES {
        errors.push(Error::too_many(path, policy.rules().len(), MOST_RULES));
    }
    let pod = spec.template().spec();
    let containers = pod.containers().iter().chain(pod.init_containers().iter());
    let containers: Seen<&str> = containers.map(|container| container.name()).collect();
    for (i, rule) in policy.rules().iter().enumerate() {
        validate_failure_rule(spec, rule, &containers, &path.index(i), errors);
    }
}

fn validate_failure_rule(
    spec: JobSpec<'_>,
    rule: PodFailurePolicyRule<'_>,
    containers: &Seen<&str>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let action_path = path.child("action");
    if rule.action() == "FailIndex" && spec.backoff_limit_per_index().is_none() {
        let value = BadValue::typed(rule.action());
        errors.push(Error::invalid(&action_path, value, "requires the backoffLimitPerIndex to be set"));
    }
    known_or_required(rule.action(), &ACTIONS, &action_path, errors);
    if let Some(codes) = rule.on_exit_codes() {
        validate_exit_codes(codes, containers, &path.child("onExitCodes"), errors);
    }
    let patterns = rule.on_pod_conditions();
    let patterns_path = path.child("onPodConditions");
    if patterns.len() > MOST_RULES {
        errors.push(Error::too_many(&patterns_path, patterns.len(), MOST_RULES));
    }
    for (i, pattern) in patterns.iter().enumerate() {
        let path = patterns_path.index(i);
        validate_label_name(pattern.type_(), &path.child("type"), errors);
        known_or_required(pattern.status(), &["False", "True", "Unknown"], &path.child("status"), errors);
    }
    let detail = match (rule.on_exit_codes().is_some(), !patterns.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errors.push(Error::invalid(path, BadValue::Omit, detail));
}

fn known_or_required(value: &str, known: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if value.is_empty() {
        let known: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
        errors.push(Error::required(path, format!("valid values: [{}]", known.join(" "))));
    } else if !known.contains(&value) {
        errors.push(Error::not_supported(path, BadValue::typed(value), known));
    }
}

fn validate_exit_codes(
    codes: PodFailurePolicyOnExitCodesRequirement<'_>,
    containers: &Seen<&str>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    known_or_required(codes.operator(), &["In", "NotIn"], &path.child("operator"), errors);
    if let Some(name) = codes.container_name().filter(|name| !containers.contains(*name)) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(Error::invalid(&path.child("containerName"), name, detail));
    }
    let values: Vec<i64> = codes.values().iter().map(|value| value.as_int()).collect();
    let list = || bad_field(codes, PodFailurePolicyOnExitCodesRequirement::VALUES);
    let values_path = path.child("values");
    match values.len() {
        0 => errors.push(Error::invalid(&values_path, list(), "at least one value is required")),
        count @ 256.. => errors.push(Error::too_many(&values_path, count, 255)),
        _ => {}
    }
    let mut seen = Seen::default();
    for (i, value) in values.iter().enumerate() {
        if *value == 0 && codes.operator() == "In" {
            errors.push(Error::invalid(&values_path.index(i), *value, "must not be 0 for the In operator"));
        }
        if !seen.insert(value) {
            errors.push(Error::duplicate(&values_path.index(i), *value));
        }
    }
    if !values.is_sorted() {
        errors.push(Error::invalid(&values_path, list(), "must be ordered"));
    }
}

fn validate_success_policy(spec: JobSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(policy) = spec.success_policy() else { return };
    if spec.completion_mode() != Some("Indexed") {
        errors.push(Error::invalid(path, internal::bad_value(policy), "requires indexed completion mode"));
        return;
    }
    let path = path.child("rules");
    match policy.rules().len() {
        0 => {
            let detail = "at least one rules must be specified when the successPolicy is specified";
            errors.push(Error::required(&path, detail));
        }
        count if count > MOST_RULES => errors.push(Error::too_many(&path, count, MOST_RULES)),
        _ => {}
    }
    for (i, rule) in policy.rules().iter().enumerate() {
        // Upstream fails without completions, of which an error tells already.
        validate_success_rule(rule, spec.completions().unwrap_or(0), &path.index(i), errors);
    }
}

fn validate_success_rule(rule: SuccessPolicyRule<'_>, completions: i64, path: &Path<'_>, errors: &mut Errors) {
    const LONGEST: usize = 64 * 1024;
    let (count, text) = (rule.succeeded_count(), rule.succeeded_indexes());
    if count.is_none() && text.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(Error::required(path, detail));
    }
    let mut total = 0;
    if let Some(text) = text {
        let path = path.child("succeededIndexes");
        if text.len() > LONGEST {
            errors.push(Error::too_long(&path, LONGEST));
        }
        match indexes::count(text, completions) {
            Ok(count) => total = count,
            Err(e) => errors.push(Error::invalid(&path, text, format!("error parsing succeededIndexes: {e}"))),
        }
    }
    let Some(count) = count else { return };
    let path = path.child("succeededCount");
    validate_nonnegative(count, &path, errors);
    if count > completions {
        let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.push(Error::invalid(&path, count, detail));
    }
    if text.is_some() && count > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.push(Error::invalid(&path, count, detail));
    }
}

fn validate_replacement(spec: JobSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(policy) = spec.pod_replacement_policy() else { return };
    let known: &[&str] =
        if spec.pod_failure_policy().is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if !known.contains(&policy) {
        errors.push(Error::not_supported(path, BadValue::typed(policy), known));
    }
}

fn validate_restarts(spec: JobSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    match spec.template().spec().restart_policy() {
        "Always" | "" => errors.push(Error::required(path, "valid values: \"OnFailure\", \"Never\"")),
        "Never" => {}
        "OnFailure" if spec.pod_failure_policy().is_none() => {}
        policy @ "OnFailure" => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.push(Error::invalid(path, BadValue::typed(policy), detail));
        }
        policy => errors.push(Error::not_supported(path, BadValue::typed(policy), &["OnFailure", "Never"])),
    }
}
