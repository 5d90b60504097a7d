//! One step of a path, its order and its texts.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use corten_api::field::quote;
use corten_api::json::write_f64;

use crate::typing::{Keys, List, Map, Relation, Val};

#[derive(Clone, Debug)]
pub enum Element<'a> {
    /// A struct's field or a map's key.
    Field(Cow<'a, str>),
    /// An item of a list, by some of its fields, in the order of their names.
    Key(Vec<(Cow<'a, str>, Scalar<'a>)>),
    /// An item of a set.
    Value(Scalar<'a>),
    /// An item of a list that is owned as one.
    Index(i64),
}

#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    Float(f64),
    Int(i64),
    Str(Cow<'a, str>),
    Bool(bool),
    /// What should not be there: JSON text.
    Other(Cow<'a, str>),
    Null,
}

impl<'a> Scalar<'a> {
    pub fn of(value: Val<'a>) -> Scalar<'a> {
        match value {
            Val::Null => Scalar::Null,
            Val::Bool(value) => Scalar::Bool(value),
            Val::Int(value) => Scalar::Int(value),
            Val::Float(value) => Scalar::Float(value),
            Val::Str(value) => Scalar::Str(Cow::Borrowed(value)),
            Val::Raw(text) => Scalar::Other(Cow::Borrowed(text)),
            Val::List(list) => {
                let items: Vec<String> = list.iter().map(crate::json::to_string).collect();
                Scalar::Other(Cow::Owned(format!("[{}]", items.join(","))))
            }
            Val::Map(map) => {
                let members: Vec<String> = map
                    .iter()
                    .map(|(key, node)| format!("{}:{}", corten_api::json::string(key), crate::json::to_string(node)))
                    .collect();
                Scalar::Other(Cow::Owned(format!("{{{}}}", members.join(","))))
            }
            Val::Struct(_, structure) => {
                Scalar::Other(Cow::Owned(structure.as_node().map_or("{}".into(), crate::json::to_string)))
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Scalar::Float(_) | Scalar::Int(_) => 0,
            Scalar::Str(_) => 1,
            Scalar::Bool(_) => 2,
            Scalar::Other(_) => 3,
            Scalar::Null => 4,
        }
    }

    pub fn into_owned(self) -> Scalar<'static> {
        match self {
            Scalar::Float(value) => Scalar::Float(value),
            Scalar::Int(value) => Scalar::Int(value),
            Scalar::Str(value) => Scalar::Str(Cow::Owned(value.into_owned())),
            Scalar::Bool(value) => Scalar::Bool(value),
            Scalar::Other(value) => Scalar::Other(Cow::Owned(value.into_owned())),
            Scalar::Null => Scalar::Null,
        }
    }
}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Scalar::Int(a), Scalar::Int(b)) => a.cmp(b),
            (Scalar::Float(a), Scalar::Float(b)) => a.total_cmp(b),
            (Scalar::Int(a), Scalar::Float(b)) => (*a as f64).total_cmp(b),
            (Scalar::Float(a), Scalar::Int(b)) => a.total_cmp(&(*b as f64)),
            (Scalar::Str(a), Scalar::Str(b)) | (Scalar::Other(a), Scalar::Other(b)) => a.cmp(b),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => a.cmp(b),
            (Element::Value(a), Element::Value(b)) => a.cmp(b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Scalar<'_> {}
impl PartialOrd for Element<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Element<'_> {}

impl<'a> Element<'a> {
    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }

    pub fn into_owned(self) -> Element<'static> {
        match self {
            Element::Field(name) => Element::Field(Cow::Owned(name.into_owned())),
            Element::Key(fields) => Element::Key(
                fields.into_iter().map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned())).collect(),
            ),
            Element::Value(value) => Element::Value(value.into_owned()),
            Element::Index(index) => Element::Index(index),
        }
    }

    pub fn field_name(&self) -> Option<&str> {
        match self {
            Element::Field(name) => Some(name),
            _ => None,
        }
    }

    /// What tells an item of a list that is merged from the others.
    pub fn of_item<'s: 'a>(list: List<'s>, item: Val<'a>) -> Result<Element<'a>, String> {
        match list.relation {
            Relation::Atomic => Err("invalid indexing of non-associative list".into()),
            Relation::Keys(keys) => of_keyed_item(list, keys, item),
            Relation::Set => match item {
                Val::Map(_) | Val::Struct(..) => {
                    Err("associative list without keys has an element that's a map type".into())
                }
                Val::List(_) => Err("not supported: associative list with lists as elements".into()),
                Val::Null => Err("associative list without keys has an element that's an explicit null".into()),
                item => Ok(Element::Value(Scalar::of(item))),
            },
        }
    }

    /// The key of an object in an object of fields, as it stands in the text, quotes around it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        match self {
            Element::Field(name) => {
                out.extend_from_slice(b"f:");
                write_escaped(out, name, false);
            }
            Element::Key(fields) => {
                let mut inner = Vec::with_capacity(64);
                inner.push(b'{');
                for (i, (name, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        inner.push(b',');
                    }
                    inner.push(b'"');
                    write_escaped(&mut inner, name, false);
                    inner.extend_from_slice(b"\":");
                    write_scalar(&mut inner, value);
                }
                inner.push(b'}');
                out.extend_from_slice(b"k:");
                write_escaped(out, &String::from_utf8_lossy(&inner), false);
            }
            Element::Value(value) => {
                let mut inner = Vec::with_capacity(32);
                write_scalar(&mut inner, value);
                out.extend_from_slice(b"v:");
                write_escaped(out, &String::from_utf8_lossy(&inner), false);
            }
            Element::Index(index) => {
                out.extend_from_slice(b"i:");
                out.extend_from_slice(itoa::Buffer::new().format(*index).as_bytes());
            }
        }
        out.push(b'"');
    }
}

