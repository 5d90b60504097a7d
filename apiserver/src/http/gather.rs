//! Writes gathered before they are encrypted and sent.
//!
//! The HTTP/2 codec writes and flushes each frame of data by itself: an answer, or an event for one watcher, would be a
//! TLS record and a system call of its own. But connections are busy in bursts: an event wakes fifty watchers on one
//! connection, whose tasks then stand in the scheduler's queue. So the first flush after a write is put off until those
//! who stand in the queue have had their turn: the connection wakes itself, which puts it at the queue's end, and
//! flushes what has been gathered when it is polled again. An idle server polls it again at once.
//!
//! Only for HTTP/2, whose codec flushes at the end of each poll: that is what makes a flush that was put off happen.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much is gathered at most: eight of the largest frames that clients take, with their heads, or an event of a kilobyte
/// for each of a hundred watches.
pub const GATHERED_MAX: usize = 8 * (16 * 1024 + 9);
/// So much memory is kept at most while there is nothing to write.
const KEPT: usize = 16 * 1024;

/// Counts the polls of a connection; whoever polls it tells.
#[derive(Clone, Default)]
pub struct Turn(Arc<AtomicUsize>);

impl Turn {
    pub fn next(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

pub struct Gather<S> {
    stream: S,
    gathered: Vec<u8>,
    /// How much of it is written.
    written: usize,
    turn: Turn,
    /// The turn in which a flush was put off.
    put_off: Option<usize>,
    /// Off: everything goes straight to the stream.
    on: bool,
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    pub fn new(stream: S, turn: Turn, on: bool) -> Gather<S> {
        Gather { stream, gathered: Vec::new(), written: 0, turn, put_off: None, on }
    }

    /// Gives all that was gathered to the stream.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.gathered[self.written..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += sent;
        }
        self.written = 0;
        self.gathered.clear();
        self.gathered.shrink_to(KEPT);
        Poll::Ready(Ok(()))
    }

    /// Whether a write of this length is gathered; if not, the stream has everything before it.
    fn poll_gathers(&mut self, length: usize, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.on && self.gathered.len() + length <= GATHERED_MAX {
            return Poll::Ready(Ok(true));
        }
        ready!(self.poll_send(context))?;
        Poll::Ready(Ok(self.on && length <= GATHERED_MAX))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if ready!(self.poll_gathers(data.len(), context))? {
            self.gathered.extend_from_slice(data);
            return Poll::Ready(Ok(data.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if ready!(self.poll_gathers(length, context))? {
            parts.iter().for_each(|part| self.gathered.extend_from_slice(part));
            return Poll::Ready(Ok(length));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.gathered.is_empty() {
            let now = self.turn.now();
            match self.put_off {
                None => {
                    self.put_off = Some(now);
                    context.waker().wake_by_ref();
                    return Poll::Ready(Ok(()));
                }
                Some(turn) if turn == now => return Poll::Ready(Ok(())),
                Some(_) => {
                    ready!(self.poll_send(context))?;
                    self.put_off = None;
                }
            }
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Remembers each write, and how many it takes before it is full.
    #[derive(Default)]
    struct Sink {
        writes: Vec<Vec<u8>>,
        flushes: usize,
        room: Option<usize>,
    }

    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let taken = self.room.map_or(data.len(), |room| room.min(data.len()));
            if taken == 0 {
                return Poll::Pending;
            }
            self.room = self.room.map(|room| room - taken);
            self.writes.push(data[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    struct Case {
        gather: Gather<Sink>,
        turn: Turn,
    }

    impl Case {
        fn new(on: bool) -> Case {
            let turn = Turn::default();
            Case { gather: Gather::new(Sink::default(), turn.clone(), on), turn }
        }

        fn write(&mut self, data: &[u8]) -> Poll<usize> {
            let context = &mut Context::from_waker(Waker::noop());
            Pin::new(&mut self.gather).poll_write(context, data).map(|written| written.expect("written"))
        }

        fn flush(&mut self) -> bool {
            let context = &mut Context::from_waker(Waker::noop());
            Pin::new(&mut self.gather).poll_flush(context).is_ready()
        }

        fn sent(&self) -> Vec<&[u8]> {
            self.gather.stream.writes.iter().map(Vec::as_slice).collect()
        }
    }

    #[test]
    fn frames_of_a_turn_are_one_write_in_the_next() {
        let mut case = Case::new(true);
        for frame in [b"one", b"two"] {
            assert_eq!(case.write(frame), Poll::Ready(3));
            assert!(case.flush());
        }
        assert!(case.sent().is_empty());
        case.turn.next();
        assert!(case.flush());
        assert_eq!(case.sent(), [b"onetwo"]);
        assert_eq!(case.gather.stream.flushes, 1);
    }

    #[test]
    fn without_gathering_every_write_is_one() {
        let mut case = Case::new(false);
        for frame in [b"one", b"two"] {
            assert_eq!(case.write(frame), Poll::Ready(3));
        }
        assert_eq!(case.sent(), [b"one", b"two"]);
    }

    #[test]
    fn what_does_not_fit_sends_what_was_there() {
        let mut case = Case::new(true);
        assert_eq!(case.write(b"head"), Poll::Ready(4));
        let large = vec![1; GATHERED_MAX];
        assert_eq!(case.write(&large), Poll::Ready(large.len()));
        assert_eq!(case.sent(), [b"head"], "the large one is gathered in its place");
        let larger = vec![2; GATHERED_MAX + 1];
        assert_eq!(case.write(&larger), Poll::Ready(larger.len()));
        assert_eq!(case.sent()[1..], [&large[..], &larger[..]]);
    }

    #[test]
    fn a_full_stream_is_gone_on_with_where_it_stopped() {
        let mut case = Case::new(true);
        case.gather.stream.room = Some(2);
        assert_eq!(case.write(b"onetwo"), Poll::Ready(6));
        assert!(case.flush());
        case.turn.next();
        assert!(!case.flush(), "full");
        case.gather.stream.room = None;
        assert!(case.flush());
        assert_eq!(case.sent(), [&b"on"[..], b"etwo"]);
    }

    #[test]
    fn a_shutdown_leaves_nothing_behind() {
        let mut case = Case::new(true);
        assert_eq!(case.write(b"last"), Poll::Ready(4));
        assert!(case.flush());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut case.gather).poll_shutdown(context).is_ready());
        assert_eq!(case.sent(), [b"last"]);
    }
}
