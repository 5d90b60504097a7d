//! What a server makes by itself: at a start, whoever starts beside it and whatever is in the way, and again when it is
//! deleted; and what it gives up when it has lost its place in the store.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use corten_store::simulation::SimDisk;
use corten_store::{Error, Store};
use serde_json::{Value, json};

use crate::api::Api;
use crate::fixture::{Cluster, Fault, On, Request, Server, Settings, settle, until, within};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const FLOW_SCHEMAS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
const LEVELS: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations";
const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLUSTER_ROLE_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const TRACKING: &str = "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking";

impl Server {
    /// Waits until the path answers, or not any more.
    async fn until_there(&self, path: &str, there: bool) {
        let what = format!("{path} {}", if there { "is there" } else { "is gone" });
        until(&what, async || (self.get(path).await.is_success() == there).then_some(())).await;
    }

    async fn is_ready(&self) -> bool {
        self.get("/readyz").await.code == 200
    }
}

/// Two servers on one disk. The second has read the store, and stops at its first write of a key that begins so; then
/// the first starts, and then the second goes on.
async fn start_at_odds(settings: Settings, prefix: &str) -> Cluster {
    let cluster = Cluster::without_servers(Settings { servers: 2, ..settings }).await;
    let store = cluster.viewpoint();
    let (config, assembly, scope) = cluster.assemble(&store).await.unwrap();
    let hold = store.hold(On::write(prefix));
    let second = async { within("the second start", assembly.begin(&config, &scope)).await.map(drop) };
    let first = async {
        hold.wait_for(1).await;
        let first = cluster.try_server(cluster.viewpoint()).await.unwrap();
        drop(hold);
        first
    };
    let (second, first) = tokio::join!(second, first);
    second.unwrap_or_else(|error| panic!("the second server ends: {error:#}"));
    assert!(first.is_ready().await);
    for scope in [&first.scope, &scope] {
        scope.cancel();
        scope.left().await;
    }
    cluster
}

#[tokio::test]
async fn a_fresh_store_is_filled_by_two_at_once() {
    for prefix in ["/registry/namespaces/", "/registry/clusterroles/", "/registry/rolebindings/", "/registry/services/"]
    {
        Box::pin(start_at_odds(Settings { disk: Some(SimDisk::default()), ..Settings::default() }, prefix)).await;
    }
}

#[tokio::test]
async fn roles_are_completed_by_two_at_once() {
    let cluster = Cluster::start().await;
    let rules = json!({"rules": []});
    cluster.server(0).ask(Request::merge_patch(format!("{CLUSTER_ROLES}/system:discovery"), rules)).await.ok();
    cluster.server(0).stop().await;
    within("closing the store", cluster.engine().close()).await.unwrap();
    let settings = Settings { disk: Some(cluster.disk.copy()), ..Settings::default() };
    Box::pin(start_at_odds(settings, "/registry/clusterroles/")).await;
}

#[tokio::test]
async fn two_become_dual_stack_at_once() {
    let settings = Settings { service_ranges: "10.96.0.0/16,fd00:96::/112", ..Settings::default() };
    let mut cluster = Box::pin(start_at_odds(settings, "/registry/servicecidrs/")).await;
    let range = cluster.add_server().await.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").await.ok();
    assert_eq!(range["spec"]["cidrs"], json!(["10.96.0.0/16", "fd00:96::/112"]));
}

/// A binding of a default name refers to another role, and cannot be deleted.
#[tokio::test]
async fn an_object_in_the_way_keeps_the_server_unready_until_it_is_mended() {
    let mut cluster = Cluster::start().await;
    let path = format!("{CLUSTER_ROLE_BINDINGS}/system:discovery");
    let mut binding = cluster.server(0).get(&path).await.ok();
    cluster.server(0).ask(Request::delete(&path)).await.ok();
    binding["metadata"] = json!({"name": "system:discovery", "finalizers": ["example.test/wait"]});
    binding["roleRef"]["name"] = "view".into();
    cluster.server(0).ask(Request::post(CLUSTER_ROLE_BINDINGS).json(binding)).await.created();
    cluster.restart_server(0).await;

    let server = cluster.server(0);
    let said = server.get("/readyz").await;
    assert_eq!(said.code, 500);
    let said = String::from_utf8_lossy(&said.bytes);
    assert!(said.contains("[-]poststarthook/rbac/bootstrap-roles"), "{said}");
    let waiting = server.get(&path).await;
    assert_ne!(waiting.text("/metadata/deletionTimestamp"), "");
    cluster.advance(Duration::from_secs(600)).await;
    assert_eq!(server.get(&path).await.revision(), waiting.revision(), "it was written again");
    server.ask(Request::merge_patch(&path, json!({"metadata": {"finalizers": null}}))).await.ok();
    until("the server is ready", async || server.is_ready().await.then_some(())).await;
    assert_eq!(server.get(&path).await.text("/roleRef/name"), "system:discovery");
}

