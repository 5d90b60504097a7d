//! A request that has begun to write runs to the end of that, whether its client is there or not, and wherever it runs.
//!
//! The future of a request is dropped when its client leaves and when its time is up. Before a request writes, and
//! between two writes of a collection, nothing is lost by that. Within a *write phase*, which reaches from the first
//! reservation to the settled result, it would leave a write whose outcome nobody sees. So [`Handling`] hands a request
//! that is dropped within a phase to a task of its own, which polls it until the phase has ended; the request begins no
//! other. Nothing is spawned for a request that is not dropped.
//!
//! A request that is about to compute for long ([`Elsewhere`]) is moved to the threads for that (`computation`), where
//! it stays. What waits for it here keeps its time-out, and leaves it to itself in the same way.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use corten_api::status::{Result, Status};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::call::Call;
use crate::computation::Task;
use crate::http::ApiResponse;

/// How long a stopping server waits for computations that have written nothing.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The write phases that a request is in. Only the request's own future begins and ends them; on which thread it runs,
/// those who wait for it do not know. So the order of all accesses is one.
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
        let is_first = self.under_way.fetch_add(1, Ordering::SeqCst) == 0;
        let phase = WritePhase(&self.under_way);
        // After it is counted, so that whoever abandons the request sees it or is seen here.
        if is_first && self.abandoned.load(Ordering::SeqCst) {
            drop(phase);
            std::future::pending::<()>().await;
            unreachable!("nothing ends this wait");
        }
        phase
    }

    pub fn under_way(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) > 0
    }

    /// Nobody waits any more. Whether there is a phase that has to end; if not, there will be none.
    fn abandon(&self) -> bool {
        self.abandoned.store(true, Ordering::SeqCst);
        self.under_way()
    }

    /// Whether a request has nothing left to do.
    fn is_over(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst) && !self.under_way()
    }
}

impl Drop for WritePhase<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request's wish to go on where it may compute for long.
#[derive(Default)]
pub struct Elsewhere(AtomicBool);

impl Elsewhere {
    /// Returns on a thread that may compute for long, where somebody moves the request ([`Handling`]).
    pub async fn go(&self) {
        if self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut asked = false;
        poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            // Whoever does not move it polls it again.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request that is being handled. It is moved to the threads for long computations when it asks for that. Dropped
/// within a write phase, it goes on until the phase has ended.
pub struct Handling<F: Future<Output = Result<ApiResponse>> + Send + 'static> {
    call: Arc<Call>,
    place: Place<F>,
}

enum Place<F> {
    Here(Pin<Box<F>>),
    /// It waits for a place there.
    Waiting {
        request: Pin<Box<F>>,
        place: BoxFuture<'static, Option<OwnedSemaphorePermit>>,
        stop: BoxFuture<'static, ()>,
    },
    There {
        task: Task,
        answer: oneshot::Receiver<Result<ApiResponse>>,
        stop: BoxFuture<'static, ()>,
    },
    Done,
}

impl<F: Future<Output = Result<ApiResponse>> + Send + 'static> Handling<F> {
    pub fn new(call: &Arc<Call>, request: F) -> Handling<F> {
        Handling { call: Arc::clone(call), place: Place::Here(Box::pin(request)) }
    }

    /// Rings when a stopping server has waited long enough.
    fn stop(&self) -> BoxFuture<'static, ()> {
        let (stopping, clock) = (self.call.api.stopping.clone(), self.call.api.clock.clone());
        let stop = async move {
            stopping.cancelled().await;
            clock.sleep(STOP_GRACE).await;
        };
        stop.boxed()
    }

    fn move_there(&mut self, request: Pin<Box<F>>, permit: OwnedSemaphorePermit, stop: BoxFuture<'static, ()>) {
        let (sender, answer) = oneshot::channel();
        let call = Arc::clone(&self.call);
        let task = async move {
            let _permit = permit;
            if let Some(answer) = until_over(request, &call).await {
                // Nobody takes it if the client has left meanwhile.
                let _ = sender.send(answer);
            }
        };
        if let Some(task) = self.call.api.computations.start(task) {
            self.place = Place::There { task, answer, stop };
        }
    }
}

/// A request's answer, or None when nobody waits for it and no write has to be ended.
async fn until_over<T>(mut request: Pin<Box<impl Future<Output = T>>>, call: &Call) -> Option<T> {
    poll_fn(|context| match request.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if call.write_phases.is_over() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

fn stopped() -> Status {
    Status::service_unavailable("the server is stopping")
}

/// What becomes of a request whose task is gone without an answer.
fn lost(call: &Call) -> Status {
    match call.api.stopping.is_cancelled() {
        true => stopped(),
        false => Status::internal("This request caused apiserver to panic. Look in the logs for details."),
    }
}

impl<F: Future<Output = Result<ApiResponse>> + Send + 'static> Future for Handling<F> {
    type Output = Result<ApiResponse>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let handling = &mut *self;
        loop {
            match &mut handling.place {
                Place::Here(request) => {
                    if let Poll::Ready(answer) = request.as_mut().poll(context) {
                        handling.place = Place::Done;
                        return Poll::Ready(answer);
                    }
                    // A write is not held up by those that wait for a place.
                    let moves = handling.call.elsewhere.is_wanted() && !handling.call.write_phases.under_way();
                    if !moves {
                        return Poll::Pending;
                    }
                    let (place, stop) = (handling.call.api.computations.place().boxed(), handling.stop());
                    let Place::Here(request) = std::mem::replace(&mut handling.place, Place::Done) else { continue };
                    handling.place = Place::Waiting { request, place, stop };
                }
                Place::Waiting { place, stop, .. } => {
                    if stop.poll_unpin(context).is_ready() {
                        handling.place = Place::Done;
                        return Poll::Ready(Err(stopped()));
                    }
                    let permit = ready!(place.poll_unpin(context));
                    let before = std::mem::replace(&mut handling.place, Place::Done);
                    if let (Place::Waiting { request, stop, .. }, Some(permit)) = (before, permit) {
                        handling.move_there(request, permit, stop);
                    }
                }
                Place::There { task, answer, stop } => {
                    if let Poll::Ready(answer) = answer.poll_unpin(context) {
                        handling.place = Place::Done;
                        return Poll::Ready(answer.unwrap_or_else(|_| Err(lost(&handling.call))));
                    }
                    if !handling.call.write_phases.is_over() {
                        ready!(stop.poll_unpin(context));
                        *stop = std::future::pending().boxed();
                        if handling.call.write_phases.abandon() {
                            continue;
                        }
                    }
                    task.let_go();
                    handling.place = Place::Done;
                    return Poll::Ready(Err(stopped()));
                }
                Place::Done => return Poll::Ready(Err(lost(&handling.call))),
            }
        }
    }
}

impl<F: Future<Output = Result<ApiResponse>> + Send + 'static> Drop for Handling<F> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.place, Place::Done) {
            Place::Here(request) => {
                // A panic has ended the request; and without a runtime nobody can go on.
                if !self.call.write_phases.under_way() || std::thread::panicking() || Handle::try_current().is_err() {
                    return;
                }
                self.call.write_phases.abandon();
                let call = Arc::clone(&self.call);
                self.call.api.writes.spawn(async move { drop(until_over(request, &call).await) });
            }
            Place::There { task, .. } if !self.call.write_phases.abandon() => task.let_go(),
            Place::There { .. } | Place::Waiting { .. } | Place::Done => {}
        }
    }
}
