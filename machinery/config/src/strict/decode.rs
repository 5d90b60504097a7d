//! A serde deserializer over the tree that knows where it is, and which fields nobody asked for.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::yaml::{Entry, Meaning, Node, Value};

/// Unknown and duplicate fields are gathered; a value of a wrong type ends it.
pub(super) fn decode<T: DeserializeOwned>(root: &Node) -> Result<T, Vec<String>> {
    let oddities = RefCell::new(Vec::new());
    let result = T::deserialize(Place { node: root, path: &Path::Root, oddities: &oddities });
    let oddities = oddities.into_inner();
    let strict = (!oddities.is_empty()).then(|| format!("strict decoding error: {}", oddities.join(", ")));
    match (result, strict) {
        (Ok(value), None) => Ok(value),
        (Ok(_), Some(strict)) => Err(vec![strict]),
        (Err(error), strict) => Err([Some(error.to_string()), strict].into_iter().flatten().collect()),
    }
}

enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Place<'n, 'c> {
    node: &'n Node,
    path: &'c Path<'c>,
    oddities: &'c RefCell<Vec<String>>,
}

/// An error, and once it has left the value that it is about, where that is.
#[derive(Debug)]
struct Wrong {
    message: String,
    place: Option<String>,
}

impl Place<'_, '_> {
    fn here<T>(&self, result: Result<T, Wrong>) -> Result<T, Wrong> {
        result.map_err(|wrong| Wrong { place: wrong.place.or_else(|| Some(self.describe())), ..wrong })
    }

    fn describe(&self) -> String {
        match self.path {
            Path::Root => String::new(),
            path => format!("field {:?}{}", path.to_string(), line(self.node.line)),
        }
    }

    /// The entries to decode: without duplicates, and for a struct without nulls and those that it does not know.
    fn entries<'n>(&self, entries: &'n [Entry], known: Option<&'static [&'static str]>) -> Vec<&'n Entry> {
        let mut kept: Vec<&Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            let name = entry.key.text.as_str();
            let odd = |what: &str| {
                let path = Path::Field(self.path, name).to_string();
                self.oddities.borrow_mut().push(format!("{what} field {path:?}{}", line(entry.line)));
            };
            if kept.iter().any(|earlier| earlier.key.text == name) {
                odd("duplicate");
                continue;
            }
            if let Some(known) = known {
                // Those two were looked at before anything was decoded.
                let header = matches!(self.path, Path::Root) && matches!(name, "apiVersion" | "kind");
                if !known.contains(&name) {
                    if !header {
                        odd("unknown");
                    }
                    continue;
                }
            }
            kept.push(entry);
        }
        kept.retain(|entry| known.is_none() || !entry.value.is_null());
        kept
    }

    fn visit_map<'de, V: Visitor<'de>>(
        self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let entries = match &self.node.value {
            Value::Map(entries) => self.entries(entries, known),
            _ if self.node.is_null() => Vec::new(),
            _ => return self.deserialize_any(visitor),
        };
        self.here(visitor.visit_map(Fields { place: self, entries: entries.into_iter(), next: None }))
    }

    fn visit_list<'de, V: Visitor<'de>>(self, items: &[Node], visitor: V) -> Result<V::Value, Wrong> {
        self.here(visitor.visit_seq(Items { place: self, items: items.iter(), index: 0 }))
    }
}

impl<'de> Deserializer<'de> for Place<'_, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Map(_) => self.visit_map(None, visitor),
            Value::List(items) => self.visit_list(items, visitor),
            Value::Scalar(scalar) => self.here(match scalar.meaning() {
                Meaning::Null => visitor.visit_unit(),
                Meaning::Bool(value) => visitor.visit_bool(value),
                Meaning::Int(value) => visitor.visit_i64(value),
                Meaning::Uint(value) => visitor.visit_u64(value),
                Meaning::Float(value) => visitor.visit_f64(value),
                Meaning::Text(text) => visitor.visit_str(text),
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        self.here(visitor.visit_newtype_struct(self))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.visit_map(Some(fields), visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.visit_map(None, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.node.is_null() { self.visit_list(&[], visitor) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.node.as_str() {
            Some(text) => {
                let text: StrDeserializer<'_, Wrong> = text.into_deserializer();
                self.here(text.deserialize_enum(name, variants, visitor))
            }
            // Says of what is there that it is no such name.
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct identifier
    }
}

struct Fields<'n, 'c> {
    place: Place<'n, 'c>,
    entries: std::vec::IntoIter<&'n Entry>,
    next: Option<&'n Entry>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.next = self.entries.next();
        let Some(entry) = self.next else { return Ok(None) };
        let name: StrDeserializer<'_, Wrong> = entry.key.text.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let entry = self.next.take().ok_or_else(|| <Wrong as serde::de::Error>::custom("a value before its key"))?;
        let path = Path::Field(self.place.path, &entry.key.text);
        let place = Place { node: &entry.value, path: &path, oddities: self.place.oddities };
        // What a type's own code says of a value (a duration that cannot be read) does not pass by a visitor here.
        place.here(seed.deserialize(place))
    }
}

struct Items<'n, 'c> {
    place: Place<'n, 'c>,
    items: std::slice::Iter<'n, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let path = Path::Index(self.place.path, self.index);
        self.index += 1;
        let place = Place { node, path: &path, oddities: self.place.oddities };
        place.here(seed.deserialize(place)).map(Some)
    }
}

impl serde::de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Wrong {
        Wrong { message: message.to_string(), place: None }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_deref() {
            None | Some("") => f.write_str(&self.message),
            Some(place) => write!(f, "{place}: {}", self.message),
        }
    }
}

impl std::error::Error for Wrong {}

fn line(line: usize) -> String {
    if line == 0 { String::new() } else { format!(" (line {line})") }
}
