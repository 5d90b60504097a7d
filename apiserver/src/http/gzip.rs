//! Answers that are large are compressed for clients that take it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::body::{ApiResponse, ResponseBody};

/// Upstream's threshold: below it the work is not worth it.
const LEAST: usize = 128 * 1024;
/// Lists are streamed piece by piece once they are as large as this; see `list`.
const LEVEL: u32 = 1;

/// Compresses the answer to a GET where that is wanted and worth it.
pub fn compress(headers: &HeaderMap, is_get: bool, mut response: ApiResponse) -> ApiResponse {
    let wanted = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.split(';').next().unwrap_or_default().trim() == "gzip");
    if !is_get || !wanted || response.status() != StatusCode::OK || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let body = std::mem::replace(response.body_mut(), ResponseBody::Full(None));
    let body = match body {
        ResponseBody::Full(Some(bytes)) if bytes.len() > LEAST => match whole(&bytes) {
            Some(compressed) => ResponseBody::from(compressed),
            None => {
                *response.body_mut() = ResponseBody::from(bytes);
                return response;
            }
        },
        ResponseBody::List(stream) => ResponseBody::List(pieces(stream).boxed()),
        other => {
            *response.body_mut() = other;
            return response;
        }
    };
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(LEVEL));
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// A stream, compressed as it comes.
fn pieces(
    stream: futures::stream::BoxStream<'static, std::io::Result<Bytes>>,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    let encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    futures::stream::unfold((stream, Some(encoder)), |(mut stream, encoder)| async move {
        let mut encoder = encoder?;
        loop {
            match stream.next().await {
                Some(Ok(piece)) => {
                    if let Err(error) = encoder.write_all(&piece) {
                        return Some((Err(error), (stream, None)));
                    }
                    let done = std::mem::take(encoder.get_mut());
                    if !done.is_empty() {
                        return Some((Ok(Bytes::from(done)), (stream, Some(encoder))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), (stream, None))),
                None => return Some((encoder.finish().map(Bytes::from), (stream, None))),
            }
        }
    })
}
