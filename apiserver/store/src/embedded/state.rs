//! What the engine knows in memory, and the rules by which it changes.
//!
//! A change goes through three places. In *flight* it has a revision and the rules for its key hold against it, but
//! nobody sees it: it waits for the commit that makes it durable. *Visible*, it is in the index and with the watchers.
//! What is visible and not in the tables yet is *unsaved*: changes that lie in the journal, and behind them lazy ones
//! that lie nowhere. Changes become visible in the order of their revisions, so a lazy one that finds durable ones in
//! flight waits with them.
//!
//! When a commit fails, everything in flight fails with it and its revisions are given again: nobody has seen them. Only
//! where nobody can tell whether the commit took place, its changes stay in flight under their revisions, and the next
//! commit makes them again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::disk::{Failure, Marks, Work};
use super::feed::Feeds;
use super::history::{Index, Version};
use super::journal;
use super::record::Record;
use crate::error::{Applied, Error};
use crate::store::{Companion, Durability, Expect, Key, Revision};
use corten_runtime::Instant;

/// How many revisions are reserved ahead. A crash skips at most so many.
const BLOCK: Revision = 4096;
/// Unsaved values beyond this are not left to the timer.
const UNSAVED_BYTES_MAX: usize = 8 << 20;
/// Rows removed in one commit, so that compaction holds up no writer for long.
const FORGOTTEN_MAX: usize = 512;

pub(super) type Answer = oneshot::Receiver<Result<(), Error>>;

pub(super) struct State {
    pub(super) index: Index,
    /// The revision of the last visible change.
    pub(super) visible: Revision,
    /// The last revision given out.
    assigned: Revision,
    pub(super) marks: Marks,
    /// The same, as they are on the disk.
    saved: Marks,
    /// Visible but not in the tables yet, oldest first.
    unsaved: VecDeque<Arc<Record>>,
    unsaved_bytes: usize,
    /// How many of them, from the oldest on, are in the journal.
    journaled: usize,
    queue: Vec<Flight>,
    /// Changes of a failed commit that may have taken place. The next commit makes them again, before all others.
    undecided: Vec<Flight>,
    /// The newest change in flight of each key that has one.
    overlay: HashMap<Key, Arc<Record>>,
    /// Writers who wait to see what becomes of a change in flight.
    parked: Vec<oneshot::Sender<()>>,
    forgotten: VecDeque<Revision>,
    /// Who waits for everything so far to be on the disk.
    barriers: Vec<oneshot::Sender<Result<(), Error>>>,
    pub(super) mode: Mode,
    pub(super) feeds: Feeds,
    /// By the end of their time to live, in milliseconds since 1970.
    pub(super) expiries: BTreeMap<(u64, Revision), Key>,
    pub(super) timers: Timers,
    /// The next commit is due even if no writer waits.
    pub(super) flush: bool,
    pub(super) closing: bool,
    /// To be woken once the lock is given back.
    pub(super) wakers: Vec<Waker>,
    /// Set when a time to live ends before all others; the timers are to be told.
    pub(super) expires_sooner: bool,
    /// How many batches the commit thread has been given, and whether it waits for the next one.
    pub(super) batches: u64,
    pub(super) idle: bool,
}

/// Moments that somebody asked for.
#[derive(Default)]
pub(super) struct Timers {
    pub(super) flush: Option<Instant>,
    pub(super) compact: Option<(Instant, Revision)>,
    pub(super) expire_again: Option<Instant>,
    /// The last expiry of a pass that has more to do: the pass goes on after it.
    pub(super) expired_to: Option<(u64, Revision)>,
}

pub(super) enum Mode {
    Writing,
    /// The last commit failed, and the next may succeed. Nothing becomes visible before it is on the disk.
    Stuck(String),
    Broken(String),
}

/// A change in flight.
pub(super) struct Flight {
    record: Arc<Record>,
    answer: Option<oneshot::Sender<Result<(), Error>>>,
}

/// What a writer wants of a key.
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) expect: Expect,
    pub(super) durability: Durability,
    pub(super) value: Option<Bytes>,
    /// See `Version::value_sum`.
    pub(super) value_sum: u32,
    pub(super) expires: u64,
    pub(super) companion: Option<Companion>,
}

pub(super) enum Offer {
    /// Visible already.
    Done(Arc<Record>),
    InFlight(Arc<Record>, Answer),
    /// The key has changes in flight on which the answer depends. Offer it again then.
    Parked(oneshot::Receiver<()>, Change),
    Conflict,
    /// A deletion of what is not there.
    Nothing,
}

