//! Deletes: at once, gracefully, or when finalizers are done; one object or all that a selector names.

use std::sync::Arc;

use corten_api::field::{Error as FieldError, Errors, Path};
use corten_api::status::{Result, Status};
use corten_api::time::Timestamp;
use corten_kinds::strategy::Deletion;
use corten_object::json::{self, Form};
use corten_object::tree::{Tree, View};
use corten_store::{Expect, Put, WriteError};
use corten_views::meta_v1::{DeleteOptions, ObjectMeta};

use crate::admission::{Attributes, Operation};
use crate::call::{Call, not_found};
use crate::decode::{self, Expected};
use crate::metadata;
use crate::negotiate::BodyEncoding;
use crate::object::Object;
use crate::options::{FieldValidation, check_dry_run};
use crate::resource::{Resource, Storage};
use crate::write::{self, newest};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const ATTEMPTS: usize = 100;

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub grace_seconds: Option<i64>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub orphan_dependents: Option<bool>,
    pub propagation: Option<String>,
    pub dry_run: bool,
}

impl Options {
    /// From the body, or where there is none from the query.
    pub async fn read(call: &Call, body: Vec<u8>) -> Result<Options> {
        let ty = DeleteOptions::TYPE;
        let tree = if body.is_empty() {
            from_query(call)?
        } else {
            let encoding = crate::negotiate::body_encoding(&call.headers, true)?;
            options_tree(call, body, encoding)?
        };
        let view: DeleteOptions<'_> = tree.view();
        debug_assert_eq!(tree.type_of(tree.root_id()), Some(ty));
        let preconditions = view.preconditions();
        let dry_run: Vec<&str> = view.dry_run().iter().collect();
        let options = Options {
            grace_seconds: view.grace_period_seconds(),
            uid: preconditions.and_then(|p| p.uid()).map(str::to_owned),
            resource_version: preconditions.and_then(|p| p.resource_version()).map(str::to_owned),
            orphan_dependents: view.orphan_dependents(),
            propagation: view.propagation_policy().map(str::to_owned),
            dry_run: !dry_run.is_empty(),
        };
        options.check(&dry_run)?;
        Ok(options)
    }

    fn check(&self, dry_run: &[&str]) -> Result<()> {
        let mut errors = Errors::default();
        let path = Path::new("propagationPolicy");
        if let Some(policy) = &self.propagation {
            if self.orphan_dependents.is_some() {
                errors.push(FieldError::invalid(
                    &path,
                    policy.as_str(),
                    "orphanDependents and deletionPropagation cannot be both set",
                ));
            }
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                errors.push(FieldError::not_supported(
                    &path,
                    policy.as_str(),
                    &["Foreground", "Background", "Orphan", "nil"],
                ));
            }
        }
        check_dry_run(dry_run, &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &errors)) }
    }
}

fn options_tree(call: &Call, body: Vec<u8>, encoding: BodyEncoding) -> Result<Tree> {
    let expected =
        Expected { group: "meta.k8s.io", version: "v1", kind: "DeleteOptions", form: Form::Typed(DeleteOptions::TYPE) };
    let tree = match encoding {
        BodyEncoding::Json => {
            let unreadable =
                |error: &str| Status::bad_request(format!("couldn't get version/kind; json parse error: {error}"));
            let claim = json::parse(body.clone(), Form::Plain).map_err(|error| unreadable(&error.to_string()))?.tree;
            if let Some(message) = decode::not_typed(claim.root()) {
                return Err(unreadable(&message));
            }
            check_claim(&claim)?;
            json::parse(body, expected.form).map_err(|error| Status::bad_request(error.to_string()))?.tree
        }
        BodyEncoding::Protobuf => {
            corten_object::protobuf::decode(body, DeleteOptions::TYPE).map_err(|error| Status::bad_request(error.0))?
        }
        BodyEncoding::Yaml => decode::decode(body, encoding, expected, FieldValidation::Ignore, &call.warnings)?,
    };
    Ok(if tree.root().is_null() { Tree::of(DeleteOptions::TYPE) } else { tree })
}

/// What a body says that it is: clients send the options as a kind of the group they delete from, so that any version
/// will do.
fn check_claim(body: &Tree) -> Result<()> {
    const UNVERSIONED: [&str; 5] = ["Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"];
    const META: [&str; 8] = [
        "ListOptions",
        "GetOptions",
        "CreateOptions",
        "UpdateOptions",
        "PatchOptions",
        "TableOptions",
        "Table",
        "PartialObjectMetadata",
    ];
    let kind = metadata::kind(body);
    let version = Some(metadata::api_version(body)).filter(|version| !version.is_empty()).unwrap_or("meta.k8s.io/v1");
    if matches!(kind, "" | "DeleteOptions") {
        return Ok(());
    }
    Err(Status::bad_request(match version {
        "v1" if UNVERSIONED.contains(&kind) => {
            format!("converting (v1.{kind}) to (v1.DeleteOptions): unknown conversion")
        }
        "meta.k8s.io/v1" if META.contains(&kind) => {
            format!("converting (v1.{kind}) to (v1.DeleteOptions): unknown conversion")
        }
        _ => format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27\""
        ),
    }))
}

