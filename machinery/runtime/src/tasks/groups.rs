//! Starting in order and stopping in the opposite one.
//!
//! A stage begins when every component of the one before it is ready: servers first, because caches may ask them for
//! something; then caches; then the workers, which read the caches; and what only a leader may do begins when `lead` is
//! called. A component's start function starts its tasks in the scope that it is given, and returns when it is ready.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::{Failure, OnFailure, Remaining, Scope};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Servers,
    Caches,
    Workers,
    LeaderOnly,
}

/// The components of a scope by stage.
pub struct Groups {
    scope: Scope,
    stages: [Group; 4],
}

#[derive(Default)]
struct Group {
    waiting: Vec<Component>,
    started: Vec<Scope>,
}

struct Component {
    name: String,
    start: Start,
}

type Start = Box<dyn FnOnce(Scope) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send>;

impl Groups {
    pub fn new(scope: Scope) -> Groups {
        Groups { scope, stages: Default::default() }
    }

    /// Puts a component into a stage. Its scope is a child of the groups' scope, named after it.
    pub fn add<F, E>(&mut self, stage: Stage, name: &str, start: impl FnOnce(Scope) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        let start: Start = Box::new(|scope| {
            let ready = start(scope);
            Box::pin(async move { ready.await.map_err(|error| format!("{error:#}")) })
        });
        self.stages[stage as usize].waiting.push(Component { name: name.to_owned(), start });
    }

    /// Starts everything but what is for leaders. After a failure the scope is cancelled; `shutdown` is still due.
    pub async fn start(&mut self) -> Result<(), Failure> {
        for stage in [Stage::Servers, Stage::Caches, Stage::Workers] {
            self.start_stage(stage).await?;
        }
        Ok(())
    }

    /// Starts what is for leaders; to be called once, when the lease is held.
    pub async fn lead(&mut self) -> Result<(), Failure> {
        self.start_stage(Stage::LeaderOnly).await
    }

    /// Stops the stages one after the other, the last started first. All together have until the deadline; whoever
    /// is late holds up nobody's signal beyond it.
    pub async fn shutdown(&mut self, deadline: Duration) -> Result<(), Remaining> {
        let clock = self.scope.clock().clone();
        let end = clock.monotonic() + deadline;
        for group in self.stages.iter_mut().rev() {
            group.started.iter().for_each(Scope::cancel);
            for scope in &group.started {
                let _late = clock.timeout_at(end, scope.left()).await;
            }
        }
        self.scope.shutdown(end - clock.monotonic()).await
    }

    async fn start_stage(&mut self, stage: Stage) -> Result<(), Failure> {
        let group = &mut self.stages[stage as usize];
        let mut starting = Vec::new();
        for component in group.waiting.drain(..) {
            let scope = self.scope.child(&component.name);
            group.started.push(scope.clone());
            let own = scope.clone();
            starting.push(scope.spawn("start", OnFailure::FailScope, move |_| (component.start)(own)));
        }
        for handle in starting {
            // A failed start has told the scope before it is finished, so asking afterwards misses none.
            tokio::select! {
                biased;
                failure = self.scope.failed() => return Err(failure),
                () = handle.finished() => {}
            }
        }
        self.scope.failure().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}
