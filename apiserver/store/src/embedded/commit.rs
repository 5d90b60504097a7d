//! The thread that writes. While one commit syncs, the next one's writers gather, so that they share a sync. Small
//! commits go to the journal, others, with all that lies there, to the tables.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::disk::Failure;
use super::journal::Journal;
use super::state::{Batch, Place};
use crate::error::Error;

/// Until the store is closed; gives back what became of the last commit.
pub(super) fn run(shared: &Arc<Shared>, mut journal: Journal) -> Result<(), Error> {
    let outcome = loop {
        let (mut batch, last) = wait_for_work(shared, &journal);
        let result = if batch.work.is_empty() {
            Ok(())
        } else {
            catch_unwind(AssertUnwindSafe(|| write(shared, &mut journal, &mut batch)))
                .unwrap_or_else(|_| Err(Failure::of(Error::Broken("the database panicked; see above".to_owned()))))
        };
        if let Err(Failure { error, .. }) = &result {
            tracing::error!(%error, changes = batch.work.records.len(), "commit to the store");
        }
        let answers = shared.change(|state| {
            let answers = match &result {
                Ok(()) => state.committed(batch),
                Err(failure) => state.failed(batch, failure),
            };
            shared.arm_flush(state);
            answers
        });
        answers.send();
        if last {
            break result.map_err(|failure| failure.error);
        }
    };
    shared.change(|state| {
        let feeds = &state.feeds;
        feeds.end(&Error::Closed, &mut state.wakers);
    });
    shared.disk.close();
    outcome
}

fn write(shared: &Shared, journal: &mut Journal, batch: &mut Batch) -> Result<(), Failure> {
    if batch.place == Place::Journal {
        match journal.append(&batch.work.records) {
            Err(Error::NoSpace(reason)) => {
                tracing::warn!(reason, "the journal has no room; writing to the tables");
                shared.state.lock().widen(batch);
            }
            result => return result.and_then(|()| in_place(shared)).map_err(Failure::of),
        }
    }
    let committed = shared.disk.commit(&batch.work, journal.generation());
    let seal = committed.as_ref().ok().or_else(|| committed.as_ref().err()?.moved_on.as_deref());
    if let Some(seal) = seal {
        journal.begin_round(seal).and_then(|()| in_place(shared)).map_err(Failure::of)?;
    }
    committed.map(drop)
}

/// What was written to files that the next start will not find is not answered for.
fn in_place(shared: &Shared) -> Result<(), Error> {
    shared.disk.medium().is_in_place().map_err(Error::Broken)
}

/// The next batch, and whether it is the last one.
fn wait_for_work(shared: &Shared, journal: &Journal) -> (Batch, bool) {
    let mut state = shared.state.lock();
    while !state.has_work() {
        state.idle = true;
        shared.idle.notify_all();
        shared.work.wait(&mut state);
    }
    state.idle = false;
    state.batches += 1;
    let last = state.closing;
    (state.take_batch(journal.room()), last)
}
