//! JSON that is taken apart only where a patch goes through, and is otherwise written as it was.

use std::collections::BTreeMap;

use corten_api::json::{Members, write_array};

use crate::json::{self, Form, Scanner, check_syntax, write_compact};
use crate::tree::Value;
use crate::typing::Val;

#[derive(Clone, Debug)]
pub enum Lazy {
    /// The value null of an operation, which is not told from one that is absent when it is written.
    Null,
    /// Text without white space around it.
    Raw(String),
    Object(BTreeMap<String, Option<Lazy>>),
    Array(Vec<Option<Lazy>>),
}

/// None is a null of the document.
pub type Slot = Option<Lazy>;

impl Lazy {
    /// A text whose syntax was checked.
    pub fn of_text(text: &str) -> Slot {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        (text != "null").then(|| Lazy::Raw(text.to_owned()))
    }

    /// As an object, taken apart; None if it is none.
    pub fn object(&mut self) -> Option<&mut BTreeMap<String, Slot>> {
        if let Lazy::Raw(text) = self
            && text.starts_with('{')
        {
            *self = Lazy::Object(split_object(text));
        }
        match self {
            Lazy::Object(members) => Some(members),
            _ => None,
        }
    }

    pub fn array(&mut self) -> Option<&mut Vec<Slot>> {
        if let Lazy::Raw(text) = self
            && text.starts_with('[')
        {
            *self = Lazy::Array(split_array(text));
        }
        match self {
            Lazy::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Lazy::Null => out.extend_from_slice(b"null"),
            Lazy::Raw(text) => write_compact(text.as_bytes(), out),
            Lazy::Object(members) => {
                let mut object = Members::new(out);
                members.iter().for_each(|(key, value)| write_slot(value, object.name(key)));
                object.end();
            }
            Lazy::Array(items) => write_array(out, items, write_slot),
        }
    }

    fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    pub fn size(&self) -> usize {
        self.text().len()
    }

    /// Objects and lists by what is in them, everything else by its text.
    pub fn equals(&self, other: &Lazy) -> bool {
        let (a, b) = (self.text(), other.text());
        let container = |text: &[u8]| text.starts_with(b"{") || text.starts_with(b"[");
        if !container(&a) || !container(&b) {
            return a == b;
        }
        let (Ok(a), Ok(b)) = (json::parse(a, Form::Plain), json::parse(b, Form::Plain)) else { return false };
        same(Val::of(a.tree.root()), Val::of(b.tree.root()))
            && matches!(a.tree.root().value(), Value::Map(_)) == matches!(b.tree.root().value(), Value::Map(_))
    }
}

fn same(a: Val<'_>, b: Val<'_>) -> bool {
    a.equals(b)
}

pub fn write_slot(slot: &Slot, out: &mut Vec<u8>) {
    match slot {
        Some(lazy) => lazy.write(out),
        None => out.extend_from_slice(b"null"),
    }
}

fn split_object(text: &str) -> BTreeMap<String, Slot> {
    let mut members = BTreeMap::new();
    let mut scanner = Scanner { bytes: text.as_bytes(), pos: 1 };
    loop {
        scanner.skip_space();
        match scanner.peek() {
            Some(b',') => {
                scanner.pos += 1;
                continue;
            }
            Some(b'"') => {}
            _ => return members,
        }
        let start = scanner.pos;
        if scanner.skip_string().is_err() {
            return members;
        }
        let key = string(&text[start..scanner.pos]);
        scanner.skip_space();
        scanner.pos += 1;
        let start = scanner.pos;
        if scanner.skip_value().is_err() {
            return members;
        }
        members.insert(key, Lazy::of_text(&text[start..scanner.pos]));
    }
}

fn split_array(text: &str) -> Vec<Slot> {
    let mut items = Vec::new();
    let mut scanner = Scanner { bytes: text.as_bytes(), pos: 1 };
    loop {
        scanner.skip_space();
        match scanner.peek() {
            Some(b',') => {
                scanner.pos += 1;
                continue;
            }
            Some(b']') | None => return items,
            Some(_) => {}
        }
        let start = scanner.pos;
        if scanner.skip_value().is_err() {
            return items;
        }
        items.push(Lazy::of_text(&text[start..scanner.pos]));
    }
}

/// A string literal's value.
pub fn string(literal: &str) -> String {
    let inner = literal.trim_matches('"');
    if !literal.contains('\\') {
        return inner.to_owned();
    }
    match json::parse(literal.as_bytes().to_vec(), Form::Plain) {
        Ok(parsed) => parsed.tree.root().as_str().to_owned(),
        Err(_) => inner.to_owned(),
    }
}

/// A patch's text, whose syntax is checked here.
pub fn checked(text: &[u8]) -> Result<String, String> {
    check_syntax(text).map_err(|error| error.0)?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// What Go calls a value in an error of its decoder.
pub fn go_kind(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'n') => "null",
        _ => "number",
    }
}
