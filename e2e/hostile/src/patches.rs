//! Bodies of patches.

use serde_json::{Value, json};

use crate::body;
use crate::case::{Case, Style};
use crate::grow::{self, Size, Template};
use crate::sites::{Grown, KEY, Site, Step};

pub const JSON_PATCH: &str = "application/json-patch+json";
pub const MERGE_PATCH: &str = "application/merge-patch+json";
pub const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
/// Of JSON too: an applied configuration has no type of its own for that.
pub const APPLY: &str = "application/apply-patch+yaml";

/// The most operations that a JSON patch may have is 10,000.
const OPERATIONS: usize = 9_990;

/// One operation that adds the grown value, with what has to be around it.
pub fn json_patch(case: &Case<'_>, sample: &Value, size: Size) -> String {
    let (pointer, value) = member(body::with_place(sample, case.site), case.site);
    let patch = json!([{"op": "add", "path": pointer, "value": value}]);
    body::fill(patch, case.site, size, |size| grow::text(&case.site.grown, case.style, size))
}

/// An operation for each element.
pub fn json_patch_many(case: &Case<'_>, sample: &Value, size: Size) -> String {
    let empty = match case.site.grown {
        Grown::List { .. } => json!([]),
        Grown::Map { .. } => json!({}),
        _ => json!("a"),
    };
    let (path, value) = member(body::with_value(sample, case.site, empty), case.site);
    let first = json!({"op": "add", "path": path, "value": value}).to_string();
    let at = pointer(&case.site.path);
    let add = |path: &str, value: &str| Template::new(&format!(r#"{{"op":"add","path":"{path}","value":{value}}}"#));
    let template = match &case.site.grown {
        Grown::List { item, .. } if case.style == Style::Reversed => add(&format!("{at}/0"), &item.to_string()),
        Grown::List { item, .. } => add(&format!("{at}/-"), &item.to_string()),
        Grown::Map { key, value } => add(&format!("{at}/{}", escape(key)), &value.to_string()),
        _ => add(&at, "\"@K@\""),
    };
    operations(Some(first), &template, case.style, template.count(size.bytes))
}

/// Operations on a large value that is there.
pub fn json_patch_large(case: &Case<'_>, size: Size) -> String {
    let at = pointer(&case.site.path);
    let (element, first) = match &case.site.grown {
        Grown::List { item, .. } => (Some(Template::new(&format!("{item}"))), "/0".to_owned()),
        Grown::Map { key, value } => (Some(grow::member(key, value)), format!("/{}", escape(key))),
        _ => (None, String::new()),
    };
    let operation = match case.style {
        _ if element.is_none() => format!(r#"{{"op":"replace","path":"{at}","value":"@K@"}}"#),
        Style::Ordered => format!(r#"{{"op":"remove","path":"{at}{first}"}}"#),
        Style::Reversed => format!(r#"{{"op":"move","from":"{at}{first}","path":"{at}/-"}}"#),
        Style::Equal => format!(r#"{{"op":"copy","from":"{at}{first}","path":"{at}/-"}}"#),
        Style::Invalid => format!(r#"{{"op":"replace","path":"{at}{first}","value":"-@K@/!"}}"#),
    };
    let template = Template::new(&operation);
    // Half of what is there at most, so that what is removed is there.
    let there = element.map_or(usize::MAX, |element| element.count(size.bytes) / 2).max(1);
    // Each with the next key, as they were created.
    let style = if case.style == Style::Equal { Style::Equal } else { Style::Ordered };
    operations(None, &template, style, template.count(size.bytes).min(there))
}

fn operations(first: Option<String>, template: &Template, style: Style, count: usize) -> String {
    let count = count.min(OPERATIONS);
    let mut out = String::from("[");
    out.extend(first);
    for i in 0..count {
        if out.len() > 1 {
            out.push(',');
        }
        template.write(grow::index(style, i, count), style == Style::Invalid, &mut out);
    }
    out.push(']');
    out
}

/// A strategic merge patch: reversed elements come with the order that they are to have; equal ones are taken out
/// instead, each by a directive.
pub fn strategic(case: &Case<'_>, sample: &Value, size: Size) -> String {
    let Grown::List { item, merge_key } = &case.site.grown else {
        return body::json(sample, case.site, case.style, size);
    };
    let mut object = body::with_place(sample, case.site);
    let Some((holder, name)) = holder(&mut object, &case.site.path) else {
        return body::json(sample, case.site, case.style, size);
    };
    match case.style {
        Style::Reversed => {
            let key =
                |item: &Value| if merge_key.is_empty() { item.clone() } else { json!({*merge_key: item[merge_key]}) };
            let order = Template::new(&key(item).to_string());
            let half = Size { bytes: size.bytes / 2, ..size };
            let count = Template::new(&item.to_string()).count(half.bytes);
            let mut text = String::from("[");
            for i in 0..count {
                if i > 0 {
                    text.push(',');
                }
                order.write(i, false, &mut text);
            }
            text.push(']');
            holder[format!("$setElementOrder/{name}")] = json!("@@order@@");
            let filled = body::fill(object, case.site, half, |size| grow::text(&case.site.grown, case.style, size));
            filled.replacen("\"@@order@@\"", &text, 1)
        }
        Style::Equal if item.is_object() => {
            let mut deleted = item.clone();
            deleted["$patch"] = json!("delete");
            let grown = Grown::List { item: deleted, merge_key };
            body::fill(object, case.site, size, |size| grow::text(&grown, Style::Ordered, size))
        }
        Style::Equal => {
            // The list itself stays as it is; its elements are named for deletion.
            let place = holder[name.as_str()].take();
            holder.as_object_mut().map(|holder| holder.remove(&name));
            holder[format!("$deleteFromPrimitiveList/{name}")] = place;
            body::fill(object, case.site, size, |size| grow::text(&case.site.grown, Style::Ordered, size))
        }
        style => body::json(sample, case.site, style, size),
    }
}

/// The struct that holds a site, and the site's name in it.
fn holder<'v>(object: &'v mut Value, path: &[Step]) -> Option<(&'v mut Value, String)> {
    let (last, before) = path.split_last()?;
    let Step::Field { name, .. } = last else { return None };
    let mut at = object;
    for step in before {
        at = match step {
            Step::Field { name, .. } => at.get_mut(name)?,
            Step::Item { .. } => at.get_mut(0)?,
            Step::Entry { .. } => at.get_mut(KEY)?,
        };
    }
    Some((at, name.clone()))
}

/// The part of an object that a patch adds: the member that holds the site, but of the metadata only a field, since a
/// patch that replaced the whole would take the name.
fn member(mut object: Value, site: &Site) -> (String, Value) {
    let names = site.path.iter().map_while(|step| match step {
        Step::Field { name, .. } => Some(name.as_str()),
        _ => None,
    });
    let deep = if site.member() == Some("metadata") { 2 } else { 1 };
    let (mut pointer, mut value) = (String::new(), object.take());
    for name in names.take(deep) {
        pointer.push_str(&format!("/{}", escape(name)));
        value = value[name].take();
    }
    (pointer, value)
}

fn pointer(path: &[Step]) -> String {
    let mut pointer = String::new();
    for step in path {
        pointer.push('/');
        match step {
            Step::Field { name, .. } => pointer.push_str(&escape(name)),
            Step::Item { .. } => pointer.push('0'),
            Step::Entry { .. } => pointer.push_str(KEY),
        }
    }
    pointer
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
