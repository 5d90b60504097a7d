//! Merging lists: by key or as sets, and putting the result in order.
//!
//! The order is that of the directive, else of the patch; what only the server has stays before the item that followed
//! it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::{DIRECTIVE, FieldMeta, Merge, Meta, ORDER, bad_order, list_of_lists, plain};
use crate::patch::show::go_type;
use crate::tree::{Id, Node, Value};
use corten_api::status::Status;

/// A scalar that items are told apart by. Scalars of different types are different.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Scalar<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(u64),
    Str(&'t str),
}

impl<'t> Scalar<'t> {
    /// None for what is no scalar, which equals nothing.
    fn of(node: Node<'t>) -> Option<Scalar<'t>> {
        Some(match node.value() {
            Value::Null => Scalar::Null,
            Value::Bool(value) => Scalar::Bool(value),
            Value::Int(value) => Scalar::Int(value),
            // Both zeros are the same.
            Value::Float(value) => Scalar::Float(if value == 0.0 { 0 } else { value.to_bits() }),
            Value::Str(value) | Value::Raw(value) => Scalar::Str(value),
            Value::List(_) | Value::Map(_) | Value::Struct(_) => return None,
        })
    }
}

/// Where in a list each key's first item stands.
struct Places<'t> {
    of: HashMap<Scalar<'t>, usize>,
    /// An item that is no map: a search fails there.
    no_map: Option<usize>,
}

impl Places<'_> {
    fn find(&self, key: Option<Scalar<'_>>) -> Result<Option<usize>, Status> {
        match (key.and_then(|key| self.of.get(&key)), self.no_map) {
            (Some(&place), _) => Ok(Some(place)),
            (None, Some(place)) => Err(plain(format!("value for key {place} is not a map"))),
            (None, None) => Ok(None),
        }
    }
}

impl Merge {
    /// `$setElementOrder/x`: merges `x` and puts it in the order given.
    pub(super) fn ordered_lists(&mut self, original: Id, patch: Id, meta: Meta) -> Result<(), Status> {
        for directive in self.keys(patch) {
            if directive.starts_with(ORDER) {
                self.ordered_list(original, patch, &directive, meta)?;
            }
        }
        Ok(())
    }

    fn ordered_list(&mut self, original: Id, patch: Id, directive: &str, meta: Meta) -> Result<(), Status> {
        let Some(order) = self.tree.remove_key(patch, directive) else { return Ok(()) };
        let order = self.items(order)?;
        let key = directive.strip_prefix(ORDER).and_then(|rest| rest.strip_prefix('/')).ok_or_else(bad_order)?;
        let (in_original, in_patch) = (self.tree.get(original, key), self.tree.get(patch, key));
        let live = in_original.map_or(Ok(Vec::new()), |list| self.items(list))?;
        let changes = in_patch.map_or(Ok(Vec::new()), |list| self.items(list))?;
        let field = meta.list_field(key)?;
        self.check_order(&changes, &order, field.key)?;
        let merged = match (in_original, in_patch) {
            (None, None) => return Ok(()),
            (Some(_), None) => live.clone(),
            (None, Some(list)) => match self.without_directives(list) {
                Some(list) => self.items(list)?,
                None => return Ok(()),
            },
            (Some(current), Some(list)) => {
                let merged = self.lists(current, list, field, false)?;
                self.items(merged)?
            }
        };
        let (from_patch, server_only) = self.partition(&merged, &order, field.key)?;
        let maps = self.element_type(&[&live, &changes])? == "map[string]interface {}";
        let sorted = self.in_order(from_patch, server_only, &order, &live, field.key, maps)?;
        let list = self.tree.list(&sorted);
        self.tree.set_key(original, key, list);
        self.tree.remove_key(patch, key);
        Ok(())
    }

