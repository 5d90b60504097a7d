//! The thread that writes. While one commit syncs, the next one's writers gather, so that they share a sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Shared;
use super::state::Batch;
use crate::error::Error;

/// Until the store is closed; gives back what became of the last commit.
pub(super) fn run(shared: &Arc<Shared>) -> Result<(), Error> {
    let outcome = loop {
        let (batch, last) = wait_for_work(shared);
        let result = if batch.work.is_empty() {
            Ok(())
        } else {
            catch_unwind(AssertUnwindSafe(|| shared.disk.commit(&batch.work)))
                .unwrap_or_else(|_| Err(Error::Broken("the database panicked; its message is above".to_owned())))
        };
        if let Err(error) = &result {
            tracing::error!(%error, changes = batch.work.records.len(), "commit to the store");
        }
        let answers = shared.change(|state| match &result {
            Ok(()) => state.committed(batch),
            Err(error) => {
                let answers = state.failed(batch, error);
                shared.arm_flush(state);
                answers
            }
        });
        answers.send();
        if last {
            break result;
        }
    };
    shared.change(|state| {
        let feeds = &state.feeds;
        feeds.end(&Error::Closed, &mut state.wakers);
    });
    shared.disk.close();
    outcome
}

/// The next batch, and whether it is the last one.
fn wait_for_work(shared: &Shared) -> (Batch, bool) {
    let mut state = shared.state.lock();
    while !state.has_work() {
        shared.work.wait(&mut state);
    }
    let last = state.closing;
    (state.take_batch(), last)
}
