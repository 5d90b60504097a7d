//! Families whose rows are computed when somebody asks for them: what the process knows anyway need not be counted twice.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{GaugeVec, Opts};

/// The values of the labels, in their order, and the value.
pub type Row = (Vec<String>, f64);

#[derive(Clone)]
pub struct Computed {
    /// Holds the rows while they are written out; two readers take turns.
    family: Arc<Mutex<GaugeVec>>,
    desc: Desc,
    kind: MetricType,
    rows: Arc<dyn Fn() -> Vec<Row> + Send + Sync>,
}

impl Computed {
    pub fn new(
        name: &str,
        help: &str,
        labels: &[&str],
        kind: MetricType,
        rows: impl Fn() -> Vec<Row> + Send + Sync + 'static,
    ) -> prometheus::Result<Computed> {
        let family = GaugeVec::new(Opts::new(name, help), labels)?;
        let desc = Desc::new(
            name.to_owned(),
            help.to_owned(),
            labels.iter().map(|&label| label.to_owned()).collect(),
            Default::default(),
        )?;
        Ok(Computed { family: Arc::new(Mutex::new(family)), desc, kind, rows: Arc::new(rows) })
    }
}

impl Collector for Computed {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let rows = (self.rows)();
        let family = self.family.lock();
        family.reset();
        for (labels, value) in rows {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            if let Ok(row) = family.get_metric_with_label_values(&labels) {
                row.set(value);
            }
        }
        let mut families = family.collect();
        if self.kind == MetricType::COUNTER {
            families.iter_mut().for_each(as_counters);
        }
        families
    }
}

fn as_counters(family: &mut MetricFamily) {
    for metric in family.mut_metric() {
        let mut counter = prometheus::proto::Counter::default();
        counter.set_value(metric.get_gauge().get_value());
        metric.set_counter(counter);
    }
    family.set_field_type(MetricType::COUNTER);
}
