//! RFC 6902, as upstream's library reads it: negative indexes count from the end, and a replace may add a key.

use std::collections::BTreeMap;

use corten_api::status::Status;

use super::lazy::{Lazy, Slot, checked, go_kind, string};
use super::rejected;
use crate::DEPTH_MAX;
use crate::json::{self, Form};

const OPERATIONS_MAX: usize = 10_000;
/// How many bytes all copies of a patch may add.
const COPIED_MAX: usize = 3 * 1024 * 1024;

pub struct Patch {
    operations: Vec<Operation>,
}

struct Operation {
    members: BTreeMap<String, Slot>,
}

type Outcome<T> = Result<T, String>;

/// Strict decoding: the operations' types are errors, unknown and repeated fields are notes.
pub fn check(patch: &[u8]) -> Result<Vec<String>, Status> {
    let bad = |message: String| Status::bad_request(format!("error decoding patch: {message}"));
    let parsed = json::parse(patch.to_vec(), Form::Plain).map_err(|error| bad(error.to_string()))?;
    let root = parsed.tree.root();
    let text = String::from_utf8_lossy(patch);
    if root.is_null() {
        return Ok(Vec::new());
    }
    if go_kind(&text) != "array" {
        let what = go_kind(&text);
        return Err(bad(format!("json: cannot unmarshal {what} into Go value of type []handlers.jsonPatchOp")));
    }
    let mut notes: Vec<String> = Vec::new();
    for (i, item) in root.as_list().iter().enumerate() {
        let shown = json::to_string(item);
        match go_kind(&shown) {
            "null" => continue,
            "object" => {}
            what => {
                return Err(bad(format!("json: cannot unmarshal {what} into Go value of type handlers.jsonPatchOp")));
            }
        }
        for (name, value) in item.as_map().iter() {
            let what = go_kind(&json::to_string(value)).to_owned();
            match name {
                "op" | "path" | "from" if what != "string" && what != "null" => {
                    return Err(bad(format!(
                        "json: cannot unmarshal {what} into Go struct field jsonPatchOp.{name} of type string"
                    )));
                }
                "op" | "path" | "from" | "value" => {}
                _ => {
                    let path = corten_api::field::quote(&format!("[{i}].{name}"));
                    notes.push(format!("unknown field {path}"));
                }
            }
        }
    }
    notes.extend(parsed.strict);
    Ok(notes.into_iter().map(|note| format!("json patch {note}")).collect())
}

impl Patch {
    pub fn parse(patch: &[u8]) -> Result<Patch, Status> {
        let text = checked(patch).map_err(Status::bad_request)?;
        let mut root = Lazy::of_text(&text);
        let Some(root) = &mut root else { return Ok(Patch { operations: Vec::new() }) };
        let Some(items) = root.array() else {
            let what = go_kind(&text);
            return Err(Status::bad_request(format!(
                "json: cannot unmarshal {what} into Go value of type jsonpatch.Patch"
            )));
        };
        let mut operations = Vec::with_capacity(items.len());
        for item in items {
            let members = match item {
                None => BTreeMap::new(),
                Some(lazy) => match lazy.object() {
                    Some(members) => std::mem::take(members),
                    None => {
                        let mut shown = Vec::new();
                        lazy.write(&mut shown);
                        let what = go_kind(&String::from_utf8_lossy(&shown));
                        return Err(Status::bad_request(format!(
                            "json: cannot unmarshal {what} into Go value of type jsonpatch.Operation"
                        )));
                    }
                },
            };
            operations.push(Operation { members });
        }
        if operations.len() > OPERATIONS_MAX {
            return Err(Status::too_large(format!(
                "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
                operations.len()
            )));
        }
        Ok(Patch { operations })
    }

    pub fn apply(&self, document: &[u8]) -> Result<Vec<u8>, Status> {
        let text = String::from_utf8_lossy(document);
        let mut root = Lazy::of_text(&text).unwrap_or(Lazy::Null);
        let mut copied = 0;
        for operation in &self.operations {
            operation.apply(&mut root, &mut copied).map_err(|message| rejected(&message))?;
        }
        // The root is an object that was taken apart, whatever the patch did.
        if root.object().is_none() {
            root.array();
        }
        let mut out = Vec::with_capacity(document.len() + 64);
        root.write(&mut out);
        Ok(out)
    }
}

const MISSING: &str = "missing value";

impl Operation {
    fn text(&self, name: &str) -> Option<String> {
        match self.members.get(name)? {
            Some(Lazy::Raw(text)) if text.starts_with('"') => Some(string(text)),
            _ => None,
        }
    }

