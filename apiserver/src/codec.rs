//! Between what the store holds and what is served: ingest, run once for each revision, and its inverse.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::{Result, Status};
use corten_object::tree::{Id, Node, Tree};
use corten_object::{json, protobuf};
use corten_schema::{self as schema, TypeId};
use corten_store::Encoding;

use crate::metadata;
use crate::object::{Draft, Object};
use crate::resource::{Resource, Storage, api_version};

#[cfg(test)]
mod tests;

impl Storage {
    /// Ingest: decode, convert to the hub version, default, canonicalise, index. A custom object stays in the version that
    /// it was stored in: the storage version of today may not know its fields, and a version that is served may.
    pub fn ingest(&self, key: &str, value: &Bytes) -> Result<Draft> {
        let tree = self.decode(value)?;
        Ok(self.shown(&tree, key))
    }

    fn decode(&self, value: &Bytes) -> Result<Tree> {
        self.decode_kept(value)
            .map_err(|error| Status::internal(format!("unable to decode a stored {}: {error}", self.hub.kind)))
    }

    fn decode_kept(&self, value: &Bytes) -> std::result::Result<Tree, String> {
        let tree = if value.starts_with(protobuf::MAGIC) {
            let envelope = protobuf::open(value).map_err(|error| error.0)?;
            let ty = self.stored_type(&envelope.api_version, &envelope.kind)?;
            protobuf::decode(value.to_vec(), ty).map_err(|error| error.0)?
        } else {
            let form = self.stored_form(value)?;
            json::parse_written(value.to_vec(), form).map_err(|error| error.to_string())?.tree
        };
        let mut tree = self.hub_of(tree)?;
        if let Some(definition) = self.definition() {
            definition.read(&mut tree);
            return Ok(tree);
        }
        self.default_read(&mut tree);
        Ok(tree)
    }

    fn stored_type(&self, api_version: &str, kind: &str) -> std::result::Result<TypeId, String> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        schema::kind(group, version, kind)
            .filter(|_| kind == &*self.hub.kind)
            .map(|kind| kind.ty)
            .ok_or_else(|| format!("it is a {kind:?} of version {api_version:?}"))
    }

    /// JSON of the hub version, unless it says otherwise.
    fn stored_form(&self, value: &Bytes) -> std::result::Result<json::Form, String> {
        let json::Form::Typed(_) = self.hub.form else { return Ok(self.hub.form) };
        let head = &value[..value.len().min(200)];
        let hub = format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", self.hub.kind, self.hub.api_version);
        if head.starts_with(hub.as_bytes()) {
            return Ok(self.hub.form);
        }
        let plain = json::parse(value.to_vec(), json::Form::Plain).map_err(|error| error.to_string())?.tree;
        let word = |name: &str| plain.root().get(name).map_or("", Node::as_str);
        self.stored_type(word("apiVersion"), word("kind")).map(json::Form::Typed)
    }

    /// What was decoded, in the hub version.
    fn hub_of(&self, tree: Tree) -> std::result::Result<Tree, String> {
        let found = tree.type_of(tree.root_id());
        match self.hub.form {
            json::Form::Typed(hub) if found != Some(hub) => {
                self.converted(&tree, &self.hub.version, hub).ok_or_else(|| "it cannot be converted".to_owned())
            }
            json::Form::Typed(_) => Ok(tree),
            // Whatever else it lacks, metadata is looked into by everybody.
            _ if metadata_is_sound(&tree) => Ok(tree),
            _ => Err("it has no metadata".to_owned()),
        }
    }

    /// An object in another version of its kind. Versions that no rule of the kind's own tells apart look alike.
    fn converted(&self, tree: &Tree, version: &str, ty: TypeId) -> Option<Tree> {
        let converted = self.strategy().convert(tree, (&self.group, version));
        let converted = converted.or_else(|| {
            let parsed = json::parse_written(json::to_vec(tree.root()), json::Form::Typed(ty)).ok()?;
            let mut tree = parsed.tree;
            let kind = metadata::kind(&tree).to_owned();
            metadata::set_kind(&mut tree, &api_version(&self.group, version), &kind);
            parsed.strict.is_empty().then_some(tree)
        });
        converted.filter(|tree| tree.type_of(tree.root_id()) == Some(ty))
    }

    /// Makes of an object that is to be kept what a reading of the store will show.
    pub fn settle(&self, tree: &mut Tree) {
        if self.definition().is_none() {
            self.strategy().default_on_read(&mut tree.edit());
            debug_assert!(self.is_as_read(tree), "{} will be read with other defaults", metadata::kind(tree));
        }
    }

    fn is_as_read(&self, tree: &Tree) -> bool {
        let mut read = tree.clone();
        self.default_read(&mut read);
        read.root().equals(tree.root())
    }

    /// Defaults of what was read from the store.
    fn default_read(&self, tree: &mut Tree) {
        self.default_hub(tree);
        self.strategy().default_on_read(&mut tree.edit());
    }

    /// Defaults of the hub version.
    pub fn default_hub(&self, tree: &mut Tree) {
        let root = tree.root_id();
        self.hub.defaults.apply(tree, root);
        self.strategy().default(&self.hub.version, &mut tree.edit());
    }

    /// An object of the hub version, or of any version of a custom resource, made ready to be kept.
    pub fn draft(&self, tree: &Tree, key: &str) -> Draft {
        let Some(definition) = self.definition() else { return self.shown(tree, key) };
        let stored = definition.stored(tree);
        let read = definition.reread(&stored);
        let mut draft = self.shown(&read, key);
        if let Cow::Owned(_) = read {
            draft.stored = Some(json::canonical(stored.root()).json);
        }
        draft
    }

    /// An object as the caches show it.
    fn shown(&self, tree: &Tree, key: &str) -> Draft {
        let mut values: Vec<Cow<'_, str>> = Vec::with_capacity(self.selectable.len());
        self.strategy().selectable(tree.root(), &mut values);
        values.resize(self.selectable.len(), Cow::Borrowed(""));
        let fields = values.into_iter().map(|value| value.as_ref().into()).collect();
        let mut draft = Draft::new(self.cache.id(), tree.root(), key.into(), fields);
        draft.other_version = self.definition().is_some() && metadata::api_version(tree) != &*self.hub.api_version;
        draft
    }

    /// Whether the store would be given the same for both.
    pub fn stores_alike(&self, a: &Tree, b: &Tree) -> bool {
        match self.definition() {
            Some(definition) => definition.stored(a).root().equals(definition.stored(b).root()),
            None => a.root().equals(b.root()),
        }
    }

    /// What is given to the store.
    pub fn encode(&self, tree: &Tree, draft: &Draft, encoding: Encoding) -> Bytes {
        let json = draft.stored.as_ref().unwrap_or(&draft.canonical.json);
        if encoding == Encoding::Json {
            return Bytes::copy_from_slice(json);
        }
        let other = self.kept.version.and_then(|kept| self.converted(tree, kept.version, kept.ty));
        // Upstream's JSON encoder ends what it writes with a line.
        let line = |json: &[u8]| Bytes::from([json, b"\n"].concat());
        match (self.hub.form, other) {
            (json::Form::Typed(_), Some(other)) if self.kept.json => line(&json::canonical(other.root()).json),
            (json::Form::Typed(_), Some(other)) => protobuf::encode_kept(other.root()).into(),
            (json::Form::Typed(_), None) if !self.kept.json => protobuf::encode_kept(tree.root()).into(),
            _ => line(json),
        }
    }

    /// A kept object, to look into.
    pub fn tree(&self, object: &Object) -> Tree {
        object.tree(self.hub.form)
    }
}

