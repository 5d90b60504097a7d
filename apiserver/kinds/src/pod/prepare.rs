//! What a write of a pod changes before it is checked.

use corten_api::time::Timestamp;
use corten_object::tree::{Edit, Id, Node, Struct, View};
use corten_schema::FieldId;
use corten_views::core_v1::{
    Affinity, Container, ContainerStatus, Lifecycle, Pod, PodAffinity, PodAffinityTerm, PodCondition, PodSpec,
    PodStatus, ProjectedVolumeSource, SecurityContext, TopologySpreadConstraint, VolumeMountStatus, VolumeProjection,
    WeightedPodAffinityTerm,
};
use corten_views::core_v1::{AppArmorProfile, Volume};
use corten_views::meta_v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};

use super::{annotations, containers, totals};

/// `now` is the time of the request.
pub fn create(pod: &mut Edit<'_>, now: Timestamp) {
    let qos = totals::qos_class(pod.view::<Pod<'_>>().spec());
    pod.remove(Pod::STATUS);
    let mut status = pod.ensure(Pod::STATUS);
    status.set(PodStatus::PHASE, "Pending");
    status.set(PodStatus::QOS_CLASS, qos);
    if !pod.view::<Pod<'_>>().spec().scheduling_gates().is_empty() {
        let mut status = pod.ensure(Pod::STATUS);
        let mut condition = status.append(PodStatus::CONDITIONS, PodCondition::TYPE);
        condition.set(PodCondition::TYPE_, "PodScheduled");
        condition.set(PodCondition::STATUS, "False");
        condition.set(PodCondition::LAST_TRANSITION_TIME, &now.format());
        condition.set(PodCondition::REASON, "SchedulingGated");
        condition.set(PodCondition::MESSAGE, "Scheduling is blocked due to non-empty scheduling gates");
    }
    let mut spec = pod.ensure(Pod::SPEC);
    drop_disabled(&mut spec, Struct::ABSENT);
    match_labels(pod);
    app_armor_fields(pod);
    finish(pod);
}

/// What admission may have set in one of two places.
pub fn finish(pod: &mut Edit<'_>) {
    if let Some(mut spec) = pod.field(Pod::SPEC) {
        super::defaults::service_account(&mut spec);
    }
}

/// Fields of features that are off, which an object that has them already keeps.
pub fn drop_disabled(spec: &mut Edit<'_>, old: Struct<'_>) {
    let old = PodSpec::from_struct(old);
    if old.scheduling_group().is_none() {
        spec.remove(PodSpec::SCHEDULING_GROUP);
    }
    let uses = |field: FieldId| {
        let sources = old.volumes().iter().filter_map(|volume| volume.projected());
        sources.flat_map(|projected| projected.sources().iter()).any(|source| source.as_struct().has(field))
    };
    for field in [VolumeProjection::CLUSTER_TRUST_BUNDLE, VolumeProjection::POD_CERTIFICATE] {
        if projections(spec.view()).any(|source| source.as_struct().has(field)) && !uses(field) {
            let ids: Vec<Id> = projections(spec.view()).filter_map(|source| source.id()).collect();
            ids.into_iter().for_each(|id| spec.at(id).remove(field));
        }
    }
    let signals = |spec: PodSpec<'_>| {
        containers::all(spec).any(|container| container.lifecycle().is_some_and(|l| l.stop_signal().is_some()))
    };
    if signals(spec.view()) && !signals(old) {
        drop_stop_signals(spec);
    }
}

fn projections<'t>(spec: PodSpec<'t>) -> impl Iterator<Item = VolumeProjection<'t>> {
    spec.volumes()
        .iter()
        .filter_map(Volume::projected)
        .flat_map(|projected: ProjectedVolumeSource<'t>| projected.sources().iter())
}

fn drop_stop_signals(spec: &mut Edit<'_>) {
    for id in container_ids(spec) {
        let mut container = spec.at(id);
        let Some(mut lifecycle) = container.field(Container::LIFECYCLE) else { continue };
        if !lifecycle.has(Lifecycle::STOP_SIGNAL) {
            continue;
        }
        lifecycle.remove(Lifecycle::STOP_SIGNAL);
        if lifecycle.read().fields().len() == 0 {
            container.remove(Container::LIFECYCLE);
        }
    }
}

