//! Reading: copyable handles into a tree. A handle to what is absent reads as zero, as Go's zero values do.

use corten_api::field::BadValue;
use corten_api::quantity::Quantity;
use corten_schema::{FieldId, Shape, TypeId};

use super::{Id, Link, Slot, Span, Tree, zero_is_absent};

#[derive(Clone, Copy)]
pub struct Node<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) id: Id,
}

/// A node, taken apart.
#[derive(Clone, Copy)]
pub enum Value<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'t str),
    /// JSON text.
    Raw(&'t str),
    List(List<'t>),
    Struct(Struct<'t>),
    Map(Map<'t>),
}

impl<'t> Node<'t> {
    pub fn tree(self) -> &'t Tree {
        self.tree
    }

    pub fn id(self) -> Id {
        self.id
    }

    pub fn value(self) -> Value<'t> {
        match self.tree.slot(self.id) {
            Slot::Null => Value::Null,
            Slot::Bool(value) => Value::Bool(value),
            Slot::Int(value) => Value::Int(value),
            Slot::Float(value) => Value::Float(value),
            Slot::Str(text) => Value::Str(self.tree.text(text)),
            Slot::Raw(text) => Value::Raw(self.tree.text(text)),
            Slot::List(_) => Value::List(self.as_list()),
            Slot::Struct(..) => Value::Struct(self.as_struct()),
            Slot::Map(_) => Value::Map(self.as_map()),
        }
    }

    pub fn is_null(self) -> bool {
        matches!(self.tree.slot(self.id), Slot::Null)
    }

    /// The string, or "".
    pub fn as_str(self) -> &'t str {
        match self.tree.slot(self.id) {
            Slot::Str(text) => self.tree.text(text),
            _ => "",
        }
    }

    pub fn as_string(self) -> Option<&'t str> {
        match self.tree.slot(self.id) {
            Slot::Str(text) => Some(self.tree.text(text)),
            _ => None,
        }
    }

    /// JSON text that was kept as it is.
    pub fn as_raw(self) -> Option<&'t str> {
        match self.tree.slot(self.id) {
            Slot::Raw(text) => Some(self.tree.text(text)),
            _ => None,
        }
    }

    pub fn as_int(self) -> i64 {
        match self.tree.slot(self.id) {
            Slot::Int(value) => value,
            _ => 0,
        }
    }

    pub fn as_float(self) -> f64 {
        match self.tree.slot(self.id) {
            Slot::Float(value) => value,
            Slot::Int(value) => value as f64,
            _ => 0.0,
        }
    }

    pub fn as_bool(self) -> bool {
        matches!(self.tree.slot(self.id), Slot::Bool(true))
    }

    pub fn as_struct(self) -> Struct<'t> {
        match self.tree.slot(self.id) {
            Slot::Struct(_, span) => Struct { node: Some(self), links: self.tree.links(span) },
            _ => Struct { node: None, links: &[] },
        }
    }

    pub fn as_list(self) -> List<'t> {
        match self.tree.slot(self.id) {
            Slot::List(span) => List { tree: self.tree, links: self.tree.links(span) },
            _ => List { tree: self.tree, links: &[] },
        }
    }

    pub fn as_map(self) -> Map<'t> {
        match self.tree.slot(self.id) {
            Slot::Map(span) => Map { tree: self.tree, links: self.tree.links(span) },
            _ => Map { tree: self.tree, links: &[] },
        }
    }

    /// A map's value or a struct's field, by its JSON name.
    pub fn get(self, key: &str) -> Option<Node<'t>> {
        self.tree.get(self.id, key).map(|id| Node { tree: self.tree, id })
    }

    pub fn at(self, path: &[&str]) -> Option<Node<'t>> {
        self.tree.at(self.id, path).map(|id| Node { tree: self.tree, id })
    }

    /// Whether Go would see the zero of its type.
    pub fn is_zero(self) -> bool {
        match self.value() {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Int(value) => value == 0,
            Value::Float(value) => value == 0.0,
            Value::Str(value) => value.is_empty(),
            Value::Raw(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Struct(structure) => structure.is_zero(),
        }
    }

    /// Go's semantic deep equality: an empty list, an empty map and an absent one are the same.
    pub fn equals(self, other: Node<'_>) -> bool {
        self.same::<false>(other, false)
    }

    /// Compares by text, or quantities (with `quantity`, what is here is one or holds them) by value.
    fn same<const BY_VALUE: bool>(self, other: Node<'_>, quantity: bool) -> bool {
        match (self.value(), other.value()) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => a as f64 == b,
            (Value::Str(a), Value::Str(b)) => a == b || BY_VALUE && quantity && same_amount(a, b),
            (Value::Raw(a), Value::Raw(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same::<BY_VALUE>(b, quantity))
            }
            (Value::Map(a), Value::Map(b)) => {
                let same =
                    |((k, a), (l, b)): ((&str, Node<'_>), (&str, Node<'_>))| k == l && a.same::<BY_VALUE>(b, quantity);
                a.len() == b.len() && a.iter().zip(b.iter()).all(same)
            }
            (Value::Struct(a), Value::Struct(b)) => a.same::<BY_VALUE>(b),
            _ => false,
        }
    }

    /// As an error shows it.
    pub fn bad_value(self) -> BadValue {
        match self.value() {
            Value::Null => BadValue::Null,
            Value::Bool(value) => BadValue::Bool(value),
            Value::Int(value) => BadValue::Int(value),
            Value::Float(value) => BadValue::Float(value),
            Value::Str(value) => BadValue::Str(value.to_owned()),
            _ => BadValue::Json(crate::json::to_string(self)),
        }
    }
}

