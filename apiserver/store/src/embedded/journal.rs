//! Small commits, on their way into the tables.
//!
//! A commit of the tables writes a dozen pages all over their file, even for one change. A small one is appended here
//! instead, by one write and one sync; its changes stay in memory besides, until a commit of the tables takes them
//! along. Then nothing in the journal is needed any more, and it is written from its beginning again.
//!
//! A *frame* is a commit. It says behind which revision of the tables it belongs, so that what is left of an earlier
//! round is not taken for something new, and zeros follow the last one. All numbers are little-endian:
//!
//! | | |
//! |---|---|
//! | checksum | 4 bytes: CRC-32 of all that follows |
//! | length | 4 bytes: of the changes |
//! | base | 8 bytes: the last revision in the tables |
//! | changes | revision (8 bytes), length of the row (4), the row as in the tables' log, length of the value and 1 (4; 0 is a deletion), the value |

use std::sync::Arc;

use bytes::Bytes;
use redb::StorageBackend;

use super::medium::{Medium, Part, is_full};
use super::record::{self, Record};
use crate::error::{Applied, Error};
use crate::store::{Key, Revision};

const CAPACITY: u64 = 1 << 20;
/// A commit of more than this pays for one of the tables by itself.
const SMALL: usize = 64 << 10;
const HEAD: usize = 16;

pub(super) struct Journal {
    storage: Box<dyn StorageBackend>,
    base: Revision,
    /// Where the next frame begins.
    end: u64,
    /// Kept for its memory.
    frame: Vec<u8>,
}

impl Journal {
    /// Opens it behind tables that go up to `base`, and reads which changes they lack.
    pub(super) fn open(medium: &dyn Medium, base: Revision) -> Result<(Journal, Vec<Arc<Record>>), Error> {
        let open = || {
            let storage = medium.open(Part::Journal)?;
            // Its blocks are taken once, so that it cannot run out of room later.
            if storage.len()? < CAPACITY {
                storage.set_len(CAPACITY)?;
            }
            let mut bytes = vec![0; CAPACITY as usize];
            storage.read(0, &mut bytes)?;
            Ok::<_, std::io::Error>((storage, bytes))
        };
        let unavailable =
            |error| Error::Unavailable { reason: format!("open the journal: {error}"), applied: Applied::No };
        let (storage, bytes) = open().map_err(unavailable)?;
        let (records, end) = read(&bytes, base);
        Ok((Journal { storage, base, end, frame: Vec::new() }, records))
    }

    /// How much a commit may have that is to be written here, in terms of `size`.
    pub(super) fn room(&self) -> usize {
        // Two heads: the zeros behind it are as long as one.
        let left = CAPACITY.saturating_sub(self.end) as usize;
        left.saturating_sub(2 * HEAD).min(SMALL)
    }

    /// Durable when it returns. After `NoSpace` nothing of it is there.
    pub(super) fn append(&mut self, records: &[Arc<Record>]) -> Result<(), Error> {
        self.frame.clear();
        write(self.base, records, &mut self.frame);
        let length = self.frame.len() as u64;
        self.frame.extend_from_slice(&[0; HEAD]);
        if let Err(error) = self.storage.write(self.end, &self.frame) {
            let text = format!("write to the journal: {error}");
            return Err(if is_full(error.kind()) && self.take_back() {
                Error::NoSpace(text)
            } else {
                Error::Broken(text)
            });
        }
        self.storage.sync_data().map_err(|error| Error::Broken(format!("sync the journal: {error}")))?;
        self.end += length;
        Ok(())
    }

    /// Makes sure that no frame begins at the end.
    fn take_back(&self) -> bool {
        let mut head = [0; HEAD];
        let is_blank = self.storage.read(self.end, &mut head).is_ok() && head == [0; HEAD];
        is_blank || self.storage.write(self.end, &[0; HEAD]).is_ok()
    }

    /// The tables have everything up to `base`.
    pub(super) fn rewind(&mut self, base: Revision) {
        (self.base, self.end) = (base, 0);
    }
}

/// What a change takes.
pub(super) fn size(record: &Record) -> usize {
    8 + 4 + record::ROW_HEAD + record.key.len() + 4 + record.value.as_ref().map_or(0, Bytes::len)
}

fn write(base: Revision, records: &[Arc<Record>], frame: &mut Vec<u8>) {
    frame.extend_from_slice(&[0; 8]);
    frame.extend_from_slice(&base.to_le_bytes());
    for record in records {
        frame.extend_from_slice(&record.revision().to_le_bytes());
        let row = (record::ROW_HEAD + record.key.len()) as u32;
        frame.extend_from_slice(&row.to_le_bytes());
        record::encode(&record.key, &record.version, frame);
        let value = record.value.as_ref();
        frame.extend_from_slice(&value.map_or(0, |value| value.len() as u32 + 1).to_le_bytes());
        frame.extend_from_slice(value.map_or(&[], |value| &value[..]));
    }
    let length = (frame.len() - HEAD) as u32;
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&frame[4..]);
    frame[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// The changes of all frames behind `base`, and where they end.
fn read(bytes: &[u8], base: Revision) -> (Vec<Arc<Record>>, u64) {
    let (mut records, mut rest) = (Vec::new(), bytes);
    while let Some((changes, after)) = read_frame(rest, base) {
        let last = records.last().map_or(base, |record: &Arc<Record>| record.revision());
        let Some(mut found) = read_changes(changes, last) else { break };
        records.append(&mut found);
        rest = after;
    }
    (records, (bytes.len() - rest.len()) as u64)
}

fn read_frame(bytes: &[u8], base: Revision) -> Option<(&[u8], &[u8])> {
    let (checksum, rest) = bytes.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (checked, after) = rest.split_at_checked(HEAD - 4 + length)?;
    let whole = length > 0 && crc32fast::hash(checked) == u32::from_le_bytes(*checksum);
    let (head, changes) = checked.split_at(HEAD - 4);
    (whole && head[4..] == base.to_le_bytes()).then_some((changes, after))
}

/// None unless all of it is changes, each later than the one before.
fn read_changes(mut bytes: &[u8], mut last: Revision) -> Option<Vec<Arc<Record>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (revision, rest) = bytes.split_first_chunk()?;
        let revision = u64::from_le_bytes(*revision);
        let (row, rest) = split_sized(rest, 0)?;
        let (key, version) = record::decode(revision, row)?;
        let (value, rest) = match rest.split_first_chunk()? {
            ([0, 0, 0, 0], rest) => (None, rest),
            _ => split_sized(rest, 1).map(|(value, rest)| (Some(Bytes::copy_from_slice(value)), rest))?,
        };
        if revision <= last {
            return None;
        }
        records.push(Arc::new(Record { key: Key::from(key), version, value, previous: 0, companion: None }));
        (bytes, last) = (rest, revision);
    }
    Some(records)
}

/// What stands behind its length, which is written with `more` added to it.
fn split_sized(bytes: &[u8], more: u32) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u32::from_le_bytes(*length).checked_sub(more)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests;
