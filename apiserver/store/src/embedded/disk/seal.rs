//! What each commit of the tables says about all of them, in one row with a checksum.
//!
//! Rows that are gone, double, or of an older state of the file show in the number and the sum of the rows; a whole
//! older state of the file shows in its generation, which the mark beside the journal names too.

use super::Marks;
use crate::embedded::identity::Identity;
use crate::store::Revision;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Seal {
    pub(in crate::embedded) identity: Identity,
    /// Which commit it is of.
    pub(in crate::embedded) generation: u64,
    /// The last revision that ever had a row in the log.
    pub(in crate::embedded) last: Revision,
    /// How many rows the log has, and the sum of their shares.
    pub(in crate::embedded) rows: u64,
    pub(in crate::embedded) sum: u64,
    pub(in crate::embedded) marks: Marks,
}

impl Seal {
    pub(in crate::embedded) fn of_nothing(identity: Identity) -> Seal {
        Seal { identity, generation: 1, last: 0, rows: 0, sum: 0, marks: Marks::default() }
    }

    pub(in crate::embedded) fn add(&mut self, share: u64) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(share);
    }

    pub(super) fn take_off(&mut self, share: u64) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(share);
    }

    /// The identity, the numbers in the order of the fields, the gaps in pairs, all little-endian, and the CRC-32 of that.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Marks { reserved, compacted, gaps } = &self.marks;
        let mut bytes = self.identity.0.to_vec();
        let numbers = [self.generation, self.last, self.rows, self.sum, *reserved, *compacted];
        let gaps = gaps.iter().flat_map(|(from, to)| [*from, *to]);
        bytes.extend(numbers.into_iter().chain(gaps).flat_map(u64::to_le_bytes));
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// By which the mark knows it.
    pub(in crate::embedded) fn checksum(&self) -> u32 {
        self.encode().last_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum))
    }

    /// None if it is not as it was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Seal> {
        let (body, checksum) = bytes.split_last_chunk()?;
        let (identity, rest) = body.split_first_chunk()?;
        let (numbers, rest) = rest.as_chunks::<8>();
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) || !rest.is_empty() {
            return None;
        }
        let numbers: Vec<u64> = numbers.iter().map(|number| u64::from_le_bytes(*number)).collect();
        let (&[generation, last, rows, sum, reserved, compacted], gaps) = numbers.split_first_chunk()?;
        let (pairs, odd) = gaps.as_chunks::<2>();
        let gaps = pairs.iter().map(|[from, to]| (*from, *to)).collect();
        let marks = Marks { reserved, compacted, gaps };
        odd.is_empty().then_some(Seal { identity: Identity(*identity), generation, last, rows, sum, marks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_or_not_at_all() {
        let mut seal = Seal::of_nothing(Identity(*b"0123456789abcdef"));
        seal.marks = Marks { reserved: 5, compacted: 4, gaps: vec![(1, 2), (3, 4)] };
        seal.add(17);
        let bytes = seal.encode();
        assert_eq!(Seal::decode(&bytes), Some(seal.clone()));
        assert_eq!(bytes.last_chunk(), Some(&seal.checksum().to_le_bytes()));
        assert_eq!(Seal::decode(&bytes[..bytes.len() - 1]), None);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert_eq!(Seal::decode(&flipped), None, "byte {at}");
        }
    }
}
