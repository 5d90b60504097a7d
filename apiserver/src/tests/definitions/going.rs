//! Definitions that go: nothing is created any more, nothing acknowledged stays.

use std::time::Duration;

use corten_store::{Read, Span, Store, Want};
use serde_json::json;

use super::{
    DEFINITION, DEFINITIONS, PREFIX, WIDGETS, define, define_widgets, established, gone, redefine, storage,
    terminating, version, widget, widget_of, with_field,
};
use crate::fixture::{Cluster, Fault, Next, On, Request, Server, eventually, settle, until};

const HELD: [&str; 1] = ["example.com/hold"];

async fn kept(cluster: &Cluster) -> usize {
    let read = Read::of(Span::prefix(PREFIX)).want(Want::Count);
    cluster.engine().range(read).await.expect("the engine answers").count
}

/// Waits until one widget is left in the store.
async fn keeps_one(cluster: &Cluster, what: &str) {
    until(what, async || (kept(cluster).await == 1).then_some(())).await;
}

async fn delete_definition(server: &Server) {
    server.ask(Request::delete(DEFINITION)).await.ok();
}

/// Waits until the deletion of the objects goes as told.
async fn terminates(server: &Server, reason: &str) {
    until(reason, async || (terminating(server, "g.io").await == reason).then_some(())).await;
}

/// Lets the widget go that a finalizer holds.
async fn release(server: &Server) {
    let release = json!({"metadata": {"finalizers": null}});
    server.ask(Request::merge_patch(format!("{WIDGETS}/held"), release)).await.ok();
}

/// Deletes the definition at one server; the other, which serves it too, has yet to hear of that.
async fn begin_deletion_behind(one: &Server, other: &Server) {
    define_widgets(one).await;
    until("the other server", async || (other.get(WIDGETS).await.code == 200).then_some(())).await;
    other.hold_feed();
    delete_definition(one).await;
    terminates(one, "InstanceDeletionInProgress").await;
}

#[tokio::test]
async fn nothing_is_created_but_what_is_there_can_be_changed() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget_of("g.io", "held", json!(HELD), "")).await.created();
    let mut watch = server.watch(&format!("{WIDGETS}?resourceVersion=0")).await;
    assert_eq!(watch.next_event().await.short(), "ADDED held");
    delete_definition(server).await;
    eventually("the definition to go", || storage(server).serving.refuses_creates()).await;
    let refusal =
        "widgets.g.io \"new\" is forbidden: create not allowed while custom resource definition is terminating";
    server.ask(widget("new", "")).await.refused(403, "Forbidden", refusal);
    let configuration = json!({"apiVersion": "g.io/v1", "kind": "Widget", "metadata": {"name": "new"}});
    let path = format!("{WIDGETS}/new");
    server.ask(Request::apply(&path, "m", configuration)).await.refused(403, "Forbidden", refusal);
    let discovered = server.get("/apis/g.io/v1").await;
    assert_eq!(discovered.body["resources"][0]["verbs"], json!(["delete", "deletecollection", "get", "list", "watch"]));
    // Watches go on, so that whoever holds the object back hears of its deletion.
    assert_eq!(watch.next_event().await.short(), "MODIFIED held");
    release(server).await;
    assert_eq!(watch.next_event().await.short(), "DELETED held");
    gone(server, "g.io").await;
    assert_eq!(watch.next().await, Next::End);
    server.get(WIDGETS).await.has_code(404);
}

/// The write passes admission, then the definition is deleted.
#[tokio::test]
async fn a_create_that_is_under_way_does_not_outlive_the_definition() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    let hold = server.store.hold(On::write(PREFIX));
    let answer = tokio::spawn(server.begin(widget("a", "")));
    hold.wait_for(1).await;
    delete_definition(server).await;
    terminates(server, "InstanceDeletionInProgress").await;
    settle().await;
    assert_eq!(server.get(DEFINITION).await.code, 200, "it waits");
    drop(hold);
    // It looks at its definition when it has written.
    answer.await.expect("no panic").refused(403, "Forbidden", "custom resource definition is terminating");
    gone(server, "g.io").await;
    assert_eq!(kept(&cluster).await, 0);
    define_widgets(server).await;
    assert!(server.get(WIDGETS).await.names().is_empty());
}

