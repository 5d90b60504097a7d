//! What a storage engine promises.
//!
//! # The contract
//!
//! **Revisions.** A store has one revision, a number that starts at 1 and that every change raises. A change is known
//! by its revision for ever: it never goes back and no number is given to two changes that anybody has seen, over
//! crashes too. Numbers may be left out. Changes that an engine makes in one stroke (leases that run out together) may
//! share a revision, one for each key.
//!
//! **Writes.** A put or a delete takes effect as a whole or not at all, and only if the key is as it `expect`s, at the
//! moment of the change. Otherwise nothing changes and the answer is a `Conflict` with what is there. A `Durable` write
//! that was answered survives any crash; a `Lazy` one may be lost in a crash, and then everything lazy after it is lost
//! as well, but it is never lost by a close. An error that is not `Error::Unavailable { applied: Applied::Unknown }`
//! means that nothing changed. A put without a time to live takes an earlier one from its key.
//!
//! **Reads** are linearizable: they see every write that was answered before they began. A read at a revision sees the
//! keys as they were right after that change: `Error::Compacted` if that is forgotten, `Error::FutureRevision` if it is
//! yet to come. Keys come in the order of their bytes. A value that is not what was written is never given out, nor left
//! out: the read fails by `Error::Damaged`, which names the key, or reports it. An engine without checksums of its own
//! (etcd) cannot tell.
//!
//! **Watches** deliver every change of a span after a revision, in the order of revisions, without a gap and without a
//! repetition. Changes of one revision come in one batch. A write's event can be had from every watch that covers it,
//! by `Watch::next` or, on an engine of this process, by `Watch::try_next`, once the write is answered. A watch that
//! cannot go on says so once, as an error, and ends: `Compacted` if what follows is forgotten (its revision was
//! compacted away, or lost in a crash after which somebody may have seen changes that are gone), `Closed` on a close.
//! It outlives an interruption of the engine's service, and a slow reader of it holds up nobody.
//!
//! **Compaction** at a revision forgets every version of a key that was superseded at or before it. Reads at an earlier
//! revision and watches from one are then `Compacted`. Engines compact by themselves, so that about the last five
//! minutes are remembered.
//!
//! **Expiry.** A key put with a time to live is deleted some time after it has passed, by a change like any other.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::error::{Error, WriteError};
use crate::span::Span;
use crate::watch::Watch;

pub type Revision = u64;
/// Shared, so that an index, an event and a cache hold one copy.
pub type Key = Arc<str>;
/// What a writer knows about its value already, handed to the watchers of the same process beside it. It is never
/// stored, and an event may come without it.
pub type Companion = Arc<dyn Any + Send + Sync>;

/// A storage engine; see the module's words.
pub trait Store: Send + Sync + 'static {
    fn get<'a>(&'a self, key: &'a str, at: Option<Revision>) -> BoxFuture<'a, Result<Fetched, Error>>;

    fn range(&self, read: Read) -> BoxFuture<'_, Result<Listing, Error>>;

    /// Answers with the revision of the change.
    fn put(&self, put: Put) -> BoxFuture<'_, Result<Revision, WriteError>>;

    /// Deleting what is not there, with `Expect::Any` or `Expect::Absent`, changes nothing and is no conflict.
    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<Deleted, WriteError>>;

    /// Changes of `span` as `from` says. A revision that is yet to come is waited for.
    fn watch(&self, span: Span, from: WatchFrom) -> BoxFuture<'_, Result<Watch, Error>>;

    /// The revision of the last change, read as linearizably as a `get`.
    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, Error>>;

    /// The oldest revision that can be read at and watched from, as far as this process knows; 0 if none was forgotten.
    fn compacted_revision(&self) -> Revision;

    /// Forgets as the module's words say. A revision that was compacted before is an error, and so is one to come.
    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>>;

    /// Whether the engine answers, and how much it holds.
    fn status(&self) -> BoxFuture<'_, Result<Status, Error>>;

    /// In which encoding values ought to be stored here.
    fn encoding(&self) -> Encoding;

    /// How to learn that a watch has seen everything up to now.
    fn progress(&self) -> Progress;

    /// Ends the watches, makes lazy writes durable and gives the folder or the connections back. Every later call is
    /// `Error::Closed`. A second close does nothing.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Key,
    pub value: Bytes,
    pub mod_revision: Revision,
    pub create_revision: Revision,
    /// Whether it was put with a time to live.
    pub leased: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub kv: Option<KeyValue>,
    /// The store's revision when it was read; no older than any write answered before.
    pub revision: Revision,
}

