//! Where in an object something is wrong, and what: upstream's `field.Path`, `field.Error` and `field.ErrorList`.
//!
//! A path borrows its parent, so that walking a valid object allocates nothing; it becomes text only inside an error.

use std::fmt::{self, Write};

use crate::json;

pub use quoting::quote;

mod quoting;
#[cfg(test)]
mod tests;

/// A place in an object: `spec.containers[0].env[name]`.
#[derive(Clone, Copy)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    part: Part<'p>,
}

#[derive(Clone, Copy)]
enum Part<'p> {
    /// The object itself: nothing is written, and no dot follows.
    Root,
    Name(&'p str),
    Index(usize),
    Key(&'p str),
}

impl<'p> Path<'p> {
    /// The object itself; upstream's nil path.
    pub const fn root() -> Path<'static> {
        Path { parent: None, part: Part::Root }
    }

    /// `field.NewPath(name)`.
    pub const fn new(name: &'p str) -> Path<'p> {
        Path { parent: None, part: Part::Name(name) }
    }

    /// `path.name`; the name may itself hold dots.
    pub const fn child<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), part: Part::Name(name) }
    }

    /// `path[index]`.
    pub const fn index(&self, index: usize) -> Path<'_> {
        Path { parent: Some(self), part: Part::Index(index) }
    }

    /// `path[key]`.
    pub const fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), part: Part::Key(key) }
    }

    pub fn is_root(&self) -> bool {
        matches!(self.part, Part::Root) && self.parent.is_none_or(Path::is_root)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.part {
            Part::Root => Ok(()),
            // Upstream cannot tell an empty name from an empty subscript.
            Part::Name("") => f.write_str("[]"),
            Part::Name(name) => {
                if self.parent.is_some_and(|parent| !parent.is_root()) {
                    f.write_char('.')?;
                }
                f.write_str(name)
            }
            Part::Index(index) => write!(f, "[{index}]"),
            Part::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// What kind of wrong; the names are those of the causes in a Status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooShort,
    TooMany,
    TooFew,
    Internal,
    TypeInvalid,
}

impl ErrorType {
    /// The reason of a Status cause.
    pub fn cause(self) -> &'static str {
        match self {
            ErrorType::NotFound => "FieldValueNotFound",
            ErrorType::Required => "FieldValueRequired",
            ErrorType::Duplicate => "FieldValueDuplicate",
            ErrorType::Invalid => "FieldValueInvalid",
            ErrorType::NotSupported => "FieldValueNotSupported",
            ErrorType::Forbidden => "FieldValueForbidden",
            ErrorType::TooLong => "FieldValueTooLong",
            ErrorType::TooShort => "FieldValueTooShort",
            ErrorType::TooMany => "FieldValueTooMany",
            ErrorType::TooFew => "FieldValueTooFew",
            ErrorType::Internal => "InternalError",
            ErrorType::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The words that a message begins with.
    fn words(self) -> &'static str {
        match self {
            ErrorType::NotFound => "Not found",
            ErrorType::Required => "Required value",
            ErrorType::Duplicate => "Duplicate value",
            ErrorType::Invalid | ErrorType::TypeInvalid => "Invalid value",
            ErrorType::NotSupported => "Unsupported value",
            ErrorType::Forbidden => "Forbidden",
            ErrorType::TooLong => "Too long",
            ErrorType::TooShort => "Too short",
            ErrorType::TooMany => "Too many",
            ErrorType::TooFew => "Too few",
            ErrorType::Internal => "Internal error",
        }
    }

    fn shows_value(self) -> bool {
        !matches!(
            self,
            ErrorType::Required | ErrorType::Forbidden | ErrorType::TooLong | ErrorType::TooShort | ErrorType::Internal
        )
    }
}

/// The value at fault, as Go's `%v`, `%q` or JSON shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum BadValue {
    /// Not shown: upstream's `omitValue`.
    Omit,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    /// Anything else, as its JSON.
    Json(String),
}

