//! The journal of format 2, which is read once, when its folder is converted.
//!
//! Its frames lie one behind the other: the CRC-32 of all that follows (4 bytes), the length of the changes (4), the
//! last revision in the tables (8), the changes. The first that is not whole was the end; damage could not be told from
//! that.

use std::sync::Arc;

use super::read_changes;
use crate::embedded::disk::decode_format_2;
use crate::embedded::record::Record;
use crate::store::Revision;

const HEAD: usize = 16;

/// The changes of all frames behind `base`.
pub(in crate::embedded) fn read(bytes: &[u8], base: Revision) -> Vec<Arc<Record>> {
    let (mut records, mut rest): (Vec<Arc<Record>>, _) = (Vec::new(), bytes);
    while let Some((changes, after)) = read_frame(rest, base) {
        let last = records.last().map_or(base, |record| record.revision());
        let Some(found) = read_changes(changes, last, decode_format_2) else { break };
        for mut record in found {
            record.version.value_sum = record.value.as_ref().map_or(0, |value| crc32fast::hash(value));
            records.push(Arc::new(record));
        }
        rest = after;
    }
    records
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
