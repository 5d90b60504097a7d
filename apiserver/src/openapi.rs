//! OpenAPI documents: the index of version 3, and each of its documents by the hash that the index tells.

use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::Result;
use corten_api::time::Timestamp;
use corten_object::tree::Node;
use corten_openapi::{CustomKind, Document, Documents, Form, Packed, accepts_json, location};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::call::Call;
use crate::http::ApiResponse;
use crate::resource::Resource;
use crate::show::whole;

/// Answers a path below `/openapi`.
pub fn answer(call: &Call, documents: &Documents, parts: &[&str]) -> Result<ApiResponse> {
    let document = match parts {
        ["v2"] => return Ok(version_2(call, documents)),
        ["v3", document @ ..] => document,
        _ => return Ok(crate::documents::no_page()),
    };
    if document.is_empty() {
        return Ok(whole(StatusCode::OK, "text/plain; charset=utf-8", documents.index().json));
    }
    let path = document.join("/");
    let Some(document) = documents.document(&path) else { return Ok(not_found()) };
    if !accepts_json(text_of(&call.headers, header::ACCEPT)) {
        return Ok(not_acceptable());
    }
    Ok(tagged(call, &path, &document))
}

fn version_2(call: &Call, documents: &Documents) -> ApiResponse {
    let Some(form) = Form::of_v2(text_of(&call.headers, header::ACCEPT)) else { return not_acceptable() };
    found(call, &documents.v2(form), form.content_type())
}

/// A custom kind as documents need it; None for what no definition of the tree publishes.
pub fn custom_kind(definition: Node<'_>, resource: &Resource) -> Option<CustomKind> {
    let published = corten_custom::publish::publish(definition, &resource.version)?;
    Some(CustomKind {
        group: Arc::clone(&resource.group),
        version: Arc::clone(&resource.version),
        plural: Arc::clone(&resource.plural),
        kind: Arc::clone(&resource.kind),
        list_kind: Arc::clone(&resource.list_kind),
        namespaced: resource.namespaced,
        status: resource.subresource("status").is_some(),
        scale: resource.subresource("scale").is_some(),
        schema: Packed::new(&published.schema),
        list_schema: Packed::new(&published.list_schema),
    })
}

/// A document that is asked for by its hash may be kept for ever; by another hash, the right one is told.
fn tagged(call: &Call, path: &str, document: &Document) -> ApiResponse {
    let hash = call.query.get("hash").filter(|hash| !hash.is_empty());
    if hash.is_some_and(|hash| *hash != *document.etag) {
        let mut response = whole(StatusCode::MOVED_PERMANENTLY, "application/json", Bytes::new());
        set(&mut response, header::LOCATION, &location(path, &document.etag));
        set(&mut response, header::ETAG, &quoted(document));
        set(&mut response, header::VARY, "Accept");
        return response;
    }
    let mut response = found(call, document, "application/json");
    if hash.is_some() {
        set(&mut response, header::CACHE_CONTROL, "public, immutable");
        set(&mut response, header::EXPIRES, &in_a_year(&call.now));
    }
    response
}

/// A document as the client takes it, or that it has not changed.
fn found(call: &Call, document: &Document, content_type: &'static str) -> ApiResponse {
    let etag = quoted(document);
    let mut response = if text_of(&call.headers, header::IF_NONE_MATCH).split(',').any(|known| known.trim() == etag) {
        empty(StatusCode::NOT_MODIFIED)
    } else if text_of(&call.headers, header::ACCEPT_ENCODING).contains("gzip") {
        let mut response = whole(StatusCode::OK, content_type, document.gzip.clone());
        set(&mut response, header::CONTENT_ENCODING, "gzip");
        response
    } else {
        whole(StatusCode::OK, content_type, document.plain())
    };
    set(&mut response, header::ETAG, &etag);
    set(&mut response, header::VARY, "Accept, Accept-Encoding");
    response
}

fn quoted(document: &Document) -> String {
    format!("\"{}\"", document.etag)
}

fn not_acceptable() -> ApiResponse {
    let mut response = empty(StatusCode::NOT_ACCEPTABLE);
    set(&mut response, header::VARY, "Accept");
    response
}

fn in_a_year(now: &Timestamp) -> String {
    const FORM: &[time::format_description::FormatItem<'_>] =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] UTC");
    const YEAR: i64 = 365 * 24 * 60 * 60;
    let then = OffsetDateTime::from_unix_timestamp(now.seconds + YEAR).ok();
    then.and_then(|then| then.format(FORM).ok()).unwrap_or_default()
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn set(response: &mut ApiResponse, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn not_found() -> ApiResponse {
    empty(StatusCode::NOT_FOUND)
}

fn empty(code: StatusCode) -> ApiResponse {
    let mut response = whole(code, "application/json", Bytes::new());
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}
