//! From the store to the caches: one watch over everything, applied in the order of revisions.
//!
//! There is one feed in a process. It reads the store once, then follows it; each cache is a part of the same moment. A
//! writer's own draft comes along with its event, so that nobody decodes what this process has just encoded. When the
//! watch cannot be continued, the feed reads the store anew and starts the caches over, and their watchers are told.
//!
//! Storages come and go while it runs. One that comes is read by whoever adds it, while its events wait; one that is
//! replaced is fed beside its successor until nobody reads it any more. The lock of the routes is never held across a
//! wait for the store: every writer's answer waits for it.

mod filling;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corten_api::status::{Result, Status};
use corten_runtime::clock::Clock;
use corten_runtime::tasks::CancellationToken;
use corten_store::{
    Batch, Damage, Error, Event, Expect, KeyValue, Listing, Progress, Put, Read, Span, Store, Watch, WatchFrom,
};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::{Notify, watch};
use tracing::{error, info, warn};

use self::filling::Filling;
use crate::cache::{Cache, CacheId, Change, Objects, Reading, Unreadable, Unreadables};
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
    /// Held while a batch is applied.
    routes: Mutex<Routes>,
    applied: Arc<AtomicU64>,
    progress: watch::Sender<u64>,
    /// Keys of no storage that somebody follows, and the revisions at which they may have changed.
    followed: parking_lot::Mutex<Vec<(&'static str, watch::Sender<u64>)>>,
    /// Somebody waits for this revision.
    target: AtomicU64,
    wanted: Notify,
    /// Notified when other objects than before cannot be read.
    unreadable_changed: Arc<Notify>,
}

/// The storages by the prefix of their keys. Two share one while the second takes the place of the first.
type Routes = BTreeMap<Arc<str>, SmallVec<[Route; 1]>>;

type Storages = BTreeMap<Arc<str>, Vec<Arc<Storage>>>;

