//! Sets of paths, as tries; and their text, `{"f:metadata":{"f:labels":{".":{},"f:app":{}}}}`.
//!
//! Owning a path says nothing about what is above or below it. Every entry is marked or has marked ones below it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use super::element::{Element, Scalar, scalar_of_json};
use crate::DEPTH_MAX;
use crate::json::{self, Form};
use crate::typing::Val;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub element: Element<'static>,
    /// Not zero where the path itself is in the set. What was compared has several marks.
    pub marks: u8,
    pub below: Set,
}

impl Entry {
    fn unite(&mut self, other: Entry) {
        self.marks |= other.marks;
        self.below.union(other.below);
    }
}

/// How many entries stand before an element; the first is known to. Looks near the start first, so that passing over
/// many costs little, and passing over one costs nothing more.
fn before(entries: &[Entry], element: &Element<'_>) -> usize {
    let mut end = 1;
    while entries.get(end).is_some_and(|entry| entry.element < *element) {
        end *= 2;
    }
    let start = end / 2;
    let end = end.min(entries.len());
    start + entries[start..end].partition_point(|entry| entry.element < *element)
}

pub const MEMBER: u8 = 1;
/// Of a comparison.
pub const ADDED: u8 = 1;
pub const MODIFIED: u8 = 2;
pub const REMOVED: u8 = 4;

impl Set {
    pub fn new() -> Set {
        Set::default()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a path of field names.
    pub fn insert_fields(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let element = Element::Field(Cow::Owned((*first).to_owned()));
        let entry = self.entry(element);
        match rest.is_empty() {
            true => entry.marks |= MEMBER,
            false => entry.below.insert_fields(rest),
        }
    }

    pub(super) fn entry(&mut self, element: Element<'static>) -> &mut Entry {
        match self.place(&element) {
            Ok(found) => &mut self.entries[found],
            Err(place) => {
                self.entries.insert(place, Entry { element, marks: 0, below: Set::new() });
                &mut self.entries[place]
            }
        }
    }

    /// Where an element is, or belongs.
    fn place(&self, element: &Element<'_>) -> Result<usize, usize> {
        match self.entries.last() {
            Some(last) if last.element < *element => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|entry| entry.element.cmp(element)),
        }
    }

    pub(super) fn get(&self, element: &Element<'_>) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|entry| entry.element.cmp(element)).ok()?;
        Some(&self.entries[found])
    }

    pub fn has_fields(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        match self.get(&Element::Field(Cow::Borrowed(first))) {
            Some(entry) if rest.is_empty() => entry.marks != 0,
            Some(entry) => entry.below.has_fields(rest),
            None => false,
        }
    }

    /// A set of entries in any order. `again` takes up an entry whose element was there before.
    fn of_entries(mut entries: Vec<Entry>, mut again: impl FnMut(&mut Entry, Entry)) -> Set {
        if !entries.is_sorted_by(|a, b| a.element < b.element) {
            entries.sort_by(|a, b| a.element.cmp(&b.element));
            let mut sorted: Vec<Entry> = Vec::with_capacity(entries.len());
            for entry in entries {
                match sorted.last_mut().filter(|last| last.element == entry.element) {
                    Some(last) => again(last, entry),
                    None => sorted.push(entry),
                }
            }
            entries = sorted;
        }
        Set { entries }
    }

    /// The items of a list, in any order.
    pub(super) fn of_items(items: Vec<Entry>) -> Set {
        Set::of_entries(items, Entry::unite)
    }

