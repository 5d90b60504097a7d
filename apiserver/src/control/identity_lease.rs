//! The Lease that says which server runs here, and the end of those that nobody renews any more.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use corten_api::json::string as quoted;
use corten_api::time::Timestamp;
use corten_object::json;
use corten_object::tree::{Tree, View};
use corten_runtime::tasks::CancellationToken;
use corten_views::coordination_v1::{Lease, LeaseSpec};
use ring::digest::{SHA256, digest};

use super::client;
use crate::api::Api;

const COLLECTION: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const NAMESPACE: &str = "kube-system";
const LABEL: &str = "apiserver.kubernetes.io/identity";
const COMPONENT: &str = "kube-apiserver";
const DURATION_SECONDS: i64 = 3600;
const RENEWED_EVERY: Duration = Duration::from_secs(10);
/// Renewals are put off by up to this part, so that servers do not renew in step.
const JITTER: f64 = 0.04;
const COLLECTED_EVERY: Duration = Duration::from_secs(3600);

pub struct IdentityLease {
    api: Arc<Api>,
    name: String,
    holder: String,
    hostname: String,
}

impl IdentityLease {
    pub fn new(api: &Arc<Api>, hostname: String) -> IdentityLease {
        let name = identity(&hostname);
        let holder = format!("{name}_{}", api.random.uuid());
        IdentityLease { api: Arc::clone(api), name, holder, hostname }
    }

    /// Takes the place of a server that ran here before. If that fails, a renewal does it.
    pub async fn begin(&self) {
        if let Err(error) = self.take().await {
            tracing::warn!(%error, "the identity lease could not be taken");
        }
    }

    async fn take(&self) -> Result<()> {
        if self.kept()?.is_some() {
            self.delete().await?;
        }
        self.create().await
    }

    pub async fn run(self, token: CancellationToken) {
        loop {
            let late = RENEWED_EVERY.mul_f64(1.0 + JITTER * self.api.random.fraction());
            tokio::select! {
                () = self.api.clock.sleep(late) => {}
                () = token.cancelled() => break,
            }
            if let Err(error) = self.renew().await {
                tracing::warn!(%error, "the identity lease could not be renewed");
            }
        }
        if let Err(error) = self.delete().await {
            tracing::warn!(%error, "the identity lease could not be deleted");
        }
    }

    fn kept(&self) -> client::Result<Option<Tree>> {
        Ok(self.api.lookup_tree("coordination.k8s.io", "leases", &format!("{NAMESPACE}/{}", self.name))?)
    }

    fn now(&self) -> String {
        let now = self.api.clock.now();
        Timestamp { seconds: now.seconds, nanos: now.nanos }.format_micro()
    }

    async fn create(&self) -> Result<()> {
        let body = format!(
            concat!(
                r#"{{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{{"name":"{name}","#,
                r#""namespace":"{namespace}","labels":{{"{label}":"{component}","kubernetes.io/hostname":{hostname}}}}},"#,
                r#""spec":{{"holderIdentity":"{holder}","leaseDurationSeconds":{seconds},"renewTime":"{now}"}}}}"#
            ),
            name = self.name,
            namespace = NAMESPACE,
            label = LABEL,
            component = COMPONENT,
            hostname = quoted(&self.hostname),
            holder = self.holder,
            seconds = DURATION_SECONDS,
            now = self.now(),
        );
        match client::create(&self.api, COLLECTION, body).await {
            // A server of the same machine was quicker; the next renewal goes on top of what it wrote.
            Err(refused) if !refused.is_already_exists() => Err(refused.into()),
            _ => Ok(()),
        }
    }

    async fn renew(&self) -> Result<()> {
        let Some(mut tree) = self.kept()? else { return self.create().await };
        let now = self.now();
        let mut root = tree.edit();
        let mut spec = root.ensure(Lease::SPEC);
        spec.set(LeaseSpec::HOLDER_IDENTITY, &self.holder);
        spec.set(LeaseSpec::LEASE_DURATION_SECONDS, DURATION_SECONDS);
        spec.set(LeaseSpec::RENEW_TIME, &now);
        client::update(&self.api, &format!("{COLLECTION}/{}", self.name), json::to_vec(tree.root())).await?;
        Ok(())
    }

