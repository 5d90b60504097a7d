//! Answers that are large are compressed for clients that take it.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::body::{ApiResponse, ResponseBody};
use crate::budget::{Budget, Charge};
use crate::computation::Pieces;

/// Upstream's threshold: below it the work is not worth it.
const LEAST: usize = 128 * 1024;
const LEVEL: u32 = 1;
/// How much is compressed before others have their turn.
const PIECE: usize = 64 * 1024;
/// What an encoder takes, roughly.
const ENCODER: usize = 256 * 1024;

/// Compresses the answer to a GET where that is wanted and worth it. No serving thread does it. While bytes are scarce,
/// nothing is compressed, because an encoder takes more of them than a piece.
pub fn compress(headers: &HeaderMap, is_get: bool, mut response: ApiResponse, budget: &Budget) -> ApiResponse {
    let wanted = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.split(';').next().unwrap_or_default().trim() == "gzip");
    if !is_get || !wanted || response.status() != StatusCode::OK || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    if budget.is_scarce() {
        return response;
    }
    let body = std::mem::replace(response.body_mut(), ResponseBody::Full(None));
    let pieces = match body {
        ResponseBody::Full(Some(bytes)) if bytes.len() > LEAST => parted(bytes),
        ResponseBody::List(pieces) | ResponseBody::Conversion(pieces) => pieces,
        other => {
            *response.body_mut() = other;
            return response;
        }
    };
    *response.body_mut() = ResponseBody::Conversion(compressed(pieces, budget.clone()));
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// An answer that is there, in pieces.
fn parted(mut bytes: Bytes) -> Pieces {
    let pieces = std::iter::from_fn(move || {
        let length = bytes.len().min(PIECE);
        (length > 0).then(|| Ok(bytes.split_to(length)))
    });
    futures::stream::iter(pieces).boxed()
}

/// Pieces, compressed as they come.
fn compressed(pieces: Pieces, budget: Budget) -> Pieces {
    let mut charge = budget.charge();
    charge.add_always(ENCODER);
    let encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    let state = State { pieces, piece: Bytes::new(), encoder, budget, _charge: charge };
    futures::stream::unfold(Some(state), async |state| state?.next().await).boxed()
}

struct State {
    pieces: Pieces,
    /// What is left of the last one.
    piece: Bytes,
    encoder: GzEncoder<Vec<u8>>,
    budget: Budget,
    /// Of the encoder.
    _charge: Charge,
}

impl State {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Option<State>)> {
        loop {
            if self.piece.is_empty() {
                match self.pieces.next().await {
                    Some(Ok(piece)) => self.piece = piece,
                    Some(Err(error)) => return Some((Err(error), None)),
                    None => {
                        let last = self.encoder.finish().map(|last| self.budget.carry(last));
                        return Some((last, None));
                    }
                }
            }
            let part = self.piece.split_to(self.piece.len().min(PIECE));
            if let Err(error) = self.encoder.write_all(&part) {
                return Some((Err(error), None));
            }
            let done = std::mem::take(self.encoder.get_mut());
            if !done.is_empty() {
                return Some((Ok(self.budget.carry(done)), Some(self)));
            }
            tokio::task::yield_now().await;
        }
    }
}
