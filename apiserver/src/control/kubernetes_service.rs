//! The Service default/kubernetes, by which the cluster's own pods reach the API, and its Endpoints and EndpointSlice:
//! the addresses of all servers that are alive.
//!
//! On an etcd, servers tell each other by leases that they live; the embedded store has one server. A server takes its
//! address out when it stops in order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Result, bail};
use corten_api::json::string as quoted;
use corten_object::json;
use corten_object::tree::{Tree, View};
use corten_runtime::tasks::CancellationToken;
use corten_views::core_v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};
use corten_views::discovery_v1::EndpointSlice;
use corten_views::meta_v1::ObjectMeta;

use super::changes::Changes;
use super::client::{self, Refused};
use super::pace::Pace;
use super::server_leases::{RENEWED_EVERY, ServerLeases};
use crate::api::Api;
use crate::cache::Scope;
use crate::metadata;

const KEY: &str = "default/kubernetes";
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

pub struct KubernetesService {
    api: Arc<Api>,
    service_ip: IpAddr,
    /// Where this server is reached; without an address it stays out of the endpoints.
    port: u16,
    address: Option<IpAddr>,
    /// Of a store that other servers may share.
    leases: Option<ServerLeases>,
    changes: [Changes; 3],
    pace: Pace,
}

impl KubernetesService {
    pub fn new(
        api: &Arc<Api>,
        service_ip: IpAddr,
        at: (Option<IpAddr>, u16),
        shared: bool,
    ) -> Result<KubernetesService> {
        let (address, port) = at;
        let leases = match address {
            Some(address) if shared => Some(ServerLeases::new(Arc::clone(&api.store), address)?),
            _ => None,
        };
        let changes = |group: &str, plural: &str| Changes::of(api, group, plural, Scope::Object(KEY.into()));
        let changes =
            [changes("", "services")?, changes("", "endpoints")?, changes("discovery.k8s.io", "endpointslices")?];
        let pace = Pace::new(api.clock.clone());
        Ok(KubernetesService { api: Arc::clone(api), service_ip, port, address, leases, changes, pace })
    }

