//! The tables on the disk.
//!
//! `log` has a row for each revision, `values` the value of each that put one: a start reads only the first. Both are
//! appended to at their ends, which costs a copy-on-write tree the least. A database that has seen an I/O error
//! refuses to go on, reads included; it is then opened anew on the same medium, which finds the last commit.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, WriteTransaction,
};

use super::history::Version;
use super::medium::{Fault, Faults, Medium, Part, Watched};
use super::record::{self, Record};
use crate::error::{Applied, Error};
use crate::store::{Key, Revision};

const LOG: TableDefinition<Revision, &[u8]> = TableDefinition::new("log");
const VALUES: TableDefinition<Revision, &[u8]> = TableDefinition::new("values");
/// `reserved`: every revision that anybody may have seen is smaller, or was committed. `compacted`: as in the contract.
/// `last`: the last revision that ever had a row here.
const META: TableDefinition<&str, Revision> = TableDefinition::new("meta");
/// Blocks of revisions that a crash lost: from the last one that was kept to the first that was given out thereafter.
const GAPS: TableDefinition<Revision, Revision> = TableDefinition::new("gaps");

pub(super) struct Disk {
    medium: Arc<dyn Medium>,
    cache_bytes: usize,
    /// Held by a commit and while the database is opened anew, so that neither happens during the other.
    gate: Mutex<()>,
    opened: RwLock<Opened>,
    /// Whether the last commit may have taken place, though it failed and the tables could not be read since.
    undecided: Mutex<bool>,
}

struct Opened {
    generation: u64,
    /// Absent after a close, and when opening it anew failed.
    database: Option<Arc<Database>>,
    faults: Arc<Faults>,
    closed: bool,
}

/// Everything that is on the disk but the values.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) rows: Vec<(Key, Version)>,
    pub(super) marks: Marks,
    pub(super) last: Revision,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) reserved: Revision,
    pub(super) compacted: Revision,
    pub(super) gaps: Vec<(Revision, Revision)>,
}

/// What one commit writes; nothing still makes the tables.
#[derive(Default)]
pub(super) struct Work {
    pub(super) records: Vec<Arc<Record>>,
    /// Rows to remove.
    pub(super) forgotten: Vec<Revision>,
    pub(super) marks: Option<Marks>,
}

/// Why a commit failed. `NoSpace` leaves the store as it was, and reads and later writes may go on; after `Broken`
/// nothing may be written any more.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Changes up to this revision are in the tables all the same, from an earlier commit that was undecided.
    pub(super) kept_to: Revision,
    /// The changes of this commit may be in the tables, and only the next one can tell.
    pub(super) undecided: bool,
}

impl Failure {
    pub(super) fn of(error: Error) -> Failure {
        Failure { error, kept_to: 0, undecided: false }
    }
}

#[derive(Debug)]
pub(super) enum ReadError {
    /// The database has to be opened anew; the generation that was seen.
    Stale(u64),
    Failed(Error),
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.forgotten.is_empty() && self.marks.is_none()
    }
}

impl Disk {
    pub(super) fn open(medium: Arc<dyn Medium>, cache_bytes: usize) -> Result<Disk, Error> {
        let (database, faults) = open_database(&*medium, cache_bytes)?;
        let opened = Opened { generation: 0, database: Some(Arc::new(database)), faults, closed: false };
        let disk = Disk {
            medium,
            cache_bytes,
            gate: Mutex::new(()),
            opened: RwLock::new(opened),
            undecided: Mutex::new(false),
        };
        if disk.is_blank().map_err(|error| Error::Corrupt(error.to_string()))? {
            disk.commit(&Work::default()).map_err(|failure| failure.error)?;
        }
        Ok(disk)
    }

    fn is_blank(&self) -> Result<bool, redb::Error> {
        let opened = self.opened.read();
        let Some(database) = &opened.database else { return Ok(false) };
        Ok(database.begin_read()?.list_tables()?.next().is_none())
    }

