//! What a volume is made of: one storage system's description, which stays as it is.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::{Struct, Tree, View};
use corten_schema::FieldId;
use corten_views::core_v1::{
    CSIPersistentVolumeSource, GlusterfsPersistentVolumeSource, HostPathVolumeSource, ISCSIPersistentVolumeSource,
    PersistentVolumeSpec, SecretReference, StorageOSPersistentVolumeSource,
};

use super::expands_with_new_secret;
use crate::object_meta::invalid_each;
use crate::pod::checks::{dns_label, dns_subdomain, no_backsteps, require};
use crate::pod::internal;
use crate::pod::volume_plugins::{
    is_iscsi_name, validate_azure_disk, validate_elastic_block_store, validate_fc, validate_flex_options,
    validate_flocker, validate_persistent_disk, validate_photon, validate_portworx, validate_quobyte, validate_vsphere,
};
use crate::pod::volumes::{OneOf, validate_csi_driver, validate_host_path, validate_nfs};

/// The fields that describe a storage system.
const FIELDS: &[FieldId] = &[
    PersistentVolumeSpec::GCE_PERSISTENT_DISK,
    PersistentVolumeSpec::AWS_ELASTIC_BLOCK_STORE,
    PersistentVolumeSpec::HOST_PATH,
    PersistentVolumeSpec::GLUSTERFS,
    PersistentVolumeSpec::NFS,
    PersistentVolumeSpec::RBD,
    PersistentVolumeSpec::QUOBYTE,
    PersistentVolumeSpec::ISCSI,
    PersistentVolumeSpec::FLEX_VOLUME,
    PersistentVolumeSpec::CINDER,
    PersistentVolumeSpec::CEPHFS,
    PersistentVolumeSpec::FC,
    PersistentVolumeSpec::FLOCKER,
    PersistentVolumeSpec::AZURE_FILE,
    PersistentVolumeSpec::VSPHERE_VOLUME,
    PersistentVolumeSpec::AZURE_DISK,
    PersistentVolumeSpec::PHOTON_PERSISTENT_DISK,
    PersistentVolumeSpec::PORTWORX_VOLUME,
    PersistentVolumeSpec::SCALE_IO,
    PersistentVolumeSpec::LOCAL,
    PersistentVolumeSpec::STORAGEOS,
    PersistentVolumeSpec::CSI,
];

/// In upstream's order, because it decides which type counts.
pub fn validate(spec: PersistentVolumeSpec<'_>, name: &str, path: &Path<'_>, errors: &mut Errors) {
    let mut types = OneOf::new(errors);
    validate_disks(spec, path, &mut types);
    validate_networked(spec, name, path, &mut types);
    validate_clouds(spec, path, &mut types);
    validate_others(spec, path, &mut types);
    if !types.found() {
        errors.push(Error::required(path, "must specify a volume type"));
    }
    let recycled = spec.persistent_volume_reclaim_policy() == "Recycle";
    if recycled && spec.host_path().is_some_and(is_root) {
        let path = path.child("persistentVolumeReclaimPolicy");
        errors.push(Error::forbidden(&path, "may not be 'recycle' for a hostPath mount of '/'"));
    }
}

/// Whether the path is `/` however it is written.
fn is_root(source: HostPathVolumeSource<'_>) -> bool {
    let path = source.path();
    let mut depth = 0usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}

fn validate_disks(spec: PersistentVolumeSpec<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(spec.host_path(), path, "hostPath", validate_host_path);
    if let Some(disk) = spec.gce_persistent_disk()
        && types.first(&path.child("gcePersistentDisk"))
    {
        validate_persistent_disk(disk, &path.child("persistentDisk"), types.errors);
    }
    types.check(spec.aws_elastic_block_store(), path, "awsElasticBlockStore", validate_elastic_block_store);
    types.check(spec.glusterfs(), path, "glusterfs", validate_gluster);
    types.check(spec.flocker(), path, "flocker", validate_flocker);
}

