//! Answers: kept objects in the form that was asked for. Bytes where that is what was asked for; other forms are made
//! when first wanted and kept beside the object.

use std::sync::Arc;

use bytes::Bytes;
use corten_api::status::{Result, Status};
use corten_object::json;
use corten_object::protobuf;
use corten_object::tree::{Tree, View};
use corten_views::meta_v1::{ObjectMeta, PartialObjectMetadata};
use http::{Response, StatusCode, header};

use crate::call::Call;
use crate::http::{ApiResponse, ResponseBody};
use crate::negotiate::{Encoding, Form, Projection};
use crate::object::Object;
use crate::resource::Resource;
use crate::table::{Include, write_columns, write_row};

mod transient;
pub use transient::transient;

/// The JSON of an object in this resource's version.
pub fn object_json(resource: &Resource, object: &Arc<Object>) -> Bytes {
    if resource.shows_kept_bytes(object) {
        return object.json.clone();
    }
    let tree = resource.tree(object);
    let mut out = Vec::with_capacity(object.json.len() + 64);
    write_tree(resource, &tree, &mut out);
    out.into()
}

/// Custom objects have all their keys sorted.
pub fn write_tree(resource: &Resource, tree: &Tree, out: &mut Vec<u8>) {
    if resource.is_custom() { json::write_sorted(tree.root(), out) } else { json::write(tree.root(), out) }
}

/// An object's protobuf message, in its envelope.
pub fn object_protobuf(resource: &Resource, object: &Arc<Object>) -> Bytes {
    if resource.shows_kept_bytes(object) {
        return object.protobuf(|| protobuf::encode(resource.tree(object).root()).into());
    }
    protobuf::encode(resource.tree(object).root()).into()
}

/// An object's metadata alone.
pub fn metadata_json(object: &Object, meta_version: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"");
    out.extend_from_slice(meta_version.as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    out.extend_from_slice(&object.metadata_json());
    out.push(b'}');
}

/// The message of a PartialObjectMetadata.
pub fn metadata_message(object: &Object) -> Vec<u8> {
    let mut tree = Tree::of(PartialObjectMetadata::TYPE);
    let parsed = json::parse_written(object.metadata_json().to_vec(), json::Form::Typed(ObjectMeta::TYPE));
    if let Ok(metadata) = parsed {
        let metadata = tree.import(metadata.tree.root());
        tree.edit().put(PartialObjectMetadata::METADATA, metadata);
    }
    protobuf::encode_message(tree.root().as_struct())
}

/// The refusal to show one object as a list of metadata.
fn no_list(go_type: &str) -> Status {
    Status::not_acceptable(format!(
        "you requested PartialObjectMetadataList, but the requested object is not a list ({go_type})"
    ))
}

pub fn include(call: &Call) -> Result<Include> {
    match call.query.get("includeObject").unwrap_or_default() {
        "" | "Metadata" => Ok(Include::Metadata),
        "None" => Ok(Include::None),
        "Object" => Ok(Include::Object),
        other => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
        ))),
    }
}

/// The row of an object in a Table; ages are up to `now`, in seconds since 1970.
pub fn write_table_row(
    now: i64,
    resource: &Resource,
    object: &Arc<Object>,
    include: Include,
    form: Form,
    out: &mut Vec<u8>,
) {
    let row = match &resource.custom {
        // Columns are a version's own, and beside the object there is place for one version's row.
        Some(_) if !resource.is_hub() => Arc::new(resource.table_row(object)),
        _ => object.row(|| resource.table_row(object)),
    };
    write_row(&row, now, out);
    match include {
        Include::None => out.extend_from_slice(b"null"),
        Include::Metadata => metadata_json(object, form.meta_version(), out),
        Include::Object => out.extend_from_slice(&object_json(resource, object)),
    }
    out.push(b'}');
}

/// A Table's head up to its rows: `{"kind":"Table",…,"rows":[`.
pub fn write_table_head(resource: &Resource, list_meta: &str, form: Form, columns: bool, out: &mut Vec<u8>) {
    write_table_start(list_meta, form, out);
    if columns {
        resource.write_table_columns(out);
    } else {
        out.extend_from_slice(b"\"columnDefinitions\":null");
    }
    out.extend_from_slice(b",\"rows\":[");
}

fn write_table_start(list_meta: &str, form: Form, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"kind\":\"Table\",\"apiVersion\":\"");
    out.extend_from_slice(form.meta_version().as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    out.extend_from_slice(list_meta.as_bytes());
    out.push(b',');
}

impl Resource {
    /// Rows are made of the hub version, but for custom objects, whose columns are a version's own.
    pub fn table_row(&self, object: &Arc<Object>) -> crate::table::Row {
        match (&self.custom, &self.storage) {
            (Some(custom), _) => custom.row(self.tree(object).root()),
            (None, Some(storage)) => {
                let tree = storage.tree(object);
                storage
                    .printer
                    .map_or_else(|| storage.strategy().row(tree.root()), |printer| (printer.row)(tree.root()))
            }
            (None, None) => crate::table::Row::default(),
        }
    }

