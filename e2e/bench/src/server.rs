//! The server under load: its process, and what the kernel says that it has spent.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::client::{Operation, Protocol, Target};

pub const TOKEN: &str = "bench-token";

/// What Linux tells user space of, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// A server that takes longer to answer is not waited for.
const START_MAX: Duration = Duration::from_secs(60);

pub struct Server {
    process: Child,
    folder: TempDir,
    /// From the start of the process to the first 200 of /readyz.
    pub cold_start: Duration,
}

impl Server {
    /// Starts a server on an empty folder and waits until it is ready.
    pub async fn start(binary: &Path) -> Result<Server> {
        let folder = tempfile::Builder::new().prefix("corten-bench-").tempdir()?;
        let tokens = folder.path().join("tokens.csv");
        std::fs::write(&tokens, format!("{TOKEN},bench,bench,system:masters\n"))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(binary);
        command
            .args(["server", "--components", "apiserver", "--bind-address", "127.0.0.1"])
            .args(["--secure-port", &port.to_string()])
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--write-kubeconfig")
            .arg(folder.path().join("kubeconfig"))
            .arg("--token-auth-file")
            .arg(&tokens)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let started = Instant::now();
        let process = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        let mut server = Server { process, folder, cold_start: Duration::ZERO };
        server.wait_until_ready(started).await.with_context(|| server.log())?;
        server.cold_start = started.elapsed();
        Ok(server)
    }

    async fn wait_until_ready(&mut self, started: Instant) -> Result<()> {
        while started.elapsed() < START_MAX {
            if let Some(status) = self.process.try_wait()? {
                bail!("the server ended: {status}");
            }
            if self.is_ready().await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("the server is not ready after {START_MAX:?}")
    }

    async fn is_ready(&self) -> bool {
        let Ok(target) = self.target(Protocol::Http1) else { return false };
        let Ok(mut connection) = target.connect().await else { return false };
        connection.fetch(Operation::get("/readyz")).await.is_ok()
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn target(&self, protocol: Protocol) -> Result<Target> {
        Target::read(&self.kubeconfig(), TOKEN, protocol)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// CPU time that the process has spent so far.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The name of the process, in brackets, may hold anything; user and system time are the 12th and 13th behind it.
        let fields = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
        let ticks: u32 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse().unwrap_or(0u32)).sum();
        Ok(TICK * ticks)
    }

    /// Memory that is resident now, and the most that has been, in MiB.
    pub fn memory(&self) -> Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
            kib.map(|kib| kib / 1024.0).with_context(|| format!("{name} in /proc/PID/status"))
        };
        Ok((of("VmRSS:")?, of("VmHWM:")?))
    }

    /// Tells the server to stop and waits for its end, so that one server never loads the machine of the next.
    pub fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.process.wait()?;
        anyhow::ensure!(status.success(), "the server ended: {status}\n{}", self.log());
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
