//! The status of a pod: what a kubelet or a controller may write.

use std::collections::VecDeque;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::{Index, Seen};
use corten_object::tree::{Edit, Items, Node, View};
use corten_views::core_v1::{
    Container, ContainerStatus, NodeAllocatableResourceClaimStatus, Pod, PodCondition, PodExtendedResourceClaimStatus,
    PodResourceClaimStatus, PodSpec, PodStatus, ResourceStatus,
};
use corten_views::meta_v1::ObjectMeta;

use super::checks::{TextSet, dns_label, int_messages, not_supported, object_name, qualified_name};
use super::resources::quantity;
use super::{Options, internal, prepare, update};
use crate::access::put_back;

const HEALTH: &[&str] = &["Healthy", "Unhealthy", "Unknown"];
const MESSAGE_LENGTH: usize = 1024;
const NONNEGATIVE: &str = "must be a non-negative integer";

/// A write of the status changes nothing else, and what it does not say of generations stays.
pub fn prepare(pod: &mut Edit<'_>, old: Node<'_>) {
    let old_pod = Pod::from_struct(old.as_struct());
    put_back(pod, old.as_struct(), Pod::SPEC);
    let mut metadata = pod.ensure(Pod::METADATA);
    metadata.remove(ObjectMeta::DELETION_TIMESTAMP);
    put_back(&mut metadata, old_pod.metadata().as_struct(), ObjectMeta::OWNER_REFERENCES);
    let old = old_pod.status();
    let mut status = pod.ensure(Pod::STATUS);
    status.default(PodStatus::QOS_CLASS, old.qos_class());
    status.default(PodStatus::OBSERVED_GENERATION, old.observed_generation());
    keep_condition_generations(&mut status, old);
    prepare::drop_disabled_status(&mut status, old);
}

/// The n-th condition of a type keeps the generation of the n-th before.
fn keep_condition_generations(status: &mut Edit<'_>, old: PodStatus<'_>) {
    let mut before: Index<&str, VecDeque<i64>> = Index::default();
    for condition in old.conditions().iter() {
        before.entry(condition.type_(), VecDeque::new).push_back(condition.observed_generation());
    }
    for id in status.items(PodStatus::CONDITIONS) {
        let mut condition = status.at(id);
        let view = condition.view::<PodCondition<'_>>();
        let same = before.get_mut(view.type_()).and_then(VecDeque::pop_front);
        if view.observed_generation() == 0 {
            condition.set(PodCondition::OBSERVED_GENERATION, same.unwrap_or(0));
        }
    }
}

pub fn validate(new: Pod<'_>, old: Pod<'_>, options: &Options, errors: &mut Errors) {
    update::validate_annotations(new, old, options, errors);
    let path = Path::new("status");
    let (spec, old_spec) = (new.spec(), old.spec());
    let (new, old) = (new.status(), old.status());
    validate_conditions(new.conditions(), &path.child("conditions"), errors);
    if spec.node_name() != old_spec.node_name() {
        errors.push(Error::forbidden(&path.child("nodeName"), "may not be changed directly"));
    }
    let nominated = new.nominated_node_name();
    if nominated != old.nominated_node_name() && !nominated.is_empty() {
        let path = path.child("nominatedNodeName");
        object_name(nominated, &path, errors);
        if !old_spec.node_name().is_empty() {
            let detail = "may not be set on pods that are already bound to a node";
            errors.push(Error::forbidden(&path, detail));
        }
    }
    if new.observed_generation() < 0 {
        let path = path.child("observedGeneration");
        errors.push(Error::invalid(&path, new.observed_generation(), NONNEGATIVE));
    }
    if new.qos_class() != old.qos_class() {
        let value = BadValue::typed(new.qos_class());
        errors.push(Error::invalid(&path.child("qosClass"), value, "field is immutable"));
    }
    validate_transitions(new, old, old_spec, &path, errors);
    validate_claims(new, spec, &path, errors);
    let pod_ips = (new.pod_ips().iter().map(|ip| ip.ip()), old.pod_ips().iter().map(|ip| ip.ip()));
    validate_ips(pod_ips, new.pod_ips().nodes().iter(), &path.child("podIPs"), errors);
    validate_host_ips(new, old, &path.child("hostIPs"), errors);
    validate_container_statuses(new, spec, options, &path, errors);
}

