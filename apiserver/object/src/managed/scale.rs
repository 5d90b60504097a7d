//! Who owns the replicas of an object, seen through its scale subresource and back.
//!
//! A Scale shows those of its object's managers who own the replicas, as owners of its own `spec.replicas`; what a write
//! of the Scale made of them is then put back into the object.

use std::collections::HashMap;

use super::Manager;
use super::entries::{self, Entry, Identity};
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
        shown.push(entry);
    }
    entries::keep_last(&mut shown);
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
    let places: HashMap<Identity<'_>, usize> =
        new.iter().enumerate().map(|(place, entry)| (entry.identity(), place)).collect();
    let mut is_new = vec![true; new.len()];
    let mut kept: Vec<Entry> = Vec::new();
    for mut entry in before {
        let replicas = place(&entry.api_version);
        if replicas == Replicas::Unknown {
            continue;
        }
        if replicas.is_owned_by(&entry) {
            let found = places.get(&entry.identity()).copied();
            match found.filter(|&place| is_new[place]) {
                // An update is not recognised, whose version is another there: as upstream has it, what it still owns
                // becomes an entry of its own.
                Some(place) => is_new[place] = false,
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
    for (entry, _) in new.iter().zip(is_new).filter(|&(_, is_new)| is_new) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Form};
    use crate::tree::Node;

    /// `manager operation version subresource fields`, one a line, as an object of a kind.
    fn object(kind: (&str, &str, &str), entries: &str) -> Tree {
        let entry = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [manager, operation, version, subresource, fields] = words[..] else { panic!("five words: {line}") };
            let subresource = subresource.trim_matches('-');
            format!(
                "{{\"manager\":\"{manager}\",\"operation\":\"{operation}\",\"apiVersion\":\"{version}\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{fields},\"subresource\":\"{subresource}\"}}"
            )
        };
        let entries: Vec<String> = entries.lines().map(str::trim).filter(|line| !line.is_empty()).map(entry).collect();
        let ty = corten_schema::kind(kind.0, kind.1, kind.2).expect("the kind is known").ty;
        let text = format!("{{\"metadata\":{{\"managedFields\":[{}]}}}}", entries.join(","));
        json::parse(text.into_bytes(), Form::Typed(ty)).expect("it reads").tree
    }

    fn shown(object: &Tree) -> String {
        let list = object.root().at(&["metadata", "managedFields"]).map(Node::as_list);
        let line = |entry: Node<'_>| {
            let word = |name: &str| Some(entry.get(name).map_or("", Node::as_str)).filter(|word| !word.is_empty());
            let words = ["manager", "operation", "apiVersion", "subresource"].map(|name| word(name).unwrap_or("-"));
            format!("{} {}\n", words.join(" "), entry.get("fieldsV1").and_then(Node::as_raw).unwrap_or("{}"))
        };
        list.map_or(String::new(), |list| list.iter().map(line).collect())
    }

    fn place(api_version: &str) -> Replicas {
        match api_version {
            "apps/v1" => Replicas::At(vec!["spec".into(), "replicas".into()]),
            "apps/v2" => Replicas::Nowhere,
            _ => Replicas::Unknown,
        }
    }

    fn lines(text: &str) -> String {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
    }

    #[track_caller]
    fn check(before: &str, scale: &str, after_scale: &str, after: &str) {
        let mut deployment = object(("apps", "v1", "Deployment"), before);
        let mut seen = object(("autoscaling", "v1", "Scale"), "");
        to_scale(&deployment, &mut seen, &place).expect("the entries are sound");
        assert_eq!(shown(&seen), lines(scale));
        let written = object(("autoscaling", "v1", "Scale"), after_scale);
        to_object(&mut deployment, &written, "apps/v1", &place).expect("the entries are sound");
        assert_eq!(shown(&deployment), lines(after));
    }

    #[test]
    fn who_applied_the_replicas_keeps_them_with_all_else() {
        let applied = r#"a Apply apps/v1 - {"f:spec":{"f:paused":{},"f:replicas":{}}}"#;
        let scale = r#"a Apply autoscaling/v1 - {"f:spec":{"f:replicas":{}}}"#;
        check(applied, scale, scale, applied);
    }

    #[test]
    fn who_loses_the_replicas_keeps_the_rest() {
        check(
            r#"a Apply apps/v1 - {"f:spec":{"f:paused":{},"f:replicas":{}}}
               b Update apps/v1 - {"f:spec":{"f:replicas":{}}}
               c Update apps/v2 - {"f:spec":{"f:paused":{}}}
               d Update extensions/v1beta1 - {"f:spec":{"f:paused":{}}}"#,
            r#"a Apply autoscaling/v1 - {"f:spec":{"f:replicas":{}}}
               b Update autoscaling/v1 - {"f:spec":{"f:replicas":{}}}"#,
            r#"e Update autoscaling/v1 scale {"f:spec":{"f:replicas":{}}}"#,
            r#"a Apply apps/v1 - {"f:spec":{"f:paused":{}}}
               c Update apps/v2 - {"f:spec":{"f:paused":{}}}
               e Update apps/v1 scale {"f:spec":{"f:replicas":{}}}"#,
        );
    }
}
