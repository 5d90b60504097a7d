//! Keys to be looked at later: each with the time when it is due, and how often it has failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corten_runtime::clock::{Clock, Instant};

/// A failed key is looked at again after 5 ms, 10 ms, ... and so on, up to 5 ms times two to this power (2 min 44 s).
const DOUBLINGS_MAX: u32 = 15;
const RETRY_FIRST: Duration = Duration::from_millis(5);

pub struct Agenda {
    clock: Clock,
    due: BTreeMap<Arc<str>, Instant>,
    failures: BTreeMap<Arc<str>, u32>,
}

impl Agenda {
    pub fn new(clock: Clock) -> Agenda {
        Agenda { clock, due: BTreeMap::new(), failures: BTreeMap::new() }
    }

    pub fn after(&mut self, key: &Arc<str>, delay: Duration) {
        self.due.insert(Arc::clone(key), self.clock.monotonic() + delay);
    }

    /// The key is as it should be.
    pub fn done(&mut self, key: &Arc<str>) {
        self.due.remove(key);
        self.failures.remove(key);
    }

    /// The key is tried again, later each time.
    pub fn failed(&mut self, key: &Arc<str>) {
        let count = self.failures.entry(Arc::clone(key)).or_default();
        let delay = RETRY_FIRST * 2u32.pow(*count);
        *count = (*count + 1).min(DOUBLINGS_MAX);
        self.after(key, delay);
    }

    /// Returns when a key is due.
    pub async fn wait(&self) {
        match self.due.values().min() {
            Some(&due) => self.clock.sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// The keys that are due.
    pub fn take(&mut self) -> Vec<Arc<str>> {
        let now = self.clock.monotonic();
        let due: Vec<Arc<str>> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(key, _)| Arc::clone(key)).collect();
        self.due.retain(|_, at| *at > now);
        due
    }
}

#[cfg(test)]
mod tests {
    use corten_runtime::clock::Wall;

    use super::*;

    #[test]
    fn keys_come_when_they_are_due() {
        let (clock, time) = Clock::manual(Wall::default());
        let mut agenda = Agenda::new(clock);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        agenda.after(&a, Duration::from_secs(5));
        agenda.failed(&b);
        assert!(agenda.take().is_empty());
        time.advance(Duration::from_millis(5));
        assert_eq!(agenda.take(), [Arc::clone(&b)]);
        agenda.failed(&b);
        time.advance(Duration::from_millis(9));
        assert!(agenda.take().is_empty());
        time.advance(Duration::from_secs(5));
        assert_eq!(agenda.take(), [Arc::clone(&a), Arc::clone(&b)]);
        (0..20).for_each(|_| agenda.failed(&b));
        time.advance(Duration::from_secs(163));
        assert!(agenda.take().is_empty());
        time.advance(Duration::from_secs(1));
        assert_eq!(agenda.take(), [b], "never given up");
    }
}
