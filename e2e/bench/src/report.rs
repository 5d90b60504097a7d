//! The report: what was measured beside what it may be.

use crate::budget::{Budget, Unit};
use crate::load::Measured;

#[derive(Debug, Clone)]
pub struct Row {
    pub budget: Budget,
    pub value: f64,
    note: String,
}

impl Row {
    pub fn plain(budget: Budget, value: f64) -> Row {
        Row { budget, value, note: String::new() }
    }

    /// CPU time of an operation; rate and latencies are told beside it.
    pub fn measured(budget: Budget, measured: &Measured) -> Row {
        let value = match budget.unit {
            Unit::Milliseconds => measured.cpu_us() / 1e3,
            _ => measured.cpu_us(),
        };
        let ms = |part| measured.percentile(part).as_secs_f64() * 1e3;
        let each = measured.bytes as f64 / measured.operations.max(1) as f64;
        let size = if each >= 1e6 { format!("{:.0} MB", each / 1e6) } else { format!("{each:.0} B") };
        let (rate, p50, p99, p999) = (measured.rate(), ms(0.5), ms(0.99), ms(0.999));
        let note = format!("{rate:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, {size} each");
        Row { budget, value, note }
    }

    pub fn note(self, note: String) -> Row {
        Row { note, ..self }
    }

    fn verdict(&self) -> &'static str {
        match self.value {
            value if value <= self.budget.goal => "goal",
            value if value <= self.budget.first => "first",
            _ => "OVER",
        }
    }
}

pub const HEAD: &str = "what                                         measured      first       goal         ";

/// A row as text. The values are CPU time where an operation is measured.
pub fn line(row: &Row) -> String {
    let Budget { what, unit, first, goal } = row.budget;
    let (unit, value, verdict) = (unit.name(), row.value, row.verdict());
    let digits = if value < 10.0 { 2 } else { 1 };
    format!(
        "{what:<42} {value:>7.digits$} {unit:<3} {first:>6} {unit:<3} {goal:>6} {unit:<3}  {verdict:<5}  {}",
        row.note
    )
}

/// The same rows of two builds, and the second's share of the first, if that is measurable.
pub fn comparison(first: &[Row], second: &[Row]) -> String {
    let mut text = String::new();
    for (a, b) in first.iter().zip(second) {
        let (what, unit) = (a.budget.what, a.budget.unit.name());
        let share = if a.value > 0.0 { format!("x{:.2}", b.value / a.value) } else { "-".to_owned() };
        text.push_str(&format!("{what:<42} {:>9.2} {:>9.2} {unit:<3}  {share}\n", a.value, b.value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::GET_POD;

    #[test]
    fn a_value_is_judged_by_its_budget() {
        let check = |value, expected| assert_eq!(Row::plain(GET_POD, value).verdict(), expected, "{value}");
        check(20.0, "goal");
        check(20.1, "first");
        check(60.0, "first");
        check(60.1, "OVER");
    }

    #[test]
    fn builds_are_compared_where_something_was_measured() {
        let check = |a, b, expected: &str| {
            let text = comparison(&[Row::plain(GET_POD, a)], &[Row::plain(GET_POD, b)]);
            assert_eq!(text.split_whitespace().last(), Some(expected), "{text}");
        };
        check(20.0, 21.0, "x1.05");
        check(0.0, 1.0, "-");
    }
}
