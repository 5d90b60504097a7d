//! One request through the pipeline, in upstream's order: authentication, audit, impersonation, priority and fairness,
//! authorization, and then what its path names: a resource, or one of the fixed documents.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corten_access::authenticate::Credentials;
use corten_access::authorize::{Attributes, Authorizer, forbidden};
use corten_access::user::User;
use corten_api::status::{Result, Status};
use corten_runtime::clock::Instant;
use http::{HeaderMap, HeaderValue, Method};
use parking_lot::Mutex;
use tracing::debug;

use crate::api::Api;
use crate::call::{Call, REQUEST_MAX};
use crate::http::{ApiRequest, ApiResponse, RequestBody, ResponseBody};
use crate::in_flight::{Class, Mutation, too_many_requests};
use crate::negotiate::{Form, Offers, negotiate};
use crate::registry::Registry;
use crate::request::{Query, RequestInfo};
use crate::resource::Resource;
use crate::router::{self, Route};
use crate::write_phase::Handling;
use crate::{documents, handlers, metrics, show};

pub async fn dispatch(api: Arc<Api>, request: ApiRequest) -> ApiResponse {
    let ApiRequest { method, path, query, mut headers, body, peer, upgrade } = request;
    let audit_id = audit_id(&api, &headers);
    let received = api.clock.monotonic();
    let query = Query::parse(&query);
    let parsed = RequestInfo::parse(&method, &path, &query)
        .and_then(|info| allotted(&info, &query).map(|allotted| (info, allotted)));
    let answer = match parsed {
        Err(message) => Err(Status::bad_request(message)),
        Ok((info, allotted)) => {
            let class = if peer.internal.is_some() { Class::Internal } else { Class::Others };
            let who = match peer.internal {
                Some(user) => Ok((user, Vec::new())),
                None => {
                    let credentials =
                        Credentials { path: &info.path, headers: &mut headers, peer: peer.certificates.as_deref() };
                    let known = api.authenticators.authenticate(credentials).await;
                    api.metrics.authenticated(known.as_ref().map_err(|_| ()), api.clock.monotonic() - received);
                    match known {
                        Ok(known) => Ok((known.user, known.warnings)),
                        Err(rejected) => {
                            debug!(%rejected, path, client = ?peer.address);
                            Err(rejected.status())
                        }
                    }
                }
            };
            match who {
                Ok((user, warnings)) => {
                    let upgrade = Mutex::new(upgrade);
                    let call = Call { query, headers, allotted, upgrade, class, ..Call::new(api, method, info, user) };
                    warnings.into_iter().for_each(|warning| call.warnings.add(warning));
                    return finish(identified(call, received, body).await, audit_id);
                }
                Err(status) => Err(status),
            }
        }
    };
    let status = match answer {
        Ok(never) => return never,
        Err(status) => status,
    };
    finish(show::status(&status, error_form(&headers)), audit_id)
}

/// What a client asks for, within bounds.
fn allotted(info: &RequestInfo, query: &Query) -> std::result::Result<Duration, String> {
    let asked = query.get("timeout").filter(|text| !text.is_empty() && !is_long_running(info));
    let Some(asked) = asked else { return Ok(REQUEST_MAX) };
    let asked = corten_api::time::Duration::parse(asked)
        .map_err(|error| format!("invalid timeout specified in the request URL - {error}"))?;
    let asked = u64::try_from(asked.0).map_or(Duration::ZERO, Duration::from_nanos);
    Ok(if asked.is_zero() { REQUEST_MAX } else { asked.min(REQUEST_MAX) })
}

/// A watch, or a stream to a node. It takes no part in the limits on requests and on their time.
fn is_long_running(info: &RequestInfo) -> bool {
    let streams = ["attach", "exec", "proxy", "log", "portforward"];
    match info.is_resource {
        true => matches!(info.verb.as_str(), "watch" | "proxy") || streams.contains(&info.subresource.as_str()),
        false => info.path.starts_with("/debug/pprof/"),
    }
}

