//! GET of one object.

use std::sync::Arc;

use corten_api::status::{Result, Status};
use http::StatusCode;

use crate::call::{Call, not_found};
use crate::http::ApiResponse;
use crate::negotiate::Form;
use crate::object::Object;
use crate::resource::Resource;
use crate::show;

pub async fn get(call: &Call, resource: &Resource, form: Form) -> Result<ApiResponse> {
    let object = find(call, resource, &call.info.name).await?;
    if form != Form::JSON || !resource.shows_kept_bytes(&object) {
        call.weigh(object.json.len()).await;
    }
    show::object(call, resource, &object, form, StatusCode::OK)
}

/// A kept object, as fresh as the request wants it.
pub async fn find(call: &Call, resource: &Resource, name: &str) -> Result<Arc<Object>> {
    // Nothing is kept of a ComponentStatus, which its errors call by one.
    let none = || Status::not_found(&resource.group, &resource.singular, name);
    let storage = resource.storage.as_ref().ok_or_else(none)?;
    match call.query.get("resourceVersion").unwrap_or_default() {
        "" => call.api.catch_up().await?,
        "0" => {}
        text => {
            let revision = text.parse().map_err(|_| {
                Status::bad_request(format!("invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"))
            })?;
            call.api.feed.wait_for(revision).await?;
        }
    }
    let key = storage.object_key(&call.info.namespace, name);
    storage.cache.find(&key)?.ok_or_else(|| not_found(resource, name))
}