fn validate_conditions(conditions: Items<'_, PodCondition<'_>>, list: &Path<'_>, errors: &mut Errors) {
    for (i, condition) in conditions.iter().enumerate() {
        let path = list.index(i);
        if condition.observed_generation() < 0 {
            let generation = condition.observed_generation();
            errors.push(Error::invalid(&path.child("observedGeneration"), generation, NONNEGATIVE));
        }
        if !matches!(condition.type_(), "PodScheduled" | "Ready" | "Initialized") {
            qualified_name(condition.type_(), &path.child("Type"), errors);
        }
    }
}

/// A container that has ended runs again only if its pod says so.
fn validate_transitions(
    new: PodStatus<'_>,
    old: PodStatus<'_>,
    spec: PodSpec<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let restarts = |containers: &ByName<'_>, status: ContainerStatus<'_>, code: i64| {
        containers.get(status.name()).is_some_and(|container| should_restart(*container, spec, code))
    };
    if !could_restart_all(spec) {
        let list = path.child("containerStatuses");
        let lists = (new.container_statuses(), old.container_statuses());
        let containers = by_name(spec.containers());
        forbid_revival(lists, true, |s, code| restarts(&containers, s, code), &list, errors);
        let list = path.child("initContainerStatuses");
        let lists = (new.init_container_statuses(), old.init_container_statuses());
        let containers = by_name(spec.init_containers());
        forbid_revival(lists, true, |s, code| restarts(&containers, s, code), &list, errors);
    }
    let list = path.child("ephemeralContainerStatuses");
    let lists = (new.ephemeral_container_statuses(), old.ephemeral_container_statuses());
    forbid_revival(lists, false, |_, _| false, &list, errors);
}

type ByName<'t> = Index<&'t str, Container<'t>>;

/// The first of each name.
fn by_name<'t>(containers: Items<'t, Container<'t>>) -> ByName<'t> {
    Index::of_first(containers.iter().map(|container| (container.name(), container)))
}

type Statuses<'t> = Items<'t, ContainerStatus<'t>>;

