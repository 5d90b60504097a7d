//! The engine that several servers share: etcd.
//!
//! Keys, transactions, leases and compaction are kube-apiserver's own, so that it may work on the same etcd at the same
//! time. `connect` has the clients, `requests` what every request shares (its bound, what is tried again, what its
//! errors mean), `watching` a watch that outlives its connections, `leases` times to live, `compactor` the compaction
//! that several servers agree on.

mod compactor;
mod connect;
mod leases;
mod requests;
mod version;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, GetResponse, PutOptions, ResponseHeader, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};
use futures::FutureExt;
use futures::future::BoxFuture;

use self::compactor::Turn;
use self::connect::Clients;
pub use self::connect::Tls;
use self::leases::Leases;
use self::requests::Effect;
use self::version::Versions;
use self::watching::Watching;
use crate::error::{Applied, Conflict, Error, OpenError, WriteError};
use crate::span::Span;
use crate::store::{
    Degraded, Deleted, Encoding, Expect, Fetched, Key, KeyValue, Listing, Progress, Put, Read, Revision, Status, Store,
    Want, WatchFrom,
};
use crate::watch::Watch;
use corten_runtime::{CancellationToken, Clock, OnFailure, Scope};

/// Keys of one answer, where a read wants more: an answer is in memory twice while it is decoded.
const PAGE: usize = 2000;

#[derive(Clone)]
pub struct Options {
    /// URLs, `http://` or `https://`.
    pub endpoints: Vec<String>,
    pub tls: Option<Tls>,
    /// Where the servers' keys begin; only the health check asks for it, as other keys come whole.
    pub prefix: String,
    /// Who owns the task that compacts. Cancelling it closes the store. It also has the clock.
    pub tasks: Scope,
    /// How long opening waits for an etcd that answers.
    pub connect_timeout: Duration,
    /// How long a request may take, with its repetitions.
    pub request_timeout: Duration,
    /// How often this server offers to compact. None is never.
    pub compaction_interval: Option<Duration>,
}

impl Options {
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>, tasks: Scope) -> Options {
        Options {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            tls: None,
            prefix: "/registry".to_owned(),
            tasks,
            connect_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(10),
            compaction_interval: Some(Duration::from_secs(300)),
        }
    }
}

/// The etcd engine.
pub struct Etcd {
    shared: Arc<Shared>,
}

struct Shared {
    clients: Clients,
    leases: Leases,
    versions: Versions,
    clock: Clock,
    request_timeout: Duration,
    health_key: String,
    compacted: AtomicU64,
    turn: tokio::sync::Mutex<Turn>,
    closed: CancellationToken,
}

impl Etcd {
    /// Waits for an etcd that answers. To be called in a tokio runtime.
    pub async fn open(options: Options) -> Result<Etcd, OpenError> {
        let clients = Clients::new(&options.endpoints, options.tls.as_ref()).await?;
        let mut shared = Shared {
            leases: Leases::new(clients.lease.clone(), options.tasks.clock().clone()),
            versions: Versions::new(&options.endpoints, options.tls.clone()),
            clients,
            health_key: format!("{}/health", options.prefix.trim_end_matches('/')),
            clock: options.tasks.clock().clone(),
            request_timeout: options.connect_timeout,
            compacted: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            closed: options.tasks.token().child_token(),
        };
        let endpoints = || options.endpoints.join(",");
        let failed = |error: Error| OpenError::Etcd { endpoints: endpoints(), reason: error.to_string() };
        shared.current_revision().await.map_err(failed)?;
        shared.versions.ask(&shared.clock).await;
        shared.request_timeout = options.request_timeout;
        let shared = Arc::new(shared);
        if let Some(interval) = options.compaction_interval {
            let compacting = Arc::clone(&shared);
            let compact = move |_| compactor::run(compacting, interval);
            options.tasks.spawn("store-compactor", OnFailure::FailScope, compact);
        }
        Ok(Etcd { shared })
    }

    /// One turn at the compaction that servers share; taken by itself every `compaction_interval`.
    pub async fn take_compaction_turn(&self) -> Result<(), Error> {
        compactor::take_turn(&self.shared).await
    }
}

impl Shared {
    async fn current_revision(&self) -> Result<Revision, Error> {
        let options = GetOptions::new().with_count_only();
        let answer = self.request(Effect::Read, || self.get_raw(&self.health_key, options.clone())).await?;
        Ok(revision(answer.header()))
    }

    async fn get_raw(&self, key: &str, options: GetOptions) -> Result<GetResponse, etcd_client::Error> {
        self.clients.kv.clone().get(key, Some(options)).await
    }

    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Fetched, Error> {
        let options = GetOptions::new().with_limit(1).with_revision(at.map_or(0, signed));
        let mut answer = self.request(Effect::Read, || self.get_raw(key, options.clone())).await;
        self.explain(&mut answer, at).await;
        let mut answer = answer?;
        let kv = answer.take_kvs().pop().and_then(key_value);
        Ok(Fetched { kv, revision: revision(answer.header()) })
    }

