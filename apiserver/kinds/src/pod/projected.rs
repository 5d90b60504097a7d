//! Volumes that several sources share.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_views::core_v1::{
    ClusterTrustBundleProjection, PodCertificateProjection, ProjectedVolumeSource, ServiceAccountTokenProjection,
};

use super::checks::{TextSet, file_mode, local_nonreserved_path, require};
use super::internal;
use super::options::Options;
use super::volumes::{validate_downward_file, validate_key_to_path};
use crate::label_selector::{self, Leniency};
use crate::object_meta::invalid_each;

const KEY_TYPES: &[&str] = &["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
const DAY: i64 = 24 * 60 * 60;

pub fn validate(source: ProjectedVolumeSource<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    file_mode(source.default_mode(), path, "defaultMode", errors);
    let list = path.child("sources");
    let mut taken = TextSet::default();
    for (i, source) in source.sources().iter().enumerate() {
        let item = list.index(i);
        let mut sources = 0;
        if let Some(secret) = source.secret() {
            sources += 1;
            let of_source = (secret.name(), secret.items());
            validate_keys(of_source, &mut taken, path, &item.child("secret"), errors);
        }
        if let Some(config_map) = source.config_map() {
            sources += 1;
            let of_source = (config_map.name(), config_map.items());
            validate_keys(of_source, &mut taken, path, &item.child("configMap"), errors);
        }
        if let Some(downward) = source.downward_api() {
            sources += 1;
            for file in downward.items().iter() {
                validate_downward_file(file, &item.child("downwardAPI"), errors);
                if !file.path().is_empty() {
                    take(file.path(), file.path(), &mut taken, path, errors);
                }
            }
        }
        if let Some(token) = source.service_account_token() {
            sources += 1;
            validate_token(token, options, path, &item.child("serviceAccountToken"), errors);
        }
        if let Some(bundle) = source.cluster_trust_bundle() {
            sources += 1;
            validate_trust_bundle(bundle, &item.child("clusterTrustBundle"), errors);
            take(bundle.path(), bundle.path(), &mut taken, path, errors);
        }
        if let Some(certificate) = source.pod_certificate() {
            sources += 1;
            validate_certificate(certificate, &mut taken, path, &item.child("podCertificate"), errors);
        }
        if sources > 1 {
            errors.push(Error::forbidden(&item, "may not specify more than 1 volume type per source"));
        }
    }
}

/// A path can be used once in the volume; `shown` is what upstream blames.
fn take<'t>(file: &'t str, shown: &str, taken: &mut TextSet<'t>, path: &Path<'_>, errors: &mut Errors) {
    if !taken.insert(file) {
        errors.push(Error::invalid(path, shown, "conflicting duplicate paths"));
    }
}

type Keys<'t> = (&'t str, corten_object::tree::Items<'t, corten_views::core_v1::KeyToPath<'t>>);

fn validate_keys<'t>(
    (name, items): Keys<'t>,
    taken: &mut TextSet<'t>,
    volume: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    require(name, path, "name", errors);
    let list = path.child("items");
    for (i, item) in items.iter().enumerate() {
        validate_key_to_path(item, &list.index(i), errors);
        if !item.path().is_empty() {
            take(item.path(), name, taken, volume, errors);
        }
    }
}

fn validate_token(
    token: ServiceAccountTokenProjection<'_>,
    options: &Options,
    volume: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let seconds = token.expiration_seconds().unwrap_or(0);
    let seconds_path = path.child("expirationSeconds");
    if seconds < 10 * 60 {
        let detail = "may not specify a duration less than 10 minutes";
        errors.push(Error::invalid(&seconds_path, seconds, detail));
    }
    if seconds > 1 << 32 {
        let detail = "may not specify a duration larger than 2^32 seconds";
        errors.push(Error::invalid(&seconds_path, seconds, detail));
    }
    if token.path().is_empty() {
        require("", volume, "path", errors);
    } else if !options.nonlocal_token_paths {
        local_nonreserved_path(token.path(), &volume.child("path"), errors);
    }
}

