//! The `corten` binary: picks the command and wires its parts. Nothing clever.

mod commands;

use std::process::ExitCode;

/// Requests make and drop many small things on several threads, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "A Kubernetes cluster in one binary.

Usage:
  corten COMMAND [flags]

Commands:
  server      Runs a server
  version     Prints the version

Use \"corten COMMAND --help\" for more about a command.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("server") => commands::server::main(arguments),
        Some("version" | "--version") => {
            println!("corten {} (Kubernetes 1.36)", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        None => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
        Some(other) => {
            eprintln!("Error: unknown command {other:?}\nSee 'corten --help'.");
            ExitCode::from(2)
        }
    }
}
