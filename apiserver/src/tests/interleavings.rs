//! Random requests at random interleavings, and what must hold whatever they are.
//!
//! A sequence is some 10 to 40 requests of a few clients to one server or to two on one store. It runs on one thread,
//! where every call of the store waits at a gate and every server's watch is held, and a schedule drawn from the seed
//! lets one of them go on at a time; clients go away in the middle, and in some sequences calls of the store fail. So a
//! seed makes the same sequence each time. What happened is known from the engine itself (`timeline`), and each answer
//! (`judge`), each watch (`follower`) and the state at the end (`rest`) are held against that.
//!
//! `CORTEN_SEQUENCES=100000` runs more of them, `CORTEN_SEED=7` begins with that seed (with `CORTEN_SEQUENCES=1`: only
//! it). A seed that fails is run again with a history, and without the requests that it fails without.

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
const FEW: u64 = 200;
/// How many are tried to find a shorter one that fails too.
const SHORTER: usize = 200;

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
    for seed in 0..6 {
        let plan = Plan { seed, servers: 1 + seed as usize % 2, without: Default::default(), told: true };
        let (one, two) = (history(&plan), history(&plan));
        let differs = one.iter().zip(&two).position(|(one, two)| one != two);
        assert_eq!(differs.map(|at| (&one[at], &two[at])), None, "seed {seed}");
        assert_eq!(one.len(), two.len(), "seed {seed}");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn run_all(servers: usize) {
    let (first, count) = (number("CORTEN_SEED").unwrap_or(0), number("CORTEN_SEQUENCES").unwrap_or(FEW));
    let findings: Mutex<BTreeMap<&'static str, (u64, u64, Finding)>> = Mutex::default();
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
                    let plan = Plan { seed: first + at, servers, without: Default::default(), told: false };
                    if let Err(finding) = run(&plan).0 {
                        let mut findings = findings.lock();
                        findings
                            .entry(finding.check)
                            .and_modify(|known| known.0 += 1)
                            .or_insert((1, plan.seed, finding));
                    }
                }
            });
        }
    });
    let per_second = count as f64 / began.elapsed().as_secs_f64();
    println!("{count} sequences with {servers} servers, {per_second:.0} a second");
    let findings = findings.into_inner();
    for (check, (times, seed, finding)) in &findings {
        println!("\n{check}: {times} times, first with CORTEN_SEED={seed}: {}", finding.text);
        println!("{}", shortened(*seed, servers, check));
    }
    assert!(
        findings.is_empty(),
        "{:?}",
        findings.iter().map(|(check, found)| (check, found.0, found.1)).collect::<Vec<_>>()
    );
}

/// Runs a sequence, with what it told of itself.
fn run(plan: &Plan) -> (Result<(), Finding>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // Who gives way goes on when nobody else can.
        .event_interval(u32::MAX)
        .build()
        .expect("a runtime");
    let told = Mutex::new(Vec::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut sequence = Box::pin(Sequence::begin(plan.clone())).await;
            let mut outcome = sequence.run().await;
            if outcome.is_ok() {
                outcome = Box::pin(rest::check(&mut sequence)).await;
            }
            *told.lock() = std::mem::take(&mut sequence.history);
            outcome
        })
    }));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Finding::new("panic", text.unwrap_or_default()))
    });
    (outcome, told.into_inner())
}

fn history(plan: &Plan) -> Vec<String> {
    let (outcome, mut history) = run(plan);
    history.push(format!("{outcome:?}"));
    history
}

/// The history of a failing sequence, without requests that it fails without.
fn shortened(seed: u64, servers: usize, check: &str) -> String {
    let mut plan = Plan { seed, servers, without: Default::default(), told: false };
    let fails = |plan: &Plan| run(plan).0.is_err_and(|finding| finding.check == check);
    let mut tries = 0;
    for number in (0..40).rev() {
        let mut shorter = plan.clone();
        shorter.without.insert(number);
        tries += 1;
        if tries < SHORTER && fails(&shorter) {
            plan = shorter;
        }
    }
    plan.told = true;
    let (outcome, history) = run(&plan);
    format!("  {}\n  {outcome:?}", history.join("\n  "))
}
