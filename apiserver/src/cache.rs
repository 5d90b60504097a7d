//! The watch cache: all objects of a resource, and the window of its recent events.
//!
//! The objects are kept in an ordered map whose copies are cheap, so that a list reads a snapshot to its end while
//! writes go on. Events stand in one ring; a watcher is a cursor into it. Everything in here is fed by one task (see
//! `feed`), in the order of revisions: what the cache shows is the store at one moment, and that moment never goes back.

mod ring;
mod unreadable;
mod watcher;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use corten_api::status::Status;
use imbl::OrdMap;
use parking_lot::RwLock;
use smallvec::SmallVec;
use tokio::sync::Notify;

use ring::Ring;
pub use ring::{Event, EventKind, TooOld};
pub use unreadable::{Change, Reading, Unreadable, Unreadables};
use watcher::Watchers;
pub use watcher::{Scope, Stop, Watcher};

use crate::budget::Charge;
use crate::object::Object;

/// The objects of a resource by `namespace/name`, in the order of the store's keys.
pub type Objects = OrdMap<Arc<str>, Arc<Object>>;

/// A moment of a resource.
#[derive(Clone)]
pub struct Snapshot {
    pub objects: Objects,
    /// Keys that are there too, and whose objects cannot be shown.
    pub unreadable: Unreadables,
    pub revision: u64,
    /// For the objects that no cache holds.
    pub charge: Option<Arc<Charge>>,
}

/// Names one cache of this process, and the storage that it belongs to. No two ever have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheId(u64);

impl CacheId {
    pub fn new() -> CacheId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        CacheId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

pub struct Cache {
    id: CacheId,
    state: RwLock<State>,
    watchers: Watchers,
    /// The feed's progress: every event up to it has been applied, to whatever cache it belongs.
    applied: Arc<AtomicU64>,
    /// The field label by which watchers are told apart as by namespace: `spec.nodeName`.
    dispatch_field: Option<usize>,
    observer: OnceLock<Arc<dyn Observer>>,
    /// Notified when other objects than before cannot be shown.
    unreadable_changed: Arc<Notify>,
}

/// How far a cache's own count of its changes has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    fillings: u64,
    /// Since it was filled.
    events: u64,
}

/// Sees every change of a resource as it is applied: an index that must never be behind the cache.
pub trait Observer: Send + Sync {
    /// Everything anew.
    fn reset(&self, objects: &Objects);
    fn changed(&self, event: &Event);
}

struct State {
    objects: Objects,
    /// The same for the whole window of events: when it changes, the window begins anew.
    unreadable: Unreadables,
    /// How many there ever were.
    unreadable_total: u64,
    /// Of the last change, all of whose keys are in.
    revision: u64,
    ring: Ring,
    /// The revision of the last reading of the store that it was filled from, and how often it was.
    filled_at: u64,
    fillings: u64,
    /// Nobody feeds it any more: its resource is gone, or has another storage.
    retired: bool,
}

impl Cache {
    /// A cache that holds `objects`, which were read at `revision`.
    pub fn new(objects: Objects, revision: u64, applied: Arc<AtomicU64>, dispatch_field: Option<usize>) -> Cache {
        let ring = Ring::new(revision);
        let state = State {
            ring,
            objects,
            unreadable: Unreadables::new(),
            unreadable_total: 0,
            revision,
            filled_at: revision,
            fillings: 0,
            retired: false,
        };
        Cache {
            id: CacheId::new(),
            state: RwLock::new(state),
            watchers: Watchers::default(),
            applied,
            dispatch_field,
            observer: OnceLock::new(),
            unreadable_changed: Arc::default(),
        }
    }

    /// Notifies somebody when other objects than before cannot be shown.
    pub fn notifying(self, unreadable_changed: Arc<Notify>) -> Cache {
        Cache { unreadable_changed, ..self }
    }

    pub fn id(&self) -> CacheId {
        self.id
    }

    /// The place in an object's `fields` by whose value watchers are told apart, if there is one.
    pub fn dispatch_field(&self) -> Option<usize> {
        self.dispatch_field
    }

