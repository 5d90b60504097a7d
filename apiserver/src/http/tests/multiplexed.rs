//! The same over HTTP/2: many requests on one connection.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Rig, is_closed};
use crate::fixture::{Request, settle, within};

type Client = SendRequest<Empty<Bytes>>;

/// How a client's connection runs on; its end is nobody's affair.
#[derive(Clone)]
struct Executor(corten_runtime::tasks::Kind);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

impl Rig {
    /// A client that takes so much of each answer before it wants to be asked again.
    async fn multiplexed(&self, window: u32) -> Client {
        let kind = self.scope.kind("client");
        let mut builder = Builder::new(Executor(kind.clone()));
        builder
            .initial_stream_window_size(window)
            .initial_connection_window_size(1 << 24)
            .max_header_list_size(1 << 20);
        let shaken = builder.handshake(TokioIo::new(self.connect(true))).await;
        let (client, connection) = shaken.unwrap();
        kind.spawn(async move {
            let _ = connection.await;
        });
        client
    }
}

fn get(path: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(format!("https://x{path}")).body(Empty::new()).unwrap()
}

async fn ask(client: &mut Client, path: &str) -> hyper::Result<http::Response<Incoming>> {
    within("an answer", client.send_request(get(path))).await
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let rig = Rig::start().await;
    let mut client = rig.multiplexed(1 << 16).await;
    let answer = ask(&mut client, "/livez").await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
    settle().await;
    rig.advance(85).await;
    assert!(!client.is_closed());
    for _ in 0..6 {
        rig.advance(5).await;
    }
    assert!(client.is_closed());
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_cut_off_and_no_other() {
    let rig = Rig::start().await;
    for number in 0..8 {
        let object = json!({"metadata": {"name": format!("a{number}")}, "data": {"a": "x".repeat(100_000)}});
        let request = Request::post("/api/v1/namespaces/default/configmaps").json(object);
        rig.cluster.server(0).ask(request).await.created();
    }
    let mut client = rig.multiplexed(1000).await;
    let unread = ask(&mut client, "/api/v1/configmaps?watch=1&resourceVersion=0").await.unwrap();
    let mut quiet = ask(&mut client, "/api/v1/secrets?watch=1").await.unwrap();
    settle().await;
    for _ in 0..14 {
        rig.advance(5).await;
    }
    let cut = within("the end of the stream", unread.into_body().collect()).await;
    assert!(cut.is_err(), "an error, and not an end");
    // The other one has its news.
    let secret = Request::post("/api/v1/namespaces/default/secrets").json(json!({"metadata": {"name": "a"}}));
    rig.cluster.server(0).ask(secret).await.created();
    let frame = within("an event", quiet.body_mut().frame()).await.unwrap().unwrap();
    assert!(frame.data_ref().is_some_and(|data| data.starts_with(b"{\"type\":\"ADDED\"")));
}

#[tokio::test]
async fn heads_of_nearly_a_megabyte_are_taken() {
    let rig = Rig::start().await;
    let mut client = rig.multiplexed(1 << 16).await;
    for (groups, length, expected) in [
        (200, 20, StatusCode::OK),
        (900, 1000, StatusCode::OK),
        (1100, 1000, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    ] {
        let mut request = get("/livez");
        request.headers_mut().insert("impersonate-user", HeaderValue::from_static("u"));
        for number in 0..groups {
            let group = HeaderValue::try_from(format!("g{number:0length$}")).unwrap();
            request.headers_mut().append("impersonate-group", group);
        }
        let answer = within("an answer", client.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), expected, "{groups} groups of {length} bytes");
    }
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let rig = Rig::start().await;
    let mut client = rig.connect(true);
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    // A frame of headers that is not the last one, with nothing in it.
    client.write_all(&[0, 0, 0, 1, 0, 0, 0, 0, 1]).await.unwrap();
    settle().await;
    rig.advance(30).await;
    assert!(!is_closed(&mut client).await);
    rig.advance(10).await;
    rig.advance(10).await;
    assert!(is_closed(&mut client).await);
}

#[tokio::test]
async fn a_stop_is_short() {
    let rig = Rig::start().await;
    let mut idle = rig.multiplexed(1 << 16).await;
    ask(&mut idle, "/livez").await.unwrap().into_body().collect().await.unwrap();
    let mut watching = rig.multiplexed(1 << 16).await;
    let _watch = ask(&mut watching, "/api/v1/secrets?watch=1").await.unwrap();
    rig.scope.cancel();
    rig.cluster.server(0).scope.cancel();
    for _ in 0..10 {
        settle().await;
        rig.cluster.time.advance(Duration::from_millis(200));
    }
    drop((idle, watching));
    within("the end of all connections", rig.scope.left()).await;
}
