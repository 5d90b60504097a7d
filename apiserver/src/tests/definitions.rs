//! CustomResourceDefinitions that change or go, while requests, watches and readings of the store are under way.

mod change;
mod controller;
mod going;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fixture::{On, Request, Server, Verb, until};
use crate::resource::Storage;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.g.io";
const WIDGETS: &str = "/apis/g.io/v1/widgets";
const PREFIX: &str = "/registry/g.io/widgets/";

/// A version with a spec of any content, and what else a test wants of it.
fn version(name: &str, more: Value) -> Value {
    let node = json!({"type": "string"});
    let spec =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"nodeName": node}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    let mut version = json!({"name": name, "served": true, "storage": true, "schema": schema});
    for (key, value) in more.as_object().into_iter().flatten() {
        version[key] = value.clone();
    }
    version
}

/// Widgets of the whole cluster, in a group.
fn definition(group: &str, versions: Value) -> Request {
    let names = json!({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"});
    Request::post(DEFINITIONS).json(json!({
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {"group": group, "scope": "Cluster", "names": names, "versions": versions},
    }))
}

fn widget(name: &str, node: &str) -> Request {
    widget_of("g.io", name, json!([]), node)
}

fn widget_of(group: &str, name: &str, finalizers: Value, node: &str) -> Request {
    Request::post(format!("/apis/{group}/v1/widgets")).json(json!({
        "apiVersion": format!("{group}/v1"), "kind": "Widget",
        "metadata": {"name": name, "finalizers": finalizers}, "spec": {"nodeName": node},
    }))
}

/// Defines widgets in a group, and waits until they are served.
async fn define(server: &Server, group: &str, versions: Value) {
    server.ask(definition(group, versions)).await.created();
    established(server, group).await;
}

async fn established(server: &Server, group: &str) {
    until("the definition", async || {
        let definition = server.get(&format!("{DEFINITIONS}/widgets.{group}")).await;
        (condition(&definition.body, "Established") == "True").then_some(())
    })
    .await;
}

/// Defines widgets in `g.io`, served and kept as v1.
async fn define_widgets(server: &Server) {
    define(server, "g.io", json!([version("v1", json!({}))])).await;
}

/// Changes the versions of the widgets in `g.io`; returns when the new storage is served.
async fn redefine(server: &Server, versions: Value) {
    let before = storage(server);
    let patch = Request::merge_patch(DEFINITION, json!({"spec": {"versions": versions}}));
    server.ask(patch).await.ok();
    until("the new storage", async || (!Arc::ptr_eq(&before, &storage(server))).then_some(())).await;
}

fn with_field() -> Value {
    json!([version("v1", json!({"selectableFields": [{"jsonPath": ".spec.nodeName"}]}))])
}

fn storage(server: &Server) -> Arc<Storage> {
    server.api.storage("g.io", "widgets").expect("widgets are served")
}

async fn gone(server: &Server, group: &str) {
    until("the definition to go", async || {
        (server.get(&format!("{DEFINITIONS}/widgets.{group}")).await.code == 404).then_some(())
    })
    .await;
}

/// The status of a condition, or nothing.
fn condition<'d>(definition: &'d Value, kind: &str) -> &'d str {
    let conditions = definition["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
    found.and_then(|condition| condition["status"].as_str()).unwrap_or_default()
}

/// How the deletion of a definition's objects goes.
async fn terminating(server: &Server, group: &str) -> String {
    let definition = server.get(&format!("{DEFINITIONS}/widgets.{group}")).await.body;
    let conditions = definition["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == "Terminating");
    found.and_then(|condition| condition["reason"].as_str()).unwrap_or_default().to_owned()
}

fn listing_of(prefix: &str) -> On {
    On::verb(Verb::Range, prefix)
}
