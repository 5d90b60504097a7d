//! The accept loop: TCP, TLS, then HTTP/1.1 or HTTP/2 with upgrades, each connection a counted task.
//!
//! A connection's task moves bytes and nothing else. What an HTTP/2 request asks for is done in a task of its own,
//! which ends when the client takes the request back. A write that has begun goes on without either (`write_phase`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corten_runtime::metrics::Counter;
use corten_runtime::tasks::{CancellationToken, Kind, Scope};
use futures::StreamExt;
use http::{Method, Version, header};
use hyper::body::{Body, Incoming};
use hyper::{Request, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};
use warp::filters::BoxedFilter;

use super::body::{ApiResponse, Passed, Peer, ResponseBody};
use super::gather::{GATHERED_MAX, Gather, Turn};
use super::lenient::{Answer, Lenient, Requests};
use super::routes::{Endpoint, Sending, Upgrade, routes};
use super::streams::{Driver, Streams};

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How often it is told that connections cannot be accepted.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// So many pieces of a list wait to be sent at most.
const PIECES_AHEAD: usize = 2;

/// A bound address; nobody is answered yet.
pub struct Bound {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl Bound {
    pub async fn bind(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    }
}

type Routes = BoxedFilter<(http::Response<bytes::Bytes>,)>;

pub struct Listener {
    bound: Bound,
    tls: TlsAcceptor,
    routes: Routes,
    connections: Kind,
    requests: Kind,
    failed_handshakes: Counter,
}

impl Listener {
    pub fn new(
        bound: Bound,
        tls: Arc<ServerConfig>,
        endpoint: Arc<dyn Endpoint>,
        failed_handshakes: Counter,
        scope: &Scope,
    ) -> Listener {
        let (connections, requests) = (scope.kind("connection"), scope.kind("request"));
        let (tls, routes) = (TlsAcceptor::from(tls), routes(endpoint));
        Listener { bound, tls, routes, connections, requests, failed_handshakes }
    }

    /// Accepts until told to stop; open connections then finish their requests.
    pub async fn run(self, token: CancellationToken) -> io::Result<()> {
        let mut last_told = None;
        loop {
            let accepted = tokio::select! {
                accepted = self.bound.listener.accept() => accepted,
                () = token.cancelled() => return Ok(()),
            };
            match accepted {
                Ok((stream, address)) => {
                    let (tls, routes, requests) = (self.tls.clone(), self.routes.clone(), self.requests.clone());
                    let failed = self.failed_handshakes.clone();
                    // A token of its own, which no other connection has to be kept out of to look at it.
                    let token = token.child_token();
                    self.connections.spawn(connection(stream, address, tls, routes, requests, failed, token));
                }
                // Out of files, mostly: those who are connected go on, and their leaving makes room.
                Err(error) => {
                    if last_told.is_none_or(|told: Instant| told.elapsed() > TOLD_EVERY) {
                        warn!(%error, "a connection cannot be accepted");
                        last_told = Some(Instant::now());
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: TlsAcceptor,
    routes: Routes,
    requests: Kind,
    failed_handshakes: Counter,
    token: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let handshake = async {
        if speaks_plainly(&stream).await? {
            refuse_plain(stream).await;
            return Err(io::Error::other("the client speaks HTTP without TLS"));
        }
        tls.accept(stream).await
    };
    let mut stream = match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            failed_handshakes.inc();
            return debug!(%address, %error, "TLS handshake");
        }
        Err(_) => {
            failed_handshakes.inc();
            return debug!(%address, "TLS handshake took too long");
        }
    };
    // What was gathered is encrypted as a whole, and sent by one call.
    stream.get_mut().1.set_buffer_limit(Some(2 * GATHERED_MAX));
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
    let certificates = corten_access::authenticate::Peer::new(certificates).map(Arc::new);
    let peer = Peer { address: Some(address), certificates, internal: None };
    let begun = Requests::default();
    let under_way = begun.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (requests, is_http2) = (requests.clone(), request.version() == Version::HTTP_2);
        let (running, answer) = (begun.begin(), answer(routes.clone(), peer.clone(), request));
        async move {
            let answer = if is_http2 {
                let answer = requests.run(answer).await;
                let answer = answer.ok_or_else(|| io::Error::other("the request's task panicked"))?;
                answer.map(|body| ahead(body, &requests))
            } else {
                answer.await
            };
            Ok::<_, io::Error>(answer.map(|body| Answer::new(body, running)))
        }
    });
    let streams = Streams::default();
    let mut builder = auto::Builder::new(streams.clone());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(250).initial_stream_window_size(256 * 1024);
    let turn = Turn::default();
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = Lenient::new(stream, under_way, !is_http2);
    let stream = Gather::new(stream, turn.clone(), is_http2);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut driver = Driver::new(connection, streams, turn);
    let result = tokio::select! {
        result = &mut driver => result,
        () = token.cancelled() => {
            driver.connection().graceful_shutdown();
            driver.await
        }
    };
    if let Err(error) = result {
        debug!(%address, %error, "connection");
    }
}

/// A list is made in a task of its own, a few pieces ahead of what the connection has sent.
fn ahead(body: ResponseBody, requests: &Kind) -> ResponseBody {
    let ResponseBody::List(mut pieces) = body else { return body };
    let (sender, receiver) = tokio::sync::mpsc::channel(PIECES_AHEAD);
    requests.spawn(async move {
        while let Some(piece) = pieces.next().await {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    let pieces = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    ResponseBody::Stream(pieces.boxed())
}

async fn answer(routes: Routes, peer: Peer, mut request: Request<Incoming>) -> ApiResponse {
    if request.headers().contains_key(http::header::UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        request.extensions_mut().insert(Upgrade(Arc::new(parking_lot::Mutex::new(Some(upgrade)))));
    }
    // Over HTTP/1.1 a client may wait to be asked for the body; where nobody wants it, it is not asked.
    let waits = request.version() < Version::HTTP_2 && request.headers().contains_key(header::EXPECT);
    if !request.body().is_end_stream() && !waits {
        request.extensions_mut().insert(Sending);
    }
    request.extensions_mut().insert(peer);
    let is_head = request.method() == Method::HEAD;
    let service = hyper_util::service::TowerToHyperService::new(warp::service(routes));
    let response = match hyper::service::Service::call(&service, request).await {
        Ok(response) => Passed::unwrap(response),
        Err(never) => match never {},
    };
    if is_head { without_body(response) } else { response }
}

/// The answer to a HEAD: it says how long the body would be. HTTP/2 has nobody else who leaves the body out.
fn without_body(mut response: ApiResponse) -> ApiResponse {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = ResponseBody::Full(None);
    response
}

/// Somebody who speaks HTTP without TLS is told so, in the words of Go's servers.
async fn refuse_plain(mut stream: TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let _ = stream.write_all(ANSWER).await;
    let _ = stream.shutdown().await;
}

/// Whether a connection begins as HTTP does. A look ahead: the bytes are still there to be read.
async fn speaks_plainly(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 5];
    let length = stream.peek(&mut first).await?;
    Ok(matches!(&first[..length], b"GET /" | b"HEAD " | b"POST " | b"PUT /" | b"OPTIO"))
}
