//! Volume types of particular storage systems, most of them kept for old objects only.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::StringMap;
use corten_views::core_v1::{
    AWSElasticBlockStoreVolumeSource, AzureDiskVolumeSource, CSIVolumeSource, FCVolumeSource, FlexVolumeSource,
    FlockerVolumeSource, GCEPersistentDiskVolumeSource, ISCSIVolumeSource, PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource, QuobyteVolumeSource, StorageOSVolumeSource, Volume, VsphereVirtualDiskVolumeSource,
};

use super::checks::{dns_label, local_descending_path, not_supported, require};
use super::volumes::{OneOf, validate_csi_driver};

pub fn validate_before_secret(volume: Volume<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(volume.git_repo(), path, "gitRepo", |repo, path, errors| {
        require(repo.repository(), path, "repository", errors);
        local_descending_path(repo.directory(), &path.child("directory"), errors);
    });
    if let Some(disk) = volume.gce_persistent_disk()
        && types.first(&path.child("gcePersistentDisk"))
    {
        validate_persistent_disk(disk, &path.child("persistentDisk"), types.errors);
    }
    types.check(volume.aws_elastic_block_store(), path, "awsElasticBlockStore", validate_elastic_block_store);
}

pub fn validate_before_claim(volume: Volume<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    if let Some(iscsi) = volume.iscsi() {
        let iscsi_path = path.child("iscsi");
        if types.first(&iscsi_path) {
            validate_iscsi(iscsi, &iscsi_path, types.errors);
        }
        if iscsi.initiator_name().is_some() && volume.name().len() + 1 + iscsi.target_portal().len() > 64 {
            let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
            types.errors.push(Error::invalid(&path.child("name"), volume.name(), detail));
        }
    }
    types.check(volume.glusterfs(), path, "glusterfs", |gluster, path, errors| {
        require(gluster.endpoints(), path, "endpoints", errors);
        require(gluster.path(), path, "path", errors);
    });
    types.check(volume.flocker(), path, "flocker", validate_flocker);
}

pub fn validate_before_downward_api(volume: Volume<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(volume.rbd(), path, "rbd", |rbd, path, errors| {
        if rbd.monitors().is_empty() {
            errors.push(Error::required(&path.child("monitors"), ""));
        }
        require(rbd.image(), path, "image", errors);
    });
    types.check(volume.cinder(), path, "cinder", |cinder, path, errors| {
        require(cinder.volume_id(), path, "volumeID", errors);
        if let Some(secret) = cinder.secret_ref() {
            require(secret.name(), path, "secretRef.name", errors);
        }
    });
    if let Some(ceph) = volume.cephfs()
        && types.first(&path.child("cephFS"))
        && ceph.monitors().is_empty()
    {
        types.errors.push(Error::required(&path.child("cephfs.monitors"), ""));
    }
    types.check(volume.quobyte(), path, "quobyte", validate_quobyte);
}

pub fn validate_before_config_map(volume: Volume<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(volume.fc(), path, "fc", validate_fc);
    types.check(volume.flex_volume(), path, "flexVolume", validate_flex);
}

pub fn validate_before_projected(volume: Volume<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(volume.azure_file(), path, "azureFile", |azure, path, errors| {
        require(azure.secret_name(), path, "secretName", errors);
        require(azure.share_name(), path, "shareName", errors);
    });
    types.check(volume.vsphere_volume(), path, "vsphereVolume", validate_vsphere);
    types.check(volume.photon_persistent_disk(), path, "photonPersistentDisk", validate_photon);
    types.check(volume.portworx_volume(), path, "portworxVolume", validate_portworx);
    types.check(volume.azure_disk(), path, "azureDisk", validate_azure_disk);
    types.check(volume.storageos(), path, "storageos", validate_storage_os);
}

pub fn validate_before_ephemeral(volume: Volume<'_>, path: &Path<'_>, types: &mut OneOf<'_>) {
    types.check(volume.scale_io(), path, "scaleIO", |scale, path, errors| {
        require(scale.gateway(), path, "gateway", errors);
        require(scale.system(), path, "system", errors);
        require(scale.volume_name(), path, "volumeName", errors);
    });
    types.check(volume.csi(), path, "csi", validate_csi);
}

pub fn validate_persistent_disk(disk: GCEPersistentDiskVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(disk.pd_name(), path, "pdName", errors);
    validate_partition(disk.partition(), path, errors);
}

