//! A task while it runs: its place in the registry, and what becomes of its end.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::{CancellationToken, Name, OnFailure, Outcome, Policy, Restart, Scope};
use crate::clock::Clock;

/// How a run went wrong.
pub(super) enum Fault {
    Error(String),
    Panic(String),
}

/// A task's place in its scope. It is given up when this is dropped, so that a task that a runtime throws away in the
/// middle has left too.
pub(super) struct Member {
    scope: Scope,
    id: u64,
    finished: CancellationToken,
}

impl Member {
    pub(super) fn enter(scope: Scope, name: Name, finished: CancellationToken) -> Member {
        let mut named = scope.0.named.lock();
        named.next_id += 1;
        let id = named.next_id;
        named.tasks.insert(id, name);
        drop(named);
        scope.0.live.fetch_add(1, Ordering::Relaxed);
        Member { scope, id, finished }
    }

    /// Handles the task's end, and leaves.
    pub(super) fn settle(self, result: Result<(), Fault>, policy: Policy) {
        match result {
            Ok(()) => {}
            Err(Fault::Error(error)) => self.scope.handle_failure(&self.name(), error, policy.on_error),
            Err(Fault::Panic(message)) => {
                self.scope.handle_failure(&self.name(), format!("panicked: {message}"), policy.on_panic);
            }
        }
    }

    fn name(&self) -> Name {
        self.scope.0.named.lock().tasks.get(&self.id).cloned().unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.scope.0.named.lock().tasks.remove(&self.id);
        self.scope.0.leave();
        self.finished.cancel();
    }
}

pub(super) async fn caught<T: Outcome>(task: impl Future<Output = T>) -> Result<(), Fault> {
    let mut task = pin!(task);
    let output = std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    fault(output.await)
}

pub(super) fn caught_now<T: Outcome>(work: impl FnOnce() -> T) -> Result<(), Fault> {
    fault(catch_unwind(AssertUnwindSafe(work)))
}

pub(super) async fn restarting<F, T>(
    member: Member,
    clock: Clock,
    token: CancellationToken,
    restart: Restart,
    mut task: impl FnMut(CancellationToken) -> F + Send + 'static,
) where
    F: Future<Output = T> + Send + 'static,
    T: Outcome,
{
    let mut failures = 0;
    loop {
        let started = clock.monotonic();
        let next = token.clone();
        let result = caught(async { task(next).await }).await;
        let error = match (result, restart.on_panic) {
            (Ok(()), _) => return,
            (Err(Fault::Panic(message)), Some(on_panic)) => {
                return member.settle(Err(Fault::Panic(message)), on_panic.into());
            }
            (Err(Fault::Panic(message)), None) => format!("panicked: {message}"),
            (Err(Fault::Error(error)), _) => error,
        };
        if token.is_cancelled() {
            return member.settle(Err(Fault::Error(error)), OnFailure::Log.into());
        }
        failures = if clock.since(started) >= restart.max { 1 } else { failures + 1 };
        let pause = restart.pause(failures);
        let path = format_args!("{}/{}", member.scope.path(), member.name()).to_string();
        tracing::warn!(task = path, error, again_after = ?pause, "task failed");
        tokio::select! {
            () = clock.sleep(pause) => {}
            () = token.cancelled() => return,
        }
    }
}

fn fault<T: Outcome>(output: Result<T, Box<dyn Any + Send>>) -> Result<(), Fault> {
    match output {
        Ok(output) => output.failure().map_or(Ok(()), |error| Err(Fault::Error(error))),
        Err(panic) => Err(Fault::Panic(message(panic.as_ref()))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "with something that is no text".to_owned()
    }
}
