//! How many bytes requests may hold together: bodies that have been read, and answers until they have been sent.
//!
//! A body is charged as it arrives, not as it is announced: a client that announces much and sends nothing takes
//! nothing from others. An answer that is made whole is charged when it is made, and a list by its pieces. Their charge
//! goes with the bytes, and ends when the last handle to them does, which is the connection's. Bytes that are shared
//! with caches (kept objects, documents) are not counted, since they cost nothing more.
//!
//! A body, or an answer to a read, that does not fit is refused by 429, unless it is small. Pieces of lists and watches
//! are never refused; but they become small while much is held ([`Budget::piece`]), so that a great many of them fit, and
//! wait when half of all is held: whoever does not read leaves the other half to bodies and whole answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use corten_api::status::Status;
use tokio::sync::Notify;

use crate::in_flight::Class;

/// All requests together.
pub const BYTES_MAX: usize = 256 << 20;
/// Bytes below this are not counted: the limits on requests in flight and on streams bound them.
const COUNTED_MIN: usize = 4 << 10;

/// Counts bytes; cheap to clone.
#[derive(Clone)]
pub struct Budget(Arc<State>);

struct State {
    max: usize,
    held: AtomicUsize,
    /// Who waits for room for a piece: of `Class::Others`, which have less, and of all others.
    waiting: [Waiting; 2],
}

#[derive(Default)]
struct Waiting {
    count: AtomicUsize,
    /// Notifies one of them when there is room, which notifies the next when it has made its piece ([`Room`]).
    freed: Notify,
}

/// Bytes that are held until this is dropped.
#[must_use = "the bytes are given back when this is dropped"]
pub struct Charge {
    budget: Budget,
    bytes: usize,
    /// Not counted yet.
    small: usize,
}

/// There are not so many bytes left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl From<Exhausted> for Status {
    fn from(_: Exhausted) -> Status {
        Status::too_many_requests("Too many requests, please try again later.", 1)
    }
}

impl Budget {
    pub fn new(max: usize) -> Budget {
        Budget(Arc::new(State { max, held: AtomicUsize::new(0), waiting: Default::default() }))
    }

    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    /// A charge of nothing yet.
    pub fn charge(&self) -> Charge {
        Charge { budget: self.clone(), bytes: 0, small: 0 }
    }

    /// Whether so many bytes more would fit now. Nothing is charged for that.
    pub fn fits(&self, bytes: usize, class: Class) -> bool {
        bytes < COUNTED_MIN || self.held().saturating_add(bytes) <= self.max_of(class)
    }

    /// Whether pieces have to wait.
    pub fn is_full(&self, class: Class) -> bool {
        self.held() >= self.pieces_max(class)
    }

    /// Whether much is held, so that answers are made in the way that holds least.
    pub fn is_scarce(&self) -> bool {
        self.held() >= self.0.max / 4
    }

    /// How large a piece of an answer is to be, where it may be as large as this: less while much is held.
    pub fn piece(&self, wanted: usize) -> usize {
        match self.held() {
            held if held < self.0.max / 8 => wanted,
            _ if !self.is_scarce() => wanted / 4,
            _ => wanted / 16,
        }
    }

    /// Returns when this class may hold another piece. Whoever makes the next piece of an answer waits for that: nobody has
    /// to read what he asked for, and those who do not are cut off some day.
    pub async fn room(&self, class: Class) -> Room {
        let room = Room(self.clone());
        if !self.is_full(class) {
            return room;
        }
        let waiting = &self.0.waiting[usize::from(class != Class::Others)];
        waiting.count.fetch_add(1, Ordering::SeqCst);
        let _leaves = Leaves(&waiting.count);
        loop {
            let mut freed = std::pin::pin!(waiting.freed.notified());
            // Before the second look, so that what is given back between it and the wait is heard of.
            freed.as_mut().enable();
            if !self.is_full(class) {
                return room;
            }
            freed.await;
        }
    }

    /// Wakes one who waits for room, of each class that has some.
    fn pass_room_on(&self) {
        for (waiting, class) in self.0.waiting.iter().zip([Class::Others, Class::Masters]) {
            if waiting.count.load(Ordering::SeqCst) > 0 && !self.is_full(class) {
                waiting.freed.notify_one();
            }
        }
    }

    /// Bytes that are charged, whatever is held, until their last handle is dropped.
    pub fn carry(&self, bytes: Vec<u8>) -> Bytes {
        if bytes.capacity() < COUNTED_MIN {
            return bytes.into();
        }
        let mut charge = self.charge();
        charge.add_always(bytes.capacity());
        Bytes::from_owner(Carried { bytes, _charge: charge })
    }

    /// The same for an answer that was made whole; it may be refused. Bytes that somebody else keeps too are free.
    pub fn carry_whole(&self, bytes: Bytes, class: Class) -> Result<Bytes, Exhausted> {
        if bytes.len() < COUNTED_MIN || !bytes.is_unique() {
            return Ok(bytes);
        }
        let mut charge = self.charge();
        charge.add(bytes.len(), class)?;
        Ok(Bytes::from_owner(Carried { bytes, _charge: charge }))
    }

    /// Something is left for the system when all others have taken what they may.
    fn max_of(&self, class: Class) -> usize {
        match class {
            Class::Internal => usize::MAX,
            Class::Masters | Class::System => self.0.max,
            Class::Others => self.0.max / 4 * 3,
        }
    }

