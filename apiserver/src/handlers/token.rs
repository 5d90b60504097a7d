//! TokenRequest: a token for a service account.

use std::sync::Arc;

use corten_access::tokens::{BoundObjectRef, Issued, TokenRequest};
use corten_api::status::Result;
use corten_api::time::Timestamp;
use corten_object::tree::{Tree, View};
use corten_object::typing::TypeRef;
use corten_runtime::clock::Wall;
use corten_views::authentication_v1::{
    BoundObjectReference, TokenRequest as TokenRequestView, TokenRequestSpec, TokenRequestStatus,
};
use corten_views::meta_v1::ObjectMeta;
use http::StatusCode;

use super::create::own_all;
use super::expected_below;
use crate::call::Call;
use crate::decode::decode;
use crate::http::{ApiResponse, RequestBody};
use crate::negotiate::{Form, body_encoding};
use crate::options::WriteOptions;
use crate::resource::{Resource, Subresource, api_version};
use crate::show;

pub async fn create(
    call: &Arc<Call>,
    resource: &Arc<Resource>,
    row: &Subresource,
    form: Form,
    body: RequestBody,
) -> Result<ApiResponse> {
    let encoding = body_encoding(&call.headers, true)?;
    let body = call.read(body).await?;
    let options = WriteOptions::read(&call.query, "CreateOptions")?;
    let expected = expected_below(resource, row)?;
    let mut tree = decode(body, encoding, expected, options.validation, &call.warnings)?;
    tree.edit().ensure(TokenRequestView::SPEC).default(TokenRequestSpec::EXPIRATION_SECONDS, 3600);
    let typing = TypeRef::built_in(TokenRequestView::TYPE);
    own_all(call, &options, &mut tree, &api_version(expected.group, expected.version), typing);

    let seen = call.api.feed.progress();
    let mut issued = issue(call, &tree).await;
    if issued.is_err() && call.api.was_behind(seen).await? {
        issued = issue(call, &tree).await;
    }
    let (request, issued) = issued?;
    issued.warnings.iter().for_each(|warning| call.warnings.add(warning.as_str()));
    fill(&mut tree, &request, &issued.token, issued.expiration_timestamp, issued.expiration_seconds);
    show::transient(call, &tree, None, form, StatusCode::CREATED)
}

/// A token for the service account as the caches show it.
async fn issue(call: &Call, tree: &Tree) -> Result<(TokenRequest, Issued)> {
    let (namespace, name) = (call.info.namespace.as_str(), call.info.name.as_str());
    let account = call.api.service_accounts.service_account(namespace, name).await?;
    let mut request = request_of(tree);
    call.api.issuer.prepare(&mut request, namespace, name, &account)?;
    let issued = call.api.issuer.issue(&request, &account, &*call.api.service_accounts).await?;
    Ok((request, issued))
}

fn request_of(tree: &Tree) -> TokenRequest {
    let view: TokenRequestView<'_> = tree.view();
    let (meta, spec) = (view.metadata(), view.spec());
    TokenRequest {
        name: meta.name().to_owned(),
        namespace: meta.namespace().to_owned(),
        uid: meta.uid().to_owned(),
        audiences: spec.audiences().iter().map(str::to_owned).collect(),
        expiration_seconds: spec.expiration_seconds().unwrap_or(3600),
        bound_object_ref: spec.bound_object_ref().map(bound),
        ..TokenRequest::default()
    }
}

fn bound(reference: BoundObjectReference<'_>) -> BoundObjectRef {
    BoundObjectRef {
        kind: reference.kind().to_owned(),
        api_version: reference.api_version().to_owned(),
        name: reference.name().to_owned(),
        uid: reference.uid().to_owned(),
    }
}

fn text(time: Wall) -> String {
    Timestamp::from_seconds(time.seconds).format()
}

fn fill(tree: &mut Tree, request: &TokenRequest, token: &str, expires: Wall, seconds: i64) {
    let audiences: Vec<_> = request.audiences.iter().map(|audience| tree.string(audience)).collect();
    let audiences = tree.list(&audiences);
    let mut edit = tree.edit();
    let mut meta = edit.ensure(TokenRequestView::METADATA);
    meta.set(ObjectMeta::NAME, request.name.as_str());
    meta.set(ObjectMeta::NAMESPACE, request.namespace.as_str());
    meta.set(ObjectMeta::UID, request.uid.as_str());
    meta.set(ObjectMeta::CREATION_TIMESTAMP, text(request.creation_timestamp).as_str());
    let mut spec = edit.ensure(TokenRequestView::SPEC);
    spec.put(TokenRequestSpec::AUDIENCES, audiences);
    spec.set(TokenRequestSpec::EXPIRATION_SECONDS, seconds);
    let mut status = edit.ensure(TokenRequestView::STATUS);
    status.set(TokenRequestStatus::TOKEN, token);
    status.set(TokenRequestStatus::EXPIRATION_TIMESTAMP, text(expires).as_str());
}
