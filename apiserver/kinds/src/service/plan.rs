//! What a Service is to reserve and to give back.
//!
//! [`plan`] changes the new object as far as that needs no reservation (families, policy, values carried over from the
//! old one) and says what is left: the pipeline reserves it, writes the results in by [`Plan::assign_ip`] and its kin,
//! and after the write gives back what is no longer used. Nothing here keeps state.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::seen::{Index, Seen};
use corten_object::tree::{Edit, Node, View};
use corten_views::core_v1::{Service, ServicePort, ServiceSpec};

use super::facts::{Facts, family_of, is_ipv6, set_strings};
use super::validation::{list, validate_cluster_ips};
use super::{CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT, NONE};
use crate::access::view;

/// The families for which the cluster has service addresses, the default one first.
#[derive(Clone, Debug)]
pub struct Network {
    pub families: Vec<&'static str>,
}

impl Default for Network {
    fn default() -> Self {
        Network { families: vec!["IPv4"] }
    }
}

/// A cluster IP to reserve.
#[derive(Clone, Debug, PartialEq)]
pub struct IpRequest {
    /// Its place in spec.clusterIPs.
    pub index: usize,
    pub family: String,
    /// Any free one, if none.
    pub address: Option<String>,
}

/// A node port to reserve.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePortRequest {
    /// The places in spec.ports that it is for; a refusal concerns the first.
    pub ports: Vec<usize>,
    /// Any free one, if none.
    pub number: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub ips: Vec<IpRequest>,
    pub node_ports: Vec<NodePortRequest>,
    /// A port that is named twice for one protocol: an error, once the node ports before it are reserved.
    pub duplicate_node_port: Option<String>,
    /// A health check port: a wanted one, or any.
    pub health_check: Option<Option<i64>>,
    /// To be given back once the write is done.
    pub release_ips: Vec<String>,
    pub release_node_ports: Vec<i64>,
}