/// Where a commit writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tables,
    Journal,
}

/// A commit's work and whom to tell.
pub(super) struct Batch {
    pub(super) work: Work,
    pub(super) place: Place,
    /// How many changes were unsaved when it began.
    unsaved: usize,
    fresh: Vec<Flight>,
    barriers: Vec<oneshot::Sender<Result<(), Error>>>,
}

impl State {
    /// Of what the tables hold and what the journal holds beyond them.
    pub(super) fn new(mut rows: Vec<(Key, Version)>, saved: Marks, journal: Vec<Arc<Record>>) -> State {
        rows.extend(journal.iter().map(|record| (record.key.clone(), record.version)));
        let mut index = Index::default();
        let mut expiries = BTreeMap::new();
        let kept = rows.last().map_or(0, |(_, version)| version.revision).max(saved.compacted).max(1);
        for (key, version) in rows {
            if version.expires != 0 {
                expiries.insert((version.expires, version.revision), key.clone());
            }
            if let Some(before) = index.apply(&key, version).filter(|before| before.expires != 0) {
                expiries.remove(&(before.expires, before.revision));
            }
        }
        let forgotten = index.compact(saved.compacted).into();
        let visible = kept.max(saved.reserved);
        let mut marks = saved.clone();
        // After a crash, whoever saw a revision in between may have seen changes that are lost.
        if visible > kept + 1 && !marks.gaps.contains(&(kept, visible)) {
            marks.gaps.push((kept, visible));
        }
        State {
            index,
            visible,
            assigned: visible,
            marks,
            saved,
            unsaved_bytes: journal.iter().map(|record| bytes(record)).sum(),
            journaled: journal.len(),
            unsaved: journal.into(),
            queue: Vec::new(),
            undecided: Vec::new(),
            overlay: HashMap::new(),
            parked: Vec::new(),
            forgotten,
            barriers: Vec::new(),
            mode: Mode::Writing,
            feeds: Feeds::default(),
            expiries,
            timers: Timers::default(),
            flush: false,
            closing: false,
            wakers: Vec::new(),
            expires_sooner: false,
            batches: 0,
            idle: false,
        }
    }

    /// Whether what happened right after `revision` is forgotten or lost.
    pub(super) fn check_known(&self, revision: Revision) -> Result<(), Error> {
        let compacted = self.marks.compacted;
        if revision < compacted {
            return Err(Error::Compacted { requested: revision, compacted });
        }
        match self.marks.gaps.iter().find(|(from, to)| *from < revision && revision < *to) {
            Some((_, to)) => Err(Error::Compacted { requested: revision, compacted: *to }),
            None => Ok(()),
        }
    }

    /// As it is in memory, if it is.
    pub(super) fn unsaved(&self, revision: Revision) -> Option<&Arc<Record>> {
        let at = self.unsaved.partition_point(|record| record.revision() < revision);
        self.unsaved.get(at).filter(|record| record.revision() == revision)
    }

    pub(super) fn unsaved_after(&self, revision: Revision) -> impl Iterator<Item = &Arc<Record>> {
        self.unsaved.iter().skip(self.unsaved.partition_point(|record| record.revision() <= revision))
    }

    /// Takes a change in, or says why not.
    pub(super) fn offer(&mut self, change: Change) -> Result<Offer, Error> {
        if self.closing {
            return Err(Error::Closed);
        }
        if let Mode::Broken(reason) = &self.mode {
            return Err(Error::Broken(reason.clone()));
        }
        let in_flight = self.overlay.get(&change.key);
        let before = match in_flight {
            Some(record) => Some(record.version).filter(Version::is_live),
            None => self.index.newest(&change.key),
        };
        let revision_before = before.map_or(0, |version| version.revision);
        let expected = match change.expect {
            Expect::Any => true,
            Expect::Absent => revision_before == 0,
            Expect::ModRevision(revision) => revision == revision_before,
        };
        let nothing = change.value.is_none() && before.is_none();
        if !expected || nothing {
            if in_flight.is_some() {
                let (sender, receiver) = oneshot::channel();
                self.parked.push(sender);
                return Ok(Offer::Parked(receiver, change));
            }
            return Ok(if expected { Offer::Nothing } else { Offer::Conflict });
        }
        Ok(self.take_in(change, before))
    }

