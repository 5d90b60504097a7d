//! What validation lets through: rules that came late do not hold for what breaks them in the store already.

use corten_api::field::{Errors, Path};
use corten_api::names;
use corten_views::core_v1::{NodeSelectorTerm, PodAffinityTerm, PodSpec, PodTemplateSpec};
use corten_views::meta_v1::ObjectMeta;

use super::{affinity, annotations, checks, containers, resources, security, topology};
use crate::label_selector;

/// Feature gates stand at their defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The object is a pod, not a template of some.
    pub is_pod: bool,
    pub invalid_deletion_cost: bool,
    /// Values that no label can have, in selectors of pod affinity.
    pub invalid_affinity_selectors: bool,
    /// The same in node affinity.
    pub invalid_required_node_affinity: bool,
    /// The same in topology spread constraints.
    pub invalid_spread_selectors: bool,
    /// The old object breaks today's rules for matchLabelKeys, and is held to those before them.
    pub legacy_match_label_keys: bool,
    pub indivisible_huge_pages: bool,
    pub nonlocal_token_paths: bool,
    /// Sysctls of a namespace that the pod shares with its host.
    pub host_sysctls: bool,
    pub any_selinux_change_policy: bool,
    pub comparing_tolerations: bool,
    /// Init containers that restart when they are resized.
    pub restart_on_resize_of_init: bool,
    pub user_namespace_with_devices: bool,
    pub user_namespace_on_host_network: bool,
    pub image_volume_digests: bool,
}

impl Options {
    pub fn for_pod(old: Option<(PodSpec<'_>, ObjectMeta<'_>)>) -> Options {
        Options { is_pod: true, ..Options::for_template_parts(old) }
    }

    pub fn for_template(old: Option<PodTemplateSpec<'_>>) -> Options {
        Options::for_template_parts(old.map(|template| (template.spec(), template.metadata())))
    }

    fn for_template_parts(old: Option<(PodSpec<'_>, ObjectMeta<'_>)>) -> Options {
        let Some((spec, metadata)) = old else { return Options::default() };
        let on_user_namespace = spec.host_users() == Some(false);
        let device = || containers::all(spec).any(|container| !container.volume_devices().is_empty());
        Options {
            is_pod: false,
            invalid_deletion_cost: annotations::has_invalid_deletion_cost(metadata.annotations()),
            invalid_affinity_selectors: affinity_terms(spec).any(has_invalid_selector),
            invalid_required_node_affinity: has_invalid_required_node_affinity(spec),
            invalid_spread_selectors: spec.topology_spread_constraints().iter().any(|constraint| {
                constraint.label_selector().is_some_and(|selector| !label_selector::can_select(selector))
            }),
            legacy_match_label_keys: topology::has_invalid_match_label_keys(spec),
            indivisible_huge_pages: uses_indivisible_huge_pages(spec),
            nonlocal_token_paths: has_nonlocal_token_path(spec),
            host_sysctls: security::has_host_sysctl(spec),
            any_selinux_change_policy: spec.security_context().is_some_and(|c| c.se_linux_change_policy().is_some()),
            comparing_tolerations: spec
                .tolerations()
                .iter()
                .any(|toleration| matches!(toleration.operator(), "Lt" | "Gt")),
            restart_on_resize_of_init: has_restart_on_resize_of_init(spec),
            user_namespace_with_devices: on_user_namespace && device(),
            user_namespace_on_host_network: on_user_namespace && spec.host_network(),
            image_volume_digests: false,
        }
    }
}

/// Every term of pod affinity and anti-affinity.
fn affinity_terms<'t>(spec: PodSpec<'t>) -> impl Iterator<Item = PodAffinityTerm<'t>> {
    let affinity = spec.affinity();
    let near = affinity.and_then(|affinity| affinity.pod_affinity());
    let far = affinity.and_then(|affinity| affinity.pod_anti_affinity());
    let required_near = near.map(|a| a.required_during_scheduling_ignored_during_execution());
    let preferred_near = near.map(|a| a.preferred_during_scheduling_ignored_during_execution());
    let required_far = far.map(|a| a.required_during_scheduling_ignored_during_execution());
    let preferred_far = far.map(|a| a.preferred_during_scheduling_ignored_during_execution());
    let required = required_near.into_iter().chain(required_far).flat_map(|terms| terms.iter());
    let preferred = preferred_near.into_iter().chain(preferred_far).flat_map(|terms| terms.iter());
    required.chain(preferred.map(|term| term.pod_affinity_term()))
}

fn has_invalid_selector(term: PodAffinityTerm<'_>) -> bool {
    let mut errors = Errors::default();
    affinity::validate_term_selectors(term, false, &Path::root(), &mut errors);
    !errors.is_empty()
}

fn has_invalid_required_node_affinity(spec: PodSpec<'_>) -> bool {
    let required = spec
        .affinity()
        .and_then(|affinity| affinity.node_affinity())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution());
    let invalid = |term: NodeSelectorTerm<'_>| {
        term.match_expressions()
            .iter()
            .any(|expression| expression.values().iter().any(|value| !names::is_valid_label_value(value).is_empty()))
    };
    required.is_some_and(|selector| selector.node_selector_terms().iter().any(invalid))
}

fn uses_indivisible_huge_pages(spec: PodSpec<'_>) -> bool {
    let indivisible = |(name, value): (&str, &str)| {
        resources::is_huge_pages(name) && !resources::is_whole_pages(name, &resources::quantity(value))
    };
    let of_container = |list: corten_object::tree::StringMap<'_>| list.iter().any(indivisible);
    containers::all(spec)
        .any(|container| of_container(container.resources().limits()) || of_container(container.resources().requests()))
        || of_container(spec.overhead())
}

fn has_nonlocal_token_path(spec: PodSpec<'_>) -> bool {
    let mut errors = Errors::default();
    for projected in spec.volumes().iter().filter_map(|volume| volume.projected()) {
        for token in projected.sources().iter().filter_map(|source| source.service_account_token()) {
            checks::local_nonreserved_path(token.path(), &Path::root(), &mut errors);
        }
    }
    !errors.is_empty()
}

fn has_restart_on_resize_of_init(spec: PodSpec<'_>) -> bool {
    spec.init_containers()
        .iter()
        .filter(|&container| !containers::is_restartable(container))
        .any(|container| container.resize_policy().iter().any(|policy| policy.restart_policy() == "RestartContainer"))
}
