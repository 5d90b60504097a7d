//! Both storage engines under a real process: what was answered is there again, and revisions go on.

use crate::support::{Fixture, parse, refusal, revision};
use anyhow::Context;
use corten_e2e::{Engine, Etcd, Options, Server, eventually};
use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::pin::pin;

fn on(engine: Engine) -> Options {
    Options { engine, ..Options::default() }
}

async fn names(client: &Client, namespace: &str) -> anyhow::Result<Vec<String>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect())
}

/// Objects, revisions and watches survive an orderly stop and a kill.
async fn survives(options: Options) -> anyhow::Result<()> {
    let mut fixture = Fixture::on(Server::with(options).await?).await?;
    let first = fixture.configmap("first").await?;
    fixture.server.restart().await?;
    fixture.client = fixture.server.client().await?;
    assert_eq!(fixture.configmaps().get("first").await?, first);
    let second = fixture.configmap("second").await?;
    assert!(revision(&second)? > revision(&first)?);

    fixture.server.crash().await?;
    fixture.client = fixture.server.client().await?;
    assert_eq!(names(&fixture.client, &fixture.namespace).await?, ["first", "second"]);
    let third = fixture.configmap("third").await?;
    assert!(revision(&third)? > revision(&second)?);
    let api = fixture.configmaps();
    // A watch across the crash misses nothing, or says that it cannot be continued.
    let mut watch = pin!(api.watch(&WatchParams::default(), &revision(&first)?.to_string()).await?);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match tokio::time::timeout(corten_e2e::DEADLINE, watch.next()).await? {
            Some(Ok(WatchEvent::Added(object))) => seen.push(object.name_any()),
            Some(Ok(WatchEvent::Error(status))) if status.code == 410 => return Ok(()),
            other => anyhow::bail!("{other:?}"),
        }
    }
    assert_eq!(seen, ["second", "third"]);
    Ok(())
}

#[tokio::test]
async fn the_embedded_engine_keeps_what_was_answered() -> anyhow::Result<()> {
    survives(on(Engine::Embedded)).await
}

#[tokio::test]
async fn etcd_keeps_what_was_answered() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    survives(on(Engine::Etcd(etcd.url()))).await
}

#[tokio::test]
async fn servers_on_one_etcd_are_one_cluster() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let one = Fixture::on(Server::with(on(Engine::Etcd(etcd.url()))).await?).await?;
    let two = Server::with(on(Engine::Etcd(etcd.url()))).await?;
    let other: Api<ConfigMap> = Api::namespaced(two.client().await?, &one.namespace);
    let start = other.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    let mut watch = pin!(other.watch(&WatchParams::default(), &start).await?);

    let created = one.configmap("a").await?;
    match tokio::time::timeout(corten_e2e::DEADLINE, watch.next()).await? {
        Some(Ok(WatchEvent::Added(object))) => assert_eq!(object, created),
        event => anyhow::bail!("{event:?}"),
    }
    // A read is not older than a write that the other server has answered.
    for round in 0..20 {
        let patch = Patch::Merge(json!({"data": {"key": round.to_string()}}));
        let changed = one.configmaps().patch("a", &PatchParams::default(), &patch).await?;
        assert_eq!(other.get("a").await?, changed);
    }
    let mut stale = created.clone();
    stale.data = None;
    assert_eq!(refusal(other.replace("a", &PostParams::default(), &stale).await)?.0, 409);
    Ok(())
}

#[tokio::test]
async fn a_lost_etcd_is_said_and_its_return_noticed() -> anyhow::Result<()> {
    let mut etcd = Etcd::start().await?;
    let fixture = Fixture::on(Server::with(on(Engine::Etcd(etcd.url()))).await?).await?;
    let before = fixture.configmap("before").await?;
    let api = fixture.configmaps();
    let mut watch = pin!(api.watch(&WatchParams::default(), &revision(&before)?.to_string()).await?);
    let ready = async || {
        let answer = fixture.client.request_text(http::Request::get("/readyz").body(Vec::new())?).await;
        anyhow::Ok(answer.is_ok())
    };
    etcd.kill()?;
    let object: ConfigMap = parse(json!({"metadata": {"name": "after"}}))?;
    let (code, reason) = refusal(api.create(&PostParams::default(), &object).await)?;
    assert!(code >= 500 && ["ServerTimeout", "Timeout"].contains(&reason.as_str()), "{code} {reason}");
    let Err(kube::Error::Api(said)) = api.get("before").await else { anyhow::bail!("it was read without etcd") };
    assert!(said.code >= 500 && said.message.contains("the store is not available"), "{said:?}");
    assert!(!ready().await?);

    etcd.relaunch().await?;
    eventually("the server to be ready again", async || Ok(ready().await?.then_some(()))).await?;
    // A write that was refused may have been done, if its answer was lost.
    eventually("a write after etcd's return", async || match api.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(Some(())),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Some(())),
        Err(_) => Ok(None),
    })
    .await?;
    assert_eq!(names(&fixture.client, &fixture.namespace).await?, ["after", "before"]);
    // The watch has outlived it.
    match tokio::time::timeout(corten_e2e::DEADLINE, watch.next()).await? {
        Some(Ok(WatchEvent::Added(object))) => assert_eq!(object.name_any(), "after"),
        event => anyhow::bail!("{event:?}"),
    }
    Ok(())
}

