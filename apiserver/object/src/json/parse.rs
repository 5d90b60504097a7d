//! Parsing, in one pass: into typed structs against the schema tables, or into plain maps and lists.
//!
//! What Go's decoder would report is collected on the way: a syntax error wins over everything, an error of a type that
//! decodes itself (a quantity, a time) wins over a mismatch of types, of which the first counts; unknown and duplicate
//! fields are noted and left to the caller, who knows whether they are errors, warnings or nothing.

use corten_schema::{Field, FieldId, RawKind, SchemaOr, Shape, TypeId};

use super::scan::{self, ParseError, Scanner, SyntaxError, unescape};
use crate::DEPTH_MAX;
use crate::scalar;
use crate::tree::{Id, Link, Slot, Text, Tree, is_like_absent, zero_is_absent};

/// What a text is read as.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A built-in type.
    Typed(TypeId),
    /// Maps and lists, nothing lost: a patch, an applied configuration.
    Plain,
    /// A custom object: plain, but for its metadata, which is the given type's.
    Custom { metadata: TypeId },
}

#[derive(Debug)]
pub struct Parsed {
    pub tree: Tree,
    /// `unknown field "spec.x"`, `duplicate field "a"`, at most a hundred.
    pub strict: Vec<String>,
}

/// Parses what a client sent; the text becomes the tree's own.
pub fn parse(text: Vec<u8>, form: Form) -> Result<Parsed, ParseError> {
    parse_as(text, form, false)
}

/// Parses what this process wrote, or what the store holds. Its times may be of any year, while a client's have four
/// digits: a time that came as protobuf may be of any.
pub fn parse_written(text: Vec<u8>, form: Form) -> Result<Parsed, ParseError> {
    parse_as(text, form, true)
}

fn parse_as(text: Vec<u8>, form: Form, written: bool) -> Result<Parsed, ParseError> {
    // Go replaces what is no UTF-8, once it has found the text to be JSON; nearly every text is both.
    let text = match String::from_utf8(text) {
        Ok(text) => text.into_bytes(),
        Err(error) => {
            scan::check(error.as_bytes())?;
            String::from_utf8_lossy(error.as_bytes()).into_owned().into_bytes()
        }
    };
    let end = text.len();
    let mut parser = Parser {
        tree: Tree::with_text(text),
        pos: 0,
        end,
        pending: Vec::new(),
        path: Vec::new(),
        strict_path: Vec::new(),
        strict: Vec::new(),
        noted: 0,
        mismatch: None,
        fatal: None,
        depth: 0,
        written,
    };
    let root = match form {
        Form::Typed(ty) => parser.typed_struct(ty)?,
        Form::Plain => parser.plain()?,
        Form::Custom { metadata } => parser.custom(metadata)?,
    };
    parser.finish()?;
    let root = root.unwrap_or(Id(0));
    parser.tree.set_root(root);
    Ok(Parsed { tree: parser.tree, strict: parser.strict })
}

const STRICT_MAX: usize = 100;
/// How many bytes of paths may be written, beside as many as the text has, to find the same note again and again.
const NOTING: usize = 64 * 1024;

/// A step of the path in a message about types: Go names fields, embedded structs among them, but no keys or indexes.
#[derive(Clone, Copy)]
struct Frame {
    ty: TypeId,
    field: FieldId,
}

enum StrictStep {
    Field(&'static str),
    Key(Text),
    Index(usize),
}

struct Parser {
    tree: Tree,
    pos: usize,
    /// Where the text to parse ends; what is unescaped is put behind it.
    end: usize,
    /// Entries of the containers that are open.
    pending: Vec<Link>,
    path: Vec<Frame>,
    strict_path: Vec<StrictStep>,
    strict: Vec<String>,
    /// The bytes of all paths that were written for notes.
    noted: usize,
    mismatch: Option<String>,
    fatal: Option<String>,
    depth: usize,
    /// Whether times may be of any year.
    written: bool,
}

type Result_<T> = Result<T, SyntaxError>;
/// What may take a member over.
type Special<'f, P> = &'f mut dyn FnMut(&mut P, Text) -> Result_<Option<Option<Id>>>;

impl Parser {
    fn finish(&mut self) -> Result<(), ParseError> {
        self.scan(|scanner| scanner.end())?;
        match self.fatal.take().or(self.mismatch.take()) {
            Some(message) => Err(ParseError::Type(message)),
            None => Ok(()),
        }
    }

