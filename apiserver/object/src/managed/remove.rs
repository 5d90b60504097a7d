//! Taking paths out of a value.

use super::element::Element;
use super::set::Set;
use crate::tree::{Id, Tree};
use crate::typing::{Form, List, Map, Relation, TypeRef, Val};

/// A copy, in `out`, of a value of maps and lists without some paths. None where nothing of it is left.
pub fn remove(ty: TypeRef<'_>, value: Val<'_>, set: &Set, out: &mut Tree) -> Option<Id> {
    match ty.atom().deduce(Some(value)).form()? {
        Form::Scalar(_) => Some(out.import_plain(value)),
        Form::Map(map) => members(map, value, set, out),
        Form::List(list) => items(list, value, set, out),
    }
}

fn members(map: Map<'_>, value: Val<'_>, set: &Set, out: &mut Tree) -> Option<Id> {
    if map.atomic {
        return None;
    }
    let mut kept: Vec<(&str, Id)> = Vec::new();
    let mut matched = false;
    for (name, member) in value.members() {
        let entry = set.get(&Element::Field(name.into()));
        if entry.is_some_and(|entry| entry.marks != 0) {
            continue;
        }
        let id = match (entry, map.member(name)) {
            (Some(entry), Some(ty)) if !entry.below.is_empty() => {
                matched = true;
                below(ty, member, &entry.below, out)
            }
            _ => out.import_plain(member),
        };
        kept.push((name, id));
    }
    (!kept.is_empty() || matched).then(|| out.map_of(&kept))
}

/// What had something taken out of it stays, if only as an empty container.
fn below(ty: TypeRef<'_>, value: Val<'_>, set: &Set, out: &mut Tree) -> Id {
    match remove(ty, value, set, out) {
        Some(id) => id,
        None if value.is_map() => out.map(),
        None if value.items().is_some() => out.list(&[]),
        None => out.null(),
    }
}

fn items(list: List<'_>, value: Val<'_>, set: &Set, out: &mut Tree) -> Option<Id> {
    if matches!(list.relation, Relation::Atomic) {
        return None;
    }
    let mut kept = Vec::new();
    let mut matched = false;
    for item in value.items()?.iter() {
        let item = Val::of(item);
        let entry = Element::of_item(list, item).ok().and_then(|element| set.get(&element));
        match entry {
            Some(entry) if entry.marks != 0 => {}
            Some(entry) if !entry.below.is_empty() => {
                matched = true;
                kept.push(below(list.item, item, &entry.below, out));
            }
            _ => kept.push(out.import_plain(item)),
        }
    }
    (!kept.is_empty() || matched).then(|| out.list(&kept))
}
