//! What the writers tried and what they were told, and so what may, must and must not be there.

use super::kinds::{Kind, attempt};
use crate::support::revision;
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::{BTreeMap, HashMap};

/// One version of an object, as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub at: u64,
    pub uid: String,
    pub attempt: String,
    /// Marked for deletion: a change that the server makes before it deletes a pod, in the words of the last attempt.
    pub dying: bool,
}

impl Version {
    pub fn of(object: &DynamicObject) -> anyhow::Result<Version> {
        let (uid, attempt) = (object.uid().unwrap_or_default(), attempt(object).to_owned());
        Ok(Version { at: revision(object)?, uid, attempt, dying: object.metadata.deletion_timestamp.is_some() })
    }
}

/// What stands in the cluster at one moment.
pub type Contents = BTreeMap<(Kind, String), Version>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Not answered, or by an error that leaves it open, or acknowledged and then perhaps lost as the design allows.
    Open,
    Refused,
    Acknowledged,
}

#[derive(Debug)]
struct Write {
    kind: Kind,
    name: String,
    lazy: bool,
    outcome: Outcome,
    /// What was acknowledged.
    version: Option<Version>,
}

/// The attempts at deleting one object.
#[derive(Debug, Default)]
struct Deletion {
    open: usize,
    acknowledged: bool,
}

#[derive(Debug, Default)]
pub struct Ledger {
    writes: HashMap<String, Write>,
    deletions: HashMap<String, Deletion>,
    /// Which attempt each revision was given to.
    owners: BTreeMap<u64, String>,
    acknowledged: usize,
}

impl Ledger {
    /// How many writes and deletions have been acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    pub fn last_revision(&self) -> u64 {
        self.owners.last_key_value().map_or(0, |(at, _)| *at)
    }

    pub fn begin(&mut self, attempt: &str, kind: Kind, name: &str, lazy: bool) {
        let write = Write { kind, name: name.to_owned(), lazy, outcome: Outcome::Open, version: None };
        self.writes.insert(attempt.to_owned(), write);
    }

    pub fn refuse(&mut self, attempt: &str) {
        if let Some(write) = self.writes.get_mut(attempt) {
            write.outcome = Outcome::Refused;
        }
    }

    pub fn acknowledge(&mut self, attempt: &str, object: &DynamicObject) -> anyhow::Result<()> {
        let version = Version::of(object)?;
        anyhow::ensure!(version.attempt == attempt, "{attempt} was answered with {version:?}");
        self.own(version.at, attempt)?;
        if let Some(write) = self.writes.get_mut(attempt) {
            (write.outcome, write.version) = (Outcome::Acknowledged, Some(version));
        }
        self.acknowledged += 1;
        Ok(())
    }

    pub fn begin_deletion(&mut self, uid: &str) {
        self.deletions.entry(uid.to_owned()).or_default().open += 1;
    }

    /// A pod may be marked and still not be deleted, because somebody else was quicker in between.
    pub fn refuse_deletion(&mut self, kind: Kind, uid: &str) {
        if kind == Kind::Pod {
            return;
        }
        self.deletions.entry(uid.to_owned()).or_default().open -= 1;
    }

    pub fn acknowledge_deletion(&mut self, uid: &str) {
        self.deletions.entry(uid.to_owned()).or_default().acknowledged = true;
        self.acknowledged += 1;
    }

    /// No revision is ever given to two writes that anybody has seen.
    pub fn own(&mut self, at: u64, attempt: &str) -> anyhow::Result<()> {
        let owner = self.owners.entry(at).or_insert_with(|| attempt.to_owned());
        anyhow::ensure!(owner == attempt, "revision {at} was given to {owner} and to {attempt}");
        Ok(())
    }

    /// After a crash: what was acknowledged lazily may be lost, but nothing before anything that is there.
    pub fn forgive_lazy_after(&mut self, kept: u64) {
        for write in self.writes.values_mut() {
            if write.lazy && write.version.as_ref().is_some_and(|version| version.at > kept) {
                write.outcome = Outcome::Open;
            }
        }
    }

    /// The contents, at rest, are what the answers promised, and hold nothing that was refused or never written.
    pub fn check(&self, contents: &Contents) -> anyhow::Result<()> {
        for ((kind, name), version) in contents {
            self.check_version(*kind, name, version)?;
            let deleted = self.deletions.get(&version.uid).is_some_and(|deletion| deletion.acknowledged);
            anyhow::ensure!(!deleted, "the deletion of {kind:?} {name} was acknowledged, and it is there: {version:?}");
        }
        for (attempt, write) in self.writes.iter().filter(|(_, write)| write.outcome == Outcome::Acknowledged) {
            let Some(promised) = &write.version else { continue };
            let found = contents.get(&(write.kind, write.name.clone()));
            let kept = found.is_some_and(|found| found.uid == promised.uid && found.at >= promised.at);
            let (kind, name) = (write.kind, &write.name);
            anyhow::ensure!(
                kept || self.may_be_deleted(&promised.uid),
                "{attempt} of {kind:?} {name} was acknowledged as {promised:?}, and there is {found:?}"
            );
        }
        Ok(())
    }

    /// Somebody may see this version of an object.
    pub fn check_version(&self, kind: Kind, name: &str, version: &Version) -> anyhow::Result<()> {
        let Some(write) = self.writes.get(&version.attempt) else { anyhow::bail!("nobody wrote {name}: {version:?}") };
        anyhow::ensure!((write.kind, &*write.name) == (kind, name), "{version:?} of {name} was a write of {write:?}");
        anyhow::ensure!(write.outcome != Outcome::Refused, "{name}: {version:?} was refused");
        let marked = version.dying && self.may_be_deleted(&version.uid);
        let answered = marked || write.version.as_ref().is_none_or(|answered| answered == version);
        anyhow::ensure!(answered, "{name} was answered as {:?} and is {version:?}", write.version);
        Ok(())
    }

    pub fn may_be_deleted(&self, uid: &str) -> bool {
        self.deletions.get(uid).is_some_and(|deletion| deletion.open > 0 || deletion.acknowledged)
    }

    /// Whether an acknowledged version may be gone after a crash.
    pub fn may_be_lost(&self, version: &Version) -> bool {
        self.writes.get(&version.attempt).is_some_and(|write| write.lazy && write.outcome == Outcome::Open)
    }

    /// What was acknowledged of a kind, in the order of revisions.
    pub fn promised(&self, kind: Kind) -> BTreeMap<u64, (&str, &Version)> {
        let promised =
            self.writes.values().filter(|write| write.kind == kind && write.outcome == Outcome::Acknowledged);
        promised
            .filter_map(|write| Some((write.version.as_ref()?.at, (&*write.name, write.version.as_ref()?))))
            .collect()
    }
}
