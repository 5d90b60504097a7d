//! Files of one volume that get in each other's way.

use corten_api::field::quote;
use corten_object::tree::{Items, View};
use corten_views::core_v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};

/// A file's path, and where it comes from.
#[derive(Clone, PartialEq)]
struct Place {
    path: String,
    source: String,
}

impl Place {
    fn new(path: &str, source: impl Into<String>) -> Place {
        Place { path: path.trim_end_matches('/').to_owned(), source: source.into() }
    }

    fn text(&self) -> String {
        if self.source.is_empty() { quote(&self.path) } else { format!("{} ({})", quote(&self.path), self.source) }
    }

    /// One is the other, or lies in it.
    fn overlaps(&self, other: &Place) -> bool {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        !self.path.is_empty()
            && !other.path.is_empty()
            && (within(&self.path, &other.path) || within(&other.path, &self.path))
    }
}

pub fn find(volumes: Items<'_, Volume<'_>>, out: &mut Vec<String>) {
    for volume in volumes.iter() {
        let mut check = |places: Vec<Place>, what: String| {
            let mut seen: Vec<Place> = Vec::new();
            warn(places, &mut seen, volume.name(), &what, out);
        };
        if let Some(config_map) = volume.config_map() {
            check(of_keys(config_map.items(), ""), format!("ConfigMap {}", quote(config_map.name())));
        }
        if let Some(secret) = volume.secret() {
            check(of_keys(secret.items(), ""), format!("Secret {}", quote(secret.secret_name())));
        }
        if let Some(downward) = volume.downward_api() {
            check(of_files(downward.items(), ""), "DownwardAPI".to_owned());
        }
        if let Some(projected) = volume.projected() {
            let mut seen = Vec::new();
            for source in projected.sources().iter() {
                if source.as_struct().is_zero() {
                    out.push(format!("volume {} (Projected) has no sources provided", quote(volume.name())));
                } else {
                    warn(of_source(source), &mut seen, volume.name(), "Projected", out);
                }
            }
        }
    }
}

fn warn(places: Vec<Place>, seen: &mut Vec<Place>, volume: &str, what: &str, out: &mut Vec<String>) {
    for place in places {
        for other in seen.iter().filter(|other| other.overlaps(&place)) {
            let volume = quote(volume);
            out.push(format!("volume {volume} ({what}): overlapping paths: {} with {}", place.text(), other.text()));
        }
        seen.push(place);
    }
}

fn of_keys(items: Items<'_, KeyToPath<'_>>, source: &str) -> Vec<Place> {
    items.iter().map(|item| Place::new(item.path(), source)).collect()
}

fn of_files(items: Items<'_, DownwardAPIVolumeFile<'_>>, source: &str) -> Vec<Place> {
    items.iter().map(|item| Place::new(item.path(), source)).collect()
}

/// The first kind of source that is there, in upstream's order.
fn of_source(source: VolumeProjection<'_>) -> Vec<Place> {
    if let Some(config_map) = source.config_map().filter(|source| !source.items().is_empty()) {
        return of_keys(config_map.items(), &format!("ConfigMap {}", quote(config_map.name())));
    }
    if let Some(secret) = source.secret().filter(|source| !source.items().is_empty()) {
        return of_keys(secret.items(), &format!("Secret {}", quote(secret.name())));
    }
    if let Some(downward) = source.downward_api().filter(|source| !source.items().is_empty()) {
        return of_files(downward.items(), "DownwardAPI");
    }
    if let Some(token) = source.service_account_token() {
        return vec![Place::new(token.path(), "ServiceAccountToken")];
    }
    if let Some(bundle) = source.cluster_trust_bundle() {
        let name = bundle.name().or(bundle.signer_name()).unwrap_or_default();
        return vec![Place::new(bundle.path(), format!("ClusterTrustBundle {}", quote(name)))];
    }
    let Some(certificate) = source.pod_certificate() else { return Vec::new() };
    [
        (certificate.certificate_chain_path(), "PodCertificate chain"),
        (certificate.key_path(), "PodCertificate key"),
        (certificate.credential_bundle_path(), "PodCertificate credential bundle"),
    ]
    .into_iter()
    .filter(|(path, _)| !path.is_empty())
    .map(|(path, source)| Place::new(path, source))
    .collect()
}
