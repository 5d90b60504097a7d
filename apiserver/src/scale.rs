//! The scale subresource: an object's replicas as autoscaling/v1 Scale, read from it and written through it.

use std::sync::Arc;

use corten_api::selector::labels;
use corten_api::status::{Reason, Result, Status};
use corten_api::time::Timestamp;
use corten_kinds::columns;
use corten_object::json;
use corten_object::managed;
use corten_object::tree::{Node, Tree, View};
use corten_object::typing::TypeRef;
use corten_schema::Shape;
use corten_views::autoscaling_v1::{Scale, ScaleSpec, ScaleStatus};
use corten_views::meta_v1::{LabelSelector, ObjectMeta};

use crate::admission::{Attributes, Operation};
use crate::call::Call;
use crate::decode::{Expected, decode};
use crate::handlers::create::manager;
use crate::handlers::read;
use crate::handlers::update::{PatchType, check_name, note_strict_patch, note_strict_yaml, patch_with};
use crate::http::{ApiResponse, RequestBody};
use crate::metadata;
use crate::negotiate::{Form, body_encoding};
use crate::options::WriteOptions;
use crate::owned_versions::VersionsOf;
use crate::resource::Resource;
use crate::write::{Change, Existing, ensure_request_namespace};
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
    let patch = if verb == "patch" { Some(PatchType::read(call, !resource.is_custom())?) } else { None };
    let encoding = if patch.is_none() { Some(body_encoding(&call.headers, true)?) } else { None };
    let body = call.read(body).await?;
    let options = match patch {
        Some(kind) => kind.options(call)?,
        None => WriteOptions::read(&call.query, "UpdateOptions")?,
    };
    let input = match (patch, encoding) {
        (Some(patch), _) => Input::Patch(patch, body),
        (None, Some(encoding)) => {
            let mut scale = decode(body, encoding, EXPECTED, options.validation, &call.warnings)?;
            ensure_request_namespace(resource, &mut scale, &call.info.namespace)?;
            check_name(resource, &scale, &call.info.name, &call.info.namespace)?;
            Input::Whole(scale)
        }
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

const EXPECTED: Expected<'static> =
    Expected { group: "autoscaling", version: "v1", kind: "Scale", form: json::Form::Typed(Scale::TYPE) };

/// What replicas are while nobody has set them.
const UNSET: i64 = i32::MIN as i64;

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
        let mut tree = self.resource.of_hub(existing.tree.clone());
        let versions = VersionsOf::new(self.call, self.resource);
        let place = |api_version: &str| versions.replicas(api_version);
        let mut before = old_scale(self.resource, &tree)?;
        managed::scale::to_scale(&tree, &mut before, &place).map_err(Status::internal)?;
        let scale = self.changed(&before)?;
        if let Input::Patch(..) = &self.input {
            check_name(self.resource, &scale, &self.call.info.name, &self.call.info.namespace)?;
            self.check_uid(scale.view(), existing)?;
        }
        let view: Scale<'_> = scale.view();
        self.check_replicas(view)?;
        set_replicas(self.resource, &mut tree, view.spec().replicas())?;
        let revision = view.metadata().resource_version();
        // A custom object's is left as it is where none is given, which comes to the same: no precondition.
        if !(self.resource.is_custom() && revision.is_empty()) {
            metadata::edit(&mut tree).set(ObjectMeta::RESOURCE_VERSION, revision);
        }
        let api_version = self.resource.api_version();
        managed::scale::to_object(&mut tree, &scale, &api_version, &place).map_err(Status::internal)?;
        let mut tree = self.resource.to_hub(tree);
        let attributes = Attributes::of(self.call, self.resource, Operation::Update, self.options.dry_run);
        self.call.api.admission.admit(self.call, &attributes, &mut tree, Some(&existing.tree)).await?;
        Ok(tree)
    }

    fn uid(&self) -> Option<&str> {
        match &self.input {
            Input::Whole(scale) => {
                let scale: Scale<'_> = scale.view();
                Some(scale.metadata().uid()).filter(|uid| !uid.is_empty())
            }
            Input::Patch(..) => None,
        }
    }
}

