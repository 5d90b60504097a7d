//! Finding a value's former self, so that what did not change need not be right by today's rules.

use std::collections::HashMap;

use corten_object::json;
use corten_object::tree::{Node, Value};

use crate::schema::{ListType, Schema};

/// A value, and the one that it replaces.
#[derive(Clone, Copy)]
pub struct Correlated<'c> {
    pub old: Option<Node<'c>>,
    pub new: Option<Node<'c>>,
    /// What tells which members belong together; what it does not know cannot be correlated.
    pub schema: &'c Schema,
}

impl<'c> Correlated<'c> {
    pub fn new(new: Node<'c>, old: Node<'c>, schema: &'c Schema) -> Self {
        Correlated { old: Some(old), new: Some(new), schema }
    }

    fn present(self) -> Option<(Node<'c>, Node<'c>)> {
        Some((self.old.filter(|node| !node.is_null())?, self.new.filter(|node| !node.is_null())?))
    }

    pub fn key(&self, name: &str) -> Option<Correlated<'c>> {
        let (old, new) = self.present()?;
        let schema = self.schema.member(name)?;
        Some(Correlated { old: Some(old.get(name)?), new: Some(new.get(name)?), schema })
    }

    /// The old items of a list by keys. The items of other lists have no former self.
    pub fn items(&self) -> Option<OldItems<'c>> {
        let (old, _) = self.present()?;
        let (Value::List(old), ListType::Map, keys) = (old.value(), self.schema.list_type, &*self.schema.list_map_keys)
        else {
            return None;
        };
        if keys.is_empty() {
            return None;
        }
        let mut by_key = HashMap::with_capacity(old.len());
        for item in old.iter() {
            if let Some(key) = key_of(item, keys) {
                by_key.entry(key).or_insert(item);
            }
        }
        Some(OldItems { by_key, keys, schema: self.schema.items.as_deref()? })
    }

    /// Whether nothing changed, as far as that can be told: a member that the schema does not know counts as changed,
    /// and the items of a list by keys may have changed places.
    pub fn is_unchanged(&self) -> bool {
        let (Some(old), Some(new)) = (self.old, self.new) else { return self.old.is_none() && self.new.is_none() };
        match (old.value(), new.value()) {
            (Value::List(olds), Value::List(news)) => {
                if olds.len() != news.len() {
                    return false;
                }
                if self.schema.list_type != ListType::Map || news.is_empty() {
                    return old.equals(new);
                }
                let Some(items) = self.items() else { return false };
                news.iter().all(|item| items.correlate(item).is_some_and(|child| child.is_unchanged()))
            }
            (Value::Map(olds), Value::Map(news)) => {
                olds.len() == news.len()
                    && news.iter().all(|(key, _)| self.key(key).is_some_and(|child| child.is_unchanged()))
            }
            (Value::Struct(_), Value::Struct(news)) => news.fields().len() == 0 && old.equals(new),
            _ => old.equals(new),
        }
    }
}

/// The old items of a list, by their keys. What has no key, or one that is no scalar, cannot be found.
pub struct OldItems<'c> {
    by_key: HashMap<String, Node<'c>>,
    keys: &'c [Box<str>],
    schema: &'c Schema,
}

impl<'c> OldItems<'c> {
    pub fn correlate(&self, item: Node<'c>) -> Option<Correlated<'c>> {
        let old = *self.by_key.get(&key_of(item, self.keys)?)?;
        Some(Correlated { old: Some(old), new: Some(item), schema: self.schema })
    }
}

fn key_of(item: Node<'_>, keys: &[Box<str>]) -> Option<String> {
    let Value::Map(_) = item.value() else { return None };
    let mut text = String::new();
    for key in keys {
        let value = item.get(key)?;
        if !matches!(value.value(), Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)) {
            return None;
        }
        text.push_str(&json::to_string(value));
        text.push('\n');
    }
    Some(text)
}