fn audit_id(api: &Api, headers: &HeaderMap) -> HeaderValue {
    match headers.get("audit-id") {
        Some(given) => given.clone(),
        None => HeaderValue::try_from(api.random.uuid().to_string()).unwrap_or(HeaderValue::from_static("")),
    }
}

fn finish(mut response: ApiResponse, audit_id: HeaderValue) -> ApiResponse {
    response.headers_mut().insert("audit-id", audit_id);
    response
}

/// Errors come in the form that was asked for, or else in JSON.
fn error_form(headers: &HeaderMap) -> Form {
    let form = negotiate(headers, None, Offers { protobuf: true, projections: true, tables: true });
    let form = form.unwrap_or_else(|_| if crate::negotiate::for_people(headers) { Form::PRETTY } else { Form::JSON });
    Form { projection: crate::negotiate::Projection::Object, ..form }
}

/// The rest of the pipeline, with a user.
async fn identified(mut call: Call, received: Instant, body: RequestBody) -> ApiResponse {
    let form = error_form(&call.headers);
    let mut decided = impersonate(&mut call);
    if decided.is_ok() {
        // Priority and fairness will have its place here, instead of the limits.
        if !take_seat(&mut call) {
            call.api.metrics.dropped(&call);
            return too_many_requests();
        }
        decided = authorize(&call);
    }
    let Err(status) = decided else {
        let call = Arc::new(call);
        let response = answer(&call, body).await;
        let response = respond(&call, response, form);
        return metrics::finished(&call, received, response);
    };
    let forbidden = status.http_code() == 403;
    let response = respond(&call, Err(status), form);
    if forbidden { show::nosniff(response) } else { response }
}

/// Counts the request among those in flight; false if there are too many.
fn take_seat(call: &mut Call) -> bool {
    if call.class == Class::Internal {
        return true;
    }
    call.class = Class::of(&call.user);
    // Probes are answered whatever happens, as upstream's priority and fairness has it.
    let is_probe = !call.info.is_resource && ["/healthz", "/livez", "/readyz"].contains(&call.info.path.as_str());
    if is_probe || is_long_running(&call.info) {
        return true;
    }
    let seat = call.api.in_flight.enter(Mutation::of(&call.info), call.class);
    let holds = call.holds.get_mut();
    holds.seat = seat;
    holds.seat.is_some()
}

fn respond(call: &Call, result: Result<ApiResponse>, form: Form) -> ApiResponse {
    let mut response = match result {
        Ok(response) => response,
        Err(status) => show::status(&status, form),
    };
    for warning in call.warnings.headers() {
        if let Ok(value) = HeaderValue::try_from(warning) {
            response.headers_mut().append("warning", value);
        }
    }
    let response = crate::http::compress(&call.headers, call.method == Method::GET, response, &call.api.budget);
    charged(call, response)
}

/// The answer, whose bytes are charged until they have been sent. An answer to a read for which there is no room is
/// refused; who has written must be told so.
fn charged(call: &Call, mut response: ApiResponse) -> ApiResponse {
    let body = std::mem::replace(response.body_mut(), ResponseBody::Full(None));
    let class = if Mutation::of(&call.info) == Mutation::Reads { call.class } else { Class::Internal };
    let body = match body {
        ResponseBody::Full(Some(bytes)) => match call.api.budget.carry_whole(bytes, class) {
            Ok(bytes) => ResponseBody::from(bytes),
            Err(_) => {
                call.api.metrics.terminated(call);
                return too_many_requests();
            }
        },
        ResponseBody::Conversion(pieces) => ResponseBody::Stream(call.api.computations.ahead(pieces)),
        other => other,
    };
    *response.body_mut() = body;
    response
}

/// From here on the request is of whoever it acts as.
fn impersonate(call: &mut Call) -> Result<()> {
    let impersonated = {
        let Call { api, info, user, headers, .. } = call;
        let attributes = attributes(info, user);
        api.impersonator.impersonate(headers, &attributes)?
    };
    if let Some(impersonated) = impersonated {
        call.user = impersonated.user;
    }
    Ok(())
}

