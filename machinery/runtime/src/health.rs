//! Health checks that components register by name, and the answers of /healthz, /livez and /readyz in upstream's text.
//!
//! A check is asked when somebody asks, never on a timer. Whoever needs time to become ready registers a guard, which
//! fails its check until it is dropped. Why a check fails is said in the log only, because anybody may ask these paths.

use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::{Clock, Instant};
use crate::metrics::{Counters, Gauges, Registry};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Healthz,
    Livez,
    Readyz,
}

/// Most checks belong to all three.
pub const EVERYWHERE: &[Endpoint] = &[Endpoint::Healthz, Endpoint::Livez, Endpoint::Readyz];
pub const READYZ: &[Endpoint] = &[Endpoint::Readyz];

/// What a request asks of an endpoint: its `verbose` and `exclude` parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub verbose: bool,
    pub exclude: Vec<String>,
}

/// The response, for whatever serves HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// Whether `X-Content-Type-Options: nosniff` goes with it.
    pub nosniff: bool,
}

/// The checks of one server, in the order in which they were registered.
pub struct Health {
    clock: Clock,
    metrics: Registry,
    results: Gauges,
    results_total: Counters,
    checks: Mutex<Vec<Arc<Check>>>,
    remarks: Mutex<Vec<Remark>>,
    /// Rung when something may have become ready.
    changed: Arc<Notify>,
}

/// A check that fails until this is dropped.
#[must_use = "the check passes as soon as the guard is dropped"]
pub struct Guard {
    ready: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

struct Check {
    name: String,
    /// An `exclude` of this leaves the check out too.
    group: Option<&'static str>,
    endpoints: &'static [Endpoint],
    /// Until then /livez takes the check as passed: starting may take its time.
    live_until: Option<Instant>,
    probe: Probe,
}

/// What an endpoint says beside its checks, which it does not fail for.
struct Remark {
    name: &'static str,
    endpoints: &'static [Endpoint],
    lines: Box<dyn Fn() -> Vec<String> + Send + Sync>,
}

type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

impl Endpoint {
    pub fn name(self) -> &'static str {
        match self {
            Endpoint::Healthz => "healthz",
            Endpoint::Livez => "livez",
            Endpoint::Readyz => "readyz",
        }
    }
}

impl Answer {
    pub const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

    fn failed(body: String) -> Answer {
        Answer { status: 500, body: body + "\n", nosniff: true }
    }
}

impl Query {
    /// From the decoded parameters of a request, in their order; others are ignored.
    pub fn from_pairs<'q>(pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Query {
        let mut query = Query::default();
        for (name, value) in pairs {
            match name {
                "verbose" => query.verbose = true,
                "exclude" => query.exclude.push(value.to_owned()),
                _ => {}
            }
        }
        query
    }
}

impl Health {
    /// With upstream's first two checks, `ping` and `log`, which pass because somebody is here to answer.
    pub fn new(clock: Clock) -> Health {
        let metrics = Registry::new();
        let results = "[STABLE] The result of a health check when it was last asked.";
        let results = metrics.gauges("kubernetes_healthcheck", results, &["name", "type"]);
        let total = "[STABLE] The results of a health check.";
        let results_total = metrics.counters("kubernetes_healthchecks_total", total, &["name", "status", "type"]);
        let (checks, remarks, changed) = (Mutex::default(), Mutex::default(), Arc::default());
        let health = Health { clock, metrics, results, results_total, checks, remarks, changed };
        health.register("ping", EVERYWHERE, || Ok(()));
        health.register("log", EVERYWHERE, || Ok(()));
        health
    }

    /// A check that looks at something in memory.
    pub fn register(
        &self,
        name: impl Into<String>,
        endpoints: &'static [Endpoint],
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.add(name.into(), None, endpoints, None, Box::new(move || Box::pin(std::future::ready(probe()))));
    }

