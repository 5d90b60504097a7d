//! What changed of a resource, for a controller that looks at the present of each object that changed.
//!
//! An object that cannot be read any more has changed, and is not gone: it counts as it was last until the store no
//! longer has its key.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use crate::api::Api;
use crate::cache::{Cache, EventKind, Objects, Scope, Stop, Unreadables, Watcher};
use crate::object::Object;
use crate::resource::Storage;

pub struct Changes {
    pub storage: Arc<Storage>,
    follower: Follower,
}

impl Changes {
    pub fn of(api: &Api, group: &str, plural: &str, scope: Scope) -> Result<Changes> {
        let storage = api.storage(group, plural).ok_or_else(|| anyhow!("{plural}.{group} are not served"))?;
        Ok(Changes { follower: Follower::new(Arc::clone(&storage.cache), scope), storage })
    }

    /// Returns when something may have changed.
    pub async fn wait(&self) {
        self.follower.wait().await;
    }

    /// The keys of what changed since the last call.
    pub fn take(&mut self) -> BTreeSet<Arc<str>> {
        self.take_each(|_| {})
    }

    /// The same, and shows what is gone as it was last.
    pub fn take_each(&mut self, gone: impl FnMut(&Object)) -> BTreeSet<Arc<str>> {
        self.follower.take(gone)
    }
}

/// A cursor into a cache's events that survives the loss of events: it knows what it has told, and tells the difference
/// to what is there after a new start.
struct Follower {
    cache: Arc<Cache>,
    scope: Scope,
    watcher: Watcher,
    /// Nothing was told yet.
    fresh: bool,
    /// What was told of, as it was last.
    known: Objects,
    /// Of these, and of what was never read, what could not be read when the cache started over last.
    unreadable: Unreadables,
}

impl Follower {
    fn new(cache: Arc<Cache>, scope: Scope) -> Follower {
        let (_, watcher) = cache.snapshot_and_watch(scope.clone());
        Follower { cache, scope, watcher, fresh: true, known: Objects::new(), unreadable: Unreadables::new() }
    }

    async fn wait(&self) {
        if !self.fresh {
            self.watcher.changed().await;
        }
    }

    fn take(&mut self, mut gone: impl FnMut(&Object)) -> BTreeSet<Arc<str>> {
        let mut keys = BTreeSet::new();
        if std::mem::take(&mut self.fresh) {
            self.start_over(&mut keys, &mut gone);
        }
        loop {
            let events = match self.watcher.take(256) {
                Ok((events, _)) if events.is_empty() => return keys,
                Ok((events, _)) => events,
                // Nothing comes any more.
                Err(Stop::Ended) => return keys,
                // Whatever it misses, the present shows.
                Err(Stop::TooOld(_)) => {
                    self.start_over(&mut keys, &mut gone);
                    continue;
                }
            };
            for event in events.iter().filter(|event| concerns(&self.scope, &event.object)) {
                let object = &event.object;
                keys.insert(Arc::clone(&object.key));
                match event.kind {
                    EventKind::Deleted => {
                        self.known.remove(&object.key);
                        gone(object);
                    }
                    EventKind::Added | EventKind::Modified => {
                        self.known.insert(Arc::clone(&object.key), Arc::clone(object));
                    }
                }
            }
        }
    }

    fn start_over(&mut self, keys: &mut BTreeSet<Arc<str>>, gone: &mut impl FnMut(&Object)) {
        let (snapshot, watcher) = self.cache.snapshot_and_watch(self.scope.clone());
        self.watcher = watcher;
        let (objects, unreadable) = within(snapshot.objects, snapshot.unreadable, &self.scope);
        let mut before = std::mem::replace(&mut self.known, objects);
        let mut before_unreadable = std::mem::replace(&mut self.unreadable, unreadable);
        for (key, one) in &self.unreadable {
            if let Some(known) = before.remove(key) {
                self.known.insert(Arc::clone(key), known);
            }
            if before_unreadable.remove(key).is_none_or(|known| known.revision != one.revision) {
                keys.insert(Arc::clone(key));
            }
        }
        keys.extend(before_unreadable.keys().cloned());
        for (key, object) in self.known.iter().filter(|(key, _)| !self.unreadable.contains_key(*key)) {
            if before.remove(key).is_none_or(|known| known.revision != object.revision) {
                keys.insert(Arc::clone(key));
            }
        }
        for (key, object) in before {
            gone(&object);
            keys.insert(key);
        }
    }
}

/// What a scope has of the objects and of what cannot be read.
fn within(objects: Objects, unreadable: Unreadables, scope: &Scope) -> (Objects, Unreadables) {
    match scope {
        Scope::All | Scope::Field(_) => (objects, unreadable),
        Scope::Object(key) => {
            let object = objects.get(key).map(|object| (Arc::clone(key), Arc::clone(object)));
            let one = unreadable.get(key).map(|one| (Arc::clone(key), one.clone()));
            (object.into_iter().collect(), one.into_iter().collect())
        }
        Scope::Namespace(namespace) => {
            let is_in = |key: &str| key.split_once('/').is_some_and(|(own, _)| own == &**namespace);
            (
                objects.into_iter().filter(|(key, _)| is_in(key)).collect(),
                unreadable.into_iter().filter(|(key, _)| is_in(key)).collect(),
            )
        }
    }
}

