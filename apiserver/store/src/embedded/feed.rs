//! How changes get from the commit to the watchers.
//!
//! A watch is *live* when the commit puts its events into its feed, and *behind* when it reads them from the disk: at
//! its start, unless it starts now, and after it was so slow that its feed ran over. So a slow reader costs nobody
//! anything, and what it misses is `Compacted` in the end, never lost in silence.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::record::Record;
use crate::error::Error;
use crate::span::Span;
use crate::store::{Key, Revision};

/// More than so much in a feed, and its watch reads from the disk instead.
const EVENTS_MAX: usize = 4096;
const BYTES_MAX: usize = 16 << 20;

/// What the commit and one watch share.
pub(super) struct Feed {
    pub(super) span: Span,
    pub(super) inbox: Mutex<Inbox>,
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) live: bool,
    /// When it is not live any more: nothing of the span up to this revision is missing.
    pub(super) complete_to: Revision,
    pub(super) records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// Set when progress was asked for.
    pub(super) progress: bool,
    pub(super) ended: Option<Error>,
    pub(super) waker: Option<Waker>,
}

impl Feed {
    pub(super) fn new(span: Span) -> Feed {
        Feed { span, inbox: Mutex::new(Inbox::default()) }
    }

    fn push(&self, record: &Arc<Record>, wakers: &mut Vec<Waker>) {
        let mut inbox = self.inbox.lock();
        if !inbox.live {
            return;
        }
        if inbox.records.len() >= EVENTS_MAX || inbox.bytes >= BYTES_MAX {
            let first = inbox.records.front().cloned();
            inbox.go_behind(first.as_ref());
        } else {
            inbox.bytes += record.value.as_ref().map_or(0, |value| value.len());
            inbox.records.push_back(Arc::clone(record));
        }
        wakers.extend(inbox.waker.take());
    }

    fn end(&self, error: &Error, wakers: &mut Vec<Waker>) {
        let mut inbox = self.inbox.lock();
        inbox.ended.get_or_insert_with(|| error.clone());
        wakers.extend(inbox.waker.take());
    }

    pub(super) fn request_progress(&self) {
        let waker = {
            let mut inbox = self.inbox.lock();
            inbox.progress = true;
            inbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Inbox {
    /// Leaves what `first` began, and what follows, to be read from the disk.
    pub(super) fn go_behind(&mut self, first: Option<&Arc<Record>>) {
        self.live = false;
        self.complete_to = self.complete_to.max(first.map_or(0, |record| record.revision() - 1));
        self.records = VecDeque::new();
        self.bytes = 0;
    }

    pub(super) fn drain(&mut self) -> VecDeque<Arc<Record>> {
        self.bytes = 0;
        self.progress = false;
        std::mem::take(&mut self.records)
    }
}

/// All feeds, found by the keys they want: by a whole key, or by the part of it up to one of its slashes.
#[derive(Default)]
pub(super) struct Feeds {
    landmarks: HashMap<Key, Vec<Arc<Feed>>>,
    others: Vec<Arc<Feed>>,
}

impl Feeds {
    pub(super) fn add(&mut self, feed: Arc<Feed>) {
        match feed.span.landmark() {
            Some(landmark) => self.landmarks.entry(landmark.clone()).or_default().push(feed),
            None => self.others.push(feed),
        }
    }

    pub(super) fn remove(&mut self, feed: &Arc<Feed>) {
        let Some(landmark) = feed.span.landmark() else {
            return self.others.retain(|other| !Arc::ptr_eq(other, feed));
        };
        if let Some(feeds) = self.landmarks.get_mut(landmark) {
            feeds.retain(|other| !Arc::ptr_eq(other, feed));
            if feeds.is_empty() {
                self.landmarks.remove(landmark);
            }
        }
    }

    pub(super) fn push(&self, record: &Arc<Record>, wakers: &mut Vec<Waker>) {
        let key: &str = &record.key;
        let slashes = key.match_indices('/').map(|(at, _)| &key[..=at]);
        let whole = (!key.ends_with('/')).then_some(key);
        for landmark in std::iter::once("").chain(slashes).chain(whole) {
            for feed in self.landmarks.get(landmark).into_iter().flatten() {
                if feed.span.contains(key) {
                    feed.push(record, wakers);
                }
            }
        }
        for feed in &self.others {
            if feed.span.contains(key) {
                feed.push(record, wakers);
            }
        }
    }

    pub(super) fn end(&self, error: &Error, wakers: &mut Vec<Waker>) {
        self.landmarks.values().flatten().chain(&self.others).for_each(|feed| feed.end(error, wakers));
    }

    pub(super) fn len(&self) -> usize {
        self.landmarks.values().map(Vec::len).sum::<usize>() + self.others.len()
    }
}
