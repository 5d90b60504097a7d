//! Power cuts under 64 writers, with what was not synced lost in part, and bits flipped thereafter. More of them by
//! CORTEN_TORTURE=N.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_store::embedded::medium::Part;
use corten_store::{
    Durability, Embedded, Error, Event, Expect, Key, Listing, Put, Read, Revision, Span, Store, Watch, WatchFrom,
    WriteError,
};
use parking_lot::Mutex;

use crate::embedded::{OnSim, options};
use crate::history::History;
use crate::support::{Dice, revision, within};

pub const WRITERS: u64 = 64;

/// How often a torture is repeated, where a test is content with `few`.
pub fn rounds(few: u64) -> u64 {
    std::env::var("CORTEN_TORTURE").ok().and_then(|times| times.parse().ok()).unwrap_or(few)
}

/// What writers were told, and so what has to be there.
#[derive(Clone, Default)]
pub struct Ledger {
    /// The last durable answer for each key, which has one writer: the revision, and whether it is there. Later ones
    /// that were not answered, or lazy, may have taken effect as well.
    durable: BTreeMap<Key, (Revision, Option<String>)>,
    later: BTreeMap<Key, Vec<Option<String>>>,
    /// To whom each revision was given.
    given: BTreeMap<Revision, Key>,
}

impl Ledger {
    pub fn attempt(&mut self, key: &Key, value: Option<String>) {
        self.later.entry(key.clone()).or_default().push(value);
    }

    pub fn answered(&mut self, key: &Key, value: Option<String>, revision: Revision, durable: bool) {
        let twice = self.given.insert(revision, key.clone());
        assert_eq!(twice, None, "revision {revision} was given twice, now for {key}");
        if durable {
            self.durable.insert(key.clone(), (revision, value));
            self.later.remove(key);
        }
    }

    pub fn last_revision(&self) -> Revision {
        self.given.last_key_value().map_or(0, |(revision, _)| *revision)
    }

    /// Compares with what a store holds now, and takes that for the truth from here on.
    pub async fn check(&mut self, store: &dyn Store, seed: u64) {
        let listing = within("range", store.range(Read::of(Span::prefix("/registry/w")))).await.unwrap();
        assert!(listing.revision >= self.last_revision(), "seed {seed}: the revision went back");
        let found: BTreeMap<_, _> = listing.kvs.into_iter().map(|kv| (kv.key, (kv.mod_revision, kv.value))).collect();
        let keys: Vec<_> = self.durable.keys().chain(self.later.keys()).chain(found.keys()).cloned().collect();
        for key in keys {
            let there = found.get(&key).map(|(_, value)| String::from_utf8_lossy(value).into_owned());
            let acknowledged = self.durable.get(&key).and_then(|(_, value)| value.clone());
            let later = self.later.get(&key).map_or(&[][..], Vec::as_slice);
            let explained = there == acknowledged || later.contains(&there);
            assert!(explained, "seed {seed}: {key} is {there:?}, after {acknowledged:?} and then {later:?}");
            if let (Some((revision, _)), Some((promised, _))) = (found.get(&key), self.durable.get(&key)) {
                assert!(revision >= promised, "seed {seed}: {key} is at {revision}, before {promised}");
            }
        }
        self.later.clear();
        self.durable = found
            .into_iter()
            .map(|(key, (revision, value))| (key, (revision, Some(String::from_utf8_lossy(&value).into_owned()))))
            .collect();
    }
}

