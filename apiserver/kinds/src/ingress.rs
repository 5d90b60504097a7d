//! Ingress.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names::{self, parse_ip_sloppy};
use corten_api::seen::Seen;
use corten_object::tree::{Edit, Node};
use corten_views::networking_v1::{HTTPIngressPath, Ingress, IngressBackend, IngressRule, IngressSpec, IngressTLS};

use crate::access::{put_back, same, view};
use crate::object_meta::{invalid_each, path_segment_errors};
use crate::strategy::{Context, MetadataRun, Strategy};

const CLASS: &str = "kubernetes.io/ingress.class";

pub struct Ingresses;
pub struct Status;

/// What an older Ingress excuses.
#[derive(Clone, Copy, Default)]
struct Excuses {
    secret_names: bool,
    wildcard_rules: bool,
}

impl Strategy for Ingresses {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(Ingress::STATUS);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Ingress::STATUS);
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let ingress: Ingress<'_> = view(object);
        let mut errors = Errors::default();
        validate_spec(ingress.spec(), Excuses::default(), &Path::new("spec"), &mut errors);
        if let (Some(annotation), Some(class)) =
            (ingress.metadata().annotations().get(CLASS), ingress.spec().ingress_class_name())
            && annotation != class
        {
            let path = Path::new("annotations");
            let detail = "must match `ingressClassName` when both are specified";
            errors.push(Error::invalid(&path.child(CLASS), annotation, detail));
        }
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let old = view::<Ingress<'_>>(old).spec();
        let excuses = Excuses {
            secret_names: old.tls().iter().any(|tls| !secret_errors(tls.secret_name()).is_empty()),
            wildcard_rules: old.rules().iter().any(|rule| {
                let mut found = Errors::default();
                if rule.host().contains('*') {
                    validate_paths(rule, &Path::root(), &mut found);
                }
                !found.is_empty()
            }),
        };
        validate_spec(view::<Ingress<'_>>(object).spec(), excuses, &Path::new("spec"), &mut errors);
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let ingress: Ingress<'_> = view(object);
        let annotated = ingress.metadata().annotations().contains_key(CLASS);
        if !annotated || ingress.spec().ingress_class_name().is_some() {
            return Vec::new();
        }
        vec![format!("annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead")]
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<Ingress<'_>>(object), view::<Ingress<'_>>(old), Ingress::SPEC)
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Ingress::SPEC);
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let old = view::<Ingress<'_>>(old).status().load_balancer();
        let kept: Seen<&str> = old.ingress().iter().map(|point| point.ip()).filter(|ip| !ip.is_empty()).collect();
        let path = Path::new("status");
        let path = path.child("loadBalancer");
        let path = path.child("ingress");
        for (i, point) in view::<Ingress<'_>>(object).status().load_balancer().ingress().iter().enumerate() {
            let path = path.index(i);
            if !point.ip().is_empty() {
                errors.append(names::is_valid_ip_for_legacy_field(&path.child("ip"), point.ip(), true, &kept));
            }
            let name = point.hostname();
            if !name.is_empty() {
                let path = path.child("hostname");
                invalid_each(names::is_dns1123_subdomain(name), name, &path, &mut errors);
                if parse_ip_sloppy(name).is_some() {
                    errors.push(Error::invalid(&path, name, "must be a DNS name, not an IP address"));
                }
            }
        }
        errors
    }

    fn warn_update(&self, object: Node<'_>, _old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let points = view::<Ingress<'_>>(object).status().load_balancer().ingress();
        let path = Path::new("status");
        let path = path.child("loadBalancer");
        let path = path.child("ingress");
        let ips = points.iter().map(|point| point.ip()).enumerate().filter(|(_, ip)| !ip.is_empty());
        ips.flat_map(|(i, ip)| names::warnings_for_ip(&path.index(i), ip)).collect()
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

fn secret_errors(name: &str) -> Vec<String> {
    if name.is_empty() { Vec::new() } else { names::name_is_dns_subdomain(name, false) }
}

fn validate_spec(spec: IngressSpec<'_>, excuses: Excuses, path: &Path<'_>, errors: &mut Errors) {
    if spec.rules().is_empty() && spec.default_backend().is_none() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errors.push(Error::invalid(path, BadValue::Null, detail));
    }
    if let Some(backend) = spec.default_backend() {
        validate_backend(backend, &path.child("defaultBackend"), errors);
    }
    let rules = path.child("rules");
    for (i, rule) in spec.rules().iter().enumerate() {
        validate_rule(rule, excuses, &rules.index(i), errors);
    }
    let tls = path.child("tls");
    for (i, entry) in spec.tls().iter().enumerate() {
        validate_tls(entry, excuses, &tls.index(i), errors);
    }
    if let Some(class) = spec.ingress_class_name() {
        invalid_each(names::name_is_dns_subdomain(class, false), class, &path.child("ingressClassName"), errors);
    }
}

