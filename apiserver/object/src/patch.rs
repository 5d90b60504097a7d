//! The patches that are no apply: JSON patch, JSON merge patch and strategic merge patch.
//!
//! A patch is applied to an object's JSON, as it was before there were types, and the result is read as an object again.
//! What does not read as one is told with the whole result, so its text is upstream's to the byte: an object that a
//! patch went through has its keys sorted, one that it did not touch has them as they were.

use corten_api::field::{self, Path};
use corten_api::status::Status;

use crate::json::{self, Form, Parsed};
use crate::tree::{Node, Tree, Value};

mod json_patch;
mod lazy;
mod merge_patch;
pub(crate) mod restore;
pub(crate) mod show;
mod strategic;

/// The object that a patch leads to.
#[derive(Debug)]
pub struct Patched {
    pub tree: Tree,
    /// What strict decoding complains of: in the patch itself, then in the result.
    pub strict: Vec<String>,
    /// What an error shows: the result's JSON, or a strategic patch.
    shown: String,
}

impl Patched {
    /// The error for a caller who wants `fieldValidation=Strict`.
    pub fn strict_error(&self) -> Option<Status> {
        let message = format!("strict decoding error: {}", self.strict.join(", "));
        (!self.strict.is_empty()).then(|| invalid(&self.shown, &message))
    }

    /// The result's JSON, or a strategic patch.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The error for a result that reads as an object, but is not the one that it should be.
    pub fn malformed(&self, message: &str) -> Status {
        invalid(&self.shown, message)
    }
}

/// An RFC 6902 patch.
pub fn json(object: &Tree, patch: &[u8]) -> Result<Patched, Status> {
    let strict = json_patch::check(patch)?;
    json_unchecked(object, patch).map(|patched| patched.with(strict))
}

/// The same for `fieldValidation=Ignore`: what is wrong with the patch's form is found later, and worded otherwise.
pub fn json_unchecked(object: &Tree, patch: &[u8]) -> Result<Patched, Status> {
    read(json_patch::apply(&text(object), patch)?, form(object))
}

/// An RFC 7386 patch.
pub fn merge(object: &Tree, patch: &[u8]) -> Result<Patched, Status> {
    let strict = merge_patch::check(patch)?;
    merge_unchecked(object, patch).map(|patched| patched.with(strict))
}

/// The same for `fieldValidation=Ignore`.
pub fn merge_unchecked(object: &Tree, patch: &[u8]) -> Result<Patched, Status> {
    read(merge_patch::apply(&text(object), patch)?, form(object))
}

/// A strategic merge patch, which only built-in objects take.
pub fn strategic(object: &Tree, patch: &[u8]) -> Result<Patched, Status> {
    strategic::apply(object, patch)
}

impl Patched {
    /// Complaints about the patch come before those about the result.
    fn with(mut self, mut strict: Vec<String>) -> Patched {
        strict.append(&mut self.strict);
        self.strict = strict;
        self
    }
}

/// As what a result is read: as what the object was.
fn form(object: &Tree) -> Form {
    match object.type_of(object.root_id()) {
        Some(ty) => Form::Typed(ty),
        None => Form::Custom { metadata: corten_schema::ids::meta_v1::OBJECT_META },
    }
}

fn text(object: &Tree) -> Vec<u8> {
    let mut text = Vec::with_capacity(2048);
    let root = object.root();
    if root.as_map().is_empty() {
        json::write(root, &mut text);
        return text;
    }
    // A custom object has all its keys sorted, those of its metadata too.
    for (i, (key, value)) in root.as_map().iter().enumerate() {
        text.push(if i == 0 { b'{' } else { b',' });
        corten_api::json::write_string(&mut text, key);
        text.push(b':');
        json::write_sorted(value, &mut text);
    }
    text.push(b'}');
    text
}

fn read(result: Vec<u8>, form: Form) -> Result<Patched, Status> {
    let shown = String::from_utf8_lossy(&result).into_owned();
    match json::parse(result, form) {
        Ok(Parsed { tree, strict }) => Ok(Patched { tree, strict, shown }),
        Err(error) => Err(invalid(&shown, &error.to_string())),
    }
}

fn invalid(shown: &str, message: &str) -> Status {
    let error = field::Error::invalid(&Path::new("patch"), shown.to_owned(), message);
    Status::invalid("", "", "", &error.into())
}

/// What upstream answers to a patch that it understood, but could not apply.
fn rejected(message: &str) -> Status {
    Status::generic_server_response(422, "", "", "", "", message, 0, false)
}

/// What Go's decoder calls a value.
pub(crate) fn json_kind(node: Node<'_>) -> &'static str {
    match node.value() {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::Raw(text) => lazy::go_kind(text),
        Value::List(_) => "array",
        Value::Map(_) | Value::Struct(_) => "object",
    }
}

#[cfg(test)]
mod tests;
