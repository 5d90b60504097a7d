//! Randomness as something that is handed in. The system's is fit for keys and tokens; a seeded one gives a test the
//! same sequence each time, and must be used for nothing else.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};

/// A source of randomness; cheap to clone, and clones of a seeded one share its sequence.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System(SystemRandom),
    Seeded(Arc<Mutex<u64>>),
}

/// A UUID of version 4; shown in lower case, as upstream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// The letters of generated names: no vowels, so that no words come about, and nothing that is easily mistaken.
const NAME_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl Random {
    pub fn system() -> Random {
        Random(Source::System(SystemRandom::new()))
    }

    pub fn seeded(seed: u64) -> Random {
        Random(Source::Seeded(Arc::new(Mutex::new(seed))))
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System(source) if bytes.len() <= SMALL => fill_small(source, bytes),
            Source::System(source) => fill_from(source, bytes),
            Source::Seeded(state) => {
                let mut state = state.lock();
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub fn u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number below `bound`, every one as likely; 0 for a bound of 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // The numbers that would make the first few more likely are drawn again.
        let unfair = u64::MAX - (u64::MAX % bound + 1) % bound;
        loop {
            let drawn = self.u64();
            if drawn <= unfair {
                return drawn % bound;
            }
        }
    }

    /// A number in 0.0..1.0.
    pub fn fraction(&self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn uuid(&self) -> Uuid {
        let mut bytes = self.bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Uuid(bytes)
    }

    /// Letters as generateName appends them (five of them there).
    pub fn name_suffix(&self, length: usize) -> String {
        (0..length).map(|_| char::from(NAME_LETTERS[self.below(27) as usize])).collect()
    }

    /// Lower-case hexadecimal of that many random bytes.
    pub fn hex(&self, bytes: usize) -> String {
        let mut drawn = vec![0; bytes];
        self.fill(&mut drawn);
        drawn.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).map(char::from).collect()
    }
}

/// Uuids and letters of names are drawn from bytes that a thread has in store, since each request needs some and a
/// system call costs more than the rest of it. Keys and secrets are longer, and never come out of a store.
const SMALL: usize = 16;
const STORE: usize = 1024;

struct Drawn {
    bytes: [u8; STORE],
    used: usize,
}

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; STORE], used: STORE }) };
}

fn fill_small(source: &SystemRandom, bytes: &mut [u8]) {
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.used + bytes.len() > STORE {
            fill_from(source, &mut drawn.bytes);
            drawn.used = 0;
        }
        let taken = &mut drawn.bytes[drawn.used..drawn.used + bytes.len()];
        bytes.copy_from_slice(taken);
        taken.fill(0);
        drawn.used += bytes.len();
    });
}

fn fill_from(source: &SystemRandom, bytes: &mut [u8]) {
    // The kernel's source fails only before it exists, at which nothing that needs keys can go on.
    source.fill(bytes).expect("the system has a source of randomness");
}

impl Default for Random {
    fn default() -> Random {
        Random::system()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System(_) => "Random::system",
            Source::Seeded(_) => "Random::seeded",
        })
    }
}

impl Uuid {
    /// The 36 characters, without an allocation.
    pub fn text(&self) -> [u8; 36] {
        let mut out = [b'-'; 36];
        let mut at = 0;
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                at += 1;
            }
            out[at] = digit(byte >> 4);
            out[at + 1] = digit(byte & 15);
            at += 2;
        }
        out
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

fn digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

/// SplitMix64: short, and every seed is a good one.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence() {
        let (one, two, other) = (Random::seeded(7), Random::seeded(7), Random::seeded(8));
        assert_eq!(one.bytes::<19>(), two.bytes::<19>());
        assert_eq!(one.clone().u64(), two.u64());
        assert_ne!(one.u64(), other.u64());
        assert_ne!(Random::system().bytes::<16>(), Random::system().bytes::<16>());
    }

    #[test]
    fn uuids() {
        assert_eq!(Uuid([0xab; 16]).to_string(), "abababab-abab-abab-abab-abababababab");
        for random in [Random::system(), Random::seeded(1)] {
            let text = random.uuid().to_string();
            assert_eq!(text.len(), 36);
            assert_eq!(&text[14..15], "4", "{text}");
            assert!("89ab".contains(&text[19..20]), "{text}");
            assert_ne!(text, random.uuid().to_string());
        }
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let random = Random::seeded(3);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[random.below(5) as usize] += 1);
        assert!(seen.iter().all(|count| (120..280).contains(count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.fraction())));
        assert!(random.name_suffix(50).bytes().all(|letter| NAME_LETTERS.contains(&letter)));
        assert_eq!(random.hex(8).len(), 16);
    }
}
