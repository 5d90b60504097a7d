//! How often a controller writes an object.
//!
//! A controller acts on events, and its own writes are events. Where a write changes nothing for good (somebody undoes
//! it, or the object waits for a finalizer), acting on each event would be a loop as fast as the machine. So the first
//! few writes of an object go at once, and further ones wait, each twice as long as the one before, up to a minute. A
//! write that failed is tried again, after a second and then twice as long each time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corten_runtime::clock::{Clock, Instant};

/// So many writes of an object go at once.
const FREE_WRITES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// An object that was left alone for so long starts afresh.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

pub struct Pace {
    clock: Clock,
    objects: BTreeMap<Arc<str>, Written>,
}

/// What is remembered of an object that was written.
struct Written {
    writes: u32,
    /// Of these the last ones in a row that failed.
    failures: u32,
    last: Instant,
    next: Instant,
    /// It is to be written at `next`.
    waiting: bool,
}

impl Pace {
    pub fn new(clock: Clock) -> Pace {
        Pace { clock, objects: BTreeMap::new() }
    }

    /// Whether the object may be written now. If not, `wait` returns when it may.
    pub fn admits(&mut self, key: &str) -> bool {
        let now = self.clock.monotonic();
        self.objects.retain(|_, object| object.waiting || now - object.last < FORGOTTEN_AFTER);
        let Some(object) = self.objects.get_mut(key) else { return true };
        object.waiting = object.next > now;
        !object.waiting
    }

    /// The write was taken, or somebody else's was, which comes to the same.
    pub fn wrote(&mut self, key: &str) {
        let object = self.written(key);
        object.failures = 0;
        object.waiting = false;
        let wait = match object.writes.checked_sub(FREE_WRITES) {
            None | Some(0) => Duration::ZERO,
            Some(beyond) => growing(FIRST_WAIT, beyond - 1),
        };
        object.next = object.last + wait;
    }

    pub fn failed(&mut self, key: &str) {
        let object = self.written(key);
        object.next = object.last + growing(FIRST_RETRY, object.failures);
        object.failures += 1;
        object.waiting = true;
    }

    /// The object is as it should be, or is gone: nothing is to be written.
    pub fn settled(&mut self, key: &str) {
        if let Some(object) = self.objects.get_mut(key) {
            object.failures = 0;
            object.waiting = false;
        }
    }

    /// Returns when an object that was not admitted, or whose write failed, may be written. It is told once: the object
    /// may be gone by then.
    pub async fn wait(&mut self) {
        match self.objects.values().filter(|object| object.waiting).map(|object| object.next).min() {
            Some(next) => self.clock.sleep_until(next).await,
            None => std::future::pending().await,
        }
        let now = self.clock.monotonic();
        self.objects.values_mut().for_each(|object| object.waiting &= object.next > now);
    }

    fn written(&mut self, key: &str) -> &mut Written {
        let now = self.clock.monotonic();
        let fresh = Written { writes: 0, failures: 0, last: now, next: now, waiting: false };
        let object = self.objects.entry(key.into()).or_insert(fresh);
        object.writes = object.writes.saturating_add(1);
        object.last = now;
        object
    }
}

fn growing(first: Duration, doublings: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use corten_runtime::clock::{ManualClock, Wall};
    use futures::FutureExt;

    use super::*;

    fn pace() -> (Pace, Arc<ManualClock>) {
        let (clock, hands) = Clock::manual(Wall::default());
        (Pace::new(clock), hands)
    }

    #[test]
    fn an_object_that_is_written_again_and_again_is_written_ever_more_seldom() {
        let (mut pace, hands) = pace();
        let mut waited = Vec::new();
        for _ in 0..17 {
            let mut seconds = 0.0;
            while !pace.admits("a") {
                assert!(pace.wait().now_or_never().is_none());
                hands.advance(Duration::from_millis(50));
                seconds += 0.05;
            }
            waited.push(seconds);
            pace.wrote("a");
            assert!(pace.admits("b"), "another one");
        }
        let waited: Vec<i64> = waited.iter().map(|seconds| (seconds * 20.0_f64).round() as i64 * 50).collect();
        let expected = [0, 0, 0, 0, 0, 0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000];
        assert_eq!(waited, expected);
        hands.advance(FORGOTTEN_AFTER);
        assert!(pace.admits("a"));
        pace.wrote("a");
        assert!(pace.admits("a"), "it was forgotten");
    }

    #[test]
    fn a_failed_write_is_tried_again() {
        let (mut pace, hands) = pace();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(pace.admits("a"));
            pace.failed("a");
            assert!(!pace.admits("a"));
            hands.advance(Duration::from_secs(seconds) - Duration::from_millis(1));
            assert!(!pace.admits("a") && pace.wait().now_or_never().is_none());
            hands.advance(Duration::from_millis(1));
            assert!(pace.wait().now_or_never().is_some());
            assert!(pace.wait().now_or_never().is_none(), "it was told");
        }
        pace.settled("a");
        assert!(pace.wait().now_or_never().is_none(), "nothing is to be done");
        hands.advance(Duration::from_secs(60));
        assert!(pace.admits("a"));
        pace.failed("a");
        hands.advance(Duration::from_secs(1));
        assert!(pace.admits("a"), "it begins with a second again");
    }
}
