//! How far writes were acknowledged: a file of one sector beside the journal.
//!
//! It is written after each sync of the journal and before the writers are answered, but not synced itself: a killed
//! process leaves it exact, and after a power cut it may be behind. With each commit of the tables it is synced, before
//! the journal is written from its beginning again. So it is never ahead of the journal, and it never lags behind the
//! tables by more than the one commit that was under way. What it names and the journal lacks was lost.

use redb::StorageBackend;

use super::identity::Identity;
use super::medium::{Medium, Part};
use crate::store::Revision;

const MAGIC: &[u8; 16] = b"corten-mark 3\n\0\0";
const SIZE: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) identity: Identity,
    /// Of the commit of the tables that the journal follows; 0 while the store is being made.
    pub(super) generation: u64,
    /// The checksum of the tables' seal of that commit.
    pub(super) seal: u32,
    /// The sector of the journal in front of which everything was acknowledged, and the checksum of the one before it.
    pub(super) end: u32,
    pub(super) chain: u32,
    /// The last revision that was acknowledged.
    pub(super) revision: Revision,
}

/// What the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Blank,
    Damaged,
    Mark(Mark),
}

impl Mark {
    pub(super) fn read(medium: &dyn Medium) -> std::io::Result<Found> {
        let storage = medium.open(Part::Mark)?;
        let length = storage.len()?;
        let mut bytes = [0; SIZE];
        if length == SIZE as u64 {
            storage.read(0, &mut bytes)?;
        }
        Ok(match Mark::decode(&bytes) {
            Some(mark) => Found::Mark(mark),
            None if bytes == [0; SIZE] && (length == 0 || length == SIZE as u64) => Found::Blank,
            None => Found::Damaged,
        })
    }

    pub(super) fn write(&self, storage: &dyn StorageBackend) -> std::io::Result<()> {
        storage.write(0, &self.encode())
    }

    /// Makes the file, or writes it from the beginning.
    pub(super) fn create(&self, medium: &dyn Medium) -> std::io::Result<Box<dyn StorageBackend>> {
        let storage = medium.open(Part::Mark)?;
        if storage.len()? != SIZE as u64 {
            storage.set_len(SIZE as u64)?;
        }
        self.write(&*storage)?;
        storage.sync_data()?;
        Ok(storage)
    }

    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let mut rest = &mut bytes[..];
        let mut put = |field: &[u8]| {
            let (place, after) = std::mem::take(&mut rest).split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        };
        put(MAGIC);
        put(&self.identity.0);
        put(&self.generation.to_le_bytes());
        put(&self.seal.to_le_bytes());
        put(&self.end.to_le_bytes());
        put(&self.chain.to_le_bytes());
        put(&self.revision.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..SIZE - 4]);
        bytes[SIZE - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SIZE]) -> Option<Mark> {
        let (body, checksum) = bytes.split_last_chunk()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?;
        let (identity, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (seal, rest) = rest.split_first_chunk()?;
        let (end, rest) = rest.split_first_chunk()?;
        let (chain, rest) = rest.split_first_chunk()?;
        let (revision, _) = rest.split_first_chunk()?;
        Some(Mark {
            identity: Identity(*identity),
            generation: u64::from_le_bytes(*generation),
            seal: u32::from_le_bytes(*seal),
            end: u32::from_le_bytes(*end),
            chain: u32::from_le_bytes(*chain),
            revision: u64::from_le_bytes(*revision),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_or_not_at_all() {
        let identity = Identity(*b"0123456789abcdef");
        let mark = Mark { identity, generation: 7, seal: 3, end: 2, chain: 1, revision: 99 };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes), Some(mark));
        for at in 0..SIZE {
            let mut flipped = bytes;
            flipped[at] ^= 1 << (at % 8);
            assert_eq!(Mark::decode(&flipped), None, "byte {at}");
        }
    }
}
