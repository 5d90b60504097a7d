//! Two servers on one store, of which one is behind: what it refuses holds for what the store has, not for what its
//! caches show.

use std::sync::Arc;

use corten_store::{Encoding, Expect, Put, Store};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixture::{Answer, Cluster, Fault, On, Request, Settings, StoreCall, Verb, eventually, within};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const RUNTIMES: &str = "/apis/node.k8s.io/v1/runtimeclasses";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Two servers. The second one's caches show all that was asked for before [`Two::part`], and nothing after it.
struct Two(Cluster);

impl Two {
    async fn start() -> Two {
        Two(Cluster::of(2).await)
    }

    /// What the first server answers.
    async fn first(&self, request: Request) -> Answer {
        let answer = self.0.server(0).ask(request).await;
        answer.clone().ok();
        answer
    }

    /// From now on the second server is behind.
    async fn part(&self) {
        self.0.server(1).release_feed();
        // A consistent read, after which its caches show all that is stored.
        self.0.server(1).get(MAPS).await.ok();
        self.0.server(1).hold_feed();
    }

    /// What the second server answers. Its caches catch up only when it waits for that.
    async fn behind(&self, request: Request) -> Answer {
        let server = self.0.server(1);
        let mut pending = server.begin(request);
        if let Some(answer) = pending.advance(20).await {
            return answer;
        }
        server.release_feed();
        within("an answer", pending).await
    }

    async fn made(&self, collection: &str, object: Value) -> Answer {
        self.first(Request::post(collection).json(object)).await
    }
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

fn pod(name: &str, more: Value) -> Value {
    let mut pod = named(name);
    pod["spec"] = json!({"containers": [{"name": "c", "image": "example.test/c:1"}]});
    pod["spec"].as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    pod
}

fn path(collection: &str, name: &str) -> String {
    format!("{collection}/{name}")
}

#[tokio::test]
async fn what_an_object_needs_may_have_been_made_elsewhere() {
    let check = async |needed: &[(&str, Value)], collection: &str, object: Value| {
        let two = Two::start().await;
        two.made(ACCOUNTS, named("default")).await;
        two.part().await;
        for (collection, object) in needed {
            two.made(collection, object.clone()).await;
        }
        two.behind(Request::post(collection).json(object)).await.created();
    };
    let namespace = ("/api/v1/namespaces", named("new"));
    check(std::slice::from_ref(&namespace), "/api/v1/namespaces/new/configmaps", named("a")).await;
    let account = ("/api/v1/namespaces/new/serviceaccounts", named("default"));
    check(&[namespace, account], "/api/v1/namespaces/new/pods", pod("a", json!({}))).await;
    let class = json!({"metadata": {"name": "high"}, "value": 5});
    check(&[(CLASSES, class)], PODS, pod("a", json!({"priorityClassName": "high"}))).await;
    let class = json!({"metadata": {"name": "sandbox"}, "handler": "sandbox"});
    check(&[(RUNTIMES, class)], PODS, pod("a", json!({"runtimeClassName": "sandbox"}))).await;
}

#[tokio::test]
async fn a_runtime_class_that_has_changed_is_taken_as_it_is() {
    let two = Two::start().await;
    two.made(ACCOUNTS, named("default")).await;
    let class = |cpu: &str, zone: &str| {
        let (overhead, scheduling) = (json!({"podFixed": {"cpu": cpu}}), json!({"nodeSelector": {"zone": zone}}));
        json!({"metadata": {"name": "r"}, "handler": "r", "overhead": overhead, "scheduling": scheduling})
    };
    two.made(RUNTIMES, class("1", "old")).await;
    two.part().await;
    two.first(Request::delete(path(RUNTIMES, "r"))).await;
    two.made(RUNTIMES, class("2", "new")).await;
    let spec = json!({"runtimeClassName": "r", "nodeSelector": {"zone": "new"}});
    let made = two.behind(Request::post(PODS).json(pod("a", spec))).await.created();
    assert_eq!(made["spec"]["overhead"], json!({"cpu": "2"}));
}

#[tokio::test]
async fn what_stood_in_the_way_may_have_gone_elsewhere() {
    let two = Two::start().await;
    let class = |name: &str| json!({"metadata": {"name": name}, "value": 5, "globalDefault": true});
    two.made(CLASSES, class("first")).await;
    two.part().await;
    two.first(Request::delete(path(CLASSES, "first"))).await;
    two.behind(Request::post(CLASSES).json(class("second"))).await.created();
}

#[tokio::test]
async fn the_newest_revision_is_never_refused() {
    for verb in ["put", "delete", "precondition", "test"] {
        let two = Two::start().await;
        two.made(MAPS, named("a")).await;
        two.part().await;
        let changed = two.first(Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "1"}}))).await;
        let (uid, revision) = (changed.uid(), changed.text("/metadata/resourceVersion"));
        let of_a = path(MAPS, "a");
        let request = match verb {
            "put" => {
                let mut object = changed.body.clone();
                object["data"]["n"] = "2".into();
                Request::put(of_a).json(object)
            }
            "delete" => Request::delete(of_a).json(json!({"preconditions": {"uid": uid, "resourceVersion": revision}})),
            "precondition" => Request::delete(format!("{of_a}?resourceVersion={revision}")),
            _ => Request::json_patch(of_a, json!([{"op": "test", "path": "/data/n", "value": "1"}])),
        };
        assert!(two.behind(request).await.is_success(), "{verb}");
    }
}

