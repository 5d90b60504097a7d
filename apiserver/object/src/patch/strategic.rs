//! Strategic merge patch: lists are merged by the keys of their fields' markers, and directives say what JSON cannot.
//!
//! Object and patch become maps and lists of one tree, which are changed in place, the patch too: what is merged of it is
//! taken out, so that an error shows what was left, as upstream's does.

use std::collections::{BTreeMap, HashSet};

use corten_api::status::Status;
use corten_schema::{Shape, TypeId};

use super::show::{Go, go_type};
use super::{Patched, invalid, rejected, restore};
use crate::json::{self, Form};
use crate::tree::{Id, Tree, Value};
use crate::typing::Val;

mod lists;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList";

pub fn apply(object: &Tree, patch: &[u8]) -> Result<Patched, Status> {
    let parsed = json::parse(patch.to_vec(), Form::Plain).map_err(|error| Status::bad_request(error.to_string()))?;
    let ty = object.type_of(object.root_id());
    let ty = ty.ok_or_else(|| Status::bad_request("strategic merge patch format is not supported"))?;
    let mut strict = parsed.strict;
    let mut tree = Tree::new();
    let original = tree.import_plain(Val::of(object.root()));
    let patch = match parsed.tree.root().value() {
        Value::Map(_) => tree.import(parsed.tree.root()),
        Value::Null => tree.map(),
        _ => {
            let what = super::json_kind(parsed.tree.root());
            return Err(Status::bad_request(format!(
                "json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
            )));
        }
    };
    let mut merge = Merge { tree };
    let merged = merge.maps(original, patch, Meta::Struct(ty))?;
    let tree = merge.tree;
    let shown = Go(tree.node(patch)).to_string();
    restore::check_struct(tree.node(merged), ty).map_err(|message| invalid(&shown, &message))?;
    let result = json::parse(json::to_vec(tree.node(merged)), Form::Typed(ty));
    let mut result = result.map_err(|error| invalid(&shown, &error.to_string()))?;
    result.strict.sort();
    strict.append(&mut result.strict);
    Ok(Patched { tree: result.tree, strict, shown })
}

/// What is known of the Go type of a value.
#[derive(Clone, Copy)]
enum Meta {
    Struct(TypeId),
    /// Its kind.
    Other(&'static str),
}

/// What a field's tags say.
#[derive(Clone, Copy)]
struct FieldMeta {
    meta: Meta,
    merge: bool,
    replace: bool,
    key: &'static str,
}

impl Meta {
    fn of_shape(shape: &'static Shape) -> Meta {
        match shape {
            Shape::Struct(ty) => Meta::Struct(*ty),
            Shape::Map(_) => Meta::Other("map"),
            Shape::List(_) | Shape::WrappedList(_) | Shape::Bytes => Meta::Other("slice"),
            Shape::Bool => Meta::Other("bool"),
            Shape::Int32 => Meta::Other("int32"),
            Shape::Int64 => Meta::Other("int64"),
            Shape::Float64 => Meta::Other("float64"),
            Shape::String => Meta::Other("string"),
            _ => Meta::Other("struct"),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Meta::Struct(_) => "struct",
            Meta::Other(kind) => kind,
        }
    }

    fn field(self, name: &str) -> Result<(&'static corten_schema::Field, FieldMeta), Status> {
        let Meta::Struct(ty) = self else {
            return Err(plain(format!(
                "merging an object in json but data type is not struct, instead is: {}",
                self.kind()
            )));
        };
        let Some(id) = ty.get().field_named(name) else {
            let type_name = ty.get().name.rsplit('.').next().unwrap_or_default();
            let name = corten_api::field::quote(name);
            return Err(plain(format!("unable to find api field in struct {type_name} for the json field {name}")));
        };
        let field = ty.field(id);
        let markers = field.markers;
        // The one field of the API that a patch replaces as a whole.
        let replace = name == "selector" && ty == corten_schema::ids::policy_v1::POD_DISRUPTION_BUDGET_SPEC;
        let meta = Meta::of_shape(&field.shape);
        Ok((field, FieldMeta { meta, merge: markers.patch_merge, replace, key: markers.merge_key }))
    }

