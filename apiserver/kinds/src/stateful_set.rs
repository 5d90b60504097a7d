//! StatefulSet.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::{Seen, come_again};
use corten_object::tree::{Edit, Node, Tree, View};
use corten_schema::FieldId;
use corten_views::apps_v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use corten_views::core_v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, PersistentVolumeClaimVolumeSource,
    PodSpec, PodTemplateSpec, Volume, VolumeResourceRequirements,
};

use crate::access::{bad_field, put_back, same, view};
use crate::label_selector::{self, Leniency};
use crate::object_meta::{invalid_each, validate_annotations, validate_labels, validate_nonnegative};
use crate::pod::claim_template::{self, ClaimLeniency};
use crate::pod::{Options, annotations, defaults, internal, warnings};
use crate::pod_template;
use crate::rolling_update::{amount, shown, validate_at_most_all, validate_int_or_percent};
use crate::strategy::{Context, MetadataRun, Strategy};
use crate::workload_status::{StatusOf, nothing_else, validate_available, validate_collision_count, validate_counts};

const SPEC: Path<'static> = Path::new("spec");

pub struct StatefulSets;

static STATUS: StatusOf = StatusOf {
    kind: &StatefulSets,
    spec: StatefulSet::SPEC,
    validate: validate_status,
    metadata: &[MetadataRun::Change],
    carry: nothing_else,
};

/// What an update leaves unchecked, because it cannot change or was wrong before.
#[derive(Clone, Copy, Default)]
struct Unchecked {
    service_name: bool,
    claims: bool,
    template: bool,
}

