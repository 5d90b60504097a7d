//! Patterns in Go's syntax, compiled by a crate whose syntax differs in a few places.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::str::Chars;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use regex::Regex;

/// A pattern as it is written, and what it means; a pattern that does not compile matches nothing.
#[derive(Debug)]
pub struct Pattern {
    pub text: Box<str>,
    pub regex: Result<Regex, Box<str>>,
}

impl Pattern {
    /// The pattern of a text, compiled once for all who have the same text.
    pub fn shared(text: &str) -> Arc<Pattern> {
        if let Some(known) = KNOWN.lock().find(text) {
            return known;
        }
        // Nobody else waits while it is compiled.
        let pattern = Pattern { text: text.into(), regex: compile(text).map_err(Into::into) };
        KNOWN.lock().add(pattern)
    }
}

static KNOWN: LazyLock<Mutex<Patterns>> = LazyLock::new(Mutex::default);

/// The patterns that somebody has, by their texts. Definitions of operators repeat a few patterns thousands of times,
/// and a compiled one takes 10 KiB.
#[derive(Default)]
struct Patterns {
    by_text: HashMap<Box<str>, Weak<Pattern>>,
    /// Kept for whoever comes next: a definition is validated first, and served by what is compiled after that.
    recent: VecDeque<Arc<Pattern>>,
    /// How many entries there may be until those that nobody has any more are removed.
    entries_max: usize,
}

const RECENT_MAX: usize = 16;
const ENTRIES_MIN: usize = 64;

impl Patterns {
    fn find(&self, text: &str) -> Option<Arc<Pattern>> {
        self.by_text.get(text).and_then(Weak::upgrade)
    }

    fn add(&mut self, pattern: Pattern) -> Arc<Pattern> {
        if let Some(known) = self.find(&pattern.text) {
            return known;
        }
        let pattern = Arc::new(pattern);
        if self.by_text.len() >= self.entries_max.max(ENTRIES_MIN) {
            self.by_text.retain(|_, pattern| pattern.strong_count() > 0);
            self.entries_max = 2 * self.by_text.len();
        }
        self.by_text.insert(pattern.text.clone(), Arc::downgrade(&pattern));
        self.recent.push_back(Arc::clone(&pattern));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        pattern
    }
}

/// Compiles a pattern of Go's; the error is in Go's words where they are simple.
fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&translate(pattern)).map_err(|error| describe(pattern, &error))
}

/// What Go says of a pattern that it cannot read.
fn describe(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let what = |words: &str, part: &str| format!("error parsing regexp: {words}: `{part}`");
    if text.contains("look-around") {
        let at = pattern.match_indices("(?").find(|(at, _)| pattern[at + 2..].starts_with(['=', '!', '<']));
        let rest = at.map_or(pattern, |(at, _)| &pattern[at..]);
        if rest.starts_with("(?<") {
            return what("invalid named capture", rest);
        }
        return what("invalid or unsupported Perl syntax", rest.get(..3).unwrap_or(rest));
    }
    if text.contains("unclosed group") {
        return what("missing closing )", pattern);
    }
    if text.contains("unopened group") {
        return what("unexpected )", pattern);
    }
    if text.contains("unclosed character class") {
        let at = pattern.rfind('[').unwrap_or(0);
        return what("missing closing ]", &pattern[at..]);
    }
    if text.contains("repetition operator missing expression") {
        let at = pattern.find(['*', '+', '?']).unwrap_or(0);
        let end = pattern.len().min(at + 1);
        return what("missing argument to repetition operator", &pattern[at..end]);
    }
    if text.contains("incomplete escape sequence") {
        return what("trailing backslash at end of expression", "");
    }
    let last = text.lines().last().unwrap_or_default();
    format!("error parsing regexp: {}", last.strip_prefix("error: ").unwrap_or(last))
}

/// In Go `\d`, `\w`, `\s` and `\b` know ASCII only, classes do not nest and have no operators, a brace that opens no
/// repetition is itself, and `\Q...\E` quotes.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out, false),
            '[' => class(&mut chars, &mut out),
            '{' if !opens_repetition(chars.as_str()) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

