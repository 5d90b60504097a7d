//! CustomResourceDefinitions that change, and that go, while their objects are written and watched.

use std::pin::pin;

use anyhow::{Context, ensure};
use corten_e2e::{DEADLINE, Engine, Etcd, Options, Server, eventually};
use futures::{AsyncRead, AsyncReadExt, StreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
    WatchEvent, WatchParams,
};
use serde_json::{Value, json};

use crate::support::{Fixture, parse, refusal, refused};

const LABEL: &str = "spec.nodeName";
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// A definition of widgets in a group of the test's own.
struct Widgets {
    fixture: Fixture,
    group: String,
}

impl Widgets {
    async fn start() -> anyhow::Result<Widgets> {
        Widgets::on(Fixture::start().await?).await
    }

    async fn on(fixture: Fixture) -> anyhow::Result<Widgets> {
        let group = format!("{}.example.com", fixture.namespace);
        let widgets = Widgets { fixture, group };
        widgets.define(widgets.versions(json!({}))).await?;
        Ok(widgets)
    }

    /// One version with a spec of any content, and what else a test wants of it.
    fn versions(&self, more: Value) -> Value {
        let node = json!({"type": "string"});
        let any =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"nodeName": node}});
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": any}}});
        let mut version = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
        for (key, value) in more.as_object().into_iter().flatten() {
            version[key] = value.clone();
        }
        json!([version])
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.fixture.client.clone())
    }

    fn name(&self) -> String {
        format!("widgets.{}", self.group)
    }

    async fn define(&self, versions: Value) -> anyhow::Result<()> {
        let names = json!({"plural": "widgets", "singular": "widget", "kind": "Widget"});
        let definition: CustomResourceDefinition = parse(json!({
            "metadata": {"name": self.name()},
            "spec": {"group": self.group, "scope": "Namespaced", "names": names, "versions": versions},
        }))?;
        self.definitions().create(&PostParams::default(), &definition).await?;
        eventually("the definition", async || {
            let definition = self.definitions().get(&self.name()).await?;
            Ok(condition(&definition, "Established").filter(|(status, _)| status == "True"))
        })
        .await?;
        Ok(())
    }

    /// Changes the versions, and waits until discovery shows it.
    async fn redefine(&self, more: Value) -> anyhow::Result<()> {
        let patch = json!({"spec": {"versions": self.versions(more)}});
        self.definitions().patch(&self.name(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    fn api(&self, version: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(&self.group, version, "Widget");
        let resource = ApiResource::from_gvk_with_plural(&kind, "widgets");
        Api::namespaced_with(self.fixture.client.clone(), &self.fixture.namespace, &resource)
    }

    fn everywhere(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(&self.group, "v1", "Widget");
        let resource = ApiResource::from_gvk_with_plural(&kind, "widgets");
        Api::all_with(self.fixture.client.clone(), &resource)
    }

    fn widget(&self, name: &str, metadata: Value, spec: Value) -> anyhow::Result<DynamicObject> {
        let mut object = json!({
            "apiVersion": format!("{}/v1", self.group), "kind": "Widget", "metadata": {"name": name}, "spec": spec,
        });
        for (key, value) in metadata.as_object().into_iter().flatten() {
            object["metadata"][key] = value.clone();
        }
        parse(object)
    }

    async fn create(&self, name: &str, metadata: Value, spec: Value) -> anyhow::Result<DynamicObject> {
        Ok(self.api("v1").create(&PostParams::default(), &self.widget(name, metadata, spec)?).await?)
    }

    /// Waits until the definition is gone.
    async fn gone(&self) -> anyhow::Result<()> {
        eventually("the definition to go", async || {
            let found = self.definitions().get_opt(&self.name()).await?;
            Ok(found.is_none().then_some(()))
        })
        .await
    }
}

/// Status and reason of a condition.
fn condition(definition: &CustomResourceDefinition, kind: &str) -> Option<(String, String)> {
    let conditions = definition.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone().unwrap_or_default()))
}

/// The rest of a watch, when its server ends it.
async fn ended(watch: impl AsyncRead) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut watch = pin!(watch);
    tokio::time::timeout(DEADLINE, watch.read_to_string(&mut text)).await.context("the watch goes on")??;
    Ok(text)
}

#[tokio::test]
async fn watches_end_when_their_definition_changes() -> anyhow::Result<()> {
    let widgets = Widgets::start().await?;
    let path = format!("/apis/{}/v1/widgets?watch=1&allowWatchBookmarks=true&resourceVersion=0", widgets.group);
    let watch = widgets.fixture.client.request_stream(http::Request::get(&path).body(Vec::new())?).await?;
    widgets.create("before", json!({}), json!({})).await?;
    let column = json!({"name": "Size", "type": "string", "jsonPath": ".spec.size"});
    widgets.redefine(json!({"additionalPrinterColumns": [column]})).await?;
    let seen = ended(watch).await?;
    ensure!(seen.contains("\"before\"") && !seen.contains("\"ERROR\""), "{seen}");
    // The client watches anew, and misses nothing.
    let list = widgets.everywhere().list(&ListParams::default()).await?;
    let from = list.metadata.resource_version.unwrap_or_default();
    let mut stream = pin!(widgets.everywhere().watch(&WatchParams::default(), &from).await?);
    widgets.create("after", json!({}), json!({})).await?;
    let event = tokio::time::timeout(DEADLINE, stream.next()).await?.context("an event")??;
    ensure!(matches!(&event, WatchEvent::Added(widget) if widget.name_any() == "after"), "{event:?}");
    Ok(())
}

