//! `corten-bench`: loads a server of its own and prints, for each thing that users wait for, the CPU time that the
//! server's process spent on it beside the design's budget, with the rate and the latencies that went with it.
//!
//! CPU time, because a rate is limited by the client that shares the cores: it leaves the client's share out and is
//! steadier. Nothing is asserted: a benchmark that fails by the clock fails on whoever's machine is busy.

mod budget;
mod build;
mod client;
mod fanout;
mod load;
mod objects;
mod report;
mod scenarios;
mod server;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::client::Protocol;
use crate::report::Row;
use crate::scenarios::{FULL, QUICK, Size};

const USAGE: &str = "Loads a server of its own and prints what operations cost.

Usage:
  corten-bench [flags] [BINARY [BINARY]]

BINARY is a release build of corten (target/release/corten by default); two are compared with each other,
in turns.

Flags:
  --quick       fewer operations
  --http1       HTTP/1.1 with keep-alive instead of HTTP/2
  --build       times a clean release build too
";

struct Arguments {
    binaries: Vec<PathBuf>,
    protocol: Protocol,
    size: Size,
    build: bool,
}

fn arguments() -> Result<Option<Arguments>> {
    let mut parsed = Arguments { binaries: Vec::new(), protocol: Protocol::Http2, size: FULL, build: false };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => parsed.size = QUICK,
            "--http1" => parsed.protocol = Protocol::Http1,
            "--build" => parsed.build = true,
            "--help" | "-h" => return Ok(None),
            flag if flag.starts_with('-') => bail!("unknown flag {flag}\n\n{USAGE}"),
            binary => parsed.binaries.push(binary.into()),
        }
    }
    if parsed.binaries.is_empty() {
        let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        parsed.binaries.push(folder.join("release/corten"));
    }
    if parsed.binaries.len() > 2 {
        bail!("two binaries are compared, not {}", parsed.binaries.len());
    }
    Ok(Some(parsed))
}

async fn run(arguments: Arguments) -> Result<()> {
    for binary in &arguments.binaries {
        println!("{}", binary.display());
    }
    println!("{}", report::HEAD);
    let mut compared = Vec::new();
    let mut say = |rows: Vec<Row>| {
        for row in &rows {
            println!("{}", report::line(row));
        }
        if let [first, second] = &rows[..] {
            compared.push(report::comparison(first, second));
        }
    };
    scenarios::run(&arguments.binaries, arguments.protocol, arguments.size, &mut say).await?;
    if !compared.is_empty() {
        println!("\n{}", compared.join("\n"));
    }
    if arguments.build {
        println!("{}", report::line(&build::clean_release()?));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match arguments() {
        Ok(Some(arguments)) => run(arguments).await,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