    async fn list(&self, read: &Read) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        if read.span.is_empty() {
            listing.revision = self.current_revision().await?;
            return Ok(listing);
        }
        let (mut at, mut span) = (read.at, read.span.clone());
        let wanted = if read.limit == 0 { usize::MAX } else { read.limit };
        loop {
            let page = PAGE.min(wanted - listing.kvs.len());
            let mut answer = self.range_page(&span, page, at, read.want).await?;
            let kvs = answer.take_kvs();
            let more = answer.more() && read.want != Want::Count;
            if at.is_none() || listing.revision == 0 {
                listing.count = usize::try_from(answer.count()).unwrap_or(0);
                listing.revision = revision(answer.header());
                at = at.or(Some(listing.revision));
            }
            if let Some(last) = kvs.last() {
                span = span.starting_after(&String::from_utf8_lossy(last.key()));
            } else if more {
                return Err(Error::Refused("it has more keys, but gives none".to_owned()));
            }
            listing.kvs.extend(kvs.into_iter().filter_map(key_value));
            listing.more = more;
            if !more || listing.kvs.len() >= wanted {
                return Ok(listing);
            }
        }
    }

    async fn range_page(
        &self,
        span: &Span,
        limit: usize,
        at: Option<Revision>,
        want: Want,
    ) -> Result<GetResponse, Error> {
        let (start, end) = bounds(span);
        let mut options = GetOptions::new().with_range(end).with_revision(at.map_or(0, signed));
        options = match want {
            Want::Values => options.with_limit(i64::try_from(limit).unwrap_or(0)),
            Want::Keys => options.with_limit(i64::try_from(limit).unwrap_or(0)).with_keys_only(),
            Want::Count => options.with_count_only(),
        };
        let get = || async {
            let (start, options) = (start.clone(), options.clone());
            self.clients.kv.clone().get(start, Some(options)).await
        };
        let mut answer = self.request(Effect::Read, get).await;
        self.explain(&mut answer, at).await;
        answer
    }

    /// etcd does not say which revisions it has; its errors are completed with what is known.
    async fn explain<T>(&self, answer: &mut Result<T, Error>, at: Option<Revision>) {
        match answer {
            Err(Error::Compacted { requested, compacted }) => {
                *requested = at.unwrap_or(0);
                *compacted = self.compacted.load(Ordering::Acquire).max(*compacted);
            }
            Err(Error::FutureRevision { requested, current }) => {
                *requested = at.unwrap_or(0);
                *current = self.current_revision().await.unwrap_or(0);
            }
            _ => {}
        }
    }

    async fn put(&self, put: Put) -> Result<Revision, WriteError> {
        let mut renewed = false;
        loop {
            let lease = match put.ttl {
                Some(ttl) => self.request(Effect::Read, || self.leases.lease(ttl)).await?,
                None => 0,
            };
            match self.put_with(&put, lease).await {
                // It ran out, or somebody revoked it.
                Err(WriteError::Failed(Error::Refused(reason)))
                    if lease != 0 && !renewed && reason.contains("requested lease not found") =>
                {
                    self.leases.forget(lease).await;
                    renewed = true;
                }
                result => return result,
            }
        }
    }

    async fn put_with(&self, put: &Put, lease: i64) -> Result<Revision, WriteError> {
        let options = PutOptions::new().with_lease(lease);
        let (key, value) = (put.key.as_bytes(), &put.value[..]);
        let expected = match put.expect {
            Expect::Any => {
                let send = || async { self.clients.kv.clone().put(key, value, Some(options.clone())).await };
                let answer = self.request(Effect::Write, send).await?;
                return Ok(revision(answer.header()));
            }
            Expect::Absent => 0,
            Expect::ModRevision(revision) => revision,
        };
        let operation = || TxnOp::put(key, value, Some(options.clone()));
        let answer = self.compare(&put.key, expected, operation).await?;
        if answer.succeeded() { Ok(revision(answer.header())) } else { Err(self.conflict(&answer)) }
    }

    async fn delete(&self, key: &Key, expect: Expect) -> Result<Deleted, WriteError> {
        let options = || Some(DeleteOptions::new().with_prev_key());
        let expected = match expect {
            Expect::Any => {
                let send = || async { self.clients.kv.clone().delete(key.as_bytes(), options()).await };
                let mut answer = self.request(Effect::Write, send).await?;
                let previous = answer.take_prev_kvs().pop().and_then(key_value);
                return Ok(Deleted { revision: revision(answer.header()), previous });
            }
            Expect::Absent => 0,
            Expect::ModRevision(revision) => revision,
        };
        // With nothing to delete, etcd does nothing and calls it a success.
        let operation = || TxnOp::delete(key.as_bytes(), options());
        let answer = self.compare(key, expected, operation).await?;
        if !answer.succeeded() {
            return Err(self.conflict(&answer));
        }
        let previous = answer.op_responses().into_iter().find_map(|operation| match operation {
            TxnOpResponse::Delete(mut deleted) => deleted.take_prev_kvs().pop(),
            _ => None,
        });
        Ok(Deleted { revision: revision(answer.header()), previous: previous.and_then(key_value) })
    }

    /// What kube-apiserver sends: the operation if the key is at that revision, and otherwise what is there.
    async fn compare(
        &self,
        key: &Key,
        expected: Revision,
        operation: impl Fn() -> TxnOp,
    ) -> Result<TxnResponse, Error> {
        let send = || async {
            let transaction = Txn::new()
                .when([Compare::mod_revision(key.as_bytes(), CompareOp::Equal, signed(expected))])
                .and_then([operation()])
                .or_else([TxnOp::get(key.as_bytes(), None)]);
            self.clients.kv.clone().txn(transaction).await
        };
        self.request(Effect::Write, send).await
    }

    fn conflict(&self, answer: &TxnResponse) -> WriteError {
        let current = answer.op_responses().into_iter().find_map(|operation| match operation {
            TxnOpResponse::Get(mut found) => found.take_kvs().pop(),
            _ => None,
        });
        WriteError::Conflict(Conflict { current: current.and_then(key_value), revision: revision(answer.header()) })
    }

    async fn compact(&self, at: Revision) -> Result<(), Error> {
        let send = || async { self.clients.kv.clone().compact(signed(at), None).await };
        let mut answer = self.request(Effect::Write, send).await;
        self.explain(&mut answer, Some(at)).await;
        answer?;
        self.compacted.fetch_max(at, Ordering::AcqRel);
        Ok(())
    }

    async fn status(&self) -> Result<Status, Error> {
        let revision = self.current_revision().await?;
        let send = || async { self.clients.maintenance.clone().status().await };
        let answer = self.request(Effect::Read, send).await?;
        let degraded = (!answer.errors().is_empty())
            .then(|| Degraded { reason: answer.errors().join("; "), restart_helps: false });
        Ok(Status { revision, size: u64::try_from(answer.db_size()).unwrap_or(0), degraded })
    }
}