    pub(super) fn load(&self) -> Result<Loaded, Error> {
        let (database, _) = self.database().map_err(ReadError::into_error)?;
        let load = || -> Result<Result<Loaded, Error>, redb::Error> {
            let transaction = database.begin_read()?;
            let meta = transaction.open_table(META)?;
            let mark = |name: &str| Ok::<_, redb::Error>(meta.get(name)?.map_or(0, |mark| mark.value()));
            let mut marks = Marks { reserved: mark("reserved")?, compacted: mark("compacted")?, gaps: Vec::new() };
            for gap in transaction.open_table(GAPS)?.iter()? {
                let (from, to) = gap?;
                marks.gaps.push((from.value(), to.value()));
            }
            let (mut rows, last) = (Vec::new(), mark("last")?);
            for row in transaction.open_table(LOG)?.iter()? {
                let (revision, row) = row?;
                let Some((key, version)) = record::decode(revision.value(), row.value()) else {
                    return Ok(Err(unreadable(revision.value())));
                };
                rows.push((Key::from(key), version));
            }
            Ok(Ok(Loaded { rows, marks, last }))
        };
        guarded(load).and_then(|loaded| loaded.map_err(|error| Error::Corrupt(error.to_string()))?)
    }

    /// Durable when it returns. Records that the tables have already are passed over, so that a commit whose outcome
    /// is unknown can be made again.
    pub(super) fn commit(&self, work: &Work) -> Result<(), Failure> {
        let _gate = self.gate.lock();
        // What an earlier commit left undecided stays so.
        let nothing_written =
            |error: ReadError| Failure { error: error.into_error(), kept_to: 0, undecided: self.is_undecided() };
        let (database, generation, last) = self.open_for_commit().map_err(nothing_written)?;
        let Err(error) = write(&database, work, last) else {
            *self.undecided.lock() = false;
            return Ok(());
        };
        drop(database);
        let fault = self.opened.read().faults.found();
        let text = match fault {
            Some(Fault::Full(text)) => text,
            Some(Fault::Lost(text)) => return Err(Failure::of(Error::Broken(text))),
            None => return Err(Failure::of(Error::Broken(error.to_string()))),
        };
        // The database tidies up after its last sync, and may find no room only then: the commit has taken place.
        let kept_to = self.reopen_gated(generation).and_then(|()| self.last_revision());
        *self.undecided.lock() = kept_to.is_err();
        match (kept_to, work.records.last()) {
            // Unless it is an earlier commit that had them: then nothing else of this one is there.
            (Ok(kept_to), Some(record)) if kept_to >= record.revision() && last < record.revision() => Ok(()),
            (Ok(kept_to), _) => Err(Failure { error: no_space(&text), kept_to, undecided: false }),
            (Err(error), _) => {
                tracing::warn!(?error, "could not open the store again after the disk ran full");
                Err(Failure { error: no_space(&text), kept_to: 0, undecided: true })
            }
        }
    }

    /// The tables, and the last revision that they have. They are opened anew if they have seen an error.
    fn open_for_commit(&self) -> Result<(Arc<Database>, u64, Revision), ReadError> {
        let opened = || {
            let (database, generation) = self.database()?;
            self.last_revision().map(|last| (database, generation, last))
        };
        opened().or_else(|error| match error {
            ReadError::Stale(generation) => self.reopen_gated(generation).and_then(|()| opened()),
            error => Err(error),
        })
    }

    fn is_undecided(&self) -> bool {
        *self.undecided.lock()
    }

    /// The last revision that the tables have.
    fn last_revision(&self) -> Result<Revision, ReadError> {
        let (database, generation) = self.database()?;
        let read = || -> Result<Revision, redb::Error> {
            let transaction = database.begin_read()?;
            match transaction.open_table(META) {
                Ok(meta) => Ok(meta.get("last")?.map_or(0, |mark| mark.value())),
                // The first commit makes the tables.
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
                Err(error) => Err(error.into()),
            }
        };
        guarded(read).map_err(ReadError::Failed)?.map_err(|error| read_error(generation, error))
    }

