//! RFC 7386.

use corten_api::status::Status;

use super::json_kind;
use super::lazy::{Lazy, Object, Source, checked};
use crate::json::{self, Form};

/// Strict decoding: the patch must be an object, repeated fields are notes.
pub fn check(patch: &[u8]) -> Result<Vec<String>, Status> {
    let bad = |message: String| Status::bad_request(format!("error decoding patch: {message}"));
    let parsed = json::parse(patch.to_vec(), Form::Plain).map_err(|error| bad(error.to_string()))?;
    match json_kind(parsed.tree.root()) {
        "object" | "null" => Ok(parsed.strict),
        what => Err(bad(format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"))),
    }
}

pub fn apply(document: &[u8], patch: &[u8]) -> Result<Vec<u8>, Status> {
    let bad = || Status::bad_request("Invalid JSON Patch");
    let patch = checked(patch).map_err(|_| bad())?;
    let mut patch = patch.root().ok_or_else(bad)?;
    let document = Source::new(document);
    let mut document = document.root().unwrap_or(Lazy::Null);
    let mut out = Vec::with_capacity(1024);
    match (document.object(), patch.object()) {
        (Some(members), Some(changes)) => {
            merge_members(members, std::mem::take(changes));
            document.write(&mut out);
        }
        _ => {
            // A list replaces everything; upstream finds out later that it is no object.
            if patch.array().is_none() && patch.object().is_none() {
                return Err(bad());
            }
            prune(&mut patch);
            patch.write(&mut out);
        }
    }
    Ok(out)
}

fn merge_members<'t>(members: &mut Object<'t>, changes: Object<'t>) {
    for (key, change) in changes {
        let Some(mut change) = change else {
            members.remove(&key);
            continue;
        };
        match members.get_mut(&key) {
            Some(Some(current)) => merge(current, change),
            _ => {
                prune(&mut change);
                members.insert(key, Some(change));
            }
        }
    }
}

fn merge<'t>(current: &mut Lazy<'t>, mut change: Lazy<'t>) {
    match (current.object(), change.object()) {
        (None, _) => {
            prune(&mut change);
            *current = change;
        }
        (_, None) => *current = change,
        (Some(members), Some(changes)) => merge_members(members, std::mem::take(changes)),
    }
}

/// Takes nulls out of objects; lists keep theirs. What has not been taken apart is written as it will be.
fn prune(value: &mut Lazy<'_>) {
    match value {
        Lazy::Raw(raw) if raw.text().starts_with(['{', '[']) => {
            let mut text = Vec::new();
            raw.write_without_nulls(&mut text);
            *value = Lazy::Text(text);
        }
        Lazy::Object(members) => {
            members.retain(|_, member| member.is_some());
            members.values_mut().flatten().for_each(prune);
        }
        Lazy::Array(items) => items.iter_mut().flatten().for_each(prune),
        Lazy::Null | Lazy::Raw(_) | Lazy::Text(_) => {}
    }
}