/// A struct, or one that is absent.
#[derive(Clone, Copy)]
pub struct Struct<'t> {
    node: Option<Node<'t>>,
    links: &'t [Link],
}

impl<'t> Struct<'t> {
    pub const ABSENT: Struct<'static> = Struct { node: None, links: &[] };

    pub fn is_absent(self) -> bool {
        self.node.is_none()
    }

    pub fn as_node(self) -> Option<Node<'t>> {
        self.node
    }

    pub fn id(self) -> Option<Id> {
        self.node.map(|node| node.id)
    }

    pub fn ty(self) -> Option<TypeId> {
        self.node.and_then(|node| node.tree.type_of(node.id))
    }

    pub fn node(self, field: FieldId) -> Option<Node<'t>> {
        let tree = self.node?.tree;
        // Structs are small and mostly sparse: a scan of a few entries beats a search.
        let wanted = u32::from(field.0);
        if self.links.len() <= 8 {
            return self.links.iter().find(|link| link.key.start == wanted).map(|link| Node { tree, id: link.value });
        }
        let found = self.links.binary_search_by_key(&wanted, |link| link.key.start).ok()?;
        Some(Node { tree, id: self.links[found].value })
    }

    /// The fields that are present, in declaration order.
    pub fn fields(self) -> impl DoubleEndedIterator<Item = (FieldId, Node<'t>)> + ExactSizeIterator {
        let node = self.node;
        self.links.iter().map(move |link| {
            let tree = node.expect("an absent struct has no entries").tree;
            (FieldId(link.key.start as u16), Node { tree, id: link.value })
        })
    }

    pub fn has(self, field: FieldId) -> bool {
        self.node(field).is_some()
    }

    pub fn string(self, field: FieldId) -> &'t str {
        self.node(field).map_or("", Node::as_str)
    }
    pub fn string_opt(self, field: FieldId) -> Option<&'t str> {
        self.node(field).and_then(Node::as_string)
    }
    pub fn bool(self, field: FieldId) -> bool {
        self.node(field).is_some_and(Node::as_bool)
    }
    pub fn bool_opt(self, field: FieldId) -> Option<bool> {
        self.node(field).map(Node::as_bool)
    }
    pub fn int(self, field: FieldId) -> i64 {
        self.node(field).map_or(0, Node::as_int)
    }
    pub fn int_opt(self, field: FieldId) -> Option<i64> {
        self.node(field).map(Node::as_int)
    }
    pub fn float(self, field: FieldId) -> f64 {
        self.node(field).map_or(0.0, Node::as_float)
    }
    pub fn float_opt(self, field: FieldId) -> Option<f64> {
        self.node(field).map(Node::as_float)
    }
    pub fn int_or_string(self, field: FieldId) -> IntOrStr<'t> {
        self.int_or_string_opt(field).unwrap_or(IntOrStr::Int(0))
    }
    pub fn int_or_string_opt(self, field: FieldId) -> Option<IntOrStr<'t>> {
        match self.node(field)?.value() {
            Value::Int(value) => Some(IntOrStr::Int(value)),
            Value::Str(value) => Some(IntOrStr::Str(value)),
            _ => None,
        }
    }
    pub fn raw(self, field: FieldId) -> Option<&'t str> {
        self.node(field).and_then(Node::as_raw)
    }
    pub fn structure(self, field: FieldId) -> Struct<'t> {
        self.node(field).map_or(Struct { node: None, links: &[] }, Node::as_struct)
    }
    pub fn structure_opt(self, field: FieldId) -> Option<Struct<'t>> {
        self.node(field).map(Node::as_struct)
    }
    pub fn list(self, field: FieldId) -> List<'t> {
        self.node(field).map_or(List { tree: empty_tree(), links: &[] }, Node::as_list)
    }
    pub fn map(self, field: FieldId) -> Map<'t> {
        self.node(field).map_or(Map { tree: empty_tree(), links: &[] }, Node::as_map)
    }

    pub fn is_zero(self) -> bool {
        self.fields().all(|(id, node)| {
            let field = self.ty().expect("a struct with fields has a type").field(id);
            !field.pointer && node.is_zero()
        })
    }

    pub fn equals(self, other: Struct<'_>) -> bool {
        self.same::<false>(other)
    }

    /// The same, but that quantities are compared by value: `1Gi` means `1024Mi`.
    pub fn means(self, other: Struct<'_>) -> bool {
        self.same::<true>(other)
    }

    /// Whether a field that is present in both means the same.
    pub fn field_means(self, other: Struct<'_>, field: FieldId) -> bool {
        match (self.node(field), other.node(field)) {
            (Some(a), Some(b)) => {
                a.same::<true>(b, self.ty().is_some_and(|ty| holds_quantities(&ty.field(field).shape)))
            }
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    fn same<const BY_VALUE: bool>(self, other: Struct<'_>) -> bool {
        let (mut a, mut b) = (self.fields().peekable(), other.fields().peekable());
        loop {
            match (a.peek(), b.peek()) {
                (None, None) => return true,
                (Some(&(i, x)), Some(&(j, y))) if i == j => {
                    let quantity = BY_VALUE && self.ty().is_some_and(|ty| holds_quantities(&ty.field(i).shape));
                    if !x.same::<BY_VALUE>(y, quantity) {
                        return false;
                    }
                    a.next();
                    b.next();
                }
                (Some(&(i, x)), other_field) if other_field.is_none_or(|&(j, _)| i < j) => {
                    if !same_as_absent(self, i, x) {
                        return false;
                    }
                    a.next();
                }
                (_, Some(&(j, y))) => {
                    if !same_as_absent(other, j, y) {
                        return false;
                    }
                    b.next();
                }
                (Some(_), None) => unreachable!("the arm before takes it"),
            }
        }
    }
}

fn holds_quantities(shape: &Shape) -> bool {
    matches!(shape, Shape::Quantity | Shape::Map(Shape::Quantity) | Shape::List(Shape::Quantity))
}

fn same_amount(a: &str, b: &str) -> bool {
    matches!((Quantity::parse(a), Quantity::parse(b)), (Ok(a), Ok(b)) if a == b)
}

fn same_as_absent(structure: Struct<'_>, id: FieldId, node: Node<'_>) -> bool {
    let Some(ty) = structure.ty() else { return false };
    let field = ty.field(id);
    let list = matches!(node.value(), Value::List(_) | Value::Map(_));
    // Zero as a quantity has a text; one that is absent is written like it.
    let zero = node.is_zero() || matches!((field.shape, node.value()), (Shape::Quantity, Value::Str("0")));
    let text = matches!((field.shape, node.value()), (Shape::IntOrString, Value::Str(_)));
    (list || zero_is_absent(field)) && !(field.pointer && !list) && zero && !text
}

fn empty_tree() -> &'static Tree {
    static EMPTY: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(Tree::new);
    &EMPTY
}

