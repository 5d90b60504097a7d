//! What stands around the items of a list, and each item, in every form.

use std::io;
use std::sync::Arc;

use corten_object::protobuf::{self, wire};
use corten_object::yaml;

use super::super::Page;
use crate::call::Call;
use crate::negotiate::{Encoding, Form, Projection};
use crate::object::Object;
use crate::resource::Resource;
use crate::show::{self, Indenter};
use crate::table::Include;

/// Writes items in a form.
pub struct Writer {
    pub call: Arc<Call>,
    resource: Arc<Resource>,
    /// Whether the resource is of the version that objects are kept in.
    is_hub: bool,
    form: Form,
    include: Include,
    /// What the envelope of an object takes around its message, whose field it is in a list too.
    envelope: usize,
}

impl Writer {
    pub fn new(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, include: Include) -> Writer {
        let envelope = match form.encoding {
            // An empty message is a field of two bytes.
            Encoding::Protobuf => protobuf::envelope(&resource.api_version(), &resource.kind, b"").len() - 2,
            Encoding::Json | Encoding::Pretty | Encoding::Yaml => 0,
        };
        let (call, is_hub) = (Arc::clone(call), resource.is_hub());
        Writer { call, resource: Arc::clone(resource), is_hub, form, include, envelope }
    }

    /// The resource's own answer, of which only the object is looked at each time.
    fn shows_kept_bytes(&self, object: &Object) -> bool {
        self.is_hub && !object.other_version
    }

    /// How many bytes of JSON have to be converted to write an object: none if a kept form is copied.
    pub fn work(&self, object: &Object) -> usize {
        let is_kept = match (self.form.encoding, self.form.projection) {
            (Encoding::Yaml | Encoding::Pretty, _) => false,
            (Encoding::Json, Projection::Object) => self.shows_kept_bytes(object),
            (Encoding::Json, Projection::Table) => {
                object.has_row() && (self.include != Include::Object || self.shows_kept_bytes(object))
            }
            (Encoding::Json, _) => true,
            (Encoding::Protobuf, Projection::Object) => self.shows_kept_bytes(object) && object.has_protobuf(),
            (Encoding::Protobuf, _) => false,
        };
        if is_kept { 0 } else { object.json.len() }
    }

    /// The same to find out how long its field is.
    pub fn measure_work(&self, object: &Object) -> usize {
        if self.known_size(object).is_some() { 0 } else { object.json.len() }
    }

    fn known_size(&self, object: &Object) -> Option<usize> {
        match self.form.projection {
            Projection::Object if self.shows_kept_bytes(object) => object.protobuf_size()?.checked_sub(self.envelope),
            Projection::Object => None,
            _ => object.metadata_size().map(field_size),
        }
    }

    /// How long an object's field in the message of a list is.
    pub fn field_size(&self, object: &Arc<Object>) -> usize {
        self.known_size(object).unwrap_or_else(|| {
            let mut field = Vec::new();
            self.write_field(object, &mut field);
            field.len()
        })
    }

    /// An object as a field of the message of a list.
    pub fn write_field(&self, object: &Arc<Object>, out: &mut Vec<u8>) {
        match self.form.projection {
            Projection::Object => {
                let enveloped = show::object_protobuf(&self.resource, object);
                let message = protobuf::open(&enveloped).map(|envelope| envelope.message).unwrap_or_default();
                write_field(&enveloped[message], out);
            }
            _ => {
                let message = show::metadata_message(object);
                object.set_metadata_size(message.len());
                write_field(&message, out);
            }
        }
    }

    fn json(&self, object: &Arc<Object>, out: &mut Vec<u8>) {
        let resource = &self.resource;
        match self.form.projection {
            Projection::Table => {
                show::write_table_row(self.call.now.seconds, resource, object, self.include, self.form, out);
            }
            Projection::Metadata | Projection::MetadataList => {
                show::metadata_json(object, self.form.meta_version(), out)
            }
            Projection::Object if resource.is_custom() => {
                out.extend_from_slice(&show::object_json(resource, object));
            }
            Projection::Object if self.shows_kept_bytes(object) => {
                out.push(b'{');
                out.extend_from_slice(object.list_item());
            }
            Projection::Object => {
                let tree = resource.tree(object);
                let canonical = corten_object::json::canonical(tree.root());
                let json = canonical.splice(object.revision);
                out.push(b'{');
                out.extend_from_slice(&json[canonical.prefix.max(1) as usize..]);
            }
        }
    }
}

/// How a list is written around its items.
pub enum Encoder {
    Json(Around),
    Pretty { around: Around, indenter: Indenter, item: Vec<u8> },
    Yaml { around: Around, empty: String },
    Protobuf(Message),
}

/// What stands before and after the items.
pub struct Around {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// The message of a list, and its envelope.
pub struct Message {
    /// The list's own metadata, a field.
    metadata: Vec<u8>,
    envelope: Around,
    /// The first items, written while their size was found out.
    pub ready: Vec<u8>,
    /// How long the items are that are yet to be written.
    pub left: usize,
    begun: bool,
}

impl Encoder {
    pub fn new(writer: &Writer, page: &Page) -> Encoder {
        let encoding = writer.form.encoding;
        if encoding == Encoding::Protobuf {
            return Encoder::Protobuf(Message::new(writer, page));
        }
        let around = json_around(writer, page);
        match encoding {
            Encoding::Pretty => Encoder::Pretty { around, indenter: Indenter::default(), item: Vec::new() },
            Encoding::Yaml => {
                let empty = yaml::from_json(&[&*around.before, &*around.after].concat());
                let items = if writer.form.projection == Projection::Table { "rows" } else { "items" };
                Encoder::Yaml { around: yaml_around(&empty, items), empty }
            }
            Encoding::Json | Encoding::Protobuf => {
                Encoder::Json(Around { after: [&*around.after, b"\n"].concat(), ..around })
            }
        }
    }