    /// The patch's items must be in the order's order, and all of them in it.
    fn check_order(&self, patch: &[Id], order: &[Id], key: &str) -> Result<(), Status> {
        if order.is_empty() || patch.is_empty() {
            return Ok(());
        }
        let kept = if key.is_empty() { patch.to_vec() } else { self.split_deleted(patch)?.0 };
        let (mut i, mut j) = (0, 0);
        while i < kept.len() && j < order.len() {
            if self.tree.get(kept[i], DIRECTIVE).is_some() {
                i += 1;
                continue;
            }
            if self.same_key(kept[i], order[j], key)? {
                i += 1;
            }
            j += 1;
        }
        if i < kept.len() && j >= order.len() {
            let (patch, order) = (self.show_all(patch), self.show_all(order));
            return Err(plain(format!("The order in patch list:\n{patch}\n doesn't match {ORDER} list:\n{order}\n")));
        }
        Ok(())
    }

    fn show_all(&self, items: &[Id]) -> String {
        let items: Vec<String> = items.iter().map(|&item| self.show(item)).collect();
        format!("[{}]", items.join(" "))
    }

    fn same_key(&self, left: Id, right: Id, key: &str) -> Result<bool, Status> {
        if key.is_empty() {
            return Ok(self.same(left, right));
        }
        for id in [left, right] {
            if !self.is_map(id) {
                return Err(self.bad_type("map[string]interface {}", id));
            }
        }
        let left_key = self.tree.get(left, key).ok_or_else(|| self.no_merge_key(left, key))?;
        let right_key = self.tree.get(right, key).ok_or_else(|| self.no_merge_key(right, key))?;
        Ok(self.same(left_key, right_key))
    }

