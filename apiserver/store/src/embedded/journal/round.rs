//! Reading what the journal has beyond the tables: where it ends, and whether something of it is missing.

use super::sectors::{self, Head, SECTOR, Sector};
use crate::embedded::identity::Identity;
use crate::embedded::mark::Mark;

/// The frames that follow one commit of the tables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) struct Round {
    pub(in crate::embedded) frames: Vec<Vec<u8>>,
    /// The sector where the next frame begins, and the checksum of the one before it.
    end: u32,
    chain: u32,
}

impl Round {
    pub(super) fn place(&self) -> (u32, u32) {
        (self.end, self.chain)
    }
}

/// The frames of `generation`. What a power cut left of a last one that was never acknowledged is passed over; anything
/// else that is not as it was written is an error, which says where.
///
/// A frame is written only after the one before it was synced. So a frame that is not whole, and is the last one, was
/// torn, unless the mark names it; if there is a later one, or one of its sectors is neither new nor what stood there
/// before, it was damaged.
pub(in crate::embedded) fn read(
    bytes: &[u8],
    identity: Identity,
    generation: u64,
    mark: Option<&Mark>,
) -> Result<Round, String> {
    let (all, _) = bytes.as_chunks::<SECTOR>();
    if all.first() != Some(&sectors::title(identity)) {
        return Err("its head is damaged, or it belongs to another store".to_owned());
    }
    let start = sectors::chain_start(identity, generation);
    let mut round = Round { frames: Vec::new(), end: 1, chain: start };
    let mut acknowledged = mark.is_none_or(|mark| (mark.end, mark.chain) == (1, start));
    let (mut chain, mut frame, mut expected_left) = (start, Vec::new(), None);
    let mut torn = false;
    for (at, sector) in all.iter().enumerate().skip(1) {
        let at = at as u32;
        let (head, checksum, payload) = match sectors::read(identity, at, sector) {
            Sector::Damaged => return Err(damaged(at)),
            Sector::Blank => {
                torn = true;
                continue;
            }
            Sector::Whole { head, checksum, payload } => (head, checksum, payload),
        };
        let number = round.frames.len() as u32;
        if head.generation > generation {
            return Err(format!(
                "{} follows a later commit of the tables: they are older than the journal, or were exchanged",
                place(at)
            ));
        }
        if head.generation < generation || torn {
            if head.generation == generation && head.frame > number {
                return Err(format!("frames are missing in front of {}", place(at)));
            }
            torn = true;
            continue;
        }
        let fits = head.frame == number
            && head.chain == chain
            && head.first == expected_left.is_none()
            && expected_left.is_none_or(|left| left == head.left);
        if !fits {
            if head.frame > number {
                return Err(format!("frames are missing in front of {}", place(at)));
            }
            // Left over from a frame that was torn before, and written over since.
            torn = true;
            continue;
        }
        frame.extend_from_slice(payload);
        (chain, expected_left) = (checksum, head.left.checked_sub(1));
        if head.left == 0 {
            round.frames.push(std::mem::take(&mut frame));
            (round.end, round.chain) = (at + 1, chain);
            acknowledged |= mark.is_some_and(|mark| (mark.end, mark.chain) == (round.end, round.chain));
        }
    }
    match mark {
        Some(mark) if !acknowledged => Err(format!(
            "it lacks changes that were acknowledged, up to revision {}: it was shortened, emptied or exchanged",
            mark.revision
        )),
        _ => Ok(round),
    }
}

/// Every frame from a generation on that is whole, whatever is between them, and what is wrong, in words.
pub(in crate::embedded) fn salvage(bytes: &[u8], identity: Identity, oldest: u64) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut frames, mut faults) = (Vec::new(), Vec::new());
    let mut open: Option<(Head, u32, Vec<u8>)> = None;
    for (at, sector) in bytes.as_chunks::<SECTOR>().0.iter().enumerate().skip(1) {
        let at = at as u32;
        let (head, checksum, payload) = match sectors::read(identity, at, sector) {
            Sector::Whole { head, checksum, payload } if head.generation >= oldest => (head, checksum, payload),
            Sector::Damaged => {
                faults.push(damaged(at));
                open = None;
                continue;
            }
            _ => {
                open = None;
                continue;
            }
        };
        let continued = open.take().filter(|(before, chain, _)| {
            head.frame == before.frame && head.chain == *chain && before.left.checked_sub(1) == Some(head.left)
        });
        let mut frame = match continued {
            Some((_, _, frame)) => frame,
            None if head.first => Vec::new(),
            // The rest of a frame whose beginning is lost, or was written over.
            None => continue,
        };
        frame.extend_from_slice(payload);
        if head.left == 0 {
            frames.push(frame);
        } else {
            open = Some((head, checksum, frame));
        }
    }
    (frames, faults)
}

fn damaged(at: u32) -> String {
    format!("{} is damaged", place(at))
}

fn place(at: u32) -> String {
    format!("the sector at byte {}", u64::from(at) * SECTOR as u64)
}
