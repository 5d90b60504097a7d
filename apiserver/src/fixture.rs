//! Servers in process, for tests of behaviour: the whole API on the embedded engine, on a disk in memory, without a
//! network. Time stands still until a test moves it, and randomness comes from a seed.
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_refused_update_gives_its_port_back() {
//!     let cluster = Cluster::start().await;
//!     let server = cluster.server(0);
//!     let mut watch = server.watch("/api/v1/services").await;
//!     server.ask(Request::post("/api/v1/namespaces/default/services").json(json!({ .. }))).await.created();
//!     assert_eq!(watch.next_event().await.name(), "kubernetes");
//!     let refused = server.ask(Request::get("/api/v1/pods").as_user("alice", &["staff"])).await;
//!     refused.refused(403, "Forbidden", "pods is forbidden");
//!     server.store.fail(On::write("/registry/services/"), Fault::refused());
//!     let hold = server.store.hold(On::read("/registry/pods/"));
//!     let pending = server.begin(Request::delete("/api/v1/namespaces/default/pods/a"));
//!     hold.wait_for(1).await; // The request waits for the store, and its client goes away.
//!     drop(pending);
//! }
//! ```
//!
//! - `Cluster::start()` has one server, `Cluster::of(2)` two on one store; they share it as servers share an etcd: an
//!   event reaches a server by its own watch, and drafts of the other server do not come along. `Settings` has the rest:
//!   an empty disk, other service ranges, another date.
//! - `server.ask(request)` waits for the answer; `server.begin(request)` gives it as a future, to be polled some times
//!   (`Pending::advance`) and dropped, which is how a client vanishes.
//! - `server.store` is the store as that server sees it: calls of it can fail, with or without effect (`fail`), or be
//!   held (`hold`, `hold_answers`). `server.hold_feed()` has its caches stay behind until `release_feed()`.
//! - `cluster.time` moves the clock. What waits for time (retries, timeouts, bookmarks) waits for that.
//! - `cluster.restart()`, `cluster.cut_power(..)` and `server`'s own restart keep the disk.
//! - Waits are bounded by `PATIENCE` of real time: `eventually`, `until`, and every wait of the fixture itself.

#![allow(dead_code, unused_imports, reason = "a kit: not every test needs every part of it")]

mod answer;
mod pki;
mod request;
mod store;
mod watching;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corten_config::features::FeatureGates;
use corten_runtime::clock::{Clock, ManualClock, Wall};
use corten_runtime::random::Random;
use corten_runtime::tasks::Scope;
use corten_store::simulation::{Dice, SimDisk};
use corten_store::{Embedded, Encoding, Store, embedded};

pub use answer::Answer;
pub use request::{Pending, Request};
pub use store::{Fault, Gate, Hold, On, StoreCall, Verb, Viewpoint};
pub use watching::{Event, Next, Watching};

use crate::api::Api;
use crate::server::{self, Assembly, Config, Datastore, Foundation, Limits};

/// 2026-01-01T00:00:00Z
pub const NOW: Wall = Wall::from_seconds(1_767_225_600);
/// Longer than anything takes that works, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How a cluster is to be.
#[derive(Clone)]
pub struct Settings {
    pub servers: usize,
    pub seed: u64,
    /// What the first server finds; by default a disk that another server has filled with the initial objects.
    pub disk: Option<SimDisk>,
    /// Comma between the families.
    pub service_ranges: &'static str,
    pub now: Wall,
    /// How the servers encode what they store; by default as beside the engine or, for several servers, on an etcd.
    pub encoding: Option<Encoding>,
    pub requests_in_flight: Limits,
    pub request_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            servers: 1,
            seed: 1,
            disk: None,
            service_ranges: "10.96.0.0/16",
            now: NOW,
            encoding: None,
            requests_in_flight: Limits::default(),
            request_bytes_max: server::REQUEST_BYTES_MAX,
        }
    }
}

/// Servers on one store.
pub struct Cluster {
    pub time: Arc<ManualClock>,
    pub clock: Clock,
    pub disk: SimDisk,
    settings: Settings,
    engine: Arc<Embedded>,
    engine_scope: Scope,
    servers: Vec<Server>,
    /// How many servers there have been, so that each draws numbers of its own.
    lives: AtomicU64,
}

