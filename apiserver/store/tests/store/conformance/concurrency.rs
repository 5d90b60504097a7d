use std::sync::Arc;

use corten_store::{Durability, Expect, Put, Revision, Store, WatchFrom, WriteError};

use super::Fixture;
use crate::history::History;
use crate::support::{Dice, create, get, revision, watch, within};

const WRITERS: u64 = 64;

pub async fn counters_lose_no_increment(fixture: impl Fixture) {
    let store = fixture.store();
    create(&*store, "/registry/counter", "0").await;
    let count = async |store: Arc<dyn Store>| {
        let mut current = get(&*store, "/registry/counter").await.unwrap();
        for _ in 0..5 {
            loop {
                let next = 1 + std::str::from_utf8(&current.value).unwrap().parse::<u64>().unwrap();
                let expect = Expect::ModRevision(current.mod_revision);
                match store.put(Put::new("/registry/counter", next.to_string(), expect)).await {
                    Ok(_) => break current = get(&*store, "/registry/counter").await.unwrap(),
                    Err(WriteError::Conflict(conflict)) => current = conflict.current.unwrap(),
                    Err(WriteError::Failed(error)) => panic!("{error}"),
                }
            }
        }
    };
    let tasks: Vec<_> = (0..16).map(|_| count(Arc::clone(&store))).collect();
    within("counters", futures::future::join_all(tasks)).await;
    assert_eq!(get(&*store, "/registry/counter").await.unwrap().value, "80");
}

/// Writes and deletes at random under `/registry/k`, and gives back the revisions that it was told.
async fn write_at_random(store: Arc<dyn Store>, seed: u64, turns: u64) -> Vec<Revision> {
    let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut acknowledged = Vec::new();
    for turn in 0..turns {
        let key = format!("/registry/k{}", dice.roll(20));
        let written = if dice.roll(4) == 0 {
            let deleted = store.delete(key.into(), Expect::Any).await;
            deleted.map(|deleted| deleted.previous.map(|_| deleted.revision))
        } else {
            let durability = if dice.roll(4) == 0 { Durability::Lazy } else { Durability::Durable };
            let expect = match dice.roll(3) {
                0 => Expect::Absent,
                1 => Expect::ModRevision(store.get(&key, None).await.unwrap().kv.map_or(0, |kv| kv.mod_revision)),
                _ => Expect::Any,
            };
            store.put(Put { durability, ..Put::new(key, format!("{seed} {turn}"), expect) }).await.map(Some)
        };
        match written {
            Ok(revision) => acknowledged.extend(revision),
            Err(WriteError::Conflict(_)) => {}
            Err(WriteError::Failed(error)) => panic!("{error}"),
        }
    }
    acknowledged
}

async fn follow(store: Arc<dyn Store>, after: Revision, count: usize, patience: bool) -> History {
    let from = WatchFrom::after(after).with_previous();
    let mut watch = watch(&*store, "/registry/k", from).await;
    let mut history = History::after(after);
    while history.events.len() < count {
        history.take(within("event", watch.next()).await.unwrap());
        if !patience {
            // Comes back where it left off.
            watch = crate::support::watch(&*store, "/registry/k", WatchFrom::after(history.revision())).await;
        }
    }
    history
}

pub async fn histories_are_ordered_unique_and_gapless(fixture: impl Fixture) {
    let store = fixture.store();
    let start = revision(&*store).await;
    let mut live = watch(&*store, "/registry/k", WatchFrom::after(start).with_previous()).await;
    let writers = (0..WRITERS).map(|seed| write_at_random(Arc::clone(&store), seed + 1, 20));
    let mut acknowledged = within("writers", futures::future::join_all(writers)).await.concat();
    acknowledged.sort_unstable();
    let mut seen = History::after(start);
    while seen.events.len() < acknowledged.len() {
        seen.take(within("event", live.next()).await.unwrap());
    }
    assert_eq!(seen.revisions(), acknowledged);
    seen.check_equals(&*store, "/registry/k").await;
    let past = follow(Arc::clone(&store), start, acknowledged.len(), true).await;
    assert_eq!(past.revisions(), acknowledged);
}

pub async fn watches_come_and_go(fixture: impl Fixture) {
    let store = fixture.store();
    let start = revision(&*store).await;
    let expected = 16 * 20;
    let writers = (0..16u64).map(|writer| {
        let store = Arc::clone(&store);
        async move {
            for turn in 0..20 {
                create(&*store, &format!("/registry/k{writer}-{turn}"), "x").await;
            }
        }
    });
    let watchers = (0..4).map(|_| follow(Arc::clone(&store), start, expected, false));
    let (_, histories) =
        within("all", futures::future::join(futures::future::join_all(writers), futures::future::join_all(watchers)))
            .await;
    for history in &histories {
        assert_eq!(history.revisions(), histories[0].revisions());
        history.check_equals(&*store, "/registry/k").await;
    }
}
