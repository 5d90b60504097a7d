use std::time::Duration;

use corten_store::{Expect, Put, WatchFrom};

use super::Fixture;
use crate::support::{create, events, get, put, short, watch, within};

/// Longer than the few requests before it take on a busy machine: on etcd it really passes.
const TTL: Duration = Duration::from_secs(5);

pub async fn deletes_what_is_due(fixture: impl Fixture) {
    let store = &*fixture.store();
    let mut watch = watch(store, "/registry/", WatchFrom::now().with_previous()).await;
    create(store, "/registry/stays", "x").await;
    for key in ["/registry/events/a", "/registry/events/b"] {
        within("put", store.put(Put::new(key, "x", Expect::Absent).ttl(TTL).lazy())).await.unwrap();
        assert!(get(store, key).await.unwrap().leased);
    }
    events(&mut watch, 3).await;
    fixture.pass(TTL).await;
    let gone = events(&mut watch, 2).await;
    let mut names = short(&gone);
    names.sort();
    assert_eq!(names, ["-/registry/events/a", "-/registry/events/b"]);
    assert!(gone.iter().all(|event| event.previous.as_ref().is_some_and(|previous| previous.value == "x")));
    assert_eq!(get(store, "/registry/events/a").await, None);
    assert!(get(store, "/registry/stays").await.is_some());
}

pub async fn is_taken_off_by_a_put(fixture: impl Fixture) {
    let store = &*fixture.store();
    for key in ["/registry/a", "/registry/b"] {
        within("put", store.put(Put::new(key, "x", Expect::Absent).ttl(TTL))).await.unwrap();
    }
    put(store, "/registry/a", "stays", Expect::Any).await;
    assert!(!get(store, "/registry/a").await.unwrap().leased);
    let mut watch = watch(store, "/registry/", WatchFrom::now()).await;
    fixture.pass(TTL).await;
    // When the other one is gone, this one would be.
    assert_eq!(short(&events(&mut watch, 1).await), ["-/registry/b"]);
    assert_eq!(get(store, "/registry/a").await.unwrap().value, "stays");
}
