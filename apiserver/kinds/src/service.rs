//! Service.
//!
//! What a Service reserves (cluster IPs, node ports) is planned by [`plan`] on the object before its strategy prepares
//! and validates it, carried out by the pipeline, and undone if the write fails. Objects that are read go through
//! [`default_on_read`], because old ones do not say their families.

use std::borrow::Cow;

use corten_api::field::{Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::{Edit, IntOrStr, Node};
use corten_views::core_v1::{
    ClientIPConfig, LoadBalancerIngress, LoadBalancerStatus, Service, ServicePort, ServiceSpec, ServiceStatus,
    SessionAffinityConfig,
};

use crate::access::{put_back, view};
use crate::strategy::{Context, Strategy};

pub use facts::{Facts, Port};
pub use plan::{IpRequest, Network, NodePortRequest, Plan, default_on_read, plan, releases};

pub use validation::{validate_endpoint_families, validate_endpoint_ip, validate_port_num_or_name};

mod facts;
mod plan;
#[cfg(test)]
pub mod tests;
mod validation;

const CLUSTER_IP: &str = "ClusterIP";
const NODE_PORT: &str = "NodePort";
const LOAD_BALANCER: &str = "LoadBalancer";
const EXTERNAL_NAME: &str = "ExternalName";
const NONE: &str = "None";

const AFFINITY_SECONDS: i64 = 10800;
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";

const INTERNAL_TRAFFIC_POLICIES: [&str; 2] = ["Cluster", "Local"];

pub struct Services;
pub struct Status;

impl Strategy for Services {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        default_spec(object);
        default_ingress(object);
    }

    fn default_on_read(&self, object: &mut Edit<'_>) {
        default_on_read(object, &Network::default());
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(Service::STATUS);
        hide_traffic_policy(object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Service::STATUS);
        drop_what_the_type_had(object, view(old));
        hide_traffic_policy(object);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validation::validate(view(object), None, &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validation::validate_change(view(object), view(old), &mut errors);
        validation::validate(view(object), Some(view(old)), &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        names::name_is_dns_label(name, prefix)
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn selectable<'t>(&self, object: Node<'t>, out: &mut Vec<Cow<'t, str>>) {
        let spec = view::<Service<'t>>(object).spec();
        out.push(spec.cluster_ip().into());
        out.push(spec.type_().into());
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Services.default(version, object);
    }

    fn default_on_read(&self, object: &mut Edit<'_>) {
        Services.default_on_read(object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Service::SPEC);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (Service<'_>, Service<'_>) = (view(object), view(old));
        let old_status = old.status().load_balancer();
        validation::validate_load_balancer(new.status().load_balancer(), old_status, new.spec(), &mut errors);
        errors
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let ingress = view::<Service<'_>>(object).status().load_balancer().ingress();
        let path = Path::new("status");
        let path = path.child("loadBalancer");
        let path = path.child("ingress");
        let ips = ingress.iter().map(LoadBalancerIngress::ip).enumerate().filter(|(_, ip)| !ip.is_empty());
        ips.flat_map(|(i, ip)| names::warnings_for_ip(&path.index(i), ip)).collect()
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        Services.name_errors(name, prefix)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

/// Who sets it owns it, but nobody is shown it where it has no meaning. A wrong value stays, for validation to refuse it.
fn hide_traffic_policy(object: &mut Edit<'_>) {
    let spec = object.view::<Service<'_>>().spec();
    let is_valid = spec.internal_traffic_policy().is_some_and(|policy| INTERNAL_TRAFFIC_POLICIES.contains(&policy));
    if spec.type_() == EXTERNAL_NAME && is_valid {
        object.ensure(Service::SPEC).remove(ServiceSpec::INTERNAL_TRAFFIC_POLICY);
    }
}

fn default_spec(object: &mut Edit<'_>) {
    let mut spec = object.ensure(Service::SPEC);
    spec.default(ServiceSpec::SESSION_AFFINITY, NONE);
    spec.default(ServiceSpec::TYPE_, CLUSTER_IP);
    match spec.view::<ServiceSpec<'_>>().session_affinity() {
        NONE => spec.remove(ServiceSpec::SESSION_AFFINITY_CONFIG),
        "ClientIP" => default_affinity(&mut spec),
        _ => {}
    }
    for port in spec.items(ServiceSpec::PORTS) {
        let mut port = spec.at(port);
        port.default(ServicePort::PROTOCOL, "TCP");
        let target = port.view::<ServicePort<'_>>().target_port();
        if matches!(target, IntOrStr::Int(0) | IntOrStr::Str("")) {
            let number = port.view::<ServicePort<'_>>().port();
            port.set(ServicePort::TARGET_PORT, number);
        }
    }
    let view: ServiceSpec<'_> = spec.view();
    let balanced = view.type_() == LOAD_BALANCER;
    let known = [CLUSTER_IP, NODE_PORT, LOAD_BALANCER].contains(&view.type_());
    if Facts::of(view).externally_accessible() {
        spec.default(ServiceSpec::EXTERNAL_TRAFFIC_POLICY, "Cluster");
    }
    if known {
        spec.default(ServiceSpec::INTERNAL_TRAFFIC_POLICY, "Cluster");
    }
    if balanced {
        spec.default(ServiceSpec::ALLOCATE_LOAD_BALANCER_NODE_PORTS, true);
    }
}

fn default_affinity(spec: &mut Edit<'_>) {
    let config = spec.view::<ServiceSpec<'_>>().session_affinity_config();
    if config.and_then(|config| config.client_ip()).and_then(|client| client.timeout_seconds()).is_none() {
        spec.remove(ServiceSpec::SESSION_AFFINITY_CONFIG);
        spec.ensure_path([ServiceSpec::SESSION_AFFINITY_CONFIG, SessionAffinityConfig::CLIENT_IP])
            .set(ClientIPConfig::TIMEOUT_SECONDS, AFFINITY_SECONDS);
    }
}

fn default_ingress(object: &mut Edit<'_>) {
    if object.view::<Service<'_>>().spec().type_() != LOAD_BALANCER {
        return;
    }
    let Some(mut status) = object.path([Service::STATUS, ServiceStatus::LOAD_BALANCER]) else { return };
    for ingress in status.items(LoadBalancerStatus::INGRESS) {
        let mut ingress = status.at(ingress);
        if ingress.has(LoadBalancerIngress::IP) {
            ingress.default(LoadBalancerIngress::IP_MODE, "VIP");
        }
    }
}

/// A change of type takes along what only the old type could have, unless the same write changes it.
fn drop_what_the_type_had(object: &mut Edit<'_>, old: Service<'_>) {
    let (old, new) = (old.spec(), object.view::<Service<'_>>().spec());
    let (before, after) = (Facts::of(old), Facts::of(new));
    let mut drop = Vec::new();
    if before.needs_cluster_ip() && !after.needs_cluster_ip() {
        if before.cluster_ip == after.cluster_ip && before.cluster_ips == after.cluster_ips {
            drop.extend([ServiceSpec::CLUSTER_IP, ServiceSpec::CLUSTER_IPS]);
        }
        if before.families == after.families {
            drop.push(ServiceSpec::IP_FAMILIES);
        }
        if before.policy.as_deref().unwrap_or_default() == after.policy.as_deref().unwrap_or_default() {
            drop.push(ServiceSpec::IP_FAMILY_POLICY);
        }
    }
    if before.health_checked()
        && !after.health_checked()
        && old.health_check_node_port() == new.health_check_node_port()
    {
        drop.push(ServiceSpec::HEALTH_CHECK_NODE_PORT);
    }
    if old.type_() == LOAD_BALANCER && new.type_() != LOAD_BALANCER {
        let (was, is) = (old.allocate_load_balancer_node_ports(), new.allocate_load_balancer_node_ports());
        if was.is_some() && was == is {
            drop.push(ServiceSpec::ALLOCATE_LOAD_BALANCER_NODE_PORTS);
        }
        if old.load_balancer_class() == new.load_balancer_class() {
            drop.push(ServiceSpec::LOAD_BALANCER_CLASS);
        }
    }
    if before.externally_accessible()
        && !after.externally_accessible()
        && old.external_traffic_policy() == new.external_traffic_policy()
    {
        drop.push(ServiceSpec::EXTERNAL_TRAFFIC_POLICY);
    }
    let typed = |facts: &Facts| [NODE_PORT, LOAD_BALANCER].contains(&facts.ty.as_str());
    let old_ports: Seen<i64> = before.node_ports().into_iter().collect();
    let release = typed(&before) && !typed(&after) && after.node_ports().iter().all(|port| old_ports.contains(port));
    let balanced = new.type_() == LOAD_BALANCER;

    let mut spec = object.ensure(Service::SPEC);
    for field in drop {
        spec.remove(field);
    }
    if release {
        for port in spec.items(ServiceSpec::PORTS) {
            spec.at(port).remove(ServicePort::NODE_PORT);
        }
    }
    if !balanced && let Some(mut status) = object.field(Service::STATUS) {
        status.remove(ServiceStatus::LOAD_BALANCER);
    }
}

fn warnings(service: Service<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let spec = service.spec();
    let path = Path::new("spec");
    if service.metadata().annotations().contains_key(TOPOLOGY_HINTS) {
        out.push(format!("annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"));
    }
    if !["", NONE].contains(&spec.cluster_ip()) {
        for (i, ip) in spec.cluster_ips().iter().enumerate() {
            out.extend(names::warnings_for_ip(&path.child("clusterIPs").index(i), ip));
        }
    }
    let headless = spec.type_() == CLUSTER_IP && spec.cluster_ip() == NONE;
    let ignored = [
        ("loadBalancerIP", !spec.load_balancer_ip().is_empty()),
        ("externalIPs", !spec.external_ips().is_empty()),
        ("SessionAffinity", spec.session_affinity() != NONE),
    ];
    for (field, set) in ignored {
        if headless && set {
            out.push(format!("spec.{field} is ignored for headless services"));
        }
    }
    for (i, ip) in spec.external_ips().iter().enumerate() {
        out.extend(names::warnings_for_ip(&path.child("externalIPs").index(i), ip));
    }
    if !spec.external_ips().is_empty() && !headless && spec.type_() != EXTERNAL_NAME {
        out.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    if !spec.load_balancer_ip().is_empty() {
        out.extend(names::warnings_for_ip(&path.child("loadBalancerIP"), spec.load_balancer_ip()));
    }
    for (i, cidr) in spec.load_balancer_source_ranges().iter().enumerate() {
        out.extend(names::warnings_for_cidr(&path.child("loadBalancerSourceRanges").index(i), cidr));
    }
    if spec.type_() == EXTERNAL_NAME && !spec.external_ips().is_empty() {
        out.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if spec.type_() != EXTERNAL_NAME && !spec.external_name().is_empty() {
        out.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if spec.traffic_distribution() == Some("PreferClose") {
        out.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
    out
}
