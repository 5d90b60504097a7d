//! The objects of a definition that is being deleted go first. Each such definition has a task that deletes them,
//! through the same code as any delete, so that admission and finalizers hold.
//!
//! Nothing acknowledged may outlive the definition. So creates are refused first, then the requests that began before
//! that are waited for, and only the store says that nothing is left, not a cache. Other servers on the store refuse
//! creates when they have seen that the definition is going; they are given a moment for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corten_custom::lifecycle::{self, Cleanup, Deleted};
use corten_object::tree::Tree;
use corten_runtime::tasks::{CancellationToken, Kind};
use corten_store::{KeyValue, Read, Span, Want};
use futures::StreamExt;
use http::Method;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::DropGuard;
use tracing::warn;

use super::serve::{DRAIN_MAX, Served};
use super::{Definitions, Step};
use crate::api::Api;
use crate::bootstrap::server_user;
use crate::cache::{Event, EventKind, Scope, Stop, Watcher};
use crate::call::Call;
use crate::delete;
use crate::request::RequestInfo;
use crate::resource::Resource;

/// How many objects are deleted at once, for all definitions together.
const DELETES_AT_ONCE: usize = 16;
/// How many deletions are prepared at once.
const DELETES_PREPARED: usize = 256;
/// How long other servers may take to see that a definition is going: what upstream gives them to see a new one.
const OTHERS_SEE: Duration = Duration::from_secs(2);
/// After so long the definition says that objects are left.
const PATIENCE: Duration = Duration::from_secs(60);

/// The deletions that are under way.
pub struct Cleanups {
    api: Arc<Api>,
    tasks: Kind,
    shared_store: bool,
    deletes: Arc<Semaphore>,
    running: BTreeMap<Arc<str>, Running>,
    /// Tells a deletion from an earlier one of the same definition.
    runs: u64,
    sender: mpsc::UnboundedSender<News>,
    news: mpsc::UnboundedReceiver<News>,
}

struct Running {
    run: u64,
    /// What its definition is yet to say of it.
    untold: Option<Outcome>,
    _stop: DropGuard,
}

struct News {
    definition: Arc<str>,
    run: u64,
    outcome: Outcome,
}

enum Outcome {
    /// Objects are left, which somebody's finalizers keep. It goes on.
    StillThere,
    Ended(Deleted),
    /// The storage was replaced; to be begun anew with the other.
    Replaced,
}

impl Cleanups {
    pub fn new(api: &Arc<Api>, tasks: Kind, shared_store: bool) -> Cleanups {
        let (sender, news) = mpsc::unbounded_channel();
        Cleanups {
            api: Arc::clone(api),
            tasks,
            shared_store,
            deletes: Arc::new(Semaphore::new(DELETES_AT_ONCE)),
            running: BTreeMap::new(),
            runs: 0,
            sender,
            news,
        }
    }

    /// The next definition about whose objects there is news.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        let News { definition, run, outcome } = self.news.recv().await?;
        let running = self.running.get_mut(&definition).filter(|running| running.run == run)?;
        running.untold = Some(outcome);
        Some(definition)
    }

    pub fn stop(&mut self, definition: &str) {
        self.running.remove(definition);
    }

    pub fn is_running(&self, definition: &str) -> bool {
        self.running.contains_key(definition)
    }

    /// What is to be told of a deletion; one that has ended is forgotten with that.
    fn take_news(&mut self, definition: &str) -> Option<Outcome> {
        let outcome = self.running.get_mut(definition)?.untold.take()?;
        if !matches!(outcome, Outcome::StillThere) {
            self.running.remove(definition);
        }
        Some(outcome)
    }

    fn start(&mut self, definition: &Arc<str>, served: &Served, resource: Resource) {
        self.runs += 1;
        let stop = self.tasks.token().child_token();
        let running = Running { run: self.runs, untold: None, _stop: stop.clone().drop_guard() };
        self.running.insert(Arc::clone(definition), running);
        let report = Report {
            sender: self.sender.clone(),
            definition: Arc::clone(definition),
            run: self.runs,
            ended: Outcome::Ended(Deleted::DeleteFailed("the deletion was cut short".to_owned())),
        };
        let sweep = Sweep {
            api: Arc::clone(&self.api),
            prefix: Arc::clone(&served.storage.prefix),
            resource,
            deletes: Arc::clone(&self.deletes),
            others_see: if self.shared_store { OTHERS_SEE } else { Duration::ZERO },
        };
        self.tasks.spawn(sweep.run(report, stop));
    }
}

impl Definitions {
    /// Deletes a definition's objects, then, when they are gone, lets it go.
    pub(super) fn clean_up(&mut self, key: &Arc<str>, tree: &Tree) -> Step {
        let announce = match lifecycle::begin_cleanup(tree, self.now()) {
            Cleanup::Nothing => {
                self.cleanups.stop(key);
                return Step::Nothing;
            }
            Cleanup::Finish(next) => return Step::Write(next),
            Cleanup::DeleteObjects { announce } => announce,
        };
        let now = self.now();
        let said = |deleted: &Deleted| lifecycle::end_cleanup(tree, deleted, now);
        match self.cleanups.take_news(key) {
            Some(Outcome::Ended(deleted)) => {
                return match &deleted {
                    Deleted::All => Step::Write(said(&deleted)),
                    Deleted::ListFailed(why) | Deleted::DeleteFailed(why) | Deleted::Remaining(why) => {
                        Step::WriteFailure(said(&deleted), why.clone())
                    }
                };
            }
            Some(Outcome::StillThere) => {
                return Step::Write(said(&Deleted::Remaining("context deadline exceeded".to_owned())));
            }
            Some(Outcome::Replaced) | None => {}
        }
        if self.cleanups.is_running(key) {
            return Step::Nothing;
        }
        if let Some(next) = announce {
            return Step::Write(next);
        }
        let served = self.served.get(key);
        let Some((served, resource)) = served.and_then(|served| Some((served, served.kept_version()?))) else {
            let why = "it has no version in which they could be read";
            return Step::WriteFailure(said(&Deleted::ListFailed(why.to_owned())), why.to_owned());
        };
        self.cleanups.start(key, served, resource);
        Step::Nothing
    }
}