#[derive(Clone)]
pub struct Server {
    pub api: Arc<Api>,
    /// The store as this server sees it.
    pub store: Arc<Viewpoint>,
    pub scope: Scope,
}

impl Cluster {
    /// One server.
    pub async fn start() -> Cluster {
        Cluster::with(Settings::default()).await
    }

    pub async fn of(servers: usize) -> Cluster {
        Cluster::with(Settings { servers, ..Settings::default() }).await
    }

    pub async fn with(settings: Settings) -> Cluster {
        let mut cluster = Cluster::without_servers(settings).await;
        for _ in 0..cluster.settings.servers {
            cluster.add_server().await;
        }
        cluster
    }

    /// The store alone; for tests that look at a start.
    pub async fn without_servers(settings: Settings) -> Cluster {
        let disk = match &settings.disk {
            Some(disk) => disk.clone(),
            None => bootstrapped().await.copy(),
        };
        let (clock, time) = Clock::manual(settings.now);
        let (engine, engine_scope) = open(&disk, &clock);
        Cluster { time, clock, disk, settings, engine, engine_scope, servers: Vec::new(), lives: AtomicU64::new(0) }
    }

    pub fn server(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The engine itself, past all faults.
    pub fn engine(&self) -> &Arc<Embedded> {
        &self.engine
    }

    /// One server more on the same store.
    pub async fn add_server(&mut self) -> &Server {
        let server = self.try_server(self.viewpoint()).await;
        self.servers.push(server.unwrap_or_else(|error| panic!("the server does not start: {error:#}")));
        &self.servers[self.servers.len() - 1]
    }

    /// The store as one server more will see it; faults and holds can be laid out before that server starts.
    pub fn viewpoint(&self) -> Arc<Viewpoint> {
        let shared = self.settings.servers > 1;
        let own = if shared { Encoding::Protobuf } else { self.engine.encoding() };
        Viewpoint::new(Arc::clone(&self.engine) as Arc<dyn Store>, self.settings.encoding.unwrap_or(own))
    }

    /// Starts a server that belongs to nobody yet.
    pub async fn try_server(&self, store: Arc<Viewpoint>) -> anyhow::Result<Server> {
        let (config, assembly, scope) = self.assemble(&store).await?;
        let (api, _lacking) = within("the start of a server", assembly.begin(&config, &scope)).await?;
        Ok(Server { api, store, scope })
    }

    /// Counts a server that was started by itself among the cluster's.
    pub fn join(&mut self, server: Server) {
        self.servers.push(server);
    }

    /// The same up to where it answers, before it looks after its cluster.
    pub async fn assemble(&self, store: &Arc<Viewpoint>) -> anyhow::Result<(Config, Assembly, Scope)> {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let last = 10 + life as u8;
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 6443);
        let config = Config {
            data_dir: PathBuf::new(),
            listen: address,
            datastore: Datastore::Embedded,
            token_auth_file: None,
            service_ranges: server::service_ranges(self.settings.service_ranges).map_err(anyhow::Error::msg)?,
            advertise_address: Some(address.ip()),
            feature_gates: FeatureGates::parse::<&str>(&[]).map_err(anyhow::Error::msg)?,
            requests_in_flight: self.settings.requests_in_flight,
            request_bytes_max: self.settings.request_bytes_max,
        };
        let foundation = Foundation {
            store: Arc::clone(store) as Arc<dyn Store>,
            shared_store: self.settings.servers > 1,
            clock: self.clock.clone(),
            random: Random::seeded(self.settings.seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(life)),
            pki: pki::shared(),
            address,
        };
        let scope = Scope::root_with("server", self.clock.clone());
        let assembly = within("the assembly of a server", server::assemble(&config, foundation, &scope)).await?;
        Ok((config, assembly, scope))
    }

