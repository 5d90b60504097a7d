//! What the embedded engine promises beyond the contract.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corten_runtime::clock::ManualClock;
use corten_runtime::{Clock, Scope, Wall};
use corten_store::embedded::Options;
use corten_store::{
    Applied, Embedded, Encoding, Error, Expect, OpenError, Progress, Put, Read, Span, Store, WatchFrom, WriteError,
};
use tempfile::TempDir;

use crate::conformance::Fixture;
use crate::crashes::rounds;
use crate::history::History;
use crate::support::{Dice, compacted, create, delete, events, get, put, revision, short, watch, within};
use corten_store::simulation::SimDisk;

/// The engine in a folder, with a clock that stands.
pub struct Folder {
    folder: TempDir,
    clock: Clock,
    hand: Arc<ManualClock>,
    store: Arc<Embedded>,
}

impl Folder {
    fn open(&self) -> Result<Embedded, OpenError> {
        Embedded::open(self.folder.path(), options(&self.clock))
    }
}

pub fn options(clock: &Clock) -> Options {
    Options::new(Scope::root_with("test", clock.clone()))
}

impl Fixture for Folder {
    async fn start() -> Folder {
        let (clock, hand) = Clock::manual(Wall::from_seconds(1_800_000_000));
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(folder.path(), options(&clock)).unwrap());
        Folder { folder, clock, hand, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn restart(&mut self) {
        self.store.close().await.unwrap();
        self.store = Arc::new(self.open().unwrap());
    }

    async fn pass(&self, ttl: Duration) {
        self.hand.advance(ttl);
    }

    const WATCH_SURVIVES: bool = false;
}

/// The engine on a disk in memory.
pub struct OnSim {
    pub disk: SimDisk,
    pub clock: Clock,
    pub hand: Arc<ManualClock>,
    pub store: Arc<Embedded>,
}

impl OnSim {
    pub fn new() -> OnSim {
        let (clock, hand) = Clock::manual(Wall::from_seconds(1_800_000_000));
        let disk = SimDisk::default();
        let store = Arc::new(Embedded::open_on(Arc::new(disk.clone()), options(&clock)).unwrap());
        OnSim { disk, clock, hand, store }
    }

    /// What is there after the power came back.
    pub fn reopen(&mut self) {
        self.store = Arc::new(Embedded::open_on(Arc::new(self.disk.clone()), options(&self.clock)).unwrap());
    }
}

async fn put_lazily(store: &dyn Store, key: &str, value: &str) -> u64 {
    within("put", store.put(Put::new(key, value.to_owned(), Expect::Any).lazy())).await.unwrap()
}

#[tokio::test]
async fn says_what_it_is() {
    let fixture = Folder::start().await;
    assert_eq!((fixture.store.encoding(), fixture.store.progress()), (Encoding::Json, Progress::OnRequest));
    create(&*fixture.store, "/registry/a", "one").await;
    let status = fixture.store.status().await.unwrap();
    assert_eq!((status.revision, status.degraded), (2, None));
    assert!(status.size > 0);
}

#[tokio::test]
async fn a_close_leaves_no_gap() {
    let mut fixture = Folder::start().await;
    create(&*fixture.store, "/registry/a", "one").await;
    let last = put_lazily(&*fixture.store, "/registry/a", "two").await;
    fixture.restart().await;
    assert_eq!(revision(&*fixture.store).await, last);
    assert_eq!(get(&*fixture.store, "/registry/a").await.unwrap().value, "two");
    assert_eq!(put(&*fixture.store, "/registry/a", "three", Expect::Any).await, last + 1);
}

#[tokio::test]
async fn a_folder_has_one_user() {
    let fixture = Folder::start().await;
    let refused = fixture.open().err().expect("it is in use").to_string();
    let expected = format!(
        "data folder {} is in use by process {}; stop that first, or choose another folder",
        fixture.folder.path().display(),
        std::process::id()
    );
    assert_eq!(refused, expected);
    fixture.store.close().await.unwrap();
    fixture.open().unwrap().close().await.unwrap();
}

#[tokio::test]
async fn damaged_files_are_refused() {
    let fixture = Folder::start().await;
    for turn in 0..200 {
        create(&*fixture.store, &format!("/registry/{turn}"), "some value").await;
    }
    fixture.store.close().await.unwrap();
    let path = fixture.folder.path().join("store.redb");
    let whole = std::fs::read(&path).unwrap();
    let check = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = fixture.open().err().expect("it is damaged");
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains(&fixture.folder.path().display().to_string()), "{shown}");
        assert!(shown.contains("restore the folder from a backup"), "{shown}");
    };
    check(b"This is not a database, but somebody's diary. ".repeat(500).as_slice());
    check(&whole[..whole.len() / 2]);
    check(&whole[..100]);
    std::fs::write(&path, &whole).unwrap();
    let store = fixture.open().unwrap();
    assert!(get(&store, "/registry/199").await.is_some());
    store.close().await.unwrap();
}

