//! A disk in memory that can lose its power and run full, for tests of this crate and of those that build on it. It is
//! part of the crate with the feature `simulation` only, which nothing but tests turns on.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::StorageBackend;

use crate::embedded::medium::{Medium, Part};

const SECTOR: usize = 512;

/// Shared by everyone who has it open. One supply of power for all of its files.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    platters: [Arc<Mutex<Platter>>; 3],
}

#[derive(Debug, Default)]
struct Platter {
    /// What a power cut leaves in any case.
    durable: Vec<u8>,
    /// What readers see.
    current: Vec<u8>,
    unsynced: Vec<Change>,
    /// Raised by a power cut; whoever had it open before is cut off.
    life: u64,
    /// It cannot grow beyond this.
    room: Option<usize>,
    sync_fails: bool,
    syncs: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl SimDisk {
    /// A disk of its own that holds the same.
    pub fn copy(&self) -> SimDisk {
        let locked = self.lock();
        SimDisk { platters: Part::ALL.map(|part| Arc::new(Mutex::new(locked[part as usize].copy()))) }
    }

    fn platter(&self, part: Part) -> &Arc<Mutex<Platter>> {
        &self.platters[part as usize]
    }

    /// All are held, so that nobody writes to one after another has lost its power.
    fn lock(&self) -> [parking_lot::MutexGuard<'_, Platter>; 3] {
        Part::ALL.map(|part| self.platter(part).lock())
    }

    /// Power is lost: of what was not synced, any part may have reached the disk, in any order, down to sectors.
    pub fn cut(&self, dice: &mut Dice) {
        self.lock().iter_mut().for_each(|platter| platter.cut(dice));
    }

    /// Nothing that is not synced survives: the hardest cut.
    pub fn cut_hard(&self) {
        self.lock().iter_mut().for_each(|platter| platter.cut_hard());
    }

    /// What a file holds.
    pub fn bytes(&self, part: Part) -> Vec<u8> {
        self.platter(part).lock().current.clone()
    }

    /// Writes over a file, as a fault of the disk or somebody else may. Whoever has it open keeps it.
    pub fn damage(&self, part: Part, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut platter = self.platter(part).lock();
        damage(&mut platter.current);
        platter.durable = platter.current.clone();
        platter.unsynced.clear();
    }

    /// Leaves so many bytes for the tables to grow by; None is plenty. The journal has its room from the beginning.
    pub fn set_room(&self, bytes: Option<usize>) {
        let mut platter = self.platter(Part::Tables).lock();
        platter.room = bytes.map(|bytes| platter.current.len() + bytes);
    }

    pub fn fail_syncs(&self) {
        self.lock().iter_mut().for_each(|platter| platter.sync_fails = true);
    }

    pub fn syncs(&self) -> u64 {
        self.platter(Part::Tables).lock().syncs + self.journal_syncs()
    }

    pub fn journal_syncs(&self) -> u64 {
        self.platter(Part::Journal).lock().syncs
    }
}

impl Platter {
    fn copy(&self) -> Platter {
        Platter {
            durable: self.durable.clone(),
            current: self.current.clone(),
            unsynced: self.unsynced.clone(),
            ..Platter::default()
        }
    }

    fn cut(&mut self, dice: &mut Dice) {
        let mut image = std::mem::take(&mut self.durable);
        let kept_of_ten = dice.roll(11);
        for change in std::mem::take(&mut self.unsynced) {
            if dice.roll(10) >= kept_of_ten {
                continue;
            }
            match change {
                Change::Write(offset, bytes) if dice.roll(4) == 0 => {
                    for (sector, part) in bytes.chunks(SECTOR).enumerate() {
                        if dice.roll(2) == 0 {
                            apply(&mut image, &Change::Write(offset + sector * SECTOR, part.to_vec()));
                        }
                    }
                }
                change => apply(&mut image, &change),
            }
        }
        self.current = image.clone();
        self.durable = image;
        self.life += 1;
    }

    fn cut_hard(&mut self) {
        self.unsynced.clear();
        self.sync_fails = false;
        self.current = self.durable.clone();
        self.life += 1;
    }
}

fn apply(image: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => image.resize(*length, 0),
        Change::Write(offset, bytes) => {
            let end = offset + bytes.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[*offset..end].copy_from_slice(bytes);
        }
    }
}

impl Medium for SimDisk {
    fn open(&self, part: Part) -> io::Result<Box<dyn StorageBackend>> {
        let platter = self.platter(part);
        let life = platter.lock().life;
        Ok(Box::new(Head { platter: Arc::clone(platter), life }))
    }
}

#[derive(Debug)]
struct Head {
    platter: Arc<Mutex<Platter>>,
    life: u64,
}

impl Head {
    fn with<T>(&self, access: impl FnOnce(&mut Platter) -> io::Result<T>) -> io::Result<T> {
        let mut platter = self.platter.lock();
        if platter.life != self.life {
            return Err(io::Error::other("the power is off"));
        }
        access(&mut platter)
    }
}

impl StorageBackend for Head {
    fn len(&self) -> io::Result<u64> {
        self.with(|platter| Ok(platter.current.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|platter| {
            let start = offset as usize;
            let bytes = platter.current.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|platter| {
            if platter.room.is_some_and(|room| len as usize > room && len as usize > platter.current.len()) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let change = Change::Length(len as usize);
            apply(&mut platter.current, &change);
            platter.unsynced.push(change);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|platter| {
            if platter.sync_fails {
                return Err(io::Error::other("the disk is dying"));
            }
            platter.syncs += 1;
            for change in std::mem::take(&mut platter.unsynced) {
                apply(&mut platter.durable, &change);
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|platter| {
            let change = Change::Write(offset as usize, data.to_vec());
            apply(&mut platter.current, &change);
            platter.unsynced.push(change);
            Ok(())
        })
    }
}

/// Numbers that a failing run can be repeated with.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// From CORTEN_SEED, or different each time.
    pub fn seed() -> u64 {
        let given = std::env::var("CORTEN_SEED").ok().and_then(|seed| seed.parse().ok());
        given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below.max(1)
    }
}
