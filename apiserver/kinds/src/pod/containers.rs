//! Containers of the three kinds: those that run side by side, those that run before, and those that come later to
//! look around.

use std::collections::HashSet;

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Items, View};
use corten_schema::FieldId;
use corten_views::core_v1::{Container, ContainerPort, EphemeralContainer, PodSpec};

use super::checks::{TextSet, dns_label, int_messages, not_supported, one_of, require, required_one_of};
use super::mounts::Volumes;
use super::options::Options;
use super::{env, mounts, probes, resources, security};
use crate::object_meta::invalid_each;

/// What checking a container takes from its pod.
pub struct Surroundings<'s, 't> {
    pub volumes: &'s Volumes<'t>,
    pub claims: &'s TextSet<'t>,
    pub grace: Option<i64>,
    pub os: Option<&'t str>,
    pub restart_policy: &'t str,
    pub host_users: bool,
    pub options: &'s Options,
}

/// An ephemeral container, as far as it is a container like others: the fields before its target are the same.
pub fn common<'t>(container: EphemeralContainer<'t>) -> Container<'t> {
    Container::from_struct(container.as_struct())
}

/// Calls with each container of a pod and its path, in upstream's order.
pub fn visit<'t>(spec: PodSpec<'t>, path: &Path<'_>, mut visitor: impl FnMut(Container<'t>, &Path<'_>)) {
    let list = path.child("initContainers");
    for (i, container) in spec.init_containers().iter().enumerate() {
        visitor(container, &list.index(i));
    }
    let list = path.child("containers");
    for (i, container) in spec.containers().iter().enumerate() {
        visitor(container, &list.index(i));
    }
    let list = path.child("ephemeralContainers");
    for (i, container) in spec.ephemeral_containers().iter().enumerate() {
        visitor(common(container), &list.index(i));
    }
}

/// All containers, in upstream's order.
pub fn all<'t>(spec: PodSpec<'t>) -> impl Iterator<Item = Container<'t>> {
    spec.init_containers().iter().chain(spec.containers().iter()).chain(spec.ephemeral_containers().iter().map(common))
}

pub fn is_restartable(container: Container<'_>) -> bool {
    container.restart_policy() == Some("Always")
}

pub fn validate(spec: PodSpec<'_>, around: &Surroundings<'_, '_>, path: &Path<'_>, errors: &mut Errors) {
    validate_regular(spec, around, &path.child("containers"), errors);
    validate_init(spec, around, &path.child("initContainers"), errors);
    validate_ephemeral(spec, around, &path.child("ephemeralContainers"), errors);
}

fn validate_regular(spec: PodSpec<'_>, around: &Surroundings<'_, '_>, path: &Path<'_>, errors: &mut Errors) {
    let containers = spec.containers();
    if containers.is_empty() {
        errors.push(Error::required(path, ""));
        return;
    }
    let mut names = TextSet::default();
    for (i, container) in containers.iter().enumerate() {
        let path = path.index(i);
        validate_common(container, around, &path, errors);
        if !names.insert(container.name()) {
            errors.push(Error::duplicate(&path.child("name"), container.name()));
        }
        probes::validate(container, around.grace, around.os, &path, errors);
        validate_restart_rules(container, &path, errors);
    }
    let mut taken = HashSet::new();
    for (i, container) in containers.iter().enumerate() {
        validate_host_ports(container, &mut taken, &path.index(i).child("ports"), errors);
    }
}

fn validate_init(spec: PodSpec<'_>, around: &Surroundings<'_, '_>, list: &Path<'_>, errors: &mut Errors) {
    let mut names = TextSet::default();
    if !spec.init_containers().is_empty() {
        spec.containers().iter().for_each(|container| _ = names.insert(container.name()));
    }
    for (i, container) in spec.init_containers().iter().enumerate() {
        let path = list.index(i);
        validate_common(container, around, &path, errors);
        validate_restart_rules(container, &path, errors);
        if names.contains(container.name()) {
            errors.push(Error::duplicate(&path.child("name"), container.name()));
        } else if !container.name().is_empty() {
            names.insert(container.name());
        }
        // They run one after another, so that each may use the same ports; the path is upstream's.
        validate_host_ports(container, &mut HashSet::new(), &list.index(0).child("ports"), errors);
        if is_restartable(container) {
            probes::validate(container, around.grace, around.os, &path, errors);
            continue;
        }
        let mut forbid = |set: bool, field: &str| {
            if set {
                let detail = "may not be set for init containers without restartPolicy=Always";
                errors.push(Error::forbidden(&path.child(field), detail));
            }
        };
        forbid(container.lifecycle().is_some(), "lifecycle");
        forbid(container.liveness_probe().is_some(), "livenessProbe");
        forbid(container.readiness_probe().is_some(), "readinessProbe");
        forbid(container.startup_probe().is_some(), "startupProbe");
        if !around.options.restart_on_resize_of_init {
            forbid_restart_on_resize(container, &path, errors);
        }
    }
}