    /// Has somebody see every change from now on; one for each cache.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let state = self.state.read();
        observer.reset(&state.objects);
        let _ = self.observer.set(observer);
    }

    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.state.read().objects.get(key).cloned()
    }

    /// The same, with an error if the key is there and its object cannot be shown.
    pub fn find(&self, key: &str) -> Result<Option<Arc<Object>>, Status> {
        let state = self.state.read();
        match state.unreadable.get(key) {
            Some(unreadable) => Err(unreadable.status()),
            None => Ok(state.objects.get(key).cloned()),
        }
    }

    pub fn all_unreadable(&self) -> Unreadables {
        self.state.read().unreadable.clone()
    }

    /// How many objects could not be read since the cache was made.
    pub fn unreadable_total(&self) -> u64 {
        self.state.read().unreadable_total
    }

    pub fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events the window holds, and how many there ever were since the cache was filled.
    pub fn window(&self) -> usize {
        self.state.read().ring.len()
    }

    pub fn events_received(&self) -> u64 {
        self.state.read().ring.end()
    }

    /// Of the last change; a later one is greater.
    pub fn position(&self) -> Position {
        let state = self.state.read();
        Position { fillings: state.fillings, events: state.ring.end() }
    }

    pub fn fillings(&self) -> u64 {
        self.state.read().fillings
    }

    /// All objects at a revision that is at least the feed's progress when the call began.
    pub fn snapshot(&self) -> Snapshot {
        let applied = self.applied.load(Ordering::Acquire);
        self.state.read().snapshot(applied)
    }

    /// All objects as they were at a revision; None if that is forgotten here.
    pub fn snapshot_at(&self, revision: u64) -> Option<Snapshot> {
        let state = self.state.read();
        let objects = state.ring.objects_at(revision, &state.objects)?;
        Some(Snapshot { objects, unreadable: state.unreadable.clone(), revision, charge: None })
    }

    /// Every event after `revision` that a scope may care for.
    pub fn watch(self: &Arc<Self>, scope: Scope, revision: u64) -> Result<Watcher, TooOld> {
        let state = self.state.read();
        let cursor = state.ring.after(revision)?;
        Ok(self.watcher(&state, scope, cursor, revision))
    }

    /// A snapshot and every event after it.
    pub fn snapshot_and_watch(self: &Arc<Self>, scope: Scope) -> (Snapshot, Watcher) {
        let applied = self.applied.load(Ordering::Acquire);
        let state = self.state.read();
        (state.snapshot(applied), self.watcher(&state, scope, state.ring.end(), 0))
    }

    /// Registered under the lock of the state, so that whoever resets or retires the cache tells it or comes first.
    fn watcher(self: &Arc<Self>, state: &State, scope: Scope, cursor: u64, after: u64) -> Watcher {
        let registration = self.watchers.register(scope);
        if state.retired {
            registration.ring();
        }
        Watcher::new(Arc::clone(self), registration, cursor, after, state.fillings)
    }

    /// Everything up to this revision has been seen.
    pub fn progress(&self) -> u64 {
        let applied = self.applied.load(Ordering::Acquire);
        self.state.read().progress(applied)
    }

    /// Takes in all that one revision changes here: for each key what it became. Readers see all of it or nothing.
    pub fn apply<'k, C: Into<Change>>(&self, revision: u64, changes: impl IntoIterator<Item = (&'k str, C)>) {
        let mut events: SmallVec<[Arc<Event>; 1]> = SmallVec::new();
        {
            let mut state = self.state.write();
            for (key, change) in changes {
                let object = match change.into() {
                    Change::Object(object) => Some(object),
                    Change::Gone => None,
                    Change::Unreadable(unreadable) => {
                        self.set_unreadable(&mut state, key, Some(unreadable), revision);
                        continue;
                    }
                };
                if !state.unreadable.is_empty() && state.unreadable.contains_key(key) {
                    self.set_unreadable(&mut state, key, None, revision);
                }
                let Some(event) = state.change(key, object, revision) else { continue };
                if let Some(observer) = self.observer.get() {
                    observer.changed(&event);
                }
                events.push(event);
            }
        }
        for event in &events {
            self.watchers.wake(event, self.dispatch_field);
        }
    }

    /// Nothing comes any more: the resource is gone, or has another storage. Watches end when they have taken what is
    /// left. To be called while the feed applies nothing: what it does from now on is not seen here.
    pub fn retire(&self) {
        let mut state = self.state.write();
        state.revision = state.progress(self.applied.load(Ordering::Acquire));
        state.retired = true;
        self.watchers.wake_all();
    }

    #[cfg(test)]
    pub fn is_retired(&self) -> bool {
        self.state.read().retired
    }

    /// Starts over from a reading of the store. Watchers of before are told that they are too late.
    pub fn reset(&self, reading: impl Into<Reading>, revision: u64) {
        let Reading { objects, mut unreadable } = reading.into();
        let mut state = self.state.write();
        if !unreadable.is_empty() || !state.unreadable.is_empty() {
            let with_past = |(key, one): (&Arc<str>, &Unreadable)| (Arc::clone(key), state.with_past(key, one.clone()));
            unreadable = unreadable.iter().map(with_past).collect();
            self.unreadable_changed.notify_one();
        }
        state.unreadable_total += unreadable.len() as u64;
        (state.objects, state.unreadable, state.filled_at) = (objects, unreadable, revision);
        self.begin_anew(&mut state, revision);
    }

    /// The object of a key can be shown no longer, or again. Watchers end: what they would be sent next looks like a
    /// deletion, or follows something that they have not seen.
    fn set_unreadable(&self, state: &mut State, key: &str, unreadable: Option<Unreadable>, revision: u64) {
        if revision <= state.revision && state.knows(key, revision) {
            return;
        }
        match unreadable {
            Some(unreadable) => {
                let unreadable = state.with_past(key, unreadable);
                state.unreadable_total += 1;
                state.objects.remove(key);
                state.unreadable.insert(key.into(), unreadable);
            }
            None => drop(state.unreadable.remove(key)),
        }
        self.unreadable_changed.notify_one();
        self.begin_anew(state, revision.max(state.revision));
    }

    /// A new window of events, and a new beginning for whoever follows it.
    fn begin_anew(&self, state: &mut State, revision: u64) {
        if let Some(observer) = self.observer.get() {
            observer.reset(&state.objects);
        }
        (state.ring, state.revision) = (Ring::new(revision), revision);
        state.fillings += 1;
        self.watchers.wake_all();
    }
}