#[tokio::test]
async fn an_older_revision_stays_refused() {
    let two = Two::start().await;
    let old = two.made(MAPS, named("a")).await;
    two.first(Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "1"}}))).await;
    two.part().await;
    two.first(Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "2"}}))).await;
    let revision = old.text("/metadata/resourceVersion");
    let delete = Request::delete(format!("{MAPS}/a?resourceVersion={revision}"));
    two.behind(delete).await.refused(409, "Conflict", "does not match the ResourceVersion in record");
    two.part().await;
    two.behind(Request::put(path(MAPS, "a")).json(old.body)).await.refused(409, "Conflict", "has been modified");
}

#[tokio::test]
async fn an_object_made_elsewhere_is_found() {
    let check = async |collection: &str, object: Value, request: Request, code: u16| {
        let two = Two::start().await;
        two.part().await;
        two.made(collection, object).await;
        two.behind(request).await.has_code(code);
    };
    let configuration = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"n": "1"}});
    check(MAPS, named("a"), Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "1"}})), 200).await;
    check(MAPS, named("a"), Request::apply(&path(MAPS, "a"), "one", configuration), 200).await;
    check(MAPS, named("a"), Request::delete(path(MAPS, "a")), 200).await;
    // A PUT makes what is not there, but a Lease that is there wants to be named by its revision.
    check(LEASES, named("a"), Request::put(path(LEASES, "a")).json(named("a")), 422).await;
    let service = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}});
    check(SERVICES, service.clone(), Request::put(path(SERVICES, "a")).json(service), 200).await;
    let dry_run = Request::post(format!("{MAPS}?dryRun=All")).json(named("a"));
    check(MAPS, named("a"), dry_run, 409).await;
}

#[tokio::test]
async fn a_dry_run_is_not_behind() {
    let two = Two::start().await;
    two.made(MAPS, named("a")).await;
    two.part().await;
    two.first(Request::delete(path(MAPS, "a"))).await;
    let on_a = format!("{MAPS}/a?dryRun=All");
    two.behind(Request::delete(&on_a)).await.has_code(404);
    two.behind(Request::merge_patch(&on_a, json!({"data": {"n": "1"}}))).await.has_code(404);
    two.behind(Request::post(format!("{MAPS}?dryRun=All")).json(named("a"))).await.has_code(201);
}