    /// An absent value is a null of the document; a null is one that is there.
    fn value(&self) -> Slot {
        match self.members.get("value") {
            None => None,
            Some(None) => Some(Lazy::Null),
            Some(value) => value.clone(),
        }
    }

    fn apply(&self, root: &mut Lazy, copied: &mut usize) -> Outcome<()> {
        let kind = self.text("op").unwrap_or_else(|| "unknown".into());
        let path = self.text("path");
        match kind.as_str() {
            "add" => self.add(root, path),
            "remove" => self.remove(root, path),
            "replace" => self.replace(root, path),
            "move" => self.relocate(root, path),
            "test" => self.test(root, path),
            "copy" => self.copy(root, path, copied),
            _ => Err(format!("Unexpected kind: {kind}")),
        }
    }

    fn add(&self, root: &mut Lazy, path: Option<String>) -> Outcome<()> {
        let path = path.ok_or_else(|| format!("add operation failed to decode path: {MISSING}"))?;
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("add operation does not apply: doc is missing path: \"{path}\": {MISSING}"));
        };
        container.add(&key, self.value()).map_err(|error| format!("error in add for path: '{path}': {error}"))
    }

    fn remove(&self, root: &mut Lazy, path: Option<String>) -> Outcome<()> {
        let path = path.ok_or_else(|| format!("remove operation failed to decode path: {MISSING}"))?;
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("remove operation does not apply: doc is missing path: \"{path}\": {MISSING}"));
        };
        container.remove(&key).map_err(|error| format!("error in remove for path: '{path}': {error}"))
    }

    fn replace(&self, root: &mut Lazy, path: Option<String>) -> Outcome<()> {
        let path = path.ok_or_else(|| {
            format!("replace operation failed to decode path: operation missing path field: {MISSING}")
        })?;
        if path.is_empty() {
            let mut value = self.value().unwrap_or(Lazy::Null);
            if value.object().is_none() && value.array().is_none() {
                return Err("replace operation value must be object or array: %!w(<nil>)".into());
            }
            *root = value;
            return Ok(());
        }
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("replace operation does not apply: doc is missing path: {path}: {MISSING}"));
        };
        if container.get(&key).is_err() {
            return Err(format!("replace operation does not apply: doc is missing key: {path}: {MISSING}"));
        }
        container.set(&key, self.value()).map_err(|error| format!("error in remove for path: '{path}': {error}"))
    }

    fn from(&self, what: &str) -> Outcome<String> {
        self.text("from")
            .ok_or_else(|| format!("{what} operation failed to decode from: operation, missing from field: {MISSING}"))
    }

    fn relocate(&self, root: &mut Lazy, path: Option<String>) -> Outcome<()> {
        let from = self.from("move")?;
        let Some((mut container, key)) = find(root, &from) else {
            return Err(format!("move operation does not apply: doc is missing from path: {from}: {MISSING}"));
        };
        let wrong = |error: String| format!("error in move for path: '{key}': {error}");
        let value = container.get(&key).map_err(wrong)?;
        container.remove(&key).map_err(wrong)?;
        let path = path
            .ok_or_else(|| format!("move operation failed to decode path: operation missing path field: {MISSING}"))?;
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("move operation does not apply: doc is missing destination path: {path}: {MISSING}"));
        };
        container.add(&key, value).map_err(|error| format!("error in move for path: '{path}': {error}"))
    }

    fn test(&self, root: &mut Lazy, path: Option<String>) -> Outcome<()> {
        let path = path
            .ok_or_else(|| format!("test operation failed to decode path: operation missing path field: {MISSING}"))?;
        let failed = Err(format!("testing value {path} failed: test failed"));
        let wanted = self.value();
        if path.is_empty() {
            return if wanted.is_some_and(|wanted| root.equals(&wanted)) { Ok(()) } else { failed };
        }
        let Some((container, key)) = find(root, &path) else {
            return Err(format!("test operation does not apply: is missing path: {path}: {MISSING}"));
        };
        let found = container.get(&key).map_err(|error| format!("error in test for path: '{path}': {error}"))?;
        match (found, wanted) {
            (None, None | Some(Lazy::Null)) => Ok(()),
            (Some(found), Some(wanted)) if found.equals(&wanted) => Ok(()),
            _ => failed,
        }
    }

    fn copy(&self, root: &mut Lazy, path: Option<String>, copied: &mut usize) -> Outcome<()> {
        let from = self.from("copy")?;
        let Some((container, key)) = find(root, &from) else {
            return Err(format!("copy operation does not apply: doc is missing from path: {from}: {MISSING}"));
        };
        let value = container.get(&key).map_err(|error| format!("error in copy for from: '{from}': {error}"))?;
        let path = path.ok_or_else(|| format!("copy operation failed to decode path: {MISSING}"))?;
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("copy operation does not apply: doc is missing destination path: {path}: {MISSING}"));
        };
        *copied += value.as_ref().map_or(0, Lazy::size);
        if *copied > COPIED_MAX {
            return Err(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {COPIED_MAX}"
            ));
        }
        container.add(&key, value).map_err(|error| format!("error while adding value during copy: {error}"))
    }
}

