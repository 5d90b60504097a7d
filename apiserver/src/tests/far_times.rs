//! Times that no client may send as text: what holds one can still be read, changed and deleted, after a restart too.

use corten_object::json::{Form, parse_written};
use corten_object::protobuf;
use corten_store::{Expect, Put, Store};
use serde_json::{Value, json};

use crate::fixture::{Cluster, Request, Server};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const PODS: &str = "/api/v1/namespaces/default/pods";
const POD: &str = "/api/v1/namespaces/default/pods/a";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const SERVICE: &str = "/api/v1/namespaces/default/services/a";

/// A cluster with a pod that a node has.
async fn with_pod() -> Cluster {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.ask(Request::post(ACCOUNTS).json(json!({"metadata": {"name": "default"}}))).await.created();
    let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "example.test/c:1"}]});
    server.ask(Request::post(PODS).json(json!({"metadata": {"name": "a"}, "spec": spec}))).await.created();
    cluster
}

/// The names in the table of a collection.
async fn rows(server: &Server, collection: &str) -> Vec<String> {
    let request = Request::get(collection).header("accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    let table = server.ask(request).await.ok();
    let rows = table["rows"].as_array().expect("a table");
    rows.iter().map(|row| row["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn labelled() -> Value {
    json!({"metadata": {"labels": {"seen": "yes"}}})
}

#[tokio::test]
async fn a_pod_with_a_grace_period_of_any_length_can_go() {
    for (grace, deadline) in [(1_000_000_000_000, "2148-10-27T00:40:19Z"), (i64::MAX, "2025-12-31T23:59:59Z")] {
        let mut cluster = with_pod().await;
        let server = cluster.server(0);
        server.ask(Request::delete(format!("{POD}?gracePeriodSeconds={grace}"))).await.ok();
        let marked = server.get(POD).await;
        assert_eq!(marked.text("/metadata/deletionTimestamp"), deadline);
        assert_eq!(marked.body["metadata"]["deletionGracePeriodSeconds"], json!(grace));
        assert_eq!(rows(server, PODS).await, ["a"]);
        server.ask(Request::merge_patch(POD, labelled())).await.ok();

        cluster.restart().await;
        let server = cluster.server(0);
        assert_eq!(rows(server, PODS).await, ["a"]);
        server.ask(Request::delete(format!("{POD}?gracePeriodSeconds=0"))).await.ok();
        server.get(POD).await.has_code(404);
    }
}

/// What an earlier server, or another one, has kept.
#[tokio::test]
async fn a_pod_whose_end_is_kept_as_far_off_can_go() {
    for far in ["33715-01-01T00:00:00Z", "-0001-12-31T23:59:59Z"] {
        let mut cluster = with_pod().await;
        let mut kept = cluster.server(0).get(POD).await.ok();
        let metadata = kept["metadata"].as_object_mut().expect("a map");
        metadata.remove("resourceVersion");
        metadata.insert("deletionTimestamp".into(), far.into());
        metadata.insert("deletionGracePeriodSeconds".into(), 30.into());
        let put = Put::new("/registry/pods/default/a", serde_json::to_vec(&kept).expect("JSON"), Expect::Any);
        cluster.engine().put(put).await.expect("it is stored");

        cluster.restart().await;
        let server = cluster.server(0);
        assert_eq!(server.get(POD).await.text("/metadata/deletionTimestamp"), far);
        assert_eq!(rows(server, PODS).await, ["a"]);
        // As upstream: what a patch leads to is read as a client's.
        let patched = server.ask(Request::merge_patch(POD, labelled())).await;
        patched.refused(422, "Invalid", "parsing time");
        server.ask(Request::delete(format!("{POD}?gracePeriodSeconds=0"))).await.ok();
        server.get(POD).await.has_code(404);
    }
}

#[tokio::test]
async fn a_service_with_a_far_time_in_its_managed_fields_harms_nobody() {
    const FAR: &str = "10000-01-01T00:00:00Z";
    let mut cluster = Cluster::start().await;
    // A field that the service lacks, so that its creator does not take it over.
    let entry = json!({
        "manager": "m",
        "operation": "Update",
        "apiVersion": "v1",
        "time": FAR,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:gone": {}}}},
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "managedFields": [entry]},
        "spec": {"ports": [{"port": 80}]},
    });
    let ty = corten_schema::kind("", "v1", "Service").expect("the tables have it").ty;
    let tree = parse_written(service.to_string().into_bytes(), Form::Typed(ty)).expect("a Service").tree;
    let body = protobuf::encode(tree.root());
    let server = cluster.server(0);
    server.ask(Request::post(SERVICES).typed("application/vnd.kubernetes.protobuf", body)).await.has_code(201);

    let far = |service: &Value| {
        let entries = service["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["time"] == FAR)
    };
    assert!(far(&server.get(SERVICE).await.ok()));
    assert!(rows(server, SERVICES).await.contains(&"a".to_owned()));
    cluster.restart().await;
    let server = cluster.server(0);
    assert!(far(&server.get(SERVICE).await.ok()));
    let nobodys = json!({"metadata": {"managedFields": [{}]}});
    assert!(!far(&server.ask(Request::merge_patch(SERVICE, nobodys)).await.ok()));
    server.ask(Request::delete(SERVICE)).await.ok();
    server.get(SERVICE).await.has_code(404);
}
