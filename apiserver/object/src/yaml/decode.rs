//! YAML to JSON.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use base64::Engine as _;
use corten_api::field::quote;
use corten_api::json::{write_f64, write_string};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::resolve::{self, Scalar};
use super::text::Text;
use crate::DEPTH_MAX;

#[derive(Debug)]
pub struct Converted {
    pub json: Vec<u8>,
    /// What strict decoding complains of: keys that are set twice.
    pub strict: Option<String>,
}

/// `yaml: line 2: mapping values are not allowed in this context`
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// The first document of a text, as JSON with sorted keys. No document is `null`.
pub fn to_json(text: &str) -> Result<Converted, Error> {
    if text.chars().any(is_control) {
        return Err(Error("yaml: control characters are not allowed".into()));
    }
    check_leading_tabs(text)?;
    check_version(text)?;
    let document = Document::parse(text)?;
    let mut writer = Writer::new(&document);
    match document.root {
        Some(root) => writer.node(root, 0)?,
        None => writer.out.extend_from_slice(b"null"),
    }
    // Go complains when it has read a value to its end.
    writer.strict.sort_by_key(|duplicate| (document.nodes[duplicate.value].end, std::cmp::Reverse(duplicate.value)));
    let strict = (!writer.strict.is_empty()).then(|| {
        writer.strict.iter().fold("yaml: unmarshal errors:".to_owned(), |mut message, duplicate| {
            let error = &duplicate.message;
            let _ = write!(message, "\n  {error}");
            message
        })
    });
    Ok(Converted { json: writer.out, strict })
}

/// The parser lets a tab stand before the first token, libyaml does not.
fn check_leading_tabs(text: &str) -> Result<(), Error> {
    for (i, line) in text.lines().enumerate() {
        let rest = line.trim_start_matches([' ', '\t']);
        if line[..line.len() - rest.len()].contains('\t') {
            let line = if i == 0 { String::new() } else { format!("line {}: ", i + 1) };
            return Err(Error(format!("yaml: {line}found character that cannot start any token")));
        }
        if !rest.is_empty() && !rest.starts_with('#') {
            break;
        }
    }
    Ok(())
}

fn check_version(text: &str) -> Result<(), Error> {
    let mut directives = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let version = directives.next().and_then(|line| line.strip_prefix("%YAML "));
    match version.map(|version| version.split('#').next().unwrap_or_default().trim()) {
        None | Some("1.1") => Ok(()),
        Some(_) => Err(Error("yaml: found incompatible YAML document".into())),
    }
}

fn is_control(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

struct Document {
    nodes: Vec<Node>,
    root: Option<usize>,
}

struct Node {
    kind: Kind,
    /// From 1.
    line: usize,
    /// The last node inside of it.
    end: usize,
}

enum Kind {
    Scalar {
        text: String,
        plain: bool,
        tag: String,
    },
    Sequence(Vec<usize>),
    /// Keys and values in turn.
    Mapping(Vec<usize>),
    Alias {
        name: String,
        target: usize,
    },
}

impl Document {
    fn parse(text: &str) -> Result<Document, Error> {
        let mut parser = Parser::new(Text::new(text));
        let mut places = Places::new(text);
        let chars = text.chars().count();
        let mut document = Document { nodes: Vec::new(), root: None };
        let mut anchors: HashMap<usize, usize> = HashMap::new();
        let mut open: Vec<usize> = Vec::new();
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| describe(&error, text))?;
            let (kind, anchor) = match event {
                Event::DocumentEnd | Event::StreamEnd => break,
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(id) = open.pop() {
                        document.nodes[id].end = document.nodes.len() - 1;
                    }
                    continue;
                }
                Event::Scalar(value, style, anchor, tag) => {
                    let plain = style == ScalarStyle::Plain;
                    let mut value = value.into_owned();
                    if style == ScalarStyle::SingleQuoted {
                        value = without_blanks_around_separators(value);
                    }
                    // A block at the very end has no line break that the text does not have.
                    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    if block && !text.ends_with('\n') && value.ends_with('\n') && span.end.index() >= chars {
                        value.pop();
                    }
                    (Kind::Scalar { text: value, plain, tag: tag_name(tag.as_deref()) }, anchor)
                }
                Event::SequenceStart(anchor, _) => (Kind::Sequence(Vec::new()), anchor),
                Event::MappingStart(anchor, _) => (Kind::Mapping(Vec::new()), anchor),
                Event::Alias(anchor) => {
                    let name = anchor_name(places.from(span.start.index()));
                    let Some(&target) = anchors.get(&anchor) else {
                        return Err(Error(format!("yaml: unknown anchor '{name}' referenced")));
                    };
                    (Kind::Alias { name, target }, 0)
                }
                _ => continue,
            };
            let container = matches!(kind, Kind::Sequence(_) | Kind::Mapping(_));
            let id = document.nodes.len();
            document.nodes.push(Node { kind, line: span.start.line(), end: id });
            if anchor != 0 {
                anchors.insert(anchor, id);
            }
            match open.last() {
                None => document.root = Some(id),
                Some(&parent) => match &mut document.nodes[parent].kind {
                    Kind::Sequence(items) | Kind::Mapping(items) => items.push(id),
                    _ => unreachable!("only containers are opened"),
                },
            }
            if container {
                open.push(id);
                if open.len() > DEPTH_MAX {
                    return Err(too_deep(span.start.line()));
                }
            }
        }
        Ok(document)
    }
}

