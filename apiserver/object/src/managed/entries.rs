//! The entries of `metadata.managedFields`: one for each manager, operation, version and subresource.

use std::cell::OnceCell;
use std::collections::HashSet;

use corten_schema::ids::meta_v1::{MANAGED_FIELDS_ENTRY, OBJECT_META};
use corten_schema::{FieldId, TypeId};

use super::set::Set;
use crate::tree::{Id, Node, Tree};

#[derive(Clone, Debug)]
pub struct Entry {
    pub manager: String,
    pub applied: bool,
    pub api_version: String,
    pub subresource: String,
    /// As RFC 3339; empty where there is none.
    pub time: String,
    fields: Fields,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity<'e> {
    manager: &'e str,
    applied: bool,
    subresource: &'e str,
    version: &'e str,
}

/// Of entries of one manager the last one stays, where it is.
pub fn keep_last(entries: &mut Vec<Entry>) {
    let mut last: Vec<bool> = {
        let mut seen = HashSet::with_capacity(entries.len());
        entries.iter().rev().map(|entry| seen.insert(entry.identity())).collect()
    };
    if last.contains(&false) {
        entries.retain(|_| last.pop().unwrap_or(true));
    }
}

/// The text is kept as long as nothing changes, the set is made when it is asked for.
#[derive(Clone, Debug)]
struct Fields {
    text: Option<String>,
    set: OnceCell<Set>,
}

impl Entry {
    pub fn new(manager: &super::Manager<'_>, applied: bool, set: Set) -> Entry {
        let name = if manager.name.is_empty() { "unknown" } else { manager.name };
        Entry {
            manager: name.to_owned(),
            applied,
            api_version: manager.api_version.to_owned(),
            subresource: manager.subresource.to_owned(),
            time: manager.time.to_owned(),
            fields: Fields { text: None, set: OnceCell::from(set) },
        }
    }

    pub fn of_text(manager: &super::Manager<'_>, text: String) -> Entry {
        let mut entry = Entry::new(manager, false, Set::new());
        entry.fields = Fields { text: Some(text), set: OnceCell::new() };
        entry
    }

    pub fn set(&self) -> &Set {
        let text = self.fields.text.as_deref();
        // The text was read once already when the entries were.
        self.fields.set.get_or_init(|| text.and_then(|text| Set::parse(text).ok()).unwrap_or_default())
    }

    pub fn take_set(&mut self) -> Set {
        self.set();
        self.fields.text = None;
        self.fields.set.take().unwrap_or_default()
    }

    pub fn put_set(&mut self, set: Set) {
        self.fields = Fields { text: None, set: OnceCell::from(set) };
    }

    /// What tells managers apart: versions don't tell those apart that apply.
    pub fn identity(&self) -> Identity<'_> {
        let version = if self.applied { "" } else { &self.api_version };
        Identity { manager: &self.manager, applied: self.applied, subresource: &self.subresource, version }
    }

    /// Whether both are of one manager.
    pub fn same_manager(&self, other: &Entry) -> bool {
        self.identity() == other.identity()
    }

    pub fn operation(&self) -> &'static str {
        if self.applied { "Apply" } else { "Update" }
    }

    /// What upstream tells managers apart by, and sorts by where nothing else does.
    pub fn identifier(&self) -> String {
        let mut out = String::from("{");
        let version = if self.applied { "" } else { &self.api_version };
        for (name, value) in [
            ("manager", self.manager.as_str()),
            ("operation", self.operation()),
            ("apiVersion", version),
            ("subresource", &self.subresource),
        ] {
            if !value.is_empty() {
                if out.len() > 1 {
                    out.push(',');
                }
                out.push_str(&format!("\"{name}\":{}", corten_api::json::string(value)));
            }
        }
        out.push('}');
        out
    }

    fn sort_key(&self) -> (&'static str, &str, &str, &str, &str) {
        (self.operation(), self.sort_time(), &self.manager, &self.api_version, &self.subresource)
    }

    pub fn sort_time(&self) -> &str {
        if self.time.is_empty() { "1970-01-01T00:00:00Z" } else { &self.time }
    }
}

struct EntryFields {
    manager: FieldId,
    operation: FieldId,
    api_version: FieldId,
    time: FieldId,
    fields_type: FieldId,
    fields: FieldId,
    subresource: FieldId,
}

