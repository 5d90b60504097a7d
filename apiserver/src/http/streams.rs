//! A connection and the streams on it, as one task.
//!
//! The HTTP/2 server makes a future for each request, which waits for the answer and then moves its body into the
//! connection. Were these tasks of their own, an event for fifty watchers on one connection would wake fifty tasks, on
//! whatever cores, each of which takes the connection's lock and wakes the connection in its turn. Here the connection's
//! own task polls them: an event wakes it once (see `wakes`), it asks each stream that has something, and sends what they
//! gave.
//!
//! Few of the streams that came together are begun at once: the others wait until the answers to those are being made, so
//! that a client who asks much does not put all of it before somebody who asks little. Of a connection that asks far more
//! than others even fewer are begun, and its task passes its turn in between: how long a new request waits depends on the
//! number of tasks that are ready, and on the time that so many turns take as the runtime lets pass before it looks for
//! input.
//!
//! Nothing may compute for long in a body, or it would hold up its neighbours: answers are made by tasks of their own,
//! and the pieces of a list that cost more than copying by threads of their own (`computation`).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use hyper::rt::Executor;
use parking_lot::Mutex;

use super::activity::{Activity, Delivery, Running};
use super::gather::Turn;
use super::limits::{Limits, Overdue};
use crate::wakes::Set;

/// As many streams of a connection may be open at once.
pub const STREAMS_MAX: u32 = 250;
/// So many streams are begun whose answers nobody makes yet, and others when there are as few as these.
const BEGUN_AT_ONCE: usize = 8;
const BEGUN_AGAIN: usize = BEGUN_AT_ONCE / 2;
/// Where so many wait, fewer are begun, and so many turns are passed after each time: half of the 61 turns after which the
/// runtime looks for input, and a tenth of what a request costs.
const MANY: usize = 32;
const BEGUN_OF_MANY: usize = 1;
const TURNS_PASSED: usize = 32;
/// So many streams may wait to be begun, most of which the client has taken back, before the connection is ended.
const WAITING_MAX: usize = 4 * STREAMS_MAX as usize;

/// So many answers of a connection are remembered before those that are over are left out.
const TIDIED_MIN: usize = 32;

/// Where the HTTP server leaves the futures of new streams.
#[derive(Clone, Default)]
pub struct Streams {
    new: Arc<Mutex<New>>,
    begun: Arc<Begun>,
}

/// The streams that are begun and whose answers nobody makes yet. A stream holds this alone: of one that held `Streams`,
/// which hold it, nobody could get rid when its connection ends.
#[derive(Default)]
pub struct Begun {
    count: AtomicUsize,
    /// The connection, if it has others to begin.
    driver: AtomicWaker,
}

/// A stream that is begun, until somebody makes its answer.
pub struct Standing(Arc<Begun>);

impl Drop for Standing {
    fn drop(&mut self) {
        let Begun { count, driver } = &*self.0;
        if count.fetch_sub(1, Ordering::AcqRel) <= BEGUN_AGAIN + 1 {
            driver.wake();
        }
    }
}

#[derive(Default)]
struct New {
    /// Answers to requests that have begun.
    deliveries: Vec<Arc<Delivery>>,
    /// Each belongs to the request that began last.
    streams: Vec<(BoxFuture<'static, ()>, Option<Arc<Delivery>>)>,
}

impl Streams {
    /// A request begins. The HTTP/2 server makes its stream next.
    pub fn begin(&self, running: &Running) {
        self.new.lock().deliveries.push(Arc::clone(running.delivery()));
    }

