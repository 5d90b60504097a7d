use corten_object::json::{Form, parse};
use corten_object::tree::View;
use corten_views::meta_v1::ObjectMeta;
use futures::FutureExt;

use super::*;
use crate::object::Draft;

fn object(key: &str, revision: u64, padding: usize) -> Arc<Object> {
    let json = format!(r#"{{"metadata":{{"name":"{key}"}},"spec":"{}"}}"#, "x".repeat(padding));
    let tree = parse(json.into_bytes(), Form::Custom { metadata: ObjectMeta::TYPE }).expect("an object").tree;
    Draft::new(CacheId::new(), tree.root(), key.into(), Box::default()).object(revision)
}

/// A cache of `count` objects, all of revision 5.
fn cache(count: usize) -> Arc<Cache> {
    let cache = Cache::new(Objects::new(), 5, Arc::default(), None);
    let objects = (0..count).map(|i| object(&format!("o{i}"), 5, 0));
    cache.reset(objects.map(|object| (Arc::clone(&object.key), object)).collect::<Objects>(), 5);
    Arc::new(cache)
}

fn put(cache: &Cache, key: &str, revision: u64) {
    cache.apply(revision, [(key, Some(object(key, revision, 0)))]);
}

fn taken(watcher: &mut Watcher, max: usize) -> Result<(Vec<String>, u64), Stop> {
    let (events, revision) = watcher.take(max)?;
    Ok((events.iter().map(|event| format!("{}@{}", event.object.key, event.revision)).collect(), revision))
}

#[test]
fn a_revision_may_be_taken_in_parts() {
    let cache = cache(600);
    let (_, mut watcher) = cache.snapshot_and_watch(Scope::All);
    let mut later = cache.watch(Scope::All, 5).expect("in the window");
    let keys: Vec<String> = (0..600).map(|i| format!("o{i}")).collect();
    cache.apply(7, keys.iter().map(|key| (key.as_str(), None)));
    for watcher in [&mut watcher, &mut later] {
        let mut parts = Vec::new();
        for _ in 0..4 {
            let (events, revision) = watcher.take(256).expect("it goes on");
            parts.push((events.len(), revision));
        }
        assert_eq!(parts, [(256, 6), (256, 6), (88, 7), (0, 7)], "a bookmark is never beyond what is yet to come");
    }
    assert!(cache.is_empty());
}

#[test]
fn a_revision_larger_than_the_window_is_taken_in_whole() {
    let cache = cache(0);
    let objects: Vec<Arc<Object>> = (0..1_200).map(|i| object(&format!("o{i}"), 6, 40_000)).collect();
    cache.apply(6, objects.iter().map(|object| (&*object.key, Some(Arc::clone(object)))));
    assert_eq!(cache.len(), 1_200);
    assert!(cache.window() < 1_200, "the window is bounded");
}

#[test]
fn changes_that_are_known_change_nothing() {
    let cache = cache(1);
    put(&cache, "late", 4);
    put(&cache, "a", 6);
    put(&cache, "a", 6);
    cache.apply(6, [("b", Some(object("b", 6, 0)))]);
    let snapshot = cache.snapshot();
    let keys: Vec<&str> = snapshot.objects.keys().map(|key| &**key).collect();
    assert_eq!((keys, snapshot.revision, cache.window()), (vec!["a", "b", "o0"], 6, 2));
}

#[test]
fn events_before_the_beginning_of_a_watch_are_not_for_it() {
    let cache = cache(0);
    let mut watcher = cache.watch(Scope::All, 7).expect("to come");
    for revision in 6..9 {
        put(&cache, "a", revision);
    }
    assert_eq!(taken(&mut watcher, 10), Ok((vec!["a@8".to_owned()], 8)));
}

#[test]
fn watches_end_with_their_cache_when_they_have_taken_what_is_left() {
    let cache = cache(0);
    let (_, mut watcher) = cache.snapshot_and_watch(Scope::Namespace("elsewhere".into()));
    assert_eq!(taken(&mut watcher, 10), Ok((Vec::new(), 5)));
    put(&cache, "a", 6);
    put(&cache, "b", 7);
    assert!(watcher.changed().now_or_never().is_none());
    cache.retire();
    let rung = |watcher: &Watcher| assert!(watcher.changed().now_or_never().is_some(), "it would sleep for ever");
    rung(&watcher);
    assert_eq!(taken(&mut watcher, 1), Ok((vec!["a@6".to_owned()], 6)));
    rung(&watcher);
    assert_eq!(taken(&mut watcher, 10), Ok((vec!["b@7".to_owned()], 7)));
    rung(&watcher);
    assert_eq!(taken(&mut watcher, 10), Err(Stop::Ended));
    let (_, mut late) = cache.snapshot_and_watch(Scope::All);
    rung(&late);
    assert_eq!(taken(&mut late, 10), Err(Stop::Ended));
}

#[test]
fn a_cache_that_has_ended_claims_nothing_of_what_comes_after() {
    let applied = Arc::new(AtomicU64::new(5));
    let cache = Arc::new(Cache::new(Objects::new(), 5, Arc::clone(&applied), None));
    let (_, mut watcher) = cache.snapshot_and_watch(Scope::All);
    put(&cache, "a", 6);
    applied.store(8, Ordering::Release);
    cache.retire();
    applied.store(9, Ordering::Release);
    assert_eq!((cache.snapshot().revision, cache.progress()), (8, 8));
    assert_eq!(taken(&mut watcher, 10), Ok((vec!["a@6".to_owned()], 8)), "a bookmark would say this revision");
}

#[test]
fn a_cache_that_starts_over_tells_the_watches_of_before() {
    let cache = cache(0);
    let (_, mut before) = cache.snapshot_and_watch(Scope::All);
    cache.reset(Objects::new(), 9);
    let (_, mut after) = cache.snapshot_and_watch(Scope::All);
    assert!(before.changed().now_or_never().is_some() && after.changed().now_or_never().is_none());
    assert_eq!(taken(&mut before, 1), Err(Stop::TooOld(TooOld { requested: 0, oldest: 9 })));
    assert_eq!(taken(&mut after, 1), Ok((Vec::new(), 9)));
    assert_eq!(cache.progress(), 9, "it may be ahead of the feed, which comes after");
}
