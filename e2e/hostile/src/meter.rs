//! What a request costs the server.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::allocator;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    pub wall: Duration,
    /// CPU time of the server's threads.
    pub cpu: Duration,
    /// Bytes that the server's threads have asked for; only known of a server in this process.
    pub allocated: u64,
    /// By how much the server's memory was larger at its peak; only known of a server in another process.
    pub memory: u64,
    /// The 99th percentile of /livez on another connection.
    pub livez: Duration,
}

impl Cost {
    /// Of two measurements of the same work, each number that is less: noise only adds.
    pub fn least(self, other: Cost) -> Cost {
        Cost {
            wall: self.wall.min(other.wall),
            cpu: self.cpu.min(other.cpu),
            allocated: self.allocated.min(other.allocated),
            memory: self.memory.min(other.memory),
            livez: self.livez.min(other.livez),
        }
    }
}

/// Measures one request at a time, from before it is sent until its answer has been read.
pub trait Meter {
    fn begin(&mut self);
    fn end(&mut self) -> Cost;
}

/// Measures a server in this process: whatever is not done on the calling thread, which is the client's, is the server's.
///
/// CPU time is that of the process less that of this thread. The alternative, to add up the clocks of the server's
/// threads, misses those that have ended meanwhile.
pub struct InProcess {
    began: Instant,
    cpu: Duration,
    allocated: u64,
}

impl InProcess {
    /// On the client's thread, which the meter stays on.
    pub fn new() -> InProcess {
        allocator::mark_client_thread();
        InProcess { began: Instant::now(), cpu: Duration::ZERO, allocated: 0 }
    }

    fn cpu() -> Duration {
        let read = |clock| {
            let time = clock_gettime(clock);
            Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
        };
        read(ClockId::ProcessCPUTime).saturating_sub(read(ClockId::ThreadCPUTime))
    }
}

impl Default for InProcess {
    fn default() -> InProcess {
        InProcess::new()
    }
}

impl Meter for InProcess {
    fn begin(&mut self) {
        self.began = Instant::now();
        self.cpu = InProcess::cpu();
        self.allocated = allocator::allocated();
    }

    fn end(&mut self) -> Cost {
        Cost {
            wall: self.began.elapsed(),
            cpu: InProcess::cpu().saturating_sub(self.cpu),
            allocated: allocator::allocated() - self.allocated,
            ..Cost::default()
        }
    }
}