    pub fn begun(&self) -> Arc<Begun> {
        Arc::clone(&self.begun)
    }
}

impl Begun {
    /// To be called by a stream when it is first polled, and given up when its answer is being made.
    pub fn stand(self: Arc<Self>) -> Standing {
        self.count.fetch_add(1, Ordering::AcqRel);
        Standing(self)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut new = self.new.lock();
        let delivery = new.deliveries.pop();
        new.streams.push((Box::pin(stream), delivery));
    }
}

/// A connection of the HTTP server, as the driver needs it.
pub trait Connection: Future {
    /// Requests that have come are answered, and no others.
    fn shut_down(self: Pin<&mut Self>);
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended<T> {
    ByItself(T),
    Overdue(Overdue),
    /// The client opens streams faster than they can be begun, and takes them back.
    TooManyStreams,
}

/// Runs a connection with its streams, within its limits. The streams that are left when it ends are dropped with it.
pub struct Driver<C> {
    connection: Pin<Box<C>>,
    new: Streams,
    waiting: VecDeque<(BoxFuture<'static, ()>, Option<Arc<Delivery>>)>,
    running: Set,
    /// Answers that are not over, and the places of their streams in `running`; HTTP/1.1 has none.
    deliveries: Vec<(Arc<Delivery>, Option<usize>)>,
    /// How many of them there may be before those that are over are left out.
    tidied_at: usize,
    /// How many turns are still to be passed.
    passes: usize,
    turn: Turn,
    activity: Activity,
    limits: Limits,
}

impl<C: Connection> Driver<C> {
    /// `new` is what the connection was built with; `turn` and `activity` are told of each poll.
    pub fn new(connection: C, new: Streams, turn: Turn, activity: Activity, limits: Limits) -> Driver<C> {
        Driver {
            connection: Box::pin(connection),
            new,
            waiting: VecDeque::new(),
            running: Set::default(),
            deliveries: Vec::new(),
            tidied_at: TIDIED_MIN,
            passes: 0,
            turn,
            activity,
            limits,
        }
    }

    /// Ends the connection within a short time, when its requests have been answered or not.
    pub fn stop(&mut self) {
        self.limits.stop();
        self.connection.as_mut().shut_down();
    }

    /// Takes over what has come. False if that is too much.
    fn take_new(&mut self) -> bool {
        let mut new = self.new.new.lock();
        if new.deliveries.is_empty() && new.streams.is_empty() {
            return true;
        }
        let deliveries = new.deliveries.drain(..).map(|delivery| (delivery, None));
        self.deliveries.extend(deliveries);
        self.waiting.extend(new.streams.drain(..));
        drop(new);
        if self.deliveries.len() >= self.tidied_at {
            self.deliveries.retain(|(delivery, _)| !delivery.is_over());
            self.tidied_at = TIDIED_MIN.max(2 * self.deliveries.len());
        }
        self.waiting.len() <= WAITING_MAX
    }

    fn begin_some(&mut self, context: &mut Context<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        let begun = &self.new.begun;
        // First, so that whoever leaves from now on is heard.
        begun.driver.register(context.waker());
        let most = if self.waiting.len() < MANY {
            BEGUN_AT_ONCE
        } else {
            self.passes = TURNS_PASSED;
            BEGUN_OF_MANY
        };
        let some = self.waiting.len().min(most.saturating_sub(begun.count.load(Ordering::Acquire)));
        for (stream, delivery) in self.waiting.drain(..some) {
            let place = self.running.push(stream);
            self.deliveries.extend(delivery.map(|delivery| (delivery, Some(place))));
        }
        // Each that is new wakes this task, so that it stands in the queue behind those that make the answers, and sends
        // together what they give.
        self.running.poll(context);
        let begun = &self.new.begun;
        if self.waiting.is_empty() {
            begun.driver.take();
        } else if self.passes > 0 || begun.count.load(Ordering::Acquire) <= BEGUN_AGAIN {
            context.waker().wake_by_ref();
        }
    }

