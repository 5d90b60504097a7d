//! The tree of one object: an arena of small slots, linked by index, whose strings are ranges of one text.
//!
//! The text begins as the bytes that were parsed, so that a string without escapes is never copied; what is set later is
//! appended to it. A struct's entries are keyed by the field's place in its type's table and sorted by it, a map's by
//! its keys, so that reading is a binary search and writing JSON is a walk.
//!
//! **Normal form.** In a struct an entry that Go would not tell from an absent one is absent: a zero scalar that is no
//! pointer. Empty lists and maps stay, because messages tell them from absent ones; they are equal to them all the same,
//! and written like them. The setters of [`Edit`] keep to it. What is absent reads as
//! zero, as in Go. Documents that are not objects of a kind (patches, applied configurations) are parsed without types,
//! into maps and lists, and lose nothing.
//!
//! Slots that are replaced or removed stay in the arena until the tree is dropped: a tree lives as long as one request.

use corten_schema::{FieldId, Shape, TypeId};

mod edit;
mod import;
mod read;
#[cfg(test)]
mod tests;

pub use edit::{Edit, Scalar};
pub use read::{IntOrStr, Items, List, Map, Node, StringMap, Strings, Struct, Value, View};

/// A slot of a tree. It means nothing in another tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub(crate) u32);

/// A range of the tree's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// A range of the tree's links, with room to grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) room: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Text),
    /// JSON text that is kept as it is, without insignificant white space.
    Raw(Text),
    List(Span),
    Struct(TypeId, Span),
    Map(Span),
}

/// An entry of a list, a struct or a map; what `key` holds depends on which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// A struct: the field's number in `start`. A map: the key's text.
    pub(crate) key: Text,
    pub(crate) value: Id,
}

const EMPTY: Span = Span { start: 0, len: 0, room: 0 };

#[derive(Clone, Debug)]
pub struct Tree {
    pub(crate) slots: Vec<Slot>,
    pub(crate) links: Vec<Link>,
    /// Valid UTF-8 wherever a [`Text`] points.
    pub(crate) text: Vec<u8>,
    pub(crate) root: Id,
}

impl Default for Tree {
    fn default() -> Self {
        Tree::new()
    }
}

impl Tree {
    /// A tree whose root is null.
    pub fn new() -> Tree {
        Tree::with_text(Vec::new())
    }

    /// A tree over bytes that are about to be parsed.
    pub(crate) fn with_text(text: Vec<u8>) -> Tree {
        let guess = text.len() / 16 + 8;
        let mut slots = Vec::with_capacity(guess);
        slots.push(Slot::Null);
        Tree { slots, links: Vec::with_capacity(guess), text, root: Id(0) }
    }

    /// A tree whose root is an empty struct.
    pub fn of(ty: TypeId) -> Tree {
        let mut tree = Tree::new();
        tree.root = tree.structure(ty);
        tree
    }

