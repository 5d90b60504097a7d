use std::io;

use parking_lot::Mutex;

use super::super::history::Version;
use super::super::mark::Found;
use super::*;

/// The bytes of journal and mark, which survive them, and how much of the next write to the journal there is room for.
#[derive(Clone, Debug, Default)]
struct Paper(Arc<Mutex<Sheets>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sheets {
    journal: Vec<u8>,
    mark: Vec<u8>,
    room: Option<usize>,
}

impl Medium for Paper {
    fn open(&self, part: Part) -> io::Result<Box<dyn StorageBackend>> {
        assert_ne!(part, Part::Tables);
        Ok(Box::new(Sheet(self.clone(), part)))
    }
}

#[derive(Clone, Debug)]
struct Sheet(Paper, Part);

impl Sheet {
    fn with<T>(&self, access: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut sheets = self.0.0.lock();
        access(if self.1 == Part::Journal { &mut sheets.journal } else { &mut sheets.mark })
    }
}

impl StorageBackend for Sheet {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|bytes| out.copy_from_slice(&bytes[offset as usize..][..out.len()]));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|bytes| bytes.resize(len as usize, 0));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let room = if self.1 == Part::Journal { self.0.0.lock().room.take() } else { None };
        let fits = room.unwrap_or(usize::MAX).min(data.len());
        self.with(|bytes| bytes[offset as usize..][..fits].copy_from_slice(&data[..fits]));
        if fits < data.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn record(revision: Revision, value: Option<&str>) -> Arc<Record> {
    let create_revision = if value.is_some() { revision } else { 0 };
    let value_sum = value.map_or(0, |value| crc32fast::hash(value.as_bytes()));
    let version = Version { revision, create_revision, expires: revision * 1000, value_sum };
    let value = value.map(|value| Bytes::from(value.to_owned()));
    Arc::new(Record { key: format!("/registry/ü/{revision}").into(), version, value, previous: 7, companion: None })
}

fn shown(records: &[Arc<Record>]) -> Vec<String> {
    let show = |record: &Arc<Record>| format!("{} {:?} {:?}", record.key, record.version, record.value);
    records.iter().map(show).collect()
}

const ME: Identity = Identity([7; 16]);

fn seal(generation: u64, last: Revision) -> Seal {
    Seal { generation, last, ..Seal::of_nothing(ME) }
}

fn open(paper: &Paper, seal: &Seal) -> Result<(Journal, Vec<Arc<Record>>), String> {
    let Found::Mark(mark) = Mark::read(paper).unwrap() else { panic!("no mark") };
    Journal::open(paper, seal, mark).map_err(|error| error.to_string())
}

#[track_caller]
fn check(paper: &Paper, seal: &Seal, expected: &[Arc<Record>]) -> Journal {
    let (journal, found) = open(paper, seal).unwrap();
    assert_eq!(shown(&found), shown(expected));
    journal
}

#[track_caller]
fn refused(paper: &Paper, seal: &Seal, expected: &str) {
    let error = open(paper, seal).map(|(_, found)| shown(&found)).expect_err("it is damaged");
    assert!(error.contains(expected), "{error}");
}

fn new() -> (Paper, Seal, Journal) {
    let (paper, seal) = (Paper::default(), seal(3, 10));
    let journal = Journal::create(&paper, &seal).unwrap();
    (paper, seal, journal)
}

/// Has the mark say again what it said before, as a power cut may.
fn set_mark_back(paper: &Paper, to: &[u8]) {
    paper.0.lock().mark = to.to_vec();
}

fn mark(paper: &Paper) -> Vec<u8> {
    paper.0.lock().mark.clone()
}

#[test]
fn what_was_written_is_read() {
    let (paper, seal, mut journal) = new();
    check(&paper, &seal, &[]);
    let all = [record(11, Some("one")), record(12, None), record(13, Some("")), record(20, Some("four"))];
    assert_eq!(journal.room(), SMALL);
    journal.append(&all[..2]).unwrap();
    let long = record(14, Some(&"x".repeat(3000)));
    // After a start it goes on behind what is there.
    check(&paper, &seal, &all[..2]).append(&all[2..3]).unwrap();
    check(&paper, &seal, &all[..3]).append(std::slice::from_ref(&long)).unwrap();
    let all: Vec<_> = all[..3].iter().chain([&long]).chain(&all[3..]).cloned().collect();
    check(&paper, &seal, &all[..4]).append(&all[4..]).unwrap();
    check(&paper, &seal, &all);
}

