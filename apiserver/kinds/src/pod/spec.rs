//! The rules of a pod's spec, in upstream's order.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Index;
use corten_object::tree::Items;
use corten_views::core_v1::{PodReadinessGate, PodSchedulingGate, PodSchedulingGroup, PodSpec, Volume};
use corten_views::meta_v1::ObjectMeta;

use super::checks::{TextSet, dns_label, int_messages, not_supported, object_name, qualified_name};
use super::containers::{self, Surroundings};
use super::options::Options;
use super::{affinity, annotations, network, resources, security, tolerations, topology, volumes, windows};
use crate::object_meta::{invalid_each, validate_labels};

/// `pod` is the metadata of the pod itself; templates have none that counts here.
pub fn validate(
    spec: PodSpec<'_>,
    pod: Option<ObjectMeta<'_>>,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let grace = spec.termination_grace_period_seconds();
    if grace.is_none() {
        errors.push(Error::required(&path.child("terminationGracePeriodSeconds"), ""));
    }
    let volumes = volumes::validate(spec.volumes(), pod, options, &path.child("volumes"), errors);
    let mut claims = TextSet::default();
    for claim in spec.resource_claims().iter().filter(|claim| !claim.name().is_empty()) {
        claims.insert(claim.name());
    }
    let mirror = pod.is_some_and(|metadata| metadata.annotations().contains_key(annotations::MIRROR));
    resources::validate_pod_claims(spec.resource_claims(), mirror, &path.child("resourceClaims"), errors);
    let around = Surroundings {
        volumes: &volumes,
        claims: &claims,
        grace,
        os: spec.os().map(|os| os.name()),
        restart_policy: spec.restart_policy(),
        host_users: spec.host_users() != Some(false),
        options,
    };
    containers::validate(spec, &around, path, errors);
    resources::validate_pod(spec, &claims, options, &path.child("resources"), errors);
    network::validate_host_ports(spec, options, path, errors);
    containers::validate_restart_policy(spec.restart_policy(), &path.child("restartPolicy"), errors);
    network::validate_dns_policy(spec.dns_policy(), &path.child("dnsPolicy"), errors);
    validate_labels(spec.node_selector(), &path.child("nodeSelector"), errors);
    if let Some(context) = spec.security_context() {
        security::validate_pod(context, spec, options, &path.child("securityContext"), errors);
    }
    if let Some(affinity) = spec.affinity() {
        affinity::validate(affinity, options, &path.child("affinity"), errors);
    }
    network::validate_dns_config(spec.dns_config(), spec.dns_policy(), &path.child("dnsConfig"), errors);
    validate_readiness_gates(spec.readiness_gates(), &path.child("readinessGates"), errors);
    validate_scheduling_gates(spec.scheduling_gates(), &path.child("schedulingGates"), errors);
    let constraints = path.child("topologySpreadConstraints");
    topology::validate(spec.topology_spread_constraints(), options, &constraints, errors);
    windows::validate_host_processes(spec, path, errors);
    security::validate_user_namespace(spec, options, path, errors);
    network::validate_hostname_override(spec, path, errors);
    validate_names(spec, path, errors);
    validate_rest(spec, options, path, errors);
    validate_os(spec, path, errors);
    if let Some(group) = spec.scheduling_group() {
        validate_scheduling_group(group, &path.child("schedulingGroup"), errors);
    }
    validate_env_files(spec, path, errors);
}

fn validate_names(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let account = spec.service_account_name();
    if !account.is_empty() {
        let wrong = names::validate_service_account_name(account, false);
        invalid_each(wrong, account, &path.child("serviceAccountName"), errors);
    }
    if !spec.node_name().is_empty() {
        object_name(spec.node_name(), &path.child("nodeName"), errors);
    }
    if let Some(seconds) = spec.active_deadline_seconds() {
        let wrong = names::is_in_range(seconds, 1, i64::from(i32::MAX));
        int_messages(wrong, seconds, &path.child("activeDeadlineSeconds"), errors);
    }
    if !spec.hostname().is_empty() {
        dns_label(spec.hostname(), &path.child("hostname"), errors);
    }
    if !spec.subdomain().is_empty() {
        dns_label(spec.subdomain(), &path.child("subdomain"), errors);
    }
}

