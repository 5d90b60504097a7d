//! 64 writers, and everything around them killed. A few rounds in every run, more by CORTEN_TORTURE=N.
//!
//! The child that is killed is this test program itself, told by its environment to write; its pipe is the ledger.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use corten_runtime::Scope;
use corten_store::embedded::Options;
use corten_store::{Durability, Embedded, Error, Expect, Key, Put, Read, Revision, Span, Store, WatchFrom, WriteError};
use parking_lot::Mutex;
use rustix::process::Signal;

use crate::conformance::Fixture;
use crate::crashes::{WRITERS, rounds};
use crate::etcd::Server;
use crate::history::History;
use crate::support::{Dice, revision, watch, within};

const CHILD: &str = "CORTEN_STORE_CHILD";

/// The child's half of the next test: writes until it is killed, a line for each answer. Without its folder, nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let store = Embedded::open(folder, Options::new(Scope::root("test"))).unwrap();
    let round = revision(&store).await;
    let write = async |writer: u64| {
        for turn in 0.. {
            let durability = if turn % 4 == 3 { Durability::Lazy } else { Durability::Durable };
            let key = format!("/registry/w/{round}/{writer}/{turn}");
            let put = Put { durability, ..Put::new(&*key, vec![b'x'; 500], Expect::Absent) };
            let revision = store.put(put).await.unwrap();
            let kind = if durability == Durability::Lazy { "lazy" } else { "durable" };
            // One write to the pipe, so that lines stay whole; a full pipe holds the writer up, which is fine.
            let line = format!("{kind} {revision} {key}\n");
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
    };
    futures::future::join_all((0..WRITERS).map(write)).await;
}

/// Runs the child until it has answered so many writes, kills it, and gives back its answers.
fn run_child(folder: &Path, answers: u64) -> Vec<(bool, Revision, Key)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "torture::child", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut found = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines {
        let Ok(line) = line else { break };
        let words: Vec<_> = line.split(' ').collect();
        if let [kind @ ("lazy" | "durable"), revision, key] = words[..] {
            found.push((kind == "durable", revision.parse().unwrap(), Key::from(key)));
        }
        // What it wrote before it died is read to the end.
        if found.len() as u64 == answers {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(found.len() as u64 >= answers, "the child ended by itself");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_that_was_promised() {
    let seed = Dice::seed();
    println!("CORTEN_SEED={seed}");
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut durable: BTreeMap<Revision, Key> = BTreeMap::new();
    let mut given: BTreeMap<Revision, Key> = BTreeMap::new();
    for _ in 0..rounds(2) {
        for (was_durable, revision, key) in run_child(folder.path(), 200 + dice.roll(2000)) {
            assert_eq!(given.insert(revision, key.clone()), None, "revision {revision} was given twice");
            if was_durable {
                durable.insert(revision, key);
            }
        }
        let store = Embedded::open(folder.path(), Options::new(Scope::root("test"))).unwrap();
        let listing = within("range", store.range(Read::of(Span::prefix("/registry/w/")))).await.unwrap();
        let there: BTreeMap<_, _> = listing.kvs.iter().map(|kv| (kv.mod_revision, kv.key.clone())).collect();
        for (revision, key) in &durable {
            assert_eq!(there.get(revision), Some(key), "revision {revision}");
        }
        for (revision, key) in &there {
            assert!(given.get(revision).is_none_or(|owner| owner == key), "revision {revision} is {key}'s");
        }
        let last = given.last_key_value().map_or(0, |(revision, _)| *revision);
        assert!(listing.revision >= last, "{} after {last}", listing.revision);
        check_resumption(&store, &there, &given, &mut dice).await;
        within("close", store.close()).await.unwrap();
    }
}

/// A watch resumed anywhere brings everything after it that is there, or says that it cannot.
async fn check_resumption(
    store: &Embedded,
    there: &BTreeMap<Revision, Key>,
    given: &BTreeMap<Revision, Key>,
    dice: &mut Dice,
) {
    let last = revision(store).await;
    for _ in 0..20 {
        let after = dice.roll(last + 1);
        let mut history = History::after(after);
        let mut watch = match store.watch(Span::prefix("/registry/w/"), WatchFrom::after(after)).await {
            Ok(watch) => watch,
            Err(Error::Compacted { .. }) => {
                // Then somebody may have seen what is lost.
                let lost = given.range(..=after).any(|(revision, _)| !there.contains_key(revision));
                let beyond = there.range(after..).next().is_none();
                assert!(lost || beyond || !there.contains_key(&after), "after {after}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        watch.request_progress(last);
        while history.revision() < last {
            history.take(within("event", watch.next()).await.unwrap());
        }
        let expected: Vec<_> = there.range(after + 1..).map(|(revision, _)| *revision).collect();
        assert_eq!(history.revisions(), expected, "after {after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_killed_under_64_writers() {
    let mut server = Server::start().await;
    let store: Arc<dyn Store> = server.store.clone();
    let start = revision(&*store).await;
    let mut live = watch(&*store, "/registry/w/", WatchFrom::after(start)).await;
    let stop = AtomicBool::new(false);
    let answered: Mutex<BTreeMap<Revision, Key>> = Mutex::default();
    // Written, perhaps: the answer was lost with the connection.
    let doubtful: Mutex<Vec<Key>> = Mutex::default();
    let write = async |writer: u64| {
        let mut turn = 0;
        while !stop.load(Ordering::Relaxed) {
            turn += 1;
            let key = Key::from(format!("/registry/w/{writer}/{turn}"));
            match store.put(Put::new(key.clone(), vec![b'x'; 500], Expect::Absent)).await {
                Ok(revision) => assert_eq!(answered.lock().insert(revision, key), None),
                Err(WriteError::Failed(Error::Unavailable { .. })) => doubtful.lock().push(key),
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let kills = async {
        for round in 1..=rounds(2) {
            let target = answered.lock().len() + 300;
            while answered.lock().len() < target {
                tokio::task::yield_now().await;
            }
            server.daemon.end(Signal::KILL);
            server.daemon.run();
            println!("killed etcd {round} times");
        }
        let target = answered.lock().len() + 100;
        while answered.lock().len() < target {
            tokio::task::yield_now().await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let patience = crate::support::PATIENCE * u32::try_from(rounds(2)).unwrap();
    let all = futures::future::join(futures::future::join_all((0..WRITERS).map(write)), kills);
    tokio::time::timeout(patience, all).await.expect("writers and kills");

    let listing = within("range", store.range(Read::of(Span::prefix("/registry/w/")))).await.unwrap();
    let there: BTreeMap<_, _> = listing.kvs.iter().map(|kv| (kv.mod_revision, kv.key.clone())).collect();
    let (answered, doubtful) = (answered.into_inner(), doubtful.into_inner());
    for (revision, key) in &answered {
        assert_eq!(there.get(revision), Some(key), "revision {revision}");
    }
    for (revision, key) in &there {
        assert!(answered.contains_key(revision) || doubtful.contains(key), "{key} at {revision} is nobody's");
    }
    let mut history = History::after(start);
    while history.events.len() < there.len() {
        history.take(within("event", live.next()).await.unwrap());
    }
    assert_eq!(history.revisions(), there.keys().copied().collect::<Vec<_>>());
}
