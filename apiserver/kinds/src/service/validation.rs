//! The rules of a Service's spec and of its load balancer's status.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names::{self, parse_ip_sloppy};
use corten_api::seen::Seen;
use corten_object::tree::{IntOrStr, Strings};
use corten_views::core_v1::{LoadBalancerStatus, Service, ServicePort, ServiceSpec, SessionAffinityConfig};

use super::facts::{Facts, is_ipv6};
use super::{CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT, NONE, TOPOLOGY_HINTS, TOPOLOGY_MODE};
use crate::access::go_struct;
use crate::object_meta::{FIELD_IMMUTABLE, invalid_each, validate_labels};

const AFFINITY_SECONDS_MAX: i64 = 86400;
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// What may not change.
pub fn validate_change(new: Service<'_>, old: Service<'_>, errors: &mut Errors) {
    let (before, after) = (Facts::of(old.spec()), Facts::of(new.spec()));
    if before.ty != EXTERNAL_NAME && after.ty != EXTERNAL_NAME {
        validate_change_of_ips(&after, &before, errors);
        validate_change_of_families(&after, &before, errors);
    }
    validate_class(new.spec(), Some(old.spec()), errors);
    if before.health_checked()
        && after.health_checked()
        && before.health_check_node_port != after.health_check_node_port
    {
        errors.push(Error::forbidden(&Path::new("spec").child("healthCheckNodePort"), FIELD_IMMUTABLE));
    }
}

fn policy_of(facts: &Facts) -> BadValue {
    facts.policy.as_deref().map_or(BadValue::Null, BadValue::typed)
}

/// A list of strings as Go's JSON has it, where an empty one is null.
pub fn list(values: &[String]) -> BadValue {
    if values.is_empty() { BadValue::Null } else { BadValue::strings(values) }
}

fn validate_change_of_ips(new: &Facts, old: &Facts, errors: &mut Errors) {
    if old.headless() && new.headless() {
        return;
    }
    let path = Path::new("spec");
    let ips = path.child("clusterIPs");
    let mut invalid = |at: usize, detail: &str| {
        errors.push_with(|| Error::invalid(&ips.index(at), list(&new.cluster_ips), detail));
    };
    let moved = !new.cluster_ips.is_empty() && !old.cluster_ips.is_empty() && new.cluster_ips[0] != old.cluster_ips[0];
    let changed = "may not change once set";
    match old.cluster_ips.len().cmp(&new.cluster_ips.len()) {
        std::cmp::Ordering::Equal => {
            for (i, (was, is)) in old.cluster_ips.iter().zip(&new.cluster_ips).enumerate() {
                if was != is {
                    invalid(i, changed);
                }
            }
        }
        std::cmp::Ordering::Greater => {
            if new.cluster_ips.is_empty() {
                invalid(0, "primary clusterIP can not be unset");
            }
            if moved {
                invalid(0, changed);
            }
            if new.cluster_ips.len() == 1 && !new.single_stack() {
                let detail = "must be set to 'SingleStack' when releasing the secondary clusterIP";
                errors.push(Error::invalid(&path.child("ipFamilyPolicy"), policy_of(new), detail));
            }
        }
        std::cmp::Ordering::Less => {
            if moved {
                invalid(0, changed);
            }
        }
    }
}

fn validate_change_of_families(new: &Facts, old: &Facts, errors: &mut Errors) {
    if new.headless() || old.headless() {
        return;
    }
    let path = Path::new("spec");
    let families = path.child("ipFamilies");
    let mut invalid =
        |shown: &[String], detail: &str| errors.push_with(|| Error::invalid(&families.index(0), list(shown), detail));
    let moved = !new.families.is_empty() && !old.families.is_empty() && new.families[0] != old.families[0];
    let changed = "may not change once set";
    match old.families.len().cmp(&new.families.len()) {
        std::cmp::Ordering::Equal => {
            for (was, is) in old.families.iter().zip(&new.families) {
                if was != is {
                    invalid(&new.families, changed);
                }
            }
        }
        std::cmp::Ordering::Greater => {
            if new.cluster_ips.is_empty() {
                invalid(&new.families, "primary ipFamily can not be unset");
            }
            if moved {
                invalid(&new.cluster_ips, changed);
            }
            if new.families.len() == 1 && !new.single_stack() {
                let detail = "must be set to 'SingleStack' when releasing the secondary ipFamily";
                errors.push(Error::invalid(&path.child("ipFamilyPolicy"), policy_of(new), detail));
            }
        }
        std::cmp::Ordering::Less => {
            if moved {
                invalid(&new.cluster_ips, changed);
            }
        }
    }
}

