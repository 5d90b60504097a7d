//! Which of the tokens that are kept in Secrets are still used.
//!
//! A ConfigMap says since when that is noted, and a label of each Secret says on which day its token was used last. By
//! the two the controller manager finds the tokens that nobody has used for long, marks them as invalid, and deletes
//! them later; so while the ConfigMap is there, the labels must be kept up.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use corten_api::json::string as quoted;
use corten_api::time::Timestamp;
use corten_runtime::tasks::CancellationToken;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::changes::Changes;
use super::client;
use super::pace::Pace;
use crate::api::Api;
use crate::cache::Scope;

const COLLECTION: &str = "/api/v1/namespaces/kube-system/configmaps";
const NAME: &str = "kube-apiserver-legacy-service-account-token-tracking";
const KEY: &str = "kube-system/kube-apiserver-legacy-service-account-token-tracking";
const SINCE: &str = "since";
pub const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";

/// Uses of tokens that are still to be noted, each Secret's last one.
#[derive(Default)]
pub struct TokenUses {
    noted: Mutex<BTreeMap<SecretName, Use>>,
    added: Notify,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName {
    pub namespace: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub uid: String,
    /// `2006-01-02`
    pub day: String,
}

impl TokenUses {
    pub fn note(&self, secret: SecretName, used: Use) {
        self.noted.lock().insert(secret, used);
        self.added.notify_one();
    }

    fn take(&self) -> BTreeMap<SecretName, Use> {
        std::mem::take(&mut *self.noted.lock())
    }
}

pub struct LegacyTokens {
    api: Arc<Api>,
    uses: Arc<TokenUses>,
    changes: Changes,
    pace: Pace,
}

impl LegacyTokens {
    pub fn new(api: &Arc<Api>, uses: Arc<TokenUses>) -> Result<LegacyTokens> {
        let changes = Changes::of(api, "", "configmaps", Scope::Object(KEY.into()))?;
        Ok(LegacyTokens { api: Arc::clone(api), uses, changes, pace: Pace::new(api.clock.clone()) })
    }

    pub async fn run(mut self, token: CancellationToken) {
        let uses = Arc::clone(&self.uses);
        loop {
            tokio::select! {
                () = self.changes.wait() => self.look().await,
                () = self.pace.wait() => self.look().await,
                () = uses.added.notified() => self.label().await,
                () = token.cancelled() => return,
            }
        }
    }

    /// Sees to it that the ConfigMap says since when uses are noted.
    pub async fn look(&mut self) {
        self.changes.take();
        // One that cannot be read is left alone; a change of it brings us here again.
        let Ok(kept) = self.api.lookup("", "configmaps", KEY) else { return self.pace.settled(KEY) };
        let kept = kept.map(|object| serde_json::from_slice::<Value>(&object.json).unwrap_or_default());
        if kept.as_ref().is_some_and(|kept| is_day(kept["data"][SINCE].as_str().unwrap_or_default())) {
            return self.pace.settled(KEY);
        }
        if !self.pace.admits(KEY) {
            return;
        }
        match write_since(&self.api, kept).await {
            Err(refused) if !(refused.is_already_exists() || refused.is_conflict() || refused.is_not_found()) => {
                tracing::warn!(error = %refused, "{KEY} does not say since when the uses of tokens are noted");
                self.pace.failed(KEY);
            }
            // If somebody was quicker, the event of that brings us here again.
            _ => self.pace.wrote(KEY),
        }
    }

    async fn label(&self) {
        for (SecretName { namespace, name }, used) in self.uses.take() {
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
            let patch = format!(
                r#"{{"metadata":{{"uid":{},"labels":{{"{LAST_USED}":{}}}}}}}"#,
                quoted(&used.uid),
                quoted(&used.day)
            );
            // Its next use is noted again.
            if let Err(error) = client::merge(&self.api, &path, patch).await {
                tracing::warn!(namespace, secret = name, %error, "the use of a token could not be noted");
            }
        }
    }
}

async fn write_since(api: &Arc<Api>, kept: Option<Value>) -> client::Result<()> {
    let now = Timestamp::from_seconds(api.clock.now().seconds).format();
    let today = &now[..now.len().min(10)];
    match kept {
        None => {
            let body = json!({
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": {"name": NAME, "namespace": "kube-system"},
                "data": {SINCE: today},
            });
            client::create(api, COLLECTION, body.to_string()).await.map(drop)
        }
        Some(mut kept) => {
            if !kept["data"].is_object() {
                kept["data"] = json!({});
            }
            kept["data"][SINCE] = today.into();
            client::update(api, &format!("{COLLECTION}/{NAME}"), kept.to_string()).await.map(drop)
        }
    }
}

/// Whether a text is a day as Go's layout `2006-01-02` reads it.
fn is_day(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        let check = |text: &str, expected: bool| assert_eq!(is_day(text), expected, "{text}");
        check("2026-02-28", true);
        check("2024-02-29", true);
        check("2026-02-29", false);
        check("2026-2-28", false);
        check("today", false);
        check("", false);
    }

    #[test]
    fn the_last_use_of_a_secret_counts() {
        let uses = TokenUses::default();
        let secret = |name: &str| SecretName { namespace: "ns".into(), name: name.into() };
        let on = |day: &str| Use { uid: "u".into(), day: day.into() };
        uses.note(secret("a"), on("2026-01-01"));
        uses.note(secret("b"), on("2026-01-01"));
        uses.note(secret("a"), on("2026-01-02"));
        let taken: Vec<_> = uses.take().into_iter().collect();
        assert_eq!(taken, [(secret("a"), on("2026-01-02")), (secret("b"), on("2026-01-01"))]);
        assert!(uses.take().is_empty());
    }
}
