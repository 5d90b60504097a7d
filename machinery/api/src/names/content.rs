//! The newer checks, behind declarative validation and label keys and values. They differ from their older namesakes in
//! that they speak of bytes.

use super::pattern;
use super::{DNS1123_LABEL_MAX_LENGTH, DNS1123_LABEL_RULE, DNS1123_SUBDOMAIN_MAX_LENGTH, DNS1123_SUBDOMAIN_RULE};
use super::{LABEL, LABEL_VALUE_MAX_LENGTH, SUBDOMAIN, empty_error, regex_error};

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

pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1123_SUBDOMAIN_MAX_LENGTH);
    if !pattern::is_dns1123_subdomain(value) {
        wrong.push(regex_error(DNS1123_SUBDOMAIN_RULE, SUBDOMAIN, &["example.com"]));
    }
    wrong
}

/// Capitals are allowed too.
pub fn is_dns1123_subdomain_caseless(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, DNS1123_SUBDOMAIN_MAX_LENGTH);
    if !pattern::is_dns1123_subdomain_caseless(value) {
        let rule = "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        wrong.push(regex_error(rule, SUBDOMAIN, &["Example.com"]));
    }
    wrong
}

pub fn is_c_identifier(value: &str) -> Vec<String> {
    let is_word = |c: u8| c == b'_' || c.is_ascii_alphanumeric();
    if pattern::is_made_of(value, is_word) && !value.as_bytes()[0].is_ascii_digit() {
        return Vec::new();
    }
    let rule = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
    vec![regex_error(rule, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"])]
}

/// An optional prefix, which is a DNS subdomain, and a name.
pub fn is_label_key(value: &str) -> Vec<String> {
    const RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    const REGEX: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
    const EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];
    let mut wrong = Vec::new();
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                regex_error(RULE, REGEX, EXAMPLES)
            )];
        }
        Some(("", name)) => {
            wrong.push(format!("prefix part {}", empty_error()));
            name
        }
        Some((prefix, name)) => {
            wrong.extend(is_dns1123_subdomain(prefix).into_iter().map(|wrong| format!("prefix part {wrong}")));
            name
        }
    };
    if name.is_empty() {
        wrong.push(format!("name part {}", empty_error()));
    }
    wrong.extend(longer_than(name, 63).into_iter().map(|wrong| format!("name part {wrong}")));
    if !pattern::is_label_name(name) {
        wrong.push(format!("name part {}", regex_error(RULE, REGEX, EXAMPLES)));
    }
    wrong
}

pub fn is_label_value(value: &str) -> Vec<String> {
    let mut wrong = longer_than(value, LABEL_VALUE_MAX_LENGTH);
    if !value.is_empty() && !pattern::is_label_name(value) {
        wrong.push(regex_error(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    wrong
}

/// What may stand between slashes of a URL or a storage key.
pub fn is_path_segment_name(name: &str) -> Vec<String> {
    match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        name => is_path_segment_prefix(name),
    }
}

pub fn is_path_segment_prefix(name: &str) -> Vec<String> {
    ['/', '%'].into_iter().filter(|c| name.contains(*c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// `0`, or digits that begin with another, with `-` before them or not.
pub fn is_decimal_integer(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec![empty_error().to_owned()];
    }
    let digits = value.strip_prefix('-').unwrap_or(value);
    if value == "0" || pattern::is_made_of(digits, |c| c.is_ascii_digit()) && !digits.starts_with('0') {
        return Vec::new();
    }
    vec!["must be a valid decimal integer in canonical form".to_owned()]
}

/// The format k8s-uuid.
pub fn is_uuid(value: &str) -> Vec<String> {
    let fits = |(i, c): (usize, u8)| match i {
        8 | 13 | 18 | 23 => c == b'-',
        _ => matches!(c, b'0'..=b'9' | b'a'..=b'f'),
    };
    if value.len() == 36 && value.bytes().enumerate().all(fits) {
        return Vec::new();
    }
    vec!["must be a lowercase UUID in 8-4-4-4-12 format".to_owned()]
}

/// The words of a text that is too long.
pub fn max_len_error(length: usize) -> String {
    format!("must be no more than {length} bytes")
}

fn longer_than(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![max_len_error(max)] } else { Vec::new() }
}