fn from_query(call: &Call) -> Result<Tree> {
    let mut tree = Tree::of(DeleteOptions::TYPE);
    let mut edit = tree.edit();
    if let Some(text) = call.query.get("gracePeriodSeconds") {
        let seconds: i64 = text
            .parse()
            .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?;
        edit.set(DeleteOptions::GRACE_PERIOD_SECONDS, seconds);
    }
    if call.query.get("orphanDependents").is_some() {
        edit.set(DeleteOptions::ORPHAN_DEPENDENTS, call.query.flag("orphanDependents"));
    }
    if let Some(policy) = call.query.get("propagationPolicy") {
        edit.set(DeleteOptions::PROPAGATION_POLICY, policy);
    }
    let values: Vec<_> = call.query.all("dryRun").map(|value| tree.string(value)).collect();
    if !values.is_empty() {
        let list = tree.list(&values);
        tree.edit().put(DeleteOptions::DRY_RUN, list);
    }
    Ok(tree)
}

/// What came of a delete.
pub struct Deleted {
    pub object: Arc<Object>,
    /// It is gone; else it is marked and goes later.
    pub gone: bool,
}

/// One step that deleting an object takes.
enum Step {
    Remove,
    /// Keep this first; then remove it if it holds nothing back.
    Mark {
        tree: Tree,
        then_remove: bool,
    },
    /// It is on its way already.
    Nothing,
}

/// Deletes one object. Each attempt looks at the newest one: what is decided holds only for that.
pub async fn delete(
    call: &Call,
    resource: &Resource,
    namespace: &str,
    name: &str,
    options: &Options,
) -> Result<Deleted> {
    let storage = resource.storage.as_ref().ok_or_else(|| not_found(resource, name))?;
    let key = storage.object_key(namespace, name);
    let mut object = storage.cache.get(&key);
    for _ in 0..ATTEMPTS {
        if object.is_none() {
            object =
                newest(call, storage, &key).await.map_err(|error| write::store_error(resource, "delete", error))?;
        }
        let Some(current) = object.take() else { return Err(not_found(resource, name)) };
        let tree = storage.tree(&current);
        check_preconditions(resource, storage, &current, &tree, options)?;
        let attributes =
            Attributes { name, namespace, ..Attributes::of(call, resource, Operation::Delete, options.dry_run) };
        call.api.admission.validate(call, &attributes, None, Some(&tree)).await?;
        let step = next_step(call, resource, storage, &tree, options);
        match take_step(call, resource, storage, &key, current, tree, step, options).await? {
            Some(deleted) => return Ok(deleted),
            None => {
                object =
                    newest(call, storage, &key).await.map_err(|error| write::store_error(resource, "delete", error))?;
                if object.is_none() {
                    return Err(not_found(resource, name));
                }
            }
        }
    }
    Err(Status::conflict(
        &resource.group,
        &resource.plural,
        name,
        "the object is being changed too often to be deleted",
    ))
}

fn check_preconditions(
    resource: &Resource,
    storage: &Storage,
    current: &Object,
    tree: &Tree,
    options: &Options,
) -> Result<()> {
    if storage.strategy().deletion(tree.root(), None) == Deletion::Finalize {
        return check_finalized_preconditions(resource, current, options);
    }
    let conflict = |message: String| Err(Status::conflict(&storage.group, &storage.hub.kind, current.name(), message));
    if let Some(uid) = options.uid.as_deref().filter(|uid| **uid != *current.uid) {
        return conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            current.uid
        ));
    }
    let revision = current.revision.to_string();
    if let Some(wanted) = options.resource_version.as_deref().filter(|wanted| *wanted != revision) {
        return conflict(format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({revision}). The object might have been modified"
        ));
    }
    Ok(())
}

/// The same, in the words of the kinds that mark themselves.
fn check_finalized_preconditions(resource: &Resource, current: &Object, options: &Options) -> Result<()> {
    let revision = current.revision.to_string();
    let pairs = [
        ("UID", options.uid.as_deref(), &*current.uid),
        ("ResourceVersion", options.resource_version.as_deref(), revision.as_str()),
    ];
    for (what, wanted, own) in pairs {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != own) {
            let message =
                format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {own}");
            return Err(Status::conflict(&resource.group, &resource.plural, current.name(), message));
        }
    }
    Ok(())
}

