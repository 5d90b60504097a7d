//! Bodies: an object with one value grown, as JSON, YAML and protobuf.

use anyhow::{Context, Result};
use corten_object::json::{self, Form};
use corten_schema::TypeId;
use serde_json::{Map, Value};

use crate::case::Style;
use crate::grow::{self, Size};
use crate::samples;
use crate::sites::{Grown, KEY, Site, Step};

pub const JSON: &str = "application/json";
pub const YAML: &str = "application/yaml";
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What kube-apiserver takes: 3 MiB, and so does Corten.
pub const BODY_MAX: usize = 3 << 20;

/// Stands where the grown text will.
const PLACE: &str = "@@grown@@";

/// An object with a place for the grown value.
pub fn with_place(sample: &Value, site: &Site) -> Value {
    let mut object = sample.clone();
    let place = descend(&mut object, &site.path);
    match site.grown {
        Grown::Unknown | Grown::Duplicate { .. } => {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place[PLACE] = Value::Null;
        }
        _ => *place = Value::from(PLACE),
    }
    object
}

/// An object with another value at the site.
pub fn with_value(sample: &Value, site: &Site, value: Value) -> Value {
    let mut object = sample.clone();
    *descend(&mut object, &site.path) = value;
    settled(&object)
}

/// An object without tokens.
pub fn settled(object: &Value) -> Value {
    serde_json::from_str(&grow::settled(&object.to_string())).unwrap_or(Value::Null)
}

fn descend<'v>(object: &'v mut Value, path: &[Step]) -> &'v mut Value {
    let mut at = object;
    for step in path {
        at = match step {
            Step::Field { name, fresh, beside } => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                if let Some(beside) = beside {
                    samples::merge(at, beside);
                }
                if at[name.as_str()].is_null() {
                    at[name.as_str()] = fresh.clone();
                }
                &mut at[name.as_str()]
            }
            Step::Item { fresh } => {
                if !at.get(0).is_some_and(|first| !first.is_null()) {
                    *at = Value::Array(vec![fresh.clone()]);
                }
                &mut at[0]
            }
            Step::Entry { fresh } => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                if at[KEY].is_null() {
                    at[KEY] = fresh.clone();
                }
                &mut at[KEY]
            }
        };
    }
    at
}

/// The JSON text of an object whose value at the site is grown until the whole has a size.
pub fn json(sample: &Value, site: &Site, style: Style, size: Size) -> String {
    fill(with_place(sample, site), site, size, |size| grow::text(&site.grown, style, size))
}

/// Puts a grown text into its place.
pub fn fill(with_place: Value, site: &Site, size: Size, text: impl FnOnce(Size) -> String) -> String {
    let object = grow::settled(&with_place.to_string());
    let place = match site.grown {
        Grown::Unknown | Grown::Duplicate { .. } => format!("\"{PLACE}\":null"),
        _ => format!("\"{PLACE}\""),
    };
    let rest = object.len() - place.len();
    let size = Size { bytes: size.bytes.saturating_sub(rest), largest: size.largest.saturating_sub(rest).max(1) };
    object.replacen(&place, &text(size), 1)
}

/// As YAML: in blocks, or, where all elements are equal, in flow with an alias for each but the first.
pub fn yaml(sample: &Value, site: &Site, style: Style, size: Size) -> String {
    let (Grown::List { item, .. }, Style::Equal) = (&site.grown, style) else {
        return blocks(sample, site, style, size);
    };
    let item = grow::settled(&item.to_string());
    fill(with_place(sample, site), site, size, |size| format!("[&a {item}{}]", ", *a".repeat(size.bytes / 4)))
}

/// In blocks, which are longer than JSON: not longer than a body may be.
fn blocks(sample: &Value, site: &Site, style: Style, size: Size) -> String {
    let text = |bytes: usize| {
        let size = Size { bytes, ..size };
        corten_object::yaml::from_json(json(sample, site, style, size).as_bytes())
    };
    let first = text(size.bytes);
    if first.len() <= BODY_MAX {
        return first;
    }
    // A little less than the proportion, since what is around the grown value does not shrink with it.
    text(size.bytes * (BODY_MAX - BODY_MAX / 50) / first.len())
}

/// As protobuf, or an error where protobuf does not have such an object.
pub fn protobuf(ty: TypeId, json: String) -> Result<Vec<u8>> {
    let parsed = json::parse(json.into_bytes(), Form::Typed(ty)).map_err(|error| anyhow::anyhow!("{error}"));
    let parsed = parsed.context("the object as protobuf")?;
    Ok(corten_object::protobuf::encode(parsed.tree.root()))
}
