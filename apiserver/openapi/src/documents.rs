//! The documents of a server at one moment, each made when it is first asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use corten_schema::Resource;
use imbl::OrdMap;
use ring::digest::{SHA512, digest};

use crate::custom::CustomKind;
use crate::descriptions::Text;
use crate::group_version::{GroupVersion, Kind};
use crate::json::Writer;
use crate::negotiate::Form;
use crate::source::{self, Entry};
use crate::v2::{self, BuiltInParts, Package, Part};

/// Every document of a server. They do not change: [`Documents::with`] and [`Documents::without`] give other ones,
/// which share all that has been made and stays as it is.
///
/// Making the index takes the hash of every document, and so makes those that are new: tens of milliseconds of work at
/// the first call, which a caller may want to do where it holds nobody up.
#[derive(Clone)]
pub struct Documents {
    built_in: Arc<BuiltIn>,
    /// By path.
    custom: OrdMap<Arc<str>, Arc<GroupVersion>>,
    /// The kinds of each definition.
    definitions: OrdMap<Arc<str>, Arc<[Arc<Kind>]>>,
    whole: Arc<Whole>,
}

/// `/openapi/v3`: where each document lies.
#[derive(Debug, Clone)]
pub struct Index {
    pub etag: Arc<str>,
    pub json: Bytes,
}

/// `/openapi/v3/{path}`, or version 2.
#[derive(Debug, Clone)]
pub struct Document {
    /// A SHA-512 in capital hexadecimal digits: of the JSON, which is also the `hash` of its URL, or, in version 2, of
    /// the hashes of its parts.
    pub etag: Arc<str>,
    /// A tenth of the whole.
    pub gzip: Bytes,
}

/// What the server has by itself.
struct BuiltIn {
    entries: BTreeMap<String, Entry>,
    parts_of_version_2: OnceLock<BuiltInParts>,
}

/// What tells of everything.
#[derive(Default)]
struct Whole {
    index: OnceLock<Index>,
    /// In each form.
    v2: [OnceLock<Document>; 2],
}

