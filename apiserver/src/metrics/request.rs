//! A request, counted when it has been answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use corten_runtime::clock::Instant;
use corten_runtime::metrics::Gauge;
use futures::StreamExt;
use futures::stream::{BoxStream, Stream};
use http::Method;

use crate::call::Call;
use crate::http::{ApiResponse, ResponseBody};
use crate::metrics::Metrics;
use crate::negotiate;
use crate::request::RequestInfo;

/// Counts the request, now or when its answer has been sent.
pub fn finished(call: &Arc<Call>, received: Instant, mut response: ApiResponse) -> ApiResponse {
    if !is_counted(call) {
        return response;
    }
    let code = response.status().as_u16();
    let body = match std::mem::replace(response.body_mut(), ResponseBody::Full(None)) {
        ResponseBody::Stream(stream) | ResponseBody::List(stream) | ResponseBody::Conversion(stream) => {
            ResponseBody::Stream(Counted::new(call, received, code, stream).boxed())
        }
        ResponseBody::Full(bytes) => {
            count(call, received, code, bytes.as_ref().map_or(0, Bytes::len));
            ResponseBody::Full(bytes)
        }
        other => other,
    };
    *response.body_mut() = body;
    response
}

/// Only what is served is counted: other resources, subresources and paths would be anybody's choice. Upstream's router
/// has refused them before it counts, too.
fn is_counted(call: &Call) -> bool {
    match call.info.is_resource {
        true => call.routed.load(Ordering::Relaxed),
        false => !path_label(&call.info.path).is_empty(),
    }
}

impl Metrics {
    /// A request was refused because there are too many. Upstream counts it though nobody has looked for what it asks.
    pub fn dropped(&self, call: &Call) {
        let labels = Labels::of_unrouted(call);
        let [verb, group, version, resource, subresource, scope, component] = labels.without_dry_run();
        let request = [verb, dry_run(call), group, version, resource, subresource, scope, component, "429", ""];
        self.requests.with_label_values(&request).inc();
        self.terminated(call);
    }

    /// A request was refused by 429 to protect the server.
    pub fn terminated(&self, call: &Call) {
        let labels = Labels::of_unrouted(call);
        let [verb, group, version, resource, subresource, scope, component] = labels.without_dry_run();
        let termination = [verb, group, version, resource, subresource, scope, component, "429"];
        self.terminations.with_label_values(&termination).inc();
    }
}

const OTHER: &str = "other";

/// What a path that is no resource is called.
fn path_label(path: &str) -> &'static str {
    match path {
        "/healthz" => "/healthz",
        "/livez" => "/livez",
        "/readyz" => "/readyz",
        "/openapi/v2" => "openapi/v2",
        "/openapi/v3" => "openapi/v3",
        path if path.starts_with("/openapi/v3/") => "openapi/v3/",
        _ => "",
    }
}

struct Labels<'c> {
    verb: &'static str,
    group: &'c str,
    version: &'c str,
    resource: &'c str,
    subresource: &'c str,
    scope: &'static str,
    component: &'static str,
}

