//! The task that gives back what a write could not give back itself.

use std::time::Duration;

use corten_runtime::clock::Clock;
use corten_runtime::tasks::CancellationToken;

use super::Holding;

/// A write whose outcome the store left open may still take effect for a while: etcd gives a proposal up after seven
/// seconds. The object is reread after that.
const OUTCOME_AFTER: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// After this the repair loops are the safer way. The first of them that counts a port as leaked, maybe on a server that
/// can reach the store, frees it after three passes of three minutes, and then it may be somebody else's.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(300);

/// Gives back until nothing is left. When the server stops, it is tried once more.
pub async fn give_back(clock: Clock, token: CancellationToken, mut holding: Box<dyn Holding>, mut decided: bool) {
    let began = clock.monotonic();
    let mut pause = if decided { Duration::ZERO } else { OUTCOME_AFTER };
    loop {
        if !pause.is_zero() {
            tokio::select! {
                () = clock.sleep(pause) => {}
                () = token.cancelled() => {}
            }
        }
        let stopping = token.is_cancelled();
        if stopping && !decided && clock.monotonic() - began < OUTCOME_AFTER {
            tracing::warn!("a write's outcome is still open; the repair loops will find what it reserved");
            return;
        }
        let error = match step(&mut *holding, &mut decided).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if stopping || clock.monotonic() - began > GIVEN_UP_AFTER {
            tracing::warn!(error, "what a write reserved could not be given back; the repair loops will find it");
            return;
        }
        tracing::debug!(error, "what a write reserved could not be given back yet");
        pause = (pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
    }
}

async fn step(holding: &mut dyn Holding, decided: &mut bool) -> Result<(), String> {
    if !*decided {
        holding.decide_by_store().await.map_err(|error| error.to_string())?;
        *decided = true;
    }
    holding.give_back().await
}
