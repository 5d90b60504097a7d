//! What the server knows anyway, told when somebody asks: how much is kept, how far the caches are, what was built.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use corten_config::features::{FeatureGates, Gate, Stage};
use corten_runtime::metrics::{Registry, Row};

use crate::api::Api;
use crate::in_flight::Mutation;
use crate::resource::Storage;

/// Registers what needs the finished server.
pub fn register(api: &Arc<Api>, gates: FeatureGates) {
    let (registry, api) = (&api.metrics.registry, Arc::downgrade(api));
    build(registry);
    features(registry, gates);
    stored(registry, &api);
    caches(registry, &api);
    in_flight(registry, &api);
    let size = api.clone();
    registry.computed_gauges(
        "apiserver_storage_size_bytes",
        "[STABLE] Size of the storage in bytes.",
        &["storage_cluster_id"],
        move || {
            let size = size.upgrade().map(|api| api.storage_size.load(std::sync::atomic::Ordering::Relaxed));
            size.filter(|&size| size > 0).map(|size| (vec!["etcd-0".to_owned()], size as f64)).into_iter().collect()
        },
    );
}

fn build(registry: &Registry) {
    let facts = crate::build_info::LABELS;
    let names: Vec<&str> = facts.iter().map(|(name, _)| *name).collect();
    registry.computed_gauges(
        "kubernetes_build_info",
        "[BETA] A constant '1', labeled by what this program was built from.",
        &names,
        move || vec![(facts.iter().map(|(_, value)| (*value).to_owned()).collect(), 1.0)],
    );
    registry.computed_gauges(
        "version_info",
        "[ALPHA] The versions that a component is compatible with.",
        &["binary", "component", "emulation", "min_compat"],
        || vec![(["1.36.2", "kube", "1.36", "1.35"].map(str::to_owned).to_vec(), 1.0)],
    );
}

fn features(registry: &Registry, gates: FeatureGates) {
    let rows = move || {
        let row = |facts: &corten_config::features::Facts| {
            let stage = match facts.stage {
                Stage::Alpha => "ALPHA",
                Stage::Beta => "BETA",
                Stage::GA => "",
                Stage::Deprecated => "DEPRECATED",
            };
            (vec![facts.name.to_owned(), stage.to_owned()], f64::from(u8::from(gates.enabled(facts.gate))))
        };
        Gate::all().map(row).collect()
    };
    let help = "[BETA] The stage of a feature and whether it is enabled.";
    registry.computed_gauges("kubernetes_feature_enabled", help, &["name", "stage"], rows);
}

fn stored(registry: &Registry, api: &Weak<Api>) {
    let objects = by_storage(api, |storage| storage.cache.len() as f64);
    registry.computed_gauges(
        "apiserver_resource_objects",
        "[ALPHA] Number of stored objects by resource.",
        &["group", "resource"],
        objects,
    );
    registry.computed_gauges(
        "corten_storage_unreadable_objects",
        "[ALPHA] Number of stored objects that are damaged or cannot be decoded, by resource.",
        &["group", "resource"],
        by_storage(api, |storage| storage.cache.all_unreadable().len() as f64),
    );
    registry.computed_counters(
        "apiserver_storage_decode_errors_total",
        "[ALPHA] Number of stored objects that could not be decoded, by resource.",
        &["group", "resource"],
        by_storage(api, |storage| storage.cache.unreadable_total() as f64),
    );
    let api = api.clone();
    let joined = move || {
        let name = |storage: &Storage| match &*storage.group {
            "" => storage.plural.to_string(),
            group => format!("{}.{group}", storage.plural),
        };
        storages(&api).iter().map(|storage| (vec![name(storage)], storage.cache.len() as f64)).collect()
    };
    registry.computed_gauges(
        "apiserver_storage_objects",
        "[STABLE] (Deprecated since 1.34.0) Number of stored objects by resource; see apiserver_resource_objects.",
        &["resource"],
        joined,
    );
}

fn caches(registry: &Registry, api: &Weak<Api>) {
    let labels = &["group", "resource"];
    registry.computed_gauges(
        "apiserver_watch_cache_resource_version",
        "[ALPHA] Revision up to which a watch cache has come.",
        labels,
        by_storage(api, |storage| storage.cache.progress() as f64),
    );
    registry.computed_gauges(
        "watch_cache_capacity",
        "[ALPHA] Number of events that a watch cache holds.",
        labels,
        by_storage(api, |storage| storage.cache.window() as f64),
    );
    for (name, help) in [
        ("apiserver_watch_cache_events_received_total", "[ALPHA] Number of events that a watch cache has received."),
        ("apiserver_storage_events_received_total", "[BETA] Number of events received from the storage."),
    ] {
        let received = by_storage(api, |storage| storage.cache.events_received() as f64);
        registry.computed_counters(name, help, labels, received);
    }
    registry.computed_counters(
        "apiserver_watch_cache_initializations_total",
        "[ALPHA] Number of times that a watch cache was filled.",
        labels,
        by_storage(api, |storage| storage.cache.fillings() as f64),
    );
}

fn in_flight(registry: &Registry, api: &Weak<Api>) {
    let api = api.clone();
    let rows = move || {
        let Some(api) = api.upgrade() else { return Vec::new() };
        let row = |(kind, mutation): (&str, _)| (vec![kind.to_owned()], api.in_flight.most(mutation) as f64);
        [("mutating", Mutation::Writes), ("readOnly", Mutation::Reads)].map(row).into()
    };
    registry.computed_gauges(
        "apiserver_current_inflight_requests",
        "[STABLE] Maximal number of requests in flight by kind since this was last read.",
        &["request_kind"],
        rows,
    );
}

/// The keys of all objects that cannot be read.
pub fn unreadable(api: &Weak<Api>) -> Vec<String> {
    let all = storages(api).into_iter().map(|storage| storage.cache.all_unreadable());
    all.flat_map(|unreadable| unreadable.values().map(|one| one.key.to_string()).collect::<Vec<_>>()).collect()
}

/// A row for each storage that is served now.
fn by_storage<F>(api: &Weak<Api>, value: F) -> impl Fn() -> Vec<Row> + Send + Sync + use<F>
where
    F: Fn(&Storage) -> f64 + Send + Sync + 'static,
{
    let api = api.clone();
    move || {
        let row =
            |storage: &Arc<Storage>| (vec![storage.group.to_string(), storage.plural.to_string()], value(storage));
        storages(&api).iter().map(row).collect()
    }
}

fn storages(api: &Weak<Api>) -> Vec<Arc<Storage>> {
    let Some(api) = api.upgrade() else { return Vec::new() };
    let registry = api.registry.load();
    let kept = registry.all().filter_map(|resource| resource.storage.clone());
    // Versions of a resource share one.
    let distinct: BTreeMap<Arc<str>, Arc<Storage>> =
        kept.map(|storage| (Arc::clone(&storage.prefix), storage)).collect();
    distinct.into_values().collect()
}
