//! The steps of a start, as health checks under upstream's names.
//!
//! A step that is not done yet fails its checks; on /livez it passes for a while all the same. Of upstream's checks those
//! are there whose work this server does, in upstream's order.

use std::sync::Arc;
use std::time::Duration;

use corten_runtime::health::{EVERYWHERE, Guard, Health, READYZ};
use corten_runtime::tasks::CancellationToken;
use corten_store::Store;

/// What a start goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The caches hold what the store held.
    Read,
    /// What every cluster has from the beginning is there.
    Bootstrapped,
    /// The controllers within the server have looked at everything once.
    Controlled,
    /// Custom resources are served.
    Defined,
}

const CHECKS: &[(Step, &str)] = &[
    (Step::Read, "poststarthook/generic-apiserver-start-informers"),
    (Step::Defined, "poststarthook/start-apiextensions-informers"),
    (Step::Defined, "poststarthook/start-apiextensions-controllers"),
    (Step::Defined, "poststarthook/crd-informer-synced"),
    (Step::Bootstrapped, "poststarthook/start-system-namespaces-controller"),
    (Step::Bootstrapped, "poststarthook/start-cluster-authentication-info-controller"),
    (Step::Controlled, "poststarthook/start-kube-apiserver-identity-lease-controller"),
    (Step::Controlled, "poststarthook/start-kube-apiserver-identity-lease-garbage-collector"),
    (Step::Read, "poststarthook/storage-readiness"),
    (Step::Controlled, "poststarthook/start-service-ip-repair-controllers"),
    (Step::Bootstrapped, "poststarthook/rbac/bootstrap-roles"),
    (Step::Bootstrapped, "poststarthook/scheduling/bootstrap-system-priority-classes"),
    (Step::Bootstrapped, "poststarthook/priority-and-fairness-config-producer"),
    (Step::Controlled, "poststarthook/bootstrap-controller"),
    (Step::Controlled, "poststarthook/start-kubernetes-service-cidr-controller"),
    (Step::Controlled, "poststarthook/apiservice-registration-controller"),
    (Step::Controlled, "poststarthook/kube-apiserver-autoregistration"),
    (Step::Controlled, "autoregister-completion"),
];

/// How long a server that still starts counts as alive.
const GRACE: Duration = Duration::from_secs(60);

/// The steps that are still to be done.
pub struct Readiness(Vec<(Step, Guard)>);

impl Readiness {
    /// Registers every check of the server.
    pub fn register(health: &Health, store: &Arc<dyn Store>, stopping: CancellationToken) -> Readiness {
        for (name, endpoints) in [("etcd", EVERYWHERE), ("etcd-readiness", READYZ)] {
            let store = Arc::clone(store);
            health.register_async(name, endpoints, move || answers(Arc::clone(&store)));
        }
        let mut guards = vec![(Step::Read, health.guard("informer-sync", READYZ, Duration::ZERO))];
        guards.extend(CHECKS.iter().map(|&(step, name)| (step, health.guard(name, EVERYWHERE, GRACE))));
        health.register("shutdown", READYZ, move || {
            if stopping.is_cancelled() { Err("process is shutting down".to_owned()) } else { Ok(()) }
        });
        Readiness(guards)
    }

    /// The checks of this step pass from now on.
    pub fn reached(&mut self, reached: Step) {
        self.0.retain(|(step, _)| *step != reached);
    }
}

async fn answers(store: Arc<dyn Store>) -> Result<(), String> {
    match store.status().await {
        Ok(status) => status.degraded.map_or(Ok(()), Err),
        Err(error) => Err(error.to_string()),
    }
}
