//! Many watchers of one resource: what it costs to deliver an event to one of them, and how long that takes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use crate::client::{Connection, Operation, Protocol, Target};
use crate::load::Measured;
use crate::objects;
use crate::scenarios::config_maps;
use crate::turns::{Bench, Work};

/// Streams on one HTTP/2 connection.
const STREAMS: usize = 50;
/// One watcher in so many tells latencies: reading each event twice would load the machine that is measured.
const SAMPLED: usize = 10;
const DELIVERY_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub watchers: usize,
    pub events: usize,
    /// Events a second.
    pub rate: f64,
}

struct Shared {
    epoch: Instant,
    delivered: AtomicU64,
    /// When each object was sent, in nanoseconds since the epoch.
    sent: Vec<AtomicU64>,
    /// The namespace of its objects, their label, and what their names begin with.
    run: String,
}

impl Work for Plan {
    fn count(&self) -> usize {
        self.events
    }

    /// Creates objects at a steady rate while watchers read; every event must reach every watcher.
    async fn run(&self, bench: &Bench, numbers: Range<usize>) -> Result<Measured> {
        // In a namespace of its own: the watches begin with what is there, and that is not what is measured.
        let run = format!("fan-{}", numbers.start);
        let mut connection = bench.target.connect().await?;
        let create = Operation::post("/api/v1/namespaces", objects::namespace(&run));
        connection.expect(create, StatusCode::CREATED).await?;
        let plan = Plan { events: numbers.len(), ..*self };
        let sent = numbers.map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { epoch: Instant::now(), delivered: AtomicU64::new(0), sent, run });
        let mut watchers = watch_all(&bench.target, plan, &shared).await?;
        let (cpu, start) = (bench.server.cpu()?, Instant::now());
        create_all(&bench.target, plan, &shared).await?;
        let wanted = (plan.events * plan.watchers) as u64;
        let deadline = Instant::now() + DELIVERY_MAX;
        while shared.delivered.load(Ordering::Relaxed) < wanted && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let (elapsed, cpu) = (start.elapsed(), bench.server.cpu()? - cpu);
        let delivered = shared.delivered.load(Ordering::Relaxed);
        ensure!(delivered == wanted, "{delivered} of {wanted} events were delivered");
        let (mut latencies, mut bytes) = (Vec::new(), 0);
        while let Some(watcher) = watchers.join_next().await {
            let (len, theirs) = watcher?;
            bytes += len;
            latencies.extend(theirs);
        }
        Ok(Measured { operations: wanted, elapsed, cpu, bytes, latencies })
    }
}

async fn create_all(target: &Target, plan: Plan, shared: &Shared) -> Result<()> {
    let mut writer = target.connect().await?;
    let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / plan.rate));
    for number in 0..plan.events {
        pace.tick().await;
        let body = objects::config_map(&format!("{}-{number}", shared.run), &shared.run, "");
        shared.sent[number].store(shared.epoch.elapsed().as_nanos() as u64, Ordering::Relaxed);
        writer.expect(Operation::post(config_maps(&shared.run), body), StatusCode::CREATED).await?;
    }
    Ok(())
}

type Reader = (u64, Vec<Duration>);

async fn watch_all(target: &Target, plan: Plan, shared: &Arc<Shared>) -> Result<JoinSet<Reader>> {
    let mut tasks = JoinSet::new();
    let mut connection: Option<Connection> = None;
    for number in 0..plan.watchers {
        if number % STREAMS == 0 || target.protocol == Protocol::Http1 {
            connection = Some(target.connect().await?);
        }
        let mut own = match &connection {
            Some(shared) if target.protocol == Protocol::Http2 => shared.share(),
            _ => connection.take(),
        }
        .context("a connection")?;
        let path = format!("{}?watch=1&resourceVersion=0&labelSelector=run%3D{}", config_maps(&shared.run), shared.run);
        let response = own.send(Operation::get(path)).await?;
        ensure!(response.status() == StatusCode::OK, "watch: {}", response.status());
        let (shared, events) = (Arc::clone(shared), plan.events);
        let sampled = number % SAMPLED == 0;
        tasks.spawn(async move {
            let result = read(response.into_body(), &shared, events, sampled).await;
            drop(own);
            result
        });
    }
    Ok(tasks)
}

/// Reads lines until as many as there will be have come.
async fn read(mut body: Incoming, shared: &Shared, events: usize, sampled: bool) -> Reader {
    let (mut seen, mut bytes, mut latencies, mut line) = (0, 0, Vec::new(), Vec::new());
    while seen < events
        && let Some(Ok(frame)) = body.frame().await
    {
        let Some(data) = frame.data_ref() else { continue };
        bytes += data.len() as u64;
        let lines = data.iter().filter(|byte| **byte == b'\n').count();
        if sampled {
            line.extend_from_slice(data);
            while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                latencies.extend(age(&line[..end], shared));
                line.drain(..=end);
            }
        }
        seen += lines;
        shared.delivered.fetch_add(lines as u64, Ordering::Relaxed);
    }
    (bytes, latencies)
}

/// How long ago the object of an event was sent.
fn age(line: &[u8], shared: &Shared) -> Option<Duration> {
    let text = std::str::from_utf8(line).ok()?;
    let before = format!("\"name\":\"{}-", shared.run);
    let rest = &text[text.find(&before)? + before.len()..];
    let number: usize = rest[..rest.find('"')?].parse().ok()?;
    let sent = Duration::from_nanos(shared.sent.get(number)?.load(Ordering::Relaxed));
    Some(shared.epoch.elapsed().saturating_sub(sent))
}
