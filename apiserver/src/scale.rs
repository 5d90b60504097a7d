//! The scale subresource: an object's replicas as autoscaling/v1 Scale, read from it and written through it.

use std::sync::Arc;

use corten_api::selector::labels;
use corten_api::status::{Result, Status};
use corten_kinds::columns;
use corten_object::json;
use corten_object::managed;
use corten_object::patch;
use corten_object::tree::{Node, Tree, View};
use corten_schema::Shape;
use corten_views::autoscaling_v1::{Scale, ScaleSpec, ScaleStatus};
use corten_views::meta_v1::{LabelSelector, ObjectMeta};

use crate::admission::{Attributes, Operation};
use crate::call::Call;
use crate::decode::{Expected, decode};
use crate::handlers::create::manager;
use crate::handlers::update::{PatchType, check_name};
use crate::handlers::{read, typing};
use crate::http::{ApiResponse, RequestBody};
use crate::metadata;
use crate::negotiate::{Form, body_encoding};
use crate::options::WriteOptions;
use crate::resource::Resource;
use crate::write::{Change, Existing};
use crate::{show, write};

pub async fn handle(
    call: &Arc<Call>,
    resource: &Arc<Resource>,
    verb: &str,
    form: Form,
    body: RequestBody,
) -> Result<ApiResponse> {
    if verb == "get" {
        let object = read::find(call, resource, &call.info.name).await?;
        let scale = scale_of(resource, &resource.tree(&object))?;
        return answer(call, resource, &scale, form);
    }
    let patch = if verb == "patch" { Some(PatchType::read(call, true)?) } else { None };
    let kind = if patch.is_some() { "PatchOptions" } else { "UpdateOptions" };
    let encoding = if patch.is_none() { Some(body_encoding(&call.headers, true)?) } else { None };
    let body = body.read().await?;
    let options = WriteOptions::read(&call.query, kind)?;
    let expected =
        Expected { group: "autoscaling", version: "v1", kind: "Scale", form: json::Form::Typed(Scale::TYPE) };
    let input = match (patch, encoding) {
        (Some(patch), _) => Input::Patch(patch, body),
        (None, Some(encoding)) => Input::Whole(decode(body, encoding, expected, options.validation, &call.warnings)?),
        (None, None) => return Err(Status::internal("a scale without a body")),
    };
    let mut change = Rescale { call, resource, options: &options, input };
    let updated = write::update(call, resource, &call.info.name, &mut change, options.dry_run, false).await?;
    let scale = scale_of(resource, &resource.tree(&updated.object))?;
    answer(call, resource, &scale, form)
}

fn answer(call: &Call, resource: &Resource, scale: &Tree, form: Form) -> Result<ApiResponse> {
    let printer = if resource.is_custom() { &columns::CUSTOM_SCALE } else { &columns::SCALE };
    show::transient(call, scale, Some(printer), form, http::StatusCode::OK)
}

enum Input {
    Whole(Tree),
    Patch(PatchType, Vec<u8>),
}

struct Rescale<'c> {
    call: &'c Call,
    resource: &'c Resource,
    options: &'c WriteOptions,
    input: Input,
}

impl Change for Rescale<'_> {
    async fn apply(&mut self, existing: Option<&Existing>) -> Result<Tree> {
        let Some(existing) = existing else {
            return Err(crate::call::not_found(self.resource, &self.call.info.name));
        };
        let current = self.resource.of_hub(existing.tree.clone());
        let scale = match &self.input {
            Input::Whole(scale) => scale.clone(),
            Input::Patch(kind, body) => patched(&scale_of(self.resource, &current)?, *kind, body)?,
        };
        check_name(self.resource, &scale, &self.call.info.name, &self.call.info.namespace)?;
        check_scale(self.resource, &scale)?;
        let view: Scale<'_> = scale.view();
        let mut tree = current.clone();
        set_replicas(self.resource, &mut tree, view.spec().replicas())?;
        metadata::edit(&mut tree).set(ObjectMeta::RESOURCE_VERSION, view.metadata().resource_version());
        self.check_uid(view, existing)?;
        let api_version = self.resource.api_version();
        // Upstream keeps no time of who scales.
        let manager = manager(self.call, self.options, &api_version, "");
        managed::update(Some(&current), &mut tree, typing(self.resource), &manager, &[], &managed::OneVersion);
        let mut tree = self.resource.to_hub(tree);
        let attributes = Attributes::of(self.call, self.resource, Operation::Update, self.options.dry_run);
        self.call.api.admission.admit(self.call, &attributes, &mut tree, Some(&existing.tree)).await?;
        Ok(tree)
    }
}

impl Rescale<'_> {
    fn check_uid(&self, scale: Scale<'_>, existing: &Existing) -> Result<()> {
        let uid = scale.metadata().uid();
        if uid.is_empty() || *uid == *existing.object.uid {
            return Ok(());
        }
        let message =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", existing.object.uid);
        Err(Status::conflict(&self.resource.group, &self.resource.plural, &self.call.info.name, message))
    }
}

