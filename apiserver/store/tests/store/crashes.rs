//! Power cuts under 64 writers, with what was not synced lost in part. More of them by CORTEN_TORTURE=N.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_store::{Durability, Error, Expect, Key, Put, Read, Revision, Span, Store, WriteError};
use parking_lot::Mutex;

use crate::embedded::OnSim;
use crate::support::{Dice, revision, within};

pub const WRITERS: u64 = 64;

/// How often a torture is repeated, where a test is content with `few`.
pub fn rounds(few: u64) -> u64 {
    std::env::var("CORTEN_TORTURE").ok().and_then(|times| times.parse().ok()).unwrap_or(few)
}

/// What writers were told, and so what has to be there.
#[derive(Default)]
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

/// Writes to its own keys until the store fails.
pub async fn write_until_it_fails(store: Arc<dyn Store>, ledger: Arc<Mutex<Ledger>>, writer: u64, seed: u64) -> Error {
    let mut dice = Dice::new(seed.wrapping_add(writer).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for turn in 0.. {
        let key = Key::from(format!("/registry/w{writer:02}/{}", dice.roll(4)));
        let lazy = dice.roll(4) == 0;
        let value = (dice.roll(5) != 0).then(|| format!("{seed:x} {turn} {}", "x".repeat(dice.roll(3000) as usize)));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_lose_nothing_that_was_promised() {
    let seed = Dice::seed();
    println!("CORTEN_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut fixture = OnSim::new();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    for round in 0..rounds(10) {
        let store: Arc<dyn Store> = fixture.store.clone();
        let start = revision(&*store).await;
        let writers = (0..WRITERS)
            .map(|writer| write_until_it_fails(Arc::clone(&store), Arc::clone(&ledger), writer, seed + round));
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
        within("writers", futures::future::join(futures::future::join_all(writers), cut)).await;
        // It cannot say anything but that the disk is gone.
        let _ = within("close", store.close()).await;
        drop(store);
        fixture.reopen();
        let mut taken = std::mem::take(&mut *ledger.lock());
        taken.check(&*fixture.store, seed).await;
        *ledger.lock() = taken;
    }
}