#[tokio::test]
async fn a_store_that_refuses_at_the_start_is_outlived() {
    let cluster = Cluster::without_servers(Settings { disk: Some(SimDisk::default()), ..Settings::default() }).await;
    let store = cluster.viewpoint();
    // Fewer than attempts at what a start cannot do without.
    store.fail_after(3, 5, On::write("/registry/"), Fault::refused());
    let time_passes = async {
        loop {
            settle().await;
            cluster.time.advance(Duration::from_millis(100));
        }
    };
    let server = tokio::select! {
        server = cluster.try_server(store) => server.unwrap(),
        () = time_passes => unreachable!("time passes for ever"),
    };
    until("the server is ready", async || {
        cluster.advance(Duration::from_secs(60)).await;
        server.is_ready().await.then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn what_every_cluster_has_comes_back() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    for path in [
        format!("{FLOW_SCHEMAS}/probes"),
        format!("{FLOW_SCHEMAS}/catch-all"),
        format!("{LEVELS}/workload-low"),
        TRACKING.to_owned(),
    ] {
        let before = server.get(&path).await;
        server.ask(Request::delete(&path)).await.ok();
        until(&path, async || {
            let now = server.get(&path).await;
            let anew = now.is_success() && now.uid() != before.uid();
            (anew && now.body["spec"] == before.body["spec"]).then_some(())
        })
        .await;
    }
    let lease = "/api/v1/namespaces/kube-node-lease";
    let mut namespace = server.get(lease).await.ok();
    server.ask(Request::delete(lease)).await.ok();
    namespace["spec"]["finalizers"] = json!([]);
    namespace["metadata"]["resourceVersion"] = Value::Null;
    server.ask(Request::put(format!("{lease}/finalize")).json(namespace.clone())).await.ok();
    until("the namespace of nodes' leases", async || {
        let found = server.get(lease).await;
        (found.is_success() && found.uid() != namespace["metadata"]["uid"]).then_some(())
    })
    .await;
}

/// Nobody may change the spec of the mandatory ones, but for what `exempt` lends; and their annotation is the server's.
#[tokio::test]
async fn what_is_suggested_is_set_right_unless_the_operator_took_it_over() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let shares = json!({"spec": {"limited": {"nominalConcurrencyShares": 77}}});
    let own = json!({"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}});
    for name in ["leader-election", "catch-all"] {
        server.ask(Request::merge_patch(format!("{LEVELS}/{name}"), own.clone())).await.ok();
    }
    for name in ["leader-election", "system"] {
        server.ask(Request::merge_patch(format!("{LEVELS}/{name}"), shares.clone())).await.ok();
    }
    let of = async |name: &str| {
        let level = server.get(&format!("{LEVELS}/{name}")).await.ok();
        let annotation = level["metadata"]["annotations"]["apf.kubernetes.io/autoupdate-spec"].clone();
        (level["spec"]["limited"]["nominalConcurrencyShares"].clone(), annotation)
    };
    until("a level to be set right", async || (of("system").await == (json!(30), json!("true"))).then_some(())).await;
    until("the annotation", async || (of("catch-all").await == (json!(5), json!("true"))).then_some(())).await;
    assert_eq!(of("leader-election").await, (json!(77), json!("false")));
}

/// Somebody deletes what the server makes, each time at once.
#[tokio::test]
async fn a_fight_is_fought_ever_more_slowly() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let path = format!("{FLOW_SCHEMAS}/probes");
    let mut deleted = 0;
    // Without the clock moving, a fight has to come to an end.
    for _ in 0..500 {
        deleted += usize::from(server.ask(Request::delete(&path)).await.is_success());
        settle().await;
    }
    assert!((2..=20).contains(&deleted), "{deleted} times");
    cluster.advance(Duration::from_secs(60)).await;
    server.until_there(&path, true).await;
}

#[tokio::test]
async fn an_object_that_waits_for_its_finalizers_is_left_alone() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = json!({
        "metadata": {"name": "things.example.test"},
        "spec": {
            "group": "example.test",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
    });
    server.ask(Request::post(definitions).json(definition)).await.created();
    let service = format!("{API_SERVICES}/v1.example.test");
    server.until_there(&service, true).await;
    let hold = json!({"metadata": {"finalizers": ["example.test/wait"]}});
    server.ask(Request::merge_patch(&service, hold)).await.ok();
    server.ask(Request::delete(format!("{definitions}/things.example.test"))).await.ok();
    let revision = until("the APIService is marked", async || {
        let found = server.get(&service).await;
        (!found.text("/metadata/deletionTimestamp").is_empty()).then(|| found.revision())
    })
    .await;
    let calls = server.store.calls();
    for round in 0..20 {
        // Each change of any APIService has the server look at all of them.
        let label = json!({"metadata": {"labels": {"round": round.to_string()}}});
        server.ask(Request::merge_patch(format!("{API_SERVICES}/v1.apps"), label)).await.ok();
        settle().await;
    }
    assert_eq!(server.get(&service).await.revision(), revision);
    let calls = server.store.calls() - calls;
    assert!(calls < 100, "{calls} calls of the store");
    server.ask(Request::merge_patch(&service, json!({"metadata": {"finalizers": null}}))).await.ok();
    server.until_there(&service, false).await;
}

/// A server loses its place in the store, and what happens meanwhile it learns by reading the store anew.
#[tokio::test]
async fn rights_that_were_revoked_meanwhile_are_gone() {
    let cluster = Cluster::of(2).await;
    let (one, two) = (cluster.server(0), cluster.server(1));
    let binding = json!({
        "metadata": {"name": "alice"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    });
    let role_bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let role = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]});
    one.ask(Request::merge_patch(format!("{CLUSTER_ROLES}/view"), role)).await.ok();
    let pods = async || two.ask(Request::get("/api/v1/namespaces/default/pods").as_user("alice", &[])).await.code;
    for (collection, reset) in [(CLUSTER_ROLE_BINDINGS, false), (CLUSTER_ROLE_BINDINGS, true), (role_bindings, true)] {
        one.ask(Request::post(collection).json(binding.clone())).await.created();
        until("the right", async || (pods().await == 200).then_some(())).await;
        if reset {
            two.hold_feed();
        }
        one.ask(Request::delete(format!("{collection}/alice"))).await.ok();
        if reset {
            two.store.break_feed(Error::Compacted { requested: 1, compacted: 2 });
            two.release_feed();
        }
        until(&format!("the right of {collection} to end, {reset}"), async || (pods().await == 403).then_some(()))
            .await;
    }
}

