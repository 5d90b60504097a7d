use corten_store::{Error, Expect, Read, Span, Store, WatchFrom};

use super::Fixture;
use crate::support::{compacted, create, delete, events, get, put, revision, short, watch, within};

async fn compact(store: &dyn Store, at: u64) {
    within("compact", store.compact(at)).await.unwrap();
}

pub async fn forgets_the_past(fixture: impl Fixture) {
    let store = &*fixture.store();
    let one = create(store, "/registry/a", "one").await;
    let keep = create(store, "/registry/keep", "kept").await;
    put(store, "/registry/a", "two", Expect::Any).await;
    create(store, "/registry/gone", "x").await;
    let gone = delete(store, "/registry/gone").await;
    let three = put(store, "/registry/a", "three", Expect::Any).await;
    compact(store, gone).await;
    compacted(within("get", store.get("/registry/a", Some(one))).await);
    compacted(within("range", store.range(Read::of(Span::prefix("/registry/")).at(one))).await);
    let check = async |key: &str, at: u64, expected: Option<&str>| {
        let kv = within("get", store.get(key, Some(at))).await.unwrap().kv;
        assert_eq!(kv.map(|kv| kv.value), expected.map(|value| value.to_owned().into()), "{key} at {at}");
    };
    check("/registry/a", gone, Some("two")).await;
    check("/registry/a", three, Some("three")).await;
    check("/registry/keep", gone, Some("kept")).await;
    check("/registry/gone", gone, None).await;
    compact(store, three).await;
    compacted(within("get", store.get("/registry/a", Some(gone))).await);
    assert_eq!(get(store, "/registry/keep").await.unwrap().mod_revision, keep);
    assert_eq!(get(store, "/registry/a").await.unwrap().value, "three");
    assert_eq!(revision(store).await, three);
    // A deletion that was the last change of all, compacted, does not take the revision with it.
    let last = delete(store, "/registry/a").await;
    compact(store, last).await;
    assert_eq!(revision(store).await, last);
    assert!(create(store, "/registry/a", "four").await > last);
}

pub async fn ends_paging(fixture: impl Fixture) {
    let store = &*fixture.store();
    for turn in 0..9 {
        create(store, &format!("/registry/pods/{turn}"), "x").await;
    }
    let span = Span::prefix("/registry/pods/");
    let first = within("range", store.range(Read::of(span.clone()).limit(4))).await.unwrap();
    let last = first.kvs.last().unwrap().key.clone();
    let next = Read::of(span.starting_after(&last)).limit(4);
    assert_eq!(within("range", store.range(next.clone().at(first.revision))).await.unwrap().kvs.len(), 4);
    delete(store, "/registry/pods/8").await;
    compact(store, revision(store).await).await;
    compacted(within("range", store.range(next.clone().at(first.revision))).await);
    // A client may choose to go on with what is there now.
    let rest = within("range", store.range(next)).await.unwrap();
    assert_eq!((rest.kvs.len(), rest.more, rest.count), (4, false, 4));
}

pub async fn ends_watches(fixture: impl Fixture) {
    let store = &*fixture.store();
    let start = create(store, "/registry/a", "one").await;
    for turn in 0..5 {
        put(store, "/registry/a", &turn.to_string(), Expect::Any).await;
    }
    let live = revision(store).await;
    let mut ahead = watch(store, "/registry/", WatchFrom::after(live)).await;
    compact(store, live).await;
    for after in [start, live - 1] {
        let result = match within("watch", store.watch(Span::prefix("/registry/"), WatchFrom::after(after))).await {
            Ok(mut watch) => {
                let first = within("watch's end", watch.next()).await;
                // It is said once.
                assert!(matches!(within("after the end", watch.next()).await, Err(Error::Closed)));
                first.map(|_| ())
            }
            Err(error) => Err(error),
        };
        compacted(result);
    }
    let mut at = watch(store, "/registry/", WatchFrom::after(live)).await;
    put(store, "/registry/a", "last", Expect::Any).await;
    for watch in [&mut ahead, &mut at] {
        assert_eq!(short(&events(watch, 1).await), ["/registry/a=last"]);
    }
}

pub async fn of_wrong_revisions(fixture: impl Fixture) {
    let store = &*fixture.store();
    create(store, "/registry/a", "one").await;
    let at = put(store, "/registry/a", "two", Expect::Any).await;
    let future = within("compact", store.compact(at + 1)).await;
    assert!(matches!(future, Err(Error::FutureRevision { .. })), "{future:?}");
    compact(store, at).await;
    compacted(within("compact", store.compact(at)).await);
    compacted(within("compact", store.compact(at - 1)).await);
}