    pub fn union(&mut self, other: Set) {
        // So few are put in one by one; each moves those behind it.
        const FEW: usize = 8;
        if self.entries.is_empty() {
            self.entries = other.entries;
            return;
        }
        if other.entries.len() <= FEW {
            for entry in other.entries {
                match self.place(&entry.element) {
                    Ok(found) => self.entries[found].unite(entry),
                    Err(place) => self.entries.insert(place, entry),
                }
            }
            return;
        }
        let mut mine = std::mem::take(&mut self.entries).into_iter().peekable();
        let mut theirs = other.entries.into_iter().peekable();
        self.entries.reserve(mine.len().max(theirs.len()));
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let order = a.element.cmp(&b.element);
            let mut entry = if order == Ordering::Greater { theirs.next() } else { mine.next() };
            if let (Ordering::Equal, Some(entry)) = (order, &mut entry) {
                theirs.next().into_iter().for_each(|again| entry.unite(again));
            }
            self.entries.extend(entry);
        }
        self.entries.extend(mine.chain(theirs));
    }

    /// What is in any of many sets, without going through what was found for each of them.
    pub fn union_of(mut sets: Vec<Set>) -> Set {
        sets.retain(|set| !set.is_empty());
        if sets.len() <= 2 {
            let mut union = Set::new();
            sets.into_iter().for_each(|set| union.union(set));
            return union;
        }
        let mut entries: Vec<Entry> = sets.into_iter().flat_map(|set| set.entries).collect();
        entries.sort_by(|a, b| a.element.cmp(&b.element));
        let mut entries = entries.into_iter().peekable();
        let mut union = Set::new();
        while let Some(mut entry) = entries.next() {
            let mut below = Vec::new();
            while let Some(again) = entries.next_if(|next| next.element == entry.element) {
                entry.marks |= again.marks;
                below.push(again.below);
            }
            if !below.is_empty() {
                below.push(std::mem::take(&mut entry.below));
                entry.below = Set::union_of(below);
            }
            union.entries.push(entry);
        }
        union
    }

    /// What is in both, with the other's marks among `mask`.
    pub fn intersection(&self, other: &Set, mask: u8) -> Set {
        let mut result = Set::new();
        self.zip(other, |mine, theirs| {
            let marks = if mine.marks != 0 { theirs.marks & mask } else { 0 };
            let below = mine.below.intersection(&theirs.below, mask);
            if marks != 0 || !below.is_empty() {
                result.entries.push(Entry { element: mine.element.clone(), marks, below });
            }
        });
        result
    }

    /// Whether anything is in both, the other's marks being among `mask`.
    pub fn meets(&self, other: &Set, mask: u8) -> bool {
        let mut met = false;
        self.zip(other, |mine, theirs| {
            met = met
                || (mine.marks != 0 && theirs.marks & mask != 0)
                || (!mine.below.is_empty() && !theirs.below.is_empty() && mine.below.meets(&theirs.below, mask));
        });
        met
    }

    fn zip(&self, other: &Set, mut f: impl FnMut(&Entry, &Entry)) {
        let (mut i, mut j) = (0, 0);
        while let (Some(mine), Some(theirs)) = (self.entries.get(i), other.entries.get(j)) {
            match mine.element.cmp(&theirs.element) {
                Ordering::Less => i += before(&self.entries[i..], &theirs.element),
                Ordering::Greater => j += before(&other.entries[j..], &mine.element),
                Ordering::Equal => {
                    f(mine, theirs);
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
    }

    /// Takes away exactly the paths of another set. Whether there were any.
    pub fn subtract(&mut self, other: &Set) -> bool {
        if other.is_empty() {
            return false;
        }
        let mut changed = false;
        self.entries.retain_mut(|entry| {
            let Some(theirs) = other.get(&entry.element) else { return true };
            if theirs.marks != 0 && entry.marks != 0 {
                entry.marks = 0;
                changed = true;
            }
            changed |= entry.below.subtract(&theirs.below);
            entry.marks != 0 || !entry.below.is_empty()
        });
        changed
    }

    /// Takes away the paths of another set, and all below them.
    pub fn subtract_with_children(&mut self, other: &Set) {
        if other.is_empty() {
            return;
        }
        self.entries.retain_mut(|entry| {
            let Some(theirs) = other.get(&entry.element) else { return true };
            if theirs.marks != 0 {
                return false;
            }
            entry.below.subtract_with_children(&theirs.below);
            entry.marks != 0 || !entry.below.is_empty()
        });
    }

    /// Only what has one of these marks, as a plain set.
    pub fn marked(&self, mask: u8) -> Set {
        let entries = self.entries.iter().filter_map(|entry| {
            let marks = if entry.marks & mask != 0 { MEMBER } else { 0 };
            let below = entry.below.marked(mask);
            (marks != 0 || !below.is_empty()).then(|| Entry { element: entry.element.clone(), marks, below })
        });
        Set { entries: entries.collect() }
    }

    /// How many paths there are.
    pub(super) fn len(&self) -> usize {
        self.entries.iter().map(|entry| usize::from(entry.marks != 0) + entry.below.len()).sum()
    }

    /// Every path of the set, as a text: those of a level, then those below it. `each` says whether to go on.
    pub(super) fn paths(&self, above: &mut String, each: &mut impl FnMut(&str) -> bool) -> bool {
        let length = above.len();
        for entry in self.entries.iter().filter(|entry| entry.marks != 0) {
            let _ = write!(above, "{}", entry.element);
            let more = each(above);
            above.truncate(length);
            if !more {
                return false;
            }
        }
        for entry in self.entries.iter().filter(|entry| !entry.below.is_empty()) {
            let _ = write!(above, "{}", entry.element);
            let more = entry.below.paths(above, each);
            above.truncate(length);
            if !more {
                return false;
            }
        }
        true
    }

    // Text.

    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(256);
        self.write(false, &mut out);
        String::from_utf8(out).expect("JSON is written as UTF-8")
    }

    fn write(&self, with_self: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        if with_self && !self.entries.is_empty() {
            out.extend_from_slice(b"\".\":{}");
            first = false;
        }
        for entry in &self.entries {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            entry.element.write(out);
            out.push(b':');
            entry.below.write(entry.marks != 0, out);
        }
        out.push(b'}');
    }

    /// Reads a set. Kinds of steps that are not known are left out, with all below them.
    pub fn parse(text: &str) -> Result<Set, String> {
        let mut parser = Parser { text: text.as_bytes(), pos: 0 };
        let (set, _) = parser.object(0)?;
        Ok(set)
    }
}

struct Parser<'t> {
    text: &'t [u8],
    pos: usize,
}

