//! Custom resources come and go: a task follows the definitions, says in their status what upstream's controllers say,
//! and swaps what is served.
//!
//! It works by key: a definition is looked at when it has changed, when names in its group have become free, and again
//! after a failure of its own. Each step is a pure function of what is there (`corten_custom::lifecycle`), so a step
//! that was lost to a conflict is taken at the next change, which the conflict itself announces. What waits for
//! others has a task of its own: the deletion of a definition's objects (`cleanup`), and the end of a storage that was
//! replaced, which waits for the requests that hold it (`serve`). Only the reading of a new storage's objects is waited
//! for here.

mod cleanup;
mod names;
pub mod seen;
mod serve;
pub mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, bail};
use corten_api::time::Timestamp;
use corten_custom::lifecycle;
use corten_object::json;
use corten_object::tree::Tree;
use corten_runtime::tasks::{CancellationToken, Kind, Scope};
use http::Method;
use tracing::warn;

use self::cleanup::Cleanups;
use self::names::Names;
use self::serve::Served;
use crate::api::Api;
use crate::bootstrap::ask;
use crate::cache;
use crate::control::agenda::Agenda;
use crate::control::changes::Changes;
use crate::object::Object;
use crate::resource::Storage;

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";

/// Where the definitions are kept.
pub fn storage(api: &Api) -> Option<Arc<Storage>> {
    api.storage(GROUP, PLURAL)
}

pub struct Definitions {
    api: Arc<Api>,
    changes: Changes,
    /// The definitions that were looked at, and at which revision each was last.
    known: BTreeMap<Arc<str>, u64>,
    names: Names,
    served: BTreeMap<Arc<str>, Served>,
    cleanups: Cleanups,
    /// The ends of storages that were replaced.
    retirements: Kind,
    /// Those that are to be looked at though they have not changed, now and later.
    due: BTreeSet<Arc<str>>,
    agenda: Agenda,
}

/// What a definition needs next.
enum Step {
    Nothing,
    Write(Tree),
    /// To be written, and then to be tried again later.
    WriteFailure(Tree, String),
}

impl Definitions {
    /// `shared_store` says whether other servers may work on the same store.
    pub fn new(api: &Arc<Api>, scope: &Scope, shared_store: bool) -> Result<Definitions> {
        Ok(Definitions {
            api: Arc::clone(api),
            changes: Changes::of(api, GROUP, PLURAL, cache::Scope::All)?,
            known: BTreeMap::new(),
            names: Names::default(),
            served: BTreeMap::new(),
            cleanups: Cleanups::new(api, scope.kind("definition-cleanup"), shared_store),
            retirements: scope.kind("storage-retirement"),
            due: BTreeSet::new(),
            agenda: Agenda::new(api.clock.clone()),
        })
    }