/// Whether an object is in a scope, as far as its key tells.
fn concerns(scope: &Scope, object: &Object) -> bool {
    match scope {
        Scope::All | Scope::Field(_) => true,
        Scope::Namespace(namespace) => object.is_in(namespace),
        Scope::Object(key) => object.key == *key,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use corten_object::json::{Form, parse};

    use super::*;
    use crate::cache::{CacheId, Change, Unreadable};
    use crate::object::Draft;

    fn object(key: &str, revision: u64) -> Arc<Object> {
        let tree = parse(br#"{"metadata":{}}"#.to_vec(), Form::Plain).unwrap().tree;
        Draft::new(CacheId::new(), tree.root(), key.into(), Box::default()).object(revision)
    }

    fn objects(listed: &[(&str, u64)]) -> Objects {
        listed.iter().map(|(key, revision)| (Arc::from(*key), object(key, *revision))).collect()
    }

    /// A follower of a cache with `a/1`, `a/2` and `b/1`, which has taken those.
    fn follower(scope: Scope) -> Follower {
        let held = objects(&[("a/1", 1), ("a/2", 1), ("b/1", 1)]);
        let cache = Arc::new(Cache::new(held, 1, Arc::new(AtomicU64::new(1)), None));
        let mut follower = Follower::new(cache, scope);
        let (changed, gone) = take(&mut follower);
        assert!(!changed.is_empty() && gone.is_empty());
        follower
    }

    fn take(follower: &mut Follower) -> (Vec<String>, Vec<String>) {
        let mut gone = Vec::new();
        let changed = follower.take(|object| gone.push(object.key.to_string()));
        (changed.iter().map(|key| key.to_string()).collect(), gone)
    }

    #[test]
    fn changes_and_ends_are_told_once() {
        let check = |scope: Scope, change: &dyn Fn(&Cache), changed: &[&str], gone: &[&str]| {
            let mut follower = follower(scope.clone());
            change(&follower.cache);
            let (told, told_gone) = take(&mut follower);
            assert_eq!(
                (told.as_slice(), told_gone.as_slice()),
                (strings(changed).as_slice(), strings(gone).as_slice())
            );
            assert_eq!(take(&mut follower), (Vec::new(), Vec::new()), "{scope:?}");
        };
        let one = || Scope::Object("a/1".into());
        let space = || Scope::Namespace("a".into());
        let events = |cache: &Cache| {
            cache.apply(2, [("a/1", Some(object("a/1", 2)))]);
            cache.apply(3, [("a/2", None)]);
            cache.apply(4, [("b/1", None)]);
        };
        check(Scope::All, &events, &["a/1", "a/2", "b/1"], &["a/2", "b/1"]);
        check(space(), &events, &["a/1", "a/2"], &["a/2"]);
        check(one(), &events, &["a/1"], &[]);
        // A reading of the store anew: what vanished meanwhile is told, and what is the same is not.
        let reset = |cache: &Cache| cache.reset(objects(&[("a/1", 1), ("b/1", 3), ("c/1", 2)]), 5);
        check(Scope::All, &reset, &["a/2", "b/1", "c/1"], &["a/2"]);
        check(space(), &reset, &["a/2"], &["a/2"]);
        check(one(), &reset, &[], &[]);
        let emptied = |cache: &Cache| cache.reset(Objects::new(), 5);
        check(one(), &emptied, &["a/1"], &["a/1"]);
        let events_then_reset = |cache: &Cache| {
            cache.apply(2, [("a/1", None)]);
            cache.reset(objects(&[("a/1", 4)]), 5);
        };
        check(Scope::All, &events_then_reset, &["a/1", "a/2", "b/1"], &["a/2", "b/1"]);
    }

    #[test]
    fn what_cannot_be_read_is_not_gone() {
        let lost = |key: &str, revision: u64| Change::Unreadable(Unreadable::new(key.into(), revision, "damaged"));
        for scope in [Scope::All, Scope::Namespace("a".into()), Scope::Object("a/1".into())] {
            let mut follower = follower(scope);
            let cache = Arc::clone(&follower.cache);
            cache.apply(2, [("a/1", lost("a/1", 2))]);
            assert_eq!(take(&mut follower), (strings(&["a/1"]), Vec::new()));
            assert_eq!(take(&mut follower), (Vec::new(), Vec::new()), "it stays so");
            cache.apply(3, [("a/1", lost("a/1", 3))]);
            assert_eq!(take(&mut follower), (strings(&["a/1"]), Vec::new()));
            cache.apply(4, [("a/1", Some(object("a/1", 4)))]);
            assert_eq!(take(&mut follower), (strings(&["a/1"]), Vec::new()), "it can be read again");
            cache.apply(5, [("a/1", lost("a/1", 5))]);
            cache.apply(6, [("a/1", None::<Arc<Object>>)]);
            assert_eq!(take(&mut follower), (strings(&["a/1"]), strings(&["a/1"])), "it is gone");
        }
        // One that was never read is told of when it is found, and when it goes.
        let mut follower = follower(Scope::All);
        let cache = Arc::clone(&follower.cache);
        cache.apply(2, [("c/1", lost("c/1", 2))]);
        assert_eq!(take(&mut follower), (strings(&["c/1"]), Vec::new()));
        cache.apply(3, [("c/1", None::<Arc<Object>>)]);
        assert_eq!(take(&mut follower), (strings(&["c/1"]), Vec::new()));
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}