/// What to list.
#[derive(Clone, Debug)]
pub struct Read {
    pub span: Span,
    /// At most so many; 0 is all.
    pub limit: usize,
    /// Now, if absent.
    pub at: Option<Revision>,
    pub want: Want,
    pub damage: Damage,
}

impl Read {
    pub fn of(span: Span) -> Read {
        Read { span, limit: 0, at: None, want: Want::Values, damage: Damage::Refuse }
    }

    pub fn report_damage(self) -> Read {
        Read { damage: Damage::Report, ..self }
    }

    pub fn limit(self, limit: usize) -> Read {
        Read { limit, ..self }
    }

    pub fn at(self, revision: Revision) -> Read {
        Read { at: Some(revision), ..self }
    }

    pub fn want(self, want: Want) -> Read {
        Read { want, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Values,
    /// Values are left empty.
    Keys,
    /// `Listing::kvs` is left empty.
    Count,
}

/// What becomes of a read that comes upon a value that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// All of it fails, by the `Error::Damaged` of that value.
    Refuse,
    /// It goes on, and `Listing::damaged` has the errors.
    Report,
}

#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub kvs: Vec<KeyValue>,
    /// An `Error::Damaged` for each key whose value cannot be read, if the read asked to be told.
    pub damaged: Vec<Error>,
    /// Whether the limit left keys out. Go on with `Span::starting_after` the last key, at `revision`.
    pub more: bool,
    /// How many keys the span holds, the limit aside.
    pub count: usize,
    /// The store's revision when it was read, also when the read was at an older one.
    pub revision: Revision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Any,
    Absent,
    /// The key's mod revision; 0 is `Absent`, as in etcd.
    ModRevision(Revision),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Durable,
    /// For what may be lost in a crash. It is seen by all as soon as every durable write before it is, and made durable
    /// with the next one, or after a bounded while.
    Lazy,
}

/// A value to store.
#[derive(Clone)]
pub struct Put {
    pub key: Key,
    pub value: Bytes,
    pub expect: Expect,
    pub ttl: Option<Duration>,
    pub durability: Durability,
    pub companion: Option<Companion>,
}

impl Put {
    pub fn new(key: impl Into<Key>, value: impl Into<Bytes>, expect: Expect) -> Put {
        let durability = Durability::Durable;
        Put { key: key.into(), value: value.into(), expect, ttl: None, durability, companion: None }
    }

    pub fn ttl(self, ttl: Duration) -> Put {
        Put { ttl: Some(ttl), ..self }
    }

    pub fn lazy(self) -> Put {
        Put { durability: Durability::Lazy, ..self }
    }

    pub fn companion(self, companion: Companion) -> Put {
        Put { companion: Some(companion), ..self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Of the deletion; of the store, if there was nothing to delete.
    pub revision: Revision,
    pub previous: Option<KeyValue>,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchFrom {
    /// Changes after this revision; after the present one if absent.
    pub after: Option<Revision>,
    /// Whether events carry what the key held before. If that was compacted before it could be read, the watch ends as
    /// `Compacted`.
    pub previous: bool,
}

impl WatchFrom {
    pub const fn now() -> WatchFrom {
        WatchFrom { after: None, previous: false }
    }

    pub const fn after(revision: Revision) -> WatchFrom {
        WatchFrom { after: Some(revision), previous: false }
    }

    pub const fn with_previous(self) -> WatchFrom {
        WatchFrom { previous: true, ..self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub revision: Revision,
    /// Bytes on disk.
    pub size: u64,
    /// What is wrong, where the engine still answers reads but refuses writes.
    pub degraded: Option<Degraded>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    pub reason: String,
    /// Otherwise it mends by itself, when there is room again, say.
    pub restart_helps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Protobuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// `Watch::request_progress` soon brings a batch that has come as far as it asks for.
    OnRequest,
    /// The server's version answers such a request wrongly. A consistent read has to be a `range`.
    ByRangeOnly,
}
