//! What the API server counts about itself, under upstream's names, labels and buckets.
//!
//! Requests are counted as upstream counts them: when they have been routed, so those that were refused before (401 and
//! 403) show in the metrics of authentication and authorization only. An answer that streams is counted at its end.
//! What the caches know anyway is computed when somebody asks (`state`).

mod request;
mod state;

use std::time::Duration;

use corten_access::authenticate::Authenticated;
use corten_access::authorize::Decision;
use corten_access::service_account::TokenKind;
use corten_api::status::Status;
use corten_runtime::metrics::{Counter, Counters, Gauges, Histogram, Histograms, Registry, exponential_buckets};

use crate::admission::Operation;
use crate::resource::Resource;

pub use request::{finished, scope};
pub use state::{register, unreadable};

pub struct Metrics {
    registry: Registry,
    requests: Counters,
    self_requests: Counters,
    terminations: Counters,
    durations: Histograms,
    sli_durations: Histograms,
    slo_durations: Histograms,
    response_sizes: Histograms,
    body_sizes: Histograms,
    long_running: Gauges,
    deprecated: Gauges,
    watch_events: Counters,
    watch_event_sizes: Histograms,
    watch_lists: Histograms,
    authenticated_users: Counters,
    authentications: Counters,
    authentication_durations: Histograms,
    authorizations: Counters,
    authorization_durations: Histograms,
    admission_steps: Histograms,
    admission_plugins: Histograms,
    /// In the order of `TOKENS`.
    tokens: [Counter; 6],
    pub failed_handshakes: Counter,
}

const TOKENS: [(TokenKind, &str, &str); 6] = [
    (
        TokenKind::Valid,
        "serviceaccount_valid_tokens_total",
        "[ALPHA] Number of uses of service account tokens that their holders renew in time.",
    ),
    (
        TokenKind::Stale,
        "serviceaccount_stale_tokens_total",
        "[ALPHA] Number of uses of service account tokens that their holders should have renewed.",
    ),
    (
        TokenKind::Legacy,
        "serviceaccount_legacy_tokens_total",
        "[ALPHA] Number of uses of service account tokens that name no audience.",
    ),
    (
        TokenKind::LegacyManual,
        "serviceaccount_legacy_manual_token_uses_total",
        "[ALPHA] Number of uses of tokens in Secrets that somebody made.",
    ),
    (
        TokenKind::LegacyAuto,
        "serviceaccount_legacy_auto_token_uses_total",
        "[ALPHA] Number of uses of tokens in Secrets that were made for their service account.",
    ),
    (
        TokenKind::InvalidLegacyAuto,
        "serviceaccount_invalid_legacy_auto_token_uses_total",
        "[ALPHA] Number of uses of tokens in Secrets that are marked as invalid.",
    ),
];

/// What one watch counts; found once, because finding it costs more than counting.
pub struct WatchMetrics {
    events: Counter,
    sizes: Histogram,
}

const REQUEST: &[&str] = &["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"];
/// The same without dry runs.
const REQUEST_SLI: &[&str] = &["verb", "group", "version", "resource", "subresource", "scope", "component"];

const SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
const WATCH_LIST_SECONDS: &[f64] =
    &[0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0];
const ADMISSION_SECONDS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 1.0, 2.5];

