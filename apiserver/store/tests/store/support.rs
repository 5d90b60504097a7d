//! Small things that the tests share.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub use corten_store::simulation::Dice;
use corten_store::{
    Conflict, Error, Event, Expect, KeyValue, Put, Revision, Span, Store, Watch, WatchFrom, WriteError,
};

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A port that nobody listened on a moment ago, and below those that the kernel gives to connections: an etcd that was
/// killed has to find it free again.
pub fn free_port() -> u16 {
    // From another place in each program, as several may look at once.
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(97)));
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end: u32 = range.split_whitespace().next().and_then(|begin| begin.parse().ok()).unwrap_or(32_768);
    let count = end.saturating_sub(10_240).max(1);
    let candidates = (0..count).map(|_| (10_240 + NEXT.fetch_add(1, Ordering::Relaxed) % count) as u16);
    let mut free = candidates.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().expect("a free port")
}

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