    /// A check that has to ask somebody. It should bound its own time.
    pub fn register_async<F>(
        &self,
        name: impl Into<String>,
        endpoints: &'static [Endpoint],
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name.into(), None, endpoints, None, Box::new(move || Box::pin(probe())));
    }

    /// A check that fails until the guard is dropped; upstream's `poststarthook/...`, say. On /livez it passes during
    /// `livez_grace` all the same.
    pub fn guard(&self, name: impl Into<String>, endpoints: &'static [Endpoint], livez_grace: Duration) -> Guard {
        let ready = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ready);
        let probe: Probe = Box::new(move || {
            let ready = seen.load(Ordering::Acquire);
            Box::pin(std::future::ready(if ready { Ok(()) } else { Err("not finished".to_owned()) }))
        });
        let live_until = (!livez_grace.is_zero()).then(|| self.clock.monotonic() + livez_grace);
        self.add(name.into(), None, endpoints, live_until, probe);
        Guard { ready, changed: Arc::clone(&self.changed) }
    }

    /// A check that `exclude=GROUP` leaves out together with the others of its group.
    pub fn register_grouped(
        &self,
        name: impl Into<String>,
        group: &'static str,
        endpoints: &'static [Endpoint],
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        let probe: Probe = Box::new(move || Box::pin(std::future::ready(probe())));
        self.add(name.into(), Some(group), endpoints, None, probe);
    }

    /// Lines for somebody who looks, behind the checks of a verbose answer.
    pub fn register_remark(
        &self,
        name: &'static str,
        endpoints: &'static [Endpoint],
        lines: impl Fn() -> Vec<String> + Send + Sync + 'static,
    ) {
        self.remarks.lock().push(Remark { name, endpoints, lines: Box::new(lines) });
    }

    /// The answer to `GET /ENDPOINT`.
    pub async fn answer(&self, endpoint: Endpoint, query: &Query) -> Answer {
        let (mut lines, mut failures) = (String::new(), Vec::new());
        let mut unknown: Vec<&String> = query.exclude.iter().collect();
        for check in self.checks_of(endpoint) {
            if query.exclude.contains(&check.name) {
                unknown.retain(|name| **name != check.name);
                let _ = writeln!(lines, "[+]{} excluded: ok", check.name);
                continue;
            }
            if let Some(group) = check.group.filter(|group| query.exclude.iter().any(|name| name == group)) {
                unknown.retain(|name| *name != group);
                let _ = writeln!(lines, "[+]{} excluded with {group}: ok", check.name);
                continue;
            }
            match self.ask(&check, endpoint).await {
                Ok(()) => drop(writeln!(lines, "[+]{} ok", check.name)),
                Err(reason) => {
                    let _ = writeln!(lines, "[-]{} failed: reason withheld", check.name);
                    failures.push(format!("{}: {reason}", check.name));
                }
            }
        }
        if query.verbose {
            for remark in self.remarks.lock().iter().filter(|remark| remark.endpoints.contains(&endpoint)) {
                for line in (remark.lines)() {
                    let _ = writeln!(lines, "[!]{}: {line}", remark.name);
                }
            }
        }
        unknown.sort();
        unknown.dedup();
        if !unknown.is_empty() {
            let names: Vec<_> = unknown.iter().map(|name| format!("{name:?}")).collect();
            let names = names.join(",");
            let _ = writeln!(lines, "warn: some health checks cannot be excluded: no matches for {names}");
        }
        let name = endpoint.name();
        if !failures.is_empty() {
            tracing::info!(endpoint = name, failed = failures.join("; "), "health check failed");
            return Answer::failed(format!("{lines}{name} check failed"));
        }
        let body = if query.verbose { format!("{lines}{name} check passed\n") } else { "ok".to_owned() };
        Answer { status: 200, body, nosniff: true }
    }

    /// The answer to `GET /ENDPOINT/CHECK`; none if the endpoint has no such check.
    pub async fn answer_one(&self, endpoint: Endpoint, check: &str) -> Option<Answer> {
        let check = self.checks_of(endpoint).into_iter().find(|candidate| candidate.name == check)?;
        Some(match self.ask(&check, endpoint).await {
            Ok(()) => Answer { status: 200, body: "ok".to_owned(), nosniff: false },
            Err(reason) => Answer::failed(format!("internal server error: {reason}")),
        })
    }

    /// Returns when every check of /readyz passes. It looks again when a guard is dropped or `changed` is called.
    pub async fn ready(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.answer(Endpoint::Readyz, &Query::default()).await.status == 200 {
                return;
            }
            changed.await;
        }
    }

    /// Says that a check which is not a guard may pass now.
    pub fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// The results of the checks so far, in Prometheus' text: what `/metrics/slis` shows.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }

    /// The names of an endpoint's checks, in order.
    pub fn names(&self, endpoint: Endpoint) -> Vec<String> {
        self.checks_of(endpoint).iter().map(|check| check.name.clone()).collect()
    }

    fn add(
        &self,
        name: String,
        group: Option<&'static str>,
        endpoints: &'static [Endpoint],
        live_until: Option<Instant>,
        probe: Probe,
    ) {
        self.checks.lock().push(Arc::new(Check { name, group, endpoints, live_until, probe }));
    }

    fn checks_of(&self, endpoint: Endpoint) -> Vec<Arc<Check>> {
        self.checks.lock().iter().filter(|check| check.endpoints.contains(&endpoint)).cloned().collect()
    }

    async fn ask(&self, check: &Check, endpoint: Endpoint) -> Result<(), String> {
        let graceful = check.live_until.is_some_and(|until| self.clock.monotonic() <= until);
        let result = if endpoint == Endpoint::Livez && graceful { Ok(()) } else { (check.probe)().await };
        let (name, kind) = (check.name.as_str(), endpoint.name());
        let (value, status) = if result.is_ok() { (1, "success") } else { (0, "error") };
        self.results.with_label_values(&[name, kind]).set(value);
        self.results_total.with_label_values(&[name, status, kind]).inc();
        result
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ready.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.names(Endpoint::Healthz)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    fn health() -> (Health, Guard, Arc<crate::clock::ManualClock>) {
        let (clock, hands) = Clock::manual(Wall::default());
        let health = Health::new(clock);
        health.register_async("etcd", EVERYWHERE, async || Ok(()));
        let guard = health.guard("poststarthook/rbac", EVERYWHERE, Duration::from_secs(5));
        health.register_grouped("a", "group", READYZ, || Ok(()));
        (health, guard, hands)
    }

    async fn check(health: &Health, endpoint: Endpoint, query: &str, status: u16, body: &str) {
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let answer = health.answer(endpoint, &Query::from_pairs(pairs)).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{} {query}", endpoint.name());
    }

    #[tokio::test]
    async fn answers_are_upstreams() {
        let (health, guard, hands) = health();
        let failed = "[+]ping ok\n[+]log ok\n[+]etcd ok\n[-]poststarthook/rbac failed: reason withheld\n";
        check(&health, Endpoint::Healthz, "", 500, &format!("{failed}healthz check failed\n")).await;
        check(&health, Endpoint::Readyz, "", 500, &format!("{failed}[+]a ok\nreadyz check failed\n")).await;
        check(&health, Endpoint::Livez, "", 200, "ok").await;
        hands.advance(Duration::from_secs(6));
        check(&health, Endpoint::Livez, "", 500, &format!("{failed}livez check failed\n")).await;
        check(&health, Endpoint::Livez, "exclude=poststarthook/rbac", 200, "ok").await;
        drop(guard);
        let passed = "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]poststarthook/rbac ok\n";
        check(&health, Endpoint::Livez, "", 200, "ok").await;
        check(&health, Endpoint::Livez, "verbose", 200, &format!("{passed}livez check passed\n")).await;
        let excluded = "[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n[+]poststarthook/rbac ok\n[+]a excluded with \
                        group: ok\nwarn: some health checks cannot be excluded: no matches for \"x\",\"y\"\nreadyz \
                        check passed\n";
        let query = "verbose&exclude=y&exclude=etcd&exclude=x&exclude=group&exclude=y";
        check(&health, Endpoint::Readyz, query, 200, excluded).await;
    }

    #[tokio::test]
    async fn remarks_are_made_to_whoever_looks() {
        let (health, guard, _) = health();
        drop(guard);
        health.register_remark("storage", READYZ, || vec!["one is damaged".to_owned()]);
        check(&health, Endpoint::Readyz, "", 200, "ok").await;
        let passed = "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]poststarthook/rbac ok\n";
        check(&health, Endpoint::Livez, "verbose", 200, &format!("{passed}livez check passed\n")).await;
        let remarked = format!("{passed}[+]a ok\n[!]storage: one is damaged\nreadyz check passed\n");
        check(&health, Endpoint::Readyz, "verbose", 200, &remarked).await;
    }

    #[tokio::test]
    async fn one_check_by_name() {
        let (health, guard, _) = health();
        let body = |answer: Option<Answer>| answer.map(|answer| (answer.status, answer.body));
        let failed = (500, "internal server error: not finished\n".to_owned());
        assert_eq!(body(health.answer_one(Endpoint::Readyz, "poststarthook/rbac").await), Some(failed));
        drop(guard);
        let passed = Some((200, "ok".to_owned()));
        assert_eq!(body(health.answer_one(Endpoint::Readyz, "poststarthook/rbac").await), passed);
        assert_eq!(body(health.answer_one(Endpoint::Livez, "a").await), None);
        let text = health.metrics();
        assert!(text.contains("kubernetes_healthcheck{name=\"poststarthook/rbac\",type=\"readyz\"} 1\n"), "{text}");
        let failed = "kubernetes_healthchecks_total{name=\"poststarthook/rbac\",status=\"error\",type=\"readyz\"} 1\n";
        assert!(text.contains(failed), "{text}");
    }

    #[tokio::test]
    async fn ready_returns_when_the_last_guard_goes() {
        let (health, guard, _) = health();
        let last = health.guard("informer-sync", READYZ, Duration::ZERO);
        let mut ready = std::pin::pin!(health.ready());
        let mut ready_now = async || {
            tokio::select! {
                biased;
                () = &mut ready => true,
                () = tokio::task::yield_now() => false,
            }
        };
        assert!(!ready_now().await);
        drop(guard);
        assert!(!ready_now().await);
        drop(last);
        assert!(ready_now().await);
    }
}
