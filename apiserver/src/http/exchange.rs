//! From a request that hyper has read to the answer that it sends.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use warp::filters::BoxedFilter;

use super::body::{ApiResponse, Passed, Peer, ResponseBody};
use super::routes::{Arrived, Parts};

pub type Routes = BoxedFilter<(http::Response<Bytes>,)>;

/// Answers a request, unless it was not `admitted` because there is no room for its head.
pub fn answer(
    routes: &Routes,
    peer: &Peer,
    admitted: bool,
    mut request: Request<Incoming>,
) -> impl Future<Output = ApiResponse> + Send + use<> {
    let is_head = request.method() == Method::HEAD;
    let refused = if admitted { refusal(&request) } else { Some(too_large()) };
    let routes = refused.is_none().then(|| routes.clone());
    if routes.is_some() {
        let parts = parts(&mut request, peer);
        request.extensions_mut().insert(Arrived(Arc::new(Mutex::new(Some(parts)))));
    }
    async move {
        let response = match (routes, refused) {
            (_, Some(refused)) => refused,
            (Some(routes), None) => match TowerToHyperService::new(warp::service(routes)).call(request).await {
                Ok(response) => Passed::unwrap(response),
                Err(never) => match never {},
            },
            (None, None) => too_large(),
        };
        if is_head { without_body(response) } else { response }
    }
}

/// What Go's server answers without asking anybody, in its words.
fn refusal(request: &Request<Incoming>) -> Option<ApiResponse> {
    let uri = request.uri();
    if request.method() == Method::OPTIONS && uri.path() == "*" {
        return Some(plain(StatusCode::OK, ""));
    }
    // An authority alone names a host to be connected to, and no document.
    if request.method() != Method::CONNECT && uri.path_and_query().is_none() {
        return Some(bad("400 Bad Request"));
    }
    if request.version() != Version::HTTP_11 || request.method() == Method::CONNECT {
        return None;
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => Some(bad("400 Bad Request: missing required Host header")),
        (Some(_), Some(_)) => Some(bad("400 Bad Request: too many Host headers")),
        (Some(_), None) => None,
    }
}

fn bad(text: &'static str) -> ApiResponse {
    let mut response = plain(StatusCode::BAD_REQUEST, text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn too_large() -> ApiResponse {
    plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "")
}

fn plain(code: StatusCode, text: &'static str) -> ApiResponse {
    let mut response = ApiResponse::new(Bytes::from_static(text.as_bytes()).into());
    *response.status_mut() = code;
    response
}

/// What the pipeline needs of a request beside what warp gives.
fn parts(request: &mut Request<Incoming>, peer: &Peer) -> Parts {
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut *request));
    // Over HTTP/1.1 a client may wait to be asked for the body; where nobody wants it, it is not asked.
    let waits = request.version() < Version::HTTP_2 && request.headers().contains_key(header::EXPECT);
    Parts {
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        peer: peer.clone(),
        upgrade,
        sending: !request.body().is_end_stream() && !waits,
    }
}

/// The answer to a HEAD: it says how long the body would be. HTTP/2 has nobody else who leaves the body out.
fn without_body(mut response: ApiResponse) -> ApiResponse {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = ResponseBody::Full(None);
    response
}