    fn scan<T>(&mut self, f: impl FnOnce(&mut Scanner<'_>) -> Result_<T>) -> Result_<T> {
        let mut scanner = Scanner { bytes: &self.tree.text[..self.end], pos: self.pos };
        let result = f(&mut scanner);
        self.pos = scanner.pos;
        result
    }

    fn peek(&mut self) -> Option<u8> {
        while self.pos < self.end {
            match self.tree.text[self.pos] {
                b' ' | b'\t' | b'\r' | b'\n' => self.pos += 1,
                byte => return Some(byte),
            }
        }
        None
    }

    fn syntax<T>(&mut self, context: &str) -> Result_<T> {
        self.scan(|scanner| Err(scanner.error(context)))
    }

    fn enter(&mut self) -> Result_<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.syntax("exceeded max depth") } else { Ok(()) }
    }

    /// A string's text; the position is at its opening quote.
    fn string(&mut self) -> Result_<Text> {
        let start = self.pos + 1;
        let escapes = self.scan(|scanner| scanner.skip_string())?;
        let end = self.pos - 1;
        if !escapes {
            return Ok(Text { start: start as u32, len: (end - start) as u32 });
        }
        let literal = self.tree.text[start..end].to_vec();
        let at = self.tree.text.len();
        unescape(&literal, &mut self.tree.text);
        Ok(Text { start: at as u32, len: (self.tree.text.len() - at) as u32 })
    }

    /// Walks an object's members. `member` is called with the key, at the value.
    fn object(&mut self, mut member: impl FnMut(&mut Self, Text) -> Result_<()>) -> Result_<()> {
        self.enter()?;
        self.pos += 1;
        if self.peek() == Some(b'}') {
            self.pos += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.syntax("looking for beginning of object key string");
            }
            let key = self.string()?;
            if self.peek() != Some(b':') {
                return self.syntax("after object key");
            }
            self.pos += 1;
            member(self, key)?;
            match self.peek() {
                Some(b',') => self.pos += 1,
                Some(b'}') => {
                    self.pos += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return self.syntax("after object key:value pair"),
            }
        }
    }

