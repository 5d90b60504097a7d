//! One connection: TLS, then HTTP/1.1 or HTTP/2 with upgrades, until its client goes, wastes its time or the server
//! stops.
//!
//! A connection's task moves bytes, and answers what is asked without a body and can be answered at once: most reads.
//! Any other HTTP/2 request is handled in a task of its own, which ends when the client takes the request back. A write
//! that has begun goes on without either (`write_phase`).
//!
//! What a client may cost is bounded: its time by `limits`, what it leaves unread by `activity`, the heads of its
//! requests by `heads`, what it sends by the windows of HTTP/2 and by what the pipeline reads, and the number of clients
//! by `crowd`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use corten_runtime::clock::Clock;
use corten_runtime::metrics::Counter;
use corten_runtime::tasks::{CancellationToken, Kind};
use http::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::{Request, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::PollSemaphore;
use tracing::debug;

use super::activity::{Activity, Answer, Unsent};
use super::body::Peer;
use super::crowd::Place;
use super::exchange::{Routes, answer};
use super::gather::{GATHERED_MAX, Gather, Turn};
use super::heads::{HEAD_MAX, Heads};
use super::lenient::Lenient;
use super::limits::Limits;
use super::routes::{Endpoint, routes};
use super::socket::{self, Socket};
use super::streams::{Connection, Driver, Ended, STREAMS_MAX, Streams};

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Headers of an HTTP/1.1 request. Upstream has no bound but the head's size; the parser of hyper takes 32 bytes for each,
/// and as much as it takes for these costs no time. HTTP/2 has as many as fit into the head.
const HEADERS_MAX: usize = 1024;
/// What upstream allows for a request's head on top of its limit, as it counts 32 bytes for each header of HTTP/2.
const HEADER_LIST_MAX: u32 = (HEAD_MAX + 320) as u32;
/// What a client may send of a stream before it is read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// What a client may send of all streams of a connection before it is read.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that a client opens and takes back before they are seen, and streams that the server resets for errors of the
/// client: those who go beyond lose their connection.
const RESETS_MAX: usize = 100;
const ERRORS_MAX: usize = 1024;
/// What TLS may hold encrypted of HTTP/1.1, whose writes are not gathered.
const TLS_BUFFER: usize = 32 * 1024;

/// What all connections have in common.
pub struct Shared {
    pub clock: Clock,
    pub unsent: Unsent,
    routes: Routes,
    requests: Kind,
    heads: Heads,
}

/// What they begin with.
pub struct Handshakes {
    tls: TlsAcceptor,
    failed: Counter,
    turns: Arc<Semaphore>,
}

impl Shared {
    pub fn new(endpoint: Arc<dyn Endpoint>, requests: Kind, clock: Clock) -> Shared {
        Shared {
            unsent: Unsent::default(),
            routes: routes(endpoint, clock.clone()),
            clock,
            requests,
            heads: Heads::default(),
        }
    }
}

impl Handshakes {
    pub fn new(tls: Arc<ServerConfig>, failed: Counter) -> Handshakes {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Handshakes { tls: TlsAcceptor::from(tls), failed, turns: Arc::new(Semaphore::new(cores.div_ceil(2))) }
    }
}

pub async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    handshakes: &Handshakes,
    shared: &Shared,
    activity: Activity,
    place: Place,
    token: CancellationToken,
) {
    socket::prepare(&stream);
    let handshake = async {
        if speaks_plainly(&stream).await? {
            refuse_plain(stream).await;
            return Err(io::Error::other("the client speaks HTTP without TLS"));
        }
        let accept = handshakes.tls.accept(Socket::new(stream, activity.clone(), Some(place)));
        InTurn { future: Box::pin(accept), turns: PollSemaphore::new(Arc::clone(&handshakes.turns)) }.await
    };
    let shaken = tokio::select! {
        shaken = shared.clock.timeout(HANDSHAKE_MAX, handshake) => shaken,
        () = token.cancelled() => return,
    };
    let mut stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            handshakes.failed.inc();
            return debug!(%address, %error, "TLS handshake");
        }
        Err(_) => {
            handshakes.failed.inc();
            return debug!(%address, "TLS handshake took too long");
        }
    };
    let tls = &mut stream.get_mut().1;
    let is_http2 = tls.alpn_protocol() == Some(b"h2");
    // What was gathered is encrypted as a whole, and sent by one call.
    tls.set_buffer_limit(Some(if is_http2 { 2 * GATHERED_MAX } else { TLS_BUFFER }));
    let certificates = tls.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
    let certificates = corten_access::authenticate::Peer::new(certificates).map(Arc::new);
    let peer = Peer { address: Some(address), certificates, internal: None };
    serve(stream, is_http2, peer, shared, activity, token).await;
}

