//! `corten server`: the components of a cluster in one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use corten_apiserver::server::{self, Config, Datastore, Running, default_data_dir};
use corten_config::flags::{Arguments, Command, Flag, Flags, Section};
use corten_pki::kubeconfig;
use corten_runtime::logs;
use corten_runtime::tasks::Scope;
use tokio::signal::unix::{SignalKind, signal};

const COMMAND: Command = Command {
    name: "corten server",
    usage: "[flags]",
    about: "Runs a server in the foreground until it is told to stop.",
    arguments: Arguments::None,
    sections: &[
        Section {
            title: "Server",
            flags: &[
                Flag::string(
                    "data-dir",
                    "",
                    "`FOLDER` in which everything is kept (default /var/lib/corten for root, else below the home folder).",
                ),
                Flag::ip("bind-address", "0.0.0.0", "`ADDRESS` to listen on."),
                Flag::int("secure-port", "6443", "`PORT` to listen on; 0 picks a free one.").check(port),
                Flag::string(
                    "datastore",
                    "embedded",
                    "Where objects are kept: embedded, or the `URLS` of an etcd, with commas between.",
                ),
                Flag::list("components", "apiserver,controllers,scheduler,node", "`COMPONENTS` to run.")
                    .check(components),
                Flag::string(
                    "write-kubeconfig",
                    "",
                    "`FILE` for the administrator's kubeconfig, instead of the user's own.",
                ),
                Flag::list(
                    "service-cluster-ip-range",
                    "10.96.0.0/16",
                    "`RANGE` of the addresses of services; two with a comma between for both families.",
                )
                .check(service_ranges),
                Flag::ip(
                    "advertise-address",
                    "",
                    "`ADDRESS` by which others reach this server (default: the one it listens on, or this machine's).",
                ),
                Flag::string("token-auth-file", "", "`FILE` of static tokens, as kube-apiserver takes it."),
            ],
        },
        Section {
            title: "Logs",
            flags: &[
                Flag::int("v", "0", "How much is logged, from 0 to 10.").short('v'),
                Flag::choice("log-format", &["text", "json"], "text", "`FORMAT` of the log."),
            ],
        },
    ],
};

/// Connections that are open are given so long to finish.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// Objects are walked by recursion. It takes as many levels as are decoded, with room for what runs around it; what is
/// not used of it costs no memory.
const STACK: usize = 128 << 20;

fn port(value: &str) -> Result<(), String> {
    value.parse::<u16>().map(drop).map_err(|_| "is not a port, 0 to 65535".to_owned())
}

const COMPONENTS: [&str; 4] = ["apiserver", "controllers", "scheduler", "node"];

fn components(value: &str) -> Result<(), String> {
    for name in value.split(',') {
        if !COMPONENTS.contains(&name) {
            return Err(format!("{name:?} is no component; there are {}", COMPONENTS.join(", ")));
        }
    }
    Ok(())
}

pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let flags = match COMMAND.parse(arguments) {
        Ok(flags) => flags,
        Err(error) => {
            let code = error.exit_code();
            if code == 0 {
                print!("{error}")
            } else {
                eprintln!("{error}")
            }
            return ExitCode::from(code as u8);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let result = runtime.context("start the runtime").and_then(|runtime| runtime.block_on(run(&flags)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: &Flags) -> Result<()> {
    let started = Instant::now();
    let format = if flags.string("log-format") == "json" { logs::Format::Json } else { logs::Format::Text };
    logs::init(flags.int("v").clamp(0, 10) as u32, format).context("set up the log")?;
    let wanted = flags.list("components");
    if !wanted.iter().any(|name| name == "apiserver") {
        bail!("only the apiserver is built so far: --components must name it");
    }
    let config = config(flags)?;
    let scope = Scope::root("server");
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let running = tokio::select! {
        running = server::start(&config, &scope) => running?,
        failure = scope.failed() => bail!("{}: {}", failure.task, failure.error),
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    say(started, &format!("API server ready on https://{}", running.address));
    for name in wanted.iter().filter(|name| *name != "apiserver") {
        say(started, &format!("{name}: not built yet, so not running"));
    }
    let kubeconfig = write_kubeconfig(flags, &config, &running)?;
    say(started, &format!("kubeconfig: {}", kubeconfig.display()));
    println!("\nTry:  kubectl --kubeconfig {} get namespaces\nCtrl-C stops the server.", kubeconfig.display());

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        failure = scope.failed() => {
            let _ = scope.shutdown(SHUTDOWN).await;
            running.close().await?;
            bail!("{}: {}", failure.task, failure.error);
        }
    }
    println!("Stopping.");
    if let Err(remaining) = scope.shutdown(SHUTDOWN).await {
        tracing::warn!(tasks = ?remaining.0, "not everything has left in time");
    }
    running.close().await
}

fn say(started: Instant, milestone: &str) {
    println!("[{:>6.3}s] {milestone}", started.elapsed().as_secs_f64());
}

fn config(flags: &Flags) -> Result<Config> {
    let data_dir = match flags.string("data-dir") {
        "" => default_data_dir(),
        given => PathBuf::from(given),
    };
    let address = flags.ip("bind-address").context("--bind-address is empty")?;
    let datastore = match flags.string("datastore") {
        "embedded" => Datastore::Embedded,
        urls if urls.starts_with("http://") || urls.starts_with("https://") => {
            Datastore::Etcd(urls.split(',').map(str::to_owned).collect())
        }
        other => bail!("--datastore {other:?} is neither \"embedded\" nor a list of http:// or https:// URLs"),
    };
    let token_auth_file = Some(flags.string("token-auth-file")).filter(|file| !file.is_empty()).map(PathBuf::from);
    let service_ranges =
        server::service_ranges(&flags.list("service-cluster-ip-range").join(",")).map_err(anyhow::Error::msg)?;
    Ok(Config {
        data_dir,
        listen: SocketAddr::new(address, flags.int("secure-port") as u16),
        datastore,
        token_auth_file,
        service_ranges,
        advertise_address: flags.ip("advertise-address"),
    })
}

fn service_ranges(value: &str) -> Result<(), String> {
    server::service_ranges(value).map(drop)
}

/// The administrator's kubeconfig: always in the data folder, and beside that where the user wants it.
fn write_kubeconfig(flags: &Flags, config: &Config, running: &Running) -> Result<PathBuf> {
    let access = running.admin_access()?;
    let own = config.data_dir.join("admin.kubeconfig");
    kubeconfig::write(&own, "corten", &access)?;
    let given = flags.string("write-kubeconfig");
    if !given.is_empty() {
        kubeconfig::write(Path::new(given), "corten", &access)?;
        return Ok(PathBuf::from(given));
    }
    let (variable, home) = (std::env::var_os("KUBECONFIG"), std::env::var_os("HOME"));
    if let Some(users) = kubeconfig::users_file(variable.as_deref(), home.as_deref().map(Path::new))
        && let Err(error) = kubeconfig::merge(&users, "corten", &access)
    {
        eprintln!("The context \"corten\" was not added to {}: {error:#}", users.display());
    }
    Ok(own)
}
