//! A stored object at one revision, as bytes: what GET, LIST and WATCH send without looking into it.

pub mod kept;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use corten_object::json::{self, Canonical};
use corten_object::tree::{Node, Tree};

use self::kept::Kept;
use crate::cache::CacheId;
use crate::table::Row;

/// What is known of an object before its revision is: made by a writer, or by ingest from what the store holds.
#[derive(Debug)]
pub struct Draft {
    /// The cache of the storage that made it: for any other, its version and its fields may be wrong.
    pub of: CacheId,
    pub canonical: Canonical,
    /// The JSON that the store is given, where reading it sets more: defaults of a custom object.
    pub stored: Option<Vec<u8>>,
    /// See [`Object::other_version`].
    pub other_version: bool,
    /// `namespace/name`, or the name alone.
    pub key: Arc<str>,
    pub uid: Box<str>,
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// The values of the resource's field labels, in the order of its row.
    pub fields: Box<[Box<str>]>,
    /// Whether it has a deletionTimestamp.
    pub being_deleted: bool,
    /// Made into an object once, whoever comes first: the writer or the feed.
    object: OnceLock<Arc<Object>>,
}

#[derive(Debug)]
pub struct Object {
    pub revision: u64,
    /// Canonical JSON, resourceVersion and all.
    pub json: Bytes,
    /// Whether a custom object is still in the version that it was stored in, while another is the storage version now.
    pub other_version: bool,
    pub key: Arc<str>,
    pub uid: Box<str>,
    pub labels: Box<[(Box<str>, Box<str>)]>,
    pub fields: Box<[Box<str>]>,
    being_deleted: bool,
    /// Where the digits of the resourceVersion stand.
    digits: Range<u32>,
    prefix: u32,
    metadata: Range<u32>,
    /// Protobuf, made when first asked for.
    protobuf: Kept<Bytes>,
    /// The cells of a Table row, made when first asked for.
    row: Kept<Arc<Row>>,
    /// How long the protobuf of the metadata alone is, once that was made.
    metadata_size: kept::Size,
}

impl Draft {
    pub fn new(of: CacheId, root: Node<'_>, key: Arc<str>, fields: Box<[Box<str>]>) -> Draft {
        let metadata = root.get("metadata");
        let labels = metadata.and_then(|metadata| metadata.get("labels")).map_or(Box::default(), |labels| {
            labels.as_map().iter().map(|(key, value)| (key.into(), value.as_str().into())).collect()
        });
        let text = |name: &str| metadata.and_then(|metadata| metadata.get(name)).map_or("", Node::as_str);
        Draft {
            of,
            canonical: json::canonical(root),
            stored: None,
            other_version: false,
            key,
            uid: text("uid").into(),
            labels,
            fields,
            being_deleted: !text("deletionTimestamp").is_empty(),
            object: OnceLock::new(),
        }
    }

    /// The object at its revision.
    pub fn object(&self, revision: u64) -> Arc<Object> {
        Arc::clone(self.object.get_or_init(|| Arc::new(self.build(revision))))
    }

    /// The object of a dry run, which has no revision of its own: `revision` is that of what is kept, 0 if nothing is.
    pub fn unstored(&self, revision: u64) -> Arc<Object> {
        if revision > 0 {
            return self.object(revision);
        }
        let at = self.canonical.revision_at;
        Arc::new(Object {
            revision: 0,
            json: Bytes::copy_from_slice(&self.canonical.json),
            other_version: self.other_version,
            key: Arc::clone(&self.key),
            uid: self.uid.clone(),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            being_deleted: self.being_deleted,
            digits: at..at,
            prefix: self.canonical.prefix,
            metadata: self.canonical.metadata.clone(),
            protobuf: Kept::default(),
            row: Kept::default(),
            metadata_size: kept::Size::default(),
        })
    }

    fn build(&self, revision: u64) -> Object {
        let json = self.canonical.splice(revision);
        let added = (json.len() - self.canonical.json.len()) as u32;
        let digits_len = digits(revision);
        // The spliced text is `"resourceVersion":"N",`, or the same with the comma in front.
        let start = self.canonical.revision_at + u32::from(json[self.canonical.revision_at as usize] == b',') + 19;
        Object {
            revision,
            json: Bytes::from(json),
            other_version: self.other_version,
            key: Arc::clone(&self.key),
            uid: self.uid.clone(),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            being_deleted: self.being_deleted,
            digits: start..start + digits_len,
            prefix: self.canonical.prefix,
            metadata: self.canonical.metadata.start..self.canonical.metadata.end + added,
            protobuf: Kept::default(),
            row: Kept::default(),
            metadata_size: kept::Size::default(),
        }
    }
}

fn digits(revision: u64) -> u32 {
    revision.checked_ilog10().unwrap_or(0) + 1
}

impl Object {
    /// The same object under another revision: what a DELETED event shows.
    pub fn at_revision(&self, revision: u64) -> Object {
        let text = revision.to_string();
        let mut json = Vec::with_capacity(self.json.len() + 4);
        json.extend_from_slice(&self.json[..self.digits.start as usize]);
        json.extend_from_slice(text.as_bytes());
        json.extend_from_slice(&self.json[self.digits.end as usize..]);
        let end = self.digits.start + text.len() as u32;
        Object {
            revision,
            key: Arc::clone(&self.key),
            uid: self.uid.clone(),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            being_deleted: self.being_deleted,
            digits: self.digits.start..end,
            prefix: self.prefix,
            metadata: self.metadata.start..self.metadata.end + end - self.digits.end,
            json: Bytes::from(json),
            other_version: self.other_version,
            protobuf: Kept::default(),
            row: Kept::default(),
            metadata_size: kept::Size::default(),
        }
    }

    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub fn is_in(&self, namespace: &str) -> bool {
        self.key.as_bytes().get(namespace.len()) == Some(&b'/') && self.key.starts_with(namespace)
    }

    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or(&self.key, |(_, name)| name)
    }

    /// As an item of a list: without kind and apiVersion where they come first. The opening brace is left out too.
    pub fn list_item(&self) -> &[u8] {
        &self.json[(self.prefix.max(1)) as usize..]
    }

    /// Whether it is marked, and waits for finalizers or for its time.
    pub fn is_being_deleted(&self) -> bool {
        self.being_deleted
    }

    pub fn metadata_json(&self) -> Bytes {
        self.json.slice(self.metadata.start as usize..self.metadata.end as usize)
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.binary_search_by(|(known, _)| known.as_ref().cmp(key)).ok()?;
        Some(&self.labels[found].1)
    }

    /// The object, to look into. It was written by this process or checked at ingest, so it parses.
    pub fn tree(&self, form: json::Form) -> Tree {
        json::parse_written(self.json.to_vec(), form).expect("canonical JSON parses").tree
    }

    pub fn protobuf(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.protobuf.get(make)
    }

    /// How long the protobuf is, if it was ever made.
    pub fn protobuf_size(&self) -> Option<usize> {
        self.protobuf.size()
    }

    /// Whether the protobuf is kept.
    pub fn has_protobuf(&self) -> bool {
        self.protobuf.is_kept()
    }

    pub fn metadata_size(&self) -> Option<usize> {
        self.metadata_size.get()
    }

    pub fn set_metadata_size(&self, size: usize) {
        self.metadata_size.set(size);
    }

    /// Whether the row is kept.
    pub fn has_row(&self) -> bool {
        self.row.is_kept()
    }

    pub fn row(&self, make: impl FnOnce() -> Row) -> Arc<Row> {
        self.row.get(|| Arc::new(make()))
    }
}
