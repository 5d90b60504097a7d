//! A pod's volumes: names, and that each is of one type, of which the common ones are checked here.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::Items;
use corten_views::core_v1::{
    DownwardAPIVolumeFile, HostPathVolumeSource, ImageVolumeSource, KeyToPath, NFSVolumeSource, Volume,
};
use corten_views::meta_v1::ObjectMeta;

use super::checks::{TextSet, dns_label, file_mode, local_nonreserved_path, no_backsteps, require};
use super::containers::validate_pull_policy;
use super::mounts::Volumes;
use super::options::Options;
use super::resources::quantity;
use super::{claim_template, env, projected, volume_plugins};
use crate::object_meta::invalid_each;

const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Checks them, and gives those that containers may use. `pod` is the metadata of the pod itself, if it is one.
pub fn validate<'t>(
    volumes: Items<'t, Volume<'t>>,
    pod: Option<ObjectMeta<'_>>,
    options: &Options,
    list: &Path<'_>,
    errors: &mut Errors,
) -> Volumes<'t> {
    let pod_name = pod.map_or("", |metadata| metadata.name());
    let mut seen = TextSet::default();
    let mut bad = Vec::new();
    let mut made = None;
    for (i, volume) in volumes.iter().enumerate() {
        let path = list.index(i);
        let name_path = path.child("name");
        let before = errors.len();
        validate_source(volume, pod_name, options, &path, errors);
        if volume.name().is_empty() {
            errors.push(Error::required(&name_path, ""));
        } else {
            dns_label(volume.name(), &name_path, errors);
        }
        if seen.contains(volume.name()) {
            errors.push(Error::duplicate(&name_path, volume.name()));
        }
        if errors.len() == before {
            seen.insert(volume.name());
        } else {
            bad.push(i);
        }
        if let Some(claim) = volume.persistent_volume_claim()
            && is_made_for_pod(claim.claim_name(), pod_name, volumes, &mut made)
        {
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            let path = path.child("persistentVolumeClaim.claimName");
            errors.push(Error::invalid(&path, claim.claim_name(), detail));
        }
    }
    Volumes::new(volumes, bad)
}

/// Whether the claim is one that an ephemeral volume of the pod stands for. `made` are the names of those.
fn is_made_for_pod<'t>(claim: &str, pod: &str, volumes: Items<'t, Volume<'t>>, made: &mut Option<TextSet<'t>>) -> bool {
    let Some(name) = claim.strip_prefix(pod).and_then(|rest| rest.strip_prefix('-')).filter(|_| !pod.is_empty()) else {
        return false;
    };
    let ephemeral = volumes.iter().filter(|volume| volume.ephemeral().is_some());
    made.get_or_insert_with(|| ephemeral.map(|volume| volume.name()).collect()).contains(name)
}

/// Counts the types of one volume: the first is looked into, any other is one too many.
pub struct OneOf<'e> {
    found: bool,
    pub errors: &'e mut Errors,
}

