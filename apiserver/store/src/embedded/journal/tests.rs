use std::io;

use parking_lot::Mutex;

use super::super::history::Version;
use super::*;

/// A journal's bytes, which survive it, and how much of a write there is room for.
#[derive(Clone, Debug, Default)]
struct Paper(Arc<Mutex<(Vec<u8>, Option<usize>)>>);

impl Medium for Paper {
    fn open(&self, part: Part) -> io::Result<Box<dyn StorageBackend>> {
        assert_eq!(part, Part::Journal);
        Ok(Box::new(self.clone()))
    }
}

impl StorageBackend for Paper {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().0.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.0.lock().0[offset as usize..][..out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().0.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (bytes, room) = &mut *self.0.lock();
        let fits = room.unwrap_or(usize::MAX).min(data.len());
        bytes[offset as usize..][..fits].copy_from_slice(&data[..fits]);
        if fits < data.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn record(revision: Revision, value: Option<&str>) -> Arc<Record> {
    let create_revision = if value.is_some() { revision } else { 0 };
    let version = Version { revision, create_revision, expires: revision * 1000 };
    let value = value.map(|value| Bytes::from(value.to_owned()));
    Arc::new(Record { key: format!("/registry/ü/{revision}").into(), version, value, previous: 7, companion: None })
}

fn shown(records: &[Arc<Record>]) -> Vec<String> {
    let show = |record: &Arc<Record>| format!("{} {:?} {:?}", record.key, record.version, record.value);
    records.iter().map(show).collect()
}

#[track_caller]
fn check(paper: &Paper, base: Revision, expected: &[Arc<Record>]) -> Journal {
    let (journal, found) = Journal::open(paper, base).unwrap();
    assert_eq!(shown(&found), shown(expected));
    journal
}

#[test]
fn what_was_written_is_read() {
    let paper = Paper::default();
    let mut journal = check(&paper, 10, &[]);
    let all = [record(11, Some("one")), record(12, None), record(13, Some("")), record(20, Some("four"))];
    let before = journal.room();
    journal.append(&all[..2]).unwrap();
    let taken: usize = all[..2].iter().map(|record| size(record)).sum();
    assert_eq!(journal.end, (HEAD + taken) as u64);
    assert_eq!(before, SMALL);
    journal.append(&all[2..3]).unwrap();
    // After a start it goes on behind what is there.
    check(&paper, 10, &all[..3]).append(&all[3..]).unwrap();
    check(&paper, 10, &all);
    for other in [0, 9, 11, 20] {
        check(&paper, other, &[]);
    }
}

#[test]
fn a_rewound_journal_has_nothing_of_the_round_before() {
    let paper = Paper::default();
    let mut journal = check(&paper, 0, &[]);
    for revision in 1..=9 {
        journal.append(&[record(revision, Some("old"))]).unwrap();
    }
    journal.rewind(9);
    check(&paper, 9, &[]);
    let new = [record(10, Some("new")), record(11, Some("newer, and longer than the old ones"))];
    for (count, one) in new.iter().enumerate() {
        journal.append(std::slice::from_ref(one)).unwrap();
        check(&paper, 9, &new[..=count]);
    }
    // The old frames are still there, behind a tear that a power cut might leave.
    check(&paper, 0, &[]);
}

/// Somebody's value may look like a frame; it must not become one when what is before it is written over.
#[test]
fn a_frame_within_a_value_is_not_read() {
    let paper = Paper::default();
    let new = record(1, Some("new"));
    // The value begins that much before the next frame will.
    let mut bytes = vec![b'x'; size(&new) - size(&record(9, Some("")))];
    let mut forged = Vec::new();
    write(0, &[record(50, Some("forged"))], &mut forged);
    bytes.append(&mut forged);
    let torn = Record { value: Some(bytes.into()), ..Arc::into_inner(record(9, None)).unwrap() };
    let mut journal = check(&paper, 0, &[]);
    journal.append(&[Arc::new(torn)]).unwrap();
    paper.0.lock().0[0] ^= 1;
    let mut journal = check(&paper, 0, &[]);
    journal.append(std::slice::from_ref(&new)).unwrap();
    check(&paper, 0, &[new]);
}

#[test]
fn it_is_full_before_its_end() {
    let paper = Paper::default();
    let mut journal = check(&paper, 0, &[]);
    let value = "x".repeat(20_000);
    let mut all = Vec::new();
    for revision in 1.. {
        let one = record(revision, Some(&value));
        if size(&one) > journal.room() {
            break;
        }
        journal.append(std::slice::from_ref(&one)).unwrap();
        all.push(one);
    }
    assert_eq!(all.len(), 52);
    check(&paper, 0, &all);
}

/// Whatever of the last frame is wrong, the ones before it are read and it is not.
#[test]
fn a_torn_frame_is_the_end() {
    let paper = Paper::default();
    let mut journal = check(&paper, 0, &[]);
    let all = [record(1, Some("one")), record(2, Some("two")), record(3, None)];
    journal.append(&all[..1]).unwrap();
    let first = journal.end as usize;
    journal.append(&all[1..]).unwrap();
    let whole = paper.0.lock().0.clone();
    for at in first..journal.end as usize {
        for change in [1, 0x80, 0xff] {
            paper.0.lock().0[at] ^= change;
            check(&paper, 0, &all[..1]);
            paper.0.lock().0.clone_from(&whole);
        }
        paper.0.lock().0[at..].fill(0);
        let torn = paper.0.lock().0 != whole;
        check(&paper, 0, if torn { &all[..1] } else { &all });
        paper.0.lock().0.clone_from(&whole);
    }
    check(&paper, 0, &all);
}

#[test]
fn revisions_that_go_back_are_not_read() {
    let paper = Paper::default();
    let mut journal = check(&paper, 0, &[]);
    let (five, four) = (record(5, Some("five")), record(4, Some("four")));
    journal.append(std::slice::from_ref(&five)).unwrap();
    journal.append(&[four]).unwrap();
    check(&paper, 0, &[five]);
}

#[test]
fn without_room_nothing_is_there() {
    for room in [0, 3, HEAD, 40, 70] {
        let paper = Paper::default();
        let mut journal = check(&paper, 0, &[]);
        let (kept, lost) = (record(1, Some("kept")), record(2, Some("lost")));
        journal.append(std::slice::from_ref(&kept)).unwrap();
        paper.0.lock().1 = Some(room);
        let refused = journal.append(std::slice::from_ref(&lost)).unwrap_err();
        // Where not even that can be made sure of, nothing may be written any more.
        let expected = room == 0 || room >= HEAD;
        assert_eq!(matches!(refused, Error::NoSpace(_)), expected, "{room}: {refused:?}");
        paper.0.lock().1 = None;
        check(&paper, 0, std::slice::from_ref(&kept));
        journal.append(std::slice::from_ref(&lost)).unwrap();
        check(&paper, 0, &[kept, lost]);
    }
}
