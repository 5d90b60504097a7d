//! Clients that keep the server waiting.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{Rig, head, is_closed};
use crate::fixture::{Request, settle, until, within};

async fn begin(rig: &Rig, sent: &str) -> DuplexStream {
    let mut client = rig.connect(false);
    client.write_all(sent.as_bytes()).await.unwrap();
    settle().await;
    client
}

const GET: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
const WATCH: &str = "GET /api/v1/configmaps?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let rig = Rig::start().await;
    // What a client sends, and after how many seconds it is still there and after how many no more.
    for (sent, open, closed) in [
        ("", 25, 60),
        ("GET /livez HTT", 25, 60),
        ("GET /livez HTTP/1.1\r\nHost: x\r\nX: ", 25, 60),
        (GET, 85, 120),
        // The head of a second request has its own time.
        ("GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /li", 25, 120),
        // A body that does not come: its request has a minute.
        ("POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", 50, 180),
    ] {
        let mut client = begin(&rig, sent).await;
        rig.advance(open).await;
        assert!(!is_closed(&mut client).await, "{sent:?} after {open} seconds");
        for _ in 0..(closed - open) / 5 {
            rig.advance(5).await;
        }
        assert!(is_closed(&mut client).await, "{sent:?} after {closed} seconds");
    }
}

#[tokio::test]
async fn a_quiet_watch_is_left_alone() {
    let rig = Rig::start().await;
    let mut client = begin(&rig, WATCH).await;
    let answer = head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    while !is_pending(&mut client).await {}
    for _ in 0..60 {
        rig.advance(10).await;
    }
    assert!(!is_closed(&mut client).await);
}

/// Takes what there is; true if there is nothing, for now.
async fn is_pending(client: &mut DuplexStream) -> bool {
    settle().await;
    let mut taken = Vec::with_capacity(1 << 20);
    futures::FutureExt::now_or_never(client.read_buf(&mut taken)).is_none()
}

impl Rig {
    /// Objects of so many bytes together.
    async fn fill(&self, objects: usize, size: usize) {
        for number in 0..objects {
            let object = json!({"metadata": {"name": format!("a{number}")}, "data": {"a": "x".repeat(size)}});
            let request = Request::post("/api/v1/namespaces/default/configmaps").json(object);
            self.cluster.server(0).ask(request).await.created();
        }
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_cut_off() {
    let rig = Rig::start().await;
    rig.fill(8, 100_000).await;
    let list = "GET /api/v1/configmaps HTTP/1.1\r\nHost: x\r\n\r\n";
    for sent in [list, WATCH] {
        let mut client = begin(&rig, sent).await;
        rig.advance(50).await;
        // It takes something, and has another minute.
        let mut some = [0; 1000];
        client.read_exact(&mut some).await.unwrap();
        settle().await;
        rig.advance(50).await;
        let is_there = client.write_all(b"x").await.is_ok();
        assert!(is_there, "{sent}");
        for _ in 0..8 {
            rig.advance(5).await;
        }
        assert!(client.write_all(b"x").await.is_err(), "{sent}");
    }
}

#[tokio::test]
async fn a_stop_waits_for_nobody() {
    let rig = Rig::start().await;
    let post = "POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{";
    let mut clients = Vec::new();
    for sent in ["", "GET /livez HTT", GET, WATCH, post] {
        clients.push(begin(&rig, sent).await);
    }
    rig.scope.cancel();
    rig.cluster.server(0).scope.cancel();
    settle().await;
    rig.cluster.time.advance(Duration::from_millis(300));
    until("only the half-sent request to be left", async || (rig.connections.count() <= 1).then_some(())).await;
    for _ in 0..7 {
        rig.cluster.time.advance(Duration::from_millis(200));
        settle().await;
    }
    within("the end of all connections", rig.scope.left()).await;
}
