//! What must be reserved beside an object, because a transaction of the store has one key: cluster IPs, node ports.
//!
//! A reservation is begun before the object's rules are checked, and settled when it is known whether the object was
//! kept: then what is no longer needed is given back. What a crash leaves behind is found by the repair loops.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use corten_api::status::Result;
use corten_object::tree::Tree;

use crate::api::Api;
use crate::resource::Storage;

pub type Settling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What happens when it is known whether the object was kept.
pub struct Reservation(Box<dyn FnOnce(bool) -> Settling + Send>);

impl Reservation {
    pub fn new(settle: impl FnOnce(bool) -> Settling + Send + 'static) -> Reservation {
        Reservation(Box::new(settle))
    }

    pub async fn settle(self, kept: bool) {
        (self.0)(kept).await;
    }
}

/// Reserves for one resource.
pub trait Reserver: Send + Sync {
    fn begin<'a>(
        &'a self,
        api: &'a Arc<Api>,
        object: &'a mut Tree,
        old: Option<&'a Tree>,
        dry_run: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Reservation>>> + Send + 'a>>;

    /// The object is gone: gives back what it held.
    fn released<'a>(&'a self, api: &'a Arc<Api>, object: &'a Tree) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// Whether a storage is that of the resource.
pub fn is(storage: &Storage, group: &str, plural: &str) -> bool {
    &*storage.group == group && &*storage.plural == plural
}
