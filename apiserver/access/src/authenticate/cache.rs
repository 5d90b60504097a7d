//! Tokens that were good a moment ago. A cached answer holds for ten seconds, as upstream's does, even if the token is
//! revoked within them; a wrong token is always looked at again.
//!
//! Tokens are secrets, so the cache knows them only by a keyed hash. All entries live equally long, hence the oldest is
//! always the first to go, and the cache is never larger than it may be.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use corten_runtime::clock::{Clock, Instant};
use corten_runtime::random::Random;
use parking_lot::Mutex;
use ring::hmac;

use super::Authenticated;

const LIFETIME: Duration = Duration::from_secs(10);
const ENTRIES_MAX: usize = 32 * 1024;

pub struct TokenCache {
    clock: Clock,
    secret: hmac::Key,
    entries: Mutex<Entries>,
    entries_max: usize,
}

type Key = [u8; 32];

#[derive(Default)]
struct Entries {
    found: HashMap<Key, (Instant, Authenticated)>,
    /// By age; an entry that was put anew is in here twice, and its first place is out of date.
    order: VecDeque<(Instant, Key)>,
}

impl TokenCache {
    pub fn new(clock: Clock, random: &Random) -> TokenCache {
        TokenCache::with_capacity(clock, random, ENTRIES_MAX)
    }

    pub(super) fn with_capacity(clock: Clock, random: &Random, entries_max: usize) -> TokenCache {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &random.bytes::<32>());
        TokenCache { clock, secret, entries: Mutex::default(), entries_max }
    }

    /// Lengths go before texts, so that no two questions look alike.
    pub(super) fn key(&self, token: &str, audiences: Option<&[String]>) -> Key {
        let mut context = hmac::Context::with_key(&self.secret);
        let mut add = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        add(token);
        audiences.unwrap_or_default().iter().for_each(|audience| add(audience));
        context.update(&[u8::from(audiences.is_some())]);
        let mut key = Key::default();
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    pub(super) fn get(&self, key: &Key) -> Option<Authenticated> {
        let now = self.clock.monotonic();
        let entries = self.entries.lock();
        let (until, found) = entries.found.get(key)?;
        (now < *until).then(|| found.clone())
    }

    pub(super) fn put(&self, key: Key, found: Authenticated) {
        let now = self.clock.monotonic();
        let until = now + LIFETIME;
        let mut entries = self.entries.lock();
        entries.found.insert(key, (until, found));
        entries.order.push_back((until, key));
        while entries.order.front().is_some_and(|(until, _)| *until <= now) || entries.order.len() > self.entries_max {
            let Some((until, key)) = entries.order.pop_front() else { break };
            if entries.found.get(&key).is_some_and(|(current, _)| *current == until) {
                entries.found.remove(&key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.lock().found.len()
    }
}
