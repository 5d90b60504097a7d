//! Deletes: at once, gracefully, or when finalizers are done; one object or all that a selector names.

use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;

use corten_api::field::{Error as FieldError, Errors, Path};
use corten_api::status::{Result, Status};
use corten_api::time::Timestamp;
use corten_kinds::strategy::{Context, Deletion};
use corten_object::json::{self, Form};
use corten_object::tree::{Tree, View};
use corten_store::{Expect, WriteError};
use corten_views::meta_v1::{DeleteOptions, ObjectMeta, Preconditions};

use crate::admission::{Attributes, Operation};
use crate::call::{Call, not_found};
use crate::decode::{self, Expected};
use crate::latest::{Latest, Unwritten};
use crate::metadata;
use crate::negotiate::BodyEncoding;
use crate::object::Object;
use crate::options::{FieldValidation, check_dry_run};
use crate::request::Query;
use crate::resource::{Resource, Storage};
use crate::write;

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
            from_query(&call.query)?
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

fn from_query(query: &Query) -> Result<Tree> {
    let mut tree = Tree::of(DeleteOptions::TYPE);
    let mut edit = tree.edit();
    if let Some(text) = query.get("gracePeriodSeconds") {
        edit.set(DeleteOptions::GRACE_PERIOD_SECONDS, parse_int(text)?);
    }
    for (name, field) in [("uid", Preconditions::UID), ("resourceVersion", Preconditions::RESOURCE_VERSION)] {
        if let Some(value) = query.get(name).filter(|value| !value.is_empty()) {
            edit.ensure(DeleteOptions::PRECONDITIONS).set(field, value);
        }
    }
    if query.get("orphanDependents").is_some() {
        edit.set(DeleteOptions::ORPHAN_DEPENDENTS, query.flag("orphanDependents"));
    }
    if let Some(policy) = query.get("propagationPolicy") {
        edit.set(DeleteOptions::PROPAGATION_POLICY, policy);
    }
    let values: Vec<_> = query.all("dryRun").map(|value| tree.string(value)).collect();
    if !values.is_empty() {
        let list = tree.list(&values);
        tree.edit().put(DeleteOptions::DRY_RUN, list);
    }
    Ok(tree)
}

fn parse_int(text: &str) -> Result<i64> {
    text.parse().map_err(|error: ParseIntError| {
        let problem = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: {problem}"))
    })
}

/// What came of a delete.
pub struct Deleted {
    pub object: Arc<Object>,
    /// It is gone; else it is marked and goes later.
    pub gone: bool,
}

/// One step that deleting an object takes.
#[derive(Debug)]
enum Step {
    Remove,
    /// Keep this first; then remove it if it holds nothing back.
    Mark {
        tree: Tree,
        then_remove: bool,
    },
    /// It is on its way already, and takes no other options.
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
    let mut latest = match options.dry_run {
        true => Latest::stored(call, resource, storage, &key, "delete").await?,
        false => Latest::cached(call, resource, storage, &key, "delete"),
    };
    for _ in 0..ATTEMPTS {
        let outcome = attempt(call, resource, storage, &key, &latest, options).await;
        if let Some(answer) = latest.conclude(outcome).await {
            return answer;
        }
    }
    let message = "the object is being changed too often to be deleted";
    Err(Status::conflict(&resource.group, &resource.plural, name, message))
}