    /// The state of the disk as it is now.
    pub(super) fn reader(&self) -> Result<Reader, ReadError> {
        let (database, generation) = self.database()?;
        let transaction = database.begin_read().map_err(|error| read_error(generation, error.into()))?;
        Ok(Reader { transaction, values: OnceLock::new(), generation })
    }

    /// Opens the database anew unless somebody has done so since `generation`.
    pub(super) fn reopen(&self, generation: u64) -> Result<(), Error> {
        let _gate = self.gate.lock();
        self.reopen_gated(generation).map_err(ReadError::into_error)
    }

    fn reopen_gated(&self, generation: u64) -> Result<(), ReadError> {
        let mut opened = self.opened.write();
        if opened.generation != generation {
            return Ok(());
        }
        if opened.closed {
            return Err(ReadError::Failed(Error::Closed));
        }
        opened.database = None;
        let (database, faults) = open_database(&*self.medium, self.cache_bytes).map_err(ReadError::Failed)?;
        *opened = Opened { generation: generation + 1, database: Some(Arc::new(database)), faults, closed: false };
        Ok(())
    }

    pub(super) fn size(&self) -> Result<u64, Error> {
        let unreadable = |error: std::io::Error| unavailable(error.to_string());
        self.medium.open(Part::Tables).and_then(|storage| storage.len()).map_err(unreadable)
    }

    pub(super) fn close(&self) {
        let _gate = self.gate.lock();
        let mut opened = self.opened.write();
        opened.closed = true;
        if let Some(Err(error)) = opened.database.take().and_then(Arc::into_inner).map(Database::close) {
            tracing::warn!(%error, "the store's database did not close well; the next start will check it");
        }
    }

    fn database(&self) -> Result<(Arc<Database>, u64), ReadError> {
        let opened = self.opened.read();
        match &opened.database {
            Some(database) => Ok((Arc::clone(database), opened.generation)),
            None => Err(ReadError::Stale(opened.generation)),
        }
    }
}

/// One state of the disk, which stays readable whatever is committed meanwhile. It is cheap until something is read.
pub(super) struct Reader {
    transaction: ReadTransaction,
    values: OnceLock<Table>,
    generation: u64,
}

type Table = ReadOnlyTable<Revision, &'static [u8]>;

impl Reader {
    /// None if it was compacted away.
    pub(super) fn value(&self, revision: Revision) -> Result<Option<Bytes>, ReadError> {
        guarded(|| self.read_value(revision)).map_err(ReadError::Failed)?
    }

    fn read_value(&self, revision: Revision) -> Result<Option<Bytes>, ReadError> {
        let values = match self.values.get() {
            Some(values) => values,
            None => {
                let values = self.table(VALUES)?;
                self.values.get_or_init(|| values)
            }
        };
        match values.get(revision) {
            Ok(value) => Ok(value.map(|value| Bytes::copy_from_slice(value.value()))),
            Err(error) => Err(read_error(self.generation, error.into())),
        }
    }

    fn table(&self, table: TableDefinition<Revision, &'static [u8]>) -> Result<Table, ReadError> {
        self.transaction.open_table(table).map_err(|error| read_error(self.generation, error.into()))
    }

    /// Calls `visit` with the rows from `start` to `end` until it says stop.
    pub(super) fn rows(
        &self,
        start: Revision,
        end: Revision,
        visit: impl FnMut(&str, Version) -> bool,
    ) -> Result<(), ReadError> {
        if start > end {
            return Ok(());
        }
        guarded(|| self.visit_rows(start, end, visit)).map_err(ReadError::Failed)?
    }

    fn visit_rows(
        &self,
        start: Revision,
        end: Revision,
        mut visit: impl FnMut(&str, Version) -> bool,
    ) -> Result<(), ReadError> {
        let fail = |error: StorageError| read_error(self.generation, error.into());
        for row in self.table(LOG)?.range(start..=end).map_err(fail)? {
            let (revision, row) = row.map_err(fail)?;
            let Some((key, version)) = record::decode(revision.value(), row.value()) else {
                return Err(ReadError::Failed(unreadable(revision.value())));
            };
            if !visit(key, version) {
                break;
            }
        }
        Ok(())
    }
}

