//! Request lines as Go reads them.
//!
//! Go's server takes `<`, `>` and `"` in a request's target as they are, so that people write `?labelSelector=n>3`;
//! hyper's URIs have them percent-encoded or not at all. So the first line of each HTTP/1.1 request is looked through on
//! its way in, and only one that has such a byte is copied. A request begins with what is read while none is running:
//! hyper reads no further than the request that it answers.
//!
//! What is read before a request begins is its head: it is told to those who wait for its end, and a large one takes its
//! share of what all large heads may hold together.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::blocks::Blocks;
use super::heads::{Heads, Share};

/// So much of a head is read without asking whether there is room for more.
const HEAD_FREE: usize = 8 * 1024;
/// What a byte of a compressed head may become: a header that is remembered is named by one.
const DECODED: usize = 104;
/// No head becomes more, as decoding ends at 32 bytes for each header in a list of a megabyte.
const DECODED_MAX: usize = 5 << 20;

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
    activity: Activity,
    place: Place,
    /// How much has been read of a head, and what it takes of the room for large ones.
    head: usize,
    share: Share,
    /// So many requests had begun before it.
    begun: usize,
    /// What there was no room for when a line had grown.
    left: Vec<u8>,
    /// HTTP/2, where lines are none: only the frames of heads are looked at.
    blocks: Option<Blocks>,
}

impl<S> Lenient<S> {
    pub fn new(stream: S, activity: Activity, heads: &Heads, is_http2: bool) -> Lenient<S> {
        let blocks = is_http2.then(Blocks::default);
        Lenient {
            stream,
            activity,
            place: Place::Start,
            head: 0,
            share: heads.share(),
            begun: 0,
            left: Vec::new(),
            blocks,
        }
    }

    /// Counts what was read before a request began. False if there is no room for so large a head.
    fn count(&mut self, read: usize) -> bool {
        let begun = self.activity.begun();
        if self.begun != begun {
            (self.begun, self.head) = (begun, 0);
            self.share.give_back();
        }
        if self.activity.running() > 0 {
            return true;
        }
        self.activity.received();
        self.head += read;
        self.share.grow_to(self.head.saturating_sub(HEAD_FREE))
    }

    /// What was read as it should have been, if that is something else.
    fn corrected(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        if let Place::Beyond(before) = self.place {
            if self.activity.begun() == before || self.activity.running() > 0 {
                return None;
            }
            self.place = Place::Start;
        }
        if matches!(self.place, Place::Start) && !begins_request(read) {
            return None;
        }
        let end = memchr::memchr(b'\n', read);
        self.place = match end {
            Some(_) => Place::Beyond(self.activity.begun()),
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
        let read = &into.filled()[before..];
        let has_room = match &mut self.blocks {
            _ if read.is_empty() => true,
            Some(blocks) => {
                let open = blocks.see(read);
                self.activity.has_open_block(open.is_some());
                self.share.set(open.unwrap_or_default().saturating_mul(DECODED).min(DECODED_MAX))
            }
            None => self.count(read.len()),
        };
        if !has_room {
            return Poll::Ready(Err(io::Error::other("there are too many large heads of requests")));
        }
        if self.blocks.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Some(corrected) = self.corrected(&into.filled()[before..]) {
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
    use crate::http::activity::Unsent;
    use corten_runtime::clock::{Clock, Wall};

    fn activity() -> Activity {
        let (clock, _) = Clock::manual(Wall::from_seconds(1));
        Activity::new(clock, Unsent::default())
    }

    fn read(lenient: &mut Lenient<()>, text: &str) -> String {
        let corrected = lenient.corrected(text.as_bytes());
        corrected.map_or(text.to_owned(), |corrected| String::from_utf8(corrected).expect("ASCII"))
    }

    #[test]
    fn only_the_first_line_of_each_request_is_corrected() {
        let activity = activity();
        let mut lenient = Lenient::new((), activity.clone(), &Heads::default(), false);
        assert_eq!(read(&mut lenient, "GET /?a=n>3 HTTP/1.1\r\nX: >\r\n"), "GET /?a=n%3E3 HTTP/1.1\r\nX: >\r\n");
        assert_eq!(read(&mut lenient, "GET /not>a line\r\n\r\n"), "GET /not>a line\r\n\r\n", "still the head");
        let running = activity.begin();
        assert_eq!(read(&mut lenient, "GET /a>body\n"), "GET /a>body\n");
        drop(running);
        assert_eq!(read(&mut lenient, "a<body's rest\n"), "a<body's rest\n");
        assert_eq!(read(&mut lenient, "GET /\"<"), "GET /%22%3C");
        assert_eq!(read(&mut lenient, ">\r\n>"), "%3E\r\n>");
    }

    #[tokio::test]
    async fn a_line_that_grows_is_given_in_pieces() {
        use tokio::io::AsyncReadExt;
        let mut lenient = Lenient::new(&b"GET /<> HTTP/1.1\r\n\r\n"[..], activity(), &Heads::default(), false);
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