impl Metrics {
    pub fn new() -> Metrics {
        let registry = Registry::new();
        registry.register_process();
        let buckets = |start, factor, count| exponential_buckets(start, factor, count).unwrap_or_default();
        let body_sizes: Vec<f64> = (0..31).map(|step| 50_000.0 + 100_000.0 * f64::from(step)).collect();
        Metrics {
            requests: registry.counters(
                "apiserver_request_total",
                "[STABLE] Counter of API requests by verb, dry run, resource, scope, component and HTTP response code.",
                &[REQUEST, &["code", "system_client"]].concat(),
            ),
            self_requests: registry.counters(
                "apiserver_selfrequest_total",
                "[ALPHA] Counter of requests of the API server to itself by verb and resource.",
                &["verb", "group", "resource", "subresource"],
            ),
            terminations: registry.counters(
                "apiserver_request_terminations_total",
                "[ALPHA] Number of requests that the server refused to protect itself.",
                &[REQUEST_SLI, &["code"]].concat(),
            ),
            durations: registry.histograms(
                "apiserver_request_duration_seconds",
                "[STABLE] Latency of API requests in seconds by verb, dry run, resource, scope and component.",
                REQUEST,
                SECONDS,
            ),
            sli_durations: registry.histograms(
                "apiserver_request_sli_duration_seconds",
                "[ALPHA] Latency of API requests in seconds, without the time of webhooks and of queues.",
                REQUEST_SLI,
                &SECONDS[2..],
            ),
            slo_durations: registry.histograms(
                "apiserver_request_slo_duration_seconds",
                "[ALPHA] The same as apiserver_request_sli_duration_seconds, under its former name.",
                REQUEST_SLI,
                &SECONDS[2..],
            ),
            response_sizes: registry.histograms(
                "apiserver_response_sizes",
                "[STABLE] Size of the answers to reads in bytes.",
                REQUEST_SLI,
                &buckets(1000.0, 10.0, 7),
            ),
            body_sizes: registry.histograms(
                "apiserver_request_body_size_bytes",
                "[ALPHA] Size of request bodies in bytes by resource and verb.",
                &["resource", "group", "verb"],
                &body_sizes,
            ),
            long_running: registry.gauges(
                "apiserver_longrunning_requests",
                "[STABLE] Gauge of the long-running requests that go on, by verb, resource, scope and component.",
                REQUEST_SLI,
            ),
            deprecated: registry.gauges(
                "apiserver_requested_deprecated_apis",
                "[STABLE] Gauge of the deprecated APIs that have been requested, with the release that removes them.",
                &["group", "version", "resource", "subresource", "removed_release"],
            ),
            watch_events: registry.counters(
                "apiserver_watch_events_total",
                "[ALPHA] Number of events sent to watching clients.",
                &["group", "version", "resource"],
            ),
            watch_event_sizes: registry.histograms(
                "apiserver_watch_events_sizes",
                "[ALPHA] Size of watch events in bytes.",
                &["group", "version", "resource"],
                &buckets(1024.0, 2.0, 8),
            ),
            watch_lists: registry.histograms(
                "apiserver_watch_list_duration_seconds",
                "[BETA] Time until a watch that begins with a list has sent it, in seconds.",
                &["group", "version", "resource", "scope"],
                WATCH_LIST_SECONDS,
            ),
            authenticated_users: registry.counters(
                "authenticated_user_requests",
                "[ALPHA] Counter of authenticated requests by username.",
                &["username"],
            ),
            authentications: registry.counters(
                "authentication_attempts",
                "[ALPHA] Counter of attempts at authentication.",
                &["result"],
            ),
            authentication_durations: registry.histograms(
                "authentication_duration_seconds",
                "[ALPHA] Duration of authentication in seconds by result.",
                &["result"],
                &buckets(0.001, 2.0, 15),
            ),
            authorizations: registry.counters(
                "authorization_attempts_total",
                "[ALPHA] Counter of authorization decisions by result: 'allowed', 'denied', 'no-opinion' or 'error'.",
                &["result"],
            ),
            authorization_durations: registry.histograms(
                "authorization_duration_seconds",
                "[ALPHA] Duration of authorization in seconds by result.",
                &["result"],
                &buckets(0.001, 2.0, 15),
            ),
            admission_steps: registry.histograms(
                "apiserver_admission_step_admission_duration_seconds",
                "[STABLE] Latency of a phase of admission in seconds, by operation and phase (validate or admit).",
                &["type", "operation", "rejected"],
                ADMISSION_SECONDS,
            ),
            admission_plugins: registry.histograms(
                "apiserver_admission_controller_admission_duration_seconds",
                "[STABLE] Latency of an admission plugin in seconds, by name, operation and phase (validate or admit).",
                &["name", "type", "operation", "rejected"],
                ADMISSION_SECONDS,
            ),
            tokens: TOKENS.map(|(_, name, help)| registry.counter(name, help)),
            failed_handshakes: registry.counter(
                "apiserver_tls_handshake_errors_total",
                "[ALPHA] Number of connections that were dropped for an error in the TLS handshake.",
            ),
            registry,
        }
    }

    pub fn text(&self) -> String {
        self.registry.text()
    }

