//! How many pods a rollout may take at a time: numbers, or percentages of all.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::IntOrStr;

use crate::object_meta::validate_nonnegative;

/// `ValidatePositiveIntOrPercent`.
pub fn validate_int_or_percent(value: IntOrStr<'_>, path: &Path<'_>, errors: &mut Errors) {
    match value {
        IntOrStr::Int(value) => validate_nonnegative(value, path, errors),
        IntOrStr::Str(text) => {
            for message in names::is_valid_percent(text) {
                errors.push(Error::invalid(path, shown(value), message));
            }
        }
    }
}

/// `IsNotMoreThan100Percent`.
pub fn validate_at_most_all(value: IntOrStr<'_>, path: &Path<'_>, errors: &mut Errors) {
    if percentage(value).is_some_and(|percent| percent > 100) {
        errors.push(Error::invalid(path, shown(value), "must not be greater than 100%"));
    }
}

fn percentage(value: IntOrStr<'_>) -> Option<i64> {
    match value {
        IntOrStr::Str(text) if names::is_valid_percent(text).is_empty() => {
            Some(text.trim_end_matches('%').parse().unwrap_or(i64::MAX))
        }
        _ => None,
    }
}

/// The number, or that of percent; what is neither counts as nothing.
pub fn amount(value: IntOrStr<'_>) -> i64 {
    match value {
        IntOrStr::Int(value) => value,
        IntOrStr::Str(text) => percentage(value).or_else(|| text.parse().ok()).unwrap_or(0),
    }
}

/// As JSON shows it.
pub fn shown(value: IntOrStr<'_>) -> BadValue {
    match value {
        IntOrStr::Int(value) => BadValue::Int(value),
        IntOrStr::Str(text) => BadValue::typed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let check = |value: IntOrStr<'_>, expected: i64| assert_eq!(amount(value), expected, "{value:?}");
        check(IntOrStr::Int(3), 3);
        check(IntOrStr::Str("25%"), 25);
        check(IntOrStr::Str("7"), 7);
        check(IntOrStr::Str("x"), 0);
        check(IntOrStr::Str("-5%"), 0);
    }
}
