//! A counted task that somebody waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::Kind;

/// The output of a task, once it is there; none if the task panicked. Who drops it does not want it any more, and the
/// task is ended where it stands.
pub struct Running<T>(JoinHandle<T>);

impl Kind {
    /// Starts a counted task for one who waits for its output.
    pub fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Running<T> {
        let guest = self.enter();
        Running(tokio::spawn(async move {
            let _guest = guest;
            task.await
        }))
    }
}

impl<T> Future for Running<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
