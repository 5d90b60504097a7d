//! JSON that is taken apart only where a patch goes through, and is otherwise written as it was.
//!
//! A text is read over once, to note where its containers end ([`Source`]); a container is then taken apart without
//! reading what is inside of its members, and its members are ranges of the text. So each byte is read twice at most,
//! however deep a patch goes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use corten_api::json::{Members, write_array};
use imbl::Vector;

use crate::json::{Scanner, check_syntax, unescape, write_compact};

/// A JSON text without white space, and where each of its containers ends, in the order in which they begin.
pub struct Source {
    text: String,
    ends: Vec<End>,
}

#[derive(Clone, Copy, Default)]
struct End {
    /// Behind the closing bracket.
    at: u32,
    /// The number of the first container behind it.
    next: u32,
}

impl Source {
    /// A text whose syntax was checked.
    pub fn new(text: &[u8]) -> Source {
        let mut compact = Vec::with_capacity(text.len());
        write_compact(text, &mut compact);
        let text = String::from_utf8_lossy(&compact).into_owned();
        let (mut ends, mut open) = (Vec::new(), Vec::new());
        let mut scanner = Scanner { bytes: text.as_bytes(), pos: 0 };
        while let Some(byte) = scanner.peek() {
            match byte {
                b'"' if scanner.skip_string().is_err() => break,
                b'"' => continue,
                b'{' | b'[' => {
                    open.push(ends.len());
                    ends.push(End::default());
                }
                b'}' | b']' => {
                    let next = ends.len() as u32;
                    if let Some(number) = open.pop() {
                        ends[number] = End { at: scanner.pos as u32 + 1, next };
                    }
                }
                _ => {}
            }
            scanner.pos += 1;
        }
        Source { text, ends }
    }

    /// The whole text as a value; None is a null.
    pub fn root(&self) -> Slot<'_> {
        Cursor { source: self, at: 0, container: 0 }.value()
    }
}

/// A part of a text.
#[derive(Clone, Copy)]
pub struct Raw<'t> {
    source: &'t Source,
    start: u32,
    end: u32,
    /// The number of the container that it is, or of the next one.
    container: u32,
}

impl<'t> Raw<'t> {
    pub fn text(self) -> &'t str {
        // Of a text that was checked every container has an end.
        self.source.text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Behind its opening bracket.
    fn inside(self) -> Cursor<'t> {
        Cursor { source: self.source, at: self.start as usize + 1, container: self.container + 1 }
    }

    /// With each name of an object once, and without members that are null. Only the containers around a place are held,
    /// as each takes many times the room of its text.
    pub fn write_without_nulls(self, out: &mut Vec<u8>) {
        let mut inside = self.inside();
        match self.text().as_bytes().first() {
            Some(b'{') => {
                let mut members = BTreeMap::new();
                while inside.more() {
                    members.insert(inside.key(), inside.part());
                }
                let mut object = Members::new(out);
                for (key, part) in members {
                    if let Some(part) = part {
                        part.write_without_nulls(object.name(&key));
                    }
                }
                object.end();
            }
            Some(b'[') => {
                let items = std::iter::from_fn(|| inside.more().then(|| inside.part()));
                write_array(out, items, |part, out| match part {
                    Some(part) => part.write_without_nulls(out),
                    None => out.extend_from_slice(b"null"),
                });
            }
            _ => out.extend_from_slice(self.text().as_bytes()),
        }
    }
}

/// Reads over the members of one container.
struct Cursor<'t> {
    source: &'t Source,
    at: usize,
    container: u32,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<u8> {
        self.source.text.as_bytes().get(self.at).copied()
    }

    /// Whether there is another member; the position is at it then.
    fn more(&mut self) -> bool {
        self.at += usize::from(self.peek() == Some(b','));
        !matches!(self.peek(), None | Some(b'}' | b']'))
    }

    fn key(&mut self) -> Cow<'t, str> {
        let literal = self.scalar();
        self.at += 1;
        string(literal)
    }

    fn scalar(&mut self) -> &'t str {
        let start = self.at;
        let mut scanner = Scanner { bytes: self.source.text.as_bytes(), pos: start };
        // Of a text that was checked every scalar is sound; a position that stood still would be read for ever.
        let sound = scanner.skip_scalar().is_ok();
        self.at = if sound { scanner.pos } else { self.source.text.len() };
        &self.source.text[start..self.at]
    }

    fn value(&mut self) -> Slot<'t> {
        self.part().map(Lazy::Raw)
    }

    /// The text of a value; None is a null.
    fn part(&mut self) -> Option<Raw<'t>> {
        let (start, container) = (self.at, self.container);
        if let Some(b'{' | b'[') = self.peek() {
            let end = self.source.ends.get(container as usize).copied().unwrap_or_default();
            (self.at, self.container) = (end.at as usize, end.next);
        } else if self.scalar() == "null" {
            return None;
        }
        Some(Raw { source: self.source, start: start as u32, end: self.at as u32, container })
    }
}

