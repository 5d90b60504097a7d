//! How many requests are answered at the same time, how many bytes they hold, and what counts them.

use futures::FutureExt;
use http_body_util::BodyExt;
use serde_json::json;

use crate::fixture::{
    Answer, Cluster, Hold, On, Request, Server, Settings, StoreCall, Verb, eventually, settle, within,
};
use crate::http::ApiResponse;
use crate::in_flight::Mutation;
use crate::server::Limits;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

/// A server where everybody may do everything, with these limits.
async fn open_to_all(limits: Limits, bytes: usize) -> Cluster {
    let settings = Settings { requests_in_flight: limits, request_bytes_max: bytes, ..Settings::default() };
    let cluster = Cluster::with(settings).await;
    let subjects = ["system:unauthenticated", "system:authenticated"]
        .map(|group| json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group}));
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    let binding = json!({"metadata": {"name": "all"}, "roleRef": role, "subjects": subjects});
    cluster.server(0).ask(Request::post(BINDINGS).json(binding)).await.created();
    cluster
}

fn stranger(path: &str) -> Request {
    Request::get(path).anonymous()
}

fn map(name: &str, bytes: usize) -> Request {
    let map = json!({"metadata": {"name": name}, "data": {"text": "x".repeat(bytes)}});
    Request::post(MAPS).json(map).anonymous()
}

/// Consistent reads wait.
fn hold_reads(server: &Server) -> Hold {
    server.store.hold(On::calls(|call: &StoreCall| call.verb == Verb::Revision))
}

#[track_caller]
fn too_many(answer: Answer) {
    let answer = answer.has_code(429);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.bytes, b"Too many requests, please try again later.\n");
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_as_upstream_refuses_them() {
    let cluster = open_to_all(Limits { reads: 2, writes: 1 }, 1 << 20).await;
    let server = cluster.server(0);
    let accounts = "/api/v1/namespaces/kube-system/serviceaccounts";
    server.ask(Request::post(accounts).json(json!({"metadata": {"name": "a"}}))).await.created();
    let token = Request::post(format!("{accounts}/a/token")).json(json!({"spec": {}}));
    let token = server.ask(token).await.created()["status"]["token"].as_str().unwrap_or_default().to_owned();
    let hold = hold_reads(server);
    let mut held = [server.begin(stranger(MAPS)), server.begin(stranger(MAPS))];
    for request in &mut held {
        assert_eq!(request.advance(1).await, None);
    }
    let now = format!("{MAPS}?resourceVersion=0");
    too_many(server.ask(stranger(&now)).await);
    // Others than strangers are served, and so is what takes no seat.
    server.get(&now).await.ok();
    server.ask(Request::get(&now).bearer(&token)).await.ok();
    server.ask(stranger("/livez")).await.has_code(200);
    assert!(server.try_watch(stranger(&format!("{now}&allowWatchBookmarks=true"))).await.is_ok());
    // A client that leaves gives its seat to another.
    let [left, stays] = held;
    drop(left);
    server.ask(stranger(&now)).await.ok();
    drop(hold);
    within("an answer", stays).await.ok();
    assert_eq!(server.api.in_flight.taken(Mutation::Reads), 0);
    let metrics = server.api.metrics.text();
    let dropped = "apiserver_request_terminations_total{code=\"429\",component=\"apiserver\",group=\"\",resource=\"configmaps\",scope=\"namespace\",subresource=\"\",verb=\"LIST\",version=\"v1\"} 1\n";
    assert!(metrics.contains(dropped), "{metrics}");
    assert!(metrics.contains("apiserver_current_inflight_requests{request_kind=\"readOnly\"} 3\n"), "{metrics}");
}

