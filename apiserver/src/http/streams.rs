//! A connection and the streams on it, as one task.
//!
//! The HTTP/2 server makes a future for each request, which waits for the answer and then moves its body into the
//! connection. Were these tasks of their own, an event for fifty watchers on one connection would wake fifty tasks, on
//! whatever cores, each of which takes the connection's lock and wakes the connection in its turn. Here the connection's
//! own task polls them: an event wakes it once (see `wakes`), it asks each stream that has something, and sends what they
//! gave.
//!
//! So nothing may compute for long in a body, or it would hold up its neighbours: answers are made by tasks of their own,
//! and so are the pieces of a list (see `listener`). What a watch makes is small.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper::rt::Executor;
use parking_lot::Mutex;

use super::gather::Turn;
use crate::wakes::Set;

/// Where the HTTP server leaves the futures of new streams.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.lock().push(Box::pin(stream));
    }
}

/// Runs a connection with its streams. Those that are left when it ends are dropped with it.
pub struct Driver<C> {
    connection: Pin<Box<C>>,
    new: Streams,
    running: Set,
    turn: Turn,
}

impl<C: Future> Driver<C> {
    /// `new` is what the connection was built with; `turn` is told of each poll.
    pub fn new(connection: C, new: Streams, turn: Turn) -> Driver<C> {
        Driver { connection: Box::pin(connection), new, running: Set::default(), turn }
    }

    pub fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }
}

impl<C: Future> Future for Driver<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        self.turn.next();
        // First, so that the connection sends what they give.
        self.running.poll(context);
        if let Poll::Ready(output) = self.connection.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        let new = std::mem::take(&mut *self.new.0.lock());
        if !new.is_empty() {
            new.into_iter().for_each(|stream| self.running.push(stream));
            self.running.poll(context);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::sync::oneshot;

    /// A connection that has a new stream at each poll, as long as there are any, and then ends.
    fn connection(streams: Streams, mut left: Vec<BoxFuture<'static, ()>>) -> impl Future<Output = ()> {
        std::future::poll_fn(move |_| match left.pop() {
            Some(stream) => {
                streams.execute(stream);
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
    }

    #[test]
    fn streams_run_with_their_connection_and_end_with_it() {
        let (done, mut finished) = oneshot::channel();
        let (kept, mut dropped) = oneshot::channel::<()>();
        let first = async move { done.send(()).unwrap_or_default() };
        let second = async move {
            let _kept = kept;
            std::future::pending().await
        };
        let streams = Streams::default();
        let connection = connection(streams.clone(), vec![Box::pin(second), Box::pin(first)]);
        let mut driver = Driver::new(connection, streams, Turn::default());
        let context = &mut Context::from_waker(Waker::noop());
        let mut poll = || Pin::new(&mut driver).poll(context).is_ready();
        assert!(!poll());
        assert_eq!(finished.try_recv(), Ok(()), "polled as soon as it is there");
        assert!(!poll());
        assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert!(poll());
        drop(driver);
        assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
