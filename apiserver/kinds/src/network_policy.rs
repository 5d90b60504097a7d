//! NetworkPolicy.

use std::net::IpAddr;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::{Edit, IntOrStr, Node};
use corten_views::networking_v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};

use crate::access::{bad_field, same, view};
use crate::label_selector::{self, Leniency};
use crate::object_meta::invalid_each;
use crate::strategy::{Context, Strategy};

const TYPES: &[&str] = &["Ingress", "Egress"];

pub struct NetworkPolicies;

/// What an older policy excuses.
#[derive(Default)]
struct Excuses<'t> {
    leniency: Leniency,
    cidrs: Seen<&'t str>,
}

impl Strategy for NetworkPolicies {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let spec = object.view::<NetworkPolicy<'_>>().spec();
        if !spec.policy_types().is_empty() {
            return;
        }
        let egress = !spec.egress().is_empty();
        let mut spec = object.ensure(NetworkPolicy::SPEC);
        let tree = spec.tree();
        let types: Vec<_> = TYPES.iter().take(1 + usize::from(egress)).map(|ty| tree.string(ty)).collect();
        let list = tree.list(&types);
        spec.put(NetworkPolicySpec::POLICY_TYPES, list);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        validate(view(object), &Excuses::default())
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let old: NetworkPolicy<'_> = view(old);
        let mut found = Errors::default();
        label_selector::validate(old.spec().pod_selector(), Leniency::default(), &Path::root(), &mut found);
        let leniency = Leniency { invalid_values: !found.is_empty(), ..Leniency::default() };
        let cidrs = blocks(old).flat_map(|(_, block)| std::iter::once(block.cidr()).chain(block.except().iter()));
        validate(view(object), &Excuses { leniency, cidrs: cidrs.collect() })
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<NetworkPolicy<'_>>(object), view::<NetworkPolicy<'_>>(old), NetworkPolicy::SPEC)
    }
}

/// The IP blocks of a policy, with their paths.
fn blocks(policy: NetworkPolicy<'_>) -> impl Iterator<Item = (String, IPBlock<'_>)> {
    let ingress = policy.spec().ingress().iter().enumerate().flat_map(|(i, rule)| {
        let peers = rule.from().iter().enumerate();
        peers.map(move |(j, peer)| (format!("spec.ingress[{i}].from[{j}].ipBlock"), peer))
    });
    let egress = policy.spec().egress().iter().enumerate().flat_map(|(i, rule)| {
        let peers = rule.to().iter().enumerate();
        peers.map(move |(j, peer)| (format!("spec.egress[{i}].to[{j}].ipBlock"), peer))
    });
    ingress.chain(egress).filter_map(|(path, peer)| peer.ip_block().map(|block| (path, block)))
}

fn warnings(policy: NetworkPolicy<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for (path, block) in blocks(policy) {
        let path = Path::new(&path);
        out.extend(names::warnings_for_cidr(&path.child("cidr"), block.cidr()));
        let path = path.child("except");
        for (i, except) in block.except().iter().enumerate() {
            out.extend(names::warnings_for_cidr(&path.index(i), except));
        }
    }
    out
}

fn validate(policy: NetworkPolicy<'_>, excuses: &Excuses<'_>) -> Errors {
    let mut errors = Errors::default();
    let spec = policy.spec();
    let path = Path::new("spec");
    label_selector::validate(spec.pod_selector(), excuses.leniency, &path.child("podSelector"), &mut errors);
    let rules = path.child("ingress");
    for (i, rule) in spec.ingress().iter().enumerate() {
        let path = rules.index(i);
        validate_ports(rule.ports().iter(), &path.child("ports"), &mut errors);
        validate_peers(rule.from().iter(), excuses, &path.child("from"), &mut errors);
    }
    let rules = path.child("egress");
    for (i, rule) in spec.egress().iter().enumerate() {
        let path = rules.index(i);
        validate_ports(rule.ports().iter(), &path.child("ports"), &mut errors);
        validate_peers(rule.to().iter(), excuses, &path.child("to"), &mut errors);
    }
    let types = path.child("policyTypes");
    if spec.policy_types().len() > TYPES.len() {
        let value = bad_field(spec, NetworkPolicySpec::POLICY_TYPES);
        errors.push(Error::invalid(&types, value, "may not specify more than two policyTypes"));
        return errors;
    }
    for (i, ty) in spec.policy_types().iter().enumerate().filter(|(_, ty)| !TYPES.contains(ty)) {
        errors.push(Error::not_supported(&types.index(i), BadValue::typed(ty), TYPES));
    }
    errors
}

