//! Times to live, by etcd's leases. A lease is dear and most keys with one have the same time to live, so that it is
//! shared, under kube-apiserver's limits: for as long as it ends within a twentieth of the time asked for, at most a
//! minute late, and by at most a thousand keys.

use std::time::Duration;

use etcd_client::LeaseClient;
use tokio::sync::Mutex;

use corten_runtime::{Clock, Instant};

const REUSE_MAX: Duration = Duration::from_secs(60);
const KEYS_MAX: u32 = 1000;

pub(super) struct Leases {
    client: LeaseClient,
    clock: Clock,
    last: Mutex<Option<Lease>>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: i64,
    ends: Instant,
    keys: u32,
}

impl Leases {
    pub(super) fn new(client: LeaseClient, clock: Clock) -> Leases {
        Leases { client, clock, last: Mutex::new(None) }
    }

    /// A lease that ends after `ttl` or a little later.
    pub(super) async fn lease(&self, ttl: Duration) -> Result<i64, etcd_client::Error> {
        let mut last = self.last.lock().await;
        let now = self.clock.monotonic();
        let (ttl, reuse) = seconds(ttl);
        if let Some(lease) = last.as_mut().filter(|lease| lease.serves(now, ttl, reuse)) {
            lease.keys += 1;
            return Ok(lease.id);
        }
        let granted = ttl + reuse;
        let answer = self.client.clone().grant(i64::try_from(granted.as_secs()).unwrap_or(i64::MAX), None).await?;
        *last = Some(Lease { id: answer.id(), ends: now + granted, keys: 1 });
        Ok(answer.id())
    }

    pub(super) async fn forget(&self, id: i64) {
        let mut last = self.last.lock().await;
        if last.is_some_and(|lease| lease.id == id) {
            *last = None;
        }
    }
}

impl Lease {
    fn serves(&self, now: Instant, ttl: Duration, reuse: Duration) -> bool {
        now + ttl < self.ends && now + ttl + reuse > self.ends && self.keys < KEYS_MAX
    }
}

/// Whole seconds, as etcd counts, and how much later is fine.
fn seconds(ttl: Duration) -> (Duration, Duration) {
    let whole = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    (Duration::from_secs(whole.max(1)), Duration::from_secs(whole / 20).min(REUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_runtime::Wall;

    #[test]
    fn leases_are_shared_within_limits() {
        let (clock, _) = Clock::manual(Wall::default());
        let start = clock.monotonic();
        let (ttl, reuse) = seconds(Duration::from_secs(3600));
        assert_eq!((ttl, reuse), (Duration::from_secs(3600), Duration::from_secs(60)));
        let check = |after: u64, ttl: u64, keys: u32, expected: bool| {
            let (ttl, reuse) = seconds(Duration::from_secs(ttl));
            let lease = Lease { id: 1, ends: start + Duration::from_secs(3660), keys };
            assert_eq!(
                lease.serves(start + Duration::from_secs(after), ttl, reuse),
                expected,
                "{after} {ttl:?} {keys}"
            );
        };
        check(1, 3600, 1, true);
        check(59, 3600, 999, true);
        check(59, 3600, 1000, false);
        check(60, 3600, 1, false);
        check(1, 3601, 1, true);
        check(1, 3700, 1, false);
        check(1, 60, 1, false);
    }

    #[test]
    fn etcd_counts_in_seconds() {
        let check = |ttl: u64, whole: u64, reuse: u64| {
            let (found, later) = seconds(Duration::from_millis(ttl));
            assert_eq!((found.as_secs(), later.as_secs()), (whole, reuse), "{ttl} ms");
        };
        check(0, 1, 0);
        check(1, 1, 0);
        check(1500, 2, 0);
        check(3_600_000, 3600, 60);
        check(600_000, 600, 30);
    }
}
