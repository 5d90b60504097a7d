//! PUT and PATCH, of objects and of the subresources that write them.

use std::sync::Arc;

use corten_api::status::{Result, Status};
use corten_api::time::Timestamp;
use corten_object::json::Form as JsonForm;
use corten_object::managed;
use corten_object::patch::{self, Patched};
use corten_object::tree::Tree;

use super::create::{decode_object, manager, warn_of_duplicate_owners};
use super::{code, expected, typing};
use crate::admission::{Attributes, Operation};
use crate::call::Call;
use crate::decode::{Expected, Foreign, foreign, kind_missing};
use crate::http::{ApiResponse, RequestBody};
use crate::metadata;
use crate::negotiate::{self, Form, body_encoding};
use crate::options::{FieldValidation, WriteOptions};
use crate::owned_versions::VersionsOf;
use crate::resource::Resource;
use crate::write::{Change, Existing};
use crate::{show, write};

pub async fn put(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, body: RequestBody) -> Result<ApiResponse> {
    let encoding = body_encoding(&call.headers, !resource.is_custom())?;
    let body = call.read(body).await?;
    let options = WriteOptions::read(&call.query, "UpdateOptions")?;
    let mut tree = decode_object(call, resource, body, encoding, &options)?;
    write::ensure_request_namespace(resource, &mut tree, &call.info.namespace)?;
    check_name(resource, &tree, &call.info.name, &call.info.namespace)?;
    warn_of_duplicate_owners(call, &mut tree, "");
    let uid = Some(metadata::read(&tree).uid().to_owned()).filter(|uid| !uid.is_empty());
    let mut change = Replace { call, resource, options: &options, tree, uid };
    let updated = write::update(call, resource, &call.info.name, &mut change, options.dry_run, false).await?;
    show::object(call, resource, &updated.object, form, code(updated.created))
}

pub fn check_name(_resource: &Resource, tree: &Tree, name: &str, namespace: &str) -> Result<()> {
    let meta = metadata::read(tree);
    if meta.name().is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if meta.name() != name {
        let own = meta.name();
        return Err(Status::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        )));
    }
    if !namespace.is_empty() && !meta.namespace().is_empty() && meta.namespace() != namespace {
        let own = meta.namespace();
        return Err(Status::bad_request(format!(
            "the namespace of the object ({own}) does not match the namespace on the request ({namespace})"
        )));
    }
    Ok(())
}

/// What follows any change, before the write path: who owns which fields now, and mutating admission. The tree is of
/// the request's version; what comes back is of the hub version.
async fn finish(
    call: &Call,
    resource: &Resource,
    options: &WriteOptions,
    mut tree: Tree,
    existing: Option<&Existing>,
    track: bool,
) -> Result<Tree> {
    let (api_version, time) = (resource.api_version(), Timestamp::from_seconds(call.now.seconds).format());
    if track {
        tree = resource.through_hub(tree);
        let manager = manager(call, options, &api_version, &time);
        let live = existing.map(|existing| resource.of_hub(existing.tree.clone()));
        let versions = VersionsOf::new(call, resource);
        let reset = resource.reset_fields(&call.info.subresource);
        managed::update(live.as_ref(), &mut tree, typing(resource), &manager, reset, &versions);
    }
    let mut tree = resource.to_hub(tree);
    let operation = if existing.is_some() { Operation::Update } else { Operation::Create };
    let attributes = Attributes::of(call, resource, operation, options.dry_run);
    call.api.admission.admit(call, &attributes, &mut tree, existing.map(|existing| &existing.tree)).await?;
    warn_of_duplicate_owners(call, &mut tree, " after mutating admission happens");
    Ok(tree)
}

/// An object in whole.
struct Replace<'c> {
    call: &'c Call,
    resource: &'c Resource,
    options: &'c WriteOptions,
    tree: Tree,
    uid: Option<String>,
}

