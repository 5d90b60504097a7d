//! Sets that were written before a schema made a field atomic: who owned parts of it owns all of it.

use super::Versions;
use super::entries::Entry;
use super::set::{MEMBER, Set};
use crate::typing::{Form, Relation, TypeRef};

/// Fits all entries to the schemas of their versions.
pub fn entries(entries: &mut [Entry], typing: TypeRef<'_>, api_version: &str, versions: &dyn Versions) {
    for entry in entries {
        let typing = match entry.api_version == api_version {
            true => Some(typing),
            false => versions.typing(&entry.api_version),
        };
        if let Some(typing) = typing
            && has_parts(typing, entry.set(), false)
        {
            let mut set = entry.take_set();
            fit(typing, &mut set);
            entry.put_set(set);
        }
    }
}

/// Whether anything below what is atomic is owned.
fn has_parts(ty: TypeRef<'_>, set: &Set, atomic_above: bool) -> bool {
    if set.is_empty() {
        return false;
    }
    if atomic_above {
        return true;
    }
    match ty.atom().form() {
        Some(Form::Map(map)) if map.is_free() => false,
        Some(Form::Map(map)) if map.atomic => true,
        Some(Form::Map(map)) => set.entries.iter().any(|entry| {
            let member = entry.element.field_name().and_then(|name| map.member(name)).or(map.element);
            member.is_some_and(|ty| has_parts(ty, &entry.below, false))
        }),
        Some(Form::List(list)) if matches!(list.relation, Relation::Atomic) => true,
        Some(Form::List(list)) => set.entries.iter().any(|entry| has_parts(list.item, &entry.below, false)),
        Some(Form::Scalar(_)) | None => false,
    }
}

fn fit(ty: TypeRef<'_>, set: &mut Set) {
    match ty.atom().form() {
        Some(Form::Map(map)) if !map.is_free() && !map.atomic => {
            for entry in &mut set.entries {
                let member = entry.element.field_name().and_then(|name| map.member(name)).or(map.element);
                if let Some(ty) = member {
                    fit_entry(ty, &mut entry.marks, &mut entry.below);
                }
            }
        }
        Some(Form::List(list)) if !matches!(list.relation, Relation::Atomic) => {
            for entry in &mut set.entries {
                fit_entry(list.item, &mut entry.marks, &mut entry.below);
            }
        }
        _ => {}
    }
}

fn fit_entry(ty: TypeRef<'_>, marks: &mut u8, below: &mut Set) {
    let atomic = match ty.atom().form() {
        Some(Form::Map(map)) => !map.is_free() && map.atomic,
        Some(Form::List(list)) => matches!(list.relation, Relation::Atomic),
        _ => false,
    };
    match atomic && !below.is_empty() {
        true => {
            *below = Set::new();
            *marks |= MEMBER;
        }
        false => fit(ty, below),
    }
}