    pub fn authenticated(&self, known: Result<&Authenticated, ()>, took: Duration) {
        let result = if known.is_ok() { "success" } else { "error" };
        if let Ok(known) = known {
            self.authenticated_users.with_label_values(&[compressed(&known.user.name)]).inc();
        }
        self.authentications.with_label_values(&[result]).inc();
        self.authentication_durations.with_label_values(&[result]).observe(took.as_secs_f64());
    }

    pub fn token_used(&self, kind: TokenKind) {
        let counted = TOKENS.iter().zip(&self.tokens).filter(|((counted, ..), _)| *counted == kind);
        counted.for_each(|(_, counter)| counter.inc());
    }

    pub fn authorized(&self, decision: Decision, took: Duration) {
        let result = match decision {
            Decision::Allow => "allowed",
            Decision::Deny => "denied",
            Decision::NoOpinion => "no-opinion",
        };
        self.authorizations.with_label_values(&[result]).inc();
        self.authorization_durations.with_label_values(&[result]).observe(took.as_secs_f64());
    }

    pub fn body_read(&self, group: &str, resource: &str, verb: &str, length: usize) {
        self.body_sizes.with_label_values(&[resource, group, verb]).observe(length as f64);
    }

    /// A resource that is on its way out was asked for.
    pub fn deprecated(&self, resource: &Resource, subresource: &str) {
        let labels = [&*resource.group, &*resource.version, &*resource.plural, subresource, ""];
        self.deprecated.with_label_values(&labels).set(1);
    }

    pub fn watch(&self, resource: &Resource) -> WatchMetrics {
        let labels = [&*resource.group, &*resource.version, &*resource.plural];
        WatchMetrics {
            events: self.watch_events.with_label_values(&labels),
            sizes: self.watch_event_sizes.with_label_values(&labels),
        }
    }

    pub fn watch_list_sent(&self, resource: &Resource, scope: &str, took: Duration) {
        let labels = [&*resource.group, &*resource.version, &*resource.plural, scope];
        self.watch_lists.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A phase of admission (`admit`, `validate`) has ended.
    pub fn admission_step<T>(&self, phase: &str, operation: Operation, took: Duration, outcome: &Result<T, Status>) {
        let labels = [phase, operation.name(), rejected(outcome)];
        self.admission_steps.with_label_values(&labels).observe(took.as_secs_f64());
    }

    pub fn admission_plugin<T>(
        &self,
        name: &str,
        phase: &str,
        operation: Operation,
        took: Duration,
        outcome: &Result<T, Status>,
    ) {
        let labels = [name, phase, operation.name(), rejected(outcome)];
        self.admission_plugins.with_label_values(&labels).observe(took.as_secs_f64());
    }
}

impl WatchMetrics {
    pub fn sent(&self, bytes: usize) {
        self.events.inc();
        self.sizes.observe(bytes as f64);
    }
}

fn rejected<T>(outcome: &Result<T, Status>) -> &'static str {
    if outcome.is_ok() { "false" } else { "true" }
}

/// A few names that upstream knows, and one word each for all others: a label must not grow with the users.
fn compressed(username: &str) -> &str {
    match username {
        "admin" | "client" | "kube_proxy" | "kubelet" | "system:serviceaccount:kube-system:default" => username,
        name if name.contains('@') => "email_id",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_few() {
        let check = |name: &str, expected: &str| assert_eq!(compressed(name), expected);
        check("admin", "admin");
        check("jane@example.com", "email_id");
        check("system:serviceaccount:a:b", "other");
    }

    #[test]
    fn names_and_buckets_are_upstreams() {
        let metrics = Metrics::new();
        metrics.authorized(Decision::NoOpinion, Duration::from_millis(3));
        metrics.body_read("", "pods", "create", 60_000);
        let text = metrics.text();
        let check = |line: &str| assert!(text.contains(line), "{line} in {text}");
        check("authorization_attempts_total{result=\"no-opinion\"} 1\n");
        check("authorization_duration_seconds_bucket{result=\"no-opinion\",le=\"16.384\"} 1\n");
        check(
            "apiserver_request_body_size_bytes_bucket{group=\"\",resource=\"pods\",verb=\"create\",le=\"50000\"} 0\n",
        );
        check(
            "apiserver_request_body_size_bytes_bucket{group=\"\",resource=\"pods\",verb=\"create\",le=\"3050000\"} 1\n",
        );
    }
}
