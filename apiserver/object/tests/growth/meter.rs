//! Measuring a case at two sizes.

use std::thread;

use cost::Cost;

#[path = "cost.rs"]
mod cost;

/// What is measured.
pub type Work = Box<dyn Fn()>;

pub fn work(run: impl Fn() + 'static) -> Work {
    Box::new(run)
}

pub struct Case<'c> {
    pub name: String,
    pub size: usize,
    /// The work of a size, made ready.
    pub make: Box<dyn Fn(usize) -> Work + 'c>,
}

/// How much larger the larger size is.
const TIMES: usize = 4;
/// How much more it may cost.
const COSTS: f64 = 8.0;
/// What may be added to that, of nanoseconds and of bytes, so that what is next to nothing does not count.
const NANOS: f64 = 300_000.0;
const BYTES: f64 = 65_536.0;
/// How much time is spent on a case before it is believed to fail: noise comes in bursts of seconds, and what costs too
/// much costs it each time.
const NANOS_MAX: f64 = 10e9;

/// Runs a test with as much stack as a thread of the server has.
pub fn on_large_stack(test: impl FnOnce() + Send) {
    let joined = thread::scope(|scope| {
        thread::Builder::new().stack_size(128 << 20).spawn_scoped(scope, test).expect("a thread").join()
    });
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Fails with all cases that cost too much.
pub fn check(cases: Vec<Case<'_>>) {
    let failed: Vec<String> = cases.iter().filter_map(measure).collect();
    assert!(failed.is_empty(), "these cost more than their size explains:\n{}", failed.join("\n"));
}

/// What is wrong with a case. What took least time of all attempts counts.
fn measure(case: &Case<'_>) -> Option<String> {
    let (small, large) = ((case.make)(case.size), (case.make)(case.size * TIMES));
    let (mut less, mut more) = (Cost::of(&*small), Cost::of(&*large));
    let mut spent = less.nanos + more.nanos;
    let mut slow = more.nanos > less.nanos * COSTS + NANOS;
    while slow && spent < NANOS_MAX {
        let (small, large) = (Cost::of(&*small).nanos, Cost::of(&*large).nanos);
        spent += small + large;
        less.nanos = less.nanos.min(small);
        more.nanos = more.nanos.min(large);
        slow = more.nanos > less.nanos * COSTS + NANOS;
    }
    let bloated = more.bytes > less.bytes * COSTS + BYTES;
    (slow || bloated).then(|| {
        format!(
            "{}: {:.0} us and {:.0} KiB for {}, {:.0} us and {:.0} KiB for {}",
            case.name,
            less.nanos / 1e3,
            less.bytes / 1024.0,
            case.size,
            more.nanos / 1e3,
            more.bytes / 1024.0,
            case.size * TIMES
        )
    })
}
