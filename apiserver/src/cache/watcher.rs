//! Cursors into a window, and who is woken for which event.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Cache, Event, TooOld};
use crate::object::Object;

/// Which events may concern a watcher: only for those is it woken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    All,
    Namespace(Arc<str>),
    /// `namespace/name`, or a name.
    Object(Arc<str>),
    /// A value of the resource's dispatch field.
    Field(Arc<str>),
}

#[derive(Default)]
pub(super) struct Watchers(Mutex<HashMap<Scope, Vec<Arc<Bell>>>>);

/// What a watcher sleeps on.
#[derive(Debug, Default)]
pub(super) struct Bell {
    notify: Notify,
    closed: AtomicBool,
}

pub(super) struct Registration {
    scope: Scope,
    bell: Arc<Bell>,
}

impl Watchers {
    pub(super) fn register(&self, scope: Scope) -> Registration {
        let bell = Arc::new(Bell::default());
        self.0.lock().entry(scope.clone()).or_default().push(Arc::clone(&bell));
        Registration { scope, bell }
    }

    fn leave(&self, registration: &Registration) {
        let mut scopes = self.0.lock();
        if let Some(bells) = scopes.get_mut(&registration.scope) {
            bells.retain(|bell| !Arc::ptr_eq(bell, &registration.bell));
            if bells.is_empty() {
                scopes.remove(&registration.scope);
            }
        }
    }

    pub(super) fn wake(&self, event: &Event, dispatch_field: Option<usize>) {
        let scopes = self.0.lock();
        if scopes.is_empty() {
            return;
        }
        let ring = |scope: Scope| {
            for bell in scopes.get(&scope).into_iter().flatten() {
                bell.notify.notify_one();
            }
        };
        ring(Scope::All);
        if let Some((namespace, _)) = event.object.key.split_once('/') {
            ring(Scope::Namespace(namespace.into()));
        }
        ring(Scope::Object(Arc::clone(&event.object.key)));
        if let Some(field) = dispatch_field {
            let value = |object: &Object| object.fields.get(field).map(|value| Arc::<str>::from(value.as_ref()));
            let (now, before) = (value(&event.object), event.previous.as_deref().and_then(value));
            if before != now {
                before.into_iter().for_each(|value| ring(Scope::Field(value)));
            }
            now.into_iter().for_each(|value| ring(Scope::Field(value)));
        }
    }

    pub(super) fn close(&self) {
        for bell in self.0.lock().values().flatten() {
            bell.closed.store(true, Ordering::Release);
            bell.notify.notify_one();
        }
    }
}

/// A reader of a resource's events.
pub struct Watcher {
    cache: Arc<Cache>,
    registration: Registration,
    cursor: u64,
}

impl Watcher {
    pub(super) fn new(cache: Arc<Cache>, registration: Registration, cursor: u64) -> Watcher {
        Watcher { cache, registration, cursor }
    }

    /// What has come since the last call, at most `max` events, and the revision up to which nothing more will come.
    /// An error says that this reader was too slow, or that the cache started over.
    pub fn take(&mut self, max: usize) -> Result<(Vec<Arc<Event>>, u64), TooOld> {
        if self.registration.bell.closed.load(Ordering::Acquire) {
            return Err(TooOld { requested: 0, oldest: self.cache.progress() });
        }
        let applied = self.cache.progress();
        let state = self.cache.state.read();
        let mut events = Vec::new();
        while events.len() < max {
            match state.ring.get(self.cursor)? {
                Some(event) => events.push(Arc::clone(event)),
                None => break,
            }
            self.cursor += 1;
        }
        let caught_up = self.cursor == state.ring.end();
        let revision = match events.last() {
            Some(event) if !caught_up => event.revision,
            _ => applied.max(state.revision),
        };
        Ok((events, revision))
    }

    /// Returns when something may have come.
    pub async fn changed(&self) {
        self.registration.bell.notify.notified().await;
    }

    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.cache.watchers.leave(&self.registration);
    }
}
