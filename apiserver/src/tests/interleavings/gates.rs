//! Every call of the store waits at a gate, and the schedule opens one gate at a time.

use std::sync::Arc;

use corten_store::simulation::Dice;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::fixture::{Fault, Gate, StoreCall};

/// The gates of all servers.
pub struct Gates(Mutex<State>);

struct State {
    /// While they are open, nobody waits.
    open: bool,
    waiting: Vec<Waiting>,
    dice: Dice,
}

struct Waiting {
    server: usize,
    call: StoreCall,
    /// The call has been made, and its answer waits.
    answered: bool,
    permit: oneshot::Sender<Option<Fault>>,
}

impl Gates {
    pub fn new(dice: Dice) -> Arc<Gates> {
        Arc::new(Gates(Mutex::new(State { open: true, waiting: Vec::new(), dice })))
    }

    pub fn of(self: &Arc<Gates>, server: usize) -> Arc<dyn Gate> {
        Arc::new(ServerGate { server, gates: Arc::clone(self) })
    }

    pub fn open(&self) {
        let mut state = self.0.lock();
        state.open = true;
        // Nobody receives it where the caller has gone away.
        state.waiting.drain(..).for_each(|waiting| drop(waiting.permit.send(None)));
    }

    pub fn shut(&self) {
        self.0.lock().open = false;
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        let mut state = self.0.lock();
        state.waiting.retain(|waiting| !waiting.permit.is_closed());
        state.waiting.len()
    }

    /// Lets one through; `fault` decides how it fails if it does. Tells which it was.
    pub fn let_through(&self, at: usize, fault: impl FnOnce(&StoreCall) -> Option<Fault>) -> String {
        let Waiting { server, call, answered, permit } = self.0.lock().waiting.remove(at);
        let fault = if answered { None } else { fault(&call) };
        let what = if answered { "answer of" } else { "call of" };
        let told = format!("s{server} {what} {:?} {}{}", call.verb, call.key, told(fault.as_ref()));
        let _ = permit.send(fault);
        told
    }

    fn wait(&self, server: usize, call: &StoreCall, answered: bool) -> BoxFuture<'static, Option<Fault>> {
        let mut state = self.0.lock();
        // Most answers are told at once.
        if state.open || (answered && state.dice.roll(4) > 0) {
            return futures::future::ready(None).boxed();
        }
        let (permit, waiting) = oneshot::channel();
        state.waiting.push(Waiting { server, call: call.clone(), answered, permit });
        async move { waiting.await.unwrap_or(None) }.boxed()
    }
}

fn told(fault: Option<&Fault>) -> String {
    match fault {
        None => String::new(),
        Some(Fault::Before(error)) => format!(": fails without effect: {error}"),
        Some(Fault::After(error)) => format!(": fails with effect: {error}"),
    }
}

struct ServerGate {
    server: usize,
    gates: Arc<Gates>,
}

impl Gate for ServerGate {
    fn enter(&self, call: &StoreCall) -> BoxFuture<'static, Option<Fault>> {
        self.gates.wait(self.server, call, false)
    }

    fn leave(&self, call: &StoreCall) -> BoxFuture<'static, ()> {
        self.gates.wait(self.server, call, true).map(drop).boxed()
    }
}
