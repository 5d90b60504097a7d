//! `corten store`: care for a store that is damaged.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use corten_config::flags::{Arguments, Command, Flag, Section};
use corten_store::embedded::care::{self, Exported};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{data_dir, end, parse};

const USAGE: &str = "Checks, exports or repairs the embedded store of a server that is not running.

Usage:
  corten store COMMAND [--data-dir FOLDER]

Commands:
  check       Verifies every checksum, and lists what is damaged. Changes nothing
  export      Prints every object that can be read, one JSON document a line. Changes nothing
  repair      Makes a new store of what can be read, and lists what it drops

Use \"corten store COMMAND --help\" for more about a command.
";

const SECTIONS: &[Section] = &[Section {
    title: "Store",
    flags: &[Flag::string(
        "data-dir",
        "",
        "`FOLDER` of the server (default /var/lib/corten for root, else below the home folder).",
    )],
}];

const CHECK: Command = Command {
    name: "corten store check",
    usage: "[flags]",
    about: "Verifies every checksum of the store, and lists what is damaged. It changes nothing. Exits with 1 if \
            anything is wrong.",
    arguments: Arguments::None,
    sections: SECTIONS,
};

const EXPORT: Command = Command {
    name: "corten store export",
    usage: "[flags]",
    about: "Prints every object of the store that can be read, in the order of the keys, one JSON document a line: \
            \"key\", \"createRevision\", \"modRevision\" (numbers), and the stored value, as \"object\" if it is JSON, \
            else as \"value\" in base64. Where a value cannot be read there is \"error\" instead, with why. It changes \
            nothing. What is damaged is listed on the standard error; exits with 1 if anything is.",
    arguments: Arguments::None,
    sections: SECTIONS,
};

const REPAIR: Command = Command {
    name: "corten store repair",
    usage: "[flags]",
    about: "Makes a new store of the newest version of each object that can be read, and lists the keys and revisions \
            that it drops. The old files are kept in a folder beside it. Clients have to list anew thereafter.",
    arguments: Arguments::None,
    sections: SECTIONS,
};

pub fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let (command, run): (Command, fn(PathBuf) -> Result<bool>) = match arguments.next().as_deref() {
        Some("check") => (CHECK, check),
        Some("export") => (EXPORT, export),
        Some("repair") => (REPAIR, repair),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        None => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
        Some(other) => {
            eprintln!("Error: unknown command {other:?}\nSee 'corten store --help'.");
            return ExitCode::from(2);
        }
    };
    let flags = match parse(&command, arguments) {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    let result = run(data_dir(&flags).join("store"));
    end(result.map(|well| if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// True if nothing is wrong.
fn check(folder: PathBuf) -> Result<bool> {
    let report = care::check(&folder)?;
    report.faults.iter().for_each(|fault| println!("{fault}"));
    match report.faults.len() {
        0 => println!("{} keys, and nothing is damaged", report.keys),
        count => println!("{} keys can be read; {count} faults", report.keys),
    }
    Ok(report.faults.is_empty())
}

fn export(folder: PathBuf) -> Result<bool> {
    let mut out = BufWriter::new(io::stdout().lock());
    let report = care::export(&folder, |exported| writeln!(out, "{}", line(&exported)))?;
    out.flush().context("write the export")?;
    report.faults.iter().for_each(|fault| eprintln!("{fault}"));
    Ok(report.faults.is_empty())
}

fn line(exported: &Exported) -> String {
    let mut line = Map::new();
    line.insert("key".to_owned(), Value::from(&*exported.key));
    line.insert("createRevision".to_owned(), Value::from(exported.create_revision));
    line.insert("modRevision".to_owned(), Value::from(exported.mod_revision));
    let last = match &exported.value {
        Err(reason) => format!("\"error\":{}", Value::from(reason.as_str())),
        Ok(value) => match serde_json::from_slice::<&RawValue>(value) {
            // As it is stored, but for line breaks between its tokens.
            Ok(object) => format!("\"object\":{}", object.get().replace(['\n', '\r'], " ")),
            Err(_) => format!("\"value\":\"{}\"", STANDARD.encode(value)),
        },
    };
    let mut text = Value::from(line).to_string();
    text.pop();
    format!("{text},{last}}}")
}

fn repair(folder: PathBuf) -> Result<bool> {
    let repair = care::repair(&folder)?;
    let Some(before) = repair.before else {
        println!("{} keys, and nothing is damaged; nothing was changed", repair.keys);
        return Ok(true);
    };
    repair.faults.iter().for_each(|fault| println!("found: {fault}"));
    repair.dropped.iter().for_each(|dropped| println!("dropped: {dropped}"));
    println!("{} keys are kept, each in its newest version; older versions are not", repair.keys);
    println!("the old files are in {}; remove them when you are content", before.display());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_a_line() {
        let check = |value: Result<&[u8], &str>, expected: &str| {
            let value = value.map(|value| value.to_vec().into()).map_err(str::to_owned);
            let exported = Exported { key: "/a\"".into(), create_revision: 1, mod_revision: 2, value };
            assert_eq!(line(&exported), format!(r#"{{"key":"/a\"","createRevision":1,"modRevision":2,{expected}}}"#));
        };
        check(Ok(b"{\"kind\":\n\"Pod\"}\n"), r#""object":{"kind": "Pod"}"#);
        check(Ok(b"k8s\0\x01"), r#""value":"azhzAAE=""#);
        check(Err("its checksum is \"wrong\""), r#""error":"its checksum is \"wrong\"""#);
    }
}
