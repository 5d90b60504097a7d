//! Events as the frames of a watch, in each form that a watch may have.

use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::Status;
use corten_object::protobuf::{self, wire::Writer};
use corten_object::tree::{Tree, View};
use corten_views::meta_v1::ObjectMeta;
use parking_lot::Mutex;

use crate::call::Call;
use crate::metadata;
use crate::metrics::WatchMetrics;
use crate::negotiate::{Encoding, Form, Projection};
use crate::object::Object;
use crate::resource::Resource;
use crate::show;
use crate::table::Include;

pub(super) struct Encoder {
    pub(super) call: Arc<Call>,
    pub(super) resource: Arc<Resource>,
    pub(super) form: Form,
    metrics: WatchMetrics,
    include: Include,
    /// Tables tell their columns once.
    columns_sent: bool,
}

impl Encoder {
    pub(super) fn new(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, include: Include) -> Encoder {
        Encoder {
            call: Arc::clone(call),
            resource: Arc::clone(resource),
            form,
            metrics: call.api.metrics.watch(resource),
            include,
            columns_sent: false,
        }
    }

    /// Whether an object is more than copied.
    pub(super) fn converts(&self) -> bool {
        (self.form.encoding, self.form.projection) != (Encoding::Json, Projection::Object) || !self.resource.is_hub()
    }

    pub(super) fn event(&mut self, kind: &str, object: &Arc<Object>, out: &mut Vec<u8>) {
        let before = out.len();
        self.write(kind, object, out);
        self.metrics.sent(out.len() - before);
    }

    /// The same for an event that is sent by itself; whole objects are not written for each watcher.
    pub(super) fn event_alone(&mut self, kind: &'static str, object: &Arc<Object>) -> Bytes {
        let mut out = Vec::new();
        if self.form.projection != Projection::Object {
            self.event(kind, object, &mut out);
            return out.into();
        }
        let encoding = self.form.encoding;
        let is_this =
            |frame: &Frame| frame.kind == kind && frame.encoding == encoding && Arc::ptr_eq(&frame.object, object);
        let found =
            self.resource.last_frame.0.lock().as_ref().filter(|frame| is_this(frame)).map(|frame| frame.bytes.clone());
        let bytes = found.unwrap_or_else(|| {
            self.write(kind, object, &mut out);
            let bytes = Bytes::from(out);
            let frame = Frame { kind, object: Arc::clone(object), encoding, bytes: bytes.clone() };
            *self.resource.last_frame.0.lock() = Some(frame);
            bytes
        });
        self.metrics.sent(bytes.len());
        bytes
    }

    fn write(&mut self, kind: &str, object: &Arc<Object>, out: &mut Vec<u8>) {
        let resource = &self.resource;
        match (self.form.encoding, self.form.projection) {
            (Encoding::Protobuf, Projection::Object) => {
                write_frame(kind, &show::object_protobuf(resource, object), out)
            }
            (Encoding::Protobuf, _) => {
                let message = show::metadata_message(object);
                write_frame(
                    kind,
                    &protobuf::envelope(self.form.meta_version(), "PartialObjectMetadata", &message),
                    out,
                );
            }
            (_, projection) => {
                out.reserve(object.json.len() + 64);
                begin(kind, out);
                match projection {
                    Projection::Object => out.extend_from_slice(&show::object_json(resource, object)),
                    Projection::Metadata | Projection::MetadataList => {
                        show::metadata_json(object, self.form.meta_version(), out)
                    }
                    Projection::Table => self.table_event(object, out),
                }
                out.extend_from_slice(b"}\n");
            }
        }
    }

    fn table_event(&mut self, object: &Arc<Object>, out: &mut Vec<u8>) {
        let meta = format!("{{\"resourceVersion\":\"{}\"}}", object.revision);
        let columns = !std::mem::replace(&mut self.columns_sent, true);
        show::write_table_head(&self.resource, &meta, self.form, columns, out);
        let now = self.call.api.clock.now().seconds;
        show::write_table_row(now, &self.resource, object, self.include, self.form, out);
        out.extend_from_slice(b"]}");
    }

