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

/// What stands in a row of the log beside the key.
pub(super) const ROW_OVERHEAD: usize = HEAD + CHECKSUM;
const HEAD: usize = 20;
const CHECKSUM: usize = 4;

/// Appends a row of the log, all but its revision, which is the row's key: the revision of creation (8 bytes), the end
/// of the time to live (8), the CRC-32 of the value (4), the key, and the CRC-32 of the revision and of all of these.
/// Numbers are little-endian.
pub(super) fn encode(key: &str, version: &Version, row: &mut Vec<u8>) {
    let start = row.len();
    row.extend_from_slice(&version.create_revision.to_le_bytes());
    row.extend_from_slice(&version.expires.to_le_bytes());
    row.extend_from_slice(&version.value_sum.to_le_bytes());
    row.extend_from_slice(key.as_bytes());
    let checksum = checksum(version.revision, &row[start..]);
    row.extend_from_slice(&checksum.to_le_bytes());
}

/// None if it is not as it was written.
pub(super) fn decode(revision: Revision, row: &[u8]) -> Option<(&str, Version)> {
    let (body, written) = row.split_last_chunk()?;
    if checksum(revision, body) != u32::from_le_bytes(*written) {
        return None;
    }
    let (create_revision, rest) = body.split_first_chunk()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (value_sum, key) = rest.split_first_chunk()?;
    let version = Version {
        revision,
        create_revision: u64::from_le_bytes(*create_revision),
        expires: u64::from_le_bytes(*expires),
        value_sum: u32::from_le_bytes(*value_sum),
    };
    Some((std::str::from_utf8(key).ok()?, version))
}

fn checksum(revision: Revision, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&revision.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// What a row adds to the sum over all rows of the log.
pub(super) fn share(revision: Revision, row: &[u8]) -> u64 {
    let checksum = row.last_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum));
    (revision ^ u64::from(checksum) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let version = Version { revision: 9, create_revision: 7, expires: 1 << 60, value_sum: 5 };
        let mut row = b"before".to_vec();
        encode("/registry/pods/ü", &version, &mut row);
        let row = row.split_off(6);
        assert_eq!(row.len(), ROW_OVERHEAD + "/registry/pods/ü".len());
        assert_eq!(decode(9, &row), Some(("/registry/pods/ü", version)));
        assert_eq!(decode(8, &row), None);
        assert_eq!(decode(9, &row[..15]), None);
        for at in 0..row.len() {
            for bit in 0..8 {
                let mut flipped = row.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(decode(9, &flipped), None, "bit {bit} of byte {at}");
            }
        }
    }
}