/// Answers the requests of a connection.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_http2: bool,
    peer: Peer,
    shared: &Shared,
    activity: Activity,
    token: CancellationToken,
) {
    let (streams, turn) = (Streams::default(), Turn::default());
    let (begun, new) = (activity.clone(), streams.clone());
    let (routes, requests, heads) = (shared.routes.clone(), shared.requests.clone(), shared.heads.clone());
    let address = peer.address;
    let service = service_fn(move |request: Request<Incoming>| {
        let mut running = begun.begin();
        new.begin(&running);
        let admitted = running.admit(&heads, request.headers());
        let has_body = !request.body().is_end_stream();
        let (begun, requests, answer) = (begun.clone(), requests.clone(), answer(&routes, &peer, admitted, request));
        let others = new.begun();
        async move {
            let answer = if is_http2 {
                let standing = others.stand();
                let answer = async move {
                    drop(standing);
                    answer.await
                };
                let answer = if has_body { requests.run(answer) } else { requests.run_from_here(answer) };
                answer.await.ok_or_else(|| io::Error::other("the request's task panicked"))?
            } else {
                answer.await
            };
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                begun.upgraded();
            }
            Ok::<_, io::Error>(answer.map(|body| Answer::new(body, running)))
        }
    });
    let stream = Lenient::new(stream, activity.clone(), &shared.heads, is_http2);
    let stream = TokioIo::new(Gather::new(stream, turn.clone(), is_http2));
    let limits = Limits::new(activity.clone(), shared.clock.clone(), is_http2);
    let ended = if is_http2 {
        let connection = http2_builder(streams.clone()).serve_connection(stream, service);
        drive(Driver::new(connection, streams, turn, activity, limits), token).await
    } else {
        let connection = http1_builder().serve_connection(stream, service).with_upgrades();
        drive(Driver::new(connection, streams, turn, activity, limits), token).await
    };
    match ended {
        Ended::ByItself(Ok(())) => {}
        Ended::ByItself(Err(error)) => debug!(?address, %error, "connection"),
        Ended::Overdue(overdue) => debug!(?address, ?overdue, "connection"),
        Ended::TooManyStreams => debug!(?address, "too many streams wait to be begun"),
    }
}

async fn drive<C: Connection>(mut driver: Driver<C>, token: CancellationToken) -> Ended<C::Output> {
    tokio::select! {
        ended = &mut driver => ended,
        () = token.cancelled() => {
            driver.stop();
            driver.await
        }
    }
}

/// Its own time limits are off: `limits` has them.
fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_headers(HEADERS_MAX).max_header_size(HEAD_MAX).max_buf_size(2 * HEAD_MAX);
    builder
}

fn http2_builder(streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(ERRORS_MAX);
    builder
}

impl<I, S, B> Connection for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    Self: Future,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B> Connection for http2::Connection<I, S, Streams>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    Self: Future,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Streams: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Polls a handshake only when it is its turn. Handshakes compute much more than most requests; so a crowd that connects
/// keeps half of the cores busy at most, and the others answer.
struct InTurn<F> {
    future: Pin<Box<F>>,
    turns: PollSemaphore,
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // The semaphore is never closed.
        let _turn = ready!(self.turns.poll_acquire(context));
        self.future.as_mut().poll(context)
    }
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
