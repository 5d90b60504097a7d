//! The syntax of Go's patterns, which is read by a crate whose own differs in a few places.

use std::collections::HashSet;
use std::fmt::Write;
use std::str::Chars;
use std::sync::LazyLock;

use parking_lot::Mutex;
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    Ast, ClassSet, ClassSetItem, ClassUnicode, Flag, Flags, FlagsItemKind, GroupKind, RepetitionKind, RepetitionRange,
    Span,
};

use super::program;

/// A pattern that was read.
pub(super) struct Syntax {
    pub(super) ast: Ast,
    /// The pattern in the crate's syntax; the spans of `ast` are places in it.
    pub(super) text: String,
}

/// Go's limits of nesting and of repetition, alone and nested.
const DEPTH_MAX: u32 = 1000;
const REPEAT_MAX: u32 = 1000;
/// Bytes of a pattern, and the states that it becomes. Go's limits are 25 times as much, which nothing in practice comes
/// near: a name of a thousand letters of any language has a thousand.
pub(super) const STATES_MAX: usize = 1 << 17;
const KNOWN_CLASSES_MAX: usize = 128;

impl Syntax {
    /// Reads a pattern and checks it; the error is in Go's words where they are simple. This costs a little more than
    /// looking at every character.
    pub(super) fn parse(pattern: &str) -> Result<Syntax, String> {
        if pattern.len() > STATES_MAX {
            return Err(what("expression too large", pattern));
        }
        let text = translate(pattern);
        let parsed = ParserBuilder::new().nest_limit(DEPTH_MAX).build().parse(&text);
        let ast = parsed.map_err(|error| describe(pattern, &error.to_string()))?;
        let syntax = Syntax { ast, text };
        if syntax.states(&syntax.ast, REPEAT_MAX)? > STATES_MAX {
            return Err(what("expression too large", pattern));
        }
        Ok(syntax)
    }

    pub(super) fn slice(&self, from: &Span, until: &Span) -> &str {
        self.text.get(from.start.offset..until.end.offset).unwrap_or_default()
    }

    /// How many states a part becomes, at least. `repeat_max` is how often what is in it may be repeated.
    fn states(&self, ast: &Ast, repeat_max: u32) -> Result<usize, String> {
        let sum = |parts: &[Ast]| {
            parts
                .iter()
                .try_fold(1_usize, |sum, part| Ok::<_, String>(sum.saturating_add(self.states(part, repeat_max)?)))
        };
        match ast {
            Ast::Empty(_) | Ast::Literal(_) | Ast::Dot(_) | Ast::Assertion(_) => Ok(1),
            Ast::ClassPerl(_) => Ok(1),
            Ast::ClassUnicode(class) => self.check_class(class).map(|()| 1),
            // Brackets in brackets are the named classes of POSIX, which were read already, and `\D` and the like.
            Ast::ClassBracketed(class) => {
                let items = match &class.kind {
                    ClassSet::Item(ClassSetItem::Union(union)) => union.items.as_slice(),
                    ClassSet::Item(item) => std::slice::from_ref(item),
                    ClassSet::BinaryOp(_) => &[],
                };
                for item in items {
                    if let ClassSetItem::Unicode(class) = item {
                        self.check_class(class)?;
                    }
                }
                Ok(1)
            }
            Ast::Flags(set) => self.check_flags(&set.flags).map(|()| 1),
            Ast::Group(group) => {
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    self.check_flags(flags)?;
                }
                self.states(&group.ast, repeat_max)
            }
            Ast::Alternation(alternation) => sum(&alternation.asts),
            Ast::Concat(concat) => sum(&concat.asts),
            Ast::Repetition(repetition) => {
                if let Ast::Repetition(inner) = &*repetition.ast {
                    let operators = self.slice(&inner.op.span, &repetition.op.span);
                    return Err(what("invalid nested repetition operator", operators));
                }
                let (times, optional) = match &repetition.op.kind {
                    RepetitionKind::Range(RepetitionRange::Exactly(times)) => (*times, 0),
                    RepetitionKind::Range(RepetitionRange::AtLeast(times)) => (*times, 1),
                    RepetitionKind::Range(RepetitionRange::Bounded(_, times)) => (*times, 1),
                    _ => return Ok(self.states(&repetition.ast, repeat_max)?.saturating_add(1)),
                };
                if times > repeat_max {
                    let operator = self.slice(&repetition.op.span, &repetition.op.span);
                    return Err(what("invalid repeat count", operator));
                }
                let inner = self.states(&repetition.ast, repeat_max / times.max(1))?;
                Ok((inner + optional).saturating_mul(times.max(1) as usize))
            }
        }
    }

    /// Whether a class such as `\pL` exists. To find out, its characters are listed, and there are few such classes.
    fn check_class(&self, class: &ClassUnicode) -> Result<(), String> {
        static KNOWN: LazyLock<Mutex<HashSet<Box<str>>>> = LazyLock::new(Mutex::default);
        let name = self.slice(&class.span, &class.span);
        if KNOWN.lock().contains(name) {
            return Ok(());
        }
        program::ranges(self, &Ast::ClassUnicode(Box::new(class.clone())), false)?;
        let mut known = KNOWN.lock();
        if known.len() < KNOWN_CLASSES_MAX && name.len() < KNOWN_CLASSES_MAX {
            known.insert(name.into());
        }
        Ok(())
    }

    /// Go knows fewer flags.
    fn check_flags(&self, flags: &Flags) -> Result<(), String> {
        for item in &flags.items {
            if let FlagsItemKind::Flag(Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace) = item.kind {
                let written = self.slice(&flags.span, &item.span);
                return Err(what("invalid or unsupported Perl syntax", &format!("(?{written}")));
            }
        }
        Ok(())
    }
}

fn what(words: &str, part: &str) -> String {
    format!("error parsing regexp: {words}: `{part}`")
}

/// The message of the last line of an error of the crate.
pub(super) fn last_line(text: &str) -> String {
    let last = text.lines().last().unwrap_or_default();
    format!("error parsing regexp: {}", last.strip_prefix("error: ").unwrap_or(last))
}

/// What Go says of a pattern that it cannot read.
fn describe(pattern: &str, text: &str) -> String {
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
    if text.contains("exceed the maximum number of nested") {
        return what("expression nests too deeply", pattern);
    }
    if text.contains("incomplete escape sequence") {
        return what("trailing backslash at end of expression", "");
    }
    last_line(text)
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
        'Q' if !in_class => {
            let rest = chars.as_str();
            let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex_syntax::escape(quoted));
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
