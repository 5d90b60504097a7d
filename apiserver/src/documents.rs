//! Paths that name no resource: discovery, health, version, metrics, OpenAPI, the keys of the cluster's tokens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use corten_access::tokens::{CONFIGURATION_PATH, KEYSET_CONTENT_TYPE, KEYSET_PATH};
use corten_api::json::write_string;
use corten_api::status::{Reason, Result, Status};
use corten_runtime::health::{Endpoint, Query as HealthQuery};
use corten_runtime::metrics::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode, header};

use crate::call::Call;
use crate::definitions;
use crate::discovery::Tagged;
use crate::handlers::{method_not_allowed, no_such_path, refused};
use crate::http::{ApiResponse, RequestBody};
use crate::negotiate::accepts_any;
use crate::registry::Registry;
use crate::request::RequestInfo;
use crate::show::{json_answer, nosniff, whole};

pub async fn answer(call: &Arc<Call>, _body: RequestBody) -> Result<ApiResponse> {
    let path = call.info.path.as_str();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let of_definitions = matches!(parts.as_slice(), ["apis" | "openapi", ..]);
    let seen = &call.api.definitions_seen;
    let all_served = if of_definitions { seen.wait(&call.api).await } else { seen.has_begun() };
    let registry = call.api.registry.load();
    if is_routed(&registry, &parts, path) {
        if call.method != Method::GET {
            return Err(method_not_allowed());
        }
        check_accepts(call, &parts)?;
    }
    match parts.as_slice() {
        [""] => Ok(root(call, &registry)),
        ["healthz" | "livez" | "readyz", ..] => Ok(health(call, &parts).await),
        ["version"] => Ok(version()),
        ["metrics"] => Ok(metrics(call).await),
        ["metrics", "slis"] => Ok(whole(StatusCode::OK, CONTENT_TYPE, call.api.health.metrics().into())),
        ["api"] => core(call, &registry),
        ["apis"] => groups(call, &registry),
        ["api", version] if registry.has_version("", version) => document(call, &registry, "", version, all_served),
        ["apis", group] => match registry.group_document(group) {
            Some(body) => plain(call, &body),
            None => check_definitions(call).and_then(|()| not_served(all_served)),
        },
        ["apis", group, version] if registry.has_version(group, version) => {
            document(call, &registry, group, version, all_served)
        }
        ["apis" | "api" | "version", ..] => unknown(call, &registry, all_served),
        ["debug", "pprof", _] => Ok(text(StatusCode::NOT_FOUND, b"Unknown profile\n")),
        ["openapi", ..] => crate::openapi::answer(call, registry.openapi(), &parts[1..]),
        _ if path == CONFIGURATION_PATH || path == KEYSET_PATH => openid(call, path),
        _ => not_served(all_served),
    }
}

/// Whether it may take long to make what is at a path: documents of OpenAPI are made of all schemas when they are first
/// asked for, and metrics each time.
pub fn take_long(path: &str) -> bool {
    path == "/metrics" || path.starts_with("/openapi/")
}

async fn metrics(call: &Call) -> ApiResponse {
    if let Ok(status) = call.api.store.status().await {
        call.api.storage_size.store(status.size, Ordering::Relaxed);
    }
    whole(StatusCode::OK, CONTENT_TYPE, call.api.metrics.text().into())
}

/// Whether a document stands behind upstream's router, which knows methods; what stands beside it takes any.
fn is_routed(registry: &Registry, parts: &[&str], path: &str) -> bool {
    match parts {
        ["version"] | ["api"] | ["apis", "apiregistration.k8s.io"] => true,
        ["api", version] => registry.has_version("", version),
        ["apis", group, version] => registry.has_version(group, version) && registry.is_built_in(group),
        _ => path == CONFIGURATION_PATH || path == KEYSET_PATH,
    }
}

