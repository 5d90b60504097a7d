//! The tables on the disk.
//!
//! `log` has a row for each revision, `values` the value of each that put one: a start reads only the first. Both are
//! appended to at their ends, which costs a copy-on-write tree the least. A database that has seen an I/O error
//! refuses to go on, reads included; it is then opened anew on the same medium, which finds the last commit.
//!
//! The database checks its pages only after a crash, and then falls back to an older state if it has to. So each row has
//! a checksum of its own and one of its value, and the `seal` says what all rows together must be.

mod format_2;
pub(super) mod pages;
mod seal;

use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, WriteTransaction,
};

pub(super) use self::format_2::decode_row as decode_format_2;
pub(super) use self::seal::Seal;
use super::history::Version;
use super::identity::Identity;
use super::medium::{Fault, Faults, Medium, Part, Watched};
use super::record::{self, Record};
use crate::error::{Applied, Error};
use crate::store::{Key, Revision};

const LOG: TableDefinition<Revision, &[u8]> = TableDefinition::new("log");
const VALUES: TableDefinition<Revision, &[u8]> = TableDefinition::new("values");
/// The seal, under the name `seal`.
const SEAL: TableDefinition<&str, &[u8]> = TableDefinition::new("seal");

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
    /// How often it was opened anew.
    opening: u64,
    /// Absent after a close, and when opening it anew failed.
    database: Option<Arc<Open>>,
    faults: Arc<Faults>,
    closed: bool,
}

impl Opened {
    fn new(opening: u64, database: Database, faults: Arc<Faults>) -> Opened {
        Opened { opening, database: Some(Arc::new(Open(Some(database)))), faults, closed: false }
    }
}

/// A database, which writes a last time when it is dropped, and may panic then as at any other time.
struct Open(Option<Database>);

impl Open {
    fn close(mut self) -> Result<(), Error> {
        let Some(database) = self.0.take() else { return Ok(()) };
        guarded(|| database.close())?.map_err(|error| Error::Corrupt(error.to_string()))
    }
}

impl Deref for Open {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("only who ends it takes it out")
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let database = self.0.take();
        if guarded(|| drop(database)).is_err() {
            tracing::warn!("the store's database did not close well; the next start will check it");
        }
    }
}

/// What a database holds.
pub(super) enum Contents {
    Blank,
    /// The tables of format 2 or before, to be converted.
    Format2,
    Sealed(Seal),
}

/// `reserved`: every revision that anybody may have seen is smaller, or was committed. `compacted`: as in the contract.
/// `gaps`: blocks of revisions that a crash lost, from the last one that was kept to the first that was given out
/// thereafter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) reserved: Revision,
    pub(super) compacted: Revision,
    pub(super) gaps: Vec<(Revision, Revision)>,
}

/// What one commit writes.
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
    /// The seal of the tables, if that is not the one that the journal follows.
    pub(super) moved_on: Option<Box<Seal>>,
}

impl Failure {
    pub(super) fn of(error: Error) -> Failure {
        Failure { error, kept_to: 0, undecided: false, moved_on: None }
    }
}