fn validate_class(new: ServiceSpec<'_>, old: Option<ServiceSpec<'_>>, errors: &mut Errors) {
    let path = Path::new("spec");
    let path = path.child("loadBalancerClass");
    let class = new.load_balancer_class();
    let balanced = new.type_() == LOAD_BALANCER;
    let changed = old.is_some_and(|old| old.type_() == LOAD_BALANCER && old.load_balancer_class() != class);
    if balanced && changed {
        errors.push(Error::invalid(&path, class, "may not change once set"));
    }
    match class {
        Some(class) if balanced => invalid_each(names::is_qualified_name(class), class, &path, errors),
        Some(_) => errors.push(Error::forbidden(&path, "may only be used when `type` is 'LoadBalancer'")),
        None => {}
    }
}

/// What holds for any Service; `old` excuses values that are older than the rules.
pub fn validate(service: Service<'_>, old: Option<Service<'_>>, errors: &mut Errors) {
    validate_topology(service, errors);
    let spec = service.spec();
    let facts = Facts::of(spec);
    let path = Path::new("spec");
    validate_type(spec, &facts, &path, errors);
    validate_ports(spec, &facts, &path.child("ports"), errors);
    validate_labels(spec.selector(), &path.child("selector"), errors);
    validate_affinity(spec, &path, errors);
    if facts.ty != EXTERNAL_NAME {
        let kept: Seen<&str> = old.iter().flat_map(|old| old.spec().cluster_ips().iter()).collect();
        validate_cluster_ips(&facts, &kept, errors);
    }
    validate_external_ips(spec, old, &path.child("externalIPs"), errors);
    let types = [CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT];
    required_one_of(spec.type_(), &types, &path.child("type"), errors);
    validate_node_ports(&facts, &path.child("ports"), errors);
    validate_source_ranges(service, old, errors);
    let allocates = spec.allocate_load_balancer_node_ports();
    if allocates.is_some() && facts.ty != LOAD_BALANCER {
        let path = path.child("allocateLoadBalancerNodePorts");
        errors.push(Error::forbidden(&path, "may only be used when `type` is 'LoadBalancer'"));
    }
    if allocates.is_none() && facts.ty == LOAD_BALANCER {
        errors.push(Error::required(&Path::new("allocateLoadBalancerNodePorts"), ""));
    }
    validate_class(spec, None, errors);
    validate_traffic(spec, &facts, &path, errors);
}

fn required_one_of(value: &str, supported: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if value.is_empty() {
        errors.push(Error::required(path, ""));
    } else if !supported.contains(&value) {
        errors.push(Error::not_supported(path, BadValue::typed(value), supported));
    }
}

fn validate_topology(service: Service<'_>, errors: &mut Errors) {
    let annotations = service.metadata().annotations();
    if let (Some(hints), Some(mode)) = (annotations.get(TOPOLOGY_HINTS), annotations.get(TOPOLOGY_MODE))
        && hints != mode
    {
        let path = Path::new("metadata");
        let path = path.child("annotations");
        let detail = format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified");
        errors.push(Error::invalid(&path.key(TOPOLOGY_MODE), mode, detail));
    }
}