struct Route {
    storage: Arc<Storage>,
    /// Its events, while somebody reads what it held before them; None once it is filled.
    waiting: Option<Vec<Event>>,
    /// At which revision it was filled, if that was after the feed began to read the store anew.
    filled_meanwhile: Option<u64>,
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
            unreadable_changed: Arc::default(),
        }
    }

    /// An empty cache of this feed.
    pub fn cache(&self, dispatch_field: Option<usize>) -> Arc<Cache> {
        let applied = Arc::clone(&self.applied);
        let cache = Cache::new(Objects::new(), 0, applied, dispatch_field);
        Arc::new(cache.notifying(Arc::clone(&self.unreadable_changed)))
    }

    /// Returns when other objects than at the last call may be unreadable. For one task, which alone is told.
    pub async fn unreadable_changed(&self) {
        self.unreadable_changed.notified().await;
    }

    /// What cannot be read of each storage; of two that have the same prefix, of the newer one.
    pub fn unreadable(&self) -> Vec<(Arc<Storage>, Unreadables)> {
        let routes = self.routes.lock();
        // One that is not filled yet shows nothing, and will be told of.
        let filled = |routes: &SmallVec<[Route; 1]>| {
            let newest = routes.iter().rev().find(|route| route.waiting.is_none());
            newest.map(|route| Arc::clone(&route.storage))
        };
        let storages: Vec<_> = routes.values().filter_map(filled).collect();
        drop(routes);
        let with_unreadable = |storage: Arc<Storage>| {
            let unreadable = storage.cache.all_unreadable();
            (storage, unreadable)
        };
        storages.into_iter().map(with_unreadable).collect()
    }

    /// Fills the caches of `storages` and begins to watch behind what was read.
    pub async fn start(&self, storages: impl IntoIterator<Item = Arc<Storage>>) -> std::result::Result<Watch, Error> {
        for storage in storages {
            let route = Route { storage: Arc::clone(&storage), waiting: None, filled_meanwhile: None };
            self.routes.lock().entry(Arc::clone(&storage.prefix)).or_default().push(route);
        }
        // What is damaged at a start is for somebody to look at before anybody relies on the rest.
        self.read_all(Damage::Refuse).await
    }

    /// Adds a storage; returns when it is filled and fed. It takes nothing from another one of the same prefix.
    pub async fn add(&self, storage: Arc<Storage>) -> std::result::Result<(), Error> {
        let filling = Filling::begin(self, &storage);
        let read = Read::of(Span::prefix(Arc::clone(&storage.prefix))).report_damage();
        let listing = self.store.range(read).await?;
        let mut reading = ingested(&storage, &listing.kvs);
        listing.damaged.iter().for_each(|error| insert_damaged(&storage, error, &mut reading));
        filling.finish(reading, listing.revision);
        Ok(())
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

    /// Feeds a storage no longer, and ends its watches.
    pub fn remove(&self, storage: &Arc<Storage>) {
        let mut routes = self.routes.lock();
        if let Some(found) = routes.get_mut(&storage.prefix) {
            found.retain(|route| !Arc::ptr_eq(&route.storage, storage));
            if found.is_empty() {
                routes.remove(&storage.prefix);
            }
        }
        storage.cache.retire();
    }

    /// Reads the store and starts every cache over.
    async fn read_all(&self, damage: Damage) -> std::result::Result<Watch, Error> {
        let storages = self.storages_to_read();
        let listing = self.store.range(Read { damage, ..Read::of(Span::prefix(ROOT)) }).await?;
        let mut filled: HashMap<CacheId, Reading> = HashMap::new();
        for kv in &listing.kvs {
            for storage in found(&storages, &kv.key).into_iter().flatten() {
                insert(storage, kv, filled.entry(storage.cache.id()).or_default());
            }
        }
        for error in &listing.damaged {
            let Error::Damaged { key, .. } = error else { continue };
            for storage in found(&storages, key).into_iter().flatten() {
                insert_damaged(storage, error, filled.entry(storage.cache.id()).or_default());
            }
        }
        self.fill(&storages, &listing, filled);
        self.store.watch(Span::prefix(ROOT), WatchFrom::after(listing.revision)).await
    }

    /// Starts the caches over with what was read of them.
    fn fill(&self, storages: &Storages, listing: &Listing, mut filled: HashMap<CacheId, Reading>) {
        let mut routes = self.routes.lock();
        for route in routes.values_mut().flatten() {
            let storage = &route.storage;
            let read = storages.get(&storage.prefix).is_some_and(|all| all.iter().any(|one| Arc::ptr_eq(one, storage)));
            let reading = match read {
                true => filled.remove(&storage.cache.id()).unwrap_or_default(),
                // It came while the store was read.
                false => {
                    let kvs = listing.kvs.iter().filter(|kv| kv.key.starts_with(&*storage.prefix));
                    let mut reading = ingested(storage, kvs);
                    listing.damaged.iter().for_each(|error| insert_damaged(storage, error, &mut reading));
                    reading
                }
            };
            // Whoever filled it meanwhile may have read a later moment; what follows the earlier one comes again.
            if route.filled_meanwhile.is_none_or(|revision| revision < listing.revision) {
                storage.cache.reset(reading, listing.revision);
            }
            route.waiting = None;
        }
        self.advance(listing.revision);
        self.tell_followers(listing.revision, |_| true);
    }

    fn storages_to_read(&self) -> Storages {
        let mut storages = BTreeMap::new();
        for (prefix, routes) in self.routes.lock().iter_mut() {
            routes.iter_mut().for_each(|route| route.filled_meanwhile = None);
            storages.insert(Arc::clone(prefix), routes.iter().map(|route| Arc::clone(&route.storage)).collect());
        }
        storages
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
                Ok(batch) => self.apply(&batch),
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
            match self.read_all(Damage::Report).await {
                Ok(watch) => {
                    info!("the store is read");
                    return Some(watch);
                }
                Err(error) => warn!(%error, "the store cannot be read"),
            }
            tokio::select! {
                () = self.clock.sleep(Duration::from_secs(1)) => {}
                () = token.cancelled() => return None,
            }
        }
    }

    /// Applies the changes of each revision together, so that no reader sees a part of them.
    fn apply(&self, batch: &Batch) {
        let mut routes = self.routes.lock();
        wakes::together(|| {
            for events in batch.events.chunk_by(|one, next| one.mod_revision == next.mod_revision) {
                apply_revision(&mut routes, events);
                self.tell_followers(events[0].mod_revision, |key| events.iter().any(|event| *event.key == *key));
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

/// What stands under the prefix of a key.
fn found<'r, T>(routes: &'r BTreeMap<Arc<str>, T>, key: &str) -> Option<&'r T> {
    prefix_of(routes, key).map(|(_, found)| found)
}

fn prefix_of<'r, T>(routes: &'r BTreeMap<Arc<str>, T>, key: &str) -> Option<(&'r Arc<str>, &'r T)> {
    let upto = routes.range::<str, _>((Bound::Unbounded, Bound::Included(key)));
    upto.rev().take(NEAR).find(|(prefix, _)| key.starts_with(&***prefix))
}

/// Between a key and its prefix another prefix may sort, but only a longer one: how many are looked at.
const NEAR: usize = 5;

/// Applies the changes that one revision made.
fn apply_revision(routes: &mut Routes, events: &[Event]) {
    if let [event] = events {
        let upto = routes.range_mut::<str, _>((Bound::Unbounded, Bound::Included(&*event.key)));
        let mut near = upto.rev().take(NEAR);
        let found = near.find(|(prefix, _)| event.key.starts_with(&***prefix));
        return found.into_iter().flat_map(|(_, routes)| routes).for_each(|route| route.take(&[event]));
    }
    let mut of_prefix: BTreeMap<Arc<str>, Vec<&Event>> = BTreeMap::new();
    for event in events {
        if let Some((prefix, _)) = prefix_of(routes, &event.key) {
            of_prefix.entry(Arc::clone(prefix)).or_default().push(event);
        }
    }
    for (prefix, events) in of_prefix {
        routes.get_mut(&prefix).into_iter().flatten().for_each(|route| route.take(&events));
    }
}

impl Route {
    /// Takes what one revision changes of it.
    fn take(&mut self, events: &[&Event]) {
        match (&mut self.waiting, events) {
            (Some(waiting), _) => waiting.extend(events.iter().map(|event| (*event).clone())),
            (None, [event]) => self.storage.cache.apply(event.mod_revision, [change_of(&self.storage, event)]),
            (None, events) => {
                let changes: Vec<_> = events.iter().map(|event| change_of(&self.storage, event)).collect();
                self.storage.cache.apply(events.first().map_or(0, |event| event.mod_revision), changes);
            }
        }
    }
}

/// A key and what stands there now.
fn change_of<'e>(storage: &Storage, event: &'e Event) -> (&'e str, Change) {
    let key = &event.key[storage.prefix.len()..];
    let Some(value) = &event.value else { return (key, Change::Gone) };
    let companion = event.companion.clone().and_then(|companion| companion.downcast::<Draft>().ok());
    // A draft of the storage before this one, or of another server in this process, may be of another version.
    if let Some(draft) = companion.filter(|draft| draft.of == storage.cache.id()) {
        return (key, Change::Object(draft.object(event.mod_revision)));
    }
    match storage.ingest(key, value) {
        Ok(draft) => (key, Change::Object(draft.object(event.mod_revision))),
        // It is not shown as it was before, nor as if it were gone.
        Err(status) => (key, Change::Unreadable(unreadable(&event.key, event.mod_revision, status.message()))),
    }
}

