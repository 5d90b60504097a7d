//! A storage on its way into the feed.

use std::sync::Arc;

use super::{Feed, Route};
use crate::cache::Reading;
use crate::resource::Storage;

/// A storage whose events wait until it is filled. Dropped before that, it is gone from the feed.
pub(super) struct Filling<'f> {
    feed: &'f Feed,
    storage: Arc<Storage>,
    done: bool,
}

impl Filling<'_> {
    pub(super) fn begin<'f>(feed: &'f Feed, storage: &Arc<Storage>) -> Filling<'f> {
        let route = Route { storage: Arc::clone(storage), waiting: Some(Vec::new()), filled_meanwhile: None };
        feed.routes.lock().entry(Arc::clone(&storage.prefix)).or_default().push(route);
        Filling { feed, storage: Arc::clone(storage), done: false }
    }

    /// Fills it with what the store held at a revision, then with the events that waited and are later than that. The
    /// store was read after the events began to wait, so that there is none between.
    pub(super) fn finish(mut self, reading: Reading, revision: u64) {
        self.done = true;
        let mut routes = self.feed.routes.lock();
        let mut found = routes.get_mut(&self.storage.prefix).into_iter().flatten();
        let Some(route) = found.find(|route| Arc::ptr_eq(&route.storage, &self.storage)) else { return };
        // The feed read the whole store anew meanwhile, and has filled it.
        let Some(waiting) = route.waiting.take() else { return };
        self.storage.cache.reset(reading, revision);
        route.filled_meanwhile = Some(revision);
        for events in waiting.chunk_by(|one, next| one.mod_revision == next.mod_revision) {
            route.take(&events.iter().collect::<Vec<_>>());
        }
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.feed.remove(&self.storage);
        }
    }
}
