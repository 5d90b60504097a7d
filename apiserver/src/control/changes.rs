//! What changed of a resource, for a controller that looks at the present of each object that changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use crate::api::Api;
use crate::cache::{EventKind, Scope, Watcher};
use crate::object::Object;
use crate::resource::Storage;

pub struct Changes {
    pub storage: Arc<Storage>,
    scope: Scope,
    watcher: Watcher,
    /// Everything counts as changed: at the beginning, and when events were missed.
    all: bool,
}

impl Changes {
    pub fn of(api: &Api, group: &str, plural: &str, scope: Scope) -> Result<Changes> {
        let storage = api.storage(group, plural).ok_or_else(|| anyhow!("{plural}.{group} are not served"))?;
        let (_, watcher) = storage.cache.snapshot_and_watch(scope.clone());
        Ok(Changes { storage, scope, watcher, all: true })
    }

    /// Returns when something may have changed.
    pub async fn wait(&self) {
        if !self.all {
            self.watcher.changed().await;
        }
    }

    /// The keys of what changed since the last call.
    pub fn take(&mut self) -> BTreeSet<Arc<str>> {
        self.take_each(|_| {})
    }

    /// The same, and shows what is gone as it was last.
    pub fn take_each(&mut self, mut gone: impl FnMut(&Object)) -> BTreeSet<Arc<str>> {
        let mut keys = BTreeSet::new();
        loop {
            match self.watcher.take(256) {
                Ok((events, _)) if events.is_empty() => break,
                Ok((events, _)) => {
                    keys.extend(events.iter().map(|event| Arc::clone(&event.object.key)));
                    let ends = events.iter().filter(|event| event.kind == EventKind::Deleted);
                    ends.for_each(|event| gone(&event.object));
                }
                // Whatever it misses, the present shows.
                Err(_) => {
                    let (_, watcher) = self.storage.cache.snapshot_and_watch(self.scope.clone());
                    self.watcher = watcher;
                    self.all = true;
                    break;
                }
            }
        }
        if std::mem::take(&mut self.all) {
            keys.extend(self.storage.cache.snapshot().objects.keys().cloned());
        }
        keys
    }
}
