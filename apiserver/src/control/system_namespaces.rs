//! The namespaces that every cluster has: one that is deleted is made again.

use std::sync::Arc;

use anyhow::Result;
use corten_runtime::tasks::CancellationToken;
use futures::FutureExt;
use futures::future::select_all;

use super::changes::Changes;
use super::pace::Pace;
use crate::api::Api;
use crate::bootstrap::{self, Initial};
use crate::cache::Scope;
use crate::readiness::Step;

pub struct SystemNamespaces {
    api: Arc<Api>,
    namespaces: Vec<(Initial, Changes)>,
    pace: Pace,
}

impl SystemNamespaces {
    pub fn new(api: &Arc<Api>) -> Result<SystemNamespaces> {
        let mut namespaces = Vec::new();
        for initial in bootstrap::objects(&api.registry.load())? {
            if initial.step == Step::Namespaces {
                let changes = Changes::of(api, "", "namespaces", Scope::Object(initial.key.as_str().into()))?;
                namespaces.push((initial, changes));
            }
        }
        Ok(SystemNamespaces { api: Arc::clone(api), namespaces, pace: Pace::new(api.clock.clone()) })
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            self.look().await;
            let changed = self.namespaces.iter().map(|(_, changes)| changes.wait().boxed());
            tokio::select! {
                _ = select_all(changed) => {}
                () = self.pace.wait() => {}
                () = token.cancelled() => return,
            }
        }
    }

    async fn look(&mut self) {
        for (initial, changes) in &mut self.namespaces {
            changes.take();
            // One that cannot be read is there.
            if !matches!(self.api.lookup("", "namespaces", &initial.key), Ok(None)) {
                self.pace.settled(&initial.key);
            } else if self.pace.admits(&initial.key) {
                match bootstrap::ensure(&self.api, initial).await {
                    Ok(()) => {
                        tracing::info!(namespace = initial.name, "made a system namespace anew");
                        self.pace.wrote(&initial.key);
                    }
                    Err(error) => {
                        tracing::warn!(namespace = initial.name, %error, "a system namespace could not be made anew");
                        self.pace.failed(&initial.key);
                    }
                }
            }
        }
    }
}
