//! How upstream prints lists, errors and values inside its messages; those texts are part of what clients see.

use std::collections::HashSet;
use std::fmt::Write;

use corten_api::field::quote;

/// Go's `%q` of a list of strings: `["a" "b"]`.
pub fn quoted_list<S: AsRef<str>>(values: &[S]) -> String {
    let mut out = String::from("[");
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(&quote(value.as_ref()));
    }
    out.push(']');
    out
}

/// Several errors as one: each text once, in brackets where there is more than one. `None` without errors.
pub fn aggregate<S: AsRef<str>>(errors: &[S]) -> Option<String> {
    let mut known = HashSet::new();
    let distinct: Vec<&str> = errors.iter().map(AsRef::as_ref).filter(|error| known.insert(*error)).collect();
    match distinct.as_slice() {
        [] => None,
        [only] => Some((*only).to_owned()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

/// Go's `%#v` of a `[]string`.
pub fn go_strings(values: &[String]) -> String {
    if values.is_empty() {
        return "[]string(nil)".to_owned();
    }
    let mut out = String::from("[]string{");
    for (i, value) in values.iter().enumerate() {
        let _ = write!(out, "{}{}", if i == 0 { "" } else { ", " }, quote(value));
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_errors() {
        assert_eq!(quoted_list::<&str>(&[]), "[]");
        assert_eq!(quoted_list(&["a", "b\"c"]), r#"["a" "b\"c"]"#);
        assert_eq!(aggregate::<&str>(&[]), None);
        assert_eq!(aggregate(&["a", "a"]).as_deref(), Some("a"));
        assert_eq!(aggregate(&["a", "b", "a"]).as_deref(), Some("[a, b]"));
        assert_eq!(go_strings(&[]), "[]string(nil)");
        assert_eq!(go_strings(&["x".into(), "y".into()]), r#"[]string{"x", "y"}"#);
    }
}
