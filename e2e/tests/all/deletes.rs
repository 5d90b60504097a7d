//! Deletes: what they ask for in the query, whole collections, and what they leave unwritten.

use crate::support::{Fixture, create_configmap, parse, refusal, refused, revision};
use corten_e2e::eventually;
use http::Request;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

impl Fixture {
    /// A DELETE by path, with a body or none.
    async fn delete(&self, path: &str, body: &str) -> kube::Result<Value> {
        let request = Request::delete(path).header("content-type", "application/json");
        let request = request.body(body.as_bytes().to_vec()).map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    /// The names of the ConfigMaps that a test has made.
    async fn names(&self) -> anyhow::Result<Vec<String>> {
        let all = self.configmaps().list(&ListParams::default().labels("made=here")).await?;
        Ok(all.iter().map(ResourceExt::name_any).collect())
    }

    async fn five(&self) -> anyhow::Result<()> {
        for name in ["a", "b", "c", "d", "e"] {
            create_configmap(&self.configmaps(), name, json!({"made": "here"})).await?;
        }
        Ok(())
    }

    fn collection(&self, query: &str) -> String {
        format!("/api/v1/namespaces/{}/configmaps?labelSelector=made%3Dhere{query}", self.namespace)
    }
}

fn names_of(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn preconditions_may_stand_in_the_query() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let path = format!("/api/v1/namespaces/{}/configmaps/a", fixture.namespace);
    let conflict = refused(409, "Conflict");
    for (right, wrong) in [("uid", "uid=wrong"), ("resourceVersion", "resourceVersion=1")] {
        let object = fixture.configmap("a").await?;
        assert_eq!(refusal(fixture.delete(&format!("{path}?{wrong}"), "").await)?, conflict, "{wrong}");
        assert_eq!(fixture.configmaps().get("a").await?, object, "{wrong}");
        let value = if right == "uid" { object.uid() } else { object.resource_version() };
        fixture.delete(&format!("{path}?{right}={}", value.unwrap_or_default()), "").await?;
        assert!(fixture.configmaps().get_opt("a").await?.is_none(), "{right}");
    }
    // With a body the query says nothing.
    fixture.configmap("a").await?;
    fixture.delete(&format!("{path}?uid=wrong&propagationPolicy=Nonsense"), "{}").await?;
    Ok(())
}

#[tokio::test]
async fn a_collection_is_deleted_page_by_page() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    fixture.five().await?;
    let deleted = fixture.delete(&fixture.collection("&limit=2"), "").await?;
    assert_eq!(names_of(&deleted), ["a", "b"]);
    assert_eq!(fixture.names().await?, ["c", "d", "e"]);
    let token = deleted["metadata"]["continue"].as_str().unwrap_or_default();
    assert_ne!(token, "");
    let deleted = fixture.delete(&fixture.collection(&format!("&limit=2&continue={token}")), "").await?;
    assert_eq!(names_of(&deleted), ["c", "d"]);
    assert!(deleted["metadata"]["resourceVersion"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(fixture.names().await?, ["e"]);
    let deleted = fixture.delete(&fixture.collection(""), "").await?;
    assert_eq!((names_of(&deleted), deleted["metadata"]["continue"].as_str()), (vec!["e"], None));
    assert_eq!(names_of(&fixture.delete(&fixture.collection(""), "").await?), Vec::<&str>::new());
    Ok(())
}

#[tokio::test]
async fn a_collection_is_deleted_as_it_was() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    fixture.five().await?;
    let listed = fixture.configmaps().list(&ListParams::default()).await?;
    let then = listed.metadata.resource_version.unwrap_or_default();
    create_configmap(&fixture.configmaps(), "f", json!({"made": "here"})).await?;
    // Without a body the revision is a precondition, too, which no object fulfils.
    let exact = format!("&resourceVersion={then}&resourceVersionMatch=Exact");
    assert_eq!(refusal(fixture.delete(&fixture.collection(&exact), "").await)?, refused(409, "Conflict"));
    assert_eq!(fixture.names().await?, ["a", "b", "c", "d", "e", "f"]);
    let deleted = fixture.delete(&fixture.collection(&exact), "{}").await?;
    assert_eq!(names_of(&deleted), ["a", "b", "c", "d", "e"]);
    assert_eq!(deleted["metadata"]["resourceVersion"], then);
    assert_eq!(fixture.names().await?, ["f"]);
    let far = "&resourceVersion=999999999999&resourceVersionMatch=NotOlderThan";
    assert_eq!(refusal(fixture.delete(&fixture.collection(far), "{}").await)?, refused(504, "Timeout"));
    assert_eq!(refusal(fixture.delete(&fixture.collection("&continue=x"), "").await)?, refused(400, "BadRequest"));
    assert_eq!(fixture.names().await?, ["f"]);
    Ok(())
}

#[tokio::test]
async fn an_update_for_a_uid_makes_no_other_object() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    // A PUT makes a Lease that is not there, but no ConfigMap.
    let leases: Api<Lease> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let mut lease: Lease = parse(json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}}))?;
    let made = leases.replace("a", &PostParams::default(), &lease).await?;
    leases.delete("a", &DeleteParams::default()).await?;
    lease.metadata.uid = made.uid();
    assert_eq!(refusal(leases.replace("a", &PostParams::default(), &lease).await)?, refused(409, "Conflict"));
    assert!(leases.get_opt("a").await?.is_none());
    let configmap: ConfigMap = parse(json!({"metadata": {"name": "a", "uid": "u"}}))?;
    let refusal = refusal(fixture.configmaps().replace("a", &PostParams::default(), &configmap).await)?;
    assert_eq!(refusal, refused(404, "NotFound"));
    Ok(())
}

