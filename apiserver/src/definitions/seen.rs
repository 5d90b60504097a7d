//! How far a server has looked at the definitions that its cache shows.
//!
//! Another server on the store may say that a definition is established, and this one shows that to its clients, before
//! it serves what is defined. So what depends on the definitions is told when those of now have been looked at: a garbage
//! collector that is told 404 takes an owner for gone, and deletes what it owns.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::api::Api;
use crate::cache::Position;

/// A request waits no longer than that.
const LOOK_MAX: Duration = Duration::from_secs(2);

pub struct Seen {
    /// Where the definitions' cache was when all that it showed had been looked at; none before the first time.
    looked: watch::Sender<Option<Position>>,
    /// The definitions whose objects could not be read, so that they are not served as they are now.
    failed: Mutex<BTreeSet<Arc<str>>>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { looked: watch::Sender::new(None), failed: Mutex::default() }
    }
}

impl Seen {
    pub(super) fn looked_at(&self, position: Position) {
        self.looked.send_replace(Some(position));
    }

    pub(super) fn failed(&self, definition: &Arc<str>) {
        self.failed.lock().insert(Arc::clone(definition));
    }

    pub(super) fn did_not_fail(&self, definition: &str) {
        self.failed.lock().remove(definition);
    }

    /// Whether a definition could not be served for which this holds.
    pub fn any_failed(&self, defines: impl Fn(&str) -> bool) -> bool {
        self.failed.lock().iter().any(|definition| defines(definition))
    }

    /// Whether all definitions have been looked at once.
    pub fn has_begun(&self) -> bool {
        self.looked.borrow().is_some()
    }

    /// Whether the definitions that are there when this is called have been looked at. That is waited for a while, but
    /// not by who comes while the server starts.
    pub async fn wait(&self, api: &Api) -> bool {
        let Some(storage) = super::storage(api) else { return true };
        let present = Some(storage.cache.position());
        let looked = *self.looked.borrow();
        if looked.is_none() || looked >= present {
            return looked.is_some();
        }
        let mut changes = self.looked.subscribe();
        let reached = changes.wait_for(|looked| *looked >= present);
        matches!(api.clock.timeout(LOOK_MAX, reached).await, Ok(Ok(_)))
    }
}
