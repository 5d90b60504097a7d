//! The warp routes: one that takes every path of the API, and the fixed ones beside it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use corten_runtime::clock::Clock;
use futures::StreamExt;
use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use warp::Filter;
use warp::filters::BoxedFilter;

use super::body::{ApiRequest, ApiResponse, Passed, Peer, RequestBody, Unread, lend};

/// What answers requests: the pipeline.
pub trait Endpoint: Send + Sync + 'static {
    fn call(self: Arc<Self>, request: ApiRequest) -> Pin<Box<dyn Future<Output = ApiResponse> + Send>>;
}

/// What a request brings beside what warp gives, for the one who takes it.
#[derive(Clone)]
pub(super) struct Arrived(pub Arc<Mutex<Option<Parts>>>);

pub(super) struct Parts {
    /// As sent; empty if the request's target is no path.
    pub path: String,
    pub query: String,
    pub peer: Peer,
    pub upgrade: Option<OnUpgrade>,
    /// The request comes with a body, and its client is sending it: it does not wait to be asked for it.
    pub sending: bool,
}

/// Every request goes to the endpoint: what a path means is decided on the raw path, after authentication.
pub(super) fn routes(endpoint: Arc<dyn Endpoint>, clock: Clock) -> BoxedFilter<(http::Response<Bytes>,)> {
    warp::method()
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Arrived>())
        .and(warp::body::stream())
        .and_then(move |method, headers, arrived: Arrived, body| {
            let (endpoint, clock) = (Arc::clone(&endpoint), clock.clone());
            async move {
                let Some(parts) = arrived.0.lock().take() else { return Err(warp::reject()) };
                let (body, unread) = lent(body, parts.sending);
                let answer = endpoint.call(request(method, headers, parts, body)).await;
                if let Some(unread) = unread {
                    unread.drain(&clock).await;
                }
                Ok(Passed::wrap(answer))
            }
        })
        .boxed()
}

fn lent<B: Buf>(
    body: impl futures::Stream<Item = Result<B, warp::Error>> + Send + 'static,
    sending: bool,
) -> (RequestBody, Option<Unread>) {
    let body = body.map(|chunk| match chunk {
        Ok(mut chunk) => Ok(chunk.copy_to_bytes(chunk.remaining())),
        Err(error) => Err(io::Error::other(error)),
    });
    if !sending {
        return (RequestBody::Stream(body.boxed()), None);
    }
    let (body, unread) = lend(body.boxed());
    (body, Some(unread))
}

fn request(method: Method, headers: HeaderMap, parts: Parts, body: RequestBody) -> ApiRequest {
    let Parts { path, query, peer, upgrade, sending: _ } = parts;
    ApiRequest { method, path, query, headers, body, peer, upgrade }
}
