//! What a connection does, as far as its limits ask: requests under way, bytes that its client has yet to take.
//!
//! Everything here is written by the connection's own task while it is polled, so the time is read at most once in a
//! poll, and only by those who need it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use corten_runtime::clock::{Clock, Instant};
use futures::task::AtomicWaker;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use super::body::ResponseBody;
use super::heads::{Heads, Share};

/// An answer gives its next piece when no more than this of it waits to be sent: one piece of a list that is copied.
pub const AHEAD_MAX: usize = 128 * 1024;
/// Unsent bytes of all connections, from which each connection may have one piece waiting, and clients that do not read
/// are given less time. Unlike the budget, this counts bytes that are shared with caches, as events of watches are; and it
/// is reached before the pieces of those who do not read fill the budget.
const PRESSED: usize = 64 << 20;
/// Unsent bytes are added up over all connections in units of this, so that small answers touch nothing shared.
const UNIT: usize = 64 * 1024;

/// The unsent bytes of all connections.
#[derive(Clone, Default)]
pub struct Unsent(Arc<AtomicUsize>);

impl Unsent {
    pub fn is_pressed(&self) -> bool {
        self.0.load(Relaxed) >= PRESSED / UNIT
    }
}

/// A connection's activity; cheap to clone.
#[derive(Clone)]
pub struct Activity(Arc<State>);

struct State {
    clock: Clock,
    opened: Instant,
    /// When the present poll began, in nanoseconds since `opened`; 0 until somebody asks.
    now: AtomicU64,
    begun: AtomicUsize,
    running: AtomicUsize,
    /// When the last request ended.
    rested: AtomicU64,
    /// When the first bytes of a request came that has not begun; 0 if there are none.
    head_begun: AtomicU64,
    /// When a block of headers of HTTP/2 began that is not complete; 0 if there is none.
    block_begun: AtomicU64,
    /// Since when the socket takes nothing; 0 while it does.
    stalled: AtomicU64,
    unsent: AtomicUsize,
    /// The part of `unsent` that the total has, in units.
    added_up: AtomicUsize,
    total: Unsent,
    /// Answers that wait until this connection has nothing unsent.
    waiting: Mutex<Vec<Weak<Delivery>>>,
}

/// The answer to a request, on its way to the client.
pub struct Delivery {
    connection: Arc<State>,
    unsent: AtomicUsize,
    /// When the client last took some of it, or it was given another piece.
    moved: AtomicU64,
    ended: AtomicBool,
    is_waiting: AtomicBool,
    /// Of the body, which waits until less is unsent.
    room: AtomicWaker,
}

/// A request; it runs until this is dropped, with the answer's body.
pub struct Running {
    delivery: Arc<Delivery>,
    /// What its head takes: the pipeline keeps it, a watch for as long as it lasts.
    head: Option<Share>,
}

/// Bytes of an answer, which are unsent until they have been consumed.
pub struct Piece {
    bytes: Bytes,
    delivery: Arc<Delivery>,
}

impl Activity {
    pub fn new(clock: Clock, total: Unsent) -> Activity {
        Activity(Arc::new(State {
            opened: clock.monotonic(),
            clock,
            now: AtomicU64::new(0),
            begun: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            rested: AtomicU64::new(0),
            head_begun: AtomicU64::new(0),
            block_begun: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            unsent: AtomicUsize::new(0),
            added_up: AtomicUsize::new(0),
            total,
            waiting: Mutex::default(),
        }))
    }

    /// A poll of the connection begins.
    pub fn turn(&self) {
        self.0.now.store(0, Relaxed);
    }

    /// A request has been read.
    pub fn begin(&self) -> Running {
        let state = &self.0;
        state.begun.fetch_add(1, Relaxed);
        state.running.fetch_add(1, Relaxed);
        state.head_begun.store(0, Relaxed);
        let delivery = Delivery {
            connection: Arc::clone(state),
            unsent: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            room: AtomicWaker::new(),
        };
        Running { delivery: Arc::new(delivery), head: None }
    }

    /// The connection goes on in another protocol, as a request that ends with it.
    pub fn upgraded(&self) {
        self.0.running.fetch_add(1, Relaxed);
    }

    pub fn begun(&self) -> usize {
        self.0.begun.load(Relaxed)
    }

    pub fn running(&self) -> usize {
        self.0.running.load(Relaxed)
    }

    /// Bytes have come that may be the head of a request.
    pub fn received(&self) {
        let state = &self.0;
        if state.running.load(Relaxed) == 0 && state.head_begun.load(Relaxed) == 0 {
            state.head_begun.store(state.now(), Relaxed);
        }
    }

