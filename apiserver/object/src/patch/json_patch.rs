//! RFC 6902, as upstream's library reads it: negative indexes count from the end, and a replace may add a key.

use corten_api::status::Status;
use imbl::Vector;

use super::lazy::{Lazy, Object, Slot, Source, checked, go_kind, string};
use super::{json_kind, rejected};
use crate::DEPTH_MAX;
use crate::json::{self, Form};
use crate::tree::Value;

const OPERATIONS_MAX: usize = 10_000;
/// How many bytes all copies of a patch may add.
const COPIED_MAX: usize = 3 * 1024 * 1024;

/// How many notes strict decoding makes of a patch.
const NOTES_MAX: usize = 100;

struct Operation<'t> {
    members: Object<'t>,
}

type Outcome<T> = Result<T, String>;

/// Strict decoding: the operations' types are errors, unknown and repeated fields are notes.
pub fn check(patch: &[u8]) -> Result<Vec<String>, Status> {
    let bad = |message: String| Status::bad_request(format!("error decoding patch: {message}"));
    let parsed = json::parse(patch.to_vec(), Form::Plain).map_err(|error| bad(error.to_string()))?;
    let root = parsed.tree.root();
    match root.value() {
        Value::Null => return Ok(Vec::new()),
        Value::List(_) => {}
        _ => {
            let what = json_kind(root);
            return Err(bad(format!("json: cannot unmarshal {what} into Go value of type []handlers.jsonPatchOp")));
        }
    }
    let mut notes: Vec<String> = Vec::new();
    for (i, item) in root.as_list().iter().enumerate() {
        match json_kind(item) {
            "null" => continue,
            "object" => {}
            what => {
                return Err(bad(format!("json: cannot unmarshal {what} into Go value of type handlers.jsonPatchOp")));
            }
        }
        for (name, value) in item.as_map().iter() {
            match (name, json_kind(value)) {
                ("op" | "path" | "from", "string" | "null") | ("value", _) => {}
                ("op" | "path" | "from", what) => {
                    return Err(bad(format!(
                        "json: cannot unmarshal {what} into Go struct field jsonPatchOp.{name} of type string"
                    )));
                }
                _ if notes.len() < NOTES_MAX => {
                    let path = corten_api::field::quote(&format!("[{i}].{name}"));
                    notes.push(format!("unknown field {path}"));
                }
                _ => {}
            }
        }
    }
    notes.extend(parsed.strict);
    notes.truncate(NOTES_MAX);
    Ok(notes.into_iter().map(|note| format!("json patch {note}")).collect())
}