/// Writes to its own keys, less than `size` bytes each time, until the store fails.
async fn write_until_it_fails(
    store: Arc<dyn Store>,
    ledger: Arc<Mutex<Ledger>>,
    size: u64,
    writer: u64,
    seed: u64,
) -> Error {
    let mut dice = Dice::new(seed.wrapping_add(writer).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for turn in 0.. {
        let key = Key::from(format!("/registry/w{writer:02}/{}", dice.roll(4)));
        let lazy = dice.roll(4) == 0;
        let promise = if lazy { LAZY } else { "durable" };
        let value =
            (dice.roll(5) != 0).then(|| format!("{promise} {seed:x} {turn} {}", "x".repeat(dice.roll(size) as usize)));
        ledger.lock().attempt(&key, value.clone());
        let result = match &value {
            Some(value) => {
                let durability = if lazy { Durability::Lazy } else { Durability::Durable };
                store.put(Put { durability, ..Put::new(key.clone(), value.clone(), Expect::Any) }).await.map(Some)
            }
            None => {
                let deleted = store.delete(key.clone(), Expect::Any).await;
                deleted.map(|deleted| deleted.previous.map(|_| deleted.revision))
            }
        };
        match result {
            Ok(Some(revision)) => ledger.lock().answered(&key, value.clone(), revision, value.is_none() || !lazy),
            Ok(None) => {}
            Err(WriteError::Failed(error)) => return error,
            Err(WriteError::Conflict(conflict)) => panic!("{conflict:?}"),
        }
    }
    unreachable!()
}

async fn list(store: &dyn Store) -> Listing {
    within("range", store.range(Read::of(Span::prefix("/registry/w")))).await.unwrap()
}

/// With what the values of lazy writes begin.
const LAZY: &str = "lazy";

fn is_lazy(event: &Event) -> bool {
    event.value.as_ref().is_some_and(|value| value.starts_with(LAZY.as_bytes()))
}

/// Watches through all cuts, and goes on after each where the last watch ended.
struct Watcher {
    base: Listing,
    /// What it saw since `base`.
    history: History,
    resumed: u64,
    listed_anew: u64,
}

impl Watcher {
    fn new() -> Watcher {
        let base = Listing::default();
        Watcher { history: History::listed(&base), base, resumed: 0, listed_anew: 0 }
    }

    /// At rest after a cut: what it had seen and what its watch goes on with is what is there, or it is told so, and then
    /// nothing that it saw is lost but what may be.
    async fn resume(&mut self, store: &dyn Store, seed: u64) -> Watch {
        let (after, last) = (self.history.revision(), revision(store).await);
        match within("watch", store.watch(Span::prefix("/registry/w"), WatchFrom::after(after))).await {
            Ok(mut watch) => {
                watch.request_progress(last);
                while self.history.revision() < last {
                    self.history.take(within("event", watch.next()).await.unwrap());
                }
                self.history.check_equals(store, "/registry/w").await;
                self.resumed += 1;
                watch
            }
            Err(Error::Compacted { .. }) => {
                let listing = list(store).await;
                self.check_loss(&listing, seed);
                self.history = History::listed(&listing);
                self.base = listing;
                self.listed_anew += 1;
                let after = WatchFrom::after(self.base.revision);
                within("watch", store.watch(Span::prefix("/registry/w"), after)).await.unwrap()
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }

    /// Of each key that is there, what it saw after what is there may be lost: lazy, and after all that is kept.
    fn check_loss(&self, listing: &Listing, seed: u64) {
        let seen = self.history.revision();
        let (mut kept, mut lost): (Revision, Option<&Event>) = (0, None);
        for kv in &listing.kvs {
            kept = kept.max(kv.mod_revision);
            let later = self.history.events.iter().filter(|event| event.key == kv.key);
            for event in later.filter(|event| event.mod_revision > kv.mod_revision) {
                assert!(is_lazy(event), "seed {seed}: {event:?} was seen up to {seen} and is lost, {kv:?} is there");
                lost = lost.filter(|first| first.mod_revision < event.mod_revision).or(Some(event));
            }
        }
        if let Some(lost) = lost {
            assert!(lost.mod_revision > kept, "seed {seed}: {lost:?} is lost, though {kept} is kept");
        }
    }

    async fn follow(&mut self, mut watch: Watch) {
        while let Ok(batch) = watch.next().await {
            self.history.take(batch);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_lose_nothing_that_was_promised() {
    let seed = Dice::seed();
    println!("CORTEN_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut fixture = OnSim::new();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut watcher = Watcher::new();
    let mut watching = watcher.resume(&*fixture.store, seed).await;
    let mut refused = 0;
    for round in 0..rounds(10) {
        let store: Arc<dyn Store> = fixture.store.clone();
        let start = revision(&*store).await;
        // Small ones go to the journal, large ones to the tables.
        let size = [50, 500, 3000][dice.roll(3) as usize];
        let writers = (0..WRITERS)
            .map(|writer| write_until_it_fails(Arc::clone(&store), Arc::clone(&ledger), size, writer, seed + round));
        let cut = async {
            let target = fixture.disk.syncs() + 1 + dice.roll(30);
            while fixture.disk.syncs() < target {
                tokio::task::yield_now().await;
            }
            for _ in 0..dice.roll(2000) {
                tokio::task::yield_now().await;
            }
            if dice.roll(4) == 0 {
                let _ = store.compact(start + dice.roll(50)).await;
            }
            fixture.disk.cut(&mut dice);
        };
        let work = async {
            futures::future::join(futures::future::join_all(writers), cut).await;
            // It cannot say anything but that the disk is gone.
            let _ = store.close().await;
        };
        within("writers", futures::future::join(work, watcher.follow(watching))).await;
        drop(store);
        let ledger_then = ledger.lock().clone();
        refused += flip_bits(&fixture, &ledger_then, &mut dice, seed).await;
        fixture.reopen();
        let mut taken = std::mem::take(&mut *ledger.lock());
        taken.check(&*fixture.store, seed).await;
        watching = watcher.resume(&*fixture.store, seed).await;
        *ledger.lock() = taken;
    }
    println!(
        "the watch was resumed {} times, and told {} times that it cannot be",
        watcher.resumed, watcher.listed_anew
    );
    let (journal, all) = (fixture.disk.journal_syncs(), fixture.disk.syncs());
    println!("{journal} syncs of the journal, {} of the tables", all - journal);
    assert!(journal > 0 && journal < all, "seed {seed}: one of them was never written");
    println!("{refused} disks with a flipped bit were refused");
    assert!(watcher.resumed > 1, "seed {seed}: no watch was resumed");
}

/// Flips a bit in each file of what a cut left, one after the other: it is refused, or nothing that was promised is lost.
async fn flip_bits(fixture: &OnSim, ledger: &Ledger, dice: &mut Dice, seed: u64) -> u32 {
    let mut refused = 0;
    for part in Part::ALL.into_iter().chain(Part::ALL) {
        let disk = fixture.disk.copy();
        let length = disk.bytes(part).len() as u64;
        let area = if dice.roll(2) == 0 { length } else { length.min(20_000) };
        let (at, bit) = (dice.roll(area) as usize, dice.roll(8));
        println!("seed {seed}: bit {bit} of byte {at} of {} flipped", part.name());
        disk.damage(part, |bytes| bytes[at] ^= 1 << bit);
        let Ok(store) = Embedded::open_on(Arc::new(disk), options(&fixture.clock)) else {
            refused += 1;
            continue;
        };
        match within("range", store.range(Read::of(Span::prefix("/registry/w")))).await {
            Ok(_) => ledger.clone().check(&store, seed).await,
            Err(Error::Damaged { .. } | Error::Corrupt(_)) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        let _ = within("close", store.close()).await;
    }
    refused
}
