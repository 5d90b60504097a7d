//! A value as its JSON shows it: zeros that a struct always writes are there, what `omitempty` drops is not.

use corten_schema::{FieldId, Shape, TypeId};

use crate::json::{self, Form, is_written};
use crate::tree::{Id, List, Map, Node, Struct, Tree, Value};

#[derive(Clone, Copy)]
pub enum Val<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'t str),
    /// JSON text, not looked into.
    Raw(&'t str),
    List(List<'t>),
    Map(Map<'t>),
    /// One that is absent, but always written, has a type too.
    Struct(TypeId, Struct<'t>),
}

impl<'t> Val<'t> {
    pub fn of(node: Node<'t>) -> Val<'t> {
        match node.value() {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(value),
            Value::Int(value) => Val::Int(value),
            Value::Float(value) => Val::Float(value),
            Value::Str(value) => Val::Str(value),
            Value::Raw(value) => Val::Raw(value),
            Value::List(list) => Val::List(list),
            Value::Map(map) => Val::Map(map),
            Value::Struct(structure) => match structure.ty() {
                Some(ty) => Val::Struct(ty, structure),
                None => Val::Null,
            },
        }
    }

    /// A built-in object with nothing in it.
    pub fn empty(ty: TypeId) -> Val<'static> {
        Val::Struct(ty, Struct::ABSENT)
    }

    pub fn is_null(self) -> bool {
        matches!(self, Val::Null)
    }

    /// A list's items; a null is an empty list, and nothing else is one.
    pub fn items(self) -> Option<List<'t>> {
        match self {
            Val::List(list) => Some(list),
            _ => None,
        }
    }

    pub fn is_scalar(self) -> bool {
        matches!(self, Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Str(_))
    }

    pub fn is_map(self) -> bool {
        matches!(self, Val::Map(_) | Val::Struct(..))
    }

    /// The members of a struct or map, by name.
    pub fn members(self) -> Members<'t> {
        match self {
            Val::Struct(ty, structure) => Members::Struct { ty, structure, place: 0 },
            Val::Map(map) => Members::Map { map, place: 0 },
            _ => Members::None,
        }
    }

    pub fn get(self, name: &str) -> Option<Val<'t>> {
        match self {
            Val::Struct(ty, structure) => field_value(ty, structure, ty.get().field_named(name)?),
            Val::Map(map) => map.get(name).map(Val::of),
            _ => None,
        }
    }

    pub fn equals(self, other: Val<'_>) -> bool {
        match (self, other) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Int(a), Val::Int(b)) => a == b,
            (Val::Float(a), Val::Float(b)) => a == b,
            (Val::Int(a), Val::Float(b)) | (Val::Float(b), Val::Int(a)) => a as f64 == b,
            (Val::Str(a), Val::Str(b)) => a == b,
            (Val::Raw(a), Val::Raw(b)) if a == b => true,
            (Val::Raw(a), b) | (b, Val::Raw(a)) => match b {
                Val::Raw(b) => parse_raw(b).is_some_and(|b| raw_equals(a, Val::of(b.root()))),
                b => raw_equals(a, b),
            },
            (Val::List(a), Val::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| Val::of(a).equals(Val::of(b)))
            }
            (a, b) if a.is_map() && b.is_map() => {
                let (mut a, mut b) = (a.members(), b.members());
                loop {
                    match (a.next(), b.next()) {
                        (None, None) => return true,
                        (Some((x, a)), Some((y, b))) if x == y && a.equals(b) => {}
                        _ => return false,
                    }
                }
            }
            _ => false,
        }
    }
}

fn raw_equals(text: &str, other: Val<'_>) -> bool {
    parse_raw(text).is_some_and(|tree| Val::of(tree.root()).equals(other))
}

/// A text that was checked when it was read.
pub(crate) fn parse_raw(text: &str) -> Option<Tree> {
    json::parse(text.as_bytes().to_vec(), Form::Plain).ok().map(|parsed| parsed.tree)
}

/// A field as it is written; None where it is not.
pub(crate) fn field_value<'t>(ty: TypeId, structure: Struct<'t>, id: FieldId) -> Option<Val<'t>> {
    let field = ty.field(id);
    let node = structure.node(id);
    if !is_written(field, node) {
        return None;
    }
    Some(match node {
        Some(node) => Val::of(node),
        None if field.pointer => Val::Null,
        None => match field.shape {
            Shape::Struct(ty) => Val::empty(ty),
            Shape::Bool => Val::Bool(false),
            Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => Val::Int(0),
            Shape::String => Val::Str(""),
            Shape::Duration => Val::Str("0s"),
            Shape::Quantity => Val::Str("0"),
            _ => Val::Null,
        },
    })
}

pub enum Members<'t> {
    None,
    Struct { ty: TypeId, structure: Struct<'t>, place: usize },
    Map { map: Map<'t>, place: usize },
}

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, Val<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Members::None => None,
            Members::Struct { ty, structure, place } => {
                let description = ty.get();
                while let Some(&index) = description.by_name.get(*place) {
                    *place += 1;
                    if let Some(value) = field_value(*ty, *structure, FieldId(index)) {
                        return Some((description.fields[index as usize].name, value));
                    }
                }
                None
            }
            Members::Map { map, place } => {
                let (key, node) = map.nth(*place)?;
                *place += 1;
                Some((key, Val::of(node)))
            }
        }
    }
}

impl Tree {
    /// A deep copy as maps and lists, as JSON shows the value.
    pub fn import_plain(&mut self, value: Val<'_>) -> Id {
        match value {
            Val::Null => self.null(),
            Val::Bool(value) => self.bool(value),
            Val::Int(value) => self.int(value),
            Val::Float(value) => self.float(value),
            Val::Str(value) => self.string(value),
            Val::Raw(text) => match parse_raw(text) {
                Some(tree) => self.import(tree.root()),
                None => self.null(),
            },
            Val::List(list) => {
                let items: Vec<Id> = list.iter().map(|item| self.import_plain(Val::of(item))).collect();
                self.list(&items)
            }
            Val::Map(_) | Val::Struct(..) => {
                let members: Vec<(&str, Id)> =
                    value.members().map(|(name, member)| (name, self.import_plain(member))).collect();
                self.map_of(&members)
            }
        }
    }
}
