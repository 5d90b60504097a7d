//! What is set where nothing is said, in pods and in the specs of their templates. The tables' plain defaults know one
//! kind's paths at a time; a pod's spec stands in many kinds, and half its defaults depend on other fields.

use std::collections::BTreeMap;

use corten_object::tree::{Edit, Id, View};
use corten_schema::FieldId;
use corten_views::core_v1::{
    AzureDiskVolumeSource, ConfigMapVolumeSource, Container, ContainerPort, ContainerStatus, DownwardAPIProjection,
    DownwardAPIVolumeFile, DownwardAPIVolumeSource, EnvVar, EnvVarSource, EphemeralVolumeSource, FileKeySelector,
    GRPCAction, HTTPGetAction, HostPathVolumeSource, ISCSIVolumeSource, ImageVolumeSource, Lifecycle, LifecycleHandler,
    ObjectFieldSelector, PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate, Pod, PodIP, PodSpec, PodStatus,
    Probe, ProjectedVolumeSource, RBDVolumeSource, ResourceRequirements, ScaleIOVolumeSource, SecretVolumeSource,
    ServiceAccountTokenProjection, Volume, VolumeProjection, VolumeResourceRequirements,
};
use corten_views::meta_v1::ObjectMeta;

use super::image_reference::is_latest;
use super::resources::{is_huge_pages, is_overcommit_allowed, is_pod_level, quantity};
use super::{annotations, totals};

const FILE_MODE: i64 = 0o644;

/// Of a pod, also of one that was read from storage.
pub fn pod(pod: &mut Edit<'_>) {
    if let Some(mut metadata) = pod.field(Pod::METADATA) {
        drop_annotations(&mut metadata);
    }
    let mut spec = pod.ensure(Pod::SPEC);
    for list in [PodSpec::CONTAINERS, PodSpec::INIT_CONTAINERS] {
        for id in spec.items(list) {
            requests_from_limits(&mut spec.at(id));
        }
    }
    pod_level_resources(&mut spec);
    spec.default(PodSpec::ENABLE_SERVICE_LINKS, true);
    if spec.view::<PodSpec<'_>>().host_network() {
        host_ports(&mut spec, PodSpec::CONTAINERS);
        host_ports(&mut spec, PodSpec::INIT_CONTAINERS);
    }
    self::spec(&mut spec);
    if spec.view::<PodSpec<'_>>().termination_grace_period_seconds().is_some_and(|seconds| seconds < 0) {
        spec.set(PodSpec::TERMINATION_GRACE_PERIOD_SECONDS, 1i64);
    }
    if let Some(mut status) = pod.field(Pod::STATUS) {
        self::status(&mut status);
    }
}

/// Of a template's metadata.
pub fn drop_annotations(metadata: &mut Edit<'_>) {
    let Some(mut map) = metadata.field(ObjectMeta::ANNOTATIONS) else { return };
    let id = map.id();
    for key in annotations::INIT_CONTAINERS {
        map.tree().remove_key(id, key);
    }
}

/// Of the spec of a pod or of a template.
pub fn spec(spec: &mut Edit<'_>) {
    service_account(spec);
    spec.default(PodSpec::DNS_POLICY, "ClusterFirst");
    spec.default(PodSpec::RESTART_POLICY, "Always");
    spec.ensure(PodSpec::SECURITY_CONTEXT);
    spec.default(PodSpec::TERMINATION_GRACE_PERIOD_SECONDS, 30i64);
    spec.default(PodSpec::SCHEDULER_NAME, "default-scheduler");
    for id in spec.items(PodSpec::VOLUMES) {
        volume(&mut spec.at(id));
    }
    for list in [PodSpec::INIT_CONTAINERS, PodSpec::CONTAINERS, PodSpec::EPHEMERAL_CONTAINERS] {
        for id in spec.items(list) {
            container(&mut spec.at(id));
        }
    }
    round_amounts(spec, PodSpec::OVERHEAD);
    if let Some(mut resources) = spec.field(PodSpec::RESOURCES) {
        round_requirements(&mut resources);
    }
}