/// Whatever stands in the file, it is read or refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_anywhere_is_no_panic() {
    let seed = Dice::seed();
    println!("CORTEN_SEED={seed}");
    let mut dice = Dice::new(seed);
    let fixture = Folder::start().await;
    for turn in 0..300 {
        let value = "x".repeat(turn * 20);
        put(&*fixture.store, &format!("/registry/{}", turn % 200), &value, Expect::Any).await;
    }
    fixture.store.close().await.unwrap();
    let path = fixture.folder.path().join("store.redb");
    let whole = std::fs::read(&path).unwrap();
    let (mut read, mut refused) = (0, 0);
    for _ in 0..rounds(50) {
        let mut bytes = whole.clone();
        let at = dice.roll(bytes.len() as u64) as usize;
        let length = 1 + dice.roll(300) as usize;
        bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte = dice.roll(256) as u8);
        std::fs::write(&path, &bytes).unwrap();
        let outcome = match fixture.open() {
            Ok(store) => {
                let outcome = within("range", store.range(Read::of(Span::prefix("")))).await.map(drop);
                let _ = within("close", store.close()).await;
                outcome
            }
            Err(OpenError::Corrupt { reason, .. }) => Err(Error::Corrupt(reason)),
            Err(error) => panic!("{error}"),
        };
        match outcome {
            Ok(()) => read += 1,
            Err(Error::Corrupt(_) | Error::Damaged { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("{read} read, {refused} refused");
}

#[tokio::test]
async fn events_share_the_writers_bytes_and_companion() {
    let fixture = Folder::start().await;
    let store = &*fixture.store;
    let mut watch = watch(store, "/registry/", WatchFrom::now()).await;
    for lazy in [false, true] {
        let value = Bytes::from(b"some value".repeat(100));
        let companion: Arc<dyn Any + Send + Sync> = Arc::new("known already");
        let one = Put::new("/registry/a", value.clone(), Expect::Any).companion(Arc::clone(&companion));
        within("put", store.put(if lazy { one.lazy() } else { one })).await.unwrap();
        // Without waiting: it is there before the writer is answered.
        let batch = watch.try_next().expect("the event is there").unwrap();
        let event = &batch.events[0];
        assert_eq!(event.value.as_ref().unwrap().as_ptr(), value.as_ptr());
        assert!(Arc::ptr_eq(event.companion.as_ref().unwrap(), &companion));
    }
    assert!(watch.try_next().is_none());
}

#[tokio::test]
async fn lazy_writes_cost_no_sync_and_are_saved_in_time() {
    let mut fixture = OnSim::new();
    let store = Arc::clone(&fixture.store);
    create(&*store, "/registry/a", "one").await;
    let before = fixture.disk.syncs();
    put_lazily(&*store, "/registry/a", "two").await;
    let last = put_lazily(&*store, "/registry/a", "three").await;
    assert_eq!(fixture.disk.syncs(), before);
    assert_eq!(get(&*store, "/registry/a").await.unwrap().value, "three");
    let at = within("get", store.get("/registry/a", Some(last - 1))).await.unwrap().kv.unwrap();
    assert_eq!(at.value, "two");

    within("timer", fixture.hand.wait_for_sleepers(1)).await;
    fixture.hand.advance(Duration::from_secs(2));
    within("sync", async {
        while fixture.disk.syncs() == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    fixture.disk.cut_hard();
    fixture.reopen();
    assert_eq!(get(&*fixture.store, "/registry/a").await.unwrap().value, "three");
}

/// The tables get them in time.
#[tokio::test]
async fn small_writes_cost_one_sync_of_the_journal() {
    let mut fixture = OnSim::new();
    let store = Arc::clone(&fixture.store);
    let first = create(&*store, "/registry/a", "one").await;
    let syncs = |fixture: &OnSim| (fixture.disk.journal_syncs(), fixture.disk.syncs() - fixture.disk.journal_syncs());
    let (journal, tables) = syncs(&fixture);
    let lazy = put_lazily(&*store, "/registry/a", "lazy").await;
    let mut watch = watch(&*store, "/registry/", WatchFrom::after(lazy).with_previous()).await;
    put(&*store, "/registry/a", "two", Expect::Any).await;
    create(&*store, "/registry/b", "three").await;
    delete(&*store, "/registry/b").await;
    assert_eq!(syncs(&fixture), (journal + 3, tables));
    let seen = events(&mut watch, 3).await;
    assert_eq!(short(&seen), ["/registry/a=two", "+/registry/b=three", "-/registry/b"]);
    assert_eq!(seen[0].previous.as_ref().unwrap().value, "lazy");
    // Else its timer goes on sleeping beside those of its successors.
    drop(store);
    for round in 0..3 {
        let store = Arc::clone(&fixture.store);
        for (at, value) in [(first, "one"), (lazy, "lazy"), (lazy + 2, "two")] {
            let kv = within("get", store.get("/registry/a", Some(at))).await.unwrap().kv.unwrap();
            assert_eq!(kv.value, value, "round {round}");
        }
        assert_eq!(get(&*store, "/registry/b").await, None);
        assert!(within("get", store.get("/registry/b", Some(lazy + 2))).await.unwrap().kv.is_some());
        let mut again = crate::support::watch(&*store, "/registry/", WatchFrom::after(first)).await;
        let expected = ["/registry/a=lazy", "/registry/a=two", "+/registry/b=three", "-/registry/b"];
        assert_eq!(short(&events(&mut again, 4).await), expected, "round {round}");
        if round == 1 {
            let (journal, tables) = syncs(&fixture);
            within("timer", fixture.hand.wait_for_sleepers(1)).await;
            fixture.hand.advance(Duration::from_secs(2));
            within("sync", async {
                while syncs(&fixture) != (journal, tables + 1) {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        fixture.disk.cut_hard();
        fixture.reopen();
    }
}

#[tokio::test]
async fn what_the_journal_holds_is_there_though_the_tables_have_no_room() {
    let mut fixture = OnSim::new();
    create(&*fixture.store, "/registry/a", "one").await;
    fixture.disk.set_room(Some(0));
    for turn in 0..50 {
        create(&*fixture.store, &format!("/registry/{turn:02}"), &"x".repeat(10_000)).await;
    }
    for _ in 0..2 {
        fixture.disk.cut_hard();
        fixture.reopen();
        let listing = within("range", fixture.store.range(Read::of(Span::prefix("/registry/")))).await.unwrap();
        assert_eq!(listing.count, 51);
        assert!(listing.kvs[..50].iter().all(|kv| kv.value.len() == 10_000));
    }
    fixture.disk.set_room(None);
    within("close", fixture.store.close()).await.unwrap();
    fixture.reopen();
    let listing = within("range", fixture.store.range(Read::of(Span::prefix("/registry/")))).await.unwrap();
    assert_eq!(listing.count, 51);
}

#[tokio::test]
async fn a_lost_block_is_never_given_again() {
    let mut fixture = OnSim::new();
    let store = Arc::clone(&fixture.store);
    let kept = create(&*store, "/registry/a", "kept").await;
    let lost = [put_lazily(&*store, "/registry/a", "lost").await, put_lazily(&*store, "/registry/b", "lost").await];
    fixture.disk.cut_hard();
    fixture.reopen();
    let store = &*fixture.store;
    assert_eq!(get(store, "/registry/a").await.unwrap().value, "kept");
    assert_eq!(get(store, "/registry/b").await, None);
    let now = revision(store).await;
    assert!(now > lost[1]);
    for after in lost {
        compacted(within("watch", store.watch(Span::prefix("/"), WatchFrom::after(after))).await);
        compacted(within("get", store.get("/registry/a", Some(after))).await);
    }
    let mut before = watch(store, "/registry/", WatchFrom::after(kept)).await;
    let mut from_now = watch(store, "/registry/", WatchFrom::after(now)).await;
    assert!(put(store, "/registry/a", "next", Expect::Any).await > now);
    for watch in [&mut before, &mut from_now] {
        assert_eq!(short(&events(watch, 1).await), ["/registry/a=next"]);
    }
    // The next crash does not forget the first.
    fixture.disk.cut_hard();
    fixture.reopen();
    for after in lost {
        compacted(within("watch", fixture.store.watch(Span::prefix("/"), WatchFrom::after(after))).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_watch_holds_up_nobody_and_misses_nothing() {
    let fixture = Folder::start().await;
    let store = &*fixture.store;
    let start = revision(store).await;
    let mut slow = watch(store, "/registry/k", WatchFrom::after(start).with_previous()).await;
    let mut slower = watch(store, "/registry/k", WatchFrom::now()).await;
    assert!(slow.try_next().is_none());
    for round in 0..10 {
        let writes =
            (0..1000).map(|turn| put_lazily(store, if turn % 2 == 0 { "/registry/ka" } else { "/registry/kb" }, "x"));
        within("writes", futures::future::join_all(writes)).await;
        if round == 0 {
            slower.try_next().unwrap().unwrap();
        }
    }
    let last = revision(store).await;
    let mut history = History::after(start);
    while history.revision() < last {
        history.take(within("event", slow.next()).await.unwrap());
    }
    assert_eq!(history.events.len(), 10_000);
    put(store, "/registry/ka", "live again", Expect::Any).await;
    history.take(within("event", slow.next()).await.unwrap());
    history.check_equals(store, "/registry/k").await;

    within("compact", store.compact(last)).await.unwrap();
    compacted(within("end", slower.next()).await);
}

#[tokio::test]
async fn old_versions_are_forgotten_by_themselves_and_an_idle_store_sleeps() {
    let fixture = Folder::start().await;
    let store = &*fixture.store;
    within("no timer", fixture.hand.wait_for_sleepers(0)).await;
    let one = create(store, "/registry/a", "one").await;
    let two = put(store, "/registry/a", "two", Expect::Any).await;
    let tick = async || {
        within("timer", fixture.hand.wait_for_sleepers(1)).await;
        fixture.hand.advance(Duration::from_secs(300));
    };
    tick().await;
    within("timer", fixture.hand.wait_for_sleepers(1)).await;
    // What was superseded in these five minutes is still there.
    assert!(within("get", store.get("/registry/a", Some(one))).await.unwrap().kv.is_some());
    tick().await;
    within("compaction", async {
        while store.compacted_revision() < two {
            tokio::task::yield_now().await;
        }
    })
    .await;
    compacted(within("get", store.get("/registry/a", Some(one))).await);
    within("no timer", fixture.hand.wait_for_sleepers(0)).await;
    delete(store, "/registry/a").await;
    within("timer", fixture.hand.wait_for_sleepers(1)).await;
}

#[tokio::test]
async fn times_to_live_outlive_a_restart() {
    let mut fixture = Folder::start().await;
    let ttl = Duration::from_secs(3600);
    within("put", fixture.store.put(Put::new("/registry/a", "x", Expect::Any).ttl(ttl))).await.unwrap();
    fixture.restart().await;
    let mut watch = watch(&*fixture.store, "/registry/", WatchFrom::now()).await;
    within("timer", fixture.hand.wait_for_sleepers(1)).await;
    fixture.hand.advance(ttl - Duration::from_secs(1));
    create(&*fixture.store, "/registry/b", "x").await;
    assert_eq!(short(&events(&mut watch, 1).await), ["+/registry/b=x"]);
    fixture.hand.advance(Duration::from_secs(1));
    assert_eq!(short(&events(&mut watch, 1).await), ["-/registry/a"]);
}

#[tokio::test]
async fn whatever_expires_at_one_time_goes_at_that_time() {
    let fixture = Folder::start().await;
    let start = revision(&*fixture.store).await;
    let mut watch = watch(&*fixture.store, "/registry/", WatchFrom::after(start)).await;
    let (ttl, count) = (Duration::from_secs(3600), 1000);
    for turn in 0..count {
        let key = format!("/registry/{turn}");
        within("put", fixture.store.put(Put::new(key, "x", Expect::Absent).ttl(ttl).lazy())).await.unwrap();
    }
    within("timer", fixture.hand.wait_for_sleepers(1)).await;
    fixture.hand.advance(ttl);
    // The clock stands: nothing that needs another second would come.
    let events = events(&mut watch, 2 * count).await;
    assert_eq!(events.iter().filter(|event| event.is_delete()).count(), count);
    assert!(get(&*fixture.store, "/registry/999").await.is_none());
}

#[tokio::test]
async fn watches_leave_nothing_behind() {
    let fixture = Folder::start().await;
    let first = watch(&*fixture.store, "/registry/", WatchFrom::now()).await;
    let second = watch(&*fixture.store, "/reg", WatchFrom::now()).await;
    assert_eq!(fixture.store.watches(), 2);
    drop((first, second));
    assert_eq!(fixture.store.watches(), 0);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_any_more() {
    let mut fixture = OnSim::new();
    create(&*fixture.store, "/registry/a", "kept").await;
    fixture.disk.fail_syncs();
    let refused = crate::support::try_put(&*fixture.store, "/registry/a", "lost", Expect::Any).await;
    // It may be on the disk all the same, so nobody is told that nothing changed.
    let unknown = |error: &Error| matches!(error, Error::Unavailable { applied: Applied::Unknown, .. });
    assert!(matches!(&refused, Err(WriteError::Failed(error)) if unknown(error)), "{refused:?}");
    let refused = within("put", fixture.store.put(Put::new("/registry/b", "x", Expect::Any).lazy())).await;
    assert!(matches!(&refused, Err(WriteError::Failed(Error::Broken(_)))), "{refused:?}");
    assert!(fixture.store.status().await.unwrap().degraded.is_some_and(|degraded| degraded.restart_helps));
    fixture.disk.cut_hard();
    fixture.reopen();
    assert_eq!(get(&*fixture.store, "/registry/a").await.unwrap().value, "kept");
}

#[tokio::test]
async fn its_owner_can_close_it() {
    let (clock, _) = Clock::manual(Wall::from_seconds(1_800_000_000));
    let folder = tempfile::tempdir().unwrap();
    let tasks = Scope::root_with("test", clock);
    let store = Embedded::open(folder.path(), Options::new(tasks.clone())).unwrap();
    put_lazily(&store, "/registry/a", "one").await;
    let mut names = tasks.remaining();
    names.sort();
    assert_eq!(names, ["test/store-commit", "test/store-timers"]);
    tasks.cancel();
    within("end", tasks.left()).await;
    assert!(matches!(store.get("/registry/a", None).await, Err(Error::Closed)));
    let store = Embedded::open(folder.path(), Options::new(Scope::root("test"))).unwrap();
    assert_eq!(get(&store, "/registry/a").await.unwrap().value, "one");
}

#[tokio::test]
async fn a_close_that_cannot_save_says_so() {
    let fixture = OnSim::new();
    create(&*fixture.store, "/registry/a", "one").await;
    fixture.disk.set_room(Some(0));
    within("put", fixture.store.put(Put::new("/registry/a", vec![7; 2_000_000], Expect::Any).lazy())).await.unwrap();
    let closed = within("close", fixture.store.close()).await;
    assert!(matches!(closed, Err(Error::NoSpace(_))), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lazy_writes_do_not_outrun_the_reserved_block() {
    let mut fixture = OnSim::new();
    let store = Arc::clone(&fixture.store);
    let mut last = 0;
    for _ in 0..10_000 {
        last = put_lazily(&*store, "/registry/a", "x").await;
    }
    fixture.disk.cut_hard();
    fixture.reopen();
    assert!(revision(&*fixture.store).await > last);
}