fn validate_networked(spec: PersistentVolumeSpec<'_>, name: &str, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(spec.nfs(), path, "nfs", validate_nfs);
    types.check(spec.rbd(), path, "rbd", |rbd, path, errors| {
        if rbd.monitors().is_empty() {
            errors.push(Error::required(&path.child("monitors"), ""));
        }
        require(rbd.image(), path, "image", errors);
    });
    types.check(spec.quobyte(), path, "quobyte", validate_quobyte);
    // Where one type too many is found, the name is another one than where its fields are.
    if let Some(ceph) = spec.cephfs()
        && types.first(&path.child("cephFS"))
        && ceph.monitors().is_empty()
    {
        types.errors.push(Error::required(&path.child("cephfs.monitors"), ""));
    }
    types.check(spec.iscsi(), path, "iscsi", |iscsi, path, errors| {
        validate_iscsi(iscsi, name, path, errors);
    });
    types.check(spec.cinder(), path, "cinder", |cinder, path, errors| {
        require(cinder.volume_id(), path, "volumeID", errors);
        if let Some(secret) = cinder.secret_ref() {
            require(secret.name(), path, "secretRef.name", errors);
            require(secret.namespace(), path, "secretRef.namespace", errors);
        }
    });
    types.check(spec.fc(), path, "fc", validate_fc);
}

fn validate_clouds(spec: PersistentVolumeSpec<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    if let Some(flex) = spec.flex_volume() {
        // This one counts, but is never one too many.
        types.count();
        let path = path.child("flexVolume");
        require(flex.driver(), &path, "driver", types.errors);
        validate_flex_options(flex.options(), &path.child("options"), types.errors);
    }
    types.check(spec.azure_file(), path, "azureFile", |azure, path, errors| {
        require(azure.secret_name(), path, "secretName", errors);
        require(azure.share_name(), path, "shareName", errors);
        if azure.secret_namespace() == Some("") {
            require("", path, "secretNamespace", errors);
        }
    });
    types.check(spec.vsphere_volume(), path, "vsphereVolume", validate_vsphere);
    types.check(spec.photon_persistent_disk(), path, "photonPersistentDisk", validate_photon);
    types.check(spec.portworx_volume(), path, "portworxVolume", validate_portworx);
    types.check(spec.azure_disk(), path, "azureDisk", validate_azure_disk);
}

fn validate_others(spec: PersistentVolumeSpec<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(spec.scale_io(), path, "scaleIO", |scale, path, errors| {
        require(scale.gateway(), path, "gateway", errors);
        require(scale.system(), path, "system", errors);
        require(scale.volume_name(), path, "volumeName", errors);
    });
    if let Some(local) = spec.local() {
        let own = path.child("local");
        if types.first(&own) {
            require(local.path(), &own, "path", types.errors);
            no_backsteps(local.path(), &own.child("path"), types.errors);
            if spec.node_affinity().is_none() {
                let detail = "Local volume requires node affinity";
                types.errors.push(Error::required(&path.child("nodeAffinity"), detail));
            }
        }
    }
    types.check(spec.storageos(), path, "storageos", validate_storage_os);
    types.check(spec.csi(), path, "csi", validate_csi);
}

fn validate_gluster(gluster: GlusterfsPersistentVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(gluster.endpoints(), path, "endpoints", errors);
    require(gluster.path(), path, "path", errors);
    let Some(namespace) = gluster.endpoints_namespace() else { return };
    let path = path.child("endpointsNamespace");
    if namespace.is_empty() {
        let detail = "if the endpointnamespace is set, it must be a valid namespace name";
        errors.push(Error::invalid(&path, namespace, detail));
    } else {
        invalid_each(names::validate_namespace_name(namespace, false), namespace, &path, errors);
    }
}

fn validate_iscsi(iscsi: ISCSIPersistentVolumeSource<'_>, name: &str, path: &Path<'_>, errors: &mut Errors) {
    let portal = iscsi.target_portal();
    require(portal, path, "targetPortal", errors);
    if iscsi.initiator_name().is_some() && name.len() + 1 + portal.len() > 64 {
        let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
            iscsi.initiatorName is specified.";
        errors.push(Error::invalid(&path.child("targetportal"), portal, detail));
    }
    let check = |name: &str, path: &Path<'_>, errors: &mut Errors| {
        let known = ["iqn", "eui", "naa"].iter().any(|form| name.starts_with(form));
        if !known || !is_iscsi_name(name) {
            errors.push(Error::invalid(path, name, "must be valid format"));
        }
    };
    if iscsi.iqn().is_empty() {
        require("", path, "iqn", errors);
    } else {
        check(iscsi.iqn(), &path.child("iqn"), errors);
    }
    if !(0..=255).contains(&iscsi.lun()) {
        errors.push(Error::invalid(&path.child("lun"), iscsi.lun(), names::inclusive_range_error(0, 255)));
    }
    match iscsi.secret_ref() {
        None if iscsi.chap_auth_discovery() || iscsi.chap_auth_session() => {
            errors.push(Error::required(&path.child("secretRef"), ""));
        }
        None => {}
        Some(secret) => require(secret.name(), path, "secretRef.name", errors),
    }
    if let Some(initiator) = iscsi.initiator_name() {
        check(initiator, &path.child("initiatorname"), errors);
    }
}