#[test]
fn a_new_round_has_nothing_of_the_one_before() {
    let (paper, _, mut journal) = new();
    for revision in 11..=19 {
        journal.append(&[record(revision, Some("old"))]).unwrap();
    }
    let seal = seal(4, 19);
    // The tables have been committed, and the mark not yet written.
    check(&paper, &seal, &[]);
    journal.begin_round(&seal).unwrap();
    check(&paper, &seal, &[]);
    let new = [record(20, Some("new")), record(21, Some(&"longer than the old ones".repeat(100)))];
    for (count, one) in new.iter().enumerate() {
        journal.append(std::slice::from_ref(one)).unwrap();
        check(&paper, &seal, &new[..=count]);
    }
}

#[test]
fn it_is_full_before_its_end() {
    let (paper, seal, mut journal) = new();
    let value = "x".repeat(20_000);
    let mut all = Vec::new();
    for revision in 11.. {
        let one = record(revision, Some(&value));
        if size(&one) > journal.room() {
            break;
        }
        journal.append(std::slice::from_ref(&one)).unwrap();
        all.push(one);
    }
    assert_eq!(all.len(), 48);
    check(&paper, &seal, &all);
}

/// Two frames, the second of several sectors, and what the mark said before it.
fn two_frames() -> (Paper, Seal, Journal, Vec<Arc<Record>>, Vec<u8>, usize) {
    let (paper, seal, mut journal) = new();
    let all = vec![record(11, Some("one")), record(12, Some(&"two".repeat(500))), record(13, None)];
    journal.append(&all[..1]).unwrap();
    let (before, first) = (mark(&paper), journal.next.end as usize * SECTOR);
    journal.append(&all[1..]).unwrap();
    (paper, seal, journal, all, before, first)
}

/// A frame is acknowledged when the mark says so, and when there is a later one.
#[test]
fn damage_is_told_from_a_torn_end() {
    let (paper, seal, mut journal, all, before, first) = two_frames();
    let (whole, end) = (paper.0.lock().clone(), journal.next.end as usize * SECTOR);
    let sectors = (end - first) / SECTOR;
    assert!(sectors > 2, "{sectors}");
    // Whichever of its sectors a power cut left out, the frame was not acknowledged.
    for missing in 1_usize..1 << sectors {
        for sector in (0..sectors).filter(|sector| missing >> sector & 1 == 1) {
            paper.0.lock().journal[first + sector * SECTOR..][..SECTOR].fill(0);
        }
        refused(&paper, &seal, "lacks changes that were acknowledged, up to revision 13");
        set_mark_back(&paper, &before);
        check(&paper, &seal, &all[..1]);
        // What is left of it does not disturb those that follow.
        let again = [record(12, Some("again")), record(13, Some("and again"))];
        for (count, one) in again.iter().enumerate() {
            let expected: Vec<_> = all[..1].iter().chain(&again[..count]).cloned().collect();
            check(&paper, &seal, &expected).append(std::slice::from_ref(one)).unwrap();
        }
        check(&paper, &seal, &[all[0].clone(), again[0].clone(), again[1].clone()]);
        *paper.0.lock() = whole.clone();
    }
    // A sector that is neither new nor what stood there before is damage, whatever the mark says.
    for at in first..end {
        paper.0.lock().journal[at] ^= 1 << (at % 8);
        refused(&paper, &seal, "is damaged");
        set_mark_back(&paper, &before);
        refused(&paper, &seal, &format!("the sector at byte {} is damaged", at / SECTOR * SECTOR));
        *paper.0.lock() = whole.clone();
    }
    // With a later frame it was acknowledged, whatever the mark says.
    journal.append(&[record(14, Some("later"))]).unwrap();
    let whole = paper.0.lock().clone();
    for sector in 0..sectors {
        paper.0.lock().journal[first + sector * SECTOR..][..SECTOR].fill(0);
        set_mark_back(&paper, &before);
        refused(&paper, &seal, "frames are missing in front of the sector");
        paper.0.lock().journal.clone_from(&whole.journal);
    }
}

