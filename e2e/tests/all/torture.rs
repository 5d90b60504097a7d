//! Writers and watchers at work while servers, or their etcd, are killed again and again.
//!
//! Many writers (`load`) create, change and delete few objects of four kinds, through every server; watchers (`follower`)
//! follow each kind at each server, and go on elsewhere when their server is gone. What the writers were told (`ledger`)
//! must be there, but for what the design lets a crash lose (Events, and renewals of a Lease by its holder, on the
//! embedded engine); what the watchers saw (`history`) must be ordered, unique, without gaps, and equal everywhere. The
//! revision never goes back, and none comes twice.
//!
//! Watches that are resumed at a server which has just started are told 410, because its window begins then; so with one
//! server the watchers list anew after each kill, and only with several, or when it is etcd that dies, do they have to go
//! on without.
//!
//! A few rounds in every run; `CORTEN_TORTURE=N` for N of them, with 64 writers.

mod attacks;
mod follower;
mod history;
mod kinds;
mod ledger;
mod load;

use self::follower::{END, Follower, Progress, Report};
use self::kinds::Kind;
use self::load::Load;
use crate::support::Fixture;
use corten_e2e::{DEADLINE, Engine, Etcd, Options, Server, eventually};
use futures::future::{try_join, try_join_all};
use kube::api::PostParams;
use std::sync::atomic::Ordering;

struct Plan {
    rounds: usize,
    writers: usize,
}

/// `CORTEN_TORTURE` rounds, times `share`; a few with fewer writers without it.
fn plan(share: f64) -> Plan {
    match std::env::var("CORTEN_TORTURE").ok().and_then(|rounds| rounds.parse::<f64>().ok()) {
        Some(rounds) => Plan { rounds: (rounds * share).ceil() as usize, writers: 64 },
        None => Plan { rounds: 3, writers: 16 },
    }
}

struct Scenario {
    servers: Vec<Server>,
    etcd: Option<Etcd>,
    /// Whether it is etcd that dies.
    kills_etcd: bool,
    load: Load,
    progress: Vec<Progress>,
}

impl Scenario {
    async fn new(etcd: Option<Etcd>, kills_etcd: bool, servers: usize) -> anyhow::Result<Scenario> {
        let engine = etcd.as_ref().map_or(Engine::Embedded, |etcd| Engine::Etcd(etcd.url()));
        let options = Options { engine, ..Options::default() };
        let first = Fixture::on(Server::with(options.clone()).await?).await?;
        let (mut clients, mut running) = (vec![first.client], vec![first.server]);
        while running.len() < servers {
            let server = Server::with(options.clone()).await?;
            clients.push(server.client().await?);
            running.push(server);
        }
        let progress = (0..servers * Kind::ALL.len()).map(|_| Progress::default()).collect();
        let load = Load::new(first.namespace, clients);
        Ok(Scenario { servers: running, etcd, kills_etcd, load, progress })
    }

    async fn run(mut self, plan: Plan) -> anyhow::Result<()> {
        let (start, _) = self.load.contents(0).await?;
        let (load, progress) = (&self.load, &self.progress);
        let writers = (0..plan.writers).map(|writer| load.write(writer, writer % load.clients.len()));
        let followers = progress.iter().enumerate().map(|(number, progress)| {
            let (server, kind) = (number / Kind::ALL.len(), Kind::ALL[number % Kind::ALL.len()]);
            Follower::new(load, server, kind, start, progress).run()
        });
        let mut killer = Killer {
            servers: &mut self.servers,
            etcd: self.etcd.as_mut(),
            kills_etcd: self.kills_etcd,
            load,
            progress,
        };
        let work = async {
            for round in 0..plan.rounds {
                killer.round(round).await?;
            }
            load.over.store(true, Ordering::Relaxed);
            Ok::<_, anyhow::Error>(())
        };
        let writing = async {
            try_join(work, try_join_all(writers)).await?;
            for kind in Kind::ALL {
                let end = kind.object(&load.namespace, END, END);
                load.api(0, kind).create(&PostParams::default(), &end).await?;
            }
            Ok(())
        };
        let (_, reports) = try_join(writing, try_join_all(followers)).await?;
        self.judge(reports, plan.rounds).await
    }

