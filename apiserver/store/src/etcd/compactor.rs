//! Compaction that several servers agree on, kube-apiserver among them.
//!
//! `compact_rev_key` holds the revision compacted to last, and its version counts the compactions. A server that finds
//! the version it knows raises it, and may compact to the revision it noted an interval ago; one that finds another has
//! been preceded, notes version and revision, and waits for another interval. So there is one compaction an interval,
//! and another server takes over when the one that used to do it is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};

use super::requests::Effect;
use super::watching::Watching;
use super::{Shared, revision};
use crate::error::Error;
use crate::span::Span;
use crate::store::Revision;
use crate::watch::{Batch, Watch};

/// After something that failed.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) const COMPACT_KEY: &str = "compact_rev_key";

/// What one server remembers between two turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    version: i64,
    revision: Revision,
}

pub(super) async fn run(shared: Arc<Shared>, interval: Duration) {
    let closed = shared.closed.clone();
    let work = Box::pin(futures::future::join(take_turns(&shared, interval), learn(&shared)));
    tokio::select! {
        () = closed.cancelled() => {}
        _ = work => {}
    }
}

async fn take_turns(shared: &Arc<Shared>, interval: Duration) {
    loop {
        shared.clock.sleep(interval).await;
        shared.versions.ask(&shared.clock).await;
        if let Err(error) = take_turn(shared).await {
            tracing::warn!(%error, "compact etcd");
        }
    }
}

pub(super) async fn take_turn(shared: &Shared) -> Result<(), Error> {
    let mut turn = shared.turn.lock().await;
    *turn = next_turn(shared, *turn).await?;
    Ok(())
}

async fn next_turn(shared: &Shared, turn: Turn) -> Result<Turn, Error> {
    let send = || async {
        let transaction = Txn::new()
            .when([Compare::version(COMPACT_KEY, CompareOp::Equal, turn.version)])
            .and_then([TxnOp::put(COMPACT_KEY, turn.revision.to_string(), None)])
            .or_else([TxnOp::get(COMPACT_KEY, None)]);
        shared.clients.kv.clone().txn(transaction).await
    };
    let answer = shared.request(Effect::Write, send).await?;
    let now = revision(answer.header());
    if !answer.succeeded() {
        let version = answer.op_responses().into_iter().find_map(|operation| match operation {
            TxnOpResponse::Get(found) => found.kvs().first().map(etcd_client::KeyValue::version),
            _ => None,
        });
        return Ok(Turn { version: version.unwrap_or(0), revision: now });
    }
    if turn.revision != 0 {
        shared.compact(turn.revision).await?;
        tracing::debug!(revision = turn.revision, "compacted etcd");
    }
    Ok(Turn { version: turn.version + 1, revision: now })
}

/// Follows what others compact.
async fn learn(shared: &Arc<Shared>) {
    loop {
        let after = match shared.get(COMPACT_KEY, None).await {
            Ok(fetched) => {
                note(shared, fetched.kv.as_ref().map(|kv| &kv.value[..]));
                fetched.revision
            }
            Err(error) => {
                tracing::info!(%error, "read what etcd was compacted to");
                shared.clock.sleep(PAUSE).await;
                continue;
            }
        };
        let source = Watching::new(Arc::clone(shared), Span::key(COMPACT_KEY), after, false);
        let mut watch = Watch::new(Box::new(source), after);
        while let Ok(Batch { events, .. }) = watch.next().await {
            note(shared, events.last().and_then(|event| event.value.as_deref()));
        }
        shared.clock.sleep(PAUSE).await;
    }
}

fn note(shared: &Shared, value: Option<&[u8]>) {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    if let Some(revision) = text.and_then(|text| text.parse().ok()) {
        shared.compacted.fetch_max(revision, Ordering::AcqRel);
    }
}