#[tokio::test]
async fn writes_during_changes_reach_the_new_storage_in_its_own_form() -> anyhow::Result<()> {
    let widgets = Widgets::start().await?;
    let write = async |writer: usize| {
        for round in 0..60 {
            widgets.create(&format!("w{writer}-{round}"), json!({}), json!({"nodeName": "here"})).await?;
        }
        anyhow::Ok(())
    };
    let change = async {
        for round in 0..6 {
            let field = json!({"jsonPath": format!(".{LABEL}")});
            let fields = if round % 2 == 0 { json!([field]) } else { json!([]) };
            widgets.redefine(json!({"selectableFields": fields})).await?;
            tokio::task::yield_now().await;
        }
        widgets.redefine(json!({"selectableFields": [{"jsonPath": format!(".{LABEL}")}]})).await
    };
    tokio::try_join!(write(0), write(1), write(2), write(3), change)?;
    let here = ListParams::default().fields(&format!("{LABEL}=here"));
    let found = eventually("lists by the field", async || Ok(widgets.api("v1").list(&here).await.ok())).await?;
    assert_eq!(found.items.len(), 4 * 60);
    Ok(())
}

#[tokio::test]
async fn watches_by_a_field_named_as_that_of_pods_see_their_objects() -> anyhow::Result<()> {
    let widgets = Widgets::start().await?;
    widgets.redefine(json!({"selectableFields": [{"jsonPath": format!(".{LABEL}")}]})).await?;
    // A bookmark would bring late what no event has brought.
    let params = WatchParams::default().fields(&format!("{LABEL}=here")).disable_bookmarks();
    let here = ListParams::default().fields(&format!("{LABEL}=here"));
    let list = eventually("the field", async || Ok(widgets.everywhere().list(&here).await.ok())).await?;
    let from = list.metadata.resource_version.unwrap_or_default();
    let mut stream = pin!(widgets.everywhere().watch(&params, &from).await?);
    widgets.create("there", json!({}), json!({"nodeName": "there"})).await?;
    widgets.create("here", json!({}), json!({"nodeName": "here"})).await?;
    let event = tokio::time::timeout(DEADLINE, stream.next()).await?.context("an event")??;
    ensure!(matches!(&event, WatchEvent::Added(widget) if widget.name_any() == "here"), "{event:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_created_of_a_definition_that_goes() -> anyhow::Result<()> {
    let widgets = Widgets::start().await?;
    widgets.create("held", json!({"finalizers": ["example.com/hold"]}), json!({})).await?;
    widgets.definitions().delete(&widgets.name(), &DeleteParams::default()).await?;
    let why = |name: &str| {
        let message = "create not allowed while custom resource definition is terminating";
        format!("widgets.{} \"{name}\" is forbidden: {message}", widgets.group)
    };
    // The first one may come before the server has seen that the definition goes.
    let message = eventually("creates to be refused", async || {
        match widgets.api("v1").create(&PostParams::default(), &widgets.widget("new", json!({}), json!({}))?).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(kube::Error::Api(status)) => Ok(Some((status.code, status.message))),
            Err(other) => Err(other.into()),
            Ok(_) => Ok(None),
        }
    })
    .await?;
    assert_eq!(message, (403, why("new")));
    let applied = widgets.widget("applied", json!({}), json!({}))?;
    let applied = widgets.api("v1").patch("applied", &PatchParams::apply("e2e"), &Patch::Apply(applied)).await;
    assert_eq!(refusal(applied)?, refused(403, "Forbidden"));
    let put = widgets.widget("put", json!({"resourceVersion": "1"}), json!({}))?;
    let put = widgets.api("v1").replace("put", &PostParams::default(), &put).await;
    assert_eq!(refusal(put)?, refused(404, "NotFound"));
    // What is there can still be changed: else its finalizer would stay.
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    widgets.api("v1").patch("held", &PatchParams::default(), &release).await?;
    widgets.gone().await
}

#[tokio::test]
async fn objects_do_not_outlive_their_definition() -> anyhow::Result<()> {
    outlive(Widgets::start().await?).await
}

