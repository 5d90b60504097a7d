//! Kinds that are asked, not kept: access and token reviews, bindings by their own path.

use std::sync::Arc;

use corten_access::review::{
    SubjectAccessReviewSpec, TokenReviewSpec, local_subject_access_review, self_subject_access_review,
    self_subject_review, self_subject_rules_review, subject_access_review, token_review,
};
use corten_api::status::{Result, Status};
use corten_api::time::Timestamp;
use corten_object::json;
use corten_object::tree::Tree;
use corten_schema::{FieldId, Shape, TypeId};
use corten_views::meta_v1::ObjectMeta;
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::create::{own_all, receive};
use super::{expected, method_not_allowed, typing};
use crate::call::Call;
use crate::decode::decode;
use crate::http::{ApiResponse, RequestBody};
use crate::metadata;
use crate::negotiate::{Form, body_encoding};
use crate::options::WriteOptions;
use crate::resource::Resource;
use crate::show;

pub async fn create(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, body: RequestBody) -> Result<ApiResponse> {
    if &*resource.plural == "bindings" {
        let registry = call.api.registry.load_full();
        let pods = registry.find("", "v1", "pods").ok_or_else(super::no_such_path)?;
        return crate::binding::create(call, pods, form, body).await;
    }
    let encoding = body_encoding(&call.headers, true)?;
    let body = call.read(body).await?;
    let options = WriteOptions::read(&call.query, "CreateOptions")?;
    let mut tree = decode(body, encoding, expected(resource), options.validation, &call.warnings)?;
    resource.default(&mut tree);
    receive(call, resource, &mut tree)?;
    own_all(call, &options, &mut tree, &resource.api_version(), typing(resource));
    let status = answer(call, resource, &tree).await?;
    if matches!(&*resource.plural, "selfsubjectreviews" | "selfsubjectrulesreviews") {
        tree = nothing_but_kind(resource);
    }
    put_status(&mut tree, status)?;
    if &*resource.plural == "selfsubjectreviews" {
        let now = Timestamp::from_seconds(call.now.seconds).format();
        metadata::edit(&mut tree).set(ObjectMeta::CREATION_TIMESTAMP, now.as_str());
    }
    show::transient(call, &tree, None, form, StatusCode::CREATED)
}

/// What is asked about oneself is answered by an object that has nothing of the question.
fn nothing_but_kind(resource: &Resource) -> Tree {
    let mut tree = resource.type_id().map_or_else(Tree::new, Tree::of);
    metadata::set_kind(&mut tree, &resource.api_version(), &resource.kind);
    tree
}

async fn answer(call: &Call, resource: &Resource, tree: &Tree) -> Result<Vec<u8>> {
    let api = &call.api;
    let authorizer = &*api.authorizers;
    match &*resource.plural {
        "subjectaccessreviews" => {
            let spec: SubjectAccessReviewSpec = spec(tree)?;
            to_json(&subject_access_review(authorizer, &spec, metadata_text(tree, false).as_deref())?)
        }
        "selfsubjectaccessreviews" => {
            let spec: SubjectAccessReviewSpec = spec(tree)?;
            to_json(&self_subject_access_review(authorizer, &call.user, &spec, metadata_text(tree, false).as_deref())?)
        }
        "localsubjectaccessreviews" => {
            let spec: SubjectAccessReviewSpec = spec(tree)?;
            let own = metadata::read(tree).namespace();
            let text = metadata_text(tree, true);
            to_json(&local_subject_access_review(authorizer, &spec, text.as_deref(), own, &call.info.namespace)?)
        }
        "selfsubjectrulesreviews" => {
            let namespace = tree.root().at(&["spec", "namespace"]).map_or("", |node| node.as_str());
            to_json(&self_subject_rules_review(authorizer, &call.user, namespace)?)
        }
        "selfsubjectreviews" => to_json(&self_subject_review(&call.user)),
        "tokenreviews" => {
            let spec: TokenReviewSpec = spec(tree)?;
            to_json(&token_review(&api.authenticators, &spec).await?)
        }
        _ => Err(method_not_allowed()),
    }
}

fn spec<T: DeserializeOwned + Default>(tree: &Tree) -> Result<T> {
    let Some(spec) = tree.root().get("spec") else { return Ok(T::default()) };
    serde_json::from_slice(&json::to_vec(spec)).map_err(Status::internal)
}

fn to_json(status: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(status).map_err(Status::internal)
}

/// The JSON of metadata that says more than it may.
fn metadata_text(tree: &Tree, namespace_allowed: bool) -> Option<String> {
    let node = tree.root().get("metadata")?;
    let extra = node.as_struct().fields().any(|(field, _)| {
        field != ObjectMeta::MANAGED_FIELDS && !(namespace_allowed && field == ObjectMeta::NAMESPACE)
    });
    extra.then(|| json::to_string(node))
}

fn put_status(tree: &mut Tree, status: Vec<u8>) -> Result<()> {
    let root = tree.root_id();
    let Some((field, ty)) = tree.type_of(root).and_then(status_field) else { return Ok(()) };
    let parsed = json::parse(status, json::Form::Typed(ty)).map_err(Status::internal)?;
    let status = tree.import(parsed.tree.root());
    tree.set_field(root, field, status);
    Ok(())
}

fn status_field(ty: TypeId) -> Option<(FieldId, TypeId)> {
    let field = ty.get().field_named("status")?;
    match ty.field(field).shape {
        Shape::Struct(status) => Some((field, status)),
        _ => None,
    }
}
