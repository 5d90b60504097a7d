//! WebSockets for watches: the handshake, and a stream of messages that the server alone sends.
//!
//! The words of a refused handshake, and that there has to be an Origin, are those of the library that upstream uses.

use std::io;
use std::pin::pin;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use corten_runtime::clock::Clock;
use corten_runtime::tasks::CancellationToken;
use futures::{Stream, StreamExt};
use http::header::{
    CONNECTION, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::debug;

use super::body::{ApiResponse, ResponseBody};
use super::limits::UNREAD_MAX;

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
/// What a client sends is thrown away; more than this at once ends the connection.
const RECEIVED_MAX: u64 = 64 * 1024;
/// How long a client has for the end of a connection.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Whether a request wants to go on as a WebSocket.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, word: &str| {
        let values = headers.get_all(name);
        let text = values.iter().filter_map(|value| value.to_str().ok());
        text.flat_map(|text| text.split(',')).any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    has(CONNECTION, "upgrade") && has(UPGRADE, "websocket")
}

/// The answer to a handshake: 101, or a refusal.
pub fn shake_hands(headers: &HeaderMap) -> Result<ApiResponse, Box<ApiResponse>> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(SEC_WEBSOCKET_VERSION) != VERSION {
        let mut refusal = plain(StatusCode::BAD_REQUEST, "missing or bad WebSocket Version");
        refusal.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        return Err(Box::new(refusal));
    }
    let key = text(SEC_WEBSOCKET_KEY);
    if key.is_empty() {
        return Err(Box::new(plain(StatusCode::BAD_REQUEST, "challenge/response not matched")));
    }
    if text(ORIGIN).is_empty() {
        return Err(Box::new(plain(StatusCode::FORBIDDEN, "")));
    }
    let protocol = text(SEC_WEBSOCKET_PROTOCOL);
    if protocol.contains(',') {
        return Err(Box::new(plain(StatusCode::BAD_REQUEST, "")));
    }
    let mut response = plain(StatusCode::SWITCHING_PROTOCOLS, "");
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()));
    for (name, value) in [
        (UPGRADE, "websocket"),
        (CONNECTION, "Upgrade"),
        (SEC_WEBSOCKET_ACCEPT, &accept),
        (SEC_WEBSOCKET_PROTOCOL, protocol),
    ] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn plain(code: StatusCode, body: &'static str) -> ApiResponse {
    let mut response = Response::new(ResponseBody::from(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = code;
    response
}

/// How the pieces of a stream are taken apart into messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A line each, its end included.
    Lines,
    /// Each behind its length in four bytes.
    Lengths,
}

/// Sends a stream until it ends, or the client goes or does not read. A server that stops does not wait for the client.
pub async fn send(
    upgrade: OnUpgrade,
    framing: Framing,
    stream: impl Stream<Item = io::Result<Bytes>> + Send,
    clock: Clock,
    stopping: CancellationToken,
) {
    let overdue = async {
        stopping.cancelled().await;
        clock.sleep(GOODBYE_MAX).await;
    };
    tokio::select! {
        () = send_all(upgrade, framing, stream, &clock) => {}
        () = overdue => {}
    }
}

async fn send_all(
    upgrade: OnUpgrade,
    framing: Framing,
    stream: impl Stream<Item = io::Result<Bytes>> + Send,
    clock: &Clock,
) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return debug!(%error, "upgrade to a WebSocket"),
    };
    let (mut reader, mut writer) = tokio::io::split(upgraded);
    let mut stream = pin!(stream);
    let mut ignored = pin!(ignore_received(&mut reader));
    loop {
        let piece = tokio::select! {
            piece = stream.next() => piece,
            () = &mut ignored => None,
        };
        let Some(Ok(piece)) = piece else { break };
        if let Err(error) = write(&mut writer, &framed(&piece, framing), clock).await {
            return debug!(%error, "a WebSocket's client has gone");
        }
    }
    let mut goodbye = Vec::new();
    frame(CLOSE, &1000u16.to_be_bytes(), &mut goodbye);
    let _ = write(&mut writer, &goodbye, clock).await;
    let _ = clock.timeout(GOODBYE_MAX, writer.shutdown()).await;
}

/// Writes all, as long as the client takes some of it from time to time.
async fn write(writer: &mut (impl AsyncWrite + Unpin), mut data: &[u8], clock: &Clock) -> io::Result<()> {
    while !data.is_empty() {
        let written = clock.timeout(UNREAD_MAX, writer.write(data)).await.map_err(io::Error::other)??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        data = &data[written..];
    }
    clock.timeout(UNREAD_MAX, writer.flush()).await.map_err(io::Error::other)?
}

