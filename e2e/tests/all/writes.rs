//! Every way of writing, and what each leaves unchanged.

use crate::support::{Fixture, parse, pod, refusal, refused, revision};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde_json::json;

#[tokio::test]
async fn a_stale_update_is_a_conflict() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let mut first = fixture.configmap("a").await?;
    let mut second = first.clone();
    first.data = Some([("key".into(), "first".into())].into());
    api.replace("a", &PostParams::default(), &first).await?;
    second.data = Some([("key".into(), "second".into())].into());
    assert_eq!(refusal(api.replace("a", &PostParams::default(), &second).await)?, refused(409, "Conflict"));
    assert_eq!(api.get("a").await?.data, first.data);
    second.metadata.resource_version = None;
    assert_eq!(api.replace("a", &PostParams::default(), &second).await?.data, second.data);
    Ok(())
}

#[tokio::test]
async fn a_write_without_change_keeps_the_revision() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let created = fixture.configmap("a").await?;
    let replaced = api.replace("a", &PostParams::default(), &created).await?;
    assert_eq!(created, replaced);
    let patch = Patch::Merge(json!({"data": {"key": "a"}}));
    assert_eq!(api.patch("a", &PatchParams::default(), &patch).await?, created);
    let apply = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"more": "x"},
    }));
    let applied = api.patch("a", &PatchParams::apply("one"), &apply).await?;
    assert!(revision(&applied)? > revision(&created)?);
    assert_eq!(api.patch("a", &PatchParams::apply("one"), &apply).await?, applied);
    Ok(())
}

#[tokio::test]
async fn dry_runs_answer_and_store_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let (api, dry) = (fixture.configmaps(), PostParams { dry_run: true, ..PostParams::default() });
    let kept = fixture.configmap("kept").await?;
    let object: ConfigMap = parse(json!({"metadata": {"name": "a"}}))?;
    let answer = api.create(&dry, &object).await?;
    assert!(answer.uid().is_some() && answer.resource_version().is_none());
    let mut changed = kept.clone();
    changed.data = None;
    assert_eq!(api.replace("kept", &dry, &changed).await?.data, None);
    let patch = Patch::Merge(json!({"data": {"key": "other"}}));
    api.patch("kept", &PatchParams { dry_run: true, ..PatchParams::default() }, &patch).await?;
    api.delete("kept", &DeleteParams { dry_run: true, ..DeleteParams::default() }).await?;
    let all = api.list(&ListParams::default()).await?.items;
    assert_eq!(all.iter().filter(|object| object.name_any() != "kube-root-ca.crt").collect::<Vec<_>>(), [&kept]);
    Ok(())
}

#[tokio::test]
async fn generated_names_differ() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let object: ConfigMap = parse(json!({"metadata": {"generateName": "made-"}}))?;
    let one = fixture.configmaps().create(&PostParams::default(), &object).await?.name_any();
    let two = fixture.configmaps().create(&PostParams::default(), &object).await?.name_any();
    assert!(one.starts_with("made-") && one.len() == "made-".len() + 5, "{one}");
    assert_ne!(one, two);
    Ok(())
}

#[tokio::test]
async fn the_patch_types_treat_lists_each_in_their_way() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api: Api<Deployment> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "one", "image": "i"}]}});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    api.create(&PostParams::default(), &parse(json!({"metadata": {"name": "d"}, "spec": spec}))?).await?;
    let containers = |value| json!({"spec": {"template": {"spec": {"containers": value}}}});
    let default = PatchParams::default();

    let merged =
        api.patch("d", &default, &Patch::Strategic(containers(json!([{"name": "two", "image": "j"}])))).await?;
    assert_eq!(names(&merged), ["two", "one"]);
    let deleted = json!([{"name": "two", "$patch": "delete"}]);
    assert_eq!(names(&api.patch("d", &default, &Patch::Strategic(containers(deleted))).await?), ["one"]);
    let replaced =
        api.patch("d", &default, &Patch::Merge(containers(json!([{"name": "three", "image": "k"}])))).await?;
    assert_eq!(names(&replaced), ["three"]);
    let operations = json!([
        {"op": "test", "path": "/spec/template/spec/containers/0/name", "value": "three"},
        {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "four", "image": "l"}},
    ]);
    let operations: Patch<()> = Patch::Json(serde_json::from_value(operations)?);
    assert_eq!(names(&api.patch("d", &default, &operations).await?), ["three", "four"]);
    Ok(())
}