/// The same on a storage that a change of the definition has replaced meanwhile: nobody waits for it.
#[tokio::test]
async fn a_create_on_a_replaced_storage_does_not_outlive_the_definition() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    let before = storage(server);
    let hold = server.store.hold(On::write(PREFIX));
    let answer = tokio::spawn(server.begin(widget("a", "")));
    hold.wait_for(1).await;
    let column = json!([{"name": "Node", "type": "string", "jsonPath": ".spec.nodeName"}]);
    let changed = json!({"spec": {"versions": [version("v1", json!({"additionalPrinterColumns": column}))]}});
    server.ask(Request::merge_patch(DEFINITION, changed)).await.ok();
    eventually("the other storage", || !std::sync::Arc::ptr_eq(&before, &storage(server))).await;
    delete_definition(server).await;
    gone(server, "g.io").await;
    drop(hold);
    answer.await.expect("no panic").refused(404, "NotFound", "could not find the requested resource");
    assert_eq!(kept(&cluster).await, 0);
}

/// Nobody is told of the write any more, but it has gone to the store.
#[tokio::test]
async fn a_create_whose_client_is_gone_does_not_outlive_the_definition() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    let hold = server.store.hold(On::write(PREFIX));
    let mut pending = server.begin(widget("a", ""));
    assert_eq!(pending.advance(3).await, None);
    hold.wait_for(1).await;
    drop(pending);
    delete_definition(server).await;
    terminates(server, "InstanceDeletionInProgress").await;
    settle().await;
    assert_eq!(server.get(DEFINITION).await.code, 200, "it waits");
    drop(hold);
    gone(server, "g.io").await;
    assert_eq!(kept(&cluster).await, 0);
}

/// The other server has yet to see that the definition goes.
#[tokio::test]
async fn what_another_server_creates_meanwhile_goes_too() {
    let cluster = Cluster::of(2).await;
    let (one, other) = (cluster.server(0), cluster.server(1));
    begin_deletion_behind(one, other).await;
    let late = tokio::spawn(other.begin(widget("late", "")));
    keeps_one(&cluster, "the late object").await;
    other.release_feed();
    // It looks at its definition when it has written.
    late.await.expect("no panic").refused(403, "Forbidden", "custom resource definition is terminating");
    eventually("the other server", || storage(other).serving.refuses_creates()).await;
    cluster.advance(Duration::from_secs(2)).await;
    gone(one, "g.io").await;
    assert_eq!(kept(&cluster).await, 0);
}

/// The other server writes when the definition and all its objects are gone, and hears of that only then.
#[tokio::test]
async fn what_another_server_creates_afterwards_is_taken_back() {
    let cluster = Cluster::of(2).await;
    let (one, other) = (cluster.server(0), cluster.server(1));
    begin_deletion_behind(one, other).await;
    cluster.advance(Duration::from_secs(2)).await;
    gone(one, "g.io").await;
    let late = tokio::spawn(other.begin(widget("late", "")));
    keeps_one(&cluster, "the late object").await;
    other.release_feed();
    late.await.expect("no panic").refused(404, "NotFound", "could not find the requested resource");
    assert_eq!(kept(&cluster).await, 0);
}

