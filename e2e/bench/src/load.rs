//! A closed loop: so many requests in flight, each followed by the next as soon as it is answered.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::StatusCode;
use tokio::task::JoinSet;

use crate::client::{Connection, Operation, Protocol, Target};
use crate::turns::{Bench, Work};

/// How many requests are in flight, and over how many connections.
#[derive(Debug, Clone, Copy)]
pub struct Width {
    pub connections: usize,
    pub in_flight: usize,
}

pub const WIDE: Width = Width { connections: 4, in_flight: 64 };
pub const ONE: Width = Width { connections: 1, in_flight: 1 };

/// What a scenario has cost.
#[derive(Debug, Clone)]
pub struct Measured {
    pub operations: u64,
    pub elapsed: Duration,
    /// CPU time of the server's process.
    pub cpu: Duration,
    pub bytes: u64,
    /// Of a sum, sorted.
    pub latencies: Vec<Duration>,
}

impl Measured {
    /// Of all parts together.
    pub fn sum(parts: &[Measured]) -> Measured {
        let mut latencies: Vec<Duration> = parts.iter().flat_map(|part| &part.latencies).copied().collect();
        latencies.sort_unstable();
        Measured {
            operations: parts.iter().map(|part| part.operations).sum(),
            elapsed: parts.iter().map(|part| part.elapsed).sum(),
            cpu: parts.iter().map(|part| part.cpu).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            latencies,
        }
    }

    pub fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.operations.max(1) as f64
    }

    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    pub fn percentile(&self, part: f64) -> Duration {
        let place = (self.latencies.len().saturating_sub(1)) as f64 * part;
        self.latencies.get(place as usize).copied().unwrap_or_default()
    }
}

pub type Make = dyn Fn(usize) -> Operation + Send + Sync;

/// So many operations, the n-th made by `make(n)`; every answer must be `expected`.
pub struct Load {
    pub width: Width,
    pub count: usize,
    pub expected: StatusCode,
    pub make: Arc<Make>,
}

impl Work for Load {
    fn count(&self) -> usize {
        self.count
    }

    async fn run(&self, bench: &Bench, numbers: Range<usize>) -> Result<Measured> {
        let mut users = users(&bench.target, self.width).await?;
        // The first answers build what the later ones find: connections, caches, pages of memory.
        let (cpu, start) = (bench.server.cpu()?, Instant::now());
        let next = Arc::new(AtomicUsize::new(numbers.start));
        let mut tasks = JoinSet::new();
        for user in users.drain(..) {
            tasks.spawn(user_loop(user, Arc::clone(&next), numbers.end, self.expected, Arc::clone(&self.make)));
        }
        let (mut bytes, mut latencies) = (0, Vec::with_capacity(numbers.len()));
        while let Some(done) = tasks.join_next().await {
            let (more, theirs) = done??;
            bytes += more;
            latencies.extend(theirs);
        }
        let (elapsed, cpu) = (start.elapsed(), bench.server.cpu()? - cpu);
        Ok(Measured { operations: numbers.len() as u64, elapsed, cpu, bytes, latencies })
    }
}

async fn users(target: &Target, width: Width) -> Result<Vec<Connection>> {
    let mut users = Vec::with_capacity(width.in_flight);
    match target.protocol {
        Protocol::Http1 => {
            for _ in 0..width.in_flight {
                users.push(target.connect().await?);
            }
        }
        Protocol::Http2 => {
            for _ in 0..width.connections {
                let connection = target.connect().await?;
                let shares = (1..width.in_flight / width.connections).map(|_| connection.share());
                let shares: Option<Vec<Connection>> = shares.collect();
                users.extend(shares.context("HTTP/2 connections are shared")?);
                users.push(connection);
            }
        }
    }
    Ok(users)
}

async fn user_loop(
    mut connection: Connection,
    next: Arc<AtomicUsize>,
    end: usize,
    expected: StatusCode,
    make: Arc<Make>,
) -> Result<(u64, Vec<Duration>)> {
    let (mut bytes, mut latencies) = (0, Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return Ok((bytes, latencies));
        }
        let operation = make(number);
        let path = operation.path.clone();
        let at = Instant::now();
        let (status, len) = connection.fetch(operation).await.with_context(|| path.clone())?;
        latencies.push(at.elapsed());
        anyhow::ensure!(status == expected, "{path}: {status} where {expected} was expected");
        bytes += len;
    }
}
