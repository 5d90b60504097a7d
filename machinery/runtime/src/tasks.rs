//! The task registry: who runs, for whom, until when, and what happens when one goes wrong.
//!
//! Every task belongs to a scope and every scope but the root to another, so that the paths of tasks
//! (`server/apiserver/watch-cache`) and their cancellation follow one tree. The rules:
//! - Cancelling a scope cancels all scopes below it. It is a request; a task leaves when it returns.
//! - A task ends by returning. An error or a panic is handled by the policy that it was spawned with, and never lost.
//! - A failed scope is cancelled and fails its parent, up to the root or to a scope that was made to keep failures to
//!   itself. The first failure is the one that is told.
//! - Shutdown has two halves: the signal (`cancel`), and the proof that all have left (`left`). `shutdown` does both
//!   under a deadline and names those who have not left.
//! - A cancelled scope still takes tasks, because draining may need some; they are waited for like the others.
//!
//! Named tasks are kept one by one. Where there are thousands (one for each connection), a `Kind` only counts them:
//! its spawn costs two atomic additions above tokio's.

mod groups;
mod policy;
mod run;
mod running;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
pub use tokio_util::sync::CancellationToken;

pub use self::groups::{Groups, Stage};
pub use self::policy::{OnFailure, Outcome, Policy, Restart};
pub use self::running::Running;
use crate::clock::Clock;

pub type Name = Cow<'static, str>;

/// An owner of tasks; cheap to clone.
#[derive(Clone)]
pub struct Scope(Arc<Node>);

/// One spawned task. Dropping it changes nothing: the task goes on.
#[derive(Clone)]
pub struct Handle {
    token: CancellationToken,
    finished: CancellationToken,
}

/// Tasks of a scope that are counted together under one name; cheap to clone.
#[derive(Clone)]
pub struct Kind(Arc<KindState>);

/// Why a scope failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The path of the task.
    pub task: String,
    pub error: String,
}

/// The tasks that had not left at the deadline, by path; counted ones with their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining(pub Vec<String>);

struct Node {
    path: Box<str>,
    clock: Clock,
    token: CancellationToken,
    parent: Option<Scope>,
    on_failure: OnFailure,
    children: Mutex<Vec<Weak<Node>>>,
    kinds: Mutex<Vec<Arc<KindState>>>,
    named: Mutex<Named>,
    /// Tasks of this scope, named and counted, without those of the scopes below.
    live: AtomicUsize,
    /// Rung each time `live` falls to zero.
    idle: Notify,
    failure: OnceLock<Failure>,
    failed: CancellationToken,
}

#[derive(Default)]
struct Named {
    tasks: BTreeMap<u64, Name>,
    next_id: u64,
}

struct KindState {
    name: &'static str,
    scope: Weak<Node>,
    token: CancellationToken,
    count: AtomicUsize,
}

impl Scope {
    pub fn root(name: &str) -> Scope {
        Scope::root_with(name, Clock::system())
    }

    /// A root whose backoffs and deadlines go by `clock`.
    pub fn root_with(name: &str, clock: Clock) -> Scope {
        Scope::new(name.into(), clock, CancellationToken::new(), None, OnFailure::FailScope)
    }

    /// A scope below this one, whose failure fails this one.
    pub fn child(&self, name: &str) -> Scope {
        self.child_with(name, OnFailure::FailScope)
    }

