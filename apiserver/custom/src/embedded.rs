//! Resources inside of resources: their kind, apiVersion and metadata are coerced and checked like those of any object.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_kinds::object_meta;
use corten_object::json::{self, Form};
use corten_object::tree::{Id, Node, Tree, Value, View};
use corten_views::meta_v1::ObjectMeta;

use crate::schema::Schema;

/// What to do with fields of the wrong type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// What was stored before anybody checked loses them.
    Drop,
    Refuse,
}

/// Normalises the metadata of embedded resources. The paths of unknown fields in it are sorted.
pub fn coerce(tree: &mut Tree, id: Id, schema: &Schema, malformed: Malformed) -> Result<Vec<String>, Error> {
    let mut coercer = Coercer { tree, malformed, unknown: Vec::new() };
    coercer.value(id, schema, &Path::root(), schema.embedded)?;
    coercer.unknown.sort();
    Ok(coercer.unknown)
}

/// As [`coerce`], for a value that is a resource whatever its schema says.
pub fn coerce_root(tree: &mut Tree, id: Id, schema: &Schema, path: &Path<'_>, root: bool) -> Result<(), Error> {
    let mut coercer = Coercer { tree, malformed: Malformed::Refuse, unknown: Vec::new() };
    coercer.value(id, schema, path, root || schema.embedded)
}

struct Coercer<'t> {
    tree: &'t mut Tree,
    malformed: Malformed,
    unknown: Vec<String>,
}

