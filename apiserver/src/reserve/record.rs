//! Objects that servers share beside the API: they stand in the store under keys of their own, encoded as objects of
//! the API are, and nobody watches them.

use bytes::Bytes;
use corten_object::tree::Tree;
use corten_object::{json, protobuf};
use corten_schema::TypeId;
use corten_store::Encoding;

/// A kind of the core group that is kept so.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub kind: &'static str,
    ty: TypeId,
}

impl Record {
    /// None if the tables do not know the kind.
    pub fn of(kind: &'static str) -> Option<Record> {
        corten_schema::kind("", "v1", kind).map(|found| Record { kind, ty: found.ty })
    }

    pub fn empty(&self) -> Tree {
        let mut tree = Tree::of(self.ty);
        crate::metadata::set_kind(&mut tree, "v1", self.kind);
        tree
    }

    pub fn decode(&self, value: &Bytes) -> Result<Tree, String> {
        if value.starts_with(protobuf::MAGIC) {
            let envelope = protobuf::open(value).map_err(|error| error.0)?;
            if envelope.kind != self.kind {
                return Err(format!("a {} was expected, not a {}", self.kind, envelope.kind));
            }
            return protobuf::decode(value.to_vec(), self.ty).map_err(|error| error.0);
        }
        let parsed =
            json::parse_written(value.to_vec(), json::Form::Typed(self.ty)).map_err(|error| error.to_string())?;
        Ok(parsed.tree)
    }

    pub fn encode(&self, tree: &Tree, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Protobuf => protobuf::encode(tree.root()).into(),
            Encoding::Json => json::canonical(tree.root()).json.into(),
        }
    }
}
