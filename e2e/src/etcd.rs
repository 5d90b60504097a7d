//! An etcd of a test's own.

use crate::poll::eventually;
use crate::process::{Process, free_port};
use std::net::TcpStream;
use std::path::Path;
use tempfile::TempDir;

/// One member on loopback, in a folder that goes with it.
pub struct Etcd {
    process: Process,
    folder: TempDir,
    port: u16,
}

impl Etcd {
    pub async fn start() -> anyhow::Result<Etcd> {
        let folder = tempfile::Builder::new().prefix("corten-etcd-").tempdir()?;
        let (port, peer) = (free_port()?, free_port()?);
        let process = launch(folder.path(), port, peer)?;
        let mut etcd = Etcd { process, folder, port };
        etcd.ready().await?;
        Ok(etcd)
    }

    /// What `--datastore` takes.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it without warning and starts it again on the same data and port.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.relaunch().await
    }

    /// Kills it without warning.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Starts the killed one again, on the same data and port.
    pub async fn relaunch(&mut self) -> anyhow::Result<()> {
        self.process = launch(self.folder.path(), self.port, free_port()?)?;
        self.ready().await
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        eventually("etcd to listen", async || {
            if self.process.ended()?.is_some() {
                anyhow::bail!("etcd ended:\n{}", self.process.log_tail());
            }
            Ok(TcpStream::connect(("127.0.0.1", self.port)).ok())
        })
        .await?;
        Ok(())
    }
}

fn launch(folder: &Path, port: u16, peer: u16) -> anyhow::Result<Process> {
    let Some(program) = find_in_path("etcd") else {
        anyhow::bail!("etcd is not installed: Debian's package is etcd-server (scripts/install-etcd.sh installs it)");
    };
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
    let data = folder.join("data").display().to_string();
    let args = [
        ["--name", "e2e"],
        ["--data-dir", &data],
        ["--listen-client-urls", &client],
        ["--advertise-client-urls", &client],
        ["--listen-peer-urls", &peer],
        ["--initial-advertise-peer-urls", &peer],
        ["--initial-cluster", &format!("e2e={peer}")],
    ];
    Process::start("etcd", &program, &args.concat().iter().map(|s| s.to_string()).collect::<Vec<_>>(), folder)
}

fn find_in_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
