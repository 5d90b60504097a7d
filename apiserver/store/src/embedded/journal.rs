//! Small commits, on their way into the tables.
//!
//! A commit of the tables writes a dozen pages all over their file, even for one change. A small one is appended here
//! instead, by one write and one sync; its changes stay in memory besides, until a commit of the tables takes them
//! along. Then nothing in the journal is needed any more, and it is written from its beginning again.
//!
//! A *frame* is a commit: its changes, laid out in `sectors`. Each says which commit of the tables it follows, so that
//! what is left of an earlier round is not taken for something new. `round` reads them, and tells a torn end from
//! damage with the help of the `mark`, a file of its own that has how far writes were acknowledged.
//!
//! A change in a frame is its revision (8 bytes), the length of its row (4), the row as in the tables' log, the length
//! of its value and 1 (4; 0 is a deletion), and the value. All numbers are little-endian.
//!
//! What no reader can tell: a last frame that was synced, and acknowledged or not, but whose sectors a disk has turned
//! back into exactly what stood there before, after a power cut that lost the mark's last write as well; and a folder
//! that was exchanged as a whole for an older copy of itself.

mod before;
mod round;
mod sectors;

use std::sync::Arc;

use bytes::Bytes;
use redb::StorageBackend;

pub(super) use self::before::read as read_format_2;
pub(super) use self::round::{read as read_round, salvage};
pub(super) use self::sectors::SECTOR;
use self::sectors::{PAYLOAD, Place, Sector, chain_start};
use super::disk::Seal;
use super::identity::Identity;
use super::mark::Mark;
use super::medium::{Medium, Part, is_full};
use super::record::{self, Record};
use crate::error::{Applied, Error};
use crate::store::Revision;

pub(super) const CAPACITY: u64 = 1 << 20;
const SECTORS: u32 = (CAPACITY / SECTOR as u64) as u32;
/// A commit of more than this pays for one of the tables by itself.
const SMALL: usize = 64 << 10;

pub(super) struct Journal {
    storage: Box<dyn StorageBackend>,
    identity: Identity,
    /// Where the next frame goes.
    next: Place,
    mark_file: Box<dyn StorageBackend>,
    mark: Mark,
    /// Kept for their memory.
    frame: Vec<u8>,
    sectors: Vec<u8>,
}

impl Journal {
    /// Makes the journal and the mark of a new store, or of one that had others, and syncs them.
    pub(super) fn create(medium: &dyn Medium, seal: &Seal) -> Result<Journal, Error> {
        let create = || {
            let storage = medium.open(Part::Journal)?;
            // Its blocks are taken once, so that it cannot run out of room later.
            storage.set_len(CAPACITY)?;
            let mut bytes = vec![0; CAPACITY as usize];
            bytes[..SECTOR].copy_from_slice(&sectors::title(seal.identity));
            storage.write(0, &bytes)?;
            storage.sync_data()?;
            let mark = begun(seal);
            Ok::<_, std::io::Error>((storage, mark.create(medium)?, mark))
        };
        let (storage, mark_file, mark) = create().map_err(|error| unavailable("make", &error))?;
        Ok(Journal::new(storage, mark_file, mark))
    }

    /// Opens it behind tables with this seal, and reads which changes they lack.
    pub(super) fn open(medium: &dyn Medium, seal: &Seal, mark: Mark) -> Result<(Journal, Vec<Arc<Record>>), Error> {
        let bytes = read_all(medium)?;
        let corrupt = |reason: String| Error::Corrupt(format!("the journal: {reason}"));
        // The tables went on by one commit, and the server ended before the mark followed.
        let follows = mark.generation + 1 == seal.generation;
        let expected = if follows { begun(seal) } else { mark };
        let round = read_round(&bytes, seal.identity, seal.generation, Some(&expected)).map_err(corrupt)?;
        if follows && !round.frames.is_empty() {
            return Err(Error::Corrupt("the file mark is older than the journal".to_owned()));
        }
        let records = read_frames(&round.frames, seal.last)
            .ok_or_else(|| corrupt("its changes contradict the tables".to_owned()))?;
        let open = || {
            let storage = medium.open(Part::Journal)?;
            let mark_file = if follows { expected.create(medium)? } else { medium.open(Part::Mark)? };
            Ok::<_, std::io::Error>((storage, mark_file))
        };
        let (storage, mark_file) = open().map_err(|error| unavailable("open", &error))?;
        let mut journal = Journal::new(storage, mark_file, expected);
        journal.next.frame = round.frames.len() as u32;
        (journal.next.end, journal.next.chain) = round.place();
        Ok((journal, records))
    }

    fn new(storage: Box<dyn StorageBackend>, mark_file: Box<dyn StorageBackend>, mark: Mark) -> Journal {
        let (identity, generation) = (mark.identity, mark.generation);
        let next = Place { generation, frame: 0, end: 1, chain: chain_start(identity, generation) };
        Journal { storage, identity, next, mark_file, mark, frame: Vec::new(), sectors: Vec::new() }
    }

    /// Of the commit of the tables that it follows.
    pub(super) fn generation(&self) -> u64 {
        self.next.generation
    }

    /// How much a commit may have that is to be written here, in terms of `size`.
    pub(super) fn room(&self) -> usize {
        (SECTORS.saturating_sub(self.next.end) as usize * PAYLOAD).min(SMALL)
    }

