//! Limits: bodies as large as they may be, sent to the release binary. Seconds, memory, and how another connection is
//! served meanwhile.

use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::body;
use crate::case::Case;
use crate::client::{NO_ANSWER, Sender};
use crate::grow::Size;
use crate::meter::{Cost, Meter};
use crate::record::Record;
use crate::run;
use crate::setup;
use crate::target::Target;

const WALL_MAX: Duration = Duration::from_secs(2);
const MEMORY_MAX: u64 = 300 << 20;
const LIVEZ_MAX: Duration = Duration::from_millis(200);
/// What exceeds a limit is sent again so often, since others may use this machine.
const REPEATS: usize = 2;
/// But not where it took so long that no other program can be the cause.
const HOPELESS: Duration = Duration::from_secs(10);

/// An object may have 1.5 MB when it is stored.
const OBJECT: usize = 1_400_000;

#[derive(Debug, Clone)]
pub struct Measured {
    pub name: String,
    pub bytes: usize,
    pub cost: Cost,
    answered: bool,
}

impl Measured {
    fn complaint(&self) -> Option<String> {
        let Measured { name, bytes, cost, answered } = self;
        let told = |what: String| Some(format!("{name} ({} KiB): {what}", bytes / 1024));
        if !answered {
            return told(format!("no answer for {:.0} s", cost.wall.as_secs_f64()));
        }
        if cost.wall > WALL_MAX {
            return told(format!("{:.1} s", cost.wall.as_secs_f64()));
        }
        if cost.memory > MEMORY_MAX {
            return told(format!("{} MB more memory", cost.memory >> 20));
        }
        if cost.livez > LIVEZ_MAX {
            return told(format!("{} ms for /livez on another connection", cost.livez.as_millis()));
        }
        None
    }
}

#[derive(Debug, Default)]
pub struct Findings {
    pub all: Vec<Measured>,
    pub exceeded: Vec<String>,
    pub differences: Vec<String>,
}

/// The largest body that a case sends.
pub fn size(case: &Case<'_>) -> Size {
    let bytes = if case.form.stores() { OBJECT } else { body::BODY_MAX - 1024 };
    Size { bytes, largest: bytes }
}

/// Sends each case to a server of its own, which is started anew where it has not answered.
pub async fn check(
    targets: &[Target],
    cases: &[Case<'_>],
    record: &Record,
    told: &dyn Fn(usize, &str),
) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut bench = Bench::start(targets).await?;
    for (i, case) in cases.iter().enumerate() {
        told(i, &case.to_string());
        let mut outcomes = bench.run(case).await?;
        findings.differences.extend(record.differences(case, size(case).bytes, &outcomes));
        for _ in 0..REPEATS {
            let hopeless = outcomes.iter().any(|outcome| outcome.cost.wall > HOPELESS) || !run::answered(&outcomes);
            if hopeless || measured(case, &outcomes).all(|measured| measured.complaint().is_none()) {
                break;
            }
            for (outcome, again) in outcomes.iter_mut().zip(bench.run(case).await?) {
                outcome.cost = outcome.cost.least(again.cost);
            }
        }
        findings.exceeded.extend(measured(case, &outcomes).filter_map(|measured| measured.complaint()));
        findings.all.extend(measured(case, &outcomes));
        if !run::answered(&outcomes) {
            bench.end()?;
            bench = Bench::start(targets).await?;
        }
    }
    Ok(findings)
}

/// The release binary with a folder and a port of its own, prepared.
struct Bench {
    server: corten_e2e::Server,
    sender: Sender,
    meter: Process,
}

impl Bench {
    async fn start(targets: &[Target]) -> Result<Bench> {
        let mut server = corten_e2e::Server::with(corten_e2e::Options::default()).await?;
        let sender = Sender::new(server.kubeconfig()).await?;
        setup::prepare(&sender, targets).await?;
        let meter = Process::new(server.process()?.id(), server.kubeconfig().to_owned())?;
        Ok(Bench { server, sender, meter })
    }

    async fn run(&mut self, case: &Case<'_>) -> Result<Vec<run::Outcome>> {
        run::run(case, size(case), &self.sender, &mut self.meter).await
    }