/// Somebody without this server's rules writes straight to the store, when everything that was there is marked.
/// The storage whose objects are being deleted ends while it is empty, and another server creates an object after that.
#[tokio::test]
async fn a_deletion_goes_on_in_the_storage_that_took_the_place_of_an_empty_one() {
    let cluster = Cluster::of(2).await;
    let (one, other) = (cluster.server(0), cluster.server(1));
    begin_deletion_behind(one, other).await;
    let old = storage(one);
    redefine(one, with_field()).await;
    eventually("the end of the old storage", || old.cache.is_retired()).await;
    let created = tokio::spawn(other.begin(widget_of("g.io", "held", json!(HELD), "")));
    keeps_one(&cluster, "the object of the other server").await;
    let calls = one.store.calls();
    cluster.advance(Duration::from_secs(2)).await;
    let calls = one.store.calls() - calls;
    assert!(calls < 10, "{calls} calls of the store");
    other.release_feed();
    created.await.expect("no panic");
    until("the deletion of the object", async || {
        let held = one.get(&format!("{WIDGETS}/held")).await;
        (!held.body["metadata"]["deletionTimestamp"].is_null()).then_some(())
    })
    .await;
    release(one).await;
    cluster.advance(Duration::from_secs(2)).await;
    gone(one, "g.io").await;
}

#[tokio::test]
async fn objects_that_come_between_are_deleted() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget_of("g.io", "held", json!(HELD), "")).await.created();
    server.ask(widget("plain", "")).await.created();
    let read = cluster.engine().get(&format!("{PREFIX}plain"), None).await.expect("an answer");
    let value = read.kv.expect("it is kept").value;
    delete_definition(server).await;
    keeps_one(&cluster, "the deletion").await;
    let put = corten_store::Put::new(format!("{PREFIX}plain"), value, corten_store::Expect::Any);
    cluster.engine().put(put).await.expect("a put");
    keeps_one(&cluster, "its deletion").await;
    release(server).await;
    gone(server, "g.io").await;
    assert_eq!(kept(&cluster).await, 0);
}

#[tokio::test]
async fn a_definition_without_a_served_version_goes() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget("a", "")).await.created();
    let unserved = json!({"spec": {"versions": [version("v1", json!({"served": false}))]}});
    server.ask(Request::merge_patch(DEFINITION, unserved)).await.ok();
    until("the version to go", async || (server.get(WIDGETS).await.code == 404).then_some(())).await;
    delete_definition(server).await;
    gone(server, "g.io").await;
    assert_eq!(kept(&cluster).await, 0);
}

/// Its finalizers hold all the same.
#[tokio::test]
async fn a_definition_that_does_not_compile_goes_with_its_objects() {
    let mut cluster = Cluster::start().await;
    define_widgets(cluster.server(0)).await;
    cluster.server(0).ask(widget_of("g.io", "held", json!(HELD), "here")).await.created();
    cluster.server(0).ask(widget("plain", "")).await.created();
    let key = "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.g.io";
    let kept_definition = cluster.engine().get(key, None).await.expect("an answer").kv.expect("it is kept");
    let text = String::from_utf8(kept_definition.value.to_vec()).expect("JSON");
    let bad =
        text.replace("\"x-kubernetes-preserve-unknown-fields\":true", "\"x-kubernetes-preserve-unknown-fields\":false");
    assert_ne!(bad, text);
    let put = corten_store::Put::new(key, bad, corten_store::Expect::Any);
    cluster.engine().put(put).await.expect("a put");
    cluster.restart().await;
    let server = cluster.server(0);
    server.get(WIDGETS).await.has_code(404);
    delete_definition(server).await;
    keeps_one(&cluster, "the plain object to go").await;
    let held = cluster.engine().get(&format!("{PREFIX}held"), None).await.expect("an answer").kv.expect("it is held");
    let held = String::from_utf8(held.value.to_vec()).expect("JSON");
    assert!(held.contains("deletionTimestamp") && held.contains("\"nodeName\":\"here\""), "{held}");
    let deleted = cluster.engine().delete(format!("{PREFIX}held").into(), corten_store::Expect::Any).await;
    deleted.expect("a delete");
    gone(server, "g.io").await;
}

