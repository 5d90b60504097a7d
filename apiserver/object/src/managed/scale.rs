//! Who owns the replicas of an object, seen through its scale subresource and back.
//!
//! A Scale shows those of its object's managers who own the replicas, as owners of its own `spec.replicas`; what a write
//! of the Scale made of them is then put back into the object.

use super::Manager;
use super::entries::{self, Entry};
use super::set::Set;
use crate::tree::Tree;

const SCALE: &str = "autoscaling/v1";
const REPLICAS: &[&str] = &["spec", "replicas"];

/// Where a version of the object has its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// There is no such version.
    Unknown,
    /// It has no scale.
    Nowhere,
    At(Vec<String>),
}

impl Replicas {
    fn path(&self) -> Option<Vec<&str>> {
        match self {
            Replicas::At(path) => Some(path.iter().map(String::as_str).collect()),
            Replicas::Unknown | Replicas::Nowhere => None,
        }
    }

    fn is_owned_by(&self, entry: &Entry) -> bool {
        self.path().is_some_and(|path| entry.set().has_fields(&path))
    }
}

fn of_object(object: &Tree) -> Result<Vec<Entry>, String> {
    entries::list(object).map_or(Ok(Vec::new()), entries::decode)
}

/// Gives a Scale the managers of its object's replicas. `place` says where a version (`apps/v1`) has them.
pub fn to_scale(object: &Tree, scale: &mut Tree, place: &dyn Fn(&str) -> Replicas) -> Result<(), String> {
    let mut shown: Vec<Entry> = Vec::new();
    for mut entry in of_object(object)? {
        if !place(&entry.api_version).is_owned_by(&entry) {
            continue;
        }
        entry.api_version = SCALE.to_owned();
        entry.put_set(of_path(REPLICAS));
        shown.retain(|other| !other.same_manager(&entry));
        shown.push(entry);
    }
    entries::sort(&mut shown);
    entries::encode(scale, &shown);
    Ok(())
}

/// Puts the managers of a Scale back into its object, which is of the version `api_version`.
pub fn to_object(
    object: &mut Tree,
    scale: &Tree,
    api_version: &str,
    place: &dyn Fn(&str) -> Replicas,
) -> Result<(), String> {
    let before = of_object(object)?;
    let mut new: Vec<Entry> = of_object(scale)?;
    new.retain(|entry| entry.set().has_fields(REPLICAS));
    let mut kept: Vec<Entry> = Vec::new();
    for mut entry in before {
        let replicas = place(&entry.api_version);
        if replicas == Replicas::Unknown {
            continue;
        }
        if replicas.is_owned_by(&entry) {
            match new.iter().position(|other| entry.same_manager(other)) {
                // An update is not recognised, whose version is another there: as upstream has it, what it still owns
                // becomes an entry of its own.
                Some(found) => drop(new.remove(found)),
                None => {
                    let mut set = entry.take_set();
                    set.subtract(&of_path(&replicas.path().unwrap_or_default()));
                    entry.put_set(set);
                }
            }
        }
        if !entry.set().is_empty() {
            kept.push(entry);
        }
    }
    let own = place(api_version);
    for entry in new {
        // Upstream forgets the time of those that are new.
        let manager = Manager { name: &entry.manager, api_version, subresource: &entry.subresource, time: "" };
        let set = of_path(&own.path().unwrap_or_default());
        kept.push(Entry::new(&manager, entry.applied, set));
    }
    entries::sort(&mut kept);
    entries::encode(object, &kept);
    Ok(())
}

fn of_path(path: &[&str]) -> Set {
    let mut set = Set::new();
    set.insert_fields(path);
    set
}