fn forbid_restart_on_resize(container: Container<'_>, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("resizePolicy");
    for (i, policy) in container.resize_policy().iter().enumerate() {
        if policy.restart_policy() == "RestartContainer" {
            let value = corten_api::field::BadValue::typed("RestartContainer");
            let detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
            errors.push(Error::invalid(&list.index(i).child("restartPolicy"), value, detail));
        }
    }
}

/// Fields that an ephemeral container must leave alone, in declaration order, and how upstream names them.
const NOT_EPHEMERAL: &[(FieldId, &str)] = &[
    (Container::PORTS, "ports"),
    (Container::RESOURCES, "resources"),
    (Container::RESIZE_POLICY, "resizePolicy"),
    (Container::RESTART_POLICY, "restartPolicy"),
    (Container::RESTART_POLICY_RULES, "restartPolicyRules"),
    (Container::LIVENESS_PROBE, "livenessProbe"),
    (Container::READINESS_PROBE, "readinessProbe"),
    (Container::STARTUP_PROBE, "startupProbe"),
    (Container::LIFECYCLE, "lifecycle"),
];

fn validate_ephemeral(spec: PodSpec<'_>, around: &Surroundings<'_, '_>, list: &Path<'_>, errors: &mut Errors) {
    if spec.ephemeral_containers().is_empty() {
        return;
    }
    let mut others = TextSet::default();
    for container in spec.containers().iter().chain(spec.init_containers().iter()) {
        others.insert(container.name());
    }
    let mut names = TextSet::default();
    for (i, ephemeral) in spec.ephemeral_containers().iter().enumerate() {
        let path = list.index(i);
        let container = common(ephemeral);
        validate_common(container, around, &path, errors);
        validate_image_space(container, &path, errors);
        if others.contains(container.name()) || !names.insert(container.name()) {
            errors.push(Error::duplicate(&path.child("name"), container.name()));
        }
        let target = ephemeral.target_container_name();
        if !target.is_empty() && !others.contains(target) {
            errors.push(Error::not_found(&path.child("targetContainerName"), target));
        }
        for &(field, name) in NOT_EPHEMERAL {
            if container.as_struct().node(field).is_some_and(|node| is_set(container, field, node)) {
                errors.push(Error::forbidden(&path.child(name), "cannot be set for an Ephemeral Container"));
            }
        }
        let mounts = path.child("volumeMounts");
        for (i, mount) in container.volume_mounts().iter().enumerate() {
            for (value, name) in [(mount.sub_path(), "subPath"), (mount.sub_path_expr(), "subPathExpr")] {
                if !value.is_empty() {
                    let detail = "cannot be set for an Ephemeral Container";
                    errors.push(Error::forbidden(&mounts.index(i).child(name), detail));
                }
            }
        }
    }
}

/// Whether Go would not see the field's zero: resources is a struct, the others are lists and pointers.
fn is_set(container: Container<'_>, field: FieldId, node: corten_object::tree::Node<'_>) -> bool {
    if field == Container::RESOURCES { !container.resources().as_struct().is_zero() } else { !node.is_null() }
}

/// What holds for containers of every kind.
fn validate_common(container: Container<'_>, around: &Surroundings<'_, '_>, path: &Path<'_>, errors: &mut Errors) {
    if container.name().is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    } else {
        dns_label(container.name(), &path.child("name"), errors);
    }
    require(container.image(), path, "image", errors);
    let policies = &["File", "FallbackToLogsOnError"];
    let policy = container.termination_message_policy();
    required_one_of(policy, policies, &path.child("terminationMessagePolicy"), errors);
    validate_ports(container.ports(), &path.child("ports"), errors);
    env::validate(container.env(), &path.child("env"), errors);
    env::validate_from(container.env_from(), &path.child("envFrom"), errors);
    mounts::validate(container, around.volumes, path, errors);
    validate_pull_policy(container.image_pull_policy(), &path.child("imagePullPolicy"), errors);
    let options = around.options;
    resources::validate_container(container.resources(), around.claims, options, &path.child("resources"), errors);
    validate_resize_policy(container, around.restart_policy, &path.child("resizePolicy"), errors);
    if let Some(context) = container.security_context() {
        security::validate_container(context, around.host_users, &path.child("securityContext"), errors);
    }
}

pub fn validate_pull_policy(policy: &str, path: &Path<'_>, errors: &mut Errors) {
    required_one_of(policy, &["Always", "IfNotPresent", "Never"], path, errors);
}