    /// Stops a server in order and starts it again, while the others go on.
    pub async fn restart_server(&mut self, number: usize) {
        self.servers[number].stop().await;
        let server = self.try_server(self.viewpoint()).await;
        self.servers[number] = server.unwrap_or_else(|error| panic!("the server does not start again: {error:#}"));
    }

    /// Stops everything in order and starts it again.
    pub async fn restart(&mut self) {
        for server in &self.servers {
            server.stop().await;
        }
        within("closing the store", self.engine.close()).await.expect("the store closes");
        self.start_again().await;
    }

    /// Power is lost, with any part of what was not synced, and comes back.
    pub async fn cut_power(&mut self, dice: &mut Dice) {
        self.disk.cut(dice);
        self.abandon().await;
        self.start_again().await;
    }

    /// The same, and nothing survives that was not synced.
    pub async fn cut_power_hard(&mut self) {
        self.disk.cut_hard();
        self.abandon().await;
        self.start_again().await;
    }

    async fn abandon(&self) {
        self.servers.iter().for_each(|server| server.scope.cancel());
        // It cannot close in order, since its disk is gone.
        let _ = within("closing the store", self.engine.close()).await;
        for server in &self.servers {
            within("the end of a server", server.scope.left()).await;
        }
    }

    async fn start_again(&mut self) {
        within("the end of the store", self.engine_scope.left()).await;
        let count = self.servers.len();
        self.servers.clear();
        (self.engine, self.engine_scope) = open(&self.disk, &self.clock);
        for _ in 0..count {
            self.add_server().await;
        }
    }

    /// Lets every task run that can, and the store's own thread with them, until that has nothing more to do.
    pub async fn turn(&self) {
        let mut written = self.engine.rest();
        loop {
            tokio::task::yield_now().await;
            let before = std::mem::replace(&mut written, self.engine.rest());
            if written == before {
                return;
            }
        }
    }

    /// Moves the clock and lets everybody whose time has come run.
    pub async fn advance(&self, duration: Duration) {
        self.time.advance(duration);
        settle().await;
    }
}

impl Server {
    /// Has this server's caches stay as they are, whatever is written.
    pub fn hold_feed(&self) {
        self.store.hold_feed();
    }

    pub fn release_feed(&self) {
        self.store.release_feed();
    }

    /// Stops this server in order.
    pub async fn stop(&self) {
        self.scope.cancel();
        within("the end of a server", self.scope.left()).await;
    }
}

fn open(disk: &SimDisk, clock: &Clock) -> (Arc<Embedded>, Scope) {
    let scope = Scope::root_with("store", clock.clone());
    let options = embedded::Options { cache_bytes: 1 << 20, ..embedded::Options::new(scope.clone()) };
    let engine = Embedded::open_on(Arc::new(disk.clone()), options);
    (Arc::new(engine.unwrap_or_else(|error| panic!("the store does not open: {error}"))), scope)
}

/// A disk on which a server has made the initial objects; one for all tests of this process.
async fn bootstrapped() -> &'static SimDisk {
    static DISK: tokio::sync::OnceCell<SimDisk> = tokio::sync::OnceCell::const_new();
    DISK.get_or_init(async || {
        let settings = Settings { disk: Some(SimDisk::default()), seed: 0, ..Settings::default() };
        let cluster = Box::pin(Cluster::with(settings)).await;
        // The store first: what servers do when they stop is not wanted on it.
        within("closing the store", cluster.engine.close()).await.expect("the store closes");
        let disk = cluster.disk.copy();
        cluster.server(0).stop().await;
        disk
    })
    .await
}

/// Waits for what has to come soon, and fails if it does not.
#[track_caller]
pub fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what}: not in {PATIENCE:?}, at {place}"),
        }
    }
}

/// Lets every task run that can.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Returns once a condition holds, which others bring about.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    until(what, async move || condition().then_some(()))
}

/// Returns the first value that is there.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    within(what, async move {
        let mut looks = 0u32;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            looks += 1;
            match looks.is_multiple_of(50) {
                // The store's own thread needs its turn too.
                true => tokio::time::sleep(Duration::from_millis(1)).await,
                false => tokio::task::yield_now().await,
            }
        }
    })
}
