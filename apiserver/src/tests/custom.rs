//! Custom objects in several versions, and objects that several clients create at once.

use serde_json::{Value, json};

use crate::fixture::{Answer, Cluster, Event, On, Request, Server, until};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn boxes(version: &str) -> String {
    format!("/apis/example.com/{version}/namespaces/default/boxes")
}

fn a_box(version: &str, spec: Value) -> Value {
    let api_version = format!("example.com/{version}");
    json!({"apiVersion": api_version, "kind": "Box", "metadata": {"name": "a"}, "spec": spec})
}

/// Boxes: `v1` is stored and knows `one`, `v2` knows `two` and defaults `mode`; both know a list by keys.
async fn define(server: &Server) {
    let text = json!({"type": "string"});
    let item = json!({"type": "object", "required": ["name"], "properties": {"name": text, "n": {"type": "integer"}}});
    let parts = json!({
        "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
    });
    let status = json!({"type": "object", "default": {"phase": "New"}, "properties": {"phase": text}});
    let version = |name: &str, storage: bool, fields: Value| {
        let mut fields = fields;
        fields["parts"] = parts.clone();
        let spec = json!({"type": "object", "properties": fields});
        let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
        json!({
            "name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
        })
    };
    let versions = [
        version("v1", true, json!({"one": text})),
        version("v2", false, json!({"two": text, "mode": {"type": "string", "default": "auto"}})),
    ];
    let names = json!({"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"});
    let definition = json!({
        "metadata": {"name": "boxes.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions},
    });
    server.ask(Request::post(DEFINITIONS).json(definition)).await.created();
    let serves = async || server.get(&boxes("v2")).await.is_success().then_some(());
    until("the definition to be served", serves).await;
}

async fn started() -> Cluster {
    let cluster = Cluster::start().await;
    define(cluster.server(0)).await;
    cluster
}

fn spec(event: &Event) -> &Value {
    &event.object["spec"]
}

#[tokio::test]
async fn watches_of_each_version_show_what_it_knows() {
    let cluster = started().await;
    let server = cluster.server(0);
    let (mut v1, mut v2) = (server.watch(&boxes("v1")).await, server.watch(&boxes("v2")).await);
    let created = server.ask(Request::post(boxes("v1")).json(a_box("v1", json!({"one": "1", "two": "2"})))).await;
    assert_eq!(created.created()["status"], json!({"phase": "New"}));
    let (seen, other) = (v1.next_event().await, v2.next_event().await);
    assert_eq!((spec(&seen), spec(&other)), (&json!({"one": "1"}), &json!({})));
    assert_eq!((&seen.object["status"], &other.object["status"]), (&json!({"phase": "New"}), &json!({"phase": "New"})));
    // A write through a version stores what the storage version knows of it, and the answer is what can be read again.
    let put =
        Request::merge_patch(format!("{}/a", boxes("v2")), json!({"spec": {"two": "2", "parts": [{"name": "x"}]}}));
    assert_eq!(server.ask(put).await.ok()["spec"], json!({"parts": [{"name": "x"}]}));
    let (seen, other) = (v1.next_event().await, v2.next_event().await);
    let parts = json!({"parts": [{"name": "x"}]});
    assert_eq!((spec(&seen), spec(&other)), (&parts, &parts));
}

#[tokio::test]
async fn an_apply_through_any_version_that_changes_nothing_writes_nothing() {
    let cluster = started().await;
    let server = cluster.server(0);
    let parts = json!({"parts": [{"name": "b", "n": 1}, {"name": "a", "n": 2}]});
    let apply = async |version: &str| {
        let path = format!("{}/a", boxes(version));
        server.ask(Request::apply(&path, "one", a_box(version, parts.clone()))).await
    };
    apply("v1").await.created();
    // The first write brings the status into the store with which the object was read all the time.
    let stored = apply("v1").await;
    let mut watch = server.watch(&format!("{}?resourceVersion={}", boxes("v1"), stored.revision())).await;
    let settled = apply("v1").await;
    assert_eq!(settled.revision(), stored.revision());
    // The same manager has applied it in another version: that, and nothing else, is written.
    let moved = apply("v2").await.ok();
    assert_eq!((&moved["metadata"]["generation"], &moved["spec"]), (&json!(1), &parts));
    assert_eq!(moved["metadata"]["managedFields"][0]["apiVersion"], "example.com/v2");
    let event = watch.next_event().await;
    assert_eq!((event.short(), spec(&event)), ("MODIFIED a".to_owned(), &parts));
    assert_eq!(apply("v2").await.revision(), event.revision());
    assert_eq!(watch.try_next(), None);
}

/// Two requests, neither of which knows of the other before both are on their way to the store.
async fn at_once(server: &Server, key: &str, first: Request, second: Request) -> (Answer, Answer) {
    let hold = server.store.hold(On::write(key));
    let (mut first, mut second) = (server.begin(first), server.begin(second));
    assert!(first.advance(1).await.is_none());
    hold.wait_for(1).await;
    assert!(second.advance(1).await.is_none());
    hold.wait_for(2).await;
    drop(hold);
    (first.await, second.await)
}

#[tokio::test]
async fn first_applies_at_once_all_succeed() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let path = "/api/v1/namespaces/default/configmaps/a";
    let apply = |manager: &str| {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {manager: "x"}});
        Request::apply(path, manager, object)
    };
    let (one, two) = at_once(server, "/registry/configmaps/default/a", apply("one"), apply("two")).await;
    assert_eq!([one.code, two.code], [201, 200]);
    assert_eq!(two.ok()["data"], json!({"one": "x", "two": "x"}));
}

#[tokio::test]
async fn an_object_that_a_put_would_have_made_is_updated_where_another_was_faster() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    // An update without a revision is for some kinds an update of whatever is there, for others it is none.
    for (group, plural, prefix, codes) in [
        ("/api/v1", "endpoints", "/registry/services/endpoints", [201, 200]),
        ("/apis/coordination.k8s.io/v1", "leases", "/registry/leases", [201, 422]),
    ] {
        let path = format!("{group}/namespaces/default/{plural}/a");
        let put =
            |label: &str| Request::put(&path).json(json!({"metadata": {"name": "a", "labels": {"made-by": label}}}));
        let (one, two) = at_once(server, &format!("{prefix}/default/a"), put("one"), put("two")).await;
        assert_eq!([one.code, two.code], codes, "{plural}");
        let kept = if two.is_success() { "two" } else { "one" };
        assert_eq!(server.get(&path).await.text("/metadata/labels/made-by"), kept, "{plural}");
    }
}
