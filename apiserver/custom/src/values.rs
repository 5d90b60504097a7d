//! What values must be: the OpenAPI v3 rules of a schema, in the words of upstream's validator.
//!
//! The order of errors is upstream's where upstream has one; members of an object, which upstream visits in the random
//! order of a Go map, come by name. Each result counts what matched, because of alternatives that all fail the one that
//! came closest is reported.

use corten_api::field::{BadValue, Error, ErrorType, Errors, Path};
use corten_object::json;
use corten_object::tree::{Node, Value};

pub use formats::{Format, is_absolute_url};
pub use ratchet::Correlated;

use crate::schema::{Additional, Kind, Schema, Values};

mod formats;
mod numbers;
mod ratchet;
#[cfg(test)]
mod tests;

/// What is wrong with a new value. `path` leads to it from the object.
pub fn validate(value: Node<'_>, schema: &Schema, path: &Path<'_>) -> Errors {
    Check::plain(schema, Some(value), "", None).into_errors(path)
}

/// What is wrong with a changed value that was not wrong before: what did not change, and can be found in both by the
/// schema, is let be.
pub fn validate_update(correlated: Correlated<'_>, schema: &Schema, path: &Path<'_>) -> Errors {
    Check::ratcheted(schema, &correlated, "").into_errors(path)
}

/// One thing that is wrong, before it becomes a field's error.
struct Fault {
    kind: FaultKind,
    /// Where, as upstream's validator names it: `spec.items[0]`, or "" or `.name` at the root.
    place: String,
    value: BadValue,
    message: String,
}

enum FaultKind {
    /// Of no field: alternatives, ranges of formats.
    Composite,
    Required,
    NotSupported(Vec<String>),
    TooLong(i64),
    TooMany {
        actual: usize,
        max: i64,
    },
    Type,
    Invalid,
}

/// What came of checking one value.
#[derive(Default)]
struct Check {
    faults: Vec<Fault>,
    /// Of the messages of what was merged into this.
    bytes: usize,
    matches: usize,
}

/// The members of a list or an object are checked until so many bytes of messages have come together. A message can show
/// a whole enumeration or pattern, and there is one for each wrong member.
const BYTES_MAX: usize = 4 << 20;

impl Check {
    fn is_valid(&self) -> bool {
        self.faults.is_empty()
    }

