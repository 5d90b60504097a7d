//! ServiceAccount: a pod runs as one, which is there, and gets its token mounted unless somebody says not to.

use corten_api::names::generate_name;
use corten_api::seen::Seen;
use corten_api::status::Result;
use corten_object::tree::{Id, Tree, View};
use corten_views::core_v1::{
    ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, LocalObjectReference,
    ObjectFieldSelector, Pod, PodSpec, ProjectedVolumeSource, ServiceAccount as Account, ServiceAccountTokenProjection,
    Volume, VolumeMount, VolumeProjection,
};

use super::{Attributes, Operation, Phase, Plugin, forbidden};
use crate::call::Call;

pub struct ServiceAccount;

const MIRROR: &str = "kubernetes.io/config.mirror";
const ENFORCE_MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";
const VOLUME_PREFIX: &str = "kube-api-access-";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// One hour, and seven seconds by which the token is known as one that may live longer.
const TOKEN_SECONDS: i64 = 3607;

impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Admit, Phase::Validate]
    }

    fn admit(&self, call: &Call, attributes: &Attributes<'_>, object: &mut Tree, _: Option<&Tree>) -> Result<()> {
        if !attributes.is("", "pods") || attributes.operation != Operation::Create {
            return Ok(());
        }
        if object.view::<Pod<'_>>().metadata().annotations().contains_key(MIRROR) {
            return check_mirror(attributes, object);
        }
        if object.view::<Pod<'_>>().spec().service_account_name().is_empty() {
            object.edit().ensure(Pod::SPEC).set(PodSpec::SERVICE_ACCOUNT_NAME, "default");
        }
        let account = account(call, attributes, object)?;
        let own = object.view::<Pod<'_>>().spec().automount_service_account_token();
        let theirs = account.view::<Account<'_>>().automount_service_account_token();
        if own.or(theirs).unwrap_or(true) {
            mount_token(call, object);
        }
        if object.view::<Pod<'_>>().spec().image_pull_secrets().is_empty() {
            for secret in account.view::<Account<'_>>().image_pull_secrets().iter() {
                let mut edit = object.edit();
                let mut spec = edit.ensure(Pod::SPEC);
                let mut reference = spec.append(PodSpec::IMAGE_PULL_SECRETS, LocalObjectReference::TYPE);
                reference.set(LocalObjectReference::NAME, secret.name());
            }
        }
        Ok(())
    }

    fn validate(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: Option<&Tree>,
        _: Option<&Tree>,
    ) -> Result<()> {
        let Some(object) = object.filter(|_| attributes.is_or_below("", "pods")) else { return Ok(()) };
        let ephemeral = attributes.subresource == "ephemeralcontainers" && attributes.operation == Operation::Update;
        if !ephemeral && !(attributes.subresource.is_empty() && attributes.operation == Operation::Create) {
            return Ok(());
        }
        let pod: Pod<'_> = object.view();
        if pod.metadata().annotations().contains_key(MIRROR) && !ephemeral {
            return check_mirror(attributes, object);
        }
        if pod.spec().service_account_name().is_empty() {
            let (namespace, name) = (attributes.namespace, pod.metadata().name());
            return Err(forbidden(attributes, &format!("no service account specified for pod {namespace}/{name}")));
        }
        let account = account(call, attributes, object)?;
        let account: Account<'_> = account.view();
        let enforced = account.metadata().annotations().get(ENFORCE_MOUNTABLE);
        if enforced.is_some_and(|value| matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")) {
            return check_secrets(account, pod, ephemeral).map_err(|message| forbidden(attributes, &message));
        }
        Ok(())
    }
}

fn account(call: &Call, attributes: &Attributes<'_>, object: &Tree) -> Result<Tree> {
    let name = object.view::<Pod<'_>>().spec().service_account_name();
    let namespace = attributes.namespace;
    call.api.lookup_tree("", "serviceaccounts", &format!("{namespace}/{name}"))?.ok_or_else(|| {
        forbidden(
            attributes,
            &format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"),
        )
    })
}

