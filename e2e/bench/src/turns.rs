//! Several servers are measured in turns: a part of the operations on each, then the next part. What else the machine does
//! changes from second to second, and so meets all of them.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::budget::Budget;
use crate::client::{Protocol, Target};
use crate::load::Measured;
use crate::report::Row;
use crate::server::Server;

/// A server that is measured.
pub struct Bench {
    pub server: Server,
    pub target: Target,
}

impl Bench {
    pub async fn start(binary: &Path, protocol: Protocol) -> Result<Bench> {
        let server = Server::start(binary).await?;
        let target = server.target(protocol)?;
        Ok(Bench { server, target })
    }
}

/// Numbered operations, of which any part can be done.
pub trait Work {
    fn count(&self) -> usize;
    async fn run(&self, bench: &Bench, numbers: Range<usize>) -> Result<Measured>;
}

/// What one server has been measured at so far.
#[derive(Default)]
struct Taken {
    parts: Vec<Measured>,
    /// The CPU time of its process when its last turn ended.
    ended: Duration,
}

impl Taken {
    async fn turn(&mut self, bench: &Bench, work: &impl Work, numbers: Range<usize>) -> Result<()> {
        self.catch_up(bench)?;
        self.parts.push(work.run(bench, numbers).await?);
        self.ended = bench.server.cpu()?;
        Ok(())
    }

    /// What a server does while it is another's turn belongs to its own last turn.
    fn catch_up(&mut self, bench: &Bench) -> Result<()> {
        if let Some(last) = self.parts.last_mut() {
            last.cpu += bench.server.cpu()? - self.ended;
        }
        Ok(())
    }
}

/// Does all of the work on each server; the row of each.
pub async fn measure(benches: &[Bench], budget: Budget, turns: usize, work: &impl Work) -> Result<Vec<Row>> {
    let mut taken: Vec<Taken> = benches.iter().map(|_| Taken::default()).collect();
    for turn in 0..turns {
        let numbers = work.count() * turn / turns..work.count() * (turn + 1) / turns;
        if numbers.is_empty() {
            continue;
        }
        let mut order: Vec<(&Bench, &mut Taken)> = benches.iter().zip(&mut taken).collect();
        if !turn.is_multiple_of(2) {
            order.reverse();
        }
        for (bench, taken) in order {
            taken.turn(bench, work, numbers.clone()).await?;
        }
    }
    for (bench, taken) in benches.iter().zip(&mut taken) {
        taken.catch_up(bench)?;
    }
    Ok(taken.iter().map(|taken| Row::measured(budget, &taken.parts)).collect())
}
