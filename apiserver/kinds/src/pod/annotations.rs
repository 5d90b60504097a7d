//! What pods once said, and in part still say, in annotations.

use corten_api::field::{Error, Errors, Path};
use corten_object::json::{self, Form};
use corten_object::tree::{Id, StringMap, Tree, View};
use corten_views::core_v1::{AppArmorProfile, PodSpec, SeccompProfile};

use super::checks::{TextSet, local_descending_path};
use super::containers;
use super::options::Options;
use super::tolerations;

pub const MIRROR: &str = "kubernetes.io/config.mirror";
pub const APP_ARMOR_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
pub const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub const SECCOMP_PREFIX: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub const LOCALHOST: &str = "localhost/";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Init containers were written here before they had a field; what clients still send is dropped.
pub const INIT_CONTAINERS: &[&str] = &[
    "pod.alpha.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.beta.kubernetes.io/init-containers",
];

pub fn validate(
    annotations: StringMap<'_>,
    spec: PodSpec<'_>,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if annotations.is_empty() {
        return;
    }
    if let Some(value) = annotations.get(MIRROR).filter(|_| spec.node_name().is_empty()) {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(Error::invalid(&path.key(MIRROR), value, detail));
    }
    if let Some(json) = annotations.get(TOLERATIONS).filter(|json| !json.is_empty())
        && let Err(detail) = tolerations::validate_json(json, options, &path.child(TOLERATIONS), errors)
    {
        errors.push(Error::invalid(path, TOLERATIONS, detail));
    }
    if !options.invalid_deletion_cost && has_invalid_deletion_cost(annotations) {
        let value = annotations.get(DELETION_COST).unwrap_or_default();
        errors.push(Error::invalid(&path.key(DELETION_COST), value, "must be a 32bit integer"));
    }
    if let Some(profile) = annotations.get(SECCOMP_POD) {
        validate_seccomp(profile, &path.child(SECCOMP_POD), errors);
    }
    for (key, profile) in annotations.iter().filter(|(key, _)| key.starts_with(SECCOMP_PREFIX)) {
        validate_seccomp(profile, &path.child(key), errors);
    }
    let mut names: Option<TextSet<'_>> = None;
    for (key, profile) in annotations.iter() {
        let Some(container) = key.strip_prefix(APP_ARMOR_PREFIX) else { continue };
        let names = names.get_or_insert_with(|| containers::all(spec).map(|container| container.name()).collect());
        if !names.contains(container) {
            errors.push(Error::invalid(&path.key(key), container, "container not found"));
        }
        if !matches!(profile, "" | "runtime/default" | "unconfined") && !profile.starts_with(LOCALHOST) {
            let detail = format!("invalid AppArmor profile name: {}", corten_api::field::quote(profile));
            errors.push(Error::invalid(&path.key(key), profile, detail));
        }
    }
}

/// The cost of deleting a pod, which must be a plain number: no sign but a minus, no leading zeros.
pub fn has_invalid_deletion_cost(annotations: StringMap<'_>) -> bool {
    annotations.get(DELETION_COST).is_some_and(|cost| {
        let first = cost.bytes().next();
        let plain = cost == "0" || first.is_some_and(|first| first == b'-' || (b'1'..=b'9').contains(&first));
        !plain || cost.parse::<i32>().is_err()
    })
}

/// What an update may not do to annotations.
pub fn validate_update(new: StringMap<'_>, old: StringMap<'_>, path: &Path<'_>, errors: &mut Errors) {
    for (key, value) in old.iter().filter(|&(key, value)| new.get(key) != Some(value)) {
        let _ = value;
        if key.starts_with(APP_ARMOR_PREFIX) {
            errors.push(Error::forbidden(&path.key(key), "may not remove or update AppArmor annotations"));
        }
        if key == MIRROR {
            errors.push(Error::forbidden(&path.key(key), "may not remove or update mirror pod annotation"));
        }
    }
    for (key, _) in new.iter().filter(|(key, _)| !old.contains_key(key)) {
        if key.starts_with(APP_ARMOR_PREFIX) {
            errors.push(Error::forbidden(&path.key(key), "may not add AppArmor annotations"));
        }
        if key == MIRROR {
            errors.push(Error::forbidden(&path.key(key), "may not add mirror pod annotation"));
        }
    }
}

