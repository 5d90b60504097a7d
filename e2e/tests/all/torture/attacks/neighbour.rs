//! A client that asks one thing after the other, reads each answer, and measures how long that takes.

use crate::support::Fixture;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// The latency that one of a hundred requests exceeds, mostly reads and some writes, within a time.
pub async fn p99(fixture: &Fixture, time: Duration) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let (configmaps, mut took) = (fixture.configmaps(), Vec::new());
    while begun.elapsed() < time {
        let asked = Instant::now();
        if took.len() % 10 == 0 {
            let patch = Patch::Merge(json!({"data": {"count": took.len().to_string()}}));
            configmaps.patch("neighbour", &PatchParams::default(), &patch).await?;
        } else {
            configmaps.get("neighbour").await?;
        }
        took.push(asked.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    took.sort_unstable();
    let place = (took.len() * 99 / 100).min(took.len() - 1);
    Ok(took[place])
}
