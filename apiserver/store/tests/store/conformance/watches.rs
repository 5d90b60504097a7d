use corten_store::{Expect, Progress, Span, WatchFrom};

use super::Fixture;
use crate::history::History;
use crate::support::{create, delete, events, put, revision, short, watch, within};

pub async fn from_now(fixture: impl Fixture) {
    let store = &*fixture.store();
    create(store, "/registry/a", "before").await;
    let mut watch = watch(store, "/registry/", WatchFrom::now()).await;
    assert_eq!(watch.start(), revision(store).await);
    let one = put(store, "/registry/a", "one", Expect::Any).await;
    let two = create(store, "/registry/b", "two").await;
    let three = delete(store, "/registry/a").await;
    let seen = events(&mut watch, 3).await;
    assert_eq!(short(&seen), ["/registry/a=one", "+/registry/b=two", "-/registry/a"]);
    assert_eq!(seen.iter().map(|event| event.mod_revision).collect::<Vec<_>>(), [one, two, three]);
    assert!(seen.iter().all(|event| event.previous.is_none()));
}

pub async fn from_the_past(fixture: impl Fixture) {
    let store = &*fixture.store();
    let start = revision(store).await;
    let one = create(store, "/registry/a", "one").await;
    put(store, "/registry/a", "two", Expect::Any).await;
    delete(store, "/registry/a").await;
    create(store, "/registry/a", "three").await;
    let mut all = watch(store, "/registry/", WatchFrom::after(start)).await;
    let mut rest = watch(store, "/registry/", WatchFrom::after(one)).await;
    create(store, "/registry/b", "four").await;
    let expected = ["+/registry/a=one", "/registry/a=two", "-/registry/a", "+/registry/a=three", "+/registry/b=four"];
    assert_eq!(short(&events(&mut all, 5).await), expected);
    assert_eq!(short(&events(&mut rest, 4).await), expected[1..]);
}

pub async fn from_the_future(fixture: impl Fixture) {
    let store = &*fixture.store();
    let start = create(store, "/registry/a", "zero").await;
    let mut watch = watch(store, "/registry/", WatchFrom::after(start + 2)).await;
    let mut last = start;
    let mut expected = Vec::new();
    for turn in 0..5 {
        last = put(store, "/registry/a", &turn.to_string(), Expect::Any).await;
        if last > start + 2 {
            expected.push(format!("/registry/a={turn}"));
        }
    }
    assert!(last > start + 2);
    assert_eq!(short(&events(&mut watch, expected.len()).await), expected);
}

pub async fn spans(fixture: impl Fixture) {
    let store = &*fixture.store();
    let start = revision(store).await;
    let keys = ["/registry/pods/a", "/registry/pods/b", "/registry/podsets/a", "/registry/pods/a/b", "/registry/x"];
    let spans = [
        (Span::prefix("/registry/pods/"), vec![0, 1, 3]),
        (Span::prefix("/registry/pods"), vec![0, 1, 2, 3]),
        (Span::key("/registry/pods/a"), vec![0]),
        (Span::between("/registry/pods/b", "/registry/x"), vec![1, 2]),
        (Span::prefix("/registry/"), vec![0, 1, 2, 3, 4]),
    ];
    let mut live = Vec::new();
    for (span, _) in &spans {
        live.push(within("watch", store.watch(span.clone(), WatchFrom::now())).await.unwrap());
    }
    for key in keys {
        create(store, key, "x").await;
    }
    for ((span, wanted), mut live) in spans.into_iter().zip(live) {
        let expected: Vec<_> = wanted.iter().map(|key| format!("+{}=x", keys[*key])).collect();
        assert_eq!(short(&events(&mut live, wanted.len()).await), expected, "{span:?}");
        let mut past = within("watch", store.watch(span.clone(), WatchFrom::after(start))).await.unwrap();
        assert_eq!(short(&events(&mut past, wanted.len()).await), expected, "{span:?}");
    }
}

pub async fn deletions_bring_the_previous_value(fixture: impl Fixture) {
    let store = &*fixture.store();
    let start = revision(store).await;
    let mut live = watch(store, "/registry/", WatchFrom::now().with_previous()).await;
    let one = create(store, "/registry/a", "one").await;
    let two = put(store, "/registry/a", "two", Expect::Any).await;
    delete(store, "/registry/a").await;
    create(store, "/registry/a", "three").await;
    let mut past = watch(store, "/registry/", WatchFrom::after(start).with_previous()).await;
    for watch in [&mut live, &mut past] {
        let seen = events(watch, 4).await;
        let previous: Vec<_> = seen
            .iter()
            .map(|event| event.previous.as_ref().map(|previous| (&previous.value[..], previous.mod_revision)))
            .collect();
        assert_eq!(previous, [None, Some((&b"one"[..], one)), Some((&b"two"[..], two)), None]);
        assert!(seen[2].is_delete());
    }
}

pub async fn resumed_anywhere(fixture: impl Fixture) {
    let store = &*fixture.store();
    let start = revision(store).await;
    for turn in 0..12 {
        let key = format!("/registry/{}", turn % 3);
        if turn % 4 == 3 {
            delete(store, &key).await
        } else {
            put(store, &key, "x", Expect::Any).await
        };
    }
    let mut whole = watch(store, "/registry/", WatchFrom::after(start)).await;
    let whole = events(&mut whole, 12).await;
    for split in 0..whole.len() {
        let after = whole[split].mod_revision;
        let mut rest = watch(store, "/registry/", WatchFrom::after(after)).await;
        let rest = events(&mut rest, whole.len() - split - 1).await;
        assert_eq!(short(&rest), short(&whole[split + 1..]), "after {after}");
    }
}

pub async fn progress_on_request(fixture: impl Fixture) {
    let store = &*fixture.store();
    let mut watch = watch(store, "/registry/quiet/", WatchFrom::now()).await;
    for turn in 0..10 {
        put(store, "/registry/busy/a", &turn.to_string(), Expect::Any).await;
        let target = revision(store).await;
        if store.progress() == Progress::ByRangeOnly {
            continue;
        }
        watch.request_progress(target);
        let mut history = History::after(watch.start());
        while history.revision() < target {
            history.take(within("progress", watch.next()).await.unwrap());
        }
        assert!(history.events.is_empty());
    }
    // Asking on an engine that cannot answer does no harm.
    watch.request_progress(revision(store).await);
    create(store, "/registry/quiet/a", "x").await;
    assert_eq!(short(&events(&mut watch, 1).await), ["+/registry/quiet/a=x"]);
}

pub async fn dropped(fixture: impl Fixture) {
    let store = &*fixture.store();
    for turn in 0..20 {
        let first = watch(store, "/registry/", WatchFrom::now()).await;
        let mut second = watch(store, "/registry/", WatchFrom::now()).await;
        drop(first);
        put(store, "/registry/a", &turn.to_string(), Expect::Any).await;
        assert_eq!(events(&mut second, 1).await.len(), 1);
    }
}
