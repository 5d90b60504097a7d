//! Being told that the wall clock was set, without asking again and again.
//!
//! Linux cancels a timer of a certain kind when the wall clock jumps: when somebody sets it, and when the machine wakes
//! from sleep. On other systems nothing tells of a jump, nor where a sandbox refuses such timers.

use std::sync::Arc;

use super::manual::ManualClock;

/// Jumps of the wall clock since this was made.
pub struct Jumps(Source);

enum Source {
    System(system::Jumps),
    Manual { clock: Arc<ManualClock>, seen: u64 },
}

impl Jumps {
    pub(super) fn system() -> Jumps {
        Jumps(Source::System(system::Jumps::new()))
    }

    pub(super) fn manual(clock: &Arc<ManualClock>) -> Jumps {
        Jumps(Source::Manual { clock: Arc::clone(clock), seen: clock.jumps() })
    }

    /// Whether jumps are told of. If not, or not any more, whoever waits for a time of day has to look now and then.
    pub fn are_told(&self) -> bool {
        match &self.0 {
            Source::System(system) => system.are_told(),
            Source::Manual { clock, .. } => clock.tells_jumps(),
        }
    }

    /// Returns when the clock has jumped since the last call; several jumps may be told as one. Returns once too when
    /// jumps cannot be told of any more, as one may have been missed then.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Source::System(system) => system.next().await,
            Source::Manual { clock, seen } => *seen = clock.jumped(*seen).await,
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::{self, ErrorKind};

    use rustix::io::Errno;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::net::unix::pipe::Receiver;

    /// A timer that never expires; None if there could be none. It is read as a pipe is, which is how tokio lends its
    /// reactor to a descriptor of another kind without unsafe code.
    pub(super) struct Jumps(Option<Receiver>);

    impl Jumps {
        pub(super) fn new() -> Jumps {
            match timer() {
                Ok(timer) => Jumps(Some(timer)),
                Err(error) => {
                    tracing::warn!(%error, "nothing will tell that the machine's clock was set");
                    Jumps(None)
                }
            }
        }

        pub(super) async fn next(&mut self) {
            if let Some(timer) = &self.0 {
                match cancelled(timer).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "nothing tells any more that the machine's clock was set"),
                }
                self.0 = None;
                return;
            }
            std::future::pending().await
        }

        pub(super) fn are_told(&self) -> bool {
            self.0.is_some()
        }
    }

    fn timer() -> io::Result<Receiver> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let never = Itimerspec { it_interval: zero, it_value: Timespec { tv_sec: i64::MAX, tv_nsec: 0 } };
        timerfd_settime(&timer, flags, &never)?;
        Receiver::from_owned_fd_unchecked(timer)
    }

    async fn cancelled(timer: &Receiver) -> io::Result<()> {
        loop {
            timer.readable().await?;
            match timer.try_read(&mut [0; 8]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => return Ok(()),
                Err(error) => return Err(error),
                Ok(_expired) => return Ok(()),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) struct Jumps;

    impl Jumps {
        pub(super) fn new() -> Jumps {
            Jumps
        }

        pub(super) async fn next(&mut self) {
            std::future::pending().await
        }

        pub(super) fn are_told(&self) -> bool {
            false
        }
    }
}
