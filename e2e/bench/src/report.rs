//! The report: what was measured beside what it may be.

use crate::budget::{Budget, Unit};
use crate::load::Measured;

#[derive(Debug, Clone)]
pub struct Row {
    pub budget: Budget,
    pub value: f64,
    /// The value in each turn.
    turns: Vec<f64>,
    note: String,
}

impl Row {
    pub fn plain(budget: Budget, value: f64) -> Row {
        Row { budget, value, turns: Vec::new(), note: String::new() }
    }

    /// The middle one of several values.
    pub fn middle(budget: Budget, turns: Vec<f64>) -> Row {
        Row { budget, value: quantile(&turns, 0.5), turns, note: String::new() }
    }

    /// CPU time of an operation; rate and latencies are told beside it.
    pub fn measured(budget: Budget, parts: &[Measured]) -> Row {
        let cost = |measured: &Measured| match budget.unit {
            Unit::Milliseconds => measured.cpu_us() / 1e3,
            _ => measured.cpu_us(),
        };
        let measured = Measured::sum(parts);
        let ms = |part| measured.percentile(part).as_secs_f64() * 1e3;
        let each = measured.bytes as f64 / measured.operations.max(1) as f64;
        let size = if each >= 1e6 { format!("{:.0} MB", each / 1e6) } else { format!("{each:.0} B") };
        let (rate, p50, p99, p999) = (measured.rate(), ms(0.5), ms(0.99), ms(0.999));
        let note = format!("{rate:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, {size} each");
        Row { budget, value: cost(&measured), turns: parts.iter().map(cost).collect(), note }
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

/// A row of two builds beside each other, and the second's share of the first, if that is measurable. It is the middle
/// one of the turns' shares, with the middle half of them: a turn that something else disturbed has no more say than
/// another.
pub fn comparison(first: &Row, second: &Row) -> String {
    let (what, unit) = (first.budget.what, first.budget.unit.name());
    let shares: Vec<f64> = first.turns.iter().zip(&second.turns).map(|(a, b)| b / a).collect();
    let share = if shares.len() > 1 {
        let of = |part| quantile(&shares, part);
        format!("x{:.2} ({:.2} to {:.2})", of(0.5), of(0.25), of(0.75))
    } else if first.value > 0.0 {
        format!("x{:.2}", second.value / first.value)
    } else {
        "-".to_owned()
    };
    format!("{what:<42} {:>9.2} {:>9.2} {unit:<3}  {share}", first.value, second.value)
}

/// The value that this part of all values are below, between two of them where there is none.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = sorted.len().saturating_sub(1) as f64 * part;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
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
            let text = comparison(&Row::plain(GET_POD, a), &Row::plain(GET_POD, b));
            assert_eq!(text.split_whitespace().last(), Some(expected), "{text}");
        };
        check(20.0, 21.0, "x1.05");
        check(0.0, 1.0, "-");
    }

    #[test]
    fn a_disturbed_turn_does_not_count_for_more_than_another() {
        let row = |turns: &[f64]| Row::middle(GET_POD, turns.to_vec());
        let text = comparison(&row(&[20.0; 5]), &row(&[22.0, 90.0, 21.0, 20.0, 21.0]));
        assert!(text.ends_with("20.00     21.00 us   x1.05 (1.05 to 1.10)"), "{text}");
    }
}
