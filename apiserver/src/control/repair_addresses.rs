//! Repairs what Services and IPAddresses say of each other.
//!
//! Every cluster IP of a Service has an IPAddress of its name that refers to the Service, and every IPAddress of the
//! allocator refers to a Service that has it. A write makes the address first and the Service after it, so an address
//! without a Service is given the time that a write may take before it counts as leaked, and one that belongs to a write
//! of this server is left alone. A key is looked at when its object changes; nothing runs while nothing changes. Nothing
//! is repaired before the caches show what the store holds: another server may have changed it since.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use corten_api::names::parse_ip_sloppy;
use corten_api::time::Timestamp;
use corten_object::tree::{Tree, View};
use corten_runtime::tasks::CancellationToken;
use corten_views::core_v1::Service;
use corten_views::networking_v1::{IPAddress, ParentReference};

use super::agenda::Agenda;
use super::changes::Changes;
use super::recorder::Recorder;
use crate::api::Api;
use crate::cache::Scope;
use crate::metadata;
use crate::reserve::addresses::{self, AddressError, FAMILY_LABEL, MANAGED_BY, MANAGED_BY_LABEL, Owner};

/// How long a write of another server may take that has made an address and not yet stored its Service, or not yet given
/// the address back.
const WRITE_GRACE: Duration = Duration::from_secs(60);

pub struct AddressRepair {
    api: Arc<Api>,
    services: Changes,
    addresses: Changes,
    service_agenda: Agenda,
    address_agenda: Agenda,
    /// Addresses that are left alone until their Service, which cannot be read, changes; by Service.
    awaiting_service: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Services that are left alone until their IPAddress, which cannot be read, changes; by IPAddress.
    awaiting_address: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    recorder: Recorder,
}

