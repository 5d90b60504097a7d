//! Which numbers of a range are taken, in the form that servers share: the bytes of one big number, the highest first,
//! whose bit N stands for the Nth number of the range.

use corten_runtime::random::Random;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    /// The lowest byte first, and the last one never zero.
    bytes: Vec<u8>,
}

impl Bitmap {
    pub fn from_bytes(bytes: &[u8]) -> Bitmap {
        let mut bytes: Vec<u8> = bytes.iter().rev().copied().collect();
        trim(&mut bytes);
        Bitmap { bytes }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.iter().rev().copied().collect()
    }

    pub fn has(&self, bit: usize) -> bool {
        self.bytes.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    /// False if it was set before.
    pub fn set(&mut self, bit: usize) -> bool {
        if self.has(bit) {
            return false;
        }
        if self.bytes.len() <= bit / 8 {
            self.bytes.resize(bit / 8 + 1, 0);
        }
        self.bytes[bit / 8] |= 1 << (bit % 8);
        true
    }

    pub fn clear(&mut self, bit: usize) {
        if let Some(byte) = self.bytes.get_mut(bit / 8) {
            *byte &= !(1 << (bit % 8));
            trim(&mut self.bytes);
        }
    }

    /// The numbers that are set here and not in `before`.
    pub fn added_to(&self, before: &Bitmap) -> Vec<usize> {
        let byte_before = |at: usize| before.bytes.get(at).copied().unwrap_or_default();
        let changed = self.bytes.iter().enumerate().filter(|(at, byte)| **byte & !byte_before(*at) != 0);
        changed.flat_map(|(at, _)| at * 8..at * 8 + 8).filter(|&bit| self.has(bit) && !before.has(bit)).collect()
    }

    pub fn bits(&self) -> impl Iterator<Item = usize> {
        (0..self.bytes.len() * 8).filter(|&bit| self.has(bit))
    }

    /// A free bit below `size`, from a random place on. The first `band` bits are for who asks for one by its number,
    /// and are given only when the others are used up.
    pub fn free(&self, size: usize, band: usize, random: &Random) -> Option<usize> {
        let search = |from: usize, to: usize| {
            let start = random.below((to - from) as u64) as usize;
            (0..to - from).map(|step| from + (start + step) % (to - from)).find(|&bit| !self.has(bit))
        };
        search(band.min(size), size).or_else(|| search(0, band.min(size)))
    }
}

fn trim(bytes: &mut Vec<u8>) {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_one_big_number() {
        let check = |bits: &[usize], bytes: &[u8]| {
            let mut bitmap = Bitmap::default();
            assert!(bits.iter().all(|&bit| bitmap.set(bit)), "{bits:?}");
            assert_eq!(bitmap.to_bytes(), bytes, "{bits:?}");
            assert_eq!(Bitmap::from_bytes(bytes), bitmap, "{bits:?}");
            assert_eq!(bitmap.bits().collect::<Vec<_>>(), bits);
        };
        check(&[], &[]);
        check(&[0], &[1]);
        check(&[7], &[0x80]);
        check(&[8], &[1, 0]);
        check(&[1, 9, 16], &[1, 2, 2]);
    }

    #[test]
    fn additions() {
        let check = |before: &[u8], after: &[u8], added: &[usize]| {
            let (before, after) = (Bitmap::from_bytes(before), Bitmap::from_bytes(after));
            assert_eq!(after.added_to(&before), added, "{before:?} {after:?}");
        };
        check(&[], &[], &[]);
        check(&[1], &[1], &[]);
        check(&[1], &[3], &[1]);
        check(&[3], &[1], &[]);
        check(&[1], &[0x80, 2], &[1, 15]);
        check(&[1, 0, 1], &[4], &[2]);
    }

    #[test]
    fn bits_are_set_once_and_cleared() {
        let mut bitmap = Bitmap::from_bytes(&[0, 0, 1]);
        assert_eq!(bitmap, Bitmap::from_bytes(&[1]));
        assert!(!bitmap.set(0));
        assert!(bitmap.set(300));
        bitmap.clear(300);
        bitmap.clear(999);
        assert_eq!(bitmap.to_bytes(), [1]);
        assert!(!bitmap.has(999));
    }

    #[test]
    fn the_band_is_given_last() {
        let random = Random::seeded(7);
        let (mut bitmap, mut given) = (Bitmap::default(), Vec::new());
        while let Some(bit) = bitmap.free(20, 5, &random) {
            assert!(bitmap.set(bit));
            given.push(bit);
        }
        assert_eq!(given.len(), 20);
        assert!(given[..15].iter().all(|bit| *bit >= 5), "{given:?}");
        assert!(given[15..].iter().all(|bit| *bit < 5), "{given:?}");
        assert_ne!(given[..3], [5, 6, 7]);
        assert_eq!(Bitmap::default().free(0, 0, &random), None);
    }
}
