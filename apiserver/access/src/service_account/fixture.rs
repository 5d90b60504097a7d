//! Objects for tests: every one has its name with `-uid` as its UID; those called `none` or `lost` do not exist, those
//! called `deleted…` were deleted at a given time.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::*;

#[derive(Default)]
pub(crate) struct Objects {
    pub(crate) deleted_at: i64,
    /// What the secret holds.
    pub(crate) token: Mutex<Vec<u8>>,
    pub(crate) last_used: String,
    pub(crate) uses: Mutex<Vec<String>>,
    pub(crate) counted: Mutex<Vec<TokenKind>>,
}

pub(crate) fn meta(name: &str) -> Meta {
    Meta { name: name.into(), uid: format!("{name}-uid"), deletion_timestamp: None }
}

pub(crate) fn account() -> ServiceAccount {
    ServiceAccount { meta: meta("sa"), namespace: "ns".into(), secrets: vec!["auto-secret".into()] }
}

/// The result of a future that never waits.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing in here waits"),
    }
}

impl Objects {
    fn find<T: Send + 'static>(&self, resource: &str, name: &str, make: impl FnOnce(Meta) -> T) -> Lookup<'static, T> {
        let deleted = name.starts_with("deleted").then(|| Wall::from_seconds(self.deleted_at));
        let found = match name {
            "none" | "lost" => Err(Status::not_found("", resource, name)),
            name => Ok(make(Meta { deletion_timestamp: deleted, ..meta(name) })),
        };
        Box::pin(std::future::ready(found))
    }
}

impl ServiceAccounts for Objects {
    fn service_account<'a>(&'a self, _namespace: &'a str, name: &'a str) -> Lookup<'a, ServiceAccount> {
        self.find("serviceaccounts", name, |meta| ServiceAccount { meta, ..account() })
    }

    fn secret<'a>(&'a self, _namespace: &'a str, name: &'a str) -> Lookup<'a, Secret> {
        let invalid_since = if name == "invalid-secret" { "2020-01-01".into() } else { String::new() };
        let (token, last_used) = (self.token.lock().clone(), self.last_used.clone());
        self.find("secrets", name, |meta| Secret { meta, token, invalid_since, last_used })
    }

    fn pod<'a>(&'a self, _namespace: &'a str, name: &'a str) -> Lookup<'a, Pod> {
        let account = if name.starts_with("foreign") { "other" } else { "sa" };
        let node = if name.starts_with("lost") { "lost" } else { "node" };
        self.find("pods", name, |meta| Pod { meta, service_account_name: account.into(), node_name: node.into() })
    }

    fn node<'a>(&'a self, name: &'a str) -> Lookup<'a, Meta> {
        self.find("nodes", name, |meta| meta)
    }

    fn secret_used(&self, namespace: &str, secret: &Secret, day: &str) {
        self.uses.lock().push(format!("{namespace}/{} {day}", secret.meta.name));
    }

    fn token_used(&self, kind: TokenKind) {
        self.counted.lock().push(kind);
    }
}
