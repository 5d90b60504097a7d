//! A counted task that somebody waits for.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::Kind;

/// The output of a task, once it is there; none if the task panicked. Who drops it does not want it any more, and the
/// task is ended where it stands.
pub struct Running<T>(Place<T>);

enum Place<T> {
    /// Polled by the one who waits for it, until it has to wait itself.
    Here(Pin<Box<dyn Future<Output = T> + Send>>),
    Task(JoinHandle<T>),
    Over,
}

impl Kind {
    /// Starts a counted task for one who waits for its output.
    pub fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Running<T> {
        Running(Place::Task(tokio::spawn(self.counted(task))))
    }

    /// The same without a task if it ends without having to wait: what is done at once costs no turn of the scheduler.
    /// Who waits for it computes what comes before the first wait.
    pub fn run_from_here<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Running<T> {
        Running(Place::Here(Box::pin(self.counted(task))))
    }

    fn counted<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        let guest = self.enter();
        async move {
            let _guest = guest;
            task.await
        }
    }
}

impl<T: Send + 'static> Future for Running<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let place = &mut self.0;
        let mut task = match std::mem::replace(place, Place::Over) {
            Place::Here(mut task) => match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
                Ok(Poll::Ready(output)) => return Poll::Ready(Some(output)),
                Ok(Poll::Pending) => tokio::spawn(task),
                Err(_) => return Poll::Ready(None),
            },
            Place::Task(task) => task,
            Place::Over => return Poll::Ready(None),
        };
        match Pin::new(&mut task).poll(context) {
            Poll::Ready(output) => Poll::Ready(output.ok()),
            Poll::Pending => {
                *place = Place::Task(task);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if let Place::Task(task) = &self.0 {
            task.abort();
        }
    }
}
