//! Growth: what a body costs, and what twice the body costs.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::case::Case;
use crate::client::Sender;
use crate::grow::Size;
use crate::meter::{Cost, InProcess};
use crate::record::Record;
use crate::run::{self, Outcome};

/// Twice the body may cost so many times as much, for each doubling: twice, and a quarter of that for what grows in
/// steps (buffers) and for caches that no longer suffice.
const SLACK: f64 = 1.25;
/// What does not count: less is noise, of this machine or of the allocator.
const CPU_FLOOR: Duration = Duration::from_millis(4);
const ALLOCATED_FLOOR: f64 = 512.0 * 1024.0;
/// What looks too much is measured again for so long, and then at other sizes, before it is believed: noise comes in
/// bursts of seconds, and what costs too much costs it each time.
const MEASURED_MAX: Duration = Duration::from_secs(5);
const OTHER_SIZE: (usize, usize) = (5, 7);

/// What one request of a case cost, small and large.
#[derive(Debug, Clone)]
pub struct Grown {
    pub name: String,
    /// Of the larger body.
    pub bytes: usize,
    /// How many times the larger body is as large.
    ratio: f64,
    pub small: Cost,
    pub large: Cost,
}

impl Grown {
    pub fn cpu(&self) -> f64 {
        growth(self.small.cpu.as_secs_f64(), self.large.cpu.as_secs_f64(), CPU_FLOOR.as_secs_f64())
    }

    pub fn allocated(&self) -> f64 {
        growth(self.small.allocated as f64, self.large.allocated as f64, ALLOCATED_FLOOR)
    }

    /// By how many times it grew more than its body; 1 is linear.
    pub fn excess(&self) -> f64 {
        self.cpu().max(self.allocated()) / self.ratio
    }

    fn is_bounded(&self) -> bool {
        self.excess() <= SLACK
    }

    fn complaint(&self) -> String {
        format!(
            "{}: {:.1} times the body ({} KiB), {:.2} times the CPU time ({:.1} ms), {:.2} times the bytes allocated ({} KiB)",
            self.name,
            self.ratio,
            self.bytes / 1024,
            self.cpu(),
            self.large.cpu.as_secs_f64() * 1e3,
            self.allocated(),
            self.large.allocated / 1024
        )
    }
}

/// The floor is added to the smaller: a large cost out of nearly nothing counts, a small one does not.
fn growth(small: f64, large: f64, floor: f64) -> f64 {
    large / (small + floor)
}

#[derive(Debug, Default)]
pub struct Findings {
    pub all: Vec<Grown>,
    /// What grew too much, in words.
    pub unbounded: Vec<String>,
    /// Where the answer was not upstream's.
    pub differences: Vec<String>,
    /// The server may compute for ever: it cannot be stopped in order.
    pub unanswered: bool,
}

/// Compares bodies of a size with bodies of twice the size.
pub async fn check(
    cases: &[Case<'_>],
    bytes: usize,
    sender: &Sender,
    record: &Record,
    told: &dyn Fn(usize, &str),
) -> Result<Findings> {
    let mut meter = InProcess::new();
    let mut findings = Findings::default();
    for (i, case) in cases.iter().enumerate() {
        told(i, &case.to_string());
        let (small, large) = (Size { bytes, largest: 2 * bytes }, Size { bytes: 2 * bytes, largest: 2 * bytes });
        let mut outcomes =
            (run::run(case, small, sender, &mut meter).await?, run::run(case, large, sender, &mut meter).await?);
        if !run::answered(&outcomes.0) || !run::answered(&outcomes.1) {
            // It may compute for ever, and nothing more can be measured beside that.
            findings.unbounded.push(format!("{case}: no answer; the cases after it have not been sent"));
            findings.unanswered = true;
            break;
        }
        findings.differences.extend(record.differences(case, bytes, &outcomes.0));
        findings.differences.extend(record.differences(case, 2 * bytes, &outcomes.1));
        let mut grown = measure(case, (small, large), &mut outcomes, sender, &mut meter).await?;
        if !grown.iter().all(Grown::is_bounded) {
            // Where only the larger body is refused, a limit lies between them: they are not to be compared.
            let limited = pairs(&outcomes).any(|(small, large)| small.answer.code != large.answer.code);
            let bytes = if limited { 2 * bytes } else { bytes * OTHER_SIZE.0 / OTHER_SIZE.1 };
            confirm(case, bytes, sender, &mut meter, &mut grown).await?;
        }
        let unbounded = grown.iter().filter(|grown| !grown.is_bounded());
        findings.unbounded.extend(unbounded.map(Grown::complaint));
        findings.all.extend(grown);
    }
    Ok(findings)
}

/// Buffers double: between two sizes there may be one doubling more than between two others. What grows too much by its
/// nature does so at other sizes too, and of both measurements the better counts. So does what is measured beyond a limit.
async fn confirm(
    case: &Case<'_>,
    bytes: usize,
    sender: &Sender,
    meter: &mut InProcess,
    grown: &mut [Grown],
) -> Result<()> {
    let (small, large) = (Size { bytes, largest: 2 * bytes }, Size { bytes: 2 * bytes, largest: 2 * bytes });
    let mut outcomes = (run::run(case, small, sender, meter).await?, run::run(case, large, sender, meter).await?);
    let again = measure(case, (small, large), &mut outcomes, sender, meter).await?;
    for (first, second) in grown.iter_mut().zip(again) {
        if second.excess() < first.excess() {
            *first = second;
        }
    }
    Ok(())
}

/// Measures what looks too much again; of each number the least counts.
async fn measure(
    case: &Case<'_>,
    (small, large): (Size, Size),
    outcomes: &mut (Vec<Outcome>, Vec<Outcome>),
    sender: &Sender,
    meter: &mut InProcess,
) -> Result<Vec<Grown>> {
    let began = Instant::now();
    loop {
        let grown = compared(case, outcomes);
        if began.elapsed() > MEASURED_MAX || grown.iter().all(Grown::is_bounded) {
            return Ok(grown);
        }
        least(&mut outcomes.0, run::run(case, small, sender, meter).await?);
        least(&mut outcomes.1, run::run(case, large, sender, meter).await?);
    }
}

/// The same step with the smaller and with the larger body.
fn pairs((small, large): &(Vec<Outcome>, Vec<Outcome>)) -> impl Iterator<Item = (&Outcome, &Outcome)> {
    small.iter().zip(large).filter(|(small, large)| small.step == large.step)
}

fn compared(case: &Case<'_>, outcomes: &(Vec<Outcome>, Vec<Outcome>)) -> Vec<Grown> {
    // A request without a body is about the object that the case has grown: its size is that of the body before.
    let mut ratio: f64 = 2.0;
    let mut bytes = 0;
    pairs(outcomes)
        .map(|(small, large)| {
            if small.bytes > 512 {
                ratio = large.bytes as f64 / small.bytes as f64;
                bytes = large.bytes;
            }
            let name = format!("{case}, {}: {} {}", large.step, large.answer.code, large.answer.reason);
            Grown { name, bytes, ratio: ratio.max(1.0), small: small.cost, large: large.cost }
        })
        .collect()
}

fn least(outcomes: &mut [Outcome], again: Vec<Outcome>) {
    for (outcome, again) in outcomes.iter_mut().zip(again) {
        outcome.cost = outcome.cost.least(again.cost);
    }
}
