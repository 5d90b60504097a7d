//! Damaged files under the embedded engine: refused, or read as what was acknowledged. More rounds by CORTEN_TORTURE=N.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use corten_runtime::{Clock, Wall};
use corten_store::embedded::{Options, care};
use corten_store::{Embedded, Error, Expect, OpenError, Put, Read, Revision, Span, Store, WriteError};
use tempfile::TempDir;

use crate::crashes::rounds;
use crate::embedded::options;
use crate::format_2::LOG;
use crate::support::{Dice, create, delete, get, put, revision, within};

const FILES: [&str; 4] = ["store.redb", "journal", "mark", "format"];

type State = BTreeMap<String, (Revision, Vec<u8>)>;

/// A folder as a server left it, and what had been acknowledged by then.
struct Image {
    name: &'static str,
    folder: TempDir,
    state: State,
    revision: Revision,
}

fn manual() -> Options {
    options(&Clock::manual(Wall::from_seconds(1_800_000_000)).0)
}

async fn state(store: &dyn Store) -> Result<(State, Revision), Error> {
    let listing = within("range", store.range(Read::of(Span::prefix("/")))).await?;
    let state = listing.kvs.into_iter().map(|kv| (kv.key.to_string(), (kv.mod_revision, kv.value.to_vec()))).collect();
    Ok((state, listing.revision))
}

fn copy(from: &Path, to: &Path) {
    for name in FILES {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// What a kill would leave: everything written is there, in the files of a store that is still open.
async fn image(name: &'static str, folder: &Path, store: &dyn Store) -> Image {
    let (state, revision) = state(store).await.unwrap();
    let image = Image { name, folder: tempfile::tempdir().unwrap(), state, revision };
    copy(folder, image.folder.path());
    image
}

/// Small writes, which go to the journal.
async fn write(store: &dyn Store, round: usize) {
    for turn in 0..20 {
        put(store, &format!("/registry/{turn:02}"), &format!("{round} {}", "x".repeat(turn * 50)), Expect::Any).await;
    }
    delete(store, "/registry/07").await;
}

async fn write_to_tables(store: &dyn Store, round: usize) {
    put(store, "/registry/large", &format!("{round}").repeat(100_000), Expect::Any).await;
}

/// The same store at several moments, oldest first.
async fn images() -> Vec<Image> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut images = Vec::new();
    let store = Embedded::open(path, manual()).unwrap();
    images.push(image("empty", path, &store).await);
    write(&store, 1).await;
    images.push(image("journal only", path, &store).await);
    write_to_tables(&store, 2).await;
    images.push(image("tables only", path, &store).await);
    write(&store, 3).await;
    write(&store, 4).await;
    images.push(image("tables and journal", path, &store).await);
    within("close", store.close()).await.unwrap();
    let store = Embedded::open(path, manual()).unwrap();
    let after_a_close = image("open again", path, &store).await;
    images.push(after_a_close);
    write_to_tables(&store, 5).await;
    write(&store, 6).await;
    within("close", store.close()).await.unwrap();
    let store = Embedded::open(path, manual()).unwrap();
    let (state, revision) = self::state(&store).await.unwrap();
    within("close", store.close()).await.unwrap();
    let closed = Image { name: "closed", folder: tempfile::tempdir().unwrap(), state, revision };
    copy(path, closed.folder.path());
    images.push(closed);
    images
}

/// Opens a folder. None is a refusal, now or of a read.
async fn answer(folder: &Path) -> Result<(State, Revision), String> {
    let store = Embedded::open(folder, manual()).map_err(|error| error.to_string())?;
    let read = state(&store).await.map_err(|error| error.to_string());
    let _ = within("close", store.close()).await;
    read
}

/// True if it was refused.
async fn check(what: &str, folder: &Path, image: &Image) -> bool {
    match answer(folder).await {
        Ok((state, revision)) => {
            assert!(revision >= image.revision, "{what}: the revision went back from {} to {revision}", image.revision);
            assert!(state == image.state, "{what}: altered without a word: {}", difference(&image.state, &state));
            false
        }
        Err(error) => {
            assert!(!error.is_empty(), "{what}");
            true
        }
    }
}

fn difference(expected: &State, found: &State) -> String {
    let keys = expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key)));
    let differs = keys.filter(|key| expected.get(*key) != found.get(*key));
    let at = |state: &State, key: &String| state.get(key).map(|(revision, value)| (*revision, value.len()));
    differs.map(|key| format!("{key}: {:?}, was {:?}; ", at(found, key), at(expected, key))).collect()
}