fn framed(piece: &[u8], framing: Framing) -> Vec<u8> {
    let mut out = Vec::with_capacity(piece.len() + 16);
    match framing {
        Framing::Lines => piece.split_inclusive(|&byte| byte == b'\n').for_each(|line| frame(TEXT, line, &mut out)),
        Framing::Lengths => {
            let mut rest = piece;
            while let Some((length, after)) = rest.split_first_chunk::<4>() {
                let (message, next) = after.split_at((u32::from_be_bytes(*length) as usize).min(after.len()));
                frame(BINARY, message, &mut out);
                rest = next;
            }
        }
    }
    out
}

fn frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    const WHOLE: u8 = 0x80;
    out.push(WHOLE | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        medium @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Reads what the client sends, and returns when it says goodbye or is gone.
async fn ignore_received(reader: &mut (impl AsyncRead + Unpin)) {
    loop {
        match read_head(reader).await {
            Ok((CLOSE, _)) | Err(_) => return,
            Ok((_, length)) if length > RECEIVED_MAX => return,
            Ok((TEXT | BINARY | PING | PONG | 0, length)) => {
                let mut payload = reader.take(length);
                if tokio::io::copy(&mut payload, &mut tokio::io::sink()).await.is_err() {
                    return;
                }
            }
            Ok(_) => return,
        }
    }
}

/// A frame's kind, and how much follows, the client's mask included.
async fn read_head(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, u64)> {
    let mut head = [0; 2];
    reader.read_exact(&mut head).await?;
    let length = match head[1] & 0x7f {
        126 => u64::from(reader.read_u16().await?),
        127 => reader.read_u64().await?,
        short => u64::from(short),
    };
    let mask = if head[1] & 0x80 == 0 { 0 } else { 4 };
    Ok((head[0] & 0x0f, length.saturating_add(mask)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_runtime::clock::Wall;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn check(lines: &[(&'static str, &'static str)], expected: u16) {
        let answer = shake_hands(&headers(lines)).unwrap_or_else(|refusal| *refusal);
        assert_eq!(answer.status().as_u16(), expected, "{lines:?}");
    }

    #[test]
    fn hands_are_shaken_as_the_rfc_says() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let (version, origin) = (("sec-websocket-version", "13"), ("origin", "http://x"));
        let Ok(answer) = shake_hands(&headers(&[key, version, origin])) else { panic!("refused") };
        assert_eq!(answer.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        check(&[key, version, origin, ("sec-websocket-protocol", "a")], 101);
        check(&[key, version, origin, ("sec-websocket-protocol", "a, b")], 400);
        check(&[key, version], 403);
        check(&[key, origin], 400);
        check(&[version, origin], 400);
        assert!(is_wanted(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])));
        assert!(!is_wanted(&headers(&[("connection", "keep-alive"), ("upgrade", "websocket")])));
    }

    #[test]
    fn each_event_is_a_message() {
        assert_eq!(framed(b"{}\n{1}\n", Framing::Lines), b"\x81\x03{}\n\x81\x04{1}\n");
        assert_eq!(framed(b"\0\0\0\x01a\0\0\0\x02bc", Framing::Lengths), b"\x82\x01a\x82\x02bc");
        assert_eq!(framed(&[b'a'; 200], Framing::Lines)[..4], [0x81, 126, 0, 200]);
        assert_eq!(framed(&[b'a'; 70_000], Framing::Lines)[..4], [0x81, 127, 0, 0]);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_given_up() {
        let (clock, manual) = Clock::manual(Wall::from_seconds(1));
        let (mut client, mut server) = tokio::io::duplex(10);
        let mut writing = pin!(write(&mut server, &[b'a'; 100], &clock));
        let context = &mut Context::from_waker(Waker::noop());
        let mut poll = || writing.as_mut().poll(context);
        assert!(poll().is_pending());
        manual.advance(UNREAD_MAX - Duration::from_secs(1));
        assert!(client.read(&mut [0; 5]).await.is_ok());
        assert!(poll().is_pending());
        manual.advance(UNREAD_MAX - Duration::from_secs(1));
        assert!(poll().is_pending());
        manual.advance(Duration::from_secs(1));
        assert!(matches!(poll(), Poll::Ready(Err(_))));
    }

    #[tokio::test]
    async fn reading_ends_with_the_client() {
        ignore_received(&mut &b"\x81\x82\0\0\0\0ab\x88\x80\0\0\0\0"[..]).await;
        ignore_received(&mut &b"\x81\x82\0\0"[..]).await;
    }
}
