//! Definitions that change: the storage that is replaced is closed, and nobody takes it for the new one.

use corten_store::{Error, Expect, Store};
use serde_json::{Value, json};

use super::{PREFIX, WIDGETS, define_widgets, listing_of, redefine, storage, version, widget, widget_of, with_field};
use crate::fixture::{Cluster, Next, On, Request, Verb, eventually, settle, until};

#[tokio::test]
async fn watches_end_without_an_error_and_are_begun_anew() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    let mut watch = server.watch(WIDGETS).await;
    server.ask(widget("a", "")).await.created();
    let columns = json!({"additionalPrinterColumns": [{"name": "N", "type": "string", "jsonPath": ".spec.nodeName"}]});
    redefine(server, json!([version("v1", columns)])).await;
    assert_eq!(watch.next_event().await.short(), "ADDED a");
    assert_eq!(watch.next().await, Next::End);
    let list = server.get(WIDGETS).await;
    assert_eq!(list.names(), ["a"]);
    let mut watch = server.watch(&format!("{WIDGETS}?resourceVersion={}", list.revision())).await;
    server.ask(widget("b", "")).await.created();
    assert_eq!(watch.next_event().await.short(), "ADDED b");
}

#[tokio::test]
async fn a_change_of_nothing_that_is_served_ends_no_watch() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    let (mut watch, before) = (server.watch(WIDGETS).await, storage(server));
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    server.ask(Request::merge_patch(super::DEFINITION, label)).await.ok();
    settle().await;
    assert!(std::sync::Arc::ptr_eq(&before, &storage(server)));
    server.ask(widget("a", "")).await.created();
    assert_eq!(watch.next_event().await.short(), "ADDED a");
}

/// A write that was made for the storage of before reaches the store when the definition has changed.
#[tokio::test]
async fn a_draft_of_before_is_not_taken_for_one_of_now() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    let hold = server.store.hold(On::write(PREFIX));
    let answer = tokio::spawn(server.begin(widget("a", "here")));
    hold.wait_for(1).await;
    redefine(server, with_field()).await;
    drop(hold);
    let answer = answer.await.expect("no panic");
    assert_eq!(answer.code, 201, "{answer:?}");
    let here = format!("{WIDGETS}?fieldSelector=spec.nodeName%3Dhere");
    assert_eq!(server.get(&here).await.names(), ["a"]);
    assert_eq!(server.watch(&here).await.next_event().await.short(), "ADDED a");
}

#[tokio::test]
async fn a_draft_of_another_version_is_converted() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    let hold = server.store.hold(On::write(PREFIX));
    let answer = tokio::spawn(server.begin(widget("a", "here")));
    hold.wait_for(1).await;
    redefine(server, json!([version("v1", json!({"storage": false})), version("v2", json!({}))])).await;
    drop(hold);
    assert_eq!(answer.await.expect("no panic").code, 201);
    let list = server.get("/apis/g.io/v2/widgets").await;
    let versions: Vec<&Value> = list.items().iter().map(|item| &item["apiVersion"]).collect();
    assert_eq!(versions, ["g.io/v2"]);
}

/// Whoever began to be answered from a storage is shown what the new one shows, not what stood there at the end.
#[tokio::test]
async fn a_storage_is_kept_up_until_its_last_request_is_answered() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget("a", "old")).await.created();
    let old = storage(server);
    let mut watch = server.watch(&format!("{WIDGETS}?resourceVersion=0")).await;
    assert_eq!(watch.next_event().await.short(), "ADDED a");
    // A consistent read asks the store how far it is.
    let hold = server.store.hold(On::verb(Verb::Revision, ""));
    let read = tokio::spawn(server.begin(Request::get(format!("{WIDGETS}/a"))));
    hold.wait_for(1).await;
    redefine(server, with_field()).await;
    let change = json!({"spec": {"nodeName": "new"}});
    server.ask(Request::merge_patch(format!("{WIDGETS}/a"), change)).await.ok();
    assert_eq!(watch.next_event().await.short(), "MODIFIED a");
    settle().await;
    assert_eq!(watch.try_next(), None, "the old storage is still needed");
    drop(hold);
    assert_eq!(read.await.expect("no panic").text("/spec/nodeName"), "new");
    assert_eq!(watch.next().await, Next::End);
    assert!(old.serving.enter().is_none());
}

/// A request that came before a deletion of the objects began is not forgotten when the storage is replaced.
#[tokio::test]
async fn a_storage_is_kept_up_for_requests_of_before_a_deletion() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    server.ask(widget_of("g.io", "held", json!(["example.com/hold"]), "old")).await.created();
    let hold = server.store.hold(On::verb(Verb::Revision, ""));
    let read = tokio::spawn(server.begin(Request::get(format!("{WIDGETS}/held"))));
    hold.wait_for(1).await;
    server.ask(Request::delete(super::DEFINITION)).await.ok();
    until("the deletion", async || {
        // Such a read does not ask the store.
        let definition = server.get(&format!("{}?resourceVersion=0", super::DEFINITION)).await;
        (super::condition(&definition.body, "Terminating") == "True").then_some(())
    })
    .await;
    redefine(server, with_field()).await;
    settle().await;
    let change = json!({"spec": {"nodeName": "new"}});
    server.ask(Request::merge_patch(format!("{WIDGETS}/held"), change)).await.ok();
    drop(hold);
    assert_eq!(read.await.expect("no panic").text("/spec/nodeName"), "new");
}

/// While the objects of a definition are read, others write, and what they write is not lost.
#[tokio::test]
async fn writers_do_not_wait_for_a_reading_of_the_store() {
    for breaks in [false, true] {
        let cluster = Cluster::start().await;
        let server = cluster.server(0);
        define_widgets(server).await;
        for name in ["a", "b"] {
            server.ask(widget(name, "here")).await.created();
        }
        let hold = server.store.hold_answers(listing_of(PREFIX));
        let patch = json!({"spec": {"versions": with_field()}});
        server.ask(Request::merge_patch(super::DEFINITION, patch)).await.ok();
        // The listing is made, and its answer on its way.
        hold.wait_for(1).await;
        server.ask(Request::delete(format!("{WIDGETS}/a"))).await.ok();
        server.ask(widget("c", "here")).await.created();
        if breaks {
            let before = storage(server).cache.fillings();
            // The feed has no event of this.
            server.hold_feed();
            let deleted = cluster.engine().delete(format!("{PREFIX}b").into(), Expect::Any).await;
            deleted.expect("a delete");
            server.store.break_feed(Error::Compacted { requested: 1, compacted: 2 });
            server.release_feed();
            eventually("the store read anew", || storage(server).cache.fillings() > before).await;
            server.ask(widget("d", "here")).await.created();
        }
        let before = storage(server);
        drop(hold);
        eventually("the new storage", || !std::sync::Arc::ptr_eq(&before, &storage(server))).await;
        let expected: &[&str] = if breaks { &["c", "d"] } else { &["b", "c"] };
        let list = server.get(&format!("{WIDGETS}?fieldSelector=spec.nodeName%3Dhere")).await;
        assert_eq!(list.names(), expected, "the feed breaks: {breaks}");
        server.ask(widget("e", "here")).await.created();
        assert_eq!(server.get(WIDGETS).await.items().len(), expected.len() + 1);
    }
}
