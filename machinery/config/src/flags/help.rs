//! The help of a command, laid out as pflag does.

use std::fmt::Write;

use super::{Command, Flag, Kind, State};

pub(super) fn text(command: &Command) -> String {
    let mut out = format!("{}\n\nUsage:\n  {} {}\n", command.about, command.name, command.usage);
    for section in command.sections {
        let shown = section.flags.iter().filter(|flag| !matches!(flag.state, State::Hidden | State::Unsupported(_)));
        let rows: Vec<_> = shown.map(row).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(out, "\n{} flags:\n\n", section.title);
        let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
        for (left, right) in rows {
            let _ = writeln!(out, "{left:width$}   {right}");
        }
    }
    out
}

fn row(flag: &Flag) -> (String, String) {
    let (value, help) = value_name(flag);
    let mut left = match flag.short {
        Some(short) => format!("  -{short}, --{}", flag.name),
        None => format!("      --{}", flag.name),
    };
    if !value.is_empty() {
        left.push(' ');
        left.push_str(&value);
    }
    let mut right = help;
    if let Kind::Choice(choices) = flag.kind {
        let _ = write!(right, " One of {}.", choices.join(", "));
    }
    match (flag.kind, flag.default) {
        (_, "") | (Kind::Bool, "false") | (Kind::Int | Kind::Float | Kind::Duration, "0" | "0s") => {}
        (Kind::String | Kind::Choice(_), default) => drop(write!(right, " (default {default:?})")),
        (Kind::List, default) => drop(write!(right, " (default [{default}])")),
        (_, default) => drop(write!(right, " (default {default})")),
    }
    if let State::Deprecated(instead) = flag.state {
        let _ = write!(right, " (DEPRECATED: {instead})");
    }
    (left, right)
}

/// The word for the value, from back quotes in the help or from the kind; and the help without the quotes.
fn value_name(flag: &Flag) -> (String, String) {
    let parts: Vec<_> = flag.help.splitn(3, '`').collect();
    if let [before, name, after] = parts[..] {
        return (name.to_owned(), format!("{before}{name}{after}"));
    }
    let name = match flag.kind {
        Kind::Bool => "",
        Kind::Int => "int",
        Kind::Float => "float",
        Kind::Duration => "duration",
        Kind::String | Kind::Choice(_) => "string",
        Kind::Ip => "ip",
        Kind::List => "strings",
        Kind::Repeated => "stringArray",
        Kind::Map => "mapStringString",
        Kind::BoolMap => "mapStringBool",
    };
    (name.to_owned(), flag.help.to_owned())
}
