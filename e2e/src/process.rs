//! Child processes that never outlive their test.
//!
//! A [`Process`] is ended by its own id when it is dropped: asked first, killed after a while. Should the test program
//! itself be killed, the kernel ends its children: they are started by one thread that lives as long as the program does,
//! because the parent-death signal follows the thread, not the process.

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(20);

pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to `NAME.log` in `folder`.
    pub fn start(name: &str, program: &Path, args: &[String], folder: &Path) -> anyhow::Result<Process> {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let mut command = dying_with_us(program);
        command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = spawn(command).with_context(|| format!("starting {}", program.display()))?;
        Ok(Process { child, name: name.to_owned(), log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of its output, for error messages.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Its exit status, if it has ended by itself.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to stop and waits for the end; an error if it does not stop within the grace period.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM);
        match self.wait(GRACE)? {
            Some(status) => Ok(status),
            None => anyhow::bail!("{} did not stop within {}s:\n{}", self.name, GRACE.as_secs(), self.log_tail()),
        }
    }

    /// Ends it with no chance to tidy up, as a power cut would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL);
        self.child.wait()?;
        Ok(())
    }

    /// Waits for the end, at most `limit` long.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if start.elapsed() > limit {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&mut self, signal: Signal) {
        // The id is ours until the child has been waited for, so that no stranger can be hit.
        if let (Ok(None), Ok(id)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            let _ = Pid::from_raw(id).map(|pid| kill_process(pid, signal));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop().is_err() {
            let _ = self.kill();
        }
    }
}

/// A port that nobody listened on a moment ago, and that no connection takes for its own end: a server that was killed
/// has to find it free again.
pub fn free_port() -> anyhow::Result<u16> {
    // From another place in each program, as several may look at once.
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(97)));
    let (first, count) = (10_240, ephemeral_begin().saturating_sub(10_240).max(1));
    for _ in 0..count {
        let port = u16::try_from(first + NEXT.fetch_add(1, Ordering::Relaxed) % count)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free between {first} and {}", first + count)
}

/// The first of the ports that the kernel gives to connections.
fn ephemeral_begin() -> u32 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|begin| begin.parse().ok()).unwrap_or(32_768)
}

fn dying_with_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

type Request = (Command, mpsc::Sender<std::io::Result<Child>>);

fn spawn(command: Command) -> anyhow::Result<Child> {
    static SPAWNER: LazyLock<mpsc::Sender<Request>> = LazyLock::new(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    SPAWNER.send((command, answer))?;
    Ok(child.recv()??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::test_kill_process;

    fn alive(id: u32) -> bool {
        Pid::from_raw(id as i32).is_some_and(|pid| test_kill_process(pid).is_ok())
    }

    #[test]
    fn a_dropped_process_is_gone_even_if_it_ignores_the_request() {
        let folder = tempfile::tempdir().expect("folder");
        let args = ["-c".to_owned(), "echo up; sleep 1000".to_owned()];
        let process = Process::start("sleeper", Path::new("/bin/sh"), &args, folder.path()).expect("start");
        let id = process.id();
        assert!(alive(id));
        drop(process);
        assert!(!alive(id));
    }

    #[test]
    fn output_and_exit_status_are_kept() {
        let folder = tempfile::tempdir().expect("folder");
        let args = ["-c".to_owned(), "echo one; echo two >&2; exit 3".to_owned()];
        let mut process = Process::start("brief", Path::new("/bin/sh"), &args, folder.path()).expect("start");
        let status = process.wait(GRACE).expect("wait").expect("ends");
        assert_eq!(status.code(), Some(3));
        assert_eq!(process.log(), "one\ntwo\n");
    }
}
