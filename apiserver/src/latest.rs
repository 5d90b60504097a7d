//! The object that a write is decided on.
//!
//! A decision begins with what the cache shows, which may be behind what other servers have written. A write that comes
//! of it is safe: the store takes it only for the revision that it was decided on. A refusal is not, and neither is the
//! answer that nothing has to change. Before either is given, the object is compared with the store; if it was stale,
//! the write is decided anew on what the store holds.

use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::{Result, Status};
use corten_store::{Encoding, KeyValue};

use crate::cache::Unreadable;
use crate::call::Call;
use crate::object::Object;
use crate::resource::{Resource, Storage};
use crate::write::store_error;

/// Why an attempt at a write has written nothing.
pub enum Unwritten<T> {
    /// The answer, which holds for the object that it was decided on.
    Decided(Result<T>),
    /// The object is to stay as it is, and this is the answer.
    Unchanged(T),
    /// Somebody else was first; the store holds this now.
    Overtaken(Option<KeyValue>),
    /// The store failed.
    Failed(Status),
}

impl<T> From<Status> for Unwritten<T> {
    fn from(status: Status) -> Self {
        Unwritten::Decided(Err(status))
    }
}

pub struct Latest<'c> {
    call: &'c Call,
    resource: &'c Resource,
    storage: &'c Storage,
    key: &'c str,
    /// What an error of the store calls this write.
    verb: &'static str,
    object: Option<Arc<Object>>,
    /// The stored bytes, if the store has been asked.
    kept: Option<Bytes>,
    /// Whether the store has been asked since the request came.
    confirmed: bool,
    outdated: bool,
}

impl<'c> Latest<'c> {
    /// What the cache shows.
    pub fn cached(
        call: &'c Call,
        resource: &'c Resource,
        storage: &'c Storage,
        key: &'c str,
        verb: &'static str,
    ) -> Latest<'c> {
        let object = storage.cache.get(key);
        Latest { call, resource, storage, key, verb, object, kept: None, confirmed: false, outdated: false }
    }

    /// What the store holds: for a dry run, whose answer no write confirms.
    pub async fn stored(
        call: &'c Call,
        resource: &'c Resource,
        storage: &'c Storage,
        key: &'c str,
        verb: &'static str,
    ) -> Result<Latest<'c>> {
        let mut latest = Latest::cached(call, resource, storage, key, verb);
        latest.ask_store().await?;
        Ok(latest)
    }

    pub fn object(&self) -> Option<&Arc<Object>> {
        self.object.as_ref()
    }

    /// Whether the stored bytes are in an older encoding, or lack what the object is read with, so that an update writes
    /// even if it changes nothing.
    pub fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// The request's answer, or None if the write has to be decided anew.
    pub async fn conclude<T>(&mut self, outcome: std::result::Result<T, Unwritten<T>>) -> Option<Result<T>> {
        let (answer, unchanged) = match outcome {
            Ok(written) => return Some(Ok(written)),
            Err(Unwritten::Failed(status)) => return Some(Err(status)),
            Err(Unwritten::Overtaken(kept)) => return self.replace(kept).err().map(Err),
            Err(Unwritten::Decided(answer)) => (answer, false),
            Err(Unwritten::Unchanged(answer)) => (Ok(answer), true),
        };
        match self.was_stale().await {
            Ok(true) => return None,
            Ok(false) => {}
            Err(status) => return Some(Err(status)),
        }
        if unchanged && !self.outdated && self.is_kept_in_another_encoding() {
            self.outdated = true;
            return None;
        }
        if let (Ok(_), Some(object)) = (&answer, &self.object) {
            // The store may have told of it before the caches show it.
            self.call.api.applied(object.revision).await;
        }
        Some(answer)
    }

    async fn was_stale(&mut self) -> Result<bool> {
        if self.confirmed {
            return Ok(false);
        }
        let seen = self.revision();
        self.ask_store().await?;
        Ok(self.revision() != seen)
    }

    fn revision(&self) -> u64 {
        self.object.as_ref().map_or(0, |object| object.revision)
    }

    async fn ask_store(&mut self) -> Result<()> {
        let fetched = self.call.api.store.get(&self.storage.store_key(self.key), None).await;
        let fetched = fetched.map_err(|error| store_error(self.resource, self.verb, error))?;
        self.replace(fetched.kv)
    }

    /// Takes what the store holds; decodes it only if neither this nor the cache has the same revision.
    fn replace(&mut self, kept: Option<KeyValue>) -> Result<()> {
        (self.confirmed, self.outdated) = (true, false);
        let Some(kv) = kept else {
            (self.object, self.kept) = (None, None);
            return Ok(());
        };
        let same = |object: &Arc<Object>| object.revision == kv.mod_revision;
        let known = self.object.take().filter(same).or_else(|| self.storage.cache.get(self.key).filter(same));
        self.object = Some(match known {
            Some(object) => object,
            None => match self.storage.ingest(self.key, &kv.value) {
                Ok(draft) => draft.object(kv.mod_revision),
                Err(status) => {
                    return Err(Unreadable::new(kv.key, kv.mod_revision, status.message()).status());
                }
            },
        });
        self.kept = Some(kv.value);
        Ok(())
    }

    fn is_kept_in_another_encoding(&self) -> bool {
        let encoding = self.call.api.store.encoding();
        let (Some(object), Some(kept)) = (&self.object, &self.kept) else { return false };
        // A custom object is stored without the defaults that it is read with, or in another version.
        if encoding == Encoding::Json && !self.resource.is_custom() {
            return false;
        }
        let tree = self.resource.working_tree(object);
        let draft = self.storage.draft(&tree, self.key);
        self.storage.encode(&tree, &draft, encoding) != *kept
    }
}