    /// A scope below this one. With `OnFailure::Log` its failure ends it alone.
    pub fn child_with(&self, name: &str, on_failure: OnFailure) -> Scope {
        let path = format!("{}/{name}", self.path()).into();
        let child = Scope::new(path, self.0.clock.clone(), self.0.token.child_token(), Some(self.clone()), on_failure);
        let mut children = self.0.children.lock();
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child.0));
        drop(children);
        child
    }

    fn new(
        path: Box<str>,
        clock: Clock,
        token: CancellationToken,
        parent: Option<Scope>,
        on_failure: OnFailure,
    ) -> Scope {
        Scope(Arc::new(Node {
            path,
            clock,
            token,
            parent,
            on_failure,
            children: Mutex::default(),
            kinds: Mutex::default(),
            named: Mutex::default(),
            live: AtomicUsize::new(0),
            idle: Notify::new(),
            failure: OnceLock::new(),
            failed: CancellationToken::new(),
        }))
    }

    pub fn path(&self) -> &str {
        &self.0.path
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }

    /// Starts a task, which gets a cancellation token of its own below the scope's. Needs a tokio runtime.
    pub fn spawn<F, T>(
        &self,
        name: impl Into<Name>,
        policy: impl Into<Policy>,
        task: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Handle
    where
        F: Future<Output = T> + Send + 'static,
        T: Outcome,
    {
        let (member, handle) = self.enter(name.into());
        let (policy, token) = (policy.into(), handle.token.clone());
        tokio::spawn(async move {
            let result = run::caught(async move { task(token).await }).await;
            member.settle(result, policy);
        });
        handle
    }

    /// Starts a task which is begun again, after a growing pause, each time it fails. It ends for good by returning
    /// without an error, or when it is cancelled.
    pub fn spawn_restarting<F, T>(
        &self,
        name: impl Into<Name>,
        restart: Restart,
        task: impl FnMut(CancellationToken) -> F + Send + 'static,
    ) -> Handle
    where
        F: Future<Output = T> + Send + 'static,
        T: Outcome,
    {
        let (member, handle) = self.enter(name.into());
        let (clock, token) = (self.0.clock.clone(), handle.token.clone());
        tokio::spawn(run::restarting(member, clock, token, restart, task));
        handle
    }

    /// Starts a thread of its own, for work that blocks for as long as the process lives.
    pub fn spawn_blocking<T: Outcome>(
        &self,
        name: impl Into<Name>,
        policy: impl Into<Policy>,
        work: impl FnOnce(CancellationToken) -> T + Send + 'static,
    ) -> Handle {
        let name = name.into();
        let (member, handle) = self.enter(name.clone());
        let (policy, token) = (policy.into(), handle.token.clone());
        // Linux keeps 15 bytes of a thread's name; the builder takes any but those with a zero byte.
        let thread = std::thread::Builder::new().name(name.replace('\0', ""));
        let spawned = thread.spawn(move || {
            let result = run::caught_now(move || work(token));
            member.settle(result, policy);
        });
        if let Err(error) = spawned {
            // The closure is gone, and with it the task's membership; what is left is to tell.
            self.handle_failure(&name, format!("start its thread: {error}"), policy.on_error);
        }
        handle
    }

    /// The kind of this name: made when first asked for, the same one afterwards.
    pub fn kind(&self, name: &'static str) -> Kind {
        let mut kinds = self.0.kinds.lock();
        if let Some(kind) = kinds.iter().find(|kind| kind.name == name) {
            return Kind(Arc::clone(kind));
        }
        let (scope, token) = (Arc::downgrade(&self.0), self.0.token.clone());
        let kind = Arc::new(KindState { name, scope, token, count: AtomicUsize::new(0) });
        kinds.push(Arc::clone(&kind));
        Kind(kind)
    }

    /// Asks every task of this scope and of those below it to leave.
    pub fn cancel(&self) {
        self.0.token.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// Fails the scope, as a task of it would with `OnFailure::FailScope`.
    pub fn fail(&self, task: &str, error: impl Into<String>) {
        self.fail_with(Failure { task: format!("{}/{task}", self.path()), error: error.into() });
    }

    /// The first failure of this scope, or of one below that passes its failures on.
    pub fn failure(&self) -> Option<&Failure> {
        self.0.failure.get()
    }

    /// Returns when the scope has failed.
    pub async fn failed(&self) -> Failure {
        loop {
            self.0.failed.cancelled().await;
            if let Some(failure) = self.failure() {
                return failure.clone();
            }
        }
    }

    /// Returns when no task is left in this scope or below it.
    pub async fn left(&self) {
        loop {
            let nodes = self.subtree();
            for node in &nodes {
                node.left().await;
            }
            // Somebody who left late may have started others where we had looked already.
            if self.subtree().iter().all(|node| node.live.load(Ordering::Acquire) == 0) {
                return;
            }
        }
    }

    /// The tasks of this scope and of those below it, by path; counted ones with their number.
    pub fn remaining(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for node in self.subtree() {
            paths.extend(node.named.lock().tasks.values().map(|name| format!("{}/{name}", node.path)));
            for kind in node.kinds.lock().iter() {
                match kind.count.load(Ordering::Relaxed) {
                    0 => {}
                    count => paths.push(format!("{}/{} ({count})", node.path, kind.name)),
                }
            }
        }
        paths
    }

    /// Cancels, then waits for all to leave. Not to be called by a task of the scope, which would wait for itself.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Remaining> {
        self.cancel();
        self.0.clock.timeout(deadline, self.left()).await.map_err(|_| Remaining(self.remaining()))
    }

    fn subtree(&self) -> Vec<Arc<Node>> {
        let mut nodes = vec![Arc::clone(&self.0)];
        let mut at = 0;
        while at < nodes.len() {
            let below: Vec<_> = nodes[at].children.lock().iter().filter_map(Weak::upgrade).collect();
            nodes.extend(below);
            at += 1;
        }
        nodes
    }

    fn enter(&self, name: Name) -> (run::Member, Handle) {
        let handle = Handle { token: self.0.token.child_token(), finished: CancellationToken::new() };
        let member = run::Member::enter(self.clone(), name, handle.finished.clone());
        (member, handle)
    }

    fn handle_failure(&self, task: &str, error: String, on_failure: OnFailure) {
        match on_failure {
            OnFailure::Log => tracing::error!(task = %format_args!("{}/{task}", self.path()), error, "task failed"),
            OnFailure::FailScope => self.fail(task, error),
        }
    }

    fn fail_with(&self, failure: Failure) {
        if self.0.failure.set(failure.clone()).is_err() {
            tracing::error!(task = failure.task, error = failure.error, "another task failed");
            return;
        }
        self.0.failed.cancel();
        self.cancel();
        match (&self.0.parent, self.0.on_failure) {
            (Some(parent), OnFailure::FailScope) => parent.fail_with(failure),
            _ => tracing::error!(scope = self.path(), task = failure.task, error = failure.error, "failed, stopping"),
        }
    }
}

