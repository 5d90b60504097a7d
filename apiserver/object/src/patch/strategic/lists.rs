//! Merging lists: by key or as sets, and putting the result in order.
//!
//! The order is that of the directive, else of the patch; what only the server has stays before the item that followed
//! it.

use super::{DIRECTIVE, FieldMeta, Merge, Meta, ORDER, bad_order, list_of_lists, plain};
use crate::patch::show::go_type;
use crate::tree::{Id, Node, Value};
use corten_api::status::Status;

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

    /// Scalars of one type and value.
    fn same(&self, a: Id, b: Id) -> bool {
        let scalar = |node: Node<'_>| !matches!(node.value(), Value::List(_) | Value::Map(_));
        let (a, b) = (self.tree.node(a), self.tree.node(b));
        scalar(a) && go_type(a) == go_type(b) && a.equals(b)
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
                let kept: Vec<Id> =
                    live.iter().copied().filter(|&item| !changes.iter().any(|&gone| self.same(gone, item))).collect();
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
        let mut i = 0;
        while i + 1 < all.len() {
            let mut j = i + 1;
            while j < all.len() {
                if self.same(all[i], all[j]) {
                    all.swap_remove(j);
                } else {
                    j += 1;
                }
            }
            i += 1;
        }
        all
    }

    /// Carries out the directives among a patch's items.
    fn special_items(&self, mut live: Vec<Id>, patch: Vec<Id>, key: &str) -> Result<(Vec<Id>, Vec<Id>), Status> {
        let mut changes = Vec::new();
        let mut replace = false;
        for item in patch {
            let Some(directive) = self.tree.get(item, DIRECTIVE) else {
                changes.push(item);
                continue;
            };
            match self.tree.node(directive).as_str() {
                "delete" => {
                    let value = self.tree.get(item, key).ok_or_else(|| self.no_merge_key(item, key))?;
                    while let Some(place) = self.find(&live, key, value)? {
                        live.remove(place);
                    }
                }
                "replace" => replace = true,
                "merge" => return Err(plain("merging lists cannot yet be specified in the patch")),
                _ => return Err(self.unknown_directive(directive, item)),
            }
        }
        Ok(if replace { (changes, Vec::new()) } else { (live, changes) })
    }

    fn merged_items(&mut self, live: &[Id], patch: &[Id], field: FieldMeta) -> Result<Vec<Id>, Status> {
        let mut merged = live.to_vec();
        for &item in patch {
            let value = self.tree.get(item, field.key).ok_or_else(|| self.no_merge_key(item, field.key))?;
            match self.find(&merged, field.key, value)? {
                Some(place) => merged[place] = self.maps(merged[place], item, field.meta)?,
                None => merged.push(item),
            }
        }
        Ok(merged)
    }

    fn find(&self, items: &[Id], key: &str, value: Id) -> Result<Option<usize>, Status> {
        for (place, &item) in items.iter().enumerate() {
            if !self.is_map(item) {
                return Err(plain(format!("value for key {place} is not a map")));
            }
            if self.tree.get(item, key).is_some_and(|found| self.same(found, value)) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Those that are in `by` too, and the others.
    fn partition(&self, items: &[Id], by: &[Id], key: &str) -> Result<(Vec<Id>, Vec<Id>), Status> {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for &item in items {
            let found = if key.is_empty() {
                by.iter().any(|&other| self.same(other, item))
            } else {
                if !self.is_map(item) {
                    return Err(self.bad_type("map[string]interface {}", item));
                }
                let value = self.tree.get(item, key).ok_or_else(|| self.no_merge_key(item, key))?;
                self.find(by, key, value)?.is_some()
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
        let place = |item: Id| self.place(server_order, item, key, maps);
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
        items.sort_by_key(|&item| self.place(order, item, key, maps).unwrap_or(usize::MAX));
        items.extend(deleted);
        Ok(items)
    }

    fn place(&self, order: &[Id], item: Id, key: &str, maps: bool) -> Option<usize> {
        let value = |id: Id| if maps { self.tree.get(id, key) } else { Some(id) };
        let wanted = value(item)?;
        order.iter().position(|&other| value(other).is_some_and(|other| self.same(other, wanted)))
    }
}