impl Change for Replace<'_> {
    async fn apply(&mut self, existing: Option<&Existing>) -> Result<Tree> {
        let mut tree = self.tree.clone();
        if existing.is_none() {
            metadata::wipe_system_fields(&mut tree);
        }
        finish(self.call, self.resource, self.options, tree, existing, true).await
    }

    fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchType {
    pub fn read(call: &Call, strategic: bool) -> Result<PatchType> {
        match negotiate::content_type(&call.headers) {
            "application/json-patch+json" => Ok(PatchType::Json),
            "application/merge-patch+json" => Ok(PatchType::Merge),
            "application/strategic-merge-patch+json" if strategic => Ok(PatchType::Strategic),
            negotiate::APPLY => Ok(PatchType::Apply),
            _ => {
                let mut known = vec!["application/json-patch+json", "application/merge-patch+json"];
                if strategic {
                    known.push("application/strategic-merge-patch+json");
                }
                known.push(negotiate::APPLY);
                Err(Status::unsupported_media_type(format!(
                    "the body of the request was in an unknown format - accepted media types include: {}",
                    known.join(", ")
                )))
            }
        }
    }

    pub fn options(self, call: &Call) -> Result<WriteOptions> {
        use corten_api::field::{Error, Errors, Path};
        let mut errors = Errors::default();
        if self == PatchType::Apply && call.query.get("fieldManager").unwrap_or_default().is_empty() {
            // It is from the user agent for other patches; here it has to be said.
            errors.push(Error::required(&Path::new("fieldManager"), "is required for apply patch"));
        }
        if self != PatchType::Apply && call.query.get("force").is_some() {
            errors.push(Error::forbidden(&Path::new("force"), "may not be specified for non-apply patch"));
        }
        WriteOptions::read_after(&call.query, "PatchOptions", errors)
    }
}

pub async fn patch(call: &Arc<Call>, resource: &Arc<Resource>, form: Form, body: RequestBody) -> Result<ApiResponse> {
    let kind = PatchType::read(call, !resource.is_custom())?;
    let body = call.read(body).await?;
    let options = kind.options(call)?;
    let mut change = Patch { call, resource, options: &options, kind, body: &body };
    let create = kind == PatchType::Apply && call.info.subresource.is_empty();
    let updated = write::update(call, resource, &call.info.name, &mut change, options.dry_run, create).await?;
    show::object(call, resource, &updated.object, form, code(updated.created))
}

struct Patch<'c> {
    call: &'c Call,
    resource: &'c Resource,
    options: &'c WriteOptions,
    kind: PatchType,
    body: &'c [u8],
}

impl Change for Patch<'_> {
    async fn apply(&mut self, existing: Option<&Existing>) -> Result<Tree> {
        let mut tree = match self.kind {
            PatchType::Apply => self.apply_configuration(existing)?,
            kind => {
                let Some(existing) = existing else {
                    return Err(crate::call::not_found(self.resource, &self.call.info.name));
                };
                let current = self.resource.of_hub(existing.tree.clone());
                self.patched(kind, &current)?
            }
        };
        if existing.is_none() && !metadata::read(&tree).uid().is_empty() {
            let message = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was found",
                metadata::read(&tree).uid()
            );
            let resource = self.resource;
            return Err(Status::conflict(&resource.group, &resource.plural, &self.call.info.name, message));
        }
        check_type(self.call, self.resource, &tree)?;
        write::ensure_request_namespace(self.resource, &mut tree, &self.call.info.namespace)?;
        check_name(self.resource, &tree, &self.call.info.name, &self.call.info.namespace)?;
        if existing.is_none() {
            metadata::wipe_system_fields(&mut tree);
        }
        finish(self.call, self.resource, self.options, tree, existing, self.kind != PatchType::Apply).await
    }
}

/// A patch may not make a custom object one of another version. Its kind is looked at by the rules of its kind.
fn check_type(call: &Call, resource: &Resource, tree: &Tree) -> Result<()> {
    use corten_api::field::{Error, Errors, Path};
    if !resource.is_custom() || !call.info.subresource.is_empty() {
        return Ok(());
    }
    let (api_version, wanted) = (metadata::api_version(tree), resource.api_version());
    if api_version == wanted {
        return Ok(());
    }
    if api_version.is_empty() {
        return Err(Status::internal("Object 'apiVersion' is missing in 'object has no apiVersion field'"));
    }
    let mut errors = Errors::default();
    let kind = metadata::kind(tree);
    if kind != &*resource.kind {
        errors.push(Error::invalid(&Path::new("kind"), kind, format!("must be {}", resource.kind)));
    }
    errors.push(Error::invalid(&Path::new("apiVersion"), api_version, format!("must be {wanted}")));
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    Err(Status::invalid(group, kind, metadata::read(tree).name(), &errors))
}