/// Cases of files that were set back or exchanged, each with a piece of the refusal.
#[test]
fn it_is_not_exchanged_unnoticed() {
    let (paper, seal_3, mut journal, all, before, _) = two_frames();
    let whole = paper.0.lock().clone();
    let check_refused = |change: &dyn Fn(&mut Sheets), seal: &Seal, expected: &str| {
        change(&mut paper.0.lock());
        refused(&paper, seal, expected);
        *paper.0.lock() = whole.clone();
    };
    check_refused(&|sheets| sheets.journal.truncate(4096), &seal_3, "has 4096 bytes instead of 1048576");
    check_refused(&|sheets| sheets.journal.clear(), &seal_3, "has 0 bytes");
    check_refused(&|sheets| sheets.journal.fill(0), &seal_3, "its head is damaged");
    check_refused(&|sheets| sheets.journal[SECTOR..].fill(0), &seal_3, "lacks changes that were acknowledged");
    check_refused(&|sheets| sheets.journal.copy_within(SECTOR..2 * SECTOR, 2 * SECTOR), &seal_3, "is damaged");
    let other = Paper::default();
    let mut others = Journal::create(&other, &Seal { generation: 3, ..Seal::of_nothing(Identity([8; 16])) }).unwrap();
    others.append(&all).unwrap();
    let foreign = other.0.lock().journal.clone();
    check_refused(&|sheets| sheets.journal.clone_from(&foreign), &seal_3, "or it belongs to another store");
    // The tables are older than the journal, or the mark is.
    journal.begin_round(&seal(4, 13)).unwrap();
    journal.append(&[record(14, Some("later"))]).unwrap();
    let later = paper.0.lock().journal.clone();
    *paper.0.lock() = whole.clone();
    check_refused(&|sheets| sheets.journal.clone_from(&later), &seal_3, "follows a later commit of the tables");
    check_refused(&|sheets| sheets.journal.clone_from(&later), &seal(4, 13), "the file mark is older than the journal");
    set_mark_back(&paper, &before);
    check(&paper, &seal_3, &all);
}

#[test]
fn revisions_that_go_back_are_not_read() {
    let (paper, seal, mut journal) = new();
    journal.append(&[record(15, Some("five"))]).unwrap();
    journal.append(&[record(14, Some("four"))]).unwrap();
    refused(&paper, &seal, "its changes contradict the tables");
}

#[test]
fn without_room_nothing_is_there() {
    for room in [0, 3, SECTOR, SECTOR + 40, 3 * SECTOR] {
        let (paper, seal, mut journal) = new();
        let (kept, lost) = (record(11, Some("kept")), record(12, Some(&"lost".repeat(500))));
        journal.append(std::slice::from_ref(&kept)).unwrap();
        paper.0.lock().room = Some(room);
        let refused = journal.append(std::slice::from_ref(&lost)).unwrap_err();
        assert!(matches!(refused, Error::NoSpace(_)), "{room}: {refused:?}");
        check(&paper, &seal, std::slice::from_ref(&kept));
        journal.append(std::slice::from_ref(&lost)).unwrap();
        check(&paper, &seal, &[kept, lost]);
    }
}

/// What is whole is found, whatever is missing between.
#[test]
fn frames_behind_damage_are_salvaged() {
    let (paper, _, mut journal, all, _, first) = two_frames();
    journal.append(&[record(14, Some("later"))]).unwrap();
    paper.0.lock().journal[first + 100] ^= 1;
    let (frames, faults) = salvage(&paper.0.lock().journal, ME, 3);
    let found: Vec<_> = frames.iter().flat_map(|frame| read_frames(std::slice::from_ref(frame), 0).unwrap()).collect();
    assert_eq!(shown(&found), shown(&[all[0].clone(), record(14, Some("later"))]));
    assert_eq!(faults, [format!("the sector at byte {first} is damaged")]);
}
