//! What one watcher saw of one kind, over all its watches.
//!
//! Checked event by event: revisions rise, so that nothing comes twice or out of order, and each event follows from the
//! one before it of the same object. Checked at the end against the ledger: nothing that was acknowledged is missing,
//! nothing that was refused was ever shown. Where a watcher was told that it cannot go on (410) and listed anew, the
//! revisions between are a gap that it knows of, and the list has to follow from what it had seen.

use super::kinds::Kind;
use super::ledger::{Ledger, Version};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub change: Change,
    pub name: String,
    /// Of a deletion: the last form of the object, at the revision of the deletion.
    pub version: Version,
}

type State = BTreeMap<String, Version>;

/// A 410, and the list that followed.
#[derive(Debug)]
struct Gap {
    after: u64,
    before: State,
    to: u64,
    listed: State,
}

#[derive(Debug)]
pub struct History {
    pub kind: Kind,
    /// Everything up to this revision was seen.
    pub at: u64,
    pub seen: Vec<Seen>,
    state: State,
    gaps: Vec<Gap>,
}

impl History {
    pub fn after(kind: Kind, at: u64) -> History {
        History { kind, at, seen: Vec::new(), state: State::new(), gaps: Vec::new() }
    }

    pub fn gaps(&self) -> usize {
        self.gaps.len()
    }

    pub fn take(&mut self, change: Change, name: String, version: Version) -> anyhow::Result<()> {
        let (kind, at) = (self.kind, self.at);
        anyhow::ensure!(version.at > at, "{kind:?} {name}: {change:?} {version:?} came after revision {at}");
        let before = self.state.get(&name);
        let follows = match (change, before) {
            (Change::Added, before) => before.is_none(),
            (Change::Modified, Some(before)) => {
                let differs = before.attempt != version.attempt || before.dying != version.dying;
                before.uid == version.uid && differs
            }
            (Change::Deleted, Some(before)) => before.uid == version.uid && before.attempt == version.attempt,
            (_, None) => false,
        };
        anyhow::ensure!(follows, "{kind:?} {name}: {change:?} {version:?} does not follow {before:?}");
        self.at = version.at;
        match change {
            Change::Deleted => self.state.remove(&name),
            _ => self.state.insert(name.clone(), version.clone()),
        };
        self.seen.push(Seen { change, name, version });
        Ok(())
    }

    /// Nothing happened up to this revision.
    pub fn bookmark(&mut self, at: u64) -> anyhow::Result<()> {
        anyhow::ensure!(at >= self.at, "a bookmark of revision {at} came after {}", self.at);
        self.at = at;
        Ok(())
    }

    /// Goes on from a list, after a 410.
    pub fn relist(&mut self, at: u64, listed: State) -> anyhow::Result<()> {
        anyhow::ensure!(at >= self.at, "a list of revision {at} came after {}", self.at);
        let before = std::mem::replace(&mut self.state, listed.clone());
        self.gaps.push(Gap { after: self.at, before, to: at, listed });
        self.at = at;
        Ok(())
    }

    /// What stands at the end.
    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn check(&self, ledger: &mut Ledger) -> anyhow::Result<()> {
        let mut seen = BTreeMap::new();
        for Seen { change, name, version } in &self.seen {
            if *change == Change::Deleted {
                let deleted = ledger.may_be_deleted(&version.uid);
                anyhow::ensure!(deleted, "nobody deleted {:?} {name}: {version:?}", self.kind);
                continue;
            }
            ledger.check_version(self.kind, name, version)?;
            if !version.dying {
                ledger.own(version.at, &version.attempt)?;
            }
            seen.insert(version.at, version);
        }
        for (at, (name, version)) in ledger.promised(self.kind) {
            let missed = at <= self.at && !self.gaps.iter().any(|gap| gap.after < at && at <= gap.to);
            let shown = seen.get(&at).is_some_and(|shown| *shown == version);
            anyhow::ensure!(shown || !missed, "a watch missed {:?} {name}: {version:?}", self.kind);
        }
        self.gaps.iter().try_for_each(|gap| gap.check(self.kind, ledger))
    }
}

impl Gap {
    fn check(&self, kind: Kind, ledger: &Ledger) -> anyhow::Result<()> {
        for (name, version) in &self.listed {
            ledger.check_version(kind, name, version)?;
            let before = self.before.get(name);
            let known = version.at > self.after || before == Some(version);
            // What it had seen last may be lost, and then what was before it is there again.
            let forgiven = before.is_some_and(|before| ledger.may_be_lost(before));
            anyhow::ensure!(known || forgiven, "a watch up to {} missed {kind:?} {name}: {version:?}", self.after);
        }
        for (name, before) in &self.before {
            let kept = self.listed.get(name).is_some_and(|now| now.uid == before.uid && now.at >= before.at);
            let gone = ledger.may_be_deleted(&before.uid) || ledger.may_be_lost(before);
            anyhow::ensure!(kept || gone, "a watch showed {kind:?} {name}: {before:?}, which is lost");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Change::{Added, Deleted, Modified};

    fn version(at: u64, uid: &str, attempt: &str) -> Version {
        Version { at, uid: uid.to_owned(), attempt: attempt.to_owned(), dying: false }
    }

    /// Events as (change, name, revision, uid, attempt).
    fn check(events: &[(Change, &str, u64, &str, &str)], expected: &str) {
        let mut history = History::after(Kind::ConfigMap, 10);
        let taken = events.iter().try_for_each(|(change, name, at, uid, attempt)| {
            history.take(*change, (*name).to_owned(), version(*at, uid, attempt))
        });
        let shown = taken.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(shown.contains(expected) && shown.is_empty() == expected.is_empty(), "{shown:?}, not {expected:?}");
    }

    #[test]
    fn a_broken_history_is_noticed() {
        let a = (Added, "a", 11, "u", "w1");
        check(&[a, (Modified, "a", 12, "u", "w2"), (Deleted, "a", 13, "u", "w2"), (Added, "a", 14, "v", "w3")], "");
        check(&[(Added, "a", 10, "u", "w1")], "came after revision 10");
        check(&[a, a], "came after revision 11");
        check(&[a, (Added, "a", 12, "v", "w2")], "does not follow");
        check(&[a, (Modified, "a", 12, "v", "w2")], "does not follow");
        check(&[a, (Modified, "a", 12, "u", "w1")], "does not follow");
        check(&[(Modified, "a", 12, "u", "w2")], "does not follow");
        check(&[(Deleted, "a", 12, "u", "w2")], "does not follow");
        check(&[a, (Deleted, "a", 12, "u", "w0")], "does not follow");
    }
}