/// Plans a create, or an update of `old`, which has gone through [`default_on_read`].
pub fn plan(object: &mut Edit<'_>, old: Option<Node<'_>>, network: &Network) -> Result<Plan, Errors> {
    let before = Facts::of(object.view::<Service<'_>>().spec());
    let mut new = before.clone();
    let old = old.map(|old| Facts::of(view::<Service<'_>>(old).spec()));
    if let Some(old) = &old {
        carry_over(&mut new, old);
    }
    normalize_cluster_ips(&mut new, old.as_ref());
    settle_families(&mut new, old.as_ref(), network)?;
    let mut plan = Plan::default();
    match &old {
        None => {
            plan.ips = all_ips(&mut new);
            if [NODE_PORT, LOAD_BALANCER].contains(&new.ty.as_str()) {
                plan.node_ports = all_node_ports(&mut new);
            }
            plan.health_check = new.health_checked().then_some(wanted(new.health_check_node_port));
        }
        Some(old) => {
            plan_ips(&mut new, old, &mut plan);
            plan_node_ports(&new, old, &mut plan);
            match (old.health_checked(), new.health_checked()) {
                (false, true) => plan.health_check = Some(wanted(new.health_check_node_port)),
                (true, false) => plan.release_node_ports.push(old.health_check_node_port),
                _ => {}
            }
        }
    }
    new.write(&before, &mut object.ensure(Service::SPEC));
    Ok(plan)
}

/// Everything that a deleted Service gives back.
pub fn releases(object: Node<'_>) -> Plan {
    let facts = Facts::of(view::<Service<'_>>(object).spec());
    let mut plan = Plan { release_node_ports: facts.node_ports(), ..Plan::default() };
    if facts.needs_cluster_ip() && facts.cluster_ips.first().is_none_or(|ip| ip != NONE) {
        plan.release_ips = facts.cluster_ips.clone();
    }
    if facts.health_checked() && facts.health_check_node_port > 0 {
        plan.release_node_ports.push(facts.health_check_node_port);
    }
    plan
}

/// What objects from before dual stack do not say.
pub fn default_on_read(object: &mut Edit<'_>, network: &Network) {
    let before = Facts::of(object.view::<Service<'_>>().spec());
    let mut facts = before.clone();
    normalize_cluster_ips(&mut facts, None);
    if facts.needs_cluster_ip() && facts.families.is_empty() {
        let primary = network.families.first().copied().unwrap_or("IPv4");
        if facts.cluster_ip == NONE {
            let dual = !facts.selects;
            facts.policy = Some(if dual { "RequireDualStack" } else { "SingleStack" }.to_owned());
            facts.families = vec![primary.to_owned()];
            if dual {
                facts.families.push(other(primary).to_owned());
            }
        } else {
            let family = |ip: &String| if is_ipv6(ip) { "IPv6" } else { "IPv4" }.to_owned();
            facts.families = facts.cluster_ips.iter().map(family).collect();
            match facts.families.len() {
                1 => facts.policy = Some("SingleStack".to_owned()),
                2 => facts.policy = Some("RequireDualStack".to_owned()),
                _ => {}
            }
        }
    }
    if facts != before {
        facts.write(&before, &mut object.ensure(Service::SPEC));
    }
    if facts.ty == EXTERNAL_NAME {
        object.ensure(Service::SPEC).remove(ServiceSpec::INTERNAL_TRAFFIC_POLICY);
    }
}

impl Plan {
    /// Whether there is something to reserve beside addresses.
    pub fn needs_ports(&self) -> bool {
        !self.node_ports.is_empty() || self.health_check.is_some() || self.duplicate_node_port.is_some()
    }

    /// Writes a reserved address in. Requests are answered in order.
    pub fn assign_ip(object: &mut Edit<'_>, request: &IpRequest, address: &str) {
        let mut ips = Facts::of(object.view::<Service<'_>>().spec()).cluster_ips;
        if request.index < ips.len() {
            ips[request.index] = address.to_owned();
        } else {
            ips.push(address.to_owned());
        }
        let mut spec = object.ensure(Service::SPEC);
        set_strings(&mut spec, ServiceSpec::CLUSTER_IPS, &ips);
        if request.index == 0 {
            spec.set(ServiceSpec::CLUSTER_IP, address);
        }
    }

    pub fn assign_node_port(object: &mut Edit<'_>, request: &NodePortRequest, number: i64) {
        let mut spec = object.ensure(Service::SPEC);
        for &at in &request.ports {
            let port = spec.view::<ServiceSpec<'_>>().ports().get(at).and_then(ServicePort::id);
            if let Some(port) = port {
                spec.at(port).set(ServicePort::NODE_PORT, number);
            }
        }
    }

    pub fn assign_health_check(object: &mut Edit<'_>, number: i64) {
        object.ensure(Service::SPEC).set(ServiceSpec::HEALTH_CHECK_NODE_PORT, number);
    }

    /// The error for an address that could not be had: `reason` is the allocator's.
    pub fn ip_refused(object: Node<'_>, request: &IpRequest, reason: &str) -> Errors {
        let spec = view::<Service<'_>>(object).spec();
        let detail = match &request.address {
            Some(address) => format!("failed to allocate IP {address}: {reason}"),
            None => format!("failed to allocate IP: {reason}"),
        };
        // Upstream has a place for each address that is to be found, one for each family.
        let mut shown: Vec<&str> = spec.cluster_ips().iter().collect();
        shown.resize(shown.len().max(spec.ip_families().len()).max(request.index + 1), "");
        Error::invalid(&Path::new("spec").child("clusterIPs"), BadValue::strings(shown), detail).into()
    }

    /// The error for a node port that could not be had.
    pub fn node_port_refused(request: &NodePortRequest, reason: &str) -> Errors {
        let at = request.ports.first().copied().unwrap_or_default();
        let path = Path::new("spec");
        let path = path.child("ports");
        Error::invalid(&path.index(at).child("nodePort"), request.number.unwrap_or_default(), reason).into()
    }
}

fn wanted(port: i64) -> Option<i64> {
    Some(port).filter(|port| *port != 0)
}

fn other(family: &str) -> &'static str {
    if family == "IPv4" { "IPv6" } else { "IPv4" }
}

/// Clients need not repeat what was allocated for them.
fn carry_over(new: &mut Facts, old: &Facts) {
    if old.needs_cluster_ip() && new.needs_cluster_ip() {
        if new.cluster_ip.is_empty() {
            new.cluster_ip.clone_from(&old.cluster_ip);
        }
        if new.cluster_ips.is_empty() {
            new.cluster_ips.clone_from(&old.cluster_ips);
        }
    }
    if old.needs_node_ports() && new.needs_node_ports() {
        let (were, are): (Seen<i64>, Seen<i64>) =
            (old.node_ports().into_iter().collect(), new.node_ports().into_iter().collect());
        // Of ports with one name the last counts.
        let by_name = Index::of_last(old.ports.iter().map(|had| (had.name.as_str(), had.node_port)));
        for port in new.ports.iter_mut().filter(|port| port.node_port == 0) {
            let had = by_name.get(port.name.as_str()).copied().unwrap_or(0);
            if !(were.contains(&had) && are.contains(&had)) {
                port.node_port = had;
            }
        }
    }
    if old.health_checked() && new.health_checked() && new.health_check_node_port == 0 {
        new.health_check_node_port = old.health_check_node_port;
    }
}

/// Keeps clusterIP and clusterIPs in step for clients that know only the first.
fn normalize_cluster_ips(new: &mut Facts, old: Option<&Facts>) {
    let Some(old) = old else {
        if !new.cluster_ip.is_empty() && new.cluster_ips.is_empty() {
            new.cluster_ips = vec![new.cluster_ip.clone()];
        }
        return;
    };
    if !old.cluster_ips.is_empty() && new.cluster_ips.is_empty() && old.cluster_ip == new.cluster_ip {
        new.cluster_ips.clone_from(&old.cluster_ips);
    }
    if old.cluster_ip != new.cluster_ip && old.cluster_ips == new.cluster_ips {
        let cleared = !old.cluster_ip.is_empty() && new.cluster_ip.is_empty();
        new.cluster_ips = if cleared { Vec::new() } else { vec![new.cluster_ip.clone()] };
    }
}

/// Decides on policy and families.
fn settle_families(new: &mut Facts, old: Option<&Facts>, network: &Network) -> Result<(), Errors> {
    if new.ty == EXTERNAL_NAME || old.is_some_and(|old| keeps_preferred_stack(new, old)) {
        return Ok(());
    }
    let selectorless_headless = new.cluster_ip == NONE && !new.selects;
    if new.policy.is_none() {
        let inherited = old.and_then(|old| old.policy.clone());
        let fallback = if selectorless_headless { "RequireDualStack" } else { "SingleStack" };
        new.policy = Some(inherited.unwrap_or_else(|| fallback.to_owned()));
    }
    let mut errors = Errors::default();
    let kept: Seen<&str> = old.iter().flat_map(|old| old.cluster_ips.iter().map(String::as_str)).collect();
    validate_cluster_ips(new, &kept, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let path = Path::new("spec");
    let policy = path.child("ipFamilyPolicy");
    let mut refuse = |new: &Facts, detail: &str| {
        errors.push(Error::invalid(&policy, new.policy.as_deref().map(BadValue::typed), detail));
    };
    if let Some(old) = old {
        if new.single_stack() {
            if new.cluster_ips == old.cluster_ips {
                new.cluster_ips.truncate(1);
            }
            if new.families == old.families {
                new.families.truncate(1);
            }
        } else {
            let reduced = |new: &[String], old: &[String]| !new.is_empty() && new.len() < old.len();
            if reduced(&new.cluster_ips, &old.cluster_ips) {
                refuse(new, "must be 'SingleStack' to release the secondary cluster IP");
            }
            if reduced(&new.families, &old.families) {
                refuse(new, "must be 'SingleStack' to release the secondary IP family");
            }
        }
    }
    if new.single_stack() {
        for (many, what) in [(new.cluster_ips.len() == 2, "cluster IPs"), (new.families.len() == 2, "IP families")] {
            if many {
                let detail =
                    format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                refuse(new, &detail);
            }
        }
    }
    families_of_ips(new, network, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    if selectorless_headless {
        // Endpoints come from elsewhere, of whatever family.
        complete_families(new, network, true);
        return Ok(());
    }
    if new.policy.as_deref() == Some("RequireDualStack") && network.families.len() < 2 {
        let value = new.policy.as_deref().map(BadValue::typed);
        errors.push(Error::invalid(&policy, value, "this cluster is not configured for dual-stack services"));
    }
    for (i, family) in new.families.iter().enumerate() {
        if !network.families.contains(&family.as_str()) {
            let path = path.child("ipFamilies");
            errors.push(Error::invalid(&path.index(i), BadValue::typed(family), "not configured on this cluster"));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    complete_families(new, network, network.families.len() == 2);
    Ok(())
}

/// Addresses that were asked for tell families that were not.
fn families_of_ips(new: &mut Facts, network: &Network, errors: &mut Errors) {
    let path = Path::new("spec");
    let path = path.child("clusterIPs");
    for (i, ip) in new.cluster_ips.iter().enumerate() {
        if ip == NONE {
            break;
        }
        if i < new.families.len() {
            continue;
        }
        let family = family_of(ip);
        if network.families.contains(&family) {
            new.families.push(family.to_owned());
        } else {
            let detail = format!("{family} is not configured on this cluster");
            errors.push(Error::invalid(&path.index(i), list(&new.cluster_ips), detail));
        }
    }
}

fn complete_families(new: &mut Facts, network: &Network, dual: bool) {
    if new.families.is_empty() {
        new.families = vec![network.families.first().copied().unwrap_or("IPv4").to_owned()];
    }
    if dual && !new.single_stack() && new.families.len() == 1 {
        let second = other(&new.families[0]).to_owned();
        new.families.push(second);
    }
}

/// A PreferDualStack service that changes nothing of this stays as it is, whatever the cluster has become.
fn keeps_preferred_stack(new: &Facts, old: &Facts) -> bool {
    let prefers = |policy: &Option<String>| policy.as_deref().is_none_or(|policy| policy == "PreferDualStack");
    new.policy.is_some()
        && old.ty == new.ty
        && [CLUSTER_IP, NODE_PORT, LOAD_BALANCER].contains(&new.ty.as_str())
        && prefers(&new.policy)
        && prefers(&old.policy)
        && old.cluster_ips == new.cluster_ips
        && old.families == new.families
}

/// One address for each family; the list gets an empty place for each that is to be found.
fn all_ips(new: &mut Facts) -> Vec<IpRequest> {
    if new.ty == EXTERNAL_NAME || new.cluster_ips.first().is_some_and(|ip| ip == NONE) {
        return Vec::new();
    }
    let families = new.families.clone();
    let requests = families.into_iter().enumerate().map(|(index, family)| {
        if index >= new.cluster_ips.len() {
            new.cluster_ips.push(String::new());
        }
        IpRequest { index, family, address: Some(new.cluster_ips[index].clone()).filter(|ip| !ip.is_empty()) }
    });
    requests.collect()
}

fn plan_ips(new: &mut Facts, old: &Facts, plan: &mut Plan) {
    if keeps_preferred_stack(new, old) {
        return;
    }
    if old.ty == EXTERNAL_NAME && new.ty != EXTERNAL_NAME {
        plan.ips = all_ips(new);
        return;
    }
    if old.cluster_ips.first().is_some_and(|ip| ip == NONE) {
        return;
    }
    if old.ty != EXTERNAL_NAME && new.ty == EXTERNAL_NAME {
        plan.release_ips = old.cluster_ips.iter().take(old.families.len()).cloned().collect();
        return;
    }
    match (old.families.len(), new.families.len()) {
        (1, 2) => {
            new.cluster_ips.resize(new.cluster_ips.len().max(2), String::new());
            let address = Some(new.cluster_ips[1].clone()).filter(|ip| !ip.is_empty());
            plan.ips.push(IpRequest { index: 1, family: new.families[1].clone(), address });
        }
        (2, 1) => plan.release_ips.extend(old.cluster_ips.get(1).cloned()),
        _ => {}
    }
}

fn allocates_node_ports(facts: &Facts) -> bool {
    facts.ty == NODE_PORT || (facts.ty == LOAD_BALANCER && facts.allocate_node_ports == Some(true))
}

/// The node ports of a new Service: one port under two protocols gets one number.
fn all_node_ports(new: &mut Facts) -> Vec<NodePortRequest> {
    let mut requests: Vec<NodePortRequest> = Vec::new();
    // The first request for each port number.
    let mut shared: Index<i64, usize> = Index::default();
    let named = new.ports.iter().filter(|port| port.node_port != 0).map(|port| (port.port, port.node_port));
    let named = Index::of_first(named);
    let allocates = allocates_node_ports(new);
    for at in 0..new.ports.len() {
        let (port, node_port) = (new.ports[at].port, new.ports[at].node_port);
        if node_port == 0 && !allocates {
            continue;
        }
        match shared.get(&port) {
            None => {
                let number = named.get(&port).copied();
                new.ports[at].node_port = number.unwrap_or_default();
                shared.entry(port, || requests.len());
                requests.push(NodePortRequest { ports: vec![at], number });
            }
            Some(&first) if node_port == 0 => {
                new.ports[at].node_port = requests[first].number.unwrap_or_default();
                requests[first].ports.push(at);
            }
            Some(&first) if requests[first].number == Some(node_port) => {}
            Some(_) => requests.push(NodePortRequest { ports: vec![at], number: Some(node_port) }),
        }
    }
    requests
}

fn plan_node_ports(new: &Facts, old: &Facts, plan: &mut Plan) {
    let typed = |facts: &Facts| [NODE_PORT, LOAD_BALANCER].contains(&facts.ty.as_str());
    let were = old.node_ports();
    if !typed(new) {
        if typed(old) && [EXTERNAL_NAME, CLUSTER_IP].contains(&new.ty.as_str()) {
            plan.release_node_ports.extend(were);
        }
        return;
    }
    let allocates = allocates_node_ports(new);
    let known: Seen<i64> = were.iter().copied().collect();
    let (mut asked, mut seen) = (Seen::default(), Seen::default());
    for (at, port) in new.ports.iter().enumerate() {
        if port.node_port == 0 {
            if allocates {
                plan.node_ports.push(NodePortRequest { ports: vec![at], number: None });
            }
            continue;
        }
        if !known.contains(&port.node_port) && asked.insert(port.node_port) {
            plan.node_ports.push(NodePortRequest { ports: vec![at], number: Some(port.node_port) });
        }
        if !seen.insert((port.protocol.as_str(), port.node_port)) {
            plan.duplicate_node_port = Some(format!("{{{} {}}}", port.protocol, port.node_port));
            return;
        }
    }
    let are: Seen<i64> = new.node_ports().into_iter().collect();
    plan.release_node_ports.extend(were.into_iter().filter(|port| !are.contains(port)));
}