impl Strategy for StatefulSets {
    fn show_empty(&self, object: &mut Edit<'_>) {
        object.ensure(StatefulSet::SPEC).set(StatefulSetSpec::REPLICAS, 0i64);
    }

    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        let mut spec = object.ensure(StatefulSet::SPEC);
        default_spec(&mut spec);
        for id in spec.items(StatefulSetSpec::VOLUME_CLAIM_TEMPLATES) {
            default_claim(&mut spec.at(id));
        }
        pod_template::default(&mut spec.ensure(StatefulSetSpec::TEMPLATE));
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        object.remove(StatefulSet::STATUS);
        object.ensure(StatefulSet::STATUS);
        drop_max_unavailable(object, None);
        pod_template::drop_disabled(&mut object.ensure_path([StatefulSet::SPEC, StatefulSetSpec::TEMPLATE]), None);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: Node<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), StatefulSet::STATUS);
        let old: StatefulSet<'_> = view(old);
        drop_max_unavailable(object, Some(old));
        let mut template = object.ensure_path([StatefulSet::SPEC, StatefulSetSpec::TEMPLATE]);
        pod_template::drop_disabled(&mut template, Some(old.spec().template()));
    }

    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let spec = view::<StatefulSet<'_>>(object).spec();
        validate_spec(spec, &Options::for_template(None), Unchecked::default(), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let (new, old) = (view::<StatefulSet<'_>>(object).spec(), view::<StatefulSet<'_>>(old).spec());
        let options = Options::for_template(Some(old.template()));
        let mut unchecked = Unchecked { service_name: true, claims: true, template: false };
        let mut before = Errors::default();
        validate_spec(old, &options, unchecked, &mut before);
        unchecked.template = !before.is_empty();
        let mut errors = Errors::default();
        validate_spec(new, &options, unchecked, &mut errors);
        let fields = (0..StatefulSetSpec::TYPE.get().fields.len()).map(|i| FieldId(i as u16));
        if fields.filter(|field| !CHANGEABLE.contains(field)).any(|field| !same(new, old, field)) {
            let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
            errors.push(Error::forbidden(&SPEC, detail));
        }
        errors
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let spec = view::<StatefulSet<'_>>(object).spec();
        let mut out = pod_template::warnings(spec.template(), &SPEC.child("template"));
        warn_claims(spec, "", &mut out);
        out
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let spec = view::<StatefulSet<'_>>(object).spec();
        let mut out = match self.generation_changes(object, old) {
            true => pod_template::warnings(spec.template(), &SPEC.child("template")),
            false => Vec::new(),
        };
        warn_claims(spec, ".Spec", &mut out);
        out
    }

    fn name_errors(&self, name: &str, prefix: bool) -> Vec<String> {
        names::name_is_dns_label(name, prefix)
    }

    fn generation_changes(&self, object: Node<'_>, old: Node<'_>) -> bool {
        !same(view::<StatefulSet<'_>>(object), view::<StatefulSet<'_>>(old), StatefulSet::SPEC)
    }

    fn keeps_generation(&self) -> bool {
        true
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        (name == "status").then_some(&STATUS)
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

const CHANGEABLE: &[FieldId] = &[
    StatefulSetSpec::REPLICAS,
    StatefulSetSpec::TEMPLATE,
    StatefulSetSpec::UPDATE_STRATEGY,
    StatefulSetSpec::MIN_READY_SECONDS,
    StatefulSetSpec::ORDINALS,
    StatefulSetSpec::REVISION_HISTORY_LIMIT,
    StatefulSetSpec::PERSISTENT_VOLUME_CLAIM_RETENTION_POLICY,
];

fn default_spec(spec: &mut Edit<'_>) {
    spec.default(StatefulSetSpec::POD_MANAGEMENT_POLICY, "OrderedReady");
    let mut strategy = spec.ensure(StatefulSetSpec::UPDATE_STRATEGY);
    if !strategy.has(StatefulSetUpdateStrategy::TYPE_) {
        strategy.set(StatefulSetUpdateStrategy::TYPE_, "RollingUpdate");
        strategy.ensure(StatefulSetUpdateStrategy::ROLLING_UPDATE);
    }
    let rolls = strategy.view::<StatefulSetUpdateStrategy<'_>>().type_() == "RollingUpdate";
    if let Some(mut rolling) = strategy.field(StatefulSetUpdateStrategy::ROLLING_UPDATE).filter(|_| rolls) {
        rolling.default(RollingUpdateStatefulSetStrategy::PARTITION, 0i64);
    }
    type Retention<'t> = StatefulSetPersistentVolumeClaimRetentionPolicy<'t>;
    let mut retention = spec.ensure(StatefulSetSpec::PERSISTENT_VOLUME_CLAIM_RETENTION_POLICY);
    retention.default(Retention::WHEN_DELETED, "Retain");
    retention.default(Retention::WHEN_SCALED, "Retain");
    spec.default(StatefulSetSpec::REPLICAS, 1i64);
    spec.default(StatefulSetSpec::REVISION_HISTORY_LIMIT, 10i64);
}

/// Templates of claims say what they are, as they always did.
fn default_claim(claim: &mut Edit<'_>) {
    claim.set(PersistentVolumeClaim::API_VERSION, "v1");
    claim.set(PersistentVolumeClaim::KIND, "PersistentVolumeClaim");
    claim.ensure(PersistentVolumeClaim::STATUS).default(PersistentVolumeClaimStatus::PHASE, "Pending");
    let mut spec = claim.ensure(PersistentVolumeClaim::SPEC);
    spec.default(PersistentVolumeClaimSpec::VOLUME_MODE, "Filesystem");
    if let Some(mut resources) = spec.field(PersistentVolumeClaimSpec::RESOURCES) {
        defaults::round_amounts(&mut resources, VolumeResourceRequirements::LIMITS);
        defaults::round_amounts(&mut resources, VolumeResourceRequirements::REQUESTS);
    }
}

/// maxUnavailable belongs to a feature that is off.
fn drop_max_unavailable(object: &mut Edit<'_>, old: Option<StatefulSet<'_>>) {
    let of_old = old.and_then(|old| old.spec().update_strategy().rolling_update());
    if of_old.is_some_and(|rolling| rolling.max_unavailable().is_some()) {
        return;
    }
    let rolling = [StatefulSet::SPEC, StatefulSetSpec::UPDATE_STRATEGY, StatefulSetUpdateStrategy::ROLLING_UPDATE];
    if let Some(mut rolling) = object.path(rolling) {
        rolling.remove(RollingUpdateStatefulSetStrategy::MAX_UNAVAILABLE);
    }
}

fn validate_spec(spec: StatefulSetSpec<'_>, options: &Options, unchecked: Unchecked, errors: &mut Errors) {
    let path = SPEC.child("podManagementPolicy");
    match spec.pod_management_policy() {
        "OrderedReady" | "Parallel" => {}
        "" => errors.push(Error::required(&path, "")),
        other => {
            let detail = "must be 'OrderedReady' or 'Parallel'";
            errors.push(Error::invalid(&path, BadValue::typed(other), detail));
        }
    }
    validate_strategy(spec.update_strategy(), &SPEC.child("updateStrategy"), errors);
    if let Some(retention) = spec.persistent_volume_claim_retention_policy() {
        let path = SPEC.child("persistentVolumeClaimRetentionPolicy");
        for (policy, field) in [(retention.when_deleted(), "whenDeleted"), (retention.when_scaled(), "whenScaled")] {
            let supported = &["Retain", "Delete"];
            if !supported.contains(&policy) {
                errors.push(Error::not_supported(&path.child(field), BadValue::typed(policy), supported));
            }
        }
    }
    if !unchecked.claims {
        let list = SPEC.child("volumeClaimTemplates");
        for (i, claim) in spec.volume_claim_templates().iter().enumerate() {
            claim_template::validate_spec(claim.spec(), ClaimLeniency::default(), &list.index(i).child("spec"), errors);
        }
    }
    validate_nonnegative(spec.replicas().unwrap_or(0), &SPEC.child("replicas"), errors);
    validate_nonnegative(spec.min_ready_seconds(), &SPEC.child("minReadySeconds"), errors);
    if let Some(ordinals) = spec.ordinals() {
        validate_nonnegative(ordinals.start(), &SPEC.child("ordinals.start"), errors);
    }
    let service = spec.service_name();
    if !unchecked.service_name && !service.is_empty() {
        invalid_each(names::is_dns1123_label(service), service, &SPEC.child("serviceName"), errors);
    }
    validate_selector(spec, options, unchecked, errors);
    pod_template::validate_runs_always(spec.template(), "StatefulSet", &SPEC.child("template"), errors);
}

fn validate_strategy(strategy: StatefulSetUpdateStrategy<'_>, path: &Path<'_>, errors: &mut Errors) {
    let rolling_path = path.child("rollingUpdate");
    match (strategy.type_(), strategy.rolling_update()) {
        ("", _) => errors.push(Error::required(path, "")),
        ("OnDelete" | "RollingUpdate", None) => {}
        ("OnDelete", Some(rolling)) => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            errors.push(Error::invalid(&rolling_path, internal::bad_value(rolling), detail));
        }
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &rolling_path, errors),
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            errors.push(Error::invalid(path, internal::bad_value(strategy), detail));
        }
    }
}

