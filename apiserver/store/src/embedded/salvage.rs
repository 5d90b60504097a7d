//! What can still be read of a store, whatever is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::pages::{Pages, Place, State};
use super::disk::{Seal, check_pages};
use super::folder::{Folder, Format};
use super::history::Version;
use super::identity::Identity;
use super::journal::{self, read_round};
use super::mark::{Found, Mark};
use super::medium::Medium;
use super::opening::{self, Permission};
use super::overlay::Overlay;
use super::record;
use crate::error::{Error, OpenError};
use crate::store::{Key, Revision};

const CACHE: usize = 64 << 20;

pub(super) struct Salvage {
    /// What is wrong, a sentence each.
    pub(super) faults: Vec<String>,
    /// All versions of each key that are left, oldest first; a deletion is one too.
    versions: BTreeMap<Key, Vec<Kept>>,
    /// The highest revision of which anything is known.
    pub(super) last: Revision,
    /// The tables, if anything of them can be read, and where their values lie.
    tables: Option<(Pages, HashMap<Revision, Place>)>,
}

struct Kept {
    version: Version,
    /// From the journal.
    value: Option<Bytes>,
}

/// What one state of the tables has, without the values.
struct Log {
    state: State,
    versions: Vec<(Key, Version)>,
    faults: Vec<String>,
}

impl Log {
    fn read(pages: &Pages, state: State) -> Log {
        let (mut versions, mut faults) = (Vec::new(), Vec::new());
        let mut found = Seal { rows: 0, sum: 0, ..state.seal.clone() };
        let unread = pages.visit_log(&state, |revision, row| match record::decode(revision, row) {
            Some((key, version)) => {
                found.add(record::share(revision, row));
                versions.push((Key::from(key), version));
            }
            None => {
                let what = format!("the row of revision {revision} is damaged; which key it changed is unknown");
                faults.push(format!("store.redb: {what}"));
            }
        });
        if unread > 0 {
            faults.push(format!("store.redb: {unread} pages of the log cannot be read"));
        }
        if found != state.seal {
            let (rows, all) = (found.rows, state.seal.rows);
            faults.push(format!("store.redb: {rows} changes can be read of {all} that were written, or others"));
        }
        Log { state, versions, faults }
    }
}

/// The newest version of a key.
pub(super) struct Newest {
    pub(super) key: Key,
    pub(super) version: Version,
    pub(super) value: Result<Bytes, String>,
    /// If its value is damaged: an earlier version that is not.
    pub(super) earlier: Option<(Version, Bytes)>,
}

impl Salvage {
    /// Reads what is in the files of `paths`, and changes none of them.
    pub(super) fn of(folder: &Folder, paths: &[PathBuf; 3]) -> Result<Salvage, OpenError> {
        let unreadable = |source| OpenError::Io { action: "read", path: folder.path().into(), source };
        let overlay = Arc::new(Overlay::of_files(paths).map_err(unreadable)?);
        let mut salvage = Salvage { faults: Vec::new(), versions: BTreeMap::new(), last: 0, tables: None };
        let expected = match folder.format() {
            Format::Complete(identity) => Some(identity),
            Format::Absent => {
                salvage.fault("the file format is missing".to_owned());
                None
            }
            _ => None,
        };
        // The very words of a start, which also converts an earlier format, in memory.
        let permission = Permission { create: false, convert: folder.format() == Format::Old, identity: expected };
        let medium = || Arc::clone(&overlay) as Arc<dyn Medium>;
        let random = corten_runtime::random::Random::system();
        let opened = match opening::open(medium(), permission, CACHE, &random) {
            Ok(opened) => Some(opened.seal.generation),
            Err(error) => {
                salvage.fault(match error {
                    Error::Corrupt(reason) => reason,
                    error => error.to_string(),
                });
                None
            }
        };
        let mark = match Mark::read(&*overlay) {
            Ok(Found::Mark(mark)) => Some(mark),
            _ => None,
        };
        // It mends what it can, and may lose by that what is still there.
        match check_pages(&Overlay::of_files(paths).map_err(unreadable)?) {
            Ok(true) => {}
            Ok(false) => salvage.fault("store.redb: some of its pages are damaged".to_owned()),
            Err(error) => salvage.fault(format!("store.redb: {error}")),
        }
        // Opening it may have set it back as well; a conversion is needed.
        let tables = match folder.format() {
            Format::Old => overlay.clone(),
            _ => Arc::new(Overlay::of_files(paths).map_err(unreadable)?),
        };
        let seal = salvage.read_tables(&*tables, opened);
        salvage.read_journal(&*overlay, seal.as_ref(), mark.as_ref(), expected);
        salvage.last = salvage.last.max(mark.map_or(0, |mark| mark.revision));
        for versions in salvage.versions.values_mut() {
            versions.sort_by_key(|kept| kept.version.revision);
            versions.dedup_by_key(|kept| kept.version.revision);
        }
        Ok(salvage)
    }