    /// Without waiting for what it still computes.
    fn end(mut self) -> Result<()> {
        self.server.process()?.kill()
    }
}

fn measured<'a>(case: &'a Case<'_>, outcomes: &'a [run::Outcome]) -> impl Iterator<Item = Measured> + 'a {
    outcomes.iter().map(move |outcome| {
        let name = format!("{case}, {}: {} {}", outcome.step, outcome.answer.code, outcome.answer.reason);
        Measured { name, bytes: outcome.bytes, cost: outcome.cost, answered: outcome.answer.code != NO_ANSWER }
    })
}

/// Measures a server in another process, through /proc and a second connection.
pub struct Process {
    folder: PathBuf,
    livez: Livez,
    began: Instant,
    cpu: Duration,
    memory: u64,
}

impl Process {
    pub fn new(id: u32, kubeconfig: PathBuf) -> Result<Process> {
        let folder = PathBuf::from(format!("/proc/{id}"));
        let livez = Livez::start(kubeconfig)?;
        Ok(Process { folder, livez, began: Instant::now(), cpu: Duration::ZERO, memory: 0 })
    }

    /// A line of /proc/ID/status, in bytes.
    fn status(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(self.folder.join("status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// Time on a processor, of all threads that live.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(self.folder.join("task")).into_iter().flatten().flatten();
        let spent = |path: PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0)
        };
        Duration::from_nanos(tasks.map(|task| spent(task.path().join("schedstat"))).sum())
    }
}

impl Meter for Process {
    fn begin(&mut self) {
        // Has the kernel forget the peak of memory so far.
        let _ = std::fs::write(self.folder.join("clear_refs"), "5");
        self.memory = self.status("VmRSS");
        self.cpu = self.cpu();
        self.began = Instant::now();
    }

    fn end(&mut self) -> Cost {
        Cost {
            wall: self.began.elapsed(),
            livez: self.livez.percentile_since(self.began),
            cpu: self.cpu().saturating_sub(self.cpu),
            memory: self.status("VmHWM").saturating_sub(self.memory),
            ..Cost::default()
        }
    }
}

/// Another connection that asks for /livez all the time.
struct Livez {
    asked: Arc<Mutex<Asked>>,
    _stop: mpsc::Sender<()>,
}

#[derive(Default)]
struct Asked {
    answers: Vec<(Instant, Duration)>,
    /// Since when an answer is waited for.
    waiting: Option<Instant>,
}

const PAUSE: Duration = Duration::from_millis(2);

impl Livez {
    fn start(kubeconfig: PathBuf) -> Result<Livez> {
        let asked = Arc::new(Mutex::new(Asked::default()));
        let (stop, stopped) = mpsc::channel();
        let shared = Arc::clone(&asked);
        std::thread::Builder::new().name("livez".into()).spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let client = runtime.block_on(Sender::new(&kubeconfig))?;
            while stopped.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                runtime.block_on(ask(&client, &shared))?;
            }
            Ok(())
        })?;
        Ok(Livez { asked, _stop: stop })
    }

    /// The 99th percentile of how long a request had to wait that was sent at any time since then. One that takes long
    /// stands for those that would have been sent meanwhile.
    fn percentile_since(&self, began: Instant) -> Duration {
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let waiting = asked.waiting.map(|since| (since, now - since));
        let mut waits = Vec::new();
        for (since, wait) in asked.answers.drain(..).chain(waiting) {
            let end = since + wait;
            let mut at = since.max(began);
            while at < end {
                waits.push(end - at);
                at += PAUSE;
            }
        }
        waits.sort_unstable();
        waits.get(waits.len() * 99 / 100).copied().unwrap_or_default()
    }
}

async fn ask(client: &Sender, shared: &Mutex<Asked>) -> Result<()> {
    let lock = || shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let since = Instant::now();
    lock().waiting = Some(since);
    let livez = client.get("/livez").await;
    {
        let mut asked = lock();
        asked.waiting = None;
        asked.answers.push((since, since.elapsed()));
    }
    anyhow::ensure!(livez.code == 200, "/livez: {} {}", livez.code, livez.message);
    tokio::time::sleep(PAUSE).await;
    Ok(())
}
