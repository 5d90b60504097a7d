//! A pod's names, its resolver, and its part in the host's network.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::Items;
use corten_views::core_v1::{HostAlias, PodDNSConfig, PodSpec};

use super::checks::{dns_subdomain, not_supported};
use super::options::Options;
use crate::object_meta::invalid_each;

const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;
const DNS_POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

pub fn validate_dns_policy(policy: &str, path: &Path<'_>, errors: &mut Errors) {
    if policy.is_empty() {
        errors.push(Error::required(path, ""));
    } else if !DNS_POLICIES.contains(&policy) {
        errors.push(not_supported(policy, DNS_POLICIES, path));
    }
}

pub fn validate_dns_config(config: Option<PodDNSConfig<'_>>, policy: &str, path: &Path<'_>, errors: &mut Errors) {
    let Some(config) = config else {
        if policy == "None" {
            errors.push(Error::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
        }
        return;
    };
    let (servers, searches) = (config.nameservers(), config.searches());
    let list = path.child("nameservers");
    if policy == "None" && servers.is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(Error::required(&list, detail));
        return;
    }
    if servers.len() > MAX_NAMESERVERS {
        let detail = format!("must not have more than {MAX_NAMESERVERS} nameservers");
        errors.push(Error::invalid(&list, BadValue::strings(servers.iter()), detail));
    }
    for (i, server) in servers.iter().enumerate() {
        errors.append(names::is_valid_ip_for_legacy_field(&list.index(i), server, true, &Seen::default()));
    }
    let list = path.child("searches");
    let mut too_many = |limit: usize, what: &str| {
        let detail = format!("must not have more than {limit} {what}");
        errors.push(Error::invalid(&list, BadValue::strings(searches.iter()), detail));
    };
    if searches.len() > MAX_SEARCHES {
        too_many(MAX_SEARCHES, "search paths");
    }
    let chars: usize = searches.iter().map(str::len).sum();
    if chars + searches.len().saturating_sub(1) > MAX_SEARCH_CHARS {
        too_many(MAX_SEARCH_CHARS, "characters (including spaces) in the search list");
    }
    for (i, search) in searches.iter().enumerate().filter(|&(_, search)| search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        invalid_each(names::is_dns1123_subdomain_with_underscore(search), search, &list.index(i), errors);
    }
    let list = path.child("options");
    for (i, option) in config.options().iter().enumerate() {
        if option.name().is_empty() {
            errors.push(Error::required(&list.index(i), "must not be empty"));
        }
    }
}

/// On the host's network, a container's ports are the host's.
pub fn validate_host_ports(spec: PodSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    if !spec.host_network() {
        return;
    }
    let list = path.child("containers");
    for (i, container) in spec.containers().iter().enumerate() {
        for (j, port) in container.ports().iter().enumerate() {
            let (outside, inside) = (port.host_port(), port.container_port());
            // In a template the host's port may be left out: it is set when a pod is made.
            if (options.is_pod || outside != 0) && outside != inside {
                let (item, detail) = (list.index(i), "must match `containerPort` when `hostNetwork` is true");
                let ports = item.child("ports");
                errors.push(Error::invalid(&ports.index(j).child("hostPort"), outside, detail));
            }
        }
    }
}

pub fn validate_hostname_override(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(hostname) = spec.hostname_override() else { return };
    let path = path.child("hostnameOverride");
    if spec.set_hostname_as_fqdn() == Some(true) {
        errors.push(Error::forbidden(&path, "may not be specified when setHostnameAsFQDN is true"));
    }
    if spec.host_network() {
        errors.push(Error::forbidden(&path, "may not be specified when hostNetwork is true"));
    }
    if hostname.len() > 64 {
        errors.push(Error::too_long(&path, 64));
    }
    dns_subdomain(hostname, &path, errors);
}

pub fn validate_host_aliases(aliases: Items<'_, HostAlias<'_>>, list: &Path<'_>, errors: &mut Errors) {
    for (i, alias) in aliases.iter().enumerate() {
        let path = list.index(i);
        errors.append(names::is_valid_ip_for_legacy_field(&path.child("ip"), alias.ip(), true, &Seen::default()));
        let list = path.child("hostnames");
        for (j, hostname) in alias.hostnames().iter().enumerate() {
            dns_subdomain(hostname, &list.index(j), errors);
        }
    }
}