#[tokio::test]
async fn objects_do_not_outlive_their_definition_on_another_server() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let engine = || Options { engine: Engine::Etcd(etcd.url()), ..Options::default() };
    let (one, other) = (Server::with(engine()).await?, Server::with(engine()).await?);
    let widgets = Widgets::on(Fixture::on(one).await?).await?;
    let elsewhere = Widgets { fixture: Fixture::on(other).await?, group: widgets.group.clone() };
    eventually("the other server", async || Ok(elsewhere.everywhere().list(&ListParams::default()).await.ok())).await?;
    for round in 0..3 {
        let writes = write_until_refused(&elsewhere, round);
        let delete = async {
            widgets.definitions().delete(&widgets.name(), &DeleteParams::default()).await?;
            widgets.gone().await
        };
        tokio::try_join!(writes, delete)?;
        eventually("the other server", async || {
            Ok(elsewhere.definitions().get_opt(&widgets.name()).await?.is_none().then_some(()))
        })
        .await?;
        widgets.define(widgets.versions(json!({}))).await?;
        let left = widgets.everywhere().list(&ListParams::default()).await?;
        assert_eq!(left.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), Vec::<String>::new());
        eventually("the other server", async || Ok(elsewhere.everywhere().list(&ListParams::default()).await.ok()))
            .await?;
    }
    Ok(())
}

async fn outlive(widgets: Widgets) -> anyhow::Result<()> {
    for round in 0..5 {
        let writes = async {
            tokio::try_join!(
                write_until_refused(&widgets, 10 * round),
                write_until_refused(&widgets, 10 * round + 1),
                write_until_refused(&widgets, 10 * round + 2),
            )
        };
        let delete = async {
            widgets.definitions().delete(&widgets.name(), &DeleteParams::default()).await?;
            widgets.gone().await
        };
        tokio::try_join!(writes, delete)?;
        widgets.define(widgets.versions(json!({}))).await?;
        let left = widgets.everywhere().list(&ListParams::default()).await?;
        assert_eq!(left.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), Vec::<String>::new());
    }
    Ok(())
}

async fn write_until_refused(widgets: &Widgets, writer: usize) -> anyhow::Result<()> {
    for number in 0..100_000 {
        let widget = widgets.widget(&format!("w{writer}-{number}"), json!({}), json!({}))?;
        match widgets.api("v1").create(&PostParams::default(), &widget).await {
            Ok(_) => {}
            Err(kube::Error::Api(_)) => return Ok(()),
            Err(other) => return Err(other.into()),
        }
    }
    anyhow::bail!("nothing was ever refused")
}

#[tokio::test]
async fn a_definition_without_a_served_version_goes_with_its_objects() -> anyhow::Result<()> {
    let widgets = Widgets::start().await?;
    widgets.create("a", json!({}), json!({})).await?;
    widgets.redefine(json!({"served": false})).await?;
    eventually("the version to go", async || {
        Ok(refusal(widgets.everywhere().list(&ListParams::default()).await).ok().filter(|refusal| refusal.0 == 404))
    })
    .await?;
    widgets.definitions().delete(&widgets.name(), &DeleteParams::default()).await?;
    widgets.gone().await?;
    widgets.define(widgets.versions(json!({}))).await?;
    assert_eq!(widgets.everywhere().list(&ListParams::default()).await?.items.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_definition_that_waits_for_objects_holds_up_no_other() -> anyhow::Result<()> {
    let held = Widgets::start().await?;
    held.create("held", json!({"finalizers": ["example.com/hold"]}), json!({})).await?;
    held.definitions().delete(&held.name(), &DeleteParams::default()).await?;
    eventually("the object to be marked", async || {
        let object = held.api("v1").get("held").await?;
        Ok(object.metadata.deletion_timestamp)
    })
    .await?;
    let waiting = held.definitions().get(&held.name()).await?;
    assert_eq!(condition(&waiting, "Terminating").map(|condition| condition.0), Some("True".to_owned()));
    assert_eq!(waiting.finalizers(), [CLEANUP]);
    let Widgets { fixture, group } = held;
    let other = Widgets { fixture, group: format!("other.{group}") };
    other.define(other.versions(json!({}))).await?;
    other.create("a", json!({}), json!({})).await?;
    other.definitions().delete(&other.name(), &DeleteParams::default()).await?;
    other.gone().await?;
    let held = Widgets { fixture: other.fixture, group };
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    held.api("v1").patch("held", &PatchParams::default(), &release).await?;
    held.gone().await
}

#[tokio::test]
async fn a_name_that_becomes_free_goes_to_who_waits_for_it() -> anyhow::Result<()> {
    let widgets = Widgets::start().await?;
    let name = format!("gadgets.{}", widgets.group);
    let names = json!({"plural": "gadgets", "singular": "widget", "kind": "Gadget"});
    let definition: CustomResourceDefinition = parse(json!({
        "metadata": {"name": name},
        "spec": {
            "group": widgets.group, "scope": "Namespaced", "names": names, "versions": widgets.versions(json!({})),
        },
    }))?;
    widgets.definitions().create(&PostParams::default(), &definition).await?;
    let accepted = async |status: &'static str, reason: &'static str| {
        let wanted = Some((status.to_owned(), reason.to_owned()));
        eventually("the names", async || {
            let definition = widgets.definitions().get(&name).await?;
            Ok((condition(&definition, "NamesAccepted") == wanted).then_some(()))
        })
        .await
    };
    accepted("False", "SingularConflict").await?;
    widgets.definitions().delete(&widgets.name(), &DeleteParams::default()).await?;
    accepted("True", "NoConflicts").await
}
