//! What happens to an etcd beneath the server that serves it.

use crate::support::{Fixture, parse, refusal, refused};
use corten_e2e::{DEADLINE, Engine, Etcd, Options, Server, eventually};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use std::collections::BTreeSet;
use std::pin::pin;

async fn on(etcd: &Etcd) -> anyhow::Result<Fixture> {
    Fixture::on(Server::with(Options { engine: Engine::Etcd(etcd.url()), ..Options::default() }).await?).await
}

const EVENTS: usize = 600;

fn event(name: &str, namespace: &str) -> anyhow::Result<Event> {
    parse(json!({
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "p"},
        "reason": "Tested", "message": "one of many", "type": "Normal",
    }))
}

/// Reads a watch until it has told of as many deletions as there are events.
async fn deletions(events: Api<Event>, revision: String) -> anyhow::Result<usize> {
    let mut watch = pin!(events.watch(&WatchParams::default(), &revision).await?);
    let mut gone = BTreeSet::new();
    while gone.len() < EVENTS {
        match tokio::time::timeout(DEADLINE, watch.next()).await? {
            Some(Ok(WatchEvent::Deleted(event))) => drop(gone.insert(event.metadata.name)),
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                let revision = bookmark.metadata.resource_version;
                anyhow::ensure!(gone.is_empty(), "a bookmark of {revision} after {} deletions", gone.len());
            }
            other => anyhow::bail!("{other:?} after {} deletions", gone.len()),
        }
    }
    Ok(gone.len())
}

/// The lease that all events have.
async fn lease_of_all(client: &mut etcd_client::Client) -> anyhow::Result<i64> {
    for lease in client.leases().await?.leases() {
        let keys = Some(etcd_client::LeaseTimeToLiveOptions::new().with_keys());
        if client.lease_time_to_live(lease.id(), keys).await?.keys().len() == EVENTS {
            return Ok(lease.id());
        }
    }
    anyhow::bail!("the events have several leases")
}

/// All of them have one lease, and go in one revision of etcd.
#[tokio::test]
async fn what_goes_with_a_lease_is_told_whole() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let fixture = on(&etcd).await?;
    let events: Api<Event> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let create = |i: usize| {
        let (events, namespace) = (events.clone(), fixture.namespace.clone());
        async move {
            let made = event(&format!("e-{i}"), &namespace)?;
            events.create(&PostParams::default(), &made).await.map_err(anyhow::Error::from)
        }
    };
    let made: Vec<Event> = futures::stream::iter((0..EVENTS).map(create)).buffer_unordered(16).try_collect().await?;
    assert_eq!(made.len(), EVENTS);
    let mut client = etcd_client::Client::connect([etcd.url()], None).await?;
    let lease = lease_of_all(&mut client).await?;
    let listed = events.list(&ListParams::default()).await?;
    let revision = listed.metadata.resource_version.unwrap_or_default();
    let watches: Vec<_> = (0..4).map(|_| tokio::spawn(deletions(events.clone(), revision.clone()))).collect();

    let lister = events.clone();
    let lists = tokio::spawn(async move {
        let mut counts = BTreeSet::new();
        while !counts.contains(&0) {
            counts.insert(lister.list(&ListParams::default()).await?.items.len());
        }
        anyhow::Ok(counts)
    });
    client.lease_revoke(lease).await?;
    for watch in watches {
        assert_eq!(watch.await??, EVENTS);
    }
    let counts = tokio::time::timeout(DEADLINE, lists).await???;
    assert!(counts.iter().all(|count| [0, EVENTS].contains(count)), "lists of {counts:?}");
    Ok(())
}

#[tokio::test]
async fn a_value_that_cannot_be_decoded_is_not_taken_for_absent() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let fixture = on(&etcd).await?;
    fixture.configmap("a").await?;
    fixture.configmap("b").await?;
    let key = format!("/registry/configmaps/{}/a", fixture.namespace);
    let mut client = etcd_client::Client::connect([etcd.url()], None).await?;
    client.put(key.as_str(), "k8s\0nothing of the kind", None).await?;
    let error = eventually("the value to be noticed", async || Ok(fixture.configmaps().get("a").await.err())).await?;
    assert!(error.to_string().contains(&key), "{error}");
    let broken = refused(500, "InternalError");
    assert_eq!(refusal(Err::<(), _>(error))?, broken);
    assert_eq!(refusal(fixture.configmaps().list(&ListParams::default()).await)?, broken);
    assert_eq!(fixture.configmaps().get("b").await?.metadata.name.as_deref(), Some("b"));

    client.delete(key.as_str(), None).await?;
    eventually("the deletion to be noticed", async || {
        Ok(fixture.configmaps().list(&ListParams::default()).await.ok().filter(|list| list.items.len() == 1))
    })
    .await?;
    assert_eq!(refusal(fixture.configmaps().get("a").await)?, refused(404, "NotFound"));
    Ok(())
}
