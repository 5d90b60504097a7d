//! Services and where they lead.

use std::borrow::Cow;
use std::collections::BTreeSet;

use corten_api::selector::labels::format_labels;
use corten_object::tree::Node;
use corten_views::core_v1::{EndpointSubset, Endpoints, Service, ServicePort};
use corten_views::discovery_v1::{EndpointPort, EndpointSlice};

use super::{AGE, NAME, NONE, Printer, UNKNOWN, UNSET, age, first_three, join, or, text, view, wide};
use crate::table::Row;

pub(super) static SERVICE: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Type",
            "type determines how the Service is exposed. Defaults to ClusterIP. Valid options are ExternalName, ClusterIP, NodePort, and LoadBalancer. \"ClusterIP\" allocates a cluster-internal IP address for load-balancing to endpoints. Endpoints are determined by the selector or if that is not specified, by manual construction of an Endpoints object or EndpointSlice objects. If clusterIP is \"None\", no virtual IP is allocated and the endpoints are published as a set of endpoints rather than a virtual IP. \"NodePort\" builds on ClusterIP and allocates a port on every node which routes to the same endpoints as the clusterIP. \"LoadBalancer\" builds on NodePort and creates an external load-balancer (if supported in the current cloud) which routes to the same endpoints as the clusterIP. \"ExternalName\" aliases this service to the specified externalName. Several other fields do not apply to ExternalName services. More info: https://kubernetes.io/docs/concepts/services-networking/service/#publishing-services-service-types",
        ),
        text(
            "Cluster-IP",
            "clusterIP is the IP address of the service and is usually assigned randomly. If an address is specified manually, is in-range (as per system configuration), and is not in use, it will be allocated to the service; otherwise creation of the service will fail. This field may not be changed through updates unless the type field is also being changed to ExternalName (which requires this field to be blank) or the type field is being changed from ExternalName (in which case this field may optionally be specified, as describe above).  Valid values are \"None\", empty string (\"\"), or a valid IP address. Setting this to \"None\" makes a \"headless service\" (no virtual IP), which is useful when direct endpoint connections are preferred and proxying is not required.  Only applies to types ClusterIP, NodePort, and LoadBalancer. If this field is specified when creating a Service of type ExternalName, creation will fail. This field will be wiped when updating a Service to type ExternalName. More info: https://kubernetes.io/docs/concepts/services-networking/service/#virtual-ips-and-service-proxies",
        ),
        text(
            "External-IP",
            "externalIPs is a list of IP addresses for which nodes in the cluster will also accept traffic for this service.  These IPs are not managed by Kubernetes.  The user is responsible for ensuring that traffic arrives at a node with this IP.  A common example is external load-balancers that are not part of the Kubernetes system.",
        ),
        text(
            "Port(s)",
            "The list of ports that are exposed by this service. More info: https://kubernetes.io/docs/concepts/services-networking/service/#virtual-ips-and-service-proxies",
        ),
        AGE,
        wide(
            "Selector",
            "Route service traffic to pods with label keys and values matching this selector. If empty or not present, the service is assumed to have an external process managing its endpoints, which Kubernetes will not modify. Only applies to types ClusterIP, NodePort, and LoadBalancer. Ignored if type is ExternalName. More info: https://kubernetes.io/docs/concepts/services-networking/service/",
        ),
    ],
    row: service,
};

pub(super) static ENDPOINTS: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Endpoints",
            "The set of all endpoints is the union of all subsets. Addresses are placed into subsets according to the IPs they share. A single address with multiple ports, some of which are ready and some of which are not (because they come from different containers) will result in the address being displayed in different subsets for the different ports. No address will appear in both Addresses and NotReadyAddresses in the same subset. Sets of addresses and ports that comprise a service.",
        ),
        AGE,
    ],
    row: endpoints,
};

pub(super) static ENDPOINT_SLICE: Printer = Printer {
    columns: &[
        NAME,
        text(
            "AddressType",
            "addressType specifies the type of address carried by this EndpointSlice. All addresses in this slice must be the same type. This field is immutable after creation. The following address types are currently supported: * IPv4: Represents an IPv4 Address. * IPv6: Represents an IPv6 Address. * FQDN: Represents a Fully Qualified Domain Name. (Deprecated) The EndpointSlice controller only generates, and kube-proxy only processes, slices of addressType \"IPv4\" and \"IPv6\". No semantics are defined for the \"FQDN\" type.",
        ),
        text(
            "Ports",
            "ports specifies the list of network ports exposed by each endpoint in this slice. Each port must have a unique name. Each slice may include a maximum of 100 ports. Services always have at least 1 port, so EndpointSlices generated by the EndpointSlice controller will likewise always have at least 1 port. EndpointSlices used for other purposes may have an empty ports list.",
        ),
        text(
            "Endpoints",
            "endpoints is a list of unique endpoints in this slice. Each slice may include a maximum of 1000 endpoints.",
        ),
        AGE,
    ],
    row: endpoint_slice,
};

