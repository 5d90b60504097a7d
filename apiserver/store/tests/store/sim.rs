//! A disk in memory that can lose its power and run full.

use std::io;
use std::sync::Arc;

use corten_store::embedded::medium::Medium;
use parking_lot::Mutex;
use redb::StorageBackend;

use crate::support::Dice;

const SECTOR: usize = 512;

/// Shared by everyone who has it open.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<Platter>>);

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
    /// Power is lost: of what was not synced, any part may have reached the disk, in any order, down to sectors.
    pub fn cut(&self, dice: &mut Dice) {
        let mut platter = self.0.lock();
        let mut image = std::mem::take(&mut platter.durable);
        let kept_of_ten = dice.roll(11);
        for change in std::mem::take(&mut platter.unsynced) {
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
        platter.current = image.clone();
        platter.durable = image;
        platter.life += 1;
    }

    /// Nothing that is not synced survives: the hardest cut.
    pub fn cut_hard(&self) {
        let mut platter = self.0.lock();
        platter.unsynced.clear();
        platter.sync_fails = false;
        platter.current = platter.durable.clone();
        platter.life += 1;
    }

    /// Leaves so many bytes to grow by; None is plenty.
    pub fn set_room(&self, bytes: Option<usize>) {
        let mut platter = self.0.lock();
        platter.room = bytes.map(|bytes| platter.current.len() + bytes);
    }

    pub fn fail_syncs(&self) {
        self.0.lock().sync_fails = true;
    }

    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
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
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let life = self.0.lock().life;
        Ok(Box::new(Head { disk: self.clone(), life }))
    }
}

#[derive(Debug)]
struct Head {
    disk: SimDisk,
    life: u64,
}

impl Head {
    fn with<T>(&self, access: impl FnOnce(&mut Platter) -> io::Result<T>) -> io::Result<T> {
        let mut platter = self.disk.0.lock();
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
