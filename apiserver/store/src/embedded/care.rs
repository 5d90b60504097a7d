//! What somebody can do with a folder whose store does not start: check it, export what can be read, repair it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use corten_runtime::random::Random;

use super::disk::{Marks, Work};
use super::folder::{Folder, Format};
use super::medium::{FileMedium, Medium, Part};
use super::opening::{self, Opened, Permission};
use super::record::Record;
use super::salvage::{Newest, Salvage};
use crate::error::{Error, OpenError};
use crate::store::{Key, Revision};

/// How many revisions a repair leaves out, so that none is given again that somebody may have seen.
const LEFT_OUT: Revision = 1 << 20;
/// Values in one commit of a repair.
const BYTES_AT_ONCE: usize = 16 << 20;

#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong, and where; empty for a store that is whole.
    pub faults: Vec<String>,
    /// How many keys can be read.
    pub keys: u64,
}

/// An object, or what is known of one that cannot be read.
#[derive(Clone, Debug)]
pub struct Exported {
    pub key: Key,
    pub create_revision: Revision,
    pub mod_revision: Revision,
    pub value: Result<Bytes, String>,
}

#[derive(Clone, Debug, Default)]
pub struct Repair {
    pub faults: Vec<String>,
    /// What is lost, a sentence for each key.
    pub dropped: Vec<String>,
    pub keys: u64,
    /// Where the files of before lie; none if nothing had to be done.
    pub before: Option<PathBuf>,
}

/// Verifies everything in the store of `folder`. No server may use it.
pub fn check(folder: &Path) -> Result<Report, OpenError> {
    let locked = open(folder)?;
    let salvage = Salvage::of(&locked, &sources(&locked))?;
    let mut report = report(&salvage, folder, |_| Ok(()))?;
    report.faults.extend(salvage.damaged_earlier());
    Ok(report)
}

/// Calls `each` with every key, in order.
pub fn export(folder: &Path, each: impl FnMut(Exported) -> io::Result<()>) -> Result<Report, OpenError> {
    let locked = open(folder)?;
    let salvage = Salvage::of(&locked, &sources(&locked))?;
    report(&salvage, folder, each)
}

fn report(
    salvage: &Salvage,
    folder: &Path,
    mut each: impl FnMut(Exported) -> io::Result<()>,
) -> Result<Report, OpenError> {
    let mut report = Report::default();
    let mut damaged = Vec::new();
    for Newest { key, version, value, .. } in salvage.newest() {
        match &value {
            Ok(_) => report.keys += 1,
            Err(reason) => damaged.push(format!("the value of {key} at revision {}: {reason}", version.revision)),
        }
        let (create_revision, mod_revision) = (version.create_revision, version.revision);
        each(Exported { key, create_revision, mod_revision, value }).map_err(io_error("export", folder))?;
    }
    report.faults.clone_from(&salvage.faults);
    report.faults.append(&mut damaged);
    Ok(report)
}

/// Makes a new store of what can be read, in the place of the old one, whose files are kept beside it. Of each key the
/// newest version is kept that can be read. A repair that is cut short can be run again.
pub fn repair(folder: &Path) -> Result<Repair, OpenError> {
    let locked = open(folder)?;
    let salvage = Salvage::of(&locked, &sources(&locked))?;
    let mut repair = Repair { faults: salvage.faults.clone(), ..Repair::default() };
    repair.faults.extend(salvage.damaged_earlier());
    let mut kept = Vec::new();
    for Newest { key, version, value, earlier } in salvage.newest() {
        let what = format!("{key}: its value of revision {}", version.revision);
        match (value, earlier) {
            (Ok(_), _) => kept.push((key, version)),
            (Err(reason), Some((earlier, _))) => {
                repair.dropped.push(format!("{what} ({reason}); kept is the one of revision {}", earlier.revision));
                kept.push((key, earlier));
            }
            (Err(reason), None) => repair.dropped.push(format!("{what} ({reason}); nothing is left of it")),
        }
    }
    repair.keys = kept.len() as u64;
    if !salvage.has_tables() {
        let nothing = format!(
            "nothing can be read of store.redb, so a repair would drop all of it ({})",
            repair.faults.join("; ")
        );
        return Err(OpenError::Corrupt { folder: folder.into(), reason: nothing });
    }
    let under_way = matches!(locked.format(), Format::Repairing(_));
    if repair.faults.is_empty() && repair.dropped.is_empty() && !under_way {
        return Ok(repair);
    }
    kept.sort_by_key(|(_, version)| version.revision);
    let next = folder.join("repaired");
    remove(&next).map_err(io_error("remove", &next))?;
    let identity = build(&next, &salvage, kept)?;
    let before = put_in_place(&locked, &next).map_err(io_error("put the repaired store into", folder))?;
    locked.complete_repair(identity)?;
    remove(&next).map_err(io_error("remove", &next))?;
    repair.before = Some(before);
    Ok(repair)
}