fn validate_type(spec: ServiceSpec<'_>, facts: &Facts, path: &Path<'_>, errors: &mut Errors) {
    if facts.ports.is_empty() && !facts.headless() && facts.ty != EXTERNAL_NAME {
        errors.push(Error::required(&path.child("ports"), ""));
    }
    match facts.ty.as_str() {
        ty @ (LOAD_BALANCER | NODE_PORT) if facts.headless() => {
            let detail = format!("may not be set to 'None' for {ty} services");
            errors.push(Error::invalid(&path.child("clusterIPs").index(0), NONE, detail));
        }
        EXTERNAL_NAME => {
            for (field, set) in [
                ("clusterIPs", !facts.cluster_ips.is_empty()),
                ("ipFamilies", !facts.families.is_empty()),
                ("ipFamilyPolicy", facts.policy.is_some()),
            ] {
                if set {
                    errors.push(Error::forbidden(&path.child(field), "may not be set for ExternalName services"));
                }
            }
            let path = path.child("externalName");
            let name = spec.external_name().strip_suffix('.').unwrap_or(spec.external_name());
            if name.is_empty() {
                errors.push(Error::required(&path, ""));
            } else {
                invalid_each(names::is_dns1123_subdomain(name), name, &path, errors);
            }
        }
        _ => {}
    }
}

fn validate_ports(spec: ServiceSpec<'_>, facts: &Facts, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = Seen::default();
    for (i, port) in spec.ports().iter().enumerate() {
        let path = path.index(i);
        let name = path.child("name");
        if port.name().is_empty() {
            if facts.ports.len() > 1 {
                errors.push(Error::required(&name, ""));
            }
        } else {
            invalid_each(names::is_dns1123_label(port.name()), port.name(), &name, errors);
            if !seen.insert(port.name()) {
                errors.push(Error::duplicate(&name, port.name()));
            }
        }
        validate_port(port, &path, errors);
    }
}

fn validate_port(port: ServicePort<'_>, path: &Path<'_>, errors: &mut Errors) {
    for message in names::is_valid_port_num(port.port()) {
        errors.push(Error::invalid(&path.child("port"), port.port(), message));
    }
    required_one_of(port.protocol(), PROTOCOLS, &path.child("protocol"), errors);
    validate_port_num_or_name(port.target_port(), &path.child("targetPort"), errors);
    if let Some(protocol) = port.app_protocol() {
        invalid_each(names::is_qualified_name(protocol), protocol, &path.child("appProtocol"), errors);
    }
}

pub fn validate_port_num_or_name(port: IntOrStr<'_>, path: &Path<'_>, errors: &mut Errors) {
    match port {
        IntOrStr::Int(number) => {
            for message in names::is_valid_port_num(number) {
                // Go's int is none of the types that are shown plainly, but its JSON is the same.
                errors.push(Error::invalid(path, number, message));
            }
        }
        IntOrStr::Str(name) => invalid_each(names::is_valid_port_name(name), name, path, errors),
    }
}

fn validate_affinity(spec: ServiceSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    required_one_of(spec.session_affinity(), &["ClientIP", NONE], &path.child("sessionAffinity"), errors);
    let config = spec.session_affinity_config();
    let path = path.child("sessionAffinityConfig");
    match spec.session_affinity() {
        "ClientIP" => validate_client_ip(config, &path, errors),
        NONE if config.is_some() => {
            errors.push(Error::forbidden(&path, "must not be set when session affinity is None"));
        }
        _ => {}
    }
}

fn validate_client_ip(config: Option<SessionAffinityConfig<'_>>, path: &Path<'_>, errors: &mut Errors) {
    let detail = "when session affinity type is ClientIP";
    let Some(config) = config else { return errors.push(Error::required(path, detail)) };
    let path = path.child("clientIP");
    let Some(client) = config.client_ip() else { return errors.push(Error::required(&path, detail)) };
    let path = path.child("timeoutSeconds");
    let Some(seconds) = client.timeout_seconds() else { return errors.push(Error::required(&path, detail)) };
    if seconds <= 0 || seconds > AFFINITY_SECONDS_MAX {
        let detail = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
        errors.push(Error::invalid(&path, seconds, detail));
    }
}

