//! A Warning Event about each stored object that cannot be read.
//!
//! An object gets one for each revision at which it cannot be read. The event's name is derived from key and revision,
//! so that a server that starts again, and others on the same store, find it there already. However many objects become
//! unreadable at once, each resource has some events a minute, and one more says how many it does not name; metrics and
//! /readyz?verbose tell of all. Nothing is written about unreadable Events: those would be events about events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use corten_api::names::is_dns1123_label;
use corten_runtime::clock::Instant;
use corten_runtime::tasks::CancellationToken;
use imbl::ordmap::DiffItem;
use ring::digest::{SHA256, digest};

use super::recorder::{Recorder, Reference, Warning};
use crate::api::Api;
use crate::cache::{Unreadable, Unreadables};
use crate::resource::{Lifetime, Storage};

/// How many events name one object of a resource within a minute.
const NAMED_MAX: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// Pauses before a write is tried again that failed because of the server or its store.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// Of an event's note.
const NOTE_BYTES_MAX: usize = 1024;

pub struct UnreadableObjects {
    api: Arc<Api>,
    recorder: Recorder,
    /// What is known of each storage, by its prefix.
    seen: BTreeMap<Arc<str>, Seen>,
}

#[derive(Default)]
struct Seen {
    unreadable: Unreadables,
    ration: Ration,
}

/// The events of one storage: some at once, and a sum of those that were left out.
#[derive(Default)]
struct Ration {
    /// When the minute ends in which `named` were named.
    ends: Option<Instant>,
    named: usize,
    /// The first that was left out, and how many were.
    left_out: Option<(Unreadable, u64)>,
    /// Whether the sum has been told within the minute.
    summed: bool,
}

/// An event that is to be written.
#[derive(Debug, PartialEq, Eq)]
struct Planned {
    about: Reference,
    name: String,
    reason: &'static str,
    note: String,
}

impl UnreadableObjects {
    pub fn new(api: &Arc<Api>) -> UnreadableObjects {
        let recorder = Recorder { controller: "corten-stored-objects" };
        UnreadableObjects { api: Arc::clone(api), recorder, seen: BTreeMap::new() }
    }

    pub async fn run(mut self, token: CancellationToken) {
        let api = Arc::clone(&self.api);
        loop {
            tokio::select! {
                () = self.look() => {}
                () = token.cancelled() => return,
            }
            let sum = self.next_sum();
            let sum_due = async {
                match sum {
                    Some(at) => api.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = api.feed.unreadable_changed() => {}
                () = sum_due => {}
                () = token.cancelled() => return,
            }
        }
    }

    /// Writes an event about each object that cannot be read since the last look.
    async fn look(&mut self) {
        for planned in self.plan() {
            self.write(&planned).await;
        }
    }

    fn plan(&mut self) -> Vec<Planned> {
        let now = self.api.clock.monotonic();
        let mut planned = Vec::new();
        // A storage that is fed no longer is forgotten.
        let mut seen_before = std::mem::take(&mut self.seen);
        for (storage, unreadable) in self.api.feed.unreadable() {
            if matches!(storage.lifetime, Lifetime::Event { .. }) {
                continue;
            }
            let Seen { unreadable: before, mut ration } = seen_before.remove(&storage.prefix).unwrap_or_default();
            for (key, one) in added(&before, &unreadable) {
                if ration.admits(now, one) {
                    planned.push(named(&storage, key, one));
                }
            }
            planned.extend(ration.take_sum(now).map(|(first, count)| sum(&storage, &first, count)));
            if !unreadable.is_empty() || !ration.is_over(now) {
                self.seen.insert(Arc::clone(&storage.prefix), Seen { unreadable, ration });
            }
        }
        planned
    }

    /// When the next sum is due.
    fn next_sum(&self) -> Option<Instant> {
        let waiting = self.seen.values().filter(|seen| seen.ration.left_out.is_some());
        waiting.filter_map(|seen| seen.ration.ends).min()
    }

    async fn write(&self, planned: &Planned) {
        let warning = Warning { reason: planned.reason, action: "Read", note: &planned.note };
        let mut pauses = PAUSES.iter();
        loop {
            let refused = match self.recorder.write(&self.api, &planned.name, &planned.about, &warning).await {
                Ok(()) => return,
                // It was written before, or by another server.
                Err(refused) if refused.is_already_exists() => return,
                Err(refused) => refused,
            };
            let pause = pauses.next().filter(|_| refused.code >= 500 || refused.code == 429);
            let Some(pause) = pause else {
                let note = &planned.note;
                return tracing::warn!(note, error = %refused, "the event about an unreadable object is not written");
            };
            self.api.clock.sleep(*pause).await;
        }
    }
}

impl Ration {
    /// Whether this one gets an event of its own; otherwise it is counted.
    fn admits(&mut self, now: Instant, one: &Unreadable) -> bool {
        if self.is_over(now) {
            *self = Ration { ends: Some(now + WINDOW), left_out: self.left_out.take(), ..Ration::default() };
        }
        if self.named < NAMED_MAX {
            self.named += 1;
            return true;
        }
        self.left_out.get_or_insert_with(|| (one.clone(), 0)).1 += 1;
        false
    }

