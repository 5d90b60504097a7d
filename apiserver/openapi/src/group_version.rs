//! The documents of a group version of custom kinds.
//!
//! Each is joined from parts: the schemas of its kinds, which come packed, the schemas of built-in types that they
//! share, and the operations, which are written anew when a kind comes, changes or goes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;

use crate::components;
use crate::custom::{self, CustomKind};
use crate::descriptions::Text;
use crate::documents::{Document, etag_of};
use crate::json::Writer;
use crate::names;
use crate::operation::Paths;
use crate::packed::{Gzip, Packed};
use crate::v2::{self, Part};

/// A custom kind, and what version 2 says of it.
pub(crate) struct Kind {
    pub kind: CustomKind,
    definitions: OnceLock<Vec<Part>>,
}

pub(crate) struct GroupVersion {
    /// By plural.
    kinds: Vec<Arc<Kind>>,
    etag: OnceLock<Arc<str>>,
    operations: OnceLock<Packed>,
    operations_of_version_2: OnceLock<Part>,
}

const HEAD: &[u8] = br#"{"openapi":"3.0.0","info":{"title":"Kubernetes CRD Swagger","version":"v0.1.0"},"paths":{"#;
const BETWEEN: &[u8] = br#"},"components":{"schemas":{"#;
const TAIL: &[u8] = b"}}}";

/// The schemas of built-in types that any custom kind may share, by name.
static SHARED: LazyLock<BTreeMap<String, Packed>> = LazyLock::new(|| {
    let (text, names) = (Text::inflate(), components::reached(custom::shared_components(true)));
    let descriptions = text.index();
    let packed = |name: String| {
        let mut w = Writer::new();
        components::write(&mut w, &name, custom::DELETE_OPTIONS, &descriptions);
        (name, Packed::new(&w.finish()))
    };
    names.into_iter().map(packed).collect()
});

impl Kind {
    pub fn new(kind: CustomKind) -> Kind {
        Kind { kind, definitions: OnceLock::new() }
    }

    pub fn document_path(&self) -> String {
        names::document_path(&self.kind.group, &self.kind.version)
    }

    /// Its definitions in version 2.
    pub fn definitions(&self) -> &[Part] {
        self.definitions.get_or_init(|| {
            let schemas = self.kind.schemas();
            schemas.into_iter().map(|(name, schema)| v2::custom_definition(&name, &schema.plain())).collect()
        })
    }
}

impl GroupVersion {
    pub fn new(mut kinds: Vec<Arc<Kind>>) -> GroupVersion {
        kinds.sort_by(|a, b| a.kind.plural.cmp(&b.kind.plural));
        let (etag, operations, operations_of_version_2) = Default::default();
        GroupVersion { kinds, etag, operations, operations_of_version_2 }
    }

    pub fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    pub fn etag(&self) -> &Arc<str> {
        self.etag.get_or_init(|| etag_of(&crate::packed::unzip(&self.gzip())))
    }

    pub fn document(&self) -> Document {
        Document { gzip: self.gzip(), etag: Arc::clone(self.etag()) }
    }

    fn gzip(&self) -> Bytes {
        let mut schemas: BTreeMap<String, &Packed> = BTreeMap::new();
        for name in components::reached(custom::shared_components(self.has_scale())) {
            if let Some(packed) = SHARED.get(&name) {
                schemas.insert(name, packed);
            }
        }
        schemas.extend(self.kinds.iter().flat_map(|kind| kind.kind.schemas()));
        let mut gzip = Gzip::new();
        gzip.plain(HEAD);
        gzip.packed(self.operations());
        gzip.plain(BETWEEN);
        for (place, (name, schema)) in schemas.into_iter().enumerate() {
            let mut w = Writer::new();
            w.key(&name);
            gzip.plain(if place > 0 { b"," } else { b"" });
            gzip.plain(&w.finish());
            gzip.packed(schema);
        }
        gzip.plain(TAIL);
        gzip.finish()
    }

    pub fn has_scale(&self) -> bool {
        self.kinds.iter().any(|kind| kind.kind.scale)
    }

    fn paths(&self) -> Paths {
        let mut paths = Paths::default();
        self.kinds.iter().for_each(|kind| custom::add_kind(&mut paths, &kind.kind));
        paths
    }

    fn operations(&self) -> &Packed {
        self.operations.get_or_init(|| {
            let mut w = Writer::new();
            self.paths().write(&mut w);
            Packed::new(&w.finish())
        })
    }

    /// Its operations in version 2.
    pub fn operations_of_version_2(&self) -> &Part {
        self.operations_of_version_2.get_or_init(|| v2::operations(&self.paths()))
    }
}
