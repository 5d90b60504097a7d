//! What is to happen when a task fails.

use std::fmt::Display;
use std::time::Duration;

/// What one failure does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is logged, and the task is over.
    Log,
    /// The scope fails: its tasks are cancelled, and its parent hears of it.
    FailScope,
}

/// What an error and what a panic of a task does. An `OnFailure` alone means both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub on_error: OnFailure,
    pub on_panic: OnFailure,
}

/// How a restarting task is begun again: after `first`, then twice as long each time, at most `max`. A run that lasted
/// at least `max` counts as good, and the pauses begin at `first` again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    pub first: Duration,
    pub max: Duration,
    /// None: a panic restarts the task as an error does.
    pub on_panic: Option<OnFailure>,
}

/// What a task may return.
pub trait Outcome: Send + 'static {
    /// The error in words, if there is one.
    fn failure(self) -> Option<String>;
}

impl From<OnFailure> for Policy {
    fn from(both: OnFailure) -> Policy {
        Policy { on_error: both, on_panic: both }
    }
}

impl Default for Restart {
    fn default() -> Restart {
        Restart { first: Duration::from_millis(100), max: Duration::from_secs(30), on_panic: None }
    }
}

impl Restart {
    /// The pause after the run number `failures` (from 1) of a row of failed runs.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let factor = 2u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.max)
    }
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Display + Send + 'static> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        // The alternate form, in which anyhow tells the whole chain of causes.
        self.err().map(|error| format!("{error:#}"))
    }
}
