//! What a list held, brought forward by the events since, is what a later list holds: whatever list one starts from, with
//! a selector and without, whatever happens in between.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use corten_e2e::DEADLINE;
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::support::{Fixture, create_configmap, revision};

const SELECTORS: [&str; 3] = ["", "shelf=1", "shelf!=2"];
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const STEPS: usize = 80;

#[tokio::test]
async fn list_and_watch_equal_a_later_list() -> anyhow::Result<()> {
    for seed in 1..=3 {
        let fixture = Fixture::start().await?;
        converge(&fixture, Random(seed)).await.with_context(|| format!("with seed {seed}"))?;
    }
    Ok(())
}

/// A list, and what its watch made of it since.
struct Copy {
    selector: &'static str,
    revision: u64,
    objects: BTreeMap<String, ConfigMap>,
    stream: Option<BoxStream<'static, kube::Result<WatchEvent<ConfigMap>>>>,
}

async fn converge(fixture: &Fixture, mut random: Random) -> anyhow::Result<()> {
    let api = fixture.configmaps();
    let mut copies = Vec::new();
    for step in 0..STEPS {
        if step % 8 == 0 {
            let mut copy = Copy::list(&api, SELECTORS[random.below(SELECTORS.len())]).await?;
            // Some watch from then on, others only when all is over.
            if random.below(2) == 0 {
                copy.watch(&api).await?;
            }
            copies.push(copy);
        }
        change(&api, &mut random, step).await?;
    }
    // Every selector lets it through.
    let end = revision(&create_configmap(&api, "end", json!({"shelf": "1"})).await?)?;
    for mut copy in copies {
        let start = copy.revision;
        copy.follow(&api, end).await.with_context(|| format!("from {start} with {:?}", copy.selector))?;
        let later = Copy::list(&api, copy.selector).await?;
        assert_eq!(copy.objects, later.objects, "from {start} with {:?}", copy.selector);
    }
    Ok(())
}

/// One of the objects is created, changed, put on another shelf or deleted.
async fn change(api: &Api<ConfigMap>, random: &mut Random, step: usize) -> anyhow::Result<()> {
    let name = NAMES[random.below(NAMES.len())];
    let shelf = ["1", "2", "3"][random.below(3)];
    let patch = match (api.get_opt(name).await?, random.below(4)) {
        (None, _) => return create_configmap(api, name, json!({"shelf": shelf})).await.map(drop),
        (Some(_), 0) => {
            api.delete(name, &DeleteParams::default()).await?;
            return Ok(());
        }
        (Some(_), 1) => json!({"data": {"step": step.to_string()}}),
        (Some(_), _) => json!({"metadata": {"labels": {"shelf": shelf}}}),
    };
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

impl Copy {
    async fn list(api: &Api<ConfigMap>, selector: &'static str) -> anyhow::Result<Copy> {
        let list = api.list(&ListParams::default().labels(selector)).await?;
        let revision = list.metadata.resource_version.context("a list without a revision")?.parse()?;
        // Some cluster's controllers put one into every namespace.
        let own = list.items.into_iter().filter(|object| object.name_any() != "kube-root-ca.crt");
        let objects = own.map(|object| (object.name_any(), object)).collect();
        Ok(Copy { selector, revision, objects, stream: None })
    }

    async fn watch(&mut self, api: &Api<ConfigMap>) -> anyhow::Result<()> {
        let params = WatchParams::default().labels(self.selector);
        self.stream = Some(api.watch(&params, &self.revision.to_string()).await?.boxed());
        Ok(())
    }

    /// Takes events until one of a revision.
    async fn follow(&mut self, api: &Api<ConfigMap>, end: u64) -> anyhow::Result<()> {
        if self.stream.is_none() {
            self.watch(api).await?;
        }
        let mut stream = self.stream.take().context("a watch")?;
        while self.revision < end {
            let event = tokio::time::timeout(DEADLINE, stream.next()).await?.context("the watch ended")??;
            self.take(event)?;
        }
        Ok(())
    }

    fn take(&mut self, event: WatchEvent<ConfigMap>) -> anyhow::Result<()> {
        let (object, wanted) = match event {
            WatchEvent::Added(object) => (object, "ADDED"),
            WatchEvent::Modified(object) => (object, "MODIFIED"),
            WatchEvent::Deleted(object) => (object, "DELETED"),
            WatchEvent::Bookmark(_) => return Ok(()),
            WatchEvent::Error(status) => anyhow::bail!("{status:?}"),
        };
        let (name, at) = (object.name_any(), revision(&object)?);
        ensure!(at > self.revision, "{wanted} {name} at {at} came after {}", self.revision);
        self.revision = at;
        if name == "kube-root-ca.crt" {
            return Ok(());
        }
        let known = match wanted {
            "DELETED" => self.objects.remove(&name),
            _ => self.objects.insert(name.clone(), object),
        };
        ensure!(
            known.is_some() == (wanted != "ADDED"),
            "{wanted} {name} at {at}, which was there: {}",
            known.is_some()
        );
        Ok(())
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}
