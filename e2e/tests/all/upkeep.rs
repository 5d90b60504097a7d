//! What the server makes by itself: at a start, whoever starts beside it and whatever is in the way, and again when it is
//! deleted.

use anyhow::Context;
use corten_e2e::{Engine, Etcd, Options, Server, eventually};
use futures::future::try_join_all;
use http::Request;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::{Fixture, parse};

const DUAL_STACK: [&str; 2] = ["--service-cluster-ip-range", "10.96.0.0/16,fd00:96::/112"];

#[tokio::test]
async fn servers_start_together_on_one_etcd() -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let start = async |flags: &[&str]| {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let options = Options { engine: Engine::Etcd(etcd.url()), flags, ..Options::default() };
        try_join_all((0..3).map(|_| Server::with(options.clone()))).await
    };
    drop(start(&[]).await.context("on an empty etcd")?);
    let servers = start(&DUAL_STACK).await.context("to become dual stack")?;
    for server in &servers {
        let ranges: Api<ServiceCIDR> = Api::all(server.client().await?);
        let range = ranges.get("kubernetes").await?.spec.unwrap_or_default();
        assert_eq!(range.cidrs.unwrap_or_default(), ["10.96.0.0/16", "fd00:96::/112"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_binding_that_cannot_be_made_keeps_nobody_from_mending_it() -> anyhow::Result<()> {
    const NAME: &str = "system:discovery";
    let mut server = Server::with(Options::default()).await?;
    let client = server.client().await?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let right = bindings.get(NAME).await?;
    bindings.delete(NAME, &Default::default()).await?;
    let mut foreign = right.clone();
    foreign.role_ref.name = "view".to_owned();
    foreign.metadata.resource_version = None;
    foreign.metadata.finalizers = Some(vec!["example.test/wait".to_owned()]);
    bindings.create(&PostParams::default(), &foreign).await?;
    server.process()?.stop()?;
    let mend = async {
        eventually("the server to say what it lacks", async || {
            let answer = client.request_text(Request::get("/readyz").body(Vec::new())?).await;
            let said = answer.err().map(|error| error.to_string()).unwrap_or_default();
            let waits = bindings.get(NAME).await.is_ok_and(|found| found.metadata.deletion_timestamp.is_some());
            Ok((waits && said.contains("[-]poststarthook/rbac/bootstrap-roles")).then_some(()))
        })
        .await?;
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        bindings.patch(NAME, &PatchParams::default(), &patch).await?;
        anyhow::Ok(())
    };
    let (started, mended) = tokio::join!(server.relaunch(), mend);
    mended.context("mend the binding")?;
    started?;
    assert_eq!(bindings.get(NAME).await?.role_ref, right.role_ref);
    Ok(())
}

#[tokio::test]
async fn what_every_cluster_has_comes_back() -> anyhow::Result<()> {
    let fixture = Fixture::on(Server::with(Options::default()).await?).await?;
    let client = &fixture.client;
    let schemas: Api<FlowSchema> = Api::all(client.clone());
    let levels: Api<PriorityLevelConfiguration> = Api::all(client.clone());
    let tracking: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    const TRACKING: &str = "kube-apiserver-legacy-service-account-token-tracking";

    let (probes, low) = (schemas.get("probes").await?, levels.get("workload-low").await?);
    let since = tracking.get(TRACKING).await?;
    assert!(since.data.iter().flatten().any(|(key, _)| key == "since"), "{since:?}");
    schemas.delete("probes", &Default::default()).await?;
    levels.delete("workload-low", &Default::default()).await?;
    tracking.delete(TRACKING, &Default::default()).await?;
    finish_namespace(client, "kube-node-lease").await?;
    eventually("what was deleted to come back", async || {
        let back = schemas.get_opt("probes").await?.is_some_and(|found| found.spec == probes.spec)
            && levels.get_opt("workload-low").await?.is_some_and(|found| found.spec == low.spec)
            && tracking.get_opt(TRACKING).await?.is_some()
            && Api::<Namespace>::all(client.clone()).get_opt("kube-node-lease").await?.is_some();
        Ok(back.then_some(()))
    })
    .await?;
    Ok(())
}

/// Deletes a namespace as the controller manager does, which is not there.
async fn finish_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(name, &Default::default()).await?;
    let mut namespace = namespaces.get(name).await?;
    namespace.spec = Some(Default::default());
    let path = format!("/api/v1/namespaces/{name}/finalize");
    let _: Value = client.request(Request::put(path).body(serde_json::to_vec(&namespace)?)?).await?;
    Ok(())
}

#[tokio::test]
async fn an_object_that_waits_for_its_finalizers_is_left_alone() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let services: Api<APIService> = Api::all(fixture.client.clone());
    let group = format!("{}.example.test", fixture.namespace);
    let (definition, service) = (format!("things.{group}"), format!("v1.{group}"));
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let object = parse(json!({
        "metadata": {"name": definition},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    }))?;
    definitions.create(&PostParams::default(), &object).await?;
    eventually("the APIService", async || Ok(services.get_opt(&service).await?)).await?;
    let hold = Patch::Merge(json!({"metadata": {"finalizers": ["example.test/wait"]}}));
    services.patch(&service, &PatchParams::default(), &hold).await?;
    definitions.delete(&definition, &Default::default()).await?;
    let waiting = eventually("the APIService to be marked", async || {
        Ok(services.get_opt(&service).await?.filter(|found| found.metadata.deletion_timestamp.is_some()))
    })
    .await?;
    // Each change of any APIService has the server look at all of them.
    for round in 0..20 {
        let label = Patch::Merge(json!({"metadata": {"labels": {"round": round.to_string()}}}));
        services.patch("v1.apps", &PatchParams::default(), &label).await?;
    }
    assert_eq!(services.get(&service).await?.resource_version(), waiting.resource_version());
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    services.patch(&service, &PatchParams::default(), &release).await?;
    eventually("the APIService to go", async || Ok(services.get_opt(&service).await?.is_none().then_some(()))).await?;
    Ok(())
}

#[tokio::test]
async fn the_use_of_a_token_in_a_secret_is_noted() -> anyhow::Result<()> {
    const LABEL: &str = "kubernetes.io/legacy-token-last-used";
    let fixture = Fixture::on(Server::with(Options::default()).await?).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let account = accounts.get("default").await?;
    let namespace = &fixture.namespace;
    let claims = json!({
        "iss": "kubernetes/serviceaccount",
        "sub": format!("system:serviceaccount:{namespace}:default"),
        "kubernetes.io/serviceaccount/namespace": namespace,
        "kubernetes.io/serviceaccount/secret.name": "old",
        "kubernetes.io/serviceaccount/service-account.name": "default",
        "kubernetes.io/serviceaccount/service-account.uid": account.uid(),
    });
    // No controller runs that would sign it.
    let key = corten_pki::SigningKey::from_file(&fixture.server.data()?.join("pki/sa.key"))?;
    let header = json!({"alg": key.public().algorithm(), "kid": key.public().id()});
    let signed = format!("{}.{}", base64_url(header.to_string())?, base64_url(claims.to_string())?);
    let signature = key.sign(signed.as_bytes()).context("sign the token")?;
    let token = format!("{signed}.{}", base64_url(signature)?);
    let secret: Secret = parse(json!({
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "old", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "stringData": {"token": token},
    }))?;
    secrets.create(&PostParams::default(), &secret).await?;

    let mut config = fixture.server.config().await?;
    config.auth_info = kube::config::AuthInfo { token: Some(token.into()), ..Default::default() };
    Client::try_from(config)?.apiserver_version().await?;
    let day = eventually("the label", async || Ok(secrets.get("old").await?.labels().get(LABEL).cloned())).await?;
    let form = day.bytes().map(|byte| if byte.is_ascii_digit() { '0' } else { char::from(byte) });
    assert_eq!(form.collect::<String>(), "0000-00-00");
    Ok(())
}

fn base64_url(bytes: impl Into<Vec<u8>>) -> anyhow::Result<String> {
    let padded = serde_json::to_value(ByteString(bytes.into()))?;
    let padded = padded.as_str().context("base64 is text")?;
    Ok(padded.trim_end_matches('=').replace('+', "-").replace('/', "_"))
}
