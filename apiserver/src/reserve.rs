//! What must be reserved beside an object, because a transaction of the store has one key: cluster IPs, node ports.
//!
//! A [`Reservation`] is a guard. A write begins it before the object's rules are checked, tells it when the object goes
//! to the store and what the store answered, and settles it: what the object does not hold is given back before the
//! client is answered. A reservation that is dropped on any other way (an early return, a panic), or that could not be
//! settled at once, goes to a task that gives back, again after a growing pause while the store refuses. If the store
//! left open whether it took the object, the task rereads the object and gives back what that does not hold.
//!
//! What a crash leaves behind is found by the repair loops, and so is what the tasks have to give up.

mod address_range;
pub mod addresses;
mod bitmap;
mod give_back;
pub mod node_ports;
pub mod record;
mod service_holding;
pub mod services;
pub mod under_way;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use corten_api::status::Result;
use corten_object::tree::Tree;
use corten_store::{Applied, Error, WriteError};
use futures::future::BoxFuture;
use tokio::runtime::Handle;

use crate::api::Api;
use crate::resource::Storage;

pub use address_range::{AddressRange, service_ranges};
pub use services::Services;

/// What a write holds beside its object.
pub trait Holding: Send + 'static {
    /// Decides what is to be given back: what the write took, or, if the store kept the object (or deleted it, as it
    /// was to do), what the object no longer needs.
    fn decide(&mut self, stored: bool);

    /// Decides the same by the object that the store holds now.
    fn decide_by_store(&mut self) -> BoxFuture<'_, std::result::Result<(), Error>>;

    /// Gives back, and forgets what is given back. An error says that something is left and may be tried again.
    fn give_back(&mut self) -> BoxFuture<'_, std::result::Result<(), String>>;

    /// Nothing is left to be given back.
    fn is_settled(&self) -> bool;
}

/// How far a write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The store does not have the object, and will not get it.
    Reserved,
    /// The object is on its way to the store, or went there and the answer leaves open what became of it.
    Sent,
    Stored,
    /// What is to be given back is decided.
    Decided,
}

/// The guard of what a write holds, if it holds anything.
#[must_use = "what is reserved is given back when this is dropped"]
pub struct Reservation(Option<Held>);

struct Held {
    api: Arc<Api>,
    stage: Stage,
    holding: Box<dyn Holding>,
}

impl Reservation {
    pub fn none() -> Reservation {
        Reservation(None)
    }

    pub fn new(api: &Arc<Api>, holding: impl Holding) -> Reservation {
        Reservation(Some(Held { api: Arc::clone(api), stage: Stage::Reserved, holding: Box::new(holding) }))
    }

    /// The write goes to the store now.
    pub fn sent(&mut self) {
        self.reach(Stage::Sent);
    }

    /// What the store answered.
    pub fn answered<T>(&mut self, answer: &std::result::Result<T, WriteError>) {
        match answer {
            Ok(_) => self.reach(Stage::Stored),
            Err(WriteError::Failed(Error::Unavailable { applied: Applied::Unknown, .. })) => {}
            Err(_) => self.reach(Stage::Reserved),
        }
    }

    fn reach(&mut self, stage: Stage) {
        if let Some(held) = &mut self.0 {
            held.stage = stage;
        }
    }

    /// Gives back what the object does not hold. What cannot be given back now is left to a task.
    pub async fn settle(mut self) {
        let Some(held) = &mut self.0 else { return };
        if !held.decide() {
            return;
        }
        if held.holding.is_settled() || held.holding.give_back().await.is_ok() {
            self.0 = None;
        }
    }
}

impl Held {
    /// False if only the store knows what is to be given back.
    fn decide(&mut self) -> bool {
        match self.stage {
            Stage::Sent => return false,
            Stage::Decided => return true,
            Stage::Reserved => self.holding.decide(false),
            Stage::Stored => self.holding.decide(true),
        }
        self.stage = Stage::Decided;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(mut held) = self.0.take() else { return };
        let decided = held.decide();
        if (decided && held.holding.is_settled()) || Handle::try_current().is_err() {
            return;
        }
        let api = held.api;
        let task = give_back::give_back(api.clock.clone(), api.give_backs.token().clone(), held.holding, decided);
        api.give_backs.spawn(task);
    }
}

/// Reserves for one resource.
pub trait Reserver: Send + Sync {
    /// Takes what the object needs beside what `old` holds, and writes it into the object.
    fn begin<'a>(
        &'a self,
        api: &'a Arc<Api>,
        object: &'a mut Tree,
        old: Option<&'a Tree>,
        dry_run: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Reservation>> + Send + 'a>>;

    /// For a deletion, which is to give back all that the object holds.
    fn leaving(&self, api: &Arc<Api>, object: &Tree) -> Reservation;
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
