//! POST of a new object.

use std::sync::Arc;

use corten_api::status::Result;
use corten_api::time::Timestamp;
use corten_object::managed::{self, Manager};
use corten_object::tree::Tree;
use corten_object::typing::TypeRef;
use corten_views::meta_v1::ObjectMeta;
use http::StatusCode;

use super::{expected, typing};
use crate::admission::{Attributes, Operation};
use crate::call::Call;
use crate::decode::{decode, decode_custom};
use crate::http::{ApiResponse, RequestBody};
use crate::metadata;
use crate::negotiate::{BodyEncoding, Form, body_encoding};
use crate::options::WriteOptions;
use crate::owned_versions::VersionsOf;
use crate::resource::Resource;
use crate::{show, write};

pub async fn create(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, body: RequestBody) -> Result<ApiResponse> {
    let encoding = body_encoding(&call.headers, !resource.is_custom())?;
    let body = call.read(body).await?;
    let options = WriteOptions::read(&call.query, "CreateOptions")?;
    let mut tree = decode_object(call, resource, body, encoding, &options)?;
    receive(call, resource, &mut tree)?;

    let meta = metadata::read(&tree);
    // It is the store that refuses it, which a dry run does not reach.
    if !options.dry_run && !meta.resource_version().is_empty() && meta.resource_version() != "0" {
        return Err(corten_api::status::Status::failure(
            500,
            corten_api::status::Reason::Unknown,
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let object = admit_and_store(call, resource, tree, &options).await?;
    show::object(call, resource, &object, form, StatusCode::CREATED)
}

/// What becomes of any new object's metadata before it is looked into.
pub fn receive(call: &Call, resource: &Resource, tree: &mut Tree) -> Result<()> {
    metadata::wipe_system_fields(tree);
    write::ensure_request_namespace(resource, tree, &call.info.namespace)?;
    warn_of_duplicate_owners(call, tree, "");
    Ok(())
}

/// Notes in a new object's managedFields that all of it is the requester's.
pub fn own_all(call: &Call, options: &WriteOptions, tree: &mut Tree, api_version: &str, typing: TypeRef<'_>) {
    let time = Timestamp::from_seconds(call.now.seconds).format();
    let manager = manager(call, options, api_version, &time);
    managed::update(None, tree, typing, &manager, &[], &managed::OneVersion);
}

/// A body that is an object of the resource, with the defaults of its version.
pub fn decode_object(
    call: &Call,
    resource: &Resource,
    body: Vec<u8>,
    encoding: BodyEncoding,
    options: &WriteOptions,
) -> Result<Tree> {
    let (expected, validation) = (expected(resource), options.validation);
    let mut tree = match resource.storage.as_ref().and_then(|storage| storage.definition()) {
        Some(definition) => decode_custom(body, encoding, expected, definition, validation, &call.warnings)?,
        None => decode(body, encoding, expected, validation, &call.warnings)?,
    };
    resource.default(&mut tree);
    Ok(tree)
}

pub fn warn_of_duplicate_owners(call: &Call, tree: &mut Tree, when: &str) {
    let dropped = metadata::dedup_owner_references(tree);
    if !dropped.is_empty() {
        let shown = dropped.join(" ");
        call.warnings.add(format!(".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: [{shown}]"));
    }
}

pub fn manager<'m>(call: &'m Call, options: &'m WriteOptions, api_version: &'m str, time: &'m str) -> Manager<'m> {
    Manager { name: call.manager(&options.field_manager), api_version, subresource: &call.info.subresource, time }
}

/// From a tree of the request's version to a kept object: managedFields, mutating admission, the write path.
pub async fn admit_and_store(
    call: &Call,
    resource: &Resource,
    tree: Tree,
    options: &WriteOptions,
) -> Result<Arc<crate::object::Object>> {
    let (api_version, time) = (resource.api_version(), Timestamp::from_seconds(call.now.seconds).format());
    let reset = resource.reset_fields("");
    let manager = manager(call, options, &api_version, &time);
    let versions = VersionsOf::new(call, resource);
    let mut tree = resource.through_hub(tree);
    managed::update(None, &mut tree, typing(resource), &manager, reset, &versions);
    let mut tree = resource.to_hub(tree);
    let name = {
        let meta: ObjectMeta<'_> = metadata::read(&tree);
        let shown = if meta.name().is_empty() { meta.generate_name() } else { meta.name() };
        shown.to_owned()
    };
    let attributes = Attributes { name: &name, ..Attributes::of(call, resource, Operation::Create, options.dry_run) };
    call.api.admission.admit(call, &attributes, &mut tree, None).await?;
    warn_of_duplicate_owners(call, &mut tree, " after mutating admission happens");
    write::create(call, resource, tree, options.dry_run).await
}