/// In YAML 1.1 the separators of lines and paragraphs end a line too, so that indentation goes; the parser knows 1.2.
fn without_blanks_around_separators(text: String) -> String {
    let is_separator = |c: char| matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(is_separator) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split_inclusive(is_separator).enumerate() {
        let line = if i > 0 { line.trim_start_matches([' ', '\t']) } else { line };
        match line.char_indices().next_back() {
            Some((at, separator)) if is_separator(separator) => {
                out.push_str(line[..at].trim_end_matches([' ', '\t']));
                out.push(separator);
            }
            _ => out.push_str(line),
        }
    }
    out
}

/// As libyaml says it, which leaves the first line out.
fn too_deep(line: usize) -> Error {
    let place = if line > 1 { format!("line {line}: ") } else { String::new() };
    Error(format!("yaml: {place}exceeded max depth of {DEPTH_MAX}"))
}

fn tag_name(tag: Option<&Tag>) -> String {
    match tag {
        None => String::new(),
        Some(tag) if tag.is_yaml_core_schema() => format!("!!{}", tag.suffix),
        Some(tag) => format!("{}{}", tag.handle, tag.suffix),
    }
}

/// Finds characters by their number, which go up from one to the next.
struct Places<'t> {
    text: &'t str,
    /// A character's number, and its byte.
    at: (usize, usize),
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Places<'t> {
        Places { text, at: (0, 0) }
    }

    /// The text from a character on.
    fn from(&mut self, number: usize) -> &'t str {
        let (known, byte) = if self.at.0 <= number { self.at } else { (0, 0) };
        let rest = &self.text[byte..];
        let further = rest.char_indices().nth(number - known).map_or(rest.len(), |(at, _)| at);
        self.at = (number, byte + further);
        &self.text[self.at.1..]
    }
}

/// The name behind the star of an alias.
fn anchor_name(alias: &str) -> String {
    let name = alias.trim_start_matches('*').chars();
    name.take_while(|&c| c.is_ascii_alphanumeric() || c == '_' || c == '-').collect()
}

/// The parser's complaint in libyaml's words and way to count lines: the scanner counts from one, the parser from zero,
/// and a zero is left out.
fn describe(error: &ScanError, text: &str) -> Error {
    let info = error.info();
    let problem = match info.strip_prefix("while ").and_then(|rest| rest.split_once(", ")) {
        Some((_, problem)) => problem,
        None => info,
    };
    if problem == "found unknown anchor" {
        let line = text.lines().nth(error.marker().line() - 1).unwrap_or_default();
        let name = anchor_name(Places::new(line).from(error.marker().col()));
        return Error(format!("yaml: unknown anchor '{name}' referenced"));
    }
    let scanned = ["while parsing a quoted scalar", "while parsing a tag"].iter().any(|start| info.starts_with(start));
    let parsed = info.starts_with("while parsing a ") || problem.starts_with("did not find expected <");
    let of_parser = parsed && !scanned;
    let problem = match problem {
        "expected ',' or ']'" => "did not find expected ',' or ']'",
        "simple key expect ':'" | "simple key expected" => "could not find expected ':'",
        "unexpected eof" => "found unexpected end of stream",
        "invalid indentation" => "did not find expected key",
        // The parser's own limit, of what stands in brackets and braces.
        "recursion limit exceeded" => "exceeded max depth of 255",
        _ if problem.starts_with("unexpected character") || problem.starts_with("tab") || problem.contains("a tab") => {
            "found character that cannot start any token"
        }
        _ => problem,
    };
    // At the end of the text a line that was begun counts as ended.
    let unended = error.marker().index() >= text.chars().count() && !text.ends_with('\n') && error.marker().col() > 0;
    let line = error.marker().line() - 1 + usize::from(unended);
    match line {
        0 => Error(format!("yaml: {problem}")),
        line if of_parser => Error(format!("yaml: line {line}: {problem}")),
        line => Error(format!("yaml: line {}: {problem}", line + 1)),
    }
}