fn open(folder: &Path) -> Result<Folder, OpenError> {
    if !folder.is_dir() {
        let reason = "there is no such folder".to_owned();
        return Err(OpenError::Foreign { folder: folder.into(), reason });
    }
    Folder::lock(folder)
}

/// Where the files of the store lie: where it was, or where a repair that was cut short has put them.
fn sources(folder: &Folder) -> [PathBuf; 3] {
    Part::ALL.map(|part| {
        let moved = backup(folder).join(part.name());
        let under_way = matches!(folder.format(), Format::Repairing(_));
        if under_way && moved.exists() { moved } else { folder.path().join(part.name()) }
    })
}

/// Where a repair that is under way, or the next one, puts the files of before.
fn backup(folder: &Folder) -> PathBuf {
    folder.path().join(format!("damaged-{}", backup_number(folder)))
}

fn backup_number(folder: &Folder) -> u32 {
    match folder.format() {
        Format::Repairing(number) => number,
        _ => (1..).find(|number| !folder.path().join(format!("damaged-{number}")).exists()).unwrap_or(1),
    }
}

/// Makes a store of what is kept, and gives back its identity.
fn build(
    folder: &Path,
    salvage: &Salvage,
    kept: Vec<(Key, super::history::Version)>,
) -> Result<super::identity::Identity, OpenError> {
    let failed = |error: Error| OpenError::Io {
        action: "write the repaired store",
        path: folder.into(),
        source: io::Error::other(error.to_string()),
    };
    fs::create_dir(folder).map_err(io_error("make", folder))?;
    let medium: Arc<dyn Medium> = Arc::new(FileMedium::new(folder, true));
    let permission = Permission { create: true, ..Permission::default() };
    let Opened { disk, mut journal, mut seal, .. } =
        opening::open(medium, permission, 64 << 20, &Random::system()).map_err(failed)?;
    // Nobody may go on from what was before: what is lost would look as if it were there.
    let now = salvage.last + LEFT_OUT;
    let mut work = Work { marks: Some(Marks { reserved: now, compacted: now, gaps: Vec::new() }), ..Work::default() };
    let mut bytes = 0;
    let mut rest = kept.into_iter().peekable();
    loop {
        if let Some((key, version)) = rest.next() {
            let value = salvage.value(&key, version.revision);
            bytes += value.as_ref().map_or(0, Bytes::len);
            work.records.push(Arc::new(Record { key, version, value, previous: 0, companion: None }));
        }
        if bytes > BYTES_AT_ONCE || rest.peek().is_none() {
            seal = disk.commit(&work, seal.generation).map_err(|failure| failed(failure.error))?;
            journal.begin_round(&seal).map_err(failed)?;
            (work, bytes) = (Work::default(), 0);
        }
        if rest.peek().is_none() {
            break;
        }
    }
    disk.close();
    Ok(seal.identity)
}

/// Moves the old files out of the way and the new ones in. Each step may have been done by a repair before.
fn put_in_place(folder: &Folder, next: &Path) -> io::Result<PathBuf> {
    let (before, number) = (backup(folder), backup_number(folder));
    folder.begin_repair(number).map_err(io::Error::other)?;
    if !before.exists() {
        fs::create_dir(&before)?;
    }
    for part in Part::ALL {
        let (old, moved) = (folder.path().join(part.name()), before.join(part.name()));
        if old.exists() && !moved.exists() {
            fs::rename(&old, moved)?;
        }
    }
    sync(&before)?;
    sync(folder.path())?;
    for part in Part::ALL {
        fs::rename(next.join(part.name()), folder.path().join(part.name()))?;
    }
    sync(folder.path())?;
    Ok(before)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Io { action, path: path.into(), source }
}
