//! The documents of what the server has by itself: what each describes, and the document when it is made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use corten_schema::Resource;
use flate2::{Compression, write::GzEncoder};

use crate::builtin;
use crate::components;
use crate::descriptions::{Descriptions, Text};
use crate::documents::{Document, etag_of};
use crate::json::Writer;
use crate::names;
use crate::operation::Paths;

pub(crate) struct Entry {
    pub source: Source,
    etag: OnceLock<Arc<str>>,
    gzip: OnceLock<Bytes>,
}

/// What a document describes.
pub(crate) enum Source {
    CoreVersions,
    Groups,
    Group(String),
    GroupVersion { group: String, version: String, resources: Vec<&'static Resource> },
    Version,
    OpenIdConfiguration,
    OpenIdKeys,
}

/// The documents for the given resources, by their paths.
pub(crate) fn entries(resources: &[&'static Resource]) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    let mut add = |path: String, source| entries.insert(path, Entry::new(source));
    add("api".into(), Source::CoreVersions);
    add("apis".into(), Source::Groups);
    add("version".into(), Source::Version);
    add(".well-known/openid-configuration".into(), Source::OpenIdConfiguration);
    add("openid/v1/jwks".into(), Source::OpenIdKeys);
    let versions: BTreeSet<(&str, &str)> = resources.iter().map(|row| (row.group, row.version)).collect();
    for (group, version) in versions {
        if !group.is_empty() {
            add(format!("apis/{group}"), Source::Group(group.into()));
        }
        let of_version = |row: &&&'static Resource| row.group == group && row.version == version;
        let resources = resources.iter().filter(of_version).copied().collect();
        let source = Source::GroupVersion { group: group.into(), version: version.into(), resources };
        add(names::document_path(group, version), source);
    }
    entries
}

impl Entry {
    fn new(source: Source) -> Entry {
        Entry { source, etag: OnceLock::new(), gzip: OnceLock::new() }
    }

    /// The hash of the document, which is made for it.
    pub fn etag(&self, descriptions: &Descriptions<'_>) -> &Arc<str> {
        self.etag.get_or_init(|| etag_of(&self.source.json(descriptions)))
    }

    pub fn known_etag(&self) -> Option<&Arc<str>> {
        self.etag.get()
    }

    pub fn document(&self) -> Document {
        let gzip = self.gzip.get_or_init(|| {
            let json = self.source.json(&Text::inflate().index());
            self.etag.get_or_init(|| etag_of(&json));
            compress(&json)
        });
        let etag = self.etag.get_or_init(|| Arc::from(""));
        Document { etag: Arc::clone(etag), gzip: gzip.clone() }
    }
}

fn compress(json: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 8), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(json);
    encoder.finish().unwrap_or_default().into_boxed_slice().into()
}

impl Source {
    fn json(&self, descriptions: &Descriptions<'_>) -> Vec<u8> {
        let mut paths = Paths::default();
        self.add_paths(&mut paths);
        let names = components::reached(paths.components().cloned());
        let shared = match self {
            Source::GroupVersion { group, version, .. } => &[(group.as_str(), version.as_str())][..],
            _ => &[],
        };
        let mut w = Writer::new();
        w.object(|w| {
            w.member("openapi", "3.0.0");
            w.object_member("info", |w| {
                w.member("title", "Kubernetes");
                w.member("version", "1.36");
            });
            w.object_member("paths", |w| paths.write(w));
            w.object_member("components", |w| {
                if !names.is_empty() {
                    w.object_member("schemas", |w| {
                        for name in &names {
                            w.key(name);
                            components::write(w, name, shared, descriptions);
                        }
                    });
                }
                w.object_member("securitySchemes", write_bearer_token);
            });
        });
        w.finish()
    }

    pub fn add_paths(&self, p: &mut Paths) {
        match self {
            Source::CoreVersions => builtin::add_core_versions(p),
            Source::Groups => builtin::add_groups(p),
            Source::Group(group) => builtin::add_group(p, group),
            Source::GroupVersion { group, version, resources } => {
                builtin::add_resource_list(p, group, version);
                resources.iter().for_each(|resource| builtin::add_resource(p, resource));
            }
            Source::Version => builtin::add_version(p),
            Source::OpenIdConfiguration => builtin::add_openid_configuration(p),
            Source::OpenIdKeys => builtin::add_openid_keys(p),
        }
    }
}

fn write_bearer_token(w: &mut Writer) {
    w.object_member("BearerToken", |w| {
        w.member("type", "apiKey");
        w.member("description", "Bearer Token authentication");
        w.member("name", "authorization");
        w.member("in", "header");
    });
}