    fn fault(&mut self, fault: String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Of the state that a start would take or, if it takes none, of the newest one that is whole.
    fn read_tables(&mut self, medium: &dyn Medium, opened: Option<u64>) -> Option<Seal> {
        let Ok(pages) = Pages::open(medium) else {
            self.fault("store.redb: it cannot be read".to_owned());
            return None;
        };
        let mut best: Option<Log> = None;
        for state in pages.states() {
            if opened.is_some_and(|generation| generation != state.seal.generation) {
                continue;
            }
            let log = Log::read(&pages, state);
            if best.is_none() || log.faults.is_empty() {
                let done = log.faults.is_empty();
                best = Some(log);
                if done {
                    break;
                }
            }
        }
        let Some(Log { state, versions, faults }) = best else {
            self.fault("store.redb: nothing of it can be read".to_owned());
            return None;
        };
        faults.into_iter().for_each(|fault| self.fault(fault));
        for (key, version) in versions {
            self.last = self.last.max(version.revision);
            self.versions.entry(key).or_default().push(Kept { version, value: None });
        }
        self.last = self.last.max(state.seal.last).max(state.seal.marks.reserved);
        let places = pages.values(&state);
        self.tables = Some((pages, places));
        Some(state.seal)
    }

    fn read_journal(
        &mut self,
        medium: &dyn Medium,
        seal: Option<&Seal>,
        mark: Option<&Mark>,
        expected: Option<Identity>,
    ) {
        let identity = seal.map(|seal| seal.identity).or(mark.map(|mark| mark.identity)).or(expected);
        let generations = [seal.map(|seal| seal.generation), mark.map(|mark| mark.generation)];
        let (Some(identity), Some(generation)) = (identity, generations.into_iter().flatten().max()) else { return };
        let bytes = match journal::read_all(medium) {
            Ok(bytes) => bytes,
            Err(error) => return self.fault(error.to_string()),
        };
        // What an older state of the tables lacks may lie in the journal still.
        let oldest = seal.map_or(0, |seal| seal.generation);
        let mut is_damaged = false;
        let frames = match read_round(&bytes, identity, generation, None) {
            Ok(round) if oldest == generation => round.frames,
            result => {
                is_damaged = true;
                result.err().into_iter().for_each(|reason| self.fault(format!("the journal: {reason}")));
                let (frames, faults) = journal::salvage(&bytes, identity, oldest);
                faults.into_iter().for_each(|fault| self.fault(format!("the journal: {fault}")));
                frames
            }
        };
        let mut revisions = Vec::new();
        for frame in frames {
            for record in journal::read_frames(std::slice::from_ref(&frame), 0).unwrap_or_default() {
                self.last = self.last.max(record.revision());
                revisions.push(record.revision());
                let kept = Kept { version: record.version, value: record.value.clone() };
                self.versions.entry(record.key.clone()).or_default().push(kept);
            }
        }
        if is_damaged {
            revisions.sort_unstable();
            let before = std::iter::once(seal.map_or(0, |seal| seal.last)).chain(revisions.iter().copied());
            for (before, after) in before.zip(&revisions).filter(|(before, after)| before + 1 < **after) {
                let lost = format!("changes after revision {before} and before {after} are lost");
                self.fault(format!("the journal: {lost}, if there were any; which keys they changed is unknown"));
            }
        }
        let known = self.versions.values().flatten().map(|kept| kept.version.revision).max().unwrap_or(0);
        let known = known.max(seal.map_or(0, |seal| seal.last));
        if let Some(mark) = mark.filter(|mark| mark.revision > known) {
            self.fault(format!(
                "changes up to revision {} were acknowledged, and those after {known} are missing",
                mark.revision
            ));
        }
    }

    pub(super) fn has_tables(&self) -> bool {
        self.tables.is_some()
    }

    /// Every key that is there, in order.
    pub(super) fn newest(&self) -> impl Iterator<Item = Newest> {
        self.versions.iter().filter_map(|(key, versions)| {
            let (newest, earlier) = versions.split_last()?;
            if !newest.version.is_live() {
                return None;
            }
            let value = self.read(newest);
            let readable = |kept: &Kept| Some((kept.version, self.read(kept).ok()?));
            let earlier = match value {
                Ok(_) => None,
                Err(_) => earlier.iter().rev().take_while(|kept| kept.version.is_live()).find_map(readable),
            };
            Some(Newest { key: key.clone(), version: newest.version, value, earlier })
        })
    }

    /// What is wrong with values that were superseded since.
    pub(super) fn damaged_earlier(&self) -> impl Iterator<Item = String> {
        self.versions.iter().flat_map(move |(key, versions)| {
            let earlier = versions.split_last().map_or(&[][..], |(_, earlier)| earlier);
            earlier.iter().filter(|kept| kept.version.is_live()).filter_map(move |kept| {
                let reason = self.read(kept).err()?;
                Some(format!("an earlier value of {key}, at revision {}: {reason}", kept.version.revision))
            })
        })
    }

    /// The value of one version.
    pub(super) fn value(&self, key: &Key, revision: Revision) -> Option<Bytes> {
        let kept = self.versions.get(key)?.iter().find(|kept| kept.version.revision == revision)?;
        self.read(kept).ok()
    }

    fn read(&self, kept: &Kept) -> Result<Bytes, String> {
        if let Some(value) = &kept.value {
            return Ok(value.clone());
        }
        let (pages, places) = self.tables.as_ref().ok_or("store.redb cannot be read")?;
        let place = places.get(&kept.version.revision).ok_or("it is missing")?;
        let value = pages.read(*place).ok_or("it cannot be read")?;
        if crc32fast::hash(&value) != kept.version.value_sum {
            return Err("its checksum is wrong".to_owned());
        }
        Ok(value)
    }
}