    fn list_field(self, name: &str) -> Result<FieldMeta, Status> {
        let (field, mut meta) = self.field(name)?;
        match field.shape {
            Shape::List(Shape::List(_) | Shape::Bytes) => return Err(plain("unexpected slice of slice")),
            Shape::List(item) | Shape::WrappedList(item) => meta.meta = Meta::of_shape(item),
            Shape::Bytes => meta.meta = Meta::Other("uint8"),
            _ if field.pointer => {}
            _ => return Err(plain(format!("expected slice or array type, but got: {}", self.kind()))),
        }
        Ok(meta)
    }
}

/// An error that upstream gives no code or reason.
fn plain(message: impl Into<String>) -> Status {
    Status::failure(500, corten_api::status::Reason::Unknown, message)
}

fn bad_primitive_list() -> Status {
    Status::bad_request("invalid patch format of primitive list")
}

fn bad_retain_keys() -> Status {
    Status::bad_request("invalid patch format of retainKeys")
}

fn bad_order() -> Status {
    Status::bad_request("invalid patch format of setElementOrder list")
}

fn list_of_lists() -> Status {
    rejected("lists of lists are not supported")
}

struct Merge {
    tree: Tree,
}

/// What becomes of a map's keys: they are changed together, so that each change does not move all members behind it.
type Changes = BTreeMap<String, Option<Id>>;

impl Merge {
    fn is_map(&self, id: Id) -> bool {
        matches!(self.tree.node(id).value(), Value::Map(_))
    }

    fn is_null(&self, id: Id) -> bool {
        self.tree.node(id).is_null()
    }

    fn show(&self, id: Id) -> String {
        Go(self.tree.node(id)).to_string()
    }

    fn no_merge_key(&self, map: Id, key: &str) -> Status {
        plain(format!("map: {} does not contain declared merge key: {key}", self.show(map)))
    }

    fn bad_type(&self, wanted: &str, found: Id) -> Status {
        plain(format!("expected a {wanted}, but received a {}", go_type(self.tree.node(found))))
    }

    fn keys(&self, map: Id) -> Vec<String> {
        self.tree.node(map).as_map().iter().map(|(key, _)| key.to_owned()).collect()
    }

    /// The list of a value, which must be one.
    fn items(&self, list: Id) -> Result<Vec<Id>, Status> {
        match self.tree.node(list).value() {
            Value::List(_) => Ok(self.tree.items(list).collect()),
            _ => Err(self.bad_type("[]interface {}", list)),
        }
    }

    /// Merges a patch into a map, and returns the map, or what takes its place.
    fn maps(&mut self, original: Id, patch: Id, meta: Meta) -> Result<Id, Status> {
        if let Some(directive) = self.tree.get(patch, DIRECTIVE) {
            return match self.tree.node(directive).as_str() {
                "replace" => {
                    self.tree.remove_key(patch, DIRECTIVE);
                    Ok(patch)
                }
                "delete" => Ok(self.tree.map()),
                _ => Err(self.unknown_directive(directive, patch)),
            };
        }
        self.retain_keys(original, patch)?;
        self.ordered_lists(original, patch, meta)?;
        let mut changes = Changes::new();
        for key in self.keys(patch) {
            self.member(original, patch, &key, meta, &mut changes)?;
        }
        self.tree.change_keys(original, changes);
        Ok(original)
    }

    fn unknown_directive(&self, directive: Id, map: Id) -> Status {
        let shown = match self.tree.node(directive).as_string() {
            Some(text) => text.to_owned(),
            None => format!("%!s({}={})", go_type(self.tree.node(directive)), self.show(directive)),
        };
        plain(format!("unknown patch type: {shown} in map: {}", self.show(map)))
    }

