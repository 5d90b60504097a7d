//! Time as something that is handed in: the wall clock, a monotonic clock and timers on it.
//!
//! The monotonic clock never goes back and knows no date; deadlines, backoff and latencies are reckoned on it. The wall
//! clock is for what is written into objects and certificates. A manual clock stands still until a test moves it, and
//! moving it wakes what is due, in the order of the deadlines.

mod jumps;
mod manual;

use std::fmt;
use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

pub use jumps::Jumps;
pub use manual::ManualClock;

/// A point on the wall clock: seconds since 1970 in UTC, and nanoseconds of the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall {
    pub seconds: i64,
    pub nanos: u32,
}

/// A point on the monotonic clock; only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

/// The time had passed before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// A source of time; cheap to clone.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<ManualClock>),
}

/// What `Instant` counts from in this process.
static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

impl Clock {
    /// The machine's clocks. Its timers need a tokio runtime with time enabled.
    pub fn system() -> Clock {
        LazyLock::force(&START);
        Clock(Source::System)
    }

    /// A clock that stands at `now` until it is moved.
    pub fn manual(now: Wall) -> (Clock, Arc<ManualClock>) {
        let manual = Arc::new(ManualClock::new(now));
        (Clock(Source::Manual(Arc::clone(&manual))), manual)
    }

    pub fn now(&self) -> Wall {
        match &self.0 {
            Source::System => SystemTime::now().into(),
            Source::Manual(manual) => manual.now(),
        }
    }

    pub fn monotonic(&self) -> Instant {
        match &self.0 {
            Source::System => Instant(START.elapsed()),
            Source::Manual(manual) => manual.monotonic(),
        }
    }

    /// The jumps of the wall clock from now on. Those of the machine's clock need a tokio runtime with I/O enabled.
    pub fn jumps(&self) -> Jumps {
        match &self.0 {
            Source::System => Jumps::system(),
            Source::Manual(manual) => Jumps::manual(manual),
        }
    }

    /// How long ago that was; zero for an instant to come.
    pub fn since(&self, instant: Instant) -> Duration {
        self.monotonic() - instant
    }

    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(duration).await,
            Source::Manual(manual) => manual.sleep_until(manual.monotonic() + duration).await,
        }
    }

    pub async fn sleep_until(&self, deadline: Instant) {
        match &self.0 {
            Source::System => match START.checked_add(deadline.0) {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            },
            Source::Manual(manual) => manual.sleep_until(deadline).await,
        }
    }

    /// The future's output, or `Elapsed` when it was not done in time; a future that is done at once always wins.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        self.timeout_at(self.monotonic() + duration, future).await
    }

    pub async fn timeout_at<F: Future>(&self, deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        tokio::select! {
            biased;
            output = &mut future => Ok(output),
            () = self.sleep_until(deadline) => Err(Elapsed),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock::system"),
            Source::Manual(manual) => write!(f, "Clock::manual at {:?}", manual.now()),
        }
    }
}

impl Wall {
    pub const fn from_seconds(seconds: i64) -> Wall {
        Wall { seconds, nanos: 0 }
    }

    /// The point before or after this one; saturates at the ends of time.
    pub fn plus(self, duration: Duration) -> Wall {
        let nanos = self.nanos + duration.subsec_nanos();
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Wall {
            seconds: self.seconds.saturating_add(seconds).saturating_add(i64::from(nanos / 1_000_000_000)),
            nanos: nanos % 1_000_000_000,
        }
    }

    /// The time from `earlier` to this point; zero if that lies ahead.
    pub fn since(self, earlier: Wall) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let (mut seconds, mut nanos) = (self.seconds.abs_diff(earlier.seconds), self.nanos);
        if nanos < earlier.nanos {
            seconds -= 1;
            nanos += 1_000_000_000;
        }
        Duration::new(seconds, nanos - earlier.nanos)
    }

    /// Microseconds since 1970, as MicroTime keeps them.
    pub fn micros(self) -> i64 {
        self.seconds.saturating_mul(1_000_000).saturating_add(i64::from(self.nanos / 1_000))
    }
}

impl From<SystemTime> for Wall {
    fn from(time: SystemTime) -> Wall {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Wall::default().plus(after),
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Wall { seconds: -seconds, nanos: 0 },
                    nanos => Wall { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

impl Instant {
    pub fn checked_sub(self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration).map(Instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Zero where the right side is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time allowed has passed")
    }
}

impl std::error::Error for Elapsed {}

#[cfg(test)]
mod tests;
