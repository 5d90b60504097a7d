//! Writers at work while their server, or its etcd, is killed again and again.
//!
//! Nothing that was acknowledged may be lost, no revision may come twice, and a watch that is resumed after each kill must
//! see every change once and in order, or be told (410) that it cannot. A few rounds in every run, more by
//! `CORTEN_TORTURE=N`.

use crate::support::{Fixture, parse, revision};
use corten_e2e::{DEADLINE, Engine, Etcd, Options, Server, eventually};
use futures::StreamExt;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

struct Plan {
    rounds: usize,
    writers: usize,
}

/// `CORTEN_TORTURE` rounds, times `share`; a few rounds with fewer writers without it.
fn plan(share: f64) -> Plan {
    match std::env::var("CORTEN_TORTURE").ok().and_then(|rounds| rounds.parse::<f64>().ok()) {
        Some(rounds) => Plan { rounds: (rounds * share).ceil() as usize, writers: 64 },
        None => Plan { rounds: 3, writers: 16 },
    }
}

/// What the writers were told.
#[derive(Default)]
struct Told {
    /// By object: the revision and the counter of the last acknowledged write.
    last: BTreeMap<String, (u64, u64)>,
    /// By revision: object and counter.
    writes: BTreeMap<u64, (String, u64)>,
}

impl Told {
    fn note(&mut self, object: &ConfigMap) -> anyhow::Result<()> {
        let (name, at, counter) = (object.name_any(), revision(object)?, counter(object)?);
        if let Some(other) = self.writes.insert(at, (name.clone(), counter)) {
            anyhow::ensure!(other == (name.clone(), counter), "revision {at} was given to {other:?} and to {name}");
        }
        let last = self.last.entry(name).or_default();
        anyhow::ensure!(at > last.0, "revision {at} came after {}", last.0);
        *last = (at, counter);
        Ok(())
    }
}

fn counter(object: &ConfigMap) -> anyhow::Result<u64> {
    Ok(object.data.as_ref().and_then(|data| data.get("n")).map(|n| n.parse()).transpose()?.unwrap_or(0))
}

/// One writer: counts up in an object of its own until the server is gone or the round is over.
async fn write(api: &Api<ConfigMap>, name: &str, told: &Mutex<Told>, over: &AtomicBool) -> anyhow::Result<()> {
    let mut object = match api.get_opt(name).await {
        Ok(Some(object)) => object,
        Ok(None) => {
            let new = parse(json!({"metadata": {"name": name}, "data": {"n": "0"}}))?;
            let Ok(created) = api.create(&PostParams::default(), &new).await else { return Ok(()) };
            told.lock().expect("the lock").note(&created)?;
            created
        }
        Err(_) => return Ok(()),
    };
    while !over.load(Ordering::Relaxed) {
        let next = Patch::Merge(json!({
            "metadata": {"resourceVersion": object.resource_version()},
            "data": {"n": (counter(&object)? + 1).to_string()},
        }));
        match api.patch(name, &PatchParams::default(), &next).await {
            Ok(patched) => object = patched,
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()),
            // The server is gone, or going; whether this write was done is not known.
            Err(_) => return Ok(()),
        }
        told.lock().expect("the lock").note(&object)?;
    }
    Ok(())
}

/// Every acknowledged write is there: the object is at it, or at a later one.
async fn verify(api: &Api<ConfigMap>, told: &Told) -> anyhow::Result<()> {
    let stored: BTreeMap<_, _> =
        api.list(&ListParams::default()).await?.into_iter().map(|o| (o.name_any(), o)).collect();
    for (name, (at, n)) in &told.last {
        let Some(object) = stored.get(name) else { anyhow::bail!("{name} of revision {at} is lost") };
        let (now_at, now_n) = (revision(object)?, counter(object)?);
        let kept = (now_at == *at && now_n == *n) || (now_at > *at && now_n == n + 1);
        anyhow::ensure!(kept, "{name} was acknowledged as {n} at {at} and is {now_n} at {now_at}");
    }
    Ok(())
}