fn damage(dice: &mut Dice, folder: &Path, others: &[&Path]) -> String {
    let name = FILES[[0, 0, 0, 1, 1, 1, 2, 3][dice.roll(8) as usize]];
    let path = folder.join(name);
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len() as u64;
    // The header of the tables and the beginning of the journal are where most of it matters.
    let place = |dice: &mut Dice| {
        let area = [length, 4096, 40_000, 64][dice.roll(4) as usize].min(length);
        dice.roll(area) as usize
    };
    let what = match dice.roll(9) {
        0 | 1 => {
            let (at, bit) = (place(dice), dice.roll(8));
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} flipped")
        }
        2 => {
            let (from, to) = (place(dice) / 512 * 512, place(dice) / 512 * 512);
            let sector: Vec<u8> = bytes[from..].iter().take(512).copied().collect();
            let end = (to + sector.len()).min(bytes.len());
            bytes[to..end].copy_from_slice(&sector[..end - to]);
            format!("sector at {from} copied to {to}")
        }
        3 => {
            let (at, count, fill) = (place(dice) / 512 * 512, 512 << dice.roll(4), dice.roll(2) == 0);
            let sectors = bytes.iter_mut().skip(at).take(count);
            sectors.for_each(|byte| *byte = if fill { 0 } else { dice.roll(256) as u8 });
            format!("{count} bytes at {at} overwritten, by zeros: {fill}")
        }
        4 => {
            let to = dice.roll(length + 1) as usize;
            bytes.truncate(to);
            format!("shortened from {length} to {to}")
        }
        5 => {
            bytes.resize(bytes.len() + 1 + dice.roll(10_000) as usize, dice.roll(256) as u8);
            "made longer".to_owned()
        }
        6 => {
            fs::remove_file(&path).unwrap();
            return format!("{name}: removed");
        }
        _ => {
            let other = others[dice.roll(others.len() as u64) as usize];
            if fs::read(other.join(name)).unwrap() == bytes {
                // Else nothing would be damaged.
                bytes.clear();
                "emptied".to_owned()
            } else {
                bytes = fs::read(other.join(name)).unwrap();
                format!("exchanged for that of {}", other.display())
            }
        }
    };
    fs::write(&path, bytes).unwrap();
    format!("{name}: {what}")
}

/// Random damage to any file of a store: it is refused, or everything is there as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_damage_is_refused_or_harmless() {
    let seed = Dice::seed();
    println!("CORTEN_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (images, others) = (images().await, images().await);
    let (mut refused, mut harmless) = (0, 0);
    for round in 0..rounds(30) {
        let number = dice.roll(images.len() as u64) as usize;
        let image = &images[number];
        let folder = tempfile::tempdir().unwrap();
        copy(image.folder.path(), folder.path());
        // An older copy, or another store's.
        let elsewhere: Vec<&Path> = images[..=number].iter().chain(&others).map(|image| image.folder.path()).collect();
        let what = damage(&mut dice, folder.path(), &elsewhere);
        let what = format!("seed {seed}, round {round}, {}, {what}", image.name);
        println!("{what}");
        let checked = care::check(folder.path());
        let was_refused = check(&what, folder.path(), image).await;
        if was_refused {
            refused += 1;
            let found = checked.map_or(true, |report| !report.faults.is_empty());
            assert!(found, "{what}: refused, but a check finds nothing");
        } else {
            harmless += 1;
        }
    }
    println!("{refused} refused, {harmless} without harm");
    assert!(refused > 0, "seed {seed}: nothing was damaged");
}

