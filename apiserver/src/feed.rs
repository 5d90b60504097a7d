//! From the store to the caches: one watch over everything, applied in the order of revisions.
//!
//! There is one feed in a process. It reads the store once, then follows it; each cache is a part of the same moment. A
//! writer's own draft comes along with its event, so that nobody decodes what this process has just encoded. When the
//! watch cannot be continued, the feed reads the store anew and starts the caches over, and their watchers are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corten_api::status::{Result, Status};
use corten_runtime::clock::Clock;
use corten_runtime::tasks::CancellationToken;
use corten_store::{Batch, Error, Event, Expect, Progress, Put, Read, Span, Store, Watch, WatchFrom};
use tokio::sync::{Mutex, Notify, watch};
use tracing::{error, info, warn};

use crate::cache::{Cache, Objects};
use crate::object::Draft;
use crate::resource::Storage;
use crate::wakes;

/// Where everything is kept.
pub const ROOT: &str = "/registry/";
/// Written only so that the watch of everything sees something new. No group of resources is named so, without a dot.
const NUDGE: &str = "/registry/corten/progress";
/// How long an event may be on its way before it is helped.
const PATIENCE: Duration = Duration::from_millis(100);

pub struct Feed {
    store: Arc<dyn Store>,
    clock: Clock,
    /// By prefix of the key. Held while a batch is applied, so that a new storage begins at a whole revision.
    routes: Mutex<BTreeMap<Arc<str>, Arc<Storage>>>,
    applied: Arc<AtomicU64>,
    progress: watch::Sender<u64>,
    /// Keys of no storage that somebody follows, and the revisions at which they may have changed.
    followed: parking_lot::Mutex<Vec<(&'static str, watch::Sender<u64>)>>,
    /// Somebody waits for this revision.
    target: AtomicU64,
    wanted: Notify,
}

impl Feed {
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Feed {
        Feed {
            store,
            clock,
            routes: Mutex::default(),
            applied: Arc::default(),
            progress: watch::Sender::new(0),
            followed: parking_lot::Mutex::default(),
            target: AtomicU64::new(0),
            wanted: Notify::new(),
        }
    }

    /// An empty cache of this feed.
    pub fn cache(&self, dispatch_field: Option<usize>) -> Arc<Cache> {
        let applied = Arc::clone(&self.applied);
        Arc::new(Cache::new(Objects::new(), 0, applied, dispatch_field))
    }

    /// Fills the caches of `storages` and begins to watch behind what was read.
    pub async fn start(&self, storages: impl IntoIterator<Item = Arc<Storage>>) -> std::result::Result<Watch, Error> {
        let mut routes = self.routes.lock().await;
        routes.extend(storages.into_iter().map(|storage| (Arc::clone(&storage.prefix), storage)));
        self.read_all(&routes).await
    }

    /// Adds a storage, filled with what the store held at the feed's own moment.
    pub async fn add(&self, storage: Arc<Storage>) -> std::result::Result<(), Error> {
        let mut routes = self.routes.lock().await;
        let revision = self.applied.load(Ordering::Acquire);
        let listing = self.store.range(Read::of(Span::prefix(Arc::clone(&storage.prefix))).at(revision)).await?;
        let mut objects = Objects::new();
        for kv in &listing.kvs {
            insert(&storage, &kv.key, &kv.value, kv.mod_revision, &mut objects);
        }
        storage.cache.reset(objects, revision);
        routes.insert(Arc::clone(&storage.prefix), storage);
        Ok(())
    }

    pub async fn remove(&self, prefix: &str) {
        if let Some(storage) = self.routes.lock().await.remove(prefix) {
            storage.cache.close();
        }
    }

    /// Tells of changes of a key below the root that is no object's.
    pub fn follow(&self, key: &'static str) -> watch::Receiver<u64> {
        let mut followed = self.followed.lock();
        if let Some((_, changes)) = followed.iter().find(|(known, _)| *known == key) {
            return changes.subscribe();
        }
        let (changes, receiver) = watch::channel(0);
        followed.push((key, changes));
        receiver
    }

    fn tell_followers(&self, revision: u64, changed: impl Fn(&str) -> bool) {
        for (key, changes) in self.followed.lock().iter() {
            if changed(key) {
                changes.send_replace(revision);
            }
        }
    }

    async fn read_all(&self, routes: &BTreeMap<Arc<str>, Arc<Storage>>) -> std::result::Result<Watch, Error> {
        let listing = self.store.range(Read::of(Span::prefix(ROOT))).await?;
        let mut filled: BTreeMap<&str, Objects> = BTreeMap::new();
        for kv in &listing.kvs {
            if let Some(storage) = route(routes, &kv.key) {
                let objects = filled.entry(&storage.prefix).or_default();
                insert(storage, &kv.key, &kv.value, kv.mod_revision, objects);
            }
        }
        for (prefix, storage) in routes {
            storage.cache.reset(filled.remove(&**prefix).unwrap_or_default(), listing.revision);
        }
        self.advance(listing.revision);
        self.tell_followers(listing.revision, |_| true);
        self.store.watch(Span::prefix(ROOT), WatchFrom::after(listing.revision)).await
    }