#[tokio::test]
async fn a_deletion_that_takes_long_delays_no_other() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget("a", "")).await.created();
    let hold = server.store.hold(On::write(PREFIX));
    delete_definition(server).await;
    hold.wait_for(1).await;
    define(server, "other.io", json!([version("v1", json!({}))])).await;
    server.ask(widget_of("other.io", "a", json!([]), "")).await.created();
    server.ask(Request::delete(format!("{DEFINITIONS}/widgets.other.io"))).await.ok();
    gone(server, "other.io").await;
    drop(hold);
    gone(server, "g.io").await;
}

#[tokio::test]
async fn a_deletion_that_fails_is_told_and_tried_again() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget("a", "")).await.created();
    server.store.fail(On::write(PREFIX), Fault::refused());
    delete_definition(server).await;
    terminates(server, "InstanceDeletionFailed").await;
    let failed = server.get(DEFINITION).await.revision();
    for number in 0..5 {
        let other = json!({"metadata": {"name": format!("other{number}")}});
        server.ask(Request::post("/api/v1/namespaces/default/configmaps").json(other)).await.created();
    }
    assert_eq!(server.get(DEFINITION).await.revision(), failed, "it is not tried again at once");
    cluster.advance(Duration::from_millis(5)).await;
    gone(server, "g.io").await;
    assert_eq!(kept(&cluster).await, 0);
}

#[tokio::test]
async fn a_deletion_that_fails_again_is_tried_later_each_time() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget("a", "")).await.created();
    server.store.fail_after(0, 100, On::write(PREFIX), Fault::refused());
    delete_definition(server).await;
    terminates(server, "InstanceDeletionFailed").await;
    let mut revision = server.get(DEFINITION).await.revision();
    for pause in [5, 10, 20, 40] {
        cluster.advance(Duration::from_millis(pause - 1)).await;
        settle().await;
        assert_eq!(server.get(DEFINITION).await.revision(), revision, "before {pause} ms");
        cluster.advance(Duration::from_millis(1)).await;
        until("the next failure", async || {
            let failed = terminating(server, "g.io").await == "InstanceDeletionFailed";
            (failed && server.get(DEFINITION).await.revision() > revision + 1).then_some(())
        })
        .await;
        revision = server.get(DEFINITION).await.revision();
    }
}

#[tokio::test]
async fn objects_that_stay_are_told_of_once() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget_of("g.io", "held", json!(HELD), "")).await.created();
    delete_definition(server).await;
    until("the mark", async || {
        (!server.get(&format!("{WIDGETS}/held")).await.text("/metadata/deletionTimestamp").is_empty()).then_some(())
    })
    .await;
    settle().await;
    cluster.advance(Duration::from_secs(60)).await;
    terminates(server, "InstanceDeletionCheck").await;
    let revision = server.get(DEFINITION).await.revision();
    cluster.advance(Duration::from_secs(600)).await;
    assert_eq!(server.get(DEFINITION).await.revision(), revision, "nothing is written while nothing happens");
    release(server).await;
    gone(server, "g.io").await;
}

/// Somebody else's finalizer keeps the definition when its objects are gone.
#[tokio::test]
async fn nothing_is_created_while_others_hold_the_definition() {
    let mut cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(Request::merge_patch(DEFINITION, json!({"metadata": {"finalizers": HELD}}))).await.ok();
    delete_definition(server).await;
    terminates(server, "InstanceDeletionCompleted").await;
    server.ask(widget("a", "")).await.has_code(403);
    cluster.restart().await;
    let server = cluster.server(0);
    server.ask(widget("a", "")).await.has_code(403);
    server.ask(Request::merge_patch(DEFINITION, json!({"metadata": {"finalizers": null}}))).await.ok();
    gone(server, "g.io").await;
    server.ask(super::definition("g.io", json!([version("v1", json!({}))]))).await.created();
    established(server, "g.io").await;
    server.ask(widget("a", "")).await.created();
}
