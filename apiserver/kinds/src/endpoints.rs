//! Endpoints.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::Node;
use corten_views::core_v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};

use crate::access::{same, view};
use crate::object_meta::invalid_each;
use crate::service::validate_endpoint_ip;
use crate::strategy::{Context, MetadataRun, Strategy};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpoint-controller";
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

pub struct EndpointsStrategy;

impl Strategy for EndpointsStrategy {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let path = Path::new("subsets");
        for (i, subset) in view::<Endpoints<'_>>(object).subsets().iter().enumerate() {
            validate_subset(subset, &path.index(i), &mut errors);
        }
        errors
    }

    /// Subsets that stay as they are may be as wrong as they were.
    fn validate_update(&self, object: Node<'_>, old: Node<'_>, context: &Context<'_>) -> Errors {
        let errors = self.validate(object, context);
        let (new, old): (Endpoints<'_>, Endpoints<'_>) = (view(object), view(old));
        if !errors.is_empty() && same(new, old, Endpoints::SUBSETS) { Errors::default() } else { errors }
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn validate_subset(subset: EndpointSubset<'_>, path: &Path<'_>, errors: &mut Errors) {
    if subset.addresses().is_empty() && subset.not_ready_addresses().is_empty() {
        errors.push(Error::required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (field, list) in [("addresses", subset.addresses()), ("notReadyAddresses", subset.not_ready_addresses())] {
        let path = path.child(field);
        for (i, address) in list.iter().enumerate() {
            validate_address(address, &path.index(i), errors);
        }
    }
    let path = path.child("ports");
    let named = subset.ports().len() > 1;
    for (i, port) in subset.ports().iter().enumerate() {
        validate_port(port, named, &path.index(i), errors);
    }
}

fn validate_address(address: EndpointAddress<'_>, path: &Path<'_>, errors: &mut Errors) {
    errors.append(names::is_valid_ip_for_legacy_field(&path.child("ip"), address.ip(), true, &Seen::default()));
    if !address.hostname().is_empty() {
        let messages = names::is_dns1123_label(address.hostname());
        invalid_each(messages, address.hostname(), &path.child("hostname"), errors);
    }
    if let Some(node) = address.node_name() {
        invalid_each(names::name_is_dns_subdomain(node, false), node, &path.child("nodeName"), errors);
    }
    validate_endpoint_ip(address.ip(), &path.child("ip"), errors);
}

fn validate_port(port: EndpointPort<'_>, named: bool, path: &Path<'_>, errors: &mut Errors) {
    if !port.name().is_empty() {
        invalid_each(names::is_dns1123_label(port.name()), port.name(), &path.child("name"), errors);
    } else if named {
        errors.push(Error::required(&path.child("name"), ""));
    }
    for message in names::is_valid_port_num(port.port()) {
        errors.push(Error::invalid(&path.child("port"), port.port(), message));
    }
    let protocol = path.child("protocol");
    if port.protocol().is_empty() {
        errors.push(Error::required(&protocol, ""));
    } else if !PROTOCOLS.contains(&port.protocol()) {
        errors.push(Error::not_supported(&protocol, BadValue::typed(port.protocol()), PROTOCOLS));
    }
    if let Some(protocol) = port.app_protocol() {
        invalid_each(names::is_qualified_name(protocol), protocol, &path.child("appProtocol"), errors);
    }
}

fn warnings(endpoints: Endpoints<'_>) -> Vec<String> {
    if endpoints.metadata().labels().get(MANAGED_BY) == Some(CONTROLLER) {
        return Vec::new();
    }
    let mut out = Vec::new();
    let path = Path::new("subsets");
    for (i, subset) in endpoints.subsets().iter().enumerate() {
        let path = path.index(i);
        for (field, list) in [("addresses", subset.addresses()), ("notReadyAddresses", subset.not_ready_addresses())] {
            let path = path.child(field);
            for (j, address) in list.iter().enumerate() {
                out.extend(names::warnings_for_ip(&path.index(j).child("ip"), address.ip()));
            }
        }
    }
    out
}