async fn attempt(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    key: &str,
    latest: &Latest<'_>,
    options: &Options,
) -> std::result::Result<Deleted, Unwritten<Deleted>> {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    let Some(current) = latest.object() else { return Err(not_found(resource, name).into()) };
    let tree = storage.tree(current);
    check_preconditions(resource, storage, current, &tree, options)?;
    let step = next_step(storage, &tree, options, &call.context(resource, options.dry_run));
    let unwritten = |gone| Deleted { object: Arc::clone(current), gone };
    if let Step::Nothing = step {
        return Err(Unwritten::Decided(Ok(unwritten(false))));
    }
    let attributes =
        Attributes { name, namespace, ..Attributes::of(call, resource, Operation::Delete, options.dry_run) };
    call.api.admission.validate(call, &attributes, None, Some(&tree)).await?;
    match step {
        Step::Nothing => Ok(unwritten(false)),
        Step::Remove if options.dry_run => Ok(unwritten(true)),
        Step::Remove => {
            let removed = remove(call, storage, key, &tree, current.revision).await;
            removed.map_err(|error| not_written(resource, error))
        }
        Step::Mark { tree: marked, then_remove } => {
            let changes = then_remove || latest.is_outdated() || !marked.root().equals(tree.root());
            if !changes {
                return Err(Unwritten::Unchanged(unwritten(false)));
            }
            if options.dry_run {
                let object = storage.draft(&marked, key).unstored(current.revision);
                return Ok(Deleted { object, gone: then_remove });
            }
            let marked = mark(call, storage, key, &marked, current.revision, then_remove).await;
            marked.map_err(|error| not_written(resource, error))
        }
    }
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
fn next_step(storage: &Storage, tree: &Tree, options: &Options, context: &Context<'_>) -> Step {
    let (strategy, now) = (storage.strategy(), context.now.0);
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
            let time = Timestamp::from_seconds(now).format();
            metadata::edit(&mut marked).set(ObjectMeta::DELETION_TIMESTAMP, time.as_str());
            if let Some(finalizers) = strategy.marks_dependents().then(|| marked_finalizers(meta, options)).flatten() {
                metadata::set_finalizers(&mut marked, finalizers.iter().map(String::as_str));
            }
            strategy.mark_deleting(&mut marked.edit(), context);
            return Step::Mark { tree: marked, then_remove: false };
        }
        Deletion::Graceful { seconds } => match begin_grace(now, &mut marked, meta, asked, seconds) {
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
            mark_as_deleting(now, &mut marked);
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
fn begin_grace(now: i64, marked: &mut Tree, meta: ObjectMeta<'_>, asked: Option<i64>, default: i64) -> Grace {
    if let Some(deadline) = meta.deletion_timestamp() {
        let left = match meta.deletion_grace_period_seconds() {
            None | Some(0) => return Grace::Over,
            Some(seconds) => seconds,
        };
        let Some(mut period) = asked.filter(|&period| period < left) else { return Grace::Pending };
        let deadline = Timestamp::parse(deadline).map_or(now, |time| time.seconds);
        let mut sooner = deadline - left + period;
        if sooner < now {
            sooner = now;
            // What asks for any grace at all leaves the removal to whoever sees the object marked.
            period = period.min(1);
        }
        let time = Timestamp::from_seconds(sooner).format();
        let mut meta = metadata::edit(marked);
        meta.set(ObjectMeta::DELETION_TIMESTAMP, time.as_str());
        meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, period);
        return Grace::Begun(period);
    }
    let time = Timestamp::from_seconds(now + default).format();
    let generation = meta.generation();
    let mut meta = metadata::edit(marked);
    meta.set(ObjectMeta::DELETION_TIMESTAMP, time.as_str());
    meta.set(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, default);
    if generation > 0 {
        meta.set(ObjectMeta::GENERATION, generation + 1);
    }
    Grace::Begun(default)
}

fn mark_as_deleting(now: i64, tree: &mut Tree) {
    let meta = metadata::read(tree);
    let (generation, deadline) = (meta.generation(), meta.deletion_timestamp().map(str::to_owned));
    let mut meta = metadata::edit(tree);
    if deadline.is_none() && generation > 0 {
        meta.set(ObjectMeta::GENERATION, generation + 1);
    }
    let later = deadline.and_then(|time| Timestamp::parse(&time).ok()).is_none_or(|time| time.seconds > now);
    if later {
        meta.set(ObjectMeta::DELETION_TIMESTAMP, Timestamp::from_seconds(now).format().as_str());
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

/// Keeps the object marked, and removes it after that if nothing holds it back.
async fn mark(
    call: &Call,
    storage: &Storage,
    key: &str,
    marked: &Tree,
    revision: u64,
    then_remove: bool,
) -> std::result::Result<Deleted, WriteError> {
    let draft = storage.draft(marked, key);
    let object = write::put(call, storage, marked, draft, Expect::ModRevision(revision), false).await?;
    if !then_remove {
        return Ok(Deleted { object, gone: false });
    }
    match remove(call, storage, key, marked, object.revision).await {
        // Whoever sees it marked may be the first to remove it.
        Err(WriteError::Conflict(conflict)) if conflict.current.is_none() => Ok(Deleted { object, gone: true }),
        removed => removed,
    }
}

async fn remove(
    call: &Call,
    storage: &Storage,
    key: &str,
    tree: &Tree,
    revision: u64,
) -> std::result::Result<Deleted, WriteError> {
    let revision = write::remove(call, storage, key, tree, revision).await?;
    Ok(Deleted { object: storage.draft(tree, key).object(revision), gone: true })
}

fn not_written(resource: &Resource, error: WriteError) -> Unwritten<Deleted> {
    match error {
        WriteError::Conflict(conflict) => Unwritten::Overtaken(conflict.current),
        WriteError::Failed(error) => Unwritten::Failed(write::store_error(resource, "delete", error)),
    }
}
