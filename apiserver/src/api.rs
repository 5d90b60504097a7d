//! The API: everything that requests share, and the road of one request through it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use corten_access::authenticate::Authenticators;
use corten_access::authorize::Chain as Authorizers;
use corten_access::impersonate::Impersonator;
use corten_access::rbac::Rbac;
use corten_access::service_account::ServiceAccounts;
use corten_access::tokens::{Issuer, OpenId};
use corten_api::status::{Result, Status};
use corten_object::tree::Tree;
use corten_runtime::clock::Clock;
use corten_runtime::health::Health;
use corten_runtime::random::Random;
use corten_runtime::tasks::{CancellationToken, Kind};
use corten_store::Store;

use crate::admission::Chain as Admission;
use crate::budget::Budget;
use crate::computation::Pool;
use crate::definitions::seen::Seen;
use crate::feed::Feed;
use crate::http::{ApiRequest, ApiResponse, Endpoint};
use crate::in_flight::InFlight;
use crate::metrics::Metrics;
use crate::object::Object;
use crate::registry::Registry;
use crate::reserve::under_way::UnderWay;
use crate::reserve::{self, Reservation, Reserver, Reservers};
use crate::resource::Storage;

pub struct Api {
    pub store: Arc<dyn Store>,
    pub feed: Arc<Feed>,
    pub registry: ArcSwap<Registry>,
    /// Whether the registry has what the definitions define. Until then a path that it does not know may be a custom
    /// resource's, and nobody may be told that it is none. To be asked before the registry.
    pub definitions_seen: Seen,
    pub clock: Clock,
    pub random: Random,
    pub authenticators: Authenticators,
    pub authorizers: Arc<Authorizers>,
    pub impersonator: Impersonator,
    pub rbac: Arc<Rbac>,
    pub admission: Admission,
    pub health: Health,
    pub metrics: Metrics,
    /// Of the store when it was last asked.
    pub storage_size: AtomicU64,
    pub reservers: Reservers,
    /// Cluster IPs of writes that are not settled.
    pub addresses_under_way: UnderWay<IpAddr>,
    pub in_flight: InFlight,
    /// Of bodies and answers.
    pub budget: Budget,
    /// The threads for what computes for long.
    pub computations: Pool,
    /// Write phases that go on without their request.
    pub writes: Kind,
    /// What writes could not give back themselves.
    pub give_backs: Kind,
    /// The whole server is about to stop: watches end.
    pub stopping: CancellationToken,
    /// Connections that went on as WebSockets.
    pub websockets: Kind,
    /// Signs the tokens of service accounts.
    pub issuer: Issuer,
    /// What others need to verify them; None where the issuer's name does not allow to serve it.
    pub openid: Option<OpenId>,
    pub service_accounts: Arc<dyn ServiceAccounts>,
    /// As told in discovery.
    pub address: String,
}

impl Api {
    /// Waits until the caches show everything that the store had taken when this was called.
    pub async fn catch_up(&self) -> Result<()> {
        let revision = self.store.current_revision().await.map_err(Status::internal)?;
        self.feed.wait_for(revision).await
    }

    /// Returns when the caches show a write that the store has taken: whoever is answered after that can rely on it,
    /// admission of the next request included. A feed that has lost its place is not waited for long.
    pub async fn applied(&self, revision: u64) {
        let _ = self.feed.wait_for(revision).await;
    }

    /// Decides on what the caches show. If that is a refusal, they may be behind what another server has written: then
    /// it is decided once more when they show all that the store holds.
    pub async fn decide<T>(&self, mut decision: impl FnMut() -> Result<T>) -> Result<T> {
        let seen = self.feed.progress();
        match decision() {
            Err(_) if self.was_behind(seen).await? => decision(),
            verdict => verdict,
        }
    }

    /// Whether the caches, which showed the store as of this revision, were behind it. They have caught up then.
    pub async fn was_behind(&self, seen: u64) -> Result<bool> {
        self.catch_up().await?;
        Ok(self.feed.progress() > seen)
    }

    pub fn storage(&self, group: &str, plural: &str) -> Option<Arc<Storage>> {
        self.registry.load().storage(group, plural).cloned()
    }

    /// A kept object by `namespace/name` or name, as the cache shows it. An error says that there is one and that it
    /// cannot be read.
    pub fn lookup(&self, group: &str, plural: &str, key: &str) -> Result<Option<Arc<Object>>> {
        self.storage(group, plural).map_or(Ok(None), |storage| storage.cache.find(key))
    }

    pub fn lookup_tree(&self, group: &str, plural: &str, key: &str) -> Result<Option<Tree>> {
        let Some(storage) = self.storage(group, plural) else { return Ok(None) };
        Ok(storage.cache.find(key)?.map(|object| storage.tree(&object)))
    }

    fn reserver(&self, storage: &Storage) -> Option<&Arc<dyn Reserver>> {
        self.reservers.iter().find(|((group, plural), _)| reserve::is(storage, group, plural)).map(|(_, found)| found)
    }

    /// Reserves what a new or changed object needs beside it.
    pub async fn reserve(
        self: &Arc<Self>,
        storage: &Storage,
        object: &mut Tree,
        old: Option<&Tree>,
        dry_run: bool,
    ) -> Result<Reservation> {
        match self.reserver(storage) {
            Some(reserver) => reserver.begin(self, object, old, dry_run).await,
            None => Ok(Reservation::none()),
        }
    }

    /// For the deletion of an object: what it holds beside it is to be given back.
    pub fn leaving(self: &Arc<Self>, storage: &Storage, object: &Tree) -> Reservation {
        self.reserver(storage).map_or_else(Reservation::none, |reserver| reserver.leaving(self, object))
    }
}

impl Endpoint for Api {
    fn call(self: Arc<Self>, request: ApiRequest) -> Pin<Box<dyn Future<Output = ApiResponse> + Send>> {
        Box::pin(crate::dispatch::dispatch(self, request))
    }
}