/// Not asked of templates, which had such images before this was a rule.
pub fn validate_image_space(container: Container<'_>, path: &Path<'_>, errors: &mut Errors) {
    if container.image().trim().len() != container.image().len() {
        let detail = "must not have leading or trailing whitespace";
        errors.push(Error::invalid(&path.child("image"), container.image(), detail));
    }
}

fn validate_ports(ports: Items<'_, ContainerPort<'_>>, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = TextSet::default();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        if !port.name().is_empty() {
            let wrong = names::is_valid_port_name(port.name());
            if !wrong.is_empty() {
                invalid_each(wrong, port.name(), &path.child("name"), errors);
            } else if !seen.insert(port.name()) {
                errors.push(Error::duplicate(&path.child("name"), port.name()));
            }
        }
        let (inside, outside) = (port.container_port(), port.host_port());
        if inside == 0 {
            errors.push(Error::required(&path.child("containerPort"), ""));
        } else {
            int_messages(names::is_valid_port_num(inside), inside, &path.child("containerPort"), errors);
        }
        if outside != 0 {
            int_messages(names::is_valid_port_num(outside), outside, &path.child("hostPort"), errors);
        }
        required_one_of(port.protocol(), &["SCTP", "TCP", "UDP"], &path.child("protocol"), errors);
    }
}

/// `taken` are protocol, address and port that the pod uses on its host.
fn validate_host_ports<'t>(
    container: Container<'t>,
    taken: &mut HashSet<(&'t str, &'t str, i64)>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    for (i, port) in container.ports().iter().enumerate().filter(|(_, port)| port.host_port() != 0) {
        if !taken.insert((port.protocol(), port.host_ip(), port.host_port())) {
            let text = format!("{}/{}/{}", port.protocol(), port.host_ip(), port.host_port());
            errors.push(Error::duplicate(&path.index(i).child("hostPort"), text));
        }
    }
}

fn validate_resize_policy(container: Container<'_>, restart_policy: &str, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = TextSet::default();
    for (i, policy) in container.resize_policy().iter().enumerate() {
        let value = corten_api::field::BadValue::typed;
        if !seen.insert(policy.resource_name()) {
            errors.push(Error::duplicate(&path.index(i), value(policy.resource_name())));
        }
        required_one_of(policy.resource_name(), &["cpu", "memory"], path, errors);
        required_one_of(policy.restart_policy(), &["NotRequired", "RestartContainer"], path, errors);
        if restart_policy == "Never" && policy.restart_policy() != "NotRequired" {
            let detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(Error::invalid(path, value(policy.restart_policy()), detail));
        }
    }
}

/// A container's own restart policy and the rules that refine it.
fn validate_restart_rules(container: Container<'_>, path: &Path<'_>, errors: &mut Errors) {
    let rules = container.restart_policy_rules();
    let policy_path = path.child("restartPolicy");
    match container.restart_policy() {
        None if rules.is_empty() => return,
        None => {
            errors.push(Error::required(&policy_path, "must specify restartPolicy when restart rules are used"));
            return;
        }
        Some(policy) => one_of(policy, &["Always", "Never", "OnFailure"], &policy_path, errors),
    }
    let list = path.child("restartPolicyRules");
    if rules.len() > 20 {
        errors.push(Error::too_many(&list, rules.len(), 20));
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = list.index(i);
        one_of(rule.action(), &["Restart", "RestartAllContainers"], &path.child("action"), errors);
        let codes_path = path.child("exitCodes");
        let Some(codes) = rule.exit_codes() else {
            errors.push(Error::required(&codes_path, "must be specified"));
            continue;
        };
        one_of(codes.operator(), &["In", "NotIn"], &codes_path.child("operator"), errors);
        if codes.values().len() > 255 {
            errors.push(Error::too_many(&codes_path.child("values"), codes.values().len(), 255));
        }
    }
}

/// The pod's own policy.
pub fn validate_restart_policy(policy: &str, path: &Path<'_>, errors: &mut Errors) {
    match policy {
        "Always" | "OnFailure" | "Never" => {}
        "" => errors.push(Error::required(path, "")),
        _ => errors.push(not_supported(policy, &["Always", "OnFailure", "Never"], path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`common`] reads an ephemeral container by a container's field numbers.
    #[test]
    fn ephemeral_containers_begin_as_containers_do() {
        let (container, ephemeral) = (Container::TYPE.get(), EphemeralContainer::TYPE.get());
        for (i, field) in container.fields.iter().enumerate() {
            assert_eq!(field.name, ephemeral.fields[i].name);
        }
        assert_eq!(container.fields.len() + 1, ephemeral.fields.len());
    }

    #[test]
    fn names_of_fields() {
        for &(field, name) in NOT_EPHEMERAL {
            assert_eq!(Container::TYPE.field(field).name, name);
        }
    }
}
