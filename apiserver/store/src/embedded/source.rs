//! A watch on the embedded engine: the reader's end of a feed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Shared;
use super::disk::{ReadError, Reader};
use super::feed::Feed;
use super::history::Version;
use super::record::Record;
use crate::error::Error;
use crate::span::Span;
use crate::store::{Key, Revision};
use crate::watch::{Batch, Event, Previous, WatchSource};

/// How many rows one batch reads from the disk, and how many bytes of values.
const ROWS_MAX: usize = 4096;
const EVENTS_MAX: usize = 256;
const BYTES_MAX: usize = 4 << 20;

pub(super) struct Source {
    shared: Arc<Shared>,
    feed: Arc<Feed>,
    previous: bool,
    /// Every change up to this one was delivered.
    delivered: Revision,
    /// Whether the feed brings what follows; otherwise the disk has it.
    live: bool,
}

impl Source {
    pub(super) fn new(
        shared: Arc<Shared>,
        span: Span,
        after: Option<Revision>,
        previous: bool,
    ) -> Result<Source, Error> {
        let feed = Arc::new(Feed::new(span));
        let (delivered, live) = {
            let mut state = shared.state.lock();
            if state.closing {
                return Err(Error::Closed);
            }
            let after = after.unwrap_or(state.visible);
            state.check_known(after)?;
            let live = after >= state.visible;
            feed.inbox.lock().live = live;
            state.feeds.add(Arc::clone(&feed));
            (after, live)
        };
        Ok(Source { shared, feed, previous, delivered, live })
    }

    pub(super) fn start(&self) -> Revision {
        self.delivered
    }

    /// The next part of what lies on the disk; none once the feed has the rest.
    fn catch_up(&mut self) -> Result<Option<Batch>, ReadError> {
        let shared = Arc::clone(&self.shared);
        let (visible, recent, reader) = {
            let state = shared.state.lock();
            state.check_known(self.delivered).map_err(ReadError::Failed)?;
            if self.delivered >= state.visible {
                self.feed.inbox.lock().live = true;
                self.live = true;
                return Ok(None);
            }
            let recent: Vec<_> = state.unsaved_after(self.delivered).cloned().collect();
            (state.visible, recent, shared.disk.reader()?)
        };
        let saved = recent.first().map_or(visible, |record| record.revision() - 1);
        let (rows, end) = self.rows(&reader, saved)?;
        let mut batch = Batch { events: Vec::with_capacity(rows.len()), revision: end };
        let mut bytes = 0;
        for (key, version) in rows {
            let value = if version.is_live() { Some(self.known(reader.value(&key, version)?)?) } else { None };
            bytes += value.as_ref().map_or(0, Bytes::len);
            let previous = self.previous_of(&key, version.revision, Some(&reader))?;
            batch.events.push(event(key, version, value, previous));
            if bytes > BYTES_MAX {
                batch.revision = version.revision;
                break;
            }
        }
        if batch.revision == saved {
            for record in recent.iter().filter(|record| self.feed.span.contains(&record.key)) {
                let previous = self.previous_of(&record.key, record.revision(), None)?;
                batch.events.push(event(record.key.clone(), record.version, record.value.clone(), previous));
            }
            batch.revision = visible;
        }
        self.delivered = batch.revision;
        Ok(Some(batch))
    }

    /// Rows of the span after `delivered`, and up to which revision they are all.
    fn rows(&self, reader: &Reader, saved: Revision) -> Result<(Vec<(Key, Version)>, Revision), ReadError> {
        let (mut rows, mut seen, mut end) = (Vec::new(), 0, saved);
        reader.rows(self.delivered + 1, saved, |key, version| {
            seen += 1;
            if self.feed.span.contains(key) {
                rows.push((Key::from(key), version));
            }
            let full = seen >= ROWS_MAX || rows.len() >= EVENTS_MAX;
            if full {
                end = version.revision;
            }
            !full
        })?;
        Ok((rows, end))
    }

    fn known<T>(&self, value: Option<T>) -> Result<T, ReadError> {
        let forgotten = || {
            let compacted = self.shared.state.lock().marks.compacted;
            ReadError::Failed(Error::Compacted { requested: self.delivered, compacted })
        };
        value.ok_or_else(forgotten)
    }

