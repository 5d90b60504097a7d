//! What names, keys and other short texts may look like.
//!
//! Each check gives the texts of what is wrong, none if all is well, and allocates only then. The texts quote
//! upstream's regular expressions, which are matched by hand here.

use crate::field::{self, Path};

pub mod content;
mod generate;
mod ip;
mod pattern;
#[cfg(test)]
mod tests;

/// `is_dns1123_subdomain` in the words of declarative validation.
pub use content::is_dns1123_subdomain as is_long_name;
pub use content::{is_c_identifier, is_decimal_integer, is_path_segment_name, is_path_segment_prefix};
pub use generate::{MAX_GENERATED_NAME_LENGTH, generate_name, random_suffix, safe_encode};
pub use ip::{
    is_valid_cidr, is_valid_cidr_for_legacy_field, is_valid_interface_address, is_valid_ip,
    is_valid_ip_for_legacy_field, parse_cidr_sloppy, parse_ip_sloppy, warnings_for_cidr, warnings_for_ip,
};

pub const DNS1123_LABEL_MAX_LENGTH: usize = 63;
pub const DNS1123_SUBDOMAIN_MAX_LENGTH: usize = 253;
pub const DNS1035_LABEL_MAX_LENGTH: usize = 63;
pub const LABEL_VALUE_MAX_LENGTH: usize = 63;

/// A check of a name; `prefix` says that something will be appended to it.
pub type ValidateName = fn(name: &str, prefix: bool) -> Vec<String>;

pub fn name_is_dns_subdomain(name: &str, prefix: bool) -> Vec<String> {
    with_masked_dash(name, prefix, is_dns1123_subdomain)
}

pub fn name_is_dns_label(name: &str, prefix: bool) -> Vec<String> {
    with_masked_dash(name, prefix, is_dns1123_label)
}

pub fn name_is_dns1035_label(name: &str, prefix: bool) -> Vec<String> {
    with_masked_dash(name, prefix, is_dns1035_label)
}

/// `path.ValidatePathSegmentName`: what custom roles and other free names must keep to.
pub fn name_is_path_segment(name: &str, prefix: bool) -> Vec<String> {
    if prefix { is_path_segment_prefix(name) } else { is_path_segment_name(name) }
}

pub fn validate_namespace_name(name: &str, prefix: bool) -> Vec<String> {
    name_is_dns_label(name, prefix)
}

pub fn validate_service_account_name(name: &str, prefix: bool) -> Vec<String> {
    name_is_dns_subdomain(name, prefix)
}

/// What comes after a dash makes it a valid end, so upstream puts an `a` for the last two characters.
fn with_masked_dash(name: &str, prefix: bool, check: fn(&str) -> Vec<String>) -> Vec<String> {
    if !prefix || name.len() < 2 || !name.ends_with('-') {
        return check(name);
    }
    let bytes = [&name.as_bytes()[..name.len() - 2], b"a"].concat();
    check(&String::from_utf8_lossy(&bytes))
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

pub fn is_dns1123_label(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1123_LABEL_MAX_LENGTH);
    if !pattern::is_dns1123_label(value) {
        wrong.push(if pattern::is_dns1123_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            regex_error(DNS1123_LABEL_RULE, LABEL, &["my-name", "123-abc"])
        });
    }
    wrong
}

const DNS1123_LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";

pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1123_SUBDOMAIN_MAX_LENGTH);
    if !pattern::is_dns1123_subdomain(value) {
        wrong.push(regex_error(DNS1123_SUBDOMAIN_RULE, SUBDOMAIN, &["example.com"]));
    }
    wrong
}

const DNS1123_SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";

