use corten_store::{Expect, Put};

use super::Fixture;
use crate::support::{conflict, create, delete, get, put, revision, try_put, within};

pub async fn puts_hold_to_what_they_expect(fixture: impl Fixture) {
    let store = &*fixture.store();
    conflict(try_put(store, "/registry/a", "x", Expect::ModRevision(1)).await);
    let created = create(store, "/registry/a", "one").await;
    conflict(try_put(store, "/registry/a", "x", Expect::Absent).await);
    conflict(try_put(store, "/registry/a", "x", Expect::ModRevision(0)).await);
    conflict(try_put(store, "/registry/a", "x", Expect::ModRevision(created + 1)).await);
    let updated = put(store, "/registry/a", "two", Expect::ModRevision(created)).await;
    conflict(try_put(store, "/registry/a", "x", Expect::ModRevision(created)).await);
    let again = put(store, "/registry/a", "three", Expect::Any).await;
    assert!(created < updated && updated < again);
    let kv = get(store, "/registry/a").await.unwrap();
    assert_eq!((&kv.value[..], kv.mod_revision, kv.create_revision, kv.leased), (&b"three"[..], again, created, false));
    // Zero is how etcd says that a key is not there.
    put(store, "/registry/b", "one", Expect::ModRevision(0)).await;
    put(store, "/registry/c", "", Expect::Any).await;
    assert_eq!(get(store, "/registry/c").await.unwrap().value, "");
}

pub async fn deletes_hold_to_what_they_expect(fixture: impl Fixture) {
    let store = &*fixture.store();
    let remove = |key: &'static str, expect: Expect| within("delete", store.delete(key.into(), expect));
    let created = create(store, "/registry/a", "one").await;
    conflict(remove("/registry/a", Expect::ModRevision(created + 1)).await);
    conflict(remove("/registry/a", Expect::Absent).await);
    let deleted = remove("/registry/a", Expect::ModRevision(created)).await.unwrap();
    assert!(deleted.revision > created);
    let previous = deleted.previous.unwrap();
    assert_eq!((&previous.value[..], previous.mod_revision), (&b"one"[..], created));
    assert_eq!(get(store, "/registry/a").await, None);

    let before = revision(store).await;
    for expect in [Expect::Any, Expect::Absent] {
        let nothing = remove("/registry/a", expect).await.unwrap();
        assert_eq!((nothing.revision, nothing.previous), (before, None), "{expect:?}");
    }
    assert_eq!(conflict(remove("/registry/a", Expect::ModRevision(created)).await).current, None);
    assert_eq!(revision(store).await, before);

    let created_again = create(store, "/registry/a", "two").await;
    assert_eq!(get(store, "/registry/a").await.unwrap().create_revision, created_again);
    let previous = remove("/registry/a", Expect::Any).await.unwrap().previous.unwrap();
    assert_eq!(previous.value, "two");
}

pub async fn conflicts_bring_what_is_there(fixture: impl Fixture) {
    let store = &*fixture.store();
    let created = create(store, "/registry/a", "one").await;
    let found = conflict(try_put(store, "/registry/a", "x", Expect::Absent).await);
    assert!(found.revision >= created);
    let current = found.current.unwrap();
    assert_eq!((&*current.key, &current.value[..]), ("/registry/a", &b"one"[..]));
    assert_eq!((current.mod_revision, current.create_revision), (created, created));
    let deleted = delete(store, "/registry/a").await;
    let found = conflict(try_put(store, "/registry/a", "x", Expect::ModRevision(created)).await);
    assert_eq!(found.current, None);
    assert!(found.revision >= deleted);
}

pub async fn revisions_rise(fixture: impl Fixture) {
    let store = &*fixture.store();
    let mut last = revision(store).await;
    assert!(last >= 1);
    for turn in 0..20 {
        let key = format!("/registry/{}", turn % 3);
        let next = if turn % 5 == 4 { delete(store, &key).await } else { put(store, &key, "x", Expect::Any).await };
        assert!(next > last, "{next} after {last}");
        last = next;
        assert_eq!(revision(store).await, last);
    }
}

pub async fn lazy_writes_are_seen(fixture: impl Fixture) {
    let store = &*fixture.store();
    let mut last = 0;
    for turn in 0..50 {
        let one = Put::new(format!("/registry/{turn}"), "x", Expect::Absent);
        let one = if turn % 3 == 0 { one } else { one.lazy() };
        let revision = within("put", store.put(one)).await.unwrap();
        assert!(revision > last);
        last = revision;
        assert_eq!(get(store, &format!("/registry/{turn}")).await.unwrap().mod_revision, revision);
    }
}

pub async fn large_values(fixture: impl Fixture) {
    let store = &*fixture.store();
    for size in [0, 1, 4095, 4096, 6000, 100_000, 1_200_000] {
        let value = vec![b'x'; size];
        within("put", store.put(Put::new("/registry/large", value.clone(), Expect::Any))).await.unwrap();
        assert_eq!(get(store, "/registry/large").await.unwrap().value, value, "{size}");
    }
}