/// In upstream's order of visiting.
fn container_ids(spec: &Edit<'_>) -> Vec<Id> {
    let lists = [PodSpec::INIT_CONTAINERS, PodSpec::CONTAINERS, PodSpec::EPHEMERAL_CONTAINERS];
    lists.into_iter().flat_map(|list| spec.items(list)).collect()
}

/// Fields of a status whose features are off.
pub fn drop_disabled_status(status: &mut Edit<'_>, old: PodStatus<'_>) {
    if old.node_allocatable_resource_claim_statuses().is_empty() {
        status.remove(PodStatus::NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUSES);
    }
    const LISTS: [FieldId; 3] =
        [PodStatus::CONTAINER_STATUSES, PodStatus::INIT_CONTAINER_STATUSES, PodStatus::EPHEMERAL_CONTAINER_STATUSES];
    if !uses_volume_status(old) {
        for list in LISTS {
            for id in status.items(list) {
                for id in status.at(id).items(ContainerStatus::VOLUME_MOUNTS) {
                    status.at(id).remove(VolumeMountStatus::VOLUME_STATUS);
                }
            }
        }
    }
}

pub fn uses_volume_status(status: PodStatus<'_>) -> bool {
    let lists = [status.container_statuses(), status.init_container_statuses(), status.ephemeral_container_statuses()];
    lists
        .into_iter()
        .flat_map(|list| list.iter())
        .any(|container| container.volume_mounts().iter().any(|mount| mount.volume_status().is_some()))
}

