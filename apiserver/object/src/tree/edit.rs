//! Changing a tree in place, within the normal form.

use std::collections::BTreeMap;

use corten_schema::{FieldId, Shape, TypeId};

use super::{Id, Link, Node, Slot, Span, Struct, Text, Tree, View, zero_is_absent};

/// A slot that is being changed.
pub struct Edit<'t> {
    pub(crate) tree: &'t mut Tree,
    pub(crate) id: Id,
}

/// A scalar to set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'s> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'s str),
}

impl From<bool> for Scalar<'_> {
    fn from(value: bool) -> Self {
        Scalar::Bool(value)
    }
}
impl From<i64> for Scalar<'_> {
    fn from(value: i64) -> Self {
        Scalar::Int(value)
    }
}
impl From<f64> for Scalar<'_> {
    fn from(value: f64) -> Self {
        Scalar::Float(value)
    }
}
impl<'s> From<&'s str> for Scalar<'s> {
    fn from(value: &'s str) -> Self {
        Scalar::Str(value)
    }
}
impl<'s> From<&'s String> for Scalar<'s> {
    fn from(value: &'s String) -> Self {
        Scalar::Str(value)
    }
}
impl<'s> From<super::IntOrStr<'s>> for Scalar<'s> {
    fn from(value: super::IntOrStr<'s>) -> Self {
        match value {
            super::IntOrStr::Int(value) => Scalar::Int(value),
            super::IntOrStr::Str(value) => Scalar::Str(value),
        }
    }
}

impl Scalar<'_> {
    fn is_zero(self) -> bool {
        matches!(self, Scalar::Bool(false) | Scalar::Int(0) | Scalar::Str("")) || self == Scalar::Float(0.0)
    }
}

impl<'t> Edit<'t> {
    pub fn id(&self) -> Id {
        self.id
    }

    pub fn tree(&mut self) -> &mut Tree {
        self.tree
    }

    pub fn node(&self) -> Node<'_> {
        self.tree.node(self.id)
    }

    pub fn read(&self) -> Struct<'_> {
        self.node().as_struct()
    }

    /// The struct as a view of its type.
    pub fn view<'v, V: View<'v>>(&'v self) -> V {
        V::from_struct(self.read())
    }

    pub fn has(&self, field: FieldId) -> bool {
        self.tree.field(self.id, field).is_some()
    }

    /// The same edit, lent out for a shorter time.
    pub fn reborrow(&mut self) -> Edit<'_> {
        Edit { tree: self.tree, id: self.id }
    }

    pub fn at(&mut self, id: Id) -> Edit<'_> {
        Edit { tree: self.tree, id }
    }

    /// A struct's field, if it is present.
    pub fn field(&mut self, field: FieldId) -> Option<Edit<'_>> {
        let id = self.tree.field(self.id, field)?;
        Some(Edit { tree: self.tree, id })
    }

    /// A struct's field that is a struct, a map or a list; made empty where it is absent.
    pub fn ensure(&mut self, field: FieldId) -> Edit<'_> {
        let id = self.tree.ensure_field(self.id, field);
        Edit { tree: self.tree, id }
    }

    /// `edit.within([Pod::SPEC, PodSpec::SECURITY_CONTEXT])`, made where absent.
    pub fn ensure_path<const N: usize>(&mut self, path: [FieldId; N]) -> Edit<'_> {
        let id = path.iter().fold(self.id, |id, &field| self.tree.ensure_field(id, field));
        Edit { tree: self.tree, id }
    }

    /// Down a path of fields, if all of it is present.
    pub fn path<const N: usize>(&mut self, path: [FieldId; N]) -> Option<Edit<'_>> {
        let id = path.iter().try_fold(self.id, |id, &field| self.tree.field(id, field))?;
        Some(Edit { tree: self.tree, id })
    }

    /// Sets a scalar field. The zero of a field that is no pointer removes it.
    pub fn set<'s>(&mut self, field: FieldId, value: impl Into<Scalar<'s>>) {
        let value = value.into();
        let ty = self.tree.type_of(self.id).expect("set is for structs");
        let shape = ty.field(field).shape;
        let has_zero = match shape {
            Shape::Quantity => false,
            Shape::IntOrString => !matches!(value, Scalar::Str(_)),
            _ => true,
        };
        if has_zero && value.is_zero() && zero_is_absent(ty.field(field)) {
            self.remove(field);
        } else {
            let id = self.tree.scalar(value);
            self.tree.set_field(self.id, field, id);
        }
    }

    /// Sets a scalar field if it is absent (which for a field that is no pointer means zero).
    pub fn default<'s>(&mut self, field: FieldId, value: impl Into<Scalar<'s>>) {
        if !self.has(field) {
            self.set(field, value);
        }
    }

    /// Puts a slot of this tree into a field.
    pub fn put(&mut self, field: FieldId, value: Id) {
        self.tree.set_field(self.id, field, value);
    }

    pub fn remove(&mut self, field: FieldId) {
        self.tree.remove_field(self.id, field);
    }

    /// The ids of a list field's items, for loops that change them.
    pub fn items(&self, field: FieldId) -> Vec<Id> {
        self.tree.field(self.id, field).map_or(Vec::new(), |list| self.tree.items(list).collect())
    }

    /// A map's string value.
    pub fn set_key<'s>(&mut self, key: &str, value: impl Into<Scalar<'s>>) {
        let value = self.tree.scalar(value.into());
        self.tree.set_key(self.id, key, value);
    }

    /// Sets many of a map's string values, which come in the order of their keys.
    pub fn set_keys<K: AsRef<str>, V: AsRef<str>>(&mut self, entries: &[(K, V)]) {
        let entries: Vec<(&str, Id)> =
            entries.iter().map(|(key, value)| (key.as_ref(), self.tree.string(value.as_ref()))).collect();
        self.tree.set_keys(self.id, &entries);
    }

    /// Appends an empty struct to a list field.
    pub fn append(&mut self, field: FieldId, ty: TypeId) -> Edit<'_> {
        let list = self.tree.ensure_field(self.id, field);
        let item = self.tree.structure(ty);
        self.tree.push_item(list, item);
        Edit { tree: self.tree, id: item }
    }
}

