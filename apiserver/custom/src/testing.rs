//! What the tables of tests share.

use std::collections::BTreeMap;

use corten_api::field::Errors;
use corten_kinds::strategy::{Context, Requester};
use corten_object::json::{self, Form};
use corten_object::tree::{Node, Tree, Value, View};
use corten_views::apiextensions_v1::CustomResourceDefinition;
use corten_views::meta_v1::ObjectMeta;

pub fn plain(text: &str) -> Tree {
    json::parse(text.as_bytes().to_vec(), Form::Plain).unwrap().tree
}

pub fn custom(text: &str) -> Tree {
    json::parse(text.as_bytes().to_vec(), Form::Custom { metadata: ObjectMeta::TYPE }).unwrap().tree
}

pub fn definition(text: &str) -> Tree {
    json::parse(text.as_bytes().to_vec(), Form::Typed(CustomResourceDefinition::TYPE)).unwrap().tree
}

/// A definition of `widgets.example.com`, whose only version says `version` beside its name.
pub fn widgets(version: &str) -> Tree {
    definition(&format!(
        r#"{{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{{"name":"widgets.example.com"}},"spec":{{"group":"example.com","scope":"Namespaced","names":{{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"}},"conversion":{{"strategy":"None"}},"versions":[{{"name":"v1","served":true,"storage":true,{version}}}]}}}}"#
    ))
}

pub fn widget(rest: &str) -> Tree {
    custom(&format!(r#"{{"apiVersion":"example.com/v1","kind":"Widget","metadata":{{"name":"w"}}{rest}}}"#))
}

static NO_EXTRA: BTreeMap<String, Vec<String>> = BTreeMap::new();

pub fn context<'c>(version: &'c str, subresource: &'c str) -> Context<'c> {
    Context {
        subresource,
        group: "example.com",
        version,
        namespace: "default",
        name: "w",
        user: Requester { name: "", uid: "", groups: &[], extra: &NO_EXTRA },
        dry_run: false,
        now: (0, 0),
    }
}

/// Each error as a Status shows its cause, sorted: upstream's order is that of Go's maps.
pub fn causes(errors: &Errors) -> Vec<String> {
    let mut causes: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.body())).collect();
    causes.sort();
    causes
}

pub fn text(node: Node<'_>) -> String {
    json::to_string(node)
}

pub fn strings(node: Node<'_>) -> Vec<String> {
    let Value::List(list) = node.value() else { return Vec::new() };
    list.iter().map(|item| item.as_str().to_owned()).collect()
}

/// The items of a JSON array as they are written: a tree would not tell `1.0` from `1`.
pub fn parts(line: &str) -> Vec<&str> {
    let inside = &line[1..line.len() - 1];
    let (mut depth, mut quoted, mut escaped, mut start) = (0, false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in inside.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts
}
