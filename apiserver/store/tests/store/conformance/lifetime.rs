use corten_store::{Error, Expect, Put, Read, Span, WatchFrom};

use super::Fixture;
use crate::history::History;
use crate::support::{compacted, create, delete, events, put, revision, short, watch, within};

pub async fn restart_keeps_everything(mut fixture: impl Fixture) {
    let mut last = 0;
    for round in 0..4 {
        let store = &*fixture.store();
        assert!(revision(store).await >= last, "round {round}");
        for key in 0..10 {
            let revision = put(store, &format!("/registry/{key}"), &round.to_string(), Expect::Any).await;
            assert!(revision > last);
            last = revision;
        }
        last =
            within("put", store.put(Put::new("/registry/lazy", round.to_string(), Expect::Any).lazy())).await.unwrap();
        last = last.max(create(store, "/registry/gone", "x").await);
        last = last.max(delete(store, "/registry/gone").await);
        let before = within("range", store.range(Read::of(Span::prefix("/registry/")))).await.unwrap();
        fixture.restart().await;
        let store = &*fixture.store();
        let after = within("range", store.range(Read::of(Span::prefix("/registry/")))).await.unwrap();
        assert_eq!(before.kvs, after.kvs);
        assert_eq!(after.kvs.len(), 11);
        assert!(after.revision >= last);
        let old = within("get", store.get("/registry/gone", Some(last - 1))).await.unwrap();
        assert!(old.kv.is_some());
    }
}

pub async fn watch_over_a_restart<F: Fixture>(mut fixture: F) {
    let start = revision(&*fixture.store()).await;
    let mut old = watch(&*fixture.store(), "/registry/", WatchFrom::after(start)).await;
    create(&*fixture.store(), "/registry/a", "one").await;
    let mut history = History::after(start);
    history.take(within("event", old.next()).await.unwrap());
    fixture.restart().await;
    let store = &*fixture.store();
    put(store, "/registry/a", "two", Expect::Any).await;
    delete(store, "/registry/a").await;
    let mut watch = if F::WATCH_SURVIVES {
        old
    } else {
        assert!(matches!(within("end", old.next()).await, Err(Error::Closed)));
        watch(store, "/registry/", WatchFrom::after(history.revision())).await
    };
    while history.events.len() < 3 {
        history.take(within("event", watch.next()).await.unwrap());
    }
    assert_eq!(short(&history.events), ["+/registry/a=one", "/registry/a=two", "-/registry/a"]);
    within("compact", store.compact(history.revision())).await.unwrap();
    fixture.restart().await;
    let store = &*fixture.store();
    compacted(within("get", store.get("/registry/a", Some(start))).await);
    create(store, "/registry/a", "three").await;
    let mut rest = crate::support::watch(store, "/registry/", WatchFrom::after(history.revision())).await;
    assert_eq!(short(&events(&mut rest, 1).await), ["+/registry/a=three"]);
}

pub async fn closed_means_closed(fixture: impl Fixture) {
    let store = &*fixture.store();
    create(store, "/registry/a", "one").await;
    let mut watch = watch(store, "/registry/", WatchFrom::now()).await;
    put(store, "/registry/a", "two", Expect::Any).await;
    within("close", store.close()).await.unwrap();
    // What was answered is delivered still, or the watch has ended.
    match within("event", watch.next()).await {
        Ok(batch) => assert_eq!(short(&batch.events), ["/registry/a=two"]),
        Err(error) => assert!(matches!(error, Error::Closed), "{error:?}"),
    }
    assert!(matches!(within("end", watch.next()).await, Err(Error::Closed)));
    let closed = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Closed)), "{result:?}");
    closed(store.get("/registry/a", None).await.map(drop));
    closed(store.range(Read::of(Span::prefix("/"))).await.map(drop));
    closed(store.current_revision().await.map(drop));
    closed(store.watch(Span::prefix("/"), WatchFrom::now()).await.map(drop));
    closed(store.compact(1).await);
    let refused = crate::support::try_put(store, "/registry/a", "x", Expect::Any).await;
    assert!(matches!(refused, Err(corten_store::WriteError::Failed(Error::Closed))), "{refused:?}");
    let refused = store.delete("/registry/a".into(), Expect::Any).await;
    assert!(matches!(refused, Err(corten_store::WriteError::Failed(Error::Closed))), "{refused:?}");
    within("close", store.close()).await.unwrap();
}