impl AddressRepair {
    pub fn new(api: &Arc<Api>) -> Result<AddressRepair> {
        Ok(AddressRepair {
            api: Arc::clone(api),
            services: Changes::of(api, "", "services", Scope::All)?,
            addresses: Changes::of(api, "networking.k8s.io", "ipaddresses", Scope::All)?,
            service_agenda: Agenda::new(api.clock.clone()),
            address_agenda: Agenda::new(api.clock.clone()),
            awaiting_service: BTreeMap::new(),
            awaiting_address: BTreeMap::new(),
            recorder: Recorder { controller: "ipallocator-repair-controller" },
        })
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            self.look().await;
            tokio::select! {
                () = self.services.wait() => {}
                () = self.addresses.wait() => {}
                () = self.service_agenda.wait() => {}
                () = self.address_agenda.wait() => {}
                () = token.cancelled() => return,
            }
        }
    }

    /// Sees to everything that has changed or is due.
    pub async fn look(&mut self) {
        // Whoever deleted a Service gives its addresses back; later it shows whether that has been done.
        let service_storage = Arc::clone(&self.services.storage);
        let mut had = Vec::new();
        let mut services = self.services.take_each(|gone| had.extend(address_keys(&service_storage.tree(gone))));
        services.extend(self.service_agenda.take());
        let storage = Arc::clone(&self.addresses.storage);
        let mut addresses = self.addresses.take_each(|gone| services.extend(parent_key(&storage.tree(gone))));
        addresses.extend(self.address_agenda.take());
        had.iter().for_each(|key| self.address_agenda.after(key, WRITE_GRACE));
        let kept = addresses.iter().filter_map(|key| storage.cache.get(key));
        services.extend(kept.filter_map(|object| parent_key(&storage.tree(&object))));
        addresses.extend(services.iter().filter_map(|key| self.awaiting_service.remove(key)).flatten());
        services.extend(addresses.iter().filter_map(|key| self.awaiting_address.remove(key)).flatten());
        for key in services {
            match self.see_to_service(&key).await {
                Ok(()) => self.service_agenda.done(&key),
                Err(error) => {
                    self.service_agenda.failed(&key);
                    tracing::warn!(service = %key, %error, "the cluster IPs of a service could not be repaired");
                }
            }
        }
        for key in addresses {
            match self.see_to_address(&key).await {
                Ok(None) => self.address_agenda.done(&key),
                Ok(Some(later)) => self.address_agenda.after(&key, later),
                Err(error) => {
                    self.address_agenda.failed(&key);
                    tracing::warn!(address = %key, %error, "an IPAddress could not be repaired");
                }
            }
        }
    }

    fn service(&self, namespace: &str, name: &str) -> corten_api::status::Result<Option<Tree>> {
        self.api.lookup_tree("", "services", &format!("{namespace}/{name}"))
    }

    async fn see_to_service(&mut self, key: &str) -> Result<()> {
        if !self.check_service(key, false).await? {
            self.catch_up().await?;
            self.check_service(key, true).await?;
        }
        Ok(())
    }

    async fn catch_up(&self) -> Result<()> {
        self.api.catch_up().await.map_err(|status| anyhow!("{}", status.message()))
    }

    /// Repairs if it is `sure` that the caches show what the store holds. False if it was not sure and something seems
    /// to be wrong.
    async fn check_service(&mut self, key: &str, sure: bool) -> Result<bool> {
        // One that cannot be read keeps what it holds, and is looked at when it changes.
        let Ok(Some(tree)) = self.api.lookup_tree("", "services", key) else { return Ok(true) };
        let spec = Service::from_struct(tree.root().as_struct()).spec();
        if spec.cluster_ip().is_empty() || spec.cluster_ip() == "None" {
            return Ok(true);
        }
        let ips: Vec<String> = spec.cluster_ips().iter().map(str::to_owned).collect();
        for text in ips {
            let fault = match parse_ip_sloppy(&text) {
                Some(ip) => self.cluster_ip_fault(&tree, ip),
                None => Some(Fault {
                    reason: "ClusterIPNotValid",
                    action: "ClusterIPValidation",
                    note: format!("Cluster IP {text} is not a valid IP; please recreate Service"),
                    remedy: Remedy::None,
                }),
            };
            let Some(fault) = fault else { continue };
            if !sure {
                return Ok(false);
            }
            if !fault.note.is_empty() {
                self.warn(&tree, fault.reason, fault.action, &fault.note).await;
            }
            self.remedy(&tree, &fault.remedy).await?;
        }
        Ok(true)
    }

    /// What is wrong with a cluster IP of a Service, as the caches show it.
    fn cluster_ip_fault(&mut self, service: &Tree, ip: IpAddr) -> Option<Fault> {
        let meta = metadata::read(service);
        let (namespace, name) = (meta.namespace(), meta.name());
        let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        let action = "ClusterIPAllocation";
        let fault = |reason, note, remedy| Some(Fault { reason, action, note, remedy });
        if !addresses::in_some_range(&self.api, ip) {
            let note = format!(
                "Cluster IP [{family}]: {ip} is not within any configured Service CIDR; please recreate service"
            );
            return fault("ClusterIPOutOfRange", note, Remedy::None);
        }
        let Ok(address) = self.api.lookup_tree("networking.k8s.io", "ipaddresses", &ip.to_string()) else {
            let awaiting = self.awaiting_address.entry(ip.to_string().into()).or_default();
            awaiting.insert(format!("{namespace}/{name}").into());
            return None;
        };
        let Some(address) = address else {
            let note = format!("Cluster IP [{family}]: {ip} is not allocated; repairing");
            return fault("ClusterIPNotAllocated", note, Remedy::Make(ip));
        };
        let anew = Remedy::MakeAnew(ip, metadata::read(&address).uid().to_owned());
        let repairing =
            format!("the ClusterIP [{family}]: {ip} for Service {namespace}/{name} has a wrong reference; repairing");
        let parent = IPAddress::from_struct(address.root().as_struct()).spec().parent_ref();
        let Some(parent) = parent.filter(|parent| is_service(*parent)) else {
            return fault("ClusterIPNotAllocated", repairing, anew);
        };
        if parent.namespace() != namespace || parent.name() != name {
            let other = match self.service(parent.namespace(), parent.name()) {
                Ok(Some(other)) => other,
                Ok(None) => return fault("ClusterIPNotAllocated", repairing, anew),
                // It may have the address.
                Err(_) => return None,
            };
            // Of two services with one address neither is in the right: to change the reference would go on for ever.
            if has_cluster_ip(&other, ip) {
                let note =
                    format!("Cluster IP [{family}]:{ip} was assigned to multiple services; please recreate service");
                return fault("ClusterIPAlreadyAllocated", note, Remedy::None);
            }
        }
        let labels = metadata::read(&address).labels();
        let labelled = labels.get(FAMILY_LABEL) == Some(family) && labels.get(MANAGED_BY_LABEL) == Some(MANAGED_BY);
        // Upstream mends this without a word.
        if labelled { None } else { fault("", String::new(), anew) }
    }

    async fn remedy(&self, service: &Tree, remedy: &Remedy) -> Result<()> {
        let meta = metadata::read(service);
        let owner = Owner { namespace: meta.namespace(), name: meta.name() };
        let ip = match remedy {
            Remedy::None => return Ok(()),
            Remedy::Make(ip) => ip,
            Remedy::MakeAnew(ip, uid) => {
                addresses::delete(&self.api, &ip.to_string(), uid).await?;
                ip
            }
        };
        match addresses::create(&self.api, *ip, owner).await {
            // Somebody else was quicker.
            Ok(_) | Err(AddressError::Allocated) => Ok(()),
            Err(error) => Err(anyhow!(error)),
        }
    }

    /// When it is to be looked at again, if it is.
    async fn see_to_address(&mut self, key: &str) -> Result<Option<Duration>> {
        match self.check_address(key, false).await? {
            Look::Sure(later) => Ok(later),
            Look::Again => {
                self.catch_up().await?;
                match self.check_address(key, true).await? {
                    Look::Sure(later) => Ok(later),
                    Look::Again => Ok(None),
                }
            }
        }
    }

    /// Deletes the address if it is `sure` that the caches show what the store holds, and no Service has it.
    async fn check_address(&mut self, key: &str, sure: bool) -> Result<Look> {
        // One that cannot be read is looked at when it changes.
        let Ok(Some(tree)) = self.api.lookup_tree("networking.k8s.io", "ipaddresses", key) else {
            return Ok(Look::Sure(None));
        };
        // Before the Service is looked up: a write that has ended by then has its Service in the cache.
        if parse_ip_sloppy(key).is_some_and(|ip| self.api.addresses_under_way.has(ip)) {
            return Ok(Look::Sure(Some(WRITE_GRACE)));
        }
        let parent = IPAddress::from_struct(tree.root().as_struct()).spec().parent_ref();
        let parent = parent.filter(|parent| is_service(*parent));
        let service = match parent.map(|parent| self.service(parent.namespace(), parent.name())).transpose() {
            Ok(service) => service.flatten(),
            Err(_) => {
                let parent = parent_key(&tree).unwrap_or_default();
                self.awaiting_service.entry(parent).or_default().insert(key.into());
                return Ok(Look::Sure(None));
            }
        };
        let shown = parent.map(|parent| format!("{}/{}", parent.namespace(), parent.name())).unwrap_or_default();
        let now = Timestamp::from_seconds(self.api.clock.now().seconds);
        let (reason, note) = match judge(&tree, parent.is_some(), service.as_ref(), now) {
            Verdict::Fine => return Ok(Look::Sure(None)),
            Verdict::Later(later) => return Ok(Look::Sure(Some(later))),
            _ if !sure => return Ok(Look::Again),
            Verdict::NoService => {
                let note =
                    format!("IPAddress {key} appears to have been modified, not referencing a Service: cleaning up");
                ("IPAddressNotAllocated", note)
            }
            Verdict::Leaked => {
                let note = format!("IPAddress: {key} for Service {shown} appears to have leaked: cleaning up");
                ("IPAddressNotAllocated", note)
            }
            Verdict::Wrong => {
                let note = format!("IPAddress: {key} for Service {shown} has a wrong reference; cleaning up");
                ("IPAddressWrongReference", note)
            }
        };
        tracing::warn!("{note}");
        self.warn(&tree, reason, "IPAddressAllocation", &note).await;
        addresses::delete(&self.api, key, metadata::read(&tree).uid()).await?;
        Ok(Look::Sure(None))
    }

    async fn warn(&self, object: &Tree, reason: &str, action: &str, note: &str) {
        self.recorder.warn(&self.api, object, reason, action, note).await;
    }
}

