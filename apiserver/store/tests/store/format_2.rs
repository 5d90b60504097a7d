//! Stores of format 2 are converted when they are opened, whatever cuts that short.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use corten_runtime::{Clock, Wall};
use corten_store::embedded::medium::{Medium, Part};
use corten_store::simulation::{Dice, SimDisk};
use corten_store::{Embedded, Error, Revision, Span, Store, WatchFrom};
use redb::{Database, StorageBackend, TableDefinition};

use crate::embedded::options;
use crate::support::{compacted, create, get, revision, within};

pub const LOG: TableDefinition<Revision, &[u8]> = TableDefinition::new("log");
const VALUES: TableDefinition<Revision, &[u8]> = TableDefinition::new("values");
const META: TableDefinition<&str, Revision> = TableDefinition::new("meta");
const GAPS: TableDefinition<Revision, Revision> = TableDefinition::new("gaps");

fn row(key: &str, create_revision: Revision) -> Vec<u8> {
    [&create_revision.to_le_bytes()[..], &0_u64.to_le_bytes(), key.as_bytes()].concat()
}

/// One change in a frame of its own.
fn frame(base: Revision, revision: Revision, key: &str, value: Option<&str>) -> Vec<u8> {
    let row = row(key, if value.is_some() { revision } else { 0 });
    let length = value.map_or(0, |value| value.len() as u32 + 1);
    let change = [
        &revision.to_le_bytes()[..],
        &(row.len() as u32).to_le_bytes(),
        &row,
        &length.to_le_bytes(),
        value.unwrap_or_default().as_bytes(),
    ]
    .concat();
    let checked = [&(change.len() as u32).to_le_bytes()[..], &base.to_le_bytes(), &change].concat();
    [&crc32fast::hash(&checked).to_le_bytes()[..], &checked].concat()
}

/// A disk as the engine of format 2 left it: two keys in the tables, two changes more in the journal.
fn of_format_2() -> SimDisk {
    let disk = SimDisk::default();
    let cut = Cut { disk: disk.clone(), left: Arc::new(AtomicU64::new(u64::MAX)) };
    let head = CutHead { storage: disk.open(Part::Tables).unwrap(), cut };
    let database = Database::builder().create_with_backend(head).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut log = transaction.open_table(LOG).unwrap();
        let mut values = transaction.open_table(VALUES).unwrap();
        let mut meta = transaction.open_table(META).unwrap();
        log.insert(2, row("/registry/a", 2).as_slice()).unwrap();
        values.insert(2, &b"one"[..]).unwrap();
        log.insert(3, row("/registry/b", 3).as_slice()).unwrap();
        values.insert(3, "two".repeat(3000).as_bytes()).unwrap();
        for (name, mark) in [("reserved", 5000), ("compacted", 1), ("last", 3)] {
            meta.insert(name, mark).unwrap();
        }
        transaction.open_table(GAPS).unwrap().insert(100, 4000).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let journal = disk.open(Part::Journal).unwrap();
    journal.set_len(1 << 20).unwrap();
    let frames = [frame(3, 4100, "/registry/c", Some("three")), frame(3, 4101, "/registry/a", None)].concat();
    journal.write(0, &frames).unwrap();
    journal.sync_data().unwrap();
    disk
}

async fn check(disk: &SimDisk, what: &str) {
    let (clock, _) = Clock::manual(Wall::from_seconds(1_800_000_000));
    let store =
        Embedded::open_on(Arc::new(disk.clone()), options(&clock)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(get(&store, "/registry/a").await, None, "{what}");
    assert_eq!(get(&store, "/registry/b").await.unwrap().value, "two".repeat(3000), "{what}");
    let c = get(&store, "/registry/c").await.unwrap();
    assert_eq!((c.mod_revision, &c.value[..]), (4100, &b"three"[..]), "{what}");
    assert!(revision(&store).await >= 5000, "{what}");
    compacted(within("watch", store.watch(Span::prefix("/"), WatchFrom::after(2000))).await);
    within("close", store.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_of_format_2_are_converted() {
    let disk = of_format_2();
    check(&disk, "first").await;
    check(&disk, "second").await;
    let (clock, _) = Clock::manual(Wall::from_seconds(1_800_000_000));
    let store = Embedded::open_on(Arc::new(disk.clone()), options(&clock)).unwrap();
    create(&store, "/registry/d", "four").await;
    within("close", store.close()).await.unwrap();
}

/// A disk that loses its power after so many operations.
#[derive(Clone)]
struct Cut {
    disk: SimDisk,
    left: Arc<AtomicU64>,
}

impl Cut {
    fn spend(&self) -> io::Result<()> {
        let spent = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        spent.map(drop).map_err(|_| io::Error::other("the power is off"))
    }
}

impl Medium for Cut {
    fn open(&self, part: Part) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(CutHead { storage: self.disk.open(part)?, cut: self.clone() }))
    }
}

struct CutHead {
    storage: Box<dyn StorageBackend>,
    cut: Cut,
}

impl std::fmt::Debug for CutHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CutHead")
    }
}

impl StorageBackend for CutHead {
    fn len(&self) -> io::Result<u64> {
        self.storage.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.storage.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.cut.spend()?;
        self.storage.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.cut.spend()?;
        self.storage.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.cut.spend()?;
        self.storage.write(offset, data)
    }
}

/// The power goes at every point of a conversion, and what was not synced is lost in part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversion_that_is_cut_short_loses_nothing() {
    let seed = Dice::seed();
    println!("CORTEN_SEED={seed}");
    let mut dice = Dice::new(seed);
    let before = of_format_2();
    for operations in 0.. {
        let (clock, _) = Clock::manual(Wall::from_seconds(1_800_000_000));
        let cut = Cut { disk: before.copy(), left: Arc::new(AtomicU64::new(operations)) };
        let opened = Embedded::open_on(Arc::new(cut.clone()), options(&clock));
        let whole = cut.left.load(Ordering::Acquire) > 0;
        cut.disk.cut(&mut dice);
        match opened {
            Ok(store) => drop(within("close", store.close()).await),
            Err(Error::Corrupt(_) | Error::Unavailable { .. } | Error::Broken(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
        check(&cut.disk, &format!("seed {seed}, after {operations} operations")).await;
        if whole {
            assert!(operations > 10, "{operations}");
            break;
        }
    }
}
