//! From words to flags.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Arguments, Command, Error, Flag, Flags, Kind, State};
use crate::values;

pub(super) fn parse(command: &Command, words: Vec<String>) -> Result<Flags, Error> {
    let mut parser = Parser { command, words: words.into_iter(), given: BTreeMap::new(), arguments: Vec::new() };
    parser.run().map_err(|stop| match stop {
        Stop::Help => Error::Help(command.help()),
        Stop::Wrong(message) => Error::Usage { message, command: command.name },
    })?;
    Ok(Flags { command: *command, given: parser.given, arguments: parser.arguments })
}

struct Parser<'c> {
    command: &'c Command,
    words: std::vec::IntoIter<String>,
    given: BTreeMap<&'static str, Vec<String>>,
    arguments: Vec<String>,
}

enum Stop {
    Help,
    Wrong(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Stop {
        Stop::Wrong(message)
    }
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        while let Some(word) = self.words.next() {
            match word.strip_prefix('-') {
                None | Some("") => self.arguments.push(word),
                Some("-") => {
                    self.arguments.extend(&mut self.words);
                    break;
                }
                Some(rest) => match rest.strip_prefix('-') {
                    Some(long) => self.long(&word, long)?,
                    None => self.short(rest)?,
                },
            }
        }
        self.check_arguments()
    }

    fn long(&mut self, word: &str, rest: &str) -> Result<(), Stop> {
        if rest.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {word}").into());
        }
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (rest, None),
        };
        // Upstream's components read `_` as `-`.
        let Some(flag) = self.command.flag(&name.replace('_', "-")) else {
            return Err(if name == "help" { Stop::Help } else { unknown(self.command, name) });
        };
        self.refuse_unsupported(flag)?;
        let value = match value.or_else(|| (flag.kind == Kind::Bool).then(|| "true".to_owned())) {
            Some(value) => value,
            None => self.words.next().ok_or_else(|| format!("flag needs an argument: --{name}"))?,
        };
        self.set(flag, value)
    }

    /// One word may hold several flags, of which only the last takes a value.
    fn short(&mut self, letters: &str) -> Result<(), Stop> {
        let mut rest = letters;
        while let Some(letter) = rest.chars().next() {
            let after = &rest[letter.len_utf8()..];
            let Some(flag) = self.command.flags().find(|flag| flag.short == Some(letter)) else {
                let message = format!("unknown shorthand flag: {letter:?} in -{letters}");
                return Err(if letter == 'h' { Stop::Help } else { message.into() });
            };
            self.refuse_unsupported(flag)?;
            let value = match after.strip_prefix('=') {
                Some(value) if !value.is_empty() => value.to_owned(),
                _ if flag.kind == Kind::Bool => {
                    self.set(flag, "true".to_owned())?;
                    rest = after;
                    continue;
                }
                _ if !after.is_empty() => after.to_owned(),
                _ => {
                    let next = self.words.next();
                    next.ok_or_else(|| format!("flag needs an argument: {letter:?} in -{letters}"))?
                }
            };
            return self.set(flag, value);
        }
        Ok(())
    }

    fn refuse_unsupported(&self, flag: &Flag) -> Result<(), Stop> {
        match flag.state {
            State::Unsupported(reason) => Err(format!("flag --{} is not supported: {reason}", flag.name).into()),
            _ => Ok(()),
        }
    }

    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), Stop> {
        if let Err(problem) = check(flag, &value) {
            return Err(format!("invalid argument {value:?} for \"{}\" flag: {problem}", flag.shown()).into());
        }
        self.given.entry(flag.name).or_default().push(value);
        Ok(())
    }

    fn check_arguments(&self) -> Result<(), Stop> {
        let name = self.command.name;
        match self.command.arguments {
            Arguments::Any => Ok(()),
            Arguments::Exactly(count) if self.arguments.len() == count => Ok(()),
            Arguments::Exactly(count) => {
                Err(format!("{name:?} takes {count} arguments, got {:?}", self.arguments).into())
            }
            Arguments::None if self.arguments.is_empty() => Ok(()),
            Arguments::None => Err(format!("{name:?} does not take any arguments, got {:?}", self.arguments).into()),
        }
    }
}