/// Tells how a deletion ended, however it did.
struct Report {
    sender: mpsc::UnboundedSender<News>,
    definition: Arc<str>,
    run: u64,
    ended: Outcome,
}

impl Report {
    fn send(&self, outcome: Outcome) {
        // Whoever would hear of it is gone only when the server stops.
        let _ = self.sender.send(News { definition: Arc::clone(&self.definition), run: self.run, outcome });
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let ended = std::mem::replace(&mut self.ended, Outcome::Replaced);
        self.send(ended);
    }
}

/// The deletion of all objects under a prefix.
struct Sweep {
    api: Arc<Api>,
    prefix: Arc<str>,
    /// In the version that is kept.
    resource: Resource,
    deletes: Arc<Semaphore>,
    others_see: Duration,
}

impl Sweep {
    async fn run(self, mut report: Report, stop: CancellationToken) {
        tokio::select! {
            ended = self.sweep(&report) => report.ended = ended,
            () = stop.cancelled() => {}
        }
    }

    /// Deletes what the store shows until it shows nothing.
    async fn sweep(&self, report: &Report) -> Outcome {
        let Some(storage) = &self.resource.storage else { return Outcome::Replaced };
        let clock = &self.api.clock;
        let others_have_seen = clock.monotonic() + self.others_see;
        if clock.timeout(DRAIN_MAX, storage.serving.drain()).await.is_err() {
            warn!(prefix = %self.prefix, "requests take too long; their objects are deleted as they come");
        }
        loop {
            // What comes after the listing is seen by the watcher.
            let (_, mut watcher) = storage.cache.snapshot_and_watch(Scope::All);
            let read = Read::of(Span::prefix(Arc::clone(&self.prefix))).want(Want::Keys);
            let listing = match self.api.store.range(read).await {
                Ok(listing) => listing,
                Err(error) => return Outcome::Ended(Deleted::ListFailed(error.to_string())),
            };
            if listing.kvs.is_empty() {
                if clock.monotonic() >= others_have_seen {
                    return Outcome::Ended(Deleted::All);
                }
                clock.sleep_until(others_have_seen).await;
                continue;
            }
            self.api.applied(listing.revision).await;
            if let Err(message) = self.delete_all(&listing.kvs).await {
                return Outcome::Ended(Deleted::DeleteFailed(message));
            }
            if !self.wait(&mut watcher, report).await {
                return Outcome::Replaced;
            }
        }
    }

    /// Asks for the deletion of each object that is not on its way already. The error is the first one.
    async fn delete_all(&self, kvs: &[KeyValue]) -> Result<(), String> {
        let mut outcome = Ok(());
        // In parts, because a deletion takes some memory even before it begins.
        for part in kvs.chunks(DELETES_PREPARED) {
            let deletes: Vec<_> = part.iter().map(|kv| self.delete(&kv.key[self.prefix.len()..])).collect();
            let mut deletes = futures::stream::iter(deletes).buffer_unordered(DELETES_AT_ONCE);
            while let Some(deleted) = deletes.next().await {
                outcome = outcome.and(deleted);
            }
        }
        outcome
    }

    async fn delete(&self, key: &str) -> Result<(), String> {
        let kept = self.resource.storage.as_ref().and_then(|storage| storage.cache.get(key));
        if kept.is_some_and(|object| object.is_being_deleted()) {
            return Ok(());
        }
        let _permit = self.deletes.acquire().await;
        let (namespace, name) = key.split_once('/').filter(|_| self.resource.namespaced).unwrap_or(("", key));
        let info = RequestInfo {
            is_resource: true,
            verb: "delete".to_owned(),
            group: self.resource.group.to_string(),
            version: self.resource.version.to_string(),
            resource: self.resource.plural.to_string(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..RequestInfo::default()
        };
        let call = Call::new(Arc::clone(&self.api), Method::DELETE, info, server_user());
        match delete::delete(&call, &self.resource, namespace, name, &delete::Options::default()).await {
            Err(status) if !status.is_not_found() => Err(status.message().to_owned()),
            _ => Ok(()),
        }
    }

    /// Returns when all may be gone, or something new has come; false if the storage was replaced. Objects whose
    /// finalizers keep them are waited for however long that takes.
    async fn wait(&self, watcher: &mut Watcher, report: &Report) -> bool {
        let is_new = |event: &Arc<Event>| event.kind != EventKind::Deleted && !event.object.is_being_deleted();
        let mut patience = std::pin::pin!(self.api.clock.sleep(PATIENCE));
        let mut patient = true;
        loop {
            // A cache that nobody feeds any more may be empty, whatever the store has: its end is looked for first.
            match watcher.take(usize::MAX) {
                Ok((events, _)) if events.iter().any(is_new) => return true,
                Ok(_) => {}
                Err(Stop::TooOld(_)) => return true,
                Err(Stop::Ended) => return false,
            }
            if watcher.cache().is_empty() {
                return true;
            }
            tokio::select! {
                () = watcher.changed() => {}
                () = &mut patience, if patient => {
                    patient = false;
                    report.send(Outcome::StillThere);
                }
            }
        }
    }
}