    /// Whether a block of headers of HTTP/2 has come in part.
    pub fn has_open_block(&self, open: bool) {
        let begun = &self.0.block_begun;
        match (open, begun.load(Relaxed)) {
            (true, 0) => begun.store(self.0.now(), Relaxed),
            (false, 1..) => begun.store(0, Relaxed),
            _ => {}
        }
    }

    /// Whether the socket took bytes that it was offered.
    pub fn socket_took(&self, took: bool) {
        let stalled = &self.0.stalled;
        match (took, stalled.load(Relaxed)) {
            (true, 0) => {}
            (true, _) => stalled.store(0, Relaxed),
            (false, 0) => stalled.store(self.0.now(), Relaxed),
            (false, _) => {}
        }
    }

    /// Whether anything has to happen in time: a connection with answers that are neither unsent nor complete, watches
    /// above all, may stay so for as long as they last.
    pub fn has_deadline(&self) -> bool {
        let state = &self.0;
        state.running.load(Relaxed) == 0
            || state.unsent.load(Relaxed) > 0
            || state.stalled.load(Relaxed) > 0
            || state.block_begun.load(Relaxed) > 0
    }

    pub fn is_pressed(&self) -> bool {
        self.0.total.is_pressed()
    }

    /// How long nothing has been asked: since the last request ended, or since the connection was opened.
    pub fn idle_for(&self) -> Option<Duration> {
        (self.running() == 0).then(|| self.0.since(self.0.rested.load(Relaxed)))
    }

    /// How long ago a head began to come that is not complete.
    pub fn head_for(&self) -> Option<Duration> {
        let begun = self.0.head_begun.load(Relaxed).max(self.0.block_begun.load(Relaxed));
        (begun > 0).then(|| self.0.since(begun))
    }

    /// How long the socket has taken nothing that it was offered.
    pub fn stalled_for(&self) -> Option<Duration> {
        let stalled = self.0.stalled.load(Relaxed);
        (stalled > 0).then(|| self.0.since(stalled))
    }
}

impl State {
    fn now(&self) -> u64 {
        match self.now.load(Relaxed) {
            0 => {
                let now = self.nanos();
                self.now.store(now, Relaxed);
                now
            }
            now => now,
        }
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.clock.since(self.opened).as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn since(&self, moment: u64) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(moment))
    }

    fn add(&self, bytes: usize) {
        let unsent = self.unsent.fetch_add(bytes, Relaxed) + bytes;
        self.add_up(unsent);
    }

    fn subtract(&self, bytes: usize) {
        let unsent = self.unsent.fetch_sub(bytes, Relaxed) - bytes;
        self.add_up(unsent);
        if unsent == 0 {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            for delivery in waiting.iter().filter_map(Weak::upgrade) {
                delivery.is_waiting.store(false, Relaxed);
                delivery.room.wake();
            }
        }
    }

    fn add_up(&self, unsent: usize) {
        let units = unsent / UNIT;
        if self.added_up.load(Relaxed) != units {
            let before = self.added_up.swap(units, Relaxed);
            self.total.0.fetch_add(units.wrapping_sub(before), Relaxed);
        }
    }
}

impl Delivery {
    /// How long the client has taken nothing, of what is there for it to take.
    pub fn unread_for(&self) -> Option<Duration> {
        (self.unsent.load(Relaxed) > 0).then(|| self.connection.since(self.moved.load(Relaxed)))
    }

    /// Whether nothing of it is left, neither to be made nor to be sent.
    pub fn is_over(&self) -> bool {
        self.has_ended() && self.unsent.load(Relaxed) == 0
    }

    /// Whether its body is gone.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    fn piece(self: &Arc<Self>, bytes: Bytes) -> Piece {
        self.unsent.fetch_add(bytes.len(), Relaxed);
        self.moved.store(self.connection.now(), Relaxed);
        self.connection.add(bytes.len());
        Piece { bytes, delivery: Arc::clone(self) }
    }

    fn sent(&self, bytes: usize) {
        let before = self.unsent.fetch_sub(bytes, Relaxed);
        self.moved.store(self.connection.now(), Relaxed);
        self.connection.subtract(bytes);
        if before > AHEAD_MAX && before - bytes <= AHEAD_MAX {
            self.room.wake();
        }
    }

    /// Waits until the answer may have another piece: the client has taken most of the last one. When all connections
    /// together have much unsent, this connection must have nothing unsent.
    fn poll_room(self: &Arc<Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        self.room.register(context.waker());
        let connection = &self.connection;
        if self.unsent.load(Relaxed) <= AHEAD_MAX && !self.is_waiting.swap(true, Relaxed) {
            connection.waiting.lock().push(Arc::downgrade(self));
        }
        // What was sent before the waker was there has woken nobody.
        if self.has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn has_room(&self) -> bool {
        let connection = &self.connection;
        self.unsent.load(Relaxed) <= AHEAD_MAX
            && (connection.unsent.load(Relaxed) == 0 || !connection.total.is_pressed())
    }
}