pub fn is_dns1123_subdomain_with_underscore(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1123_SUBDOMAIN_MAX_LENGTH);
    if !pattern::is_dns1123_subdomain_with_underscore(value) {
        wrong.push(regex_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
            r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    wrong
}

pub fn is_dns1035_label(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1035_LABEL_MAX_LENGTH);
    if !pattern::is_dns1035_label(value) {
        wrong.push(regex_error(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    wrong
}

pub fn is_wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1123_SUBDOMAIN_MAX_LENGTH);
    if !value.strip_prefix("*.").is_some_and(pattern::is_dns1123_subdomain) {
        wrong.push(regex_error(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!(r"\*\.{SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    wrong
}

/// What a label key must be, and much else.
pub fn is_qualified_name(value: &str) -> Vec<String> {
    content::is_label_key(value)
}

pub fn is_valid_label_value(value: &str) -> Vec<String> {
    content::is_label_value(value)
}

pub fn is_config_map_key(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1123_SUBDOMAIN_MAX_LENGTH);
    if !pattern::is_made_of(value, pattern::is_key_byte) {
        wrong.push(regex_error(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    wrong.extend(has_parent_dir_prefix(value));
    wrong
}

pub fn is_env_var_name(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !pattern::is_made_of(value, pattern::is_key_byte) || value.as_bytes()[0].is_ascii_digit() {
        wrong.push(regex_error(
            "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
            "[-._a-zA-Z][-._a-zA-Z0-9]*",
            &["my.env-name", "MY_ENV.NAME", "MyEnvName1"],
        ));
    }
    wrong.extend(has_parent_dir_prefix(value));
    wrong
}

/// Everything printable in ASCII but `=`.
pub fn is_relaxed_env_var_name(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.is_empty() {
        wrong.push(format!("environment variable name {}", empty_error()));
    } else if !pattern::is_made_of(value, |c| matches!(c, b' '..=b'~') && c != b'=') {
        wrong.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
                .to_owned(),
        );
    }
    wrong
}

pub fn is_http_header_name(value: &str) -> Vec<String> {
    if pattern::is_made_of(value, |c| c == b'-' || c.is_ascii_alphanumeric()) {
        return Vec::new();
    }
    let rule = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![regex_error(rule, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

pub fn is_valid_port_num(port: i64) -> Vec<String> {
    is_in_range(port, 1, 65535)
}

pub fn is_valid_port_name(port: &str) -> Vec<String> {
    let mut wrong = longer_than(port, 15);
    let mut push = |bad: bool, message: &str| wrong.extend(bad.then(|| message.to_owned()));
    push(
        !pattern::is_made_of(port, |c| c == b'-' || pattern::is_lower_alphanumeric(c)),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
    push(!port.bytes().any(|c| c.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    push(port.contains("--"), "must not contain consecutive hyphens");
    push(port.starts_with('-') || port.ends_with('-'), "must not begin or end with a hyphen");
    wrong
}

pub fn is_in_range(value: i64, min: i64, max: i64) -> Vec<String> {
    if (min..=max).contains(&value) { Vec::new() } else { vec![inclusive_range_error(min, max)] }
}

pub fn is_valid_group_id(id: i64) -> Vec<String> {
    is_in_range(id, 0, i64::from(i32::MAX))
}

pub fn is_valid_user_id(id: i64) -> Vec<String> {
    is_in_range(id, 0, i64::from(i32::MAX))
}

pub fn is_valid_percent(value: &str) -> Vec<String> {
    if value.strip_suffix('%').is_some_and(|digits| pattern::is_made_of(digits, |c| c.is_ascii_digit())) {
        return Vec::new();
    }
    let rule = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![regex_error(rule, "[0-9]+%", &["1%", "93%"])]
}

/// A domain of three segments at least.
pub fn is_fully_qualified_name(path: &Path<'_>, name: &str) -> Option<field::Error> {
    if name.is_empty() {
        return Some(field::Error::required(path, ""));
    }
    let wrong = is_dns1123_subdomain(name);
    if !wrong.is_empty() {
        return Some(field::Error::invalid(path, name, wrong.join(",")));
    }
    let detail = "should be a domain with at least three segments separated by dots";
    (name.split('.').count() < 3).then(|| field::Error::invalid(path, name, detail))
}

/// A domain of two segments at least; a dot at its end is allowed.
pub fn is_fully_qualified_domain_name(path: &Path<'_>, name: &str) -> Option<field::Error> {
    if name.is_empty() {
        return Some(field::Error::required(path, ""));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let wrong = is_dns1123_subdomain(name);
    if !wrong.is_empty() {
        return Some(field::Error::invalid(path, name, wrong.join(",")));
    }
    if !name.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        return Some(field::Error::invalid(path, name, detail));
    }
    name.split('.').find_map(|label| {
        let wrong = is_dns1123_label(label);
        (!wrong.is_empty()).then(|| field::Error::invalid(path, label, wrong.join(",")))
    })
}

/// `acme.io/foo`, where the path may hold what an HTTP path may.
pub fn is_domain_prefixed_path(path: &Path<'_>, value: &str) -> field::Errors {
    if value.is_empty() {
        return field::Error::required(path, "").into();
    }
    let (host, rest) = match value.split_once('/') {
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => (host, rest),
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            return field::Error::invalid(path, value, detail).into();
        }
    };
    let mut errors: field::Errors =
        is_dns1123_subdomain(host).into_iter().map(|wrong| field::Error::invalid(path, host, wrong)).collect();
    if !pattern::is_made_of(rest, |c| c.is_ascii_alphanumeric() || br"/-._~%!$&'()*+,;=:".contains(&c)) {
        let detail = regex_error("Invalid path", r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", &[]);
        errors.push(field::Error::invalid(path, rest, detail));
    }
    errors
}

/// `acme.io/foo`, where both parts are those of a label key.
pub fn is_domain_prefixed_key(path: &Path<'_>, key: &str) -> field::Errors {
    if key.is_empty() {
        return field::Error::required(path, "").into();
    }
    let wrong = is_qualified_name(key);
    if !wrong.is_empty() {
        return wrong.into_iter().map(|wrong| field::Error::invalid(path, key, wrong)).collect();
    }
    match key.contains('/') {
        true => field::Errors::default(),
        false => field::Error::invalid(path, key, "must be a domain-prefixed key (such as \"acme.io/foo\")").into(),
    }
}

/// The words of a text that is too long, as the older checks have them: they say characters, and count bytes.
pub fn max_len_error(length: usize) -> String {
    format!("must be no more than {length} characters")
}

pub fn empty_error() -> &'static str {
    "must be non-empty"
}

pub fn inclusive_range_error(min: i64, max: i64) -> String {
    format!("must be between {min} and {max}, inclusive")
}

/// The words of a text that does not match.
pub fn regex_error(message: &str, regex: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{regex}')");
    }
    let examples = examples.iter().map(|example| format!("'{example}', ")).collect::<Vec<_>>().join(" or ");
    format!("{message} (e.g. {examples}regex used for validation is '{regex}')")
}

fn longer_than(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![max_len_error(max)] } else { Vec::new() }
}

fn has_parent_dir_prefix(value: &str) -> Option<String> {
    Some(match value {
        "." => "must not be '.'".to_owned(),
        ".." => "must not be '..'".to_owned(),
        value if value.starts_with("..") => "must not start with '..'".to_owned(),
        _ => return None,
    })
}
