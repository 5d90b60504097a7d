//! Watches: in order, without gaps or repetitions, resumable.

use crate::support::{Fixture, create_configmap, refusal, revision};
use anyhow::Context;
use corten_e2e::{DEADLINE, eventually};
use futures::{AsyncBufReadExt, Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use std::pin::pin;

/// The next event, as its type, name and revision. Bookmarks may come at any time, and are passed over.
async fn next(stream: &mut (impl Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Unpin)) -> anyhow::Result<Event> {
    loop {
        let event = tokio::time::timeout(DEADLINE, stream.next()).await?.context("the watch ended")??;
        return Ok(match event {
            WatchEvent::Added(object) => ("ADDED", object.name_any(), revision(&object)?),
            WatchEvent::Modified(object) => ("MODIFIED", object.name_any(), revision(&object)?),
            WatchEvent::Deleted(object) => ("DELETED", object.name_any(), revision(&object)?),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(status) => anyhow::bail!("{status:?}"),
        });
    }
}

type Event = (&'static str, String, u64);

async fn now(api: &Api<ConfigMap>) -> anyhow::Result<String> {
    let list = api.list(&ListParams::default()).await?;
    list.metadata.resource_version.context("a list without a revision")
}

async fn touch(api: &Api<ConfigMap>, name: &str, value: &str) -> anyhow::Result<ConfigMap> {
    Ok(api.patch(name, &PatchParams::default(), &Patch::Merge(json!({"data": {"key": value}}))).await?)
}

#[tokio::test]
async fn a_watch_resumes_where_it_was_left() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let start = now(&api).await?;
    let created = fixture.configmap("a").await?;
    let changed = touch(&api, "a", "2").await?;
    api.delete("a", &DeleteParams::default()).await?;
    let last = fixture.configmap("b").await?;

    let mut whole = pin!(api.watch(&WatchParams::default(), &start).await?);
    assert_eq!(next(&mut whole).await?, ("ADDED", "a".into(), revision(&created)?));
    assert_eq!(next(&mut whole).await?, ("MODIFIED", "a".into(), revision(&changed)?));
    let (kind, name, deleted) = next(&mut whole).await?;
    assert_eq!((kind, name.as_str()), ("DELETED", "a"));
    assert!(revision(&changed)? < deleted && deleted < revision(&last)?);
    assert_eq!(next(&mut whole).await?, ("ADDED", "b".into(), revision(&last)?));

    let mut rest = pin!(api.watch(&WatchParams::default(), &revision(&changed)?.to_string()).await?);
    assert_eq!(next(&mut rest).await?, ("DELETED", "a".into(), deleted));
    assert_eq!(next(&mut rest).await?, ("ADDED", "b".into(), revision(&last)?));
    Ok(())
}

#[tokio::test]
async fn what_leaves_a_selector_is_deleted_for_its_watchers() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let start = now(&api).await?;
    let mut stream = pin!(api.watch(&WatchParams::default().labels("shelf=1"), &start).await?);
    let label = async |value: Value| -> anyhow::Result<u64> {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"shelf": value}}}));
        revision(&api.patch("a", &PatchParams::default(), &patch).await?)
    };
    create_configmap(&api, "a", json!({"shelf": "2"})).await?;
    let entered = label(json!("1")).await?;
    let left = label(json!("3")).await?;
    let back = label(json!("1")).await?;
    assert_eq!(next(&mut stream).await?, ("ADDED", "a".into(), entered));
    assert_eq!(next(&mut stream).await?, ("DELETED", "a".into(), left));
    assert_eq!(next(&mut stream).await?, ("ADDED", "a".into(), back));
    Ok(())
}

#[tokio::test]
async fn a_field_selector_narrows_a_watch() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let start = now(&api).await?;
    let mut stream = pin!(api.watch(&WatchParams::default().fields("metadata.name=b"), &start).await?);
    fixture.configmap("a").await?;
    let b = fixture.configmap("b").await?;
    assert_eq!(next(&mut stream).await?, ("ADDED", "b".into(), revision(&b)?));
    Ok(())
}

#[tokio::test]
async fn a_watch_from_zero_begins_with_what_there_is() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let a = create_configmap(&api, "a", json!({"x": "y"})).await?;
    let mut stream = pin!(api.watch(&WatchParams::default().labels("x=y"), "0").await?);
    assert_eq!(next(&mut stream).await?, ("ADDED", "a".into(), revision(&a)?));
    let b = create_configmap(&api, "b", json!({"x": "y"})).await?;
    assert_eq!(next(&mut stream).await?, ("ADDED", "b".into(), revision(&b)?));
    Ok(())
}