fn escape(chars: &mut Chars<'_>, out: &mut String, in_class: bool) {
    let Some(c) = chars.next() else {
        out.push('\\');
        return;
    };
    let set = match c {
        'd' | 'D' => "0-9",
        'w' | 'W' => "0-9A-Za-z_",
        's' | 'S' => r"\t\n\f\r ",
        'b' if !in_class => {
            out.push_str(r"(?-u:\b)");
            return;
        }
        'Q' if !in_class => {
            let rest = chars.as_str();
            let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            *chars = after.chars();
            return;
        }
        '<' | '>' => {
            out.push(c);
            return;
        }
        _ => {
            out.push('\\');
            out.push(c);
            return;
        }
    };
    let _ = match (in_class, c.is_ascii_uppercase()) {
        (true, false) => write!(out, "{set}"),
        (_, true) => write!(out, "[^{set}]"),
        (false, false) => write!(out, "[{set}]"),
    };
}

/// A class, whose opening bracket is read already.
fn class(chars: &mut Chars<'_>, out: &mut String) {
    out.push('[');
    if chars.as_str().starts_with('^') {
        chars.next();
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if first => out.push_str("\\]"),
            ']' => {
                out.push(']');
                return;
            }
            '\\' => escape(chars, out, true),
            '[' if chars.as_str().starts_with(':') && chars.as_str().contains(":]") => {
                let rest = chars.as_str();
                let end = rest.find(":]").map_or(rest.len(), |at| at + 2);
                out.push('[');
                out.push_str(&rest[..end]);
                *chars = rest[end..].chars();
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            // Two in a row are an operator in one syntax, a range or two dashes in the other.
            '-' if out.ends_with('-') && !out.ends_with("\\-") => out.push_str("\\-"),
            _ => out.push(c),
        }
        first = false;
    }
}

/// `2}`, `2,}`, `2,3}`.
fn opens_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let (min, max) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !min.is_empty() && digits(min) && digits(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(pattern: &str, text: &str, expected: bool) {
        assert_eq!(compile(pattern).unwrap().is_match(text), expected, "{pattern} on {text}");
    }

    #[test]
    fn means_what_go_means() {
        matches(r"^\d+$", "12", true);
        matches(r"^\d+$", "١٢", false);
        matches(r"^[\w.]+$", "a_1.b", true);
        matches(r"^[^\d]$", "x", true);
        matches(r"^[\D]$", "1", false);
        matches(r"^[a&&b]+$", "a&b", true);
        matches(r"^[[a]+$", "[a", true);
        matches(r"^[]a]+$", "]a", true);
        matches(r"^a{,2}$", "a{,2}", true);
        matches(r"^a{2}$", "aa", true);
        matches(r"^\Qa.b\E$", "a.b", true);
        matches(r"^\Qa.b\E$", "axb", false);
        matches(r"^[+--]$", ",", true);
        matches(r"^[[:alpha:]]+$", "ab", true);
        matches(r"^\<a\>$", "<a>", true);
        matches(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "a.b-c", true);
        matches(r"^(25[0-5]|2[0-4]\d)\.x$", "250.x", true);
    }

    #[test]
    fn a_pattern_is_shared_and_forgotten_when_nobody_has_it() {
        let mut patterns = Patterns::default();
        let mut get = |text: &str| match patterns.find(text) {
            Some(known) => (known, patterns.by_text.len()),
            None => {
                (patterns.add(Pattern { text: text.into(), regex: Err("not compiled".into()) }), patterns.by_text.len())
            }
        };
        let (first, _) = get("first");
        for number in 0..1000 {
            let (_, entries) = get(&number.to_string());
            assert!(entries <= ENTRIES_MIN, "{entries} entries for patterns that nobody has");
        }
        assert!(Arc::ptr_eq(&first, &get("first").0), "somebody has it");
        let recent = Arc::downgrade(&get("999").0);
        assert!(
            recent.upgrade().is_some_and(|recent| Arc::ptr_eq(&recent, &get("999").0)),
            "whoever comes next finds it"
        );
        assert!(Arc::ptr_eq(&Pattern::shared("^a$"), &Pattern::shared("^a$")));
    }

    #[test]
    fn says_what_go_says() {
        let error = |pattern: &str| compile(pattern).unwrap_err();
        assert_eq!(error("(a"), "error parsing regexp: missing closing ): `(a`");
        assert_eq!(error("a["), "error parsing regexp: missing closing ]: `[`");
        assert_eq!(error("*a"), "error parsing regexp: missing argument to repetition operator: `*`");
        assert_eq!(error("a(?=b)"), "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
        assert_eq!(error("a)"), "error parsing regexp: unexpected ): `a)`");
    }
}