    fn is_full(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    fn merge(&mut self, other: Check) {
        self.bytes += other.faults.iter().map(|fault| fault.message.len()).sum::<usize>();
        self.faults.extend(other.faults);
        self.matches += other.matches;
    }

    fn composite(&mut self, message: String) {
        let value = BadValue::Str(String::new());
        self.faults.push(Fault { kind: FaultKind::Composite, place: String::new(), value, message });
    }

    fn invalid(&mut self, place: &str, value: impl Into<BadValue>, message: String) {
        self.faults.push(Fault { kind: FaultKind::Invalid, place: place.to_owned(), value: value.into(), message });
    }

    fn into_errors(self, path: &Path<'_>) -> Errors {
        let mut seen = std::collections::HashSet::new();
        let mut errors = Errors::default();
        for fault in self.faults {
            if !seen.insert(fault.message.clone()) {
                continue;
            }
            let place = fault.place.strip_prefix('.').unwrap_or(&fault.place);
            let child = path.child(place);
            let path = if place.is_empty() { path } else { &child };
            errors.push(match fault.kind {
                FaultKind::Composite | FaultKind::Invalid => Error::invalid(path, fault.value, fault.message),
                FaultKind::Type => Error::type_invalid(path, fault.value, fault.message),
                FaultKind::Required => Error::required(path, ""),
                FaultKind::TooLong(max) => match usize::try_from(max) {
                    Ok(max) => Error::too_long(path, max),
                    Err(_) => Error::new(ErrorType::TooLong, path, BadValue::Omit, "value is too long"),
                },
                FaultKind::TooMany { actual, max } => match usize::try_from(max) {
                    Ok(max) => Error::too_many(path, actual, max),
                    Err(_) => Error::new(ErrorType::TooMany, path, actual, "has too many items"),
                },
                FaultKind::NotSupported(values) => {
                    let values: Vec<&str> = values.iter().map(String::as_str).collect();
                    Error::not_supported(path, fault.value, &values)
                }
            });
        }
        errors
    }

    /// Checks a value that can be found in the old object: if it is the same there, it is well.
    fn ratcheted(schema: &Schema, correlated: &Correlated<'_>, place: &str) -> Check {
        let mut check = Check::plain(schema, correlated.new, place, Some(correlated));
        if !check.is_valid() && correlated.is_unchanged() {
            check.faults.clear();
            check.bytes = 0;
        }
        check
    }

    /// Checks a value. With `correlated` its members are looked for in the old object.
    fn plain(schema: &Schema, value: Option<Node<'_>>, place: &str, correlated: Option<&Correlated<'_>>) -> Check {
        let mut check = Check::default();
        let value = value.filter(|node| !node.is_null());
        let Some(value) = value else {
            check.merge(null_type(schema, place));
            check.merge(enumeration(schema, None, place));
            return check;
        };
        let values = schema.values.as_deref();
        if has_types(schema) || values.is_some_and(|values| values.format.is_some()) {
            check.merge(value_type(schema, value, place));
            check.matches += 1;
        }
        check.merge(match values {
            Some(values) => junctors(values, value, place, correlated),
            None => Check { matches: 1, ..Check::default() },
        });
        check.matches += 1;
        match (value.value(), values) {
            (Value::Str(text), values) => {
                if let Some(values) = values {
                    check.merge(string(values, text, place));
                }
                check.matches += 1;
                if let Some(format) = values.and_then(|values| values.format).filter(|format| format.is_known()) {
                    check.merge(string_format(format, text, place));
                    check.matches += 1;
                }
            }
            (Value::Int(_) | Value::Float(_), _) => {
                check.merge(numbers::check(schema, value, place));
                check.matches += 1;
            }
            (Value::List(_), _) => {
                check.merge(list(schema, value, place, correlated));
                check.matches += 1;
            }
            _ => {}
        }
        check.merge(enumeration(schema, Some(value), place));
        check.matches += 1;
        if matches!(value.value(), Value::Map(_) | Value::Struct(_)) {
            check.merge(object(schema, value, place, correlated));
            check.matches += 1;
        }
        check.matches += 1;
        check
    }
}

fn has_types(schema: &Schema) -> bool {
    schema.int_or_string || schema.kind != Kind::Any || schema.unknown_type.is_some()
}

fn type_names(schema: &Schema) -> &str {
    match &schema.unknown_type {
        _ if schema.int_or_string => "integer,string",
        Some(name) => name,
        None => schema.kind.name(),
    }
}

fn type_fault(place: &str, expected: &str, got: &str) -> Check {
    let message = format!("{place} in body must be of type {expected}: {}", corten_api::field::quote(got));
    let fault = Fault { kind: FaultKind::Type, place: place.to_owned(), value: got.into(), message };
    Check { faults: vec![fault], ..Check::default() }
}

fn null_type(schema: &Schema, place: &str) -> Check {
    if has_types(schema) && !schema.nullable {
        return type_fault(place, type_names(schema), "null");
    }
    Check { matches: 1, ..Check::default() }
}

/// Whether the value is of one of the schema's types, in the steps in which upstream finds out.
fn value_type(schema: &Schema, value: Node<'_>, place: &str) -> Check {
    let (kind, format) = match value.value() {
        Value::Bool(_) => (Kind::Boolean, ""),
        Value::Int(_) => (Kind::Integer, "int64"),
        Value::Float(_) => (Kind::Number, "float64"),
        Value::Str(_) => (Kind::String, ""),
        Value::List(_) => (Kind::Array, ""),
        _ => (Kind::Object, ""),
    };
    let accepts = |kind: Kind| {
        if schema.int_or_string { matches!(kind, Kind::Integer | Kind::String) } else { schema.kind == kind }
    };
    let wanted = schema.values.as_deref().and_then(|values| values.format);
    let integral = kind == Kind::Number && numbers::is_json_integer(value.as_float()) && accepts(Kind::Integer);
    let widened = kind == Kind::Integer && accepts(Kind::Number);
    let textual = matches!(kind, Kind::String | Kind::Array);
    if let Some(wanted) = wanted {
        if !(textual || accepts(kind) || format == wanted.name() || integral || widened) {
            return type_fault(place, wanted.name(), format);
        }
        // A string of a format is checked by the format; so, upstream, is a list.
        if textual && !(accepts(Kind::Number) || accepts(Kind::Integer)) {
            return Check { matches: 1, ..Check::default() };
        }
    }
    if !(accepts(kind) || integral || widened) {
        return type_fault(place, type_names(schema), kind.name());
    }
    Check { matches: 1, ..Check::default() }
}

fn string(values: &Values, text: &str, place: &str) -> Check {
    let mut check = Check::default();
    let length = || text.chars().count() as i64;
    if let Some(max) = values.max_length.filter(|&max| length() > max) {
        let message = format!("{place} in body should be at most {max} chars long");
        let kind = FaultKind::TooLong(max);
        check.faults.push(Fault { kind, place: place.to_owned(), value: BadValue::Omit, message });
    } else if let Some(min) = values.min_length.filter(|&min| length() < min) {
        check.invalid(place, text, format!("{place} in body should be at least {min} chars long"));
    } else if let Some(pattern) = &values.pattern {
        let expected = &pattern.text;
        if let Some(error) = &pattern.error {
            let message = format!("{place} in body should match '{expected}, but pattern is invalid: {error}'");
            check.invalid(place, text, message);
        } else if !pattern.is_match(text) {
            check.invalid(place, text, format!("{place} in body should match '{expected}'"));
        }
    }
    check
}

fn string_format(format: Format, text: &str, place: &str) -> Check {
    if format.matches(text) { Check::default() } else { type_fault(place, format.name(), text) }
}

fn enumeration(schema: &Schema, value: Option<Node<'_>>, place: &str) -> Check {
    let mut check = Check::default();
    let Some(allowed) = schema.values.as_deref().and_then(|values| values.enumeration.as_ref()) else { return check };
    let is_allowed = value.is_some_and(|value| match value.value() {
        Value::Str(text) => allowed.texts.contains(text),
        _ => allowed.values.root().as_list().iter().any(|allowed| same_enum(value, allowed)),
    });
    if is_allowed {
        return check;
    }
    let allowed = allowed.values.root().as_list();
    let texts = allowed.iter().map(|value| match value.value() {
        Value::Str(text) => text.to_owned(),
        _ => json::to_string(value),
    });
    let texts: Vec<String> = texts.collect();
    let value = value.map_or(BadValue::Null, Node::bad_value);
    let message = format!("{place} in body should be one of {texts:?}");
    let kind = FaultKind::NotSupported(texts);
    check.faults.push(Fault { kind, place: place.to_owned(), value, message });
    check
}

/// A number is converted to the type of what it is compared with.
fn same_enum(value: Node<'_>, allowed: Node<'_>) -> bool {
    match (value.value(), allowed.value()) {
        (Value::Float(value), Value::Int(allowed)) => value as i64 == allowed,
        (Value::Int(value), Value::Float(allowed)) => value as f64 == allowed,
        _ => value.equals(allowed),
    }
}

fn list(schema: &Schema, value: Node<'_>, place: &str, correlated: Option<&Correlated<'_>>) -> Check {
    let mut check = Check::default();
    let items = value.as_list();
    if let Some(below) = &schema.items {
        let old = correlated.and_then(Correlated::items);
        for (index, item) in items.iter().enumerate() {
            if check.is_full() {
                break;
            }
            let place = format!("{place}[{index}]");
            check.merge(match old.as_ref().and_then(|old| old.correlate(item)) {
                Some(child) => Check::ratcheted(below, &child, &place),
                None => Check::plain(below, Some(item), &place, None),
            });
        }
    }
    if let Some(values) = schema.values.as_deref() {
        let size = items.len();
        if let Some(min) = values.min_items.filter(|&min| (size as i64) < min) {
            check.invalid(place, size, format!("{place} in body should have at least {min} items"));
        }
        if let Some(max) = values.max_items.filter(|&max| size as i64 > max) {
            check.faults.push(too_many(place, size, max, "items"));
        }
        if values.unique_items && has_duplicates(value) {
            check.invalid(place, "", format!("{place} in body shouldn't contain duplicates"));
        }
    }
    check.matches += 1;
    check
}

fn too_many(place: &str, actual: usize, max: i64, what: &str) -> Fault {
    let message = format!("{place} in body should have at most {max} {what}");
    let kind = FaultKind::TooMany { actual, max };
    Fault { kind, place: place.to_owned(), value: BadValue::Omit, message }
}

fn has_duplicates(list: Node<'_>) -> bool {
    let mut seen = std::collections::HashSet::new();
    list.as_list().iter().any(|item| !seen.insert(json::to_vec(item)))
}

/// The members of an object, be it a map or metadata.
fn members(value: Node<'_>) -> Vec<(&str, Node<'_>)> {
    match value.value() {
        Value::Map(map) => map.iter().collect(),
        Value::Struct(structure) => {
            let Some(ty) = structure.ty() else { return Vec::new() };
            structure.fields().map(|(field, node)| (ty.field(field).name, node)).collect()
        }
        _ => Vec::new(),
    }
}

fn object(schema: &Schema, value: Node<'_>, place: &str, correlated: Option<&Correlated<'_>>) -> Check {
    let mut check = Check::default();
    let values = schema.values.as_deref();
    if let Some(values) = values.filter(|values| values.min_properties.or(values.max_properties).is_some()) {
        let size = members(value).len();
        if let Some(min) = values.min_properties.filter(|&min| (size as i64) < min) {
            check.invalid(place, size, format!("{place} in body should have at least {min} properties"));
        }
        if let Some(max) = values.max_properties.filter(|&max| size as i64 > max) {
            check.faults.push(too_many(place, size, max, "properties"));
        }
    }
    match &schema.additional {
        Additional::Bool(false) => {
            for (key, _) in members(value).into_iter().filter(|(key, _)| schema.property(key).is_none()) {
                check.invalid(place, key, format!("{place}.{key} in body is a forbidden property"));
            }
        }
        Additional::Schema(below) => {
            for (key, member_value) in members(value).into_iter().filter(|(key, _)| schema.property(key).is_none()) {
                if check.is_full() {
                    break;
                }
                check.merge(member(below, key, member_value, place, &format!("{place}.{key}"), correlated));
            }
        }
        _ => {}
    }
    for (name, below) in &schema.properties {
        if let Some(member_value) = value.get(name).filter(|_| !check.is_full()) {
            let below_place = if place.is_empty() { name.to_string() } else { format!("{place}.{name}") };
            check.merge(member(below, name, member_value, place, &below_place, correlated));
        }
    }
    for name in values.map_or(&[][..], |values| &values.required) {
        if value.get(name).is_none() {
            let place = format!("{place}.{name}");
            let message = format!("{place} in body is required");
            check.faults.push(Fault { kind: FaultKind::Required, place, value: BadValue::Omit, message });
        }
    }
    check
}

fn member(
    schema: &Schema,
    key: &str,
    value: Node<'_>,
    parent_place: &str,
    place: &str,
    correlated: Option<&Correlated<'_>>,
) -> Check {
    // Kind and version of the object itself are the same in both by conversion, not by choice.
    let is_type_meta = parent_place.is_empty() && matches!(key, "kind" | "apiVersion");
    match correlated.and_then(|correlated| correlated.key(key)).filter(|_| !is_type_meta) {
        Some(child) => Check::ratcheted(schema, &child, place),
        None => Check::plain(schema, Some(value), place, None),
    }
}

fn junctors(values: &Values, value: Node<'_>, place: &str, correlated: Option<&Correlated<'_>>) -> Check {
    let mut check = Check::default();
    let quoted = || corten_api::field::quote(place);
    let one = |schema: &Schema| Check::plain(schema, Some(value), place, correlated);
    if !values.any_of.is_empty() {
        let mut best: Option<Check> = None;
        let mut success = None;
        for schema in &values.any_of {
            let result = one(schema);
            if result.is_valid() {
                success = Some(result);
                break;
            }
            best = closest(best, result);
        }
        match success {
            Some(success) => check.merge(success),
            None => {
                check.composite(format!("{} must validate at least one schema (anyOf)", quoted()));
                best.into_iter().for_each(|best| check.merge(best));
            }
        }
    }
    if !values.one_of.is_empty() {
        let mut best: Option<Check> = None;
        let mut success = None;
        let mut valid = 0;
        for schema in &values.one_of {
            let result = one(schema);
            if result.is_valid() {
                valid += 1;
                success.get_or_insert(result);
            } else if valid == 0 {
                best = closest(best, result);
            }
        }
        match (valid, success) {
            (1, Some(success)) => check.merge(success),
            (0, _) => {
                check
                    .composite(format!("{} must validate one and only one schema (oneOf). Found none valid", quoted()));
                best.into_iter().for_each(|best| check.merge(best));
            }
            _ => check.composite(format!(
                "{} must validate one and only one schema (oneOf). Found {valid} valid alternatives",
                quoted()
            )),
        }
    }
    if !values.all_of.is_empty() {
        let mut valid = 0;
        for schema in &values.all_of {
            let result = one(schema);
            valid += usize::from(result.is_valid());
            check.merge(result);
        }
        if valid != values.all_of.len() {
            let more = if valid == 0 { ". None validated" } else { "" };
            check.composite(format!("{} must validate all the schemas (allOf){more}", quoted()));
        }
    }
    if values.not.as_deref().is_some_and(|schema| one(schema).is_valid()) {
        check.composite(format!("{} must not validate the schema (not)", quoted()));
    }
    check.matches += 1;
    check
}

fn closest(best: Option<Check>, result: Check) -> Option<Check> {
    match best {
        Some(best) if best.matches >= result.matches => Some(best),
        _ => Some(result),
    }
}
