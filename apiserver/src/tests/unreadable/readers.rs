//! Whoever in the server reads an object does not take one that cannot be read for an absent one.

use std::time::Duration;

use corten_store::Store;
use serde_json::{Value, json};

use super::{is_spoiled, make, mend, named, spoil};
use crate::fixture::{Cluster, Request, Server, until};

const PODS: &str = "/api/v1/namespaces/default/pods";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

fn pod(more: Value) -> Request {
    let mut spec = json!({"containers": [{"name": "c", "image": "example.test/c:1"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    Request::post(PODS).json(json!({"metadata": {"generateName": "p-"}, "spec": spec}))
}

async fn made(server: &Server, collection: &str, object: Value) {
    server.ask(Request::post(collection).json(object)).await.created();
}

/// A right that cannot be read grants nothing, at once, and everything again when it can.
#[tokio::test]
async fn rights_that_cannot_be_read_grant_nothing() {
    let mut cluster = Cluster::start().await;
    make(cluster.server(0), &["a"]).await;
    let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]}]);
    let subjects = json!([{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}]);
    let role_ref = json!({"kind": "ClusterRole", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"});
    made(cluster.server(0), &format!("{RBAC}/clusterroles"), json!({"metadata": {"name": "readers"}, "rules": rules}))
        .await;
    let binding = json!({"metadata": {"name": "readers"}, "subjects": subjects, "roleRef": role_ref});
    made(cluster.server(0), &format!("{RBAC}/namespaces/default/rolebindings"), binding).await;
    let asked = || Request::get(super::one("a")).as_user("alice", &["staff"]);
    for key in ["/registry/rolebindings/default/readers", "/registry/clusterroles/readers"] {
        cluster.server(0).ask(asked()).await.ok();
        let value = spoil(&cluster, key).await;
        cluster.server(0).ask(asked()).await.refused(403, "Forbidden", "cannot get resource");
        cluster.restart().await;
        cluster.server(0).ask(asked()).await.refused(403, "Forbidden", "cannot get resource");
        mend(&cluster, key, value).await;
        cluster.server(0).ask(asked()).await.ok();
    }
}

/// Who may not give away any right is told why it is not known what a role gives.
#[tokio::test]
async fn a_role_that_cannot_be_read_is_not_bound() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let group = "rbac.authorization.k8s.io";
    let rules = json!([{"verbs": ["create"], "apiGroups": [group], "resources": ["rolebindings"]}]);
    made(server, &format!("{RBAC}/clusterroles"), json!({"metadata": {"name": "binders"}, "rules": rules})).await;
    let binding = |name: &str, role: &str| {
        let role_ref = json!({"kind": "ClusterRole", "name": role, "apiGroup": group});
        let subjects = json!([{"kind": "User", "name": "alice", "apiGroup": group}]);
        json!({"metadata": {"name": name}, "subjects": subjects, "roleRef": role_ref})
    };
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    made(server, &bindings, binding("binders", "binders")).await;
    let key = "/registry/clusterroles/view";
    spoil(&cluster, key).await;
    let by_alice = Request::post(bindings.as_str()).json(binding("viewers", "view")).as_user("alice", &["staff"]);
    server.ask(by_alice).await.refused(500, "InternalError", key);
}

/// What admission looks up is neither absent nor harmless.
#[tokio::test]
async fn admission_refuses_what_it_cannot_decide() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    made(server, classes, json!({"metadata": {"name": "usual"}, "value": 7, "globalDefault": true})).await;
    let runtime = json!({"metadata": {"name": "box"}, "handler": "box"});
    made(server, "/apis/node.k8s.io/v1/runtimeclasses", runtime).await;
    made(server, "/api/v1/namespaces/default/serviceaccounts", named("robot")).await;
    let robot = || pod(json!({"serviceAccountName": "robot"}));
    let map = || Request::post(super::MAPS).json(named("m"));
    let second = || {
        let class = json!({"metadata": {"name": "second"}, "value": 8, "globalDefault": true});
        Request::post(classes).json(class)
    };
    type Make<'m> = &'m dyn Fn() -> Request;
    let cases: [(&str, &[Make<'_>]); 4] = [
        ("/registry/serviceaccounts/default/robot", &[&robot]),
        ("/registry/runtimeclasses/box", &[&|| pod(json!({"serviceAccountName": "robot", "runtimeClassName": "box"}))]),
        (
            "/registry/priorityclasses/usual",
            &[&robot, &second, &|| pod(json!({"serviceAccountName": "robot", "priorityClassName": "usual"}))],
        ),
        ("/registry/namespaces/default", &[&map, &robot]),
    ];
    for (key, requests) in cases {
        let value = spoil(&cluster, key).await;
        for request in requests {
            server.ask(request()).await.refused(500, "InternalError", key);
        }
        mend(&cluster, key, value).await;
    }
    // A class that is known to be the default is the only one.
    made(server, classes, json!({"metadata": {"name": "other"}, "value": 9})).await;
    spoil(&cluster, "/registry/priorityclasses/other").await;
    assert_eq!(server.ask(robot()).await.created()["spec"]["priority"], 7);
    server.ask(map()).await.created();
}

#[tokio::test]
async fn a_claim_does_not_grow_by_a_class_that_cannot_be_read() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let class = json!({"metadata": {"name": "disk"}, "provisioner": "example.com/disk", "allowVolumeExpansion": true});
    made(server, "/apis/storage.k8s.io/v1/storageclasses", class).await;
    let size = |size: &str| json!({"resources": {"requests": {"storage": size}}});
    let mut spec = size("1Gi");
    spec["accessModes"] = json!(["ReadWriteOnce"]);
    spec["storageClassName"] = "disk".into();
    spec["volumeName"] = "volume".into();
    made(server, claims, json!({"metadata": {"name": "a"}, "spec": spec})).await;
    let bound = json!({"status": {"phase": "Bound"}});
    server.ask(Request::merge_patch(format!("{claims}/a/status"), bound)).await.ok();
    let key = "/registry/storageclasses/disk";
    let value = spoil(&cluster, key).await;
    let grow = || Request::merge_patch(format!("{claims}/a"), json!({"spec": size("2Gi")}));
    server.ask(grow()).await.refused(500, "InternalError", key);
    mend(&cluster, key, value).await;
    server.ask(grow()).await.ok();
}

/// Of an account that cannot be read nobody says that it does not exist, and nobody gets in by it.
#[tokio::test]
async fn accounts_that_cannot_be_read_let_nobody_in() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    made(server, accounts, named("robot")).await;
    let tokens = || Request::post(format!("{accounts}/robot/token")).json(json!({"spec": {}}));
    let issued = server.ask(tokens()).await;
    let version = || Request::get("/version").bearer(issued.text("/status/token"));
    let key = "/registry/serviceaccounts/default/robot";
    let value = spoil(&cluster, key).await;
    server.ask(tokens()).await.refused(500, "InternalError", key);
    server.ask(version()).await.has_code(401);
    mend(&cluster, key, value).await;
    server.ask(tokens()).await.created();
}

