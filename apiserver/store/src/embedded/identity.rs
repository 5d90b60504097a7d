//! The random number that the files of one store have in common, so that a file of another store is noticed.

use std::fmt;

use corten_runtime::random::Random;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(pub(super) [u8; 16]);

impl Identity {
    pub(super) fn new(random: &Random) -> Identity {
        Identity(random.bytes())
    }

    pub(super) fn parse(text: &str) -> Option<Identity> {
        let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
        Some(Identity(number.to_be_bytes()))
    }

    /// With which checksums begin, so that those of another store's files are wrong.
    pub(super) fn seed(self) -> u32 {
        crc32fast::hash(&self.0)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