impl From<&str> for BadValue {
    fn from(value: &str) -> Self {
        BadValue::Str(value.to_owned())
    }
}
impl From<String> for BadValue {
    fn from(value: String) -> Self {
        BadValue::Str(value)
    }
}
impl From<i64> for BadValue {
    fn from(value: i64) -> Self {
        BadValue::Int(value)
    }
}
impl From<usize> for BadValue {
    fn from(value: usize) -> Self {
        BadValue::Int(value as i64)
    }
}
impl From<i32> for BadValue {
    fn from(value: i32) -> Self {
        BadValue::Int(value.into())
    }
}
impl From<f64> for BadValue {
    fn from(value: f64) -> Self {
        BadValue::Float(value)
    }
}
impl From<bool> for BadValue {
    fn from(value: bool) -> Self {
        BadValue::Bool(value)
    }
}
/// A pointer in Go, which shows as JSON: a string with Go's JSON escapes rather than those of `%q`.
impl<T: Into<BadValue>> From<Option<T>> for BadValue {
    fn from(value: Option<T>) -> Self {
        match value.map(Into::into) {
            None => BadValue::Null,
            Some(BadValue::Str(value)) => BadValue::typed(&value),
            Some(value) => value,
        }
    }
}

impl BadValue {
    /// A string whose Go type is not `string` (a `core.Protocol`, say): shown as JSON.
    pub fn typed(value: &str) -> Self {
        BadValue::Json(json::string(value))
    }

    /// A list of strings.
    pub fn strings<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Self {
        let mut out = Vec::new();
        json::write_strings(&mut out, values);
        BadValue::Json(String::from_utf8_lossy(&out).into_owned())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub kind: ErrorType,
    pub field: String,
    pub bad_value: BadValue,
    pub detail: String,
}

impl Error {
    pub fn new(kind: ErrorType, path: &Path<'_>, bad_value: impl Into<BadValue>, detail: impl Into<String>) -> Self {
        let field = if path.is_root() { "<nil>".to_owned() } else { path.to_string() };
        Error { kind, field, bad_value: bad_value.into(), detail: detail.into() }
    }

    pub fn required(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Required, path, "", detail)
    }

    pub fn invalid(path: &Path<'_>, value: impl Into<BadValue>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, value, detail)
    }

    pub fn duplicate(path: &Path<'_>, value: impl Into<BadValue>) -> Self {
        Self::new(ErrorType::Duplicate, path, value, "")
    }

    pub fn forbidden(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Forbidden, path, "", detail)
    }

    pub fn not_found(path: &Path<'_>, value: impl Into<BadValue>) -> Self {
        Self::new(ErrorType::NotFound, path, value, "")
    }

    pub fn internal(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Internal, path, BadValue::Null, detail)
    }

    pub fn type_invalid(path: &Path<'_>, value: impl Into<BadValue>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::TypeInvalid, path, value, detail)
    }

    /// `supported` is shown in the order given; upstream sorts where its values come from a set.
    pub fn not_supported(path: &Path<'_>, value: impl Into<BadValue>, supported: &[&str]) -> Self {
        let mut detail = String::new();
        if !supported.is_empty() {
            detail.push_str("supported values: ");
            for (i, value) in supported.iter().enumerate() {
                let _ = write!(detail, "{}{}", if i == 0 { "" } else { ", " }, quote(value));
            }
        }
        Self::new(ErrorType::NotSupported, path, value, detail)
    }

    /// The value itself is not shown.
    pub fn too_long(path: &Path<'_>, max_length: usize) -> Self {
        let detail = format!("may not be more than {}", counted(max_length, "byte"));
        Self::new(ErrorType::TooLong, path, BadValue::Omit, detail)
    }

    /// As `too_long`, where the limit counts characters.
    pub fn too_long_characters(path: &Path<'_>, max_length: usize) -> Self {
        let detail = format!("may not be more than {}", counted(max_length, "character"));
        Self::new(ErrorType::TooLong, path, BadValue::Omit, detail)
    }

    /// The value itself is not shown.
    pub fn too_short(path: &Path<'_>, value: impl Into<BadValue>, min_length: usize) -> Self {
        let detail = format!("must be at least {}", counted(min_length, "character"));
        Self::new(ErrorType::TooShort, path, value, detail)
    }

    pub fn too_many(path: &Path<'_>, actual: usize, max: usize) -> Self {
        let detail = format!("must have at most {}", counted(max, "item"));
        Self::new(ErrorType::TooMany, path, actual, detail)
    }

    pub fn too_few(path: &Path<'_>, actual: usize, min: usize) -> Self {
        let detail = format!("must have at least {}", counted(min, "item"));
        Self::new(ErrorType::TooFew, path, actual, detail)
    }

    /// About how long the message is.
    fn text_length(&self) -> usize {
        let value = match &self.bad_value {
            BadValue::Str(text) | BadValue::Json(text) => text.len(),
            _ => 0,
        };
        self.field.len() + value + self.detail.len()
    }

    /// The message without its path.
    pub fn body(&self) -> String {
        let mut out = self.kind.words().to_owned();
        if self.kind.shows_value() && self.bad_value != BadValue::Omit {
            let _ = write!(out, ": {}", self.bad_value);
        }
        if !self.detail.is_empty() {
            out.push_str(": ");
            out.push_str(&self.detail);
        }
        out
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadValue::Omit => Ok(()),
            BadValue::Null => f.write_str("null"),
            BadValue::Bool(value) => value.fmt(f),
            BadValue::Int(value) => value.fmt(f),
            BadValue::Float(value) => f.write_str(&quoting::float(*value)),
            BadValue::Str(value) => f.write_str(&quote(value)),
            BadValue::Json(value) => f.write_str(value),
        }
    }
}

