//! What planning and validation look at in a Service's spec, as values that can be changed.

use std::net::IpAddr;

use corten_api::names::parse_ip_sloppy;
use corten_object::tree::{Edit, Strings};
use corten_schema::FieldId;
use corten_views::core_v1::{ServicePort, ServiceSpec};

use super::{CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub ty: String,
    pub cluster_ip: String,
    /// An empty address is one that is to be found.
    pub cluster_ips: Vec<String>,
    pub families: Vec<String>,
    pub policy: Option<String>,
    pub ports: Vec<Port>,
    pub health_check_node_port: i64,
    pub external_traffic_policy: String,
    pub allocate_node_ports: Option<bool>,
    pub selects: bool,
    pub external_ips: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Port {
    pub name: String,
    pub protocol: String,
    pub port: i64,
    /// Zero is none.
    pub node_port: i64,
}

impl Facts {
    pub fn of(spec: ServiceSpec<'_>) -> Facts {
        let owned = |strings: Strings<'_>| strings.iter().map(str::to_owned).collect();
        Facts {
            ty: spec.type_().to_owned(),
            cluster_ip: spec.cluster_ip().to_owned(),
            cluster_ips: owned(spec.cluster_ips()),
            families: owned(spec.ip_families()),
            policy: spec.ip_family_policy().map(str::to_owned),
            ports: spec.ports().iter().map(Port::of).collect(),
            health_check_node_port: spec.health_check_node_port(),
            external_traffic_policy: spec.external_traffic_policy().to_owned(),
            allocate_node_ports: spec.allocate_load_balancer_node_ports(),
            selects: !spec.selector().is_empty(),
            external_ips: !spec.external_ips().is_empty(),
        }
    }

    /// Sets what differs from what the spec was read as; addresses that are to be found stay out.
    pub fn write(&self, before: &Facts, spec: &mut Edit<'_>) {
        if self.cluster_ip != before.cluster_ip {
            spec.set(ServiceSpec::CLUSTER_IP, &self.cluster_ip);
        }
        if self.cluster_ips != before.cluster_ips {
            let known: Vec<String> = self.cluster_ips.iter().filter(|ip| !ip.is_empty()).cloned().collect();
            set_strings(spec, ServiceSpec::CLUSTER_IPS, &known);
        }
        if self.families != before.families {
            set_strings(spec, ServiceSpec::IP_FAMILIES, &self.families);
        }
        if self.policy != before.policy {
            match &self.policy {
                Some(policy) => spec.set(ServiceSpec::IP_FAMILY_POLICY, policy),
                None => spec.remove(ServiceSpec::IP_FAMILY_POLICY),
            }
        }
        if self.health_check_node_port != before.health_check_node_port {
            spec.set(ServiceSpec::HEALTH_CHECK_NODE_PORT, self.health_check_node_port);
        }
        for (port, id) in self.ports.iter().zip(spec.items(ServiceSpec::PORTS)) {
            spec.at(id).set(ServicePort::NODE_PORT, port.node_port);
        }
    }

    pub fn needs_cluster_ip(&self) -> bool {
        self.ty != EXTERNAL_NAME
    }

    /// By its list of addresses, as validation sees it.
    pub fn headless(&self) -> bool {
        self.cluster_ips == [super::NONE]
    }

    pub fn needs_node_ports(&self) -> bool {
        self.ty == NODE_PORT || (self.ty == LOAD_BALANCER && self.allocate_node_ports != Some(false))
    }

    pub fn health_checked(&self) -> bool {
        self.ty == LOAD_BALANCER && self.external_traffic_policy == "Local"
    }

    pub fn externally_accessible(&self) -> bool {
        [LOAD_BALANCER, NODE_PORT].contains(&self.ty.as_str()) || (self.ty == CLUSTER_IP && self.external_ips)
    }

    pub fn node_ports(&self) -> Vec<i64> {
        self.ports.iter().map(|port| port.node_port).filter(|port| *port != 0).collect()
    }

    pub fn single_stack(&self) -> bool {
        self.policy.as_deref() == Some("SingleStack")
    }
}

impl Port {
    fn of(port: ServicePort<'_>) -> Port {
        Port {
            name: port.name().to_owned(),
            protocol: port.protocol().to_owned(),
            port: port.port(),
            node_port: port.node_port(),
        }
    }
}

pub fn set_strings(object: &mut Edit<'_>, field: FieldId, values: &[String]) {
    if values.is_empty() {
        return object.remove(field);
    }
    let tree = object.tree();
    let items: Vec<_> = values.iter().map(|value| tree.string(value)).collect();
    let list = tree.list(&items);
    object.put(field, list);
}

/// The family of an address; "unknown", as upstream, where it is none.
pub fn family_of(ip: &str) -> &'static str {
    match parse_ip_sloppy(ip) {
        Some(IpAddr::V4(_)) => "IPv4",
        Some(IpAddr::V6(_)) => "IPv6",
        None => "unknown",
    }
}

pub fn is_ipv6(ip: &str) -> bool {
    family_of(ip) == "IPv6"
}