/// Whoever compacts etcd notes the revision under upstream's key, from which all servers learn.
#[tokio::test]
async fn a_page_of_what_was_compacted_is_too_old() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let fixture = Fixture::on(Server::with(on(Engine::Etcd(etcd.url()))).await?).await?;
    for name in ["a", "b", "c"] {
        fixture.configmap(name).await?;
    }
    let path = format!("/api/v1/namespaces/{}/configmaps?limit=2", fixture.namespace);
    let first = fixture.get(&path).await?["metadata"]["continue"].as_str().context("a continue")?.to_owned();
    let next = async |token: &str| -> anyhow::Result<(u16, Value)> {
        let request = http::Request::get(format!("{path}&continue={token}")).body(kube::client::Body::empty())?;
        let answer = fixture.client.send(request).await?;
        let code = answer.status().as_u16();
        Ok((code, serde_json::from_slice(&answer.into_body().collect_bytes().await?)?))
    };
    assert_eq!(next(&first).await?.0, 200);
    let last = revision(&fixture.configmap("d").await?)?;
    let gateway = Client::try_from(kube::Config::new(etcd.url().parse()?))?;
    let ask = async |path: &str, body: Value| -> anyhow::Result<Value> {
        Ok(gateway.request(http::Request::post(path).body(body.to_string().into_bytes())?).await?)
    };
    let base64 = |text: &str| ByteString(text.as_bytes().to_vec());
    ask("/v3/kv/put", json!({"key": base64("compact_rev_key"), "value": base64(&last.to_string())})).await?;
    ask("/v3/kv/compaction", json!({"revision": last.to_string()})).await?;

    let too_old = eventually("410", async || {
        let (code, status) = next(&first).await?;
        Ok((code == 410).then_some(status))
    })
    .await?;
    assert_eq!(too_old["reason"], "Expired");
    let inconsistent = too_old["metadata"]["continue"].as_str().context("a way to go on")?;
    let (_, rest) = next(inconsistent).await?;
    let names: Vec<_> = rest["items"]
        .as_array()
        .with_context(|| rest.to_string())?
        .iter()
        .map(|item| &item["metadata"]["name"])
        .collect();
    assert_eq!(names, ["c", "d"]);
    Ok(())
}

/// Makes and deletes a Role of some more than so many bytes. False if it is too large.
async fn is_taken(fixture: &Fixture, bytes: usize) -> anyhow::Result<bool> {
    let roles: Api<Role> = Api::namespaced(fixture.client.clone(), "default");
    let role: Role = parse(json!({
        "metadata": {"name": "large"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["x".repeat(bytes)]}],
    }))?;
    match roles.create(&PostParams::default(), &role).await {
        Ok(_) => roles.delete("large", &DeleteParams::default()).await.map(|_| true).map_err(Into::into),
        Err(kube::Error::Api(status)) if status.message == "etcdserver: request is too large" => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn both_engines_take_objects_of_the_same_size() -> anyhow::Result<()> {
    let embedded = Fixture::on(Server::with(on(Engine::Embedded)).await?).await?;
    let (mut taken, mut refused) = (1_571_000, 1_573_000);
    anyhow::ensure!(is_taken(&embedded, taken).await? && !is_taken(&embedded, refused).await?);
    while refused - taken > 1 {
        let middle = usize::midpoint(taken, refused);
        match is_taken(&embedded, middle).await? {
            true => taken = middle,
            false => refused = middle,
        }
    }
    let etcd = Etcd::start().await?;
    let etcd = Fixture::on(Server::with(on(Engine::Etcd(etcd.url()))).await?).await?;
    // A create also asks etcd for what is there already, as upstream's does not: its key's length is to be spared. And
    // etcd numbers requests, a number having a byte more or less.
    assert!(is_taken(&etcd, taken - "/registry/roles/default/large".len() - 10).await?, "etcd takes less");
    assert!(!is_taken(&etcd, refused).await?, "etcd takes more");
    Ok(())
}
