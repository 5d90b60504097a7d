//! Tolerations of taints.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::{Items, View};
use corten_views::core_v1::Toleration;

use super::checks::not_supported;
use super::options::Options;
use crate::object_meta::{invalid_each, validate_label_name};

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub fn validate(tolerations: Items<'_, Toleration<'_>>, options: &Options, list: &Path<'_>, errors: &mut Errors) {
    for (i, toleration) in tolerations.iter().enumerate() {
        validate_one(toleration, options, &list.index(i), errors);
    }
}

fn validate_one(toleration: Toleration<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let (operator, value) = (toleration.operator(), toleration.value());
    let operator_path = path.child("operator");
    if !toleration.key().is_empty() {
        validate_label_name(toleration.key(), &path.child("key"), errors);
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.push(Error::invalid(&operator_path, BadValue::typed(operator), detail));
    }
    let effect = toleration.effect();
    if toleration.toleration_seconds().is_some() && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(Error::invalid(&path.child("effect"), BadValue::typed(effect), detail));
    }
    match operator {
        "Equal" | "" => {
            let wrong = names::is_valid_label_value(value);
            if !wrong.is_empty() {
                errors.push(Error::invalid(&operator_path, value, wrong.join(";")));
            }
        }
        "Exists" if value.is_empty() => {}
        "Exists" => {
            errors.push(Error::invalid(&operator_path, value, "value must be empty when `operator` is 'Exists'"));
        }
        "Lt" | "Gt" if options.comparing_tolerations => {
            let path = path.child("value");
            invalid_each(names::is_decimal_integer(value), value, &path, errors);
            if let Some(detail) = parse_int_error(value) {
                errors.push(Error::invalid(&path, value, detail));
            }
        }
        "Lt" | "Gt" => errors.push(not_supported(operator, &["Equal", "Exists", "Lt", "Gt"], &operator_path)),
        _ => errors.push(not_supported(operator, &["Equal", "Exists"], &operator_path)),
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        errors.push(not_supported(effect, EFFECTS, &path.child("effect")));
    }
}

/// Go's `strconv.ParseInt`.
fn parse_int_error(value: &str) -> Option<String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let error = value.parse::<i64>().err()?;
    let why = match error.kind() {
        PosOverflow | NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    Some(format!("strconv.ParseInt: parsing {}: {why}", corten_api::field::quote(value)))
}

/// An update may add tolerations, and change how long one lasts.
pub fn validate_only_added(
    new: Items<'_, Toleration<'_>>,
    old: Items<'_, Toleration<'_>>,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    fn key<'t>(one: Toleration<'t>) -> [&'t str; 4] {
        [one.key(), one.operator(), one.value(), one.effect()]
    }
    let mut all: Option<Seen<[&str; 4]>> = None;
    // Most updates leave them as they are, in their order.
    let mut kept = |(i, old): (usize, Toleration<'_>)| {
        new.get(i).is_some_and(|new| key(new) == key(old))
            || all.get_or_insert_with(|| new.iter().map(key).collect()).contains(&key(old))
    };
    if !old.iter().enumerate().all(&mut kept) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(Error::forbidden(path, detail));
        return;
    }
    validate(new, options, path, errors);
}

/// Tolerations that are written in an annotation.
pub fn validate_json(json: &str, options: &Options, path: &Path<'_>, errors: &mut Errors) -> Result<(), String> {
    let parsed = super::annotations::parse_tolerations(json)?;
    for (i, id) in parsed.items.iter().enumerate() {
        let toleration = Toleration::from_struct(parsed.tree.node(*id).as_struct());
        validate_one(toleration, options, &path.index(i), errors);
    }
    Ok(())
}
