//! Command lines as tables: a command lists its flags as rows, and parsing, checking and help come from them.
//!
//! The syntax is pflag's, because the flags are upstream's: `--name=value`, `--name value`, `--bool`, `--bool=false`,
//! `-v=2`, `-v 2`, `-v2`, arguments between the flags, `--` before the last ones, `_` for `-` in names. So are the
//! messages. Besides unknown flags there are those that upstream has and Corten does not support: their row says why,
//! and using one is an error that names it. A value is checked when it is parsed, and the getters only convert.

mod help;
mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::values;

/// A command: what `--help` shows, and the rows of its flags.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// As it is called: `corten server`.
    pub name: &'static str,
    /// What stands after the name: `[flags]`, say.
    pub usage: &'static str,
    /// A paragraph on what it does.
    pub about: &'static str,
    pub sections: &'static [Section],
    /// How many arguments that are no flags it takes.
    pub arguments: Arguments,
}

/// Flags that belong together in the help.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub title: &'static str,
    pub flags: &'static [Flag],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    None,
    Exactly(usize),
    Any,
}

/// A row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    pub kind: Kind,
    /// In the flag's own syntax; empty for none.
    pub default: &'static str,
    /// One word in back quotes stands for the value.
    pub help: &'static str,
    pub state: State,
    /// A further rule for the value, beyond its kind.
    pub check: Option<Check>,
}

/// Says what is wrong with a value.
pub type Check = fn(&str) -> Result<(), String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    Duration,
    String,
    /// One of these.
    Choice(&'static [&'static str]),
    Ip,
    /// Comma-separated, as CSV; given again, it adds.
    List,
    /// Given again, it adds; commas are part of the value.
    Repeated,
    /// `name=value,...`; given again, it adds.
    Map,
    /// `name=true,...`; given again, it adds.
    BoolMap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Supported,
    /// Supported, but not in the help.
    Hidden,
    /// Supported; the text says what to use instead.
    Deprecated(&'static str),
    /// Upstream has it; the text says why it cannot be used.
    Unsupported(&'static str),
}

/// What was wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not an error: somebody asked for help, and this is it.
    Help(String),
    /// The message; it names the flag.
    Usage { message: String, command: &'static str },
}

/// A parsed command line. Asking for a flag that the table does not have, or as something that it is not, is a mistake
/// in the program and panics.
#[derive(Clone, Debug)]
pub struct Flags {
    command: Command,
    /// The values as given, in order. A flag that was not given has no entry.
    given: BTreeMap<&'static str, Vec<String>>,
    arguments: Vec<String>,
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
        Flag { name, short: None, kind, default, help, state: State::Supported, check: None }
    }

    pub const fn bool(name: &'static str, default: bool, help: &'static str) -> Flag {
        Flag::new(name, Kind::Bool, if default { "true" } else { "false" }, help)
    }

    pub const fn int(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Int, default, help)
    }

    pub const fn float(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Float, default, help)
    }

    pub const fn duration(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Duration, default, help)
    }

    pub const fn string(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::String, default, help)
    }

    pub const fn choice(
        name: &'static str,
        choices: &'static [&'static str],
        default: &'static str,
        help: &'static str,
    ) -> Flag {
        Flag::new(name, Kind::Choice(choices), default, help)
    }

    pub const fn ip(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Ip, default, help)
    }

    pub const fn list(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::List, default, help)
    }

    pub const fn repeated(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Repeated, "", help)
    }

    pub const fn map(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Map, default, help)
    }

    pub const fn bool_map(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::BoolMap, default, help)
    }

    /// A flag of upstream's that is refused with this reason.
    pub const fn unsupported(name: &'static str, reason: &'static str) -> Flag {
        let mut flag = Flag::new(name, Kind::String, "", "");
        flag.state = State::Unsupported(reason);
        flag
    }

    pub const fn short(mut self, short: char) -> Flag {
        self.short = Some(short);
        self
    }

    pub const fn hidden(mut self) -> Flag {
        self.state = State::Hidden;
        self
    }

    pub const fn deprecated(mut self, instead: &'static str) -> Flag {
        self.state = State::Deprecated(instead);
        self
    }

    pub const fn check(mut self, check: Check) -> Flag {
        self.check = Some(check);
        self
    }

    /// As the messages call it: `-v, --v`.
    fn shown(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}