/// `first_only`: of several statuses with a name, only the first that has not ended counts.
fn forbid_revival(
    (new, old): (Statuses<'_>, Statuses<'_>),
    first_only: bool,
    restarts: impl Fn(ContainerStatus<'_>, i64) -> bool,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let mut alive: Index<&str, usize> = Index::default();
    for new in new.iter().filter(|new| new.state().terminated().is_none()) {
        *alive.entry(new.name(), || 0) += 1;
    }
    for (i, old) in old.iter().enumerate() {
        let Some(ended) = old.state().terminated() else { continue };
        let count = alive.get(old.name()).copied().unwrap_or(0).min(if first_only { 1 } else { usize::MAX });
        if count > 0 && !restarts(old, ended.exit_code()) {
            let detail = "may not be transitioned to non-terminated state";
            errors.repeat(count, || Error::forbidden(&list.index(i).child("state"), detail));
        }
    }
}

/// Whether a rule of some container restarts the whole pod.
fn could_restart_all(spec: PodSpec<'_>) -> bool {
    let of_list = |list: Items<'_, Container<'_>>| {
        list.iter().any(|c| c.restart_policy_rules().iter().any(|rule| rule.action() == "RestartAllContainers"))
    };
    of_list(spec.init_containers()) || of_list(spec.containers())
}

/// By the container's rules, else its own policy, else the pod's.
fn should_restart(container: Container<'_>, spec: PodSpec<'_>, code: i64) -> bool {
    let ruled = container.restart_policy_rules().iter().find(|rule| {
        rule.exit_codes().is_some_and(|codes| {
            let listed = codes.values().iter().any(|value| value.as_int() == code);
            matches!((codes.operator(), listed), ("In", true) | ("NotIn", false))
        })
    });
    let own = container.restart_policy();
    if own.is_some() && ruled.is_some_and(|rule| matches!(rule.action(), "Restart" | "RestartAllContainers")) {
        return true;
    }
    let own = own.filter(|policy| matches!(*policy, "Always" | "OnFailure" | "Never"));
    match own.unwrap_or(spec.restart_policy()) {
        "OnFailure" => code != 0,
        "Never" => false,
        _ => true,
    }
}

fn validate_claims(status: PodStatus<'_>, spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let claims = status.resource_claim_statuses();
    validate_claim_statuses(claims, spec, &path.child("resourceClaimStatuses"), errors);
    if let Some(extended) = status.extended_resource_claim_status() {
        validate_extended_claim(extended, spec, &path.child("extendedResourceClaimStatus"), errors);
    }
    let list = path.child("nodeAllocatableResourceClaimStatuses");
    let direct = spec.resource_claims().iter().filter_map(|claim| claim.resource_claim_name());
    let made = status.resource_claim_statuses().iter().filter_map(|claim| claim.resource_claim_name());
    let known: TextSet<'_> = direct.chain(made).collect();
    for (i, claim) in status.node_allocatable_resource_claim_statuses().iter().enumerate() {
        validate_node_claim(claim, &known, &list.index(i), errors);
    }
}

fn validate_claim_statuses(
    claims: Items<'_, PodResourceClaimStatus<'_>>,
    spec: PodSpec<'_>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen = TextSet::default();
    let known: TextSet<'_> = spec.resource_claims().iter().map(|claim| claim.name()).collect();
    for (i, claim) in claims.iter().enumerate() {
        let path = list.index(i);
        if !known.contains(claim.name()) {
            let detail = "must match the name of an entry in `spec.resourceClaims`";
            errors.push(Error::invalid(&path.child("name"), claim.name(), detail));
        }
        if !seen.insert(claim.name()) {
            errors.push(Error::duplicate(&path.child("name"), claim.name()));
        }
        if let Some(name) = claim.resource_claim_name() {
            for message in names::name_is_dns_subdomain(name, false) {
                errors.push(Error::invalid(&path.child("resourceClaimName"), BadValue::typed(name), message));
            }
        }
    }
}

fn validate_extended_claim(
    status: PodExtendedResourceClaimStatus<'_>,
    spec: PodSpec<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let list = path.child("requestMappings");
    let mappings = status.request_mappings();
    if mappings.is_empty() {
        errors.push(Error::required(&list, "at least one request mapping is required"));
    }
    // A regular container comes before an init container of its name.
    let containers = spec.containers().iter().chain(spec.init_containers().iter());
    let containers: ByName<'_> = Index::of_first(containers.map(|container| (container.name(), container)));
    let mut seen = Seen::default();
    for (i, mapping) in mappings.iter().enumerate() {
        let item = list.index(i);
        match containers.get(mapping.container_name()) {
            Some(container) if container.resources().requests().contains_key(mapping.resource_name()) => {}
            Some(_) => {
                let detail = "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests";
                errors.push(Error::invalid(&item.child("resourceName"), mapping.resource_name(), detail));
            }
            None => {
                let detail = "must match the name of an entry in spec.initContainers.name or spec.containers.name";
                errors.push(Error::invalid(&item.child("containerName"), mapping.container_name(), detail));
            }
        }
        dns_label(mapping.request_name(), &path.child("requestName"), errors);
        if !seen.insert([mapping.container_name(), mapping.resource_name(), mapping.request_name()]) {
            errors.push(Error::duplicate(&item.child("containerName"), mapping.container_name()));
            errors.push(Error::duplicate(&item.child("resourceName"), mapping.resource_name()));
            errors.push(Error::duplicate(&item.child("requestName"), mapping.request_name()));
        }
    }
    let path = path.child("resourceClaimName");
    if status.resource_claim_name().is_empty() {
        errors.push(Error::required(&path, ""));
    } else {
        object_name(status.resource_claim_name(), &path, errors);
    }
}

fn validate_node_claim(
    claim: NodeAllocatableResourceClaimStatus<'_>,
    known: &TextSet<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let name = claim.resource_claim_name();
    let name_path = path.child("resourceClaimName");
    if name.is_empty() {
        errors.push(Error::required(&name_path, "must not be empty"));
    }
    if !known.contains(name) {
        errors.push(Error::invalid(&name_path, name, "no mapping found in pod reference"));
    }
    if claim.containers().is_empty() {
        errors.push(Error::required(&path.child("containers"), "must not be empty"));
    }
    let path = path.child("resources");
    if claim.resources().is_empty() {
        errors.push(Error::required(&path, "must not be empty"));
    }
    for (name, value) in claim.resources().iter() {
        if !super::resources::is_native(name) {
            let detail = "must be a node allocatable resource name";
            errors.push(Error::invalid(&path.key(name), BadValue::typed(name), detail));
        }
        if quantity(value).sign() < 0 {
            errors.push(Error::invalid(&path.key(name), value, "must be non-negative"));
        }
    }
}

/// At most one address of each family; those that were there may stay as they are.
fn validate_ips<'n, 'o>(
    (new, old): (impl Iterator<Item = &'n str>, impl Iterator<Item = &'o str>),
    nodes: impl Iterator<Item = Node<'n>>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let new: Vec<&str> = new.collect();
    let old: Seen<&str> = old.collect();
    for (i, ip) in new.iter().enumerate() {
        errors.append(names::is_valid_ip_for_legacy_field(&list.index(i), ip, true, &old));
    }
    if new.len() < 2 {
        return;
    }
    let parsed: Vec<_> = new.iter().map(|ip| names::parse_ip_sloppy(ip)).collect();
    if let Some(at) = parsed.iter().position(Option::is_none) {
        let detail = format!("failed to check for dual stack with error:invalid IP[{at}]: {}", new[at]);
        errors.push(Error::internal(list, detail));
    }
    let v4 = parsed.iter().flatten().any(|ip| ip.is_ipv4());
    let v6 = parsed.iter().flatten().any(|ip| ip.is_ipv6());
    let dual = v4 && v6 && parsed.iter().all(Option::is_some);
    if !dual || new.len() > 2 {
        let detail = "may specify no more than one IP for each IP family";
        errors.push(Error::invalid(list, internal::bad_list(nodes), detail));
    }
}

fn validate_host_ips(new: PodStatus<'_>, old: PodStatus<'_>, list: &Path<'_>, errors: &mut Errors) {
    let Some(first) = new.host_ips().get(0) else { return };
    if new.host_ip() != first.ip() {
        let (item, detail) = (list.index(0), "must be equal to `hostIP`");
        errors.push(Error::invalid(&item.child("ip"), first.ip(), detail));
    }
    let ips = (new.host_ips().iter().map(|ip| ip.ip()), old.host_ips().iter().map(|ip| ip.ip()));
    validate_ips(ips, new.host_ips().nodes().iter(), list, errors);
}

fn validate_container_statuses(
    status: PodStatus<'_>,
    spec: PodSpec<'_>,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let lists = [
        (status.container_statuses(), "containerStatuses"),
        (status.init_container_statuses(), "initContainerStatuses"),
        (status.ephemeral_container_statuses(), "ephemeralContainerStatuses"),
    ];
    let os = spec.os().map_or("linux", |os| os.name());
    for (statuses, name) in lists {
        validate_users(statuses, os, &path.child(name), errors);
    }
    let containers = [spec.containers(), spec.init_containers()];
    for ((statuses, name), containers) in lists.into_iter().zip(containers) {
        validate_allocated(statuses, containers, &path.child(name), errors);
    }
    let list = path.child("ephemeralContainerStatuses");
    for (i, status) in status.ephemeral_container_statuses().iter().enumerate() {
        if !status.allocated_resources_status().is_empty() {
            let path = list.index(i);
            let detail = "must not be specified in container status";
            errors.push(Error::forbidden(&path.child("allocatedResourcesStatus"), detail));
        }
    }
    if options.image_volume_digests {
        for (statuses, name) in lists {
            validate_image_volumes(statuses, &path.child(name), errors);
        }
    }
}