    pub async fn run(mut self, token: CancellationToken) {
        let clock = self.api.clock.clone();
        let mut renewal = clock.monotonic() + RENEWED_EVERY;
        loop {
            let [services, endpoints, slices] = &self.changes;
            let due = async {
                match &self.leases {
                    Some(_) => clock.sleep_until(renewal).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                () = due => {}
                () = services.wait() => {}
                () = endpoints.wait() => {}
                () = slices.wait() => {}
                () = self.pace.wait() => {}
            }
            let renew = clock.monotonic() >= renewal;
            if renew {
                renewal = clock.monotonic() + RENEWED_EVERY;
            }
            self.look(renew).await;
        }
        if let Err(error) = self.stop().await {
            tracing::warn!(%error, "this server could not be taken out of the endpoints of default/kubernetes");
        }
    }

    /// Sees to it that the service is there and leads here.
    pub async fn look(&mut self, renew: bool) {
        self.changes.iter_mut().for_each(|changes| drop(changes.take()));
        // First, and whatever else fails: by this the others know that this server lives.
        if let Some(leases) = self.leases.as_ref().filter(|_| renew)
            && let Err(error) = leases.renew().await
        {
            tracing::warn!(%error, "this server could not tell others that it lives");
        }
        if !self.pace.admits(KEY) {
            return;
        }
        match self.correct().await {
            Ok(true) => self.pace.wrote(KEY),
            Ok(false) => self.pace.settled(KEY),
            Err(error) => {
                // Something may be in the way: another service has the address, say.
                tracing::warn!(%error, "the service default/kubernetes is not as it should be");
                self.pace.failed(KEY);
            }
        }
    }

    /// True if something had to be written.
    async fn correct(&self) -> Result<bool> {
        let made = self.ensure_service().await?;
        let Some(address) = self.address else { return Ok(made) };
        let alive = match &self.leases {
            Some(leases) => leases.alive().await?,
            None => vec![address.to_string()],
        };
        if alive.is_empty() {
            bail!("no API server is listed in the store, not even this one: the endpoints stay as they are");
        }
        Ok(self.write_endpoints(&alive, false).await? | made)
    }

    async fn stop(&self) -> Result<()> {
        if self.address.is_none() {
            return Ok(());
        }
        let alive = match &self.leases {
            Some(leases) => {
                leases.remove().await?;
                leases.alive().await?
            }
            None => Vec::new(),
        };
        self.write_endpoints(&alive, true).await.map(drop)
    }

    async fn ensure_service(&self) -> Result<bool> {
        // One that cannot be read is there.
        let is_there = || !matches!(self.api.lookup("", "services", KEY), Ok(None));
        if is_there() {
            return Ok(false);
        }
        let body = format!(
            concat!(
                r#"{{"kind":"Service","apiVersion":"v1","metadata":{{"name":"kubernetes","namespace":"default","#,
                r#""labels":{{"component":"apiserver","provider":"kubernetes"}}}},"#,
                r#""spec":{{"ports":[{{"name":"https","protocol":"TCP","port":443,"targetPort":{port}}}],"#,
                r#""clusterIP":"{ip}","type":"ClusterIP","sessionAffinity":"None","ipFamilyPolicy":"SingleStack"}}}}"#
            ),
            port = self.port,
            ip = self.service_ip,
        );
        match client::create(&self.api, SERVICES, body).await {
            Ok(_) => Ok(true),
            Err(refused) => {
                // A server that starts beside this one may have made it, and its address is then taken.
                let caught_up = self.api.catch_up().await.is_ok();
                if caught_up && is_there() {
                    return Ok(true);
                }
                bail!("make the service default/kubernetes: {refused}")
            }
        }
    }

    async fn write_endpoints(&self, alive: &[String], stopping: bool) -> Result<bool> {
        let kept = self.api.lookup_tree("", "endpoints", KEY).map_err(Refused::from)?;
        let fresh = kept.is_none();
        if fresh && stopping {
            return Ok(false);
        }
        let mut tree = match kept {
            Some(tree) => tree,
            None => self.typed("v1", "Endpoints", r#"{"metadata":{"name":"kubernetes","namespace":"default"}}"#)?,
        };
        let changed = correct(&mut tree, alive, self.port, stopping);
        if stopping {
            // The caches no longer follow; whatever is there now is overwritten.
            metadata::edit(&mut tree).remove(ObjectMeta::RESOURCE_VERSION);
        }
        if fresh {
            match client::create(&self.api, ENDPOINTS, json::to_vec(tree.root())).await {
                Err(refused) if !refused.is_already_exists() => bail!("make its endpoints: {refused}"),
                _ => {}
            }
        } else if changed {
            match client::update(&self.api, &format!("{ENDPOINTS}/kubernetes"), json::to_vec(tree.root())).await {
                // A conflict is another server's change, which brings us here again.
                Err(refused) if !refused.is_conflict() => bail!("update its endpoints: {refused}"),
                _ => {}
            }
        }
        Ok(self.write_slice(&slice_of(&tree)).await? | fresh | changed)
    }

    /// True if it had to be written.
    async fn write_slice(&self, body: &str) -> Result<bool> {
        let wanted = self.typed("discovery.k8s.io/v1", "EndpointSlice", body)?;
        let path = format!("{SLICES}/kubernetes");
        let kept = self.api.lookup_tree("discovery.k8s.io", "endpointslices", KEY).map_err(Refused::from)?;
        let Some(kept) = kept else {
            return self.create_slice(body).await;
        };
        let (kept, wanted) = (kept.root().as_struct(), wanted.root().as_struct());
        let (old, new) = (EndpointSlice::from_struct(kept), EndpointSlice::from_struct(wanted));
        if old.address_type() != new.address_type() {
            if old.metadata().deletion_timestamp().is_some() {
                bail!("its endpoint slice is of the other family, and its deletion waits for finalizers");
            }
            client::delete(&self.api, &path).await?;
            return self.create_slice(body).await;
        }
        let same = |field| match (kept.node(field), wanted.node(field)) {
            (Some(old), Some(new)) => old.equals(new),
            (Some(one), None) | (None, Some(one)) => one.is_zero(),
            (None, None) => true,
        };
        let same_labels = old.metadata().labels().equals(new.metadata().labels());
        if same(EndpointSlice::ENDPOINTS) && same(EndpointSlice::PORTS) && same_labels {
            return Ok(false);
        }
        client::update(&self.api, &path, body).await?;
        Ok(true)
    }

    async fn create_slice(&self, body: &str) -> Result<bool> {
        match client::create(&self.api, SLICES, body).await {
            Err(refused) if !refused.is_already_exists() => bail!("make its endpoint slice: {refused}"),
            _ => Ok(true),
        }
    }

    fn typed(&self, api_version: &str, kind: &str, body: &str) -> Result<Tree> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let Some(found) = corten_schema::kind(group, version, kind) else { bail!("the tables lack {kind}") };
        let mut tree = json::parse(body.as_bytes().to_vec(), json::Form::Typed(found.ty))?.tree;
        metadata::set_kind(&mut tree, api_version, kind);
        Ok(tree)
    }
}

/// Has Endpoints show the servers that are alive; true if they did not. The ports that are there stay, unless all is
/// to be set right.
fn correct(tree: &mut Tree, alive: &[String], port: u16, ports_too: bool) -> bool {
    let mut changed = false;
    if metadata::read(tree).labels().get(SKIP_MIRROR) != Some("true") {
        metadata::edit(tree).ensure(ObjectMeta::LABELS).set_key(SKIP_MIRROR, "true");
        changed = true;
    }
    let subsets = Endpoints::from_struct(tree.root().as_struct()).subsets();
    let one = (subsets.len() == 1).then(|| subsets.get(0)).flatten();
    let format_right = one.is_some();
    let addresses_right = one.is_some_and(|subset| {
        let mut shown: Vec<&str> = subset.addresses().iter().map(EndpointAddress::ip).collect();
        let mut wanted: Vec<&str> = alive.iter().map(String::as_str).collect();
        shown.sort_unstable();
        wanted.sort_unstable();
        shown == wanted
    });
    let ports_right = one.is_some_and(|subset| !ports_too || has_port(subset, port));
    if addresses_right && ports_right {
        return changed;
    }
    let mut root = tree.edit();
    if alive.is_empty() {
        root.remove(Endpoints::SUBSETS);
        return true;
    }
    if !format_right {
        root.remove(Endpoints::SUBSETS);
        root.append(Endpoints::SUBSETS, EndpointSubset::TYPE);
    }
    let Some(&subset) = root.items(Endpoints::SUBSETS).first() else { return true };
    let mut subset = root.at(subset);
    if !addresses_right {
        subset.remove(EndpointSubset::ADDRESSES);
        for ip in alive {
            subset.append(EndpointSubset::ADDRESSES, EndpointAddress::TYPE).set(EndpointAddress::IP, ip);
        }
    }
    if !format_right || !ports_right {
        subset.remove(EndpointSubset::PORTS);
        let mut made = subset.append(EndpointSubset::PORTS, EndpointPort::TYPE);
        made.set(EndpointPort::NAME, "https");
        made.set(EndpointPort::PORT, i64::from(port));
        made.set(EndpointPort::PROTOCOL, "TCP");
    }
    true
}

fn has_port(subset: EndpointSubset<'_>, port: u16) -> bool {
    let ports = subset.ports();
    ports.len() == 1
        && ports.get(0).is_some_and(|found| {
            found.name() == "https" && found.port() == i64::from(port) && found.protocol() == "TCP"
        })
}

/// The slice that says the same as Endpoints of one subset.
fn slice_of(endpoints: &Tree) -> String {
    let subset = Endpoints::from_struct(endpoints.root().as_struct()).subsets().get(0);
    let addresses: Vec<(IpAddr, bool)> = subset.map_or(Vec::new(), |subset| {
        let of = |ready: bool| move |address: EndpointAddress<'_>| Some((address.ip().parse().ok()?, ready));
        let ready = subset.addresses().iter().filter_map(of(true));
        ready.chain(subset.not_ready_addresses().iter().filter_map(of(false))).collect()
    });
    let ipv6 = !addresses.is_empty() && addresses.iter().all(|(ip, _)| ip.is_ipv6());
    let shown = addresses.iter().filter(|(ip, _)| ip.is_ipv6() == ipv6);
    let endpoints: Vec<String> =
        shown.map(|(ip, ready)| format!(r#"{{"addresses":["{ip}"],"conditions":{{"ready":{ready}}}}}"#)).collect();
    let ports: Vec<String> = subset.map_or(Vec::new(), |subset| {
        let one = |port: EndpointPort<'_>| {
            format!(
                r#"{{"name":{},"protocol":{},"port":{}}}"#,
                quoted(port.name()),
                quoted(port.protocol()),
                port.port()
            )
        };
        subset.ports().iter().map(one).collect()
    });
    let ports = if ports.is_empty() { "null".to_owned() } else { format!("[{}]", ports.join(",")) };
    let endpoints = if endpoints.is_empty() { "null".to_owned() } else { format!("[{}]", endpoints.join(",")) };
    format!(
        concat!(
            r#"{{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{{"name":"kubernetes","#,
            r#""namespace":"default","labels":{{"kubernetes.io/service-name":"kubernetes"}}}},"#,
            r#""addressType":"{family}","endpoints":{endpoints},"ports":{ports}}}"#
        ),
        family = if ipv6 { "IPv6" } else { "IPv4" },
        endpoints = endpoints,
        ports = ports,
    )
}

/// The address by which others reach this server: as told, else the one it listens on, else the one from which this
/// machine reaches others.
pub fn advertised(told: Option<IpAddr>, listen: SocketAddr) -> Option<IpAddr> {
    let usable = |ip: &IpAddr| !ip.is_unspecified() && !ip.is_loopback();
    told.filter(usable).or(Some(listen.ip()).filter(usable)).or_else(|| {
        // Nothing is sent: to connect a datagram socket only asks for the route.
        ["192.0.2.1:9", "[2001:db8::1]:9"].iter().find_map(|far| {
            let any: SocketAddr = if far.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" }.parse().ok()?;
            let socket = std::net::UdpSocket::bind(any).ok()?;
            socket.connect(far).ok()?;
            socket.local_addr().ok().map(|address| address.ip()).filter(usable)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        let ty = corten_schema::kind("", "v1", "Endpoints").unwrap().ty;
        json::parse(text.as_bytes().to_vec(), json::Form::Typed(ty)).unwrap().tree
    }

    #[test]
    fn endpoints_show_who_is_alive() {
        const LABELS: &str = r#""metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":"true"}}"#;
        let check = |kept: &str, alive: &[&str], ports_too: bool, expected: &str| {
            let mut tree = tree(&format!("{{{LABELS}{kept}}}"));
            let before = json::to_string(tree.root());
            let alive: Vec<String> = alive.iter().map(|ip| (*ip).to_owned()).collect();
            let changed = correct(&mut tree, &alive, 6443, ports_too);
            let after = json::to_string(tree.root());
            assert_eq!(changed, before != after, "{kept}");
            let wanted = self::tree(&format!("{{{LABELS}{expected}}}"));
            assert_eq!(after, json::to_string(wanted.root()), "{kept}");
        };
        let one =
            r#","subsets":[{"addresses":[{"ip":"10.0.0.1"}],"ports":[{"name":"https","port":6443,"protocol":"TCP"}]}]"#;
        let other_port =
            r#","subsets":[{"addresses":[{"ip":"10.0.0.1"}],"ports":[{"name":"https","port":1,"protocol":"TCP"}]}]"#;
        let two = r#","subsets":[{"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}],"ports":[{"name":"https","port":6443,"protocol":"TCP"}]}]"#;
        check("", &["10.0.0.1"], false, one);
        check(one, &["10.0.0.1"], false, one);
        check(one, &["10.0.0.1", "10.0.0.2"], false, two);
        check(two, &["10.0.0.1"], true, one);
        check(other_port, &["10.0.0.1"], false, other_port);
        check(other_port, &["10.0.0.1"], true, one);
        check(one, &[], true, "");
        let broken = r#","subsets":[{"addresses":[{"ip":"1.1.1.1"}]},{"addresses":[{"ip":"10.0.0.1"}]}]"#;
        check(broken, &["10.0.0.1"], false, one);
    }

    #[test]
    fn an_unmarked_one_is_marked() {
        let mut tree = tree("{}");
        assert!(correct(&mut tree, &[], 6443, false));
        assert_eq!(metadata::read(&tree).labels().get(SKIP_MIRROR), Some("true"));
    }

    #[test]
    fn addresses_that_can_be_told_are_told() {
        let check = |told: Option<&str>, listen: &str, expected: &str| {
            let told = told.map(|ip| ip.parse().unwrap());
            assert_eq!(advertised(told, listen.parse().unwrap()), Some(expected.parse().unwrap()));
        };
        check(Some("192.168.1.1"), "10.0.0.1:6443", "192.168.1.1");
        check(Some("0.0.0.0"), "10.0.0.1:6443", "10.0.0.1");
        check(None, "10.0.0.1:6443", "10.0.0.1");
    }
}
