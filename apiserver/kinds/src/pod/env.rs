//! Environment variables, and what of a pod they and downward API files may refer to.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::Items;
use corten_views::core_v1::{
    EnvFromSource, EnvVar, EnvVarSource, FileKeySelector, ObjectFieldSelector, ResourceFieldSelector,
};

use super::checks::{dns_label, no_backsteps, qualified_name};
use crate::object_meta::invalid_each;

/// Sorted, as errors list them.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
pub const VOLUME_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const BYTE_DIVISORS: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub fn validate(vars: Items<'_, EnvVar<'_>>, path: &Path<'_>, errors: &mut Errors) {
    for (i, var) in vars.iter().enumerate() {
        let path = path.index(i);
        if var.name().is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        } else {
            invalid_each(names::is_relaxed_env_var_name(var.name()), var.name(), &path.child("name"), errors);
        }
        if let Some(source) = var.value_from() {
            validate_source(source, var.value(), &path.child("valueFrom"), errors);
        }
    }
}

fn validate_source(source: EnvVarSource<'_>, value: &str, path: &Path<'_>, errors: &mut Errors) {
    let mut sources = 0;
    if let Some(selector) = source.field_ref() {
        sources += 1;
        validate_field_selector(selector, ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(selector) = source.resource_field_ref() {
        sources += 1;
        validate_resource_selector(selector, false, &path.child("resourceFieldRef"), errors);
    }
    if let Some(selector) = source.config_map_key_ref() {
        sources += 1;
        validate_key(selector.name(), selector.key(), &path.child("configMapKeyRef"), errors);
    }
    if let Some(selector) = source.secret_key_ref() {
        sources += 1;
        validate_key(selector.name(), selector.key(), &path.child("secretKeyRef"), errors);
    }
    if let Some(selector) = source.file_key_ref() {
        sources += 1;
        validate_file_key(selector, &path.child("fileKeyRef"), errors);
    }
    let detail = match sources {
        0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        _ if !value.is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(Error::invalid(path, "", detail));
}

fn validate_key(name: &str, key: &str, path: &Path<'_>, errors: &mut Errors) {
    invalid_each(names::name_is_dns_subdomain(name, false), name, &path.child("name"), errors);
    if key.is_empty() {
        errors.push(Error::required(&path.child("key"), ""));
    } else {
        invalid_each(names::is_config_map_key(key), key, &path.child("key"), errors);
    }
}

fn validate_file_key(selector: FileKeySelector<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (key, volume, file) = (selector.key(), selector.volume_name(), selector.path());
    if key.is_empty() {
        errors.push(Error::required(&path.child("key"), ""));
    } else {
        invalid_each(names::is_relaxed_env_var_name(key), key, &path.child("key"), errors);
    }
    if volume.is_empty() {
        errors.push(Error::required(&path.child("volumeName"), ""));
    } else {
        dns_label(volume, &path.child("volumeName"), errors);
    }
    if file.is_empty() {
        errors.push(Error::required(&path.child("path"), ""));
    } else {
        no_backsteps(file, &path.child("path"), errors);
    }
}

pub fn validate_field_selector(
    selector: ObjectFieldSelector<'_>,
    supported: &[&str],
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let field = selector.field_path();
    if selector.api_version().is_empty() {
        errors.push(Error::required(&path.child("apiVersion"), ""));
        return;
    }
    if field.is_empty() {
        errors.push(Error::required(&path.child("fieldPath"), ""));
        return;
    }
    let internal = match internal_field(selector.api_version(), field) {
        Ok(internal) => internal,
        Err(message) => {
            let detail = format!("error converting fieldPath: {message}");
            errors.push(Error::invalid(&path.child("fieldPath"), field, detail));
            return;
        }
    };
    match split_subscript(internal) {
        Some(("metadata.annotations", key)) => qualified_name(&key.to_lowercase(), path, errors),
        Some((_, key)) => qualified_name(key, path, errors),
        None if supported.contains(&internal) => {}
        None => errors.push(Error::not_supported(&path.child("fieldPath"), internal, supported)),
    }
}

/// Upstream's `ConvertDownwardAPIFieldLabel`.
fn internal_field<'f>(version: &str, field: &'f str) -> Result<&'f str, String> {
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    if let Some((base, _)) = split_subscript(field) {
        return match base {
            "metadata.annotations" | "metadata.labels" => Ok(field),
            _ => Err(format!("field label does not support subscript: {field}")),
        };
    }
    match field {
        "metadata.annotations"
        | "metadata.labels"
        | "metadata.name"
        | "metadata.namespace"
        | "metadata.uid"
        | "spec.nodeName"
        | "spec.restartPolicy"
        | "spec.serviceAccountName"
        | "spec.schedulerName"
        | "status.phase"
        | "status.hostIP"
        | "status.hostIPs"
        | "status.podIP"
        | "status.podIPs" => Ok(field),
        "spec.host" => Ok("spec.nodeName"),
        _ => Err(format!("field label not supported: {field}")),
    }
}

/// `metadata.labels['key']`.
fn split_subscript(field: &str) -> Option<(&str, &str)> {
    field.strip_suffix("']")?.split_once("['").filter(|(base, _)| !base.is_empty())
}

pub fn validate_resource_selector(
    selector: ResourceFieldSelector<'_>,
    volume: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let resource = selector.resource();
    if volume && selector.container_name().is_empty() {
        errors.push(Error::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(Error::required(&path.child("resource"), ""));
    } else if !RESOURCES.contains(&resource) && !is_huge_pages(resource) {
        errors.push(Error::not_supported(&path.child("resource"), resource, RESOURCES));
    }
    validate_divisor(resource, selector.divisor(), path, errors);
}

fn is_huge_pages(resource: &str) -> bool {
    resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-")
}

fn validate_divisor(resource: &str, divisor: &str, path: &Path<'_>, errors: &mut Errors) {
    // A divisor that was not given is a quantity of zero.
    if divisor.is_empty() || super::resources::quantity(divisor).is_zero() {
        return;
    }
    let bytes = |of: &str| {
        format!(
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the {of} resource"
        )
    };
    let (supported, detail) = match resource {
        "limits.cpu" | "requests.cpu" => (
            matches!(divisor, "1m" | "1"),
            "only divisor's values 1m and 1 are supported with the cpu resource".to_owned(),
        ),
        _ if BYTE_DIVISORS.contains(&divisor) => return,
        "limits.memory" | "requests.memory" => (false, bytes("memory")),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => (false, bytes("local ephemeral storage")),
        _ if is_huge_pages(resource) => (false, bytes("hugepages")),
        _ => return,
    };
    if !supported {
        errors.push(Error::invalid(&path.child("divisor"), resource, detail));
    }
}

pub fn validate_from(sources: Items<'_, EnvFromSource<'_>>, path: &Path<'_>, errors: &mut Errors) {
    for (i, source) in sources.iter().enumerate() {
        let item = path.index(i);
        if !source.prefix().is_empty() {
            let wrong = names::is_relaxed_env_var_name(source.prefix());
            invalid_each(wrong, source.prefix(), &item.child("prefix"), errors);
        }
        let mut named = |name: &str, path: Path<'_>| {
            if name.is_empty() {
                errors.push(Error::required(&path.child("name"), ""));
            } else {
                invalid_each(names::name_is_dns_subdomain(name, true), name, &path.child("name"), errors);
            }
        };
        let mut sources = 0;
        if let Some(config_map) = source.config_map_ref() {
            sources += 1;
            named(config_map.name(), item.child("configMapRef"));
        }
        if let Some(secret) = source.secret_ref() {
            sources += 1;
            named(secret.name(), item.child("secretRef"));
        }
        if sources == 0 {
            errors.push(Error::invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
        } else if sources > 1 {
            errors.push(Error::invalid(path, "", "may not have more than one field specified at a time"));
        }
    }
}