fn entry_fields() -> &'static EntryFields {
    static FIELDS: std::sync::LazyLock<EntryFields> = std::sync::LazyLock::new(|| {
        let named = |name| MANAGED_FIELDS_ENTRY.get().field_named(name).expect("the table has it");
        EntryFields {
            manager: named("manager"),
            operation: named("operation"),
            api_version: named("apiVersion"),
            time: named("time"),
            fields_type: named("fieldsType"),
            fields: named("fieldsV1"),
            subresource: named("subresource"),
        }
    });
    &FIELDS
}

/// The list of entries of an object.
pub fn list(object: &Tree) -> Option<Node<'_>> {
    object.root().at(&["metadata", "managedFields"]).filter(|list| !list.as_list().is_empty())
}

/// A client that sends one empty entry wants them all gone.
pub fn is_reset(list: Node<'_>) -> bool {
    let items = list.as_list();
    items.len() == 1 && items.get(0).is_some_and(|first| first.is_zero())
}

/// Reads entries. The error says what is wrong with them; those written here never are.
pub fn decode(list: Node<'_>) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for (i, item) in list.as_list().iter().enumerate() {
        let text = |name: &str| item.get(name).map_or("", |node| node.as_str());
        let applied = match text("operation") {
            "Apply" => true,
            "Update" => false,
            _ => return Err("operation must be `Apply` or `Update`".into()),
        };
        if text("apiVersion").is_empty() {
            return Err("apiVersion must not be empty".into());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {i}")),
            other => {
                let other = corten_api::field::quote(other);
                return Err(format!("invalid fieldsType {other} in managed fields entry {i}"));
            }
        }
        let fields = item.get("fieldsV1").map_or(String::from("{}"), fields_text);
        let set = Set::parse(&fields).map_err(|error| format!("error decoding set: {error}"))?;
        entries.push(Entry {
            manager: text("manager").to_owned(),
            applied,
            api_version: text("apiVersion").to_owned(),
            subresource: text("subresource").to_owned(),
            time: text("time").to_owned(),
            fields: Fields { text: None, set: OnceCell::from(set) },
        });
    }
    keep_last(&mut entries);
    Ok(entries)
}

fn fields_text(node: Node<'_>) -> String {
    node.as_raw().map_or_else(|| crate::json::to_string(node), str::to_owned)
}

pub fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
}

/// Puts entries into an object; without any, the field goes.
pub fn encode(object: &mut Tree, entries: &[Entry]) {
    let Some(metadata) = metadata(object) else { return };
    let field = OBJECT_META.get().field_named("managedFields").expect("the table has it");
    if entries.is_empty() {
        object.remove_field(metadata, field);
        return;
    }
    let ids = entry_fields();
    let mut items = Vec::with_capacity(entries.len());
    for entry in entries {
        let item = object.structure(MANAGED_FIELDS_ENTRY);
        let text = match &entry.fields.text {
            Some(text) => object.raw(text),
            None => object.raw(&entry.set().to_json()),
        };
        let mut edit = object.edit_at(item);
        edit.set(ids.manager, entry.manager.as_str());
        edit.set(ids.operation, entry.operation());
        edit.set(ids.api_version, entry.api_version.as_str());
        if !entry.time.is_empty() {
            edit.set(ids.time, entry.time.as_str());
        }
        edit.set(ids.fields_type, "FieldsV1");
        edit.put(ids.fields, text);
        edit.set(ids.subresource, entry.subresource.as_str());
        items.push(item);
    }
    let list = object.list(&items);
    object.set_field(metadata, field, list);
}

/// An object's metadata, made where it is missing.
pub fn metadata(object: &mut Tree) -> Option<Id> {
    let root = object.root_id();
    if let Some(found) = object.get(root, "metadata") {
        return (object.type_of(found) == Some(OBJECT_META)).then_some(found);
    }
    match object.type_of(root) {
        Some(ty) => {
            let field = ty.get().field_named("metadata")?;
            let is_metadata = matches!(ty.field(field).shape, corten_schema::Shape::Struct(ty) if is_object_meta(ty));
            is_metadata.then(|| object.ensure_field(root, field))
        }
        None => {
            let made = object.structure(OBJECT_META);
            object.set_key(root, "metadata", made);
            Some(made)
        }
    }
}

fn is_object_meta(ty: TypeId) -> bool {
    ty == OBJECT_META
}