#[derive(Clone, Copy)]
pub struct List<'t> {
    tree: &'t Tree,
    links: &'t [Link],
}

impl<'t> List<'t> {
    pub fn len(self) -> usize {
        self.links.len()
    }
    pub fn is_empty(self) -> bool {
        self.links.is_empty()
    }
    pub fn get(self, index: usize) -> Option<Node<'t>> {
        self.links.get(index).map(|link| Node { tree: self.tree, id: link.value })
    }
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Node<'t>> + ExactSizeIterator + Clone {
        self.links.iter().map(move |link| Node { tree: self.tree, id: link.value })
    }
}

#[derive(Clone, Copy)]
pub struct Map<'t> {
    tree: &'t Tree,
    links: &'t [Link],
}

impl<'t> Map<'t> {
    pub fn len(self) -> usize {
        self.links.len()
    }
    pub fn is_empty(self) -> bool {
        self.links.is_empty()
    }
    /// In the order of the keys.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (&'t str, Node<'t>)> + ExactSizeIterator + Clone {
        self.links.iter().map(move |link| (self.tree.text(link.key), Node { tree: self.tree, id: link.value }))
    }
    /// The entry at a place in the order of the keys.
    pub fn nth(self, place: usize) -> Option<(&'t str, Node<'t>)> {
        let link = self.links.get(place)?;
        Some((self.tree.text(link.key), Node { tree: self.tree, id: link.value }))
    }
    pub fn get(self, key: &str) -> Option<Node<'t>> {
        let found = self.links.binary_search_by(|link| self.tree.text(link.key).cmp(key)).ok()?;
        Some(Node { tree: self.tree, id: self.links[found].value })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IntOrStr<'t> {
    Int(i64),
    Str(&'t str),
}