fn host_errors(host: &str) -> Vec<String> {
    if host.contains('*') { names::is_wildcard_dns1123_subdomain(host) } else { names::is_dns1123_subdomain(host) }
}

fn validate_tls(tls: IngressTLS<'_>, excuses: Excuses, path: &Path<'_>, errors: &mut Errors) {
    let hosts = path.child("hosts");
    for (i, host) in tls.hosts().iter().enumerate() {
        invalid_each(host_errors(host), host, &hosts.index(i), errors);
    }
    if !excuses.secret_names {
        invalid_each(secret_errors(tls.secret_name()), tls.secret_name(), &path.child("secretName"), errors);
    }
}

fn validate_rule(rule: IngressRule<'_>, excuses: Excuses, path: &Path<'_>, errors: &mut Errors) {
    let host = rule.host();
    if !host.is_empty() {
        let path = path.child("host");
        if parse_ip_sloppy(host).is_some() {
            errors.push(Error::invalid(&path, host, "must be a DNS name, not an IP address"));
        }
        invalid_each(host_errors(host), host, &path, errors);
    }
    if !(host.contains('*') && excuses.wildcard_rules) {
        validate_paths(rule, path, errors);
    }
}

fn validate_paths(rule: IngressRule<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(http) = rule.http() else { return };
    let path = path.child("http");
    let path = path.child("paths");
    if http.paths().is_empty() {
        errors.push(Error::required(&path, ""));
    }
    for (i, entry) in http.paths().iter().enumerate() {
        validate_path(entry, &path.index(i), errors);
    }
}

fn validate_path(entry: HTTPIngressPath<'_>, path: &Path<'_>, errors: &mut Errors) {
    let ty = path.child("pathType");
    let Some(path_type) = entry.path_type() else {
        return errors.push(Error::required(&ty, "pathType must be specified"));
    };
    let (text, place) = (entry.path(), path.child("path"));
    let mut invalid = |detail: String| errors.push(Error::invalid(&place, text, detail));
    match path_type {
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                invalid("must be an absolute path".to_owned());
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| text.contains(part)) {
                invalid(format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| text.ends_with(end)) {
                invalid(format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                invalid("must be an absolute path".to_owned());
            }
        }
        other => {
            let types = ["Exact", "ImplementationSpecific", "Prefix"];
            errors.push(Error::not_supported(&ty, BadValue::typed(other), &types));
        }
    }
    validate_backend(entry.backend(), &path.child("backend"), errors);
}

fn validate_backend(backend: IngressBackend<'_>, path: &Path<'_>, errors: &mut Errors) {
    let service = match (backend.resource(), backend.service()) {
        (Some(_), Some(_)) => {
            return errors.push(Error::invalid(path, "", "cannot set both resource and service backends"));
        }
        (None, None) => return errors.push(Error::invalid(path, "", "resource or service backend is required")),
        (Some(resource), None) => {
            let path = path.child("resource");
            if let Some(group) = resource.api_group() {
                invalid_each(names::is_dns1123_subdomain(group), group, &path.child("apiGroup"), errors);
            }
            return validate_segments(&[("kind", resource.kind()), ("name", resource.name())], &path, errors);
        }
        (None, Some(service)) => service,
    };
    let place = path.child("service");
    let name = place.child("name");
    if service.name().is_empty() {
        errors.push(Error::required(&name, ""));
    } else {
        invalid_each(names::name_is_dns_label(service.name(), false), service.name(), &name, errors);
    }
    let (port, port_path) = (service.port(), place.child("port"));
    match (port.name(), port.number()) {
        ("", 0) => errors.push(Error::required(path, "port name or number is required")),
        ("", number) => {
            for message in names::is_valid_port_num(number) {
                errors.push(Error::invalid(&port_path.child("number"), number, message));
            }
        }
        (name, 0) => invalid_each(names::is_valid_port_name(name), name, &port_path.child("name"), errors),
        _ => errors.push(Error::invalid(path, "", "cannot set both port name & port number")),
    }
}

/// Required values that become parts of URLs' paths.
pub fn validate_segments(fields: &[(&str, &str)], path: &Path<'_>, errors: &mut Errors) {
    for (field, value) in fields {
        let path = path.child(field);
        if value.is_empty() {
            errors.push(Error::required(&path, ""));
        } else {
            invalid_each(path_segment_errors(value, false), value, &path, errors);
        }
    }
}
