//! The answer to the create of a definition comes when the definition has its first status.

use std::time::Duration;

use corten_store::{Expect, Store};
use serde_json::{Value, json};

use crate::fixture::{Cluster, Hold, On, Pending, Request, Server, until, within};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const STORED: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";
const NAME: &str = "gears.example.com";
/// As long as such an answer waits at most.
const LONGEST: Duration = Duration::from_secs(5);

fn definition() -> Value {
    let versions = json!([{
        "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}},
    }]);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": NAME},
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"plural": "gears", "kind": "Gear"},
            "versions": versions,
        },
    })
}

fn path() -> String {
    format!("{DEFINITIONS}/{NAME}")
}

/// Lets a create that is not to be answered yet go on until a condition holds.
async fn goes_on(pending: &mut Pending, until_what: &str, condition: impl Fn() -> bool) {
    until(until_what, async || {
        assert!(pending.advance(1).await.is_none(), "the create is answered already");
        condition().then_some(())
    })
    .await;
}

fn is_there(server: &Server) -> bool {
    server.api.lookup("apiextensions.k8s.io", "customresourcedefinitions", NAME).is_ok_and(|kept| kept.is_some())
}

/// A create under way, whose definition is stored and whose first status is held.
async fn waiting(server: &Server, request: Request) -> (Pending, Hold) {
    let hold = server.store.hold(On::write(STORED));
    let mut pending = server.begin(request);
    goes_on(&mut pending, "the write of the create", || hold.waiting() == 1).await;
    hold.release_one();
    goes_on(&mut pending, "the definition", || is_there(server)).await;
    goes_on(&mut pending, "the write of the first status", || hold.waiting() == 1).await;
    (pending, hold)
}

#[tokio::test]
async fn a_definition_has_conditions_when_its_create_is_answered() {
    for request in [Request::post(DEFINITIONS).json(definition()), Request::apply(&path(), "me", definition())] {
        let cluster = Cluster::start().await;
        let server = cluster.server(0);
        let (pending, hold) = waiting(server, request).await;
        drop(hold);
        let created = within("the answer", pending).await.has_code(201);
        // As upstream answers: with what was created.
        assert_eq!(created.body["status"]["conditions"], Value::Null);
        let read = server.get(&path()).await;
        assert_eq!(read.text("/status/conditions/0/type"), "NamesAccepted");
        assert!(read.revision() > created.revision());
    }
}

#[tokio::test]
async fn a_dry_run_does_not_wait() {
    let cluster = Cluster::start().await;
    let request = Request::post(format!("{DEFINITIONS}?dryRun=All")).json(definition());
    cluster.server(0).ask(request).await.created();
}

/// Its status cannot be written, but it was created.
#[tokio::test]
async fn a_create_is_answered_though_its_first_status_never_comes() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let (mut pending, _hold) = waiting(server, Request::post(DEFINITIONS).json(definition())).await;
    let created = until("the answer", async || {
        cluster.advance(LONGEST).await;
        pending.advance(1).await
    });
    assert_eq!(created.await.created()["status"]["conditions"], Value::Null);
}

/// Whoever deletes it meanwhile is not waited for either.
#[tokio::test]
async fn a_create_is_answered_when_its_object_is_gone() {
    let cluster = Cluster::start().await;
    let server = cluster.server(0);
    let (pending, _hold) = waiting(server, Request::post(DEFINITIONS).json(definition())).await;
    let stored = format!("{STORED}{NAME}").into();
    cluster.engine().delete(stored, Expect::Any).await.expect("deleted");
    within("the answer", pending).await.created();
}

/// Its status would have the names once more, and be refused for that.
#[tokio::test]
async fn a_create_does_not_wait_for_a_status_that_is_too_large() {
    let cluster = Cluster::start().await;
    let mut definition = definition();
    let names: Vec<String> = (0..100_000).map(|i| format!("gears{i:06}")).collect();
    definition["spec"]["names"]["shortNames"] = json!(names);
    // The clock of the test stands still: a wait would have no end.
    within("the answer", cluster.server(0).ask(Request::post(DEFINITIONS).json(definition))).await.created();
}
