//! A real server of a test's own.

use crate::poll::eventually;
use crate::process::{Process, free_port};
use anyhow::Context;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Where the server keeps its objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Engine {
    #[default]
    Embedded,
    /// The URLs of an etcd.
    Etcd(String),
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub engine: Engine,
    /// Further flags of `corten server`.
    pub flags: Vec<String>,
    /// A command that starts the server, instead of starting it plainly: `nsenter` and its arguments, say.
    pub starter: Vec<String>,
}

/// A running API server, or the cluster that `CORTEN_E2E_KUBECONFIG` names.
pub struct Server {
    kubeconfig: PathBuf,
    own: Option<Own>,
}

struct Own {
    process: Process,
    folder: TempDir,
    port: u16,
    options: Options,
}

impl Server {
    /// A cluster for tests of behaviour.
    pub async fn start() -> anyhow::Result<Server> {
        match std::env::var_os("CORTEN_E2E_KUBECONFIG") {
            Some(file) => Ok(Server { kubeconfig: file.into(), own: None }),
            None => Server::with(Options::default()).await,
        }
    }

    /// A server of the test's own in any case, for what needs its data, its process or its flags.
    pub async fn with(options: Options) -> anyhow::Result<Server> {
        let folder = tempfile::Builder::new().prefix("corten-e2e-").tempdir()?;
        let port = free_port()?;
        let process = launch(folder.path(), port, &options)?;
        let kubeconfig = folder.path().join("admin.kubeconfig");
        let mut server = Server { kubeconfig, own: Some(Own { process, folder, port, options }) };
        server.ready().await?;
        Ok(server)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client with the administrator's identity.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::try_from(self.config().await?)?)
    }

    /// The administrator's client configuration, for tests that change something in it.
    pub async fn config(&self) -> anyhow::Result<kube::Config> {
        let file = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        // A test is to see each answer, not the last of several.
        config.default_retry = false;
        Ok(config)
    }

    /// The server's data folder.
    pub fn data(&self) -> anyhow::Result<PathBuf> {
        Ok(self.own()?.folder.path().join("data"))
    }

    /// What the server has logged.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(self.own()?.process.log())
    }

    pub fn process(&mut self) -> anyhow::Result<&mut Process> {
        Ok(&mut self.own.as_mut().context(NOT_OURS)?.process)
    }

    /// Kills the server as a power cut would, and starts it again on the same data and port.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.process()?.kill()?;
        self.relaunch().await
    }

    /// Stops the server in order, and starts it again on the same data and port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let status = self.process()?.stop()?;
        anyhow::ensure!(status.success(), "the server stopped with {status}:\n{}", self.process()?.log_tail());
        self.relaunch().await
    }

    /// Starts the killed or stopped server again, on the same data and port.
    pub async fn relaunch(&mut self) -> anyhow::Result<()> {
        let own = self.own.as_mut().context(NOT_OURS)?;
        own.process = launch(own.folder.path(), own.port, &own.options)?;
        self.ready().await
    }

    fn own(&self) -> anyhow::Result<&Own> {
        self.own.as_ref().context(NOT_OURS)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let (kubeconfig, own) = (&self.kubeconfig, self.own.as_mut().context(NOT_OURS)?);
        eventually("the server's port and kubeconfig", async || {
            own.still_runs()?;
            Ok((kubeconfig.exists() && TcpStream::connect(("127.0.0.1", own.port)).is_ok()).then_some(()))
        })
        .await
        .with_context(|| own_log(&self.own))?;
        let client = self.client().await?;
        let own = self.own.as_mut().context(NOT_OURS)?;
        eventually("/readyz", async || {
            own.still_runs()?;
            let ready = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(ready).await.ok())
        })
        .await
        .with_context(|| own_log(&self.own))?;
        Ok(())
    }
}

const NOT_OURS: &str = "this test needs a server of its own: unset CORTEN_E2E_KUBECONFIG or use Server::with";

impl Own {
    fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.process.ended()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the server ended with {status}:\n{}", self.process.log_tail()),
        }
    }
}

fn own_log(own: &Option<Own>) -> String {
    own.as_ref().map(|own| own.process.log_tail()).unwrap_or_default()
}

fn launch(folder: &Path, port: u16, options: &Options) -> anyhow::Result<Process> {
    let show = |path: PathBuf| path.display().to_string();
    let mut args: Vec<String> =
        ["server", "--components", "apiserver", "--bind-address", "127.0.0.1"].map(Into::into).into();
    args.extend(["--secure-port".to_owned(), port.to_string()]);
    args.extend(["--data-dir".to_owned(), show(folder.join("data"))]);
    args.extend(["--write-kubeconfig".to_owned(), show(folder.join("admin.kubeconfig"))]);
    if let Engine::Etcd(url) = &options.engine {
        args.extend(["--datastore".to_owned(), url.clone()]);
    }
    args.extend(options.flags.iter().cloned());
    let binary = binary()?;
    let Some((starter, before)) = options.starter.split_first() else {
        return Process::start("server", &binary, &args, folder);
    };
    let args = [before, &[show(binary)], &args].concat();
    Process::start("server", Path::new(starter), &args, folder)
}

/// The server's binary: `CORTEN_BIN`, or the one that cargo builds beside this test, brought up to date once.
pub fn binary() -> anyhow::Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn build() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("CORTEN_BIN") {
        return Ok(path.into());
    }
    // A test program lies in target/PROFILE/deps, the binary in target/PROFILE.
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).context("where cargo puts its output")?;
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bin", "corten", "--target-dir"]);
    cargo.arg(profile.parent().context("the target folder")?).current_dir(crate::workspace());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo tells a test of its package would be told to build scripts too, which then run anew for nothing.
    let of_this_package =
        |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|p| name.starts_with(p));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        cargo.env_remove(name);
    }
    let status = cargo.status().context("running cargo to build the server")?;
    anyhow::ensure!(status.success(), "the server does not build");
    Ok(profile.join("corten"))
}
