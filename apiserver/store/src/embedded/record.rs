//! One change, and its row on the disk.

use bytes::Bytes;

use super::history::Version;
use crate::store::{Companion, Key, Revision};

/// A change on its way to the disk and to the watchers.
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) version: Version,
    /// None is a deletion.
    pub(super) value: Option<Bytes>,
    /// The revision of what it superseded; 0 if there was nothing.
    pub(super) previous: Revision,
    pub(super) companion: Option<Companion>,
}

impl Record {
    pub(super) fn revision(&self) -> Revision {
        self.version.revision
    }
}

/// What stands before the key in a row of the log.
pub(super) const ROW_HEAD: usize = 16;

/// Appends a row of the log, all but its revision, which is the row's key: the revision of creation, the end of the
/// time to live, both little-endian, then the key.
pub(super) fn encode(key: &str, version: &Version, row: &mut Vec<u8>) {
    row.extend_from_slice(&version.create_revision.to_le_bytes());
    row.extend_from_slice(&version.expires.to_le_bytes());
    row.extend_from_slice(key.as_bytes());
}

pub(super) fn decode(revision: Revision, row: &[u8]) -> Option<(&str, Version)> {
    let (create_revision, rest) = row.split_first_chunk()?;
    let (expires, key) = rest.split_first_chunk()?;
    let create_revision = u64::from_le_bytes(*create_revision);
    let version = Version { revision, create_revision, expires: u64::from_le_bytes(*expires) };
    Some((std::str::from_utf8(key).ok()?, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let version = Version { revision: 9, create_revision: 7, expires: 1 << 60 };
        let mut row = Vec::new();
        encode("/registry/pods/ü", &version, &mut row);
        assert_eq!(decode(9, &row), Some(("/registry/pods/ü", version)));
        assert_eq!(decode(9, &row[..15]), None);
        row.push(0xff);
        assert_eq!(decode(9, &row), None);
    }
}