fn service(object: Node<'_>) -> Row {
    let service: Service = view(object);
    let spec = service.spec();
    let ports = spec.ports().iter().map(port).collect::<Vec<_>>().join(",");
    row![
        service.metadata().name(),
        spec.type_(),
        spec.cluster_ips().get(0).unwrap_or(NONE),
        external_addresses(service),
        or(&ports, NONE),
        age(service.metadata()),
        format_labels(spec.selector().iter()),
    ]
}

fn port(port: ServicePort<'_>) -> String {
    match port.node_port() {
        node_port if node_port > 0 => format!("{}:{node_port}/{}", port.port(), port.protocol()),
        _ => format!("{}/{}", port.port(), port.protocol()),
    }
}

fn external_addresses(service: Service<'_>) -> Cow<'_, str> {
    let spec = service.spec();
    let external = join(spec.external_ips().iter(), ",");
    match spec.type_() {
        "ClusterIP" | "NodePort" => or(&external, NONE).to_owned().into(),
        "LoadBalancer" => {
            let ingress = service.status().load_balancer().ingress();
            let balancer = load_balancer(ingress.iter().map(|ingress| (ingress.ip(), ingress.hostname())));
            match (balancer.is_empty(), external.is_empty()) {
                (true, true) => "<pending>".into(),
                (true, false) => external.into(),
                (false, true) => balancer.into(),
                (false, false) => format!("{balancer},{external}").into(),
            }
        }
        "ExternalName" => spec.external_name().into(),
        _ => UNKNOWN.into(),
    }
}

/// The addresses, or else the names, of a load balancer: each once, sorted.
pub(super) fn load_balancer<'s>(ingress: impl Iterator<Item = (&'s str, &'s str)>) -> String {
    let shown = ingress.map(|(address, hostname)| or(address, hostname)).filter(|shown| !shown.is_empty());
    join(shown.collect::<BTreeSet<_>>(), ",")
}

fn endpoints(object: Node<'_>) -> Row {
    let object: Endpoints = view(object);
    let subsets = object.subsets();
    let count = |subset: EndpointSubset<'_>| subset.addresses().len().saturating_mul(subset.ports().len().max(1));
    let shown = match subsets.is_empty() {
        true => NONE.to_owned(),
        false => first_three(subsets.iter().flat_map(subset_addresses), subsets.iter().map(count).sum()),
    };
    row![object.metadata().name(), shown, age(object.metadata())]
}

/// Each address with each port; without, where a headless service has none.
fn subset_addresses<'t>(subset: EndpointSubset<'t>) -> impl Iterator<Item = String> {
    let without = subset.ports().is_empty().then_some(None);
    let ports = without.into_iter().chain(subset.ports().iter().map(|port| Some(port.port())));
    ports.flat_map(move |port| {
        subset.addresses().iter().map(move |address| match (port, address.ip()) {
            (None, ip) => ip.to_owned(),
            (Some(port), ip) if ip.contains(':') => format!("[{ip}]:{port}"),
            (Some(port), ip) => format!("{ip}:{port}"),
        })
    })
}

fn endpoint_slice(object: Node<'_>) -> Row {
    let slice: EndpointSlice = view(object);
    let ports = first_three(slice.ports().iter().map(slice_port), slice.ports().len());
    let endpoints = slice.endpoints();
    let count = endpoints.iter().map(|endpoint| endpoint.addresses().len()).sum();
    let addresses = endpoints.iter().flat_map(|endpoint| endpoint.addresses().iter()).map(str::to_owned);
    row![
        slice.metadata().name(),
        slice.address_type(),
        or(&ports, UNSET),
        or(&first_three(addresses, count), UNSET),
        age(slice.metadata()),
    ]
}

fn slice_port(port: EndpointPort<'_>) -> String {
    match port.port() {
        Some(number) => number.to_string(),
        None => port.name().unwrap_or("*").to_owned(),
    }
}