impl<'c> Labels<'c> {
    fn of(call: &'c Call) -> Labels<'c> {
        let info = &call.info;
        let scope = scope(info);
        let (subresource, component) =
            if info.is_resource { (&*info.subresource, "apiserver") } else { (path_label(&info.path), "") };
        let verb = verb(call, scope);
        let (group, version, resource) = (&*info.group, &*info.version, &*info.resource);
        Labels { verb, group, version, resource, subresource, scope, component }
    }

    /// The same before it is known whether there is what the request asks for.
    fn of_unrouted(call: &'c Call) -> Labels<'c> {
        let (info, labels) = (&call.info, Labels { component: "apiserver", ..Labels::of(call) });
        if !info.is_resource {
            return labels;
        }
        match call.api.registry.load().find(&info.group, &info.version, &info.resource) {
            None => Labels { group: OTHER, version: OTHER, resource: OTHER, subresource: OTHER, ..labels },
            Some(found) if info.subresource.is_empty() || found.subresource(&info.subresource).is_some() => labels,
            Some(_) => Labels { subresource: OTHER, ..labels },
        }
    }

    fn without_dry_run(&self) -> [&str; 7] {
        [self.verb, self.group, self.version, self.resource, self.subresource, self.scope, self.component]
    }
}

/// `resource`, `namespace` or `cluster`; by the path alone, whatever name a selector asks for.
pub fn scope(info: &RequestInfo) -> &'static str {
    let named = info.parts.get(1).is_some_and(|name| !name.is_empty());
    match () {
        () if !info.is_resource => "",
        () if named || info.verb == "create" => "resource",
        () if !info.namespace.is_empty() => "namespace",
        () => "cluster",
    }
}

fn verb(call: &Call, scope: &str) -> &'static str {
    const CONNECT: [&str; 5] = ["log", "exec", "portforward", "attach", "proxy"];
    let info = &call.info;
    if info.is_resource && CONNECT.contains(&info.subresource.as_str()) {
        return "CONNECT";
    }
    match call.method {
        Method::GET if info.verb == "watch" => "WATCH",
        Method::GET | Method::HEAD if scope == "namespace" || scope == "cluster" => "LIST",
        Method::GET | Method::HEAD => "GET",
        Method::PATCH if negotiate::content_type(&call.headers) == negotiate::APPLY => "APPLY",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn dry_run(call: &Call) -> &'static str {
    let given = || call.query.all("dryRun");
    match () {
        () if given().next().is_none() => "",
        () if given().all(|value| value == "All") => "All",
        () => "invalid",
    }
}

fn count(call: &Call, received: Instant, code: u16, bytes: usize) {
    let metrics = &call.api.metrics;
    let took: Duration = call.api.clock.monotonic() - received;
    let (labels, dry_run, seconds) = (Labels::of(call), dry_run(call), took.as_secs_f64());
    let mut buffer = [0; 3];
    let code = code_text(code, &mut buffer);
    let client = system_client(call.user_agent());
    if client == "kube-apiserver" {
        let own = [labels.verb, labels.group, labels.resource, labels.subresource];
        metrics.self_requests.with_label_values(&own).inc();
    }
    let [verb, group, version, resource, subresource, scope, component] = labels.without_dry_run();
    let request = [verb, dry_run, group, version, resource, subresource, scope, component, code, client];
    metrics.requests.with_label_values(&request).inc();
    metrics.durations.with_label_values(&request[..8]).observe(seconds);
    if dry_run.is_empty() {
        metrics.sli_durations.with_label_values(&labels.without_dry_run()).observe(seconds);
        metrics.slo_durations.with_label_values(&labels.without_dry_run()).observe(seconds);
    }
    if matches!(verb, "GET" | "LIST") {
        metrics.response_sizes.with_label_values(&labels.without_dry_run()).observe(bytes as f64);
    }
}

fn code_text(code: u16, buffer: &mut [u8; 3]) -> &str {
    *buffer = [code / 100 % 10, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8);
    std::str::from_utf8(buffer).unwrap_or_default()
}

/// The component of the control plane that a user agent names.
fn system_client(agent: &str) -> &'static str {
    match agent.split_once('/').map(|(name, _)| name) {
        Some("kube-apiserver") => "kube-apiserver",
        Some("kube-controller-manager") => "kube-controller-manager",
        Some("kube-scheduler") => "kube-scheduler",
        _ => "",
    }
}

/// An answer that is counted when it ends, however it does.
struct Counted {
    call: Arc<Call>,
    received: Instant,
    code: u16,
    sent: usize,
    /// Of the watches that go on.
    long_running: Option<Gauge>,
    stream: BoxStream<'static, io::Result<Bytes>>,
}

impl Counted {
    fn new(call: &Arc<Call>, received: Instant, code: u16, stream: BoxStream<'static, io::Result<Bytes>>) -> Counted {
        let long_running = (call.info.verb == "watch").then(|| {
            let gauge = call.api.metrics.long_running.with_label_values(&Labels::of(call).without_dry_run());
            gauge.inc();
            gauge
        });
        Counted { call: Arc::clone(call), received, code, sent: 0, long_running, stream }
    }
}

impl Stream for Counted {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = self.stream.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(piece))) = &item {
            self.sent += piece.len();
        }
        item
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(gauge) = &self.long_running {
            gauge.dec();
        }
        count(&self.call, self.received, self.code, self.sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Query;

    #[test]
    fn scopes() {
        fn check(method: Method, url: &str, expected: &str) {
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            let info = RequestInfo::parse(&method, path, &Query::parse(query)).expect("parses");
            assert_eq!(scope(&info), expected, "{method} {url}");
        }
        check(Method::GET, "/api/v1/pods", "cluster");
        check(Method::GET, "/api/v1/namespaces/a/pods", "namespace");
        check(Method::GET, "/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dx", "namespace");
        check(Method::GET, "/api/v1/namespaces/a/pods/b", "resource");
        check(Method::POST, "/api/v1/namespaces/a/pods", "resource");
        check(Method::GET, "/livez", "");
    }

    #[test]
    fn labels_are_few() {
        assert_eq!(code_text(409, &mut [0; 3]), "409");
        assert_eq!(system_client("kube-scheduler/v1.36.2 (linux/amd64)"), "kube-scheduler");
        assert_eq!(system_client("kubectl/v1.37.0"), "");
        assert_eq!(path_label("/openapi/v3/apis/apps/v1"), "openapi/v3/");
        assert_eq!(path_label("/anything"), "");
    }
}
