//! Finding a value's former self, so that what did not change need not be right by today's rules.

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

    /// Only the items of a list by keys have a former self.
    pub fn index(&self, index: usize) -> Option<Correlated<'c>> {
        let (old, new) = self.present()?;
        if self.schema.list_type != ListType::Map {
            return None;
        }
        let (Value::List(old), Value::List(new)) = (old.value(), new.value()) else { return None };
        let item = new.get(index)?;
        let schema = self.schema.items.as_deref()?;
        let old = old.iter().find(|old| same_keys(*old, item, &self.schema.list_map_keys))?;
        Some(Correlated { old: Some(old), new: Some(item), schema })
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
                (0..news.len()).all(|index| self.index(index).is_some_and(|child| child.is_unchanged()))
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

fn same_keys(old: Node<'_>, new: Node<'_>, keys: &[Box<str>]) -> bool {
    keys.iter().all(|key| match (old.get(key), new.get(key)) {
        (Some(old), Some(new)) => old.equals(new),
        (None, None) => true,
        _ => false,
    })
}