/// The cases of a journal that lost acknowledged writes, each refused with what is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_refused() {
    let images = images().await;
    let (older, image) = (&images[1], &images[3]);
    let other = self::images().await.swap_remove(3);
    let whole = fs::read(image.folder.path().join("journal")).unwrap();
    let damaged = async |expected: &str, bytes: Option<&[u8]>| {
        let folder = tempfile::tempdir().unwrap();
        copy(image.folder.path(), folder.path());
        match bytes {
            Some(bytes) => fs::write(folder.path().join("journal"), bytes).unwrap(),
            None => fs::remove_file(folder.path().join("journal")).unwrap(),
        }
        let error = answer(folder.path()).await.expect_err(expected);
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.contains("corten store check"), "{error}");
    };
    let mut flipped = whole.clone();
    flipped[600] ^= 1;
    damaged("the sector at byte 512 is damaged", Some(&flipped)).await;
    damaged("the journal has 600 bytes instead of", Some(&whole[..600])).await;
    damaged("the journal has 0 bytes instead of", Some(&[])).await;
    damaged("its head is damaged", Some(&vec![0; whole.len()])).await;
    damaged("No such file", None).await;
    let mut emptied = whole.clone();
    emptied[512..].fill(0);
    damaged("it lacks changes that were acknowledged, up to revision", Some(&emptied)).await;
    damaged("it belongs to another store", Some(&fs::read(other.folder.path().join("journal")).unwrap())).await;
    damaged("it lacks changes that were acknowledged", Some(&fs::read(older.folder.path().join("journal")).unwrap()))
        .await;
}

/// The database falls back to its older state when its header is damaged, and does not say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_fall_back_are_refused() {
    let images = images().await;
    let mut refused = 0;
    for image in [&images[3], &images[5]] {
        let whole = fs::read(image.folder.path().join("store.redb")).unwrap();
        for at in (0..320).step_by(if rounds(0) > 0 { 1 } else { 5 }).chain([9]) {
            let folder = tempfile::tempdir().unwrap();
            copy(image.folder.path(), folder.path());
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(folder.path().join("store.redb"), bytes).unwrap();
            refused += u32::from(check(&format!("{}, byte {at}", image.name), folder.path(), image).await);
        }
    }
    assert!(refused > 10, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_empty_or_exchanged_are_refused() {
    let images = images().await;
    let other = self::images().await.swap_remove(5);
    let tables = |image: &Image| fs::read(image.folder.path().join("store.redb")).unwrap();
    for image in &images[1..] {
        for (expected, bytes) in [
            ("store.redb is empty", Vec::new()),
            ("store.redb is older than what was acknowledged", tables(&images[0])),
            ("belongs to the store", tables(&other)),
        ] {
            if bytes == tables(image) {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            copy(image.folder.path(), folder.path());
            fs::write(folder.path().join("store.redb"), bytes).unwrap();
            // Right after the first commit the tables of before it differ in nothing but what the journal says.
            let error = answer(folder.path()).await.expect_err(image.name);
            assert!(error.contains(expected), "{}: {error}", image.name);
        }
    }
}

/// A row that the database does not miss, as when it reads an older page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_missing_from_the_tables_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), manual()).unwrap();
    create(&store, "/registry/a", "one").await;
    let last = create(&store, "/registry/b", "two").await;
    create(&store, "/registry/c", "three").await;
    within("close", store.close()).await.unwrap();
    let database = redb::Database::open(folder.path().join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    assert!(transaction.open_table(LOG).unwrap().remove(last).unwrap().is_some());
    transaction.commit().unwrap();
    drop(database);
    let refused = answer(folder.path()).await.expect_err("a row is missing");
    assert!(refused.contains("the tables have 2 rows where 3 were written"), "{refused}");
    let found = care::check(folder.path()).unwrap();
    assert!(found.faults.iter().any(|fault| fault.contains("2 changes can be read of 3")), "{:?}", found.faults);
}

/// Whatever happens to the path of a file, a write that the next start would not find is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_vanish_under_a_running_server_are_noticed() {
    type Vanish = fn(&Path);
    let cases: [(&str, Vanish); 4] = [
        ("store.redb", |folder| fs::rename(folder.join("store.redb"), folder.join("elsewhere")).unwrap()),
        ("journal", |folder| {
            fs::copy(folder.join("journal"), folder.join("next")).unwrap();
            fs::rename(folder.join("next"), folder.join("journal")).unwrap();
        }),
        ("store.redb", |folder| fs::remove_dir_all(folder).unwrap()),
        ("store.redb", |folder| fs::rename(folder, folder.with_extension("old")).unwrap()),
    ];
    // The files of a folder that has not changed for long are not looked at each time.
    for (age, (named, vanish)) in cases.into_iter().flat_map(|case| [(0, case), (3600, case)]) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("store");
        let store = Embedded::open(&folder, manual()).unwrap();
        let changed = fs::metadata(&folder).unwrap().modified().unwrap() - std::time::Duration::from_secs(age);
        fs::File::open(&folder).unwrap().set_modified(changed).unwrap();
        create(&store, "/registry/a", "one").await;
        vanish(&folder);
        let degraded = store.status().await.unwrap().degraded.expect("it is noticed without a write");
        assert!(degraded.reason.contains(named), "{degraded:?}");
        for (turn, size) in [(0, 1), (1, 200_000)] {
            let put = Put::new(format!("/registry/{turn}"), vec![7; size], Expect::Any);
            let refused = within("put", store.put(put)).await.expect_err("it would be lost");
            assert!(refused.to_string().contains("removed or replaced"), "{refused}");
        }
        assert_eq!(get(&store, "/registry/a").await.unwrap().value, "one");
        let _ = within("close", store.close()).await;
    }
}

