//! JSON to YAML: keys in natural order, lists not indented, strings quoted only where they must be.

use std::cmp::Ordering;

use corten_api::json::write_f64;

use super::resolve::{self, Scalar};
use crate::json::{self, Form};
use crate::tree::{Node, Value};

/// The YAML of a JSON text. What is no JSON is written as null.
pub fn from_json(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    match json::parse(text.to_vec(), Form::Plain) {
        Ok(parsed) => {
            let indents = INDENTS_MIN + INDENTS * text.len();
            Writer { out: &mut out, indents }.document(parsed.tree.root());
        }
        Err(_) => out.push_str("null\n"),
    }
    out
}

/// Beyond it a line is broken at the next space.
const WIDTH: usize = 80;

/// How many columns of indentation may be written: as many as the text is long so many times, and some. What is deep and
/// wide would be nearly nothing else. Beyond it values are written as JSON, which is YAML too.
const INDENTS: usize = 16;
const INDENTS_MIN: usize = 64 * 1024;

struct Writer<'o> {
    out: &'o mut String,
    /// What is left of it.
    indents: usize,
}

impl Writer<'_> {
    fn document(&mut self, root: Node<'_>) {
        match root.value() {
            Value::Map(map) if !map.is_empty() => self.mapping(root, 0),
            Value::List(list) if !list.is_empty() => self.sequence(root, 0),
            _ => {
                self.inline(root, 0);
                self.out.push('\n');
            }
        }
    }

    /// Entries, the first where the line stands.
    fn mapping(&mut self, node: Node<'_>, indent: usize) {
        let mut entries: Vec<(&str, Node<'_>)> = node.as_map().iter().collect();
        merge_sort(&mut entries);
        for (i, (key, value)) in entries.into_iter().enumerate() {
            if i > 0 {
                self.indent(indent);
            }
            let explicit = key.contains(is_break) || key.len() > 128;
            if explicit {
                self.out.push_str("? ");
                self.string(key, false, indent + 2);
                self.end_line();
                self.indent(indent);
            } else {
                self.string(key, true, indent + 2);
            }
            self.out.push(':');
            match value.value() {
                Value::Map(map) if explicit && self.is_block(map.len(), indent + 2) => {
                    self.out.push(' ');
                    self.mapping(value, indent + 2);
                }
                Value::List(list) if explicit && self.is_block(list.len(), indent + 2) => {
                    self.out.push(' ');
                    self.sequence(value, indent + 2);
                }
                Value::Map(map) if self.is_block(map.len(), indent + 2) => {
                    self.out.push('\n');
                    self.indent(indent + 2);
                    self.mapping(value, indent + 2);
                }
                Value::List(list) if self.is_block(list.len(), indent) => {
                    self.out.push('\n');
                    self.indent(indent);
                    self.sequence(value, indent);
                }
                _ => {
                    self.out.push(' ');
                    self.inline(value, indent + 2);
                    self.end_line();
                }
            }
        }
    }

    fn sequence(&mut self, node: Node<'_>, indent: usize) {
        for (i, item) in node.as_list().iter().enumerate() {
            if i > 0 {
                self.indent(indent);
            }
            self.out.push_str("- ");
            match item.value() {
                Value::Map(map) if self.is_block(map.len(), indent + 2) => self.mapping(item, indent + 2),
                Value::List(list) if self.is_block(list.len(), indent + 2) => self.sequence(item, indent + 2),
                _ => {
                    self.inline(item, indent + 2);
                    self.end_line();
                }
            }
        }
    }

    /// Whether a container is written as a block, whose lines are indented.
    fn is_block(&self, lines: usize, indent: usize) -> bool {
        lines > 0 && self.may_indent(lines, indent)
    }

    fn may_indent(&self, lines: usize, indent: usize) -> bool {
        lines.saturating_mul(indent) <= self.indents
    }

    fn indent(&mut self, columns: usize) {
        self.indents = self.indents.saturating_sub(columns);
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    /// A literal ends with its own line break.
    fn end_line(&mut self) {
        if !self.out.ends_with(is_break) {
            self.out.push('\n');
        }
    }

    fn inline(&mut self, node: Node<'_>, indent: usize) {
        match node.value() {
            Value::Null => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if value { "true" } else { "false" }),
            Value::Int(value) => self.out.push_str(itoa::Buffer::new().format(value)),
            Value::Float(value) if is_unsigned(value) => {
                let mut digits = Vec::new();
                write_f64(&mut digits, value);
                self.out.push_str(&String::from_utf8_lossy(&digits));
            }
            Value::Float(value) => self.out.push_str(&format_g(value)),
            Value::Str(value) | Value::Raw(value) => self.string(value, false, indent),
            Value::List(_) | Value::Map(_) | Value::Struct(_) => self.out.push_str(&json::to_string(node)),
        }
    }

    fn string(&mut self, text: &str, key: bool, indent: usize) {
        let allowed = Allowed::of(text);
        let plain = matches!(resolve::resolve(text), Scalar::Str) && !is_base60(text) && !resolve::is_timestamp(text);
        if text.contains('\n') {
            if allowed.block && !key && self.may_indent(text.matches(is_break).count(), indent) {
                self.literal(text, indent)
            } else {
                self.double_quoted(text, (!key).then_some(indent))
            }
        } else if plain && (allowed.plain || allowed.single) {
            self.folded(text, if allowed.plain { "" } else { "'" }, (!key).then_some(indent));
        } else {
            self.double_quoted(text, (!key).then_some(indent));
        }
    }

    /// A text that stands as it is, between quotes or without; long lines are broken at single spaces.
    fn folded(&mut self, text: &str, quote: &str, fold: Option<usize>) {
        self.out.push_str(quote);
        let mut column = self.column();
        let mut chars = text.char_indices().peekable();
        let (mut spaces, mut broken) = (false, false);
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|&(_, next)| next);
            let inner = quote.is_empty() || (at > 0 && next.is_some());
            match fold {
                Some(indent)
                    if c == ' '
                        && !spaces
                        && column > WIDTH
                        && inner
                        && next != Some(' ')
                        && self.may_indent(1, indent) =>
                {
                    self.out.push('\n');
                    self.indent(indent);
                    column = indent;
                }
                _ => {
                    if std::mem::take(&mut broken) && !is_break(c) {
                        self.indent(fold.unwrap_or(0));
                    }
                    if c == '\'' && !quote.is_empty() {
                        self.out.push(c);
                        column += 1;
                    }
                    self.out.push(c);
                    broken = is_break(c);
                    column = if broken { 0 } else { column + 1 };
                }
            }
            spaces = c == ' ';
        }
        self.out.push_str(quote);
    }

    fn column(&self) -> usize {
        self.out.chars().rev().take_while(|&c| c != '\n').count()
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ']) || text.starts_with(is_break) {
            self.out.push('2');
        }
        let mut backwards = text.chars().rev();
        match (backwards.next().is_some_and(is_break), backwards.next().is_none_or(is_break)) {
            (false, _) => self.out.push('-'),
            (true, true) => self.out.push('+'),
            (true, false) => {}
        }
        self.out.push('\n');
        let mut broken = true;
        for c in text.chars() {
            if is_break(c) {
                broken = true;
            } else if std::mem::take(&mut broken) {
                self.indent(indent);
            }
            self.out.push(c);
        }
    }

    fn double_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.out.push('"');
        let mut spaces = false;
        for (at, c) in text.char_indices() {
            let next = text[at + c.len_utf8()..].chars().next();
            if c == ' ' {
                match fold {
                    Some(indent)
                        if !spaces
                            && at > 0
                            && next.is_some()
                            && self.may_indent(1, indent)
                            && self.column() > WIDTH =>
                    {
                        self.out.push('\n');
                        self.indent(indent);
                        if next == Some(' ') {
                            self.out.push('\\');
                        }
                    }
                    _ => self.out.push(c),
                }
                spaces = true;
                continue;
            }
            spaces = false;
            if is_printable(c) && !is_break(c) && c != '"' && c != '\\' {
                self.out.push(c);
                continue;
            }
            self.out.push('\\');
            let short = match c {
                '\0' => '0',
                '\x07' => 'a',
                '\x08' => 'b',
                '\t' => 't',
                '\n' => 'n',
                '\x0b' => 'v',
                '\x0c' => 'f',
                '\r' => 'r',
                '\x1b' => 'e',
                '"' => '"',
                '\\' => '\\',
                '\u{85}' => 'N',
                '\u{a0}' => '_',
                '\u{2028}' => 'L',
                '\u{2029}' => 'P',
                _ => {
                    let code = c as u32;
                    self.out.push_str(&match code {
                        0..=0xff => format!("x{code:02X}"),
                        0x100..=0xffff => format!("u{code:04X}"),
                        _ => format!("U{code:08X}"),
                    });
                    continue;
                }
            };
            self.out.push(short);
        }
        self.out.push('"');
    }
}