    fn scalar(&self, id: Id) -> Option<Scalar<'_>> {
        Scalar::of(self.tree.node(id))
    }

    /// Scalars of one type and value.
    fn same(&self, a: Id, b: Id) -> bool {
        let a = self.scalar(a);
        a.is_some() && a == self.scalar(b)
    }

    /// What an item is told apart by.
    fn key_of(&self, item: Id, key: &str) -> Option<Scalar<'_>> {
        self.scalar(self.tree.get(item, key)?)
    }

    fn places(&self, items: &[Id], key: &str) -> Places<'_> {
        let mut places = Places { of: HashMap::with_capacity(items.len()), no_map: None };
        for (place, &item) in items.iter().enumerate() {
            if !self.is_map(item) {
                places.no_map = Some(place);
                break;
            }
            if let Some(key) = self.key_of(item, key) {
                places.of.entry(key).or_insert(place);
            }
        }
        places
    }

    fn split_deleted(&self, items: &[Id]) -> Result<(Vec<Id>, Vec<Id>), Status> {
        let (mut kept, mut deleted) = (Vec::new(), Vec::new());
        for &item in items {
            if !self.is_map(item) {
                return Err(self.bad_type("map[string]interface {}", item));
            }
            match self.tree.get(item, DIRECTIVE).map(|directive| self.tree.node(directive).as_str()) {
                Some("delete") => deleted.push(item),
                _ => kept.push(item),
            }
        }
        Ok((kept, deleted))
    }

    /// Merges two lists, and returns the result.
    pub(super) fn lists(&mut self, original: Id, patch: Id, field: FieldMeta, deletes: bool) -> Result<Id, Status> {
        if !field.merge && !deletes {
            return Ok(patch);
        }
        let (live, changes) = (self.items(original)?, self.items(patch)?);
        if live.is_empty() && changes.is_empty() {
            return Ok(original);
        }
        let maps = self.element_type(&[&live, &changes])? == "map[string]interface {}";
        let (live, changes, merged) = if !maps {
            if deletes {
                let gone: HashSet<Scalar<'_>> = changes.iter().filter_map(|&item| self.scalar(item)).collect();
                let stays = |item: &Id| self.scalar(*item).is_none_or(|item| !gone.contains(&item));
                let kept: Vec<Id> = live.iter().copied().filter(stays).collect();
                return Ok(self.tree.list(&kept));
            }
            let merged = self.deduplicated(&live, &changes);
            (live, changes, merged)
        } else {
            if field.key.is_empty() {
                let kind = field.meta.kind();
                return Err(plain(format!("cannot merge lists without merge key for {kind}")));
            }
            let (live, changes) = self.special_items(live, changes, field.key)?;
            let merged = self.merged_items(&live, &changes, field)?;
            (live, changes, merged)
        };
        let (from_patch, server_only) = self.partition(&merged, &changes, field.key)?;
        let sorted = self.in_order(from_patch, server_only, &changes, &live, field.key, maps)?;
        Ok(self.tree.list(&sorted))
    }

    fn element_type(&self, lists: &[&[Id]]) -> Result<&'static str, Status> {
        let mut found: Option<&'static str> = None;
        for &item in lists.iter().copied().flatten() {
            let ty = go_type(self.tree.node(item));
            match found {
                None if ty == "[]interface {}" => return Err(list_of_lists()),
                None => found = Some(ty),
                Some(first) if first != ty => {
                    let shown: Vec<String> = lists.iter().map(|list| self.show_all(list)).collect();
                    return Err(plain(format!("list element types are not identical: [{}]", shown.join(" "))));
                }
                Some(_) => {}
            }
        }
        found.ok_or_else(|| plain("no elements in any of the given slices"))
    }

    /// Of equal ones the first stays; the last item takes the place of one that goes, as upstream does it.
    fn deduplicated(&self, live: &[Id], patch: &[Id]) -> Vec<Id> {
        let mut all: Vec<Id> = live.iter().chain(patch).copied().collect();
        let mut places: HashMap<Scalar<'_>, BTreeSet<usize>> = HashMap::with_capacity(all.len());
        for (place, &item) in all.iter().enumerate() {
            if let Some(item) = self.scalar(item) {
                places.entry(item).or_default().insert(place);
            }
        }
        let mut i = 0;
        while i + 1 < all.len() {
            let equal = self.scalar(all[i]);
            while let Some(again) = equal.and_then(|equal| places.get(&equal)?.range(i + 1..).next().copied()) {
                let last = all.len() - 1;
                for (item, from, to) in [(equal, again, None), (self.scalar(all[last]), last, Some(again))] {
                    if let Some(places) = item.and_then(|item| places.get_mut(&item)) {
                        places.remove(&from);
                        places.extend(to.filter(|_| last != again));
                    }
                }
                all.swap_remove(again);
            }
            i += 1;
        }
        all
    }

    /// Carries out the directives among a patch's items.
    fn special_items(&self, mut live: Vec<Id>, patch: Vec<Id>, key: &str) -> Result<(Vec<Id>, Vec<Id>), Status> {
        let mut changes = Vec::new();
        let mut gone = HashSet::new();
        let mut replace = false;
        for item in patch {
            let Some(directive) = self.tree.get(item, DIRECTIVE) else {
                changes.push(item);
                continue;
            };
            match self.tree.node(directive).as_str() {
                "delete" => {
                    let value = self.tree.get(item, key).ok_or_else(|| self.no_merge_key(item, key))?;
                    gone.extend(self.scalar(value));
                }
                "replace" => replace = true,
                "merge" => return Err(plain("merging lists cannot yet be specified in the patch")),
                _ => return Err(self.unknown_directive(directive, item)),
            }
        }
        live.retain(|&item| self.key_of(item, key).is_none_or(|key| !gone.contains(&key)));
        Ok(if replace { (changes, Vec::new()) } else { (live, changes) })
    }

    fn merged_items(&mut self, live: &[Id], patch: &[Id], field: FieldMeta) -> Result<Vec<Id>, Status> {
        let mut merged = live.to_vec();
        let mut targets = self.targets(live, patch, field.key).into_iter();
        for &item in patch {
            match targets.next() {
                Some(Some(place)) => merged[place] = self.maps(merged[place], item, field.meta)?,
                Some(None) => merged.push(item),
                None => return Err(self.no_merge_key(item, field.key)),
            }
        }
        Ok(merged)
    }

    /// Where in the merged list each item of a patch belongs: the place of the item that it is merged into, or None
    /// where it is put at the end. The first item without a key ends the list.
    fn targets(&self, live: &[Id], patch: &[Id], key: &str) -> Vec<Option<usize>> {
        let mut places: HashMap<Scalar<'_>, VecDeque<usize>> = HashMap::with_capacity(live.len());
        for (place, &item) in live.iter().enumerate() {
            if let Some(key) = self.key_of(item, key) {
                places.entry(key).or_default().push_back(place);
            }
        }
        let mut targets = Vec::with_capacity(patch.len());
        let mut end = live.len();
        for &item in patch {
            let Some(value) = self.tree.get(item, key) else { break };
            let value = self.scalar(value);
            let found = value.and_then(|value| places.get_mut(&value));
            targets.push(match (found, value) {
                // A null takes the key out of the item that it is merged into.
                (Some(of_null), Some(Scalar::Null)) => of_null.pop_front(),
                (Some(places), _) => places.front().copied(),
                (None, _) => None,
            });
            if targets.last() == Some(&None) {
                if let Some(value) = value {
                    places.entry(value).or_default().push_back(end);
                }
                end += 1;
            }
        }
        targets
    }

    /// Those that are in `by` too, and the others.
    fn partition(&self, items: &[Id], by: &[Id], key: &str) -> Result<(Vec<Id>, Vec<Id>), Status> {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        let values: HashSet<Scalar<'_>> = match key.is_empty() {
            true => by.iter().filter_map(|&item| self.scalar(item)).collect(),
            false => HashSet::new(),
        };
        let places = self.places(if key.is_empty() { &[] } else { by }, key);
        for &item in items {
            let found = if key.is_empty() {
                self.scalar(item).is_some_and(|item| values.contains(&item))
            } else {
                if !self.is_map(item) {
                    return Err(self.bad_type("map[string]interface {}", item));
                }
                let value = self.tree.get(item, key).ok_or_else(|| self.no_merge_key(item, key))?;
                places.find(self.scalar(value))?.is_some()
            };
            if found { inside.push(item) } else { outside.push(item) }
        }
        Ok((inside, outside))
    }

    fn in_order(
        &self,
        patch: Vec<Id>,
        server_only: Vec<Id>,
        patch_order: &[Id],
        server_order: &[Id],
        key: &str,
        maps: bool,
    ) -> Result<Vec<Id>, Status> {
        let patch = self.sorted(patch, patch_order, key, maps)?;
        let server_only = self.sorted(server_only, server_order, key, maps)?;
        let server_places = self.order(server_order, key, maps);
        let place = |item: Id| self.place(&server_places, item, key, maps);
        let mut result = Vec::with_capacity(patch.len() + server_only.len());
        let (mut left, mut right) = (server_only.into_iter().peekable(), patch.into_iter().peekable());
        loop {
            let take_left = match (left.peek(), right.peek()) {
                (None, None) => return Ok(result),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(&l), Some(&r)) => matches!((place(l), place(r)), (Some(l), Some(r)) if l < r),
            };
            result.extend(if take_left { left.next() } else { right.next() });
        }
    }

    fn sorted(&self, items: Vec<Id>, order: &[Id], key: &str, maps: bool) -> Result<Vec<Id>, Status> {
        let (mut items, deleted) = if maps {
            for &item in items.iter().chain(order) {
                if !self.is_map(item) {
                    return Err(self.bad_type("map[string]interface {}", item));
                }
                if self.tree.get(item, key).is_none() {
                    return Err(self.no_merge_key(item, key));
                }
            }
            self.split_deleted(&items)?
        } else {
            (items, Vec::new())
        };
        let places = self.order(order, key, maps);
        items.sort_by_cached_key(|&item| self.place(&places, item, key, maps).unwrap_or(usize::MAX));
        items.extend(deleted);
        Ok(items)
    }

    /// Where in an order each value, or each key's item, comes first.
    fn order(&self, order: &[Id], key: &str, maps: bool) -> HashMap<Scalar<'_>, usize> {
        let mut places = HashMap::with_capacity(order.len());
        for (place, &item) in order.iter().enumerate() {
            let value = if maps { self.key_of(item, key) } else { self.scalar(item) };
            if let Some(value) = value {
                places.entry(value).or_insert(place);
            }
        }
        places
    }

    fn place(&self, order: &HashMap<Scalar<'_>, usize>, item: Id, key: &str, maps: bool) -> Option<usize> {
        let value = if maps { self.key_of(item, key) } else { self.scalar(item) };
        order.get(&value?).copied()
    }
}
