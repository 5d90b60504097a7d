//! Lists of type set and map: no item or key twice.

use std::collections::HashMap;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::json::Members;
use corten_object::json;
use corten_object::tree::{List, Node, Value};

use crate::schema::{ListType, Schema};

pub fn validate(node: Node<'_>, schema: &Schema, path: &Path<'_>, errors: &mut Errors) {
    if !schema.deep_lists {
        return;
    }
    match node.value() {
        Value::List(list) => {
            match schema.list_type {
                ListType::Set => unique_items(list, path, errors),
                ListType::Map => unique_keys(list, &schema.list_map_keys, path, errors),
                ListType::Atomic => {}
            }
            if let Some(below) = &schema.items {
                for (index, item) in list.iter().enumerate() {
                    validate(item, below, &path.index(index), errors);
                }
            }
        }
        Value::Map(map) => {
            if let Some(below) = schema.additional.schema() {
                map.iter().for_each(|(key, value)| validate(value, below, &path.key(key), errors));
            }
            for (key, value) in map.iter() {
                if let Some(below) = schema.property(key) {
                    validate(value, below, &path.child(key), errors);
                }
            }
        }
        _ => {}
    }
}

fn unique_items(list: List<'_>, path: &Path<'_>, errors: &mut Errors) {
    let texts = list.iter().map(json::to_string);
    for index in second_ones(texts) {
        let value = list.get(index).map_or(BadValue::Null, Node::bad_value);
        errors.push(Error::duplicate(&path.index(index), value));
    }
}

fn unique_keys(list: List<'_>, keys: &[Box<str>], path: &Path<'_>, errors: &mut Errors) {
    for (index, item) in list.iter().enumerate() {
        if !matches!(item.value(), Value::Map(_) | Value::Null) {
            let detail = "must be an object for an array of list-type map";
            errors.push(Error::invalid(&path.index(index), item.bad_value(), detail));
            return;
        }
    }
    let texts: Vec<String> = list.iter().map(|item| key_text(item, keys)).collect();
    for index in second_ones(texts.iter().cloned()) {
        errors.push(Error::duplicate(&path.index(index), BadValue::Json(texts[index].clone())));
    }
}

/// The key of an item as JSON, without what the item does not have. Keys are sorted, as in Go's maps.
fn key_text(item: Node<'_>, keys: &[Box<str>]) -> String {
    let mut sorted: Vec<&str> = keys.iter().map(|key| &**key).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut out = Vec::new();
    let mut members = Members::new(&mut out);
    for key in sorted {
        if let Some(value) = item.get(key) {
            json::write(value, members.name(key));
        }
    }
    members.end();
    String::from_utf8_lossy(&out).into_owned()
}

/// Where each value that comes more than once comes for the second time.
fn second_ones(texts: impl Iterator<Item = String>) -> Vec<usize> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut second = Vec::new();
    for (index, text) in texts.enumerate() {
        let times = seen.entry(text).or_insert(0);
        *times += 1;
        if *times == 2 {
            second.push(index);
        }
    }
    second
}
