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
        let schema = json!({"type": "object", "properties": {"spec": schema}});
        Custom::start_versions(json!([{
            "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
        }]))
        .await
    }

    /// Starts with these versions, which must all be served.
    async fn start_versions(versions: Value) -> anyhow::Result<Custom> {
        let fixture = Fixture::start().await?;
        let group = format!("{}.example.com", fixture.namespace);
        let names = json!({"plural": "boxes", "singular": "box", "kind": "Box"});
        let crd: CustomResourceDefinition = parse(json!({
            "metadata": {"name": format!("boxes.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions},
        }))?;
        let custom = Custom { fixture, group };
        custom.definitions().create(&PostParams::default(), &crd).await?;
        for version in &crd.spec.versions {
            let boxes = custom.boxes_of(&version.name);
            eventually("the new resource", async || Ok(boxes.list(&ListParams::default()).await.ok())).await?;
        }
        Ok(custom)
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.fixture.client.clone())
    }

    fn boxes(&self) -> Api<DynamicObject> {
        self.boxes_of("v1")
    }

    fn boxes_of(&self, version: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&self.group, version, "Box"), "boxes");
        Api::namespaced_with(self.fixture.client.clone(), &self.fixture.namespace, &resource)
    }

    fn a_box(&self, spec: Value) -> anyhow::Result<DynamicObject> {
        self.a_box_of("v1", json!({"spec": spec}))
    }

    /// A box of a version, with these members beside what every object has.
    fn a_box_of(&self, version: &str, mut members: Value) -> anyhow::Result<DynamicObject> {
        members["apiVersion"] = format!("{}/{version}", self.group).into();
        members["kind"] = "Box".into();
        members["metadata"] = json!({"name": "a"});
        parse(members)
    }

    /// The path of all boxes, in a version.
    fn path(&self, version: &str) -> String {
        format!("/apis/{}/{version}/namespaces/{}/boxes", self.group, self.fixture.namespace)
    }

    async fn end(self) -> anyhow::Result<()> {
        self.definitions().delete(&format!("boxes.{}", self.group), &DeleteParams::default()).await?;
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

/// A version of boxes with a status of its own.
fn version(name: &str, storage: bool, spec: Value, status: &Value) -> Value {
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    json!({
        "name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    })
}

#[tokio::test]
async fn new_objects_have_the_defaults_of_their_status() -> anyhow::Result<()> {
    let conditions = json!([{"type": "Accepted", "status": "Unknown"}]);
    let text = json!({"type": "string"});
    let condition = json!({"type": "object", "properties": {"type": text, "status": text}});
    let status = json!({
        "type": "object", "default": {"conditions": conditions},
        "properties": {"conditions": {"type": "array", "items": condition}},
    });
    let spec = json!({"type": "object", "properties": {"a": text}});
    let custom = Custom::start_versions(json!([version("v1", true, spec, &status)])).await?;
    let boxes = custom.boxes();
    let given = json!({"spec": {"a": "x"}, "status": {"conditions": []}});
    let created = boxes.create(&PostParams::default(), &custom.a_box_of("v1", given)?).await?;
    assert_eq!(created.data["status"]["conditions"], conditions);
    assert_eq!(boxes.get("a").await?.data["status"]["conditions"], conditions);
    let emptied = Patch::Merge(json!({"status": {"conditions": []}}));
    let emptied = boxes.patch_status("a", &PatchParams::default(), &emptied).await?;
    assert_eq!(emptied.data["status"]["conditions"], json!([]));
    // What is gone altogether has its defaults again.
    let without = boxes.patch_status("a", &PatchParams::default(), &Patch::Merge(json!({"status": null}))).await?;
    assert_eq!(without.data["status"]["conditions"], conditions);
    custom.end().await
}

#[tokio::test]
async fn each_version_prunes_defaults_and_validates_by_its_own_schema() -> anyhow::Result<()> {
    let old = json!({
        "type": "object", "required": ["image"],
        "properties": {"image": {"type": "string"}, "size": {"type": "integer", "default": 1}},
    });
    let new = json!({"type": "object", "properties": {"size": {"type": "integer"}, "more": {"type": "string", "default": "m"}}});
    let status = json!({"type": "object", "properties": {"phase": {"type": "string"}}});
    let versions = json!([version("v1", false, old, &status), version("v2", true, new, &status)]);
    let custom = Custom::start_versions(versions).await?;
    let (v1, v2) = (custom.boxes_of("v1"), custom.boxes_of("v2"));
    let create = async |spec: Value| {
        let object = custom.a_box_of("v1", json!({"spec": spec}))?;
        anyhow::Ok(v1.create(&PostParams::default(), &object).await)
    };
    // What only the version of the request knows is required and checked there, though the storage version drops it.
    assert_eq!(refusal(create(json!({"size": 2})).await?)?, refused(422, "Invalid"));
    assert_eq!(refusal(create(json!({"image": 5})).await?)?, refused(422, "Invalid"));
    let created = create(json!({"image": "i", "more": "x"})).await??;
    assert_eq!(created.data["spec"], json!({"size": 1}));
    assert_eq!(v2.get("a").await?.data["spec"], json!({"size": 1, "more": "m"}));
    // A write through a version loses what that version does not know.
    let grown = Patch::Merge(json!({"spec": {"more": "kept"}}));
    assert_eq!(v2.patch("a", &PatchParams::default(), &grown).await?.data["spec"], json!({"size": 1, "more": "kept"}));
    let grown = Patch::Merge(json!({"spec": {"image": "i", "size": 2}}));
    assert_eq!(v1.patch("a", &PatchParams::default(), &grown).await?.data["spec"], json!({"size": 2}));
    assert_eq!(v2.get("a").await?.data["spec"], json!({"size": 2, "more": "m"}));
    custom.end().await
}

#[tokio::test]
async fn an_apply_through_another_version_that_changes_nothing_leaves_the_object_as_it_is() -> anyhow::Result<()> {
    let item = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    let parts = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item});
    let spec = |default: Value| json!({"type": "object", "properties": {"parts": parts, "mode": default}});
    let (plain, defaulted) = (json!({"type": "string"}), json!({"type": "string", "default": "auto"}));
    let status = json!({"type": "object"});
    let versions = json!([version("v1", true, spec(plain), &status), version("v2", false, spec(defaulted), &status)]);
    let custom = Custom::start_versions(versions).await?;
    let apply = async |version: &str, parts: Value| {
        let object = custom.a_box_of(version, json!({"spec": {"parts": parts}}))?;
        anyhow::Ok(custom.boxes_of(version).patch("a", &PatchParams::apply("one"), &Patch::Apply(object)).await?)
    };
    let first = apply("v1", json!([{"name": "x"}, {"name": "y"}])).await?;
    let again = apply("v2", json!([{"name": "x"}, {"name": "y"}])).await?;
    assert_eq!(again.metadata.generation, Some(1));
    assert_eq!(again.data["spec"], json!({"parts": [{"name": "x"}, {"name": "y"}]}));
    // Who applied is now known to have done so in the other version; then there is nothing left to write.
    let stable = apply("v2", json!([{"name": "x"}, {"name": "y"}])).await?;
    assert_eq!(stable.resource_version(), again.resource_version());
    assert_ne!(stable.resource_version(), first.resource_version());
    custom.end().await
}

#[tokio::test]
async fn objects_stay_in_the_version_that_they_were_stored_in() -> anyhow::Result<()> {
    let spec =
        |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}, "both": {"type": "string"}}});
    let status = json!({"type": "object"});
    let (v1, v2) = (version("v1", true, spec("old"), &status), version("v2", false, spec("new"), &status));
    let custom = Custom::start_versions(json!([v1, v2])).await?;
    let given = json!({"spec": {"old": "o", "both": "b"}});
    custom.boxes().create(&PostParams::default(), &custom.a_box_of("v1", given)?).await?;
    let change = async |patch: Value| {
        let name = format!("boxes.{}", custom.group);
        custom
            .definitions()
            .patch(&name, &PatchParams::default(), &Patch::Json::<()>(serde_json::from_value(patch)?))
            .await?;
        anyhow::Ok(())
    };
    let store_v2 = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    change(store_v2).await?;
    let seen =
        async |version: &str| Ok::<_, anyhow::Error>(custom.boxes_of(version).get("a").await?.data["spec"].clone());
    let stored = async || custom.definitions().get(&format!("boxes.{}", custom.group)).await;
    eventually("the new storage version", async || {
        let versions = stored().await?.status.and_then(|status| status.stored_versions);
        Ok(versions.filter(|versions| versions.contains(&"v2".to_owned())))
    })
    .await?;
    assert_eq!((seen("v1").await?, seen("v2").await?), (json!({"old": "o", "both": "b"}), json!({"both": "b"})));
    change(json!([{"op": "replace", "path": "/spec/versions/0/served", "value": false}])).await?;
    eventually("the old version to go", async || {
        let gone = refusal(custom.boxes().list(&ListParams::default()).await).ok();
        Ok(gone.filter(|refusal| refusal.0 == 404))
    })
    .await?;
    let shown = custom.fixture.get(&custom.path("v2")).await?;
    assert_eq!(shown["items"][0]["apiVersion"], format!("{}/v2", custom.group));
    assert_eq!(shown["items"][0]["spec"], json!({"both": "b"}));
    custom.end().await
}

