//! Whether the definition of a new object still stands.
//!
//! A server may mark a definition, delete its objects and let it go, while another on the same store, or a request of its
//! own on a storage that has been replaced, takes one object more. The mark comes before the listing that found no object
//! left, and an object that this listing missed was written after it. So the caches, once they show that object, show the
//! mark too.

use corten_api::status::{Result, Status};
use corten_custom::Definition;

use crate::api::Api;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Stands,
    /// It is being deleted.
    Goes,
    /// It is gone; another one of its name does not count.
    Gone,
}

/// How it was with a definition at a revision of the store, or later.
pub async fn at(api: &Api, definition: &Definition, revision: u64) -> Result<Standing> {
    api.feed.wait_for(revision).await?;
    let definitions = super::storage(api).ok_or_else(|| Status::internal("definitions are not served"))?;
    let kept = match definitions.cache.find(&definition.name()) {
        Ok(kept) => kept,
        // It is there, and what it defined before is served on. Whoever cannot read it does not delete its objects.
        Err(_) => return Ok(Standing::Stands),
    };
    Ok(match kept.filter(|kept| *kept.uid == *definition.uid()) {
        Some(kept) if kept.is_being_deleted() => Standing::Goes,
        Some(_) => Standing::Stands,
        None => Standing::Gone,
    })
}
