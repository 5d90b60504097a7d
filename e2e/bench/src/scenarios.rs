//! What is measured, in the order in which each finds what the one before has made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use http::StatusCode;

use crate::budget::{self, Budget};
use crate::client::{Operation, Protocol, TABLE, Target};
use crate::fanout;
use crate::load::{Load, ONE, WIDE};
use crate::objects;
use crate::report::Row;
use crate::server::Server;
use crate::turns::{self, Bench};

const NAMESPACE: &str = "load";

/// How many of each. A tenth of it is enough to see a tendency, not to compare two builds.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub config_maps: usize,
    pub pods: usize,
    pub gets: usize,
    pub lists: usize,
    pub events: usize,
    pub starts: usize,
    pub idle: Duration,
    /// In how many parts an operation is measured; each list is at least one.
    pub turns: usize,
}

pub const FULL: Size = Size {
    config_maps: 20_000,
    pods: 10_000,
    gets: 50_000,
    lists: 100,
    events: 2_000,
    starts: 5,
    idle: Duration::from_secs(10),
    turns: 10,
};

pub const QUICK: Size = Size {
    config_maps: 4_000,
    pods: 10_000,
    gets: 10_000,
    lists: 5,
    events: 400,
    starts: 2,
    idle: Duration::from_secs(2),
    turns: 5,
};

pub fn config_maps(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

fn pods() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods")
}

/// Runs everything on servers of its own, one of each binary; `say` hears of a row, of each of them, as soon as it is
/// known.
pub async fn run(binaries: &[PathBuf], protocol: Protocol, size: Size, say: &mut dyn FnMut(Vec<Row>)) -> Result<()> {
    let mut sizes = Vec::new();
    for binary in binaries {
        sizes.push(Row::plain(budget::BINARY, std::fs::metadata(binary)?.len() as f64 / f64::from(1 << 20)));
    }
    say(sizes);
    say(cold_starts(binaries, size.starts).await?);
    let mut benches = Vec::new();
    for binary in binaries {
        benches.push(Bench::start(binary, protocol).await?);
    }
    let result = on(&benches, size, say).await;
    for bench in benches {
        bench.server.stop()?;
    }
    result
}

/// The middle one of several starts.
async fn cold_starts(binaries: &[PathBuf], starts: usize) -> Result<Vec<Row>> {
    let mut all = vec![Vec::with_capacity(starts); binaries.len()];
    for _ in 0..starts {
        for (binary, times) in binaries.iter().zip(&mut all) {
            let server = Server::start(binary).await?;
            times.push(server.cold_start.as_secs_f64() * 1e3);
            server.stop()?;
        }
    }
    Ok(all.into_iter().map(|times| Row::middle(budget::COLD_START, times)).collect())
}

async fn on(benches: &[Bench], size: Size, say: &mut dyn FnMut(Vec<Row>)) -> Result<()> {
    say(idle(benches, size.idle).await?);
    say(memory(benches, budget::IDLE_MEMORY)?);
    for bench in benches {
        prepare(&bench.target).await?;
    }
    let wide = |count, expected, make| Load { width: WIDE, count, expected, make };
    let create =
        |n: usize| Operation::post(config_maps(NAMESPACE), objects::config_map(&format!("c-{n}"), "load", "new"));
    let load = wide(size.config_maps, StatusCode::CREATED, Arc::new(create));
    say(turns::measure(benches, budget::CREATE_CONFIG_MAP, size.turns, &load).await?);
    let update = |n: usize| {
        let name = format!("c-{n}");
        Operation::put(format!("{}/{name}", config_maps(NAMESPACE)), objects::config_map(&name, "load", "changed"))
    };
    let load = wide(size.config_maps, StatusCode::OK, Arc::new(update));
    say(turns::measure(benches, budget::UPDATE_CONFIG_MAP, size.turns, &load).await?);
    let create = |n: usize| Operation::post(pods(), objects::pod(&format!("p-{n}")));
    let load = wide(size.pods, StatusCode::CREATED, Arc::new(create));
    say(turns::measure(benches, budget::CREATE_POD, size.turns, &load).await?);
    let of = size.pods;
    let get = move |n: usize| Operation::get(format!("{}/p-{}", pods(), n % of));
    let load = wide(size.gets, StatusCode::OK, Arc::new(get));
    say(turns::measure(benches, budget::GET_POD, size.turns, &load).await?);
    let one = |make| Load { width: ONE, count: size.lists, expected: StatusCode::OK, make };
    let load = one(Arc::new(|_| Operation::get(pods())));
    say(turns::measure(benches, budget::LIST, size.turns, &load).await?);
    let load = one(Arc::new(|_| Operation::get(pods()).accepting(TABLE)));
    say(turns::measure(benches, budget::TABLE, size.turns, &load).await?);
    let plan = fanout::Plan { watchers: 200, events: size.events, rate: 400.0 };
    say(turns::measure(benches, budget::DELIVER, size.turns, &plan).await?);
    say(memory(benches, budget::MEMORY)?);
    Ok(())
}
/// The namespace, and the service account that a controller would make.
async fn prepare(target: &Target) -> Result<()> {
    let mut connection = target.connect().await?;
    let create = Operation::post("/api/v1/namespaces", objects::namespace(NAMESPACE));
    connection.expect(create, StatusCode::CREATED).await?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
    connection.expect(Operation::post(path, objects::service_account("default")), StatusCode::CREATED).await
}

async fn idle(benches: &[Bench], time: Duration) -> Result<Vec<Row>> {
    let mut before = Vec::new();
    for bench in benches {
        before.push(bench.server.cpu()?);
    }
    tokio::time::sleep(time).await;
    let share = |(bench, before): (&Bench, Duration)| {
        let busy = bench.server.cpu()? - before;
        Ok(Row::plain(budget::IDLE, busy.as_secs_f64() / time.as_secs_f64() * 100.0))
    };
    benches.iter().zip(before).map(share).collect()
}

fn memory(benches: &[Bench], budget: Budget) -> Result<Vec<Row>> {
    let row = |bench: &Bench| {
        let (now, most) = bench.server.memory()?;
        Ok(Row::plain(budget, now).note(format!("at most {most:.0} MiB")))
    };
    benches.iter().map(row).collect()
}