/// What was tried counts, not what the caches show by the time of the refusal.
#[tokio::test]
async fn caches_may_catch_up_while_the_store_is_asked() {
    let two = Two::start().await;
    two.made(MAPS, named("a")).await;
    two.part().await;
    let changed = two.first(Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "1"}}))).await;
    let (server, revision) = (two.0.server(1), changed.revision());
    let hold = server.store.hold_answers(On::read("/registry/configmaps/"));
    let mut pending = server.begin(Request::put(path(MAPS, "a")).json(changed.body));
    assert_eq!(pending.advance(5).await, None);
    server.release_feed();
    eventually("the caches to catch up", || {
        let kept = server.api.lookup("", "configmaps", "default/a").expect("it can be read");
        kept.is_some_and(|kept| kept.revision == revision)
    })
    .await;
    drop(hold);
    within("an answer", pending).await.has_code(200);
}

/// The caches of the second server show an object that is as the request wants it.
#[tokio::test]
async fn what_changes_nothing_is_compared_with_the_newest_object() {
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let settings = Settings { servers: 2, encoding: Some(encoding), ..Settings::default() };
        let two = Two(Cluster::with(settings).await);
        two.made(MAPS, json!({"metadata": {"name": "a"}, "data": {"n": "1"}})).await;
        two.part().await;
        two.first(Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "2"}}))).await;
        let changed = two.behind(Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "1"}}))).await;
        assert!(changed.is_success());
        let now = two.0.server(0).get(&path(MAPS, "a")).await;
        assert_eq!((now.text("/data/n"), now.revision()), ("1", changed.revision()), "{encoding:?}");
    }
}

/// The caches of the second server show a pod that has its grace period, so that there would be nothing to do.
#[tokio::test]
async fn a_pod_made_anew_elsewhere_is_the_one_that_is_deleted() {
    let two = Two::start().await;
    two.made(ACCOUNTS, named("default")).await;
    let bound = pod("a", json!({"nodeName": "n"}));
    two.made(PODS, bound.clone()).await;
    two.first(Request::delete(path(PODS, "a"))).await;
    two.part().await;
    two.first(Request::delete(format!("{PODS}/a?gracePeriodSeconds=0"))).await;
    let anew = two.made(PODS, bound).await;
    let deleted = two.behind(Request::delete(path(PODS, "a"))).await;
    assert_eq!((deleted.code, deleted.uid()), (200, anew.uid()));
    let left = two.0.server(0).get(&path(PODS, "a")).await;
    assert_ne!(left.text("/metadata/deletionTimestamp"), "");
}

#[tokio::test]
async fn rights_given_elsewhere_may_be_given_on() {
    let two = Two::start().await;
    let rules = |groups: &str, resources: &str, verbs: &[&str]| json!([{"apiGroups": [groups], "resources": [resources], "verbs": verbs}]);
    let bind = async |role: &str| {
        let role_ref = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role});
        let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"});
        let binding = json!({"metadata": {"name": role}, "roleRef": role_ref, "subjects": [subject]});
        two.made(&format!("{RBAC}/clusterrolebindings"), binding).await;
    };
    let roles = format!("{RBAC}/clusterroles");
    let maker = rules("rbac.authorization.k8s.io", "clusterroles", &["create"]);
    two.made(&roles, json!({"metadata": {"name": "maker"}, "rules": maker})).await;
    bind("maker").await;
    let reader = json!({"metadata": {"name": "copy"}, "rules": rules("", "pods", &["get"])});
    let ask = || Request::post(&roles).json(reader.clone()).as_user("alice", &["system:authenticated"]);
    two.part().await;
    two.behind(ask()).await.refused(403, "Forbidden", "is attempting to grant");
    two.part().await;
    two.made(&roles, json!({"metadata": {"name": "reader"}, "rules": rules("", "pods", &["get"])})).await;
    bind("reader").await;
    two.behind(ask()).await.created();
}

#[tokio::test]
async fn an_account_made_anew_elsewhere_is_the_one_that_counts() {
    let two = Two::start().await;
    two.made(ACCOUNTS, named("robot")).await;
    two.part().await;
    two.first(Request::delete(path(ACCOUNTS, "robot"))).await;
    let anew = two.made(ACCOUNTS, named("robot")).await;
    let tokens = format!("{ACCOUNTS}/robot/token");
    let issued = two.first(Request::post(&tokens).json(json!({"spec": {}}))).await;
    let bearing = Request::get("/api").bearer(issued.text("/status/token"));
    two.behind(bearing).await.has_code(200);

    two.part().await;
    two.first(Request::delete(path(ACCOUNTS, "robot"))).await;
    let third = two.made(ACCOUNTS, named("robot")).await;
    assert_ne!(third.uid(), anew.uid());
    let wanted = json!({"metadata": {"uid": third.uid()}, "spec": {}});
    two.behind(Request::post(&tokens).json(wanted)).await.created();
}

