//! Custom resources by kube's dynamic types.

use crate::support::{Fixture, parse, refusal, refused};
use corten_e2e::eventually;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Discovery, ResourceExt};
use serde_json::{Value, json};

/// A definition in a group of the test's own, so that tests do not meet.
struct Custom {
    fixture: Fixture,
    group: String,
}

impl Custom {
    async fn start(schema: Value) -> anyhow::Result<Custom> {
        let fixture = Fixture::start().await?;
        let group = format!("{}.example.com", fixture.namespace);
        let version = json!({
            "name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}},
            "subresources": {"status": {}},
        });
        let names = json!({"plural": "boxes", "singular": "box", "kind": "Box"});
        let crd: CustomResourceDefinition = parse(json!({
            "metadata": {"name": format!("boxes.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
        }))?;
        let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
        crds.create(&PostParams::default(), &crd).await?;
        let custom = Custom { fixture, group };
        eventually("the new resource", async || Ok(custom.boxes().list(&ListParams::default()).await.ok())).await?;
        Ok(custom)
    }

    fn boxes(&self) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&self.group, "v1", "Box"), "boxes");
        Api::namespaced_with(self.fixture.client.clone(), &self.fixture.namespace, &resource)
    }

    fn a_box(&self, spec: Value) -> anyhow::Result<DynamicObject> {
        let api_version = format!("{}/v1", self.group);
        parse(json!({"apiVersion": api_version, "kind": "Box", "metadata": {"name": "a"}, "spec": spec}))
    }

    async fn end(self) -> anyhow::Result<()> {
        let crds: Api<CustomResourceDefinition> = Api::all(self.fixture.client.clone());
        crds.delete(&format!("boxes.{}", self.group), &DeleteParams::default()).await?;
        eventually("the resource to go", async || {
            let gone = refusal(self.boxes().list(&ListParams::default()).await).ok();
            Ok(gone.filter(|refusal| refusal.0 == 404))
        })
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn objects_are_pruned_defaulted_and_validated() -> anyhow::Result<()> {
    let size = json!({"type": "integer", "minimum": 1, "default": 3});
    let custom = Custom::start(json!({"type": "object", "properties": {"size": size}})).await?;
    let boxes = custom.boxes();
    let created = boxes.create(&PostParams::default(), &custom.a_box(json!({"other": 1}))?).await?;
    assert_eq!(created.data["spec"], json!({"size": 3}));
    let small = boxes.patch("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"size": 0}}))).await;
    assert_eq!(refusal(small)?, refused(422, "Invalid"));
    let strategic = boxes.patch("a", &PatchParams::default(), &Patch::Strategic(json!({"spec": {"size": 2}}))).await;
    assert_eq!(refusal(strategic)?, refused(415, "UnsupportedMediaType"));
    custom.end().await
}

#[tokio::test]
async fn the_generation_counts_changes_of_the_spec() -> anyhow::Result<()> {
    let custom = Custom::start(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})).await?;
    let boxes = custom.boxes();
    let generation = |object: &DynamicObject| object.metadata.generation;
    let created = boxes.create(&PostParams::default(), &custom.a_box(json!({"x": 1}))?).await?;
    assert_eq!(generation(&created), Some(1));
    let params = PatchParams::default();
    let labelled = boxes.patch("a", &params, &Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}))).await?;
    assert_eq!(generation(&labelled), Some(1));
    let changed = boxes.patch("a", &params, &Patch::Merge(json!({"spec": {"x": 2}}))).await?;
    assert_eq!(generation(&changed), Some(2));
    let status = boxes.patch_status("a", &params, &Patch::Merge(json!({"status": {"y": 1}, "spec": {"x": 3}}))).await?;
    assert_eq!((generation(&status), &status.data["spec"]), (Some(2), &json!({"x": 2})));
    custom.end().await
}

#[tokio::test]
async fn a_definition_shows_in_discovery_and_openapi_at_once() -> anyhow::Result<()> {
    let size = json!({"type": "integer", "description": "How big."});
    let custom = Custom::start(json!({"type": "object", "properties": {"size": size}})).await?;
    let group = custom.group.clone();
    let client = custom.fixture.client.clone();
    eventually("discovery", async || {
        let found = Discovery::new(client.clone()).filter(&[&group]).run_aggregated().await?;
        Ok(found.get(&group).and_then(|group| group.recommended_kind("Box")))
    })
    .await?;
    let path = format!("/openapi/v3/apis/{group}/v1");
    let document = eventually("OpenAPI", async || Ok(custom.fixture.get(&path).await.ok())).await?;
    let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let schema = schemas.iter().find(|(name, _)| name.ends_with(".v1.Box")).map(|(_, schema)| schema.clone());
    let size = &schema.unwrap_or_default()["properties"]["spec"]["properties"]["size"];
    assert_eq!(*size, json!({"type": "integer", "description": "How big."}));
    custom.end().await
}

#[tokio::test]
async fn appliers_merge_lists_by_their_keys() -> anyhow::Result<()> {
    let item = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}});
    let parts = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item});
    let custom = Custom::start(json!({"type": "object", "properties": {"parts": parts}})).await?;
    let boxes = custom.boxes();
    let apply = async |manager: &str, parts: Value| {
        let object = custom.a_box(json!({"parts": parts}))?;
        anyhow::Ok(boxes.patch("a", &PatchParams::apply(manager), &Patch::Apply(object)).await)
    };
    apply("one", json!([{"name": "x", "n": 1}])).await??;
    let both = apply("two", json!([{"name": "y", "n": 2}])).await??;
    assert_eq!(both.data["spec"]["parts"], json!([{"name": "x", "n": 1}, {"name": "y", "n": 2}]));
    assert_eq!(refusal(apply("two", json!([{"name": "x", "n": 5}])).await?)?, refused(409, "Conflict"));
    let left = apply("one", json!([])).await??;
    assert_eq!(left.data["spec"]["parts"], json!([{"name": "y", "n": 2}]));
    assert_eq!(left.name_any(), "a");
    custom.end().await
}

/// kubectl waits for a condition of a definition with a GET, and fails where the conditions are null.
#[tokio::test]
async fn a_created_definition_has_conditions() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let group = format!("{}.example.com", fixture.namespace);
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let versions = json!([{"name": "v1", "served": true, "storage": true, "schema": schema}]);
    for n in 0..10 {
        let (name, applied) = (format!("boxes{n}.{group}"), n % 2 == 1);
        let names = json!({"plural": format!("boxes{n}"), "kind": format!("Box{n}")});
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
            "spec": {"group": group, "scope": "Cluster", "names": names, "versions": versions},
        });
        let created = match applied {
            true => crds.patch(&name, &PatchParams::apply("e2e"), &Patch::Apply(&crd)).await?,
            false => crds.create(&PostParams::default(), &parse(crd)?).await?,
        };
        // The answer shows what was created, as upstream's does.
        assert_eq!(created.status.and_then(|status| status.conditions).unwrap_or_default().len(), 0, "{name}");
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let conditions = fixture.get(&path).await?["status"]["conditions"].take();
        assert!(conditions.as_array().is_some_and(|conditions| !conditions.is_empty()), "{name}: {conditions}");
    }
    for n in 0..10 {
        crds.delete(&format!("boxes{n}.{group}"), &DeleteParams::default()).await?;
    }
    Ok(())
}
