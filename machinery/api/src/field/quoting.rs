//! Values as Go's fmt shows them.

use std::fmt::Write;

use crate::json;

/// Go's `%q`: what is not printable is escaped, by `\x`, `\u` or `\U` as its code needs.
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        let _ = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '\r' => write!(out, "\\r"),
            '\u{7}' => write!(out, "\\a"),
            '\u{8}' => write!(out, "\\b"),
            '\u{c}' => write!(out, "\\f"),
            '\u{b}' => write!(out, "\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => write!(out, "\\x{:02x}", c as u32),
            ' '..='~' => write!(out, "{c}"),
            c if is_printable(c) => write!(out, "{c}"),
            c if c as u32 <= 0xffff => write!(out, "\\u{:04x}", c as u32),
            c => write!(out, "\\U{:08x}", c as u32),
        };
    }
    out.push('"');
    out
}

/// Letters, marks, numbers, punctuation, symbols. The standard library keeps this table for its own escapes; behind
/// another character, so that a combining mark is not escaped for being the first.
fn is_printable(c: char) -> bool {
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().nth(1) == Some(c)
}

/// Go's `%v` of a float64: an exponent, of two digits at least, below 1e-4 and from 1e6 on.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let has_exponent = value != 0.0 && !(1e-4..1e6).contains(&value.abs());
    let mut out = Vec::new();
    json::float::write(&mut out, value, has_exponent, 2);
    String::from_utf8_lossy(&out).into_owned()
}
