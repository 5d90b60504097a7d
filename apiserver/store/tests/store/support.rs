//! Small things that the tests share.

use std::time::Duration;

pub use corten_store::simulation::Dice;
use corten_store::{
    Conflict, Error, Event, Expect, KeyValue, Put, Revision, Span, Store, Watch, WatchFrom, WriteError,
};

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not in {PATIENCE:?}"),
    }
}

pub async fn put(store: &dyn Store, key: &str, value: &str, expect: Expect) -> Revision {
    try_put(store, key, value, expect).await.unwrap_or_else(|error| panic!("put {key}: {error:?}"))
}

pub async fn try_put(store: &dyn Store, key: &str, value: &str, expect: Expect) -> Result<Revision, WriteError> {
    within("put", store.put(Put::new(key, value.to_owned(), expect))).await
}

pub async fn create(store: &dyn Store, key: &str, value: &str) -> Revision {
    put(store, key, value, Expect::Absent).await
}

pub async fn delete(store: &dyn Store, key: &str) -> Revision {
    within("delete", store.delete(key.into(), Expect::Any)).await.unwrap().revision
}

pub async fn get(store: &dyn Store, key: &str) -> Option<KeyValue> {
    within("get", store.get(key, None)).await.unwrap().kv
}

pub async fn revision(store: &dyn Store) -> Revision {
    within("revision", store.current_revision()).await.unwrap()
}

pub async fn watch(store: &dyn Store, prefix: &str, from: WatchFrom) -> Watch {
    within("watch", store.watch(Span::prefix(prefix), from)).await.unwrap()
}

#[track_caller]
pub fn conflict<T: std::fmt::Debug>(result: Result<T, WriteError>) -> Conflict {
    match result {
        Err(WriteError::Conflict(conflict)) => conflict,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[track_caller]
pub fn compacted<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Compacted { .. })), "expected Compacted, got {result:?}");
}

/// The next `count` events, which may come in any batches.
pub async fn events(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let batch = within("event", watch.next()).await.unwrap();
        if let Some(last) = batch.events.last() {
            assert!(last.mod_revision <= batch.revision, "{batch:?}");
        }
        events.extend(batch.events);
    }
    assert_eq!(events.len(), count, "{events:?}");
    events
}

/// Events in short: `+key=value` a creation, `key=value` an update, `-key` a deletion.
pub fn short(events: &[Event]) -> Vec<String> {
    let value = |event: &Event| event.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
    let one = |event: &Event| match value(event) {
        None => format!("-{}", event.key),
        Some(value) if event.is_create() => format!("+{}={value}", event.key),
        Some(value) => format!("{}={value}", event.key),
    };
    events.iter().map(one).collect()
}
