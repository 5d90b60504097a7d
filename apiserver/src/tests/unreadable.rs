//! Objects that the store holds and that cannot be read: nobody may take them for absent.

mod definitions;
mod events;
mod readers;
mod services;

use bytes::Bytes;
use corten_store::embedded::medium::Part;
use corten_store::{Expect, Put, Store};
use serde_json::{Value, json};

use crate::fixture::{Answer, Cluster, Next, Request, Server, Settings};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const KEY: &str = "/registry/configmaps/default/a";

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"key": format!("the value of {name}")}})
}

async fn make(server: &Server, names: &[&str]) {
    for name in names {
        server.ask(Request::post(MAPS).json(named(name))).await.created();
    }
}

/// As a disk or another program may leave it.
const SPOILED: &[u8] = b"k8s\0 and no more";

/// Returns what was there, when the servers know that it is not any more.
async fn spoil(cluster: &Cluster, key: &str) -> Option<Bytes> {
    let before = cluster.engine().get(key, None).await.expect("a get").kv;
    put(cluster, key, Bytes::from_static(SPOILED)).await;
    before.map(|kv| kv.value)
}

/// Puts back what was there.
async fn mend(cluster: &Cluster, key: &str, value: Option<Bytes>) {
    put(cluster, key, value.expect("it was there before")).await;
}

async fn put(cluster: &Cluster, key: &str, value: Bytes) {
    let revision = cluster.engine().put(Put::new(key, value, Expect::Any)).await.expect("a put");
    for server in cluster.servers() {
        server.api.applied(revision).await;
    }
}

async fn is_spoiled(cluster: &Cluster, key: &str) -> bool {
    cluster.engine().get(key, None).await.expect("a get").kv.is_some_and(|kv| *kv.value == *SPOILED)
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.bytes).into_owned()
}

fn one(name: &str) -> String {
    format!("{MAPS}/{name}")
}

/// What everybody is told while `KEY` cannot be read.
async fn check_reads(server: &Server) {
    for path in [
        one("a"),
        MAPS.to_owned(),
        "/api/v1/configmaps".to_owned(),
        format!("{MAPS}?limit=1"),
        format!("{MAPS}?resourceVersion=0"),
        format!("{MAPS}?labelSelector=a=b"),
        format!("{MAPS}?fieldSelector=metadata.name=a"),
        "/api/v1/configmaps?fieldSelector=metadata.name=a".to_owned(),
        format!("{MAPS}?watch=true"),
    ] {
        server.get(&path).await.refused(500, "InternalError", KEY);
    }
    for path in [
        one("b"),
        "/api/v1/namespaces/kube-system/configmaps".to_owned(),
        format!("{MAPS}?fieldSelector=metadata.name=b"),
        "/api/v1/pods".to_owned(),
    ] {
        server.get(&path).await.ok();
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_is_never_taken_for_absent() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    make(server, &["a", "b"]).await;
    let mut watch = server.watch(MAPS).await;
    spoil(&cluster, KEY).await;
    check_reads(server).await;
    // The watch ends; it brings no deletion.
    while let Next::Event(event) = watch.next().await {
        assert_ne!(event.kind, "DELETED", "{event:?}");
    }
    server.ask(Request::post(MAPS).json(named("a"))).await.refused(409, "AlreadyExists", "already exists");
    for request in [
        Request::put(one("a")).json(named("a")),
        Request::merge_patch(one("a"), json!({"data": {"x": "y"}})),
        Request::apply(&one("a"), "tester", json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "y"}})),
        Request::delete(one("a")),
        Request::delete(MAPS),
    ] {
        server.ask(request).await.refused(500, "InternalError", KEY);
    }
    // It was not written over.
    assert!(is_spoiled(&cluster, KEY).await);
    assert!(
        server.api.metrics.text().contains("corten_storage_unreadable_objects{group=\"\",resource=\"configmaps\"} 1\n")
    );
    let remark = format!("[!]stored-objects: {KEY} cannot be read\n");
    let ready = server.get("/readyz?verbose").await;
    assert_eq!(ready.code, 200);
    assert!(text(&ready).contains(&remark), "{}", text(&ready));

    // Whoever writes or deletes the key in the store mends it.
    let spoiled = cluster.engine().current_revision().await.expect("a revision");
    cluster.engine().delete(KEY.into(), Expect::Any).await.expect("a delete");
    server.get(&one("a")).await.refused(404, "NotFound", "\"a\" not found");
    assert_eq!(server.get(MAPS).await.names(), ["b"]);
    // The moment when it could not be read does not look as if it had been absent.
    let then = format!("{MAPS}?resourceVersion={spoiled}&resourceVersionMatch=Exact&limit=5");
    server.get(&then).await.refused(500, "InternalError", KEY);
    make(server, &["a"]).await;
    assert_eq!(server.get(MAPS).await.names(), ["a", "b"]);
    assert!(!text(&server.get("/readyz?verbose").await).contains("stored-objects"));
}

#[tokio::test]
async fn a_start_finds_it_too() {
    let mut cluster = Cluster::start().await;
    make(cluster.server(0), &["a", "b"]).await;
    spoil(&cluster, KEY).await;
    cluster.restart().await;
    check_reads(cluster.server(0)).await;
}

/// With a wrong checksum it is known to be damaged, and a start is refused.
#[tokio::test]
async fn a_start_is_refused_for_a_damaged_value() {
    let cluster = Cluster::start().await;
    make(cluster.server(0), &["a", "b"]).await;
    // After a close the database does not look at its pages.
    cluster.engine().close().await.expect("a close");
    let disk = cluster.disk.copy();
    disk.damage(Part::Tables, |bytes| {
        let text = b"the value of a";
        let places: Vec<_> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at] ^= 1);
    });
    let damaged = Cluster::without_servers(Settings { disk: Some(disk), ..Settings::default() }).await;
    let refused = damaged.assemble(&damaged.viewpoint()).await.err().expect("it is damaged").to_string();
    assert!(refused.contains(KEY) && refused.contains("corten store check"), "{refused}");
}
