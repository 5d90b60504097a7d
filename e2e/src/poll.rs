//! Waiting for a condition within a bound.

use std::time::{Duration, Instant};

/// Far longer than anything takes on a busy machine, and short enough that a hang is noticed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks again until `probe` answers `Some`, at most [`DEADLINE`] long. The error names `what` was waited for.
pub async fn eventually<T, F>(what: &str, mut probe: F) -> anyhow::Result<T>
where
    F: AsyncFnMut() -> anyhow::Result<Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if start.elapsed() > DEADLINE {
            anyhow::bail!("waited {}s in vain for {what}", DEADLINE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
