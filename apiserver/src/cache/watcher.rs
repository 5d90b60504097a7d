//! Cursors into a window, and who is woken for which event.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;
use parking_lot::Mutex;

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

/// What a watcher sleeps on. It has one sleeper, so a ring is a store and a wake.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    /// Rung for something else than events.
    reminded: AtomicBool,
    sleeper: AtomicWaker,
    closed: AtomicBool,
}

/// Rings a bell for what its sleeper waits for besides events.
struct Reminder(Arc<Bell>);

impl Wake for Reminder {
    fn wake(self: Arc<Self>) {
        self.0.reminded.store(true, Ordering::Release);
        self.0.sleeper.wake();
    }
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.sleeper.wake();
    }

    /// Ready once for all rings since the last time.
    fn poll_rung(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.rung.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        self.sleeper.register(context.waker());
        match self.rung.swap(false, Ordering::AcqRel) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
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
                bell.ring();
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
            bell.ring();
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

    /// Returns when something may have come since the last time.
    pub async fn changed(&self) {
        std::future::poll_fn(|context| self.poll_changed(context)).await;
    }

    /// Only the last who polled is woken.
    pub fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.registration.bell.poll_rung(context)
    }

    /// Wakes whoever sleeps in `poll_changed`, and says that it was no event. Timers wait with it, so that they need not
    /// be looked at for each event.
    pub fn reminder(&self) -> Waker {
        Arc::new(Reminder(Arc::clone(&self.registration.bell))).into()
    }

    /// Whether a reminder came since the last call.
    pub fn was_reminded(&self) -> bool {
        let reminded = &self.registration.bell.reminded;
        reminded.load(Ordering::Acquire) && reminded.swap(false, Ordering::AcqRel)
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
