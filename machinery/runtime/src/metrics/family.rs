//! Metrics of one name that differ in their label values: at most [`SERIES_MAX`] of them.
//!
//! A series lives as long as the process. Labels should come from closed sets, but some sets grow with what users
//! define: the resources of definitions come and go. When a family is full, whatever has new label values is counted
//! in one series, whose values are all `other`.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use prometheus::core::{Collector, Desc, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;

/// How many series a family has at most, besides the one for all others.
pub const SERIES_MAX: usize = 8192;

const OTHER: &str = "other";

/// What a family is made of: a vector of `prometheus`.
pub trait Vector: Collector + Clone {
    type Metric: Clone;

    fn labels(&self) -> usize;

    /// Finds the series of these values, or makes it.
    fn series(&self, values: &[&str]) -> Self::Metric;
}

impl<T: MetricVecBuilder> Vector for MetricVec<T> {
    type Metric = T::M;

    fn labels(&self) -> usize {
        self.desc().first().map_or(0, |desc| desc.variable_labels.len())
    }

    fn series(&self, values: &[&str]) -> T::M {
        self.with_label_values(values)
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Family<V: Vector>(Arc<Inner<V>>);

struct Inner<V: Vector> {
    vector: V,
    /// By the hash of their label values. It is seeded, so that nobody can have two of them meet.
    known: RwLock<HashMap<u64, V::Metric>>,
    hasher: RandomState,
    max: usize,
    /// Whether the log has said that the family is full.
    told: AtomicBool,
}

impl<V: Vector> Family<V> {
    pub(super) fn of(vector: V) -> Family<V> {
        Family::bounded(vector, SERIES_MAX)
    }

    fn bounded(vector: V, max: usize) -> Family<V> {
        let (known, hasher, told) = (RwLock::default(), RandomState::new(), AtomicBool::new(false));
        Family(Arc::new(Inner { vector, known, hasher, max, told }))
    }

    /// The series of these label values; the one for all others if the family is full. A wrong number of values is a
    /// mistake in the program, and panics.
    pub fn with_label_values<S: AsRef<str> + Debug>(&self, values: &[S]) -> V::Metric {
        let family = &*self.0;
        let mut hasher = family.hasher.build_hasher();
        for value in values {
            hasher.write(value.as_ref().as_bytes());
            // No text has this byte: a value ends here.
            hasher.write_u8(0xff);
        }
        let hash = hasher.finish();
        let is_full = {
            let known = family.known.read();
            if let Some(known) = known.get(&hash) {
                return known.clone();
            }
            known.len() >= family.max
        };
        if !is_full {
            let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
            let mut known = family.known.write();
            return known.entry(hash).or_insert_with(|| family.vector.series(&values)).clone();
        }
        if !family.told.swap(true, Ordering::Relaxed) {
            let name = family.vector.desc().first().map_or("", |desc| &*desc.fq_name).to_owned();
            tracing::warn!(name, max = family.max, "a metric has too many series; further ones are counted as one");
        }
        family.vector.series(&vec![OTHER; family.vector.labels()])
    }
}

impl<V: Vector + Send + Sync> Collector for Family<V>
where
    V::Metric: Send + Sync,
{
    fn desc(&self) -> Vec<&Desc> {
        self.0.vector.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.vector.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounterVec, Opts};

    fn series(family: &Family<IntCounterVec>) -> Vec<(String, f64)> {
        let mut series: Vec<_> = family.collect()[0]
            .get_metric()
            .iter()
            .map(|metric| {
                let values: Vec<&str> = metric.get_label().iter().map(|label| label.value()).collect();
                (values.join(" "), metric.get_counter().get_value())
            })
            .collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        series
    }

    #[test]
    fn a_full_family_counts_further_series_as_one() {
        let vector = IntCounterVec::new(Opts::new("requests", "Requests."), &["verb", "resource"]).expect("a vector");
        let family = Family::bounded(vector, 2);
        for values in [["get", "a"], ["get", "b"], ["get", "c"], ["list", "d"], ["get", "a"]] {
            family.with_label_values(&values).inc();
        }
        let expected = [("a get", 2.0), ("b get", 1.0), ("other other", 2.0)];
        assert_eq!(series(&family), expected.map(|(values, count)| (values.to_owned(), count)));
    }
}