    pub(super) fn bookmark(&mut self, revision: u64, end_of_initial: bool, out: &mut Vec<u8>) {
        let tree = self.bookmark_object(revision, end_of_initial);
        match (self.form.encoding, self.form.projection) {
            (Encoding::Protobuf, _) => write_frame("BOOKMARK", &protobuf::encode(tree.root()), out),
            (_, Projection::Table) => {
                begin("BOOKMARK", out);
                let mut meta = format!("{{\"resourceVersion\":\"{revision}\"");
                meta.push('}');
                let columns = !std::mem::replace(&mut self.columns_sent, true);
                show::write_table_head(&self.resource, &meta, self.form, columns, out);
                if end_of_initial {
                    out.extend_from_slice(b"{\"cells\":[],\"object\":");
                    corten_object::json::write(tree.root(), out);
                    out.push(b'}');
                }
                out.extend_from_slice(b"]}}\n");
            }
            _ => {
                begin("BOOKMARK", out);
                show::write_tree(&self.resource, &tree, out);
                out.extend_from_slice(b"}\n");
            }
        }
    }

    /// An object with nothing in it but how far the watch has come.
    fn bookmark_object(&self, revision: u64, end_of_initial: bool) -> Tree {
        use corten_views::meta_v1::PartialObjectMetadata;
        let (mut tree, version, kind) = match (self.form.projection, self.resource.type_id()) {
            (Projection::Object, Some(ty)) => {
                (Tree::of(ty), self.resource.api_version(), self.resource.kind.to_string())
            }
            (Projection::Object, None) => {
                let mut tree = Tree::new();
                let root = tree.map();
                tree.set_root(root);
                (tree, self.resource.api_version(), self.resource.kind.to_string())
            }
            _ => (
                Tree::of(PartialObjectMetadata::TYPE),
                self.form.meta_version().to_owned(),
                "PartialObjectMetadata".to_owned(),
            ),
        };
        metadata::set_kind(&mut tree, &version, &kind);
        if let (Projection::Object, Some(storage)) = (self.form.projection, &self.resource.storage) {
            storage.strategy().show_empty(&mut tree.edit());
        }
        let mut meta = metadata::edit(&mut tree);
        meta.set(ObjectMeta::RESOURCE_VERSION, revision.to_string().as_str());
        if end_of_initial {
            meta.ensure(ObjectMeta::ANNOTATIONS).set_key("k8s.io/initial-events-end", "true");
        }
        tree
    }
}

/// The last frame that was made of one of a resource's events: all its watchers come to an event at about the same time.
#[derive(Default)]
pub struct LastFrame(Mutex<Option<Frame>>);

struct Frame {
    kind: &'static str,
    object: Arc<Object>,
    encoding: Encoding,
    bytes: Bytes,
}

fn begin(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
}

/// A protobuf frame: its length in four bytes, then a WatchEvent around the object in its own envelope.
fn write_frame(kind: &str, object: &[u8], out: &mut Vec<u8>) {
    let mut writer = Writer::with_capacity(object.len() + 32);
    let end = writer.len();
    writer.string(1, object);
    writer.head_since(2, end);
    writer.string(1, kind.as_bytes());
    let message = writer.into_vec();
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(&message);
}

pub(super) fn write_error(form: Form, status: &Status, out: &mut Vec<u8>) {
    let json = status.to_json();
    if form.encoding == Encoding::Protobuf {
        let ty = corten_views::meta_v1::Status::TYPE;
        if let Ok(parsed) = corten_object::json::parse(json, corten_object::json::Form::Typed(ty)) {
            write_frame("ERROR", &protobuf::encode(parsed.tree.root()), out);
        }
        return;
    }
    begin("ERROR", out);
    out.extend_from_slice(&json);
    out.extend_from_slice(b"}\n");
}
