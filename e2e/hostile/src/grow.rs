//! The text of a value that has been grown to a size, as JSON.
//!
//! Samples hold tokens for what tells elements apart: `@K@` a name, `"@N@"` a number, `@A@` an address.

use serde_json::Value;

use crate::case::Style;
use crate::sites::{Grown, Text};

/// The most levels that a body nests: a little less than is decoded.
const DEPTH: usize = 9_900;

/// How large the value is to be, and how large the largest is that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    pub bytes: usize,
    pub largest: usize,
}

impl Size {
    /// How many levels, of `len` bytes and `levels` deep each, nest: as many as fit, and half as many in half of the size
    /// even where the depth is what bounds it.
    fn nested(self, len: usize, levels: usize) -> usize {
        let share = self.bytes as f64 / self.largest as f64;
        (self.bytes / len.max(1)).min((DEPTH as f64 / levels.max(1) as f64 * share) as usize).max(1)
    }
}

/// A value whose tokens are known.
pub struct Template {
    pieces: Vec<Piece>,
    len: usize,
}

enum Piece {
    Text(String),
    Name,
    Number,
    Address,
}

impl Template {
    pub fn new(text: &str) -> Template {
        let (mut pieces, mut rest) = (Vec::new(), text);
        loop {
            let found = ["\"@N@\"", "@K@", "@A@"].iter().filter_map(|token| Some((rest.find(token)?, *token)));
            let Some((at, token)) = found.min() else { break };
            pieces.push(Piece::Text(rest[..at].to_owned()));
            pieces.push(match token {
                "@K@" => Piece::Name,
                "@A@" => Piece::Address,
                _ => Piece::Number,
            });
            rest = &rest[at + token.len()..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let mut template = Template { pieces, len: 0 };
        let mut sample = String::new();
        template.write(0, false, &mut sample);
        template.len = sample.len() + 1;
        template
    }

    /// How many of it make a text of a size.
    pub fn count(&self, bytes: usize) -> usize {
        (bytes / self.len).max(1)
    }

    pub fn write(&self, index: usize, invalid: bool, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name if invalid => out.push_str(&format!("-V_{index:07}/!")),
                Piece::Name => out.push_str(&format!("v{index:07}")),
                Piece::Number if invalid => out.push_str(&format!("-{}", index + 1)),
                Piece::Number => out.push_str(&(index % 65_535 + 1).to_string()),
                Piece::Address if invalid => out.push_str(&format!("300.1.{index:07}")),
                Piece::Address => {
                    out.push_str(&format!("10.{}.{}.{}", index >> 16 & 255, index >> 8 & 255, index & 255));
                }
            }
        }
    }
}

/// The tokens of a sample that is not grown, replaced as those of a list's first element are.
pub fn settled(text: &str) -> String {
    let mut out = String::new();
    Template::new(text).write(0, false, &mut out);
    out
}

/// The place of the `i`th of `count` elements in order.
pub fn index(style: Style, i: usize, count: usize) -> usize {
    match style {
        Style::Ordered | Style::Invalid => i,
        Style::Reversed => count - 1 - i,
        Style::Equal => 0,
    }
}

/// The grown value as JSON text; of unknown and duplicate fields, the members without braces.
pub fn text(grown: &Grown, style: Style, size: Size) -> String {
    match grown {
        Grown::List { item, .. } => list(&Template::new(&item.to_string()), style, size.bytes),
        Grown::Map { key, value } => format!("{{{}}}", members(&member(key, value), style, size.bytes)),
        Grown::Text(kind) => scalar(*kind, style, size.bytes),
        Grown::Json { fields } => json(*fields, style, size),
        Grown::Nest { open, close, levels, leaf, way: _ } => {
            let count = size.nested(open.len() + close.len(), *levels);
            format!("{}{leaf}{}", open.repeat(count), close.repeat(count))
        }
        Grown::Unknown => members(&Template::new("\"unknown@K@\":1"), style, size.bytes),
        Grown::Duplicate { member } => members(&Template::new(member), style, size.bytes),
    }
}

