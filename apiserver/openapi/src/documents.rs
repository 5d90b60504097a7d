//! The documents by their path, each made when it is first asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use corten_schema::Resource;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use parking_lot::RwLock;
use ring::digest::{SHA512, digest};

use crate::builtin;
use crate::components;
use crate::custom::{self, CustomKind};
use crate::descriptions::{Descriptions, Text};
use crate::json::Writer;
use crate::names;
use crate::negotiate::Form;
use crate::operation::Paths;
use crate::v2;

/// Every document of a server.
///
/// Making the index takes the hash of every document, and so makes each of them once: tens of milliseconds of work at
/// the first call, which a caller may want to do where it holds nobody up.
pub struct Documents {
    state: RwLock<State>,
}

/// `/openapi/v3`: where each document lies.
#[derive(Debug, Clone)]
pub struct Index {
    pub etag: Arc<str>,
    pub json: Bytes,
}

/// `/openapi/v3/{path}`.
#[derive(Debug, Clone)]
pub struct Document {
    /// The SHA-512 of the JSON in capital hexadecimal digits; also the `hash` of its URL.
    pub etag: Arc<str>,
    /// What is kept: a tenth of the whole.
    pub gzip: Bytes,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Arc<Entry>>,
    index: Option<Index>,
    v2: Option<V2>,
}

/// Version 2, JSON and protobuf.
#[derive(Clone)]
struct V2([Document; 2]);

struct Entry {
    source: Source,
    etag: OnceLock<Arc<str>>,
    gzip: OnceLock<Bytes>,
}

/// What a document describes.
#[derive(PartialEq)]
enum Source {
    CoreVersions,
    Groups,
    Group(String),
    BuiltIn { group: String, version: String, resources: Vec<usize> },
    Custom(Vec<CustomKind>),
    Version,
    OpenIdConfiguration,
    OpenIdKeys,
}

impl Documents {
    pub fn new(resources: &[&'static Resource], custom: Vec<CustomKind>) -> Documents {
        let mut entries = BTreeMap::new();
        let mut add = |path: String, source| entries.insert(path, Arc::new(Entry::new(source)));
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
            let resources = resources.iter().filter(of_version).filter_map(|row| place(row)).collect();
            let source = Source::BuiltIn { group: group.into(), version: version.into(), resources };
            add(names::document_path(group, version), source);
        }
        let documents = Documents { state: RwLock::new(State { entries, ..State::default() }) };
        documents.set_custom(custom);
        documents
    }

    /// Replaces the custom kinds. Documents of group versions whose kinds are as they were stay made.
    pub fn set_custom(&self, custom: Vec<CustomKind>) {
        let mut versions: BTreeMap<String, Vec<CustomKind>> = BTreeMap::new();
        for kind in custom {
            versions.entry(names::document_path(&kind.group, &kind.version)).or_default().push(kind);
        }
        let mut state = self.state.write();
        (state.index, state.v2) = (None, None);
        state.entries.retain(|path, entry| !matches!(entry.source, Source::Custom(_)) || versions.contains_key(path));
        for (path, mut kinds) in versions {
            kinds.sort_by(|a, b| a.plural.cmp(&b.plural));
            let source = Source::Custom(kinds);
            match state.entries.get(&path) {
                Some(entry) if entry.source == source || !matches!(entry.source, Source::Custom(_)) => {}
                _ => _ = state.entries.insert(path, Arc::new(Entry::new(source))),
            }
        }
    }

    pub fn index(&self) -> Index {
        if let Some(index) = &self.state.read().index {
            return index.clone();
        }
        let entries = self.state.read().entries.clone();
        let index = make_index(&entries);
        let mut state = self.state.write();
        if state.is_of(&entries) {
            state.index = Some(index.clone());
        }
        index
    }

    /// `/openapi/v2`, which tells everything at once; both forms are made together.
    pub fn v2(&self, form: Form) -> Document {
        if let Some(V2(documents)) = &self.state.read().v2 {
            return documents[form as usize].clone();
        }
        let entries = self.state.read().entries.clone();
        let made = make_v2(&entries);
        let mut state = self.state.write();
        if state.is_of(&entries) {
            state.v2 = Some(made.clone());
        }
        made.0[form as usize].clone()
    }

    /// The document of a path such as `apis/apps/v1`.
    pub fn document(&self, path: &str) -> Option<Document> {
        let entry = Arc::clone(self.state.read().entries.get(path)?);
        let gzip = entry.gzip.get_or_init(|| {
            let json = entry.source.json(&Text::inflate().index());
            entry.etag.get_or_init(|| etag_of(&json));
            compress(&json)
        });
        let etag = entry.etag.get_or_init(|| Arc::from(""));
        Some(Document { etag: Arc::clone(etag), gzip: gzip.clone() })
    }
}

impl Document {
    /// The document itself.
    pub fn plain(&self) -> Bytes {
        let mut plain = Vec::new();
        // It was compressed here, so it can be read back.
        let _ = GzDecoder::new(&self.gzip[..]).read_to_end(&mut plain);
        plain.into()
    }
}

impl State {
    /// Whether nothing has changed since these were the entries.
    fn is_of(&self, entries: &BTreeMap<String, Arc<Entry>>) -> bool {
        self.entries.len() == entries.len()
            && self.entries.values().zip(entries.values()).all(|(now, then)| Arc::ptr_eq(now, then))
    }
}