fn excessive_aliasing() -> Error {
    Error("yaml: document contains excessive aliasing".into())
}

/// A key as it was resolved: keys of different types are different.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Str(String),
    Int(i64),
    Uint(u64),
    Float(u64),
    Bool(bool),
    Null,
}

struct Entry {
    key: Key,
    value: usize,
    /// The alias by which the value was merged in.
    via: Option<usize>,
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    places: HashMap<Key, usize>,
    /// How many aliases were being followed when the mapping itself was reached; those beyond are merged into it.
    reached_by: usize,
}

struct Duplicate {
    value: usize,
    message: String,
}

/// How many bytes may be made by following aliases: as many as the largest body has. Upstream counts only values, which
/// share their texts until they are written.
const ALIASED_MAX: usize = 3 << 20;

struct Writer<'d> {
    document: &'d Document,
    out: Vec<u8>,
    strict: Vec<Duplicate>,
    /// Aliases that are being followed.
    active: Vec<usize>,
    /// The same, by node.
    is_active: Vec<bool>,
    decoded: usize,
    aliased: usize,
    /// The bytes of all scalars that were reached by an alias.
    aliased_bytes: usize,
}

impl<'d> Writer<'d> {
    fn new(document: &'d Document) -> Self {
        let is_active = vec![false; document.nodes.len()];
        let (out, strict, active) = (Vec::new(), Vec::new(), Vec::new());
        Writer { document, out, strict, active, is_active, decoded: 0, aliased: 0, aliased_bytes: 0 }
    }

    /// Counts a step and refuses documents that are mostly repetition.
    fn count(&mut self) -> Result<(), Error> {
        self.decoded += 1;
        self.aliased += usize::from(!self.active.is_empty());
        let (low, high) = (400_000.0, 4_000_000.0);
        let decoded = self.decoded as f64;
        let allowed = 0.99 - 0.89 * ((decoded - low) / (high - low)).clamp(0.0, 1.0);
        if self.aliased > 100 && self.decoded > 1000 && self.aliased as f64 / decoded > allowed {
            return Err(excessive_aliasing());
        }
        Ok(())
    }

    /// Counts the bytes of a scalar before they are copied.
    fn count_bytes(&mut self, text: &str) -> Result<(), Error> {
        if !self.active.is_empty() {
            self.aliased_bytes += text.len();
            if self.aliased_bytes > ALIASED_MAX {
                return Err(excessive_aliasing());
            }
        }
        Ok(())
    }

    fn follow<T>(&mut self, alias: usize, f: impl FnOnce(&mut Self, usize) -> Result<T, Error>) -> Result<T, Error> {
        let Kind::Alias { name, target } = &self.document.nodes[alias].kind else { return f(self, alias) };
        if self.is_active[alias] {
            return Err(Error(format!("yaml: anchor '{name}' value contains itself")));
        }
        self.is_active[alias] = true;
        self.active.push(alias);
        let result = f(self, *target);
        self.active.pop();
        self.is_active[alias] = false;
        result
    }