fn ingested<'k>(storage: &Storage, kvs: impl IntoIterator<Item = &'k KeyValue>) -> Reading {
    let mut reading = Reading::default();
    kvs.into_iter().for_each(|kv| insert(storage, kv, &mut reading));
    reading
}

fn insert(storage: &Storage, kv: &KeyValue, reading: &mut Reading) {
    let key = &kv.key[storage.prefix.len()..];
    match storage.ingest(key, &kv.value) {
        Ok(draft) => {
            let object = draft.object(kv.mod_revision);
            reading.objects.insert(Arc::clone(&object.key), object);
        }
        Err(status) => {
            reading.unreadable.insert(key.into(), unreadable(&kv.key, kv.mod_revision, status.message()));
        }
    }
}

/// Takes in what the store found damaged, if it is of this storage.
fn insert_damaged(storage: &Storage, error: &Error, reading: &mut Reading) {
    let Error::Damaged { key, revision, .. } = error else { return };
    if let Some(name) = key.strip_prefix(&*storage.prefix) {
        reading.unreadable.insert(name.into(), unreadable(key, *revision, &error.to_string()));
    }
}

fn unreadable(key: &Arc<str>, revision: u64, reason: &str) -> Unreadable {
    error!(%key, revision, reason, "a stored object cannot be read");
    Unreadable::new(Arc::clone(key), revision, reason)
}