    fn pieces_max(&self, class: Class) -> usize {
        self.max_of(class) / 2
    }
}

impl Charge {
    /// Charges so many bytes more, if they fit. Nothing is counted before there are some.
    pub fn add(&mut self, bytes: usize, class: Class) -> Result<(), Exhausted> {
        if self.bytes == 0 && self.small + bytes < COUNTED_MIN {
            self.small += bytes;
            return Ok(());
        }
        let bytes = bytes + self.small;
        let (held, max) = (&self.budget.0.held, self.budget.max_of(class));
        let fits = |held: usize| held.checked_add(bytes).filter(|&sum| sum <= max);
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| Exhausted)?;
        (self.bytes, self.small) = (self.bytes + bytes, 0);
        Ok(())
    }

    pub fn add_always(&mut self, bytes: usize) {
        self.budget.0.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.0.held.fetch_sub(self.bytes, Ordering::SeqCst);
            self.budget.pass_room_on();
        }
    }
}

/// Somebody's turn to make a piece. The next one has it when this is dropped, whether a piece was made or the client left.
#[must_use = "the turn is over when this is dropped"]
pub struct Room(Budget);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.pass_room_on();
    }
}

/// Somebody waits until this is dropped.
struct Leaves<'w>(&'w AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Carried<B> {
    bytes: B,
    _charge: Charge,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Carried<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_for_the_system() {
        const K: usize = 1000;
        let budget = Budget::new(1000 * K);
        let mut charge = budget.charge();
        let mut check = |class, bytes, expected| assert_eq!(charge.add(bytes, class), expected, "{class:?} {bytes}");
        check(Class::Others, 750 * K, Ok(()));
        check(Class::Others, 1, Err(Exhausted));
        check(Class::System, 200 * K, Ok(()));
        check(Class::Masters, 50 * K + 1, Err(Exhausted));
        check(Class::Internal, 50 * K + 1, Ok(()));
        assert_eq!(budget.held(), 1000 * K + 1);
        // What is small is neither counted nor refused, until it grows.
        let mut small = budget.charge();
        assert_eq!(small.add(COUNTED_MIN - 1, Class::Others), Ok(()));
        assert!(budget.fits(COUNTED_MIN - 1, Class::Others) && !budget.fits(COUNTED_MIN, Class::Others));
        assert_eq!(small.add(1, Class::Others), Err(Exhausted));
        drop(charge);
        assert_eq!(budget.held(), 0);
        assert_eq!(small.add(1, Class::Others), Ok(()));
        assert_eq!(budget.held(), COUNTED_MIN);
    }

    #[test]
    fn an_answer_is_charged_until_its_last_handle_is_gone() {
        let budget = Budget::new(20_000);
        let bytes = budget.carry_whole(vec![1; 8000].into(), Class::Others).expect("it fits");
        let tail = bytes.slice(7999..);
        drop(bytes);
        assert_eq!(budget.held(), 8000);
        assert_eq!(budget.carry_whole(vec![1; 8000].into(), Class::Others), Err(Exhausted));
        drop(tail);
        assert_eq!(budget.held(), 0);
        let shared = Bytes::from(vec![1; 8000]);
        let _kept = shared.clone();
        let _free = budget.carry_whole(shared, Class::Others).expect("it is kept anyway");
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn pieces_become_small_while_much_is_held() {
        let budget = Budget::new(160_000);
        assert_eq!(budget.piece(1600), 1600);
        let held = budget.carry(vec![0; 20_000]);
        assert_eq!(budget.piece(1600), 400);
        let more = budget.carry(vec![0; 20_000]);
        assert_eq!(budget.piece(1600), 100);
        drop((held, more));
        assert_eq!(budget.piece(1600), 1600);
    }

    #[tokio::test]
    async fn who_waits_for_room_is_woken_when_there_is_some() {
        let budget = Budget::new(32_000);
        let [first, second] = [budget.carry(vec![0; 8000]), budget.carry(vec![0; 8000])];
        let mut system = std::pin::pin!(budget.room(Class::System));
        let mut others = std::pin::pin!(budget.room(Class::Others));
        assert!(futures::poll!(system.as_mut()).is_pending());
        assert!(futures::poll!(others.as_mut()).is_pending());
        drop(budget.room(Class::Internal).await);
        // Bodies and whole answers have more.
        assert!(budget.fits(8000, Class::Others));
        let third = budget.carry(vec![0; 4100]);
        drop(first);
        drop(system.await);
        assert!(futures::poll!(others.as_mut()).is_pending(), "12,100 of 12,000 bytes");
        drop((second, third));
        drop(others.await);
    }

    /// One who is woken wakes the next when it has made its piece, and when it is dropped before or after it is woken.
    #[tokio::test]
    async fn room_for_many_wakes_them_one_after_the_other() {
        let budget = Budget::new(64_000);
        let held = budget.carry(vec![0; 32_000]);
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(budget.room(Class::Masters))).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one.as_mut()).is_pending());
        }
        drop(held);
        let mut waiting = waiting.into_iter();
        drop(waiting.next());
        let mut pieces = Vec::new();
        for (number, one) in waiting.enumerate() {
            let woken = tokio::time::timeout(std::time::Duration::from_secs(60), one).await.expect("it is woken");
            // The first one leaves without a piece.
            pieces.extend((number > 0).then(|| budget.carry(vec![0; 5000])));
            drop(woken);
        }
        assert_eq!(budget.held(), 10_000);
    }
}
