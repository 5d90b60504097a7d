//! The controller works by key: one definition's failure or change is its own.

use std::sync::Arc;
use std::time::Duration;

use corten_store::Error;
use serde_json::json;

use super::{
    DEFINITION, DEFINITIONS, PREFIX, WIDGETS, define, define_widgets, gone, listing_of, storage, version, widget,
};
use super::{condition, definition, established, with_field};
use crate::fixture::{Cluster, Fault, Request, Server, eventually, settle, until};

#[tokio::test]
async fn a_failure_leaves_what_is_served_and_is_tried_again() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.store.fail_after(0, 3, listing_of(PREFIX), Fault::refused());
    server.ask(definition("g.io", json!([version("v1", json!({}))]))).await.created();
    define(server, "other.io", json!([version("v1", json!({}))])).await;
    settle().await;
    // It may have objects, and nobody is told that there are none.
    server.get(WIDGETS).await.has_code(503);
    server.get("/apis/g.io/v1").await.has_code(503);
    server.get("/apis/g.io/v1/others").await.has_code(404);
    for delay in [5, 10, 20] {
        cluster.advance(Duration::from_millis(delay)).await;
    }
    established(server, "g.io").await;
    let (mut watch, before) = (server.watch(WIDGETS).await, storage(server));
    server.store.fail(listing_of(PREFIX), Fault::refused());
    server.ask(Request::merge_patch(DEFINITION, json!({"spec": {"versions": with_field()}}))).await.ok();
    settle().await;
    server.ask(widget("a", "")).await.created();
    assert_eq!(watch.next_event().await.short(), "ADDED a");
    assert!(Arc::ptr_eq(&before, &storage(server)));
    cluster.advance(Duration::from_millis(5)).await;
    eventually("the new storage", || !Arc::ptr_eq(&before, &storage(server))).await;
    assert_eq!(server.get(&format!("{WIDGETS}?fieldSelector=spec.nodeName%3D")).await.names(), ["a"]);
}

#[tokio::test]
async fn a_change_of_one_definition_touches_no_other() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    define_widgets(server).await;
    for number in 0..20 {
        define(server, &format!("g{number}.io"), json!([version("v1", json!({}))])).await;
    }
    let others =
        || -> Vec<_> { (0..20).filter_map(|number| server.api.storage(&format!("g{number}.io"), "widgets")).collect() };
    let (before, registry, calls) = (others(), server.api.registry.load_full(), server.store.calls());
    server.ask(Request::merge_patch(DEFINITION, json!({"metadata": {"labels": {"a": "b"}}}))).await.ok();
    settle().await;
    assert!(Arc::ptr_eq(&registry, &server.api.registry.load_full()), "a label changes nothing that is served");
    assert!(server.store.calls() - calls < 5, "{} calls of the store", server.store.calls() - calls);
    super::redefine(server, with_field()).await;
    assert!(others().iter().zip(&before).all(|(now, before)| Arc::ptr_eq(now, before)));
}

/// Another server has established the definition, and this one shows that before it serves it.
#[tokio::test]
async fn what_is_shown_of_a_definition_holds_for_who_asks_next() {
    const PATHS: [&str; 4] = [WIDGETS, "/apis/g.io/v1", "/apis/g.io", "/apis"];
    let cluster = Cluster::of(2).await;
    let (one, other) = (cluster.server(0), cluster.server(1));
    let hold = other.store.hold(listing_of(PREFIX));
    define_widgets(one).await;
    established(other, "g.io").await;
    hold.wait_for(1).await;
    let mut early = PATHS.map(|path| other.begin(Request::get(path)));
    for (path, pending) in PATHS.iter().zip(&mut early) {
        assert_eq!(pending.advance(3).await, None, "{path}");
    }
    cluster.advance(Duration::from_secs(2)).await;
    for (path, pending) in PATHS.iter().zip(early) {
        let answer = pending.await;
        assert_eq!(answer.code, if *path == "/apis" { 200 } else { 503 }, "{path}");
    }
    let mut late = PATHS.map(|path| other.begin(Request::get(path)));
    for (path, pending) in PATHS.iter().zip(&mut late) {
        assert_eq!(pending.advance(3).await, None, "{path}");
    }
    drop(hold);
    for (path, pending) in PATHS.iter().zip(late) {
        let answer = pending.await.ok();
        assert!(*path == WIDGETS || answer.to_string().contains("g.io/v1"), "{path}: {answer}");
    }
    other.get("/apis/g.io/v1/others").await.has_code(404);
}