impl<'t> Parser<'t> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.pos) {
            self.pos += 1;
        }
        self.text.get(self.pos).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() == Some(byte) {
            self.pos += 1;
            return Ok(());
        }
        Err(format!("expected {} in a set of fields", byte as char))
    }

    /// What is below, and whether the path itself is in the set.
    fn object(&mut self, depth: usize) -> Result<(Set, bool), String> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut member = false;
        if depth > DEPTH_MAX {
            return Err("exceeded max depth".into());
        }
        if self.peek() == Some(b'n') && self.text[self.pos..].starts_with(b"null") {
            self.pos += 4;
            return Ok((Set::new(), true));
        }
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.pos += 1;
            return Ok((Set::new(), true));
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            if key == "." {
                member = true;
                self.skip()?;
            } else if let Some(element) = parse_element(&key)? {
                let (below, marked) = self.object(depth + 1)?;
                entries.push(Entry { element, marks: u8::from(marked), below });
            } else {
                self.skip()?;
            }
            match self.peek() {
                Some(b',') => self.pos += 1,
                _ => {
                    self.expect(b'}')?;
                    let member = member || entries.is_empty();
                    // Of a step that is there twice the last counts that has anything below it.
                    let set = Set::of_entries(entries, |entry, again| {
                        entry.marks |= again.marks;
                        if !again.below.is_empty() {
                            entry.below = again.below;
                        }
                    });
                    return Ok((set, member));
                }
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'t, str>, String> {
        self.expect(b'"')?;
        let start = self.pos;
        let mut escaped = false;
        loop {
            match self.text.get(self.pos) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.pos += 2;
                }
                Some(_) => self.pos += 1,
                None => return Err("unexpected end of a set of fields".into()),
            }
        }
        let text = self.text;
        let inner = &text[start..self.pos];
        self.pos += 1;
        if !escaped {
            return Ok(String::from_utf8_lossy(inner));
        }
        let parsed = json::parse(self.text[start - 1..self.pos].to_vec(), Form::Plain);
        Ok(Cow::Owned(parsed.map_err(|error| error.to_string())?.tree.root().as_str().to_owned()))
    }

    /// Skips a value. The text as a whole was checked before.
    fn skip(&mut self) -> Result<(), String> {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                None => return Err("unexpected end of a set of fields".into()),
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.pos += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.pos += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.pos += 1;
                    continue;
                }
                Some(_) => {
                    let len = self.text[self.pos..].iter().take_while(|b| !b",:]}{[\" \t\r\n".contains(b)).count();
                    self.pos += len.max(1);
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// None is a kind that is not known.
fn parse_element(key: &str) -> Result<Option<Element<'static>>, String> {
    let bytes = key.as_bytes();
    if bytes.len() < 2 {
        return Err("key must be 2 characters long:".into());
    }
    if bytes[1] != b':' {
        return Err(format!("missing colon: {key}"));
    }
    let rest = &key[2..];
    Ok(Some(match bytes[0] {
        b'f' => Element::Field(Cow::Owned(rest.to_owned())),
        b'v' => {
            json::check_syntax(rest.as_bytes()).map_err(|error| error.0)?;
            Element::Value(scalar_of_json(rest))
        }
        b'k' => {
            let parsed = json::parse(rest.as_bytes().to_vec(), Form::Plain).map_err(|error| error.to_string())?;
            let members = parsed.tree.root().as_map();
            let field = |(name, node): (&str, crate::tree::Node<'_>)| {
                (Cow::Owned(name.to_owned()), Scalar::of(Val::of(node)).into_owned())
            };
            Element::Key(members.iter().map(field).collect())
        }
        b'i' => Element::Index(rest.parse().map_err(|_| format!("invalid index: {rest}"))?),
        _ => return Ok(None),
    }))
}
