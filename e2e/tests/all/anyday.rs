//! The server and its clients four years from now.
//!
//! `make test-anyday` runs all tests on other days; this is a small part of it, in each run.

use crate::support::Fixture;
use anyhow::{Context, ensure};
use std::process::Command;
use std::time::SystemTime;

const DAYS_AHEAD: u64 = 1461;
/// What runs in the future: TLS and tokens, definitions, a restart, and the test below.
const TESTS: [&str; 5] = ["anyday::a_server_s", "access::", "custom::", "observed::", "engines::the_embedded"];

fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

/// In the future, it says so in what this test prints.
#[tokio::test]
async fn a_server_s_clock_is_that_of_its_machine() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let before = now()?;
    let created = fixture.configmap("a").await?.metadata.creation_timestamp.context("no time")?;
    let created = u64::try_from(created.0.as_second())?;
    ensure!((before..=now()?).contains(&created), "created at {created}, after {before}");
    println!("created at {created}");
    Ok(())
}

/// This program starts itself, with the clock set ahead.
#[test]
fn four_years_ahead_is_as_today() -> anyhow::Result<()> {
    let mut future = Command::new("faketime");
    future.args(["-m", "-f", &format!("+{DAYS_AHEAD}d")]).arg(std::env::current_exe()?);
    future.args(TESTS).arg("--show-output");
    // Timers run as ever; only the time of day is another. And cargo, which would build the server, is of today.
    future.env("DONT_FAKE_MONOTONIC", "1").env("CORTEN_BIN", corten_e2e::binary()?);
    future.env_remove("CORTEN_E2E_KUBECONFIG");
    let today = now()?;
    let output = future.output().context("faketime is Debian's package of that name (scripts/install-test.sh)")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let created = said.lines().find_map(|line| line.strip_prefix("created at "));
    let created: u64 = created.with_context(|| said.to_string())?.parse()?;
    ensure!(created >= today + DAYS_AHEAD * 86_400, "created at {created}, and today is {today}");
    Ok(())
}