pub(super) fn check(flag: &Flag, value: &str) -> Result<(), String> {
    match flag.kind {
        Kind::Bool => values::parse_bool(value).map(drop),
        Kind::Int => values::parse_int(value, 64).map(drop),
        Kind::Float => values::parse_float(value).map(drop),
        Kind::Duration => values::parse_duration(value).map(drop),
        Kind::String | Kind::Repeated => Ok(()),
        Kind::Choice(choices) if choices.contains(&value) => Ok(()),
        Kind::Choice(choices) => Err(format!("it must be one of {}", choices.join(", "))),
        Kind::Ip => ip(value).map(drop),
        Kind::List => csv(value).map(drop),
        Kind::Map => pairs(value, "string").map(drop),
        Kind::BoolMap => {
            for (key, value) in pairs(value, "bool")? {
                values::parse_bool(&value).map_err(|error| format!("invalid value of {key}: {value}, err: {error}"))?;
            }
            Ok(())
        }
    }?;
    flag.check.map_or(Ok(()), |check| check(value))
}

/// `net.ParseIP`; an empty text is no address, which upstream accepts as a value.
pub(super) fn ip(text: &str) -> Result<Option<IpAddr>, String> {
    match text.trim() {
        "" => Ok(None),
        trimmed => trimmed.parse().map(Some).map_err(|_| format!("failed to parse IP: {text:?}")),
    }
}

/// One record of comma-separated values; an item with a comma is put in double quotes, and a quote in it doubled.
pub(super) fn csv(text: &str) -> Result<Vec<String>, String> {
    let mut items = Vec::new();
    let mut rest = text;
    if rest.is_empty() {
        return Ok(items);
    }
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (item, after) = quoted_item(quoted).ok_or_else(|| format!("unfinished quote in {text:?}"))?;
            items.push(item);
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None if after.is_empty() => return Ok(items),
                None => return Err(format!("something after a quote in {text:?}")),
            }
        } else {
            let (item, after) = rest.split_once(',').map_or((rest, None), |(item, after)| (item, Some(after)));
            if item.contains('"') {
                return Err(format!("parse error on line 1: bare \" in non-quoted field in {text:?}"));
            }
            items.push(item.to_owned());
            match after {
                Some(after) => rest = after,
                None => return Ok(items),
            }
        }
    }
}

/// What stands before the closing quote, and what follows it.
fn quoted_item(text: &str) -> Option<(String, &str)> {
    let (mut item, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('"')?;
        item.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                item.push('"');
                rest = after;
            }
            None => return Some((item, after)),
        }
    }
}

pub(super) fn pairs(text: &str, kind: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("malformed pair, expect string={kind}"))?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// pflag's message, and after it the flag that may have been meant.
fn unknown(command: &Command, name: &str) -> Stop {
    let usable = command.flags().filter(|flag| !matches!(flag.state, State::Hidden | State::Unsupported(_)));
    let near = usable.map(|flag| (distance(name, flag.name), flag.name)).min();
    let meant = match near {
        Some((distance, near)) if distance <= 1 + name.len() / 6 => format!(" (did you mean --{near}?)"),
        _ => String::new(),
    };
    Stop::Wrong(format!("unknown flag: --{name}{meant}"))
}

/// How many letters must be put in, taken out or exchanged to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, candidate) in other.iter().enumerate() {
            let cost = (diagonal + usize::from(letter != *candidate)).min(row[column] + 1).min(row[column + 1] + 1);
            diagonal = std::mem::replace(&mut row[column + 1], cost);
        }
    }
    row[other.len()]
}
