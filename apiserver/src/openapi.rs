//! OpenAPI v3: the index of documents, and each of them under a hash that lets clients keep it.

use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::{Reason, Result};
use corten_openapi::accepts_json;
use http::{HeaderValue, StatusCode, header};

use crate::call::Call;
use crate::handlers::{no_such_path, refused};
use crate::http::ApiResponse;
use crate::show::whole;

/// `parts` are those of the path behind `/openapi`.
pub async fn answer(call: &Arc<Call>, parts: &[&str]) -> Result<ApiResponse> {
    let ["v3", below @ ..] = parts else { return Err(no_such_path()) };
    let accept = call.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepts_json(accept) {
        return Err(refused(406, Reason::NotAcceptable, "only application/json is served of OpenAPI v3"));
    }
    // Making a document is a matter of milliseconds, once.
    let api = Arc::clone(&call.api);
    let path = below.join("/");
    let made = tokio::task::block_in_place(move || {
        if path.is_empty() {
            let index = api.openapi.index();
            return Some((index.etag, index.json));
        }
        api.openapi.document(&path).map(|document| {
            let json = document.json();
            (document.etag, json)
        })
    });
    let (etag, json) = made.ok_or_else(no_such_path)?;
    let quoted = format!("\"{etag}\"");
    let known = call.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known == Some(quoted.as_str()) {
        whole(StatusCode::NOT_MODIFIED, "application/json", Bytes::new())
    } else {
        whole(StatusCode::OK, "application/json", json)
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(quoted) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Accept"));
    // Under its own hash a document never changes.
    if call.query.get("hash").is_some_and(|hash| *hash == *etag) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    }
    Ok(response)
}