impl Running {
    pub fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    /// False if there is no room for the request's head.
    pub fn admit(&mut self, heads: &Heads, headers: &HeaderMap) -> bool {
        self.head = heads.admit(headers);
        self.head.is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let connection = &self.delivery.connection;
        self.delivery.ended.store(true, Relaxed);
        connection.rested.store(connection.now(), Relaxed);
        connection.running.fetch_sub(1, Relaxed);
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.delivery.sent(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.delivery.sent(self.bytes.len());
        }
    }
}

/// An answer's body, which ends its request.
pub struct Answer {
    body: ResponseBody,
    running: Running,
}

impl Answer {
    pub fn new(body: ResponseBody, running: Running) -> Answer {
        Answer { body, running }
    }
}

impl Body for Answer {
    type Data = Piece;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Self::Error>>> {
        std::task::ready!(self.running.delivery.poll_room(context));
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let delivery = &self.running.delivery;
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| delivery.piece(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_runtime::clock::{ManualClock, Wall};
    use futures::stream::StreamExt;
    use std::task::Waker;

    fn activity() -> (Activity, Arc<ManualClock>) {
        let (clock, manual) = Clock::manual(Wall::from_seconds(1));
        (Activity::new(clock, Unsent::default()), manual)
    }

    fn answer(activity: &Activity, sizes: &[usize]) -> (Answer, Arc<Delivery>) {
        let running = activity.begin();
        let delivery = Arc::clone(running.delivery());
        let pieces: Vec<_> = sizes.iter().map(|&size| Ok(Bytes::from(vec![b'a'; size]))).collect();
        (Answer::new(ResponseBody::Stream(futures::stream::iter(pieces).boxed()), running), delivery)
    }

    fn next(answer: &mut Answer) -> Option<Piece> {
        match Pin::new(answer).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    #[test]
    fn an_answer_gives_a_piece_when_the_last_one_is_taken() {
        let (activity, manual) = activity();
        let (mut answer, delivery) = answer(&activity, &[AHEAD_MAX, 2, AHEAD_MAX]);
        let mut first = next(&mut answer).expect("a piece");
        let second = next(&mut answer).expect("what waits is little enough");
        assert!(next(&mut answer).is_none());
        manual.advance(Duration::from_secs(50));
        activity.turn();
        assert_eq!(delivery.unread_for(), Some(Duration::from_secs(50)));
        first.advance(2);
        assert_eq!(delivery.unread_for(), Some(Duration::ZERO));
        let third = next(&mut answer).expect("room again");
        drop((first, second, third));
        assert_eq!(delivery.unread_for(), None);
        assert!(activity.running() == 1 && !delivery.is_over());
        drop(answer);
        assert!(activity.running() == 0 && delivery.is_over());
        assert_eq!(activity.0.unsent.load(Relaxed), 0);
        assert_eq!(activity.0.total.0.load(Relaxed), 0);
    }

    #[test]
    fn under_pressure_a_connection_has_one_piece_unsent() {
        let (clock, _) = Clock::manual(Wall::from_seconds(1));
        let total = Unsent::default();
        let crowd: Vec<_> = (0..PRESSED / UNIT)
            .map(|_| {
                let activity = Activity::new(clock.clone(), total.clone());
                let (mut answer, _) = answer(&activity, &[UNIT]);
                (next(&mut answer), answer)
            })
            .collect();
        assert!(total.is_pressed());
        let activity = Activity::new(clock, total.clone());
        let (mut one, _) = answer(&activity, &[1]);
        let (mut other, _) = answer(&activity, &[1]);
        let piece = next(&mut one);
        assert!(piece.is_some());
        assert!(next(&mut other).is_none());
        drop(piece);
        assert!(next(&mut other).is_some());
        drop(crowd);
        assert!(!total.is_pressed());
        assert_eq!(total.0.load(Relaxed), 0);
    }
}
