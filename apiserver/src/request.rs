//! What a request asks for, in upstream's terms: verb, group, version, resource, namespace, name, subresource.
//!
//! Read from the raw path, before anything is looked up: a path that names no known resource has a meaning all the same,
//! and authorization decides on it first.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestInfo {
    pub is_resource: bool,
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `proxy`; for what is no
    /// resource the method in lower case.
    pub verb: String,
    /// `api` or `apis`.
    pub prefix: String,
    pub group: String,
    pub version: String,
    pub namespace: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
    /// From the resource on.
    pub parts: Vec<String>,
    /// As given, for verbs that honour them.
    pub field_selector: String,
    pub label_selector: String,
    /// Came by the old `/watch/` prefix.
    pub watch_by_path: bool,
}

/// A query, decoded.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(query: &str) -> Query {
        let decode = |text: &str| {
            let text = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        Query(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key), decode(value))
                })
                .collect(),
        )
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    pub fn all<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// A boolean as upstream's query conversion reads it: there and not `false` or `0`.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }
}

impl RequestInfo {
    /// The error is a message for a 400.
    pub fn parse(method: &Method, path: &str, query: &Query) -> Result<RequestInfo, String> {
        let mut info = RequestInfo {
            path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
            verb: method.as_str().to_ascii_lowercase(),
            ..Default::default()
        };
        let all: Vec<String> = info.path.trim_matches('/').split('/').map(str::to_owned).collect();
        let mut parts = &all[..];
        if parts.len() < 3 || !matches!(parts[0].as_str(), "api" | "apis") {
            return Ok(info);
        }
        info.prefix = parts[0].clone();
        parts = &parts[1..];
        if info.prefix == "apis" {
            if parts.len() < 3 {
                return Ok(info);
            }
            info.group = parts[0].clone();
            parts = &parts[1..];
        }
        info.is_resource = true;
        info.version = parts[0].clone();
        parts = &parts[1..];
        match parts[0].as_str() {
            special @ ("watch" | "proxy") => {
                if parts.len() < 2 {
                    return Err(format!("unable to determine kind and namespace from url, {path}"));
                }
                info.verb = special.to_owned();
                info.watch_by_path = true;
                parts = &parts[1..];
            }
            _ => info.verb = verb_of(method).to_owned(),
        }
        if parts[0] == "namespaces" && parts.len() > 1 {
            info.namespace = parts[1].clone();
            if parts.len() > 2 && !matches!(parts[2].as_str(), "status" | "finalize") {
                parts = &parts[2..];
            }
        }
        info.parts = parts.to_vec();
        info.resource = parts[0].clone();
        if let Some(name) = parts.get(1) {
            info.name = name.clone();
        }
        if let Some(subresource) = parts.get(2).filter(|_| info.verb != "proxy") {
            info.subresource = subresource.clone();
        }
        info.collective(query);
        Ok(info)
    }

    /// Verbs of collections, and what narrows them.
    fn collective(&mut self, query: &Query) {
        if self.name.is_empty() && self.verb == "get" {
            self.verb = if query.flag("watch") { "watch" } else { "list" }.to_owned();
            if let Some(name) = query.get("fieldSelector").and_then(single_name) {
                self.name = name;
            }
        }
        if self.name.is_empty() && self.verb == "delete" {
            self.verb = "deletecollection".to_owned();
        }
        if !self.watch_by_path && matches!(self.verb.as_str(), "list" | "watch" | "deletecollection") {
            self.field_selector = query.get("fieldSelector").unwrap_or_default().to_owned();
            self.label_selector = query.get("labelSelector").unwrap_or_default().to_owned();
        }
    }
}

/// The name that a field selector requires, if it can be one.
fn single_name(selector: &str) -> Option<String> {
    let selector = corten_api::selector::fields::Selector::parse(selector).ok()?;
    let name = selector.requires_exact_match("metadata.name")?;
    let is_segment = !matches!(name, "." | "..") && !name.contains(['/', '%']) && !name.is_empty();
    is_segment.then(|| name.to_owned())
}

fn verb_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, url: &str, expected: &str) {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let info = RequestInfo::parse(&method, path, &Query::parse(query)).expect("parses");
        let got = format!(
            "{} {}/{} ns={} {}/{}/{}",
            info.verb, info.group, info.version, info.namespace, info.resource, info.name, info.subresource
        );
        assert_eq!(got, expected, "{method} {url}");
    }

    #[test]
    fn paths_have_upstreams_meaning() {
        check(Method::GET, "/api/v1/pods", "list /v1 ns= pods//");
        check(Method::GET, "/api/v1/namespaces/a/pods/b/status", "get /v1 ns=a pods/b/status");
        check(Method::GET, "/api/v1/namespaces/a", "get /v1 ns=a namespaces/a/");
        check(Method::PUT, "/api/v1/namespaces/a/finalize", "update /v1 ns=a namespaces/a/finalize");
        check(Method::POST, "/apis/apps/v1/namespaces/a/deployments", "create apps/v1 ns=a deployments//");
        check(Method::DELETE, "/apis/apps/v1/namespaces/a/deployments", "deletecollection apps/v1 ns=a deployments//");
        check(Method::GET, "/api/v1/watch/namespaces/a/pods/b", "watch /v1 ns=a pods/b/");
        check(Method::GET, "/api/v1/pods?watch=1", "watch /v1 ns= pods//");
        check(Method::GET, "/api/v1/pods?watch=false", "list /v1 ns= pods//");
        check(Method::GET, "/api/v1/pods?fieldSelector=metadata.name%3Dx", "list /v1 ns= pods/x/");
        check(Method::GET, "/healthz", "get / ns= //");
        check(Method::GET, "/apis/apps/v1", "get / ns= //");
    }
}
