//! The accept loop: TCP, TLS, then HTTP/1.1 or HTTP/2 with upgrades, each connection a counted task.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use corten_runtime::tasks::{CancellationToken, Kind, Scope};
use hyper::body::Incoming;
use hyper::{Request, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::debug;
use warp::filters::BoxedFilter;

use super::body::{ApiResponse, Passed, Peer};
use super::gather::{Gather, Turn};
use super::lenient::{Answer, Lenient, Requests};
use super::routes::{Endpoint, Upgrade, routes};

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

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

pub struct Listener {
    bound: Bound,
    tls: TlsAcceptor,
    routes: BoxedFilter<(http::Response<bytes::Bytes>,)>,
    connections: Kind,
}

impl Listener {
    pub fn new(bound: Bound, tls: Arc<ServerConfig>, endpoint: Arc<dyn Endpoint>, scope: &Scope) -> Listener {
        let connections = scope.kind("connection");
        Listener { bound, tls: TlsAcceptor::from(tls), routes: routes(endpoint), connections }
    }

    /// Accepts until told to stop; open connections then finish their requests.
    pub async fn run(self, token: CancellationToken) -> io::Result<()> {
        loop {
            let accepted = tokio::select! {
                accepted = self.bound.listener.accept() => accepted,
                () = token.cancelled() => return Ok(()),
            };
            match accepted {
                Ok((stream, address)) => {
                    let (tls, routes, token) = (self.tls.clone(), self.routes.clone(), token.clone());
                    self.connections.spawn(async move { connection(stream, address, tls, routes, token).await });
                }
                // Out of files, mostly: those who are connected go on, and their leaving makes room.
                Err(error) => {
                    debug!(%error, "accept");
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
    routes: BoxedFilter<(http::Response<bytes::Bytes>,)>,
    token: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%address, %error, "TLS handshake"),
        Err(_) => return debug!(%address, "TLS handshake took too long"),
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
    let certificates = corten_access::authenticate::Peer::new(certificates).map(Arc::new);
    let peer = Peer { address: Some(address), certificates, internal: None };
    let requests = Requests::default();
    let begun = requests.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (routes, peer, running) = (routes.clone(), peer.clone(), begun.begin());
        async move {
            let response = answer(routes, peer, request).await;
            Ok::<_, Infallible>(response.map(|body| Answer::new(body, running)))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(250).initial_stream_window_size(256 * 1024);
    let turn = Turn::default();
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = Lenient::new(stream, requests, !is_http2);
    let stream = Gather::new(stream, turn.clone(), is_http2);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = counted(connection.as_mut(), &turn) => result,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            counted(connection.as_mut(), &turn).await
        }
    };
    if let Err(error) = result {
        debug!(%address, %error, "connection");
    }
}

/// Each poll of the connection is a turn of it.
async fn counted<F: Future>(mut connection: Pin<&mut F>, turn: &Turn) -> F::Output {
    std::future::poll_fn(|context| {
        turn.next();
        connection.as_mut().poll(context)
    })
    .await
}

async fn answer(
    routes: BoxedFilter<(http::Response<bytes::Bytes>,)>,
    peer: Peer,
    mut request: Request<Incoming>,
) -> ApiResponse {
    if request.headers().contains_key(http::header::UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        request.extensions_mut().insert(Upgrade(Arc::new(parking_lot::Mutex::new(Some(upgrade)))));
    }
    request.extensions_mut().insert(peer);
    let service = hyper_util::service::TowerToHyperService::new(warp::service(routes));
    match hyper::service::Service::call(&service, request).await {
        Ok(response) => Passed::unwrap(response),
        Err(never) => match never {},
    }
}