#[tokio::test]
async fn a_claim_grows_if_its_class_lets_it_by_now() {
    let two = Two::start().await;
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    two.made(classes, json!({"metadata": {"name": "disk"}, "provisioner": "example.com/disk"})).await;
    let claim = |size: &str| json!({"resources": {"requests": {"storage": size}}});
    let mut spec = claim("1Gi");
    spec["accessModes"] = json!(["ReadWriteOnce"]);
    spec["storageClassName"] = "disk".into();
    spec["volumeName"] = "volume".into();
    two.made(claims, json!({"metadata": {"name": "a"}, "spec": spec})).await;
    two.first(Request::merge_patch(format!("{claims}/a/status"), json!({"status": {"phase": "Bound"}}))).await;
    two.part().await;
    two.first(Request::merge_patch(path(classes, "disk"), json!({"allowVolumeExpansion": true}))).await;
    two.behind(Request::merge_patch(path(claims, "a"), json!({"spec": claim("2Gi")}))).await.has_code(200);
}

/// Somebody has kept an object in another encoding than this server's: whoever changes nothing writes it anew, once.
#[tokio::test]
async fn an_older_encoding_is_replaced_once() {
    for held in [json!(null), json!(["example.com/held"])] {
        let cluster = Cluster::with(Settings { encoding: Some(Encoding::Protobuf), ..Settings::default() }).await;
        let server = cluster.server(0);
        let object = json!({"metadata": {"name": "a", "finalizers": held}, "data": {"n": "1"}});
        server.ask(Request::post(MAPS).json(object)).await.created();
        let request = || match held.is_null() {
            true => Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "1"}})),
            false => Request::delete(path(MAPS, "a")),
        };
        server.ask(request()).await.ok();
        let mut kept = server.get(&path(MAPS, "a")).await;
        kept.body["metadata"].as_object_mut().expect("a map").remove("resourceVersion");
        let put = Put::new("/registry/configmaps/default/a", serde_json::to_vec(&kept.body).unwrap(), Expect::Any);
        let older = cluster.engine().put(put).await.unwrap();
        let anew = server.ask(request()).await.revision();
        assert!(anew > older, "{held}");
        assert_eq!(server.ask(request()).await.revision(), anew, "{held}");
    }
}

/// A success costs no reading of the store.
#[tokio::test]
async fn what_succeeds_on_the_caches_asks_the_store_nothing() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let calls: Arc<Mutex<Vec<Verb>>> = Arc::default();
    let noted = Arc::clone(&calls);
    let note = move |call: &StoreCall| {
        if call.key.starts_with("/registry/configmaps/default/") {
            noted.lock().push(call.verb);
        }
        false
    };
    server.store.fail(On::calls(note), Fault::refused());
    let check = async |request: Request, expected: Verb, what: &str| {
        assert!(server.ask(request).await.is_success(), "{what}");
        assert_eq!(std::mem::take(&mut *calls.lock()), [expected], "{what}");
    };
    check(Request::post(MAPS).json(named("a")), Verb::Put, "create").await;
    check(Request::merge_patch(path(MAPS, "a"), json!({"data": {"n": "1"}})), Verb::Put, "patch").await;
    let configuration = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"n": "1"}});
    check(Request::apply(&path(MAPS, "b"), "one", configuration.clone()), Verb::Put, "apply that makes").await;
    // That nothing has to change is looked up.
    check(Request::apply(&path(MAPS, "b"), "one", configuration), Verb::Get, "apply that changes nothing").await;
    check(Request::delete(path(MAPS, "a")), Verb::Delete, "delete").await;
}
