//! The engine in one folder of this machine, for one process.
//!
//! `state` has the rules and what is known in memory, `commit` the thread that makes changes durable, in the `journal`
//! first and in the tables (`disk`) later, `feed` and `source` the two ends of a watch, `timers` what happens by itself,
//! `folder` who may use the folder. Values are in memory only until the tables have them, and as long as a watcher has
//! not taken them; keys and the revisions of their versions always are. What is on the disk has checksums that are
//! verified whenever it is read; `opening` has how the files of a folder belong together, `care` what
//! can be done when they do not, with what `salvage` reads.
//!
//! Locks are taken in the order: `state`, a feed's inbox; the disk's own locks may be taken under `state` for reading.
//! Nobody holds `state` while it writes.

pub mod care;
mod commit;
mod disk;
mod feed;
mod folder;
mod history;
mod identity;
mod journal;
mod mark;
pub mod medium;
mod opening;
mod overlay;
mod record;
mod salvage;
mod source;
mod state;
mod timers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use self::disk::{Disk, ReadError, Reader};
use self::folder::Folder;
use self::history::Version;
use self::journal::Journal;
use self::medium::{FileMedium, Medium};
use self::opening::{Opened, Permission};
use self::record::Record;
use self::source::Source;
use self::state::{Change, Mode, Offer, State};
use crate::error::{Conflict, Error, OpenError, WriteError};
use crate::span::Span;
use crate::store::{
    Damage, Degraded, Deleted, Durability, Encoding, Expect, Fetched, Key, KeyValue, Listing, Progress, Put, Read,
    Revision, Status, Store, Want, WatchFrom,
};
use crate::watch::Watch;
use corten_runtime::random::Random;
use corten_runtime::{Clock, OnFailure, Scope};

/// Values read before others get their turn.
const VALUES_AT_ONCE: usize = 64;

#[derive(Clone)]
pub struct Options {
    /// Who owns the store's thread and its task. Cancelling it closes the store. It also has the clock.
    pub tasks: Scope,
    /// How long a lazy write may wait for the disk.
    pub lazy_delay: Duration,
    /// How often old versions are forgotten, and for how long they are remembered at least. None is never.
    pub compaction_interval: Option<Duration>,
    /// Memory for pages of the database.
    pub cache_bytes: usize,
    /// For the identity of a new store.
    pub random: Random,
}

impl Options {
    pub fn new(tasks: Scope) -> Options {
        Options {
            tasks,
            lazy_delay: Duration::from_secs(2),
            compaction_interval: Some(Duration::from_secs(300)),
            cache_bytes: 16 << 20,
            random: Random::system(),
        }
    }
}

/// The embedded engine. Dropping it without a close is a close that nobody waits for.
pub struct Embedded {
    shared: Arc<Shared>,
    /// Has the outcome once the folder is given back.
    closed: watch::Receiver<Option<Result<(), Error>>>,
}

struct Shared {
    state: Mutex<State>,
    /// Rung when there is work for the commit thread.
    work: Condvar,
    /// Rung when it has done all of it.
    idle: Condvar,
    disk: Disk,
    /// `State::visible`, to be read without the lock.
    visible: AtomicU64,
    clock: Clock,
    lazy_delay: Duration,
    compaction_interval: Option<Duration>,
    /// Rung when the next moment may have come nearer.
    timers: Notify,
}

impl Embedded {
    /// Opens or makes the store in `folder`. To be called in a tokio runtime.
    pub fn open(folder: impl Into<PathBuf>, options: Options) -> Result<Embedded, OpenError> {
        let path = folder.into();
        let folder = Folder::open(&path)?;
        let medium = Arc::new(FileMedium::new(&path, folder.permission().create || folder.permission().convert));
        let damaged = |error: Error| match error {
            Error::Corrupt(reason) => OpenError::Corrupt { folder: path.clone(), reason },
            error => OpenError::Io {
                action: "open the store in",
                path: path.clone(),
                source: std::io::Error::other(error.to_string()),
            },
        };
        let opened = opening::open(
            Arc::clone(&medium) as Arc<dyn Medium>,
            folder.permission(),
            options.cache_bytes,
            &options.random,
        )
        .map_err(damaged)?;
        folder.complete(opened.seal.identity)?;
        medium.stop_making();
        Embedded::start(Shared::new(opened, &options), Some(folder), &options.tasks).map_err(damaged)
    }

