//! What happens by itself: lazy changes reach the disk, times to live end, old versions are forgotten. Nothing ticks:
//! the task sleeps until the next moment that somebody asked for, and for ever if there is none.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::state::{Change, Mode, State};
use crate::store::{Durability, Expect, Revision};
use corten_runtime::{CancellationToken, Clock, Instant};

/// How long after a failure the same is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Deletions made under one lock.
const EXPIRED_MAX: usize = 256;

/// Until the store is closed, or closes it when its owner is told to leave.
pub(super) async fn run(shared: Arc<Shared>, token: CancellationToken) {
    loop {
        let rung = shared.timers.notified();
        let mut rung = std::pin::pin!(rung);
        rung.as_mut().enable();
        let next = {
            let state = shared.state.lock();
            if state.closing {
                return;
            }
            next_moment(&state, &shared.clock)
        };
        let sleep = async {
            match next {
                Some(moment) => shared.clock.sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut rung => {}
            () = token.cancelled() => return shared.close(),
            () = sleep => shared.run_due(),
        }
    }
}

fn next_moment(state: &State, clock: &Clock) -> Option<Instant> {
    let expiry = state.timers.expire_again.or_else(|| {
        let (expires, _) = state.expiries.keys().next()?;
        Some(clock.monotonic() + Duration::from_millis(expires.saturating_sub(milliseconds(clock))))
    });
    [state.timers.flush, state.timers.compact.map(|(moment, _)| moment), expiry].into_iter().flatten().min()
}

impl Shared {
    pub(super) fn arm_flush(&self, state: &mut State) {
        if state.has_unsaved() && state.timers.flush.is_none() {
            let delay = if matches!(state.mode, Mode::Writing) { self.lazy_delay } else { RETRY };
            state.timers.flush = Some(self.clock.monotonic() + delay);
            self.timers.notify_one();
        }
    }

    /// To be called with every change that a writer made.
    pub(super) fn arm_compaction(&self, state: &mut State) {
        if let (None, Some(interval)) = (state.timers.compact, self.compaction_interval) {
            state.timers.compact = Some((self.clock.monotonic() + interval, state.visible));
            self.timers.notify_one();
        }
    }

    fn run_due(&self) {
        let now = self.clock.monotonic();
        self.change(|state| {
            if state.timers.flush.is_some_and(|moment| moment <= now) {
                state.timers.flush = None;
                state.flush = state.has_unsaved();
            }
            if let Some((_, mark)) = state.timers.compact.filter(|(moment, _)| *moment <= now) {
                self.compact_at(state, mark, now);
            }
            if state.timers.expire_again.is_some_and(|moment| moment <= now) {
                state.timers.expire_again = None;
            }
            if state.timers.expire_again.is_none() {
                self.expire(state, now);
            }
        });
        self.work.notify_one();
    }

    /// Forgets what was superseded by the last time this ran. Without a change since, there is no next time.
    fn compact_at(&self, state: &mut State, mark: u64, now: Instant) {
        if let Err(error) = state.compact(mark) {
            tracing::debug!(%error, "nothing to compact");
        }
        let changed = state.visible > mark;
        state.timers.compact =
            self.compaction_interval.filter(|_| changed).map(|interval| (now + interval, state.visible));
    }

    fn expire(&self, state: &mut State, now: Instant) {
        let present = milliseconds(&self.clock);
        let start = state.timers.expired_to.take().map_or(Bound::Unbounded, Bound::Excluded);
        let end = (present, Revision::MAX);
        if matches!(start, Bound::Excluded(last) if last >= end) {
            return;
        }
        let due = state.expiries.range((start, Bound::Included(end))).take(EXPIRED_MAX);
        let due: Vec<_> = due.map(|(expiry, key)| (*expiry, key.clone())).collect();
        if due.is_empty() && start == Bound::Unbounded {
            return;
        }
        // A full round is followed by the next one at once; others take the lock between them.
        let goes_on = (due.len() == EXPIRED_MAX).then(|| due[EXPIRED_MAX - 1].0);
        let mut failed = false;
        for ((_, revision), key) in due {
            // Lost in a crash, it is found due again at the next start.
            let durability = Durability::Lazy;
            let expect = Expect::ModRevision(revision);
            let change = Change { key, expect, durability, value: None, value_sum: 0, expires: 0, companion: None };
            // Whatever comes of it shows in `expiries`: an entry leaves them when it is deleted or replaced.
            if let Err(error) = state.offer(change) {
                tracing::debug!(%error, "delete what has expired");
                failed = true;
                break;
            }
        }
        self.arm_flush(state);
        self.arm_compaction(state);
        if goes_on.is_some() && !failed {
            (state.timers.expired_to, state.timers.expire_again) = (goes_on, Some(now));
            return;
        }
        // What is left at the end of a pass is in flight, or failed: soon enough after the writers who are at it now.
        let left = state.expiries.keys().next().is_some_and(|(expires, _)| *expires <= present);
        state.timers.expire_again = left.then(|| now + RETRY);
    }
}

pub(super) fn milliseconds(clock: &Clock) -> u64 {
    u64::try_from(clock.now().micros() / 1000).unwrap_or(0)
}
