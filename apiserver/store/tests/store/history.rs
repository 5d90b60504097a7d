//! What a watch must have seen, checked against what writers were told.

use std::collections::BTreeMap;

use corten_store::{Batch, Event, Key, Listing, Read, Revision, Span, Store};

use crate::support::within;

/// The changes that a watch saw, checked one by one: in order, none twice, each consistent with the one before it.
#[derive(Debug, Default)]
pub struct History {
    pub events: Vec<Event>,
    state: BTreeMap<Key, Event>,
    revision: Revision,
}

impl History {
    pub fn after(revision: Revision) -> History {
        History { revision, ..History::default() }
    }

    /// Of a watch behind what was listed.
    pub fn listed(listing: &Listing) -> History {
        let events = listing.kvs.iter().map(|kv| {
            let event = Event {
                key: kv.key.clone(),
                value: Some(kv.value.clone()),
                mod_revision: kv.mod_revision,
                create_revision: kv.create_revision,
                previous: None,
                companion: None,
            };
            (kv.key.clone(), event)
        });
        History { state: events.collect(), ..History::after(listing.revision) }
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn take(&mut self, batch: Batch) {
        for event in batch.events {
            assert!(event.mod_revision > self.revision, "{event:?} came after {}", self.revision);
            let before = self.state.get(&event.key);
            if event.is_delete() {
                assert!(before.is_some(), "{event:?} deletes nothing");
            } else {
                assert_eq!(event.is_create(), before.is_none(), "{event:?} after {before:?}");
            }
            if let Some(previous) = &event.previous {
                let before = before.unwrap_or_else(|| panic!("{event:?} has a previous value, but nothing was there"));
                assert_eq!(previous.mod_revision, before.mod_revision, "{event:?}");
                assert_eq!(Some(&previous.value), before.value.as_ref(), "{event:?}");
            }
            self.revision = event.mod_revision;
            if event.is_delete() {
                self.state.remove(&event.key);
            } else {
                self.state.insert(event.key.clone(), event.clone());
            }
            self.events.push(event);
        }
        assert!(batch.revision >= self.revision, "progress to {} before {}", batch.revision, self.revision);
        self.revision = batch.revision;
    }

    pub fn revisions(&self) -> Vec<Revision> {
        self.events.iter().map(|event| event.mod_revision).collect()
    }

    /// List plus watch is list later.
    pub async fn check_equals(&self, store: &dyn Store, prefix: &str) {
        let listing = within("range", store.range(Read::of(Span::prefix(prefix)))).await.unwrap();
        let listed: Vec<_> = listing.kvs.iter().map(|kv| (&kv.key, Some(&kv.value), kv.mod_revision)).collect();
        let seen: Vec<_> =
            self.state.values().map(|event| (&event.key, event.value.as_ref(), event.mod_revision)).collect();
        assert_eq!(listed, seen);
    }
}
