//! A closed loop: so many requests in flight, each followed by the next as soon as it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::StatusCode;
use tokio::task::JoinSet;

use crate::client::{Connection, Operation, Protocol, Target};
use crate::server::Server;

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
    /// Sorted.
    pub latencies: Vec<Duration>,
}

impl Measured {
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

/// Sends `count` operations, the n-th made by `make(n)`; every answer must be `expected`.
pub async fn run(
    server: &Server,
    target: &Target,
    width: Width,
    count: usize,
    expected: StatusCode,
    make: Arc<Make>,
) -> Result<Measured> {
    let mut users = users(target, width).await?;
    // The first answers build what the later ones find: connections, caches, pages of memory.
    let (cpu, start) = (server.cpu()?, Instant::now());
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for user in users.drain(..) {
        tasks.spawn(user_loop(user, Arc::clone(&next), count, expected, Arc::clone(&make)));
    }
    let (mut bytes, mut latencies) = (0, Vec::with_capacity(count));
    while let Some(done) = tasks.join_next().await {
        let (more, theirs) = done??;
        bytes += more;
        latencies.extend(theirs);
    }
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    Ok(Measured { operations: count as u64, elapsed, cpu: server.cpu()? - cpu, bytes, latencies })
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
    count: usize,
    expected: StatusCode,
    make: Arc<Make>,
) -> Result<(u64, Vec<Duration>)> {
    let (mut bytes, mut latencies) = (0, Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
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