fn validate_ports<'t>(ports: impl Iterator<Item = NetworkPolicyPort<'t>>, path: &Path<'_>, errors: &mut Errors) {
    for (i, port) in ports.enumerate() {
        validate_port(port, &path.index(i), errors);
    }
}

fn validate_port(port: NetworkPolicyPort<'_>, path: &Path<'_>, errors: &mut Errors) {
    let protocols = ["TCP", "UDP", "SCTP"];
    if let Some(protocol) = port.protocol().filter(|protocol| !protocols.contains(protocol)) {
        errors.push(Error::not_supported(&path.child("protocol"), BadValue::typed(protocol), &protocols));
    }
    let (first, last) = (path.child("port"), path.child("endPort"));
    match (port.port(), port.end_port()) {
        (Some(IntOrStr::Int(number)), end) => {
            for message in names::is_valid_port_num(number) {
                errors.push(Error::invalid(&first, number, message));
            }
            let Some(end) = end else { return };
            if end < number {
                errors.push(Error::invalid(&last, number, "must be greater than or equal to `port`"));
            }
            for message in names::is_valid_port_num(end) {
                errors.push(Error::invalid(&last, end, message));
            }
        }
        (Some(IntOrStr::Str(name)), end) => {
            if let Some(end) = end {
                errors.push(Error::invalid(&last, end, "may not be specified when `port` is non-numeric"));
            }
            invalid_each(names::is_valid_port_name(name), name, &first, errors);
        }
        (None, Some(end)) => {
            errors.push(Error::invalid(&last, end, "may not be specified when `port` is not specified"));
        }
        (None, None) => {}
    }
}

fn validate_peers<'t>(
    peers: impl Iterator<Item = NetworkPolicyPeer<'t>>,
    excuses: &Excuses<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    for (i, peer) in peers.enumerate() {
        let path = path.index(i);
        let mut count = 0;
        for (field, selector) in
            [("podSelector", peer.pod_selector()), ("namespaceSelector", peer.namespace_selector())]
        {
            if let Some(selector) = selector {
                count += 1;
                label_selector::validate(selector, excuses.leniency, &path.child(field), errors);
            }
        }
        if let Some(block) = peer.ip_block() {
            count += 1;
            validate_block(block, excuses, &path.child("ipBlock"), errors);
        }
        if count == 0 {
            errors.push(Error::required(&path, "must specify a peer"));
        } else if count > 1 && peer.ip_block().is_some() {
            errors.push(Error::forbidden(&path, "may not specify both ipBlock and another peer"));
        }
    }
}

fn validate_block(block: IPBlock<'_>, excuses: &Excuses<'_>, path: &Path<'_>, errors: &mut Errors) {
    if block.cidr().is_empty() {
        return errors.push(Error::required(&path.child("cidr"), ""));
    }
    let cidr = path.child("cidr");
    errors.append(names::is_valid_cidr_for_legacy_field(&cidr, block.cidr(), true, &excuses.cidrs));
    let Some((_, network, length)) = names::parse_cidr_sloppy(block.cidr()) else { return };
    let path = path.child("except");
    for (i, except) in block.except().iter().enumerate() {
        let path = path.index(i);
        errors.append(names::is_valid_cidr_for_legacy_field(&path, except, true, &excuses.cidrs));
        let Some((_, inner, inner_length)) = names::parse_cidr_sloppy(except) else { continue };
        if !contains(network, length, inner) || length >= inner_length {
            errors.push(Error::invalid(&path, except, "must be a strict subset of `cidr`"));
        }
    }
}

fn contains(network: IpAddr, length: u8, ip: IpAddr) -> bool {
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            u32::from(network) & mask == u32::from(ip) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            u128::from(network) & mask == u128::from(ip) & mask
        }
        _ => false,
    }
}
