//! The `corten` binary: picks the command and wires its parts. Nothing clever.

mod commands;
mod kubeconfig;
mod milestones;

use std::path::Path;
use std::process::ExitCode;

/// Requests make and drop many small things on several threads, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "A Kubernetes cluster in one binary. Of it the API server exists so far.

Usage:
  corten COMMAND [flags]

Commands:
  server      Runs a server
  store       Checks, exports or repairs the store of a server that is not running
  version     Prints the version

Use \"corten COMMAND --help\" for more about a command.
";

/// Commands to come.
const UNBUILT: [&str; 9] =
    ["agent", "apiserver", "controllers", "scheduler", "nodeagent", "sim", "image", "token", "reset"];
/// Upstream's programs, as which this one is to behave when it is called by their names.
const UPSTREAM: [&str; 6] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubeadm"];

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let called = arguments.next().unwrap_or_default();
    if let Some(name) = upstream_name(&called) {
        return wrong(&format!("corten cannot stand in for {name} yet; so far it is a server of its own"));
    }
    match arguments.next().as_deref() {
        Some("server") => commands::server::main(arguments),
        Some("store") => commands::store::main(arguments),
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
        Some(unbuilt) if UNBUILT.contains(&unbuilt) => wrong(&format!("corten {unbuilt} is not built yet")),
        Some(other) => wrong(&format!("unknown command {other:?}")),
    }
}

fn wrong(message: &str) -> ExitCode {
    eprintln!("Error: {message}\nSee 'corten --help'.");
    ExitCode::from(2)
}

/// The program of upstream's by whose name this one was called.
fn upstream_name(called: &str) -> Option<&'static str> {
    let name = Path::new(called).file_name()?.to_str()?;
    UPSTREAM.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_upstream() {
        assert_eq!(super::upstream_name("/usr/bin/kubelet"), Some("kubelet"));
        assert_eq!(super::upstream_name("./corten"), None);
        assert_eq!(super::upstream_name(""), None);
    }
}