/// `1 byte`, `2 bytes`.
fn counted(count: usize, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// What is wrong, in the order in which it was found.
///
/// The list is bounded, because a client can make as many errors as it likes, and errors that each show the whole of a
/// long list: past [`ERRORS_MAX`] errors, or [`ERROR_TEXT_MAX`] bytes of them, errors are only counted. Upstream lists
/// them all, for as long as its memory lasts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors {
    listed: Vec<Error>,
    /// The length of the texts in `listed`.
    text: usize,
    /// How many errors were found beyond those.
    more: usize,
}

/// So many errors are listed.
pub const ERRORS_MAX: usize = 1000;

/// No error is added to a list whose errors have so many bytes. The first one may be of any length.
pub const ERROR_TEXT_MAX: usize = 1024 * 1024;

impl Errors {
    pub fn push(&mut self, error: Error) {
        self.push_with(|| error);
    }

    /// Adds an error that is long, or costly to make: it is made only if there is room for it.
    pub fn push_with(&mut self, make: impl FnOnce() -> Error) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let error = make();
        self.text += error.text_length();
        self.listed.push(error);
    }

    /// Adds an error so many times.
    pub fn repeat(&mut self, times: usize, make: impl Fn() -> Error) {
        for done in 0..times {
            if self.is_full() {
                self.more += times - done;
                return;
            }
            self.push(make());
        }
    }

    pub fn append(&mut self, other: Errors) {
        let more = other.more;
        self.extend(other.listed);
        self.more += more;
    }

    /// Whether further errors are only counted.
    pub fn is_full(&self) -> bool {
        self.listed.len() >= ERRORS_MAX || self.text >= ERROR_TEXT_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// How many were found, listed or not.
    pub fn len(&self) -> usize {
        self.listed.len() + self.more
    }

    /// Those that are listed.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.listed.iter()
    }

    /// Sorts those that are listed by their messages.
    pub fn sort_by_message(&mut self) {
        self.listed.sort_by_cached_key(ToString::to_string);
    }
}

/// Upstream's aggregate: each message once, in brackets if there are several.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut messages: Vec<String> = Vec::with_capacity(self.listed.len());
        let mut seen = std::collections::HashSet::new();
        for error in &self.listed {
            let message = error.to_string();
            if seen.insert(message.clone()) {
                messages.push(message);
            }
        }
        if self.more > 0 {
            messages.push(format!("and {} more errors", self.more));
        }
        match messages.as_slice() {
            [message] => f.write_str(message),
            messages => write!(f, "[{}]", messages.join(", ")),
        }
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        let mut errors = Errors::default();
        errors.push(error);
        errors
    }
}

impl FromIterator<Error> for Errors {
    fn from_iter<I: IntoIterator<Item = Error>>(errors: I) -> Self {
        let mut all = Errors::default();
        all.extend(errors);
        all
    }
}

impl Extend<Error> for Errors {
    fn extend<I: IntoIterator<Item = Error>>(&mut self, errors: I) {
        errors.into_iter().for_each(|error| self.push(error));
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.listed.into_iter()
    }
}

impl<'e> IntoIterator for &'e Errors {
    type Item = &'e Error;
    type IntoIter = std::slice::Iter<'e, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.listed.iter()
    }
}