impl Tree {
    pub fn scalar(&mut self, value: Scalar<'_>) -> Id {
        match value {
            Scalar::Bool(value) => self.bool(value),
            Scalar::Int(value) => self.int(value),
            Scalar::Float(value) => self.float(value),
            Scalar::Str(value) => self.string(value),
        }
    }

    /// A field that is a struct, a map or a list; made empty where it is absent.
    pub fn ensure_field(&mut self, id: Id, field: FieldId) -> Id {
        if let Some(found) = self.field(id, field) {
            return found;
        }
        let ty = self.type_of(id).expect("only structs have fields");
        let made = match ty.field(field).shape {
            Shape::Struct(ty) => self.structure(ty),
            Shape::Map(_) => self.map(),
            Shape::List(_) | Shape::WrappedList(_) => self.list(&[]),
            shape => panic!("{}.{} is a {shape:?}, not to be made empty", ty.get().name, ty.field(field).name),
        };
        self.set_field(id, field, made);
        made
    }

    pub fn set_field(&mut self, id: Id, field: FieldId, value: Id) {
        let key = Text { start: u32::from(field.0), len: 0 };
        let span = self.span(id);
        match self.links(span).binary_search_by_key(&key.start, |link| link.key.start) {
            Ok(found) => self.links[span.start as usize + found].value = value,
            Err(at) => self.insert_link(id, at, Link { key, value }),
        }
    }

    pub fn remove_field(&mut self, id: Id, field: FieldId) {
        let span = self.span(id);
        if let Ok(found) = self.links(span).binary_search_by_key(&u32::from(field.0), |link| link.key.start) {
            self.remove_link(id, found);
        }
    }

    pub fn set_key(&mut self, id: Id, key: &str, value: Id) {
        let span = self.span(id);
        match self.links(span).binary_search_by(|link| self.text(link.key).cmp(key)) {
            Ok(found) => self.links[span.start as usize + found].value = value,
            Err(at) => {
                let key = self.add_text(key);
                self.insert_link(id, at, Link { key, value });
            }
        }
    }

