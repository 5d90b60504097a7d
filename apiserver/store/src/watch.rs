//! A watch as its reader sees it; each engine brings the source.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::Stream;

use crate::error::Error;
use crate::store::{Companion, Key, Revision};

/// One change of a key.
#[derive(Clone)]
pub struct Event {
    pub key: Key,
    /// None is a deletion.
    pub value: Option<Bytes>,
    pub mod_revision: Revision,
    /// When the key came into being; 0 for a deletion.
    pub create_revision: Revision,
    /// What the key held before, if the watch asked for it and there was something.
    pub previous: Option<Previous>,
    pub companion: Option<Companion>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    pub value: Bytes,
    pub mod_revision: Revision,
}

impl Event {
    pub fn is_delete(&self) -> bool {
        self.value.is_none()
    }

    pub fn is_create(&self) -> bool {
        self.value.is_some() && self.create_revision == self.mod_revision
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.is_delete() { "delete" } else { "put" };
        write!(f, "{verb} {} at {}", self.key, self.mod_revision)
    }
}

/// Changes in the order of their revisions, and how far the watch has come: every change of its span up to `revision`
/// has been delivered by this batch and those before it. A batch without events only says that.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub events: Vec<Event>,
    pub revision: Revision,
}

/// What an engine implements: a stream that is over after its first error.
pub trait WatchSource: Send {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Batch, Error>>;

    /// Has a batch delivered soon whose revision is at least `target`, empty if need be, unless it was already; see
    /// `Progress`.
    fn request_progress(&self, target: Revision);
}

/// A running watch. Dropping it ends it.
pub struct Watch {
    source: Option<Box<dyn WatchSource>>,
    start: Revision,
}

impl Watch {
    pub fn new(source: Box<dyn WatchSource>, start: Revision) -> Watch {
        Watch { source: Some(source), start }
    }

    /// The revision after which it began to deliver.
    pub fn start(&self) -> Revision {
        self.start
    }

    /// The next batch. After an error it is `Error::Closed` for ever. Cancelling the call loses nothing.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// What is there already, without waiting. On the embedded engine that is every change that was answered.
    pub fn try_next(&mut self) -> Option<Result<Batch, Error>> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Has a batch delivered soon whose revision is at least `target`, a revision of the store's past; empty if need be.
    pub fn request_progress(&self, target: Revision) {
        if let Some(source) = &self.source {
            source.request_progress(target);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Batch, Error>> {
        let Some(source) = &mut self.source else { return Poll::Ready(Err(Error::Closed)) };
        let result = source.poll_next(context);
        if let Poll::Ready(Err(_)) = &result {
            self.source = None;
        }
        result
    }
}

impl Stream for Watch {
    type Item = Result<Batch, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let watch = self.get_mut();
        if watch.source.is_none() { Poll::Ready(None) } else { watch.poll(context).map(Some) }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch after {}", self.start)
    }
}