#[tokio::test]
async fn versions_have_columns_and_field_labels_of_their_own() -> anyhow::Result<()> {
    // Upstream refuses field labels of versions whose schemas are all the same.
    let text = |name: &str| json!({"type": "string", "description": name});
    let spec = |name: &str| json!({"type": "object", "properties": {"a": text(name), "b": text(name)}});
    let status = json!({"type": "object"});
    let shown = |name: &str, storage: bool, field: &str| {
        let mut version = version(name, storage, spec(name), &status);
        version["additionalPrinterColumns"] = json!([{"name": "Own", "type": "string", "jsonPath": field}]);
        version["selectableFields"] = json!([{"jsonPath": field}]);
        version
    };
    let custom = Custom::start_versions(json!([shown("v1", true, ".spec.a"), shown("v2", false, ".spec.b")])).await?;
    custom.boxes().create(&PostParams::default(), &custom.a_box(json!({"a": "x", "b": "y"}))?).await?;
    for (version, own, other) in [("v1", "spec.a=x", "spec.b=y"), ("v2", "spec.b=y", "spec.a=x")] {
        let boxes = custom.boxes_of(version);
        assert_eq!(boxes.list(&ListParams::default().fields(own)).await?.items.len(), 1, "{version}");
        let foreign = boxes.list(&ListParams::default().fields(other)).await;
        assert_eq!(refusal(foreign)?, refused(400, "BadRequest"), "{version}");
        let table =
            http::Request::get(custom.path(version)).header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
        let table: Value = custom.fixture.client.request(table.body(Vec::new())?).await?;
        let cell = &table["rows"][0]["cells"][1];
        assert_eq!(cell, own.split_once('=').unwrap_or_default().1, "{version}");
    }
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
