//! The tables of format 2 and before, and how they are taken over.
//!
//! Their rows had no checksums: the revision of creation (8 bytes), the end of the time to live (8), the key. Instead of
//! the seal there were a table of numbers and one of gaps.

use std::sync::Arc;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::{LOG, Marks, Seal, VALUES, append, appended, write_seal};
use crate::embedded::history::Version;
use crate::embedded::identity::Identity;
use crate::embedded::record::{self, Record};
use crate::store::Revision;

/// `reserved` and `compacted`, as in `Marks`; `last`, as in the seal.
const META: TableDefinition<&str, Revision> = TableDefinition::new("meta");
const GAPS: TableDefinition<Revision, Revision> = TableDefinition::new("gaps");
/// The new log, until it takes the place of the old one.
const NEXT_LOG: TableDefinition<Revision, &[u8]> = TableDefinition::new("log.next");

pub(in crate::embedded) fn decode_row(revision: Revision, row: &[u8]) -> Option<(&str, Version)> {
    let (create_revision, rest) = row.split_first_chunk()?;
    let (expires, key) = rest.split_first_chunk()?;
    let create_revision = u64::from_le_bytes(*create_revision);
    let version = Version { revision, create_revision, expires: u64::from_le_bytes(*expires), value_sum: 0 };
    Some((std::str::from_utf8(key).ok()?, version))
}

pub(super) fn convert(
    transaction: &WriteTransaction,
    identity: Identity,
    beyond: impl FnOnce(Revision) -> Vec<Arc<Record>>,
) -> Result<Seal, redb::Error> {
    let mut seal = Seal::of_nothing(identity);
    (seal.marks, seal.last) = take_marks(transaction)?;
    {
        let log = transaction.open_table(LOG)?;
        let values = transaction.open_table(VALUES)?;
        let mut next = transaction.open_table(NEXT_LOG)?;
        let mut row = Vec::with_capacity(128);
        for old in log.iter()? {
            let (revision, old) = old?;
            let revision = revision.value();
            let unreadable = || redb::Error::Corrupted(format!("the row of revision {revision} cannot be read"));
            let (key, mut version) = decode_row(revision, old.value()).ok_or_else(unreadable)?;
            if version.is_live() {
                let value = values.get(revision)?.ok_or_else(|| {
                    redb::Error::Corrupted(format!("the value of {key} at revision {revision} is missing"))
                })?;
                version.value_sum = crc32fast::hash(value.value());
            }
            row.clear();
            record::encode(key, &version, &mut row);
            seal.add(record::share(revision, &row));
            next.insert(revision, row.as_slice()).map_err(appended)?;
        }
    }
    transaction.delete_table(LOG)?;
    transaction.rename_table(NEXT_LOG, LOG)?;
    append(transaction, &beyond(seal.last), &mut seal)?;
    write_seal(transaction, &seal)?;
    Ok(seal)
}

fn take_marks(transaction: &WriteTransaction) -> Result<(Marks, Revision), redb::Error> {
    let (mut marks, last) = {
        let meta = transaction.open_table(META)?;
        let mark = |name: &str| Ok::<_, redb::Error>(meta.get(name)?.map_or(0, |mark| mark.value()));
        (Marks { reserved: mark("reserved")?, compacted: mark("compacted")?, gaps: Vec::new() }, mark("last")?)
    };
    for gap in transaction.open_table(GAPS)?.iter()? {
        let (from, to) = gap?;
        marks.gaps.push((from.value(), to.value()));
    }
    transaction.delete_table(META)?;
    transaction.delete_table(GAPS)?;
    Ok((marks, last))
}