    /// Writes an item, and before the first what a list begins with.
    pub fn write(&mut self, writer: &Writer, is_first: bool, object: &Arc<Object>, out: &mut Vec<u8>) {
        match self {
            Encoder::Json(around) => {
                out.extend_from_slice(if is_first { &around.before } else { b"," });
                writer.json(object, out);
            }
            Encoder::Pretty { around, indenter, item } => {
                indenter.write(if is_first { &around.before } else { b"," }, out);
                item.clear();
                writer.json(object, item);
                indenter.write(item, out);
            }
            Encoder::Yaml { around, .. } => {
                if is_first {
                    out.extend_from_slice(&around.before);
                }
                // A sequence of one is written as it is among others: each begins a line.
                let mut item = vec![b'['];
                writer.json(object, &mut item);
                item.push(b']');
                out.extend_from_slice(yaml::from_json(&item).as_bytes());
            }
            Encoder::Protobuf(message) => {
                message.begin(out);
                let before = out.len();
                writer.write_field(object, out);
                message.left = message.left.wrapping_sub(out.len() - before);
            }
        }
    }

    /// Writes what a list ends with.
    pub fn end(&mut self, is_empty: bool, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Encoder::Json(around) => {
                if is_empty {
                    out.extend_from_slice(&around.before);
                }
                out.extend_from_slice(&around.after);
            }
            Encoder::Pretty { around, indenter, .. } => {
                if is_empty {
                    indenter.write(&around.before, out);
                }
                indenter.write(&around.after, out);
            }
            Encoder::Yaml { empty, .. } if is_empty => out.extend_from_slice(empty.as_bytes()),
            Encoder::Yaml { around, .. } => out.extend_from_slice(&around.after),
            Encoder::Protobuf(message) => {
                message.begin(out);
                if message.left != 0 {
                    return Err(io::Error::other("a list is not as long as was said before it"));
                }
                out.extend_from_slice(&message.envelope.after);
            }
        }
        Ok(())
    }
}

impl Message {
    fn new(writer: &Writer, page: &Page) -> Message {
        let (resource, form) = (&writer.resource, writer.form);
        let (version, kind) = match form.projection {
            Projection::Object => (resource.api_version(), resource.list_kind.to_string()),
            _ => (form.meta_version().to_owned(), "PartialObjectMetadataList".to_owned()),
        };
        let mut metadata = wire::Writer::with_capacity(256);
        if let Some(remaining) = page.remaining {
            metadata.int(4, remaining);
        }
        metadata.string(3, page.continue_token.as_bytes());
        metadata.string(2, page.revision.to_string().as_bytes());
        metadata.string(1, b"");
        metadata.head_since(1, 0);
        // The field of the message itself is two bytes where that is empty.
        let envelope = protobuf::envelope(&version, &kind, b"");
        let (before, field_and_after) = envelope.split_at(envelope.len() - 6);
        let envelope = Around { before: before.to_vec(), after: field_and_after[2..].to_vec() };
        Message { metadata: metadata.into_vec(), envelope, ready: Vec::new(), left: 0, begun: false }
    }

    /// Everything up to the items that are not ready.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        out.extend_from_slice(&self.envelope.before);
        write_field_head(self.metadata.len() + self.ready.len() + self.left, out);
        out.extend_from_slice(&self.metadata);
        out.extend_from_slice(&std::mem::take(&mut self.ready));
    }
}

/// Field 2, which messages of lists have their items in, and envelopes their message.
fn write_field(message: &[u8], out: &mut Vec<u8>) {
    write_field_head(message.len(), out);
    out.extend_from_slice(message);
}

fn write_field_head(length: usize, out: &mut Vec<u8>) {
    out.push(2 << 3 | wire::LEN);
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn field_size(length: usize) -> usize {
    let mut head = Vec::with_capacity(12);
    write_field_head(length, &mut head);
    head.len() + length
}

/// A list in JSON, without its items.
fn json_around(writer: &Writer, page: &Page) -> Around {
    let (resource, form) = (&writer.resource, writer.form);
    let mut before = Vec::with_capacity(512);
    let mut after = b"]}".to_vec();
    match form.projection {
        Projection::Table => show::write_table_head(resource, &page.meta(), form, true, &mut before),
        Projection::Metadata | Projection::MetadataList => {
            let (version, meta) = (form.meta_version(), page.meta());
            before.extend_from_slice(
                format!("{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":[").as_bytes(),
            );
        }
        Projection::Object if resource.is_custom() => {
            before.extend_from_slice(format!("{{\"apiVersion\":\"{}\",\"items\":[", resource.api_version()).as_bytes());
            let meta = page.custom_meta();
            after = format!("],\"kind\":\"{}\",\"metadata\":{meta}}}", resource.list_kind).into_bytes();
        }
        Projection::Object => {
            let (kind, version, meta) = (&resource.list_kind, resource.api_version(), page.meta());
            before.extend_from_slice(
                format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":[")
                    .as_bytes(),
            );
        }
    }
    Around { before, after }
}

/// An empty list in YAML, parted where its items are: no other line begins with that key and is not indented.
fn yaml_around(empty: &str, items: &str) -> Around {
    let line = format!("\n{items}: []\n");
    let (before, after) = empty.split_once(&line).unwrap_or((empty, ""));
    Around { before: format!("{before}\n{items}:\n").into_bytes(), after: after.as_bytes().to_vec() }
}