impl<'e> OneOf<'e> {
    pub fn new(errors: &'e mut Errors) -> OneOf<'e> {
        OneOf { found: false, errors }
    }

    pub fn found(&self) -> bool {
        self.found
    }

    /// Counts a type that is looked into whether or not it is the first.
    pub fn count(&mut self) {
        self.found = true;
    }

    pub fn first(&mut self, path: &Path<'_>) -> bool {
        if self.found {
            self.errors.push(Error::forbidden(path, "may not specify more than 1 volume type"));
        }
        !std::mem::replace(&mut self.found, true)
    }

    /// Counts a type, if it is there, and looks into it if it is the first.
    pub fn check<S>(
        &mut self,
        source: Option<S>,
        path: &Path<'_>,
        field: &'static str,
        validate: impl FnOnce(S, &Path<'_>, &mut Errors),
    ) {
        let Some(source) = source else { return };
        let path = path.child(field);
        if self.first(&path) {
            validate(source, &path, self.errors);
        }
    }
}

/// In upstream's order, because it decides which type counts.
fn validate_source(volume: Volume<'_>, pod: &str, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    let mut types = OneOf::new(errors);
    if let Some(dir) = volume.empty_dir() {
        types.found = true;
        if dir.size_limit().is_some_and(|limit| quantity(limit).sign() < 0) {
            let detail = "SizeLimit field must be a valid resource quantity";
            types.errors.push(Error::forbidden(&path.child("emptyDir.sizeLimit"), detail));
        }
    }
    types.check(volume.host_path(), path, "hostPath", validate_host_path);
    volume_plugins::validate_before_secret(volume, path, &mut types);
    types.check(volume.secret(), path, "secret", |secret, path, errors| {
        require(secret.secret_name(), path, "secretName", errors);
        validate_files(secret.default_mode(), secret.items(), path, errors);
    });
    types.check(volume.nfs(), path, "nfs", validate_nfs);
    volume_plugins::validate_before_claim(volume, path, &mut types);
    types.check(volume.persistent_volume_claim(), path, "persistentVolumeClaim", |claim, path, errors| {
        require(claim.claim_name(), path, "claimName", errors);
    });
    volume_plugins::validate_before_downward_api(volume, path, &mut types);
    if let Some(downward) = volume.downward_api() {
        // The name with a letter missing is upstream's.
        if types.first(&path.child("downwarAPI")) {
            let path = path.child("downwardAPI");
            file_mode(downward.default_mode(), &path, "defaultMode", types.errors);
            for file in downward.items().iter() {
                validate_downward_file(file, &path, types.errors);
            }
        }
    }
    volume_plugins::validate_before_config_map(volume, path, &mut types);
    types.check(volume.config_map(), path, "configMap", |config_map, path, errors| {
        require(config_map.name(), path, "name", errors);
        validate_files(config_map.default_mode(), config_map.items(), path, errors);
    });
    volume_plugins::validate_before_projected(volume, path, &mut types);
    types.check(volume.projected(), path, "projected", |source, path, errors| {
        projected::validate(source, options, path, errors);
    });
    volume_plugins::validate_before_ephemeral(volume, path, &mut types);
    if let Some(ephemeral) = volume.ephemeral()
        && types.first(&path.child("ephemeral"))
    {
        let claim = path.child("ephemeral.volumeClaimTemplate");
        match ephemeral.volume_claim_template() {
            None => types.errors.push(Error::required(&claim, "")),
            Some(template) => claim_template::validate(template, &claim, types.errors),
        }
        validate_claim_name(pod, volume.name(), &path.child("name"), types.errors);
    }
    types.check(volume.image(), path, "image", |image, path, errors| {
        validate_image(image, options, path, errors);
    });
    if !types.found {
        types.errors.push(Error::required(path, "must specify a volume type"));
    }
}

/// The claim of an ephemeral volume is named after its pod and itself.
fn validate_claim_name(pod: &str, volume: &str, path: &Path<'_>, errors: &mut Errors) {
    if pod.is_empty() || volume.is_empty() {
        return;
    }
    let claim = format!("{pod}-{volume}");
    for message in names::name_is_dns_subdomain(&claim, false) {
        let detail = format!("PVC name {}: {message}", corten_api::field::quote(&claim));
        errors.push(Error::invalid(path, volume, detail));
    }
}

pub fn validate_host_path(source: HostPathVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    if source.path().is_empty() {
        errors.push(Error::required(&path.child("path"), ""));
        return;
    }
    no_backsteps(source.path(), &path.child("path"), errors);
    if let Some(kind) = source.type_().filter(|kind| !HOST_PATH_TYPES.contains(kind)) {
        errors.push(Error::not_supported(&path.child("type"), BadValue::typed(kind), HOST_PATH_TYPES));
    }
}

pub fn validate_nfs(source: NFSVolumeSource<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(source.server(), path, "server", errors);
    require(source.path(), path, "path", errors);
    if !source.path().starts_with('/') {
        errors.push(Error::invalid(&path.child("path"), source.path(), "must be an absolute path"));
    }
}

fn validate_image(source: ImageVolumeSource<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    if options.is_pod {
        require(source.reference(), path, "reference", errors);
    }
    validate_pull_policy(source.pull_policy(), &path.child("pullPolicy"), errors);
}

fn validate_files(mode: Option<i64>, items: Items<'_, KeyToPath<'_>>, path: &Path<'_>, errors: &mut Errors) {
    file_mode(mode, path, "defaultMode", errors);
    let list = path.child("items");
    for (i, item) in items.iter().enumerate() {
        validate_key_to_path(item, &list.index(i), errors);
    }
}

pub fn validate_key_to_path(item: KeyToPath<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(item.key(), path, "key", errors);
    require(item.path(), path, "path", errors);
    local_nonreserved_path(item.path(), &path.child("path"), errors);
    file_mode(item.mode(), path, "mode", errors);
}

pub fn validate_downward_file(file: DownwardAPIVolumeFile<'_>, path: &Path<'_>, errors: &mut Errors) {
    require(file.path(), path, "path", errors);
    local_nonreserved_path(file.path(), &path.child("path"), errors);
    match (file.field_ref(), file.resource_field_ref()) {
        (Some(field), resource) => {
            env::validate_field_selector(field, env::VOLUME_FIELDS, &path.child("fieldRef"), errors);
            if resource.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(Error::invalid(path, "resource", detail));
            }
        }
        (None, Some(resource)) => {
            env::validate_resource_selector(resource, true, &path.child("resourceFieldRef"), errors);
        }
        (None, None) => errors.push(Error::required(path, "one of fieldRef and resourceFieldRef is required")),
    }
    file_mode(file.mode(), path, "mode", errors);
}

/// `ValidateCSIDriverName`.
pub fn validate_csi_driver(driver: &str, path: &Path<'_>, errors: &mut Errors) {
    if driver.is_empty() {
        errors.push(Error::required(path, ""));
        return;
    }
    if driver.len() > 63 {
        errors.push(Error::too_long(path, 63));
    }
    invalid_each(names::is_dns1123_subdomain(&driver.to_lowercase()), driver, path, errors);
}
