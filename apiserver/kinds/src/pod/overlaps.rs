//! Files of one volume that get in each other's way.

use std::collections::HashMap;

use corten_api::field::quote;
use corten_object::tree::{Items, View};
use corten_views::core_v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};

use super::warnings::Room;

/// The files of a volume, by the parts of their paths.
struct Files<'t> {
    directories: Vec<Directory<'t>>,
    files: Vec<File<'t>>,
    /// Where files come from.
    sources: Vec<String>,
    room: Room,
}

#[derive(Default)]
struct Directory<'t> {
    below: HashMap<&'t str, usize>,
    /// The files whose path ends here.
    here: Vec<usize>,
}

#[derive(Clone, Copy)]
struct File<'t> {
    path: &'t str,
    source: usize,
}

impl<'t> Files<'t> {
    fn new() -> Self {
        Files { directories: vec![Directory::default()], files: Vec::new(), sources: Vec::new(), room: Room::default() }
    }

    fn shown(&self, file: File<'_>) -> String {
        match self.sources[file.source].as_str() {
            "" => quote(file.path),
            source => format!("{} ({source})", quote(file.path)),
        }
    }

    /// Adds files of one source, and warns of each that is another one, or lies in it, or the other in it.
    fn add(&mut self, paths: impl Iterator<Item = &'t str>, source: String, about: &str, out: &mut Vec<String>) {
        self.sources.push(source);
        let source = self.sources.len() - 1;
        for path in paths.map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty()) {
            if !self.room.is_left() {
                return;
            }
            let file = File { path, source };
            for other in self.enter(file) {
                if !self.room.is_left() {
                    return;
                }
                let (file, other) = (self.shown(file), self.shown(self.files[other]));
                self.room.push(format!("volume {about}: overlapping paths: {file} with {other}"), out);
            }
        }
    }

    /// Enters a file; those that it overlaps, in the order in which they were added.
    fn enter(&mut self, file: File<'t>) -> Vec<usize> {
        let mut overlapped = Vec::new();
        let mut at = 0;
        for part in file.path.split('/') {
            let next = self.directories.len();
            at = *self.directories[at].below.entry(part).or_insert(next);
            if at == next {
                self.directories.push(Directory::default());
            }
            overlapped.extend(&self.directories[at].here);
        }
        let mut waiting: Vec<usize> = self.directories[at].below.values().copied().collect();
        while let Some(directory) = waiting.pop() {
            overlapped.extend(&self.directories[directory].here);
            waiting.extend(self.directories[directory].below.values());
        }
        overlapped.sort_unstable();
        self.directories[at].here.push(self.files.len());
        self.files.push(file);
        overlapped
    }
}

pub fn find(volumes: Items<'_, Volume<'_>>, out: &mut Vec<String>) {
    for volume in volumes.iter() {
        let about = |what: &str| format!("{} ({what})", quote(volume.name()));
        if let Some(config_map) = volume.config_map().filter(|source| source.items().len() > 1) {
            let about = about(&format!("ConfigMap {}", quote(config_map.name())));
            Files::new().add(of_keys(config_map.items()), String::new(), &about, out);
        }
        if let Some(secret) = volume.secret().filter(|source| source.items().len() > 1) {
            let about = about(&format!("Secret {}", quote(secret.secret_name())));
            Files::new().add(of_keys(secret.items()), String::new(), &about, out);
        }
        if let Some(downward) = volume.downward_api().filter(|source| source.items().len() > 1) {
            Files::new().add(of_files(downward.items()), String::new(), &about("DownwardAPI"), out);
        }
        if let Some(projected) = volume.projected() {
            let (mut files, about) = (Files::new(), about("Projected"));
            for source in projected.sources().iter() {
                if source.as_struct().is_zero() {
                    out.push(format!("volume {about} has no sources provided"));
                } else {
                    add_source(&mut files, source, &about, out);
                }
            }
        }
    }
}

fn of_keys<'t>(items: Items<'t, KeyToPath<'t>>) -> impl Iterator<Item = &'t str> {
    items.iter().map(|item| item.path())
}

fn of_files<'t>(items: Items<'t, DownwardAPIVolumeFile<'t>>) -> impl Iterator<Item = &'t str> {
    items.iter().map(|item| item.path())
}

/// Adds the first kind of source that is there, in upstream's order.
fn add_source<'t>(files: &mut Files<'t>, source: VolumeProjection<'t>, about: &str, out: &mut Vec<String>) {
    let mut one = |path: &'t str, source: String| files.add(std::iter::once(path), source, about, out);
    if let Some(config_map) = source.config_map().filter(|source| !source.items().is_empty()) {
        files.add(of_keys(config_map.items()), format!("ConfigMap {}", quote(config_map.name())), about, out);
    } else if let Some(secret) = source.secret().filter(|source| !source.items().is_empty()) {
        files.add(of_keys(secret.items()), format!("Secret {}", quote(secret.name())), about, out);
    } else if let Some(downward) = source.downward_api().filter(|source| !source.items().is_empty()) {
        files.add(of_files(downward.items()), "DownwardAPI".to_owned(), about, out);
    } else if let Some(token) = source.service_account_token() {
        one(token.path(), "ServiceAccountToken".to_owned());
    } else if let Some(bundle) = source.cluster_trust_bundle() {
        let name = bundle.name().or(bundle.signer_name()).unwrap_or_default();
        one(bundle.path(), format!("ClusterTrustBundle {}", quote(name)));
    } else if let Some(certificate) = source.pod_certificate() {
        one(certificate.certificate_chain_path(), "PodCertificate chain".to_owned());
        one(certificate.key_path(), "PodCertificate key".to_owned());
        one(certificate.credential_bundle_path(), "PodCertificate credential bundle".to_owned());
    }
}