fn validate_seccomp(profile: &str, path: &Path<'_>, errors: &mut Errors) {
    if matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        return;
    }
    match profile.strip_prefix(LOCALHOST) {
        Some(file) => local_descending_path(file, path, errors),
        None => errors.push(Error::invalid(path, profile, "must be a valid seccomp profile")),
    }
}

/// Where a profile stands in a field and in an annotation, both must say the same.
pub fn validate_match(annotations: StringMap<'_>, spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    if annotations.is_empty() {
        return;
    }
    let of_pod = spec.security_context();
    if let (Some(annotation), Some(profile)) =
        (annotations.get(SECCOMP_POD), of_pod.and_then(|context| context.seccomp_profile()))
    {
        match_seccomp(annotation, profile, &path.child("securityContext.seccompProfile"), errors);
    }
    containers::visit(spec, path, |container, path| {
        let profile = container.security_context().and_then(|context| context.seccomp_profile());
        let Some(profile) = profile else { return };
        if let Some(annotation) = annotations.get(&format!("{SECCOMP_PREFIX}{}", container.name())) {
            match_seccomp(annotation, profile, &path.child("securityContext.seccompProfile"), errors);
        }
    });
    if spec.os().is_some_and(|os| os.name() == "windows") {
        return;
    }
    containers::visit(spec, path, |container, path| {
        let own = container.security_context().and_then(|context| context.app_armor_profile());
        let Some(profile) = own.or(of_pod.and_then(|context| context.app_armor_profile())) else { return };
        if let Some(annotation) = annotations.get(&format!("{APP_ARMOR_PREFIX}{}", container.name())) {
            match_app_armor(annotation, profile, &path.child("securityContext.appArmorProfile"), errors);
        }
    });
}

fn match_seccomp(annotation: &str, profile: SeccompProfile<'_>, path: &Path<'_>, errors: &mut Errors) {
    let same = match profile.type_() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => matches!(annotation, "runtime/default" | "docker/default"),
        "Localhost" => annotation.starts_with(LOCALHOST),
        _ => true,
    };
    if !same {
        errors.push(Error::forbidden(&path.child("type"), "seccomp type in annotation and field must match"));
    } else if profile.type_() == "Localhost" && annotation.strip_prefix(LOCALHOST) != profile.localhost_profile() {
        let detail = "seccomp profile in annotation and field must match";
        errors.push(Error::forbidden(&path.child("localhostProfile"), detail));
    }
}

fn match_app_armor(annotation: &str, profile: AppArmorProfile<'_>, path: &Path<'_>, errors: &mut Errors) {
    let same = match profile.type_() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => annotation == "runtime/default",
        "Localhost" => annotation.starts_with(LOCALHOST),
        _ => true,
    };
    if !same {
        errors.push(Error::forbidden(&path.child("type"), "apparmor type in annotation and field must match"));
    } else if profile.type_() == "Localhost" && annotation.strip_prefix(LOCALHOST) != profile.localhost_profile() {
        let detail = "apparmor profile in annotation and field must match";
        errors.push(Error::forbidden(&path.child("localhostProfile"), detail));
    }
}

/// What an AppArmor annotation says: the profile's type, and its file where that is Localhost.
pub fn app_armor_profile(annotation: &str) -> Option<(&'static str, Option<&str>)> {
    match annotation {
        "unconfined" => Some(("Unconfined", None)),
        "runtime/default" => Some(("RuntimeDefault", None)),
        _ => {
            let file = annotation.strip_prefix(LOCALHOST).filter(|file| !file.is_empty())?;
            Some(("Localhost", Some(file)))
        }
    }
}

/// Tolerations that were read from JSON.
pub struct Tolerations {
    pub tree: Tree,
    pub items: Vec<Id>,
}

pub fn parse_tolerations(text: &str) -> Result<Tolerations, String> {
    json::check_syntax(text.as_bytes()).map_err(|error| error.0)?;
    let spec = format!("{{\"tolerations\":{text}}}").into_bytes();
    let tree = json::parse(spec, Form::Typed(PodSpec::TYPE)).map_err(|error| error.to_string())?.tree;
    let list = tree.get(tree.root_id(), "tolerations");
    let items = list.map_or(Vec::new(), |list| tree.items(list).collect());
    Ok(Tolerations { tree, items })
}