/// The bounds of a span as etcd takes them.
fn bounds(span: &Span) -> (Vec<u8>, Vec<u8>) {
    let start = if span.start().is_empty() { vec![0] } else { span.start().as_bytes().to_vec() };
    // A zero byte is the end of all keys.
    let end = span.end().map_or_else(|| vec![0], |end| end.as_bytes().to_vec());
    (start, end)
}

/// None for a key that is not text: no API server wrote it, and none can name it.
fn key_value(kv: etcd_client::KeyValue) -> Option<KeyValue> {
    let (mod_revision, create_revision) = (unsigned(kv.mod_revision()), unsigned(kv.create_revision()));
    let leased = kv.lease() != 0;
    let (key, value) = kv.into_key_value();
    match String::from_utf8(key) {
        Ok(key) => Some(KeyValue { key: key.into(), value: Bytes::from(value), mod_revision, create_revision, leased }),
        Err(error) => {
            tracing::warn!(key = %error, "left out a key of etcd that is not text");
            None
        }
    }
}

fn revision(header: Option<&ResponseHeader>) -> Revision {
    header.map_or(0, |header| unsigned(header.revision()))
}

fn signed(revision: Revision) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn unsigned(revision: i64) -> Revision {
    Revision::try_from(revision).unwrap_or(0)
}

impl Store for Etcd {
    fn get<'a>(&'a self, key: &'a str, at: Option<Revision>) -> BoxFuture<'a, Result<Fetched, Error>> {
        self.shared.get(key, at).boxed()
    }

    fn range(&self, read: Read) -> BoxFuture<'_, Result<Listing, Error>> {
        async move { self.shared.list(&read).await }.boxed()
    }

    fn put(&self, put: Put) -> BoxFuture<'_, Result<Revision, WriteError>> {
        self.shared.put(put).boxed()
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<Deleted, WriteError>> {
        async move { self.shared.delete(&key, expect).await }.boxed()
    }

    fn watch(&self, span: Span, from: WatchFrom) -> BoxFuture<'_, Result<Watch, Error>> {
        async move {
            let after = match from.after {
                Some(after) if !self.shared.closed.is_cancelled() => after,
                Some(_) => return Err(Error::Closed),
                None => self.shared.current_revision().await?,
            };
            let watching = Watching::new(Arc::clone(&self.shared), span, after, from.previous);
            Ok(Watch::new(Box::new(watching), after))
        }
        .boxed()
    }

    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        self.shared.current_revision().boxed()
    }

    fn compacted_revision(&self) -> Revision {
        self.shared.compacted.load(Ordering::Acquire)
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>> {
        self.shared.compact(revision).boxed()
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, Error>> {
        self.shared.status().boxed()
    }

    fn encoding(&self) -> Encoding {
        Encoding::Protobuf
    }

    fn progress(&self) -> Progress {
        if self.shared.versions.all_answer_progress() { Progress::OnRequest } else { Progress::ByRangeOnly }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.shared.closed.cancel();
        futures::future::ready(Ok(())).boxed()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}

/// A request that had to be given up.
fn unavailable(reason: impl Into<String>, applied: Applied) -> Error {
    Error::Unavailable { reason: reason.into(), applied }
}
