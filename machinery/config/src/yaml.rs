//! YAML as configuration files have it: a tree that remembers lines and how each scalar was written, so that a file can
//! be decoded strictly, or changed and written back without a word in it getting another meaning.
//!
//! Plain scalars mean what they mean to upstream, whose library reads YAML 1.1 (`yes` is true, `017` is 15). JSON is
//! read too. Comments are lost; anchors are expanded, within bounds.

mod parse;
mod write;

use std::borrow::Cow;

use crate::values;

/// A value and where it stands; line 0 where that is not known (JSON, or made by code).
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the file's order, duplicates included.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    pub text: String,
    /// Written without quotes, so that it may be a number, a boolean or null.
    pub plain: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub line: usize,
    pub key: Scalar,
    pub value: Node,
}

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning<'s> {
    Null,
    Bool(bool),
    Int(i64),
    /// Only what is too large for `Int`.
    Uint(u64),
    Float(f64),
    Text(&'s str),
}

impl Node {
    /// The one document of a file; null for an empty file.
    pub fn parse(bytes: &[u8]) -> Result<Node, String> {
        parse::document(bytes)
    }

    /// As a file, in block style.
    pub fn to_yaml(&self) -> String {
        write::document(self)
    }

    pub fn string(text: impl Into<String>) -> Node {
        Node { line: 0, value: Value::Scalar(Scalar { text: text.into(), plain: false }) }
    }

    pub fn map() -> Node {
        Node { line: 0, value: Value::Map(Vec::new()) }
    }

    pub fn list() -> Node {
        Node { line: 0, value: Value::List(Vec::new()) }
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.meaning() == Meaning::Null)
    }

    /// The text of a scalar that is a string, and no number or the like.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Bool(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn items_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The first value under this key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key.text == key).map(|entry| &entry.value)
    }

    /// The value under this key of a map, made as null where it is missing; none if this is no map.
    pub fn get_or_insert(&mut self, key: &str) -> Option<&mut Node> {
        let Value::Map(entries) = &mut self.value else { return None };
        let at = entries.iter().position(|entry| entry.key.text == key).unwrap_or_else(|| {
            let key = Scalar { text: key.to_owned(), plain: false };
            entries.push(Entry { line: 0, key, value: Node::null() });
            entries.len() - 1
        });
        Some(&mut entries[at].value)
    }

    /// Sets a key of a map; nothing happens if this is no map.
    pub fn set(&mut self, key: &str, value: Node) {
        if let Some(place) = self.get_or_insert(key) {
            *place = value;
        }
    }

    fn null() -> Node {
        Node { line: 0, value: Value::Scalar(Scalar { text: String::new(), plain: true }) }
    }
}

impl Scalar {
    pub fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if !self.plain {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                return Meaning::Bool(true);
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                return Meaning::Bool(false);
            }
            ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Meaning::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Meaning::Float(f64::NEG_INFINITY),
            _ => {}
        }
        number(text).unwrap_or(Meaning::Text(text))
    }
}

fn number(text: &str) -> Option<Meaning<'static>> {
    let digits: Cow<'_, str> = match text.as_bytes().first()? {
        b'.' => text.into(),
        b'+' | b'-' | b'0'..=b'9' => match text.contains('_') {
            true => text.replace('_', "").into(),
            false => text.into(),
        },
        _ => return None,
    };
    if let Ok(value) = values::parse_int(&digits, 64) {
        return Some(Meaning::Int(value));
    }
    if let Ok(value) = values::parse_uint(&digits, 64) {
        return Some(Meaning::Uint(value));
    }
    is_float(&digits).then(|| values::parse_float(&digits).ok().map(Meaning::Float)).flatten()
}

/// A sign, digits with at most one point in or around them, an exponent.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent))
}

#[cfg(test)]
mod tests;
