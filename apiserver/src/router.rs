//! Which paths and methods a resource has.
//!
//! Built-in resources stand behind upstream's router, which knows a path or does not, then its methods, then its media
//! types, and answers in its own words before any handler is asked. Custom resources are served by one handler that
//! reads a request's verb, so that it refuses other things in other words; what it does not know falls through to a
//! plain page.

use corten_api::names::is_path_segment_name;
use corten_api::status::{Reason, Result, Status};
use http::Method;

use crate::call::Call;
use crate::handlers::{method_not_allowed, no_such_path, refused};
use crate::negotiate;
use crate::request::RequestInfo;
use crate::resource::Resource;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Handler,
    /// Nobody serves this path.
    NoPage,
}

pub fn route(call: &Call, resource: &Resource) -> Result<Route> {
    let route = if resource.is_custom() {
        custom(&call.info, resource)?
    } else {
        check_method(&call.method, &call.info, resource)?;
        check_media_types(call, resource)?;
        Route::Handler
    };
    if route == Route::Handler {
        check_name(&call.info, resource)?;
    }
    Ok(route)
}

fn check_method(method: &Method, info: &RequestInfo, resource: &Resource) -> Result<()> {
    let allowed = methods(info, resource);
    match allowed.contains(&method.as_str()) {
        true => Ok(()),
        false if allowed.is_empty() => Err(no_such_path()),
        false => Err(method_not_allowed()),
    }
}

/// The methods of a built-in resource's path; none where there is no such path.
fn methods(info: &RequestInfo, resource: &Resource) -> Vec<&'static str> {
    let is_namespaces = resource.group.is_empty() && &*resource.plural == "namespaces";
    // The path of a namespace names it where others name the namespace that they are in.
    let is_own_name = is_namespaces && info.parts.get(1) == Some(&info.namespace);
    let in_namespace = !info.namespace.is_empty() && !is_own_name;
    if in_namespace && !resource.namespaced {
        return Vec::new();
    }
    let everywhere = resource.namespaced && !in_namespace;
    let having = |verbs: &[(&'static str, &str)]| {
        verbs.iter().filter(|(_, verb)| resource.has_verb(verb)).map(|(method, _)| *method).collect()
    };
    match (info.parts.len(), info.watch_by_path) {
        (1, true) if info.verb == "watch" => having(&[("GET", "watch")]),
        (2, true) if info.verb == "watch" && !everywhere && resource.has_verb("get") => having(&[("GET", "watch")]),
        (_, true) => Vec::new(),
        (1, false) if everywhere => having(&[("GET", "list")]),
        (_, false) if everywhere => Vec::new(),
        (1, false) => having(&[("GET", "list"), ("POST", "create"), ("DELETE", "deletecollection")]),
        (2, false) => having(&[("GET", "get"), ("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete")]),
        (parts, false) => subresource_methods(info, resource, parts),
    }
}

fn subresource_methods(info: &RequestInfo, resource: &Resource, parts: usize) -> Vec<&'static str> {
    const METHODS: [(&str, &str); 5] =
        [("GET", "get"), ("POST", "create"), ("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete")];
    let Some(row) = resource.subresource(&info.subresource) else { return Vec::new() };
    // Only a proxy has paths of its own beneath, and it passes every method on.
    if row.name == "proxy" {
        return vec!["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    }
    if parts > 3 {
        return Vec::new();
    }
    METHODS.iter().filter(|(_, verb)| row.verbs.contains(verb)).map(|(method, _)| *method).collect()
}

/// What the router looks at last: a patch's type, then what the client would take.
fn check_media_types(call: &Call, resource: &Resource) -> Result<()> {
    const PATCHES: [&str; 4] = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        negotiate::APPLY,
    ];
    let is_proxy = call.info.subresource == "proxy";
    if call.info.verb == "patch" && !is_proxy && !PATCHES.contains(&negotiate::content_type(&call.headers)) {
        return Err(refused(415, Reason::UnsupportedMediaType, "415: Unsupported Media Type"));
    }
    let produced = produced(&call.info, resource);
    if negotiate::accepts_any(&call.headers, &produced) {
        return Ok(());
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {}", produced.join(", "));
    Err(refused(406, Reason::NotAcceptable, message))
}

fn produced(info: &RequestInfo, resource: &Resource) -> Vec<&'static str> {
    let mut produced = vec!["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
    let connects = matches!(info.subresource.as_str(), "attach" | "exec" | "portforward" | "proxy");
    match info.verb.as_str() {
        _ if connects => return vec!["*/*"],
        "list" | "watch" if resource.has_verb("watch") || info.verb == "list" => {
            produced.extend(["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"]);
        }
        "get" if info.subresource == "log" => produced.insert(0, "text/plain"),
        _ => {}
    }
    produced
}

fn custom(info: &RequestInfo, resource: &Resource) -> Result<Route> {
    const ALL: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    const BELOW: [&str; 3] = ["get", "update", "patch"];
    let in_namespace = !info.namespace.is_empty();
    let across = resource.namespaced && matches!(info.verb.as_str(), "list" | "watch");
    if in_namespace != resource.namespaced && !across {
        return Ok(Route::NoPage);
    }
    let known: &[&str] = match info.subresource.as_str() {
        "" => &ALL,
        name if resource.subresource(name).is_some() => &BELOW,
        _ => return Err(Status::not_found(&resource.group, &resource.plural, &info.name)),
    };
    if !known.contains(&info.verb.as_str()) {
        return Err(Status::method_not_supported(&resource.group, &resource.plural, &info.verb));
    }
    if info.name.is_empty() && matches!(info.verb.as_str(), "update" | "patch" | "get" | "delete") {
        return Err(Status::bad_request("name must be provided"));
    }
    Ok(Route::Handler)
}

/// A name becomes part of a key.
fn check_name(info: &RequestInfo, resource: &Resource) -> Result<()> {
    let is_key = matches!(info.verb.as_str(), "get" | "update" | "patch" | "delete");
    if resource.storage.is_none() || !is_key || info.subresource == "proxy" {
        return Ok(());
    }
    match is_path_segment_name(&info.name) {
        errors if errors.is_empty() => Ok(()),
        errors => {
            let name = corten_api::json::string(&info.name);
            Err(Status::bad_request(format!("Name parameter invalid: {name}: {}", errors.join(";"))))
        }
    }
}
