//! From text to steps, character by character, with the errors of upstream's parser.

use super::{Slice, Step};

/// Parses the inside of an action: what `{...}` holds.
pub fn action(text: &str) -> Result<Vec<Step>, String> {
    let mut parser = Parser { rest: text, steps: Vec::new() };
    while parser.step()? {}
    Ok(parser.steps)
}

struct Parser<'p> {
    rest: &'p str,
    steps: Vec<Step>,
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl<'p> Parser<'p> {
    /// Takes one step; false at the end.
    fn step(&mut self) -> Result<bool, String> {
        let Some(c) = self.rest.chars().next() else { return Ok(false) };
        if self.rest.starts_with("[?(") {
            return self.filter().map(|()| true);
        }
        if self.rest.starts_with("..") {
            return self.recursive().map(|()| true);
        }
        match c {
            // What follows the action is text outside of it, which a path has none of.
            '}' => {
                self.rest = "";
                return Ok(false);
            }
            '\r' | '\n' => return Err("unclosed action".into()),
            ' ' | '@' | '$' => self.rest = &self.rest[1..],
            '[' => self.array()?,
            '"' | '\'' => self.quote(c)?,
            '.' => {
                self.rest = &self.rest[1..];
                self.field();
            }
            '+' | '-' => self.number()?,
            c if c.is_numeric() => self.number()?,
            c if is_alphanumeric(c) => {
                let word = self.until_terminator();
                self.steps.push(match word {
                    "true" => Step::Bool(true),
                    "false" => Step::Bool(false),
                    _ => Step::Word(word.to_owned()),
                });
            }
            c => return Err(format!("unrecognized character in action: U+{:04X} '{c}'", u32::from(c))),
        }
        Ok(true)
    }

    fn split(&mut self, at: usize) -> &'p str {
        let (taken, rest) = self.rest.split_at(at);
        self.rest = rest;
        taken
    }

    fn until_terminator(&mut self) -> &'p str {
        let end = self.rest.find(is_terminator).unwrap_or(self.rest.len());
        self.split(end)
    }

    /// A field's name; a backslash takes the character behind it into it.
    fn field(&mut self) {
        let mut escaped = false;
        let end = self.rest.char_indices().find(|&(_, c)| {
            if std::mem::take(&mut escaped) {
                return false;
            }
            escaped = c == '\\';
            is_terminator(c)
        });
        let end = end.map_or(self.rest.len(), |(at, _)| at);
        let name = self.split(end);
        self.steps.push(if name == "*" { Step::Wildcard } else { Step::Field(name.replace('\\', "")) });
    }

    fn recursive(&mut self) -> Result<(), String> {
        if self.steps.last() == Some(&Step::Recursive) {
            return Err("invalid multiple recursive descent".into());
        }
        self.rest = &self.rest[2..];
        self.steps.push(Step::Recursive);
        if self.rest.starts_with(is_alphanumeric) {
            self.field();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest[sign..].find(|c: char| c != '.' && !c.is_numeric());
        let text = self.split(digits.map_or(self.rest.len(), |at| at + sign));
        if let Ok(value) = text.parse::<i64>() {
            self.steps.push(Step::Int(value));
        } else if let Ok(value) = text.parse::<f64>() {
            self.steps.push(Step::Float(value));
        } else {
            return Err(format!("cannot parse number {text}"));
        }
        Ok(())
    }

    fn quote(&mut self, end: char) -> Result<(), String> {
        let mut escaped = false;
        let mut out = String::new();
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => {
                    out.push(match c {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        c => c,
                    });
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == end => {
                    self.split(at + 1);
                    self.steps.push(Step::Text(out));
                    return Ok(());
                }
                c => out.push(c),
            }
        }
        Err("unterminated quoted string".into())
    }

    fn array(&mut self) -> Result<(), String> {
        let end = self.rest.find([']', '\n']).filter(|&at| self.rest[at..].starts_with(']'));
        let Some(end) = end else { return Err("unterminated array".into()) };
        let inside = &self.split(end + 1)[1..end];
        if inside.contains(',') {
            let paths = inside.split(',').map(|part| action(&format!("[{}]", part.trim_matches(' '))));
            self.steps.push(Step::Union(paths.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let key = inside.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        if let Some(key) = key.filter(|key| !key.contains('\'')) {
            self.steps.extend(action(&format!(".{key}"))?);
            return Ok(());
        }
        self.steps.push(Step::Slice(slice(if inside == "*" { ":" } else { inside })?));
        Ok(())
    }

    fn filter(&mut self) -> Result<(), String> {
        let inside = &self.rest["[?(".len()..];
        let end = filter_end(inside).ok_or("unterminated filter")?;
        if !inside[end + 1..].starts_with(']') {
            return Err("unclosed array expect ]".into());
        }
        let text = &inside[..end];
        self.split("[?(".len() + end + 2);
        let operator = text.find(['!', '<', '>', '=']).filter(|&at| at > 0);
        let split = operator.and_then(|at| {
            let length = text[at..].find(|c| !matches!(c, '!' | '<' | '>' | '='))?;
            Some((&text[..at], &text[at..at + length], &text[at + length..]))
        });
        self.steps.push(match split {
            Some((left, operator, right)) => {
                Step::Filter { left: action(left)?, right: action(right)?, operator: operator.to_owned() }
            }
            None => Step::Filter { left: action(text)?, right: Vec::new(), operator: "exists".to_owned() },
        });
        Ok(())
    }
}

/// The bracket that closes a filter: the first one outside of quotes.
fn filter_end(inside: &str) -> Option<usize> {
    let (mut begin, mut end, mut pair, mut before) = (false, false, '"', ' ');
    for (at, c) in inside.char_indices() {
        match c {
            '\n' => return None,
            '"' | '\'' if !begin => {
                begin = true;
                pair = c;
            }
            '"' | '\'' if before != '\\' && c == pair => end = true,
            ')' if begin == end => return Some(at),
            _ => {}
        }
        before = c;
    }
    None
}

/// `3`, `-1`, `1:`, `:2`, `0:4:2`.
fn slice(text: &str) -> Result<Slice, String> {
    let invalid = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let well_formed = |part: &&str| part.strip_prefix('-').unwrap_or(part).bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(well_formed) {
        return Err(invalid());
    }
    let number = |index: usize| match parts.get(index) {
        None | Some(&"") => Ok(None),
        Some(part) => part.parse::<i64>().map(Some).map_err(|_| format!("array index {part} is not a number")),
    };
    let from = number(0)?;
    if parts.len() == 1 && from.is_none() {
        // `[]` is `[0]`.
        return Ok(Slice { from: Some(0), single: true, ..Slice::default() });
    }
    Ok(Slice { from, to: number(1)?, single: parts.len() == 1, step: number(2)? })
}
