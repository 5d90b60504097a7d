//! What is taken, but is probably not what was meant.

use std::collections::HashMap;
use std::collections::HashSet;

use corten_api::field::{Path, quote};
use corten_api::names;
use corten_object::tree::Items;
use corten_views::core_v1::{
    Container, ContainerPort, Pod, PodAffinityTerm, PodSpec, PodTemplateSpec, Volume, WeightedPodAffinityTerm,
};
use corten_views::meta_v1::ObjectMeta;

use super::resources::quantity;
use super::{annotations, containers, overlaps, prepare};
use crate::node_labels::{deprecation, warnings_for_node_term};

const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const APP_ARMOR: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";
const OLD_ANNOTATIONS: &[(&str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

/// Of a pod, with those that upstream gives while it prepares one.
pub fn for_pod(pod: Pod<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let name = pod.metadata().name();
    let wrong = names::is_dns1123_label(name);
    if !wrong.is_empty() {
        let wrong = wrong.join(" ");
        out.push(format!("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{wrong}]"));
    }
    for_spec(pod.spec(), pod.metadata(), None, &mut out);
    out
}

/// Of annotations for AppArmor, which by now have become fields: so this looks at the pod as it was sent.
pub fn for_app_armor(pod: Pod<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let path = Path::new("metadata.annotations");
    prepare::for_each_app_armor_annotation(pod, |_, key, annotation| {
        let taken = prepare::valid_profile(annotation);
        if !taken.is_some_and(|(kind, file)| prepare::is_pods_profile(pod.spec(), kind, file)) {
            out.push(format!("{}: {APP_ARMOR}", path.key(key)));
        }
    });
    out
}

/// Of a template at `path`.
pub fn for_template(template: PodTemplateSpec<'_>, path: &Path<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for_spec(template.spec(), template.metadata(), Some(path), &mut out);
    out
}

fn for_spec(spec: PodSpec<'_>, metadata: ObjectMeta<'_>, template: Option<&Path<'_>>, out: &mut Vec<String>) {
    let root = Path::root();
    let base = template.unwrap_or(&root);
    let path = base.child("spec");
    for_nodes(spec, &path, out);
    let annotated = base.child("metadata.annotations");
    for (key, message) in OLD_ANNOTATIONS {
        if metadata.annotations().contains_key(key) {
            out.push(format!("{}: {message}", annotated.key(key)));
        }
    }
    let list = path.child("volumes");
    for (i, volume) in spec.volumes().iter().enumerate() {
        for_volume(volume, &list.index(i), out);
    }
    overlaps::find(spec.volumes(), out);
    for_repeated(spec, &path, out);
    for name in ["memory", "ephemeral-storage"] {
        for_fraction(spec.overhead().get(name), &path.child("overhead").key(name), out);
    }
    let seccomp = spec.security_context().is_some_and(|context| context.seccomp_profile().is_some());
    if !seccomp && metadata.annotations().contains_key(annotations::SECCOMP_POD) {
        out.push(format!("{}: {SECCOMP}", annotated.key(annotations::SECCOMP_POD)));
    }
    containers::visit(spec, &path, |container, path| {
        for_container_annotations(container, spec, metadata, template.is_some(), &annotated, out);
        for_container(container, path, out);
    });
    for_ports(spec, &path, out);
    if spec.termination_grace_period_seconds().is_some_and(|seconds| seconds < 0) {
        let path = path.child("terminationGracePeriodSeconds");
        out.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    for_pod_affinity(spec, &path, out);
    if let Some(config) = spec.dns_config() {
        let list = path.child("dnsConfig.nameservers");
        for (i, server) in config.nameservers().iter().enumerate() {
            out.extend(names::warnings_for_ip(&list.index(i), server));
        }
    }
    let list = path.child("hostAliases");
    for (i, alias) in spec.host_aliases().iter().enumerate() {
        out.extend(names::warnings_for_ip(&list.index(i).child("ip"), alias.ip()));
    }
}

fn for_nodes(spec: PodSpec<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    let selector = path.child("nodeSelector");
    for (key, _) in spec.node_selector().iter() {
        if let Some(message) = deprecation(key) {
            out.push(format!("{}: {message}", selector.key(key)));
        }
    }
    if let Some(affinity) = spec.affinity().and_then(|affinity| affinity.node_affinity()) {
        let list = path.child("affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        let required = affinity.required_during_scheduling_ignored_during_execution();
        for (i, term) in required.iter().flat_map(|selector| selector.node_selector_terms().iter()).enumerate() {
            warnings_for_node_term(term, false, &list.index(i), out);
        }
        let list = path.child("affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution");
        for (i, term) in affinity.preferred_during_scheduling_ignored_during_execution().iter().enumerate() {
            warnings_for_node_term(term.preference(), true, &list.index(i).child("preference"), out);
        }
    }
    let list = path.child("topologySpreadConstraints");
    for (i, constraint) in spec.topology_spread_constraints().iter().enumerate() {
        let key = constraint.topology_key();
        if let Some(message) = deprecation(key) {
            out.push(format!("{}: {key} is {message}", list.index(i).child("topologyKey")));
        }
        if constraint.label_selector().is_none() {
            out.push(format!("{}: {NO_SELECTOR}", list.index(i).child("labelSelector")));
        }
    }
}

fn for_volume(volume: Volume<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    let old = [
        (
            volume.photon_persistent_disk().is_some(),
            "photonPersistentDisk",
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        (volume.git_repo().is_some(), "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
        (volume.scale_io().is_some(), "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        (volume.flocker().is_some(), "flocker", "deprecated in v1.22, non-functional in v1.25+"),
        (volume.storageos().is_some(), "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
        (volume.quobyte().is_some(), "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
        (volume.glusterfs().is_some(), "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ];
    for (_, field, message) in old.iter().filter(|(set, _, _)| *set) {
        out.push(format!("{}: {message}", path.child(field)));
    }
    if let Some(template) = volume.ephemeral().and_then(|ephemeral| ephemeral.volume_claim_template()) {
        let path = path.child("ephemeral.volumeClaimTemplate.spec.resources");
        let own = template.spec().resources();
        for (list, name) in [(own.requests(), "requests"), (own.limits(), "limits")] {
            for_fraction(list.get("storage"), &path.child(name).key("storage"), out);
        }
    }
    let message = "deprecated in v1.28, non-functional in v1.31+";
    for (_, field) in
        [(volume.cephfs().is_some(), "cephfs"), (volume.rbd().is_some(), "rbd")].iter().filter(|(set, _)| *set)
    {
        out.push(format!("{}: {message}", path.child(field)));
    }
}

/// Parts of a byte.
pub fn for_fraction(amount: Option<&str>, path: &Path<'_>, out: &mut Vec<String>) {
    if let Some(amount) = amount.map(quantity).filter(|amount| amount.milli_value() % 1000 != 0) {
        let amount = quote(&amount.to_string());
        out.push(format!("{path}: fractional byte value {amount} is invalid, must be an integer"));
    }
}

fn for_repeated(spec: PodSpec<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    let list = path.child("hostAliases");
    let mut seen = HashSet::new();
    for (i, alias) in spec.host_aliases().iter().enumerate() {
        if !seen.insert(alias.ip()) {
            out.push(format!("{}: duplicate ip {}", list.index(i).child("ip"), quote(alias.ip())));
        }
    }
    let list = path.child("imagePullSecrets");
    let mut seen = HashSet::new();
    for (i, secret) in spec.image_pull_secrets().iter().enumerate() {
        if !seen.insert(secret.name()) {
            out.push(format!("{}: duplicate name {}", list.index(i).child("name"), quote(secret.name())));
        }
    }
    for (i, _) in spec.image_pull_secrets().iter().enumerate().filter(|(_, secret)| secret.name().is_empty()) {
        out.push(format!("{}: invalid empty name \"\"", list.index(i).child("name")));
    }
}

fn for_container_annotations(
    container: Container<'_>,
    spec: PodSpec<'_>,
    metadata: ObjectMeta<'_>,
    template: bool,
    annotated: &Path<'_>,
    out: &mut Vec<String>,
) {
    if metadata.annotations().is_empty() {
        return;
    }
    let context = container.security_context();
    let key = format!("{}{}", annotations::SECCOMP_PREFIX, container.name());
    let seccomp = context.is_some_and(|context| context.seccomp_profile().is_some());
    if !seccomp && metadata.annotations().contains_key(&key) {
        out.push(format!("{}: {SECCOMP}", annotated.key(&key)));
    }
    let key = format!("{}{}", annotations::APP_ARMOR_PREFIX, container.name());
    let app_armor = context.is_some_and(|context| context.app_armor_profile().is_some());
    if let Some(annotation) = metadata.annotations().get(&key).filter(|_| template && !app_armor) {
        let said = annotations::app_armor_profile(annotation);
        if !said.is_some_and(|(kind, file)| prepare::is_pods_profile(spec, kind, file)) {
            out.push(format!("{}: {APP_ARMOR}", annotated.key(&key)));
        }
    }
}

fn for_container(container: Container<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    let own = container.resources();
    let resources = path.child("resources");
    for name in ["memory", "ephemeral-storage"] {
        for (list, field) in [(own.limits(), "limits"), (own.requests(), "requests")] {
            for_fraction(list.get(name), &resources.child(field).key(name), out);
        }
    }
    if container.env().len() < 2 {
        return;
    }
    let list = path.child("env");
    let mut seen = HashSet::new();
    for (i, var) in container.env().iter().enumerate() {
        if seen.insert(var.name()) {
            continue;
        }
        // A later definition is fine where it builds on the one before it.
        let reference = format!("$({})", var.name());
        let builds = var.value_from().is_none() && var.value() != reference && var.value().contains(&reference);
        if !builds {
            let name = quote(var.name());
            let path = list.index(i);
            out.push(format!("{path}: hides previous definition of {name}, which may be dropped when using apply"));
        }
    }
}

/// How many more warnings of a kind are worth making. Of all warnings of an answer clients see some 4 KiB, or the first
/// 256 characters of each where they are longer.
#[derive(Default)]
pub struct Room {
    count: usize,
    text: usize,
}

impl Room {
    pub fn is_left(&self) -> bool {
        self.count < 16 || self.count < 1000 && self.text < 64 * 1024
    }

    pub fn push(&mut self, warning: String, out: &mut Vec<String>) {
        self.count += 1;
        self.text += warning.len();
        out.push(warning);
    }
}

/// The ports of one number and protocol.
#[derive(Default)]
struct SamePorts<'t> {
    all: Vec<(String, ContainerPort<'t>)>,
    /// Those without a host port, and the others by it, and by it and their address; not before they are many.
    without: Vec<usize>,
    by_host_port: HashMap<i64, Vec<usize>>,
    by_address: HashMap<(i64, &'t str), Vec<usize>>,
}

impl<'t> SamePorts<'t> {
    const FEW: usize = 16;

    /// The ports that clash with another one.
    fn clashing(&self, port: ContainerPort<'t>) -> Vec<usize> {
        let (address, outside) = (port.host_ip(), port.host_port());
        if self.all.len() <= Self::FEW || outside == 0 {
            return (0..self.all.len()).filter(|&i| clash(port, self.all[i].1).is_some()).collect();
        }
        let at_address = |address| self.by_address.get(&(outside, address)).into_iter().flatten();
        let mut found = self.without.clone();
        if address.is_empty() {
            found.extend(self.by_host_port.get(&outside).into_iter().flatten());
        } else {
            found.extend(at_address(address).chain(at_address("")));
        }
        found.sort_unstable();
        found
    }

    fn add(&mut self, path: String, port: ContainerPort<'t>) {
        self.all.push((path, port));
        let count = self.all.len();
        if count > Self::FEW {
            let first = if count == Self::FEW + 1 { 0 } else { count - 1 };
            (first..count).for_each(|i| self.index(i));
        }
    }

    fn index(&mut self, i: usize) {
        let port = self.all[i].1;
        match port.host_port() {
            0 => self.without.push(i),
            outside => {
                self.by_host_port.entry(outside).or_default().push(i);
                self.by_address.entry((outside, port.host_ip())).or_default().push(i);
            }
        }
    }
}

fn for_ports(spec: PodSpec<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    let mut seen: HashMap<(i64, &str), SamePorts<'_>> = HashMap::new();
    let mut room = Room::default();
    containers::visit(spec, path, |container, path| {
        let list = path.child("ports");
        for (i, port) in container.ports().iter().enumerate() {
            let path = list.index(i);
            if !port.host_ip().is_empty() && port.host_port() == 0 {
                out.push(format!("{path}: hostIP set without hostPort: {}", go_port(port)));
            }
            if !room.is_left() {
                continue;
            }
            let others = seen.entry((port.container_port(), port.protocol())).or_default();
            for other in others.clashing(port) {
                let (other_path, other) = &others.all[other];
                if let Some(what) = clash(port, *other).filter(|_| room.is_left()) {
                    room.push(format!("{path}: {what} port definition with {other_path}"), out);
                }
            }
            others.add(path.to_string(), port);
        }
    });
    let mut named: HashMap<&str, String> = HashMap::new();
    containers::visit(spec, path, |container, path| {
        let list = path.child("ports");
        for (i, port) in container.ports().iter().enumerate().filter(|(_, port)| !port.name().is_empty()) {
            let path = list.index(i);
            match named.get(port.name()) {
                Some(other) => {
                    let name = quote(port.name());
                    out.push(format!("{path}: duplicate port name {name} with {other}, services and probes that select ports by name will use {other}"));
                }
                None => _ = named.insert(port.name(), path.to_string()),
            }
        }
    });
}

fn clash(port: ContainerPort<'_>, other: ContainerPort<'_>) -> Option<&'static str> {
    let (outside, other_outside) = (port.host_port(), other.host_port());
    if (port.host_ip(), outside) == (other.host_ip(), other_outside) {
        Some("duplicate")
    } else if outside == 0 || other_outside == 0 {
        Some("overlapping")
    } else if outside == other_outside && port.host_ip().is_empty() != other.host_ip().is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

/// Go's `%+v`.
fn go_port(port: ContainerPort<'_>) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.name(),
        port.host_port(),
        port.container_port(),
        port.protocol(),
        port.host_ip()
    )
}

fn for_pod_affinity(spec: PodSpec<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    let Some(affinity) = spec.affinity() else { return };
    type Terms<'t> = (Items<'t, PodAffinityTerm<'t>>, Items<'t, WeightedPodAffinityTerm<'t>>);
    let mut check = |(required, preferred): Terms<'_>, path: Path<'_>| {
        let list = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        for (i, _) in required.iter().enumerate().filter(|(_, term)| term.label_selector().is_none()) {
            out.push(format!("{}: {NO_SELECTOR}", list.index(i).child("labelSelector")));
        }
        let list = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        let without = |term: WeightedPodAffinityTerm<'_>| term.pod_affinity_term().label_selector().is_none();
        for (i, _) in preferred.iter().enumerate().filter(|(_, term)| without(*term)) {
            out.push(format!("{}: {NO_SELECTOR}", list.index(i).child("podAffinityTerm.labelSelector")));
        }
    };
    if let Some(near) = affinity.pod_affinity() {
        let terms = (
            near.required_during_scheduling_ignored_during_execution(),
            near.preferred_during_scheduling_ignored_during_execution(),
        );
        check(terms, path.child("affinity.podAffinity"));
    }
    if let Some(far) = affinity.pod_anti_affinity() {
        let terms = (
            far.required_during_scheduling_ignored_during_execution(),
            far.preferred_during_scheduling_ignored_during_execution(),
        );
        check(terms, path.child("affinity.podAntiAffinity"));
    }
}