/// In which styles a text may stand in a block.
struct Allowed {
    plain: bool,
    single: bool,
    block: bool,
}

impl Allowed {
    fn of(text: &str) -> Allowed {
        if text.is_empty() {
            return Allowed { plain: true, single: true, block: false };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut breaks, mut break_space, mut space_break) = (false, false, false, false);
        let (mut previous_space, mut previous_break, mut after_blank) = (false, false, true);
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            let blank_follows = chars.peek().is_none_or(|&next| next == ' ' || next == '\t');
            indicators |= match c {
                '#' => after_blank,
                ':' => blank_follows,
                '?' | '-' => first && blank_follows,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => first,
                _ => false,
            };
            special |= !is_printable(c);
            break_space |= c == ' ' && previous_break;
            space_break |= is_break(c) && previous_space;
            breaks |= is_break(c);
            (previous_space, previous_break) = (c == ' ', is_break(c));
            after_blank = c == ' ' || c == '\t' || is_break(c) || c == '\0';
            first = false;
        }
        let edge = |c: char| c == ' ' || is_break(c);
        let edges = text.starts_with(edge) || text.ends_with(edge);
        let broken = space_break || special;
        Allowed {
            plain: !(edges || break_space || broken || breaks || indicators),
            single: !(break_space || broken),
            block: !(text.ends_with(' ') || broken),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What lies beyond the basic plane is escaped.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: YAML 1.1 would read a number.
fn is_base60(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = rest.split(':');
    let head = parts.next().unwrap_or_default();
    let is_head =
        head.starts_with(|c: char| c.is_ascii_digit()) && head.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let tail: Vec<&str> = parts.collect();
    let Some((last, middle)) = tail.split_last() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let sixty = |part: &str| match part.as_bytes() {
        [b] => b.is_ascii_digit(),
        [b'0'..=b'5', b] => b.is_ascii_digit(),
        _ => false,
    };
    is_head
        && middle.iter().all(|part| sixty(part))
        && sixty(last)
        && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// What JSON shows as an integer that only an unsigned one holds is read as one.
fn is_unsigned(value: f64) -> bool {
    (9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(&value)
}

/// Go's shortest `%g`.
pub(crate) fn format_g(value: f64) -> String {
    shortest(&format!("{value:e}"))
}

pub(super) fn format_g32(value: f32) -> String {
    shortest(&format!("{value:e}"))
}

fn shortest(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific.to_owned() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    if !(-4..6).contains(&exponent) {
        let shown = if exponent < 0 { format!("e-{:02}", -exponent) } else { format!("e+{exponent:02}") };
        return format!("{sign}{mantissa}{shown}");
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    match digits.len() <= whole {
        true => format!("{sign}{digits}{}", "0".repeat(whole - digits.len())),
        false => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
    }
}

/// Merging keeps its peace with an order that is none: the natural order of keys is not quite transitive.
fn merge_sort<T: Copy>(entries: &mut [(&str, T)]) {
    if entries.len() < 2 {
        return;
    }
    let middle = entries.len() / 2;
    merge_sort(&mut entries[..middle]);
    merge_sort(&mut entries[middle..]);
    let merged: Vec<_> = {
        let (mut left, mut right) = (entries[..middle].iter().peekable(), entries[middle..].iter().peekable());
        std::iter::from_fn(|| match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if natural(b.0, a.0) == Ordering::Less => right.next(),
            (Some(_), _) => left.next(),
            (None, _) => right.next(),
        })
        .copied()
        .collect()
    };
    entries.copy_from_slice(&merged);
}

/// Letters after everything else, runs of digits by their number. Reads no more of both than is the same, since a long
/// key may be compared with all others.
fn natural(a: &str, b: &str) -> Ordering {
    let mut same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    while !a.is_char_boundary(same) {
        same -= 1;
    }
    let (Some(x), Some(y)) = (a[same..].chars().next(), b[same..].chars().next()) else { return a.len().cmp(&b.len()) };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (false, true) => return Ordering::Less,
        (true, false) => return Ordering::Greater,
        (false, false) => {}
    }
    let mut start = 0u64;
    if x == '0' || y == '0' {
        let mut before = a.as_bytes()[..same].iter().rev().take_while(|c| c.is_ascii_digit());
        start = u64::from(before.any(|&c| c != b'0'));
    }
    // Longer runs are no numbers that anybody counts with.
    const DIGITS_MAX: usize = 64;
    let run = |text: &str| {
        let digits = text.as_bytes()[same..].iter().take_while(|c| c.is_ascii_digit()).take(DIGITS_MAX);
        digits
            .fold((start, 0), |(number, len), &c| (number.wrapping_mul(10).wrapping_add(u64::from(c - b'0')), len + 1))
    };
    let ((an, ai), (bn, bi)): ((u64, usize), (u64, usize)) = (run(a), run(b));
    (an as i64).cmp(&(bn as i64)).then(ai.cmp(&bi)).then(x.cmp(&y))
}
