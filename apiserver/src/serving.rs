//! Who is being answered from a storage, so that it is not taken away under a request.
//!
//! A request that is about a custom resource holds a [`Pass`] of its storage until it has been answered, or until its
//! write has ended if that takes longer. Built-in storages are never replaced, and give none. Whoever replaces a
//! storage publishes the new one first, then closes this one: a request that comes too late for a pass looks again at
//! what is served. The old storage is fed until its last pass is given back. Whoever must know that a change of the
//! rules holds for all (creates are refused from now on, say) makes the change, then waits for the passes of before.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Serving {
    /// None once it is closed.
    turn: Mutex<Option<Turn>>,
    refuses_creates: AtomicBool,
}

/// The passes of a while; it is over when the last of them is dropped, and the turn is not the present one any more.
struct Turn {
    passes: Arc<DropGuard>,
    over: CancellationToken,
    /// The turns of before that are not over yet.
    earlier: Vec<CancellationToken>,
}

/// Held by a request that is being answered from a storage.
pub struct Pass(#[expect(dead_code, reason = "held for its drop")] Arc<DropGuard>);

impl Turn {
    fn begin() -> Turn {
        let over = CancellationToken::new();
        Turn { passes: Arc::new(over.clone().drop_guard()), over, earlier: Vec::new() }
    }

    /// Takes the place of the present one.
    fn replace(turn: &mut Turn) -> Turn {
        let mut next = Turn::begin();
        next.earlier = turn.earlier.iter().filter(|over| !over.is_cancelled()).cloned().collect();
        next.earlier.push(turn.over.clone());
        std::mem::replace(turn, next)
    }

    /// Ends when the last pass is dropped, of this turn and of all before.
    async fn end(turn: Option<Turn>) {
        let Some(Turn { passes, over, earlier }) = turn else { return };
        drop(passes);
        for turn in earlier.iter().chain([&over]) {
            turn.cancelled().await;
        }
    }
}

impl Default for Serving {
    fn default() -> Serving {
        Serving { turn: Mutex::new(Some(Turn::begin())), refuses_creates: AtomicBool::new(false) }
    }
}

impl Serving {
    /// None if the storage is closed, and another one has taken its place or will not.
    pub fn enter(&self) -> Option<Pass> {
        self.turn.lock().as_ref().map(|turn| Pass(Arc::clone(&turn.passes)))
    }

    /// Gives no more passes. The future ends when those that are out have been given back.
    pub fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        Turn::end(self.turn.lock().take())
    }

    /// The future ends when the passes that are out now have been given back.
    pub fn drain(&self) -> impl Future<Output = ()> + Send + use<> {
        Turn::end(self.turn.lock().as_mut().map(Turn::replace))
    }

    /// Says that the resource's definition is going: no request that enters from now on creates anything.
    pub fn refuse_creates(&self) {
        self.refuses_creates.store(true, Ordering::Release);
    }

    pub fn refuses_creates(&self) -> bool {
        self.refuses_creates.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_storage_ends_with_its_last_pass() {
        let serving = Serving::default();
        let (first, second) = (serving.enter(), serving.enter());
        let mut before = Box::pin(serving.drain());
        let third = serving.enter();
        drop(first);
        assert!((&mut before).now_or_never().is_none(), "the second is out");
        drop(second);
        assert!(before.now_or_never().is_some(), "the third came after");
        let mut all = Box::pin(serving.close());
        assert!(serving.enter().is_none());
        assert!((&mut all).now_or_never().is_none());
        drop(third);
        assert!(all.now_or_never().is_some());
        assert!(serving.drain().now_or_never().is_some() && serving.close().now_or_never().is_some());
    }

    #[test]
    fn passes_of_every_turn_are_waited_for() {
        for closes in [false, true] {
            let serving = Serving::default();
            let first = serving.enter();
            drop(serving.drain());
            let second = serving.enter();
            drop(serving.drain());
            let mut all = if closes { serving.close().boxed() } else { serving.drain().boxed() };
            drop(second);
            assert!((&mut all).now_or_never().is_none(), "the first is out");
            drop(first);
            assert!(all.now_or_never().is_some());
        }
    }
}
