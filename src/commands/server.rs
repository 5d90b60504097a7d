//! `corten server`: the components of a cluster in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use corten_apiserver::server::{self, Config, Datastore, Limits, Running};
use corten_config::features::FeatureGates;
use corten_config::flags::{Arguments, Command, Flag, Flags, Section};
use corten_runtime::logs;
use corten_runtime::tasks::{OnFailure, Scope};
use tokio::signal::unix::{SignalKind, signal};

use super::{data_dir, end, parse};
use crate::kubeconfig::{self, Kubeconfigs};
use crate::milestones::Milestones;

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
                Flag::list(
                    "components",
                    "apiserver,controllers,scheduler,node",
                    "`COMPONENTS` to run. So far there is apiserver; by default those that are missing are told.",
                )
                .check(components),
                Flag::string(
                    "write-kubeconfig",
                    "",
                    "`FILE` for the administrator's kubeconfig; by default it is the context corten in the user's own.",
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
                Flag::int(
                    "max-requests-inflight",
                    "400",
                    "How many requests that read are answered at the same time, but for watches; 0 is no limit.",
                )
                .check(limit),
                Flag::int(
                    "max-mutating-requests-inflight",
                    "200",
                    "How many requests that write are answered at the same time; 0 is no limit.",
                )
                .check(limit),
                Flag::bool_map(
                    "feature-gates",
                    "",
                    "`GATES` of Kubernetes, name=true|false; what cannot be switched here is an error.",
                ),
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

fn port(value: &str) -> Result<(), String> {
    value.parse::<u16>().map(drop).map_err(|_| "is not a port, 0 to 65535".to_owned())
}

fn limit(value: &str) -> Result<(), String> {
    value.parse::<u32>().map(drop).map_err(|_| "is not a number of requests, 0 or more".to_owned())
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
    let flags = match parse(&COMMAND, arguments) {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // By itself the runtime looks ever less often for what other threads wake, the shorter its turns are: commits would
    // wait behind a crowd of requests.
    builder.enable_all().global_queue_interval(61).thread_stack_size(server::STACK);
    let runtime = builder.build();
    let result = runtime.context("start the runtime").and_then(|runtime| runtime.block_on(run(&flags)));
    end(result.map(|()| ExitCode::SUCCESS))
}

async fn run(flags: &Flags) -> Result<()> {
    let milestones = Milestones::begin();
    let format = if flags.string("log-format") == "json" { logs::Format::Json } else { logs::Format::Text };
    logs::init(flags.int("v").clamp(0, 10) as u32, format).context("set up the log")?;
    let missing = missing_components(flags)?;
    let config = config(flags)?;
    kubeconfig::check(flags.string("write-kubeconfig"))?;
    say_where(&config, milestones);
    let scope = Scope::root("server");
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let say = |milestone: &str| milestones.say(milestone);
    let running = tokio::select! {
        running = server::start(&config, &scope, &say) => running?,
        failure = scope.failed() => bail!("{}: {}", failure.task, failure.error),
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    say_ready(&running, milestones);
    if !missing.is_empty() {
        milestones.say(&format!("not built yet, so not running: {}; nothing starts a pod", missing.join(", ")));
    }
    let outcome = match write_kubeconfigs(flags.string("write-kubeconfig"), &config, &running, milestones, &scope) {
        Ok(kubectl) => {
            println!("\nNext:  {kubectl} get namespaces\nCtrl-C stops the server; what it keeps stays.");
            tokio::select! {
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
                failure = scope.failed() => Err(anyhow::anyhow!("{}: {}", failure.task, failure.error)),
            }
        }
        Err(error) => Err(error),
    };
    if outcome.is_ok() {
        println!("Stopping.");
    }
    if let Err(remaining) = scope.shutdown(SHUTDOWN).await {
        tracing::warn!(tasks = ?remaining.0, "not everything has left in time");
    }
    outcome.and(running.close().await)
}

fn say_ready(running: &Running, milestones: Milestones) {
    if running.lacking.is_empty() {
        return milestones.say(&format!("API server ready on https://{}", running.address));
    }
    milestones.say(&format!(
        "API server answers on https://{}, but is not ready: it could not make {}, and goes on trying",
        running.address,
        running.lacking.join(", ")
    ));
}

/// Writes them, and has them kept up with the administrator's certificate. Returns how kubectl is to be called.
fn write_kubeconfigs(
    given: &str,
    config: &Config,
    running: &Running,
    milestones: Milestones,
    scope: &Scope,
) -> Result<String> {
    let kubeconfigs = Kubeconfigs::new(given, &config.data_dir);
    let mut access = running.admin_access()?;
    let kubectl = kubeconfigs.write(given, &access.current(), milestones)?;
    let clock = running.api.clock.clone();
    scope.spawn("kubeconfigs", OnFailure::Log, move |token| kubeconfigs.keep_renewed(access, clock, token));
    Ok(kubectl)
}

/// Of the components that are to run, those that do not exist. Naming one of them is an error.
fn missing_components(flags: &Flags) -> Result<Vec<String>> {
    let wanted = flags.list("components");
    let missing: Vec<String> = wanted.iter().filter(|name| *name != "apiserver").cloned().collect();
    if flags.is_set("components") && !missing.is_empty() {
        bail!("--components {}: not built yet: {}; so far there is apiserver", wanted.join(","), missing.join(", "));
    }
    Ok(missing)
}

fn say_where(config: &Config, milestones: Milestones) {
    if !rustix::process::geteuid().is_root() {
        milestones.say("not root, so the control plane only");
    }
    milestones.say(&format!("data folder: {}", config.data_dir.display()));
}

fn config(flags: &Flags) -> Result<Config> {
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
    let requests_in_flight = Limits {
        reads: flags.int("max-requests-inflight") as usize,
        writes: flags.int("max-mutating-requests-inflight") as usize,
    };
    Ok(Config {
        data_dir: data_dir(flags),
        listen: SocketAddr::new(address, flags.int("secure-port") as u16),
        datastore,
        token_auth_file,
        service_ranges,
        advertise_address: flags.ip("advertise-address"),
        feature_gates: FeatureGates::parse(&flags.bool_map("feature-gates"))
            .map_err(|error| anyhow::anyhow!("--feature-gates: {error}"))?,
        requests_in_flight,
        request_bytes_max: server::REQUEST_BYTES_MAX,
    })
}

fn service_ranges(value: &str) -> Result<(), String> {
    server::service_ranges(value).map(drop)
}