pub fn member(key: &str, value: &Value) -> Template {
    Template::new(&format!("{}:{value}", Value::from(key)))
}

fn list(item: &Template, style: Style, bytes: usize) -> String {
    format!("[{}]", members(item, style, bytes))
}

fn members(template: &Template, style: Style, bytes: usize) -> String {
    let count = template.count(bytes);
    let mut out = String::with_capacity(bytes + 256);
    for i in 0..count {
        if i > 0 {
            out.push(',');
        }
        template.write(index(style, i, count), style == Style::Invalid, &mut out);
    }
    out
}

/// A long text. A text has no order: the styles are plain, full of escapes, full of what separates, and far from ASCII.
fn scalar(kind: Text, style: Style, bytes: usize) -> String {
    let filled = |unit: &str| unit.repeat((bytes / unit.len()).max(1));
    match kind {
        Text::String => match style {
            Style::Ordered => format!("\"{}\"", filled("a")),
            Style::Reversed => format!("\"{}\"", filled("\\n\\u0001\\\"\\\\<&")),
            Style::Equal => format!("\"{}\"", filled("a.b/c-d,e:f=g ")),
            Style::Invalid => format!("\"{}\"", filled("é日本\u{1F980}")),
        },
        Text::Bytes => match style {
            Style::Ordered => format!("\"{}\"", filled("AAAA")),
            Style::Reversed => format!("\"{}\"", filled("AAAA\\n")),
            Style::Equal => format!("\"{}\"", filled("/+8=")),
            Style::Invalid => format!("\"{}\"", filled("!AAA")),
        },
        Text::Quantity => match style {
            Style::Ordered => format!("\"{}\"", filled("1")),
            Style::Reversed => format!("\"0.{}\"", filled("1")),
            Style::Equal => format!("\"1e{}\"", filled("1")),
            Style::Invalid => format!("\"{}\"", filled("1M")),
        },
        Text::Time => match style {
            Style::Ordered => format!("\"2020-01-01T00:00:00.{}Z\"", filled("0")),
            Style::Reversed => format!("\"{}\"", filled("2020-01-01T00:00:00Z")),
            Style::Equal => format!("\"2020-01-01T00:00:00{}\"", filled("Z")),
            Style::Invalid => format!("\"{}\"", filled("日")),
        },
        Text::Duration => match style {
            Style::Ordered => format!("\"{}\"", filled("1ns")),
            Style::Reversed => format!("\"0.{}s\"", filled("1")),
            Style::Equal => format!("\"{}s\"", filled("1")),
            Style::Invalid => format!("\"{}\"", filled("s")),
        },
        Text::Number => match style {
            Style::Ordered => filled("1"),
            Style::Reversed => format!("0.{}", filled("1")),
            Style::Equal => format!("1e{}", filled("1")),
            Style::Invalid => format!("\"{}\"", filled("1")),
        },
    }
}

/// Any JSON: a wide object in order or reversed, a list of equal elements, and deep objects beside each other.
fn json(fields: bool, style: Style, size: Size) -> String {
    let (key, leaf) = if fields { ("f:@K@", "{}") } else { ("@K@", "1") };
    match style {
        Style::Ordered | Style::Reversed => {
            format!("{{{}}}", members(&Template::new(&format!("\"{key}\":{leaf}")), style, size.bytes))
        }
        Style::Equal if fields => {
            format!("{{{}}}", members(&Template::new("\"f:a\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{}}"), style, size.bytes))
        }
        Style::Equal => format!("{{\"a\":{}}}", list(&Template::new("{\"a\":[1,2]}"), style, size.bytes)),
        Style::Invalid => {
            let open = "{\"f:a\":";
            let depth = size.nested(open.len() + 1, 1);
            let deep = format!("{}{{}}{}", open.repeat(depth), "}".repeat(depth));
            let count = (size.bytes / deep.len()).max(1);
            let beside: Vec<_> = (0..count).map(|i| format!("\"f:v{i}\":{deep}")).collect();
            format!("{{{}}}", beside.join(","))
        }
    }
}
