//! Between what the store holds and what is served: ingest, run once for each revision, and its inverse.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::{Result, Status};
use corten_object::tree::{Id, Node, Tree};
use corten_object::{json, protobuf};
use corten_store::Encoding;

use crate::object::{Draft, Object};
use crate::resource::{Resource, Storage};

impl Storage {
    /// Ingest: decode, convert to the hub version, default, canonicalise, index.
    pub fn ingest(&self, key: &str, value: &Bytes) -> Result<Draft> {
        let tree = self.decode(value)?;
        Ok(self.draft(&tree, key))
    }

    fn decode(&self, value: &Bytes) -> Result<Tree> {
        let broken = |error: String| Status::internal(format!("unable to decode a stored {}: {error}", self.hub.kind));
        let mut tree = if value.starts_with(protobuf::MAGIC) {
            let envelope = protobuf::open(value).map_err(|error| broken(error.0))?;
            let ty = self.stored_type(&envelope.api_version, &envelope.kind).map_err(broken)?;
            protobuf::decode(value.to_vec(), ty).map_err(|error| broken(error.0))?
        } else {
            let form = self.stored_form(value).map_err(broken)?;
            json::parse(value.to_vec(), form).map_err(|error| broken(error.to_string()))?.tree
        };
        self.to_hub(&mut tree);
        self.default_hub(&mut tree);
        self.strategy().default_on_read(&mut tree.edit());
        Ok(tree)
    }

    fn stored_type(&self, api_version: &str, kind: &str) -> std::result::Result<corten_schema::TypeId, String> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        corten_schema::kind(group, version, kind)
            .map(|kind| kind.ty)
            .ok_or_else(|| format!("no kind {kind:?} is registered for version {api_version:?}"))
    }

    /// JSON of the hub version, unless it says otherwise.
    fn stored_form(&self, value: &Bytes) -> std::result::Result<json::Form, String> {
        let json::Form::Typed(_) = self.hub.form else { return Ok(self.hub.form) };
        let head = &value[..value.len().min(200)];
        let hub = format!("\"apiVersion\":\"{}\"", self.hub.api_version);
        if memchr::memmem::find(head, hub.as_bytes()).is_some() {
            return Ok(self.hub.form);
        }
        let plain = json::parse(value.to_vec(), json::Form::Plain).map_err(|error| error.to_string())?.tree;
        let word = |name: &str| plain.root().get(name).map_or("", Node::as_str);
        self.stored_type(word("apiVersion"), word("kind")).map(json::Form::Typed)
    }

    fn to_hub(&self, tree: &mut Tree) {
        let json::Form::Typed(hub) = self.hub.form else { return };
        if tree.type_of(tree.root_id()) != Some(hub)
            && let Some(converted) = self.strategy().convert(tree, (&self.group, &self.hub.version))
        {
            *tree = converted;
        }
    }

    /// Defaults of the hub version.
    pub fn default_hub(&self, tree: &mut Tree) {
        let root = tree.root_id();
        self.hub.defaults.apply(tree, root);
        self.strategy().default(&self.hub.version, &mut tree.edit());
    }

    /// An object of the hub version, made ready to be kept.
    pub fn draft(&self, tree: &Tree, key: &str) -> Draft {
        let mut values: Vec<Cow<'_, str>> = Vec::with_capacity(self.selectable.len());
        self.strategy().selectable(tree.root(), &mut values);
        values.resize(self.selectable.len(), Cow::Borrowed(""));
        let fields = values.into_iter().map(|value| value.as_ref().into()).collect();
        Draft::new(tree.root(), key.into(), fields)
    }

    /// What is given to the store.
    pub fn encode(&self, tree: &Tree, draft: &Draft, encoding: Encoding) -> Bytes {
        match (encoding, self.hub.form) {
            (Encoding::Protobuf, json::Form::Typed(_)) => protobuf::encode(tree.root()).into(),
            // Upstream's JSON encoder ends what it writes with a line.
            (Encoding::Protobuf, _) => [draft.canonical.json.as_slice(), b"\n"].concat().into(),
            (Encoding::Json, _) => Bytes::copy_from_slice(&draft.canonical.json),
        }
    }

    /// A kept object, to look into.
    pub fn tree(&self, object: &Object) -> Tree {
        object.tree(self.hub.form)
    }
}

impl Resource {
    /// An object of the hub version in this one.
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

    /// An object of this version in the hub version.
    pub fn to_hub(&self, tree: Tree) -> Tree {
        let Some(storage) = &self.storage else { return tree };
        if let Some(custom) = &self.custom {
            return custom.to_storage(tree, &storage.hub.api_version);
        }
        if self.is_hub() {
            return tree;
        }
        storage.strategy().convert(&tree, (&storage.group, &storage.hub.version)).unwrap_or(tree)
    }

    /// Gives an object of this version the form that the hub version leaves of it, which is the one whose fields are
    /// owned.
    pub fn settle(&self, tree: &mut Tree) {
        if !self.is_custom() && !self.is_hub() {
            *tree = self.of_hub(self.to_hub(std::mem::take(tree)));
        }
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
    pub fn shows_kept_bytes(&self) -> bool {
        self.is_hub()
    }

    /// A kept object in this version, to look into.
    pub fn tree(&self, object: &Arc<Object>) -> Tree {
        match &self.storage {
            Some(storage) => self.of_hub(storage.tree(object)),
            None => object.tree(self.form),
        }
    }
}