fn validate_users(statuses: Statuses<'_>, os: &str, list: &Path<'_>, errors: &mut Errors) {
    for (i, status) in statuses.iter().enumerate() {
        let Some(linux) = status.user().and_then(|user| user.linux()) else { continue };
        let item = list.index(i);
        let path = item.child("user.linux");
        match os {
            "windows" => errors.push(Error::forbidden(&path, "cannot be set for a windows pod")),
            "linux" => {
                int_messages(names::is_valid_user_id(linux.uid()), linux.uid(), &path.child("uid"), errors);
                int_messages(names::is_valid_group_id(linux.gid()), linux.gid(), &path.child("gid"), errors);
                let list = path.child("supplementalGroups");
                for (g, group) in linux.supplemental_groups().iter().map(Node::as_int).enumerate() {
                    int_messages(names::is_valid_group_id(group), group, &list.index(g), errors);
                }
            }
            _ => {}
        }
    }
}

fn validate_allocated(
    statuses: Statuses<'_>,
    containers: Items<'_, Container<'_>>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let containers = by_name(containers);
    for (i, status) in statuses.iter().enumerate() {
        let container = containers.get(status.name()).filter(|_| !status.allocated_resources_status().is_empty());
        let claims = container.into_iter().flat_map(|container| container.resources().claims().iter());
        let claims: Seen<(&str, &str)> = claims.map(|claim| (claim.name(), claim.request())).collect();
        let item = list.index(i);
        let list = item.child("allocatedResourcesStatus");
        for (j, allocated) in status.allocated_resources_status().iter().enumerate() {
            let path = list.index(j);
            if let Some(&container) = container {
                validate_allocated_name(allocated, container, &claims, &path.child("name"), errors);
            }
            validate_health(allocated, &path.child("resources"), errors);
        }
    }
}

