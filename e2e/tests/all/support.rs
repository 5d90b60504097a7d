//! What many tests need: a namespace of their own, small objects, and the expected refusals.

use corten_e2e::Server;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A server, a client with the administrator's identity, and a namespace.
pub struct Fixture {
    pub server: Server,
    pub client: Client,
    pub namespace: String,
}

impl Fixture {
    pub async fn start() -> anyhow::Result<Fixture> {
        Fixture::on(Server::start().await?).await
    }

    pub async fn on(server: Server) -> anyhow::Result<Fixture> {
        let client = server.client().await?;
        let namespace: Namespace = parse(json!({"metadata": {"generateName": "e2e-"}}))?;
        let namespace = Api::all(client.clone()).create(&PostParams::default(), &namespace).await?.name_any();
        // No controller runs that would make it, and pods are not admitted without.
        let account: ServiceAccount = parse(json!({"metadata": {"name": "default"}}))?;
        Api::namespaced(client.clone(), &namespace).create(&PostParams::default(), &account).await?;
        Ok(Fixture { server, client, namespace })
    }

    pub fn configmaps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A ConfigMap with one entry, created.
    pub async fn configmap(&self, name: &str) -> anyhow::Result<ConfigMap> {
        create_configmap(&self.configmaps(), name, json!({})).await
    }

    /// A request by path, as JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.client.request(http::Request::get(path).body(Vec::new())?).await?)
    }
}

pub async fn create_configmap(api: &Api<ConfigMap>, name: &str, labels: Value) -> anyhow::Result<ConfigMap> {
    let object = parse(json!({"metadata": {"name": name, "labels": labels}, "data": {"key": name}}))?;
    Ok(api.create(&PostParams::default(), &object).await?)
}

pub fn pod(name: &str) -> anyhow::Result<Pod> {
    parse(json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "example.test/c:1"}]}}))
}

pub fn parse<T: serde::de::DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(value)?)
}

/// The code and reason of a refused request.
pub fn refusal<T>(result: kube::Result<T>) -> anyhow::Result<(u16, String)> {
    match result {
        Ok(_) => anyhow::bail!("the request was accepted"),
        Err(kube::Error::Api(status)) => Ok((status.code, status.reason)),
        Err(other) => Err(other.into()),
    }
}

pub fn refused(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}

/// The revision of an object, as a number.
pub fn revision(object: &impl kube::Resource) -> anyhow::Result<u64> {
    Ok(object.meta().resource_version.as_deref().unwrap_or_default().parse()?)
}

/// A document as `path -> value`.
pub fn flatten(path: &str, value: &Value, flat: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                flatten(&format!("{path}.{key}"), value, flat);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (i, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{i}]"), value, flat);
            }
        }
        other => drop(flat.insert(path.to_owned(), other.clone())),
    }
}

/// A line for each path at which two documents differ.
pub fn differences(expected: &BTreeMap<String, Value>, got: &BTreeMap<String, Value>) -> Vec<String> {
    let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    let mut keys: Vec<_> = expected.keys().chain(got.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let differs = keys.into_iter().filter(|key| expected.get(*key) != got.get(*key));
    differs.map(|key| format!("{key}: {} instead of {}", show(got.get(key)), show(expected.get(key)))).collect()
}
