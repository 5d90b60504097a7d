//! What a fresh cluster holds before anybody writes to it: namespaces, roles and bindings, priority classes, priority and
//! fairness. Made through the pipeline, as the server's own user; what is there already is left as it is, but for roles
//! and bindings that lack something.

mod reconcile;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use corten_access::user::{API_SERVER, MASTERS_GROUP, User};
use corten_object::json;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tracing::info;

use self::reconcile::{Outcome, reconcile};
use crate::api::Api;
use crate::http::{ApiRequest, Endpoint, Peer, RequestBody, ResponseBody};

const RBAC: &str = "rbac.authorization.k8s.io";
const FLOW_CONTROL: &str = "flowcontrol.apiserver.k8s.io";

/// One object a line.
const OBJECTS: &str = include_str!("initial_objects.jsonl");

/// Values that a line cannot know.
pub struct Facts {
    /// `2026-11-21`
    pub today: String,
}

pub fn server_user() -> User {
    User::new(API_SERVER, &[MASTERS_GROUP])
}

/// Asks the API within the process.
pub async fn ask(api: &Arc<Api>, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, Bytes) {
    ask_with(api, method, path, "application/json", body).await
}

/// The same with a body of another type.
pub async fn ask_with(
    api: &Arc<Api>,
    method: Method,
    path: &str,
    content_type: &'static str,
    body: Vec<u8>,
) -> (StatusCode, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("kube-apiserver/", env!("CARGO_PKG_VERSION"))));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = ApiRequest {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: RequestBody::Full(body.into()),
        peer: Peer { internal: Some(server_user()), ..Peer::default() },
        upgrade: None,
    };
    let (parts, body) = Endpoint::call(Arc::clone(api), request).await.into_parts();
    let body = match body {
        ResponseBody::Full(bytes) => bytes.unwrap_or_default(),
        other => http_body_util::BodyExt::collect(other).await.map(|body| body.to_bytes()).unwrap_or_default(),
    };
    (parts.status, body)
}

pub async fn run(api: &Arc<Api>, facts: &Facts) -> Result<()> {
    let mut lines: Vec<&str> = OBJECTS.lines().filter(|line| !line.is_empty()).collect();
    // What the others live in comes first.
    lines.sort_by_key(|line| !line.contains("\"kind\":\"Namespace\""));
    for line in lines {
        let line = fill(line, facts);
        make(api, line.as_bytes()).await.with_context(|| format!("make an initial object: {line}"))?;
    }
    Ok(())
}

fn fill(line: &str, facts: &Facts) -> String {
    line.replace("(today)", &facts.today)
}

async fn make(api: &Arc<Api>, body: &[u8]) -> Result<()> {
    let parsed = json::parse(body.to_vec(), json::Form::Plain)?.tree;
    let word = |path: &[&str]| parsed.root().at(path).map_or("", |node| node.as_str());
    let (api_version, kind) = (word(&["apiVersion"]), word(&["kind"]));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (namespace, name) = (word(&["metadata", "namespace"]), word(&["metadata", "name"]));
    let registry = api.registry.load_full();
    let of_kind = |row: &&Arc<crate::resource::Resource>| {
        &*row.group == group && &*row.version == version && &*row.kind == kind && row.storage.is_some()
    };
    let Some(resource) = registry.all().find(of_kind) else { bail!("{api_version} {kind} is not served") };
    let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
    let below = if resource.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
    let collection = format!("{root}/{version}/{below}{}", resource.plural);
    let key = if resource.namespaced { format!("{namespace}/{name}") } else { name.to_owned() };
    if let Some(existing) = api.lookup(group, &resource.plural, &key) {
        return if group == RBAC { complete(api, &collection, name, &existing.json, body).await } else { Ok(()) };
    }
    let producer =
        if group == FLOW_CONTROL { "?fieldManager=api-priority-and-fairness-config-producer-v1" } else { "" };
    let (status, answer) = ask(api, Method::POST, &format!("{collection}{producer}"), body.to_vec()).await;
    if status != StatusCode::CREATED && status != StatusCode::CONFLICT {
        bail!("{status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

fn done((status, answer): (StatusCode, Bytes)) -> Result<()> {
    if status.is_success() { Ok(()) } else { bail!("{status}: {}", String::from_utf8_lossy(&answer)) }
}

/// A role or binding that is there gets what it lacks.
async fn complete(api: &Arc<Api>, collection: &str, name: &str, existing: &[u8], body: &[u8]) -> Result<()> {
    let (existing, expected) = (serde_json::from_slice(existing)?, serde_json::from_slice(body)?);
    let path = format!("{collection}/{name}");
    match reconcile(&existing, &expected) {
        Outcome::Whole => Ok(()),
        Outcome::Update(whole) => {
            info!(path, "adding what is missing");
            done(ask(api, Method::PUT, &path, serde_json::to_vec(&whole)?).await)
        }
        Outcome::Recreate => {
            info!(path, "binding to its role again");
            done(ask(api, Method::DELETE, &path, Vec::new()).await)?;
            done(ask(api, Method::POST, collection, body.to_vec()).await)
        }
    }
}
