//! A disk without room, under the embedded engine.

use std::sync::Arc;
use std::time::Duration;

use corten_store::{Error, Expect, Put, Read, Span, Store, WatchFrom, WriteError};

use crate::embedded::OnSim;
use crate::history::History;
use crate::support::{create, get, revision, watch, within};

/// Fills the disk until a write fails, and gives back how many succeeded.
async fn fill(store: &dyn Store, from: usize) -> usize {
    for turn in from.. {
        match within("put", store.put(Put::new(format!("/registry/{turn:05}"), vec![7; 6000], Expect::Absent))).await {
            Ok(_) => {}
            Err(WriteError::Failed(Error::NoSpace(reason))) => {
                assert!(!reason.is_empty());
                return turn;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_fail_reads_go_on_and_room_mends_it() {
    let mut fixture = OnSim::new();
    let store = Arc::clone(&fixture.store);
    let start = revision(&*store).await;
    let mut live = watch(&*store, "/registry/", WatchFrom::after(start)).await;
    create(&*store, "/registry/first", "one").await;
    within("put", store.put(Put::new("/registry/lazy", "lazy", Expect::Absent).lazy())).await.unwrap();
    let mut kept = 0;
    for round in 0..3 {
        fixture.disk.set_room(Some(200_000));
        kept = fill(&*store, kept).await;
        let refused = within("put", store.put(Put::new("/registry/x", vec![7; 600_000], Expect::Any).lazy())).await;
        assert!(matches!(refused, Err(WriteError::Failed(Error::NoSpace(_)))), "round {round}: {refused:?}");
        let degraded = store.status().await.unwrap().degraded.unwrap();
        assert!(!degraded.restart_helps, "{degraded:?}");
        let listing = within("range", store.range(Read::of(Span::prefix("/registry/0")))).await.unwrap();
        assert_eq!(listing.count, kept);
        assert_eq!(get(&*store, "/registry/lazy").await.unwrap().value, "lazy");
        fixture.disk.set_room(None);
        let turn = kept;
        create(&*store, &format!("/registry/{turn:05}"), "there is room").await;
        kept += 1;
        assert_eq!(store.status().await.unwrap().degraded, None);
    }
    let mut history = History::after(start);
    let last = revision(&*store).await;
    while history.revision() < last {
        history.take(within("event", live.next()).await.unwrap());
    }
    assert_eq!(history.events.len(), kept + 2);
    history.check_equals(&*store, "/registry/").await;
    fixture.disk.cut_hard();
    fixture.reopen();
    let listing = within("range", fixture.store.range(Read::of(Span::prefix("/registry/0")))).await.unwrap();
    assert_eq!(listing.count, kept);
    assert!(get(&*fixture.store, "/registry/lazy").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lazy_writes_made_before_are_kept_until_there_is_room() {
    let mut fixture = OnSim::new();
    let store = Arc::clone(&fixture.store);
    create(&*store, "/registry/first", "one").await;
    fixture.disk.set_room(Some(0));
    let value = vec![7; 2_000_000];
    within("put", store.put(Put::new("/registry/lazy", value.clone(), Expect::Absent).lazy())).await.unwrap();
    let degraded = async |expected: bool| {
        within("attempt", async {
            while store.status().await.unwrap().degraded.is_some() != expected {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    within("timer", fixture.hand.wait_for_sleepers(1)).await;
    fixture.hand.advance(Duration::from_secs(2));
    degraded(true).await;
    assert_eq!(get(&*store, "/registry/lazy").await.unwrap().value, value);
    fixture.disk.set_room(None);
    within("timer", fixture.hand.wait_for_sleepers(1)).await;
    fixture.hand.advance(Duration::from_secs(1));
    degraded(false).await;
    fixture.disk.cut_hard();
    fixture.reopen();
    assert_eq!(get(&*fixture.store, "/registry/lazy").await.unwrap().value, value);
}
