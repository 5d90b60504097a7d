//! A client that asks one thing after the other, reads each answer, and measures how long that takes.

use crate::support::Fixture;
use anyhow::Context;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);
/// The highest priority that a thread can have.
const NICE: i32 = -20;

/// The latency that one of a hundred requests exceeds, mostly reads and some writes, within a time. It waits for the
/// server alone, as on a machine of its own, where its thread may have priority.
pub async fn p99(fixture: &Fixture, time: Duration) -> anyhow::Result<Duration> {
    let (config, namespace) = (fixture.server.config().await?, fixture.namespace.clone());
    let (sender, measured) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("neighbour".to_owned()).spawn(move || {
        let _ = rustix::process::setpriority_process(None, NICE);
        let measure = async || measure(Api::namespaced(Client::try_from(config)?, &namespace), time).await;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Nobody waits for it any more if the test has failed.
        let _ = sender.send(runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(measure())));
    })?;
    measured.await.context("the neighbour panicked")?
}

async fn measure(configmaps: Api<ConfigMap>, time: Duration) -> anyhow::Result<Duration> {
    let (begun, mut took) = (Instant::now(), Vec::new());
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