impl ReadError {
    pub(super) fn into_error(self) -> Error {
        match self {
            ReadError::Stale(_) => unavailable("its database could not be opened again".to_owned()),
            ReadError::Failed(error) => error,
        }
    }
}

/// `last` is the last revision that the tables have.
fn write(database: &Database, work: &Work, last: Revision) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let records = &work.records[work.records.partition_point(|record| record.revision() <= last)..];
    {
        let mut log = transaction.open_table(LOG)?;
        let mut values = transaction.open_table(VALUES)?;
        let mut row = Vec::with_capacity(128);
        let mut end = log.upper_bound_mut(Bound::<Revision>::Unbounded)?;
        for record in records {
            row.clear();
            record::encode(&record.key, &record.version, &mut row);
            end.insert_before(record.revision(), row.as_slice()).map_err(appended)?;
        }
        end.close().map_err(appended)?;
        let mut end = values.upper_bound_mut(Bound::<Revision>::Unbounded)?;
        for record in records {
            if let Some(value) = &record.value {
                end.insert_before(record.revision(), &value[..]).map_err(appended)?;
            }
        }
        end.close().map_err(appended)?;
        for revision in &work.forgotten {
            log.remove(revision)?;
            values.remove(revision)?;
        }
    }
    if let Some(last) = records.last() {
        transaction.open_table(META)?.insert("last", last.revision())?;
    }
    // A table is made by being opened; one that does not change is best left closed.
    if work.marks.is_some() || work.is_empty() {
        write_marks(&transaction, work.marks.as_ref())?;
    }
    transaction.commit()?;
    Ok(())
}

fn write_marks(transaction: &WriteTransaction, marks: Option<&Marks>) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let mut gaps = transaction.open_table(GAPS)?;
    let Some(marks) = marks else { return Ok(()) };
    meta.insert("reserved", marks.reserved)?;
    meta.insert("compacted", marks.compacted)?;
    gaps.retain(|_, _| false)?;
    for (from, to) in &marks.gaps {
        gaps.insert(from, to)?;
    }
    Ok(())
}

fn appended(error: impl std::fmt::Display) -> redb::Error {
    redb::Error::Corrupted(format!("append a revision: {error}"))
}

fn open_database(medium: &dyn Medium, cache_bytes: usize) -> Result<(Database, Arc<Faults>), Error> {
    let faults = Arc::new(Faults::default());
    let storage = medium.open(Part::Tables).map_err(|error| unavailable(error.to_string()))?;
    let storage = Watched { storage, faults: Arc::clone(&faults) };
    let open = || Database::builder().set_cache_size(cache_bytes).create_with_backend(storage);
    match guarded(open)? {
        Ok(database) => Ok((database, faults)),
        Err(error) => Err(match (faults.found(), error) {
            (Some(Fault::Full(text)), _) => no_space(&text),
            (Some(Fault::Lost(text)), _) => unavailable(text),
            (None, DatabaseError::Storage(StorageError::Io(error))) => Error::Corrupt(error.to_string()),
            (None, error) => Error::Corrupt(error.to_string()),
        }),
    }
}

/// The database may panic on a file that somebody else has written into, or that its disk has changed.
fn guarded<T>(access: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(access)).map_err(|_| Error::Corrupt("its pages contradict each other".to_owned()))
}

fn read_error(generation: u64, error: redb::Error) -> ReadError {
    match error {
        redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::Io(_) => ReadError::Stale(generation),
        error => ReadError::Failed(Error::Corrupt(error.to_string())),
    }
}

fn unreadable(revision: Revision) -> Error {
    Error::Corrupt(format!("the row of revision {revision} cannot be read"))
}

fn no_space(text: &str) -> Error {
    Error::NoSpace(format!("{text}; make room on the disk of the data folder"))
}

fn unavailable(reason: String) -> Error {
    Error::Unavailable { reason, applied: Applied::No }
}