    fn array(&mut self, mut item: impl FnMut(&mut Self, usize) -> Result_<()>) -> Result_<()> {
        self.enter()?;
        self.pos += 1;
        if self.peek() == Some(b']') {
            self.pos += 1;
            self.depth -= 1;
            return Ok(());
        }
        for index in 0.. {
            item(self, index)?;
            match self.peek() {
                Some(b',') => self.pos += 1,
                Some(b']') => {
                    self.pos += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return self.syntax("after array element"),
            }
        }
        Ok(())
    }

    /// Skips a value and says what Go calls it.
    fn skip(&mut self) -> Result_<&'static str> {
        let what = match self.peek() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "bool",
            Some(b'n') => "null",
            _ => "number",
        };
        self.scan(|scanner| scanner.skip_value())?;
        Ok(what)
    }

    // Plain values.

    fn plain(&mut self) -> Result_<Option<Id>> {
        match self.peek() {
            Some(b'{') => self.plain_object(&mut |_, _| Ok(None)).map(Some),
            Some(b'[') => {
                let base = self.pending.len();
                self.array(|parser, index| {
                    parser.strict_path.push(StrictStep::Index(index));
                    let value = parser.plain()?.unwrap_or(Id(0));
                    parser.strict_path.pop();
                    parser.pending.push(Link { key: Text { start: 0, len: 0 }, value });
                    Ok(())
                })?;
                let span = self.close(base);
                Ok(Some(self.tree.push(Slot::List(span))))
            }
            Some(b'"') => {
                let text = self.string()?;
                Ok(Some(self.tree.push(Slot::Str(text))))
            }
            Some(b't') => {
                self.scan(|scanner| scanner.literal("true"))?;
                Ok(Some(self.tree.bool(true)))
            }
            Some(b'f') => {
                self.scan(|scanner| scanner.literal("false"))?;
                Ok(Some(self.tree.bool(false)))
            }
            Some(b'n') => {
                self.scan(|scanner| scanner.literal("null"))?;
                Ok(Some(self.tree.null()))
            }
            Some(b'-' | b'0'..=b'9') => {
                let (literal, _) = self.number()?;
                let slot = match literal.parse::<i64>() {
                    Ok(value) => Slot::Int(value),
                    Err(_) => Slot::Float(self.plain_float(&literal)),
                };
                Ok(Some(self.tree.push(slot)))
            }
            _ => self.syntax("looking for beginning of value"),
        }
    }

    /// What is too large is an error like a mismatch of types: the rest is read on.
    fn plain_float(&mut self, literal: &str) -> f64 {
        match literal.parse::<f64>() {
            Ok(value) if value.is_finite() => value,
            _ => {
                if self.mismatch.is_none() {
                    self.mismatch = Some(self.mismatch_message(&format!("number {literal}"), "float64"));
                }
                0.0
            }
        }
    }

    /// `special` may take a member over: it returns its slot.
    fn plain_object(&mut self, special: Special<'_, Self>) -> Result_<Id> {
        let base = self.pending.len();
        self.object(|parser, key| {
            let value = match special(parser, key)? {
                Some(taken) => taken,
                None => {
                    parser.strict_path.push(StrictStep::Key(key));
                    let value = parser.plain()?;
                    parser.strict_path.pop();
                    value
                }
            };
            if let Some(value) = value {
                parser.pending.push(Link { key, value });
            }
            Ok(())
        })?;
        let span = self.close_map(base);
        Ok(self.tree.push(Slot::Map(span)))
    }

    /// Sorts a map's members by key. Of those with the same key the last one counts, and a note is made: only here, so
    /// that a map costs no more than its sorting, whatever its size.
    fn close_map(&mut self, base: usize) -> crate::tree::Span {
        let mut members = self.pending.split_off(base);
        let tree = &self.tree;
        members.sort_by(|a, b| tree.text(a.key).cmp(tree.text(b.key)));
        let mut duplicates: Vec<Text> = Vec::new();
        // Kept is the first of a run, so the run is turned round.
        members.reverse();
        members.dedup_by(|next, kept| {
            let same = tree.text(next.key) == tree.text(kept.key);
            // One note is enough for a run.
            if same && duplicates.last().is_none_or(|last| last.start != kept.key.start) {
                duplicates.push(kept.key);
            }
            same
        });
        members.reverse();
        duplicates.sort_by_key(|key| key.start);
        for key in duplicates.into_iter().take(STRICT_MAX) {
            let name = self.tree.text(key).to_owned();
            self.note("duplicate", &name);
        }
        self.tree.add_links(members.into_iter())
    }

    fn custom(&mut self, metadata: TypeId) -> Result_<Option<Id>> {
        if self.peek() != Some(b'{') {
            return self.plain();
        }
        self.plain_object(&mut |parser, key| {
            if parser.tree.text(key) != "metadata" {
                return Ok(None);
            }
            parser.strict_path.push(StrictStep::Field("metadata"));
            let value = parser.typed_struct(metadata)?;
            parser.strict_path.pop();
            Ok(Some(value))
        })
        .map(Some)
    }

    fn number(&mut self) -> Result_<(String, bool)> {
        let start = self.pos;
        let float = self.scan(|scanner| scanner.skip_number())?;
        let literal = String::from_utf8_lossy(&self.tree.text[start..self.pos]).into_owned();
        Ok((literal, float))
    }

    fn close(&mut self, base: usize) -> crate::tree::Span {
        let (tree, pending) = (&mut self.tree, &mut self.pending);
        tree.add_links(pending.drain(base..))
    }

    // Typed values.

    /// A value of a shape; `level` counts the lists and maps between it and its field. None is null.
    fn typed(&mut self, shape: &'static Shape, level: usize) -> Result_<Option<Id>> {
        let Some(first) = self.peek() else { return self.syntax("looking for beginning of value") };
        if first == b'n' && !matches!(shape, Shape::Raw(_)) {
            self.scan(|scanner| scanner.literal("null"))?;
            return Ok(None);
        }
        match shape {
            Shape::Struct(ty) if first == b'{' => self.structure(*ty).map(Some),
            Shape::List(item) | Shape::WrappedList(item) if first == b'[' => {
                let base = self.pending.len();
                self.array(|parser, index| {
                    parser.strict_path.push(StrictStep::Index(index));
                    let value = match parser.typed(item, level + 1)? {
                        Some(value) => value,
                        None => parser.zero(item),
                    };
                    parser.strict_path.pop();
                    parser.pending.push(Link { key: Text { start: 0, len: 0 }, value });
                    Ok(())
                })?;
                let span = self.close(base);
                Ok(Some(self.tree.push(Slot::List(span))))
            }
            Shape::Map(item) if first == b'{' => self.typed_map(item, level).map(Some),
            Shape::Bool if matches!(first, b't' | b'f') => {
                self.scan(|scanner| scanner.literal(if first == b't' { "true" } else { "false" }))?;
                Ok(Some(self.tree.bool(first == b't')))
            }
            Shape::String if first == b'"' => {
                let text = self.string()?;
                Ok(Some(self.tree.push(Slot::Str(text))))
            }
            Shape::Int32 | Shape::Int64 if matches!(first, b'-' | b'0'..=b'9') => self.integer(shape, level),
            Shape::Float64 if matches!(first, b'-' | b'0'..=b'9') => {
                let (literal, _) = self.number()?;
                match literal.parse::<f64>() {
                    Ok(value) if value.is_finite() => Ok(Some(self.tree.float(value))),
                    _ => {
                        self.mismatch(&format!("number {literal}"), shape, level);
                        Ok(None)
                    }
                }
            }
            Shape::Bytes if first == b'"' => self.bytes(),
            Shape::IntOrString if first == b'"' => self.typed(&Shape::String, level),
            Shape::IntOrString if matches!(first, b'-' | b'0'..=b'9') => self.integer(&Shape::Int32, level),
            Shape::IntOrString => {
                let what = self.skip()?;
                self.fatal_mismatch(what, "int32");
                Ok(None)
            }
            Shape::Quantity => self.quantity(),
            Shape::Time | Shape::MicroTime | Shape::Duration => self.timelike(shape, first),
            Shape::Raw(kind) => self.raw(*kind),
            Shape::SchemaOr(form) => self.schema_or(*form, first, level),
            _ => {
                let what = self.skip()?;
                self.mismatch(what, shape, level);
                Ok(None)
            }
        }
    }

    /// A struct that stands in no field.
    fn typed_struct(&mut self, ty: TypeId) -> Result_<Option<Id>> {
        match self.peek() {
            Some(b'{') => self.structure(ty).map(Some),
            Some(b'n') => {
                self.scan(|scanner| scanner.literal("null"))?;
                Ok(None)
            }
            Some(_) => {
                let what = self.skip()?;
                if self.mismatch.is_none() {
                    self.mismatch = Some(self.mismatch_message(what, &scalar::go_name(&Shape::Struct(ty))));
                }
                Ok(None)
            }
            None => self.syntax("looking for beginning of value"),
        }
    }

    fn structure(&mut self, ty: TypeId) -> Result_<Id> {
        let base = self.pending.len();
        // Most texts have their fields in the order of the type.
        let mut next = 0;
        self.object(|parser, key| {
            let Some(field) = ty.get().field_after(next, parser.tree.text(key)) else {
                if parser.strict.len() < STRICT_MAX {
                    let name = parser.tree.text(key).to_owned();
                    parser.note("unknown", &name);
                }
                return parser.scan(|scanner| scanner.skip_value());
            };
            next = field.0 + 1;
            let number = u32::from(field.0);
            let description: &'static Field = ty.field(field);
            let seen = parser.pending[base..].iter().position(|link| link.key.start == number);
            if seen.is_some() {
                parser.note("duplicate", description.name);
            }
            parser.path.push(Frame { ty, field });
            parser.strict_path.push(StrictStep::Field(description.name));
            let value = parser.typed(&description.shape, 0)?;
            parser.strict_path.pop();
            parser.path.pop();
            if let Some(at) = seen {
                parser.pending.remove(base + at);
            }
            if let Some(value) = value
                && !parser.is_nothing(description, value)
            {
                parser.pending.push(Link { key: Text { start: number, len: 0 }, value });
            }
            Ok(())
        })?;
        self.pending[base..].sort_by_key(|link| link.key.start);
        let span = self.close(base);
        Ok(self.tree.push(Slot::Struct(ty, span)))
    }

    /// A zero; of structs one without entries, because empty lists and maps in it are told from absent ones.
    fn is_nothing(&self, field: &Field, id: Id) -> bool {
        match self.tree.type_of(id) {
            Some(_) => zero_is_absent(field) && self.tree.is_empty(id),
            None => is_like_absent(field, self.tree.node(id)),
        }
    }

    fn typed_map(&mut self, item: &'static Shape, level: usize) -> Result_<Id> {
        let base = self.pending.len();
        self.object(|parser, key| {
            parser.strict_path.push(StrictStep::Key(key));
            let value = match parser.typed(item, level + 1)? {
                Some(value) => value,
                None => parser.zero(item),
            };
            parser.strict_path.pop();
            parser.pending.push(Link { key, value });
            Ok(())
        })?;
        let span = self.close_map(base);
        Ok(self.tree.push(Slot::Map(span)))
    }

    /// What Go puts for a null, or for what did not fit, inside a list or map.
    fn zero(&mut self, shape: &Shape) -> Id {
        match shape {
            Shape::Bool => self.tree.bool(false),
            Shape::Int32 | Shape::Int64 | Shape::IntOrString => self.tree.int(0),
            Shape::Float64 => self.tree.float(0.0),
            Shape::Quantity => self.tree.string("0"),
            Shape::Struct(ty) => self.tree.structure(*ty),
            Shape::String | Shape::Bytes | Shape::Duration => self.tree.string(""),
            _ => self.tree.null(),
        }
    }

    fn integer(&mut self, shape: &'static Shape, level: usize) -> Result_<Option<Id>> {
        let (literal, _) = self.number()?;
        let fits = |value: &i64| !matches!(shape, Shape::Int32) || i32::try_from(*value).is_ok();
        match literal.parse::<i64>().ok().filter(fits) {
            Some(value) => Ok(Some(self.tree.int(value))),
            None => {
                self.mismatch(&format!("number {literal}"), shape, level);
                Ok(None)
            }
        }
    }

    fn bytes(&mut self) -> Result_<Option<Id>> {
        let text = self.string()?;
        match scalar::canonical_base64(self.tree.text(text)) {
            Ok(None) => Ok(Some(self.tree.push(Slot::Str(text)))),
            Ok(Some(canonical)) => Ok(Some(self.tree.string(&canonical))),
            Err(message) => {
                self.mismatch.get_or_insert(message);
                Ok(None)
            }
        }
    }

    /// A quantity reads its own text: a string's without unescaping, or a number's.
    fn quantity(&mut self) -> Result_<Option<Id>> {
        self.peek();
        let start = self.pos;
        self.skip()?;
        let mut text = Text { start: start as u32, len: (self.pos - start) as u32 };
        if self.tree.text(text).starts_with('"') {
            text = Text { start: text.start + 1, len: text.len - 2 };
        }
        match scalar::canonical_quantity(self.tree.text(text)) {
            Ok(None) => Ok(Some(self.tree.push(Slot::Str(text)))),
            Ok(Some(canonical)) => Ok(Some(self.tree.string(&canonical))),
            Err(message) => {
                self.fatal.get_or_insert(message);
                Ok(None)
            }
        }
    }

    fn timelike(&mut self, shape: &Shape, first: u8) -> Result_<Option<Id>> {
        if first != b'"' {
            let what = self.skip()?;
            self.fatal_mismatch(what, "string");
            return Ok(None);
        }
        let text = self.string()?;
        match scalar::canonical_time(shape, self.tree.text(text), self.written) {
            Ok(None) => Ok(Some(self.tree.push(Slot::Str(text)))),
            Ok(Some(canonical)) => Ok(Some(self.tree.string(&canonical))),
            Err(message) => {
                self.fatal.get_or_insert(message);
                Ok(None)
            }
        }
    }

    fn raw(&mut self, kind: RawKind) -> Result_<Option<Id>> {
        let null = self.peek() == Some(b'n');
        let start = self.pos;
        self.skip()?;
        if null && kind != RawKind::Json {
            return Ok(None);
        }
        let json = &self.tree.text[start..self.pos];
        if super::is_compact(json) {
            let text = Text { start: start as u32, len: json.len() as u32 };
            return Ok(Some(self.tree.push(Slot::Raw(text))));
        }
        let json = json.to_vec();
        let at = self.tree.text.len();
        super::write_compact(&json, &mut self.tree.text);
        let text = Text { start: at as u32, len: (self.tree.text.len() - at) as u32 };
        Ok(Some(self.tree.push(Slot::Raw(text))))
    }

    fn schema_or(&mut self, form: SchemaOr, first: u8, level: usize) -> Result_<Option<Id>> {
        match (form, first) {
            (SchemaOr::Bool(ty) | SchemaOr::Array(ty) | SchemaOr::Strings(ty), b'{') => self.structure(ty).map(Some),
            (SchemaOr::Bool(_), b't' | b'f') => self.typed(&Shape::Bool, level),
            (SchemaOr::Array(ty), b'[') => {
                let base = self.pending.len();
                self.array(|parser, index| {
                    parser.strict_path.push(StrictStep::Index(index));
                    let value =
                        if parser.peek() == Some(b'{') { Some(parser.structure(ty)?) } else { parser.plain()? };
                    parser.strict_path.pop();
                    let value = value.unwrap_or(Id(0));
                    parser.pending.push(Link { key: Text { start: 0, len: 0 }, value });
                    Ok(())
                })?;
                let span = self.close(base);
                Ok(Some(self.tree.push(Slot::List(span))))
            }
            (SchemaOr::Strings(_), b'[') => self.typed(&Shape::List(&Shape::String), level),
            (SchemaOr::Bool(_), _) => {
                self.skip()?;
                self.fatal.get_or_insert("boolean or JSON schema expected".into());
                Ok(None)
            }
            _ => {
                self.skip()?;
                Ok(None)
            }
        }
    }

    // What goes wrong.

    fn note(&mut self, what: &str, name: &str) {
        if self.strict.len() >= STRICT_MAX || self.noted > self.end + NOTING {
            return;
        }
        let mut path = String::new();
        for step in &self.strict_path {
            match step {
                StrictStep::Index(index) => path.push_str(&format!("[{index}]")),
                StrictStep::Field(name) => push_name(&mut path, name),
                StrictStep::Key(name) => push_name(&mut path, self.tree.text(*name)),
            }
        }
        push_name(&mut path, name);
        self.noted += path.len();
        let message = format!("{what} field {}", corten_api::field::quote(&path));
        if !self.strict.contains(&message) {
            self.strict.push(message);
        }
    }

    fn mismatch(&mut self, what: &str, shape: &'static Shape, level: usize) {
        if self.mismatch.is_none() {
            let go_type = match self.path.last() {
                Some(frame) => scalar::go_type(frame.ty.field(frame.field), shape, level),
                None => scalar::go_name(shape),
            };
            self.mismatch = Some(self.mismatch_message(what, &go_type));
        }
    }

    fn fatal_mismatch(&mut self, what: &str, go_type: &str) {
        if self.fatal.is_none() {
            self.fatal = Some(self.mismatch_message(what, go_type));
        }
    }

    fn mismatch_message(&self, what: &str, go_type: &str) -> String {
        let Some(last) = self.path.last() else {
            return format!("json: cannot unmarshal {what} into Go value of type {go_type}");
        };
        let mut path = String::new();
        for frame in &self.path {
            let field = frame.ty.field(frame.field);
            for embedded in field.embedded.split_terminator('.') {
                push_name(&mut path, embedded);
            }
            push_name(&mut path, field.name);
        }
        let name = last.ty.get().name.rsplit('.').next().unwrap_or_default();
        format!("json: cannot unmarshal {what} into Go struct field {name}.{path} of type {go_type}")
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}