fn metadata_is_sound(tree: &Tree) -> bool {
    let metadata = tree.get(tree.root_id(), "metadata");
    metadata.is_some_and(|id| tree.type_of(id) == Some(schema::ids::meta_v1::OBJECT_META))
}

impl Resource {
    /// An object of the hub version, or of any version of a custom resource, in this one.
    pub fn of_hub(&self, tree: Tree) -> Tree {
        if let Some(custom) = &self.custom {
            return custom.serve(tree);
        }
        match &self.storage {
            Some(storage) if !self.is_hub() => {
                storage.strategy().convert(&tree, (&self.group, &self.version)).unwrap_or(tree)
            }
            _ => tree,
        }
    }

    /// A kept object as writes work on it: in the hub version, but for custom objects, which upstream works on in the
    /// version of the request.
    pub fn working_tree(&self, object: &Arc<Object>) -> Tree {
        match &self.storage {
            Some(storage) if !self.is_custom() => storage.tree(object),
            _ => self.tree(object),
        }
    }

    /// An object of this version as it will be read again: what conversion moves about has moved.
    pub fn through_hub(&self, tree: Tree) -> Tree {
        if self.is_custom() || self.is_hub() { tree } else { self.of_hub(self.to_hub(tree)) }
    }

    /// An object of this version in the one that writes work on.
    pub fn to_hub(&self, tree: Tree) -> Tree {
        let Some(storage) = &self.storage else { return tree };
        if self.is_custom() || self.is_hub() {
            return tree;
        }
        storage.strategy().convert(&tree, (&storage.group, &storage.hub.version)).unwrap_or(tree)
    }

    /// Defaults of this version: the table's, then the kind's own.
    pub fn default(&self, tree: &mut Tree) {
        if let Some(custom) = &self.custom {
            return custom.default(tree);
        }
        let root: Id = tree.root_id();
        self.defaults.apply(tree, root);
        if let Some(storage) = &self.storage {
            storage.strategy().default(&self.version, &mut tree.edit());
        }
    }

    /// Whether a kept object's bytes are what this version shows.
    pub fn shows_kept_bytes(&self, object: &Object) -> bool {
        self.is_hub() && !object.other_version
    }

    /// A kept object in this version, to look into.
    pub fn tree(&self, object: &Arc<Object>) -> Tree {
        match &self.storage {
            Some(storage) => self.of_hub(storage.tree(object)),
            None => object.tree(self.form),
        }
    }
}