/// `kubernetes.io/legacy-token-last-used`, from day to day.
#[tokio::test]
async fn the_use_of_a_token_in_a_secret_is_noted_once_a_day() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let account = json!({"metadata": {"name": "robot"}});
    let account = server.ask(Request::post("/api/v1/namespaces/default/serviceaccounts").json(account)).await.created();
    let token = legacy_token(
        &server.api,
        &json!({
            "iss": "kubernetes/serviceaccount",
            "sub": "system:serviceaccount:default:robot",
            "kubernetes.io/serviceaccount/namespace": "default",
            "kubernetes.io/serviceaccount/secret.name": "robot",
            "kubernetes.io/serviceaccount/service-account.name": "robot",
            "kubernetes.io/serviceaccount/service-account.uid": account["metadata"]["uid"],
        }),
    );
    let secret = json!({
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "robot", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "stringData": {"token": token},
    });
    server.ask(Request::post("/api/v1/namespaces/default/secrets").json(secret)).await.created();
    let path = "/api/v1/namespaces/default/secrets/robot";
    let label = async || {
        let secret = server.get(path).await.ok();
        secret["metadata"]["labels"]["kubernetes.io/legacy-token-last-used"].as_str().map(str::to_owned)
    };
    let use_token = async || server.ask(Request::get("/version").bearer(&token)).await.has_code(200);
    assert_eq!(label().await, None);
    for day in ["2026-01-01", "2026-01-02", "2026-01-03"] {
        use_token().await;
        until(&format!("{day} is noted"), async || (label().await.as_deref() == Some(day)).then_some(())).await;
        let revision = server.get(path).await.revision();
        cluster.advance(DAY / 2).await;
        use_token().await;
        settle().await;
        assert_eq!(server.get(path).await.revision(), revision, "noted again on {day}");
        cluster.advance(DAY / 2).await;
    }
    let counted = server.api.metrics.text();
    let uses = counted.lines().find(|line| line.starts_with("serviceaccount_legacy_manual_token_uses_total"));
    assert_eq!(uses, Some("serviceaccount_legacy_manual_token_uses_total 6"));
}

/// What a controller puts into a Secret.
fn legacy_token(api: &Api, claims: &Value) -> String {
    let key = &api.issuer.key;
    let header = json!({"alg": key.public().algorithm(), "kid": key.public().id()});
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = key.sign(signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", BASE64.encode(signature))
}