#[derive(Debug)]
pub(super) enum ReadError {
    /// The database has to be opened anew; the number of the opening that was seen.
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
        let opened = Opened::new(0, database, faults);
        let (opened, undecided) = (RwLock::new(opened), Mutex::new(false));
        Ok(Disk { medium, cache_bytes, gate: Mutex::new(()), opened, undecided })
    }

    pub(super) fn medium(&self) -> &dyn Medium {
        &*self.medium
    }

    pub(super) fn contents(&self) -> Result<Contents, Error> {
        let (database, _) = self.database().map_err(ReadError::into_error)?;
        guarded(|| contents(&database))?.map_err(|error| Error::Corrupt(error.to_string()))?
    }

    /// Makes the tables, without a row.
    pub(super) fn create(&self, identity: Identity) -> Result<Seal, Error> {
        let seal = Seal::of_nothing(identity);
        self.prepare(|transaction| {
            transaction.open_table(LOG)?;
            transaction.open_table(VALUES)?;
            write_seal(transaction, &seal)?;
            Ok(seal)
        })
    }

    /// Takes over tables of format 2, and what the journal of that time has beyond them, by one commit.
    pub(super) fn convert(
        &self,
        identity: Identity,
        beyond: impl FnOnce(Revision) -> Vec<Arc<Record>>,
    ) -> Result<Seal, Error> {
        self.prepare(|transaction| format_2::convert(transaction, identity, beyond))
    }

    fn prepare<T>(&self, write: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>) -> Result<T, Error> {
        let (database, _) = self.database().map_err(ReadError::into_error)?;
        let prepare = || {
            let transaction = database.begin_write()?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        guarded(prepare)?.map_err(|error: redb::Error| match (self.opened.read().faults.found(), error) {
            (Some(Fault::Full(text)), _) => no_space(&text),
            (Some(Fault::Lost(text)), _) => unavailable(text),
            (None, error) => Error::Corrupt(error.to_string()),
        })
    }

    /// All rows of the log, which have to be what the seal says.
    pub(super) fn load(&self, seal: &Seal) -> Result<Vec<(Key, Version)>, Error> {
        let (mut rows, mut found) = (Vec::new(), Seal { rows: 0, sum: 0, ..seal.clone() });
        self.visit_log(|revision, row| {
            let (key, version) = record::decode(revision, row).ok_or_else(|| unreadable(revision))?;
            found.add(record::share(revision, row));
            rows.push((Key::from(key), version));
            Ok(())
        })?;
        if found != *seal {
            return Err(Error::Corrupt(format!(
                "the tables have {} rows where {} were written, or others",
                found.rows, seal.rows
            )));
        }
        Ok(rows)
    }

    /// Calls `visit` with every row of the log until it fails.
    pub(super) fn visit_log(&self, mut visit: impl FnMut(Revision, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let (database, _) = self.database().map_err(ReadError::into_error)?;
        let read = || -> Result<Result<(), Error>, redb::Error> {
            for row in database.begin_read()?.open_table(LOG)?.iter()? {
                let (revision, row) = row?;
                if let Err(error) = visit(revision.value(), row.value()) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        guarded(read)?.map_err(|error| Error::Corrupt(error.to_string()))?
    }

    /// Durable when it returns, with the seal of the tables. Records that the tables have already are passed over, so that
    /// a commit whose outcome is unknown can be made again. `generation` is that of the seal that the journal follows.
    pub(super) fn commit(&self, work: &Work, generation: u64) -> Result<Seal, Failure> {
        let _gate = self.gate.lock();
        // What an earlier commit left undecided stays so.
        let nothing_written =
            |error: ReadError| Failure { undecided: self.is_undecided(), ..Failure::of(error.into_error()) };
        let (database, opening, before) = self.open_for_commit().map_err(nothing_written)?;
        let next = Seal { generation: generation + 1, ..before.clone() };
        let written = guarded(|| write(&database, work, next));
        let error = match written.unwrap_or_else(|error| Err(redb::Error::Corrupted(error.to_string()))) {
            Ok(seal) => {
                *self.undecided.lock() = false;
                return Ok(seal);
            }
            Err(error) => error,
        };
        drop(database);
        let fault = self.opened.read().faults.found();
        let text = match fault {
            Some(Fault::Full(text)) => text,
            Some(Fault::Lost(text)) => return Err(Failure::of(Error::Broken(text))),
            None => return Err(Failure::of(Error::Broken(error.to_string()))),
        };
        // The database tidies up after its last sync, and may find no room only then: the commit has taken place.
        let kept = self.reopen_gated(opening).and_then(|()| self.seal());
        *self.undecided.lock() = kept.is_err();
        match kept {
            Ok(seal) if seal != before => Ok(seal),
            // An earlier commit may have taken place: then nothing else of this one is there.
            Ok(seal) => Err(Failure {
                kept_to: seal.last,
                moved_on: (seal.generation != generation).then(|| Box::new(seal)),
                ..Failure::of(no_space(&text))
            }),
            Err(error) => {
                tracing::warn!(?error, "could not open the store again after the disk ran full");
                Err(Failure { undecided: true, ..Failure::of(no_space(&text)) })
            }
        }
    }

    /// The tables and their seal. They are opened anew if they have seen an error.
    fn open_for_commit(&self) -> Result<(Arc<Open>, u64, Seal), ReadError> {
        let opened = || {
            let (database, opening) = self.database()?;
            self.seal().map(|seal| (database, opening, seal))
        };
        opened().or_else(|error| match error {
            ReadError::Stale(opening) => self.reopen_gated(opening).and_then(|()| opened()),
            error => Err(error),
        })
    }

    fn is_undecided(&self) -> bool {
        *self.undecided.lock()
    }

    fn seal(&self) -> Result<Seal, ReadError> {
        let (database, opening) = self.database()?;
        let contents = guarded(|| contents(&database)).map_err(ReadError::Failed)?;
        match contents.map_err(|error| read_error(opening, error))?.map_err(ReadError::Failed)? {
            Contents::Sealed(seal) => Ok(seal),
            _ => Err(ReadError::Failed(Error::Corrupt("the tables have lost their seal".to_owned()))),
        }
    }

    /// The state of the disk as it is now.
    pub(super) fn reader(&self) -> Result<Reader, ReadError> {
        let (database, opening) = self.database()?;
        let transaction = guarded(|| database.begin_read()).map_err(ReadError::Failed)?;
        let transaction = transaction.map_err(|error| read_error(opening, error.into()))?;
        Ok(Reader { transaction, values: OnceLock::new(), opening })
    }

    /// Opens the database anew unless somebody has done so since `opening`.
    pub(super) fn reopen(&self, opening: u64) -> Result<(), Error> {
        let _gate = self.gate.lock();
        self.reopen_gated(opening).map_err(ReadError::into_error)
    }

    fn reopen_gated(&self, opening: u64) -> Result<(), ReadError> {
        let mut opened = self.opened.write();
        if opened.opening != opening {
            return Ok(());
        }
        if opened.closed {
            return Err(ReadError::Failed(Error::Closed));
        }
        opened.database = None;
        let (database, faults) = open_database(&*self.medium, self.cache_bytes).map_err(ReadError::Failed)?;
        *opened = Opened::new(opening + 1, database, faults);
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
        if let Some(Err(error)) = opened.database.take().and_then(Arc::into_inner).map(Open::close) {
            tracing::warn!(%error, "the store's database did not close well; the next start will check it");
        }
    }

    fn database(&self) -> Result<(Arc<Open>, u64), ReadError> {
        let opened = self.opened.read();
        match &opened.database {
            Some(database) => Ok((Arc::clone(database), opened.opening)),
            None => Err(ReadError::Stale(opened.opening)),
        }
    }
}

/// One state of the disk, which stays readable whatever is committed meanwhile. It is cheap until something is read.
pub(super) struct Reader {
    transaction: ReadTransaction,
    values: OnceLock<Table>,
    opening: u64,
}

type Table = ReadOnlyTable<Revision, &'static [u8]>;

impl Reader {
    /// None if it is not there: compacted away, or lost. What is there and not as it was written is `Error::Damaged`.
    pub(super) fn value(&self, key: &Key, version: Version) -> Result<Option<Bytes>, ReadError> {
        let damaged = |reason: &str| {
            let (key, revision) = (key.clone(), version.revision);
            tracing::error!(%key, revision, reason, "a stored value is damaged");
            ReadError::Failed(Error::Damaged { key, revision, reason: reason.to_owned() })
        };
        let read = guarded(|| self.read_value(version.revision)).map_err(ReadError::Failed);
        match read.and_then(|read| read) {
            Ok(Some(value)) if crc32fast::hash(&value) != version.value_sum => Err(damaged("its checksum is wrong")),
            Err(ReadError::Failed(Error::Corrupt(reason))) => Err(damaged(&reason)),
            result => result,
        }
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
            Err(error) => Err(read_error(self.opening, error.into())),
        }
    }

    fn table(&self, table: TableDefinition<Revision, &'static [u8]>) -> Result<Table, ReadError> {
        self.transaction.open_table(table).map_err(|error| read_error(self.opening, error.into()))
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
        let fail = |error: StorageError| read_error(self.opening, error.into());
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

fn contents(database: &Database) -> Result<Result<Contents, Error>, redb::Error> {
    let transaction = database.begin_read()?;
    match transaction.open_table(SEAL) {
        Ok(table) => {
            let seal = table.get("seal")?.and_then(|seal| Seal::decode(seal.value()));
            let damaged = || Error::Corrupt("the seal of the tables is damaged".to_owned());
            Ok(seal.map(Contents::Sealed).ok_or_else(damaged))
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {
            let is_blank = transaction.list_tables()?.next().is_none();
            Ok(Ok(if is_blank { Contents::Blank } else { Contents::Format2 }))
        }
        Err(error) => Err(error.into()),
    }
}

/// `seal` is what the tables have, under its next generation. Returns what they have then.
fn write(database: &Database, work: &Work, mut seal: Seal) -> Result<Seal, redb::Error> {
    let transaction = database.begin_write()?;
    let records = &work.records[work.records.partition_point(|record| record.revision() <= seal.last)..];
    append(&transaction, records, &mut seal)?;
    if !work.forgotten.is_empty() {
        let mut log = transaction.open_table(LOG)?;
        let mut values = transaction.open_table(VALUES)?;
        for revision in &work.forgotten {
            if let Some(row) = log.remove(revision)? {
                seal.take_off(record::share(*revision, row.value()));
            }
            values.remove(revision)?;
        }
    }
    if let Some(marks) = &work.marks {
        seal.marks = marks.clone();
    }
    write_seal(&transaction, &seal)?;
    transaction.commit()?;
    Ok(seal)
}

/// Appends records, whose revisions are all later than the seal's last one.
fn append(transaction: &WriteTransaction, records: &[Arc<Record>], seal: &mut Seal) -> Result<(), redb::Error> {
    let Some(last) = records.last() else { return Ok(()) };
    seal.last = last.revision();
    let mut log = transaction.open_table(LOG)?;
    let mut row = Vec::with_capacity(128);
    let mut end = log.upper_bound_mut(Bound::<Revision>::Unbounded)?;
    for record in records {
        row.clear();
        record::encode(&record.key, &record.version, &mut row);
        seal.add(record::share(record.revision(), &row));
        end.insert_before(record.revision(), row.as_slice()).map_err(appended)?;
    }
    end.close().map_err(appended)?;
    let mut values = transaction.open_table(VALUES)?;
    let mut end = values.upper_bound_mut(Bound::<Revision>::Unbounded)?;
    for record in records {
        if let Some(value) = &record.value {
            end.insert_before(record.revision(), &value[..]).map_err(appended)?;
        }
    }
    end.close().map_err(appended)
}

fn write_seal(transaction: &WriteTransaction, seal: &Seal) -> Result<(), redb::Error> {
    transaction.open_table(SEAL)?.insert("seal", seal.encode().as_slice())?;
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

/// Whether the database finds all its pages as it wrote them. It may write to mend itself.
pub(super) fn check_pages(medium: &dyn Medium) -> Result<bool, Error> {
    let (mut database, _) = open_database(medium, 64 << 20)?;
    guarded(move || database.check_integrity())?.map_err(|error| Error::Corrupt(error.to_string()))
}

/// The database may panic on a file that somebody else has written into, or that its disk has changed.
fn guarded<T>(access: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(access)).map_err(|_| Error::Corrupt("its pages contradict each other".to_owned()))
}

fn read_error(opening: u64, error: redb::Error) -> ReadError {
    match error {
        redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::Io(_) => ReadError::Stale(opening),
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
