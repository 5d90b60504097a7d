//! A server in this process, on threads of its own and a port of loopback, as the binary starts it.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use corten_apiserver::server::{self, Config, Datastore, Limits};
use corten_config::features::FeatureGates;
use corten_pki::kubeconfig;
use corten_runtime::tasks::{CancellationToken, Scope};
use tempfile::TempDir;

/// As the binary's threads have it.
const STACK: usize = 128 << 20;
const SHUTDOWN: Duration = Duration::from_secs(20);

pub struct Server {
    folder: TempDir,
    stop: CancellationToken,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Server {
    /// Starts it, and returns when it is ready.
    pub fn start() -> Result<Server> {
        let folder = tempfile::Builder::new().prefix("corten-hostile-").tempdir()?;
        let (stop, file) = (CancellationToken::new(), folder.path().join("admin.kubeconfig"));
        let config = Config {
            data_dir: folder.path().join("data"),
            listen: ([127, 0, 0, 1], 0).into(),
            datastore: Datastore::Embedded,
            token_auth_file: None,
            service_ranges: server::service_ranges("10.96.0.0/16").map_err(anyhow::Error::msg)?,
            advertise_address: None,
            feature_gates: FeatureGates::parse::<&str>(&[]).map_err(anyhow::Error::msg)?,
            requests_in_flight: Limits::default(),
            request_bytes_max: server::REQUEST_BYTES_MAX,
        };
        let (ready, is_ready) = mpsc::channel();
        let token = stop.clone();
        let thread = std::thread::Builder::new().name("server".into()).spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.enable_all().thread_stack_size(STACK).build()?.block_on(run(config, file, token, ready))
        })?;
        let server = Server { folder, stop, thread: Some(thread) };
        match is_ready.recv() {
            Ok(()) => Ok(server),
            Err(_) => Err(server.end().err().unwrap_or_else(|| anyhow!("the server has ended"))),
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// Stops it, and returns when it has ended.
    pub fn stop(self) -> Result<()> {
        self.end()
    }

    fn end(mut self) -> Result<()> {
        self.stop.cancel();
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| anyhow!("the server panicked"))?
    }
}

async fn run(config: Config, file: PathBuf, stop: CancellationToken, ready: mpsc::Sender<()>) -> Result<()> {
    let scope = Scope::root("server");
    let running = server::start(&config, &scope, &|_| {}).await?;
    kubeconfig::write(&file, "corten", &running.admin_access()?.current())?;
    ready.send(()).context("nobody waits for the server")?;
    let failure = tokio::select! {
        () = stop.cancelled() => None,
        failure = scope.failed() => Some(anyhow!("{}: {}", failure.task, failure.error)),
    };
    // What has not left by then is not waited for.
    let _ = scope.shutdown(SHUTDOWN).await;
    running.close().await?;
    failure.map_or(Ok(()), Err)
}