    /// The sum of those that were left out, once a minute.
    fn take_sum(&mut self, now: Instant) -> Option<(Unreadable, u64)> {
        let is_over = self.is_over(now);
        let left_out = self.left_out.take_if(|_| is_over || !self.summed)?;
        if is_over {
            *self = Ration { ends: Some(now + WINDOW), ..Ration::default() };
        }
        self.summed = true;
        Some(left_out)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.ends.is_none_or(|ends| ends <= now)
    }
}

/// What cannot be read now, and could before or was of another revision. It costs what differs, not what there is.
fn added<'u>(before: &'u Unreadables, now: &'u Unreadables) -> impl Iterator<Item = (&'u Arc<str>, &'u Unreadable)> {
    before.diff(now).filter_map(|item| match item {
        DiffItem::Add(key, one) => Some((key, one)),
        DiffItem::Update { old: (_, old), new: (key, new) } => (old.revision != new.revision).then_some((key, new)),
        DiffItem::Remove(..) => None,
    })
}

fn named(storage: &Storage, key: &str, one: &Unreadable) -> Planned {
    // A key that no object has that this API made belongs to no namespace.
    let in_namespace = key.split_once('/').filter(|(namespace, _)| is_dns1123_label(namespace).is_empty());
    let (namespace, name) = in_namespace.filter(|_| storage.namespaced).unwrap_or(("", key));
    let about = Reference {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        revision: one.revision.to_string(),
        ..kind(storage)
    };
    Planned {
        about,
        name: event_name(one, 1),
        reason: "StoredObjectUnreadable",
        note: bounded(format!("the stored object {} cannot be read: {}", one.key, one.reason)),
    }
}

fn sum(storage: &Storage, first: &Unreadable, count: u64) -> Planned {
    let note = format!(
        "{count} more stored objects below {} cannot be read; the first of them is {}: {}",
        storage.prefix, first.key, first.reason
    );
    Planned {
        about: kind(storage),
        name: event_name(first, count),
        reason: "StoredObjectsUnreadable",
        note: bounded(note),
    }
}

fn kind(storage: &Storage) -> Reference {
    Reference {
        api_version: storage.hub.api_version.to_string(),
        kind: storage.hub.kind.to_string(),
        ..Reference::default()
    }
}

/// The same for every server that finds the object so.
fn event_name(first: &Unreadable, count: u64) -> String {
    let hashed = digest(&SHA256, format!("{} {} {count}", first.key, first.revision).as_bytes());
    let hash: String = hashed.as_ref().iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    format!("unreadable.{hash}")
}

/// A note that an event can hold.
fn bounded(mut note: String) -> String {
    const MORE: &str = "...";
    if note.len() > NOTE_BYTES_MAX {
        note.truncate(note.floor_char_boundary(NOTE_BYTES_MAX - MORE.len()));
        note.push_str(MORE);
    }
    note
}

#[cfg(test)]
mod tests {
    use corten_runtime::clock::{Clock, Wall};

    use super::*;

    fn unreadable(key: &str, revision: u64) -> Unreadable {
        Unreadable::new(key.into(), revision, "damaged")
    }

    #[test]
    fn a_minute_has_some_events_and_a_sum() {
        let (clock, hands) = Clock::manual(Wall::default());
        let mut ration = Ration::default();
        let come = |ration: &mut Ration, count: usize| {
            let named = (0..count).filter(|n| ration.admits(clock.monotonic(), &unreadable("k", *n as u64))).count();
            (named, ration.take_sum(clock.monotonic()).map(|(first, left_out)| (first.revision, left_out)))
        };
        assert_eq!(come(&mut ration, 15), (15, None));
        assert_eq!(come(&mut ration, 100_000), (5, Some((5, 99_995))));
        assert_eq!(come(&mut ration, 3), (0, None), "the minute has had its sum");
        assert_eq!(come(&mut ration, 4), (0, None));
        hands.advance(WINDOW);
        assert_eq!(come(&mut ration, 0), (0, Some((0, 7))));
        assert_eq!(come(&mut ration, 21), (20, None), "a new minute, which has had its sum");
        hands.advance(WINDOW);
        assert_eq!(come(&mut ration, 2), (2, Some((20, 1))));
        hands.advance(WINDOW);
        assert_eq!(come(&mut ration, 0), (0, None));
    }

    #[test]
    fn an_object_is_told_of_once_for_each_revision() {
        let of = |all: &[(&str, u64)]| -> Unreadables {
            all.iter().map(|(key, revision)| (Arc::from(*key), unreadable(key, *revision))).collect()
        };
        let check = |before: &[(&str, u64)], now: &[(&str, u64)], expected: &[&str]| {
            let (before, now) = (of(before), of(now));
            let found: Vec<&str> = added(&before, &now).map(|(key, _)| &**key).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[("a", 1), ("b", 1)], &["a", "b"]);
        check(&[("a", 1)], &[("a", 1), ("b", 2)], &["b"]);
        check(&[("a", 1), ("b", 2)], &[("a", 3)], &["a"]);
    }

    #[test]
    fn notes_are_bounded_and_names_are_of_key_and_revision() {
        assert_eq!(bounded("x".repeat(NOTE_BYTES_MAX)).len(), NOTE_BYTES_MAX);
        let cut = bounded("\u{e9}".repeat(NOTE_BYTES_MAX));
        assert!(cut.len() <= NOTE_BYTES_MAX && cut.ends_with("\u{e9}..."));
        let name = event_name(&unreadable("k", 1), 1);
        assert_eq!(name, event_name(&Unreadable { was_read: true, ..unreadable("k", 1) }, 1));
        assert!(corten_api::names::is_dns1123_subdomain(&name).is_empty(), "{name}");
        for other in [unreadable("k", 2), unreadable("l", 1)] {
            assert_ne!(name, event_name(&other, 1));
        }
    }
}
