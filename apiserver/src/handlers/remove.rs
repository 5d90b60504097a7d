//! DELETE of one object and of collections.

use std::sync::Arc;

use corten_api::status::{Result, Status};
use http::StatusCode;

use crate::admission::{Attributes, Operation};
use crate::call::Call;
use crate::delete::{self, Options};
use crate::http::{ApiResponse, RequestBody};
use crate::list::{self, ListOptions};
use crate::negotiate::Form;
use crate::resource::Resource;
use crate::select::Selection;
use crate::show;

/// How many objects of a collection are looked up together.
const AT_ONCE: usize = 64;

pub async fn one(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, body: RequestBody) -> Result<ApiResponse> {
    let body = call.read(body).await?;
    let options = Options::read(call, body).await?;
    warn_of_dependents(call, resource, &options);
    call.api.admission.precheck(call, &Attributes::of(call, resource, Operation::Delete, options.dry_run)).await?;
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

/// Deletes what a list with the same options shows, one object after another, and answers with that list.
pub async fn collection(
    call: &Arc<Call>,
    resource: &Arc<Resource>,
    form: Form,
    body: RequestBody,
) -> Result<ApiResponse> {
    let storage = resource.storage.as_ref().ok_or_else(|| Status::internal("nothing is kept of this kind"))?;
    let selection = Arc::new(Selection::read(&call.query, resource)?);
    let mut listed = ListOptions::read(call, false)?;
    if listed.limit == 0 {
        // Upstream lists in pages, so that a resourceVersion is taken for exact as in a list with a limit.
        listed.limit = i64::MAX;
    }
    let body = call.read(body).await?;
    let options = Options::read(call, body).await?;
    warn_of_dependents(call, resource, &options);
    call.api.admission.precheck(call, &Attributes::of(call, resource, Operation::Delete, options.dry_run)).await?;
    let page = list::page(call, resource, storage, &listed, &selection).await?;
    let mut objects = page.objects.clone();
    loop {
        let some = objects.some(AT_ONCE).await;
        if some.is_empty() {
            return list::answer_with(call, resource, form, page).await;
        }
        for object in &some {
            match delete::delete(call, resource, object.namespace(), object.name(), &options).await {
                Err(status) if status.is_not_found() => {}
                other => drop(other?),
            }
        }
    }
}
