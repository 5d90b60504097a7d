//! What is measured, in the order in which each finds what the one before has made.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use http::StatusCode;

use crate::budget::{self, Budget, Unit};
use crate::client::{Operation, Protocol, TABLE, Target};
use crate::fanout;
use crate::load::{self, Measured, ONE, WIDE};
use crate::objects;
use crate::report::Row;
use crate::server::Server;

pub const NAMESPACE: &str = "load";

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
}

pub const FULL: Size = Size {
    config_maps: 20_000,
    pods: 10_000,
    gets: 50_000,
    lists: 20,
    events: 2_000,
    starts: 5,
    idle: Duration::from_secs(10),
};

pub const QUICK: Size = Size {
    config_maps: 4_000,
    pods: 10_000,
    gets: 10_000,
    lists: 5,
    events: 400,
    starts: 2,
    idle: Duration::from_secs(2),
};

pub fn config_maps() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/configmaps")
}

fn pods() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods")
}

/// Runs everything on servers of its own; `say` hears of each row as soon as it is known.
pub async fn run(binary: &Path, protocol: Protocol, size: Size, say: &mut dyn FnMut(Row)) -> Result<()> {
    say(Row::plain(budget::BINARY, std::fs::metadata(binary)?.len() as f64 / f64::from(1 << 20)));
    say(Row::plain(budget::COLD_START, cold_start(binary, size.starts).await?.as_secs_f64() * 1e3));
    let server = Server::start(binary).await?;
    let target = server.target(protocol)?;
    let result = on(&server, &target, size, say).await;
    server.stop()?;
    result
}

/// The middle one of several starts.
async fn cold_start(binary: &Path, starts: usize) -> Result<Duration> {
    let mut all = Vec::with_capacity(starts);
    for _ in 0..starts {
        let server = Server::start(binary).await?;
        all.push(server.cold_start);
        server.stop()?;
    }
    all.sort_unstable();
    Ok(all[starts / 2])
}

async fn on(server: &Server, target: &Target, size: Size, say: &mut dyn FnMut(Row)) -> Result<()> {
    let before = server.cpu()?;
    tokio::time::sleep(size.idle).await;
    let busy = server.cpu()? - before;
    say(Row::plain(budget::IDLE, busy.as_secs_f64() / size.idle.as_secs_f64() * 100.0));
    say(Row::plain(budget::IDLE_MEMORY, server.memory()?.0));
    prepare(target).await?;

    let create = |n: usize| Operation::post(config_maps(), objects::config_map(&format!("c-{n}"), "load", "new"));
    say(wide(server, target, budget::CREATE_CONFIG_MAP, size.config_maps, StatusCode::CREATED, Arc::new(create)).await?);
    let update = |n: usize| {
        let name = format!("c-{n}");
        Operation::put(format!("{}/{name}", config_maps()), objects::config_map(&name, "load", "changed"))
    };
    say(wide(server, target, budget::UPDATE_CONFIG_MAP, size.config_maps, StatusCode::OK, Arc::new(update)).await?);
    let create = |n: usize| Operation::post(pods(), objects::pod(&format!("p-{n}")));
    say(wide(server, target, budget::CREATE_POD, size.pods, StatusCode::CREATED, Arc::new(create)).await?);
    let of = size.pods;
    let get = move |n: usize| Operation::get(format!("{}/p-{}", pods(), n % of));
    say(wide(server, target, budget::GET_POD, size.gets, StatusCode::OK, Arc::new(get)).await?);
    let list = |_| Operation::get(pods());
    let measured = load::run(server, target, ONE, size.lists, StatusCode::OK, Arc::new(list)).await?;
    say(Row::measured(budget::LIST, &measured));
    let table = |_| Operation::get(pods()).accepting(TABLE);
    let measured = load::run(server, target, ONE, size.lists, StatusCode::OK, Arc::new(table)).await?;
    say(Row::measured(budget::TABLE, &measured));
    let plan = fanout::Plan { watchers: 200, events: size.events, rate: 400.0 };
    say(Row::measured(budget::DELIVER, &fanout::run(server, target, plan, "fan").await?));
    let (now, most) = server.memory()?;
    say(Row::plain(budget::MEMORY, now).note(format!("at most {most:.0} MiB")));
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

async fn wide(
    server: &Server,
    target: &Target,
    budget: Budget,
    count: usize,
    expected: StatusCode,
    make: Arc<load::Make>,
) -> Result<Row> {
    debug_assert_eq!(budget.unit, Unit::Microseconds);
    let measured: Measured = load::run(server, target, WIDE, count, expected, make).await?;
    Ok(Row::measured(budget, &measured))
}
