//! What a fresh cluster holds before anybody writes to it: namespaces, roles and bindings, priority classes, priority and
//! fairness. Made through the pipeline, as the server's own user; what is there already is left as it is, but for roles
//! and bindings that lack something.
//!
//! Servers that start together on one store make the same objects at once, so losing a race is no failure. An object
//! that cannot be made (a binding of that name refers to another role, say, and cannot be deleted) holds up no other and
//! does not end the server: it answers, so that somebody can mend the object, but it is not ready until it has been able
//! to make all of them.

mod ensure;
mod initial;
mod reconcile;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use corten_access::user::{API_SERVER, MASTERS_GROUP, User};
use corten_runtime::tasks::CancellationToken;
use futures::FutureExt;
use futures::future::{join_all, select_all};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

pub use self::ensure::ensure;
pub use self::initial::{FLOW_CONTROL, Initial, objects};
use crate::api::Api;
use crate::cache::Scope;
use crate::control::changes::Changes;
use crate::control::client::Refused;
use crate::control::pace::Pace;
use crate::http::{ApiRequest, Endpoint, Peer, RequestBody, ResponseBody};
use crate::readiness::{Readiness, Step};

/// How many objects are made at once, so that they share commits of the store.
const MADE_AT_ONCE: usize = 16;

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

/// What is still to be made.
pub struct Bootstrap {
    api: Arc<Api>,
    left: Vec<Initial>,
    pace: Pace,
}

impl Bootstrap {
    pub fn new(api: &Arc<Api>) -> Result<Bootstrap> {
        let left = objects(&api.registry.load())?;
        Ok(Bootstrap { api: Arc::clone(api), left, pace: Pace::new(api.clock.clone()) })
    }

    /// Tries to make what is left. True if nothing is left then.
    pub async fn begin(&mut self, readiness: &mut Readiness) -> bool {
        self.pass(readiness, |_, _| true).await
    }

    async fn pass(&mut self, readiness: &mut Readiness, mut due: impl FnMut(&mut Pace, &str) -> bool) -> bool {
        let left = std::mem::take(&mut self.left).into_iter();
        let (namespaces, others): (Vec<Initial>, Vec<Initial>) =
            left.partition(|initial| initial.step == Step::Namespaces);
        // What the others live in comes first.
        let mut store_fails = false;
        for objects in [namespaces, others] {
            self.make_all(objects, &mut store_fails, &mut due).await;
        }
        for step in [Step::Namespaces, Step::Roles, Step::PriorityClasses, Step::FlowControl] {
            if self.left.iter().all(|initial| initial.step != step) {
                readiness.reached(step);
            }
        }
        self.left.is_empty()
    }

    /// Tries to make those that are due. The rest is left.
    async fn make_all(
        &mut self,
        objects: Vec<Initial>,
        store_fails: &mut bool,
        due: &mut impl FnMut(&mut Pace, &str) -> bool,
    ) {
        let mut objects = objects.into_iter().peekable();
        while objects.peek().is_some() {
            let tried = objects.by_ref().take(MADE_AT_ONCE).map(|initial| {
                let tried = !*store_fails && due(&mut self.pace, &initial.path());
                (initial, tried)
            });
            let batch: Vec<(Initial, bool)> = tried.collect();
            for (initial, made) in join_all(batch.into_iter().map(|(initial, tried)| self.make(initial, tried))).await {
                let path = initial.path();
                match made {
                    Some(Ok(())) => continue,
                    Some(Err(refused)) => {
                        tracing::warn!(object = path, error = %refused, "an object of every cluster could not be made");
                        // The others would only wait for the same.
                        *store_fails |= refused.code >= 500;
                        self.pace.failed(&path);
                    }
                    None if *store_fails => self.pace.failed(&path),
                    None => {}
                }
                self.left.push(initial);
            }
        }
    }

    /// Tries to make one, if it is to be tried.
    async fn make(&self, initial: Initial, tried: bool) -> (Initial, Option<std::result::Result<(), Refused>>) {
        let made = if tried { Some(ensure(&self.api, &initial).await) } else { None };
        (initial, made)
    }

    /// The paths of the objects that are left.
    pub fn left(&self) -> Vec<String> {
        self.left.iter().map(Initial::path).collect()
    }

    /// Tries again whenever one of the objects that are left changes, and now and then, until none is left.
    pub async fn run(mut self, mut readiness: Readiness, token: CancellationToken) -> Result<()> {
        let mut changes: BTreeMap<String, Changes> = BTreeMap::new();
        for initial in &self.left {
            let scope = Scope::Object(initial.key.as_str().into());
            let mut of_object = Changes::of(&self.api, &initial.group, &initial.plural, scope)?;
            // It has just been tried.
            of_object.take();
            changes.insert(initial.path(), of_object);
        }
        while !self.left.is_empty() {
            let changed = changes.values().map(|changes| changes.wait().boxed());
            tokio::select! {
                _ = select_all(changed) => {}
                () = self.pace.wait() => {}
                () = token.cancelled() => return Ok(()),
            }
            self.pass(&mut readiness, |pace, path| {
                let changed = changes.get_mut(path).is_some_and(|changes| !changes.take().is_empty());
                changed || pace.admits(path)
            })
            .await;
            changes.retain(|path, _| self.left.iter().any(|initial| initial.path() == *path));
        }
        tracing::info!("the objects of every cluster are there");
        Ok(())
    }
}