fn validate_trust_bundle(bundle: ClusterTrustBundleProjection<'_>, path: &Path<'_>, errors: &mut Errors) {
    match (bundle.name(), bundle.signer_name()) {
        (Some(_), Some(_)) => {
            let detail = "only one of name and signerName may be used";
            errors.push(Error::invalid(path, internal::bad_value(bundle), detail));
        }
        (Some(name), None) => {
            let name_path = path.child("name");
            if name.is_empty() {
                errors.push(Error::required(&name_path, "must be a valid object name"));
            }
            for message in trust_bundle_name_errors(name) {
                let detail = format!("not a valid clustertrustbundlename: {message}");
                errors.push(Error::invalid(&name_path, name, detail));
            }
            if let Some(selector) = bundle.label_selector() {
                let detail = "labelSelector must be unset if name is specified";
                errors.push(Error::invalid(&path.child("labelSelector"), internal::bad_value(selector), detail));
            }
        }
        (None, Some(signer)) => {
            let signer_path = path.child("signerName");
            if signer.is_empty() {
                errors.push(Error::required(&signer_path, "must be a valid signer name"));
            }
            validate_signer_name(signer, &signer_path, errors);
            if let Some(selector) = bundle.label_selector() {
                label_selector::validate(selector, Leniency::default(), &path.child("labelSelector"), errors);
            }
        }
        (None, None) => errors.push(Error::required(path, "either name or signerName must be specified")),
    }
    require(bundle.path(), path, "path", errors);
    local_nonreserved_path(bundle.path(), &path.child("path"), errors);
}

/// The bundles of a signer are named after it, with colons for its slash: `example.com:signer:bundle`.
fn trust_bundle_name_errors(name: &str) -> Vec<String> {
    match name.rsplit_once(':') {
        None => names::name_is_dns_subdomain(name, false),
        Some((_, own)) => names::name_is_dns_subdomain(own, false),
    }
}

fn validate_certificate<'t>(
    certificate: PodCertificateProjection<'t>,
    taken: &mut TextSet<'t>,
    volume: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let signer = certificate.signer_name();
    validate_signer_name(signer, &path.child("signerName"), errors);
    let annotations = path.child("userAnnotations");
    for (key, _) in certificate.user_annotations().iter() {
        errors.append(names::is_domain_prefixed_key(&annotations, &key.to_lowercase()));
    }
    let size: usize = certificate.user_annotations().iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > 256 * 1024 {
        errors.push(Error::too_long(&annotations, 256 * 1024));
    }
    if !KEY_TYPES.contains(&certificate.key_type()) {
        errors.push(Error::not_supported(&path.child("keyType"), certificate.key_type(), KEY_TYPES));
    }
    if let Some(seconds) = certificate.max_expiration_seconds() {
        let path = path.child("maxExpirationSeconds");
        let host = signer.split('/').next().unwrap_or_default();
        let own = host == "kubernetes.io" || host.ends_with(".kubernetes.io");
        let most = if own { DAY } else { 91 * DAY };
        if seconds < 3600 {
            let detail = "if provided, maxExpirationSeconds must be >= 3600";
            errors.push(Error::invalid(&path, seconds, detail));
        }
        if seconds > most {
            let detail = format!("if provided, maxExpirationSeconds must be <= {most}");
            errors.push(Error::invalid(&path, seconds, detail));
        }
    }
    let files = [
        (certificate.credential_bundle_path(), "credentialBundlePath"),
        (certificate.key_path(), "keyPath"),
        (certificate.certificate_chain_path(), "certificateChainPath"),
    ];
    for (file, field) in files.iter().filter(|(file, _)| !file.is_empty()) {
        local_nonreserved_path(file, &path.child(field), errors);
        take(file, file, taken, volume, errors);
    }
    if files.iter().all(|(file, _)| file.is_empty()) {
        let detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errors.push(Error::required(path, detail));
    }
}

/// `example.com/signer-name`.
fn validate_signer_name(signer: &str, path: &Path<'_>, errors: &mut Errors) {
    if signer.is_empty() {
        errors.push(Error::required(path, ""));
        return;
    }
    let Some((domain, rest)) = signer.split_once('/').filter(|(_, rest)| !rest.contains('/')) else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(Error::invalid(path, signer, detail));
        return;
    };
    if domain.len() > names::DNS1123_SUBDOMAIN_MAX_LENGTH {
        errors.push(Error::too_long(path, names::DNS1123_SUBDOMAIN_MAX_LENGTH));
    }
    validate_labels(domain, names::is_dns1123_label, path, errors);
    if !domain.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.push(Error::invalid(path, domain, detail));
    }
    validate_labels(rest, names::is_dns1123_subdomain, path, errors);
    if signer.len() > 253 + 253 + 63 + 1 + 1 {
        errors.push(Error::too_long(path, 253 + 253 + 63 + 1 + 1));
    }
}

/// The first label that is wrong is named.
fn validate_labels(text: &str, check: fn(&str) -> Vec<String>, path: &Path<'_>, errors: &mut Errors) {
    let wrong = text.split('.').map(|label| (label, check(label))).find(|(_, wrong)| !wrong.is_empty());
    if let Some((label, wrong)) = wrong {
        let label = corten_api::field::quote(label);
        let wrong = wrong.into_iter().map(|message| format!("validating label {label}: {message}")).collect();
        invalid_each(wrong, text, path, errors);
    }
}
