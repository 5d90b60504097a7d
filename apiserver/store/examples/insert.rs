//! What a durable insert costs: `cargo run --release -p corten-store --example insert [FOLDER [SECONDS]]`.
//!
//! 64 writers put values of 6 KB, first each under a new key, then over and over under its own. Printed are the rate,
//! the CPU time that the whole process spent on an insert, its latency, and the process' memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use corten_runtime::Scope;
use corten_store::embedded::Options;
use corten_store::{Embedded, Expect, Put, Read, Span, Store, WatchFrom};

const WRITERS: usize = 64;
const VALUE: usize = 6000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into).join("corten-store-insert");
    let seconds = arguments.next().map_or(Ok(5), |seconds| seconds.parse())?;
    std::fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let tasks = Scope::root("insert");
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder, Options::new(tasks.clone()))?);
        measure("new keys", &store, Duration::from_secs(seconds), false).await;
        measure("the same keys", &store, Duration::from_secs(seconds), true).await;
        store.close().await?;
        let begun = Instant::now();
        let store = Embedded::open(&folder, Options::new(tasks.clone()))?;
        let opened = begun.elapsed();
        let listing = store.range(Read::of(Span::prefix("/registry/"))).await?;
        println!("opened with {} keys in {opened:.1?}, listed in {:.1?}", listing.count, begun.elapsed() - opened);
        store.close().await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn measure(what: &str, store: &Arc<dyn Store>, length: Duration, same_keys: bool) {
    let (stop, inserts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (begun, cpu) = (Instant::now(), cpu_time());
    let watched = follow(Arc::clone(store), Arc::clone(&stop)).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, stop, inserts) = (Arc::clone(store), Arc::clone(&stop), Arc::clone(&inserts));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += if same_keys { 0 } else { 1 };
                    let key = format!("/registry/pods/default/writer-{writer}-{turn}");
                    let sent = Instant::now();
                    let put = Put::new(key, Bytes::from(vec![b'x'; VALUE]), Expect::Any);
                    if let Err(error) = store.put(put).await {
                        eprintln!("{error}");
                        break;
                    }
                    latencies.push(sent.elapsed());
                    inserts.fetch_add(1, Ordering::Relaxed);
                }
                latencies
            })
        })
        .collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for writer in writers {
        latencies.extend(writer.await.unwrap_or_default());
    }
    let (elapsed, cpu) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
    let count = inserts.load(Ordering::Relaxed).max(1);
    latencies.sort_unstable();
    let at = |part: usize| latencies.get(latencies.len() * part / 100).copied().unwrap_or_default();
    println!(
        "{what}: {count} inserts, {:.0}/s, {:.1} us of CPU each, p50 {:.1?}, p99 {:.1?}, {} MiB resident, {} watched",
        count as f64 / elapsed.as_secs_f64(),
        cpu.as_micros() as f64 / count as f64,
        at(50),
        at(99),
        resident() >> 20,
        watched.load(Ordering::Relaxed),
    );
}

/// One watch, as the server's cache has.
async fn follow(store: Arc<dyn Store>, stop: Arc<AtomicBool>) -> Arc<AtomicU64> {
    let watched = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&watched);
    if let Ok(mut watch) = store.watch(Span::prefix("/registry/pods/"), WatchFrom::now()).await {
        tokio::spawn(async move {
            while let Ok(batch) = watch.next().await {
                count.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
    }
    watched
}

fn cpu_time() -> Duration {
    let usage = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = usage.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // User and system time, in hundredths of a second.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
