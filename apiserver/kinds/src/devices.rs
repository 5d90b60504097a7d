//! What the kinds of dynamic resource allocation share: drivers, pools, selectors, configuration, tolerations.

use std::hash::Hash;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;
use corten_api::seen::Seen;
use corten_object::json::{Form, parse};
use corten_object::tree::{Items, Map, Strings, Value};
use corten_views::resource_v1::{DeviceSelector, DeviceTaint, DeviceToleration, OpaqueDeviceConfiguration};

use crate::access::go_struct;
use crate::object_meta::{invalid_each, validate_label_name};
use crate::pod::checks::{one_of, required_one_of};
use crate::storage::validate_driver_name;

pub const SELECTORS_MAX: usize = 32;
pub const CONFIGURATIONS_MAX: usize = 32;
pub const RAW_LENGTH: usize = 10 * 1024;
const EXPRESSION_LENGTH: usize = 10 * 1024;
const POOL_LENGTH: usize = 253;
const ID_LENGTH: usize = 32;
const BINDING_CONDITIONS_MAX: usize = 4;
const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "None"];
/// What the parser of CEL says of no expression at all.
const NO_EXPRESSION: &str = "compilation failed: ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting \
    {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// Upstream's `validateSlice`: a list that is too long is not looked into.
pub fn validate_list<T>(
    items: impl ExactSizeIterator<Item = T>,
    max: Option<usize>,
    path: &Path<'_>,
    errors: &mut Errors,
    mut check: impl FnMut(T, &Path<'_>, &mut Errors),
) -> bool {
    let count = items.len();
    if let Some(max) = max.filter(|max| count > *max) {
        errors.push(Error::too_many(path, count, max));
        return false;
    }
    for (i, item) in items.enumerate() {
        check(item, &path.index(i), errors);
    }
    true
}

/// Says which keys come again.
pub fn validate_unique<K: Eq + Hash + Clone>(
    keys: impl Iterator<Item = K>,
    show: impl Fn(&K) -> BadValue,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen = Seen::default();
    for (i, key) in keys.enumerate() {
        if !seen.insert(key.clone()) {
            errors.push(Error::duplicate(&path.index(i), show(&key)));
        }
    }
}

/// Upstream's `validateSet` of strings.
pub fn validate_names(
    list: Strings<'_>,
    max: usize,
    path: &Path<'_>,
    errors: &mut Errors,
    mut check: impl FnMut(&str, &Path<'_>, &mut Errors),
) {
    let items: Vec<&str> = list.iter().collect();
    if validate_list(items.iter().copied(), Some(max), path, errors, &mut check) {
        validate_unique(items.iter().copied(), |name| BadValue::Str((*name).to_owned()), path, errors);
    }
}

pub fn validate_pool_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.is_empty() {
        return errors.push(Error::required(path, ""));
    }
    if name.len() > POOL_LENGTH {
        errors.push(Error::too_long(path, POOL_LENGTH));
    }
    for part in name.split('/') {
        invalid_each(names::is_dns1123_subdomain(part), part, path, errors);
    }
}

/// Upstream's `validateUID`, with the words of the library that looks first.
pub fn validate_uid(uid: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Err(problem) = parse_uid(uid) {
        errors.push(Error::invalid(path, uid, format!("error validating uid: {problem}")));
    } else if uid.len() != 36 || uid.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let detail = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase \
            hexadecimal characters";
        errors.push(Error::invalid(path, uid, detail));
    }
}

fn parse_uid(uid: &str) -> Result<(), String> {
    let bytes = uid.as_bytes();
    let bare = match bytes.len() {
        36 | 32 => bytes,
        45 if bytes[..9].eq_ignore_ascii_case(b"urn:uuid:") => &bytes[9..],
        45 => {
            let prefix = corten_api::field::quote(&String::from_utf8_lossy(&bytes[..9]));
            return Err(format!("invalid urn prefix: {prefix}"));
        }
        38 if bytes[0] == b'{' && bytes[37] == b'}' => &bytes[1..37],
        38 => return Err("invalid bracketed UUID format".to_owned()),
        length => return Err(format!("invalid UUID length: {length}")),
    };
    let fits = bare.iter().enumerate().all(|(i, byte)| match i {
        8 | 13 | 18 | 23 if bare.len() == 36 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    if fits { Ok(()) } else { Err("invalid UUID format".to_owned()) }
}

/// What is told apart by driver, pool and name, and by a share of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedDevice<'t> {
    pub driver: &'t str,
    pub pool: &'t str,
    pub device: &'t str,
    pub share: &'t str,
}

impl SharedDevice<'_> {
    pub fn shown(&self) -> BadValue {
        go_struct(&[
            ("Driver", self.driver.into()),
            ("Pool", self.pool.into()),
            ("Device", self.device.into()),
            ("ShareID", self.share.into()),
        ])
    }
}

/// Expressions are looked into where they are used; here they must be there and of bearable length.
pub fn validate_selectors<'t>(selectors: Items<'t, DeviceSelector<'t>>, path: &Path<'_>, errors: &mut Errors) {
    validate_list(selectors.iter(), Some(SELECTORS_MAX), path, errors, |selector, path, errors| {
        let path = path.child("cel");
        let Some(cel) = selector.cel() else { return errors.push(Error::required(&path, "")) };
        let path = path.child("expression");
        match cel.expression() {
            "" => errors.push(Error::invalid(&path, "", NO_EXPRESSION)),
            text if text.len() > EXPRESSION_LENGTH => errors.push(Error::too_long(&path, EXPRESSION_LENGTH)),
            _ => {}
        }
    });
}