pub fn validate_elastic_block_store(disk: AWSElasticBlockStoreVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(disk.volume_id(), path, "volumeID", errors);
    validate_partition(disk.partition(), path, errors);
}

pub fn validate_vsphere(disk: VsphereVirtualDiskVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(disk.volume_path(), path, "volumePath", errors);
}

pub fn validate_photon(disk: PhotonPersistentDiskVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(disk.pd_id(), path, "pdID", errors);
}

pub fn validate_portworx(volume: PortworxVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(volume.volume_id(), path, "volumeID", errors);
}

fn validate_partition(partition: i64, path: &Path<'_>, errors: &mut Errors) {
    if !(0..=255).contains(&partition) {
        let detail = names::inclusive_range_error(1, 255);
        errors.push(Error::invalid(&path.child("partition"), partition, detail));
    }
}

fn validate_iscsi(iscsi: ISCSIVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(iscsi.target_portal(), path, "targetPortal", errors);
    if iscsi.iqn().is_empty() {
        require("", path, "iqn", errors);
    } else {
        validate_iscsi_name(iscsi.iqn(), &path.child("iqn"), errors);
    }
    if !(0..=255).contains(&iscsi.lun()) {
        errors.push(Error::invalid(&path.child("lun"), iscsi.lun(), names::inclusive_range_error(0, 255)));
    }
    if (iscsi.chap_auth_discovery() || iscsi.chap_auth_session()) && iscsi.secret_ref().is_none() {
        errors.push(Error::required(&path.child("secretRef"), ""));
    }
    if let Some(initiator) = iscsi.initiator_name() {
        validate_iscsi_name(initiator, &path.child("initiatorname"), errors);
    }
}

fn validate_iscsi_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let detail = match name.get(..3) {
        Some("iqn" | "eui" | "naa") if is_iscsi_name(name) => return,
        Some("iqn" | "eui" | "naa") => "must be valid format",
        _ => "must be valid format starting with iqn, eui, or naa",
    };
    errors.push(Error::invalid(path, name, detail));
}

/// `iqn.2001-04.com.example:storage`, `eui.` with 16 or `naa.` with 32 letters and digits; upstream's dots after eui
/// and naa match anything.
pub fn is_iscsi_name(name: &str) -> bool {
    let tail = |length: usize| {
        let mut chars = name.chars().skip(3);
        chars.next().is_some_and(|c| c != '\n')
            && chars.clone().count() == length
            && chars.all(|c| c.is_ascii_alphanumeric())
    };
    match name.get(..3) {
        Some("eui") => tail(16),
        Some("naa") => tail(32),
        // The pattern is not bound to the beginning, so that any `iqn.` may start it.
        _ => name.match_indices("iqn.").any(|(at, _)| is_iqn(&name[at + 4..])),
    }
}

/// `2001-04.com.example:storage`.
fn is_iqn(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let date = bytes.len() > 8
        && bytes[..8].iter().enumerate().all(|(i, c)| match i {
            4 => *c == b'-',
            7 => *c == b'.',
            _ => c.is_ascii_digit(),
        });
    if !date {
        return false;
    }
    // The authority ends where the colon is; what follows must be free of separators to the end.
    let Some((authority, suffix)) = rest[8..].split_once(':') else { return false };
    let separator = |c: char| matches!(c, ',' | ';' | '*' | '&' | '$' | '|') || c.is_ascii_whitespace();
    !authority.is_empty()
        && authority.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        && !suffix.is_empty()
        && !suffix.contains(separator)
}

pub fn validate_flocker(flocker: FlockerVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    match (flocker.dataset_name().is_empty(), flocker.dataset_uuid().is_empty()) {
        (true, true) => errors.push(Error::required(path, "one of datasetName and datasetUUID is required")),
        (false, false) => {
            let detail = "datasetName and datasetUUID can not be specified simultaneously";
            errors.push(Error::invalid(path, "resource", detail));
        }
        _ => {}
    }
    if flocker.dataset_name().contains('/') {
        let path = path.child("datasetName");
        errors.push(Error::invalid(&path, flocker.dataset_name(), "must not contain '/'"));
    }
}

pub fn validate_quobyte(quobyte: QuobyteVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    let registries = quobyte.registry();
    let detail = "must be a host:port pair or multiple pairs separated by commas";
    if registries.is_empty() {
        errors.push(Error::required(&path.child("registry"), detail));
    } else if quobyte.tenant().len() >= 65 {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(Error::required(&path.child("tenant"), detail));
    } else {
        for _ in registries.split(',').filter(|pair| !is_host_port(pair)) {
            errors.push_with(|| Error::invalid(&path.child("registry"), registries, detail));
        }
    }
    require(quobyte.volume(), path, "volume", errors);
}