/// Something wrong with a cluster IP: how the event about it tells it (nothing is told of one without a note), and what
/// mends it.
struct Fault {
    reason: &'static str,
    action: &'static str,
    note: String,
    remedy: Remedy,
}

enum Remedy {
    None,
    Make(IpAddr),
    /// In place of the IPAddress of the uid.
    MakeAnew(IpAddr, String),
}

/// What came of a look at an address.
enum Look {
    /// When to look again, if at all.
    Sure(Option<Duration>),
    /// It seems to be nobody's, as far as the caches show.
    Again,
}

fn is_service(parent: ParentReference<'_>) -> bool {
    parent.group().is_empty() && parent.resource() == "services"
}

/// The Service that an address refers to.
fn parent_key(address: &Tree) -> Option<Arc<str>> {
    let parent = IPAddress::from_struct(address.root().as_struct()).spec().parent_ref()?;
    is_service(parent).then(|| format!("{}/{}", parent.namespace(), parent.name()).into())
}

/// The names of the IPAddresses of a Service.
fn address_keys(service: &Tree) -> Vec<Arc<str>> {
    let spec = Service::from_struct(service.root().as_struct()).spec();
    spec.cluster_ips().iter().filter_map(|text| Some(parse_ip_sloppy(text)?.to_string().into())).collect()
}

