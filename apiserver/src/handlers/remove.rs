//! DELETE of one object and of collections.

use std::sync::Arc;

use corten_api::status::{Result, Status};
use http::StatusCode;

use crate::admission::{Attributes, Operation};
use crate::call::Call;
use crate::delete::{self, Options};
use crate::http::{ApiResponse, RequestBody};
use crate::negotiate::Form;
use crate::resource::Resource;
use crate::select::Selection;
use crate::show;

pub async fn one(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, body: RequestBody) -> Result<ApiResponse> {
    let body = call.read(body).await?;
    let options = Options::read(call, body).await?;
    warn_of_dependents(call, resource, &options);
    call.api.admission.precheck(call, &Attributes::of(call, resource, Operation::Delete, options.dry_run))?;
    let deleted = delete::delete(call, resource, &call.info.namespace, &call.info.name, &options).await?;
    let accepted = !deleted.gone && options.orphan_dependents == Some(false);
    let code = if accepted { StatusCode::ACCEPTED } else { StatusCode::OK };
    let returns = resource.storage.as_ref().is_some_and(|storage| storage.returns_deleted);
    if deleted.gone && !returns {
        let status = Status::success(&resource.group, &resource.plural, &call.info.name, &deleted.object.uid);
        return Ok(show::status(&status, form));
    }
    show::object(call, resource, &deleted.object, form, code)
}

fn warn_of_dependents(call: &Call, resource: &Resource, options: &Options) {
    if options.propagation.is_none() && options.orphan_dependents.is_none() {
        let warning = resource.storage.as_ref().and_then(|storage| storage.strategy().warn_delete());
        warning.into_iter().for_each(|warning| call.warnings.add(warning));
    }
}

/// Deletes all that the selectors name, one after another; what was there is shown.
pub async fn collection(
    call: &Arc<Call>,
    resource: &Arc<Resource>,
    form: Form,
    body: RequestBody,
) -> Result<ApiResponse> {
    let body = call.read(body).await?;
    let options = Options::read(call, body).await?;
    let storage = resource.storage.as_ref().ok_or_else(|| Status::internal("nothing is kept of this kind"))?;
    warn_of_dependents(call, resource, &options);
    let selection = Selection::read(&call.query, resource)?;
    crate::list::ListOptions::read(call, false)?;
    call.api.admission.precheck(call, &Attributes::of(call, resource, Operation::Delete, options.dry_run))?;
    call.api.catch_up().await?;
    let namespace = call.info.namespace.as_str();
    let chosen: Vec<_> = storage
        .cache
        .snapshot()
        .objects
        .values()
        .filter(|object| !resource.namespaced || namespace.is_empty() || object.namespace() == namespace)
        .filter(|object| selection.matches(object))
        .cloned()
        .collect();
    let mut options = options;
    let given_uid = options.uid.take();
    for object in &chosen {
        options.uid = given_uid.clone();
        match delete::delete(call, resource, object.namespace(), object.name(), &options).await {
            Err(status) if status.is_not_found() => {}
            other => drop(other?),
        }
    }
    crate::list::answer_with(call, resource, form, chosen)
}
