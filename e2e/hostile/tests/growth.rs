//! A minute of the growth checks; `make torture` runs all of them.
//!
//! A test alone in its program: whatever runs beside it in this process would count as the server's work.

use corten_hostile::client::Sender;
use corten_hostile::record::Record;
use corten_hostile::{growth, plan, report, server, setup, target};

/// As many as take a minute, in a build for debugging.
const CASES: usize = 600;
/// Of the smaller bodies: enough for what is quadratic to show, with a server that is not optimised.
const BYTES: usize = 24 << 10;

#[tokio::test(flavor = "current_thread")]
async fn twice_the_body_costs_no_more_than_twice() -> anyhow::Result<()> {
    let seed = std::env::var("CORTEN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let targets = target::all()?;
    let cases = plan::some(plan::all(&targets, seed, 1), CASES, seed);
    let server = server::Server::start()?;
    let sender = Sender::new(&server.kubeconfig()).await?;
    setup::prepare(&sender, &targets).await?;
    let findings = growth::check(&cases, BYTES, &sender, &Record::read()?, &|_, _| {}).await?;
    if !findings.unanswered {
        server.stop()?;
    }
    println!("{}", report::growth(findings.all));
    assert!(findings.unbounded.is_empty(), "grew too much:\n{}", findings.unbounded.join("\n"));
    assert!(findings.differences.is_empty(), "not upstream's answer:\n{}", findings.differences.join("\n"));
    Ok(())
}