/// Writes over the one place of a file that holds `text`.
fn overwrite(file: &Path, text: &str) {
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<_> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "{text} is not in {}", file.display());
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_the_disk_changed_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), manual()).unwrap();
    create(&store, "/registry/a", "the first value").await;
    let last = create(&store, "/registry/b", "the second value").await;
    create(&store, "/registry/c", "the third value").await;
    within("close", store.close()).await.unwrap();
    overwrite(&folder.path().join("store.redb"), "the second value");
    let store = Embedded::open(folder.path(), manual()).unwrap();
    let expected = |error: &Error| {
        let Error::Damaged { key, revision, .. } = error else { panic!("{error:?}") };
        assert_eq!((&**key, *revision), ("/registry/b", last));
    };
    expected(&within("get", store.get("/registry/b", None)).await.unwrap_err());
    expected(&within("range", store.range(Read::of(Span::prefix("/registry/")))).await.unwrap_err());
    assert_eq!(get(&store, "/registry/c").await.unwrap().value, "the third value");
    let listing = within("range", store.range(Read::of(Span::prefix("/registry/")).report_damage())).await.unwrap();
    assert_eq!((listing.kvs.len(), listing.damaged.len(), listing.count), (2, 1, 3));
    expected(&listing.damaged[0]);
    // A conflict cannot show what is there, and says so; whoever writes over it mends it.
    let refused = within("put", store.put(Put::new("/registry/b", "new", Expect::Absent))).await.unwrap_err();
    let WriteError::Failed(error) = refused else { panic!("{refused:?}") };
    expected(&error);
    put(&store, "/registry/b", "new", Expect::ModRevision(last)).await;
    assert_eq!(get(&store, "/registry/b").await.unwrap().value, "new");
    within("close", store.close()).await.unwrap();
}

