//! How long a connection may keep the server waiting.
//!
//! One timer serves all limits of a connection. It runs only while there is a deadline, and is not moved whenever
//! something happens: when it rings, the deadlines are looked at. So what is overdue is found at most `LOOK` late, and a
//! busy connection pays nothing.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use corten_runtime::clock::{Clock, Instant};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::activity::{Activity, Delivery};

/// A connection without requests is closed after this time, as upstream does it.
const IDLE_MAX: Duration = Duration::from_secs(90);
/// The head of a request has to be complete after this time, as upstream has it.
const HEAD_MAX: Duration = Duration::from_secs(32);
/// A client that takes nothing of an answer for so long is not waited for any more.
pub const UNREAD_MAX: Duration = Duration::from_secs(60);
/// The same while much is unsent on all connections together.
const UNREAD_PRESSED_MAX: Duration = Duration::from_secs(5);
/// The longest time between two looks.
const LOOK: Duration = Duration::from_secs(10);
/// When the server stops, requests have so long to be answered.
const STOP_BUSY: Duration = Duration::from_millis(1000);
/// When the server stops, a connection without requests has so long to say goodbye.
const STOP_IDLE: Duration = Duration::from_millis(200);

/// Why a connection was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    Idle,
    Head,
    Unread,
    Stopping,
}

pub struct Limits {
    activity: Activity,
    clock: Clock,
    is_http2: bool,
    stopping_since: Option<Instant>,
    alarm: Option<BoxFuture<'static, ()>>,
}

impl Limits {
    pub fn new(activity: Activity, clock: Clock, is_http2: bool) -> Limits {
        Limits { activity, clock, is_http2, stopping_since: None, alarm: None }
    }

    /// From now on the connection has a short time left.
    pub fn stop(&mut self) {
        self.stopping_since = Some(self.clock.monotonic());
        self.alarm = None;
    }

    /// Ready when something may be overdue.
    pub fn poll_look(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let stopping = self.stopping_since.is_some();
        if self.alarm.is_none() {
            if !stopping && !self.activity.has_deadline() {
                return Poll::Pending;
            }
            let pause = if stopping { STOP_IDLE } else { LOOK };
            let clock = self.clock.clone();
            self.alarm = Some(async move { clock.sleep(pause).await }.boxed());
        }
        let rung = self.alarm.as_mut().is_none_or(|alarm| alarm.poll_unpin(context).is_ready());
        if !rung {
            return Poll::Pending;
        }
        self.alarm = None;
        Poll::Ready(())
    }

    /// Whether the connection as a whole is overdue.
    pub fn look(&self) -> Option<Overdue> {
        let activity = &self.activity;
        let over = |time: Option<Duration>, limit: Duration| time.is_some_and(|time| time >= limit);
        if let Some(since) = self.stopping_since {
            let limit = if activity.running() == 0 { STOP_IDLE } else { STOP_BUSY };
            return (self.clock.since(since) >= limit).then_some(Overdue::Stopping);
        }
        if over(activity.stalled_for(), self.unread_max()) {
            return Some(Overdue::Unread);
        }
        if over(activity.head_for(), HEAD_MAX) {
            return Some(Overdue::Head);
        }
        // The first request of HTTP/1.1 has to come within the time for a head, as upstream has it.
        let idle_max = if !self.is_http2 && activity.begun() == 0 { HEAD_MAX } else { IDLE_MAX };
        over(activity.idle_for(), idle_max).then_some(Overdue::Idle)
    }

    /// Whether the client does not take an answer.
    pub fn is_unread(&self, delivery: &Arc<Delivery>) -> bool {
        delivery.unread_for().is_some_and(|time| time >= self.unread_max())
    }

    fn unread_max(&self) -> Duration {
        if self.activity.is_pressed() { UNREAD_PRESSED_MAX } else { UNREAD_MAX }
    }
}
