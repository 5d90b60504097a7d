//! A definition that cannot be read has not gone: what it defined stays.

use std::time::Duration;

use corten_store::{Expect, Store};
use serde_json::{Value, json};

use super::{mend, spoil};
use crate::fixture::{Cluster, Next, Request, Server, eventually, settle, until};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const KEY: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.g.io";
const WIDGETS: &str = "/apis/g.io/v1/widgets";
const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.g.io";

/// Objects of the whole cluster of a kind in the group `g.io`.
fn definition(plural: &str, kind: &str) -> Request {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    Request::post(DEFINITIONS).json(json!({
        "metadata": {"name": format!("{plural}.g.io")},
        "spec": {
            "group": "g.io", "scope": "Cluster", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    }))
}

fn widget(name: &str) -> Request {
    Request::post(WIDGETS).json(json!({"apiVersion": "g.io/v1", "kind": "Widget", "metadata": {"name": name}}))
}

async fn condition(server: &Server, plural: &str, kind: &str) -> Value {
    let definition = server.get(&format!("{DEFINITIONS}/{plural}.g.io")).await.ok();
    let mut conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

async fn established(server: &Server, plural: &str) {
    until("the definition", async || {
        (condition(server, plural, "Established").await["status"] == "True").then_some(())
    })
    .await;
}

async fn with_widgets() -> Cluster {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.ask(definition("widgets", "Widget")).await.created();
    established(server, "widgets").await;
    server.ask(widget("a")).await.created();
    until("its APIService", async || (server.get(API_SERVICE).await.code == 200).then_some(())).await;
    cluster
}

#[tokio::test]
async fn what_it_defined_is_served_on() {
    let cluster = with_widgets().await;
    let server = cluster.server(0);
    let mut watch = server.watch(WIDGETS).await;
    let value = spoil(&cluster, KEY).await;
    server.get(&format!("{DEFINITIONS}/widgets.g.io")).await.refused(500, "InternalError", KEY);
    // Another one of the group does not get its names. When that is told, all controllers have seen the change.
    server.ask(definition("gadgets", "Widget")).await.created();
    until("the conflict", async || {
        let accepted = condition(server, "gadgets", "NamesAccepted").await;
        (accepted["reason"] == "ListKindConflict" && accepted["status"] == "False").then_some(())
    })
    .await;
    cluster.advance(Duration::from_secs(120)).await;
    server.ask(widget("b")).await.created();
    assert_eq!(server.get(WIDGETS).await.names(), ["a", "b"]);
    assert_eq!(server.get(API_SERVICE).await.code, 200);
    assert_eq!([watch.next_event().await.name(), watch.next_event().await.name()], ["a", "b"]);
    assert_eq!(watch.try_next(), None, "it goes on");
    mend(&cluster, KEY, value).await;
    established(server, "widgets").await;
    server.ask(widget("c")).await.created();
    // Now it goes, and its objects go with it.
    server.ask(Request::delete(format!("{DEFINITIONS}/widgets.g.io"))).await.ok();
    while let Next::Event(event) = watch.next().await {
        assert!(["ADDED", "MODIFIED", "DELETED"].contains(&&*event.kind));
    }
    until("its end", async || (server.get(WIDGETS).await.code == 404).then_some(())).await;
}

/// A server that has never read it knows by its name what it cannot tell of.
#[tokio::test]
async fn what_was_never_read_is_not_said_to_be_absent() {
    let mut cluster = with_widgets().await;
    let value = spoil(&cluster, KEY).await;
    cluster.restart().await;
    let server = cluster.server(0);
    for path in [WIDGETS, "/apis/g.io/v1/widgets/a", "/apis/g.io/v1", "/apis/g.io"] {
        server.get(path).await.refused(500, "InternalError", KEY);
    }
    server.ask(widget("b")).await.refused(500, "InternalError", KEY);
    for path in ["/apis/g.io/v1/gadgets", "/apis/h.io/v1/widgets", "/apis/h.io"] {
        server.get(path).await.has_code(404);
    }
    // Its names may be any.
    let mut pending = server.begin(definition("gadgets", "Gadget"));
    until("the definition", async || {
        assert!(pending.advance(1).await.is_none(), "it has no status that its creation could be answered with");
        (server.get(&format!("{DEFINITIONS}/gadgets.g.io")).await.code == 200).then_some(())
    })
    .await;
    let made = until("its creation", async || {
        cluster.advance(Duration::from_secs(5)).await;
        pending.advance(1).await
    });
    made.await.created();
    settle().await;
    assert_eq!(condition(server, "gadgets", "NamesAccepted").await, Value::Null);
    assert_eq!(server.get(API_SERVICE).await.code, 200);
    mend(&cluster, KEY, value).await;
    until("the widgets", async || (server.get(WIDGETS).await.code == 200).then_some(())).await;
    assert_eq!(server.get(WIDGETS).await.names(), ["a"]);
    established(server, "gadgets").await;
}

/// Its objects are not deleted as long as nobody can read that they should be.
#[tokio::test]
async fn a_deletion_waits() {
    let cluster = with_widgets().await;
    let server = cluster.server(0);
    let held = json!({"metadata": {"finalizers": ["example.com/held"]}});
    server.ask(Request::merge_patch(format!("{WIDGETS}/a"), held)).await.ok();
    server.ask(Request::delete(format!("{DEFINITIONS}/widgets.g.io"))).await.ok();
    let going = async || server.get(&format!("{WIDGETS}/a")).await.body["metadata"]["deletionTimestamp"].is_string();
    until("the deletion", async || going().await.then_some(())).await;
    let value = spoil(&cluster, KEY).await;
    eventually("the definition to be looked at", || {
        let storage = crate::definitions::storage(&server.api).expect("definitions are served");
        storage.cache.find("widgets.g.io").is_err()
    })
    .await;
    let released = json!({"metadata": {"finalizers": null}});
    server.ask(Request::merge_patch(format!("{WIDGETS}/a"), released)).await.ok();
    cluster.advance(Duration::from_secs(120)).await;
    assert!(super::is_spoiled(&cluster, KEY).await, "it was not written over");
    server.get(WIDGETS).await.ok();
    mend(&cluster, KEY, value).await;
    until("the end of the definition", async || {
        (server.get(&format!("{DEFINITIONS}/widgets.g.io")).await.code == 404).then_some(())
    })
    .await;
}

/// The key goes: then it is gone, and what it defined with it.
#[tokio::test]
async fn a_definition_that_vanishes_is_gone() {
    let cluster = with_widgets().await;
    let server = cluster.server(0);
    spoil(&cluster, KEY).await;
    cluster.engine().delete(KEY.into(), Expect::Any).await.expect("a delete");
    until("its end", async || (server.get(WIDGETS).await.code == 404).then_some(())).await;
}