fn validate_storage_os(storage: StorageOSPersistentVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    if storage.volume_name().is_empty() {
        require("", path, "volumeName", errors);
    } else {
        dns_label(storage.volume_name(), &path.child("volumeName"), errors);
    }
    if !storage.volume_namespace().is_empty() {
        dns_label(storage.volume_namespace(), &path.child("volumeNamespace"), errors);
    }
    if let Some(secret) = storage.secret_ref() {
        require(secret.name(), path, "secretRef.name", errors);
        require(secret.namespace(), path, "secretRef.namespace", errors);
    }
}

fn validate_csi(csi: CSIPersistentVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_csi_driver(csi.driver(), &path.child("driver"), errors);
    require(csi.volume_handle(), path, "volumeHandle", errors);
    for (field, secret) in [
        ("controllerPublishSecretRef", csi.controller_publish_secret_ref()),
        ("controllerExpandSecretRef", csi.controller_expand_secret_ref()),
        ("nodePublishSecretRef", csi.node_publish_secret_ref()),
        ("nodeExpandSecretRef", csi.node_expand_secret_ref()),
    ] {
        if let Some(secret) = secret {
            validate_secret(secret, &path.child(field), errors);
        }
    }
}

fn validate_secret(secret: SecretReference<'_>, path: &Path<'_>, errors: &mut Errors) {
    if secret.name().is_empty() {
        require("", path, "name", errors);
    } else {
        dns_subdomain(secret.name(), &path.child("name"), errors);
    }
    if secret.namespace().is_empty() {
        require("", path, "namespace", errors);
    } else {
        dns_label(secret.namespace(), &path.child("namespace"), errors);
    }
}

/// The description stays; a secret for expansion may be added to it.
pub fn validate_change(
    new: PersistentVolumeSpec<'_>,
    old: PersistentVolumeSpec<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let (mut is, was) = (source(new.as_struct()), source(old.as_struct()));
    if expands_with_new_secret(new, old) {
        is.edit().ensure(PersistentVolumeSpec::CSI).remove(CSIPersistentVolumeSource::CONTROLLER_EXPAND_SECRET_REF);
    }
    if !is.root().equals(was.root()) {
        let detail = format!(
            "spec.persistentvolumesource is immutable after creation\n{}",
            internal::diff_as("PersistentVolumeSource", was.root().as_struct(), is.root().as_struct())
        );
        errors.push(Error::forbidden(path, detail));
    }
}

/// A spec with nothing but the source.
fn source(spec: Struct<'_>) -> Tree {
    let mut tree = Tree::of(PersistentVolumeSpec::TYPE);
    let root = tree.root_id();
    for &field in FIELDS {
        if let Some(node) = spec.node(field) {
            let copy = tree.import(node);
            tree.set_field(root, field, copy);
        }
    }
    tree
}

/// Whether the plugin of that type mounts with options.
pub fn takes_mount_options(spec: PersistentVolumeSpec<'_>) -> bool {
    let types = [
        PersistentVolumeSpec::GCE_PERSISTENT_DISK,
        PersistentVolumeSpec::AWS_ELASTIC_BLOCK_STORE,
        PersistentVolumeSpec::GLUSTERFS,
        PersistentVolumeSpec::NFS,
        PersistentVolumeSpec::RBD,
        PersistentVolumeSpec::QUOBYTE,
        PersistentVolumeSpec::ISCSI,
        PersistentVolumeSpec::CINDER,
        PersistentVolumeSpec::CEPHFS,
        PersistentVolumeSpec::AZURE_FILE,
        PersistentVolumeSpec::VSPHERE_VOLUME,
        PersistentVolumeSpec::AZURE_DISK,
        PersistentVolumeSpec::PHOTON_PERSISTENT_DISK,
    ];
    types.iter().any(|&field| spec.as_struct().has(field))
}

/// Types of which nothing is left but the fields.
pub fn warn(spec: PersistentVolumeSpec<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    for (set, field, message) in [
        (spec.cephfs().is_some(), "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        (
            spec.photon_persistent_disk().is_some(),
            "photonPersistentDisk",
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        (spec.scale_io().is_some(), "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        (spec.storageos().is_some(), "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
        (spec.glusterfs().is_some(), "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        (spec.rbd().is_some(), "rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ] {
        if set {
            out.push(format!("{}: {message}", &path.child(field)));
        }
    }
}