/// Addresses, families and policy, and how they fit each other. `kept` are the addresses of the old object.
pub fn validate_cluster_ips(facts: &Facts, kept: &Seen<&str>, errors: &mut Errors) {
    let path = Path::new("spec");
    let ips = path.child("clusterIPs");
    let shown = || list(&facts.cluster_ips);
    if facts.cluster_ip.is_empty() {
        if !facts.cluster_ips.is_empty() {
            errors.push(Error::invalid(&ips, shown(), "must be empty when `clusterIP` is not specified"));
        }
    } else if facts.cluster_ips.is_empty() {
        errors.push(Error::required(&ips, ""));
    } else if facts.cluster_ips[0] != facts.cluster_ip {
        errors.push(Error::invalid(&ips, shown(), "first value must match `clusterIP`"));
    }
    let families = path.child("ipFamilies");
    let mut seen = Seen::default();
    for (i, family) in facts.families.iter().enumerate() {
        if !["IPv4", "IPv6"].contains(&family.as_str()) {
            errors.push(Error::not_supported(&families.index(i), BadValue::typed(family), &["IPv4", "IPv6"]));
        }
        if !seen.insert(family) {
            errors.push(Error::duplicate(&families.index(i), BadValue::typed(family)));
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    if facts.policy.as_deref().is_some_and(|policy| !policies.contains(&policy)) {
        errors.push(Error::not_supported(&path.child("ipFamilyPolicy"), policy_of(facts), &policies));
    }
    let mut invalid = false;
    for (i, ip) in facts.cluster_ips.iter().enumerate() {
        if i == 0 && ip == NONE {
            if facts.cluster_ips.len() > 1 {
                invalid = true;
                errors.push(Error::invalid(&ips, shown(), "'None' must be the first and only value"));
            }
            continue;
        }
        let found = names::is_valid_ip_for_legacy_field(&ips.index(i), ip, true, kept);
        invalid |= !found.is_empty();
        errors.append(found);
    }
    if facts.cluster_ips.len() > 2 {
        errors.push(Error::invalid(&ips, shown(), "may only hold up to 2 values"));
    }
    if !invalid {
        validate_stacks(facts, &ips, errors);
    }
}

fn validate_stacks(facts: &Facts, path: &Path<'_>, errors: &mut Errors) {
    if facts.cluster_ips.len() > 1 {
        let six = facts.cluster_ips.iter().filter(|ip| is_ipv6(ip)).count();
        if six == 0 || six == facts.cluster_ips.len() {
            let detail = "may specify no more than one IP for each IP family";
            errors.push(Error::invalid(path, list(&facts.cluster_ips), detail));
        }
    }
    if facts.headless() {
        return;
    }
    for (i, (ip, family)) in facts.cluster_ips.iter().zip(&facts.families).enumerate() {
        let expected = match (family.as_str(), is_ipv6(ip)) {
            ("IPv4", true) => "IPv4",
            ("IPv6", false) => "IPv6",
            _ => continue,
        };
        let detail = format!("expected an {expected} value as indicated by `ipFamilies[{i}]`");
        errors.push(Error::invalid(&path.index(i), ip.as_str(), detail));
    }
}

fn validate_external_ips(spec: ServiceSpec<'_>, old: Option<Service<'_>>, path: &Path<'_>, errors: &mut Errors) {
    let kept: Seen<&str> = old.iter().flat_map(|old| old.spec().external_ips().iter()).collect();
    for (i, ip) in spec.external_ips().iter().enumerate() {
        let path = path.index(i);
        let found = names::is_valid_ip_for_legacy_field(&path, ip, true, &kept);
        if found.is_empty() {
            validate_endpoint_ip(ip, &path, errors);
        } else {
            errors.append(found);
        }
    }
}

/// An address that traffic can be sent to; upstream's `ValidateEndpointIP`.
pub fn validate_endpoint_ip(text: &str, path: &Path<'_>, errors: &mut Errors) {
    let Some(ip) = parse_ip_sloppy(text) else {
        return errors.push(Error::invalid(path, text, "must be a valid IP address"));
    };
    let (unicast, multicast) = match ip {
        std::net::IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        std::net::IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    let mut invalid = |wrong: bool, detail: &str| {
        if wrong {
            errors.push(Error::invalid(path, text, detail));
        }
    };
    invalid(ip.is_unspecified(), &format!("may not be unspecified ({text})"));
    invalid(ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    invalid(unicast, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    invalid(multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

fn validate_node_ports(facts: &Facts, path: &Path<'_>, errors: &mut Errors) {
    if facts.ty == CLUSTER_IP {
        for (i, _) in facts.ports.iter().enumerate().filter(|(_, port)| port.node_port != 0) {
            let detail = "may not be used when `type` is 'ClusterIP'";
            errors.push(Error::forbidden(&path.index(i).child("nodePort"), detail));
        }
    }
    let mut seen = Seen::default();
    for (i, port) in facts.ports.iter().enumerate().filter(|(_, port)| port.node_port != 0) {
        if !seen.insert((&port.protocol, port.node_port)) {
            errors.push(Error::duplicate(&path.index(i).child("nodePort"), port.node_port));
        }
    }
    let mut seen = Seen::default();
    for (i, port) in facts.ports.iter().enumerate() {
        if !seen.insert((&port.protocol, port.port)) {
            let value = go_struct(&[
                ("Name", "".into()),
                ("Protocol", port.protocol.as_str().into()),
                ("AppProtocol", BadValue::Null),
                ("Port", port.port.into()),
                ("TargetPort", 0i64.into()),
                ("NodePort", 0i64.into()),
            ]);
            errors.push(Error::duplicate(&path.index(i), value));
        }
    }
}

fn validate_source_ranges(service: Service<'_>, old: Option<Service<'_>>, errors: &mut Errors) {
    let spec = service.spec();
    let detail = "may only be used when `type` is 'LoadBalancer'";
    let balanced = spec.type_() == LOAD_BALANCER;
    let ranges = spec.load_balancer_source_ranges();
    if !ranges.is_empty() {
        let path = Path::new("spec");
        let path = path.child("LoadBalancerSourceRanges");
        if !balanced {
            errors.push(Error::forbidden(&path, detail));
        }
        let kept = old.iter().flat_map(|old| old.spec().load_balancer_source_ranges().iter());
        let kept: Seen<&str> = kept.map(str::trim).collect();
        for (i, range) in ranges.iter().enumerate() {
            errors.append(names::is_valid_cidr_for_legacy_field(&path.index(i), range.trim(), true, &kept));
        }
        return;
    }
    let Some(annotation) = service.metadata().annotations().get(SOURCE_RANGES) else { return };
    let path = Path::new("metadata");
    let path = path.child("annotations");
    let path = path.key(SOURCE_RANGES);
    if !balanced {
        errors.push(Error::forbidden(&path, detail));
    }
    let kept = old.is_some_and(|old| old.metadata().annotations().get(SOURCE_RANGES).unwrap_or_default() == annotation);
    if kept || annotation.trim().is_empty() {
        return;
    }
    for range in annotation.trim().split(',') {
        errors.append(names::is_valid_cidr_for_legacy_field(&path, range.trim(), true, &Seen::default()));
    }
}

fn validate_traffic(spec: ServiceSpec<'_>, facts: &Facts, path: &Path<'_>, errors: &mut Errors) {
    let external = path.child("externalTrafficPolicy");
    let policy = spec.external_traffic_policy();
    if facts.externally_accessible() {
        required_one_of(policy, &["Cluster", "Local"], &external, errors);
    } else if !policy.is_empty() {
        let detail = "may only be set for externally-accessible services";
        errors.push(Error::invalid(&external, BadValue::typed(policy), detail));
    }
    let check = path.child("healthCheckNodePort");
    let port = facts.health_check_node_port;
    if !facts.health_checked() {
        if port != 0 {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(Error::invalid(&check, port, detail));
        }
    } else if port == 0 {
        errors.push(Error::required(&check, ""));
    } else {
        for message in names::is_valid_port_num(port) {
            errors.push(Error::invalid(&check, port, message));
        }
    }
    let internal = path.child("internalTrafficPolicy");
    let policies = super::INTERNAL_TRAFFIC_POLICIES;
    match spec.internal_traffic_policy() {
        None if [CLUSTER_IP, NODE_PORT, LOAD_BALANCER].contains(&facts.ty.as_str()) => {
            errors.push(Error::required(&internal, ""));
        }
        Some(policy) if !policies.contains(&policy) => {
            errors.push(Error::not_supported(&internal, BadValue::typed(policy), &policies));
        }
        _ => {}
    }
    let distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(distribution) = spec.traffic_distribution().filter(|value| !distributions.contains(value)) {
        errors.push(Error::not_supported(&path.child("trafficDistribution"), distribution, &distributions));
    }
}

pub fn validate_load_balancer(
    status: LoadBalancerStatus<'_>,
    old: LoadBalancerStatus<'_>,
    spec: ServiceSpec<'_>,
    errors: &mut Errors,
) {
    let path = Path::new("status");
    let path = path.child("loadBalancer");
    let path = path.child("ingress");
    if spec.type_() != LOAD_BALANCER && !status.ingress().is_empty() {
        return errors.push(Error::forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'"));
    }
    let kept: Seen<&str> = old.ingress().iter().map(|ingress| ingress.ip()).filter(|ip| !ip.is_empty()).collect();
    for (i, ingress) in status.ingress().iter().enumerate() {
        let path = path.index(i);
        let (ip, mode) = (ingress.ip(), path.child("ipMode"));
        if !ip.is_empty() {
            errors.append(names::is_valid_ip_for_legacy_field(&path.child("ip"), ip, true, &kept));
        }
        let modes = ["Proxy", "VIP"];
        match ingress.ip_mode() {
            None if !ip.is_empty() => errors.push(Error::required(&mode, "must be specified when `ip` is set")),
            Some(_) if ip.is_empty() => {
                errors.push(Error::forbidden(&mode, "may not be specified when `ip` is not set"));
            }
            Some(value) if !modes.contains(&value) => {
                errors.push(Error::not_supported(&mode, BadValue::typed(value), &modes));
            }
            _ => {}
        }
        let name = ingress.hostname();
        if !name.is_empty() {
            let path = path.child("hostname");
            invalid_each(names::is_dns1123_subdomain(name), name, &path, errors);
            if parse_ip_sloppy(name).is_some() {
                errors.push(Error::invalid(&path, name, "must be a DNS name, not an IP address"));
            }
        }
    }
}

/// No more than one CIDR for each family.
pub fn validate_endpoint_families(cidrs: Strings<'_>, path: &Path<'_>, errors: &mut Errors) {
    let parsed: Option<Vec<bool>> =
        cidrs.iter().map(|cidr| names::parse_cidr_sloppy(cidr).map(|(ip, _, _)| ip.is_ipv6())).collect();
    let Some(six) = parsed else {
        let at = cidrs.iter().position(|cidr| names::parse_cidr_sloppy(cidr).is_none()).unwrap_or_default();
        let cidr = cidrs.get(at).unwrap_or_default();
        let detail = format!(
            "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{at}]: <nil> (invalid CIDR \
             address: {cidr})"
        );
        errors.push(Error::internal(path, detail));
        let detail = "may specify no more than one CIDR for each IP family";
        return errors.push(Error::invalid(path, BadValue::strings(cidrs.iter()), detail));
    };
    let dual = six.contains(&true) && six.contains(&false);
    if !dual || six.len() > 2 {
        let detail = "may specify no more than one CIDR for each IP family";
        errors.push(Error::invalid(path, BadValue::strings(cidrs.iter()), detail));
    }
}