enum Container<'d> {
    Object(&'d mut BTreeMap<String, Slot>),
    Array(&'d mut Vec<Slot>),
}

/// The container that a pointer's last step is in.
fn find<'d>(root: &'d mut Lazy, path: &str) -> Option<(Container<'d>, String)> {
    let (_, steps) = path.split_once('/')?;
    let steps: Vec<&str> = steps.split('/').collect();
    let (last, steps) = steps.split_last()?;
    // A document that is deeper is refused when it is read again; until then a patch could go on making it deeper.
    if steps.len() > DEPTH_MAX {
        return None;
    }
    let mut here = root;
    for step in steps {
        let step = decode(step);
        here = match container(here)? {
            Container::Object(members) => members.get_mut(&step)?.as_mut()?,
            Container::Array(items) => {
                let place = place(&step, items.len()).ok().filter(|&place| place < items.len())?;
                items[place].as_mut()?
            }
        };
    }
    Some((container(here)?, decode(last)))
}

fn container(lazy: &mut Lazy) -> Option<Container<'_>> {
    if lazy.object().is_some() {
        return lazy.object().map(Container::Object);
    }
    lazy.array().map(Container::Array)
}

fn decode(step: &str) -> String {
    // Both at once: `~01` is `~1`.
    let mut out = String::with_capacity(step.len());
    let mut rest = step;
    while let Some(at) = rest.find('~') {
        out.push_str(&rest[..at]);
        let (text, len) = match rest.as_bytes().get(at + 1) {
            Some(b'0') => ("~", 2),
            Some(b'1') => ("/", 2),
            _ => ("~", 1),
        };
        out.push_str(text);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}

/// An index in Go's words: a sign may precede it.
fn number(key: &str) -> Outcome<i64> {
    let syntax = || format!("strconv.Atoi: parsing {}: invalid syntax", corten_api::field::quote(key));
    let digits = key.strip_prefix(['+', '-']).unwrap_or(key);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(syntax());
    }
    key.parse().map_err(|_| format!("strconv.Atoi: parsing {}: value out of range", corten_api::field::quote(key)))
}

fn place(key: &str, len: usize) -> Outcome<usize> {
    let index = number(key)?;
    let from_end = index.checked_add(len as i64);
    match index {
        0.. => Ok(index as usize),
        _ => from_end.filter(|&place| place >= 0).map(|place| place as usize).ok_or_else(|| bad_index(index)),
    }
}

fn bad_index(index: i64) -> String {
    format!("Unable to access invalid index: {index}: invalid index referenced")
}

impl Container<'_> {
    fn get(&self, key: &str) -> Outcome<Slot> {
        match self {
            Container::Object(members) => Ok(members.get(key).cloned().flatten()),
            Container::Array(items) => {
                let place = place(key, items.len())?;
                items.get(place).cloned().ok_or_else(|| bad_index(place as i64))
            }
        }
    }

    fn set(&mut self, key: &str, value: Slot) -> Outcome<()> {
        match self {
            Container::Object(members) => {
                members.insert(key.to_owned(), value);
            }
            Container::Array(items) => {
                let place = place(key, items.len())?;
                *items.get_mut(place).ok_or_else(|| bad_index(place as i64))? = value;
            }
        }
        Ok(())
    }

    fn add(&mut self, key: &str, value: Slot) -> Outcome<()> {
        match self {
            Container::Object(members) => {
                members.insert(key.to_owned(), value);
            }
            Container::Array(items) if key == "-" => items.push(value),
            Container::Array(items) => {
                let not_an_index = |error| format!("value was not a proper array index: '{key}': {error}");
                let index = number(key).map_err(not_an_index)?;
                // The end counts as a place.
                let place = place(key, items.len() + 1)?;
                if place > items.len() {
                    return Err(bad_index(index));
                }
                items.insert(place, value);
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Outcome<()> {
        match self {
            Container::Object(members) => match members.remove(key) {
                Some(_) => Ok(()),
                None => Err(format!("Unable to remove nonexistent key: {key}: {MISSING}")),
            },
            Container::Array(items) => {
                let place = place(key, items.len())?;
                if place >= items.len() {
                    return Err(bad_index(place as i64));
                }
                items.remove(place);
                Ok(())
            }
        }
    }
}
