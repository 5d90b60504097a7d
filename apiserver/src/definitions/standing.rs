//! Whether the definition of a new object still stands.
//!
//! Where several servers share a store, one of them may mark a definition, delete its objects and let it go, while
//! another has not heard of that and takes one object more. So the other asks the store after it has written: the mark
//! comes before the listing that found no object left, and an object that this listing missed was written after it.

use corten_custom::Definition;
use corten_store::{Applied, Error, Read, Span, Want};

use super::{GROUP, PLURAL};
use crate::api::Api;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Stands,
    /// It is being deleted.
    Goes,
    /// It is gone; another one of its name does not count.
    Gone,
}

/// What the store says of a definition at a moment after the call.
pub async fn of(api: &Api, definition: &Definition) -> Result<Standing, Error> {
    let Some(definitions) = api.storage(GROUP, PLURAL) else { return Ok(Standing::Gone) };
    let name = definition.name();
    let read = Read::of(Span::key(definitions.store_key(&name))).want(Want::Keys);
    let listing = api.store.range(read).await?;
    let Some(kv) = listing.kvs.first() else { return Ok(Standing::Gone) };
    api.applied(kv.mod_revision).await;
    match definitions.cache.get(&name) {
        Some(kept) if kept.revision < kv.mod_revision => {
            Err(Error::Unavailable { reason: "the caches do not follow the store".to_owned(), applied: Applied::No })
        }
        Some(kept) if *kept.uid == *definition.uid() => {
            Ok(if kept.is_being_deleted() { Standing::Goes } else { Standing::Stands })
        }
        _ => Ok(Standing::Gone),
    }
}
