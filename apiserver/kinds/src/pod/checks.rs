//! Small checks that many fields share.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::quantity::Quantity;
use corten_api::seen::Seen;

use crate::object_meta::invalid_each;

/// `field.Required(path.Child(name), "")` where there is nothing.
pub fn require(value: &str, path: &Path<'_>, name: &str, errors: &mut Errors) {
    if value.is_empty() {
        errors.push(Error::required(&path.child(name), ""));
    }
}

pub fn dns_label(value: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::is_dns1123_label(value), value, path, errors);
}

pub fn dns_subdomain(value: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::is_dns1123_subdomain(value), value, path, errors);
}

pub fn qualified_name(value: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::is_qualified_name(value), value, path, errors);
}

/// The name of an object that may be referred to.
pub fn object_name(value: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::name_is_dns_subdomain(value, false), value, path, errors);
}

pub fn int_messages(messages: Vec<String>, value: i64, path: &Path<'_>, errors: &mut Errors) {
    for message in messages {
        errors.push(Error::invalid(path, value, message));
    }
}

/// A value of an enumeration, which Go types by its own name.
pub fn one_of(value: &str, supported: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if !supported.contains(&value) {
        errors.push(not_supported(value, supported, path));
    }
}

pub fn not_supported(value: &str, supported: &[&str], path: &Path<'_>) -> Error {
    Error::not_supported(path, BadValue::typed(value), supported)
}

/// A value of an enumeration that must be there.
pub fn required_one_of(value: &str, supported: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if value.is_empty() {
        errors.push(Error::required(path, ""));
    } else {
        one_of(value, supported, path, errors);
    }
}

pub fn positive(value: i64, path: &Path<'_>, errors: &mut Errors) -> bool {
    if value <= 0 {
        errors.push(Error::invalid(path, value, "must be greater than zero"));
    }
    value > 0
}

pub fn positive_quantity(value: &Quantity, path: &Path<'_>, errors: &mut Errors) -> bool {
    if value.sign() <= 0 {
        errors.push(Error::invalid(path, value.to_string(), "must be greater than zero"));
    }
    value.sign() > 0
}

pub fn file_mode(mode: Option<i64>, path: &Path<'_>, name: &str, errors: &mut Errors) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(Error::invalid(&path.child(name), mode, detail));
    }
}

/// A path that does not climb out by `..`.
pub fn no_backsteps(value: &str, path: &Path<'_>, errors: &mut Errors) {
    if has_backsteps(value) {
        errors.push(Error::invalid(path, value, "must not contain '..'"));
    }
}

pub fn has_backsteps(value: &str) -> bool {
    value.split('/').any(|part| part == "..")
}

/// A relative path that does not climb out.
pub fn local_descending_path(value: &str, path: &Path<'_>, errors: &mut Errors) {
    if value.starts_with('/') {
        errors.push(Error::invalid(path, value, "must be a relative path"));
    }
    no_backsteps(value, path, errors);
}

/// The same, and its first part does not begin with `..`, which the kubelet keeps for itself.
pub fn local_nonreserved_path(value: &str, path: &Path<'_>, errors: &mut Errors) {
    local_descending_path(value, path, errors);
    if value.starts_with("..") && !value.starts_with("../") {
        errors.push(Error::invalid(path, value, "must not start with '..'"));
    }
}

pub type TextSet<'a> = Seen<&'a str>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |path: &str, expected: &[&str]| {
            let mut errors = Errors::default();
            local_nonreserved_path(path, &Path::new("path"), &mut errors);
            let details: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
            assert_eq!(details, expected, "{path}");
        };
        check("", &[]);
        check("foo", &[]);
        check("foo/bar", &[]);
        check("...", &["must not start with '..'"]);
        check("foo/../../bar", &["must not contain '..'"]);
        check("..", &["must not contain '..'", "must not start with '..'"]);
        check("../foo", &["must not contain '..'"]);
        check("..foo", &["must not start with '..'"]);
        check("/foo", &["must be a relative path"]);
        check("/../foo", &["must be a relative path", "must not contain '..'"]);
    }
}
