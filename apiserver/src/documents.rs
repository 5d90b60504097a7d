//! Paths that name no resource: discovery, health, version, metrics, OpenAPI, the keys of the cluster's tokens.

use std::sync::Arc;

use bytes::Bytes;
use corten_access::tokens::{CONFIGURATION_PATH, KEYSET_CONTENT_TYPE, KEYSET_PATH};
use corten_api::json::write_string;
use corten_api::status::Result;
use corten_runtime::health::{Endpoint, Query as HealthQuery};
use http::{HeaderValue, Method, StatusCode, header};

use crate::call::Call;
use crate::discovery::Tagged;
use crate::handlers::{method_not_allowed, no_such_path};
use crate::http::{ApiResponse, RequestBody};
use crate::show::{json_answer, whole};

pub async fn answer(call: &Arc<Call>, _body: RequestBody) -> Result<ApiResponse> {
    let path = call.info.path.as_str();
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Err(if is_known(path) { method_not_allowed() } else { no_such_path() });
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        [""] => Ok(root(call)),
        ["healthz" | "livez" | "readyz", ..] => Ok(health(call, &parts).await),
        ["version"] => Ok(version(call)),
        ["metrics"] => {
            let text = call.api.metrics.text();
            Ok(whole(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", text.into()))
        }
        ["api"] => core(call),
        ["apis"] => groups(call),
        ["api", version] => document(call, "", version),
        ["apis", group] => {
            let documents = call.api.discovery.load();
            documents.group.get(*group).map_or_else(|| unknown(group), |body| plain(call, body))
        }
        ["apis", group, version] => document(call, group, version),
        ["openapi", ..] => crate::openapi::answer(call, &parts[1..]).await,
        _ if path == CONFIGURATION_PATH || path == KEYSET_PATH => openid(call, path),
        _ => Ok(not_found_page()),
    }
}

fn is_known(path: &str) -> bool {
    ["/api", "/apis", "/version", "/healthz", "/livez", "/readyz", "/metrics", "/openapi"]
        .iter()
        .any(|known| path.starts_with(known))
}

fn plain(call: &Call, body: &Bytes) -> Result<ApiResponse> {
    let form = call.form(crate::negotiate::Offers { protobuf: true, projections: false })?;
    if form.encoding == crate::negotiate::Encoding::Protobuf {
        let kind = if call.info.path.matches('/').count() >= 3 || call.info.path == "/api/v1" {
            "APIResourceList"
        } else if call.info.path == "/api" {
            "APIVersions"
        } else if call.info.path == "/apis" {
            "APIGroupList"
        } else {
            "APIGroup"
        };
        if let Some(ty) = corten_schema::type_named(&format!("meta.v1.{kind}"))
            && let Ok(parsed) = corten_object::json::parse(body.to_vec(), corten_object::json::Form::Typed(ty))
        {
            let message = corten_object::protobuf::encode_message(parsed.tree.root().as_struct());
            let body = corten_object::protobuf::envelope("v1", kind, &message);
            return Ok(whole(StatusCode::OK, form.content_type(), body.into()));
        }
    }
    Ok(json_answer(body.trim_ascii_end(), form.encoding, StatusCode::OK))
}

/// Whether the aggregated form of discovery is asked for, before any other.
fn wants_aggregated(call: &Call) -> bool {
    let accept = call.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = accept.split(',').map(str::trim).find(|clause| {
        let aggregated = clause.contains("as=APIGroupDiscoveryList");
        !aggregated
            || (clause.contains("g=apidiscovery.k8s.io") && clause.contains("v=v2") && !clause.contains("v=v2beta1"))
    });
    first.is_some_and(|clause| clause.starts_with("application/json") && clause.contains("as=APIGroupDiscoveryList"))
}

fn tagged(call: &Call, document: &Tagged) -> ApiResponse {
    let etag = format!("\"{}\"", document.etag);
    let known = call.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged = known.is_some_and(|known| known == etag);
    let body = if unchanged { Bytes::new() } else { document.body.clone() };
    let code = if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = whole(code, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", body);
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}

fn core(call: &Call) -> Result<ApiResponse> {
    let documents = call.api.discovery.load();
    if wants_aggregated(call) {
        return Ok(tagged(call, &documents.aggregated_core));
    }
    let mut body = b"{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":".to_vec();
    write_string(&mut body, &call.api.address);
    body.extend_from_slice(b"}]}");
    plain(call, &body.into())
}

fn groups(call: &Call) -> Result<ApiResponse> {
    let documents = call.api.discovery.load();
    if wants_aggregated(call) {
        return Ok(tagged(call, &documents.aggregated_groups));
    }
    plain(call, &documents.groups)
}

fn document(call: &Call, group: &str, version: &str) -> Result<ApiResponse> {
    let documents = call.api.discovery.load();
    let body = documents.version.get(&(group.to_owned(), version.to_owned()));
    body.map_or_else(|| unknown(group), |body| plain(call, body))
}

/// The answer for what is not served of a group: a Status, if the group is a built-in one.
pub fn unknown(group: &str) -> Result<ApiResponse> {
    let built_in = corten_schema::RESOURCES.iter().any(|row| row.served_by_default && row.group == group);
    if built_in { Err(no_such_path()) } else { Ok(not_found_page()) }
}

fn not_found_page() -> ApiResponse {
    whole(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", Bytes::from_static(b"404 page not found\n"))
}

async fn health(call: &Call, parts: &[&str]) -> ApiResponse {
    let endpoint = match parts[0] {
        "livez" => Endpoint::Livez,
        "readyz" => Endpoint::Readyz,
        _ => Endpoint::Healthz,
    };
    let pairs: Vec<(&str, &str)> = ["verbose", "exclude"]
        .into_iter()
        .flat_map(|key| call.query.all(key).map(move |value| (key, value)).collect::<Vec<_>>())
        .collect();
    let answer = match parts.get(1) {
        Some(check) => match call.api.health.answer_one(endpoint, check).await {
            Some(answer) => answer,
            None => {
                return not_found_page();
            }
        },
        None => call.api.health.answer(endpoint, &HealthQuery::from_pairs(pairs)).await,
    };
    let code = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = whole(code, "text/plain; charset=utf-8", answer.body.into());
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn version(call: &Call) -> ApiResponse {
    let body = serde_json::json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.2+corten", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": concat!("linux/", "amd64"),
    });
    let _ = call;
    json_answer(&crate::show::indent(body.to_string().as_bytes()), crate::negotiate::Encoding::Json, StatusCode::OK)
}

fn root(call: &Call) -> ApiResponse {
    let documents = call.api.discovery.load();
    let mut paths: Vec<String> = vec![
        "/.well-known/openid-configuration".into(),
        "/api".into(),
        "/api/v1".into(),
        "/apis".into(),
        "/apis/".into(),
        "/healthz".into(),
        "/livez".into(),
        "/metrics".into(),
        "/openapi/v3".into(),
        "/openapi/v3/".into(),
        "/openid/v1/jwks".into(),
        "/readyz".into(),
        "/version".into(),
    ];
    paths.extend(documents.group.keys().map(|group| format!("/apis/{group}")));
    paths
        .extend(documents.version.keys().filter(|(group, _)| !group.is_empty()).map(|(g, v)| format!("/apis/{g}/{v}")));
    paths.sort();
    let body = serde_json::json!({ "paths": paths });
    let _ = call;
    json_answer(&crate::show::indent(body.to_string().as_bytes()), crate::negotiate::Encoding::Json, StatusCode::OK)
}

fn openid(call: &Call, path: &str) -> Result<ApiResponse> {
    let openid = call.api.openid.as_ref().ok_or_else(no_such_path)?;
    let (content_type, body) = if path == KEYSET_PATH {
        (KEYSET_CONTENT_TYPE, openid.keyset.clone())
    } else {
        ("application/json", openid.configuration.clone())
    };
    let mut response = whole(StatusCode::OK, content_type, body.into());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}
