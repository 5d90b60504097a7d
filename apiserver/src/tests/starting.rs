//! What a server answers that listens already and does not serve custom resources yet.

use std::sync::Arc;

use serde_json::json;

use crate::fixture::{Cluster, Request, Server, until, within};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GEARS: &str = "/apis/example.com/v1/gears";
/// Upstream's words.
const STARTING: &str = "the request has been made before all known HTTP paths have been installed, please try again";

/// A cluster with a custom resource, and an object of it.
async fn with_a_gear() -> Cluster {
    let cluster = Cluster::of(2).await;
    let server = cluster.server(0);
    let versions = json!([{
        "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}},
    }]);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gears.example.com"},
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"plural": "gears", "kind": "Gear"},
            "versions": versions,
        },
    });
    server.ask(Request::post(DEFINITIONS).json(definition)).await.created();
    until("the custom resource", async || server.get(GEARS).await.is_success().then_some(())).await;
    let gear = json!({"apiVersion": "example.com/v1", "kind": "Gear", "metadata": {"name": "a"}});
    server.ask(Request::post(GEARS).json(gear)).await.created();
    cluster
}

#[tokio::test]
async fn a_path_that_may_be_a_custom_resources_is_not_denied_before_all_are_served() {
    let cluster = with_a_gear().await;
    let store = cluster.viewpoint();
    let (config, assembly, scope) = cluster.assemble(&store).await.unwrap();
    let server = Server { api: Arc::clone(&assembly.api), store, scope };
    let gear = format!("{GEARS}/a");
    // Each path, and the code that it is answered with later.
    let paths = [
        (gear.as_str(), 200),
        (GEARS, 200),
        ("/apis/example.com/v1", 200),
        ("/apis/example.com", 200),
        ("/apis/example.com/v1/gears/b", 404),
        ("/apis/nowhere.example.com/v1/gears", 404),
        ("/apis/nowhere.example.com/v1", 404),
        ("/apis/nowhere.example.com", 404),
        ("/nowhere", 404),
    ];
    for (path, _) in paths {
        let answer = server.get(path).await.refused(503, "ServiceUnavailable", STARTING);
        assert_eq!(answer.body["details"], json!({"retryAfterSeconds": 5}), "{path}");
        assert_eq!(answer.headers["retry-after"], "5", "{path}");
    }
    // These are known to be nobody's.
    let known = ["/apis/apps/v1/nothings", "/api/v1/nothings", "/apis/apps/v0/deployments"];
    for path in known {
        server.get(path).await.has_code(404);
    }
    server.get("/api/v1/namespaces/default").await.ok();
    within("the start", assembly.begin(&config, &server.scope)).await.unwrap();
    for (path, code) in paths.into_iter().chain(known.map(|path| (path, 404))) {
        server.get(path).await.has_code(code);
    }
    server.stop().await;
}
