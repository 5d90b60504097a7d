//! Cluster IPs: an address is taken by whoever makes the IPAddress of its name, so that the store decides between
//! services and between servers.

use std::net::IpAddr;
use std::sync::Arc;

use corten_api::json::string as quoted;
use corten_api::status::Status;
use corten_object::tree::{Tree, View};
use corten_views::networking_v1::{IPAddress, ServiceCIDR};
use ipnet::IpNet;

use super::address_range::{AddressRange, family};
use super::under_way::Entered;
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
    /// What decides on it cannot be read.
    #[error("{0}")]
    Unreadable(String),
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

/// An IPAddress that was made.
pub struct Made {
    pub ip: IpAddr,
    pub uid: String,
    pub under_way: Entered<IpAddr>,
}

/// Takes one address, as named.
pub async fn take(api: &Arc<Api>, ip: IpAddr, owner: Owner<'_>) -> Result<Made, AddressError> {
    let is_offered = || offered(api, family(ip)).iter().any(|offered| offered.ready && offered.range.holds(ip));
    if !is_offered() {
        // Another server may have offered it since.
        catch_up(api).await?;
        if !is_offered() {
            return Err(unless_unreadable(api, AddressError::Mismatched));
        }
    }
    make(api, ip, owner).await
}

/// Takes any free address.
pub async fn take_any(api: &Arc<Api>, family: &str, owner: Owner<'_>) -> Result<Made, AddressError> {
    match take_any_as_known(api, family, owner).await {
        // Other servers may have given some back, or offered more.
        Err(AddressError::Full) => {
            catch_up(api).await?;
            let taken = take_any_as_known(api, family, owner).await;
            taken.map_err(|error| unless_unreadable(api, error))
        }
        other => other,
    }
}

/// A refusal for what no range offers; another one if a range cannot be read, which may offer it.
fn unless_unreadable(api: &Api, refusal: AddressError) -> AddressError {
    match check_ranges(api) {
        Err(unreadable) if !matches!(refusal, AddressError::Other(_)) => {
            AddressError::Unreadable(unreadable.message().to_owned())
        }
        _ => refusal,
    }
}

/// An error if a service CIDR cannot be read.
fn check_ranges(api: &Api) -> Result<(), Status> {
    api.storage(GROUP, "servicecidrs").map_or(Ok(()), |storage| storage.cache.snapshot().check_readable("", None))
}

async fn take_any_as_known(api: &Arc<Api>, family: &str, owner: Owner<'_>) -> Result<Made, AddressError> {
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
            match make(api, ip, owner).await {
                // Another server was quicker.
                Err(AddressError::Allocated) => {}
                other => return other,
            }
        }
    }
    Err(AddressError::Full)
}

async fn catch_up(api: &Arc<Api>) -> Result<(), AddressError> {
    api.catch_up().await.map_err(|status| AddressError::Other(status.message().to_owned()))
}

/// For a write that is under way, so that the repair loop leaves the address alone.
async fn make(api: &Arc<Api>, ip: IpAddr, owner: Owner<'_>) -> Result<Made, AddressError> {
    let under_way = api.addresses_under_way.enter([ip]);
    let uid = create(api, ip, owner).await?;
    Ok(Made { ip, uid, under_way })
}

/// What a dry run shows in place of an address that it would get.
pub fn pretend_any(api: &Api, family: &str) -> Result<IpAddr, AddressError> {
    match offered(api, family).into_iter().next() {
        Some(Offered { range, ready: true }) => Ok(range.cidr.network()),
        _ => Err(unless_unreadable(api, AddressError::NotReady)),
    }
}

/// What a dry run says to an address that is named: whether it is taken is not looked at.
pub fn pretend(api: &Api, ip: IpAddr) -> Result<(), AddressError> {
    match offered(api, family(ip)).into_iter().next() {
        Some(Offered { range, ready: true }) if range.holds(ip) => Ok(()),
        Some(Offered { range, ready: true }) => Err(unless_unreadable(api, AddressError::NotInRange(ip, range.cidr))),
        _ => Err(unless_unreadable(api, AddressError::NotReady)),
    }
}

/// Gives an address back: the IPAddress of the uid, if one is given, and otherwise one that is the owner's. An error
/// says that it may still be there.
pub async fn release(api: &Arc<Api>, ip: IpAddr, uid: Option<&str>, owner: Owner<'_>) -> Result<(), String> {
    let is_own = |address: &Tree| match uid {
        Some(uid) => metadata::read(address).uid() == uid,
        None => is_owned(address, owner),
    };
    let mut sure = false;
    loop {
        let found = api.lookup_tree(GROUP, "ipaddresses", &ip.to_string());
        let found = found.map_err(|status| format!("give back the cluster IP {ip}: {}", status.message()))?;
        let found = found.filter(&is_own);
        if let Some(address) = &found {
            match delete(api, &ip.to_string(), metadata::read(address).uid()).await {
                Ok(()) => return Ok(()),
                // The cache may be behind.
                Err(refused) if refused.is_conflict() && !sure => {}
                Err(refused) => return Err(format!("give back the cluster IP {ip}: {refused}")),
            }
        } else if sure {
            return Ok(());
        }
        let caught_up = api.catch_up().await;
        caught_up.map_err(|status| format!("give back the cluster IP {ip}: {}", status.message()))?;
        sure = true;
    }
}

fn is_owned(address: &Tree, owner: Owner<'_>) -> bool {
    let address: IPAddress<'_> = IPAddress::from_struct(address.root().as_struct());
    address.spec().parent_ref().is_some_and(|parent| {
        parent.group().is_empty()
            && parent.resource() == "services"
            && (parent.namespace(), parent.name()) == (owner.namespace, owner.name)
    })
}

/// Whether any service CIDR holds the address, ready or not. One that cannot be read may hold it.
pub fn in_some_range(api: &Api, ip: IpAddr) -> bool {
    offered(api, family(ip)).iter().any(|offered| offered.range.holds(ip)) || check_ranges(api).is_err()
}

/// Makes the IPAddress that says whose the address is; returns its uid.
pub async fn create(api: &Arc<Api>, ip: IpAddr, owner: Owner<'_>) -> Result<String, AddressError> {
    match client::create(api, COLLECTION, body(ip, owner)).await {
        Ok(made) => {
            let made = serde_json::from_slice::<serde_json::Value>(&made).unwrap_or_default();
            Ok(made["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
        }
        Err(refused) if refused.is_already_exists() => Err(AddressError::Allocated),
        Err(refused) => Err(AddressError::Other(refused.message)),
    }
}

/// Deletes the IPAddress of the uid.
pub async fn delete(api: &Arc<Api>, name: &str, uid: &str) -> Result<(), client::Refused> {
    match client::delete_if(api, &format!("{COLLECTION}/{name}"), uid).await {
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