fn has_cluster_ip(service: &Tree, ip: IpAddr) -> bool {
    let spec = Service::from_struct(service.root().as_struct()).spec();
    spec.cluster_ips().iter().any(|text| parse_ip_sloppy(text) == Some(ip))
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Fine,
    Later(Duration),
    /// It was made for a Service, and refers to none.
    NoService,
    Leaked,
    Wrong,
}

/// What an IPAddress is worth, beside the Service that it refers to.
fn judge(address: &Tree, refers_to_service: bool, service: Option<&Tree>, now: Timestamp) -> Verdict {
    let meta = metadata::read(address);
    if meta.labels().get(MANAGED_BY_LABEL) != Some(MANAGED_BY) {
        return Verdict::Fine;
    }
    if !refers_to_service {
        return Verdict::NoService;
    }
    let created = Timestamp::parse(meta.creation_timestamp()).unwrap_or(now);
    let age = Duration::from_secs(u64::try_from(now.seconds - created.seconds).unwrap_or(0));
    let left = |grace: Duration| grace.checked_sub(age).filter(|left| !left.is_zero());
    let Some(service) = service else {
        return match left(WRITE_GRACE + Duration::from_secs(1)) {
            Some(left) => Verdict::Later(left),
            None => Verdict::Leaked,
        };
    };
    if parse_ip_sloppy(meta.name()).is_some_and(|ip| has_cluster_ip(service, ip)) {
        return Verdict::Fine;
    }
    // A Service that ceases to be an external name or gets a second family takes its address first as well, and a create
    // that finds the name taken has to give its address back.
    let external = Service::from_struct(service.root().as_struct()).spec().type_() == "ExternalName";
    let service_created = Timestamp::parse(metadata::read(service).creation_timestamp()).unwrap_or(created);
    match left(WRITE_GRACE) {
        Some(left) if external || created.seconds >= service_created.seconds => Verdict::Later(left),
        _ => Verdict::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use corten_object::json;

    use super::*;

    fn tree(group: &str, kind: &str, text: &str) -> Tree {
        let ty = corten_schema::kind(group, "v1", kind).unwrap().ty;
        json::parse(text.as_bytes().to_vec(), json::Form::Typed(ty)).unwrap().tree
    }

    #[test]
    fn verdicts() {
        let check = |made: &str, service: Option<(&str, &str, &str)>, now: &str, expected: Verdict| {
            let address = format!(
                r#"{{"metadata":{{"name":"10.96.0.9","creationTimestamp":"{made}","labels":{{"{MANAGED_BY_LABEL}":"{MANAGED_BY}"}}}}}}"#
            );
            let address = tree("networking.k8s.io", "IPAddress", &address);
            let service = service.map(|(made, ty, ip)| {
                let text = format!(
                    r#"{{"metadata":{{"creationTimestamp":"{made}"}},"spec":{{"type":"{ty}","clusterIPs":["{ip}"]}}}}"#
                );
                tree("", "Service", &text)
            });
            let now = Timestamp::parse(now).unwrap();
            assert_eq!(judge(&address, true, service.as_ref(), now), expected);
        };
        let at = |second: u32| format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
        let (start, soon, later) = (at(10), at(12), at(90));
        check(&start, None, &soon, Verdict::Later(Duration::from_secs(59)));
        check(&start, None, &later, Verdict::Leaked);
        check(&start, Some((&soon, "ClusterIP", "10.96.0.9")), &later, Verdict::Fine);
        check(&start, Some((&soon, "ClusterIP", "10.96.0.8")), &soon, Verdict::Wrong);
        check(&start, Some((&start, "ClusterIP", "10.96.0.8")), &soon, Verdict::Later(Duration::from_secs(58)));
        check(&soon, Some((&start, "ClusterIP", "10.96.0.8")), &soon, Verdict::Later(WRITE_GRACE));
        check(&soon, Some((&start, "ClusterIP", "10.96.0.8")), &later, Verdict::Wrong);
        check(&start, Some((&start, "ExternalName", "")), &soon, Verdict::Later(Duration::from_secs(58)));
        check(&start, Some((&start, "ExternalName", "")), &later, Verdict::Wrong);
    }

    #[test]
    fn addresses_of_others_are_left_alone() {
        let now = Timestamp::from_seconds(0);
        let foreign = tree("networking.k8s.io", "IPAddress", r#"{"metadata":{"name":"10.96.0.9"}}"#);
        assert_eq!(judge(&foreign, false, None, now), Verdict::Fine);
        let ours = format!(r#"{{"metadata":{{"name":"10.96.0.9","labels":{{"{MANAGED_BY_LABEL}":"{MANAGED_BY}"}}}}}}"#);
        assert_eq!(judge(&tree("networking.k8s.io", "IPAddress", &ours), false, None, now), Verdict::NoService);
    }
}
