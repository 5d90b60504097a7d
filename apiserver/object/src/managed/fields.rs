//! The paths that a value sets.

use std::collections::BTreeMap;

use super::element::Element;
use super::set::{Entry, MEMBER, Set};
use crate::typing::{Form, List, Map, Relation, TypeRef, Val, parse_raw};

/// Every leaf, every item of a list that is merged, and every key of a map.
pub fn of_value(ty: TypeRef<'_>, value: Val<'_>) -> Set {
    let mut set = Set::new();
    add(ty, value, &mut set);
    set
}

/// Adds what is below a value; whether the value itself is a leaf.
fn add(ty: TypeRef<'_>, value: Val<'_>, set: &mut Set) -> bool {
    if let Val::Raw(text) = value {
        return parse_raw(text).is_some_and(|tree| add(ty, Val::of(tree.root()), set));
    }
    match ty.atom().deduce(Some(value)).form() {
        Some(Form::Scalar(_)) => true,
        Some(Form::Map(map)) => {
            if !map.atomic {
                add_members(map, value, set);
            }
            map.atomic
        }
        Some(Form::List(list)) => {
            let atomic = matches!(list.relation, Relation::Atomic);
            if !atomic {
                add_items(list, value, set);
            }
            atomic
        }
        None => false,
    }
}

fn add_members(map: Map<'_>, value: Val<'_>, set: &mut Set) {
    for (name, member) in value.members() {
        let Some(ty) = map.member(name) else { continue };
        let mut below = Set::new();
        let leaf = add(ty, member, &mut below);
        let empty = member.is_null() || (member.is_map() && member.members().next().is_none());
        if leaf || empty || map.field(name).is_none() || !below.is_empty() {
            let entry = set.entry(Element::Field(name.to_owned().into()));
            entry.marks |= u8::from(leaf || empty || map.field(name).is_none()) * MEMBER;
            entry.below.union(below);
        }
    }
}

fn add_items(list: List<'_>, value: Val<'_>, set: &mut Set) {
    let items: Vec<(Element<'_>, Val<'_>)> = value
        .items()
        .into_iter()
        .flat_map(|items| items.iter())
        .filter_map(|item| Some((Element::of_item(list, Val::of(item)).ok()?, Val::of(item))))
        .collect();
    let mut counts: BTreeMap<&Element<'_>, usize> = BTreeMap::new();
    for (element, _) in &items {
        *counts.entry(element).or_default() += 1;
    }
    let mut entries = Vec::with_capacity(items.len());
    for (element, item) in &items {
        let mut below = Set::new();
        // Items that are there twice are owned as they are, not looked into.
        if counts.get(element) == Some(&1) {
            add(list.item, *item, &mut below);
        }
        entries.push(Entry { element: element.clone().into_owned(), marks: MEMBER, below });
    }
    set.union(Set::of_items(entries));
}

/// The set with all declared fields above its paths: what must go, too, with the last path below it.
pub fn with_named_fields(set: &Set, ty: Option<TypeRef<'_>>) -> Set {
    let atom = ty.map(TypeRef::atom).unwrap_or_default();
    let entries = set.entries.iter().map(|entry| {
        let name = entry.element.field_name();
        let below = match (&entry.element, atom.map, atom.list) {
            (Element::Field(name), Some(map), _) => map.member(name),
            (Element::Key(_), _, Some(list)) => Some(list.item),
            _ => None,
        };
        let declared = name.is_some_and(|name| atom.map.is_some_and(|map| map.field(name).is_some()));
        let marks = if declared && !entry.below.is_empty() { entry.marks | MEMBER } else { entry.marks };
        Entry { element: entry.element.clone(), marks, below: with_named_fields(&entry.below, below) }
    });
    Set { entries: entries.collect() }
}