    /// Follows the store until told to stop.
    pub async fn run(self: Arc<Self>, mut watch: Watch, token: CancellationToken) -> std::result::Result<(), Error> {
        loop {
            let next = tokio::select! {
                next = watch.next() => next,
                () = self.wanted.notified() => {
                    watch.request_progress(self.target.load(Ordering::Acquire));
                    continue;
                }
                () = token.cancelled() => return Ok(()),
            };
            match next {
                Ok(batch) => self.apply(batch).await,
                Err(Error::Closed) => return Ok(()),
                Err(error) => {
                    warn!(%error, "the watch of the store broke; reading it anew");
                    watch = match self.read_again(&token).await {
                        Some(watch) => watch,
                        None => return Ok(()),
                    };
                }
            }
        }
    }

    async fn read_again(&self, token: &CancellationToken) -> Option<Watch> {
        loop {
            let routes = self.routes.lock().await;
            match self.read_all(&routes).await {
                Ok(watch) => {
                    info!("the store is read");
                    return Some(watch);
                }
                Err(error) => warn!(%error, "the store cannot be read"),
            }
            drop(routes);
            tokio::select! {
                () = self.clock.sleep(Duration::from_secs(1)) => {}
                () = token.cancelled() => return None,
            }
        }
    }

    async fn apply(&self, batch: Batch) {
        let routes = self.routes.lock().await;
        wakes::together(|| {
            for event in &batch.events {
                match route(&routes, &event.key) {
                    Some(storage) => apply_event(storage, event),
                    None => self.tell_followers(event.mod_revision, |key| *key == *event.key),
                }
            }
            self.advance(batch.revision);
        });
    }

    fn advance(&self, revision: u64) {
        self.applied.fetch_max(revision, Ordering::AcqRel);
        self.progress.send_if_modified(|known| {
            let newer = revision > *known;
            *known = revision.max(*known);
            newer
        });
    }

    pub fn progress(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Returns when the caches show at least this revision.
    pub async fn wait_for(&self, revision: u64) -> Result<()> {
        if self.progress() >= revision {
            return Ok(());
        }
        self.target.fetch_max(revision, Ordering::AcqRel);
        self.wanted.notify_one();
        if self.store.progress() == Progress::ByRangeOnly
            && !self.comes_to(revision, PATIENCE).await
            && self.store.current_revision().await.is_ok_and(|current| current >= revision)
        {
            // Its last change may lie outside of what is watched, and it cannot be asked how far the watch has come.
            let put = Put::new(NUDGE, Vec::new(), Expect::Any);
            self.store.put(put).await.map_err(|error| Status::internal(format!("{error:?}")))?;
        }
        match self.comes_to(revision, Duration::from_secs(3)).await {
            true => Ok(()),
            false => Err(Status::resource_version_too_large(revision, self.progress(), 1)),
        }
    }

    async fn comes_to(&self, revision: u64, within: Duration) -> bool {
        let mut progress = self.progress.subscribe();
        let waited = self.clock.timeout(within, progress.wait_for(|known| *known >= revision)).await;
        matches!(waited, Ok(Ok(_)))
    }
}

/// The storage under whose prefix a key stands.
fn route<'r>(routes: &'r BTreeMap<Arc<str>, Arc<Storage>>, key: &str) -> Option<&'r Arc<Storage>> {
    let upto = || routes.range::<str, _>((std::ops::Bound::Unbounded, std::ops::Bound::Included(key)));
    let (prefix, storage) = upto().next_back()?;
    if key.starts_with(&**prefix) {
        return Some(storage);
    }
    // Between a key and its prefix another prefix may sort only if that one is longer; look at the shorter ones.
    upto().rev().skip(1).take(4).find(|(prefix, _)| key.starts_with(&***prefix)).map(|(_, storage)| storage)
}

fn apply_event(storage: &Storage, event: &Event) {
    let key = &event.key[storage.prefix.len()..];
    let Some(value) = &event.value else {
        return storage.cache.apply(key, None, event.mod_revision);
    };
    let companion = event.companion.clone().and_then(|companion| companion.downcast::<Draft>().ok());
    let object = match companion {
        Some(draft) => draft.object(event.mod_revision),
        None => match storage.ingest(key, value) {
            Ok(draft) => draft.object(event.mod_revision),
            Err(status) => {
                // What nobody can read any more is not shown as it was before.
                error!(key = %event.key, "{}", status.message());
                return storage.cache.apply(key, None, event.mod_revision);
            }
        },
    };
    storage.cache.apply(key, Some(object), event.mod_revision);
}

fn insert(storage: &Storage, key: &str, value: &bytes::Bytes, revision: u64, objects: &mut Objects) {
    match storage.ingest(&key[storage.prefix.len()..], value) {
        Ok(draft) => {
            let object = draft.object(revision);
            objects.insert(Arc::clone(&object.key), object);
        }
        Err(status) => error!(%key, "{}", status.message()),
    }
}
