//! One file for a command, and what commands have in common.

pub mod server;
pub mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use corten_apiserver::server::default_data_dir;
use corten_config::flags::{Command, Flags};

/// The flags, or the code to exit with when help or an error has been printed instead.
fn parse(command: &Command, arguments: impl Iterator<Item = String>) -> Result<Flags, ExitCode> {
    command.parse(arguments).map_err(|error| {
        let code = error.exit_code();
        if code == 0 {
            print!("{error}")
        } else {
            eprintln!("{error}")
        }
        ExitCode::from(code as u8)
    })
}

/// Prints the error that ended a command, if one did.
fn end(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("Error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The folder of the flag `data-dir`, or the default one.
fn data_dir(flags: &Flags) -> PathBuf {
    match flags.string("data-dir") {
        "" => default_data_dir(),
        given => PathBuf::from(given),
    }
}