fn validate_rolling(rolling: RollingUpdateStatefulSetStrategy<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_nonnegative(rolling.partition().unwrap_or(0), &path.child("partition"), errors);
    if let Some(unavailable) = rolling.max_unavailable() {
        let path = path.child("maxUnavailable");
        validate_int_or_percent(unavailable, &path, errors);
        if amount(unavailable) == 0 {
            errors.push(Error::invalid(&path, shown(unavailable), "cannot be 0"));
        }
        validate_at_most_all(unavailable, &path, errors);
    }
}

fn validate_selector(spec: StatefulSetSpec<'_>, options: &Options, unchecked: Unchecked, errors: &mut Errors) {
    let path = SPEC.child("selector");
    match spec.selector() {
        None => errors.push(Error::required(&path, "")),
        Some(selector) => {
            label_selector::validate(selector, Leniency::default(), &path, errors);
            if label_selector::is_empty(selector) {
                let value = bad_field(spec, StatefulSetSpec::SELECTOR);
                errors.push(Error::invalid(&path, value, "empty selector is invalid for statefulset"));
            }
        }
    }
    let Some(selector) = pod_template::as_selector(spec.selector()) else {
        errors.push(Error::invalid(&path, bad_field(spec, StatefulSetSpec::SELECTOR), ""));
        return;
    };
    let path = SPEC.child("template");
    let labels = spec.template().metadata().labels();
    if !selector.is_everything() && !selector.matches(|key| labels.get(key)) {
        errors.push(pod_template::does_not_match(spec.template(), &path));
    }
    let made = as_pods_get_it(spec);
    let template = made.as_ref().map_or(spec.template(), |tree| tree.view());
    if !unchecked.template {
        pod_template::validate(template, options, &path, errors);
    }
    // Upstream asks these twice, and so each is blamed twice.
    let metadata = template.metadata();
    let annotations_path = path.child("annotations");
    validate_labels(metadata.labels(), &path.child("labels"), errors);
    validate_annotations(metadata.annotations(), &annotations_path, errors);
    annotations::validate(metadata.annotations(), template.spec(), options, &annotations_path, errors);
}