    pub fn write_table_columns(&self, out: &mut Vec<u8>) {
        match (&self.custom, &self.storage) {
            (Some(custom), _) => custom.write_columns(out),
            (None, Some(storage)) => {
                let columns = storage.printer.map_or_else(|| storage.strategy().columns(), |printer| printer.columns);
                write_columns(columns, out);
            }
            (None, None) => out.extend_from_slice(b"\"columnDefinitions\":[]"),
        }
    }
}

/// One object, as asked for.
pub fn object(
    call: &Call,
    resource: &Resource,
    object: &Arc<Object>,
    form: Form,
    code: StatusCode,
) -> Result<ApiResponse> {
    let body = match (form.projection, form.encoding) {
        (Projection::MetadataList, _) => return Err(no_list(&resource.go_type())),
        (Projection::Object, Encoding::Protobuf) => object_protobuf(resource, object),
        (Projection::Object, encoding) => return Ok(json_answer(&object_json(resource, object), encoding, code)),
        (Projection::Metadata, Encoding::Protobuf) => {
            protobuf::envelope(form.meta_version(), "PartialObjectMetadata", &metadata_message(object)).into()
        }
        (Projection::Metadata, encoding) => {
            let mut out = Vec::with_capacity(1024);
            metadata_json(object, form.meta_version(), &mut out);
            return Ok(json_answer(&out, encoding, code));
        }
        (Projection::Table, encoding) => {
            let mut out = Vec::with_capacity(2048);
            let meta = format!("{{\"resourceVersion\":\"{}\"}}", object.revision);
            write_table_head(resource, &meta, form, true, &mut out);
            write_table_row(call.now.seconds, resource, object, include(call)?, form, &mut out);
            out.extend_from_slice(b"]}");
            return Ok(json_answer(&out, encoding, code));
        }
    };
    Ok(whole(code, form.content_type(), body))
}

/// JSON text as JSON, indented JSON or YAML.
pub fn json_answer(json: &[u8], encoding: Encoding, code: StatusCode) -> ApiResponse {
    let (content_type, body) = match encoding {
        Encoding::Yaml => ("application/yaml", corten_object::yaml::from_json(json).into_bytes()),
        Encoding::Pretty => ("application/json", indent(json)),
        _ => {
            let mut body = Vec::with_capacity(json.len() + 1);
            body.extend_from_slice(json);
            body.push(b'\n');
            ("application/json", body)
        }
    };
    whole(code, content_type, body.into())
}

pub fn status(status: &Status, form: Form) -> ApiResponse {
    let code = StatusCode::from_u16(status.http_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = status.to_json();
    let mut response = match form.encoding {
        Encoding::Protobuf => {
            let parsed = json::parse(json, json::Form::Typed(corten_views::meta_v1::Status::TYPE));
            let body = parsed.map(|parsed| protobuf::encode(parsed.tree.root())).unwrap_or_default();
            whole(code, form.content_type(), body.into())
        }
        encoding => json_answer(&json, encoding, code),
    };
    if let Some(seconds) = status.retry_after_seconds().filter(|&seconds| seconds > 0) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub fn whole(code: StatusCode, content_type: &'static str, body: Bytes) -> ApiResponse {
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
    response
}

/// Go's HTTP server forbids browsers to guess at its own plain answers.
pub fn nosniff(mut response: ApiResponse) -> ApiResponse {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// JSON for people: two spaces a level, as Go indents.
pub fn indent(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    Indenter::default().write(json, &mut out);
    out
}

/// Indents a JSON text that comes in pieces.
#[derive(Default)]
pub struct Indenter {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The byte before.
    last: u8,
}

impl Indenter {
    pub fn write(&mut self, json: &[u8], out: &mut Vec<u8>) {
        for &byte in json {
            let last = std::mem::replace(&mut self.last, byte);
            if self.in_string {
                out.push(byte);
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            let was_opened = matches!(last, b'{' | b'[');
            let closes = matches!(byte, b'}' | b']');
            // What is empty stays on its line.
            if was_opened && !closes {
                self.depth += 1;
                self.line(out);
            }
            match byte {
                b'}' | b']' => {
                    if !was_opened {
                        self.depth = self.depth.saturating_sub(1);
                        self.line(out);
                    }
                    out.push(byte);
                }
                b',' => {
                    out.push(byte);
                    self.line(out);
                }
                b':' => out.extend_from_slice(b": "),
                b'"' => {
                    self.in_string = true;
                    out.push(byte);
                }
                b' ' | b'\n' | b'\t' | b'\r' => {}
                _ => out.push(byte),
            }
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', self.depth * 2));
    }
}
