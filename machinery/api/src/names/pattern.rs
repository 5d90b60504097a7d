//! Matchers for what upstream says in regular expressions.

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
pub(super) fn is_dns1123_label(value: &str) -> bool {
    is_bounded(value.as_bytes(), is_lower_alphanumeric, |c| c == b'-')
}

/// Labels with dots between.
pub(super) fn is_dns1123_subdomain(value: &str) -> bool {
    value.split('.').all(is_dns1123_label)
}

/// As a subdomain; in each label an underscore counts as a hyphen, and one may begin it.
pub(super) fn is_dns1123_subdomain_with_underscore(value: &str) -> bool {
    value.split('.').all(|label| {
        let label = label.strip_prefix('_').unwrap_or(label);
        is_bounded(label.as_bytes(), is_lower_alphanumeric, |c| matches!(c, b'-' | b'_'))
    })
}

/// Go's case-insensitive letters hold two outside ASCII: the long s, and the sign for kelvin.
pub(super) fn is_dns1123_subdomain_caseless(value: &str) -> bool {
    let value = value.to_ascii_lowercase().replace(['\u{17f}', '\u{212a}'], "k");
    is_dns1123_subdomain(&value)
}

/// `[a-z]([-a-z0-9]*[a-z0-9])?`
pub(super) fn is_dns1035_label(value: &str) -> bool {
    is_dns1123_label(value) && value.as_bytes()[0].is_ascii_lowercase()
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
pub(super) fn is_label_name(value: &str) -> bool {
    is_bounded(value.as_bytes(), |c| c.is_ascii_alphanumeric(), |c| matches!(c, b'-' | b'_' | b'.'))
}

/// One byte at least, and all of a kind.
pub(super) fn is_made_of(value: &str, kind: impl Fn(u8) -> bool) -> bool {
    !value.is_empty() && value.bytes().all(kind)
}

/// `[-._a-zA-Z0-9]`
pub(super) fn is_key_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_')
}

pub(super) fn is_lower_alphanumeric(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Begins and ends with one kind of byte, with a second kind allowed between.
fn is_bounded(value: &[u8], outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    match value {
        [] => false,
        [first, .., last] if !outer(*first) || !outer(*last) => false,
        [only] => outer(*only),
        value => value.iter().all(|&c| outer(c) || inner(c)),
    }
}
