//! A write runs to its end, whether its client is there or not.
//!
//! The future of a request is dropped when its client leaves and when its time is up. Before a request writes, and
//! between two writes of a collection, nothing is lost by that. Within a *write phase*, which reaches from the first
//! reservation to the settled result, it would leave a write whose outcome nobody sees. So [`Finishing`] hands a request
//! that is dropped within a phase to a task of its own, which polls it until the phase has ended; the request begins no
//! other. Nothing is spawned for a request that is not dropped.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::call::Call;

/// The write phases that a request is in. Only the request's own future begins and ends them.
#[derive(Default)]
pub struct WritePhases {
    under_way: AtomicUsize,
    /// Nobody waits for the request's answer.
    abandoned: AtomicBool,
}

/// One phase, which ends when this is dropped.
#[must_use = "the phase ends when this is dropped"]
pub struct WritePhase<'p>(&'p AtomicUsize);

impl WritePhases {
    /// Begins a phase. This never returns to a request that has been abandoned and is in no phase.
    pub async fn begin(&self) -> WritePhase<'_> {
        if self.abandoned.load(Ordering::Relaxed) && !self.under_way() {
            std::future::pending::<()>().await;
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        WritePhase(&self.under_way)
    }

    fn under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }
}

impl Drop for WritePhase<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that may write. Dropped within a write phase, it goes on as a task until the phase has ended.
pub struct Finishing<F: Future + Send + 'static> {
    call: Arc<Call>,
    request: Option<Pin<Box<F>>>,
}

impl<F: Future + Send + 'static> Finishing<F> {
    pub fn new(call: &Arc<Call>, request: F) -> Finishing<F> {
        Finishing { call: Arc::clone(call), request: Some(Box::pin(request)) }
    }
}

impl<F: Future + Send + 'static> Future for Finishing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(request) = &mut self.request else { return Poll::Pending };
        let polled = request.as_mut().poll(context);
        if polled.is_ready() {
            self.request = None;
        }
        polled
    }
}

impl<F: Future + Send + 'static> Drop for Finishing<F> {
    fn drop(&mut self) {
        let Some(mut request) = self.request.take() else { return };
        // A panic has ended the request; and without a runtime nobody can go on.
        if !self.call.write_phases.under_way() || std::thread::panicking() || Handle::try_current().is_err() {
            return;
        }
        self.call.write_phases.abandoned.store(true, Ordering::Relaxed);
        let call = Arc::clone(&self.call);
        let rest = poll_fn(move |context| {
            let ended = request.as_mut().poll(context).is_ready() || !call.write_phases.under_way();
            if ended { Poll::Ready(()) } else { Poll::Pending }
        });
        self.call.api.writes.spawn(rest);
    }
}