    /// Drops streams whose client takes nothing, and finds out whether the whole connection is overdue.
    fn look(&mut self) -> Option<Overdue> {
        if let Some(overdue) = self.limits.look() {
            return Some(overdue);
        }
        self.deliveries.retain(|(delivery, _)| !delivery.is_over());
        for (delivery, place) in &self.deliveries {
            if !self.limits.is_unread(delivery) {
                continue;
            }
            match place {
                Some(place) if !delivery.has_ended() => self.running.end(*place),
                // Nobody holds the stream any more, or there are none: what is unsent goes with the connection.
                _ => return Some(Overdue::Unread),
            }
        }
        None
    }
}

impl<C: Connection> Future for Driver<C> {
    type Output = Ended<C::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended<C::Output>> {
        let driver = &mut *self;
        if driver.passes > 0 {
            driver.passes -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        driver.turn.next();
        driver.activity.turn();
        // First, so that the connection sends what they give.
        driver.running.poll(context);
        if let Poll::Ready(output) = driver.connection.as_mut().poll(context) {
            return Poll::Ready(Ended::ByItself(output));
        }
        if !driver.take_new() {
            return Poll::Ready(Ended::TooManyStreams);
        }
        driver.begin_some(context);
        while driver.limits.poll_look(context).is_ready() {
            if let Some(overdue) = driver.look() {
                return Poll::Ready(Ended::Overdue(overdue));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::activity::Unsent;
    use corten_runtime::clock::{Clock, Wall};
    use futures::FutureExt;
    use std::task::Waker;
    use tokio::sync::oneshot;

    /// A connection that has a new stream at each poll, as long as there are any, and then ends.
    struct Source(Streams, Vec<BoxFuture<'static, ()>>);

    impl Future for Source {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            match self.1.pop() {
                Some(stream) => {
                    self.0.execute(stream);
                    Poll::Pending
                }
                None => Poll::Ready(()),
            }
        }
    }

    impl Connection for Source {
        fn shut_down(self: Pin<&mut Self>) {}
    }

    fn driver<C: Connection>(connection: C, streams: Streams) -> Driver<C> {
        let (clock, _) = Clock::manual(Wall::from_seconds(1));
        let activity = Activity::new(clock.clone(), Unsent::default());
        let limits = Limits::new(activity.clone(), clock, false);
        Driver::new(connection, streams, Turn::default(), activity, limits)
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
        let source = Source(streams.clone(), vec![Box::pin(second), Box::pin(first)]);
        let mut driver = driver(source, streams);
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

    /// A connection that has them all at its first poll.
    struct Burst(Streams, Vec<BoxFuture<'static, ()>>);

    impl Future for Burst {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            let all = std::mem::take(&mut self.1);
            all.into_iter().for_each(|stream| self.0.execute(stream));
            Poll::Pending
        }
    }

    impl Connection for Burst {
        fn shut_down(self: Pin<&mut Self>) {}
    }

    /// A burst of streams, and those of them that are begun and whose answers nobody makes.
    struct Case {
        driver: Driver<Burst>,
        standing: Arc<Mutex<Vec<Standing>>>,
        wakes: Arc<AtomicUsize>,
    }

    struct Count(Arc<AtomicUsize>);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Case {
        fn new(count: usize) -> Case {
            let (streams, standing) = (Streams::default(), Arc::<Mutex<Vec<Standing>>>::default());
            let stream = |_| {
                let (begun, standing) = (streams.begun(), Arc::clone(&standing));
                async move { standing.lock().push(begun.stand()) }.boxed()
            };
            let burst = Burst(streams.clone(), (0..count).map(stream).collect());
            Case { driver: driver(burst, streams), standing, wakes: Arc::default() }
        }

        /// How many stand after a poll.
        fn poll(&mut self) -> usize {
            let waker = Waker::from(Arc::new(Count(Arc::clone(&self.wakes))));
            assert!(Pin::new(&mut self.driver).poll(&mut Context::from_waker(&waker)).is_pending());
            self.standing.lock().len()
        }

        /// So many answers are begun to be made; whether another poll is wanted.
        fn leave(&mut self, count: usize) -> bool {
            let before = self.wakes.load(Ordering::Relaxed);
            self.standing.lock().drain(..count);
            self.wakes.load(Ordering::Relaxed) > before
        }
    }

    #[test]
    fn streams_wait_for_those_before_them() {
        let mut case = Case::new(20);
        assert_eq!(case.poll(), 8);
        assert_eq!(case.poll(), 8, "however often it has its turn");
        assert!(!case.leave(3));
        assert!(case.leave(1));
        assert_eq!(case.poll(), 8);
        assert!(case.leave(8));
        assert_eq!(case.poll(), 8, "these are all");
        assert!(!case.leave(8), "nobody waits");
    }

    #[test]
    fn who_asks_much_passes_turns() {
        let mut case = Case::new(MANY);
        assert_eq!(case.poll(), 1);
        case.leave(1);
        for _ in 0..TURNS_PASSED {
            let before = case.wakes.load(Ordering::Relaxed);
            assert_eq!(case.poll(), 0);
            assert!(case.wakes.load(Ordering::Relaxed) > before, "it would sleep for ever");
        }
        assert_eq!(case.poll(), 8, "{} wait", MANY - 1);
    }
}
