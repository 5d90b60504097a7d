//! Random requests at random interleavings, and what must hold whatever they are.
//!
//! A sequence is some 10 to 40 requests of a few clients to one server or to two on one store; a seed makes a few, one
//! after the other, since servers take longer to start than a sequence takes. It runs on one thread,
//! where every call of the store waits at a gate and every server's watch is held, and a schedule drawn from the seed
//! lets one of them go on at a time; clients go away in the middle, and in some sequences calls of the store fail. So a
//! seed makes the same sequences each time. What happened is known from the engine itself (`timeline`), and each answer
//! (`judge`), each watch (`follower`) and the state at the end (`rest`) are held against that.
//!
//! `CORTEN_SEQUENCES=100000` runs more of them, `CORTEN_SEED=7` begins with that seed (with `CORTEN_SEQUENCES=1`: only
//! its own). A seed that fails is run again with a history, and without the requests that it fails without.

mod follower;
mod gates;
mod judge;
mod kinds;
mod requests;
mod rest;
mod sequence;
mod timeline;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use self::sequence::{Finding, Plan, Sequence};

/// How many sequences a test is content with.
const FEW: u64 = 320;
/// How many sequences follow each other on the servers of one seed.
const ROUNDS: u64 = 16;
/// How many seeds are told for each check that fails.
const EXAMPLES: usize = 4;
/// A long run says how far it is after so many seeds.
const PROGRESS_EVERY: u64 = 125;
/// More requests than a seed makes.
const REQUESTS: usize = 40 * ROUNDS as usize + 1;

#[test]
fn one_server() {
    run_all(1);
}

#[test]
fn two_servers() {
    run_all(2);
}

#[test]
fn a_seed_makes_the_same_sequence() {
    let plan_of = |(seed, servers)| Plan { seed, servers, without: Default::default(), told: true };
    // All at once, so that each has its threads interrupted at other places; the last was seen to differ then.
    let seeds = [(0, 1), (1, 2), (2, 1), (100_520, 2)];
    let histories: Vec<(Vec<String>, Vec<String>)> = std::thread::scope(|scope| {
        let run = |seed| [(); 2].map(|()| scope.spawn(move || history(&plan_of(seed))));
        let runs: Vec<_> = seeds.into_iter().map(run).collect();
        runs.into_iter().map(|runs| runs.map(|run| run.join().expect("no panic")).into()).collect()
    });
    for (seed, (one, two)) in seeds.into_iter().zip(histories) {
        let differs = one.iter().zip(&two).position(|(one, two)| one != two);
        assert_eq!(differs.map(|at| (&one[at], &two[at])), None, "{seed:?}");
        assert_eq!(one.len(), two.len(), "{seed:?}");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn run_all(servers: usize) {
    let sequences = number("CORTEN_SEQUENCES").unwrap_or(FEW);
    let (first, count) = (number("CORTEN_SEED").unwrap_or(0), sequences.div_ceil(ROUNDS));
    let found: Mutex<BTreeMap<&'static str, Found>> = Mutex::default();
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    if number("CORTEN_VERBOSE").is_some() {
                        eprintln!("seed {}", first + at);
                    }
                    if at > 0 && at.is_multiple_of(PROGRESS_EVERY) {
                        println!("{} of {} sequences are begun", at * ROUNDS, count * ROUNDS);
                    }
                    let plan = Plan { seed: first + at, servers, without: Default::default(), told: false };
                    for finding in run(&plan).findings {
                        println!("CORTEN_SEED={}: {}: {}", plan.seed, finding.check, finding.text);
                        let mut found = found.lock();
                        let known = found.entry(finding.check).or_default();
                        known.times += 1;
                        if known.examples.len() < EXAMPLES && known.examples.iter().all(|(seed, _)| *seed != plan.seed)
                        {
                            known.examples.push((plan.seed, finding.text));
                        }
                    }
                }
            });
        }
    });
    let per_second = (count * ROUNDS) as f64 / began.elapsed().as_secs_f64();
    println!("{} sequences with {servers} servers, {per_second:.0} a second", count * ROUNDS);
    let found = found.into_inner();
    for (check, Found { times, examples }) in &found {
        println!("\n{check}: {times} times");
        examples.iter().for_each(|(seed, text)| println!("CORTEN_SEED={seed}: {text}"));
        let seed = examples.iter().map(|(seed, _)| *seed).min().unwrap_or_default();
        println!("{}", shortened(seed, servers, check));
    }
    let seeds: Vec<_> = found.iter().map(|(check, found)| (check, found.times, found.examples[0].0)).collect();
    assert!(found.is_empty(), "checks, how often they failed, and a seed: {seeds:?}");
}

/// How often a check failed, and where.
#[derive(Default)]
struct Found {
    times: u64,
    examples: Vec<(u64, String)>,
}

/// What the sequences of a seed were.
#[derive(Default)]
struct Outcome {
    findings: Vec<Finding>,
    history: Vec<String>,
}

fn run(plan: &Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // Who gives way goes on when nobody else can.
        .event_interval(u32::MAX)
        .build()
        .expect("a runtime");
    let told: Mutex<Outcome> = Mutex::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut sequence = Box::pin(Sequence::begin(plan.clone())).await;
            for round in 0..ROUNDS {
                if round > 0 {
                    sequence.go_on();
                }
                let mut judged = sequence.run().await;
                if judged.is_ok() {
                    judged = Box::pin(rest::check(&mut sequence)).await;
                }
                sequence.judged(judged);
                if !sequence.findings.is_empty() {
                    break;
                }
            }
            *told.lock() = Outcome {
                findings: std::mem::take(&mut sequence.findings),
                history: std::mem::take(&mut sequence.history),
            };
        })
    }));
    let mut told = told.into_inner();
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        told.findings.push(Finding::new("panic", text.unwrap_or_default()));
    }
    told
}

fn history(plan: &Plan) -> Vec<String> {
    let Outcome { findings, mut history, .. } = run(plan);
    history.push(format!("{findings:?}"));
    history
}

/// The history of a failing sequence, without requests that it fails without.
fn shortened(seed: u64, servers: usize, check: &str) -> String {
    let mut plan = Plan { seed, servers, without: Default::default(), told: false };
    let fails = |plan: &Plan| run(plan).findings.iter().any(|finding| finding.check == check);
    for number in (0..REQUESTS).rev() {
        let mut shorter = plan.clone();
        shorter.without.insert(number);
        if fails(&shorter) {
            plan = shorter;
        }
    }
    plan.told = true;
    format!("  {}", history(&plan).join("\n  "))
}