#[tokio::test]
async fn definitions_that_went_unnoticed_are_withdrawn() {
    let cluster = Cluster::of(2).await;
    let (one, other) = (cluster.server(0), cluster.server(1));
    define_widgets(one).await;
    define(one, "other.io", json!([version("v1", json!({}))])).await;
    until("the other server", async || {
        let served = async |group: &str| other.get(&format!("/apis/{group}/v1/widgets")).await.code == 200;
        (served("g.io").await && served("other.io").await).then_some(())
    })
    .await;
    other.hold_feed();
    one.ask(Request::delete(DEFINITION)).await.ok();
    until("the cleanup", async || {
        cluster.advance(Duration::from_secs(2)).await;
        (one.get(DEFINITION).await.code == 404).then_some(())
    })
    .await;
    gone(one, "g.io").await;
    other.store.break_feed(Error::Compacted { requested: 1, compacted: 2 });
    other.release_feed();
    until("the other server", async || (other.get(WIDGETS).await.code == 404).then_some(())).await;
    assert_eq!(other.get("/apis/other.io/v1/widgets").await.code, 200);
    assert_eq!(other.get(&format!("{DEFINITIONS}/widgets.other.io")).await.code, 200);
}

/// Definitions that all want one name.
fn same_singular(plural: &str) -> Request {
    let list_kind = format!("{plural}List");
    let names = json!({"plural": plural, "singular": "same", "kind": plural.to_uppercase(), "listKind": list_kind});
    Request::post(DEFINITIONS).json(json!({
        "metadata": {"name": format!("{plural}.g.io")},
        "spec": {"group": "g.io", "scope": "Cluster", "names": names, "versions": [version("v1", json!({}))]},
    }))
}

/// A server that starts looks at who has a name before it gives it to anybody.
#[tokio::test]
async fn a_name_stays_with_its_holder_over_a_restart() {
    let mut cluster = Cluster::start().await;
    let accepted = async |server: &Server, plural: &str| {
        until("a verdict", async || {
            let definition = server.get(&format!("{DEFINITIONS}/{plural}.g.io")).await;
            let status = condition(&definition.body, "NamesAccepted").to_owned();
            (!status.is_empty()).then_some(status)
        })
        .await
    };
    // The holder comes last in the order of names.
    for (plural, status) in [("widgets", "True"), ("gadgets", "False")] {
        cluster.server(0).ask(same_singular(plural)).await.created();
        assert_eq!(accepted(cluster.server(0), plural).await, status);
    }
    cluster.restart().await;
    settle().await;
    assert_eq!(accepted(cluster.server(0), "gadgets").await, "False");
    assert_eq!(accepted(cluster.server(0), "widgets").await, "True");
}

#[tokio::test]
async fn a_name_is_given_to_one_only_and_to_the_next_when_it_is_free() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let plurals = ["widgets", "gadgets", "things"];
    let answers = plurals.map(|plural| server.ask(same_singular(plural)));
    futures::future::join_all(answers).await.into_iter().for_each(|answer| drop(answer.created()));
    let accepted = async || {
        let mut accepted = Vec::new();
        for plural in plurals {
            let definition = server.get(&format!("{DEFINITIONS}/{plural}.g.io")).await;
            if definition.code == 200 {
                accepted.push((plural, condition(&definition.body, "NamesAccepted").to_owned()));
            }
        }
        accepted
    };
    for left in [3, 2, 1] {
        let holder = until("one holder", async || {
            let accepted = accepted().await;
            let decided = accepted.len() == left && accepted.iter().all(|(_, status)| !status.is_empty());
            let holders: Vec<&str> =
                accepted.iter().filter(|(_, status)| status == "True").map(|(plural, _)| *plural).collect();
            assert!(holders.len() <= 1, "{accepted:?}");
            (decided && holders.len() == 1).then(|| holders[0].to_owned())
        })
        .await;
        server.ask(Request::delete(format!("{DEFINITIONS}/{holder}.g.io"))).await.ok();
        until("its end", async || {
            (server.get(&format!("{DEFINITIONS}/{holder}.g.io")).await.code == 404).then_some(())
        })
        .await;
    }
}