fn authorize(call: &Call) -> Result<()> {
    let attributes = attributes(&call.info, &call.user);
    let began = call.api.clock.monotonic();
    let verdict = call.api.authorizers.authorize(&attributes);
    call.api.metrics.authorized(verdict.decision, call.api.clock.monotonic() - began);
    if verdict.allowed() {
        return Ok(());
    }
    Err(forbidden(&attributes, &verdict.reason.to_string()))
}

pub fn attributes<'a>(info: &'a RequestInfo, user: &'a User) -> Attributes<'a> {
    if !info.is_resource {
        return Attributes::path(user, &info.verb, &info.path);
    }
    Attributes {
        subresource: &info.subresource,
        namespace: &info.namespace,
        name: &info.name,
        path: &info.path,
        ..Attributes::resource(user, &info.verb, &info.group, &info.version, &info.resource)
    }
}

async fn answer(call: &Arc<Call>, body: RequestBody) -> Result<ApiResponse> {
    let info = &call.info;
    if !info.is_resource && !documents::take_long(&info.path) {
        return documents::answer(call, body).await;
    }
    if !info.is_resource {
        let asked = Arc::clone(call);
        return handled(call, async move {
            asked.elsewhere.go().await;
            documents::answer(&asked, body).await
        })
        .await;
    }
    let (mut found, mut all_served) = (enter(call), false);
    if found.is_err() {
        // What this server has just shown of a definition may be ahead of what it serves.
        all_served = call.api.definitions_seen.wait(&call.api).await;
        found = enter(call);
    }
    let resource = match &found {
        Ok(resource) => resource,
        Err(registry) => return documents::unknown(call, registry, all_served),
    };
    let route = router::route(call, resource);
    if matches!(route, Ok(Route::NoPage)) {
        return Ok(documents::no_page());
    }
    if let Some(warning) = resource.deprecation_warning() {
        // Only what a route takes is warned of, but for custom resources, which have no routes upstream.
        if route.is_ok() || resource.is_custom() {
            call.warnings.add(warning);
        }
        if route.is_ok() {
            call.api.metrics.deprecated(resource, &call.info.subresource);
        }
    }
    route?;
    call.routed.store(true, Ordering::Relaxed);
    if is_long_running(info) {
        let answered = handlers::handle(call, resource, body).await;
        call.let_go();
        return answered;
    }
    let (asked, about) = (Arc::clone(call), Arc::clone(resource));
    handled(call, async move { handlers::handle(&asked, &about, body).await }).await
}

/// Handles a request within its time.
async fn handled(
    call: &Arc<Call>,
    request: impl Future<Output = Result<ApiResponse>> + Send + 'static,
) -> Result<ApiResponse> {
    // A write that has gone to the store holds the call, and with it its storage, until it has ended.
    let Ok(answered) = call.api.clock.timeout(call.allotted, Handling::new(call, request)).await else {
        return Err(Status::timeout("request did not complete within the allotted timeout", 0));
    };
    // What is sent from here on, of a long list, holds nobody up who replaces the storage or asks.
    call.let_go();
    answered
}

/// The resource that a request is about, whose storage it holds from now on; else what is served.
fn enter(call: &Call) -> std::result::Result<Arc<Resource>, Arc<Registry>> {
    let info = &call.info;
    loop {
        let registry = call.api.registry.load_full();
        let Some(resource) = registry.find(&info.group, &info.version, &info.resource) else { return Err(registry) };
        // A built-in storage is never replaced, so nobody asks who holds it.
        let custom = resource.storage.as_ref().filter(|storage| storage.is_custom());
        let Some(storage) = custom else { return Ok(Arc::clone(resource)) };
        // A storage is closed after the registry has another one in its place, or none.
        if let Some(pass) = storage.serving.enter() {
            call.holds.lock().pass = Some(pass);
            return Ok(Arc::clone(resource));
        }
    }
}