/// Keys by which a pod wants to be counted with its own kind become requirements with the pod's own values.
fn match_labels(pod: &mut Edit<'_>) {
    let labels: Vec<(String, String)> = {
        let view = pod.view::<Pod<'_>>();
        let spec = view.spec();
        let constrained = spec.topology_spread_constraints().iter().any(|c| !c.match_label_keys().is_empty());
        if spec.affinity().is_none() && !constrained {
            return;
        }
        view.metadata().labels().iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    for field in [Affinity::POD_AFFINITY, Affinity::POD_ANTI_AFFINITY] {
        let Some(mut affinity) = pod.path([Pod::SPEC, PodSpec::AFFINITY, field]) else { continue };
        for id in affinity.items(PodAffinity::PREFERRED_DURING_SCHEDULING_IGNORED_DURING_EXECUTION) {
            if let Some(mut term) = affinity.at(id).field(WeightedPodAffinityTerm::POD_AFFINITY_TERM) {
                match_term(&mut term, &labels);
            }
        }
        for id in affinity.items(PodAffinity::REQUIRED_DURING_SCHEDULING_IGNORED_DURING_EXECUTION) {
            match_term(&mut affinity.at(id), &labels);
        }
    }
    let Some(mut spec) = pod.field(Pod::SPEC) else { return };
    for id in spec.items(PodSpec::TOPOLOGY_SPREAD_CONSTRAINTS) {
        let mut constraint = spec.at(id);
        let keys = owned(constraint.view::<TopologySpreadConstraint<'_>>().match_label_keys().iter());
        if let Some(mut selector) = constraint.field(TopologySpreadConstraint::LABEL_SELECTOR) {
            require_labels(&mut selector, &keys, "In", &labels);
        }
    }
}

fn match_term(term: &mut Edit<'_>, labels: &[(String, String)]) {
    let view = term.view::<PodAffinityTerm<'_>>();
    let (keys, mismatch) = (owned(view.match_label_keys().iter()), owned(view.mismatch_label_keys().iter()));
    if let Some(mut selector) = term.field(PodAffinityTerm::LABEL_SELECTOR) {
        require_labels(&mut selector, &keys, "In", labels);
        require_labels(&mut selector, &mismatch, "NotIn", labels);
    }
}

fn owned<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<String> {
    texts.map(str::to_owned).collect()
}

/// The labels are sorted.
fn require_labels(selector: &mut Edit<'_>, keys: &[String], operator: &str, labels: &[(String, String)]) {
    for key in keys {
        let Ok(place) = labels.binary_search_by(|(label, _)| label.cmp(key)) else { continue };
        let (_, value) = &labels[place];
        let mut requirement = selector.append(LabelSelector::MATCH_EXPRESSIONS, LabelSelectorRequirement::TYPE);
        requirement.set(LabelSelectorRequirement::KEY, key);
        requirement.set(LabelSelectorRequirement::OPERATOR, operator);
        let value = requirement.tree().string(value);
        let values = requirement.tree().list(&[value]);
        requirement.put(LabelSelectorRequirement::VALUES, values);
    }
}

/// AppArmor profiles that are asked for by annotation become fields of the containers.
fn app_armor_fields(pod: &mut Edit<'_>) {
    let missing = missing_app_armor_fields(pod.view());
    for (id, kind, file) in missing {
        let mut container = pod.at(id);
        let mut profile = container.ensure_path([Container::SECURITY_CONTEXT, SecurityContext::APP_ARMOR_PROFILE]);
        profile.set(AppArmorProfile::TYPE_, kind);
        if let Some(file) = file {
            profile.set(AppArmorProfile::LOCALHOST_PROFILE, &file);
        }
    }
}

type Missing = (Id, &'static str, Option<String>);

fn missing_app_armor_fields(pod: Pod<'_>) -> Vec<Missing> {
    let mut missing = Vec::new();
    for_each_app_armor_annotation(pod, |container, _, annotation| {
        let Some((kind, file)) = valid_profile(annotation) else { return };
        if !is_pods_profile(pod.spec(), kind, file)
            && let Some(id) = container.id()
        {
            missing.push((id, kind, file.map(str::to_owned)));
        }
    });
    missing
}

/// Containers without a profile that an annotation names one for.
pub fn for_each_app_armor_annotation<'t>(pod: Pod<'t>, mut visitor: impl FnMut(Container<'t>, &str, &'t str)) {
    let annotated = pod.metadata().annotations();
    let windows = pod.spec().os().is_some_and(|os| os.name() == "windows");
    if windows || !annotated.iter().any(|(key, _)| key.starts_with(annotations::APP_ARMOR_PREFIX)) {
        return;
    }
    for container in containers::all(pod.spec()) {
        let key = format!("{}{}", annotations::APP_ARMOR_PREFIX, container.name());
        let own = container.security_context().and_then(|context| context.app_armor_profile());
        if let Some(annotation) = annotated.get(&key).filter(|_| own.is_none()) {
            visitor(container, &key, annotation);
        }
    }
}

/// A profile that would be taken as a field.
pub fn valid_profile(annotation: &str) -> Option<(&'static str, Option<&str>)> {
    annotations::app_armor_profile(annotation)
        .filter(|(_, file)| file.is_none_or(|file| file.trim() == file && file.len() <= 4095))
}

pub fn is_pods_profile(spec: PodSpec<'_>, kind: &str, file: Option<&str>) -> bool {
    let own = spec.security_context().and_then(|context| context.app_armor_profile());
    own.is_some_and(|own| own.type_() == kind && own.localhost_profile() == file)
}

/// Puts a whole part of the object back to what it was.
pub fn restore(edit: &mut Edit<'_>, field: FieldId, old: Node<'_>) {
    crate::access::put_back(edit, old.as_struct(), field);
}

/// An update through the pod itself.
pub fn update(pod: &mut Edit<'_>, old: Node<'_>) {
    restore(pod, Pod::STATUS, old);
    let old_spec = old.as_struct().structure(Pod::SPEC);
    let mut spec = pod.ensure(Pod::SPEC);
    drop_disabled(&mut spec, old_spec);
    finish(pod);
}

/// Metadata that a write through a subresource leaves alone: all but managedFields.
pub fn restore_metadata(pod: &mut Edit<'_>, old: Node<'_>) {
    let old = old.as_struct().structure(Pod::METADATA);
    let mut metadata = pod.ensure(Pod::METADATA);
    for field in [
        ObjectMeta::DELETION_TIMESTAMP,
        ObjectMeta::GENERATION,
        ObjectMeta::SELF_LINK,
        ObjectMeta::LABELS,
        ObjectMeta::ANNOTATIONS,
        ObjectMeta::FINALIZERS,
        ObjectMeta::OWNER_REFERENCES,
    ] {
        crate::access::put_back(&mut metadata, old, field);
    }
}
