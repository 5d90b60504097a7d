//! What must be reserved beside an object, because a transaction of the store has one key: cluster IPs, node ports.
//!
//! A reservation is begun before the object's rules are checked, and settled when it is known whether the object was
//! kept: then what is no longer needed is given back. What a crash leaves behind is found by the repair loops.

mod address_range;
pub mod addresses;
mod bitmap;
pub mod node_ports;
pub mod record;
pub mod services;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use corten_api::status::Result;
use corten_object::tree::Tree;

use crate::api::Api;
use crate::resource::Storage;

pub use address_range::{AddressRange, service_ranges};
pub use services::Services;

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

/// Who reserves, by group and resource.
pub type Reservers = HashMap<(&'static str, &'static str), Arc<dyn Reserver>>;

pub fn standard(services: Services) -> Reservers {
    HashMap::from([(("", "services"), Arc::new(services) as Arc<dyn Reserver>)])
}

/// Whether a storage is that of the resource.
pub fn is(storage: &Storage, group: &str, plural: &str) -> bool {
    &*storage.group == group && &*storage.plural == plural
}
