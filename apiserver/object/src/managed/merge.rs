//! Merging an applied configuration into an object: nothing is removed, and where both set a leaf the configuration's
//! counts.

use std::collections::{BTreeMap, BTreeSet};

use super::element::Element;
use crate::tree::{Id, Tree};
use crate::typing::{Form, List, Map, Relation, TypeRef, Val};

/// The merged value, in `out`; None where there is none. Both values are maps and lists.
pub fn merge(
    ty: TypeRef<'_>,
    live: Option<Val<'_>>,
    config: Option<Val<'_>>,
    out: &mut Tree,
) -> Result<Option<Id>, String> {
    let atom = ty.atom();
    let Some(form) = atom.deduce(config.or(live)).form() else { return Ok(None) };
    match form {
        Form::Scalar(_) => Ok(leaf(live, config, out)),
        Form::Map(map) => members(map, live, config, out),
        Form::List(list) => items(list, live, config, out),
    }
}

fn leaf(live: Option<Val<'_>>, config: Option<Val<'_>>, out: &mut Tree) -> Option<Id> {
    config.or(live).map(|value| out.import_plain(value))
}

fn members(map: Map<'_>, live: Option<Val<'_>>, config: Option<Val<'_>>, out: &mut Tree) -> Result<Option<Id>, String> {
    let empty = |value: Option<Val<'_>>| value.is_none_or(|value| value.members().next().is_none());
    if map.atomic || (empty(live) && empty(config)) {
        return Ok(leaf(live, config, out));
    }
    let names: BTreeSet<&str> =
        live.into_iter().chain(config).flat_map(|value| value.members()).map(|(name, _)| name).collect();
    let mut merged = Vec::with_capacity(names.len());
    for name in names {
        let Some(ty) = map.member(name) else { return Err(format!(".{name}: field not declared in schema")) };
        let live = live.and_then(|value| value.get(name));
        let config = config.and_then(|value| value.get(name));
        if let Some(id) = merge(ty, live, config, out)? {
            merged.push((name, id));
        }
    }
    Ok((!merged.is_empty()).then(|| out.map_of(&merged)))
}

/// The items of a list by what tells them apart; those that are there twice are not merged with anything.
struct Items<'t> {
    order: Vec<(Element<'t>, Val<'t>)>,
    single: BTreeMap<Element<'t>, Val<'t>>,
}

impl<'t> Items<'t> {
    fn new<'s: 't>(list: List<'s>, value: Option<Val<'t>>, allow_duplicates: bool) -> Result<Items<'t>, String> {
        let mut items = Items { order: Vec::new(), single: BTreeMap::new() };
        for (i, item) in value.and_then(Val::items).into_iter().flat_map(|items| items.iter()).enumerate() {
            let item = Val::of(item);
            let element = Element::of_item(list, item).map_err(|error| format!("element {i}: {error}"))?;
            if items.single.contains_key(&element) {
                if !allow_duplicates {
                    return Err(format!("duplicate entries for key {element}"));
                }
                items.single.insert(element.clone(), Val::Null);
            } else {
                items.single.insert(element.clone(), item);
            }
            items.order.push((element, item));
        }
        Ok(items)
    }

    fn get(&self, element: &Element<'t>) -> Option<Val<'t>> {
        self.single.get(element).copied()
    }
}

fn items(list: List<'_>, live: Option<Val<'_>>, config: Option<Val<'_>>, out: &mut Tree) -> Result<Option<Id>, String> {
    let empty = |value: Option<Val<'_>>| value.and_then(Val::items).is_none_or(|items| items.is_empty());
    if matches!(list.relation, Relation::Atomic) || (empty(live) && empty(config)) {
        return Ok(leaf(live, config, out));
    }
    let merged = interleave(list, live, config, out)?;
    Ok((!merged.is_empty()).then(|| out.list(&merged)))
}

/// The configuration's order holds among what it names; what only the object has stays before what followed it.
fn interleave(
    list: List<'_>,
    live: Option<Val<'_>>,
    config: Option<Val<'_>>,
    out: &mut Tree,
) -> Result<Vec<Id>, String> {
    let config = Items::new(list, config, false)?;
    let live = Items::new(list, live, true)?;
    let mut shared = config.order.iter().map(|(element, _)| element).filter(|element| live.get(element).is_some());
    let mut next_shared = shared.next();
    let mut done: BTreeSet<&Element<'_>> = BTreeSet::new();
    let mut merged = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < live.order.len() || j < config.order.len() {
        if let (Some((element, _)), Some((wanted, _))) = (live.order.get(i), config.order.get(j)) {
            if element == wanted {
                done.insert(wanted);
                merged.extend(merge(list.item, live.get(element), config.get(element), out)?);
                (i, j) = (i + 1, j + 1);
                next_shared = shared.next();
                continue;
            }
            if config.get(element).is_some() && next_shared.is_some_and(|next| next != element) {
                i += 1;
                continue;
            }
        }
        if let Some((element, item)) = live.order.get(i) {
            if config.get(element).is_none() {
                merged.extend(merge(list.item, Some(*item), None, out)?);
                i += 1;
                continue;
            }
            if done.contains(element) {
                i += 1;
            }
        }
        if let Some((wanted, _)) = config.order.get(j) {
            done.insert(wanted);
            merged.extend(merge(list.item, live.get(wanted), config.get(wanted), out)?);
            j += 1;
            if next_shared == Some(wanted) {
                next_shared = shared.next();
            }
        }
    }
    Ok(merged)
}