/// Parameters for a driver. `stored` ones may be longer than what is taken today.
pub fn validate_configuration(
    opaque: Option<OpaqueDeviceConfiguration<'_>>,
    stored: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let path = path.child("opaque");
    let Some(opaque) = opaque else { return errors.push(Error::required(&path, "")) };
    validate_driver_name(opaque.driver(), &path.child("driver"), errors);
    validate_raw(opaque.parameters().unwrap_or_default(), stored, &path.child("parameters"), errors);
}

/// Upstream's `validateRawExtension`.
pub fn validate_raw(raw: &str, stored: bool, path: &Path<'_>, errors: &mut Errors) {
    if raw.is_empty() || raw == "null" {
        return errors.push(Error::required(path, ""));
    }
    if !stored && raw.len() > RAW_LENGTH {
        return errors.push(Error::too_long(path, RAW_LENGTH));
    }
    let is_object = parse(raw.as_bytes().to_vec(), Form::Plain)
        .is_ok_and(|parsed| matches!(parsed.tree.root().value(), Value::Map(_) | Value::Struct(_)));
    if !is_object {
        errors.push(Error::invalid(path, "<value omitted>", "must be a valid JSON object"));
    }
}

pub fn validate_taint(taint: DeviceTaint<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_label_name(taint.key(), &path.child("key"), errors);
    if !taint.value().is_empty() {
        validate_label_value(taint.value(), &path.child("value"), errors);
    }
    required_one_of(taint.effect(), EFFECTS, &path.child("effect"), errors);
}

pub fn validate_toleration(toleration: DeviceToleration<'_>, path: &Path<'_>, errors: &mut Errors) {
    if !toleration.key().is_empty() {
        validate_label_name(toleration.key(), &path.child("key"), errors);
    }
    let (value, value_path) = (toleration.value(), path.child("value"));
    match toleration.operator() {
        "Exists" if !value.is_empty() => {
            errors.push(Error::invalid(&value_path, value, "must be empty for operator `Exists`"));
        }
        "Exists" => {}
        "Equal" => validate_label_value(value, &value_path, errors),
        operator => required_one_of(operator, &["Equal", "Exists"], &path.child("operator"), errors),
    }
    if !toleration.effect().is_empty() {
        one_of(toleration.effect(), EFFECTS, &path.child("effect"), errors);
    }
}

fn validate_label_value(value: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::is_valid_label_value(value), value, path, errors);
}

/// `domain/name` or `name`. What has more parts passes, as upstream admits to be wrong.
pub fn validate_qualified_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        [id] => validate_identifier(id, path, errors),
        [domain, id] => {
            if domain.is_empty() {
                errors.push(Error::invalid(path, "", "the domain must not be empty"));
            } else {
                validate_driver_name(domain, path, errors);
            }
            if id.is_empty() {
                errors.push(Error::invalid(path, "", "the name must not be empty"));
            } else {
                validate_identifier(id, path, errors);
            }
        }
        _ => {}
    }
}

pub fn validate_fully_qualified_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    validate_qualified_name(name, path, errors);
    if !name.contains('/') {
        let detail = "a fully qualified name must be a domain and a name separated by a slash";
        errors.push(Error::invalid(path, BadValue::typed(name), detail));
    }
}

fn validate_identifier(id: &str, path: &Path<'_>, errors: &mut Errors) {
    if id.len() > ID_LENGTH {
        errors.push(Error::too_long(path, ID_LENGTH));
    }
    invalid_each(names::is_c_identifier(id), id, path, errors);
}

/// What must hold of a device before, and must not hold after, a pod is bound for it.
pub fn validate_binding_conditions(
    conditions: Strings<'_>,
    failures: Strings<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let (conditions_path, failures_path) = (path.child("bindingConditions"), path.child("bindingFailureConditions"));
    for (list, path) in [(conditions, &conditions_path), (failures, &failures_path)] {
        let items: Vec<&str> = list.iter().collect();
        validate_list(items.into_iter(), Some(BINDING_CONDITIONS_MAX), path, errors, validate_label_name);
    }
    for (list, path) in [(conditions, &conditions_path), (failures, &failures_path)] {
        validate_unique(list.iter(), |name| BadValue::Str((*name).to_owned()), path, errors);
    }
    let known: Seen<&str> = conditions.iter().collect();
    for (i, failure) in failures.iter().enumerate().filter(|(_, failure)| known.contains(failure)) {
        let detail = "bindingFailureConditions must not overlap with bindingConditions";
        errors.push(Error::invalid(&failures_path.index(i), failure, detail));
    }
    match (conditions.is_empty(), failures.is_empty()) {
        (true, false) => {
            let detail = "bindingConditions are required to use bindingFailureConditions";
            errors.push(Error::invalid(&conditions_path, BadValue::Null, detail));
        }
        (false, true) => {
            let detail = "bindingFailureConditions are required to use bindingConditions";
            errors.push(Error::invalid(&failures_path, BadValue::Null, detail));
        }
        _ => {}
    }
}

/// Upstream's `validateMap`: keys show in paths as far as they are short, and are faulted for the map.
pub fn validate_map<'t>(
    map: Map<'t>,
    max: Option<usize>,
    key_length: usize,
    path: &Path<'_>,
    errors: &mut Errors,
    check_key: impl Fn(&str, &Path<'_>, &mut Errors),
    mut check: impl FnMut(corten_object::tree::Node<'t>, &Path<'_>, &mut Errors),
) {
    if let Some(max) = max.filter(|max| map.len() > *max) {
        return errors.push(Error::too_many(path, map.len(), max));
    }
    for (key, value) in map.iter() {
        check_key(key, path, errors);
        check(value, &path.key(&shortened(key, key_length)), errors);
    }
}

/// The middle left out.
fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let left = max - 3;
    let (head, tail) = (left.div_ceil(2), text.len() - left / 2);
    format!("{}...{}", text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default())
}

pub fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_default()
}
