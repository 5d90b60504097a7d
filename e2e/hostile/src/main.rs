//! The program: see `USAGE`, and the crate for how it works.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use corten_hostile::case::Case;
use corten_hostile::client::Sender;
use corten_hostile::grow::Size;
use corten_hostile::meter::{Cost, Meter};
use corten_hostile::record::{self, Record};
use corten_hostile::target::Target;
use corten_hostile::{growth, limits, plan, report, run, server, setup, target};

const USAGE: &str = "Sends large and crooked bodies of every kind to a server, and asserts what they may cost.

Usage:
  corten-hostile growth [flags]    compares what bodies cost with what twice the bodies cost, on a server in this process
  corten-hostile limits [flags]    sends bodies as large as may be to a server of its own (CORTEN_BIN, or what cargo built)
  corten-hostile codes  [flags]    prints what the server of --kubeconfig answers, as record.txt.gz has it
  corten-hostile list   [flags]    prints the cases

Flags:
  --only TEXT         cases whose name contains it
  --cases N           so many cases, drawn by the seed
  --seed N            1 by default; another seed pairs styles and forms otherwise, and has no record
  --rounds N          cases for each list and each map (1)
  --kib N             growth, codes: the smaller size in KiB (96)
  --limits            codes: of the largest bodies, not of the two sizes that growth compares
  --kubeconfig FILE   codes: of the server, on which nothing else may run
  --verbose           tells each case before it is sent
";

/// Half of the time limit of upstream's requests, and a little more.
const SLOW: Duration = Duration::from_secs(34);

struct Flags {
    command: String,
    only: Option<String>,
    cases: Option<usize>,
    seed: u64,
    rounds: usize,
    bytes: usize,
    limits: bool,
    kubeconfig: Option<PathBuf>,
    verbose: bool,
}

fn flags() -> Result<Option<Flags>> {
    let mut arguments = std::env::args().skip(1);
    let Some(command) = arguments.next().filter(|first| first != "--help" && first != "-h") else { return Ok(None) };
    let mut flags = Flags {
        command,
        only: None,
        cases: None,
        seed: 1,
        rounds: 1,
        bytes: 96 << 10,
        limits: false,
        kubeconfig: None,
        verbose: false,
    };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--only" => flags.only = Some(value()?),
            "--cases" => flags.cases = Some(value()?.parse()?),
            "--seed" => flags.seed = value()?.parse()?,
            "--rounds" => flags.rounds = value()?.parse()?,
            "--kib" => flags.bytes = value()?.parse::<usize>()? << 10,
            "--limits" => flags.limits = true,
            "--kubeconfig" => flags.kubeconfig = Some(value()?.into()),
            "--verbose" => flags.verbose = true,
            "--help" | "-h" => return Ok(None),
            _ => bail!("unknown flag {name}\n\n{USAGE}"),
        }
    }
    Ok(Some(flags))
}

fn cases<'t>(flags: &Flags, targets: &'t [Target]) -> Vec<Case<'t>> {
    let mut cases = plan::all(targets, flags.seed, flags.rounds);
    if let Some(only) = &flags.only {
        cases.retain(|case| case.to_string().contains(only));
    }
    match flags.cases {
        Some(count) => plan::some(cases, count, flags.seed),
        None => cases,
    }
}

async fn run(flags: &Flags) -> Result<bool> {
    let targets = target::all()?;
    let cases = cases(flags, &targets);
    let began = Instant::now();
    let told = |i: usize, name: &str| {
        if flags.verbose {
            eprintln!("{i} {:.1}s {name}", began.elapsed().as_secs_f64());
        }
    };
    match flags.command.as_str() {
        "list" => {
            cases.iter().for_each(|case| println!("{case}"));
            Ok(true)
        }
        "codes" => codes(flags, &targets, &cases, &told).await,
        "growth" => {
            let server = server::Server::start()?;
            let sender = Sender::new(&server.kubeconfig()).await?;
            setup::prepare(&sender, &targets).await?;
            let findings = growth::check(&cases, flags.bytes, &sender, &Record::read()?, &told).await?;
            if !findings.unanswered {
                server.stop()?;
            }
            println!("{} cases in {} s\n", cases.len(), began.elapsed().as_secs());
            println!("{}", report::growth(findings.all));
            Ok(verdict("grew too much", &findings.unbounded) & verdict("not upstream's answer", &findings.differences))
        }
        "limits" => {
            let findings = limits::check(&targets, &cases, &Record::read()?, &told).await?;
            println!("{} cases in {} s\n", cases.len(), began.elapsed().as_secs());
            println!("{}", report::limits(findings.all));
            Ok(verdict("beyond the limits", &findings.exceeded)
                & verdict("not upstream's answer", &findings.differences))
        }
        other => bail!("unknown command {other}\n\n{USAGE}"),
    }
}

fn verdict(what: &str, findings: &[String]) -> bool {
    if !findings.is_empty() {
        println!("{} {what}:\n  {}", findings.len(), findings.join("\n  "));
    }
    findings.is_empty()
}

async fn codes(flags: &Flags, targets: &[Target], cases: &[Case<'_>], told: &dyn Fn(usize, &str)) -> Result<bool> {
    let kubeconfig = flags.kubeconfig.as_deref().context("--kubeconfig says which server")?;
    let sender = Sender::new(kubeconfig).await?;
    setup::prepare(&sender, targets).await?;
    let mut meter = Wall(Instant::now());
    for (i, case) in cases.iter().enumerate() {
        told(i, &case.to_string());
        let largest = 2 * flags.bytes;
        let sizes = match flags.limits {
            true => vec![limits::size(case)],
            false => [flags.bytes, largest].map(|bytes| Size { bytes, largest }).to_vec(),
        };
        for size in sizes {
            match run::run(case, size, &sender, &mut meter).await {
                Ok(outcomes) => println!("{}", record::line(case, size.bytes, &outcomes, SLOW)),
                Err(error) => eprintln!("{case}: {error:#}"),
            }
        }
    }
    Ok(true)
}

/// Time alone.
struct Wall(Instant);

impl Meter for Wall {
    fn begin(&mut self) {
        self.0 = Instant::now();
    }

    fn end(&mut self) -> Cost {
        Cost { wall: self.0.elapsed(), ..Cost::default() }
    }
}

fn main() -> ExitCode {
    let result = flags().and_then(|flags| {
        let Some(flags) = flags else {
            print!("{USAGE}");
            return Ok(true);
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(&flags))
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