    /// The same on any medium, which has to be nobody else's.
    pub fn open_on(medium: Arc<dyn Medium>, options: Options) -> Result<Embedded, Error> {
        let permission = Permission { create: true, convert: true, identity: None };
        let opened = opening::open(medium, permission, options.cache_bytes, &options.random)?;
        Embedded::start(Shared::new(opened, &options), None, &options.tasks)
    }

    fn start((shared, journal): (Shared, Journal), folder: Option<Folder>, tasks: &Scope) -> Result<Embedded, Error> {
        let shared = Arc::new(shared);
        let (sender, closed) = watch::channel(None);
        let committing = Arc::clone(&shared);
        tasks.spawn_blocking("store-commit", OnFailure::FailScope, move |_| {
            let outcome = commit::run(&committing, journal);
            drop(folder);
            sender.send_replace(Some(outcome));
        });
        if closed.has_changed().is_err() {
            return Err(Error::Refused("its thread could not be started".to_owned()));
        }
        let timing = Arc::clone(&shared);
        tasks.spawn("store-timers", OnFailure::FailScope, |token| timers::run(timing, token));
        Ok(Embedded { shared, closed })
    }

    /// How many watches are running.
    pub fn watches(&self) -> usize {
        self.shared.state.lock().feeds.len()
    }

    /// Blocks until the commit thread has nothing to do, or is told to end; says how many batches it has written. So
    /// a test whose time stands still finds the same each time it runs.
    #[cfg(feature = "simulation")]
    pub fn rest(&self) -> u64 {
        let mut state = self.shared.state.lock();
        while !state.closing && (!state.idle || state.has_work()) {
            self.shared.idle.wait(&mut state);
        }
        state.batches
    }

    async fn put_one(&self, put: Put) -> Result<Revision, WriteError> {
        let expires = put.ttl.map_or(0, |ttl| {
            let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let expires = timers::milliseconds(&self.shared.clock).saturating_add(ttl);
            // Whole seconds, so that what is put at about the same time goes at once.
            expires.checked_next_multiple_of(1000).unwrap_or(expires).max(1)
        });
        let Put { key, value, expect, durability, companion, .. } = put;
        let value_sum = crc32fast::hash(&value);
        let change = Change { key, expect, durability, value: Some(value), value_sum, expires, companion };
        let record = self.change(change).await?;
        Ok(record.map_or(0, |record| record.revision()))
    }

    async fn delete_one(&self, key: Key, expect: Expect) -> Result<Deleted, WriteError> {
        let durability = Durability::Durable;
        let change = Change { key, expect, durability, value: None, value_sum: 0, expires: 0, companion: None };
        let Some(record) = self.change(change).await? else {
            return Ok(Deleted { revision: self.shared.visible(), previous: None });
        };
        // What it deleted is history now; it is there unless a compaction or a close has been very quick.
        let before = record.revision() - 1;
        let fetched = match self.shared.get(&record.key, Some(before)) {
            Err(Error::Compacted { .. } | Error::Closed) => None,
            fetched => fetched?.kv,
        };
        Ok(Deleted { revision: record.revision(), previous: fetched })
    }

    /// The change once it is visible; none if there was nothing to delete.
    async fn change(&self, mut change: Change) -> Result<Option<Arc<Record>>, WriteError> {
        let key = change.key.clone();
        loop {
            let (offer, revision) = self.shared.change(|state| {
                let offer = state.offer(change)?;
                match &offer {
                    Offer::Done(_) => self.shared.arm_flush(state),
                    Offer::InFlight(..) => {
                        self.shared.work.notify_one();
                    }
                    Offer::Parked(..) | Offer::Conflict | Offer::Nothing => return Ok((offer, state.visible)),
                }
                self.shared.arm_compaction(state);
                Ok::<_, Error>((offer, state.visible))
            })?;
            match offer {
                Offer::Done(record) => return Ok(Some(record)),
                Offer::InFlight(record, answer) => {
                    answer.await.unwrap_or(Err(Error::Closed))?;
                    return Ok(Some(record));
                }
                Offer::Parked(resolved, again) => {
                    // An error says the same as an answer: that there is something new.
                    let _ = resolved.await;
                    change = again;
                }
                Offer::Conflict => {
                    let current = self.shared.get(&key, None)?;
                    let revision = current.revision.max(revision);
                    return Err(WriteError::Conflict(Conflict { current: current.kv, revision }));
                }
                Offer::Nothing => return Ok(None),
            }
        }
    }

