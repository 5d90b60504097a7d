//! The threads for what computes for long, so that those that serve requests never do.
//!
//! A request that is about to work on many bytes says so ([`Call::weigh`](crate::call::Call::weigh)); the rest of it is
//! then done here. So are the pieces of answers that have to be converted or compressed. There are as many threads as
//! processors, at a lower priority than those that serve, in a tokio runtime of their own: channels, timers and the
//! store work from either. They are started when they are first needed.
//!
//! Whoever waits for a computation waits on the serving threads, where time-outs and the end of the client are noticed.
//! Nothing can stop a computation between two awaits, and nothing needs to wait for it: what has neither reserved
//! anything nor gone to the store leaves no trace (see `write_phase`).

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

use bytes::Bytes;
use corten_runtime::tasks::{Guest, Kind};
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

/// Work on so many bytes takes longer than a serving thread may compute: a millisecond or two.
pub const LONG: usize = 32 << 10;

/// Objects are walked by recursion. It takes as many levels as are decoded, with room for what runs around it; what is
/// not used of it costs no memory.
pub const STACK: usize = 128 << 20;

/// How nice these threads are: a tenth of a busy processor is theirs, and all of an idle one.
const NICENESS: i32 = 10;

pub struct Pool {
    threads: OnceLock<Option<Runtime>>,
    /// How many requests may be here, because each holds what it has decoded.
    places: Arc<Semaphore>,
    requests: Kind,
    answers: Kind,
}

impl Pool {
    pub fn new(requests: Kind, answers: Kind) -> Pool {
        let places = (2 * processors()).clamp(4, 32);
        Pool { threads: OnceLock::new(), places: Arc::new(Semaphore::new(places)), requests, answers }
    }

    /// Waits in order for one of the places of requests.
    pub fn place(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let places = Arc::clone(&self.places);
        async move { places.acquire_owned().await.ok() }
    }

    /// Starts a request's task here; None if there are no threads.
    pub fn start(&self, request: impl Future<Output = ()> + Send + 'static) -> Option<Task> {
        let threads = self.threads()?;
        let membership = Membership(Arc::new(Mutex::new(Some(self.requests.enter()))));
        let inside = membership.clone();
        let task = threads.spawn(async move {
            let _leaves_at_the_end = Leaves(inside);
            request.await;
        });
        Some(Task { abort: task.abort_handle(), membership })
    }

    /// Has the pieces of an answer made here, one or two ahead of what is sent.
    pub fn ahead(&self, mut pieces: Pieces) -> Pieces {
        let Some(threads) = self.threads() else { return pieces };
        let (sender, receiver) = mpsc::channel(1);
        let guest = self.answers.enter();
        threads.spawn(async move {
            let _guest = guest;
            loop {
                let piece = tokio::select! {
                    piece = pieces.next() => piece,
                    // Its client has gone, while it waited for the bytes of others.
                    () = sender.closed() => return,
                };
                let Some(piece) = piece else { return };
                if sender.send(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let received = async |mut receiver: mpsc::Receiver<_>| receiver.recv().await.map(|piece| (piece, receiver));
        futures::stream::unfold(receiver, received).boxed()
    }

    fn threads(&self) -> Option<&Runtime> {
        self.threads
            .get_or_init(|| {
                start_threads().inspect_err(|error| tracing::error!(%error, "threads for long computations")).ok()
            })
            .as_ref()
    }
}

/// The pieces of an answer.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

fn processors() -> usize {
    available_parallelism().map_or(2, usize::from)
}

fn start_threads() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(processors())
        .thread_name("computation")
        .thread_stack_size(STACK)
        .on_thread_start(|| {
            // On Linux this is the thread's own. It may be refused only where it would be raised.
            let _ = rustix::process::setpriority_process(None, NICENESS);
        })
        .enable_all()
        .build()
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Whoever drops the last handle to the server may be a thread of the pool itself, which cannot wait for itself.
        if let Some(Some(threads)) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

/// A request's task on the pool.
pub struct Task {
    abort: AbortHandle,
    membership: Membership,
}

impl Task {
    /// Nobody wants its outcome, and it has nothing to bring to an end: it goes at its next await, and those who wait for
    /// all requests to leave need not wait for that.
    pub fn let_go(&self) {
        self.abort.abort();
        self.membership.0.lock().take();
    }
}

#[derive(Clone)]
struct Membership(Arc<Mutex<Option<Guest>>>);

struct Leaves(Membership);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.0.lock().take();
    }
}