/// A token for a pod on a node that cannot be read would say that the node does not exist.
#[tokio::test]
async fn no_token_for_a_pod_on_a_node_that_cannot_be_read() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    made(server, "/api/v1/namespaces/default/serviceaccounts", named("robot")).await;
    made(server, "/api/v1/nodes", json!({"metadata": {"name": "n"}})).await;
    let pod = server.ask(pod(json!({"serviceAccountName": "robot", "nodeName": "n"}))).await;
    let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": pod.name(), "uid": pod.uid()});
    let tokens = || {
        let path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
        Request::post(path).json(json!({"spec": {"boundObjectRef": bound}}))
    };
    server.ask(tokens()).await.created();
    let key = "/registry/minions/n";
    spoil(&cluster, key).await;
    server.ask(tokens()).await.refused(500, "InternalError", key);
}

/// What every cluster has is neither made anew nor written over, and nothing false is said because of it.
#[tokio::test]
async fn upkeep_leaves_alone_what_it_cannot_read() {
    const KEYS: [&str; 9] = [
        "/registry/namespaces/kube-public",
        "/registry/flowschemas/catch-all",
        "/registry/flowschemas/probes",
        "/registry/prioritylevelconfigurations/workload-low",
        "/registry/apiregistration.k8s.io/apiservices/v1.apps",
        "/registry/configmaps/kube-system/extension-apiserver-authentication",
        "/registry/configmaps/kube-system/kube-apiserver-legacy-service-account-token-tracking",
        "/registry/services/specs/default/kubernetes",
        "/registry/servicecidrs/kubernetes",
    ];
    let schema = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/service-accounts";
    let dangling = async |server: &Server| {
        let schema = server.get(schema).await.ok();
        let mut conditions = schema["status"]["conditions"].as_array().into_iter().flatten();
        conditions.find(|condition| condition["type"] == "Dangling").cloned().unwrap_or_default()
    };
    let mut cluster = Cluster::start().await;
    assert_eq!(dangling(cluster.server(0)).await["status"], "False");
    for key in KEYS {
        assert!(spoil(&cluster, key).await.is_some(), "{key}");
    }
    for restarted in [false, true] {
        if restarted {
            cluster.restart().await;
        }
        for _ in 0..3 {
            cluster.advance(Duration::from_secs(61)).await;
        }
        for key in KEYS {
            assert!(is_spoiled(&cluster, key).await, "{key}, {restarted}");
        }
        assert_eq!(dangling(cluster.server(0)).await["status"], "False", "{restarted}");
    }
}

/// The others are made all the same.
#[tokio::test]
async fn an_initial_object_that_cannot_be_read_holds_up_no_other() {
    let mut cluster = Cluster::start().await;
    let (unreadable, missing) = ("/registry/clusterroles/admin", "/registry/clusterroles/view");
    let value = spoil(&cluster, unreadable).await;
    cluster.engine().delete(missing.into(), corten_store::Expect::Any).await.expect("a delete");
    cluster.restart().await;
    let server = cluster.server(0);
    server.get(&format!("{RBAC}/clusterroles/view")).await.ok();
    assert!(is_spoiled(&cluster, unreadable).await);
    assert_eq!(server.get("/readyz").await.code, 500, "it cannot be seen to");
    mend(&cluster, unreadable, value).await;
    until("readiness", async || {
        cluster.advance(Duration::from_secs(1)).await;
        (server.get("/readyz").await.code == 200).then_some(())
    })
    .await;
}