impl From<IntOrStr<'_>> for BadValue {
    fn from(value: IntOrStr<'_>) -> Self {
        match value {
            IntOrStr::Int(value) => BadValue::Json(value.to_string()),
            IntOrStr::Str(value) => BadValue::Str(value.to_owned()),
        }
    }
}

/// A typed way to read a struct; generated for every type.
pub trait View<'t>: Copy {
    const TYPE: TypeId;
    fn from_struct(structure: Struct<'t>) -> Self;
    fn as_struct(self) -> Struct<'t>;

    fn id(self) -> Option<Id> {
        self.as_struct().id()
    }
    /// As an error shows it.
    fn bad_value(self) -> BadValue {
        self.as_struct().as_node().map_or(BadValue::Json("{}".into()), Node::bad_value)
    }
}

/// A list of structs.
pub struct Items<'t, V> {
    list: List<'t>,
    view: std::marker::PhantomData<fn() -> V>,
}

impl<V> Clone for Items<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V> Copy for Items<'_, V> {}

impl<'t, V: View<'t>> Items<'t, V> {
    pub fn new(list: List<'t>) -> Self {
        Items { list, view: std::marker::PhantomData }
    }
    pub fn len(self) -> usize {
        self.list.len()
    }
    pub fn is_empty(self) -> bool {
        self.list.is_empty()
    }
    pub fn get(self, index: usize) -> Option<V> {
        self.list.get(index).map(|node| V::from_struct(node.as_struct()))
    }
    pub fn iter(self) -> impl DoubleEndedIterator<Item = V> + ExactSizeIterator + Clone {
        self.list.iter().map(|node| V::from_struct(node.as_struct()))
    }
    pub fn nodes(self) -> List<'t> {
        self.list
    }
}

/// A list of strings.
#[derive(Clone, Copy)]
pub struct Strings<'t>(List<'t>);

impl<'t> Strings<'t> {
    pub fn new(list: List<'t>) -> Self {
        Strings(list)
    }
    pub fn len(self) -> usize {
        self.0.len()
    }
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
    pub fn get(self, index: usize) -> Option<&'t str> {
        self.0.get(index).map(Node::as_str)
    }
    pub fn iter(self) -> impl DoubleEndedIterator<Item = &'t str> + ExactSizeIterator + Clone {
        self.0.iter().map(Node::as_str)
    }
    pub fn contains(self, value: &str) -> bool {
        self.iter().any(|item| item == value)
    }
}

/// A map of strings (or of what is written as one: quantities, bytes).
#[derive(Clone, Copy)]
pub struct StringMap<'t>(Map<'t>);

impl<'t> StringMap<'t> {
    pub fn new(map: Map<'t>) -> Self {
        StringMap(map)
    }
    pub fn len(self) -> usize {
        self.0.len()
    }
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
    pub fn get(self, key: &str) -> Option<&'t str> {
        self.0.get(key).map(Node::as_str)
    }
    pub fn contains_key(self, key: &str) -> bool {
        self.0.get(key).is_some()
    }
    /// In the order of the keys.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (&'t str, &'t str)> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, node)| (key, node.as_str()))
    }
    pub fn equals(self, other: StringMap<'_>) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(a, b)| a == b)
    }
}

impl Span {
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}