impl Documents {
    pub fn new(resources: &[&'static Resource]) -> Documents {
        let built_in = BuiltIn { entries: source::entries(resources), parts_of_version_2: OnceLock::new() };
        let (custom, definitions, whole) = Default::default();
        Documents { built_in: Arc::new(built_in), custom, definitions, whole }
    }

    /// The documents when a definition publishes these kinds, and no others that it published before. What is made of
    /// kinds that are as they were, and of their group versions, stays.
    pub fn with(&self, definition: &str, kinds: Vec<CustomKind>) -> Documents {
        let old = self.kinds_of(definition);
        let kept = |kind: &CustomKind| old.iter().find(|old| old.kind == *kind).cloned();
        let kinds = kinds.into_iter().map(|kind| kept(&kind).unwrap_or_else(|| Arc::new(Kind::new(kind))));
        self.replaced(definition, kinds.collect())
    }

    /// The documents when a definition is gone.
    pub fn without(&self, definition: &str) -> Documents {
        self.replaced(definition, Arc::default())
    }

    fn kinds_of(&self, definition: &str) -> &[Arc<Kind>] {
        self.definitions.get(definition).map_or(&[], |kinds| kinds)
    }

    fn replaced(&self, definition: &str, new: Arc<[Arc<Kind>]>) -> Documents {
        let old = self.kinds_of(definition);
        let gone: Vec<&Arc<Kind>> = old.iter().filter(|kind| !holds(&new, kind)).collect();
        let come: Vec<&Arc<Kind>> = new.iter().filter(|kind| !holds(old, kind)).collect();
        if gone.is_empty() && come.is_empty() {
            return self.clone();
        }
        let mut next = Documents { whole: Arc::default(), ..self.clone() };
        let paths: BTreeSet<String> = gone.iter().chain(&come).map(|kind| kind.document_path()).collect();
        for path in paths.into_iter().filter(|path| !self.built_in.entries.contains_key(path)) {
            let old = self.custom.get(path.as_str()).map_or(&[][..], |version| version.kinds());
            let kept = old.iter().filter(|kind| !gone.iter().any(|gone| Arc::ptr_eq(gone, kind)));
            let added = come.iter().copied().filter(|kind| kind.document_path() == path);
            let kinds: Vec<Arc<Kind>> = kept.chain(added).cloned().collect();
            match kinds.is_empty() {
                true => _ = next.custom.remove(path.as_str()),
                false => _ = next.custom.insert(path.into(), Arc::new(GroupVersion::new(kinds))),
            }
        }
        match new.is_empty() {
            true => _ = next.definitions.remove(definition),
            false => _ = next.definitions.insert(definition.into(), new),
        }
        next
    }

    pub fn index(&self) -> Index {
        self.whole.index.get_or_init(|| self.make_index()).clone()
    }

    fn make_index(&self) -> Index {
        let entries = &self.built_in.entries;
        if entries.values().any(|entry| entry.known_etag().is_none()) {
            let text = Text::inflate();
            let descriptions = text.index();
            entries.values().for_each(|entry| _ = entry.etag(&descriptions));
        }
        let built_in = entries.iter().filter_map(|(path, entry)| Some((path.as_str(), entry.known_etag()?)));
        let custom = self.custom.iter().map(|(path, version)| (&**path, version.etag()));
        let etags: BTreeMap<&str, &Arc<str>> = built_in.chain(custom).collect();
        let mut w = Writer::new();
        w.object(|w| {
            w.object_member("paths", |w| {
                for (path, etag) in etags {
                    w.object_member(path, |w| w.member("serverRelativeURL", &location(path, etag)));
                }
            });
        });
        let json = w.finish();
        Index { etag: etag_of(&json), json: json.into() }
    }

    /// `/openapi/v2`, which tells everything at once.
    pub fn v2(&self, form: Form) -> Document {
        self.whole.v2[form as usize].get_or_init(|| self.make_v2(form)).clone()
    }

    fn make_v2(&self, form: Form) -> Document {
        let built_in = self.built_in.parts_of_version_2.get_or_init(|| v2::built_in(&self.built_in.entries));
        let mut operations: Vec<&Part> = built_in.operations.iter().collect();
        operations.extend(self.custom.values().map(|version| version.operations_of_version_2()));
        let kinds = self.custom.values().flat_map(|version| version.kinds());
        let custom: BTreeMap<&str, &Part> =
            kinds.flat_map(|kind| kind.definitions()).map(|part| (part.name(), part)).collect();
        let (interrupted, whole): (Vec<&Package>, Vec<&Package>) =
            built_in.definitions.iter().partition(|package| package.is_interrupted(&custom));
        let split: Vec<Part> = interrupted.into_iter().flat_map(|package| package.split()).collect();
        let built_in = whole.into_iter().map(|package| package.part()).chain(&split);
        let mut definitions: BTreeMap<&str, &Part> = built_in.map(|part| (part.name(), part)).collect();
        definitions.extend(custom);
        v2::join(form, operations, definitions.into_values().collect())
    }

    /// The document of a path such as `apis/apps/v1`.
    pub fn document(&self, path: &str) -> Option<Document> {
        match self.built_in.entries.get(path) {
            Some(entry) => Some(entry.document()),
            None => self.custom.get(path).map(|version| version.document()),
        }
    }
}

fn holds(kinds: &[Arc<Kind>], kind: &Arc<Kind>) -> bool {
    kinds.iter().any(|other| Arc::ptr_eq(other, kind))
}

impl Document {
    /// The document itself.
    pub fn plain(&self) -> Bytes {
        crate::packed::unzip(&self.gzip).into()
    }
}

/// Where a document lies, with the hash that lets clients keep it for ever.
pub fn location(path: &str, etag: &str) -> String {
    format!("/openapi/v3/{path}?hash={etag}")
}

pub(crate) fn etag_of(bytes: &[u8]) -> Arc<str> {
    digest(&SHA512, bytes).as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<String>().into()
}
