//! Lists: pages of one snapshot, revisions, selectors.

use crate::support::{Fixture, create_configmap, parse, pod, refusal, revision};
use corten_e2e::eventually;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, PostParams, VersionMatch};
use serde_json::json;

fn names<K: ResourceExt>(items: &[K]) -> Vec<String> {
    items.iter().map(|item| item.name_any()).collect()
}

#[tokio::test]
async fn pages_are_of_one_snapshot() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let all = ListParams::default().labels("paged");
    for index in 0..7 {
        create_configmap(&api, &format!("n{index}"), json!({"paged": ""})).await?;
    }
    let first = api.list(&ListParams::default().limit(3)).await?;
    assert_eq!(names(&first.items), ["n0", "n1", "n2"]);
    assert_eq!(first.metadata.remaining_item_count, Some(4));
    create_configmap(&api, "n3a", json!({"paged": ""})).await?;
    api.delete("n5", &DeleteParams::default()).await?;
    let token = first.metadata.continue_.clone().unwrap_or_default();
    let second = api.list(&ListParams::default().limit(3).continue_token(&token)).await?;
    assert_eq!(names(&second.items), ["n3", "n4", "n5"]);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    let token = second.metadata.continue_.unwrap_or_default();
    let third = api.list(&ListParams::default().limit(3).continue_token(&token)).await?;
    assert_eq!(names(&third.items), ["n6"]);
    assert_eq!(third.metadata.continue_.unwrap_or_default(), "");
    assert_eq!(names(&api.list(&all).await?.items), ["n0", "n1", "n2", "n3", "n3a", "n4", "n6"]);
    Ok(())
}

#[tokio::test]
async fn a_wrong_continue_token_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    // `{"v":"meta.k8s.io/v1","rv":5,"start":"a"}`, and the same with `../a`.
    let good = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiJhIn0";
    let up = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiIuLi9hIn0";
    let invalid = "invalid continue token: continue key is not valid";
    for (query, message) in [
        ("continue=abc~".to_owned(), format!("{invalid}: illegal base64 data at input byte 3")),
        ("continue=abc~&resourceVersion=5".into(), format!("{invalid}: illegal base64 data at input byte 3")),
        (format!("continue={up}"), format!("{invalid}: ../a")),
        (
            format!("continue={good}&resourceVersion=x"),
            "specifying resource version is not allowed when using continue".into(),
        ),
    ] {
        let answer = fixture.get(&format!("/api/v1/namespaces/{}/configmaps?{query}", fixture.namespace)).await;
        let Err(error) = answer else { anyhow::bail!("{query} was accepted") };
        assert!(error.to_string().contains(&message), "{query}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_list_is_never_older_than_an_answered_write() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    for index in 0..30 {
        let name = format!("n{index}");
        let created = fixture.configmap(&name).await?;
        let list = api.list(&ListParams::default()).await?;
        assert!(names(&list.items).contains(&name));
        assert!(list.metadata.resource_version.unwrap_or_default().parse::<u64>()? >= revision(&created)?);
        let path = format!("/api/v1/namespaces/{}/configmaps/{name}", fixture.namespace);
        assert_eq!(fixture.get(&path).await?["metadata"]["resourceVersion"], json!(revision(&created)?.to_string()));
    }
    Ok(())
}

#[tokio::test]
async fn an_exact_revision_shows_the_past() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let a = fixture.configmap("a").await?;
    fixture.configmap("b").await?;
    let at = |version: u64, matching| {
        let params = ListParams { version_match: Some(matching), ..ListParams::default() };
        ListParams { resource_version: Some(version.to_string()), ..params }
    };
    let past = api.list(&at(revision(&a)?, VersionMatch::Exact)).await?;
    assert_eq!(names(&past.items), ["a"]);
    let later = api.list(&at(revision(&a)?, VersionMatch::NotOlderThan)).await?;
    assert!(names(&later.items).contains(&"a".to_owned()));
    let (code, reason) = refusal(api.list(&at(u64::MAX >> 1, VersionMatch::NotOlderThan)).await)?;
    assert_eq!((code, reason.as_str()), (504, "Timeout"));
    Ok(())
}

#[tokio::test]
async fn labels_select() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    for (name, labels) in [("a", json!({"x": "1"})), ("b", json!({"x": "2", "y": ""})), ("c", json!({"y": "1"}))] {
        create_configmap(&api, name, labels).await?;
    }
    let check = async |selector: &str, expected: &[&str]| -> anyhow::Result<()> {
        let found = names(&api.list(&ListParams::default().labels(selector)).await?.items);
        let found: Vec<_> = found.iter().filter(|name| *name != "kube-root-ca.crt").collect();
        anyhow::ensure!(found == expected, "{selector}: {found:?}");
        Ok(())
    };
    check("x", &["a", "b"]).await?;
    check("!x", &["c"]).await?;
    check("x=1", &["a"]).await?;
    check("x!=1", &["b", "c"]).await?;
    check("x in (1,2),y", &["b"]).await?;
    check("x notin (1)", &["b", "c"]).await?;
    check("y=", &["b"]).await?;
    check("x>1", &["b"]).await?;
    assert_eq!(refusal(api.list(&ListParams::default().labels("x in 1")).await)?.0, 400);
    Ok(())
}

#[tokio::test]
async fn pods_are_found_by_node_and_phase() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    for (name, node) in [("a", None), ("b", Some("n"))] {
        let mut pod = pod(name)?;
        if let Some(spec) = pod.spec.as_mut() {
            spec.node_name = node.map(Into::into);
        }
        fixture.pods().create(&PostParams::default(), &pod).await?;
    }
    let by = async |selector: &str| -> anyhow::Result<Vec<String>> {
        Ok(names(&fixture.pods().list(&ListParams::default().fields(selector)).await?.items))
    };
    assert_eq!(by("spec.nodeName=n").await?, ["b"]);
    assert_eq!(by("spec.nodeName!=n,status.phase=Pending").await?, ["a"]);
    assert_eq!(by("status.phase=Running").await?, [""; 0]);
    let unknown = fixture.pods().list(&ListParams::default().fields("spec.image=x")).await;
    assert_eq!(refusal(unknown)?.0, 400);
    Ok(())
}

#[tokio::test]
async fn all_namespaces_are_listed_in_order() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let label = format!("of={}", fixture.namespace);
    let all: Api<ConfigMap> = Api::all(fixture.client.clone());
    for namespace in ["default", "kube-system"] {
        let api: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), namespace);
        let object = json!({"metadata": {"generateName": "all-", "labels": {"of": fixture.namespace}}});
        let made = api.create(&PostParams::default(), &parse(object)?).await?;
        eventually("the new object in the list", async || {
            let list = all.list(&ListParams::default().labels(&label)).await?;
            Ok(list.iter().any(|object| object.uid() == made.uid()).then_some(()))
        })
        .await?;
    }
    let list = all.list(&ListParams::default().labels(&label)).await?;
    let namespaces: Vec<_> = list.iter().filter_map(ResourceExt::namespace).collect();
    assert_eq!(namespaces, ["default", "kube-system"]);
    for object in list {
        let api: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), &object.namespace().unwrap_or_default());
        api.delete(&object.name_any(), &DeleteParams::default()).await?;
    }
    Ok(())
}