    /// Sets many of a map's values, which come in the order of their keys: in one pass over the map, where setting them
    /// one by one would move what follows each of them.
    pub fn set_keys(&mut self, id: Id, entries: &[(&str, Id)]) {
        debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "the keys are in order, each once");
        if entries.len() <= 4 {
            return entries.iter().for_each(|(key, value)| self.set_key(id, key, *value));
        }
        let mut old = self.links(self.span(id)).to_vec().into_iter().peekable();
        let mut merged = Vec::with_capacity(old.len() + entries.len());
        for &(key, value) in entries {
            merged.extend(std::iter::from_fn(|| old.next_if(|link| self.text(link.key) < key)));
            let known = old.next_if(|link| self.text(link.key) == key);
            let key = known.map_or_else(|| self.add_text(key), |link| link.key);
            merged.push(Link { key, value });
        }
        merged.extend(old);
        let span = self.add_links(merged.into_iter());
        self.set_span(id, span);
    }

    pub fn remove_key(&mut self, id: Id, key: &str) -> Option<Id> {
        let span = self.span(id);
        let found = self.links(span).binary_search_by(|link| self.text(link.key).cmp(key)).ok()?;
        let value = self.links(span)[found].value;
        self.remove_link(id, found);
        Some(value)
    }

    /// Sets keys of a map (`Some`) and removes others (`None`), in one pass over the map.
    pub fn change_keys(&mut self, id: Id, changes: BTreeMap<String, Option<Id>>) {
        // A change by itself moves what stands behind it, which is cheaper for a few.
        const FEW: usize = 8;
        if changes.len() <= FEW {
            for (key, value) in changes {
                match value {
                    Some(value) => self.set_key(id, &key, value),
                    None => drop(self.remove_key(id, &key)),
                }
            }
            return;
        }
        let mut members = self.links(self.span(id)).to_vec().into_iter().peekable();
        let mut changed = Vec::with_capacity(members.len() + changes.len());
        for (key, value) in changes {
            while let Some(before) = members.next_if(|link| self.text(link.key) < key.as_str()) {
                changed.push(before);
            }
            let present = members.next_if(|link| self.text(link.key) == key);
            if let Some(value) = value {
                let key = present.map_or_else(|| self.add_text(&key), |link| link.key);
                changed.push(Link { key, value });
            }
        }
        changed.extend(members);
        let span = self.add_links(changed.into_iter());
        self.set_span(id, span);
    }

    /// Keeps the members of a map that `keep` says yes to, in one pass over the map.
    pub fn retain_keys(&mut self, id: Id, mut keep: impl FnMut(&str, Node<'_>) -> bool) {
        let span = self.span(id);
        let mut end = span.start as usize;
        for at in span.range() {
            let link = self.links[at];
            if keep(self.text(link.key), self.node(link.value)) {
                self.links[end] = link;
                end += 1;
            }
        }
        self.set_span(id, Span { len: end as u32 - span.start, ..span });
    }

    /// Sets a map's value or a struct's field by its JSON name; a name the struct does not have is left out.
    pub fn set_named(&mut self, id: Id, name: &str, value: Id) {
        match self.type_of(id) {
            Some(ty) => {
                if let Some(field) = ty.get().field_named(name) {
                    self.set_field(id, field, value);
                }
            }
            None => self.set_key(id, name, value),
        }
    }

    pub fn push_item(&mut self, list: Id, value: Id) {
        let len = self.len(list);
        self.insert_link(list, len, Link { key: Text { start: 0, len: 0 }, value });
    }

    pub fn insert_item(&mut self, list: Id, index: usize, value: Id) {
        self.insert_link(list, index, Link { key: Text { start: 0, len: 0 }, value });
    }

    pub fn set_item(&mut self, list: Id, index: usize, value: Id) {
        let span = self.span(list);
        self.links[span.range()][index].value = value;
    }

    pub fn remove_item(&mut self, list: Id, index: usize) {
        self.remove_link(list, index);
    }

    pub fn set_items(&mut self, list: Id, items: &[Id]) {
        let span = self.add_links(items.iter().map(|&value| Link { key: Text { start: 0, len: 0 }, value }));
        self.set_span(list, span);
    }

    /// Makes `id` the same as `other`: a slot takes over another's value.
    pub fn assign(&mut self, id: Id, other: Id) {
        self.slots[id.0 as usize] = self.slots[other.0 as usize];
    }

    fn insert_link(&mut self, id: Id, at: usize, link: Link) {
        let mut span = self.span(id);
        if span.len == span.room {
            span = self.move_with_room(span);
        }
        let start = span.start as usize;
        self.links.copy_within(start + at..start + span.len as usize, start + at + 1);
        self.links[start + at] = link;
        span.len += 1;
        self.set_span(id, span);
    }

    /// Links at the end of the arena grow where they are; others move there, with as much room again.
    fn move_with_room(&mut self, span: Span) -> Span {
        let room = (span.len * 2).max(4);
        let filler = Link { key: Text { start: 0, len: 0 }, value: Id(0) };
        if span.range().end == self.links.len() && span.room == span.len {
            self.links.resize(span.start as usize + room as usize, filler);
            return Span { room, ..span };
        }
        let start = self.links.len();
        self.links.extend_from_within(span.range());
        self.links.resize(start + room as usize, filler);
        Span { start: start as u32, len: span.len, room }
    }

    fn remove_link(&mut self, id: Id, at: usize) {
        let mut span = self.span(id);
        let range = span.range();
        self.links.copy_within(range.start + at + 1..range.end, range.start + at);
        span.len -= 1;
        self.set_span(id, span);
    }

    fn set_span(&mut self, id: Id, new: Span) {
        match &mut self.slots[id.0 as usize] {
            Slot::List(span) | Slot::Struct(_, span) | Slot::Map(span) => *span = new,
            slot => panic!("{slot:?} has no entries"),
        }
    }
}