impl Patch<'_> {
    fn patched(&self, kind: PatchType, current: &Tree) -> Result<Tree> {
        let mut patched = patch_with(self.options, kind, current, self.body, expected(self.resource))?;
        if let Some(definition) = self.resource.storage.as_ref().and_then(|storage| storage.definition()) {
            if metadata::kind(&patched.tree).is_empty() {
                return Err(patched.malformed(&kind_missing(patched.shown().as_bytes())));
            }
            let unknown = definition.decode(&mut patched.tree);
            patched.strict.extend(unknown.map_err(|error| patched.malformed(&error))?);
        }
        note_strict_patch(self.call, self.options, &patched)?;
        let mut tree = patched.tree;
        self.resource.default(&mut tree);
        Ok(tree)
    }

    fn apply_configuration(&self, existing: Option<&Existing>) -> Result<Tree> {
        let (config, strict) = managed::decode_config(self.body)?;
        if self.resource.is_custom() && metadata::kind(&config) != &*self.resource.kind {
            return Err(managed::wrong_type(&config));
        }
        let live = existing.map(|existing| self.resource.of_hub(existing.tree.clone()));
        let time = Timestamp::from_seconds(self.call.now.seconds).format();
        let api_version = self.resource.api_version();
        let manager = manager(self.call, self.options, &api_version, &time);
        let versions = VersionsOf::new(self.call, self.resource);
        let reset = self.resource.reset_fields(&self.call.info.subresource);
        let applied = managed::apply(
            live.as_ref(),
            &config,
            typing(self.resource),
            &manager,
            self.options.force,
            reset,
            &versions,
        )?;
        note_strict_yaml(self.call, self.options, strict)?;
        let mut tree = applied.object;
        // An apply that changes nothing leaves the object as it is, even where this version would set a default.
        if applied.changed {
            self.resource.default(&mut tree);
        }
        Ok(tree)
    }
}

/// Applies a patch that is no configuration.
pub fn patch_with(
    options: &WriteOptions,
    kind: PatchType,
    current: &Tree,
    body: &[u8],
    expected: Expected<'_>,
) -> Result<Patched> {
    let mut patched = match (kind, options.validation != FieldValidation::Ignore) {
        (PatchType::Json, true) => patch::json(current, body)?,
        (PatchType::Json, false) => patch::json_unchecked(current, body)?,
        (PatchType::Merge, true) => patch::merge(current, body)?,
        (PatchType::Merge, false) => patch::merge_unchecked(current, body)?,
        _ => patch::strategic(current, body)?,
    };
    if let JsonForm::Typed(_) = expected.form {
        check_kind(kind, &mut patched, expected)?;
    }
    Ok(patched)
}

/// A patch that makes an object another kind's leads to nothing that can be read; a strategic one cannot.
fn check_kind(kind: PatchType, patched: &mut Patched, expected: Expected<'_>) -> Result<()> {
    if kind != PatchType::Strategic {
        let claim = foreign(metadata::api_version(&patched.tree), metadata::kind(&patched.tree), expected);
        if let Some(Foreign::OtherKind(message)) = claim {
            return Err(patched.malformed(&message));
        }
    }
    metadata::set_kind(&mut patched.tree, &expected.api_version(), expected.kind);
    Ok(())
}

/// What strict decoding says of a patch: an error, warnings or nothing.
pub fn note_strict_patch(call: &Call, options: &WriteOptions, patched: &Patched) -> Result<()> {
    match options.validation {
        FieldValidation::Strict => patched.strict_error().map_or(Ok(()), Err)?,
        FieldValidation::Warn => patched.strict.iter().for_each(|note| call.warnings.add(note.as_str())),
        FieldValidation::Ignore => {}
    }
    Ok(())
}

/// What strict decoding says of a configuration: an error, a warning or nothing.
pub fn note_strict_yaml(call: &Call, options: &WriteOptions, strict: Option<String>) -> Result<()> {
    match (strict, options.validation) {
        (Some(strict), FieldValidation::Strict) => {
            Err(Status::bad_request(format!("error strict decoding YAML: {strict}")))
        }
        (Some(strict), FieldValidation::Warn) => {
            call.warnings.add(strict);
            Ok(())
        }
        _ => Ok(()),
    }
}
