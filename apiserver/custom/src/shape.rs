//! The shape of an object: unknown fields pruned, nulls dropped, defaults set.
//!
//! Nearly every object that is read needs nothing of this, so each step first looks, without changing anything.

use corten_object::tree::{Id, Node, Tree, Value};

use crate::schema::Schema;

#[cfg(test)]
mod tests;

const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

fn is_meta(name: &str) -> bool {
    META_FIELDS.contains(&name)
}

/// Drops what the schema of a resource does not know. The paths of what was dropped are sorted.
pub fn prune_root(tree: &mut Tree, schema: &Schema) -> Vec<String> {
    let root = tree.root_id();
    prune_at(tree, root, schema, true)
}

/// Drops what a schema does not know from a value; at the root of a resource `kind`, `apiVersion` and `metadata` stay.
pub fn prune_at(tree: &mut Tree, id: Id, schema: &Schema, resource_root: bool) -> Vec<String> {
    if is_pruned(tree.node(id), Some(schema), resource_root || schema.embedded) {
        return Vec::new();
    }
    let mut pruner = Pruner { tree, path: String::new(), dropped: Vec::new(), dropped_bytes: 0 };
    pruner.prune(id, Some(schema), resource_root || schema.embedded);
    let mut dropped = pruner.dropped;
    dropped.sort();
    dropped
}

/// Whether pruning a resource, fields and nulls, would drop nothing.
pub fn is_shaped(object: Node<'_>, schema: &Schema) -> bool {
    is_pruned(object, Some(schema), true) && !has_bad_null(object, schema)
}

/// Whether pruning would drop nothing.
fn is_pruned(node: Node<'_>, schema: Option<&Schema>, embedded: bool) -> bool {
    let preserve = schema.is_some_and(|schema| schema.preserve);
    match (node.value(), schema) {
        (Value::Map(map), None) => map.is_empty(),
        (Value::Map(map), Some(schema)) => map.iter().all(|(key, value)| {
            if embedded && is_meta(key) {
                return true;
            }
            match (schema.property(key), &schema.additional) {
                (Some(property), _) => is_pruned(value, Some(property), property.embedded),
                (None, crate::schema::Additional::Absent) => preserve,
                (None, additional) => {
                    let schema = additional.schema();
                    is_pruned(value, schema, schema.is_some_and(|schema| schema.embedded))
                }
            }
        }),
        (Value::List(list), schema) => {
            let items = schema.and_then(|schema| schema.items.as_deref());
            if preserve && items.is_none() {
                return true;
            }
            // Under a list that keeps what it does not know, items keep it too.
            list.iter().all(|item| match (preserve, items) {
                (true, Some(items)) => is_kept(item, items),
                _ => is_pruned(item, items, items.is_some_and(|items| items.embedded)),
            })
        }
        _ => true,
    }
}

/// As `is_pruned`, where unknown fields are kept whatever the schema says of them.
fn is_kept(node: Node<'_>, schema: &Schema) -> bool {
    match node.value() {
        Value::Map(map) => map.iter().all(|(key, value)| {
            if schema.embedded && is_meta(key) {
                return true;
            }
            match (schema.property(key), &schema.additional) {
                (Some(property), _) => is_pruned(value, Some(property), property.embedded),
                (None, crate::schema::Additional::Absent) => true,
                (None, additional) => {
                    let schema = additional.schema();
                    is_pruned(value, schema, schema.is_some_and(|schema| schema.embedded))
                }
            }
        }),
        Value::List(list) => match schema.items.as_deref() {
            Some(items) => list.iter().all(|item| is_kept(item, items)),
            None => true,
        },
        _ => true,
    }
}

/// How many bytes of paths are told of what was dropped. Paths that are deep and many would be a list without an end.
const DROPPED_MAX: usize = 2 << 20;

struct Pruner<'t> {
    tree: &'t mut Tree,
    path: String,
    dropped: Vec<String>,
    dropped_bytes: usize,
}

