//! Which versions every key has, in memory; the values are on the disk, by revision.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::span::Span;
use crate::store::{Key, Revision};

/// One version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) revision: Revision,
    /// 0 is a deletion.
    pub(super) create_revision: Revision,
    /// When its time to live ends, in milliseconds since 1970; 0 is never.
    pub(super) expires: u64,
    /// The CRC-32 of its value, by which a damaged one is noticed when it is read; 0 for a deletion.
    pub(super) value_sum: u32,
}

impl Version {
    pub(super) fn is_live(&self) -> bool {
        self.create_revision != 0
    }

    fn live(self) -> Option<Version> {
        self.is_live().then_some(self)
    }
}

#[derive(Debug)]
pub(super) struct History {
    newest: Version,
    /// Oldest first; nearly always empty, and then it owns no memory.
    older: Vec<Version>,
}

impl History {
    /// The version that held right after `revision`.
    pub(super) fn at(&self, revision: Option<Revision>) -> Option<Version> {
        match revision {
            Some(revision) if self.newest.revision > revision => {
                let after = self.older.partition_point(|version| version.revision <= revision);
                after.checked_sub(1).and_then(|last| self.older[last].live())
            }
            _ => self.newest.live(),
        }
    }

    /// Forgets what was superseded at or before `revision`, and a deletion by then; true if nothing is left.
    fn compact(&mut self, revision: Revision, forgotten: &mut Vec<Revision>) -> bool {
        if self.newest.revision <= revision {
            forgotten.extend(self.older.drain(..).map(|version| version.revision));
            self.older = Vec::new();
            if !self.newest.is_live() {
                forgotten.push(self.newest.revision);
            }
            return !self.newest.is_live();
        }
        let after = self.older.partition_point(|version| version.revision <= revision);
        let Some(last) = after.checked_sub(1) else { return false };
        let dropped = if self.older[last].is_live() { last } else { after };
        forgotten.extend(self.older.drain(..dropped).map(|version| version.revision));
        if self.older.is_empty() {
            self.older = Vec::new();
        }
        false
    }
}

#[derive(Debug, Default)]
pub(super) struct Index {
    keys: BTreeMap<Key, History>,
    /// At which revision a version of which key was superseded, or a deletion made: what a compaction has to look at.
    superseded: VecDeque<(Revision, Key)>,
}

impl Index {
    pub(super) fn newest(&self, key: &str) -> Option<Version> {
        self.keys.get(key).and_then(|history| history.newest.live())
    }

    pub(super) fn at(&self, key: &str, revision: Option<Revision>) -> Option<Version> {
        self.keys.get(key).and_then(|history| history.at(revision))
    }

    /// The version that a change at `revision` superseded.
    pub(super) fn before(&self, key: &str, revision: Revision) -> Option<Version> {
        self.at(key, Some(revision.saturating_sub(1)))
    }

    pub(super) fn of(&self, span: &Span) -> impl Iterator<Item = (&Key, &History)> {
        let start: Bound<&str> =
            if span.is_empty() { Bound::Excluded(span.start()) } else { Bound::Included(span.start()) };
        let end: Bound<&str> = match span.end() {
            _ if span.is_empty() => Bound::Included(span.start()),
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        self.keys.range::<str, _>((start, end))
    }

    /// Takes in the next change. Gives back the version that it superseded.
    pub(super) fn apply(&mut self, key: &Key, version: Version) -> Option<Version> {
        match self.keys.get_mut(key) {
            Some(history) => {
                let before = std::mem::replace(&mut history.newest, version);
                history.older.push(before);
                self.superseded.push_back((version.revision, key.clone()));
                Some(before)
            }
            None => {
                self.keys.insert(key.clone(), History { newest: version, older: Vec::new() });
                if !version.is_live() {
                    self.superseded.push_back((version.revision, key.clone()));
                }
                None
            }
        }
    }

    /// The revisions whose rows can go. Their order matters: a deletion goes after what it deleted, or a crash halfway
    /// would bring that back.
    pub(super) fn compact(&mut self, revision: Revision) -> Vec<Revision> {
        let mut forgotten = Vec::new();
        while self.superseded.front().is_some_and(|(superseded, _)| *superseded <= revision) {
            let Some((_, key)) = self.superseded.pop_front() else { break };
            let empty = self.keys.get_mut(&key).is_some_and(|history| history.compact(revision, &mut forgotten));
            if empty {
                self.keys.remove(&key);
            }
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(revision: Revision, create_revision: Revision) -> Version {
        Version { revision, create_revision, expires: 0, value_sum: 0 }
    }

    /// `a` is made at 2, changed at 4, deleted at 6, made again at 8; `b` is made at 3 and changed at 7.
    fn index() -> Index {
        let mut index = Index::default();
        let (a, b) = (Key::from("a"), Key::from("b"));
        index.apply(&a, put(2, 2));
        index.apply(&b, put(3, 3));
        index.apply(&a, put(4, 2));
        index.apply(&a, put(6, 0));
        index.apply(&b, put(7, 3));
        index.apply(&a, put(8, 8));
        index
    }

    #[test]
    fn versions_at_revisions() {
        let index = index();
        let check = |key: &str, at: Option<Revision>, expected: Option<Revision>| {
            assert_eq!(index.at(key, at).map(|version| version.revision), expected, "{key} at {at:?}");
        };
        check("a", None, Some(8));
        check("a", Some(1), None);
        check("a", Some(2), Some(2));
        check("a", Some(3), Some(2));
        check("a", Some(5), Some(4));
        check("a", Some(6), None);
        check("a", Some(9), Some(8));
        check("b", Some(6), Some(3));
        check("c", None, None);
        assert_eq!(index.before("a", 4), Some(put(2, 2)));
        assert_eq!(index.before("a", 8), None);
    }

    #[test]
    fn compaction_forgets_what_was_superseded() {
        let check = |at: Revision, forgotten: &[Revision]| assert_eq!(index().compact(at), forgotten, "at {at}");
        check(1, &[]);
        check(3, &[]);
        check(4, &[2]);
        check(5, &[2]);
        check(6, &[2, 4, 6]);
        check(7, &[2, 4, 6, 3]);
        check(8, &[2, 4, 6, 3]);
        let mut index = index();
        let mut all = index.compact(4);
        all.extend(index.compact(8));
        assert_eq!(all, [2, 4, 6, 3]);
        assert_eq!(index.newest("a"), Some(put(8, 8)));
        index.apply(&Key::from("a"), put(9, 0));
        assert_eq!(index.compact(9), [8, 9]);
        assert_eq!(index.keys.len(), 1);
    }

    #[test]
    fn spans_of_the_index() {
        let index = index();
        let check = |span: Span, expected: &[&str]| {
            assert_eq!(index.of(&span).map(|(key, _)| &**key).collect::<Vec<_>>(), expected, "{span:?}");
        };
        check(Span::prefix(""), &["a", "b"]);
        check(Span::key("a"), &["a"]);
        check(Span::between("a", "b"), &["a"]);
        check(Span::between("b", "a"), &[]);
        check(Span::prefix("b"), &["b"]);
    }
}
