//! Objects that are larger than etcd takes, or only as large without their managedFields.

use serde_json::{Value, json};

use crate::fixture::{Cluster, Request};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

const TOO_LARGE: &str = "etcdserver: request is too large";
const NOT_EVEN_SENT: &str = "rpc error: code = ResourceExhausted desc = trying to send message larger than max (";

/// A config map of so many keys without values, a quarter of a kilobyte each. Its managedFields are as large again.
fn map(name: &str, keys: usize) -> Value {
    let data: serde_json::Map<String, Value> = (0..keys).map(|i| (format!("{i:0250}"), json!(""))).collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn path(name: &str) -> String {
    format!("{MAPS}/{name}")
}

fn is_managed(object: &Value) -> bool {
    object["metadata"].get("managedFields").is_some()
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for (keys, message) in [(6500, TOO_LARGE), (8500, NOT_EVEN_SENT)] {
        server.ask(Request::post(MAPS).json(map("a", keys))).await.refused(500, "", message);
        server.ask(Request::get(path("a"))).await.has_code(404);
    }
    server.ask(Request::post(MAPS).json(map("a", 1))).await.created();
    for (keys, message) in [(6500, TOO_LARGE), (8500, NOT_EVEN_SENT)] {
        server.ask(Request::put(path("a")).json(map("a", keys))).await.refused(500, "", message);
        assert_eq!(server.ask(Request::get(path("a"))).await.ok()["data"], map("a", 1)["data"]);
    }
}

#[tokio::test]
async fn what_is_too_large_loses_its_managed_fields_first() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let created = server.ask(Request::post(MAPS).json(map("a", 3500))).await.created();
    assert!(!is_managed(&created), "a create kept managedFields");

    for (name, change) in [
        ("b", Request::put(path("b")).json(map("b", 3500))),
        ("c", Request::merge_patch(path("c"), map("c", 3500))),
        ("d", Request::strategic_patch(path("d"), map("d", 3500))),
    ] {
        let created = server.ask(Request::post(MAPS).json(map(name, 2500))).await.created();
        assert!(is_managed(&created), "what fits has lost managedFields");
        let changed = server.ask(change).await.ok();
        assert!(!is_managed(&changed), "{name} kept managedFields");
        assert_eq!(server.ask(Request::get(path(name))).await.ok(), changed);
    }
}

/// An apply without managedFields would own nothing.
#[tokio::test]
async fn an_apply_keeps_its_managed_fields() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.ask(Request::apply(&path("a"), "m", map("a", 3500))).await.refused(500, "", TOO_LARGE);
    server.ask(Request::get(path("a"))).await.has_code(404);
    server.ask(Request::apply(&path("a"), "m", map("a", 2500))).await.created();
    server.ask(Request::apply(&path("a"), "m", map("a", 3500))).await.refused(500, "", TOO_LARGE);
    let kept = server.ask(Request::get(path("a"))).await.ok();
    assert!(is_managed(&kept));
    assert_eq!(kept["data"], map("a", 2500)["data"]);
}