    async fn list(&self, read: Read) -> Result<Listing, Error> {
        for _ in 0..3 {
            match self.shared.list(&read).await {
                Err(ReadError::Stale(opening)) => self.shared.disk.reopen(opening)?,
                result => return result.map_err(ReadError::into_error),
            }
        }
        Err(ReadError::Stale(0).into_error())
    }
}

impl Shared {
    fn new(opened: Opened, options: &Options) -> (Shared, Journal) {
        let Opened { disk, seal, rows, journal, waiting } = opened;
        let state = State::new(rows, seal.marks, waiting);
        let shared = Shared {
            visible: AtomicU64::new(state.visible),
            state: Mutex::new(state),
            work: Condvar::new(),
            idle: Condvar::new(),
            disk,
            clock: options.tasks.clock().clone(),
            lazy_delay: options.lazy_delay,
            compaction_interval: options.compaction_interval,
            timers: Notify::new(),
        };
        shared.change(|state| shared.arm_flush(state));
        (shared, journal)
    }

    fn visible(&self) -> Revision {
        self.visible.load(Ordering::Acquire)
    }

    /// Changes the state, and wakes whom that concerns once the lock is given back.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, wakers, sooner) = {
            let mut state = self.state.lock();
            let result = change(&mut state);
            self.visible.store(state.visible, Ordering::Release);
            (result, std::mem::take(&mut state.wakers), std::mem::take(&mut state.expires_sooner))
        };
        if sooner {
            self.timers.notify_one();
        }
        wakers.into_iter().for_each(std::task::Waker::wake);
        result
    }

    fn get(&self, key: &str, at: Option<Revision>) -> Result<Fetched, Error> {
        for _ in 0..3 {
            match self.get_once(key, at) {
                Err(ReadError::Stale(opening)) => self.disk.reopen(opening)?,
                result => return result.map_err(ReadError::into_error),
            }
        }
        Err(ReadError::Stale(0).into_error())
    }

    fn get_once(&self, key: &str, at: Option<Revision>) -> Result<Fetched, ReadError> {
        let (found, revision, reader) = {
            let state = self.state.lock();
            check_readable(&state, at).map_err(ReadError::Failed)?;
            let found = state.index.at(key, at).map(|version| Found::new(&state, Key::from(key), version));
            let on_disk = found.as_ref().is_some_and(|found| found.value.is_none());
            (found, state.visible, if on_disk { Some(self.disk.reader()?) } else { None })
        };
        let kv = found.map(|found| found.read(reader.as_ref())).transpose()?;
        Ok(Fetched { kv, revision })
    }

    async fn list(&self, read: &Read) -> Result<Listing, ReadError> {
        let limit = if read.limit == 0 { usize::MAX } else { read.limit };
        let mut listing = Listing::default();
        let (found, reader) = {
            let state = self.state.lock();
            check_readable(&state, read.at).map_err(ReadError::Failed)?;
            listing.revision = state.visible;
            let mut found = Vec::new();
            for (key, history) in state.index.of(&read.span) {
                let Some(version) = history.at(read.at) else { continue };
                listing.count += 1;
                if listing.count <= limit && read.want != Want::Count {
                    found.push(Found::new(&state, key.clone(), version));
                }
            }
            // Taken under the lock, it has every value that was found and is not in memory.
            let reader = if read.want == Want::Values && !found.is_empty() { Some(self.disk.reader()?) } else { None };
            (found, reader)
        };
        listing.more = read.want != Want::Count && found.len() < listing.count;
        listing.kvs.reserve_exact(found.len());
        for (at, mut found) in found.into_iter().enumerate() {
            if at % VALUES_AT_ONCE == VALUES_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            if read.want == Want::Keys {
                found.value = Some(Bytes::new());
            }
            match found.read(reader.as_ref()) {
                Ok(kv) => listing.kvs.push(kv),
                Err(ReadError::Failed(error @ Error::Damaged { .. })) if read.damage == Damage::Report => {
                    listing.damaged.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    fn close(&self) {
        self.change(|state| {
            state.closing = true;
        });
        self.work.notify_one();
        self.timers.notify_one();
    }
}

fn check_readable(state: &State, at: Option<Revision>) -> Result<(), Error> {
    if state.closing {
        return Err(Error::Closed);
    }
    match at {
        Some(requested) if requested > state.visible => {
            Err(Error::FutureRevision { requested, current: state.visible })
        }
        Some(requested) => state.check_known(requested),
        None => Ok(()),
    }
}

/// A version to be read.
struct Found {
    key: Key,
    version: Version,
    /// Where it is not on the disk yet.
    value: Option<Bytes>,
}

impl Found {
    fn new(state: &State, key: Key, version: Version) -> Found {
        let value = state.unsaved(version.revision).and_then(|record| record.value.clone());
        Found { key, version, value }
    }

    fn read(self, reader: Option<&Reader>) -> Result<KeyValue, ReadError> {
        let Version { revision, create_revision, expires, .. } = self.version;
        let read = match (self.value, reader) {
            (Some(value), _) => Some(value),
            (None, Some(reader)) => reader.value(&self.key, self.version)?,
            (None, None) => None,
        };
        let lost = || Error::Damaged { key: self.key.clone(), revision, reason: "it is missing".to_owned() };
        let value = read.ok_or_else(|| ReadError::Failed(lost()))?;
        Ok(KeyValue { key: self.key, value, mod_revision: revision, create_revision, leased: expires != 0 })
    }
}

impl Store for Embedded {
    fn get<'a>(&'a self, key: &'a str, at: Option<Revision>) -> BoxFuture<'a, Result<Fetched, Error>> {
        async move { self.shared.get(key, at) }.boxed()
    }

    fn range(&self, read: Read) -> BoxFuture<'_, Result<Listing, Error>> {
        self.list(read).boxed()
    }

    fn put(&self, put: Put) -> BoxFuture<'_, Result<Revision, WriteError>> {
        self.put_one(put).boxed()
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<Deleted, WriteError>> {
        self.delete_one(key, expect).boxed()
    }

    fn watch(&self, span: Span, from: WatchFrom) -> BoxFuture<'_, Result<Watch, Error>> {
        async move {
            let source = Source::new(Arc::clone(&self.shared), span, from.after, from.previous)?;
            let start = source.start();
            Ok(Watch::new(Box::new(source), start))
        }
        .boxed()
    }

    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        async move {
            let state = self.shared.state.lock();
            check_readable(&state, None)?;
            Ok(state.visible)
        }
        .boxed()
    }

    fn compacted_revision(&self) -> Revision {
        self.shared.state.lock().marks.compacted
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let saved = self.shared.change(|state| {
                check_readable(state, None)?;
                state.compact(revision)?;
                Ok::<_, Error>(state.barrier())
            })?;
            self.shared.work.notify_one();
            saved.await.unwrap_or(Err(Error::Closed))
        }
        .boxed()
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, Error>> {
        async move {
            let (revision, degraded) = {
                let state = self.shared.state.lock();
                check_readable(&state, None)?;
                let degraded = match &state.mode {
                    Mode::Writing => self
                        .shared
                        .disk
                        .medium()
                        .is_in_place()
                        .err()
                        .map(|reason| Degraded { reason, restart_helps: false }),
                    Mode::Stuck(reason) => Some(Degraded { reason: reason.clone(), restart_helps: false }),
                    Mode::Broken(reason) => Some(Degraded { reason: reason.clone(), restart_helps: true }),
                };
                (state.visible, degraded)
            };
            let size =
                if degraded.is_some() { self.shared.disk.size().unwrap_or(0) } else { self.shared.disk.size()? };
            Ok(Status { revision, size, degraded })
        }
        .boxed()
    }

    fn encoding(&self) -> Encoding {
        Encoding::Json
    }

    fn progress(&self) -> Progress {
        Progress::OnRequest
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.shared.close();
            let mut closed = self.closed.clone();
            match closed.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(outcome)) => outcome.clone(),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.close();
    }
}