/// Repair keeps what can be read, and says what it drops; the old files stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_keeps_what_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), manual()).unwrap();
    create(&store, "/registry/a", "the first value").await;
    create(&store, "/registry/b", "the second value").await;
    create(&store, "/registry/c", "one").await;
    put(&store, "/registry/c", "the last value", Expect::Any).await;
    write_to_tables(&store, 1).await;
    let (journaled, second) = ("the journaled value", "a value behind the damage");
    create(&store, "/registry/d", journaled).await;
    create(&store, "/registry/e", second).await;
    let before = revision(&store).await;
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    within("close", store.close()).await.unwrap();
    let whole = care::check(image.path()).unwrap();
    assert!(whole.faults.is_empty(), "{:?}", whole.faults);
    assert_eq!(whole.keys, 6);
    let nothing = care::repair(image.path()).unwrap();
    assert!(nothing.before.is_none() && nothing.dropped.is_empty(), "{nothing:?}");

    overwrite(&image.path().join("store.redb"), "the second value");
    overwrite(&image.path().join("store.redb"), "the last value");
    overwrite(&image.path().join("journal"), journaled);
    // A start that is refused leaves everything to the repair.
    let files = || FILES.map(|name| fs::read(image.path().join(name)).unwrap());
    let before_start = files();
    assert!(answer(image.path()).await.is_err());
    assert!(files() == before_start);
    let found = care::check(image.path()).unwrap();
    assert!(found.faults.iter().any(|fault| fault.contains("/registry/b at revision 3")), "{:?}", found.faults);
    assert!(found.faults.iter().any(|fault| fault.contains("the journal: the sector at byte")), "{:?}", found.faults);
    let mut exported = Vec::new();
    care::export(image.path(), |one| {
        exported.push((one.key.to_string(), one.value.is_ok()));
        Ok(())
    })
    .unwrap();
    let keys = |keys: &[(&str, bool)]| keys.iter().map(|(key, ok)| ((*key).to_owned(), *ok)).collect::<Vec<_>>();
    let of = [("a", true), ("b", false), ("c", false), ("e", true), ("large", true)];
    let of = of.map(|(name, ok)| (format!("/registry/{name}"), ok));
    assert_eq!(exported, keys(&of.each_ref().map(|(name, ok)| (name.as_str(), *ok))));

    let repaired = care::repair(image.path()).unwrap();
    assert_eq!(repaired.keys, 4);
    let lost = format!("changes after revision {} and before {before} are lost", before - 2);
    assert!(repaired.faults.iter().any(|fault| fault.contains(&lost)), "{:?}", repaired.faults);
    let dropped = repaired.dropped.join("\n");
    assert!(dropped.contains("/registry/b: its value of revision 3"), "{dropped}");
    assert!(
        dropped.contains("/registry/c: its value of revision 5") && dropped.contains("the one of revision 4"),
        "{dropped}"
    );
    let kept: PathBuf = repaired.before.expect("the old files are kept");
    assert!(FILES[..3].iter().all(|name| kept.join(name).exists()));
    let (state, now) = answer(image.path()).await.unwrap();
    assert_eq!(state.keys().collect::<Vec<_>>(), ["/registry/a", "/registry/c", "/registry/e", "/registry/large"]);
    assert_eq!(state["/registry/c"].1, b"one");
    assert!(now > before);
    let store = Embedded::open(image.path(), manual()).unwrap();
    // Whoever watched before the repair has to list anew.
    crate::support::compacted(
        within("watch", store.watch(Span::prefix("/"), corten_store::WatchFrom::after(before))).await,
    );
    within("close", store.close()).await.unwrap();
    assert!(care::check(image.path()).unwrap().faults.is_empty());
}

#[tokio::test]
async fn care_needs_a_folder_that_nobody_uses() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), manual()).unwrap();
    assert!(matches!(care::check(folder.path()), Err(OpenError::InUse { .. })));
    assert!(matches!(care::repair(folder.path()), Err(OpenError::InUse { .. })));
    within("close", store.close()).await.unwrap();
    assert!(matches!(care::check(&folder.path().join("nowhere")), Err(OpenError::Foreign { .. })));
}