fn names(deployment: &Deployment) -> Vec<String> {
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    template.into_iter().flat_map(|spec| &spec.containers).map(|container| container.name.clone()).collect()
}

#[tokio::test]
async fn appliers_own_what_they_apply() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let metadata = json!({"name": "a"});
    let data =
        |value| Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": value}));
    api.patch("a", &PatchParams::apply("one"), &data(json!({"x": "1", "y": "1"}))).await?;
    let conflict = api.patch("a", &PatchParams::apply("two"), &data(json!({"x": "2"}))).await;
    assert_eq!(refusal(conflict)?, refused(409, "Conflict"));
    api.patch("a", &PatchParams::apply("two").force(), &data(json!({"x": "2"}))).await?;
    // "one" no longer owns x, so that leaving it out does not remove it; y it does own.
    let left = api.patch("a", &PatchParams::apply("one"), &data(json!({}))).await?;
    assert_eq!(left.data, Some([("x".into(), "2".into())].into()));
    let managers: Vec<_> = left.managed_fields().iter().filter_map(|entry| entry.manager.clone()).collect();
    assert_eq!(managers, ["one", "two"]);
    Ok(())
}

#[tokio::test]
async fn concurrent_first_appliers_all_succeed() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let maps = fixture.configmaps();
    for round in 0..20 {
        let name = format!("first-{round}");
        let apply = async |manager: usize| {
            let key = format!("key-{manager}");
            let object =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: "x"}});
            maps.patch(&name, &PatchParams::apply(&format!("m{manager}")), &Patch::Apply(object)).await
        };
        let applied = futures::future::try_join_all((0..12).map(apply)).await?;
        let whole = maps.get(&name).await?;
        assert_eq!(whole.data.map(|data| data.len()), Some(12), "round {round}");
        assert_eq!(whole.metadata.managed_fields.map(|entries| entries.len()), Some(12), "round {round}");
        let uids: std::collections::BTreeSet<_> = applied.iter().map(|object| object.uid()).collect();
        assert_eq!(uids.len(), 1, "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn a_finalizer_holds_its_object() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    fixture.configmap("a").await?;
    let finalizers = |list| Patch::Merge(json!({"metadata": {"finalizers": list}}));
    api.patch("a", &PatchParams::default(), &finalizers(json!(["example.com/one", "example.com/two"]))).await?;
    let marked = api.delete("a", &DeleteParams::default()).await?.left();
    assert!(marked.is_some_and(|object| object.meta().deletion_timestamp.is_some()));
    let added =
        api.patch("a", &PatchParams::default(), &finalizers(json!(["example.com/one", "example.com/three"]))).await;
    assert_eq!(refusal(added)?, refused(422, "Invalid"));
    api.patch("a", &PatchParams::default(), &finalizers(json!(["example.com/one"]))).await?;
    assert!(api.get_opt("a").await?.is_some());
    api.patch("a", &PatchParams::default(), &finalizers(json!(null))).await?;
    assert!(api.get_opt("a").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_bound_pod_is_deleted_gracefully_and_another_at_once() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.pods();
    for name in ["free", "bound"] {
        api.create(&PostParams::default(), &pod(name)?).await?;
    }
    let binding = json!({"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "n"}});
    let bind = async |binding: &serde_json::Value| {
        let request = http::Request::post(format!("/api/v1/namespaces/{}/pods/bound/binding", fixture.namespace));
        let request = request.header("Content-Type", "application/json").body(serde_json::to_vec(binding)?)?;
        anyhow::Ok(fixture.client.request_text(request).await)
    };
    for wrong in [json!({"name": "bound", "uid": "wrong"}), json!({"name": "bound", "resourceVersion": "1"})] {
        let mut other = binding.clone();
        other["metadata"] = wrong;
        assert_eq!(refusal(bind(&other).await?)?, refused(409, "Conflict"));
    }
    bind(&binding).await??;

    api.delete("free", &DeleteParams::default()).await?;
    assert!(api.get_opt("free").await?.is_none());
    api.delete("bound", &DeleteParams::default()).await?;
    let leaving = api.get("bound").await?;
    assert_eq!(leaving.meta().deletion_grace_period_seconds, Some(30));
    api.delete("bound", &DeleteParams::default().grace_period(0)).await?;
    assert!(api.get_opt("bound").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn preconditions_are_held() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.configmaps();
    let created = fixture.configmap("a").await?;
    let only = |uid: Option<&str>, resource_version: Option<String>| {
        let uid = uid.map(Into::into);
        DeleteParams { preconditions: Some(Preconditions { uid, resource_version }), ..DeleteParams::default() }
    };
    let other = only(Some("b0b5b3c1-0000-4000-8000-000000000000"), None);
    assert_eq!(refusal(api.delete("a", &other).await)?, refused(409, "Conflict"));
    assert_eq!(refusal(api.delete("a", &only(None, Some("1".into()))).await)?, refused(409, "Conflict"));
    api.delete("a", &only(created.uid().as_deref(), created.resource_version())).await?;
    assert!(api.get_opt("a").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api: Api<Pod> = fixture.pods();
    for (name, tier) in [("a", "front"), ("b", "front"), ("c", "back")] {
        let mut pod = pod(name)?;
        pod.labels_mut().insert("tier".into(), tier.into());
        api.create(&PostParams::default(), &pod).await?;
    }
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("tier=front")).await?;
    let left: Vec<_> = api.list(&ListParams::default()).await?.iter().map(|pod| pod.name_any()).collect();
    assert_eq!(left, ["c"]);
    Ok(())
}

#[tokio::test]
async fn status_and_spec_are_written_apart() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let api = fixture.pods();
    api.create(&PostParams::default(), &pod("a")?).await?;
    let both = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}, "status": {"message": "hello"}}));
    let by_object = api.patch("a", &PatchParams::default(), &both).await?;
    assert_eq!(by_object.status.and_then(|status| status.message), None);
    let both = Patch::Merge(json!({"spec": {"activeDeadlineSeconds": 5}, "status": {"message": "hello"}}));
    let by_status = api.patch_status("a", &PatchParams::default(), &both).await?;
    assert_eq!(by_status.status.and_then(|status| status.message).as_deref(), Some("hello"));
    assert_eq!(by_status.spec.and_then(|spec| spec.active_deadline_seconds), None);
    Ok(())
}

