//! The clock of tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Instant, Wall};

/// Moves a clock made by `Clock::manual`.
pub struct ManualClock {
    state: Mutex<State>,
    /// Rung whenever somebody falls asleep or wakes for good.
    changed: Notify,
    /// Rung whenever the wall clock is set.
    set: Notify,
}

struct State {
    wall: Wall,
    /// How often the wall clock was set.
    jumps: u64,
    tells_jumps: bool,
    monotonic: Instant,
    sleepers: BTreeMap<(Instant, u64), Option<Waker>>,
    next_id: u64,
}

impl ManualClock {
    pub(super) fn new(wall: Wall) -> ManualClock {
        // Not zero, so that a test may look back from its start.
        let monotonic = Instant(Duration::from_secs(1_000_000));
        let state = State { wall, jumps: 0, tells_jumps: true, monotonic, sleepers: BTreeMap::new(), next_id: 0 };
        ManualClock { state: Mutex::new(state), changed: Notify::new(), set: Notify::new() }
    }

    pub fn now(&self) -> Wall {
        self.state.lock().wall
    }

    pub fn monotonic(&self) -> Instant {
        self.state.lock().monotonic
    }

    /// Moves both clocks and wakes everything that is then due, the earliest first.
    pub fn advance(&self, duration: Duration) {
        let mut due = Vec::new();
        {
            let mut state = self.state.lock();
            state.wall = state.wall.plus(duration);
            state.monotonic = state.monotonic + duration;
            let now = state.monotonic;
            for (_, waker) in state.sleepers.range_mut(..=(now, u64::MAX)) {
                due.extend(waker.take());
            }
        }
        due.into_iter().for_each(Waker::wake);
    }

    /// Moves to the earliest deadline to come that somebody waits for; false if nobody does.
    pub fn advance_to_next(&self) -> bool {
        let next = {
            let state = self.state.lock();
            let mut to_come = state.sleepers.range((state.monotonic, u64::MAX)..);
            to_come.next().map(|((deadline, _), _)| *deadline - state.monotonic)
        };
        if let Some(duration) = next {
            self.advance(duration);
        }
        next.is_some()
    }

    /// Sets the wall clock alone, as an administrator would; timers do not notice, but `Jumps` do.
    pub fn set_wall(&self, wall: Wall) {
        let mut state = self.state.lock();
        state.wall = wall;
        state.jumps += 1;
        drop(state);
        self.set.notify_waiters();
    }

    /// From now on nobody is told that the wall clock was set, as on a machine that cannot tell.
    pub fn hide_jumps(&self) {
        self.state.lock().tells_jumps = false;
    }

    pub(super) fn tells_jumps(&self) -> bool {
        self.state.lock().tells_jumps
    }

    pub(super) fn jumps(&self) -> u64 {
        self.state.lock().jumps
    }

    /// How often the clock was set, once that is not `seen`.
    pub(super) async fn jumped(&self, seen: u64) -> u64 {
        loop {
            let mut set = std::pin::pin!(self.set.notified());
            set.as_mut().enable();
            let jumps = self.jumps();
            if jumps != seen && self.tells_jumps() {
                return jumps;
            }
            set.await;
        }
    }

    /// How many wait for a deadline that has not come.
    pub fn sleepers(&self) -> usize {
        let state = self.state.lock();
        state.sleepers.keys().filter(|(deadline, _)| *deadline > state.monotonic).count()
    }

    /// Returns once exactly `count` wait. What a test calls before it moves the clock.
    pub async fn wait_for_sleepers(&self, count: usize) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.sleepers() == count {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn sleep_until(self: &Arc<Self>, deadline: Instant) -> Sleep {
        Sleep { clock: Arc::clone(self), deadline, id: None }
    }
}

pub(super) struct Sleep {
    clock: Arc<ManualClock>,
    deadline: Instant,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = Arc::clone(&self.clock);
        let mut state = clock.state.lock();
        if self.deadline <= state.monotonic {
            return Poll::Ready(());
        }
        let id = match self.id {
            Some(id) => id,
            None => {
                state.next_id += 1;
                self.id = Some(state.next_id);
                state.next_id
            }
        };
        state.sleepers.insert((self.deadline, id), Some(context.waker().clone()));
        drop(state);
        clock.changed.notify_waiters();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.state.lock().sleepers.remove(&(self.deadline, id));
            self.clock.changed.notify_waiters();
        }
    }
}