    fn member(&mut self, original: Id, patch: Id, key: &str, meta: Meta, changes: &mut Changes) -> Result<(), Status> {
        let Some(value) = self.tree.get(patch, key) else { return Ok(()) };
        let deletes = key.starts_with(DELETE_PRIMITIVES);
        let key = match deletes {
            true => key.strip_prefix(DELETE_PRIMITIVES).and_then(|rest| rest.strip_prefix('/')),
            false => Some(key),
        };
        let key = key.ok_or_else(bad_primitive_list)?;
        if self.is_null(value) {
            changes.insert(key.to_owned(), None);
            return Ok(());
        }
        let current = changes.get(key).copied().unwrap_or_else(|| self.tree.get(original, key));
        let same_type = |current: Id| go_type(self.tree.node(current)) == go_type(self.tree.node(value));
        let Some(current) = current.filter(|&current| same_type(current)) else {
            if !deletes {
                self.discard_nulls(value);
                let value = self.without_directives(value);
                changes.insert(key.to_owned(), value);
            }
            return Ok(());
        };
        let merged = match self.tree.node(value).value() {
            Value::Map(_) => {
                let (_, field) = meta.field(key)?;
                Some(if field.replace { value } else { self.maps(current, value, field.meta)? })
            }
            Value::List(_) => {
                let field = meta.list_field(key)?;
                Some(self.lists(current, value, field, deletes)?)
            }
            _ => self.without_directives(value),
        };
        changes.insert(key.to_owned(), merged);
        Ok(())
    }

    /// A value of a patch, its directives taken out; None where it is a directive itself.
    fn without_directives(&mut self, value: Id) -> Option<Id> {
        match self.tree.node(value).value() {
            Value::Map(_) => {
                if self.tree.get(value, DIRECTIVE).is_some() {
                    return None;
                }
                let members: Vec<Id> = self.tree.items(value).collect();
                let mut kept = Vec::with_capacity(members.len());
                for (place, member) in members.into_iter().enumerate() {
                    let member = self.without_directives(member);
                    kept.push(member.is_some());
                    if let Some(member) = member {
                        self.tree.set_item(value, place, member);
                    }
                }
                if kept.contains(&false) {
                    let mut kept = kept.into_iter();
                    self.tree.retain_keys(value, |_, _| kept.next().unwrap_or(true));
                }
                Some(value)
            }
            Value::List(_) => {
                let items: Vec<Id> = self.tree.items(value).collect();
                let kept: Vec<Id> = items.into_iter().filter_map(|item| self.without_directives(item)).collect();
                Some(self.tree.list(&kept))
            }
            _ => Some(value),
        }
    }

    fn discard_nulls(&mut self, value: Id) {
        if self.is_map(value) {
            self.tree.retain_keys(value, |_, member| !member.is_null());
        }
        let members: Vec<Id> = self.tree.items(value).collect();
        members.into_iter().for_each(|member| self.discard_nulls(member));
    }

    /// `$retainKeys`: all other keys of the map go.
    fn retain_keys(&mut self, original: Id, patch: Id) -> Result<(), Status> {
        let Some(retained) = self.tree.remove_key(patch, RETAIN_KEYS) else { return Ok(()) };
        let Value::List(list) = self.tree.node(retained).value() else { return Err(bad_retain_keys()) };
        let retained: HashSet<String> = list.iter().filter_map(|key| key.as_string()).map(str::to_owned).collect();
        for (key, value) in self.tree.node(patch).as_map().iter() {
            let directive = key.starts_with(DELETE_PRIMITIVES) || key.starts_with(ORDER);
            if !value.is_null() && !directive && !retained.contains(key) {
                return Err(bad_retain_keys());
            }
        }
        self.tree.retain_keys(original, |key, _| retained.contains(key));
        Ok(())
    }
}
