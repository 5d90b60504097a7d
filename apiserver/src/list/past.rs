//! The objects of a resource at a revision that its cache has forgotten, read from the store.
//!
//! Objects that have not changed since are the cache's own, which costs nothing more. The others are read a few at a
//! time, and charged as long as somebody holds the snapshot.

use std::sync::Arc;

use corten_api::status::{Result, Status};
use corten_store::{Error, Key, KeyValue, Listing, Read, Span, Want};

use crate::cache::{Objects, Snapshot, Unreadable, Unreadables};
use crate::call::Call;
use crate::object::Object;
use crate::resource::Storage;

/// How many values are read at once.
const AT_ONCE: usize = 32;
/// A key whose object has not changed takes as long as so many bytes of a body.
const KEY_WORK: usize = 64;

pub async fn snapshot(call: &Call, storage: &Storage, revision: u64) -> Result<Snapshot> {
    let now = storage.cache.snapshot().objects;
    let keys = range(call, Read::of(Span::prefix(Arc::clone(&storage.prefix))).at(revision).want(Want::Keys)).await?;
    call.weigh(keys.kvs.len().saturating_mul(KEY_WORK)).await;
    let (mut objects, mut charge) = (Objects::new(), call.api.budget.charge());
    let mut read = 0;
    let mut insert = |object: Arc<Object>| objects.insert(Arc::clone(&object.key), object);
    // Keys beside each other whose objects are not the cache's.
    let mut others: Vec<Key> = Vec::new();
    for (place, kv) in keys.kvs.iter().enumerate() {
        let unchanged = now.get(&kv.key[storage.prefix.len()..]).filter(|object| object.revision == kv.mod_revision);
        match unchanged {
            Some(object) => drop(insert(Arc::clone(object))),
            None => others.push(Arc::clone(&kv.key)),
        }
        let ends = unchanged.is_some() || others.len() == AT_ONCE || place + 1 == keys.kvs.len();
        let (Some(first), Some(last), true) = (others.first(), others.last(), ends) else { continue };
        let span = Span::between(Arc::clone(first), format!("{last}\0"));
        others.clear();
        for kv in range(call, Read::of(span).at(revision)).await?.kvs {
            charge.add(kv.value.len(), call.class)?;
            read += kv.value.len();
            call.weigh(read).await;
            insert(ingest(storage, &kv)?);
        }
    }
    Ok(Snapshot { objects, unreadable: Unreadables::new(), revision, charge: Some(Arc::new(charge)) })
}

async fn range(call: &Call, read: Read) -> Result<Listing> {
    call.api.store.range(read).await.map_err(|error| match error {
        Error::Compacted { .. } => {
            Status::resource_expired("The resourceVersion for the provided list is too old.".to_string())
        }
        Error::FutureRevision { requested, current } => Status::resource_version_too_large(requested, current, 0),
        error => Status::internal(error),
    })
}

fn ingest(storage: &Storage, kv: &KeyValue) -> Result<Arc<Object>> {
    let unreadable = |status: Status| Unreadable::new(Arc::clone(&kv.key), kv.mod_revision, status.message()).status();
    let draft = storage.ingest(&kv.key[storage.prefix.len()..], &kv.value).map_err(unreadable)?;
    Ok(draft.object(kv.mod_revision))
}
