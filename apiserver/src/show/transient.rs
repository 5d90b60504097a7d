//! Objects that are answered and not kept: reviews, tokens, scales.

use bytes::Bytes;
use corten_api::status::Result;
use corten_kinds::columns::Printer;
use corten_kinds::strategy::{Plain, Strategy};
use corten_object::json;
use corten_object::protobuf;
use corten_object::tree::{Tree, View};
use corten_views::meta_v1::PartialObjectMetadata;
use http::StatusCode;

use super::{include, json_answer, no_list, whole, write_table_start};
use crate::call::Call;
use crate::http::ApiResponse;
use crate::metadata;
use crate::negotiate::{Encoding, Form, Projection};
use crate::resource::go_type;
use crate::table::{Include, write_columns, write_row};

/// The object as asked for; without a printer a Table shows its name and when it was created.
pub fn transient(
    call: &Call,
    tree: &Tree,
    printer: Option<&'static Printer>,
    form: Form,
    code: StatusCode,
) -> Result<ApiResponse> {
    let json = match (form.projection, form.encoding) {
        (Projection::MetadataList, _) => {
            let kind = metadata::kind(tree);
            let group = metadata::api_version(tree).split_once('/').map_or("", |(group, _)| group);
            return Err(no_list(&go_type(group, kind)));
        }
        (Projection::Object, Encoding::Protobuf) => return Ok(protobuf_answer(tree, form, code)),
        (Projection::Metadata, Encoding::Protobuf) => {
            return Ok(protobuf_answer(&metadata_alone(tree, form), form, code));
        }
        (Projection::Object, _) => json::to_vec(tree.root()),
        (Projection::Metadata, _) => json::to_vec(metadata_alone(tree, form).root()),
        (Projection::Table, _) => table(call, tree, printer, form)?,
    };
    Ok(json_answer(&json, form.encoding, code))
}

fn protobuf_answer(tree: &Tree, form: Form, code: StatusCode) -> ApiResponse {
    whole(code, form.content_type(), Bytes::from(protobuf::encode(tree.root())))
}

fn metadata_alone(tree: &Tree, form: Form) -> Tree {
    let mut partial = Tree::of(PartialObjectMetadata::TYPE);
    metadata::set_kind(&mut partial, form.meta_version(), "PartialObjectMetadata");
    if let Some(own) = tree.root().get("metadata") {
        let own = partial.import(own);
        partial.edit().put(PartialObjectMetadata::METADATA, own);
    }
    partial
}

fn table(call: &Call, tree: &Tree, printer: Option<&'static Printer>, form: Form) -> Result<Vec<u8>> {
    let (columns, row) = match printer {
        Some(printer) => (printer.columns, (printer.row)(tree.root())),
        None => (Plain.columns(), Plain.row(tree.root())),
    };
    let mut out = Vec::with_capacity(2048);
    let list_meta = match metadata::read(tree).resource_version() {
        "" => "{}".to_owned(),
        version => format!("{{\"resourceVersion\":\"{version}\"}}"),
    };
    write_table_start(&list_meta, form, &mut out);
    write_columns(columns, &mut out);
    out.extend_from_slice(b",\"rows\":[");
    write_row(&row, call.now.seconds, &mut out);
    match include(call)? {
        Include::None => out.extend_from_slice(b"null"),
        Include::Metadata => json::write(metadata_alone(tree, form).root(), &mut out),
        Include::Object => json::write(tree.root(), &mut out),
    }
    out.extend_from_slice(b"}]}");
    Ok(out)
}
