use corten_store::{Error, Expect, KeyValue, Listing, Read, Revision, Span, Store, Want};

use super::Fixture;
use crate::support::{create, delete, get, put, revision, within};

async fn range(store: &dyn Store, read: Read) -> Listing {
    within("range", store.range(read)).await.unwrap()
}

fn names(kvs: &[KeyValue]) -> Vec<&str> {
    kvs.iter().map(|kv| kv.key.rsplit('/').next().unwrap_or_default()).collect()
}

pub async fn gets_at_revisions(fixture: impl Fixture) {
    let store = &*fixture.store();
    let before = revision(store).await;
    let one = create(store, "/registry/a", "one").await;
    let other = create(store, "/registry/b", "other").await;
    let two = put(store, "/registry/a", "two", Expect::Any).await;
    let gone = delete(store, "/registry/a").await;
    let three = create(store, "/registry/a", "three").await;
    let check = async |at: Revision, expected: Option<(&str, Revision, Revision)>| {
        let fetched = within("get", store.get("/registry/a", Some(at))).await.unwrap();
        let found = fetched.kv.map(|kv| (kv.value, kv.mod_revision, kv.create_revision));
        assert_eq!(
            found,
            expected.map(|(value, revision, created)| (value.to_owned().into(), revision, created)),
            "at {at}"
        );
        assert_eq!(fetched.revision, three);
    };
    check(before, None).await;
    check(one, Some(("one", one, one))).await;
    check(other, Some(("one", one, one))).await;
    check(two, Some(("two", two, one))).await;
    check(gone, None).await;
    check(three, Some(("three", three, three))).await;
    assert_eq!(get(store, "/registry/none").await, None);
    let future = within("get", store.get("/registry/a", Some(three + 1))).await;
    assert!(matches!(future, Err(Error::FutureRevision { .. })), "{future:?}");
    let future = within("range", store.range(Read::of(Span::prefix("/registry/")).at(three + 1))).await;
    assert!(matches!(future, Err(Error::FutureRevision { .. })), "{future:?}");
}

pub async fn ranges(fixture: impl Fixture) {
    let store = &*fixture.store();
    for key in
        ["/registry/pods/c", "/registry/pods/a", "/registry/pods/b", "/registry/podsets/x", "/registry/services/y"]
    {
        create(store, key, key).await;
    }
    let check = async |read: Read, expected: &[&str], more: bool, count: usize| {
        let listing = range(store, read.clone()).await;
        assert_eq!((names(&listing.kvs), listing.more, listing.count), (expected.to_vec(), more, count), "{read:?}");
    };
    let pods = || Read::of(Span::prefix("/registry/pods/"));
    check(pods(), &["a", "b", "c"], false, 3).await;
    check(pods().limit(2), &["a", "b"], true, 3).await;
    check(pods().limit(3), &["a", "b", "c"], false, 3).await;
    check(Read::of(Span::prefix("/registry/pods")), &["a", "b", "c", "x"], false, 4).await;
    check(Read::of(Span::prefix("/registry/")), &["a", "b", "c", "x", "y"], false, 5).await;
    check(Read::of(Span::prefix("/registry/none/")), &[], false, 0).await;
    check(Read::of(Span::key("/registry/pods/b")), &["b"], false, 1).await;
    check(Read::of(Span::key("/registry/pods/bb")), &[], false, 0).await;
    check(Read::of(Span::between("/registry/pods/b", "/registry/services/")), &["b", "c", "x"], false, 3).await;
    check(Read::of(Span::prefix("/registry/pods/").starting_at("/registry/pods/b")), &["b", "c"], false, 2).await;
    check(Read::of(Span::prefix("/registry/pods/").starting_after("/registry/pods/b")), &["c"], false, 1).await;
    check(Read::of(Span::between("/z", "/a")), &[], false, 0).await;
    let at = revision(store).await;
    delete(store, "/registry/pods/a").await;
    create(store, "/registry/pods/d", "").await;
    check(pods().at(at), &["a", "b", "c"], false, 3).await;
    check(pods(), &["b", "c", "d"], false, 3).await;
    assert_eq!(range(store, pods().at(at)).await.revision, revision(store).await);
}

pub async fn pages_of_one_revision(fixture: impl Fixture) {
    let store = &*fixture.store();
    for turn in 0..25 {
        create(store, &format!("/registry/pods/{turn:02}"), "old").await;
    }
    let span = Span::prefix("/registry/pods/");
    let first = range(store, Read::of(span.clone()).limit(10)).await;
    let at = first.revision;
    let mut kvs = first.kvs;
    let mut more = first.more;
    while more {
        // Nothing of this is on the pages to come.
        put(store, "/registry/pods/24", "new", Expect::Any).await;
        within("delete", store.delete(format!("/registry/pods/{:02}", kvs.len()).into(), Expect::Any)).await.unwrap();
        create(store, &format!("/registry/pods/{:02}x", kvs.len() + 1), "new").await;
        let next = Read::of(span.starting_after(&kvs.last().unwrap().key)).limit(10).at(at);
        let page = range(store, next).await;
        assert_eq!(page.count, 25 - kvs.len());
        kvs.extend(page.kvs);
        more = page.more;
    }
    assert_eq!(kvs.len(), 25);
    for (turn, kv) in kvs.iter().enumerate() {
        assert_eq!((&*kv.key, &kv.value[..]), (&*format!("/registry/pods/{turn:02}"), &b"old"[..]));
    }
}

pub async fn keys_and_counts(fixture: impl Fixture) {
    let store = &*fixture.store();
    for key in ["/registry/pods/a", "/registry/pods/b", "/registry/pods/c"] {
        create(store, key, "value").await;
    }
    let read = || Read::of(Span::prefix("/registry/pods/")).limit(2);
    let keys = range(store, read().want(Want::Keys)).await;
    assert_eq!((names(&keys.kvs), keys.more, keys.count), (vec!["a", "b"], true, 3));
    assert!(keys.kvs.iter().all(|kv| kv.value.is_empty() && kv.mod_revision > 0));
    let count = range(store, read().want(Want::Count)).await;
    assert_eq!((count.kvs.len(), count.more, count.count), (0, false, 3));
}