#[tokio::test]
async fn a_write_that_goes_on_without_its_client_keeps_its_seat() {
    let cluster = open_to_all(Limits { reads: 0, writes: 1 }, 1 << 20).await;
    let server = cluster.server(0);
    let hold = server.store.hold(On::write("/registry/configmaps/"));
    let mut write = server.begin(map("a", 1));
    assert_eq!(write.advance(3).await, None);
    hold.wait_for(1).await;
    too_many(server.ask(map("b", 1)).await);
    drop(write);
    settle().await;
    too_many(server.ask(map("b", 1)).await);
    drop(hold);
    eventually("the end of the write", || server.api.in_flight.taken(Mutation::Writes) == 0).await;
    assert_eq!(
        server.get(MAPS).await.names(),
        ["a", "kube-root-ca.crt"].split_last().map_or(&[][..], |(_, rest)| rest)
    );
    server.ask(map("b", 1)).await.created();
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_refused() {
    let cluster = open_to_all(Limits::default(), 1 << 20).await;
    let server = cluster.server(0);
    let hold = server.store.hold(On::write("/registry/configmaps/"));
    let mut write = server.begin(map("a", 500 << 10));
    assert_eq!(write.advance(1).await, None);
    hold.wait_for(1).await;
    let answer = server.ask(map("b", 500 << 10)).await;
    assert_eq!(answer.headers["retry-after"], "1");
    answer.refused(429, "TooManyRequests", "Too many requests, please try again later.");
    server.ask(stranger(&format!("{MAPS}?resourceVersion=0"))).await.ok();
    drop(hold);
    within("an answer", write).await.created();
    eventually("all bytes", || server.api.budget.held() == 0).await;
    server.ask(map("b", 500 << 10)).await.created();
}

/// Answers that are made and not read.
#[tokio::test]
async fn unread_answers_beyond_the_budget_are_refused() {
    let cluster = open_to_all(Limits::default(), 1 << 20).await;
    let server = cluster.server(0);
    server.ask(map("a", 300 << 10)).await.created();
    let get = || stranger(&format!("{MAPS}/a?resourceVersion=0")).header("accept", "application/yaml");
    let unread: Vec<ApiResponse> = vec![server.open(get()).await, server.open(get()).await];
    too_many(server.ask(get()).await);
    drop(unread);
    assert_eq!(server.api.budget.held(), 0);
    server.ask(get()).await.has_code(200);
    assert_eq!(server.api.budget.held(), 0);
}

/// Watches send what there is first: in small pieces where many watch, and none while they hold their part of all bytes.
#[tokio::test]
async fn unread_watches_hold_no_more_than_the_budget() {
    const BYTES: usize = 2 << 20;
    let cluster = open_to_all(Limits::default(), BYTES).await;
    let server = cluster.server(0);
    for number in 0..60 {
        server.ask(map(&format!("m{number}"), 50 << 10)).await.created();
    }
    let (mut unread, mut waiting) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let mut watch = server.open(stranger(&format!("{MAPS}?watch=true&resourceVersion=0"))).await;
        match watch.body_mut().frame().now_or_never() {
            Some(frame) => unread.push((frame, watch)),
            None => waiting.push(watch),
        }
    }
    let held = server.api.budget.held();
    assert!(held < BYTES / 2 && unread.len() > 5 && !waiting.is_empty(), "{held} {}", unread.len());
    // The other part is left to bodies and whole answers.
    server.ask(map("new", 200 << 10)).await.created();
    server.ask(stranger(&format!("{MAPS}/new"))).await.has_code(200);
    let woken = waiting.iter_mut().map(|watch| watch.body_mut().frame());
    let mut woken = Box::pin(within("frames", futures::future::select_all(woken)));
    assert!(futures::poll!(&mut woken).is_pending());
    drop(unread);
    assert!(woken.await.0.is_some());
    drop(waiting);
    assert_eq!(server.api.budget.held(), 0);
}

#[tokio::test]
async fn what_clients_make_up_is_no_label() {
    let cluster = open_to_all(Limits { reads: 0, writes: 1 }, 1 << 20).await;
    let server = cluster.server(0);
    let series = || server.api.metrics.text().lines().count();
    let ask = async |number: usize| {
        server.get(&format!("{PODS}/x/made-up-{number}")).await.has_code(404);
        server.get(&format!("/apis/made-up-{number}/v1/things")).await.has_code(404);
        server.get(&format!("/api/v1/made-up-{number}")).await.has_code(404);
        server.ask(Request::new("MADEUP".parse().expect("a method"), format!("{PODS}/x/{number}"))).await;
        let agent = format!("made-up-{number}/1");
        server.ask(Request::get(format!("{PODS}/x")).header("user-agent", &agent)).await.has_code(404);
    };
    let _held = server.store.hold(On::write("/registry/configmaps/"));
    let mut write = server.begin(map("a", 1));
    assert_eq!(write.advance(3).await, None);
    let refused = async |number: usize| {
        too_many(server.ask(Request::delete(format!("{PODS}/x/made-up-{number}")).anonymous()).await);
        too_many(server.ask(Request::delete(format!("/apis/made-up-{number}/v1/things")).anonymous()).await);
    };
    ask(0).await;
    refused(0).await;
    let before = series();
    for number in 1..40 {
        ask(number).await;
        refused(number).await;
    }
    assert_eq!(series(), before);
}

#[tokio::test]
async fn a_list_of_the_past_that_does_not_fit_is_refused() {
    let mut cluster = open_to_all(Limits::default(), 400_000).await;
    for number in 0..8 {
        cluster.server(0).ask(map(&format!("m{number}"), 50_000)).await.created();
    }
    let then = cluster.server(0).get(MAPS).await.text("/metadata/resourceVersion").to_owned();
    for number in 0..8 {
        let path = format!("{MAPS}/m{number}");
        cluster.server(0).ask(Request::delete(path)).await.ok();
    }
    cluster.restart().await;
    let path = format!("{MAPS}?resourceVersion={then}&resourceVersionMatch=Exact");
    let refused = cluster.server(0).ask(stranger(&path)).await;
    refused.refused(429, "TooManyRequests", "Too many requests, please try again later.");
    eventually("nothing", || cluster.server(0).api.budget.held() == 0).await;
}