fn validate_rest(spec: PodSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    tolerations::validate(spec.tolerations(), options, &path.child("tolerations"), errors);
    network::validate_host_aliases(spec.host_aliases(), &path.child("hostAliases"), errors);
    if !spec.priority_class_name().is_empty() {
        object_name(spec.priority_class_name(), &path.child("priorityClassName"), errors);
    }
    if let Some(class) = spec.runtime_class_name() {
        object_name(class, &path.child("runtimeClassName"), errors);
    }
    if let Some(policy) = spec.preemption_policy() {
        let path = path.child("preemptionPolicy");
        match policy {
            "PreemptLowerPriority" | "Never" => {}
            "" => errors.push(Error::required(&path, "")),
            _ => errors.push(not_supported(policy, &["PreemptLowerPriority", "Never"], &path)),
        }
    }
    resources::validate_overhead(spec.overhead(), options, &path.child("overhead"), errors);
}

fn validate_os(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(os) = spec.os() else { return };
    match os.name() {
        "linux" => security::validate_linux(spec, path, errors),
        "windows" => windows::validate(spec, path, errors),
        "" => errors.push(Error::required(&path.child("os.name"), "")),
        other => errors.push(not_supported(other, &["linux", "windows"], &path.child("os"))),
    }
}

fn validate_readiness_gates(gates: Items<'_, PodReadinessGate<'_>>, list: &Path<'_>, errors: &mut Errors) {
    for (i, gate) in gates.iter().enumerate() {
        qualified_name(gate.condition_type(), &list.index(i).child("conditionType"), errors);
    }
}

fn validate_scheduling_gates(gates: Items<'_, PodSchedulingGate<'_>>, list: &Path<'_>, errors: &mut Errors) {
    let mut seen = TextSet::default();
    for (i, gate) in gates.iter().enumerate() {
        qualified_name(gate.name(), &list.index(i), errors);
        if !seen.insert(gate.name()) {
            errors.push(Error::duplicate(&list.index(i), gate.name()));
        }
    }
}

fn validate_scheduling_group(group: PodSchedulingGroup<'_>, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("podGroupName");
    match group.pod_group_name() {
        None => errors.push(Error::invalid(&path, BadValue::Null, "must specify one of: `podGroupName`")),
        Some(name) => object_name(name, &path, errors),
    }
}

/// Variables are read from files of emptyDir volumes only.
fn validate_env_files(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut by_name: Option<Index<&str, Volume<'_>>> = None;
    containers::visit(spec, path, |container, path| {
        let list = path.child("env");
        for (i, var) in container.env().iter().enumerate() {
            let Some(file) = var.value_from().and_then(|source| source.file_key_ref()) else { continue };
            let item = list.index(i);
            let path = item.child("valueFrom.fileKeyRef.volumeName");
            // The last volume of the name counts, where a name is repeated.
            let by_name = by_name
                .get_or_insert_with(|| Index::of_last(spec.volumes().iter().map(|volume| (volume.name(), volume))));
            match by_name.get(file.volume_name()) {
                None => errors.push(Error::not_found(&path, file.volume_name())),
                Some(volume) if volume.empty_dir().is_none() => {
                    let detail = "referenced volume must be of type emptyDir";
                    errors.push(Error::invalid(&path, file.volume_name(), detail));
                }
                Some(_) => {}
            }
        }
    });
}

/// What a pod must keep to beyond what a template must.
pub fn validate_only_for_pod(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    if spec.service_account_name().is_empty() {
        let list = path.child("volumes");
        for (i, volume) in spec.volumes().iter().enumerate() {
            let Some(projected) = volume.projected() else { continue };
            let item = list.index(i);
            let sources = item.child("projected.sources");
            for (j, source) in projected.sources().iter().enumerate() {
                if source.service_account_token().is_some() {
                    let path = sources.index(j);
                    let detail = "must not be specified when serviceAccountName is not set";
                    errors.push(Error::forbidden(&path.child("serviceAccountToken"), detail));
                }
            }
        }
    }
    let list = path.child("containers");
    for (i, container) in spec.containers().iter().enumerate() {
        containers::validate_image_space(container, &list.index(i), errors);
    }
    let list = path.child("initContainers");
    for (i, container) in spec.init_containers().iter().enumerate() {
        containers::validate_image_space(container, &list.index(i), errors);
    }
}