#[tokio::test]
async fn a_streamed_list_ends_with_a_marked_bookmark() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    for name in ["a", "b"] {
        create_configmap(&fixture.configmaps(), name, json!({"x": "y"})).await?;
    }
    let path = format!(
        "/api/v1/namespaces/{}/configmaps?watch=1&labelSelector=x%3Dy&sendInitialEvents=true\
         &resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=30",
        fixture.namespace
    );
    let events = fixture.client.request_events::<ConfigMap>(http::Request::get(path).body(Vec::new())?).await?;
    let mut events = pin!(events);
    for name in ["a", "b"] {
        assert_eq!(next(&mut events).await?.1, name);
    }
    match events.try_next().await? {
        Some(WatchEvent::Bookmark(mark)) => {
            let end = mark.metadata.annotations.get("k8s.io/initial-events-end");
            assert_eq!(end.map(String::as_str), Some("true"));
        }
        other => anyhow::bail!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_watch_that_times_out_says_how_far_it_came() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let other: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    let object = crate::support::parse(json!({"metadata": {"generateName": "elsewhere-"}}))?;
    let mut params = WatchParams::default().timeout(6);
    params.bookmarks = true;
    eventually("a write during a watch", async || {
        let start = now(&api).await?;
        let begun = std::time::Instant::now();
        let watch = api.watch(&params, &start).await?;
        // Written outside of what is watched: only a bookmark can tell of it.
        let elsewhere = other.create(&Default::default(), &object).await?;
        let during = begun.elapsed().as_secs() < 4;
        other.delete(&elsewhere.name_any(), &DeleteParams::default()).await?;
        let events: Vec<_> = watch.try_collect().await?;
        let Some(WatchEvent::Bookmark(mark)) = events.last() else {
            anyhow::bail!("no bookmark at the end: {events:?}")
        };
        let reached = mark.metadata.resource_version.parse::<u64>()?;
        anyhow::ensure!(!during || reached >= revision(&elsewhere)?, "it came to {reached} only");
        Ok(during.then_some(()))
    })
    .await
}

#[tokio::test]
async fn ages_in_a_watched_table_are_those_of_the_moment() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let path = format!("/api/v1/namespaces/{}/configmaps?watch=1", fixture.namespace);
    let request = http::Request::get(path).header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let stream = fixture.client.request_stream(request.body(Vec::new())?).await?;
    let mut lines = pin!(stream.lines());
    let mut number = 0;
    let mut created = async || -> anyhow::Result<String> {
        number += 1;
        let name = format!("c{number}");
        create_configmap(&api, &name, json!({})).await?;
        let line = tokio::time::timeout(DEADLINE, lines.next()).await?.context("the watch ended")??;
        let cells = &serde_json::from_str::<Value>(&line)?["object"]["rows"][0]["cells"];
        anyhow::ensure!(cells[0] == json!(name), "{line}");
        Ok(cells[2].as_str().context("an age")?.to_owned())
    };
    let start = std::time::Instant::now();
    // To a watch that told ages of the moment when it began, a later object would seem to come from the future: then its
    // age is "<invalid>". How many seconds pass between the create and the event is up to the machine.
    eventually("three seconds", async || {
        let age = created().await?;
        let seconds: Option<u32> = age.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
        anyhow::ensure!(seconds.is_some(), "{age}");
        Ok((start.elapsed().as_secs() >= 3).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_nonsensical_revision_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let refused = refusal(api.watch(&WatchParams::default(), "x").await.map(drop))?;
    assert_eq!(refused, (500, String::new()));
    Ok(())
}

#[tokio::test]
async fn every_watcher_sees_the_same_history() -> anyhow::Result<()> {
    const WATCHERS: usize = 20;
    const CHANGES: usize = 30;
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let start = now(&api).await?;
    let mut streams = Vec::new();
    for _ in 0..WATCHERS {
        streams.push(Box::pin(api.watch(&WatchParams::default(), &start).await?));
    }
    let mut expected = vec![revision(&fixture.configmap("a").await?)?];
    for round in 1..CHANGES {
        expected.push(revision(&touch(&api, "a", &format!("value {round}")).await?)?);
    }
    for mut stream in streams {
        let mut seen = Vec::new();
        while seen.len() < CHANGES {
            seen.push(next(&mut stream).await?.2);
        }
        assert_eq!(seen, expected);
    }
    Ok(())
}
