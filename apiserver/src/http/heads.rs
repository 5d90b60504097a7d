//! The room for large heads of requests, which all connections share.
//!
//! A head may have a megabyte, as upstream's. Few have: so only what is above a few kilobytes is counted, and when all of
//! that together is too much, further large heads are refused and small ones are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;

/// As upstream's server has it.
pub const HEAD_MAX: usize = 1 << 20;
/// What all large heads may take together.
const TOTAL_MAX: usize = 128 << 20;
/// So much of each head of a request is not counted.
const FREE: usize = 4 * 1024;
/// What a header takes beside its text.
const ENTRY: usize = 104;

#[derive(Clone, Default)]
pub struct Heads(Arc<AtomicUsize>);

/// What one head takes; given back when this is dropped.
pub struct Share {
    taken: usize,
    heads: Heads,
}

impl Heads {
    pub fn share(&self) -> Share {
        Share { taken: 0, heads: self.clone() }
    }

    /// The share of a request that has been read. None if there is no room for it.
    pub fn admit(&self, headers: &HeaderMap) -> Option<Share> {
        let text: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ENTRY).sum();
        let mut share = self.share();
        share.grow_to(text.saturating_sub(FREE)).then_some(share)
    }
}

impl Share {
    /// False if there is no room; the share is then as large as before.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.taken);
        if more == 0 {
            return true;
        }
        if self.heads.0.fetch_add(more, Ordering::Relaxed) + more > TOTAL_MAX {
            self.heads.0.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.taken = bytes;
        true
    }

    /// The same, or smaller.
    pub fn set(&mut self, bytes: usize) -> bool {
        if bytes < self.taken {
            self.heads.0.fetch_sub(self.taken - bytes, Ordering::Relaxed);
            self.taken = bytes;
        }
        self.grow_to(bytes)
    }

    pub fn give_back(&mut self) {
        if self.taken > 0 {
            self.heads.0.fetch_sub(std::mem::take(&mut self.taken), Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: usize, length: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&"a".repeat(length)).expect("a value");
        for _ in 0..values {
            headers.append("x", value.clone());
        }
        headers
    }

    #[test]
    fn large_heads_have_a_bound_together_and_small_ones_none() {
        let heads = Heads::default();
        let (large, small) = (headers(1, HEAD_MAX), headers(20, 50));
        let mut admitted = Vec::new();
        while let Some(share) = heads.admit(&large) {
            admitted.push(share);
        }
        assert_eq!(admitted.len(), TOTAL_MAX / HEAD_MAX);
        assert!(heads.admit(&small).is_some());
        admitted.pop();
        assert!(heads.admit(&large).is_some());
        drop(admitted);
        assert_eq!(heads.0.load(Ordering::Relaxed), 0);
        // Many empty headers take memory too.
        assert!(heads.admit(&headers(100, 0)).is_some_and(|share| share.taken > 0));
    }
}