fn check_mirror(attributes: &Attributes<'_>, object: &Tree) -> Result<()> {
    let spec = object.view::<Pod<'_>>().spec();
    if !spec.service_account_name().is_empty() {
        return Err(forbidden(attributes, "a mirror pod may not reference service accounts"));
    }
    if refers_to_secrets(spec) {
        return Err(forbidden(attributes, "a mirror pod may not reference secrets"));
    }
    let projects_token = spec.volumes().iter().any(|volume| {
        volume
            .projected()
            .is_some_and(|projected| projected.sources().iter().any(|source| source.service_account_token().is_some()))
    });
    if projects_token {
        return Err(forbidden(attributes, "a mirror pod may not use ServiceAccountToken volume projections"));
    }
    Ok(())
}

/// Whether a pod's containers, volumes or pulls name a secret.
fn refers_to_secrets(spec: PodSpec<'_>) -> bool {
    let in_container = |container: Container<'_>| {
        container.env_from().iter().any(|from| from.secret_ref().is_some())
            || container.env().iter().any(|env| env.value_from().is_some_and(|from| from.secret_key_ref().is_some()))
    };
    let ephemeral = spec.ephemeral_containers().iter().map(|c| Container::from_struct(c.as_struct()));
    let in_volume = |volume: Volume<'_>| {
        volume.secret().is_some()
            || volume.azure_file().is_some()
            || volume.projected().is_some_and(|p| p.sources().iter().any(|source| source.secret().is_some()))
            || volume.cephfs().is_some_and(|v| v.secret_ref().is_some())
            || volume.cinder().is_some_and(|v| v.secret_ref().is_some())
            || volume.flex_volume().is_some_and(|v| v.secret_ref().is_some())
            || volume.rbd().is_some_and(|v| v.secret_ref().is_some())
            || volume.scale_io().is_some_and(|v| v.secret_ref().is_some())
            || volume.iscsi().is_some_and(|v| v.secret_ref().is_some())
            || volume.storageos().is_some_and(|v| v.secret_ref().is_some())
            || volume.csi().is_some_and(|v| v.node_publish_secret_ref().is_some())
    };
    !spec.image_pull_secrets().is_empty()
        || spec.init_containers().iter().chain(spec.containers().iter()).any(in_container)
        || ephemeral.into_iter().any(in_container)
        || spec.volumes().iter().any(in_volume)
}

/// Every secret that the pod refers to must be one of its account's.
fn check_secrets(account: Account<'_>, pod: Pod<'_>, ephemeral: bool) -> std::result::Result<(), String> {
    let name = account.metadata().name();
    let secrets: Seen<&str> = account.secrets().iter().map(|secret| secret.name()).collect();
    let mountable = |secret: &str| secrets.contains(secret);
    let spec = pod.spec();
    if ephemeral {
        let containers = spec.ephemeral_containers();
        return containers.iter().try_for_each(|c| {
            check_container("ephemeral container", Container::from_struct(c.as_struct()), name, &mountable)
        });
    }
    for volume in spec.volumes().iter() {
        if let Some(secret) = volume.secret().map(|secret| secret.secret_name()).filter(|secret| !mountable(secret)) {
            return Err(format!(
                "volume with secret.secretName=\"{secret}\" is not allowed because service account {name} does not reference that secret"
            ));
        }
    }
    spec.init_containers().iter().try_for_each(|c| check_container("init container", c, name, &mountable))?;
    spec.containers().iter().try_for_each(|c| check_container("container", c, name, &mountable))?;
    let pulls: Seen<&str> = account.image_pull_secrets().iter().map(|secret| secret.name()).collect();
    for (i, secret) in spec.image_pull_secrets().iter().enumerate() {
        if !pulls.contains(secret.name()) {
            return Err(format!(
                "imagePullSecrets[{i}].name=\"{}\" is not allowed because service account {name} does not reference that imagePullSecret",
                secret.name()
            ));
        }
    }
    Ok(())
}

