//! EndpointSlice.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::{Edit, Node};
use corten_views::discovery_v1::{Endpoint, EndpointHints, EndpointSlice};

use crate::access::{same, view};
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each, validate_labels};
use crate::service::validate_endpoint_ip;
use crate::strategy::{Context, MetadataRun, Strategy};

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLERS: &[&str] = &["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];
const HOSTNAME: &str = "kubernetes.io/hostname";
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
const PORTS_MAX: usize = 20_000;
const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const TOPOLOGY_MAX: usize = 16;
const HINTS_MAX: usize = 8;

pub struct EndpointSlices;

impl Strategy for EndpointSlices {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        drop_topology(object, None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        let old: EndpointSlice<'_> = view(old);
        if !same(object.view::<EndpointSlice<'_>>(), old, EndpointSlice::ENDPOINTS) {
            drop_topology(object, Some(old));
        }
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        validate(view(object), None)
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let (new, old): (EndpointSlice<'_>, EndpointSlice<'_>) = (view(object), view(old));
        let mut errors = validate(new, Some(old));
        if new.address_type() != old.address_type() {
            let value = BadValue::typed(new.address_type());
            errors.push(Error::invalid(&Path::new("addressType"), value, FIELD_IMMUTABLE));
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let slice: EndpointSlice<'_> = view(object);
        let mut out = Vec::new();
        if slice.address_type() == "FQDN" {
            out.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        out.extend(warnings(slice));
        out
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole]
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        let (new, old): (EndpointSlice<'_>, EndpointSlice<'_>) = (view(object), view(old));
        let fields = [EndpointSlice::ADDRESS_TYPE, EndpointSlice::ENDPOINTS, EndpointSlice::PORTS];
        fields.into_iter().any(|field| !same(new, old, field))
            || !new.metadata().labels().equals(old.metadata().labels())
    }
}

/// Topology is of an older version; a node that only it told is kept by its new field.
fn drop_topology(object: &mut Edit<'_>, old: Option<EndpointSlice<'_>>) {
    let known: Seen<&str> = old
        .iter()
        .flat_map(|old| old.endpoints().iter().filter_map(|endpoint| endpoint.deprecated_topology().get(HOSTNAME)))
        .filter(|name| !name.is_empty())
        .collect();
    for endpoint in object.items(EndpointSlice::ENDPOINTS) {
        let mut endpoint = object.at(endpoint);
        let view: Endpoint<'_> = endpoint.view();
        let node = view.deprecated_topology().get(HOSTNAME).filter(|name| {
            view.node_name().is_none() && known.contains(name) && names::name_is_dns_subdomain(name, false).is_empty()
        });
        if let Some(node) = node.map(str::to_owned) {
            endpoint.set(Endpoint::NODE_NAME, &node);
        }
        endpoint.remove(Endpoint::DEPRECATED_TOPOLOGY);
    }
}

fn validate(slice: EndpointSlice<'_>, old: Option<EndpointSlice<'_>>) -> Errors {
    let mut errors = Errors::default();
    let path = Path::new("addressType");
    if slice.address_type().is_empty() {
        errors.push(Error::required(&path, ""));
    } else if !TYPES.contains(&slice.address_type()) {
        errors.push(Error::not_supported(&path, BadValue::typed(slice.address_type()), TYPES));
    }
    validate_ports(slice, &Path::new("ports"), &mut errors);
    let mut found = Errors::default();
    validate_endpoints(slice, &Path::new("endpoints"), &mut found);
    // Endpoints that stay as they are may be as wrong as they were.
    if found.is_empty() || !old.is_some_and(|old| same(slice, old, EndpointSlice::ENDPOINTS)) {
        errors.append(found);
    }
    errors
}

fn validate_ports(slice: EndpointSlice<'_>, path: &Path<'_>, errors: &mut Errors) {
    let ports = slice.ports();
    if ports.len() > PORTS_MAX {
        return errors.push(Error::too_many(path, ports.len(), PORTS_MAX));
    }
    let mut seen = Seen::default();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        let name = port.name().unwrap_or_default();
        if !name.is_empty() {
            invalid_each(names::is_dns1123_label(name), name, &path.child("name"), errors);
        }
        if !seen.insert(name) {
            errors.push(Error::duplicate(&path.child("name"), BadValue::typed(name)));
        }
        let protocol = path.child("protocol");
        match port.protocol() {
            None => errors.push(Error::required(&protocol, "")),
            Some(value) if !PROTOCOLS.contains(&value) => {
                errors.push(Error::not_supported(&protocol, BadValue::typed(value), PROTOCOLS));
            }
            Some(_) => {}
        }
        if let Some(protocol) = port.app_protocol() {
            invalid_each(names::is_qualified_name(protocol), protocol, &path.child("appProtocol"), errors);
        }
    }
}

fn validate_endpoints(slice: EndpointSlice<'_>, path: &Path<'_>, errors: &mut Errors) {
    let endpoints = slice.endpoints();
    if endpoints.len() > ENDPOINTS_MAX {
        return errors.push(Error::too_many(path, endpoints.len(), ENDPOINTS_MAX));
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        validate_endpoint(endpoint, slice.address_type(), &path.index(i), errors);
    }
}

fn validate_endpoint(endpoint: Endpoint<'_>, ty: &str, path: &Path<'_>, errors: &mut Errors) {
    let addresses = path.child("addresses");
    if endpoint.addresses().is_empty() {
        errors.push(Error::required(&addresses, "must contain at least 1 address"));
    } else if endpoint.addresses().len() > ADDRESSES_MAX {
        errors.push(Error::too_many(&addresses, endpoint.addresses().len(), ADDRESSES_MAX));
    }
    for (i, address) in endpoint.addresses().iter().enumerate() {
        validate_address(address, ty, &addresses, i, errors);
    }
    if let Some(node) = endpoint.node_name() {
        invalid_each(names::name_is_dns_subdomain(node, false), node, &path.child("nodeName"), errors);
    }
    let topology = path.child("deprecatedTopology");
    if endpoint.deprecated_topology().len() > TOPOLOGY_MAX {
        errors.push(Error::too_many(&topology, endpoint.deprecated_topology().len(), TOPOLOGY_MAX));
    }
    validate_labels(endpoint.deprecated_topology(), &topology, errors);
    if let Some(hostname) = endpoint.hostname() {
        invalid_each(names::is_dns1123_label(hostname), hostname, &path.child("hostname"), errors);
    }
    if let Some(hints) = endpoint.hints() {
        validate_hints(hints, &path.child("hints"), errors);
    }
}

fn validate_address(address: &str, ty: &str, path: &Path<'_>, at: usize, errors: &mut Errors) {
    let item = path.index(at);
    let found = match ty {
        "IPv4" => names::is_valid_ip_for_legacy_field(&item, address, true, &Seen::default()),
        "IPv6" => names::is_valid_ip(&item, address),
        "FQDN" => {
            errors.extend(names::is_fully_qualified_domain_name(&item, address));
            return;
        }
        _ => return,
    };
    if !found.is_empty() {
        return errors.append(found);
    }
    let six = names::parse_ip_sloppy(address).is_some_and(|ip| ip.is_ipv6());
    if six != (ty == "IPv6") {
        errors.push(Error::invalid(path, address, format!("must be an {ty} address")));
    }
    validate_endpoint_ip(address, &item, errors);
}

fn validate_hints(hints: EndpointHints<'_>, path: &Path<'_>, errors: &mut Errors) {
    let zones: Vec<&str> = hints.for_zones().iter().map(|zone| zone.name()).collect();
    if validate_hinted(&zones, names::is_valid_label_value, &path.child("forZones"), errors) {
        let nodes: Vec<&str> = hints.for_nodes().iter().map(|node| node.name()).collect();
        let check = |name: &str| names::name_is_dns_subdomain(name, false);
        validate_hinted(&nodes, check, &path.child("forNodes"), errors);
    }
}

/// Says whether there are few enough to be looked into.
fn validate_hinted(hinted: &[&str], check: impl Fn(&str) -> Vec<String>, path: &Path<'_>, errors: &mut Errors) -> bool {
    if hinted.len() > HINTS_MAX {
        errors.push(Error::too_many(path, hinted.len(), HINTS_MAX));
        return false;
    }
    for (i, name) in hinted.iter().enumerate() {
        let path = path.index(i);
        let path = path.child("name");
        if hinted[..i].contains(name) {
            errors.push(Error::duplicate(&path, *name));
        }
        invalid_each(check(name), name, &path, errors);
    }
    true
}

fn warnings(slice: EndpointSlice<'_>) -> Vec<String> {
    if slice.metadata().labels().get(MANAGED_BY).is_some_and(|manager| CONTROLLERS.contains(&manager)) {
        return Vec::new();
    }
    let mut out = Vec::new();
    let path = Path::new("endpoints");
    for (i, endpoint) in slice.endpoints().iter().enumerate() {
        let path = path.index(i);
        let path = path.child("addresses");
        for (j, address) in endpoint.addresses().iter().enumerate() {
            out.extend(names::warnings_for_ip(&path.index(j), address));
        }
    }
    out
}