impl Command {
    /// Parses what follows the command's name.
    pub fn parse<I>(&self, arguments: I) -> Result<Flags, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        parse::parse(self, arguments.into_iter().map(Into::into).collect())
    }

    /// The help, as `--help` prints it.
    pub fn help(&self) -> String {
        help::text(self)
    }

    fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.sections.iter().flat_map(|section| section.flags)
    }

    fn flag(&self, name: &str) -> Option<&'static Flag> {
        self.flags().find(|flag| flag.name == name)
    }
}

impl Flags {
    /// Whether the flag was given, whatever its value.
    pub fn is_set(&self, name: &str) -> bool {
        self.flag(name);
        self.given.contains_key(name)
    }

    pub fn bool(&self, name: &str) -> bool {
        converted(name, "bool", values::parse_bool(self.text(name)))
    }

    pub fn int(&self, name: &str) -> i64 {
        converted(name, "int", values::parse_int(self.text(name), 64))
    }

    pub fn float(&self, name: &str) -> f64 {
        converted(name, "float", values::parse_float(self.text(name)))
    }

    pub fn duration(&self, name: &str) -> Duration {
        converted(name, "duration", values::parse_duration(self.text(name)))
    }

    /// A string or a choice.
    pub fn string(&self, name: &str) -> &str {
        self.text(name)
    }

    /// None where neither a value nor a default is an address.
    pub fn ip(&self, name: &str) -> Option<IpAddr> {
        parse::ip(self.text(name)).ok().flatten()
    }

    /// The items of a list, or the values of a repeated flag.
    pub fn list(&self, name: &str) -> Vec<String> {
        let flag = self.flag(name);
        let values = self.values(name);
        match flag.kind {
            Kind::Repeated => values,
            _ => values.iter().flat_map(|value| converted(name, "list", parse::csv(value))).collect(),
        }
    }

    /// The pairs, the last of a name winning.
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let values = self.values(name);
        values.iter().flat_map(|value| converted(name, "map", parse::pairs(value, "string"))).collect()
    }

    /// The pairs of a map of booleans, as they were given.
    pub fn bool_map(&self, name: &str) -> Vec<(String, bool)> {
        let values = self.values(name);
        let pairs = values.iter().flat_map(|value| converted(name, "map", parse::pairs(value, "bool")));
        pairs.map(|(key, value)| (key, converted(name, "map", values::parse_bool(&value)))).collect()
    }

    /// The arguments that are no flags.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The flags that were given although they are deprecated, with what to use instead; to be logged.
    pub fn deprecated(&self) -> Vec<(&'static str, &'static str)> {
        let given = self.given.keys().map(|name| self.flag(name));
        given
            .filter_map(|flag| match flag.state {
                State::Deprecated(instead) => Some((flag.name, instead)),
                _ => None,
            })
            .collect()
    }

    /// The last value, or else the default.
    fn text(&self, name: &str) -> &str {
        let default = self.flag(name).default;
        self.given.get(name).and_then(|values| values.last()).map_or(default, String::as_str)
    }

    fn values(&self, name: &str) -> Vec<String> {
        let default = self.flag(name).default;
        match self.given.get(name) {
            Some(values) => values.clone(),
            None if default.is_empty() => Vec::new(),
            None => vec![default.to_owned()],
        }
    }

    fn flag(&self, name: &str) -> &'static Flag {
        self.command.flag(name).unwrap_or_else(|| panic!("{} has no flag --{name}", self.command.name))
    }
}

fn converted<T>(name: &str, kind: &str, value: Result<T, String>) -> T {
    value.unwrap_or_else(|error| panic!("--{name} is asked for as a {kind}, which it is not: {error}"))
}

impl Error {
    /// 0 for help, 1 else, as upstream's commands exit.
    pub fn exit_code(&self) -> i32 {
        i32::from(!matches!(self, Error::Help(_)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Help(text) => f.write_str(text),
            Error::Usage { message, command } => write!(f, "{message}\nSee '{command} --help' for usage."),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
