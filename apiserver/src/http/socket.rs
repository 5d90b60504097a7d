//! A client's socket, below TLS: tells when it takes no more, and stops reading after a while so that others have their
//! turn.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;
use super::crowd::Place;

/// So much is read before the other tasks have their turn. A client that always has something to read would otherwise
/// keep the connection, and the thread that polls it, busy.
const READ_AT_ONCE: usize = 64 * 1024;

/// A peer that says nothing for so long is asked whether it is still there, as upstream does it.
const ALIVE_AFTER: Duration = Duration::from_secs(180);
/// How often it is asked, and how many times.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
const ALIVE_TIMES: u32 = 4;

/// Small writes go at once, and a connection whose peer has gone without a word is found out.
pub fn prepare(stream: &TcpStream) {
    let set = || -> io::Result<()> {
        stream.set_nodelay(true)?;
        sockopt::set_tcp_keepidle(stream, ALIVE_AFTER)?;
        sockopt::set_tcp_keepintvl(stream, ALIVE_EVERY)?;
        sockopt::set_tcp_keepcnt(stream, ALIVE_TIMES)?;
        sockopt::set_socket_keepalive(stream, true)?;
        Ok(())
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "options of a socket");
    }
}

pub struct Socket<S> {
    stream: S,
    activity: Activity,
    read: usize,
    /// As long as the socket is open, in whatever protocol.
    _place: Option<Place>,
}

impl<S> Socket<S> {
    pub fn new(stream: S, activity: Activity, place: Option<Place>) -> Socket<S> {
        Socket { stream, activity, read: 0, _place: place }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.socket_took(written.is_ready());
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read >= READ_AT_ONCE {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_pending() {
            self.read = 0;
        }
        ready!(read)?;
        self.read += into.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(written)
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
