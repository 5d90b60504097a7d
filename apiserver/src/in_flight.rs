//! How many requests are answered at the same time: upstream's `--max-requests-inflight` and
//! `--max-mutating-requests-inflight`, with its 429.
//!
//! A request takes a seat when it is known for whom it asks, and keeps it until the head of its answer is made; a write
//! that goes on without its client keeps it until the write has ended. Watches and streams take none. `system:masters`
//! are always served, as upstream serves them. The components of the control plane and nodes have some seats more than
//! others: without priority and fairness, which has its place here, a flood of users would starve them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corten_access::user::{API_SERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, MASTERS_GROUP, NODES_GROUP, User};
use http::{HeaderValue, StatusCode, header};

use crate::http::ApiResponse;
use crate::request::RequestInfo;
use crate::show;

/// Who asks, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Code of this process: it has limits of its own.
    Internal,
    Masters,
    /// Components of the control plane, and nodes.
    System,
    Others,
}

impl Class {
    /// The class of somebody who asks over the network.
    pub fn of(user: &User) -> Class {
        const GROUPS: [&str; 2] = [NODES_GROUP, "system:serviceaccounts:kube-system"];
        const NAMES: [&str; 3] = [KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, API_SERVER];
        match () {
            () if user.in_group(MASTERS_GROUP) => Class::Masters,
            () if NAMES.contains(&&*user.name) || GROUPS.iter().any(|group| user.in_group(group)) => Class::System,
            () => Class::Others,
        }
    }
}

/// What a request does to the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    Reads,
    Writes,
}

impl Mutation {
    /// By the verb alone, as upstream has it: `POST /healthz` mutates.
    pub fn of(info: &RequestInfo) -> Mutation {
        if matches!(info.verb.as_str(), "get" | "list" | "watch") { Mutation::Reads } else { Mutation::Writes }
    }
}

/// How many requests there may be; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub reads: usize,
    pub writes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { reads: 400, writes: 200 }
    }
}

pub struct InFlight {
    reads: Arc<Seats>,
    writes: Arc<Seats>,
}

struct Seats {
    max: usize,
    taken: AtomicUsize,
    /// The most that were taken since somebody asked.
    most: AtomicUsize,
}

/// A request in flight, until this is dropped.
#[must_use = "the seat is left when this is dropped"]
pub struct Seat(Arc<Seats>);

impl InFlight {
    pub fn new(limits: Limits) -> InFlight {
        let seats = |max| Arc::new(Seats { max, taken: AtomicUsize::new(0), most: AtomicUsize::new(0) });
        InFlight { reads: seats(limits.reads), writes: seats(limits.writes) }
    }

    /// A seat, if there is one for this class.
    pub fn enter(&self, mutation: Mutation, class: Class) -> Option<Seat> {
        let seats = self.seats(mutation);
        let max = seats.max_of(class);
        // A flood that is refused changes nothing that others look at.
        if seats.taken.load(Ordering::Relaxed) >= max {
            return None;
        }
        let taken = seats.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let seat = Seat(Arc::clone(seats));
        if taken > max {
            return None;
        }
        if taken > seats.most.load(Ordering::Relaxed) {
            seats.most.fetch_max(taken, Ordering::Relaxed);
        }
        Some(seat)
    }

    pub fn taken(&self, mutation: Mutation) -> usize {
        self.seats(mutation).taken.load(Ordering::Relaxed)
    }

    /// The most seats that were taken at once since the last call.
    pub fn most(&self, mutation: Mutation) -> usize {
        let seats = self.seats(mutation);
        let now = seats.taken.load(Ordering::Relaxed);
        seats.most.swap(now, Ordering::Relaxed).max(now)
    }

    fn seats(&self, mutation: Mutation) -> &Arc<Seats> {
        match mutation {
            Mutation::Reads => &self.reads,
            Mutation::Writes => &self.writes,
        }
    }
}

impl Seats {
    fn max_of(&self, class: Class) -> usize {
        match class {
            _ if self.max == 0 => usize::MAX,
            Class::Internal | Class::Masters => usize::MAX,
            Class::System => self.max + self.max.div_ceil(4),
            Class::Others => self.max,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer to a request too many, in the words of upstream.
pub fn too_many_requests() -> ApiResponse {
    const TEXT: &[u8] = b"Too many requests, please try again later.\n";
    let answer =
        show::whole(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", bytes::Bytes::from_static(TEXT));
    let mut answer = show::nosniff(answer);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let check = |name: &str, groups: &[&str], expected| assert_eq!(Class::of(&User::new(name, groups)), expected);
        check("admin", &["system:masters"], Class::Masters);
        check("system:node:a", &["system:nodes"], Class::System);
        check("system:kube-scheduler", &[], Class::System);
        check("system:serviceaccount:kube-system:gc", &["system:serviceaccounts:kube-system"], Class::System);
        check("jane", &["system:authenticated"], Class::Others);
        check("system:anonymous", &["system:unauthenticated"], Class::Others);
    }

    #[test]
    fn seats_are_taken_and_left() {
        let in_flight = InFlight::new(Limits { reads: 2, writes: 0 });
        let enter = |class| in_flight.enter(Mutation::Reads, class);
        let held: Vec<Option<Seat>> = [Class::Others, Class::Others, Class::Others].map(enter).into();
        assert_eq!(held.iter().flatten().count(), 2);
        assert_eq!(in_flight.taken(Mutation::Reads), 2, "who is refused takes none");
        let system = [Class::System, Class::System].map(enter);
        assert_eq!(system.iter().flatten().count(), 1);
        let masters = enter(Class::Masters).expect("always served");
        assert!((0..1000).map(|_| in_flight.enter(Mutation::Writes, Class::Others)).all(|seat| seat.is_some()));
        drop((held, system, masters));
        assert_eq!(in_flight.taken(Mutation::Reads), 0);
        assert_eq!([in_flight.most(Mutation::Reads), in_flight.most(Mutation::Reads)], [4, 0]);
    }
}