#[tokio::test]
async fn deleting_again_writes_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let held = json!({"finalizers": ["example.com/held"], "generateName": "held-"});
    let spec = json!({"containers": [{"name": "c", "image": "example.test/c:1"}]});
    let name = |plural: &str| format!("{plural}.deletes.example.com");
    let definition = json!({
        "metadata": {"name": name("helds"), "finalizers": ["example.com/held"]},
        "spec": {
            "group": "deletes.example.com", "scope": "Cluster",
            "names": {"plural": "helds", "singular": "held", "kind": "Held", "listKind": "HeldList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let namespaced = |plural: &str| format!("/api/v1/namespaces/{}/{plural}", fixture.namespace);
    let cases = [
        (namespaced("configmaps"), json!({"metadata": held})),
        (namespaced("pods"), json!({"metadata": held, "spec": spec})),
        ("/api/v1/namespaces".to_owned(), json!({"metadata": held})),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(), definition),
    ];
    for (collection, object) in cases {
        let request = Request::post(&collection).body(serde_json::to_vec(&object)?)?;
        let made: Value = fixture.client.request(request).await?;
        let path = format!("{collection}/{}", made["metadata"]["name"].as_str().unwrap_or_default());
        fixture.delete(&path, "").await?;
        // A definition's first delete leaves the second one something to mark, and its controller something to say.
        let quiet = async || {
            let before = fixture.delete(&path, "").await?;
            let after = fixture.delete(&path, "").await?;
            Ok((before == after && fixture.get(&path).await? == after).then_some(()))
        };
        match collection.contains("customresourcedefinitions") {
            true => eventually("a definition that is at rest", quiet).await?,
            false => assert!(quiet().await?.is_some(), "{collection}"),
        }
        let free = Request::patch(&path).header("content-type", "application/merge-patch+json");
        let free = free.body(br#"{"metadata":{"finalizers":null}}"#.to_vec())?;
        fixture.client.request::<Value>(free).await?;
    }
    Ok(())
}

/// What is called like a part of metadata is none.
#[tokio::test]
async fn a_name_does_not_make_an_object_look_deleted() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let names = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    let metadata = json!({"name": "a", "annotations": names, "labels": {"deletionTimestamp": "x"}});
    let object: ConfigMap = parse(json!({"metadata": metadata}))?;
    fixture.configmaps().create(&PostParams::default(), &object).await?;
    let Err(kube::Error::Api(status)) = fixture.configmaps().create(&PostParams::default(), &object).await else {
        anyhow::bail!("it was made twice");
    };
    assert_eq!(status.message, "configmaps \"a\" already exists");

    let definitions: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let definition = parse(json!({
        "metadata": {"name": "alikes.deletes.example.com"},
        "spec": {
            "group": "deletes.example.com", "scope": "Namespaced",
            "names": {"plural": "alikes", "singular": "alike", "kind": "Alike", "listKind": "AlikeList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    }))?;
    definitions.create(&PostParams::default(), &definition).await?;
    let resource = ApiResource {
        group: "deletes.example.com".into(),
        version: "v1".into(),
        api_version: "deletes.example.com/v1".into(),
        kind: "Alike".into(),
        plural: "alikes".into(),
    };
    let alikes: Api<DynamicObject> = Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &resource);
    let alike: DynamicObject =
        parse(json!({"apiVersion": "deletes.example.com/v1", "kind": "Alike", "metadata": metadata}))?;
    eventually("the definition to be served", async || Ok(alikes.create(&PostParams::default(), &alike).await.ok()))
        .await?;
    definitions.delete("alikes.deletes.example.com", &DeleteParams::default()).await?;
    eventually("the definition to be gone", async || {
        Ok(definitions.get_opt("alikes.deletes.example.com").await?.is_none().then_some(()))
    })
    .await
}

/// The revision of an object that is being deleted stays, whoever sees it and deletes it again.
#[tokio::test]
async fn a_mark_is_written_once() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    fixture.configmap("a").await?;
    let finalizers = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/held"]}}));
    fixture.configmaps().patch("a", &PatchParams::default(), &finalizers).await?;
    let mut revisions = Vec::new();
    for _ in 0..3 {
        fixture.configmaps().delete("a", &DeleteParams::default()).await?;
        revisions.push(revision(&fixture.configmaps().get("a").await?)?);
    }
    assert_eq!(revisions, [revisions[0]; 3]);
    // Another policy is a change.
    fixture.configmaps().delete("a", &DeleteParams::foreground()).await?;
    assert!(revision(&fixture.configmaps().get("a").await?)? > revisions[0]);
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    fixture.configmaps().patch("a", &PatchParams::default(), &free).await?;
    assert!(fixture.configmaps().get_opt("a").await?.is_none());
    Ok(())
}