/// Decides, from the object and what was asked for, what is to be done next.
fn next_step(call: &Call, resource: &Resource, storage: &Storage, tree: &Tree, options: &Options) -> Step {
    let strategy = storage.strategy();
    let meta = metadata::read(tree);
    let asked = options.grace_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
    let deletion = strategy.deletion(tree.root(), asked);
    let mut marked = tree.clone();
    let finalizers = garbage_finalizers(storage, meta, options);
    let mut graceful = None;
    match deletion {
        Deletion::Finalize if meta.deletion_timestamp().is_some() && !strategy.is_finished(tree.root()) => {
            return Step::Nothing;
        }
        Deletion::Finalize if meta.deletion_timestamp().is_none() => {
            let time = Timestamp::from_seconds(call.now.seconds).format();
            metadata::edit(&mut marked).set(ObjectMeta::DELETION_TIMESTAMP, time.as_str());
            if let Some(finalizers) = strategy.marks_dependents().then(|| marked_finalizers(meta, options)).flatten() {
                metadata::set_finalizers(&mut marked, finalizers.iter().map(String::as_str));
            }
            strategy.mark_deleting(&mut marked.edit(), &call.context(resource, options.dry_run));
            return Step::Mark { tree: marked, then_remove: false };
        }
        Deletion::Graceful { seconds } => match begin_grace(call, &mut marked, meta, asked, seconds) {
            Grace::Pending => return Step::Nothing,
            Grace::Begun(seconds) => graceful = Some(seconds),
            Grace::Over => {}
        },
        Deletion::Finalize | Deletion::Immediate => {}
    }
    if let Some(finalizers) = &finalizers {
        metadata::set_finalizers(&mut marked, finalizers.iter().map(String::as_str));
    }
    let holds_back = !metadata::read(&marked).finalizers().is_empty();
    match graceful {
        Some(seconds) => Step::Mark { tree: marked, then_remove: seconds == 0 && !holds_back },
        None if holds_back => {
            mark_as_deleting(call, &mut marked);
            Step::Mark { tree: marked, then_remove: false }
        }
        None => Step::Remove,
    }
}

enum Grace {
    /// It is being deleted, with no more time than was asked for now.
    Pending,
    Begun(i64),
    /// It had its time.
    Over,
}

/// Sets the deletion time that a grace period ends at, or brings it forward.
fn begin_grace(call: &Call, marked: &mut Tree, meta: ObjectMeta<'_>, asked: Option<i64>, default: i64) -> Grace {
    if let Some(deadline) = meta.deletion_timestamp() {
        let left = match meta.deletion_grace_period_seconds() {
            None | Some(0) => return Grace::Over,
            Some(seconds) => seconds,
        };
        let Some(period) = asked.filter(|&period| period < left) else { return Grace::Pending };
        let deadline = Timestamp::parse(deadline).map_or(call.now.seconds, |time| time.seconds);
        let begun = deadline - left;
        let time = Timestamp::from_seconds((begun + period).max(call.now.seconds)).format();
        let mut meta = metadata::edit(marked);
        meta.set(ObjectMeta::DELETION_TIMESTAMP, time.as_str());
        meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, period);
        return Grace::Begun(period);
    }
    let time = Timestamp::from_seconds(call.now.seconds + default).format();
    let generation = meta.generation();
    let mut meta = metadata::edit(marked);
    meta.set(ObjectMeta::DELETION_TIMESTAMP, time.as_str());
    meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, default);
    if generation > 0 {
        meta.set(ObjectMeta::GENERATION, generation + 1);
    }
    Grace::Begun(default)
}

fn mark_as_deleting(call: &Call, tree: &mut Tree) {
    let meta = metadata::read(tree);
    let (generation, deadline) = (meta.generation(), meta.deletion_timestamp().map(str::to_owned));
    let mut meta = metadata::edit(tree);
    if deadline.is_none() && generation > 0 {
        meta.set(ObjectMeta::GENERATION, generation + 1);
    }
    let later =
        deadline.and_then(|time| Timestamp::parse(&time).ok()).is_none_or(|time| time.seconds > call.now.seconds);
    if later {
        meta.set(ObjectMeta::DELETION_TIMESTAMP, Timestamp::from_seconds(call.now.seconds).format().as_str());
    }
    meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, 0);
}