fn of_keyed_item<'a, 's: 'a>(list: List<'s>, keys: Keys<'s>, item: Val<'a>) -> Result<Element<'a>, String> {
    if item.is_null() {
        return Err("associative list with keys may not have a null element".into());
    }
    if !item.is_map() {
        return Err("associative list with keys may not have non-map elements".into());
    }
    let map: Option<Map<'s>> = list.item.atom().map;
    let mut fields: Vec<(Cow<'a, str>, Scalar<'a>)> = Vec::new();
    for name in keys.iter() {
        match item.get(name) {
            Some(value) => fields.push((Cow::Borrowed(name), Scalar::of(value))),
            None => {
                let map = map.ok_or_else(|| {
                    format!("couldn't find default value for {name}: associative list may not have non-map types")
                })?;
                if let Some(default) = map.default_of(name) {
                    fields.push((Cow::Borrowed(name), scalar_of_json(default)));
                }
            }
        }
    }
    if fields.is_empty() {
        let names: Vec<String> = keys.iter().map(quote).collect();
        let names = names.join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{names}] (and doesn't have default values for any key fields)"
        ));
    }
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Element::Key(fields))
}

/// A scalar out of JSON text.
pub(super) fn scalar_of_json(text: &str) -> Scalar<'static> {
    match crate::typing::parse_raw(text) {
        Some(tree) => Scalar::of(Val::of(tree.root())).into_owned(),
        None => Scalar::Other(Cow::Owned(text.to_owned())),
    }
}

fn write_scalar(out: &mut Vec<u8>, value: &Scalar<'_>) {
    match value {
        Scalar::Float(value) => write_f64(out, *value),
        Scalar::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes()),
        Scalar::Str(value) => {
            out.push(b'"');
            write_escaped(out, value, true);
            out.push(b'"');
        }
        Scalar::Bool(true) => out.extend_from_slice(b"true"),
        Scalar::Bool(false) => out.extend_from_slice(b"false"),
        Scalar::Other(text) => out.extend_from_slice(text.as_bytes()),
        Scalar::Null => out.extend_from_slice(b"null"),
    }
}

/// The inside of a JSON string.
fn write_escaped(out: &mut Vec<u8>, text: &str, html: bool) {
    let plain = |byte: u8| {
        byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0xe2 && !(html && matches!(byte, b'<' | b'>' | b'&'))
    };
    if text.bytes().all(plain) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut buffer = [0; 4];
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{2028}' => out.extend_from_slice(b"\\u2028"),
            '\u{2029}' => out.extend_from_slice(b"\\u2029"),
            '<' | '>' | '&' if html => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Float(value) => {
                let mut text = Vec::new();
                write_f64(&mut text, *value);
                f.write_str(&String::from_utf8_lossy(&text))
            }
            Scalar::Int(value) => value.fmt(f),
            Scalar::Str(value) => f.write_str(&quote(value)),
            Scalar::Bool(value) => value.fmt(f),
            Scalar::Other(text) => f.write_str(text),
            Scalar::Null => f.write_str("null"),
        }
    }
}

/// As a step of a path: `.spec`, `[name="a"]`, `[="x"]`, `[0]`.
impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(fields) => {
                f.write_str("[")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={value}")?;
                }
                f.write_str("]")
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}
