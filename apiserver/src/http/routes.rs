//! The warp routes: one that takes every path of the API, and the fixed ones beside it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::body::{ApiRequest, ApiResponse, Passed, Peer, RequestBody, Unread, lend};

/// What answers requests: the pipeline.
pub trait Endpoint: Send + Sync + 'static {
    fn call(self: Arc<Self>, request: ApiRequest) -> Pin<Box<dyn Future<Output = ApiResponse> + Send>>;
}

/// The body's own upgrade can be taken by one only.
#[derive(Clone)]
pub(super) struct Upgrade(pub Arc<parking_lot::Mutex<Option<OnUpgrade>>>);

/// The request comes with a body, and its client is sending it: it does not wait to be asked for it.
#[derive(Clone, Copy)]
pub(super) struct Sending;

/// Every request goes to the endpoint: what a path means is decided on the raw path, after authentication.
pub(super) fn routes(endpoint: Arc<dyn Endpoint>) -> BoxedFilter<(http::Response<Bytes>,)> {
    let query = warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) });
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Peer>())
        .and(warp::ext::optional::<Upgrade>())
        .and(warp::ext::optional::<Sending>())
        .and(warp::body::stream())
        .then(move |method, path, query, headers, peer, upgrade, sending: Option<Sending>, body| {
            let (body, unread) = lent(body, sending.is_some());
            let request = request(method, path, query, headers, peer, upgrade, body);
            let endpoint = Arc::clone(&endpoint);
            async move {
                let answer = endpoint.call(request).await;
                if let Some(unread) = unread {
                    unread.drain().await;
                }
                Passed::wrap(answer)
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

fn request(
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    peer: Option<Peer>,
    upgrade: Option<Upgrade>,
    body: RequestBody,
) -> ApiRequest {
    ApiRequest {
        method,
        path: path.as_str().to_owned(),
        query,
        headers,
        body,
        peer: peer.unwrap_or_default(),
        upgrade: upgrade.and_then(|upgrade| upgrade.0.lock().take()),
    }
}