    fn node(&mut self, id: usize, depth: usize) -> Result<(), Error> {
        self.count()?;
        if depth > DEPTH_MAX {
            return Err(too_deep(self.document.nodes[id].line));
        }
        let document = self.document;
        match &document.nodes[id].kind {
            Kind::Alias { .. } => self.follow(id, |writer, target| writer.node(target, depth + 1)),
            Kind::Scalar { .. } => self.scalar(id),
            Kind::Sequence(items) => {
                self.out.push(b'[');
                for (i, &item) in items.iter().enumerate() {
                    if i > 0 {
                        self.out.push(b',');
                    }
                    self.node(item, depth + 1)?;
                }
                self.out.push(b']');
                Ok(())
            }
            Kind::Mapping(items) => self.mapping(items, depth),
        }
    }

    fn mapping(&mut self, items: &[usize], depth: usize) -> Result<(), Error> {
        let mut entries = Entries { reached_by: self.active.len(), ..Entries::default() };
        self.collect(items, &mut entries)?;
        let mut sorted: BTreeMap<String, Entry> = BTreeMap::new();
        for entry in entries.list {
            sorted.insert(key_text(&entry.key)?, entry);
        }
        self.out.push(b'{');
        for (i, (key, entry)) in sorted.into_iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write_string(&mut self.out, &key);
            self.out.push(b':');
            match entry.via {
                Some(alias) => self.follow(alias, |writer, _| writer.node(entry.value, depth + 1))?,
                None => self.node(entry.value, depth + 1)?,
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn collect(&mut self, items: &[usize], entries: &mut Entries) -> Result<(), Error> {
        for pair in items.chunks_exact(2) {
            let (key, value) = (pair[0], pair[1]);
            if self.is_merge(key) {
                self.merge(value, entries)?;
                continue;
            }
            self.count()?;
            let key = self.key(key)?;
            let via = self.active.get(entries.reached_by..).and_then(<[usize]>::last).copied();
            match entries.places.get(&key) {
                Some(&place) => {
                    let line = self.document.nodes[value].line;
                    let message = format!("line {line}: key {} already set in map", go_syntax(&key));
                    self.strict.push(Duplicate { value, message });
                    entries.list[place] = Entry { key, value, via };
                }
                None => {
                    entries.places.insert(key.clone(), entries.list.len());
                    entries.list.push(Entry { key, value, via });
                }
            }
        }
        Ok(())
    }

    fn is_merge(&self, id: usize) -> bool {
        match &self.document.nodes[id].kind {
            Kind::Scalar { text, plain, tag } => {
                text == "<<" && ((*plain && tag.is_empty()) || matches!(tag.as_str(), "!" | "!!merge"))
            }
            _ => false,
        }
    }

    fn merge(&mut self, id: usize, entries: &mut Entries) -> Result<(), Error> {
        let document = self.document;
        match &document.nodes[id].kind {
            // Earlier ones win, so later ones go first.
            Kind::Sequence(items) => items.iter().rev().try_for_each(|&item| self.merge_one(item, entries)),
            _ => self.merge_one(id, entries),
        }
    }

    fn merge_one(&mut self, id: usize, entries: &mut Entries) -> Result<(), Error> {
        let document = self.document;
        match &document.nodes[id].kind {
            Kind::Mapping(items) => self.collect(items, entries),
            Kind::Alias { target, .. } if matches!(document.nodes[*target].kind, Kind::Mapping(_)) => {
                self.follow(id, |writer, target| writer.merge_one(target, entries))
            }
            _ => Err(Error("yaml: map merge requires map or sequence of maps as the value".into())),
        }
    }

    fn key(&mut self, id: usize) -> Result<Key, Error> {
        let document = self.document;
        match &document.nodes[id].kind {
            Kind::Alias { .. } => self.follow(id, |writer, target| writer.key(target)),
            Kind::Scalar { text, plain, tag } => {
                self.count_bytes(text)?;
                Ok(match resolve_tagged(text, *plain, tag)? {
                    Resolved::Text(text) => Key::Str(text),
                    Resolved::Scalar(Scalar::Null) => Key::Null,
                    Resolved::Scalar(Scalar::Bool(value)) => Key::Bool(value),
                    Resolved::Scalar(Scalar::Int(value)) => Key::Int(value),
                    Resolved::Scalar(Scalar::Uint(value)) => Key::Uint(value),
                    Resolved::Scalar(Scalar::Float(value)) => Key::Float(value.to_bits()),
                    Resolved::Scalar(Scalar::Str) => Key::Str(text.clone()),
                })
            }
            Kind::Sequence(_) => Err(Error("yaml: invalid map key: []interface {}{}".into())),
            Kind::Mapping(_) => Err(Error("yaml: invalid map key: map[interface {}]interface {}{}".into())),
        }
    }

    fn scalar(&mut self, id: usize) -> Result<(), Error> {
        let Kind::Scalar { text, plain, tag } = &self.document.nodes[id].kind else { return Ok(()) };
        self.count_bytes(text)?;
        match resolve_tagged(text, *plain, tag)? {
            Resolved::Text(text) => write_string(&mut self.out, &text),
            Resolved::Scalar(Scalar::Null) => self.out.extend_from_slice(b"null"),
            Resolved::Scalar(Scalar::Bool(value)) => {
                self.out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            Resolved::Scalar(Scalar::Int(value)) => {
                self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Resolved::Scalar(Scalar::Uint(value)) => {
                self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Resolved::Scalar(Scalar::Float(value)) if value.is_finite() => write_f64(&mut self.out, value),
            Resolved::Scalar(Scalar::Float(value)) => {
                let shown = if value.is_nan() {
                    "NaN"
                } else if value > 0.0 {
                    "+Inf"
                } else {
                    "-Inf"
                };
                return Err(Error(format!("json: unsupported value: {shown}")));
            }
            Resolved::Scalar(Scalar::Str) => write_string(&mut self.out, text),
        }
        Ok(())
    }
}

enum Resolved {
    Text(String),
    Scalar(Scalar),
}

fn resolve_tagged(text: &str, plain: bool, tag: &str) -> Result<Resolved, Error> {
    let wanted = match tag {
        "" if !plain => return Ok(Resolved::Text(text.to_owned())),
        "" => return Ok(Resolved::Scalar(resolve::resolve(text))),
        "!!binary" => {
            let clean: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
            return match base64::engine::general_purpose::STANDARD.decode(clean) {
                Ok(bytes) => Ok(Resolved::Text(String::from_utf8_lossy(&bytes).into_owned())),
                Err(_) => Err(Error("yaml: !!binary value contains invalid base64 data".into())),
            };
        }
        "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp" => tag,
        _ => return Ok(Resolved::Text(text.to_owned())),
    };
    let scalar = resolve::resolve(text);
    let found = match scalar {
        Scalar::Null => "!!null",
        Scalar::Bool(_) => "!!bool",
        Scalar::Int(_) | Scalar::Uint(_) => "!!int",
        Scalar::Float(_) => "!!float",
        Scalar::Str if resolve::is_timestamp(text) => "!!timestamp",
        Scalar::Str => "!!str",
    };
    match scalar {
        Scalar::Int(value) if wanted == "!!float" => Ok(Resolved::Scalar(Scalar::Float(value as f64))),
        scalar if found == wanted => Ok(Resolved::Scalar(scalar)),
        _ => Err(Error(format!("yaml: cannot decode {found} `{text}` as a {wanted}"))),
    }
}

/// A key as JSON has it.
fn key_text(key: &Key) -> Result<String, Error> {
    Ok(match key {
        Key::Str(text) => text.clone(),
        Key::Int(value) => value.to_string(),
        Key::Bool(value) => value.to_string(),
        Key::Float(bits) => {
            let value = f64::from_bits(*bits);
            match value {
                _ if value.is_nan() => ".nan".into(),
                f64::INFINITY => ".inf".into(),
                f64::NEG_INFINITY => "-.inf".into(),
                _ => super::encode::format_g32(value as f32),
            }
        }
        Key::Uint(value) => {
            return Err(Error(format!("unsupported map key of type: uint64, key: {value:#x}, value: ")));
        }
        Key::Null => {
            return Err(Error("unsupported map key of type: %!s(<nil>), key: <nil>, value: ".into()));
        }
    })
}

/// A key as Go's `%#v` shows it.
fn go_syntax(key: &Key) -> String {
    match key {
        Key::Str(text) => quote(text),
        Key::Int(value) => value.to_string(),
        Key::Uint(value) => format!("{value:#x}"),
        Key::Bool(value) => value.to_string(),
        Key::Float(bits) => super::encode::format_g(f64::from_bits(*bits)),
        Key::Null => "interface {}(nil)".into(),
    }
}