    /// What a change replaced, if the reader of this watch wants it.
    fn previous_of(
        &self,
        key: &str,
        revision: Revision,
        reader: Option<&Reader>,
    ) -> Result<Option<Previous>, ReadError> {
        if !self.previous {
            return Ok(None);
        }
        let own;
        let (before, reader) = {
            let state = self.shared.state.lock();
            let Some(before) = state.index.before(key, revision) else {
                // Nothing before it, or nothing any more.
                state.check_known(self.delivered).map_err(ReadError::Failed)?;
                return Ok(None);
            };
            if let Some(record) = state.unsaved(before.revision) {
                let value = record.value.clone().unwrap_or_default();
                return Ok(Some(Previous { value, mod_revision: before.revision }));
            }
            match reader {
                Some(reader) => (before, reader),
                None => {
                    own = self.shared.disk.reader()?;
                    (before, &own)
                }
            }
        };
        let value = self.known(reader.value(&Key::from(key), before)?)?;
        Ok(Some(Previous { value, mod_revision: before.revision }))
    }

    fn take_from_feed(&mut self, records: &VecDeque<Arc<Record>>, visible: Revision) -> Result<Batch, ReadError> {
        let mut batch = Batch { events: Vec::with_capacity(records.len()), revision: 0 };
        for record in records {
            // A watch from a revision to come is live before it.
            if record.revision() <= self.delivered {
                continue;
            }
            let previous =
                if record.previous == 0 { None } else { self.previous_of(&record.key, record.revision(), None)? };
            let mut event = event(record.key.clone(), record.version, record.value.clone(), previous);
            event.companion = record.companion.clone();
            batch.events.push(event);
        }
        let last = batch.events.last().map_or(0, |event| event.mod_revision);
        self.delivered = self.delivered.max(visible).max(last);
        batch.revision = self.delivered;
        Ok(batch)
    }

    fn poll_once(&mut self, context: &mut Context<'_>) -> Poll<Result<Batch, ReadError>> {
        loop {
            if !self.live {
                match self.catch_up()? {
                    Some(batch) if batch.events.is_empty() => continue,
                    Some(batch) => return Poll::Ready(Ok(batch)),
                    None => {}
                }
            }
            // Read first: all changes up to it are in the feed by now.
            let visible = self.shared.visible.load(Ordering::Acquire);
            let mut inbox = self.feed.inbox.lock();
            if !inbox.live {
                self.delivered = self.delivered.max(inbox.complete_to);
                self.live = false;
                continue;
            }
            if !inbox.records.is_empty() || inbox.progress {
                let asked = inbox.progress;
                let records = inbox.drain();
                drop(inbox);
                let batch = match self.take_from_feed(&records, visible) {
                    Ok(batch) => batch,
                    Err(error) => {
                        // The disk has them still.
                        self.feed.inbox.lock().go_behind(records.front());
                        return Poll::Ready(Err(error));
                    }
                };
                if batch.events.is_empty() && !asked {
                    continue;
                }
                return Poll::Ready(Ok(batch));
            }
            if let Some(error) = &inbox.ended {
                return Poll::Ready(Err(ReadError::Failed(error.clone())));
            }
            self.delivered = self.delivered.max(visible);
            inbox.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
    }
}

impl WatchSource for Source {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Batch, Error>> {
        for _ in 0..3 {
            match self.poll_once(context) {
                Poll::Ready(Err(ReadError::Stale(generation))) => self.shared.disk.reopen(generation)?,
                Poll::Ready(result) => return Poll::Ready(result.map_err(ReadError::into_error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Err(ReadError::Stale(0).into_error()))
    }

    fn request_progress(&self, _: Revision) {
        self.feed.request_progress();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.state.lock().feeds.remove(&self.feed);
    }
}

fn event(key: Key, version: Version, value: Option<Bytes>, previous: Option<Previous>) -> Event {
    let (mod_revision, create_revision) = (version.revision, version.create_revision);
    Event { key, value, mod_revision, create_revision, previous, companion: None }
}
