//! What each verb does, for every resource alike.

pub mod create;
pub mod read;
pub mod remove;
pub mod review;
pub mod subresource;
pub mod token;
pub mod update;

use std::sync::Arc;

use corten_api::status::{Result, Status};
use corten_object::json::Form as JsonForm;
use corten_schema as schema;
use http::StatusCode;

use crate::call::Call;
use crate::decode::Expected;
use crate::http::{ApiResponse, RequestBody};
use crate::negotiate::Offers;
use crate::resource::{Resource, Subresource};

/// Answers a request for a known resource.
pub async fn handle(call: &Arc<Call>, resource: &Arc<Resource>, body: RequestBody) -> Result<ApiResponse> {
    let offers = Offers {
        protobuf: !resource.is_custom(),
        projections: true,
        tables: resource.shows_tables(&call.info.subresource),
    };
    let form = call.form(offers)?;
    if !call.info.subresource.is_empty() {
        let Some(row) = resource.subresource(&call.info.subresource) else { return Err(no_such_path()) };
        return subresource::handle(call, resource, row, form, body).await;
    }
    // What discovery leaves out of a custom resource that is going is answered all the same, or refused by admission.
    if !resource.is_custom() && !resource.has_verb(&call.info.verb) {
        return Err(Status::method_not_supported(&resource.group, &resource.plural, &call.info.verb));
    }
    match call.info.verb.as_str() {
        "get" => read::get(call, resource, form).await,
        "list" => crate::list::list(call, resource, form).await,
        "watch" => crate::watch::watch(call, resource, form).await,
        "create" if resource.storage.is_none() => review::create(call, resource, form, body).await,
        "create" => create::create(call, resource, form, body).await,
        "update" => update::put(call, resource, form, body).await,
        "patch" => update::patch(call, resource, form, body).await,
        "delete" => remove::one(call, resource, form, body).await,
        "deletecollection" => remove::collection(call, resource, form, body).await,
        _ => Err(method_not_allowed()),
    }
}

pub fn no_such_path() -> Status {
    Status::generic_server_response(404, "", "", "", "", "", 0, false)
        .with_message("the server could not find the requested resource")
}

pub fn method_not_allowed() -> Status {
    refused(
        405,
        corten_api::status::Reason::MethodNotAllowed,
        "the server does not allow this method on the requested resource",
    )
}

/// What upstream's router refuses before a handler sees it: its answers have details with nothing in them.
pub fn refused(code: u16, reason: corten_api::status::Reason, message: impl Into<String>) -> Status {
    Status::failure(code, reason, message).with_details(corten_api::status::Details::default())
}

/// What a body sent to a resource must be.
pub fn expected(resource: &Resource) -> Expected<'_> {
    Expected { group: &resource.group, version: &resource.version, kind: &resource.kind, form: resource.form }
}

/// What a body sent to a subresource must be.
pub fn expected_below<'e>(resource: &'e Resource, row: &Subresource) -> Result<Expected<'e>> {
    if *row.kind == *resource.kind && row.group_version.is_none() {
        return Ok(expected(resource));
    }
    let own: (&'e str, &'e str) = (&resource.group, &resource.version);
    let (group, version) = row.group_version.map_or(own, |(group, version)| (group, version));
    let kind = schema::kind(group, version, &row.kind)
        .ok_or_else(|| Status::internal(format!("the kind {} is not known", row.kind)))?;
    Ok(Expected { group, version, kind: kind.kind, form: JsonForm::Typed(kind.ty) })
}

pub fn code(created: bool) -> StatusCode {
    if created { StatusCode::CREATED } else { StatusCode::OK }
}

/// What the fields of an object are, for managedFields.
pub fn typing(resource: &Resource) -> corten_object::typing::TypeRef<'_> {
    match (&resource.custom, resource.form) {
        (Some(custom), _) => custom.typing(),
        (None, JsonForm::Typed(ty)) => corten_object::typing::TypeRef::built_in(ty),
        (None, _) => corten_object::typing::TypeRef::deduced(),
    }
}