#[derive(Clone)]
pub enum Lazy<'t> {
    /// The value null of an operation, which is not told from one that is absent when it is written.
    Null,
    Raw(Raw<'t>),
    /// What is only to be written.
    Text(Vec<u8>),
    Object(Object<'t>),
    /// Of a form into which an item is put, and out of which one is taken, without moving all others.
    Array(Box<Vector<Slot<'t>>>),
}

pub type Object<'t> = BTreeMap<Cow<'t, str>, Slot<'t>>;

/// None is a null of the document.
pub type Slot<'t> = Option<Lazy<'t>>;

impl<'t> Lazy<'t> {
    fn begins(&self, with: char) -> bool {
        matches!(self, Lazy::Raw(raw) if raw.text().starts_with(with))
    }

    /// As an object, taken apart; None if it is none.
    pub fn object(&mut self) -> Option<&mut Object<'t>> {
        if self.begins('{')
            && let Lazy::Raw(raw) = self
        {
            let mut inside = raw.inside();
            let mut members = Object::new();
            while inside.more() {
                let key = inside.key();
                members.insert(key, inside.value());
            }
            *self = Lazy::Object(members);
        }
        match self {
            Lazy::Object(members) => Some(members),
            _ => None,
        }
    }

    pub fn array(&mut self) -> Option<&mut Vector<Slot<'t>>> {
        if self.begins('[')
            && let Lazy::Raw(raw) = self
        {
            let mut inside = raw.inside();
            let mut items = Vector::new();
            while inside.more() {
                items.push_back(inside.value());
            }
            *self = Lazy::Array(Box::new(items));
        }
        match self {
            Lazy::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Lazy::Null => out.extend_from_slice(b"null"),
            Lazy::Raw(raw) => out.extend_from_slice(raw.text().as_bytes()),
            Lazy::Text(text) => out.extend_from_slice(text),
            Lazy::Object(members) => {
                let mut object = Members::new(out);
                members.iter().for_each(|(key, value)| write_slot(value, object.name(key)));
                object.end();
            }
            Lazy::Array(items) => write_array(out, items.iter(), write_slot),
        }
    }

    pub fn size(&self) -> usize {
        if let Lazy::Raw(raw) = self {
            return raw.text().len();
        }
        let mut out = Vec::new();
        self.write(&mut out);
        out.len()
    }

    /// Objects and lists by what is in them, everything else by its text. Both are taken apart as far as they are the
    /// same, so that comparing again costs no more than the smaller one.
    pub fn equals(&mut self, other: &mut Lazy<'t>) -> bool {
        match (&self, &other) {
            (Lazy::Null, Lazy::Null) => return true,
            (Lazy::Raw(a), Lazy::Raw(b)) if !a.text().starts_with(['{', '[']) => return a.text() == b.text(),
            _ => {}
        }
        if let Some(members) = self.object() {
            let Some(others) = other.object() else { return false };
            return members.len() == others.len()
                && members.iter_mut().zip(others).all(|((a, x), (b, y))| a == b && same(x, y));
        }
        match (self.array(), other.array()) {
            (Some(items), Some(others)) => {
                items.len() == others.len() && items.iter_mut().zip(others.iter_mut()).all(|(x, y)| same(x, y))
            }
            _ => false,
        }
    }
}

fn same<'t>(a: &mut Slot<'t>, b: &mut Slot<'t>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.equals(b),
        _ => false,
    }
}

pub fn write_slot(slot: &Slot<'_>, out: &mut Vec<u8>) {
    match slot {
        Some(lazy) => lazy.write(out),
        None => out.extend_from_slice(b"null"),
    }
}

/// A string literal's value.
pub fn string(literal: &str) -> Cow<'_, str> {
    let inner = literal.strip_prefix('"').unwrap_or(literal);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    unescape(inner.as_bytes(), &mut text);
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// A patch's text, whose syntax is checked here.
pub fn checked(text: &[u8]) -> Result<Source, String> {
    check_syntax(text).map_err(|error| error.0)?;
    Ok(Source::new(String::from_utf8_lossy(text).as_bytes()))
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