impl Handle {
    /// Asks this task alone to leave.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    pub fn is_finished(&self) -> bool {
        self.finished.is_cancelled()
    }

    /// Returns when the task has left, however it did.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }
}

impl Kind {
    /// Starts a task that is counted. A panic of it is logged and ends it alone.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let guest = self.enter();
        tokio::spawn(async move {
            let _guest = guest;
            task.await;
        });
    }

    /// Runs short blocking work on tokio's pool of threads, counted. `None` if it panicked.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let guest = self.enter();
        let work = tokio::task::spawn_blocking(move || {
            let _guest = guest;
            work()
        });
        work.await.ok()
    }

    /// Counts the caller in until the guest is dropped, for what runs elsewhere but must have ended before the scope.
    pub fn enter(&self) -> Guest {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        let scope = self.0.scope.upgrade();
        if let Some(node) = &scope {
            node.live.fetch_add(1, Ordering::Relaxed);
        }
        Guest { kind: Arc::clone(&self.0), scope }
    }

    pub fn name(&self) -> &'static str {
        self.0.name
    }

    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// The scope's token, which every task of the kind shares.
    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }
}

/// One that is counted; it leaves when this is dropped.
pub struct Guest {
    kind: Arc<KindState>,
    scope: Option<Arc<Node>>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.kind.count.fetch_sub(1, Ordering::Relaxed);
        let Some(node) = &self.scope else { return };
        if std::thread::panicking() {
            tracing::error!(task = %format_args!("{}/{}", node.path, self.kind.name), "task panicked");
        }
        node.leave();
    }
}

impl Node {
    fn leave(&self) {
        if self.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }

    async fn left(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            // Before the look, so that a ring between the look and the wait is heard.
            idle.as_mut().enable();
            if self.live.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.0.path).finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.task, self.error)
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "these tasks have not left in time: {}", self.0.join(", "))
    }
}

impl std::error::Error for Remaining {}

#[cfg(test)]
mod tests;
