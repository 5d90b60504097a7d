//! The scale subresource: where in an object its replicas and its selector are.

use corten_object::tree::{Id, Node, Tree, Value};

/// Paths of names: `.spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    pub spec_replicas_path: Box<str>,
    pub status_replicas_path: Box<str>,
    pub label_selector_path: Option<Box<str>>,
}

/// What an object's scale shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scaled {
    /// None where the object has no such field.
    pub spec_replicas: Option<i64>,
    pub status_replicas: i64,
    pub selector: String,
}

impl Scale {
    /// The scale of an object, or what is wrong with it in upstream's words.
    pub fn read(&self, object: Node<'_>) -> Result<Scaled, String> {
        let selector = match self.label_selector_path.as_deref() {
            Some(path) if !path.is_empty() => string_at(object, path)?.unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        Ok(Scaled {
            spec_replicas: int_at(object, &self.spec_replicas_path)?,
            status_replicas: int_at(object, &self.status_replicas_path)?.unwrap_or(0),
            selector,
        })
    }

    /// Sets the replicas that are wanted, making what is absent on the way.
    pub fn set_replicas(&self, tree: &mut Tree, replicas: i64) -> Result<(), String> {
        let names: Vec<&str> = steps(&self.spec_replicas_path).collect();
        let Some((last, parents)) = names.split_last() else { return Ok(()) };
        let mut id = tree.root_id();
        for (depth, name) in parents.iter().enumerate() {
            id = match tree.get(id, name) {
                Some(found) if matches!(tree.node(found).value(), Value::Map(_) | Value::Struct(_)) => found,
                Some(_) => {
                    let path = names[..=depth].join(".");
                    return Err(format!("value cannot be set because .{path} is not a map[string]interface{{}}"));
                }
                None => {
                    let made = tree.map();
                    tree.set_named(id, name, made);
                    made
                }
            };
        }
        let value: Id = tree.int(replicas);
        tree.set_named(id, last, value);
        Ok(())
    }

    /// The path of the wanted replicas, as managedFields name it.
    pub fn replicas_steps(&self) -> impl Iterator<Item = &str> {
        steps(&self.spec_replicas_path)
    }
}

pub fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('.').unwrap_or(path).split('.')
}

/// What is at a path of names; an error if the way leads through something that has no members.
fn at<'t>(object: Node<'t>, path: &str) -> Result<Option<Node<'t>>, String> {
    let mut node = object;
    let mut seen = String::new();
    for name in steps(path) {
        seen.push('.');
        seen.push_str(name);
        match node.value() {
            Value::Null => return Ok(None),
            Value::Map(_) | Value::Struct(_) => match node.get(name) {
                Some(below) => node = below,
                None => return Ok(None),
            },
            _ => return Err(mismatch(&seen, node, "map[string]interface{}")),
        }
    }
    Ok(Some(node))
}

fn mismatch(path: &str, node: Node<'_>, expected: &str) -> String {
    let go_type = match node.value() {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) | Value::Raw(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) | Value::Struct(_) => "map[string]interface {}",
    };
    format!("{path} accessor error: {} is of the type {go_type}, expected {expected}", go_value(node))
}

/// A value as Go's `%v` shows it.
pub fn go_value(node: Node<'_>) -> String {
    match node.value() {
        Value::Null => "<nil>".to_owned(),
        Value::Str(value) | Value::Raw(value) => value.to_owned(),
        Value::List(list) => format!("[{}]", list.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        Value::Map(map) => {
            let members = map.iter().map(|(key, value)| format!("{key}:{}", go_value(value)));
            format!("map[{}]", members.collect::<Vec<_>>().join(" "))
        }
        _ => node.bad_value().to_string(),
    }
}

/// A whole number at a path.
pub fn int_at(object: Node<'_>, path: &str) -> Result<Option<i64>, String> {
    let Some(node) = at(object, path)? else { return Ok(None) };
    match node.value() {
        Value::Int(value) => Ok(Some(value)),
        _ => Err(mismatch(&full(path), node, "int64")),
    }
}

/// A string at a path.
pub fn string_at<'t>(object: Node<'t>, path: &str) -> Result<Option<&'t str>, String> {
    let Some(node) = at(object, path)? else { return Ok(None) };
    match node.value() {
        Value::Str(value) => Ok(Some(value)),
        _ => Err(mismatch(&full(path), node, "string")),
    }
}

fn full(path: &str) -> String {
    format!(".{}", path.strip_prefix('.').unwrap_or(path))
}