impl Rescale<'_> {
    /// The Scale that is wanted, and who owns its replicas then.
    fn changed(&self, before: &Tree) -> Result<Tree> {
        let time = Timestamp::from_seconds(self.call.now.seconds).format();
        let manager = manager(self.call, self.options, "autoscaling/v1", &time);
        let typing = TypeRef::built_in(Scale::TYPE);
        let mut scale = match &self.input {
            Input::Whole(scale) => scale.clone(),
            Input::Patch(PatchType::Apply, body) => {
                let (config, strict) = managed::decode_config(body)?;
                let force = self.options.force;
                let applied = managed::apply(Some(before), &config, typing, &manager, force, &[], &managed::OneVersion);
                if self.resource.is_custom() {
                    refuse_custom(before, &config, &applied)?;
                }
                let applied = applied?;
                note_strict_yaml(self.call, self.options, strict)?;
                return Ok(applied.object);
            }
            Input::Patch(kind, body) => {
                let patched = patch_with(self.options, *kind, before, body, EXPECTED)?;
                note_strict_patch(self.call, self.options, &patched)?;
                patched.tree
            }
        };
        managed::update(Some(before), &mut scale, typing, &manager, &[], &managed::OneVersion);
        Ok(scale)
    }

    fn check_uid(&self, scale: Scale<'_>, existing: &Existing) -> Result<()> {
        let uid = scale.metadata().uid();
        if uid.is_empty() || *uid == *existing.object.uid || self.resource.is_custom() {
            return Ok(());
        }
        let message =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", existing.object.uid);
        let plural = format!("{}/scale", self.resource.plural);
        Err(Status::conflict(&self.resource.group, &plural, &self.call.info.name, message))
    }

    fn check_replicas(&self, scale: Scale<'_>) -> Result<()> {
        use corten_api::field::{Error, Errors, Path};
        let replicas = scale.spec().replicas();
        if replicas == UNSET {
            let path = self.resource.custom.as_ref().and_then(|custom| custom.scale());
            let path = path.map_or("", |scale| &*scale.spec_replicas_path);
            return Err(Status::bad_request(format!("the spec replicas field {path:?} cannot be empty")));
        }
        // Of a custom object, its own rules say it.
        if replicas >= 0 || self.resource.is_custom() {
            return Ok(());
        }
        let mut errors = Errors::default();
        let path = Path::new("spec");
        errors.push(Error::invalid(&path.child("replicas"), replicas, "must be greater than or equal to 0"));
        Err(Status::invalid("autoscaling", "Scale", scale.metadata().name(), &errors))
    }
}

/// Upstream converts an applied Scale as if it were an object of the definition, which fails wherever there is something
/// to convert: what nobody owned before, or what the apply has changed.
fn refuse_custom(before: &Tree, config: &Tree, applied: &Result<managed::Applied>) -> Result<()> {
    let failed = |what: &str| {
        let message =
            format!("{what} to proper version: request to convert CR to an invalid group/version: autoscaling/v1");
        Err(Status::failure(500, Reason::Unknown, message))
    };
    match applied {
        Err(status) if status.http_code() == 400 => Ok(()),
        _ if metadata::read(before).managed_fields().is_empty() => failed(
            "failed to create manager for existing fields: failed to convert live object (/; autoscaling/v1, Kind=Scale)",
        ),
        Ok(applied) if applied.changed => {
            let meta = |name: &str| config.root().at(&["metadata", name]).map_or("", Node::as_str);
            let (namespace, name) = (meta("namespace"), meta("name"));
            failed(&format!("failed to convert new object ({namespace}/{name}; autoscaling/v1, Kind=Scale)"))
        }
        _ => Ok(()),
    }
}

/// The Scale that a write starts from: replicas that a custom object does not have are [`UNSET`].
fn old_scale(resource: &Resource, tree: &Tree) -> Result<Tree> {
    let Some(custom) = &resource.custom else { return scale_of(resource, tree) };
    let (replicas, status, selector) = custom_scale(custom, tree)?;
    Ok(make_scale(tree, replicas.unwrap_or(UNSET), status, &selector))
}

/// An object's Scale.
fn scale_of(resource: &Resource, tree: &Tree) -> Result<Tree> {
    let (replicas, status, selector) = match &resource.custom {
        Some(custom) => {
            let (replicas, status, selector) = custom_scale(custom, tree)?;
            let path = custom.scale().map_or("", |scale| &*scale.spec_replicas_path);
            let replicas =
                replicas.ok_or_else(|| Status::internal(format!("the spec replicas field {path:?} does not exist")))?;
            (replicas, status, selector)
        }
        None => {
            let int = |path: &[&str]| tree.root().at(path).map_or(0, Node::as_int);
            (int(&["spec", "replicas"]), int(&["status", "replicas"]), selector_of(tree))
        }
    };
    Ok(make_scale(tree, replicas, status, &selector))
}

fn make_scale(object: &Tree, replicas: i64, status: i64, selector: &str) -> Tree {
    let meta = metadata::read(object);
    let mut scale = Tree::of(Scale::TYPE);
    metadata::set_kind(&mut scale, "autoscaling/v1", "Scale");
    let mut edit = scale.edit();
    let mut own = edit.ensure(Scale::METADATA);
    own.set(ObjectMeta::NAME, meta.name());
    own.set(ObjectMeta::NAMESPACE, meta.namespace());
    own.set(ObjectMeta::UID, meta.uid());
    own.set(ObjectMeta::RESOURCE_VERSION, meta.resource_version());
    own.set(ObjectMeta::CREATION_TIMESTAMP, meta.creation_timestamp());
    edit.ensure(Scale::SPEC).set(ScaleSpec::REPLICAS, replicas);
    let mut own = edit.ensure(Scale::STATUS);
    own.set(ScaleStatus::REPLICAS, status);
    own.set(ScaleStatus::SELECTOR, selector);
    scale
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

/// Replicas that are wanted, if the object says it, and that are there, and the selector.
fn custom_scale(custom: &corten_custom::Version, tree: &Tree) -> Result<(Option<i64>, i64, String)> {
    let scale = custom.scale().ok_or_else(|| Status::internal("no scale subresource"))?;
    let read = scale.read(tree.root()).map_err(Status::internal)?;
    Ok((read.spec_replicas, read.status_replicas, read.selector))
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