    async fn delete(&self) -> Result<()> {
        match client::delete(&self.api, &format!("{COLLECTION}/{}", self.name)).await {
            Err(refused) if !refused.is_not_found() => Err(refused.into()),
            _ => Ok(()),
        }
    }
}

/// Deletes the leases of servers that are long gone.
pub async fn collect(api: Arc<Api>, token: CancellationToken) {
    loop {
        for name in expired(&api) {
            if let Err(refused) = client::delete(&api, &format!("{COLLECTION}/{name}")).await
                && !refused.is_not_found()
            {
                tracing::warn!(lease = name, error = %refused, "the lease of a server that is gone could not be deleted");
            }
        }
        tokio::select! {
            () = api.clock.sleep(COLLECTED_EVERY) => {}
            () = token.cancelled() => return,
        }
    }
}

fn expired(api: &Api) -> Vec<String> {
    let Some(storage) = api.storage("coordination.k8s.io", "leases") else { return Vec::new() };
    let now = api.clock.now();
    let now = Timestamp { seconds: now.seconds, nanos: now.nanos };
    let objects = storage.cache.snapshot().objects;
    let ours =
        objects.values().filter(|object| object.namespace() == NAMESPACE && object.label(LABEL) == Some(COMPONENT));
    let gone = ours.filter(|object| is_expired(&storage.tree(object), now));
    gone.map(|object| object.name().to_owned()).collect()
}

/// One that does not say until when it holds is no lease of a server.
fn is_expired(tree: &Tree, now: Timestamp) -> bool {
    let spec = Lease::from_struct(tree.root().as_struct()).spec();
    let renewed = spec.renew_time().and_then(|time| Timestamp::parse_micro(time).ok());
    match (renewed, spec.lease_duration_seconds()) {
        (Some(renewed), Some(seconds)) => {
            (renewed.seconds.saturating_add(seconds), renewed.nanos) < (now.seconds, now.nanos)
        }
        _ => true,
    }
}

/// `apiserver-` and a hash of the machine's name and the component's, each after its length.
fn identity(hostname: &str) -> String {
    let mut hashed = Vec::new();
    for part in [hostname, COMPONENT] {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        hashed.extend_from_slice(&length.to_be_bytes());
        hashed.extend_from_slice(part.as_bytes());
    }
    format!("apiserver-{}", base32(&digest(&SHA256, &hashed).as_ref()[..16]))
}

/// In lower case and without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut out, mut held, mut bits) = (String::new(), 0u32, 0);
    for &byte in bytes {
        held = held << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(LETTERS[(held >> bits & 31) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(char::from(LETTERS[(held << (5 - bits) & 31) as usize]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_upstreams() {
        assert_eq!(identity("vm"), "apiserver-wlv32tlttr4jl3gtroqexyxapa");
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
        assert_eq!(base32(b"f"), "my");
    }

    #[test]
    fn leases_end() {
        let ty = corten_schema::kind("coordination.k8s.io", "v1", "Lease").unwrap().ty;
        let check = |spec: &str, now: i64, expected: bool| {
            let text = format!(r#"{{"spec":{spec}}}"#);
            let tree = json::parse(text.into_bytes(), json::Form::Typed(ty)).unwrap().tree;
            assert_eq!(is_expired(&tree, Timestamp::from_seconds(now)), expected, "{spec}");
        };
        let lease = r#"{"leaseDurationSeconds":3600,"renewTime":"1970-01-01T00:00:10.000000Z"}"#;
        check(lease, 3610, false);
        check(lease, 3611, true);
        check("{}", 0, true);
        check(r#"{"renewTime":"1970-01-01T00:00:10.000000Z"}"#, 0, true);
    }
}
