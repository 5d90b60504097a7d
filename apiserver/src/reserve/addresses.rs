//! Cluster IPs: an address is taken by whoever makes the IPAddress of its name, so that the store decides between
//! services and between servers.

use std::net::IpAddr;
use std::sync::Arc;

use corten_api::json::string as quoted;
use corten_object::tree::View;
use corten_views::networking_v1::ServiceCIDR;
use ipnet::IpNet;

use super::address_range::{AddressRange, family};
use crate::api::Api;
use crate::control::client;
use crate::metadata;

pub const MANAGED_BY: &str = "ipallocator.k8s.io";
pub const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";
pub const MANAGED_BY_LABEL: &str = "ipaddress.kubernetes.io/managed-by";
const GROUP: &str = "networking.k8s.io";
const COLLECTION: &str = "/apis/networking.k8s.io/v1/ipaddresses";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("range is full")]
    Full,
    #[error("provided IP is already allocated")]
    Allocated,
    #[error("the provided network does not match the current range")]
    Mismatched,
    #[error("allocator not ready")]
    NotReady,
    #[error("the provided IP ({0}) is not in the valid range. The range of valid IPs is {1}")]
    NotInRange(IpAddr, IpNet),
    #[error("{0}")]
    Other(String),
}

/// For whom an address is.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'o> {
    pub namespace: &'o str,
    pub name: &'o str,
}

/// A range of the ServiceCIDRs, and whether new addresses may come from it.
struct Offered {
    range: AddressRange,
    ready: bool,
}

/// Takes one address, as named.
pub async fn take(api: &Arc<Api>, ip: IpAddr, owner: Owner<'_>) -> Result<(), AddressError> {
    let found = offered(api, family(ip)).into_iter().find(|offered| offered.ready && offered.range.holds(ip));
    if found.is_none() {
        return Err(AddressError::Mismatched);
    }
    create(api, ip, owner).await
}

/// Takes any free address.
pub async fn take_any(api: &Arc<Api>, family: &str, owner: Owner<'_>) -> Result<IpAddr, AddressError> {
    let mut ranges = offered(api, family);
    if !ranges.is_empty() {
        let turn = api.random.below(ranges.len() as u64) as usize;
        ranges.rotate_left(turn);
    }
    let Some(storage) = api.storage(GROUP, "ipaddresses") else { return Err(AddressError::NotReady) };
    for offered in ranges.into_iter().filter(|offered| offered.ready) {
        for ip in offered.range.candidates(&api.random) {
            if storage.cache.get(&ip.to_string()).is_some() {
                continue;
            }
            match create(api, ip, owner).await {
                Ok(()) => return Ok(ip),
                // Another server was quicker.
                Err(AddressError::Allocated) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(AddressError::Full)
}

/// What a dry run shows in place of an address that it would get.
pub fn pretend_any(api: &Api, family: &str) -> Result<IpAddr, AddressError> {
    match offered(api, family).into_iter().next() {
        Some(Offered { range, ready: true }) => Ok(range.cidr.network()),
        _ => Err(AddressError::NotReady),
    }
}

/// What a dry run says to an address that is named: whether it is taken is not looked at.
pub fn pretend(api: &Api, ip: IpAddr) -> Result<(), AddressError> {
    match offered(api, family(ip)).into_iter().next() {
        Some(Offered { range, ready: true }) if range.holds(ip) => Ok(()),
        Some(Offered { range, ready: true }) => Err(AddressError::NotInRange(ip, range.cidr)),
        _ => Err(AddressError::NotReady),
    }
}

/// Gives an address back; one that no range holds is left alone.
pub async fn release(api: &Arc<Api>, ip: IpAddr) {
    if !offered(api, family(ip)).iter().any(|offered| offered.range.holds(ip)) {
        tracing::warn!(%ip, "a cluster IP outside of every service CIDR is not given back");
        return;
    }
    if let Err(refused) = client::delete(api, &format!("{COLLECTION}/{ip}")).await
        && !refused.is_not_found()
    {
        tracing::warn!(%ip, error = %refused, "the cluster IP could not be given back; the repair loop will find it");
    }
}

/// Whether any service CIDR holds the address, ready or not.
pub fn in_some_range(api: &Api, ip: IpAddr) -> bool {
    offered(api, family(ip)).iter().any(|offered| offered.range.holds(ip))
}

/// Makes the IPAddress that says whose the address is.
pub async fn create(api: &Arc<Api>, ip: IpAddr, owner: Owner<'_>) -> Result<(), AddressError> {
    match client::create(api, COLLECTION, body(ip, owner)).await {
        Ok(_) => Ok(()),
        Err(refused) if refused.is_already_exists() => Err(AddressError::Allocated),
        Err(refused) => Err(AddressError::Other(refused.message)),
    }
}

pub async fn delete(api: &Arc<Api>, name: &str) -> Result<(), client::Refused> {
    match client::delete(api, &format!("{COLLECTION}/{name}")).await {
        Err(refused) if refused.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

fn body(ip: IpAddr, owner: Owner<'_>) -> String {
    format!(
        concat!(
            r#"{{"kind":"IPAddress","apiVersion":"networking.k8s.io/v1","metadata":{{"name":"{ip}","labels":{{"#,
            r#""{family_label}":"{family}","{managed_label}":"{managed}"}}}},"#,
            r#""spec":{{"parentRef":{{"resource":"services","namespace":{namespace},"name":{name}}}}}}}"#
        ),
        ip = ip,
        family_label = FAMILY_LABEL,
        family = family(ip),
        managed_label = MANAGED_BY_LABEL,
        managed = MANAGED_BY,
        namespace = quoted(owner.namespace),
        name = quoted(owner.name),
    )
}

/// The ranges of a family in the cluster's ServiceCIDRs, each once.
fn offered(api: &Api, wanted: &str) -> Vec<Offered> {
    let Some(storage) = api.storage(GROUP, "servicecidrs") else { return Vec::new() };
    let mut found: Vec<Offered> = Vec::new();
    for object in storage.cache.snapshot().objects.values() {
        let tree = storage.tree(object);
        let view = ServiceCIDR::from_struct(tree.root().as_struct());
        let ready = is_ready(view) && metadata::read(&tree).deletion_timestamp().is_none();
        let cidrs = view.spec().cidrs();
        for range in cidrs.iter().filter_map(|cidr| AddressRange::new(cidr.parse().ok()?)) {
            if range.family() != wanted {
                continue;
            }
            match found.iter_mut().find(|known| known.range == range) {
                Some(known) => known.ready |= ready,
                None => found.push(Offered { range, ready }),
            }
        }
    }
    found
}

/// One that says nothing of it counts as ready: without a controller manager nobody says more.
fn is_ready(service_cidr: ServiceCIDR<'_>) -> bool {
    let conditions = service_cidr.status().conditions();
    conditions
        .iter()
        .find(|condition| condition.type_() == "Ready")
        .is_none_or(|condition| condition.status() == "True")
}
