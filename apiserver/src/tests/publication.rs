//! What definitions publish is found, discovered and described at the same moment.

use std::sync::Arc;

use corten_openapi::Form;
use serde_json::{Value, json};

use crate::fixture::{Cluster, Request, Server, until};
use crate::registry::Registry;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn widgets(version: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "string"}}}});
    json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": version, "served": true, "storage": true, "schema": schema}],
        },
    })
}

/// Which documents name a version of the widgets, in the order in which they are asked here.
fn told(registry: &Registry, version: &str) -> [bool; 5] {
    let has = |text: &[u8], part: String| String::from_utf8_lossy(text).contains(&part);
    [
        has(registry.group_list(), format!(r#""groupVersion":"example.com/{version}""#)),
        has(&registry.aggregated_groups().body, format!(r#""group":"example.com","version":"{version}""#)),
        registry.resource_list("example.com", version).is_some_and(|list| has(&list, r#""name":"widgets""#.into())),
        has(&registry.openapi().index().json, format!("/openapi/v3/apis/example.com/{version}?hash=")),
        has(&registry.openapi().v2(Form::Json).plain(), format!(r#""com.example.{version}.Widget""#)),
    ]
}

/// Looks at every registry that is served until one has, or lacks, a version; nothing may be half there in any.
async fn follow(server: &Server, version: &str, there: bool) -> Arc<Registry> {
    until("the change", async || {
        let registry = server.api.registry.load_full();
        let found = registry.find("example.com", version, "widgets").is_some();
        (found == there).then_some(registry)
    })
    .await
}

#[tokio::test]
async fn what_is_served_is_told_everywhere_at_once() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    assert_eq!(told(&server.api.registry.load(), "v1"), [false; 5]);
    server.ask(Request::post(DEFINITIONS).json(widgets("v1"))).await.created();
    assert_eq!(told(&*follow(server, "v1", true).await, "v1"), [true; 5]);

    let one = format!("{DEFINITIONS}/widgets.example.com");
    let versions = widgets("v1")["spec"]["versions"][0].clone();
    let (mut first, mut second) = (versions.clone(), versions);
    first["storage"] = true.into();
    (second["name"], second["storage"]) = ("v2".into(), false.into());
    let both = json!({"spec": {"versions": [first, second]}});
    server.ask(Request::merge_patch(&one, both)).await.ok();
    let registry = follow(server, "v2", true).await;
    assert_eq!([told(&registry, "v1"), told(&registry, "v2")], [[true; 5]; 2]);

    server.ask(Request::delete(&one)).await.ok();
    let registry = follow(server, "v1", false).await;
    assert_eq!([told(&registry, "v1"), told(&registry, "v2")], [[false; 5]; 2]);
}