impl Pruner<'_> {
    fn prune(&mut self, id: Id, schema: Option<&Schema>, embedded: bool) {
        match schema {
            Some(schema) if schema.preserve => self.walk(id, Some(schema), embedded, true),
            schema => self.walk(id, schema, embedded, false),
        }
    }

    fn walk(&mut self, id: Id, schema: Option<&Schema>, embedded: bool, keep: bool) {
        match self.tree.node(id).value() {
            Value::Map(_) => self.members(id, schema, embedded, keep),
            Value::List(_) => {
                let items: Vec<Id> = self.tree.items(id).collect();
                let schema = schema.and_then(|schema| schema.items.as_deref());
                for (index, item) in items.into_iter().enumerate() {
                    let length = self.path.len();
                    self.path.push_str(&format!("[{index}]"));
                    match (keep, schema) {
                        (true, None) => {}
                        (true, Some(schema)) => self.walk(item, Some(schema), schema.embedded, true),
                        (false, schema) => self.prune(item, schema, schema.is_some_and(|schema| schema.embedded)),
                    }
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn members(&mut self, id: Id, schema: Option<&Schema>, embedded: bool, keep: bool) {
        let members: Vec<(String, Id)> =
            self.tree.node(id).as_map().iter().map(|(key, node)| (key.to_owned(), node.id())).collect();
        let at_root = self.path.is_empty();
        let mut kept = Vec::with_capacity(members.len());
        for (key, value) in members {
            kept.push(true);
            if embedded && is_meta(&key) {
                continue;
            }
            let property = schema.and_then(|schema| schema.property(&key));
            let open = schema.is_some_and(|schema| !schema.additional.is_absent());
            let length = self.path.len();
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if property.is_some() || open {
                let below = property.or_else(|| schema.and_then(|schema| schema.additional.schema()));
                self.prune(value, below, below.is_some_and(|below| below.embedded));
            } else if !keep {
                if (!(is_meta(&key) && at_root) || schema.is_none()) && self.dropped_bytes < DROPPED_MAX {
                    self.dropped_bytes += self.path.len();
                    self.dropped.push(self.path.clone());
                }
                kept.pop();
                kept.push(false);
            }
            self.path.truncate(length);
        }
        if kept.contains(&false) {
            let mut kept = kept.into_iter();
            self.tree.retain_keys(id, |_, _| kept.next().unwrap_or(true));
        }
    }
}

/// Drops nulls that the schema neither allows nor has a default for.
pub fn prune_nulls(tree: &mut Tree, id: Id, schema: &Schema) {
    if has_bad_null(tree.node(id), schema) {
        drop_nulls(tree, id, schema);
    }
}

fn drop_nulls(tree: &mut Tree, id: Id, schema: &Schema) {
    match tree.node(id).value() {
        Value::Map(_) => {
            let is_kept =
                |key: &str, member: Node<'_>| schema.member(key).is_none_or(|below| !is_bad_null(member, below));
            tree.retain_keys(id, is_kept);
            let known = |(key, member): (&str, Node<'_>)| Some((member.id(), schema.member(key)?));
            let members: Vec<(Id, &Schema)> = tree.node(id).as_map().iter().filter_map(known).collect();
            members.into_iter().for_each(|(member, below)| drop_nulls(tree, member, below));
        }
        Value::List(_) => {
            let Some(below) = &schema.items else { return };
            let items: Vec<Id> = tree.items(id).collect();
            items.into_iter().for_each(|item| drop_nulls(tree, item, below));
        }
        _ => {}
    }
}

fn is_bad_null(node: Node<'_>, schema: &Schema) -> bool {
    node.is_null() && !schema.nullable && schema.default.is_none()
}

fn has_bad_null(node: Node<'_>, schema: &Schema) -> bool {
    match node.value() {
        Value::Map(map) => map.iter().any(|(key, value)| {
            schema.member(key).is_some_and(|below| is_bad_null(value, below) || has_bad_null(value, below))
        }),
        Value::List(list) => {
            schema.items.as_deref().is_some_and(|below| list.iter().any(|item| has_bad_null(item, below)))
        }
        _ => false,
    }
}

/// Whether [`default`] would set anything.
pub fn lacks_defaults(node: Node<'_>, schema: &Schema) -> bool {
    if !schema.deep_defaults {
        return false;
    }
    let lacks = |value: Node<'_>, below: &Schema| {
        below.default.is_some() && value.is_null() && !below.nullable || lacks_defaults(value, below)
    };
    match node.value() {
        Value::Map(map) => {
            let is_missing =
                |(name, property): &(Box<str>, Schema)| property.default.is_some() && node.get(name).is_none();
            schema.properties.iter().any(is_missing)
                || map.iter().any(|(key, value)| schema.member(key).is_some_and(|below| lacks(value, below)))
        }
        Value::List(list) => schema.items.as_deref().is_some_and(|below| list.iter().any(|item| lacks(item, below))),
        _ => false,
    }
}

/// Sets what is absent, or null where it may not be, and has a default.
pub fn default(tree: &mut Tree, id: Id, schema: &Schema) {
    if !schema.deep_defaults {
        return;
    }
    match tree.node(id).value() {
        Value::Map(_) => {
            for (name, property) in &schema.properties {
                let Some(value) = &property.default else { continue };
                let present = tree.get(id, name);
                if present.is_none_or(|present| tree.node(present).is_null() && !property.nullable) {
                    let value = tree.import(value.root());
                    tree.set_key(id, name, value);
                }
            }
            default_members(tree, id, schema);
        }
        Value::List(_) => {
            let Some(below) = schema.items.as_deref().filter(|below| below.deep_defaults) else { return };
            for index in 0..tree.len(id) {
                let Some(mut item) = tree.node(id).as_list().get(index).map(Node::id) else { continue };
                if let Some(value) = default_of_null(tree, item, below) {
                    tree.set_item(id, index, value);
                    item = value;
                }
                default(tree, item, below);
            }
        }
        _ => {}
    }
}

fn default_members(tree: &mut Tree, id: Id, schema: &Schema) {
    if let Some(below) = schema.additional.schema().filter(|below| below.deep_defaults) {
        let members: Vec<(String, Id)> =
            tree.node(id).as_map().iter().map(|(key, node)| (key.to_owned(), node.id())).collect();
        for (key, mut value) in members {
            if schema.property(&key).is_some() {
                continue;
            }
            if let Some(set) = default_of_null(tree, value, below) {
                tree.set_key(id, &key, set);
                value = set;
            }
            default(tree, value, below);
        }
    }
    for (name, property) in schema.properties.iter().filter(|(_, property)| property.deep_defaults) {
        if let Some(value) = tree.get(id, name) {
            default(tree, value, property);
        }
    }
}

fn default_of_null(tree: &mut Tree, id: Id, schema: &Schema) -> Option<Id> {
    if !tree.node(id).is_null() || schema.nullable {
        return None;
    }
    let value = schema.default.as_ref()?;
    Some(tree.import(value.root()))
}
