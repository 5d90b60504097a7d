//! Everybody who is connected: how many may be, and who has to leave when there are too many.
//!
//! Each connection is an open file, and a process may open only so many. The store needs some of them at any time, so
//! connections get the others. When those are taken, somebody new takes the place of the connection that has been there
//! longest without a request under way: a client whose idle connection is closed opens another one when it needs it,
//! while one that cannot connect has nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corten_runtime::tasks::CancellationToken;
use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;

use super::activity::Activity;

/// Files that are kept for everything else: an eighth of all, but no fewer than these, which a server needs in any case,
/// and no more.
const KEPT_MIN: u64 = 64;
const KEPT_MAX: u64 = 1024;
/// Connections, however many files there may be.
const CONNECTIONS_MAX: usize = 50_000;
/// So many connections may be leaving while others come already; a sixteenth of all if that is less.
const LEAVING_MAX: usize = 512;
/// How many connections are looked at for one that can leave.
const LOOKED_AT: usize = 64;

#[derive(Clone)]
pub struct Crowd(Arc<State>);

struct State {
    max: usize,
    count: AtomicUsize,
    /// Those who came first are in front; some have left.
    members: Mutex<VecDeque<Member>>,
    left: Notify,
}

struct Member {
    activity: Activity,
    token: CancellationToken,
}

/// A place in the crowd, free again when this is dropped.
pub struct Place {
    crowd: Crowd,
    token: CancellationToken,
}

impl Crowd {
    /// As large as the number of files allows, of which this process may open as many as it can from now on.
    pub fn by_open_files() -> Crowd {
        Crowd::of(connections_max(raise_open_files()))
    }

    pub fn of(max: usize) -> Crowd {
        let (count, members) = (AtomicUsize::new(0), Mutex::default());
        Crowd(Arc::new(State { max, count, members, left: Notify::new() }))
    }

    /// Waits until there is room for one more. Only one may wait at a time.
    pub async fn room(&self) {
        let state = &self.0;
        while state.count.load(Ordering::Acquire) >= state.max {
            // Who is sent away needs a moment to leave, for which there are some files more.
            if self.send_somebody_away()
                && state.count.load(Ordering::Acquire) < state.max + LEAVING_MAX.min(state.max / 16)
            {
                return;
            }
            let left = state.left.notified();
            if state.count.load(Ordering::Acquire) >= state.max {
                left.await;
            }
        }
    }

    /// A connection comes; it ends when the token is cancelled.
    pub fn enter(&self, activity: Activity, token: CancellationToken) -> Place {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        let mut members = self.0.members.lock();
        if members.len() >= 2 * self.0.max.max(64) {
            members.retain(|member| !member.token.is_cancelled());
        }
        members.push_back(Member { activity, token: token.clone() });
        Place { crowd: self.clone(), token }
    }

    /// False if all that were looked at have requests under way.
    fn send_somebody_away(&self) -> bool {
        let mut members = self.0.members.lock();
        for _ in 0..LOOKED_AT {
            let Some(member) = members.pop_front() else { return false };
            if member.token.is_cancelled() {
                continue;
            }
            if member.activity.running() == 0 {
                member.token.cancel();
                return true;
            }
            members.push_back(member);
        }
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Tells the crowd that this one has left.
        self.token.cancel();
        self.crowd.0.count.fetch_sub(1, Ordering::AcqRel);
        self.crowd.0.left.notify_one();
    }
}

/// How many connections there may be with so many files.
fn connections_max(files: u64) -> usize {
    let kept = (files / 8).clamp(KEPT_MIN, KEPT_MAX);
    usize::try_from(files.saturating_sub(kept)).map_or(CONNECTIONS_MAX, |left| left.clamp(1, CONNECTIONS_MAX))
}

/// How many files this process may open, after it has asked for all that it can have.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the old limit stands.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::activity::Unsent;
    use corten_runtime::clock::{Clock, Wall};
    use futures::FutureExt;

    fn check(files: u64, expected: usize) {
        assert_eq!(connections_max(files), expected, "{files} files");
    }

    #[test]
    fn some_files_are_kept() {
        check(20_000, 18_976);
        check(1024, 896);
        check(200, 136);
        check(8, 1);
        check(u64::MAX, CONNECTIONS_MAX);
    }

    #[test]
    fn who_has_been_idle_longest_makes_room() {
        let (clock, _) = Clock::manual(Wall::from_seconds(1));
        let crowd = Crowd::of(32);
        let come = || {
            assert!(crowd.room().now_or_never().is_some());
            let activity = Activity::new(clock.clone(), Unsent::default());
            (crowd.enter(activity.clone(), CancellationToken::new()), activity)
        };
        let mut members: Vec<_> = (0..32).map(|_| come()).collect();
        let _request = members[0].1.begin();
        let sent_away = |members: &[(Place, Activity)]| -> Vec<usize> {
            (0..members.len()).filter(|&number| members[number].0.token.is_cancelled()).collect()
        };
        assert!(sent_away(&members).is_empty());
        // Two may come before others have left.
        members.push(come());
        members.push(come());
        assert_eq!(sent_away(&members), [1, 2], "the first has a request under way");
        assert!(crowd.room().now_or_never().is_none(), "too many are leaving");
        assert_eq!(sent_away(&members), [1, 2, 3]);
        drop(members.drain(1..4));
        assert!(crowd.room().now_or_never().is_some());
        let _requests: Vec<_> = members.iter().map(|(_, activity)| activity.begin()).collect();
        members.push(come());
        let _last = members[members.len() - 1].1.begin();
        assert!(crowd.room().now_or_never().is_none(), "nobody can be sent away");
        drop(members);
        assert_eq!(crowd.0.count.load(Ordering::Relaxed), 0);
    }
}
