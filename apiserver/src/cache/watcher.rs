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

impl Registration {
    pub(super) fn ring(&self) {
        self.bell.ring();
    }
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

    /// Rings for all of them, when the cache starts over or ends.
    pub(super) fn wake_all(&self) {
        for bell in self.0.lock().values().flatten() {
            bell.ring();
        }
    }
}

/// Why a watcher gets no more events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It was too slow, or the cache started over: what it lacks is forgotten.
    TooOld(TooOld),
    /// The cache is no longer fed, and everything that it had was taken. Another one may have taken its place.
    Ended,
}

impl From<TooOld> for Stop {
    fn from(error: TooOld) -> Stop {
        Stop::TooOld(error)
    }
}

/// A reader of a resource's events: a place among them, because several may share a revision.
pub struct Watcher {
    cache: Arc<Cache>,
    registration: Registration,
    cursor: u64,
    /// Events up to this revision, where it lay ahead when the watcher began, are not for it.
    after: u64,
    /// Which of the cache's fillings the cursor belongs to.
    filling: u64,
}

impl Watcher {
    pub(super) fn new(cache: Arc<Cache>, registration: Registration, cursor: u64, after: u64, filling: u64) -> Watcher {
        Watcher { cache, registration, cursor, after, filling }
    }

    /// What has come since the last call, at most `max` events, and the revision up to which all has been taken.
    pub fn take(&mut self, max: usize) -> Result<(Vec<Arc<Event>>, u64), Stop> {
        let applied = self.cache.applied.load(Ordering::Acquire);
        let state = self.cache.state.read();
        if state.fillings != self.filling {
            return Err(Stop::TooOld(TooOld { requested: 0, oldest: state.revision }));
        }
        let mut events = Vec::new();
        let mut next = state.ring.get(self.cursor)?;
        while let Some(event) = next.filter(|_| events.len() < max) {
            if event.revision > self.after {
                events.push(Arc::clone(event));
            }
            self.cursor += 1;
            next = state.ring.get(self.cursor)?;
        }
        if state.retired {
            if events.is_empty() && next.is_none() {
                return Err(Stop::Ended);
            }
            // Nobody else will ring for the end.
            self.registration.ring();
        }
        // The next event may share its revision with the last one that was taken.
        let revision = next.map_or(state.progress(applied), |next| next.revision.saturating_sub(1));
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