    /// Whether everybody saw the same, and it is what is there.
    async fn judge(&self, reports: Vec<Report>, rounds: usize) -> anyhow::Result<()> {
        let mut ledger = std::mem::take(&mut *self.load.ledger.lock().expect("the ledger"));
        let resumed: usize = reports.iter().map(|report| report.resumed).sum();
        let gaps: usize = reports.iter().map(|report| report.history.gaps()).sum();
        let events: usize = reports.iter().map(|report| report.history.seen.len()).sum();
        println!(
            "{} acknowledged, {events} events seen, {resumed} watches resumed, {gaps} told 410",
            ledger.acknowledged()
        );
        let histories: Vec<_> = reports.into_iter().map(|report| report.history).collect();
        for history in &histories {
            history.check(&mut ledger)?;
            anyhow::ensure!(!history.seen.is_empty(), "no {:?} was seen", history.kind);
        }
        for (number, history) in histories.iter().enumerate().skip(Kind::ALL.len()) {
            let first = &histories[number % Kind::ALL.len()];
            anyhow::ensure!(first.seen == history.seen, "watchers of {:?} saw different histories", history.kind);
        }
        for server in 0..self.servers.len() {
            let (_, contents) = self.load.contents(server).await?;
            ledger.check(&contents)?;
            for history in histories.iter().take(Kind::ALL.len()) {
                let of_kind = contents.iter().filter(|((kind, _), _)| *kind == history.kind);
                let listed = of_kind.map(|((_, name), version)| (name.clone(), version.clone())).collect();
                anyhow::ensure!(*history.state() == listed, "list and watch of {:?} differ", history.kind);
            }
        }
        if self.kills_etcd || self.servers.len() > 1 {
            anyhow::ensure!(gaps == 0, "{gaps} watches could not be resumed");
        }
        anyhow::ensure!(self.kills_etcd || resumed >= rounds, "{resumed} watches were resumed in {rounds} rounds");
        Ok(())
    }
}

/// Does the killing, and looks at what is left.
struct Killer<'s> {
    servers: &'s mut [Server],
    etcd: Option<&'s mut Etcd>,
    kills_etcd: bool,
    load: &'s Load,
    progress: &'s [Progress],
}

impl Killer<'_> {
    async fn round(&mut self, round: usize) -> anyhow::Result<()> {
        // The kill comes at another moment of the writers' work each time.
        self.more_writes(100 + round * 37 % 100).await?;
        match &mut self.etcd {
            Some(etcd) if self.kills_etcd => {
                etcd.crash().await?;
                self.at_rest(0, false).await?;
            }
            etcd => {
                let (victim, lazy_is_kept) = (round % self.servers.len(), etcd.is_some());
                self.servers[victim].process()?.kill()?;
                if self.servers.len() > 1 {
                    // The others go on.
                    self.more_writes(50).await?;
                    self.servers[victim].relaunch().await?;
                    self.at_rest(victim, false).await?;
                    self.come_home(victim).await?;
                } else {
                    let load = self.load;
                    let rest = load.rest.write().await;
                    self.servers[victim].relaunch().await?;
                    self.look(victim, !lazy_is_kept).await?;
                    drop(rest);
                }
            }
        }
        println!("round {round}: {} acknowledged", self.load.acknowledged());
        Ok(())
    }

    async fn more_writes(&self, count: usize) -> anyhow::Result<()> {
        let wanted = self.load.acknowledged() + count;
        eventually("writes", async || Ok((self.load.acknowledged() >= wanted).then_some(()))).await
    }

    async fn at_rest(&self, server: usize, loses_lazy: bool) -> anyhow::Result<()> {
        let _rest = self.load.rest.write().await;
        self.look(server, loses_lazy).await
    }

    /// What was acknowledged is there, and the revision has not gone back.
    async fn look(&self, server: usize, loses_lazy: bool) -> anyhow::Result<()> {
        let (at, contents) =
            eventually("a server to list everything", async || Ok(self.load.contents(server).await.ok())).await?;
        let mut ledger = self.load.ledger.lock().expect("the ledger");
        let last = ledger.last_revision();
        anyhow::ensure!(at >= last, "the revision went back from {last} to {at}");
        if loses_lazy {
            let kept = contents.values().map(|version| version.at).max().unwrap_or(0);
            ledger.forgive_lazy_after(kept);
        }
        ledger.check(&contents)
    }

    /// Brings the watchers back to the server that was started again, once they have come to where its window begins.
    async fn come_home(&self, server: usize) -> anyhow::Result<()> {
        let (begin, _) = self.load.list(server, Kind::ConfigMap).await?;
        eventually("the watchers", async || {
            let behind = self.progress.iter().any(|progress| progress.reached.load(Ordering::Acquire) < begin);
            Ok((!behind).then_some(()))
        })
        .await?;
        for progress in self.progress {
            progress.homecomings.fetch_add(1, Ordering::AcqRel);
        }
        let before = self.load.acknowledged_by[server].load(Ordering::Relaxed);
        eventually("writes by the server that is back", async || {
            Ok((self.load.acknowledged_by[server].load(Ordering::Relaxed) > before).then_some(()))
        })
        .await
    }
}

async fn torture(etcd: Option<Etcd>, kills_etcd: bool, servers: usize, plan: Plan) -> anyhow::Result<()> {
    let limit = DEADLINE * 2 + DEADLINE / 4 * u32::try_from(plan.rounds)?;
    let scenario = Scenario::new(etcd, kills_etcd, servers).await?;
    tokio::time::timeout(limit, scenario.run(plan)).await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_on_its_own_store_is_killed() -> anyhow::Result<()> {
    torture(None, false, 1, plan(1.0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_on_etcd_is_killed() -> anyhow::Result<()> {
    torture(Some(Etcd::start().await?), false, 1, plan(1.0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_three_servers_on_one_etcd_is_killed() -> anyhow::Result<()> {
    torture(Some(Etcd::start().await?), false, 3, plan(1.0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_killed() -> anyhow::Result<()> {
    torture(Some(Etcd::start().await?), true, 1, plan(0.4)).await
}