fn patched(scale: &Tree, kind: PatchType, body: &[u8]) -> Result<Tree> {
    let patched = match kind {
        PatchType::Json => patch::json(scale, body)?,
        PatchType::Merge => patch::merge(scale, body)?,
        PatchType::Strategic => patch::strategic(scale, body)?,
        PatchType::Apply => {
            let text = String::from_utf8_lossy(body);
            let converted =
                corten_object::yaml::to_json(&text).map_err(|error| Status::bad_request(error.to_string()))?;
            patch::merge(scale, &converted.json)?
        }
    };
    Ok(patched.tree)
}

fn check_scale(resource: &Resource, scale: &Tree) -> Result<()> {
    use corten_api::field::{Error, Errors, Path};
    let view: Scale<'_> = scale.view();
    let replicas = view.spec().replicas();
    if replicas >= 0 {
        return Ok(());
    }
    let mut errors = Errors::default();
    errors.push(Error::invalid(&Path::new("spec").child("replicas"), replicas, "must be greater than or equal to 0"));
    let _ = resource;
    Err(Status::invalid("autoscaling", "Scale", view.metadata().name(), &errors))
}

/// An object's Scale.
fn scale_of(resource: &Resource, tree: &Tree) -> Result<Tree> {
    let meta = metadata::read(tree);
    let mut scale = Tree::of(Scale::TYPE);
    metadata::set_kind(&mut scale, "autoscaling/v1", "Scale");
    let mut edit = scale.edit();
    let mut own = edit.ensure(Scale::METADATA);
    own.set(ObjectMeta::NAME, meta.name());
    own.set(ObjectMeta::NAMESPACE, meta.namespace());
    own.set(ObjectMeta::UID, meta.uid());
    own.set(ObjectMeta::RESOURCE_VERSION, meta.resource_version());
    own.set(ObjectMeta::CREATION_TIMESTAMP, meta.creation_timestamp());
    let (replicas, status, selector) = match &resource.custom {
        Some(custom) => custom_scale(custom, tree)?,
        None => {
            let int = |path: &[&str]| tree.root().at(path).map_or(0, Node::as_int);
            (int(&["spec", "replicas"]), int(&["status", "replicas"]), selector_of(tree))
        }
    };
    edit.ensure(Scale::SPEC).set(ScaleSpec::REPLICAS, replicas);
    let mut own = edit.ensure(Scale::STATUS);
    own.set(ScaleStatus::REPLICAS, status);
    own.set(ScaleStatus::SELECTOR, selector.as_str());
    Ok(scale)
}

/// The selector as text: of labels alone for replication controllers, whole for the others.
fn selector_of(tree: &Tree) -> String {
    let Some(node) = tree.root().at(&["spec", "selector"]) else { return String::new() };
    if node.as_struct().is_absent() {
        let pairs: Vec<(&str, &str)> = node.as_map().iter().map(|(key, value)| (key, value.as_str())).collect();
        return labels::Selector::from_set(pairs).to_string();
    }
    let selector = LabelSelector::from_struct(node.as_struct());
    let expressions = selector.match_expressions();
    let expressions = expressions.iter().map(|row| (row.key(), row.operator(), row.values().iter()));
    labels::Selector::from_label_selector(selector.match_labels().iter(), expressions)
        .map_or(String::new(), |selector| selector.to_string())
}

fn custom_scale(custom: &corten_custom::Version, tree: &Tree) -> Result<(i64, i64, String)> {
    let scale = custom.scale().ok_or_else(|| Status::internal("no scale subresource"))?;
    let read = scale.read(tree.root()).map_err(Status::internal)?;
    let wanted = read.spec_replicas.ok_or_else(|| {
        Status::internal(format!("the spec replicas field {:?} does not exist", scale.spec_replicas_path))
    })?;
    Ok((wanted, read.status_replicas, read.selector))
}

fn set_replicas(resource: &Resource, tree: &mut Tree, replicas: i64) -> Result<()> {
    if let Some(custom) = &resource.custom {
        if let Some(scale) = custom.scale() {
            scale.set_replicas(tree, replicas).map_err(Status::bad_request)?;
        }
        return Ok(());
    }
    let root = tree.root_id();
    let Some(spec) = tree.type_of(root).and_then(|ty| ty.get().field_named("spec").map(|field| (ty, field))) else {
        return Ok(());
    };
    let (ty, field) = spec;
    let Shape::Struct(spec_type) = ty.field(field).shape else { return Ok(()) };
    let Some(replicas_field) = spec_type.get().field_named("replicas") else { return Ok(()) };
    let spec = tree.ensure_field(root, field);
    tree.edit_at(spec).set(replicas_field, replicas);
    Ok(())
}
