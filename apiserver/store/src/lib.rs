//! Ordered, durable keys: the storage contract and its engines.
//!
//! `Store` (store.rs) is the contract, in words that tests/conformance checks. `Embedded` keeps everything in one
//! folder of this machine and belongs to one process; `Etcd` speaks to an etcd that several servers share. Nothing in
//! here knows what a value means.

pub mod embedded;
mod error;
pub mod etcd;
#[cfg(feature = "simulation")]
pub mod simulation;
mod span;
mod store;
mod watch;

pub use embedded::Embedded;
pub use error::{Applied, Conflict, Error, OpenError, WriteError};
pub use etcd::Etcd;
pub use span::Span;
pub use store::{
    Companion, Damage, Degraded, Deleted, Durability, Encoding, Expect, Fetched, Key, KeyValue, Listing, Progress, Put,
    Read, Revision, Status, Store, Want, WatchFrom,
};
pub use watch::{Batch, Event, Previous, Watch, WatchSource};
