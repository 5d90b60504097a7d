//! The steps of a start, as health checks under upstream's names.
//!
//! A step that is not done yet fails its checks; on /livez it passes for a while all the same. Of upstream's checks those
//! are there whose work this server does, in upstream's order.

use std::sync::Arc;
use std::time::Duration;

use corten_runtime::clock::Clock;
use corten_runtime::health::{EVERYWHERE, Guard, Health, READYZ};
use corten_runtime::tasks::CancellationToken;
use corten_store::{Status, Store};

use crate::api::Api;
use crate::metrics;

/// What a start goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The caches hold what the store held.
    Read,
    /// The namespaces that every cluster has are there.
    Namespaces,
    /// So are its roles and what binds to them, its priority classes, and its priority levels and flow schemas.
    Roles,
    PriorityClasses,
    FlowControl,
    /// The controllers within the server have looked at everything once.
    Controlled,
    /// Custom resources are served.
    Defined,
}

const CHECKS: &[(Step, &str)] = &[
    (Step::Namespaces, "poststarthook/start-apiserver-admission-initializer"),
    (Step::Read, "poststarthook/generic-apiserver-start-informers"),
    (Step::Defined, "poststarthook/start-apiextensions-informers"),
    (Step::Defined, "poststarthook/start-apiextensions-controllers"),
    (Step::Defined, "poststarthook/crd-informer-synced"),
    (Step::Namespaces, "poststarthook/start-system-namespaces-controller"),
    (Step::Controlled, "poststarthook/start-cluster-authentication-info-controller"),
    (Step::Controlled, "poststarthook/start-kube-apiserver-identity-lease-controller"),
    (Step::Controlled, "poststarthook/start-kube-apiserver-identity-lease-garbage-collector"),
    (Step::Read, "poststarthook/storage-readiness"),
    (Step::Controlled, "poststarthook/start-service-ip-repair-controllers"),
    (Step::Roles, "poststarthook/rbac/bootstrap-roles"),
    (Step::PriorityClasses, "poststarthook/scheduling/bootstrap-system-priority-classes"),
    (Step::FlowControl, "poststarthook/priority-and-fairness-config-producer"),
    (Step::Controlled, "poststarthook/bootstrap-controller"),
    (Step::Controlled, "poststarthook/start-kubernetes-service-cidr-controller"),
    (Step::Read, "poststarthook/start-kube-aggregator-informers"),
    (Step::Controlled, "poststarthook/apiservice-status-local-available-controller"),
    (Step::Controlled, "poststarthook/apiservice-registration-controller"),
    (Step::Defined, "poststarthook/apiservice-discovery-controller"),
    (Step::Controlled, "poststarthook/kube-apiserver-autoregistration"),
    (Step::Controlled, "autoregister-completion"),
    (Step::Defined, "poststarthook/apiservice-openapiv3-controller"),
];

/// How long a server that still starts counts as alive.
const GRACE: Duration = Duration::from_secs(60);
/// How long a check waits for the store; upstream's default.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// The steps that are still to be done.
pub struct Readiness(Vec<(Step, Guard)>);

impl Readiness {
    /// Registers every check of the server.
    ///
    /// A store that refuses writes makes a server unready; for dead it is taken only if a restart would help.
    pub fn register(health: &Health, store: &Arc<dyn Store>, clock: &Clock, stopping: CancellationToken) -> Readiness {
        for (name, endpoints, writes) in [("etcd", EVERYWHERE, false), ("etcd-readiness", READYZ, true)] {
            let (store, clock) = (Arc::clone(store), clock.clone());
            health.register_async(name, endpoints, move || answers(Arc::clone(&store), clock.clone(), writes));
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

/// How many objects that cannot be read are named.
const NAMED_MAX: usize = 20;

/// Objects that cannot be read make nobody unready, and are named to whoever looks.
pub fn name_unreadable(api: &Arc<Api>) {
    let weak = Arc::downgrade(api);
    api.health.register_remark("stored-objects", READYZ, move || {
        let unreadable = metrics::unreadable(&weak);
        let more = unreadable.len().saturating_sub(NAMED_MAX);
        let mut lines: Vec<_> = unreadable.iter().take(NAMED_MAX).map(|key| format!("{key} cannot be read")).collect();
        lines.extend((more > 0).then(|| format!("{more} more cannot be read")));
        lines
    });
}

async fn answers(store: Arc<dyn Store>, clock: Clock, writes: bool) -> Result<(), String> {
    match clock.timeout(STORE_PATIENCE, store.status()).await {
        Ok(Ok(Status { degraded: Some(degraded), .. })) if writes || degraded.restart_helps => Err(degraded.reason),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the store did not answer in {STORE_PATIENCE:?}")),
    }
}
