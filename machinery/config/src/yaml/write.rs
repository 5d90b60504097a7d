//! From a tree to text, laid out as kubectl does.

use super::{Entry, Meaning, Node, Scalar, Value};

pub(super) fn document(node: &Node) -> String {
    let mut out = String::new();
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => map(entries, 0, &mut out),
        Value::List(items) if !items.is_empty() => list(items, 0, &mut out),
        value => {
            inline(value, &mut out);
            out.push('\n');
        }
    }
    out
}

/// Lines of `key: value`; the first is not indented, because it may follow a dash.
fn map(entries: &[Entry], indent: usize, out: &mut String) {
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            spaces(indent, out);
        }
        scalar(&entry.key, out);
        out.push(':');
        match &entry.value.value {
            Value::Map(below) if !below.is_empty() => {
                out.push('\n');
                spaces(indent + 2, out);
                map(below, indent + 2, out);
            }
            Value::List(items) if !items.is_empty() => {
                out.push('\n');
                spaces(indent, out);
                list(items, indent, out);
            }
            value => {
                out.push(' ');
                inline(value, out);
                out.push('\n');
            }
        }
    }
}

fn list(items: &[Node], indent: usize, out: &mut String) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            spaces(indent, out);
        }
        out.push_str("- ");
        match &item.value {
            Value::Map(entries) if !entries.is_empty() => map(entries, indent + 2, out),
            Value::List(below) if !below.is_empty() => list(below, indent + 2, out),
            value => {
                inline(value, out);
                out.push('\n');
            }
        }
    }
}

/// What takes no lines of its own.
fn inline(value: &Value, out: &mut String) {
    match value {
        Value::Scalar(value) => scalar(value, out),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
}

fn scalar(scalar: &Scalar, out: &mut String) {
    let text = scalar.text.as_str();
    if scalar.meaning() == Meaning::Null {
        out.push_str("null");
    } else if scalar.plain && !text.contains('\n') || !scalar.plain && is_safe(text) {
        out.push_str(text);
    } else {
        quoted(text, out);
    }
}

/// Whether a string means itself without quotes, to any reader of YAML.
fn is_safe(text: &str) -> bool {
    let first = text.as_bytes().first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'/');
    let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./@+=:".contains(&byte));
    let plain = Scalar { text: text.to_owned(), plain: true };
    first && rest && !text.ends_with(':') && matches!(plain.meaning(), Meaning::Text(_))
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Controls, and what some readers take for the end of a line or for a mark of the encoding.
            letter if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

fn spaces(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}