impl State {
    fn snapshot(&self, applied: u64) -> Snapshot {
        Snapshot {
            objects: self.objects.clone(),
            unreadable: self.unreadable.clone(),
            revision: self.progress(applied),
            charge: None,
        }
    }

    /// Up to which revision this is the store, if the feed had come to `applied` before it was looked at.
    fn progress(&self, applied: u64) -> u64 {
        if self.retired { self.revision } else { applied.max(self.revision) }
    }

    /// What cannot be read any more, with what is known of its past.
    fn with_past(&self, key: &str, unreadable: Unreadable) -> Unreadable {
        let was_read = self.objects.contains_key(key) || self.unreadable.get(key).is_some_and(|before| before.was_read);
        Unreadable { was_read, ..unreadable }
    }

    /// Makes one change; None if it is known already.
    fn change(&mut self, key: &str, object: Option<Arc<Object>>, revision: u64) -> Option<Arc<Event>> {
        if revision <= self.revision && self.knows(key, revision) {
            return None;
        }
        let mark = self.ring.wants_mark().then(|| self.objects.clone());
        let event = match object {
            Some(object) => {
                let previous = self.objects.insert(Arc::clone(&object.key), Arc::clone(&object));
                let kind = if previous.is_some() { EventKind::Modified } else { EventKind::Added };
                Event { revision, kind, object, previous }
            }
            None => {
                let previous = self.objects.remove(key)?;
                let object = Arc::new(previous.at_revision(revision));
                Event { revision, kind: EventKind::Deleted, object, previous: Some(previous) }
            }
        };
        self.revision = self.revision.max(revision);
        let event = Arc::new(event);
        self.ring.push(Arc::clone(&event), mark);
        Some(event)
    }

    /// Whether a change is in already: with what the store was read at, or because it is brought again.
    fn knows(&self, key: &str, revision: u64) -> bool {
        revision <= self.filled_at
            || self.objects.get(key).is_some_and(|object| object.revision >= revision)
            || self.unreadable.get(key).is_some_and(|unreadable| unreadable.revision >= revision)
    }
}

#[cfg(test)]
mod tests;