#[tokio::test]
async fn concurrent_writers_lose_nothing() -> anyhow::Result<()> {
    const WRITERS: usize = 8;
    const WRITES: usize = 10;
    let fixture = Fixture::start().await?;
    let object: ConfigMap = parse(json!({"metadata": {"name": "count"}, "data": {"n": "0"}}))?;
    fixture.configmaps().create(&PostParams::default(), &object).await?;
    let writer = async || -> anyhow::Result<()> {
        let api = fixture.configmaps();
        for _ in 0..WRITES {
            loop {
                let mut object = api.get("count").await?;
                let n: usize = object.data.iter().flatten().next().map(|(_, n)| n.parse()).transpose()?.unwrap_or(0);
                object.data = Some([("n".into(), (n + 1).to_string())].into());
                match api.replace("count", &PostParams::default(), &object).await {
                    Ok(_) => break,
                    Err(kube::Error::Api(status)) if status.code == 409 => continue,
                    Err(other) => return Err(other.into()),
                }
            }
        }
        Ok(())
    };
    futures::future::try_join_all((0..WRITERS).map(|_| writer())).await?;
    let total = fixture.configmaps().get("count").await?.data.and_then(|data| data.get("n").cloned());
    assert_eq!(total, Some((WRITERS * WRITES).to_string()));
    Ok(())
}