fn validate_allocated_name(
    allocated: ResourceStatus<'_>,
    container: Container<'_>,
    claims: &Seen<(&str, &str)>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let name = allocated.name();
    let (found, detail) = match name.strip_prefix("claim:") {
        Some(claim) => {
            let claim = claim.split_once('/').unwrap_or((claim, ""));
            let detail = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
            (claims.contains(&claim), detail)
        }
        None => {
            let found = container.resources().requests().contains_key(name);
            (found, "must match one of the container's resource requests")
        }
    };
    if !found {
        errors.push(Error::invalid(path, BadValue::typed(name), detail));
    }
}

fn validate_health(allocated: ResourceStatus<'_>, list: &Path<'_>, errors: &mut Errors) {
    let mut seen = TextSet::default();
    for (k, resource) in allocated.resources().iter().enumerate() {
        let path = list.index(k);
        if !HEALTH.contains(&resource.health()) {
            errors.push(not_supported(resource.health(), HEALTH, &path.child("health")));
        }
        if let Some(message) = resource.message() {
            if message.is_empty() {
                errors.push(Error::required(&path.child("message"), "must be non-empty if specified"));
            } else if message.len() > MESSAGE_LENGTH {
                errors.push(Error::too_long(&path.child("message"), MESSAGE_LENGTH));
            }
        }
        if !seen.insert(resource.resource_id()) {
            let value = BadValue::typed(resource.resource_id());
            errors.push(Error::duplicate(&path.child("resourceID"), value));
        }
    }
}

fn validate_image_volumes(statuses: Statuses<'_>, list: &Path<'_>, errors: &mut Errors) {
    for (i, status) in statuses.iter().enumerate() {
        let item = list.index(i);
        let list = item.child("volumeMounts");
        for (j, mount) in status.volume_mounts().iter().enumerate() {
            let Some(image) = mount.volume_status().and_then(|status| status.image()) else { continue };
            let item = list.index(j);
            let path = item.child("volumeStatus.imageVolumeStatus.imageRef");
            if image.image_ref().is_empty() {
                errors.push(Error::required(&path, "imageRef must not be empty"));
            }
            if image.image_ref().len() > 256 {
                errors.push(Error::too_long(&path, 256));
            }
        }
    }
}

/// Warnings about addresses in forms that are not canonical.
pub fn warnings(status: PodStatus<'_>) -> Vec<String> {
    let root = Path::new("status");
    let (pod, host) = (root.child("podIPs"), root.child("hostIPs"));
    let mut out = Vec::new();
    for (i, ip) in status.pod_ips().iter().enumerate() {
        out.extend(names::warnings_for_ip(&pod.index(i).child("ip"), ip.ip()));
    }
    for (i, ip) in status.host_ips().iter().enumerate() {
        out.extend(names::warnings_for_ip(&host.index(i).child("ip"), ip.ip()));
    }
    out
}
