//! How containers use the pod's volumes.

use std::collections::HashMap;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::Items;
use corten_views::core_v1::{Container, Volume, VolumeMount};

use super::checks::{TextSet, has_backsteps, local_descending_path, one_of};

/// A pod's volumes by name, as far as they are valid.
pub struct Volumes<'t> {
    volumes: Items<'t, Volume<'t>>,
    bad: Vec<usize>,
    /// Only where looking through them all would take long.
    index: Option<HashMap<&'t str, usize>>,
}

const FEW: usize = 32;

impl<'t> Volumes<'t> {
    /// `bad` are the places of those with errors, in order.
    pub fn new(volumes: Items<'t, Volume<'t>>, bad: Vec<usize>) -> Self {
        let index = (volumes.len() > FEW).then(|| {
            let valid = volumes.iter().enumerate().filter(|(i, _)| bad.binary_search(i).is_err());
            valid.map(|(i, volume)| (volume.name(), i)).collect()
        });
        Volumes { volumes, bad, index }
    }

    pub fn get(&self, name: &str) -> Option<Volume<'t>> {
        match &self.index {
            Some(index) => self.volumes.get(*index.get(name)?),
            None => {
                let found = self
                    .volumes
                    .iter()
                    .enumerate()
                    .find(|(i, volume)| volume.name() == name && self.bad.binary_search(i).is_err());
                found.map(|(_, volume)| volume)
            }
        }
    }
}

pub fn validate(container: Container<'_>, volumes: &Volumes<'_>, path: &Path<'_>, errors: &mut Errors) {
    validate_mounts(container, volumes, &path.child("volumeMounts"), errors);
    validate_devices(container, volumes, &path.child("volumeDevices"), errors);
}

fn validate_mounts(container: Container<'_>, volumes: &Volumes<'_>, path: &Path<'_>, errors: &mut Errors) {
    let devices = container.volume_devices();
    let device_names: TextSet<'_> = devices.iter().map(|device| device.name()).collect();
    let device_paths: TextSet<'_> = devices.iter().map(|device| device.device_path()).collect();
    let mut seen = TextSet::default();
    for (i, mount) in container.volume_mounts().iter().enumerate() {
        let item = path.index(i);
        let (name, mount_path) = (item.child("name"), item.child("mountPath"));
        if mount.name().is_empty() {
            errors.push(Error::required(&name, ""));
        }
        if volumes.get(mount.name()).is_none() {
            errors.push(Error::not_found(&name, mount.name()));
        }
        if mount.mount_path().is_empty() {
            errors.push(Error::required(&mount_path, ""));
        }
        if !seen.insert(mount.mount_path()) {
            errors.push(Error::invalid(&mount_path, mount.mount_path(), "must be unique"));
        }
        if device_names.contains(mount.name()) {
            errors.push(Error::invalid(&name, mount.name(), "must not already exist in volumeDevices"));
        }
        if device_paths.contains(mount.mount_path()) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.push(Error::invalid(&mount_path, mount.mount_path(), detail));
        }
        validate_sub_path(mount, path, &item, errors);
        if let Some(propagation) = mount.mount_propagation() {
            validate_propagation(propagation, container, &path.child("mountPropagation"), errors);
        }
        validate_recursive_read_only(mount, &path.child("recursiveReadOnly"), errors);
    }
}

fn validate_sub_path(mount: VolumeMount<'_>, list: &Path<'_>, item: &Path<'_>, errors: &mut Errors) {
    let (path, expression) = (mount.sub_path(), mount.sub_path_expr());
    if !path.is_empty() {
        local_descending_path(path, &list.child("subPath"), errors);
    }
    if !expression.is_empty() {
        if !path.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(Error::invalid(&item.child("subPathExpr"), expression, detail));
        }
        local_descending_path(expression, &list.child("subPathExpr"), errors);
    }
}

fn validate_propagation(propagation: &str, container: Container<'_>, path: &Path<'_>, errors: &mut Errors) {
    one_of(propagation, &["Bidirectional", "HostToContainer", "None"], path, errors);
    let privileged = container.security_context().and_then(|context| context.privileged()).unwrap_or(false);
    if propagation == "Bidirectional" && !privileged {
        let detail = "Bidirectional mount propagation is available only to privileged containers";
        errors.push(Error::forbidden(path, detail));
    }
}

fn validate_recursive_read_only(mount: VolumeMount<'_>, path: &Path<'_>, errors: &mut Errors) {
    match mount.recursive_read_only() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !mount.read_only() {
                errors.push(Error::forbidden(path, "may only be specified when readOnly is true"));
            }
            if mount.mount_propagation().is_some_and(|propagation| propagation != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.push(Error::forbidden(path, detail));
            }
        }
        Some(other) => {
            let supported = &["Disabled", "Enabled", "IfPossible"];
            errors.push(Error::not_supported(path, BadValue::typed(other), supported));
        }
    }
}

fn validate_devices(container: Container<'_>, volumes: &Volumes<'_>, path: &Path<'_>, errors: &mut Errors) {
    if container.volume_devices().is_empty() {
        return;
    }
    let mounts = container.volume_mounts();
    let mount_names: TextSet<'_> = mounts.iter().map(|mount| mount.name()).collect();
    let mount_paths: TextSet<'_> = mounts.iter().map(|mount| mount.mount_path()).collect();
    let (mut names, mut paths) = (TextSet::default(), TextSet::default());
    for (i, device) in container.volume_devices().iter().enumerate() {
        let item = path.index(i);
        let (name_path, device_path) = (item.child("name"), item.child("devicePath"));
        let (name, place) = (device.name(), device.device_path());
        let volume = volumes.get(name);
        if name.is_empty() {
            errors.push(Error::required(&name_path, ""));
        }
        if names.contains(name) {
            errors.push(Error::invalid(&name_path, name, "must be unique"));
        }
        match volume {
            None => errors.push(Error::not_found(&name_path, name)),
            Some(volume) if volume.persistent_volume_claim().is_none() && volume.ephemeral().is_none() => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(Error::invalid(&name_path, name, detail));
            }
            Some(_) => {}
        }
        if place.is_empty() {
            errors.push(Error::required(&device_path, ""));
        }
        if paths.contains(place) {
            errors.push(Error::invalid(&device_path, place, "must be unique"));
        }
        if has_backsteps(place) {
            errors.push(Error::invalid(&device_path, place, "can not contain backsteps ('..')"));
        } else {
            paths.insert(place);
        }
        if mount_names.contains(name) {
            errors.push(Error::invalid(&name_path, name, "must not already exist in volumeMounts"));
        }
        if mount_paths.contains(place) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.push(Error::invalid(&device_path, place, detail));
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
}
