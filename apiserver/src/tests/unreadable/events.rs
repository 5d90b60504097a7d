//! The events about objects that cannot be read.

use std::time::Duration;

use bytes::Bytes;
use corten_store::{Expect, Put, Read, Span, Store, Want};
use serde_json::{Value, json};

use super::{KEY, MAPS, SPOILED, make, mend, named, put, spoil};
use crate::fixture::{Cluster, Fault, On, Request, Server, Settings, settle, until};

const EVENTS: &str = "/api/v1/namespaces/default/events";
const STORED_EVENTS: &str = "/registry/events/";

/// The events of a namespace whose reason begins so and that name a key.
async fn events(server: &Server, collection: &str, key: &str) -> Vec<Value> {
    let all = server.get(collection).await.ok();
    let about = |event: &&Value| {
        let is_reason = event["reason"].as_str().is_some_and(|reason| reason.starts_with("StoredObject"));
        is_reason && event["message"].as_str().is_some_and(|message| message.contains(key))
    };
    all["items"].as_array().into_iter().flatten().filter(about).cloned().collect()
}

async fn event(server: &Server, key: &str) -> Value {
    let what = format!("the event about {key}");
    until(&what, async || events(server, EVENTS, key).await.pop()).await
}

#[tokio::test]
async fn an_event_names_what_became_unreadable() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    make(server, &["a"]).await;
    let role = json!({"metadata": {"name": "system:reader"}, "rules": []});
    server.ask(Request::post("/apis/rbac.authorization.k8s.io/v1/clusterroles").json(role)).await.created();
    let check = async |key: &str, api_version: &str, kind: &str, namespace: Value, name: &str| {
        spoil(&cluster, key).await;
        let revision = cluster.engine().get(key, None).await.expect("a get").kv.expect("it is kept").mod_revision;
        let event = event(server, key).await;
        let about = &event["involvedObject"];
        let expected =
            json!({"kind": kind, "apiVersion": api_version, "name": name, "resourceVersion": revision.to_string()});
        let mut shown = about.clone();
        assert_eq!(shown["namespace"].take(), namespace);
        shown.as_object_mut().expect("a reference").remove("namespace");
        assert_eq!(shown, expected, "{event}");
        assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("StoredObjectUnreadable")));
    };
    check(KEY, "v1", "ConfigMap", json!("default"), "a").await;
    let role = "/registry/clusterroles/system:reader";
    check(role, "rbac.authorization.k8s.io/v1", "ClusterRole", Value::Null, "system:reader").await;
    // A key that nobody can have made through the API.
    check("/registry/configmaps/no namespace/a", "v1", "ConfigMap", Value::Null, "no namespace/a").await;
}

#[tokio::test]
async fn one_event_for_each_revision() {
    let mut cluster = Cluster::of(2).await;
    make(cluster.server(0), &["a", "b", "c"]).await;
    spoil(&cluster, KEY).await;
    event(cluster.server(0), KEY).await;
    // The other server, and one that starts anew, find it written. They have looked when they tell of something else.
    for (number, other) in ["b", "c"].into_iter().enumerate() {
        cluster.restart_server(number).await;
        let key = format!("/registry/configmaps/default/{other}");
        spoil(&cluster, &key).await;
        event(cluster.server(0), &key).await;
        settle().await;
        assert_eq!(events(cluster.server(0), EVENTS, KEY).await.len(), 1);
    }
    spoil(&cluster, KEY).await;
    until("the second event", async || (events(cluster.server(0), EVENTS, KEY).await.len() == 2).then_some(())).await;
}

/// What is found at a start gets some events, and one that counts the rest.
#[tokio::test]
async fn many_are_counted() {
    const MANY: usize = 100;
    let mut cluster = Cluster::without_servers(Settings::default()).await;
    for number in 0..MANY {
        let key = format!("/registry/configmaps/default/x{number:03}");
        cluster.engine().put(Put::new(key, SPOILED, Expect::Any)).await.expect("a put");
    }
    cluster.add_server().await;
    let server = cluster.server(0);
    let sum = async |message: &str| {
        until(message, async || events(server, EVENTS, message).await.pop()).await;
    };
    let count = async || events(server, EVENTS, "/registry/configmaps/default/x").await.len();
    sum("80 more stored objects below /registry/configmaps/ cannot be read; the first of them is").await;
    assert_eq!(count().await, 21);
    // Further ones in the same minute are counted together.
    for number in 0..5 {
        put(&cluster, &format!("/registry/configmaps/default/y{number}"), Bytes::from_static(SPOILED)).await;
    }
    settle().await;
    assert_eq!(events(server, EVENTS, "/registry/configmaps/default/y").await.len(), 0);
    cluster.advance(Duration::from_secs(61)).await;
    sum("5 more stored objects below /registry/configmaps/ cannot be read").await;
    assert_eq!(count().await, 21, "they stay as they are");
}

/// There is none about an event, and so no end to them.
#[tokio::test]
async fn no_event_about_events() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    make(server, &["a"]).await;
    for key in ["/registry/events/kube-system/e", "/registry/events/default/e"] {
        put(&cluster, key, Bytes::from_static(SPOILED)).await;
    }
    spoil(&cluster, KEY).await;
    let stored = async || {
        let read = Read::of(Span::prefix(STORED_EVENTS)).want(Want::Keys);
        let keys = cluster.engine().range(read).await.expect("a range").kvs.into_iter().map(|kv| kv.key.to_string());
        keys.filter(|key| key.contains("/unreadable.")).collect::<Vec<_>>()
    };
    until("the event about the map", async || (!stored().await.is_empty()).then_some(())).await;
    let written = stored().await;
    // Its own event cannot be read either.
    put(&cluster, &written[0], Bytes::from_static(SPOILED)).await;
    make(server, &["b"]).await;
    spoil(&cluster, "/registry/configmaps/default/b").await;
    until("the event about the other map", async || (stored().await.len() == 2).then_some(())).await;
    settle().await;
    assert_eq!(stored().await.len(), 2);
}

#[tokio::test]
async fn an_event_that_cannot_be_written_is_tried_again_some_times() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    make(server, &["a", "b"]).await;
    server.store.fail_after(0, 2, On::write(STORED_EVENTS), Fault::refused());
    let before = spoil(&cluster, KEY).await;
    until("the event", async || {
        cluster.advance(Duration::from_secs(1)).await;
        events(server, EVENTS, KEY).await.pop()
    })
    .await;
    // After four attempts it is dropped, and the next one is written.
    mend(&cluster, KEY, before).await;
    server.store.fail_after(0, 4, On::write(STORED_EVENTS), Fault::refused());
    spoil(&cluster, KEY).await;
    spoil(&cluster, "/registry/configmaps/default/b").await;
    until("the next event", async || {
        cluster.advance(Duration::from_secs(1)).await;
        events(server, EVENTS, "/registry/configmaps/default/b").await.pop()
    })
    .await;
    assert_eq!(events(server, EVENTS, KEY).await.len(), 1);
    // In a namespace that is not there no event can be.
    put(&cluster, "/registry/configmaps/nowhere/a", Bytes::from_static(SPOILED)).await;
    server.ask(Request::post(MAPS).json(named("c"))).await.created();
    spoil(&cluster, "/registry/configmaps/default/c").await;
    event(server, "/registry/configmaps/default/c").await;
}