/// The old name of serviceAccountName is its alias: read where the new one is not given, and written with it.
pub fn service_account(spec: &mut Edit<'_>) {
    let view = spec.view::<PodSpec<'_>>();
    let (name, alias) = (view.service_account_name(), view.service_account());
    if name == alias {
        return;
    }
    let name = if name.is_empty() { alias } else { name }.to_owned();
    spec.set(PodSpec::SERVICE_ACCOUNT_NAME, &name);
    spec.set(PodSpec::SERVICE_ACCOUNT, &name);
}

fn requests_from_limits(container: &mut Edit<'_>) {
    let Some(mut resources) = container.field(Container::RESOURCES) else { return };
    let view = resources.view::<ResourceRequirements<'_>>();
    let missing: Vec<(String, String)> = view
        .limits()
        .iter()
        .filter(|(name, _)| !view.requests().contains_key(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if !missing.is_empty() {
        resources.ensure(ResourceRequirements::REQUESTS).set_keys(&missing);
    }
}

/// What a pod asks for as a whole follows from its limits, and from what its containers ask for.
fn pod_level_resources(spec: &mut Edit<'_>) {
    let view = spec.view::<PodSpec<'_>>();
    let Some(own) = view.resources() else { return };
    let (limits, requests) = (own.limits(), own.requests());
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let text = |(name, value): (&str, String)| (name.to_owned(), value);
    let pages: BTreeMap<String, String> = totals::limits(view)
        .into_iter()
        .filter(|(name, _)| is_huge_pages(name) && !requests.contains_key(name) && !limits.contains_key(name))
        .map(|(name, value)| text((name, value.to_string())))
        .collect();
    let mut missing: BTreeMap<String, String> = BTreeMap::new();
    if !limits.is_empty() || !pages.is_empty() {
        for (name, value) in totals::requests(view) {
            if !requests.contains_key(name) && is_pod_level(name) && is_overcommit_allowed(name) {
                missing.insert(name.to_owned(), value.to_string());
            }
        }
        let limits = limits.iter().map(|(name, value)| text((name, value.to_owned()))).chain(pages.clone());
        for (name, value) in limits {
            if !requests.contains_key(&name) && is_pod_level(&name) {
                missing.entry(name).or_insert(value);
            }
        }
    }
    for (field, amounts) in [(ResourceRequirements::LIMITS, pages), (ResourceRequirements::REQUESTS, missing)] {
        if amounts.is_empty() {
            continue;
        }
        let amounts: Vec<(String, String)> = amounts.into_iter().collect();
        spec.ensure_path([PodSpec::RESOURCES, field]).set_keys(&amounts);
    }
}

fn host_ports(spec: &mut Edit<'_>, list: FieldId) {
    for id in spec.items(list) {
        for id in spec.at(id).items(Container::PORTS) {
            let mut port = spec.at(id);
            let inside = port.view::<ContainerPort<'_>>().container_port();
            port.default(ContainerPort::HOST_PORT, inside);
        }
    }
}

fn container(container: &mut Edit<'_>) {
    if !container.has(Container::IMAGE_PULL_POLICY) {
        let policy = pull_policy(container.view::<Container<'_>>().image());
        container.set(Container::IMAGE_PULL_POLICY, policy);
    }
    container.default(Container::TERMINATION_MESSAGE_PATH, "/dev/termination-log");
    container.default(Container::TERMINATION_MESSAGE_POLICY, "File");
    for id in container.items(Container::PORTS) {
        container.at(id).default(ContainerPort::PROTOCOL, "TCP");
    }
    for id in container.items(Container::ENV) {
        let mut var = container.at(id);
        field_version(&mut var, [EnvVar::VALUE_FROM, EnvVarSource::FIELD_REF]);
        if let Some(mut file) = var.path([EnvVar::VALUE_FROM, EnvVarSource::FILE_KEY_REF]) {
            file.default(FileKeySelector::OPTIONAL, false);
        }
    }
    if let Some(mut resources) = container.field(Container::RESOURCES) {
        round_requirements(&mut resources);
    }
    for field in [Container::LIVENESS_PROBE, Container::READINESS_PROBE, Container::STARTUP_PROBE] {
        if let Some(mut probe) = container.field(field) {
            self::probe(&mut probe);
        }
    }
    for hook in [Lifecycle::POST_START, Lifecycle::PRE_STOP] {
        if let Some(mut get) = container.path([Container::LIFECYCLE, hook, LifecycleHandler::HTTP_GET]) {
            http_get(&mut get);
        }
    }
}

fn pull_policy(image: &str) -> &'static str {
    if is_latest(image) { "Always" } else { "IfNotPresent" }
}

fn probe(probe: &mut Edit<'_>) {
    probe.default(Probe::TIMEOUT_SECONDS, 1i64);
    probe.default(Probe::PERIOD_SECONDS, 10i64);
    probe.default(Probe::SUCCESS_THRESHOLD, 1i64);
    probe.default(Probe::FAILURE_THRESHOLD, 3i64);
    if let Some(mut get) = probe.field(Probe::HTTP_GET) {
        http_get(&mut get);
    }
    if let Some(mut grpc) = probe.field(Probe::GRPC) {
        grpc.default(GRPCAction::SERVICE, "");
    }
}

fn http_get(get: &mut Edit<'_>) {
    get.default(HTTPGetAction::PATH, "/");
    get.default(HTTPGetAction::SCHEME, "HTTP");
}

fn field_version<const N: usize>(edit: &mut Edit<'_>, path: [FieldId; N]) {
    if let Some(mut selector) = edit.path(path) {
        selector.default(ObjectFieldSelector::API_VERSION, "v1");
    }
}

fn volume(volume: &mut Edit<'_>) {
    if volume.read().fields().all(|(field, _)| field == Volume::NAME) {
        volume.ensure(Volume::EMPTY_DIR);
        return;
    }
    for (field, mode) in [
        (Volume::SECRET, SecretVolumeSource::DEFAULT_MODE),
        (Volume::CONFIG_MAP, ConfigMapVolumeSource::DEFAULT_MODE),
        (Volume::DOWNWARD_API, DownwardAPIVolumeSource::DEFAULT_MODE),
        (Volume::PROJECTED, ProjectedVolumeSource::DEFAULT_MODE),
    ] {
        if let Some(mut source) = volume.field(field) {
            source.default(mode, FILE_MODE);
        }
    }
    if let Some(mut path) = volume.field(Volume::HOST_PATH) {
        path.default(HostPathVolumeSource::TYPE_, "");
    }
    if let Some(mut downward) = volume.field(Volume::DOWNWARD_API) {
        let items = downward.items(DownwardAPIVolumeSource::ITEMS);
        downward_files(&mut downward, &items);
    }
    if let Some(mut projected) = volume.field(Volume::PROJECTED) {
        for id in projected.items(ProjectedVolumeSource::SOURCES) {
            projection(&mut projected.at(id));
        }
    }
    if let Some(mut image) = volume.field(Volume::IMAGE)
        && !image.has(ImageVolumeSource::PULL_POLICY)
    {
        let policy = pull_policy(image.view::<ImageVolumeSource<'_>>().reference());
        image.set(ImageVolumeSource::PULL_POLICY, policy);
    }
    let claim = [Volume::EPHEMERAL, EphemeralVolumeSource::VOLUME_CLAIM_TEMPLATE];
    if let Some(mut template) = volume.path(claim) {
        let mut spec = template.ensure(PersistentVolumeClaimTemplate::SPEC);
        spec.default(PersistentVolumeClaimSpec::VOLUME_MODE, "Filesystem");
        if let Some(mut resources) = spec.field(PersistentVolumeClaimSpec::RESOURCES) {
            round_amounts(&mut resources, VolumeResourceRequirements::LIMITS);
            round_amounts(&mut resources, VolumeResourceRequirements::REQUESTS);
        }
    }
    volume_plugins(volume);
}

fn volume_plugins(volume: &mut Edit<'_>) {
    if let Some(mut iscsi) = volume.field(Volume::ISCSI) {
        iscsi.default(ISCSIVolumeSource::ISCSI_INTERFACE, "default");
    }
    if let Some(mut rbd) = volume.field(Volume::RBD) {
        rbd.default(RBDVolumeSource::POOL, "rbd");
        rbd.default(RBDVolumeSource::USER, "admin");
        rbd.default(RBDVolumeSource::KEYRING, "/etc/ceph/keyring");
    }
    if let Some(mut disk) = volume.field(Volume::AZURE_DISK) {
        disk.default(AzureDiskVolumeSource::CACHING_MODE, "ReadWrite");
        disk.default(AzureDiskVolumeSource::FS_TYPE, "ext4");
        disk.default(AzureDiskVolumeSource::READ_ONLY, false);
        disk.default(AzureDiskVolumeSource::KIND, "Shared");
    }
    if let Some(mut scale) = volume.field(Volume::SCALE_IO) {
        scale.default(ScaleIOVolumeSource::STORAGE_MODE, "ThinProvisioned");
        scale.default(ScaleIOVolumeSource::FS_TYPE, "xfs");
    }
}

fn projection(source: &mut Edit<'_>) {
    if let Some(mut downward) = source.field(VolumeProjection::DOWNWARD_API) {
        let items = downward.items(DownwardAPIProjection::ITEMS);
        downward_files(&mut downward, &items);
    }
    if let Some(mut token) = source.field(VolumeProjection::SERVICE_ACCOUNT_TOKEN) {
        token.default(ServiceAccountTokenProjection::EXPIRATION_SECONDS, 3600i64);
    }
}

fn downward_files(edit: &mut Edit<'_>, items: &[Id]) {
    for &id in items {
        field_version(&mut edit.at(id), [DownwardAPIVolumeFile::FIELD_REF]);
    }
}

fn round_requirements(resources: &mut Edit<'_>) {
    round_amounts(resources, ResourceRequirements::LIMITS);
    round_amounts(resources, ResourceRequirements::REQUESTS);
}

/// Nothing finer than thousandths is kept.
pub fn round_amounts(edit: &mut Edit<'_>, field: FieldId) {
    let Some(mut list) = edit.field(field) else { return };
    let rounded: Vec<(String, String)> = list
        .node()
        .as_map()
        .iter()
        .filter_map(|(name, node)| {
            let mut value = quantity(node.as_str());
            let before = value.clone();
            value.round_up(corten_api::quantity::MILLI);
            (value != before).then(|| (name.to_owned(), value.to_string()))
        })
        .collect();
    list.set_keys(&rounded);
}

/// The address of before there were two is the first of them, and rules where they differ.
fn status(status: &mut Edit<'_>) {
    let view = status.view::<PodStatus<'_>>();
    let first = view.pod_ips().get(0).map(|ip| ip.ip());
    match (view.pod_ip(), first) {
        ("", None) => {}
        ("", Some(first)) => {
            let first = first.to_owned();
            status.set(PodStatus::POD_IP, &first);
        }
        (old, first) if first != Some(old) => {
            let old = old.to_owned();
            status.remove(PodStatus::POD_IPS);
            status.append(PodStatus::POD_IPS, PodIP::TYPE).set(PodIP::IP, &old);
        }
        _ => {}
    }
    for list in
        [PodStatus::INIT_CONTAINER_STATUSES, PodStatus::CONTAINER_STATUSES, PodStatus::EPHEMERAL_CONTAINER_STATUSES]
    {
        for id in status.items(list) {
            let mut container = status.at(id);
            round_amounts(&mut container, ContainerStatus::ALLOCATED_RESOURCES);
            if let Some(mut resources) = container.field(ContainerStatus::RESOURCES) {
                round_requirements(&mut resources);
            }
        }
    }
    round_amounts(status, PodStatus::ALLOCATED_RESOURCES);
    if let Some(mut resources) = status.field(PodStatus::RESOURCES) {
        round_requirements(&mut resources);
    }
}