/// Follows the watch from `from` until all of `told` has passed by; gives the revision to go on from.
async fn follow(api: &Api<ConfigMap>, from: u64, told: &Told) -> anyhow::Result<u64> {
    let Some(end) = told.writes.keys().next_back().copied().filter(|end| *end > from) else { return Ok(from) };
    let mut expected = told.writes.range(from + 1..);
    let mut watch = pin!(api.watch(&WatchParams::default(), &from.to_string()).await?);
    let mut at = from;
    while at < end {
        let object = match tokio::time::timeout(DEADLINE, watch.next()).await? {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => object,
            Some(Ok(WatchEvent::Bookmark(_))) => continue,
            Some(Ok(WatchEvent::Error(status))) if status.code == 410 => return Ok(end),
            other => anyhow::bail!("{other:?} after revision {at}"),
        };
        let now = revision(&object)?;
        anyhow::ensure!(now > at, "revision {now} came after {at}");
        at = now;
        // Writes whose answer was lost may come in between; those that were answered may not be missing.
        while let Some((want, (name, n))) = expected.clone().next().filter(|(want, _)| **want <= at) {
            let same = *want == at && *name == object.name_any() && *n == counter(&object)?;
            anyhow::ensure!(same, "the watch missed {name} = {n} at {want}");
            expected.next();
        }
    }
    Ok(at)
}

/// What is killed in each round.
enum Victim {
    Server,
    Etcd(Etcd),
}

async fn torture(options: Options, mut victim: Victim, plan: Plan) -> anyhow::Result<()> {
    let mut fixture = Fixture::on(Server::with(options).await?).await?;
    let mut told = Told::default();
    let list = fixture.configmaps().list(&ListParams::default()).await?;
    let mut followed: u64 = list.metadata.resource_version.unwrap_or_default().parse()?;
    for round in 0..plan.rounds {
        let (api, shared, over) = (fixture.configmaps(), Mutex::new(std::mem::take(&mut told)), AtomicBool::new(false));
        let before = shared.lock().expect("the lock").writes.len();
        let writers = try_join_all((0..plan.writers).map(|n| {
            let (api, shared, over) = (&api, &shared, &over);
            async move { write(api, &format!("writer-{n}"), shared, over).await }
        }));
        // The kill comes at another moment of the writers' work each time.
        let busy = before + plan.writers * 2 + round * 7 % 50;
        let killer = async {
            eventually("writes", async || Ok((shared.lock().expect("the lock").writes.len() >= busy).then_some(())))
                .await?;
            match &mut victim {
                Victim::Server => fixture.server.process()?.kill()?,
                Victim::Etcd(etcd) => etcd.crash().await?,
            }
            over.store(true, Ordering::Relaxed);
            Ok(())
        };
        tokio::try_join!(async { tokio::time::timeout(DEADLINE * 2, writers).await? }, killer)?;
        told = shared.into_inner().expect("the lock");
        if matches!(victim, Victim::Server) {
            fixture.server.relaunch().await?;
            fixture.client = fixture.server.client().await?;
        }
        let api = fixture.configmaps();
        eventually("the server to answer", async || Ok(api.list(&ListParams::default()).await.ok())).await?;
        verify(&api, &told).await?;
        followed = follow(&api, followed, &told).await?;
        println!("round {round}: {} acknowledged writes, watch at {followed}", told.writes.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_on_its_own_store_is_killed() -> anyhow::Result<()> {
    torture(Options::default(), Victim::Server, plan(1.0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_on_etcd_is_killed() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let options = Options { engine: Engine::Etcd(etcd.url()), ..Options::default() };
    torture(options, Victim::Server, plan(1.0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_killed() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let options = Options { engine: Engine::Etcd(etcd.url()), ..Options::default() };
    torture(options, Victim::Etcd(etcd), plan(0.4)).await
}
