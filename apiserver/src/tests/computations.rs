//! Requests that compute for long: not on the threads that serve, and no longer than somebody waits for them.

use std::sync::Arc;
use std::time::Duration;

use corten_runtime::clock::Clock;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;

use crate::fixture::{
    Cluster, Fault, Gate, Hold, On, Pending, Request, Server, StoreCall, Verb, eventually, settle, within,
};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(path: &str, name: &str, bytes: usize) -> Request {
    let map = json!({"metadata": {"name": name}, "data": {"text": "x".repeat(bytes)}});
    Request::post(path).json(map)
}

/// In a namespace that the caches do not show: admission looks for it in the store, before anything is written.
const NOWHERE: &str = "/api/v1/namespaces/nowhere/configmaps";

/// Begins a large request that has written nothing, and does not go on while the hold lasts.
async fn begin_and_hold(server: &Server) -> (Pending, Hold) {
    let hold = server.store.hold(On::calls(|call| call.verb == Verb::Revision));
    let mut request = server.begin(map(NOWHERE, "a", 64 << 10));
    assert_eq!(request.advance(1).await, None);
    hold.wait_for(1).await;
    (request, hold)
}

/// Notes which threads write to the store.
#[derive(Default)]
struct Threads {
    seen: Mutex<Vec<String>>,
    panics: bool,
}

impl Gate for Threads {
    fn enter(&self, call: &StoreCall) -> BoxFuture<'static, Option<Fault>> {
        if call.verb == Verb::Put && call.key.starts_with("/registry/configmaps/") {
            assert!(!self.panics, "the test wants this panic");
            self.seen.lock().push(std::thread::current().name().unwrap_or_default().to_owned());
        }
        std::future::ready(None).boxed()
    }

    fn leave(&self, _: &StoreCall) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

fn computing(server: &Server) -> bool {
    server.scope.remaining().iter().any(|task| task.contains("/computation"))
}

#[tokio::test]
async fn large_requests_are_answered_elsewhere() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let threads = Arc::new(Threads::default());
    server.store.set_gate(Some(Arc::clone(&threads) as Arc<dyn Gate>));
    let check = async |request: Request, elsewhere: bool| {
        let what = format!("{} {} {}", request.method, request.path, request.body.len());
        server.ask(request).await.ok();
        let seen = std::mem::take(&mut *threads.seen.lock());
        assert!(!seen.is_empty(), "{what}");
        assert_eq!(seen.iter().all(|name| name == "computation"), elsewhere, "{what}: {seen:?}");
    };
    check(map(MAPS, "small", 100), false).await;
    check(map(MAPS, "large", 900 << 10), true).await;
    let patch = || json!({"data": {"more": "1"}});
    check(Request::merge_patch(format!("{MAPS}/small"), patch()), false).await;
    // What is asked for is small, and what it is done to is not.
    check(Request::merge_patch(format!("{MAPS}/large"), patch()), true).await;
    server.store.set_gate(None);
    eventually("the end of all computations", || !computing(server)).await;
}

#[tokio::test]
async fn others_are_answered_meanwhile() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let mut large = server.begin(map(MAPS, "large", 2_900_000));
    let first = futures::poll!(&mut large);
    assert!(first.is_pending(), "nothing is computed before somebody else has had a turn");
    server.get("/livez").await.has_code(200);
    let mut documents = server.begin(Request::get("/openapi/v2"));
    assert!(futures::poll!(&mut documents).is_pending());
    within("an answer", documents).await.has_code(200);
    // More than a ConfigMap may hold, which is found out at the end.
    within("an answer", large).await.has_code(422);
}

#[tokio::test]
async fn a_client_that_leaves_ends_what_has_written_nothing() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let hold = server.store.hold(On::calls(|call| call.verb == Verb::Revision));
    // More than may be there at once: the others wait.
    let mut requests: Vec<_> =
        (0..40).map(|number| server.begin(map(NOWHERE, &format!("m{number}"), 64 << 10))).collect();
    for request in &mut requests {
        assert_eq!(request.advance(1).await, None);
    }
    eventually("a computation", || hold.waiting() > 0).await;
    drop(requests);
    eventually("the end of all", || hold.waiting() == 0 && !computing(server)).await;
    drop(hold);
    server.ask(map(MAPS, "after", 64 << 10)).await.created();
}

#[tokio::test]
async fn a_write_elsewhere_runs_to_its_end_without_its_client() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let hold = server.store.hold(On::write("/registry/configmaps/"));
    let mut write = server.begin(map(MAPS, "large", 64 << 10));
    assert_eq!(write.advance(1).await, None);
    hold.wait_for(1).await;
    drop(write);
    settle().await;
    assert_eq!(hold.waiting(), 1, "it goes on");
    drop(hold);
    eventually("the end of the write", || !computing(server)).await;
    server.get(&format!("{MAPS}/large?resourceVersion=0")).await.ok();
}

#[tokio::test]
async fn time_runs_out_elsewhere_too() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let (request, _hold) = begin_and_hold(server).await;
    cluster.advance(Duration::from_secs(61)).await;
    within("an answer", request).await.refused(504, "Timeout", "request did not complete within the allotted timeout");
    eventually("its end", || !computing(server)).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_what_has_written_nothing() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let (mut request, hold) = begin_and_hold(server).await;
    server.scope.cancel();
    assert_eq!(request.advance(2).await, None, "some time is left");
    cluster.advance(Duration::from_secs(1)).await;
    within("an answer", request).await.refused(503, "ServiceUnavailable", "the server is stopping");
    eventually("its end", || !computing(server)).await;
    drop(hold);
    server.stop().await;
}

#[tokio::test]
async fn a_panic_elsewhere_is_an_answer() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    server.store.set_gate(Some(Arc::new(Threads { panics: true, ..Threads::default() })));
    let answer = server.ask(map(MAPS, "large", 64 << 10)).await;
    answer.refused(500, "InternalError", "This request caused apiserver to panic. Look in the logs for details.");
    server.store.set_gate(None);
    eventually("its end", || !computing(server)).await;
    server.ask(map(MAPS, "large", 64 << 10)).await.created();
}

/// The server's own timers and the machine's work there: what is begun on one thread is ended on another.
#[tokio::test]
async fn timers_work_from_there() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let (sender, done) = tokio::sync::oneshot::channel();
    let task = server.api.computations.start(async move {
        Clock::system().sleep(Duration::from_millis(1)).await;
        let _ = sender.send(std::thread::current().name().map(str::to_owned));
    });
    assert!(task.is_some());
    assert_eq!(within("a timer", done).await.ok().flatten().as_deref(), Some("computation"));
}
