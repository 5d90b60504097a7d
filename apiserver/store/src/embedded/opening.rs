//! Putting a store together from what its medium holds: making it, converting it, or finding out that something is wrong.
//!
//! The tables, the journal and the mark name each other by the store's identity and by the generation of the tables'
//! last commit. The mark may be one behind, when the server ended right after a commit of the tables; anything else
//! means that a file was lost, exchanged or set back, and is refused.

use std::sync::Arc;

use corten_runtime::random::Random;

use super::disk::{Contents, Disk, Seal};
use super::history::Version;
use super::identity::Identity;
use super::journal::{self, Journal};
use super::mark::{Found, Mark};
use super::medium::{Medium, Part};
use super::overlay::Overlay;
use super::record::Record;
use crate::error::{Applied, Error};
use crate::store::Key;

/// What may be done with a medium that holds no complete store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Permission {
    pub(super) create: bool,
    /// From format 2.
    pub(super) convert: bool,
    /// The identity that it has to have, if that is known.
    pub(super) identity: Option<Identity>,
}

pub(super) struct Opened {
    pub(super) disk: Disk,
    pub(super) seal: Seal,
    pub(super) rows: Vec<(Key, Version)>,
    pub(super) journal: Journal,
    /// What the journal has beyond the tables.
    pub(super) waiting: Vec<Arc<Record>>,
}

pub(super) fn open(
    medium: Arc<dyn Medium>,
    permission: Permission,
    cache_bytes: usize,
    random: &Random,
) -> Result<Opened, Error> {
    let mark = Mark::read(&*medium).map_err(unreadable)?;
    let tables = medium.open(Part::Tables).and_then(|tables| tables.len()).map_err(unreadable)?;
    let unfinished = match mark {
        Found::Blank => tables == 0,
        Found::Mark(mark) => mark.generation == 0,
        Found::Damaged => false,
    };
    if permission.create && unfinished {
        return create(medium, cache_bytes, random);
    }
    if tables == 0 {
        return Err(corrupt("store.redb is empty"));
    }
    try_out(&*medium, &mark, permission, cache_bytes)?;
    let disk = Disk::open(Arc::clone(&medium), cache_bytes)?;
    match (disk.contents()?, mark) {
        (Contents::Blank, _) => Err(corrupt("store.redb has no tables")),
        (Contents::Format2, Found::Blank) if permission.convert => convert(disk, random),
        (Contents::Format2, _) => Err(corrupt("store.redb is of an earlier format than the other files")),
        // The conversion was cut short between the tables and the rest; nothing can have been written since.
        (Contents::Sealed(seal), Found::Blank) if permission.convert && seal.generation == 1 => {
            let journal = Journal::create(&*medium, &seal)?;
            with_rows(disk, seal, journal, Vec::new())
        }
        (Contents::Sealed(_), Found::Blank) => Err(corrupt("the file mark is missing or blank")),
        (_, Found::Damaged) => Err(corrupt("the file mark is damaged")),
        (Contents::Sealed(seal), Found::Mark(mark)) => {
            check_fit(&seal, &mark, permission.identity).map_err(Error::Corrupt)?;
            let (journal, waiting) = Journal::open(&*medium, &seal, mark)?;
            with_rows(disk, seal, journal, waiting)
        }
    }
}

/// Opens the tables without writing to them: a database that went back to an older state would write over the newer one,
/// of which a repair may still read most.
fn try_out(medium: &dyn Medium, mark: &Found, permission: Permission, cache_bytes: usize) -> Result<(), Error> {
    let disk = Disk::open(Arc::new(Overlay::over(medium).map_err(unreadable)?), cache_bytes)?;
    match (disk.contents()?, mark) {
        (Contents::Sealed(seal), Found::Mark(mark)) => {
            check_fit(&seal, mark, permission.identity).map_err(Error::Corrupt)
        }
        _ => Ok(()),
    }
}

/// Whether tables and mark are of the same store and of the same moment.
pub(super) fn check_fit(seal: &Seal, mark: &Mark, expected: Option<Identity>) -> Result<(), String> {
    if let Some(expected) = expected.filter(|expected| *expected != seal.identity) {
        return Err(format!("store.redb belongs to the store {}, and this one is {expected}", seal.identity));
    }
    if mark.identity != seal.identity {
        return Err(format!(
            "the file mark belongs to the store {}, and store.redb to {}",
            mark.identity, seal.identity
        ));
    }
    let (found, known) = (seal.generation, mark.generation);
    if found < known || (found == known && mark.seal != seal.checksum()) {
        return Err(format!(
            "store.redb is older than what was acknowledged: it has commit {found}, up to revision {}, and commit {known} \
             was made, up to revision {}",
            seal.last, mark.revision
        ));
    }
    if found > known + 1 {
        return Err(format!("the file mark is older than store.redb: it knows commit {known} of {found}"));
    }
    Ok(())
}

fn create(medium: Arc<dyn Medium>, cache_bytes: usize, random: &Random) -> Result<Opened, Error> {
    for part in Part::ALL {
        medium.open(part).and_then(|storage| storage.set_len(0)).map_err(unreadable)?;
    }
    let identity = Identity::new(random);
    // Until the tables have their first seal, the mark says that nothing was ever finished.
    let unfinished = Seal { generation: 0, ..Seal::of_nothing(identity) };
    journal::begun(&unfinished).create(&*medium).map_err(unreadable)?;
    let disk = Disk::open(Arc::clone(&medium), cache_bytes)?;
    let seal = disk.create(identity)?;
    let journal = Journal::create(&*medium, &seal)?;
    Ok(Opened { disk, seal, rows: Vec::new(), journal, waiting: Vec::new() })
}

fn convert(disk: Disk, random: &Random) -> Result<Opened, Error> {
    let mut bytes = Vec::new();
    let storage = disk.medium().open(Part::Journal).map_err(unreadable)?;
    bytes.resize(storage.len().map_err(unreadable)?.min(journal::CAPACITY) as usize, 0);
    storage.read(0, &mut bytes).map_err(unreadable)?;
    tracing::info!("converting the store from an earlier format");
    let seal = disk.convert(Identity::new(random), |last| journal::read_format_2(&bytes, last))?;
    let journal = Journal::create(disk.medium(), &seal)?;
    with_rows(disk, seal, journal, Vec::new())
}

fn with_rows(disk: Disk, seal: Seal, journal: Journal, waiting: Vec<Arc<Record>>) -> Result<Opened, Error> {
    let rows = disk.load(&seal)?;
    Ok(Opened { disk, seal, rows, journal, waiting })
}

fn corrupt(reason: &str) -> Error {
    Error::Corrupt(reason.to_owned())
}

fn unreadable(error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::Corrupt(error.to_string());
    }
    Error::Unavailable { reason: error.to_string(), applied: Applied::No }
}