/// The document's text after a patch.
pub fn apply(document: &[u8], patch: &[u8]) -> Result<Vec<u8>, Status> {
    let patch = checked(patch).map_err(Status::bad_request)?;
    let operations = operations(&patch)?;
    let source = Source::new(document);
    let mut root = source.root().unwrap_or(Lazy::Null);
    let mut copied = 0;
    for operation in &operations {
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

fn operations(patch: &Source) -> Result<Vec<Operation<'_>>, Status> {
    let wrong = |found: &Lazy<'_>, wanted: &str| {
        let mut shown = Vec::new();
        found.write(&mut shown);
        let what = go_kind(&String::from_utf8_lossy(&shown));
        Status::bad_request(format!("json: cannot unmarshal {what} into Go value of type jsonpatch.{wanted}"))
    };
    let Some(mut root) = patch.root() else { return Ok(Vec::new()) };
    if root.array().is_none() {
        return Err(wrong(&root, "Patch"));
    }
    let items = root.array().map(std::mem::take).unwrap_or_default();
    let mut operations = Vec::with_capacity(items.len());
    for item in items {
        let members = match item {
            None => Object::new(),
            Some(mut item) => match item.object() {
                Some(members) => std::mem::take(members),
                None => return Err(wrong(&item, "Operation")),
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
    Ok(operations)
}

const MISSING: &str = "missing value";

impl<'t> Operation<'t> {
    fn text(&self, name: &str) -> Option<String> {
        match self.members.get(name)? {
            Some(Lazy::Raw(raw)) if raw.text().starts_with('"') => Some(string(raw.text()).into_owned()),
            _ => None,
        }
    }

    /// An absent value is a null of the document; a null is one that is there.
    fn value(&self) -> Slot<'t> {
        match self.members.get("value") {
            None => None,
            Some(None) => Some(Lazy::Null),
            Some(value) => value.clone(),
        }
    }

    fn apply(&self, root: &mut Lazy<'t>, copied: &mut usize) -> Outcome<()> {
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

    fn add(&self, root: &mut Lazy<'t>, path: Option<String>) -> Outcome<()> {
        let path = path.ok_or_else(|| format!("add operation failed to decode path: {MISSING}"))?;
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("add operation does not apply: doc is missing path: \"{path}\": {MISSING}"));
        };
        container.add(&key, self.value()).map_err(|error| format!("error in add for path: '{path}': {error}"))
    }

    fn remove(&self, root: &mut Lazy<'t>, path: Option<String>) -> Outcome<()> {
        let path = path.ok_or_else(|| format!("remove operation failed to decode path: {MISSING}"))?;
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("remove operation does not apply: doc is missing path: \"{path}\": {MISSING}"));
        };
        let removed = container.remove(&key);
        removed.map(drop).map_err(|error| format!("error in remove for path: '{path}': {error}"))
    }

    fn replace(&self, root: &mut Lazy<'t>, path: Option<String>) -> Outcome<()> {
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

    fn relocate(&self, root: &mut Lazy<'t>, path: Option<String>) -> Outcome<()> {
        let from = self.from("move")?;
        let Some((mut container, key)) = find(root, &from) else {
            return Err(format!("move operation does not apply: doc is missing from path: {from}: {MISSING}"));
        };
        let wrong = |error: String| format!("error in move for path: '{key}': {error}");
        let value = container.remove(&key).map_err(wrong)?;
        let path = path
            .ok_or_else(|| format!("move operation failed to decode path: operation missing path field: {MISSING}"))?;
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("move operation does not apply: doc is missing destination path: {path}: {MISSING}"));
        };
        container.add(&key, value).map_err(|error| format!("error in move for path: '{path}': {error}"))
    }

    fn test(&self, root: &mut Lazy<'t>, path: Option<String>) -> Outcome<()> {
        let path = path
            .ok_or_else(|| format!("test operation failed to decode path: operation missing path field: {MISSING}"))?;
        let failed = Err(format!("testing value {path} failed: test failed"));
        let wanted = self.value();
        if path.is_empty() {
            return if wanted.is_some_and(|mut wanted| root.equals(&mut wanted)) { Ok(()) } else { failed };
        }
        let Some((mut container, key)) = find(root, &path) else {
            return Err(format!("test operation does not apply: is missing path: {path}: {MISSING}"));
        };
        let found = container.get(&key).map_err(|error| format!("error in test for path: '{path}': {error}"))?;
        let passes = match (found, wanted) {
            (None, wanted) => matches!(wanted, None | Some(Lazy::Null)),
            (Some(found), Some(mut wanted)) => found.equals(&mut wanted),
            (Some(_), None) => false,
        };
        if passes { Ok(()) } else { failed }
    }

    fn copy(&self, root: &mut Lazy<'t>, path: Option<String>, copied: &mut usize) -> Outcome<()> {
        let from = self.from("copy")?;
        let Some((mut container, key)) = find(root, &from) else {
            return Err(format!("copy operation does not apply: doc is missing from path: {from}: {MISSING}"));
        };
        let value = container.get(&key).map_err(|error| format!("error in copy for from: '{from}': {error}"))?;
        let value = value.cloned();
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

enum Container<'d, 't> {
    Object(&'d mut Object<'t>),
    Array(&'d mut Vector<Slot<'t>>),
}

/// The container that a pointer's last step is in.
fn find<'d, 't>(root: &'d mut Lazy<'t>, path: &str) -> Option<(Container<'d, 't>, String)> {
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
            Container::Object(members) => members.get_mut(&*step)?.as_mut()?,
            Container::Array(items) => {
                let place = place(&step, items.len()).ok().filter(|&place| place < items.len())?;
                items.get_mut(place)?.as_mut()?
            }
        };
    }
    Some((container(here)?, decode(last)))
}

fn container<'d, 't>(lazy: &'d mut Lazy<'t>) -> Option<Container<'d, 't>> {
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

impl<'t> Container<'_, 't> {
    /// None is a null, or absent from an object.
    fn get(&mut self, key: &str) -> Outcome<Option<&mut Lazy<'t>>> {
        match self {
            Container::Object(members) => Ok(members.get_mut(key).and_then(Option::as_mut)),
            Container::Array(items) => {
                let place = place(key, items.len())?;
                items.get_mut(place).map(Option::as_mut).ok_or_else(|| bad_index(place as i64))
            }
        }
    }

    fn set(&mut self, key: &str, value: Slot<'t>) -> Outcome<()> {
        match self {
            Container::Object(members) => {
                members.insert(key.to_owned().into(), value);
            }
            Container::Array(items) => {
                let place = place(key, items.len())?;
                *items.get_mut(place).ok_or_else(|| bad_index(place as i64))? = value;
            }
        }
        Ok(())
    }

    fn add(&mut self, key: &str, value: Slot<'t>) -> Outcome<()> {
        match self {
            Container::Object(members) => {
                members.insert(key.to_owned().into(), value);
            }
            Container::Array(items) if key == "-" => items.push_back(value),
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

    fn remove(&mut self, key: &str) -> Outcome<Slot<'t>> {
        match self {
            Container::Object(members) => {
                members.remove(key).ok_or_else(|| format!("Unable to remove nonexistent key: {key}: {MISSING}"))
            }
            Container::Array(items) => {
                let place = place(key, items.len())?;
                if place >= items.len() {
                    return Err(bad_index(place as i64));
                }
                Ok(items.remove(place))
            }
        }
    }
}
