//! Request lines as Go reads them.
//!
//! Go's server takes `<`, `>` and `"` in a request's target as they are, so that people write `?labelSelector=n>3`;
//! hyper's URIs have them percent-encoded or not at all. So the first line of each HTTP/1.1 request is looked through on
//! its way in, and only one that has such a byte is copied. A request begins with what is read while none is running:
//! hyper reads no further than the request that it answers.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::ResponseBody;

/// The requests of a connection.
#[derive(Clone, Default)]
pub struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    running: AtomicUsize,
}

impl Requests {
    /// A request has been read; it runs until the answer's body is dropped.
    pub fn begin(&self) -> Running {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(&self.0))
    }
}

pub struct Running(Arc<Counts>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body, which ends its request.
pub struct Answer {
    body: ResponseBody,
    _running: Running,
}

impl Answer {
    pub fn new(body: ResponseBody, running: Running) -> Answer {
        Answer { body, _running: running }
    }
}

impl Body for Answer {
    type Data = <ResponseBody as Body>::Data;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

enum Place {
    /// The next byte begins a request.
    Start,
    /// Within the first line.
    Line,
    /// Behind it; so many requests had begun before this one.
    Beyond(usize),
}

pub struct Lenient<S> {
    stream: S,
    requests: Requests,
    place: Place,
    /// What there was no room for when a line had grown.
    left: Vec<u8>,
    /// Off: what is read is not looked at.
    on: bool,
}

impl<S> Lenient<S> {
    pub fn new(stream: S, requests: Requests, on: bool) -> Lenient<S> {
        Lenient { stream, requests, place: Place::Start, left: Vec::new(), on }
    }

    /// What was read as it should have been, if that is something else.
    fn corrected(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        if let Place::Beyond(before) = self.place {
            let (begun, running) = (&self.requests.0.begun, &self.requests.0.running);
            if begun.load(Ordering::Relaxed) == before || running.load(Ordering::Relaxed) > 0 {
                return None;
            }
            self.place = Place::Start;
        }
        if matches!(self.place, Place::Start) && !begins_request(read) {
            return None;
        }
        let end = memchr::memchr(b'\n', read);
        self.place = match end {
            Some(_) => Place::Beyond(self.requests.0.begun.load(Ordering::Relaxed)),
            None => Place::Line,
        };
        let (line, rest) = read.split_at(end.unwrap_or(read.len()));
        memchr::memchr3(b'<', b'>', b'"', line)?;
        let mut corrected = Vec::with_capacity(read.len() + 16);
        for &byte in line {
            match byte {
                b'<' => corrected.extend_from_slice(b"%3C"),
                b'>' => corrected.extend_from_slice(b"%3E"),
                b'"' => corrected.extend_from_slice(b"%22"),
                byte => corrected.push(byte),
            }
        }
        corrected.extend_from_slice(rest);
        Some(corrected)
    }

    fn give(&mut self, into: &mut ReadBuf<'_>) {
        let given = self.left.len().min(into.remaining());
        into.put_slice(&self.left[..given]);
        self.left.drain(..given);
    }
}

fn begins_request(read: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [b"GET /", b"POST /", b"PUT /", b"PATCH /", b"DELETE /", b"HEAD /", b"OPTIONS /"];
    METHODS.iter().any(|method| read.starts_with(method))
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.left.is_empty() {
            self.give(into);
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        if self.on
            && let Some(corrected) = self.corrected(&into.filled()[before..])
        {
            into.set_filled(before);
            self.left = corrected;
            self.give(into);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lenient: &mut Lenient<()>, text: &str) -> String {
        let corrected = lenient.corrected(text.as_bytes());
        corrected.map_or(text.to_owned(), |corrected| String::from_utf8(corrected).expect("ASCII"))
    }

    #[test]
    fn only_the_first_line_of_each_request_is_corrected() {
        let requests = Requests::default();
        let mut lenient = Lenient::new((), requests.clone(), true);
        assert_eq!(read(&mut lenient, "GET /?a=n>3 HTTP/1.1\r\nX: >\r\n"), "GET /?a=n%3E3 HTTP/1.1\r\nX: >\r\n");
        assert_eq!(read(&mut lenient, "GET /not>a line\r\n\r\n"), "GET /not>a line\r\n\r\n", "still the head");
        let running = requests.begin();
        assert_eq!(read(&mut lenient, "GET /a>body\n"), "GET /a>body\n");
        drop(running);
        assert_eq!(read(&mut lenient, "a<body's rest\n"), "a<body's rest\n");
        assert_eq!(read(&mut lenient, "GET /\"<"), "GET /%22%3C");
        assert_eq!(read(&mut lenient, ">\r\n>"), "%3E\r\n>");
    }

    #[tokio::test]
    async fn a_line_that_grows_is_given_in_pieces() {
        use tokio::io::AsyncReadExt;
        let mut lenient = Lenient::new(&b"GET /<> HTTP/1.1\r\n\r\n"[..], Requests::default(), true);
        let mut got = Vec::new();
        let mut piece = [0; 8];
        loop {
            match lenient.read(&mut piece).await.expect("reads") {
                0 => break,
                n => got.extend_from_slice(&piece[..n]),
            }
        }
        assert_eq!(got, b"GET /%3C%3E HTTP/1.1\r\n\r\n");
    }
}