/// The router offers what a document is written in.
fn check_accepts(call: &Call, parts: &[&str]) -> Result<()> {
    let produced: &[&str] = match parts {
        ["api" | "apis", ..] => &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"],
        ["openid", ..] => &[KEYSET_CONTENT_TYPE],
        _ => &["application/json"],
    };
    if accepts_any(&call.headers, produced) {
        return Ok(());
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {}", produced.join(", "));
    Err(refused(406, Reason::NotAcceptable, message))
}

/// A path of the API that nobody serves: the router says so for the groups it knows.
///
/// `all_served` is what `definitions_seen` said before the registry was loaded.
pub fn unknown(call: &Call, registry: &Registry, all_served: bool) -> Result<ApiResponse> {
    check_definitions(call)?;
    let group = group_of(&call.info);
    if group.is_none_or(|group| registry.is_built_in(group)) { Err(no_such_path()) } else { not_served(all_served) }
}

fn group_of(info: &RequestInfo) -> Option<&str> {
    info.path.strip_prefix("/apis/").map(|rest| rest.split('/').next().unwrap_or_default())
}

/// An error for a path that the registry does not know, and that a definition may define which could not be read since
/// this server started, or whose objects could not: by its name it is known which resource of which group that is.
fn check_definitions(call: &Call) -> Result<()> {
    let (Some(group), Some(storage)) = (group_of(&call.info), definitions::storage(&call.api)) else { return Ok(()) };
    let unreadable = storage.cache.all_unreadable();
    let defines = |name: &str| {
        let (resource, own) = name.split_once('.').unwrap_or_default();
        own == group && (!call.info.is_resource || resource == call.info.resource)
    };
    match unreadable.iter().find(|(name, _)| defines(name)) {
        Some((_, definition)) => Err(definition.status()),
        None if call.api.definitions_seen.any_failed(defines) => Err(starting()),
        None => Ok(()),
    }
}

/// A path that the registry does not know. It may be a custom resource's while the server starts: a garbage collector
/// that is told 404 then takes an owner for gone, and deletes what it owns.
fn not_served(all_served: bool) -> Result<ApiResponse> {
    if all_served { Ok(no_page()) } else { Err(starting()) }
}

fn starting() -> Status {
    const RETRY_AFTER_SECONDS: i32 = 5;
    let mut starting = Status::service_unavailable(
        "the request has been made before all known HTTP paths have been installed, please try again",
    );
    starting.details_mut().retry_after_seconds = RETRY_AFTER_SECONDS;
    starting
}

/// Upstream's last word on a path.
pub fn no_page() -> ApiResponse {
    text(StatusCode::NOT_FOUND, b"404 page not found\n")
}

fn text(code: StatusCode, body: &'static [u8]) -> ApiResponse {
    nosniff(whole(code, "text/plain; charset=utf-8", Bytes::from_static(body)))
}

fn plain(call: &Call, body: &Bytes) -> Result<ApiResponse> {
    let form = call.form(crate::negotiate::Offers { protobuf: true, projections: false, tables: false })?;
    if form.encoding == crate::negotiate::Encoding::Protobuf {
        let parts: Vec<&str> = call.info.path.trim_matches('/').split('/').collect();
        let kind = match parts.as_slice() {
            ["api"] => "APIVersions",
            ["apis"] => "APIGroupList",
            ["apis", _] => "APIGroup",
            _ => "APIResourceList",
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

fn core(call: &Call, registry: &Registry) -> Result<ApiResponse> {
    if wants_aggregated(call) {
        return Ok(tagged(call, registry.aggregated_core()));
    }
    let mut body = b"{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":".to_vec();
    write_string(&mut body, &call.api.address);
    body.extend_from_slice(b"}]}");
    plain(call, &body.into())
}

fn groups(call: &Call, registry: &Registry) -> Result<ApiResponse> {
    if wants_aggregated(call) {
        return Ok(tagged(call, registry.aggregated_groups()));
    }
    plain(call, registry.group_list())
}

fn document(call: &Call, registry: &Registry, group: &str, version: &str, all_served: bool) -> Result<ApiResponse> {
    let body = registry.resource_list(group, version);
    body.map_or_else(|| unknown(call, registry, all_served), |body| plain(call, &body))
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
    let answer = match &parts[1..] {
        [] => call.api.health.answer(endpoint, &HealthQuery::from_pairs(pairs)).await,
        // A check's name may have slashes in it.
        check => match call.api.health.answer_one(endpoint, &check.join("/")).await {
            Some(answer) => answer,
            None => return no_page(),
        },
    };
    let code = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = whole(code, "text/plain; charset=utf-8", answer.body.into());
    if answer.nosniff { nosniff(response) } else { response }
}

fn version() -> ApiResponse {
    let body = crate::show::indent(crate::build_info::json().as_bytes());
    json_answer(&body, crate::negotiate::Encoding::Json, StatusCode::OK)
}

fn root(call: &Call, registry: &Registry) -> ApiResponse {
    let mut paths: Vec<String> = vec![
        "/.well-known/openid-configuration".into(),
        "/api".into(),
        "/api/v1".into(),
        "/apis".into(),
        "/apis/".into(),
        "/metrics".into(),
        "/metrics/slis".into(),
        "/openapi/v2".into(),
        "/openapi/v3".into(),
        "/openapi/v3/".into(),
        "/openid/v1/jwks".into(),
        "/version".into(),
    ];
    for endpoint in [Endpoint::Healthz, Endpoint::Livez, Endpoint::Readyz] {
        paths.push(format!("/{}", endpoint.name()));
        paths.extend(call.api.health.names(endpoint).iter().map(|check| format!("/{}/{check}", endpoint.name())));
    }
    for (name, group) in registry.groups().filter(|(name, _)| !name.is_empty()) {
        paths.push(format!("/apis/{name}"));
        paths.extend(group.versions().map(|(version, _)| format!("/apis/{name}/{version}")));
    }
    paths.sort();
    let body = serde_json::json!({ "paths": paths });
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
