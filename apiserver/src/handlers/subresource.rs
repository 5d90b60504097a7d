//! Subresources: those that write the object itself, and those that are kinds of their own.

use std::sync::Arc;

use corten_api::status::{Reason, Result, Status};

use super::{no_such_path, read, token, update};
use crate::call::Call;
use crate::http::{ApiResponse, RequestBody};
use crate::negotiate::Form;
use crate::resource::{Resource, Subresource};
use crate::{binding, scale};

pub async fn handle(
    call: &Arc<Call>,
    resource: &Arc<Resource>,
    row: &Subresource,
    form: Form,
    body: RequestBody,
) -> Result<ApiResponse> {
    match (row.name, call.info.verb.as_str()) {
        ("scale", verb) => scale::handle(call, resource, verb, form, body).await,
        ("binding", "create") => binding::create(call, resource, form, body).await,
        ("token", "create") => token::create(call, resource, row, form, body).await,
        // Streams to a node, eviction and the other ways to change a running pod need what is not built yet.
        ("attach" | "exec" | "log" | "portforward" | "proxy" | "eviction" | "resize" | "ephemeralcontainers", verb)
            if verb != "get" || matches!(row.name, "log" | "attach" | "exec" | "portforward" | "proxy") =>
        {
            Err(not_built(row.name))
        }
        (_, "get") => read::get(call, resource, form).await,
        (_, "update") => update::put(call, resource, form, body).await,
        (_, "patch") => update::patch(call, resource, form, body).await,
        _ => Err(no_such_path()),
    }
}

fn not_built(name: &str) -> Status {
    Status::failure(501, Reason::Unknown, format!("the subresource {name} is not built in this version of Corten"))
}
