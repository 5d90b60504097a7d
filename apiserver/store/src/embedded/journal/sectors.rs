//! The journal as sectors, each with a checksum of its own.
//!
//! A disk writes a sector whole or not at all, so a write that a power cut tore leaves sectors that are whole: new ones,
//! and what stood there before. A sector that is not whole was damaged. Each also has the checksum of the one before it,
//! so that one cannot be left out or exchanged.
//!
//! | of a sector | |
//! |---|---|
//! | checksum | 4 bytes: CRC-32 of the sector's number and of all that follows, begun with the store's identity |
//! | chain | 4: the checksum of the sector before it |
//! | generation | 8: of the commit of the tables that it follows |
//! | frame | 4: the number of its frame since then |
//! | left | 2: how many sectors of the frame follow |
//! | used | 2: how many of the bytes that follow are the frame's; the highest bit is set in a frame's first sector |
//!
//! Numbers are little-endian. Sector 0 is the head, which is written once. A sector of zeros was never written.

use crate::embedded::identity::Identity;

pub(in crate::embedded) const SECTOR: usize = 512;
const HEAD: usize = 24;
pub(super) const PAYLOAD: usize = SECTOR - HEAD;
const FIRST: u16 = 1 << 15;
const TITLE: &[u8] = b"corten-journal 3\n";

/// What a sector says beside its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) chain: u32,
    pub(super) generation: u64,
    pub(super) frame: u32,
    pub(super) left: u16,
    /// Whether it is the first of its frame.
    pub(super) first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sector<'b> {
    Blank,
    Damaged,
    Whole { head: Head, checksum: u32, payload: &'b [u8] },
}

/// With what the chain of a generation begins.
pub(super) fn chain_start(identity: Identity, generation: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(identity.seed());
    hasher.update(&generation.to_le_bytes());
    hasher.finalize()
}

/// Sector 0 of a journal.
pub(super) fn title(identity: Identity) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    sector[4..4 + TITLE.len()].copy_from_slice(TITLE);
    seal(identity, 0, &mut sector);
    sector
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: u64,
    pub(super) frame: u32,
    /// The sector where it begins, and the checksum of the one before it.
    pub(super) end: u32,
    pub(super) chain: u32,
}

/// Appends the sectors of a frame. Returns the checksum of the last one.
pub(super) fn write(identity: Identity, place: Place, frame: &[u8], out: &mut Vec<u8>) -> u32 {
    let count = frame.len().div_ceil(PAYLOAD);
    let mut chain = place.chain;
    for (turn, payload) in frame.chunks(PAYLOAD).enumerate() {
        let mut sector = [0; SECTOR];
        sector[4..8].copy_from_slice(&chain.to_le_bytes());
        sector[8..16].copy_from_slice(&place.generation.to_le_bytes());
        sector[16..20].copy_from_slice(&place.frame.to_le_bytes());
        sector[20..22].copy_from_slice(&((count - 1 - turn) as u16).to_le_bytes());
        let first = if turn == 0 { FIRST } else { 0 };
        sector[22..24].copy_from_slice(&(payload.len() as u16 | first).to_le_bytes());
        sector[HEAD..HEAD + payload.len()].copy_from_slice(payload);
        chain = seal(identity, place.end + turn as u32, &mut sector);
        out.extend_from_slice(&sector);
    }
    chain
}

pub(super) fn read(identity: Identity, at: u32, sector: &[u8; SECTOR]) -> Sector<'_> {
    if sector == &[0; SECTOR] {
        return Sector::Blank;
    }
    let number =
        |from: usize, to: usize| sector[from..to].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (written, used) = (number(0, 4) as u32, number(22, 24) as u16);
    let (used, first) = (usize::from(used & !FIRST), used & FIRST != 0);
    if checksum(identity, at, sector) != written || used > PAYLOAD {
        return Sector::Damaged;
    }
    let head = Head {
        chain: number(4, 8) as u32,
        generation: number(8, 16),
        frame: number(16, 20) as u32,
        left: number(20, 22) as u16,
        first,
    };
    Sector::Whole { head, checksum: written, payload: &sector[HEAD..HEAD + used] }
}

fn seal(identity: Identity, at: u32, sector: &mut [u8; SECTOR]) -> u32 {
    let checksum = checksum(identity, at, sector);
    sector[..4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

fn checksum(identity: Identity, at: u32, sector: &[u8; SECTOR]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(identity.seed());
    hasher.update(&at.to_le_bytes());
    hasher.update(&sector[4..]);
    hasher.finalize()
}
