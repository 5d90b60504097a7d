//! Crowds of clients that mean ill, beside one that means well.
//!
//! The crowd idles, leaves its answers unread, or floods the server with requests and resets. Meanwhile the other client
//! (`neighbour`) is answered as if it were nearly alone, the server's memory stays bounded, and at the end the server
//! stops at once, whatever the crowd does.
//!
//! A second with a small crowd in every run. With `CORTEN_TORTURE` it is a minute with a large one, or as many seconds as
//! `CORTEN_ATTACK_SECONDS` says, and the neighbour's latency is judged: only then has the machine nothing else to do.
//! The crowd's threads give way to all others, and the neighbour's goes before them, as those of other machines would.

mod crowd;
mod neighbour;

use self::crowd::{Attack, Crowd, Target};
use crate::support::{Fixture, create_configmap};
use anyhow::Context;
use corten_e2e::{Options, Server};
use serde_json::json;
use std::time::{Duration, Instant};

/// What is asked of the server while a crowd is there.
const MEMORY_MAX_MIB: u64 = 1024;
const SLOWER_MAX: f64 = 3.0;
/// Below this a latency is as good as none: three times less would be judged by the machine's own noise.
const LATENCY_MIN: Duration = Duration::from_millis(2);
const STOP_MAX: Duration = Duration::from_secs(3);
/// The same where other tests run beside this one.
const STOP_MAX_BUSY: Duration = Duration::from_secs(15);

#[derive(Clone, Copy)]
pub struct Scale {
    seconds: f64,
    connections: usize,
    lists: usize,
    watches: usize,
    /// Objects in the lists, of 10 KB each.
    objects: usize,
    floods: usize,
    judged: bool,
}

fn scale() -> Scale {
    let seconds = std::env::var("CORTEN_ATTACK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    if std::env::var_os("CORTEN_TORTURE").is_some() {
        let seconds = seconds.unwrap_or(60.0);
        let (connections, lists, watches) = (10_000, 500, 10_000);
        return Scale { seconds, connections, lists, watches, objects: 2000, floods: 10, judged: true };
    }
    let (connections, lists, watches) = (200, 20, 200);
    Scale { seconds: seconds.unwrap_or(1.0), connections, lists, watches, objects: 100, floods: 2, judged: false }
}

async fn withstands(attack: Attack) -> anyhow::Result<()> {
    let scale = scale();
    let mut fixture = Fixture::on(Server::with(Options::default()).await?).await?;
    let text = "x".repeat(10_000);
    for number in 0..scale.objects {
        let object = serde_json::from_value(json!({"metadata": {"name": format!("a{number}")}, "data": {"a": text}}))?;
        fixture.configmaps().create(&Default::default(), &object).await?;
    }
    create_configmap(&fixture.configmaps(), "neighbour", json!({})).await?;
    let quiet = neighbour::p99(&fixture, Duration::from_secs_f64((scale.seconds / 4.0).max(1.0))).await?;
    let crowd = Crowd::start(attack, Target::of(&fixture.server).await?, &scale)?;
    crowd.has_begun().await?;
    let attacked = neighbour::p99(&fixture, Duration::from_secs_f64(scale.seconds)).await?;
    let memory = peak_memory_mib(fixture.server.process()?.id())?;
    let begun = Instant::now();
    let status = fixture.server.process()?.stop()?;
    let stopped = begun.elapsed();
    let done = crowd.end();
    let slower = attacked.as_secs_f64() / quiet.max(LATENCY_MIN).as_secs_f64();
    println!(
        "{attack:?}: {done} of its steps; p99 {quiet:?} when quiet, {attacked:?} beside it ({slower:.1} times); \
         {memory} MiB at most; stopped in {stopped:?}"
    );
    anyhow::ensure!(status.success(), "{status}: {}", fixture.server.process()?.log_tail());
    let log = fixture.server.log()?;
    anyhow::ensure!(!log.contains("panicked"), "a task panicked:\n{log}");
    anyhow::ensure!(memory < MEMORY_MAX_MIB, "{memory} MiB");
    anyhow::ensure!(stopped < if scale.judged { STOP_MAX } else { STOP_MAX_BUSY }, "stopped in {stopped:?}");
    anyhow::ensure!(!scale.judged || slower <= SLOWER_MAX, "{slower:.1} times slower");
    Ok(())
}

/// The most that a process has had in memory.
fn peak_memory_mib(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_half_open_connections() -> anyhow::Result<()> {
    withstands(Attack::Idle).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_lists() -> anyhow::Result<()> {
    for accept in [
        "application/json",
        "application/json;pretty",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    ] {
        withstands(Attack::Lists(accept)).await?;
        if !scale().judged {
            break;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_watches() -> anyhow::Result<()> {
    withstands(Attack::Watches).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets() -> anyhow::Result<()> {
    withstands(Attack::Resets).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests() -> anyhow::Result<()> {
    withstands(Attack::Requests).await
}