/// What Go's `net.SplitHostPort` takes.
fn is_host_port(pair: &str) -> bool {
    let Some((host, port)) = pair.rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[') {
        Some(host) => match host.strip_suffix(']') {
            Some(host) => host,
            None => return false,
        },
        None if host.contains(':') => return false,
        None => host,
    };
    !host.contains(['[', ']']) && !port.contains(['[', ']'])
}

pub fn validate_fc(fc: FCVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    let names_path = path.child("targetWWNs");
    match (fc.target_wwns().is_empty(), fc.wwids().is_empty()) {
        (true, true) => {
            errors.push(Error::required(&names_path, "must specify either targetWWNs or wwids, but not both"));
        }
        (false, false) => {
            let detail = "targetWWNs and wwids can not be specified simultaneously";
            errors.push(Error::invalid(&names_path, BadValue::strings(fc.target_wwns().iter()), detail));
        }
        _ => {}
    }
    if fc.target_wwns().is_empty() {
        return;
    }
    let path = path.child("lun");
    match fc.lun() {
        None => errors.push(Error::required(&path, "lun is required if targetWWNs is specified")),
        Some(lun) if !(0..=255).contains(&lun) => {
            errors.push(Error::invalid(&path, lun, names::inclusive_range_error(0, 255)));
        }
        Some(_) => {}
    }
}

fn validate_flex(flex: FlexVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(flex.driver(), path, "driver", errors);
    validate_flex_options(flex.options(), &path.child("options"), errors);
}

/// Options whose names are in a domain of Kubernetes' own are set by the kubelet.
pub fn validate_flex_options(options: StringMap<'_>, list: &Path<'_>, errors: &mut Errors) {
    for (key, _) in options.iter() {
        let namespace = key.split('/').next().unwrap_or_default().to_lowercase();
        let reserved =
            |domain: &str| namespace.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if reserved("kubernetes.io") || reserved("k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(Error::invalid(&list.key(key), key, detail));
        }
    }
}

pub fn validate_azure_disk(disk: AzureDiskVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(disk.disk_name(), path, "diskName", errors);
    require(disk.disk_uri(), path, "diskURI", errors);
    let enumerated = [
        (disk.caching_mode(), "cachingMode", &["None", "ReadOnly", "ReadWrite"]),
        (disk.kind(), "kind", &["Dedicated", "Managed", "Shared"]),
    ];
    for (value, field, supported) in enumerated {
        if let Some(value) = value.filter(|value| !supported.contains(value)) {
            errors.push(not_supported(value, supported, &path.child(field)));
        }
    }
    let Some(kind) = disk.kind() else { return };
    let (prefix, form) = match kind {
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"),
    };
    if !disk.disk_uri().starts_with(prefix) {
        errors.push(Error::not_supported(&path.child("diskURI"), disk.disk_uri(), &[form]));
    }
}

fn validate_storage_os(storage: StorageOSVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
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
    }
}

fn validate_csi(csi: CSIVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_csi_driver(csi.driver(), &path.child("driver"), errors);
    if let Some(secret) = csi.node_publish_secret_ref() {
        if secret.name().is_empty() {
            require("", path, "nodePublishSecretRef.name", errors);
        } else {
            super::checks::object_name(secret.name(), &path.child("name"), errors);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iscsi_names() {
        let check = |name: &str, expected: bool| assert_eq!(is_iscsi_name(name), expected, "{name}");
        check("iqn.2015-02.example.com:test", true);
        check("iqn.2015-02.example.com:storage.disk2.amiens.sys1.xyz", true);
        check("iqn.2015-02.example.com", false);
        check("iqn.15-02.example.com:test", false);
        check("iqn.2015-02.example.com:te st", false);
        check("iqn.2015-02.example.com:", false);
        check("eui.0123456789ABCDEF", true);
        check("eui.0123456789ABCDEFG", false);
        check("naa.0123456789ABCDEF0123456789ABCDEF", true);
        check("naa.0123456789ABCDEF", false);
    }

    #[test]
    fn hosts_and_ports() {
        let check = |pair: &str, expected: bool| assert_eq!(is_host_port(pair), expected, "{pair}");
        check("registry:7861", true);
        check("[::1]:80", true);
        check(":80", true);
        check("reg1", false);
        check("::1:80", false);
        check("[::1:80", false);
    }
}
