//! Why a store did not do as it was told.

use std::path::PathBuf;

use crate::store::{Key, KeyValue, Revision};

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is forgotten. Clients see it as 410.
    #[error("revision {requested} was compacted; the oldest one known is {compacted}")]
    Compacted { requested: Revision, compacted: Revision },

    #[error("revision {requested} is yet to come; the store is at {current}")]
    FutureRevision { requested: Revision, current: Revision },

    /// Reads go on, and writes will when there is room.
    #[error("no space left for the store: {0}")]
    NoSpace(String),

    #[error("the value is larger than the store takes: {0}")]
    TooLarge(String),

    /// The store cannot be reached, or has no quorum. Whether a write took effect is said; for a read it means nothing.
    #[error("the store is not available: {reason}")]
    Unavailable { reason: String, applied: Applied },

    /// Writing failed in a way after which nothing more may be written: a restart has to find out what the disk holds.
    #[error("the store has stopped writing, and has to be restarted: {0}")]
    Broken(String),

    #[error("the store's data is damaged: {0}")]
    Corrupt(String),

    /// The value of one key is not what was written; others can be read.
    #[error("the stored value of {key} at revision {revision} is damaged: {reason}")]
    Damaged { key: Key, revision: Revision, reason: String },

    #[error("the store is closed")]
    Closed,

    /// The engine refuses the request itself: wrong credentials, an alarm, a fault of ours.
    #[error("the store refuses the request: {0}")]
    Refused(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    No,
    Unknown,
}

impl Error {
    /// Whether the same request may succeed later, and may be sent again without harm.
    pub fn retryable(&self) -> bool {
        match self {
            Error::NoSpace(_) => true,
            Error::Unavailable { applied, .. } => *applied == Applied::No,
            Error::Compacted { .. }
            | Error::FutureRevision { .. }
            | Error::TooLarge(_)
            | Error::Broken(_)
            | Error::Corrupt(_)
            | Error::Damaged { .. }
            | Error::Closed
            | Error::Refused(_) => false,
        }
    }
}

/// The key was not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub current: Option<KeyValue>,
    /// The store's revision when it was found out.
    pub revision: Revision,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    #[error("the key is not as expected")]
    Conflict(Conflict),
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why a store could not be opened. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data folder {folder} is in use by {holder}; stop that first, or choose another folder")]
    InUse { folder: PathBuf, holder: String },

    #[error(
        "data folder {folder} has format {found}, and this version of Corten knows formats up to {known}; \
         use the version that wrote it, or a newer one"
    )]
    Newer { folder: PathBuf, found: u32, known: u32 },

    #[error("folder {folder} is not a Corten store: {reason}; choose an empty folder")]
    Foreign { folder: PathBuf, reason: String },

    #[error(
        "the store in {folder} is damaged: {reason}; restore the folder from a backup, or see what can be read with \
         `corten store check` and `corten store export`, and keep that with `corten store repair`"
    )]
    Corrupt { folder: PathBuf, reason: String },

    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },

    #[error("etcd at {endpoints}: {reason}")]
    Etcd { endpoints: String, reason: String },
}
