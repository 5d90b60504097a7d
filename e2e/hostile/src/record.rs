//! What kube-apiserver 1.36.2 answered: a code and a reason for each request of each case, by the case's name, the size
//! of the bodies and the request's place in the case. Where it took longer than half of its own time limit there is no
//! record.
//!
//! `record.txt.gz` has a line for each case and size: its name, the size, and the answers in order, `201` or
//! `422:Invalid`. It is what `corten-hostile codes` prints.

use std::collections::HashMap;
use std::io::Read;

use anyhow::{Context, Result};

use crate::case::Case;
use crate::client::{Answer, NO_ANSWER};
use crate::run::Outcome;

static RECORD: &[u8] = include_bytes!("record.txt.gz");

/// For what is not compared.
const UNRECORDED: &str = "-";

pub struct Record(HashMap<String, Vec<String>>);

impl Record {
    pub fn read() -> Result<Record> {
        let mut text = String::new();
        flate2::read::GzDecoder::new(RECORD).read_to_string(&mut text).context("record.txt.gz")?;
        let lines = text.lines().map(|line| {
            let (case, answers) = line.split_once('\t').context("a line without a tab")?;
            Ok((case.to_owned(), answers.split(' ').map(str::to_owned).collect()))
        });
        Ok(Record(lines.collect::<Result<_>>()?))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the answers are other than upstream's, in words.
    pub fn differences(&self, case: &Case<'_>, bytes: usize, outcomes: &[Outcome]) -> Vec<String> {
        let Some(recorded) = self.0.get(&key(case, bytes)) else { return Vec::new() };
        let mut differences = Vec::new();
        for (i, outcome) in outcomes.iter().enumerate() {
            let (expected, answer) = (recorded.get(i).map_or("nothing", String::as_str), short(&outcome.answer));
            if expected == UNRECORDED || expected == answer || is_unbuilt(&outcome.answer) {
                continue;
            }
            let message = &outcome.answer.message;
            differences.push(format!("{case}, {}: {answer}, upstream {expected} {message}", outcome.step));
            // What follows was about another object.
            break;
        }
        differences
    }
}

/// What Corten does not have yet, and says so: kinds that it does not take, subresources, and rules of schemas.
fn is_unbuilt(answer: &Answer) -> bool {
    answer.code == 501 && answer.message.contains("this version of Corten")
        || answer.message.contains("validation rules (CEL) are not supported by this")
}

pub fn key(case: &Case<'_>, bytes: usize) -> String {
    format!("{case} {bytes}")
}

pub fn line(case: &Case<'_>, bytes: usize, outcomes: &[Outcome], slow: std::time::Duration) -> String {
    let answers = outcomes.iter().map(|outcome| match outcome.cost.wall {
        wall if wall > slow || outcome.answer.code == NO_ANSWER => UNRECORDED.to_owned(),
        _ => short(&outcome.answer),
    });
    format!("{}\t{}", key(case, bytes), answers.collect::<Vec<_>>().join(" "))
}

fn short(answer: &Answer) -> String {
    if answer.reason.is_empty() { answer.code.to_string() } else { format!("{}:{}", answer.code, answer.reason) }
}