    pub fn root(&self) -> Node<'_> {
        self.node(self.root)
    }

    pub fn root_id(&self) -> Id {
        self.root
    }

    pub fn set_root(&mut self, id: Id) {
        self.root = id;
    }

    pub fn node(&self, id: Id) -> Node<'_> {
        Node { tree: self, id }
    }

    /// The root as a view of a type: `tree.view::<Pod>()`. A root that is no struct reads as one with nothing in it.
    pub fn view<'t, V: View<'t>>(&'t self) -> V {
        V::from_struct(self.root().as_struct())
    }

    /// The root, to be changed.
    pub fn edit(&mut self) -> Edit<'_> {
        let id = self.root;
        Edit { tree: self, id }
    }

    pub fn edit_at(&mut self, id: Id) -> Edit<'_> {
        Edit { tree: self, id }
    }

    // Making slots.

    pub(crate) fn push(&mut self, slot: Slot) -> Id {
        let id = Id(self.slots.len() as u32);
        self.slots.push(slot);
        id
    }

    pub(crate) fn add_text(&mut self, text: &str) -> Text {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text.as_bytes());
        Text { start, len: text.len() as u32 }
    }

    pub(crate) fn text(&self, text: Text) -> &str {
        let bytes = &self.text[text.start as usize..(text.start + text.len) as usize];
        // SAFETY: every Text is made from a `&str`, or by a parser that has checked its bytes, and text is only ever
        // appended to.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    pub fn null(&mut self) -> Id {
        self.push(Slot::Null)
    }
    pub fn bool(&mut self, value: bool) -> Id {
        self.push(Slot::Bool(value))
    }
    pub fn int(&mut self, value: i64) -> Id {
        self.push(Slot::Int(value))
    }
    pub fn float(&mut self, value: f64) -> Id {
        self.push(Slot::Float(value))
    }
    pub fn string(&mut self, value: &str) -> Id {
        let text = self.add_text(value);
        self.push(Slot::Str(text))
    }
    /// JSON text, which the caller has checked and compacted.
    pub fn raw(&mut self, json: &str) -> Id {
        let text = self.add_text(json);
        self.push(Slot::Raw(text))
    }
    pub fn structure(&mut self, ty: TypeId) -> Id {
        self.push(Slot::Struct(ty, EMPTY))
    }
    pub fn map(&mut self) -> Id {
        self.push(Slot::Map(EMPTY))
    }
    /// A map of members that are sorted by name.
    pub fn map_of(&mut self, members: &[(&str, Id)]) -> Id {
        let links: Vec<Link> = members.iter().map(|&(name, value)| Link { key: self.add_text(name), value }).collect();
        let span = self.add_links(links.into_iter());
        self.push(Slot::Map(span))
    }
    pub fn list(&mut self, items: &[Id]) -> Id {
        let span = self.add_links(items.iter().map(|&value| Link { key: Text { start: 0, len: 0 }, value }));
        self.push(Slot::List(span))
    }

    pub(crate) fn add_links(&mut self, links: impl Iterator<Item = Link>) -> Span {
        let start = self.links.len() as u32;
        self.links.extend(links);
        let len = self.links.len() as u32 - start;
        Span { start, len, room: len }
    }

    // Entries.

    pub(crate) fn slot(&self, id: Id) -> Slot {
        self.slots[id.0 as usize]
    }

    pub(crate) fn span(&self, id: Id) -> Span {
        match self.slot(id) {
            Slot::List(span) | Slot::Struct(_, span) | Slot::Map(span) => span,
            _ => EMPTY,
        }
    }

    pub(crate) fn links(&self, span: Span) -> &[Link] {
        &self.links[span.start as usize..(span.start + span.len) as usize]
    }

    pub fn type_of(&self, id: Id) -> Option<TypeId> {
        match self.slot(id) {
            Slot::Struct(ty, _) => Some(ty),
            _ => None,
        }
    }

    /// A struct's field.
    pub fn field(&self, id: Id, field: FieldId) -> Option<Id> {
        let links = self.links(self.span(id));
        let found = links.binary_search_by_key(&(field.0 as u32), |link| link.key.start).ok()?;
        Some(links[found].value)
    }

    /// A map's value, or a struct's field by its JSON name.
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        match self.slot(id) {
            Slot::Struct(ty, _) => self.field(id, ty.get().field_named(key)?),
            Slot::Map(span) => {
                let links = self.links(span);
                let found = links.binary_search_by(|link| self.text(link.key).cmp(key)).ok()?;
                Some(links[found].value)
            }
            _ => None,
        }
    }

    /// The value at a path of keys.
    pub fn at(&self, id: Id, path: &[&str]) -> Option<Id> {
        path.iter().try_fold(id, |id, key| self.get(id, key))
    }

    pub fn items(&self, id: Id) -> impl DoubleEndedIterator<Item = Id> + ExactSizeIterator + '_ {
        self.links(self.span(id)).iter().map(|link| link.value)
    }

    pub fn len(&self, id: Id) -> usize {
        self.span(id).len as usize
    }

    pub fn is_empty(&self, id: Id) -> bool {
        self.len(id) == 0
    }

    /// Whether both hold the same, what is absent and what Go reads as zero being one.
    pub fn equal(&self, id: Id, other: &Tree, other_id: Id) -> bool {
        self.node(id).equals(other.node(other_id))
    }
}

/// Whether a field that holds this is not told from one that is absent.
pub(crate) fn is_like_absent(field: &corten_schema::Field, node: Node<'_>) -> bool {
    // The zero of a number or text is the number: an empty text is something else.
    let other_zero = matches!((field.shape, node.value()), (Shape::IntOrString, Value::Str(_)));
    zero_is_absent(field) && node.is_zero() && !other_zero
}

/// Whether a field of this shape, when it holds its zero, is not told from one that is absent.
pub(crate) fn zero_is_absent(field: &corten_schema::Field) -> bool {
    match field.shape {
        _ if field.pointer => false,
        // An empty list or map is written like an absent one, but messages tell them apart.
        Shape::List(_) | Shape::Map(_) | Shape::WrappedList(_) => false,
        Shape::Bytes => field.omit_empty,
        Shape::Raw(_) | Shape::SchemaOr(_) => false,
        _ => true,
    }
}