fn check_container(
    what: &str,
    container: Container<'_>,
    account: &str,
    mountable: &dyn Fn(&str) -> bool,
) -> std::result::Result<(), String> {
    let tail = |secret: &str| {
        format!(
            "referencing secret.secretName=\"{secret}\" is not allowed because service account {account} does not reference that secret"
        )
    };
    for env in container.env().iter() {
        if let Some(secret) = env.value_from().and_then(|from| from.secret_key_ref()).map(|key| key.name())
            && !mountable(secret)
        {
            return Err(format!("{what} {} with envVar {} {}", container.name(), env.name(), tail(secret)));
        }
    }
    for from in container.env_from().iter() {
        if let Some(secret) = from.secret_ref().map(|secret| secret.name()).filter(|secret| !mountable(secret)) {
            return Err(format!("{what} {} with envFrom {}", container.name(), tail(secret)));
        }
    }
    Ok(())
}

fn mount_token(call: &Call, object: &mut Tree) {
    let volumes = object.view::<Pod<'_>>().spec().volumes();
    let known =
        volumes.iter().map(|volume| volume.name()).find(|name| name.starts_with(VOLUME_PREFIX)).map(str::to_owned);
    let has_volume = known.is_some();
    let name = known.unwrap_or_else(|| generate_name(VOLUME_PREFIX, &mut |bytes| call.api.random.fill(bytes)));
    let mut edit = object.edit();
    let Some(mut spec) = edit.field(Pod::SPEC) else { return };
    let mut mounted = false;
    for field in [PodSpec::INIT_CONTAINERS, PodSpec::CONTAINERS] {
        for container in spec.items(field) {
            let mut container = spec.at(container);
            let view: Container<'_> = container.view();
            if view.volume_mounts().iter().any(|mount| mount.mount_path() == MOUNT_PATH) {
                continue;
            }
            let mut mount = container.append(Container::VOLUME_MOUNTS, VolumeMount::TYPE);
            mount.set(VolumeMount::NAME, name.as_str());
            mount.set(VolumeMount::READ_ONLY, true);
            mount.set(VolumeMount::MOUNT_PATH, MOUNT_PATH);
            mounted = true;
        }
    }
    if mounted && !has_volume {
        let mut volume = spec.append(PodSpec::VOLUMES, Volume::TYPE);
        volume.set(Volume::NAME, name.as_str());
        let projected = token_volume(volume.tree());
        volume.put(Volume::PROJECTED, projected);
    }
}

/// The token, the cluster's CA and the namespace.
fn token_volume(tree: &mut Tree) -> Id {
    let projected = tree.structure(ProjectedVolumeSource::TYPE);
    let mut edit = tree.edit_at(projected);
    edit.set(ProjectedVolumeSource::DEFAULT_MODE, 0o644);
    let mut source = edit.append(ProjectedVolumeSource::SOURCES, VolumeProjection::TYPE);
    let mut token = source.ensure(VolumeProjection::SERVICE_ACCOUNT_TOKEN);
    token.set(ServiceAccountTokenProjection::EXPIRATION_SECONDS, TOKEN_SECONDS);
    token.set(ServiceAccountTokenProjection::PATH, "token");
    let mut source = edit.append(ProjectedVolumeSource::SOURCES, VolumeProjection::TYPE);
    let mut ca = source.ensure(VolumeProjection::CONFIG_MAP);
    ca.set(ConfigMapProjection::NAME, "kube-root-ca.crt");
    let mut item = ca.append(ConfigMapProjection::ITEMS, KeyToPath::TYPE);
    item.set(KeyToPath::KEY, "ca.crt");
    item.set(KeyToPath::PATH, "ca.crt");
    let mut source = edit.append(ProjectedVolumeSource::SOURCES, VolumeProjection::TYPE);
    let mut downward = source.ensure(VolumeProjection::DOWNWARD_API);
    let mut item = downward.append(DownwardAPIProjection::ITEMS, DownwardAPIVolumeFile::TYPE);
    item.set(DownwardAPIVolumeFile::PATH, "namespace");
    let mut field = item.ensure(DownwardAPIVolumeFile::FIELD_REF);
    field.set(ObjectFieldSelector::API_VERSION, "v1");
    field.set(ObjectFieldSelector::FIELD_PATH, "metadata.namespace");
    projected
}
