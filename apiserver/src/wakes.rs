//! Futures that one task polls, and wakes that reach that task together.
//!
//! One change may concern hundreds of watches on a handful of connections. Woken one by one, a connection would begin on
//! another core with the first of its watches and be woken anew for each of the others: as many packets as watches. So
//! whoever makes changes makes them within [`together`], which holds back the wakes of the tasks until all their futures
//! are marked; then each task is woken once, and finds everything.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

thread_local! {
    /// The tasks whose wakes are held back on this thread; none while wakes pass at once.
    static HELD: RefCell<Option<Vec<Arc<Owner>>>> = const { RefCell::new(None) };
}

/// Runs `change`, then wakes each task that has a future in a [`Set`] which was woken meanwhile.
pub fn together<T>(change: impl FnOnce() -> T) -> T {
    let outermost = HELD.with_borrow_mut(|held| {
        let outermost = held.is_none();
        held.get_or_insert_default();
        outermost
    });
    let _release = outermost.then(|| Release);
    change()
}

/// Wakes them even if the change panics.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        let held = HELD.take().unwrap_or_default();
        held.iter().for_each(|owner| owner.task.wake());
    }
}

/// Futures that are polled by the task which polls the set, each only when it was woken.
#[derive(Default)]
pub struct Set {
    owner: Arc<Owner>,
    members: Vec<Option<Member>>,
    free: Vec<usize>,
    /// Kept for its memory.
    due: Vec<usize>,
}

struct Member {
    future: BoxFuture<'static, ()>,
    part: Arc<Part>,
    waker: Waker,
}

#[derive(Default)]
struct Owner {
    /// The places of those to be polled. A place may be somebody else's by then, who is polled once for nothing.
    due: Mutex<Vec<usize>>,
    task: AtomicWaker,
}

/// A future's place in its set, as its waker knows it.
struct Part {
    owner: Arc<Owner>,
    place: usize,
    is_due: AtomicBool,
}

impl Set {
    /// Adds a future, which is due at the next poll. Gives its place, which is another's when it is done.
    pub fn push(&mut self, future: BoxFuture<'static, ()>) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        let part = Arc::new(Part { owner: Arc::clone(&self.owner), place, is_due: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&part));
        waker.wake_by_ref();
        self.members[place] = Some(Member { future, part, waker });
        place
    }

    /// Drops a future that is not done.
    pub fn end(&mut self, place: usize) {
        if self.members.get_mut(place).and_then(Option::take).is_some() {
            self.free.push(place);
        }
    }

    /// Polls each future that is due; those that are done leave. One that wakes itself waits for the next poll.
    pub fn poll(&mut self, context: &mut Context<'_>) {
        // First, so that a wake from now on leads to another poll.
        self.owner.task.register(context.waker());
        let mut due = std::mem::take(&mut self.due);
        std::mem::swap(&mut due, &mut *self.owner.due.lock());
        for place in due.drain(..) {
            let Some(member) = &mut self.members[place] else { continue };
            member.part.is_due.store(false, Ordering::Release);
            if member.future.poll_unpin(&mut Context::from_waker(&member.waker)).is_ready() {
                self.members[place] = None;
                self.free.push(place);
            }
        }
        self.due = due;
    }
}

impl Wake for Part {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let first = {
            let mut due = self.owner.due.lock();
            due.push(self.place);
            due.len() == 1
        };
        // The first has woken the task, or is held back with it.
        if !first {
            return;
        }
        let held = HELD.with_borrow_mut(|held| match held {
            Some(held) => {
                held.push(Arc::clone(&self.owner));
                true
            }
            None => false,
        });
        if !held {
            self.owner.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Poll;
    use tokio::sync::oneshot;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A set of futures that each wait for one message, and how often their task was woken.
    struct Case {
        set: Set,
        senders: Vec<oneshot::Sender<()>>,
        task: Arc<Task>,
        done: Arc<AtomicUsize>,
    }

    impl Case {
        fn new(futures: usize) -> Case {
            let mut case =
                Case { set: Set::default(), senders: Vec::new(), task: Arc::default(), done: Arc::default() };
            (0..futures).for_each(|_| case.add());
            case.poll();
            case
        }

        fn add(&mut self) {
            let (sender, receiver) = oneshot::channel();
            let done = Arc::clone(&self.done);
            self.senders.push(sender);
            self.set.push(Box::pin(async move {
                drop(receiver.await);
                done.fetch_add(1, Ordering::Relaxed);
            }));
        }

        fn poll(&mut self) {
            let waker = Waker::from(Arc::clone(&self.task));
            self.set.poll(&mut Context::from_waker(&waker));
        }

        /// How often the task was woken, and how many futures are done.
        fn seen(&self) -> (usize, usize) {
            (self.task.0.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn wakes_together_are_one() {
        let mut case = Case::new(3);
        let senders = std::mem::take(&mut case.senders);
        together(|| {
            together(|| drop(senders));
            assert_eq!(case.seen(), (0, 0), "the outermost holds them back");
        });
        assert_eq!(case.seen(), (1, 0));
        case.poll();
        assert_eq!(case.seen(), (1, 3));
    }

    #[test]
    fn a_wake_alone_passes_at_once_and_a_place_is_used_again() {
        let mut case = Case::new(2);
        for round in 1..4 {
            case.senders.remove(0);
            assert_eq!(case.seen(), (2 * round - 1, round - 1));
            case.poll();
            case.add();
            assert_eq!(case.seen(), (2 * round, round));
            case.poll();
        }
        assert_eq!(case.set.members.len(), 2);
    }

    #[test]
    fn one_that_wakes_itself_is_polled_at_the_next_poll() {
        let mut case = Case::new(0);
        let (mut polls, done) = (0, Arc::clone(&case.done));
        case.set.push(Box::pin(std::future::poll_fn(move |context| {
            polls += 1;
            done.store(polls, Ordering::Relaxed);
            context.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
        })));
        for expected in [(2, 1), (3, 2), (4, 3)] {
            case.poll();
            assert_eq!(case.seen(), expected);
        }
    }
}
