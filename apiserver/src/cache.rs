//! The watch cache: all objects of a resource, and the window of its recent events.
//!
//! The objects are kept in an ordered map whose copies are cheap, so that a list reads a snapshot to its end while
//! writes go on. Events stand in one ring; a watcher is a cursor into it. Everything in here is fed by one task (see
//! `feed`), in the order of revisions: what the cache shows is the store at one moment, and that moment never goes back.

mod ring;
mod watcher;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use imbl::OrdMap;
use parking_lot::RwLock;

use ring::Ring;
pub use ring::{Event, EventKind, TooOld};
use watcher::Watchers;
pub use watcher::{Scope, Watcher};

use crate::object::Object;

/// The objects of a resource by `namespace/name`, in the order of the store's keys.
pub type Objects = OrdMap<Arc<str>, Arc<Object>>;

/// A moment of a resource.
#[derive(Clone)]
pub struct Snapshot {
    pub objects: Objects,
    pub revision: u64,
}

pub struct Cache {
    state: RwLock<State>,
    watchers: Watchers,
    /// The feed's progress: every event up to it has been applied, to whatever cache it belongs.
    applied: Arc<AtomicU64>,
    /// The field label by which watchers are told apart as by namespace: `spec.nodeName`.
    dispatch_field: Option<usize>,
    observer: OnceLock<Arc<dyn Observer>>,
    /// How often it was filled from a reading of the store.
    fillings: AtomicU64,
}

/// Sees every change of a resource as it is applied: an index that must never be behind the cache.
pub trait Observer: Send + Sync {
    /// Everything anew.
    fn reset(&self, objects: &Objects);
    fn changed(&self, event: &Event);
}

struct State {
    objects: Objects,
    /// Of the last event.
    revision: u64,
    ring: Ring,
}

impl Cache {
    /// A cache that holds `objects`, which were read at `revision`.
    pub fn new(objects: Objects, revision: u64, applied: Arc<AtomicU64>, dispatch_field: Option<usize>) -> Cache {
        let state = State { ring: Ring::new(revision), objects, revision };
        Cache {
            state: RwLock::new(state),
            watchers: Watchers::default(),
            applied,
            dispatch_field,
            observer: OnceLock::new(),
            fillings: AtomicU64::new(0),
        }
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

    pub fn fillings(&self) -> u64 {
        self.fillings.load(Ordering::Relaxed)
    }

    /// All objects at a revision that is at least the feed's progress when the call began.
    pub fn snapshot(&self) -> Snapshot {
        let applied = self.applied.load(Ordering::Acquire);
        let state = self.state.read();
        Snapshot { objects: state.objects.clone(), revision: applied.max(state.revision) }
    }

    /// All objects as they were at a revision; None if that is forgotten here.
    pub fn snapshot_at(&self, revision: u64) -> Option<Snapshot> {
        let state = self.state.read();
        state.ring.objects_at(revision, &state.objects).map(|objects| Snapshot { objects, revision })
    }

    /// Every event after `revision` that a scope may care for.
    pub fn watch(self: &Arc<Self>, scope: Scope, revision: u64) -> Result<Watcher, TooOld> {
        let state = self.state.read();
        let cursor = state.ring.after(revision)?;
        Ok(Watcher::new(Arc::clone(self), self.watchers.register(scope), cursor))
    }

    /// A snapshot and every event after it.
    pub fn snapshot_and_watch(self: &Arc<Self>, scope: Scope) -> (Snapshot, Watcher) {
        let applied = self.applied.load(Ordering::Acquire);
        let state = self.state.read();
        let snapshot = Snapshot { objects: state.objects.clone(), revision: applied.max(state.revision) };
        let watcher = Watcher::new(Arc::clone(self), self.watchers.register(scope), state.ring.end());
        (snapshot, watcher)
    }

    /// Everything up to this revision has been seen.
    pub fn progress(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Takes a change in: an object, or the end of the one with this key.
    pub fn apply(&self, key: &str, object: Option<Arc<Object>>, revision: u64) {
        let event = {
            let mut state = self.state.write();
            if revision <= state.revision && state.ring.has(revision, key) {
                return;
            }
            state.revision = state.revision.max(revision);
            let mark = state.ring.wants_mark().then(|| state.objects.clone());
            let event = match object {
                Some(object) => {
                    let previous = state.objects.insert(Arc::clone(&object.key), Arc::clone(&object));
                    let kind = if previous.is_some() { EventKind::Modified } else { EventKind::Added };
                    Event { revision, kind, object, previous }
                }
                None => match state.objects.remove(key) {
                    Some(previous) => {
                        let object = Arc::new(previous.at_revision(revision));
                        Event { revision, kind: EventKind::Deleted, object, previous: Some(previous) }
                    }
                    None => return,
                },
            };
            let event = Arc::new(event);
            state.ring.push(Arc::clone(&event), mark);
            if let Some(observer) = self.observer.get() {
                observer.changed(&event);
            }
            event
        };
        self.watchers.wake(&event, self.dispatch_field);
    }

    /// Ends every watch: the resource is no longer served.
    pub fn close(&self) {
        self.watchers.close();
    }

    /// Starts over from a reading of the store, after the feed lost its place. Watchers are told that they are too late.
    pub fn reset(&self, objects: Objects, revision: u64) {
        self.fillings.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.write();
        if let Some(observer) = self.observer.get() {
            observer.reset(&objects);
        }
        *state = State { ring: Ring::new(revision), objects, revision };
        drop(state);
        self.watchers.close();
    }
}