/// Where a document lies, with the hash that lets clients keep it for ever.
pub fn location(path: &str, etag: &str) -> String {
    format!("/openapi/v3/{path}?hash={etag}")
}

fn place(resource: &'static Resource) -> Option<usize> {
    corten_schema::RESOURCES.iter().position(|row| std::ptr::eq(row, resource))
}

fn make_index(entries: &BTreeMap<String, Arc<Entry>>) -> Index {
    let text = Text::inflate();
    let descriptions = text.index();
    let mut w = Writer::new();
    w.object(|w| {
        w.object_member("paths", |w| {
            for (path, entry) in entries {
                let etag = entry.etag.get_or_init(|| etag_of(&entry.source.json(&descriptions)));
                w.object_member(path, |w| w.member("serverRelativeURL", &location(path, etag)));
            }
        });
    });
    let json = w.finish();
    Index { etag: etag_of(&json), json: json.into() }
}

fn make_v2(entries: &BTreeMap<String, Arc<Entry>>) -> V2 {
    let (mut paths, mut schemas, mut versions) = (Paths::default(), BTreeMap::new(), BTreeSet::new());
    for entry in entries.values() {
        entry.source.add_paths(&mut paths);
        match &entry.source {
            Source::Custom(kinds) => kinds.iter().for_each(|kind| custom::add_schemas(&mut schemas, kind)),
            Source::BuiltIn { group, version, .. } => _ = versions.insert((group.as_str(), version.as_str())),
            _ => {}
        }
    }
    versions.extend(custom::DELETE_OPTIONS);
    versions.extend(V2_MORE);
    let shared: Vec<(&str, &str)> = versions.into_iter().collect();
    let forms = v2::make(&paths, &schemas, &shared, &Text::inflate().index());
    let etag = etag_of(&forms.json);
    let document = |body: &[u8]| Document { etag: Arc::clone(&etag), gzip: compress(body) };
    V2([document(&forms.json), document(&forms.protobuf)])
}

/// Group versions that only servers know, and that clients' library does not.
const V2_MORE: [(&str, &str); 8] = [
    ("admission.k8s.io", "v1"),
    ("admission.k8s.io", "v1beta1"),
    ("apiextensions.k8s.io", "v1"),
    ("apiextensions.k8s.io", "v1beta1"),
    ("apiregistration.k8s.io", "v1"),
    ("apiregistration.k8s.io", "v1beta1"),
    ("imagepolicy.k8s.io", "v1alpha1"),
    ("", "v1"),
];

fn etag_of(json: &[u8]) -> Arc<str> {
    digest(&SHA512, json).as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<String>().into()
}

fn compress(json: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 8), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(json);
    encoder.finish().unwrap_or_default().into()
}

impl Entry {
    fn new(source: Source) -> Entry {
        Entry { source, etag: OnceLock::new(), gzip: OnceLock::new() }
    }
}

impl Source {
    fn json(&self, descriptions: &Descriptions<'_>) -> Vec<u8> {
        let mut paths = Paths::default();
        self.add_paths(&mut paths);
        let mut schemas = BTreeMap::new();
        if let Source::Custom(kinds) = self {
            kinds.iter().for_each(|kind| custom::add_schemas(&mut schemas, kind));
        }
        let mut roots: BTreeSet<String> = paths.components().cloned().collect();
        if !schemas.is_empty() {
            roots.extend(["ObjectMeta", "ListMeta"].map(|name| format!("{}{name}", names::META)));
        }
        let mut w = Writer::new();
        w.object(|w| {
            w.member("openapi", "3.0.0");
            w.object_member("info", |w| self.write_info(w));
            w.object_member("paths", |w| paths.write(w));
            w.object_member("components", |w| {
                if !roots.is_empty() {
                    w.object_member("schemas", |w| {
                        components::write(w, roots, &schemas, &self.shared(), descriptions);
                    });
                }
                if !matches!(self, Source::Custom(_)) {
                    w.object_member("securitySchemes", write_bearer_token);
                }
            });
        });
        w.finish()
    }

    fn add_paths(&self, p: &mut Paths) {
        match self {
            Source::CoreVersions => builtin::add_core_versions(p),
            Source::Groups => builtin::add_groups(p),
            Source::Group(group) => builtin::add_group(p, group),
            Source::BuiltIn { group, version, resources } => {
                builtin::add_resource_list(p, group, version);
                for &place in resources {
                    builtin::add_resource(p, &corten_schema::RESOURCES[place]);
                }
            }
            Source::Custom(kinds) => kinds.iter().for_each(|kind| custom::add_kind(p, kind)),
            Source::Version => builtin::add_version(p),
            Source::OpenIdConfiguration => builtin::add_openid_configuration(p),
            Source::OpenIdKeys => builtin::add_openid_keys(p),
        }
    }

    /// The group versions whose names for DeleteOptions and its like a document tells.
    fn shared(&self) -> Vec<(&str, &str)> {
        match self {
            Source::BuiltIn { group, version, .. } => vec![(group, version)],
            Source::Custom(_) => custom::DELETE_OPTIONS.to_vec(),
            _ => Vec::new(),
        }
    }

    fn write_info(&self, w: &mut Writer) {
        let custom = matches!(self, Source::Custom(_));
        w.member("title", if custom { "Kubernetes CRD Swagger" } else { "Kubernetes" });
        w.member("version", if custom { "v0.1.0" } else { "1.36" });
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