/// The same for a kind that marks itself, where `orphanDependents: false` asks for the foreground.
fn marked_finalizers(meta: ObjectMeta<'_>, options: &Options) -> Option<Vec<String>> {
    let has = |finalizer: &str| meta.finalizers().contains(finalizer);
    let (orphan, foreground) = match (options.orphan_dependents, options.propagation.as_deref()) {
        (Some(orphan), _) => (orphan, !orphan),
        (None, Some(policy)) => (policy == "Orphan", policy == "Foreground"),
        (None, None) => (has(ORPHAN), has(FOREGROUND)),
    };
    with_garbage_finalizers(meta, orphan, foreground)
}

/// The finalizers that what was asked for adds or takes away; None if they stay as they are.
fn garbage_finalizers(storage: &Storage, meta: ObjectMeta<'_>, options: &Options) -> Option<Vec<String>> {
    let strategy = storage.strategy();
    if !strategy.collects_garbage() {
        return None;
    }
    let has = |finalizer: &str| meta.finalizers().contains(finalizer);
    let (orphan, foreground) = match (options.orphan_dependents, options.propagation.as_deref()) {
        (Some(orphan), _) => (orphan, false),
        (None, Some("Orphan")) => (true, false),
        (None, Some("Foreground")) => (false, true),
        (None, Some(_)) => (false, false),
        (None, None) if has(ORPHAN) || has(FOREGROUND) => (has(ORPHAN), has(FOREGROUND)),
        (None, None) => (strategy.orphans_by_default(), false),
    };
    with_garbage_finalizers(meta, orphan, foreground)
}

fn with_garbage_finalizers(meta: ObjectMeta<'_>, orphan: bool, foreground: bool) -> Option<Vec<String>> {
    let has = |finalizer: &str| meta.finalizers().contains(finalizer);
    if has(ORPHAN) == orphan && has(FOREGROUND) == foreground {
        return None;
    }
    let kept = meta.finalizers().iter().filter(|&finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    let mut finalizers: Vec<String> = kept.map(str::to_owned).collect();
    if orphan {
        finalizers.push(ORPHAN.to_owned());
    }
    if foreground {
        finalizers.push(FOREGROUND.to_owned());
    }
    Some(finalizers)
}

/// Takes a step. None says that the object changed meanwhile, and that the step has to be decided anew.
#[allow(clippy::too_many_arguments, reason = "one attempt's whole state")]
async fn take_step(
    call: &Call,
    resource: &Resource,
    storage: &Arc<Storage>,
    key: &str,
    current: Arc<Object>,
    tree: Tree,
    step: Step,
    options: &Options,
) -> Result<Option<Deleted>> {
    let _phase = call.write_phases.begin().await;
    match step {
        Step::Nothing => Ok(Some(Deleted { object: current, gone: false })),
        Step::Remove if options.dry_run => Ok(Some(Deleted { object: current, gone: true })),
        Step::Remove => remove(call, resource, storage, key, current.revision, &tree).await,
        Step::Mark { tree: marked, then_remove } => {
            let draft = storage.draft(&marked, key);
            if options.dry_run {
                return Ok(Some(Deleted { object: draft.unstored(current.revision), gone: then_remove }));
            }
            let value = storage.encode(&marked, &draft, call.api.store.encoding());
            let draft = Arc::new(draft);
            let companion: Arc<crate::object::Draft> = Arc::clone(&draft);
            let put =
                Put::new(storage.store_key(key), value, Expect::ModRevision(current.revision)).companion(companion);
            let revision = match call.api.store.put(put).await {
                Ok(revision) => revision,
                Err(WriteError::Conflict(_)) => return Ok(None),
                Err(WriteError::Failed(error)) => return Err(write::store_error(resource, "delete", error)),
            };
            call.api.applied(revision).await;
            let object = draft.object(revision);
            if !then_remove {
                return Ok(Some(Deleted { object, gone: false }));
            }
            remove(call, resource, storage, key, revision, &marked).await
        }
    }
}

async fn remove(
    call: &Call,
    resource: &Resource,
    storage: &Arc<Storage>,
    key: &str,
    revision: u64,
    tree: &Tree,
) -> Result<Option<Deleted>> {
    let mut leaving = call.api.leaving(storage, tree);
    leaving.sent();
    let answer = call.api.store.delete(storage.store_key(key), Expect::ModRevision(revision)).await;
    leaving.answered(&answer);
    match answer {
        Ok(deleted) => {
            call.api.applied(deleted.revision).await;
            leaving.settle().await;
            let object = storage.draft(tree, key).object(deleted.revision);
            Ok(Some(Deleted { object, gone: true }))
        }
        Err(WriteError::Conflict(_)) => Ok(None),
        Err(WriteError::Failed(error)) => Err(write::store_error(resource, "delete", error)),
    }
}
