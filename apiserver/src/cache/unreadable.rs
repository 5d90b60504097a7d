//! Objects that are there and cannot be shown, because what the store holds of them is damaged or cannot be decoded.
//!
//! Such a key never looks as if nothing were there: who reads it is told that it cannot be read, and so is who lists
//! what it belongs to. A later write or a deletion of the key in the store ends that.

use std::ops::Bound;
use std::sync::Arc;

use corten_api::status::{Result, Status};
use imbl::OrdMap;

use super::{Objects, Snapshot};
use crate::object::Object;

/// By `namespace/name`, as the objects.
pub type Unreadables = OrdMap<Arc<str>, Unreadable>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// In the store.
    pub key: Arc<str>,
    pub revision: u64,
    pub reason: Arc<str>,
    /// Whether this process has read an earlier state of the object, and so has acted on it.
    pub was_read: bool,
}

/// How many keys an answer names.
const NAMED_MAX: usize = 10;

impl Unreadable {
    pub fn new(key: Arc<str>, revision: u64, reason: impl Into<Arc<str>>) -> Unreadable {
        Unreadable { key, revision, reason: reason.into(), was_read: false }
    }

    pub fn status(&self) -> Status {
        Status::internal(format!("the stored object {} cannot be read: {}", self.key, self.reason))
    }
}

/// What a key became.
pub enum Change {
    Object(Arc<Object>),
    Gone,
    Unreadable(Unreadable),
}

impl From<Option<Arc<Object>>> for Change {
    fn from(object: Option<Arc<Object>>) -> Change {
        object.map_or(Change::Gone, Change::Object)
    }
}

/// What was read of a resource.
#[derive(Default)]
pub struct Reading {
    pub objects: Objects,
    pub unreadable: Unreadables,
}

impl From<Objects> for Reading {
    fn from(objects: Objects) -> Reading {
        Reading { objects, unreadable: Unreadables::new() }
    }
}

impl Snapshot {
    /// An error if an object cannot be shown that `name`, or everything below `prefix` if that is none, covers.
    pub fn check_readable(&self, prefix: &str, name: Option<&str>) -> Result<()> {
        if self.unreadable.is_empty() {
            return Ok(());
        }
        if let Some(name) = name.filter(|_| !prefix.is_empty()) {
            let one = self.unreadable.get(&*format!("{prefix}{name}"));
            return one.map_or(Ok(()), |unreadable| Err(unreadable.status()));
        }
        let below = self.unreadable.range::<_, str>((Bound::Included(prefix), Bound::Unbounded));
        let named = |key: &str| name.is_none_or(|name| key.rsplit('/').next() == Some(name));
        let mut found = below.take_while(|(key, _)| key.starts_with(prefix)).filter(|(key, _)| named(key));
        let Some((_, first)) = found.next() else { return Ok(()) };
        let (mut others, mut count) = (String::new(), 0);
        for (_, unreadable) in found {
            count += 1;
            if count < NAMED_MAX {
                others.push_str(", ");
                others.push_str(&unreadable.key);
            }
        }
        if count == 0 {
            return Err(first.status());
        }
        let (key, reason) = (&first.key, &first.reason);
        Err(Status::internal(format!("{} stored objects cannot be read: {key} ({reason}){others}", count + 1)))
    }
}