/// The controller sets names, and volumes for the claims: what it overwrites is not checked.
fn as_pods_get_it(spec: StatefulSetSpec<'_>) -> Option<Tree> {
    let pod = spec.template().spec();
    let claims = spec.volume_claim_templates();
    if pod.subdomain().is_empty() && pod.hostname().is_empty() && claims.is_empty() {
        return None;
    }
    let mut tree = Tree::new();
    let root = tree.import(spec.template().as_struct().as_node()?);
    tree.set_root(root);
    let mut template = tree.edit();
    let mut pod = template.ensure(PodTemplateSpec::SPEC);
    pod.remove(PodSpec::SUBDOMAIN);
    pod.remove(PodSpec::HOSTNAME);
    if claims.is_empty() {
        return Some(tree);
    }
    let names = claims.iter().map(|claim| claim.metadata().name());
    let is_claim: Seen<&str> = names.clone().collect();
    let kept: Vec<_> = pod
        .items(PodSpec::VOLUMES)
        .into_iter()
        .filter(|&id| !is_claim.contains(pod.at(id).view::<Volume<'_>>().name()))
        .collect();
    pod.remove(PodSpec::VOLUMES);
    for (name, _) in names.clone().zip(come_again(names)).filter(|(_, again)| !again) {
        let mut volume = pod.append(PodSpec::VOLUMES, Volume::TYPE);
        volume.set(Volume::NAME, name);
        volume.ensure(Volume::PERSISTENT_VOLUME_CLAIM).set(PersistentVolumeClaimVolumeSource::CLAIM_NAME, name);
    }
    let list = pod.ensure(PodSpec::VOLUMES).id();
    kept.into_iter().for_each(|id| pod.tree().push_item(list, id));
    Some(tree)
}

fn warn_claims(spec: StatefulSetSpec<'_>, suffix: &str, out: &mut Vec<String>) {
    for (i, claim) in spec.volume_claim_templates().iter().enumerate() {
        let path = format!("spec.volumeClaimTemplates[{i}]{suffix}.resources");
        let path = Path::new(&path);
        let resources = claim.spec().resources();
        for (list, name) in [(resources.requests(), "requests"), (resources.limits(), "limits")] {
            warnings::for_fraction(list.get("storage"), &path.child(name).key("storage"), out);
        }
    }
    if spec.revision_history_limit().is_some_and(|limit| limit < 0) {
        let warning =
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended";
        out.push(warning.to_owned());
    }
}

fn validate_status(object: Node<'_>, old: Node<'_>, errors: &mut Errors) {
    let (status, old) = (view::<StatefulSet<'_>>(object).status(), view::<StatefulSet<'_>>(old).status());
    let parts = [
        (status.ready_replicas(), "readyReplicas"),
        (status.current_replicas(), "currentReplicas"),
        (status.updated_replicas(), "updatedReplicas"),
        (status.available_replicas(), "availableReplicas"),
    ];
    let mut counts = vec![(status.replicas(), "replicas")];
    counts.extend(parts);
    counts.push((status.observed_generation(), "observedGeneration"));
    counts.extend(status.collision_count().map(|count| (count, "collisionCount")));
    validate_counts(&counts, &parts, status.replicas(), errors);
    validate_available(status.available_replicas(), status.ready_replicas(), "status.readyReplicas", errors);
    validate_collision_count(status.collision_count(), old.collision_count(), errors);
}