    fn take_in(&mut self, change: Change, before: Option<Version>) -> Offer {
        let alone = self.assigned == self.visible;
        self.assigned += 1;
        let revision = self.assigned;
        let create_revision = match (&change.value, before) {
            (None, _) => 0,
            (Some(_), Some(before)) => before.create_revision,
            (Some(_), None) => revision,
        };
        let record = Arc::new(Record {
            key: change.key,
            version: Version { revision, create_revision, expires: change.expires, value_sum: change.value_sum },
            value: change.value,
            previous: before.map_or(0, |before| before.revision),
            companion: change.companion,
        });
        let lazy = change.durability == Durability::Lazy
            && alone
            && matches!(self.mode, Mode::Writing)
            && revision < self.saved.reserved
            && self.unsaved_bytes < UNSAVED_BYTES_MAX;
        if lazy {
            self.keep_unsaved(Arc::clone(&record));
            self.show(&record);
            return Offer::Done(record);
        }
        let (sender, receiver) = oneshot::channel();
        self.overlay.insert(record.key.clone(), Arc::clone(&record));
        self.queue.push(Flight { record: Arc::clone(&record), answer: Some(sender) });
        Offer::InFlight(record, receiver)
    }

    fn keep_unsaved(&mut self, record: Arc<Record>) {
        self.unsaved_bytes += bytes(&record);
        self.unsaved.push_back(record);
    }

    /// Makes a change visible to readers and watchers.
    fn show(&mut self, record: &Arc<Record>) {
        let version = record.version;
        if let Some(before) = self.index.apply(&record.key, version).filter(|before| before.expires != 0) {
            self.expiries.remove(&(before.expires, before.revision));
        }
        if version.expires != 0 {
            let expiry = (version.expires, version.revision);
            self.expires_sooner |= self.expiries.keys().next().is_none_or(|first| expiry < *first);
            self.expiries.insert(expiry, record.key.clone());
        }
        self.visible = version.revision;
        self.feeds.push(record, &mut self.wakers);
    }

    /// Forgets in memory at once, and on the disk with the next commits.
    pub(super) fn compact(&mut self, revision: Revision) -> Result<(), Error> {
        if revision > self.visible {
            return Err(Error::FutureRevision { requested: revision, current: self.visible });
        }
        if revision <= self.marks.compacted {
            return Err(Error::Compacted { requested: revision, compacted: self.marks.compacted });
        }
        self.marks.compacted = revision;
        self.marks.gaps.retain(|(_, to)| *to > revision);
        self.forgotten.extend(self.index.compact(revision));
        Ok(())
    }