impl Coercer<'_> {
    fn value(&mut self, id: Id, schema: &Schema, path: &Path<'_>, embedded: bool) -> Result<(), Error> {
        if !embedded && !schema.deep_embedded {
            return Ok(());
        }
        match self.tree.node(id).value() {
            Value::Map(map) => {
                let members: Vec<(String, Id)> = map.iter().map(|(key, node)| (key.to_owned(), node.id())).collect();
                for (key, mut value) in members {
                    if embedded {
                        match self.meta(id, &key, value, path)? {
                            Some(kept) => value = kept,
                            None => continue,
                        }
                    }
                    if let Some(below) = schema.property(&key) {
                        self.value(value, below, &path.child(&key), below.embedded)?;
                    } else if let Some(below) = schema.additional.schema() {
                        self.value(value, below, &path.key(&key), below.embedded)?;
                    }
                }
                Ok(())
            }
            Value::List(_) => {
                let Some(below) = schema.items.as_deref() else { return Ok(()) };
                let items: Vec<Id> = self.tree.items(id).collect();
                for (index, item) in items.into_iter().enumerate() {
                    self.value(item, below, &path.index(index), below.embedded)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One member of an embedded resource; None if it is dropped.
    fn meta(&mut self, parent: Id, key: &str, value: Id, path: &Path<'_>) -> Result<Option<Id>, Error> {
        match key {
            "apiVersion" | "kind" if self.tree.node(value).as_string().is_none() => {
                if self.malformed == Malformed::Refuse {
                    let value = self.tree.node(value).bad_value();
                    return Err(Error::invalid(&path.child(key), value, "must be a string"));
                }
                self.tree.remove_key(parent, key);
                Ok(None)
            }
            "metadata" => self.metadata(parent, value, path).map(Some),
            _ => Ok(Some(value)),
        }
    }

    fn metadata(&mut self, parent: Id, value: Id, path: &Path<'_>) -> Result<Id, Error> {
        let node = self.tree.node(value);
        if matches!(node.value(), Value::Struct(_)) {
            return Ok(value);
        }
        let path = path.child("metadata");
        let (meta, unknown) = match read_metadata(node) {
            Ok(read) => read,
            Err(message) if self.malformed == Malformed::Refuse => {
                return Err(Error::invalid(&path, node.bad_value(), message));
            }
            Err(_) => match read_leniently(node) {
                Some(meta) => (meta, Vec::new()),
                None => return Ok(value),
            },
        };
        for name in unknown {
            self.unknown.push(format!("{path}.{name}"));
        }
        let Ok(plain) = json::parse(json::to_vec(meta.root()), Form::Plain) else { return Ok(value) };
        let coerced = self.tree.import(plain.tree.root());
        self.tree.set_key(parent, "metadata", coerced);
        Ok(coerced)
    }
}

/// Metadata as a typed tree, and the fields that it does not know.
pub fn read_metadata(node: Node<'_>) -> Result<(Tree, Vec<String>), String> {
    let parsed = json::parse(json::to_vec(node), Form::Typed(ObjectMeta::TYPE)).map_err(|error| error.to_string())?;
    let unknown = parsed.strict.iter().filter_map(|note| {
        let quoted = note.strip_prefix("unknown field ").or_else(|| note.strip_prefix("duplicate field "))?;
        Some(quoted.trim_matches('"').to_owned())
    });
    let unknown = unknown.collect();
    let mut tree = parsed.tree;
    if tree.root().is_null() {
        tree = Tree::of(ObjectMeta::TYPE);
    }
    Ok((tree, unknown))
}

/// Field by field, without those that do not fit.
fn read_leniently(node: Node<'_>) -> Option<Tree> {
    let Value::Map(map) = node.value() else { return None };
    let mut meta = Tree::of(ObjectMeta::TYPE);
    for (key, value) in map.iter() {
        let mut text = b"{".to_vec();
        corten_api::json::write_string(&mut text, key);
        text.push(b':');
        json::write(value, &mut text);
        text.push(b'}');
        if let Ok(single) = json::parse(text, Form::Typed(ObjectMeta::TYPE)) {
            for (field, value) in single.tree.root().as_struct().fields() {
                let value = meta.import(value);
                let root = meta.root_id();
                meta.set_field(root, field, value);
            }
        }
    }
    Some(meta)
}

/// What is wrong with the kind, apiVersion and metadata of embedded resources.
pub fn validate(node: Node<'_>, schema: &Schema, path: &Path<'_>, root: bool, errors: &mut Errors) {
    let embedded = root || schema.embedded;
    if !embedded && !schema.deep_embedded {
        return;
    }
    match node.value() {
        Value::Map(map) => {
            if embedded {
                validate_resource(node, path, errors);
            }
            for (key, value) in map.iter() {
                if let Some(below) = schema.property(key) {
                    validate(value, below, &path.child(key), false, errors);
                } else if let Some(below) = schema.additional.schema() {
                    validate(value, below, &path.key(key), false, errors);
                }
            }
        }
        Value::List(list) => {
            let Some(below) = schema.items.as_deref() else { return };
            for (index, item) in list.iter().enumerate() {
                validate(item, below, &path.index(index), false, errors);
            }
        }
        _ => {}
    }
}

fn validate_resource(node: Node<'_>, path: &Path<'_>, errors: &mut Errors) {
    for name in ["apiVersion", "kind"] {
        if node.get(name).is_none() {
            errors.push(Error::required(&path.child(name), ""));
        }
    }
    for name in ["apiVersion", "kind"] {
        let Some(value) = node.get(name) else { continue };
        let path = path.child(name);
        let Some(text) = value.as_string() else {
            errors.push(Error::invalid(&path, value.bad_value(), "must be a string"));
            continue;
        };
        if text.is_empty() {
            errors.push(Error::invalid(&path, text, "must not be empty"));
        } else if name == "apiVersion" {
            if text.matches('/').count() > 1 {
                errors.push(Error::invalid(&path, text, format!("unexpected GroupVersion string: {text}")));
            }
        } else {
            let wrong = names::is_dns1035_label(&text.to_lowercase());
            if !wrong.is_empty() {
                let detail = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
                errors.push(Error::invalid(&path, text, detail));
            }
        }
    }
    let Some(metadata) = node.get("metadata") else { return };
    let path = path.child("metadata");
    match read_metadata(metadata) {
        Err(message) => errors.push(Error::invalid(&path, metadata.bad_value(), message)),
        Ok((mut tree, _)) => {
            if tree.view::<ObjectMeta>().name().is_empty() {
                // Without a name an embedded resource is well, though the common rules want one.
                tree.edit().set(ObjectMeta::NAME, "fakename");
            }
            let meta: ObjectMeta = tree.view();
            let namespaced = !meta.namespace().is_empty();
            object_meta::validate_generic(meta, namespaced, &object_meta::path_segment_errors, &path, errors);
        }
    }
}