    /// Durable and marked as acknowledged when it returns. After `NoSpace` nothing of it is there.
    pub(super) fn append(&mut self, records: &[Arc<Record>]) -> Result<(), Error> {
        self.frame.clear();
        records.iter().for_each(|record| write(record, &mut self.frame));
        self.sectors.clear();
        let chain = sectors::write(self.identity, self.next, &self.frame, &mut self.sectors);
        let offset = u64::from(self.next.end) * SECTOR as u64;
        if let Err(error) = self.storage.write(offset, &self.sectors) {
            let text = format!("write to the journal: {error}");
            return Err(if is_full(error.kind()) && self.take_back() {
                Error::NoSpace(text)
            } else {
                Error::Broken(text)
            });
        }
        self.storage.sync_data().map_err(|error| Error::Broken(format!("sync the journal: {error}")))?;
        self.next.end += (self.sectors.len() / SECTOR) as u32;
        (self.next.chain, self.next.frame) = (chain, self.next.frame + 1);
        self.mark.revision = records.last().map_or(self.mark.revision, |record| record.revision());
        (self.mark.end, self.mark.chain) = (self.next.end, chain);
        self.mark.write(&*self.mark_file).map_err(|error| Error::Broken(format!("write the file mark: {error}")))
    }

    /// Makes sure that nothing of the frame that was being written is left.
    fn take_back(&self) -> bool {
        let offset = u64::from(self.next.end) * SECTOR as u64;
        let mut found = vec![0; self.sectors.len()];
        let untouched = self.storage.read(offset, &mut found).is_ok()
            && (found.as_chunks::<SECTOR>().0.iter().zip(self.next.end..)).all(|(sector, at)| {
                match sectors::read(self.identity, at, sector) {
                    Sector::Blank => true,
                    Sector::Whole { head, .. } => head.generation < self.next.generation,
                    Sector::Damaged => false,
                }
            });
        untouched || self.storage.write(offset, &vec![0; self.sectors.len()]).is_ok()
    }

    /// The tables have everything now: begins anew behind them. Nothing may be acknowledged before it returns.
    pub(super) fn begin_round(&mut self, seal: &Seal) -> Result<(), Error> {
        let mark = begun(seal);
        let written = mark.write(&*self.mark_file).and_then(|()| self.mark_file.sync_data());
        written.map_err(|error| Error::Broken(format!("write the file mark: {error}")))?;
        self.mark = mark;
        let chain = chain_start(self.identity, seal.generation);
        self.next = Place { generation: seal.generation, frame: 0, end: 1, chain };
        Ok(())
    }
}

/// The mark of a journal without a frame behind these tables.
pub(super) fn begun(seal: &Seal) -> Mark {
    let Seal { identity, generation, last, .. } = *seal;
    let chain = chain_start(identity, generation);
    Mark { identity, generation, seal: seal.checksum(), end: 1, chain, revision: last }
}

pub(super) fn read_all(medium: &dyn Medium) -> Result<Vec<u8>, Error> {
    let read = || {
        let storage = medium.open(Part::Journal)?;
        let length = storage.len()?;
        let mut bytes = vec![0; length.min(CAPACITY) as usize];
        storage.read(0, &mut bytes)?;
        Ok::<_, std::io::Error>((length, bytes))
    };
    match read().map_err(|error| unavailable("read", &error))? {
        (CAPACITY, bytes) => Ok(bytes),
        (length, _) => Err(Error::Corrupt(format!("the journal has {length} bytes instead of {CAPACITY}"))),
    }
}

fn unavailable(action: &str, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::Corrupt(error.to_string());
    }
    Error::Unavailable { reason: format!("{action} the journal: {error}"), applied: Applied::No }
}

/// What a change takes.
pub(super) fn size(record: &Record) -> usize {
    8 + 4 + record::ROW_OVERHEAD + record.key.len() + 4 + record.value.as_ref().map_or(0, Bytes::len)
}

fn write(record: &Record, frame: &mut Vec<u8>) {
    frame.extend_from_slice(&record.revision().to_le_bytes());
    let row = (record::ROW_OVERHEAD + record.key.len()) as u32;
    frame.extend_from_slice(&row.to_le_bytes());
    record::encode(&record.key, &record.version, frame);
    let value = record.value.as_ref();
    frame.extend_from_slice(&value.map_or(0, |value| value.len() as u32 + 1).to_le_bytes());
    frame.extend_from_slice(value.map_or(&[], |value| &value[..]));
}

/// The changes of all frames; none unless each is later than the one before, and than the tables.
pub(super) fn read_frames(frames: &[Vec<u8>], mut last: Revision) -> Option<Vec<Arc<Record>>> {
    let mut records = Vec::new();
    for frame in frames {
        for record in read_changes(frame, last, record::decode)? {
            last = record.revision();
            records.push(Arc::new(record));
        }
    }
    Some(records)
}

type DecodeRow = fn(Revision, &[u8]) -> Option<(&str, super::history::Version)>;

/// None unless all of it is changes, each later than the one before.
fn read_changes(mut bytes: &[u8], mut last: Revision, decode: DecodeRow) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (revision, rest) = bytes.split_first_chunk()?;
        let revision = u64::from_le_bytes(*revision);
        let (row, rest) = split_sized(rest, 0)?;
        let (key, version) = decode(revision, row)?;
        let (value, rest) = match rest.split_first_chunk()? {
            ([0, 0, 0, 0], rest) => (None, rest),
            _ => split_sized(rest, 1).map(|(value, rest)| (Some(Bytes::copy_from_slice(value)), rest))?,
        };
        if revision <= last {
            return None;
        }
        records.push(Record { key: key.into(), version, value, previous: 0, companion: None });
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