    /// Resolves once everything so far is on the disk.
    pub(super) fn barrier(&mut self) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.barriers.push(sender);
        self.flush = true;
        receiver
    }

    pub(super) fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty() || !self.undecided.is_empty()
    }

    pub(super) fn has_work(&self) -> bool {
        let willing = matches!(self.mode, Mode::Writing);
        !self.queue.is_empty() || self.flush || self.closing || (willing && !self.forgotten.is_empty())
    }

    /// What the next commit has to write; it belongs to the committer until `committed` or `failed`. `room` is what
    /// the journal takes.
    pub(super) fn take_batch(&mut self, room: usize) -> Batch {
        let mut fresh = std::mem::take(&mut self.undecided);
        fresh.append(&mut self.queue);
        let flush = std::mem::take(&mut self.flush);
        let last = fresh.last().map_or(self.visible, |flight| flight.record.revision());
        if self.closing {
            self.marks.reserved = last;
        } else if last + BLOCK / 2 > self.saved.reserved && !(fresh.is_empty() && self.unsaved.is_empty()) {
            self.marks.reserved = last + BLOCK;
        }
        let marks = (self.marks != self.saved).then(|| self.marks.clone());
        let changes_only = !fresh.is_empty() && !flush && marks.is_none() && self.forgotten.is_empty();
        let mut batch = Batch {
            work: Work { records: Vec::new(), forgotten: Vec::new(), marks },
            place: Place::Journal,
            unsaved: self.unsaved.len(),
            fresh,
            barriers: std::mem::take(&mut self.barriers),
        };
        batch.work.records = self.records(&batch, self.journaled);
        let size: usize = batch.work.records.iter().map(|record| journal::size(record)).sum();
        if !changes_only || size > room || self.closing || !matches!(self.mode, Mode::Writing) {
            self.widen(&mut batch);
        }
        batch
    }

    /// Has a commit write to the tables, with everything that they lack.
    pub(super) fn widen(&self, batch: &mut Batch) {
        batch.place = Place::Tables;
        batch.work.records = self.records(batch, 0);
        let rows = self.forgotten.len().min(FORGOTTEN_MAX);
        batch.work.forgotten = self.forgotten.iter().take(rows).copied().collect();
    }

    /// The changes of a commit, without the oldest unsaved ones.
    fn records(&self, batch: &Batch, without: usize) -> Vec<Arc<Record>> {
        let unsaved = self.unsaved.range(without..batch.unsaved);
        unsaved.chain(batch.fresh.iter().map(|flight| &flight.record)).cloned().collect()
    }

    pub(super) fn committed(&mut self, batch: Batch) -> Answers {
        if batch.place == Place::Tables {
            for record in self.unsaved.drain(..batch.unsaved) {
                self.unsaved_bytes -= bytes(&record);
            }
            self.journaled = 0;
        }
        self.forgotten.drain(..batch.work.forgotten.len());
        if let Some(marks) = batch.work.marks {
            self.saved = marks;
        }
        self.mode = Mode::Writing;
        let mut answers = Answers::done(batch.barriers);
        for flight in batch.fresh {
            let revision = flight.record.revision();
            self.show(&flight.record);
            if self.overlay.get(&flight.record.key).is_some_and(|newest| newest.revision() == revision) {
                self.overlay.remove(&flight.record.key);
            }
            if batch.place == Place::Journal {
                // Nothing lazy has come between: it would have waited with these.
                self.keep_unsaved(flight.record);
                self.journaled = self.unsaved.len();
            }
            answers.done.extend(flight.answer);
        }
        self.parked.clear();
        answers
    }

    pub(super) fn failed(&mut self, batch: Batch, failure: &Failure) -> Answers {
        let Failure { error, kept_to, undecided, .. } = failure;
        self.mode = match error {
            Error::NoSpace(reason) | Error::Unavailable { reason, .. } => Mode::Stuck(reason.clone()),
            error => Mode::Broken(error.to_string()),
        };
        // Only a restart, or the next commit, can tell what of this one has reached the disk.
        let unknown = *undecided || matches!(self.mode, Mode::Broken(_));
        self.marks.reserved = self.saved.reserved;
        self.overlay.clear();
        let mut answers = Answers::failed(error, batch.barriers);
        answers.failed.append(&mut self.barriers);
        for Flight { record, answer } in batch.fresh {
            if record.revision() <= *kept_to {
                self.show(&record);
                answers.done.extend(answer);
            } else if unknown {
                answers.unknown.extend(answer);
                if *undecided {
                    self.overlay.insert(record.key.clone(), Arc::clone(&record));
                    self.undecided.push(Flight { record, answer: None });
                }
            } else {
                answers.failed.extend(answer);
            }
        }
        answers.failed.extend(self.queue.drain(..).filter_map(|flight| flight.answer));
        self.assigned = self.undecided.last().map_or(self.visible, |flight| flight.record.revision());
        self.parked.clear();
        answers
    }
}

/// What a change holds in memory.
fn bytes(record: &Record) -> usize {
    record.value.as_ref().map_or(0, Bytes::len)
}

/// Writers to be answered once the lock is given back.
pub(super) struct Answers {
    error: Option<Error>,
    done: Vec<Answering>,
    /// Nothing of theirs has changed.
    failed: Vec<Answering>,
    /// Theirs may have changed.
    unknown: Vec<Answering>,
}

type Answering = oneshot::Sender<Result<(), Error>>;

impl Answers {
    fn done(done: Vec<Answering>) -> Answers {
        Answers { error: None, done, failed: Vec::new(), unknown: Vec::new() }
    }

    fn failed(error: &Error, failed: Vec<Answering>) -> Answers {
        Answers { error: Some(error.clone()), done: Vec::new(), failed, unknown: Vec::new() }
    }

    pub(super) fn send(self) {
        // A writer who left does not hear it.
        let send = |to: Vec<Answering>, result: Result<(), Error>| {
            to.into_iter().for_each(|sender| drop(sender.send(result.clone())));
        };
        send(self.done, Ok(()));
        if let Some(error) = self.error {
            let unknown = Error::Unavailable { reason: error.to_string(), applied: Applied::Unknown };
            send(self.unknown, Err(unknown));
            send(self.failed, Err(error));
        }
    }
}