    /// Serves what the definitions that are there already define; to be called before anybody is answered.
    pub async fn begin(&mut self) {
        self.look().await;
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => return,
                () = self.changes.wait() => {}
                () = self.agenda.wait() => {}
                ended = self.cleanups.next() => self.due.extend(ended),
            }
            self.look().await;
        }
    }

    /// Looks at each definition that there is reason to look at. One definition's failure holds up no other.
    async fn look(&mut self) {
        let storage = Arc::clone(&self.changes.storage);
        let position = storage.cache.position();
        let changed = self.changes.take().into_iter();
        let unseen = |key: &Arc<str>| {
            let revision = storage.cache.get(key).map(|object| object.revision);
            revision.is_none() || revision != self.known.get(key).copied()
        };
        self.due.extend(changed.filter(unseen).collect::<Vec<_>>());
        self.due.extend(self.agenda.take());
        // Before any of several is judged, the names that the others have are known. One alone notes its own.
        let several = self.due.len() > 1;
        let due: Vec<Arc<str>> = self.due.iter().filter(|_| several).cloned().collect();
        for key in &due {
            match storage.cache.find(key) {
                Ok(Some(object)) => self.due.extend(self.names.note(key, storage.tree(&object).view())),
                Ok(None) => {}
                Err(_) => self.names.note_unreadable(key),
            }
        }
        while let Some(key) = self.due.pop_first() {
            match self.reconcile(&key).await {
                // What became of the deletion of its objects is yet to be told, so that its failures still count.
                Ok(()) if self.cleanups.is_running(&key) => {}
                Ok(()) => self.agenda.done(&key),
                Err(error) => {
                    warn!(definition = %key, error = format!("{error:#}"), "will be looked at again");
                    self.agenda.failed(&key);
                }
            }
        }
        self.api.definitions_seen.looked_at(position);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.api.clock.now().seconds)
    }

    /// Takes a definition's steps until it needs nothing more, or waits for something.
    async fn reconcile(&mut self, key: &Arc<str>) -> Result<()> {
        loop {
            let object = match self.changes.storage.cache.find(key) {
                Ok(Some(object)) => object,
                Ok(None) => {
                    self.forget(key);
                    return Ok(());
                }
                Err(unreadable) => {
                    warn!(definition = %key, error = unreadable.message(), "what it defined before is served on");
                    self.leave_as_is(key);
                    return Ok(());
                }
            };
            let tree = self.changes.storage.tree(&object);
            if self.served.get(key).is_some_and(|served| served.uid() != &*object.uid) {
                // Another one has taken its name, and nothing of the one that is gone is its own.
                self.forget(key);
            }
            self.known.insert(Arc::clone(key), object.revision);
            self.due.extend(self.names.note(key, tree.view()));
            self.serve(key, &tree).await?;
            let (next, failure) = match self.next(key, &tree) {
                Step::Nothing => return Ok(()),
                Step::Write(next) => (next, None),
                Step::WriteFailure(next, failure) => (next, Some(failure)),
            };
            let written = self.write(&object, &next).await?;
            if let Some(failure) = failure {
                // What was written is no reason to try again at once.
                self.note_written(key);
                bail!("delete its objects: {failure}");
            }
            let same = |now: Arc<Object>| now.revision == object.revision;
            if !written || self.changes.storage.cache.get(key).is_some_and(same) {
                return Ok(());
            }
        }
    }

    fn note_written(&mut self, key: &Arc<str>) {
        if let Some(object) = self.changes.storage.cache.get(key) {
            self.known.insert(Arc::clone(key), object.revision);
        }
    }

    fn next(&mut self, key: &Arc<str>, tree: &Tree) -> Step {
        if crate::metadata::read(tree).deletion_timestamp().is_some() {
            return self.clean_up(key, tree);
        }
        // It may be another one than that whose objects are being deleted.
        self.cleanups.stop(key);
        let now = self.now();
        let Some(taken) = self.names.taken_for(key) else {
            warn!(definition = %key, "it gets no names while a definition of its group cannot be read");
            return Step::Nothing;
        };
        let next = lifecycle::reconcile(tree, &taken, now);
        next.or_else(|| lifecycle::establish(tree, now)).map_or(Step::Nothing, Step::Write)
    }

    /// False if a newer one is on its way here, or its end.
    async fn write(&self, object: &Object, tree: &Tree) -> Result<bool> {
        let path = format!("/apis/{GROUP}/v1/{PLURAL}/{}/status", object.name());
        let (status, answer) = ask(&self.api, Method::PUT, &path, json::to_vec(tree.root())).await;
        match status.as_u16() {
            200..300 => Ok(true),
            404 | 409 => Ok(false),
            _ => bail!("{status}: {}", String::from_utf8_lossy(&answer)),
        }
    }

    /// The definition is there and cannot be read. What it defines stays as it was read last, its names remain taken,
    /// and no more objects are deleted. The next change of the key is looked at, whatever its revision.
    fn leave_as_is(&mut self, key: &Arc<str>) {
        self.known.remove(key);
        self.names.note_unreadable(key);
        self.cleanups.stop(key);
    }

    /// The definition is gone, and with it what it defined.
    fn forget(&mut self, key: &Arc<str>) {
        self.known.remove(key);
        self.api.definitions_seen.did_not_fail(key);
        self.due.extend(self.names.forget(key));
        self.cleanups.stop(key);
        if let Some(served) = self.served.remove(key) {
            self.api.withdraw(key);
            self.retire(served.storage);
        }
    }
}
