//! Metrics in Prometheus' text format, under the names that callers give, which are upstream's.
//!
//! Counting is `prometheus`' (without protobuf it brings nothing that the tree does not hold already): an atomic
//! addition for a counter or gauge, a few for a histogram, without a lock. Finding the child of a family by its label
//! values hashes them under a read lock; where that shows, keep the child, which is a cheap handle. What is added here
//! is that several components of a process may ask for the same metric and share it, because upstream's components
//! have common names (`workqueue_depth`, `rest_client_requests_total`), metrics that are computed when asked for, and a
//! bound on the series of a family.
//!
//! A metric that is asked for twice with another type, or with a name that Prometheus refuses, is a mistake in the
//! program and panics where it is made.

mod computed;
mod family;
mod process;

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricType;
use prometheus::{HistogramOpts, Opts, PullingGauge, TextEncoder};
pub use prometheus::{exponential_buckets, linear_buckets};

use self::computed::Computed;
pub use self::computed::Row;
pub use self::family::{Family, SERIES_MAX};

pub type Counter = prometheus::IntCounter;
pub type Counters = Family<prometheus::IntCounterVec>;
/// A counter of something that is no whole number, of seconds mostly.
pub type FloatCounter = prometheus::Counter;
pub type FloatCounters = Family<prometheus::CounterVec>;
pub type Gauge = prometheus::IntGauge;
pub type Gauges = Family<prometheus::IntGaugeVec>;
pub type FloatGauge = prometheus::Gauge;
pub type FloatGauges = Family<prometheus::GaugeVec>;
pub type Histogram = prometheus::Histogram;
pub type Histograms = Family<prometheus::HistogramVec>;

/// The content type of `text`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Prometheus' usual buckets for seconds.
pub const DEFAULT_BUCKETS: &[f64] = prometheus::DEFAULT_BUCKETS;

/// The metrics of one server; cheap to clone.
#[derive(Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    metrics: prometheus::Registry,
    by_name: Mutex<HashMap<String, Box<dyn Any + Send>>>,
}

impl Registry {
    pub fn new() -> Registry {
        Registry::default()
    }

    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.metric(name, || Counter::new(name, help))
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Counters {
        self.metric(name, || Ok(Family::of(prometheus::IntCounterVec::new(Opts::new(name, help), labels)?)))
    }

    pub fn float_counter(&self, name: &str, help: &str) -> FloatCounter {
        self.metric(name, || FloatCounter::new(name, help))
    }

    pub fn float_counters(&self, name: &str, help: &str, labels: &[&str]) -> FloatCounters {
        self.metric(name, || Ok(Family::of(prometheus::CounterVec::new(Opts::new(name, help), labels)?)))
    }

    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.metric(name, || Gauge::new(name, help))
    }

    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Gauges {
        self.metric(name, || Ok(Family::of(prometheus::IntGaugeVec::new(Opts::new(name, help), labels)?)))
    }

    pub fn float_gauge(&self, name: &str, help: &str) -> FloatGauge {
        self.metric(name, || FloatGauge::new(name, help))
    }

    pub fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> FloatGauges {
        self.metric(name, || Ok(Family::of(prometheus::GaugeVec::new(Opts::new(name, help), labels)?)))
    }

    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.metric(name, || Histogram::with_opts(options))
    }

    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Histograms {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.metric(name, || Ok(Family::of(prometheus::HistogramVec::new(options, labels)?)))
    }

    /// A gauge whose value is computed when somebody asks.
    pub fn computed(&self, name: &str, help: &str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        let _shared = self.metric(name, || PullingGauge::new(name, help, Box::new(value)));
    }

    /// Gauges whose rows are computed when somebody asks.
    pub fn computed_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        rows: impl Fn() -> Vec<Row> + Send + Sync + 'static,
    ) {
        let _shared = self.metric(name, || Computed::new(name, help, labels, MetricType::GAUGE, rows));
    }

    /// The same for what only grows.
    pub fn computed_counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        rows: impl Fn() -> Vec<Row> + Send + Sync + 'static,
    ) {
        let _shared = self.metric(name, || Computed::new(name, help, labels, MetricType::COUNTER, rows));
    }

    /// The `process_...` metrics: processor time, memory and open files.
    pub fn register_process(&self) {
        self.metric("process", || Ok(process::Process::new()));
    }

    /// Everything, in Prometheus' text format, by name.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.0.metrics.gather(), &mut text) {
            tracing::error!(%error, "write the metrics");
        }
        text
    }

    /// The metric of this name: made when first asked for, the same one afterwards.
    fn metric<M>(&self, name: &str, make: impl FnOnce() -> prometheus::Result<M>) -> M
    where
        M: Collector + Clone + Send + 'static,
    {
        let mut by_name = self.0.by_name.lock();
        if let Some(known) = by_name.get(name) {
            return known
                .downcast_ref::<M>()
                .unwrap_or_else(|| panic!("metric {name} was registered with another type"))
                .clone();
        }
        let metric = make().unwrap_or_else(|error| panic!("metric {name}: {error}"));
        let registered = self.0.metrics.register(Box::new(metric.clone()));
        registered.unwrap_or_else(|error| panic!("metric {name}: {error}"));
        by_name.insert(name.to_owned(), Box::new(metric.clone()));
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_prometheus() {
        let registry = Registry::new();
        registry
            .counters("requests_total", "[STABLE] Requests.", &["verb", "code"])
            .with_label_values(&["GET", "200"])
            .inc();
        registry.counters("requests_total", "", &["verb", "code"]).with_label_values(&["GET", "200"]).inc();
        registry.float_gauges("odd", "Says \"x\\y\".", &["name"]).with_label_values(&["a\"b\\c\nd"]).set(1.5);
        let seconds = registry.histogram("seconds", "Time.", &[0.005, 1.0, 2.5]);
        [0.001, 1.0, 7.0].into_iter().for_each(|value| seconds.observe(value));
        registry.computed("size_bytes", "Size.", || 42.0);
        registry.gauges("empty", "No children yet.", &["name"]);
        let grown = || vec![(vec!["a".to_owned()], 1.0), (vec!["b".to_owned()], 2.0)];
        registry.computed_counters("grown_total", "Grown.", &["name"], grown);
        let expected = r#"# HELP grown_total Grown.
# TYPE grown_total counter
grown_total{name="a"} 1
grown_total{name="b"} 2
# HELP odd Says "x\\y".
# TYPE odd gauge
odd{name="a\"b\\c\nd"} 1.5
# HELP requests_total [STABLE] Requests.
# TYPE requests_total counter
requests_total{code="200",verb="GET"} 2
# HELP seconds Time.
# TYPE seconds histogram
seconds_bucket{le="0.005"} 1
seconds_bucket{le="1"} 2
seconds_bucket{le="2.5"} 2
seconds_bucket{le="+Inf"} 3
seconds_sum 8.001
seconds_count 3
# HELP size_bytes Size.
# TYPE size_bytes gauge
size_bytes 42
"#;
        assert_eq!(registry.text(), expected);
    }

    #[test]
    #[should_panic(expected = "metric x was registered with another type")]
    fn another_type_is_a_mistake() {
        let registry = Registry::new();
        registry.counter("x", "X.");
        registry.gauge("x", "X.");
    }

    #[test]
    fn the_process_is_measured() {
        let registry = Registry::new();
        registry.register_process();
        registry.register_process();
        let text = registry.text();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '));
            line.unwrap_or_else(|| panic!("{name} in {text}"))[name.len() + 1..].parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_start_time_seconds") > 1_000_000_000.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") > 3.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
