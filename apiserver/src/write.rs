//! The write path: what every create and update of a kept object goes through, whatever its kind and whoever asks.
//!
//! Create: system fields, reservation, the kind's preparation and rules, the rules of metadata, validating admission,
//! storage. Update: the same around a change that is tried on the newest object (`latest`) until the store takes it. An
//! update that changes nothing writes nothing; one that takes the last finalizer from an object that is being deleted
//! deletes it.

use std::sync::Arc;
use std::time::Duration;

use corten_api::field::{BadValue, Error as FieldError, Errors, Path};
use corten_api::status::{Reason, Result, Status};
use corten_api::time::Timestamp;
use corten_kinds::object_meta;
use corten_object::tree::Tree;
use corten_store::{Applied, Encoding, Error, Expect, KeyValue, Put, WriteError};
use corten_views::meta_v1::ObjectMeta;

use crate::admission::{self, Attributes, Operation};
use crate::cache::Scope;
use crate::call::{Call, not_found};
use crate::definitions::standing::{self, Standing};
use crate::device_access;
use crate::escalation;
use crate::handlers;
use crate::latest::{Latest, Unwritten};
use crate::metadata;
use crate::negotiate;
use crate::object::{Draft, Object};
use crate::request_size;
use crate::reserve::Reservation;
use crate::resource::{Lifetime, Resource, Storage};

/// How often a generated name is tried anew.
const GENERATE_ATTEMPTS: usize = 8;
/// How often an update is tried on an object that others change meanwhile.
const UPDATE_ATTEMPTS: usize = 100;

/// How long the answer to a create waits for the object's first status, should the controller that gives it be stuck.
const FIRST_STATUS_WAIT: Duration = Duration::from_secs(5);

const LOCK_MESSAGE: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl From<Uncreated> for Unwritten<Updated> {
    fn from(uncreated: Uncreated) -> Self {
        match uncreated {
            Uncreated::Refused(status) => status.into(),
            Uncreated::Failed(status) => Unwritten::Failed(status),
            // Somebody else has just made it: then it is there to be updated.
            Uncreated::Exists(current) => Unwritten::Overtaken(current),
        }
    }
}

/// What came of an update.
pub struct Updated {
    pub object: Arc<Object>,
    pub created: bool,
}

fn storage(resource: &Resource) -> Result<&Arc<Storage>> {
    resource.storage.as_ref().ok_or_else(|| Status::internal(format!("{} are not kept", resource.plural)))
}

/// Why an object was not created.
enum Uncreated {
    Refused(Status),
    /// The store failed.
    Failed(Status),
    /// Another one has its name.
    Exists(Option<KeyValue>),
}

impl From<Status> for Uncreated {
    fn from(status: Status) -> Self {
        Uncreated::Refused(status)
    }
}

/// Keeps a new object, which is of the hub version and has been through mutating admission.
pub async fn create(call: &Call, resource: &Resource, mut tree: Tree, dry_run: bool) -> Result<Arc<Object>> {
    let meta = metadata::read(&tree);
    let generates = meta.name().is_empty() && !meta.generate_name().is_empty();
    let received = generates.then(|| tree.clone());
    let mut names_left = if generates { GENERATE_ATTEMPTS } else { 1 };
    loop {
        names_left -= 1;
        match create_once(call, resource, &mut tree, dry_run).await {
            Ok(object) => return Ok(object),
            Err(Uncreated::Refused(status) | Uncreated::Failed(status)) => return Err(status),
            Err(Uncreated::Exists(other)) => match &received {
                Some(received) if names_left > 0 => tree.clone_from(received),
                _ => return Err(already_exists(resource, metadata::read(&tree).name(), generates, other.as_ref())),
            },
        }
    }
}

async fn create_once(
    call: &Call,
    resource: &Resource,
    tree: &mut Tree,
    dry_run: bool,
) -> std::result::Result<Arc<Object>, Uncreated> {
    let storage = storage(resource)?;
    fill_system_fields(call, resource, tree);
    let phase = call.write_phases.begin().await;
    let mut reservation = call.api.reserve(storage, tree, None, dry_run).await?;
    let result = store_new(call, resource, storage, tree, &mut reservation, dry_run).await;
    reservation.settle().await;
    drop(phase);
    if let Ok(object) = &result
        && !dry_run
        && object.json.len() < request_size::HALF
        && storage.strategy().awaits_first_status(tree.root())
    {
        // An object that is kept was created, whether or not its controller is well.
        let _ = call.api.clock.timeout(FIRST_STATUS_WAIT, first_status(storage, object)).await;
    }
    result
}

/// Returns when a new object has its first status, or is gone. The answer still shows the object as it was created, as
/// upstream's does.
async fn first_status(storage: &Storage, created: &Object) {
    let (_, watcher) = storage.cache.snapshot_and_watch(Scope::Object(Arc::clone(&created.key)));
    loop {
        let newest = storage.cache.get(&created.key).filter(|newest| newest.uid == created.uid);
        if !newest.is_some_and(|newest| storage.strategy().awaits_first_status(storage.tree(&newest).root())) {
            return;
        }
        watcher.changed().await;
    }
}

fn fill_system_fields(call: &Call, resource: &Resource, tree: &mut Tree) {
    let uid = call.api.random.uuid().to_string();
    let now = Timestamp::from_seconds(call.now.seconds).format();
    let generated = {
        let meta = metadata::read(tree);
        let base = meta.generate_name();
        (meta.name().is_empty() && !base.is_empty())
            .then(|| corten_api::names::generate_name(base, &mut |bytes| call.api.random.fill(bytes)))
    };
    let mut meta = metadata::edit(tree);
    meta.set(ObjectMeta::CREATION_TIMESTAMP, now.as_str());
    meta.set(ObjectMeta::UID, uid.as_str());
    meta.remove(ObjectMeta::RESOURCE_VERSION);
    if let Some(name) = &generated {
        meta.set(ObjectMeta::NAME, name.as_str());
    }
    if resource.storage.as_ref().is_some_and(|storage| storage.strategy().starts_with_generation()) {
        meta.set(ObjectMeta::GENERATION, 1);
    }
}

/// Errors about a custom object name the kind that it says it is.
fn kind_in_errors<'k>(resource: &'k Resource, tree: &'k Tree) -> &'k str {
    match &resource.storage {
        Some(storage) if !resource.is_custom() => &storage.hub.kind,
        _ => metadata::kind(tree),
    }
}

/// Rules and storage of a new object.
async fn store_new(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    tree: &mut Tree,
    reservation: &mut Reservation,
    dry_run: bool,
) -> std::result::Result<Arc<Object>, Uncreated> {
    let strategy = storage.strategy();
    let context = call.context(resource, dry_run);
    ensure_namespace(resource, tree, &call.info.namespace)?;
    escalation::check(call, resource, tree, None).await?;
    let warn = |warnings: Vec<String>| warnings.into_iter().for_each(|warning| call.warnings.add(warning));
    warn(strategy.warn_received(tree.root(), &context));
    strategy.prepare_create(&mut tree.edit(), &context);
    let mut errors = object_meta::on_create(strategy, metadata::read(tree), resource.namespaced);
    errors.append(device_access::check_create(call, resource, tree).await?);
    errors.append(strategy.validate(tree.root(), &context));
    let name = metadata::read(tree).name().to_owned();
    if !errors.is_empty() {
        return Err(Status::invalid(&storage.group, kind_in_errors(resource, tree), &name, &errors).into());
    }
    warn(strategy.warn_create(tree.root(), &context));
    let attributes = Attributes { name: &name, ..Attributes::of(call, resource, Operation::Create, dry_run) };
    call.api.admission.validate(call, &attributes, Some(tree), None).await?;
    storage.settle(tree);

    let key = storage.object_key(&call.info.namespace, &name);
    let draft = storage.draft(tree, &key);
    if dry_run {
        let kept = call.api.store.get(&storage.store_key(&key), None).await;
        return match kept.map_err(|error| Uncreated::Failed(store_error(resource, "create", error)))?.kv {
            Some(other) => Err(Uncreated::Exists(Some(other))),
            None => Ok(draft.unstored(0)),
        };
    }
    let object = match put_small_enough(call, storage, tree, draft, reservation, Expect::Absent, false).await {
        Ok(object) => object,
        Err(WriteError::Conflict(conflict)) => return Err(Uncreated::Exists(conflict.current)),
        Err(WriteError::Failed(error)) => return Err(Uncreated::Failed(store_error(resource, "create", error))),
    };
    match refusal_by_definition(call, resource, storage, &object).await {
        None => Ok(object),
        Some(status) => {
            // If somebody else was quicker, it is gone or theirs.
            if let Err(WriteError::Failed(error)) = remove(call, storage, &key, tree, object.revision).await {
                tracing::warn!(key, %error, "an object whose definition is gone could not be taken back");
            }
            Err(Uncreated::Refused(status))
        }
    }
}

/// Why a new custom object cannot stay, if its definition went while it was on its way.
async fn refusal_by_definition(call: &Call, resource: &Resource, storage: &Storage, object: &Object) -> Option<Status> {
    match standing::at(&call.api, storage.definition()?, object.revision).await {
        Ok(Standing::Stands) => None,
        Ok(Standing::Goes) => Some(admission::terminating(resource, object.name())),
        Ok(Standing::Gone) => Some(handlers::no_such_path()),
        Err(status) => Some(status),
    }
}

fn already_exists(resource: &Resource, name: &str, generated: bool, other: Option<&KeyValue>) -> Status {
    let status = if generated {
        Status::generate_name_conflict(&resource.group, &resource.plural, name, 1)
    } else {
        Status::already_exists(&resource.group, &resource.plural, name)
    };
    let ingested = resource.storage.as_ref().zip(other).and_then(|(storage, kv)| storage.ingest(name, &kv.value).ok());
    if ingested.is_some_and(|draft| draft.being_deleted) {
        let message = format!("object is being deleted: {}", status.message());
        return status.with_message(message);
    }
    status
}

fn ensure_namespace(resource: &Resource, tree: &mut Tree, namespace: &str) -> Result<()> {
    let expected = if resource.namespaced { namespace } else { "" };
    let own = metadata::read(tree).namespace();
    if own == expected {
        return Ok(());
    }
    if own.is_empty() {
        metadata::edit(tree).set(ObjectMeta::NAMESPACE, expected);
        return Ok(());
    }
    if expected.is_empty() {
        // What has no namespace says so only by leaving it out.
        metadata::edit(tree).remove(ObjectMeta::NAMESPACE);
        return Ok(());
    }
    Err(Status::bad_request("the namespace of the provided object does not match the namespace sent on the request"))
}

pub fn ensure_request_namespace(resource: &Resource, tree: &mut Tree, namespace: &str) -> Result<()> {
    ensure_namespace(resource, tree, namespace)
}

/// Gives an object to the store; without its managedFields, which may be large, if it is too large with them. An apply is
/// about them.
async fn put_small_enough(
    call: &Call,
    storage: &Storage,
    tree: &mut Tree,
    draft: Draft,
    reservation: &mut Reservation,
    expect: Expect,
    lazy: bool,
) -> std::result::Result<Arc<Object>, WriteError> {
    let key = Arc::clone(&draft.key);
    let answer = put(call, storage, tree, draft, reservation, expect, lazy).await;
    match answer {
        Err(WriteError::Failed(Error::TooLarge(_))) if negotiate::content_type(&call.headers) != negotiate::APPLY => {
            metadata::edit(tree).remove(ObjectMeta::MANAGED_FIELDS);
            let draft = storage.draft(tree, &key);
            put(call, storage, tree, draft, reservation, expect, lazy).await
        }
        answer => answer,
    }
}

/// Gives an object to the store. On success the object is in the cache before anybody reads a later revision.
pub async fn put(
    call: &Call,
    storage: &Storage,
    tree: &Tree,
    draft: Draft,
    reservation: &mut Reservation,
    expect: Expect,
    lazy: bool,
) -> std::result::Result<Arc<Object>, WriteError> {
    let store = &call.api.store;
    let value = storage.encode(tree, &draft, store.encoding());
    if store.encoding() == Encoding::Json {
        request_size::check(storage, tree, &draft, value.len(), expect)?;
    }
    let draft = Arc::new(draft);
    let companion: Arc<Draft> = Arc::clone(&draft);
    let mut put = Put::new(storage.store_key(&draft.key), value, expect).companion(companion);
    match storage.lifetime {
        Lifetime::Event { ttl } => put = put.ttl(ttl).lazy(),
        Lifetime::Lease if lazy => put = put.lazy(),
        _ => {}
    }
    reservation.sent();
    let answer = store.put(put).await;
    reservation.answered(&answer);
    let revision = answer?;
    call.api.applied(revision).await;
    Ok(draft.object(revision))
}

/// Takes an object of this revision out of the store, and gives back what it held beside it. The revision of that.
pub async fn remove(
    call: &Call,
    storage: &Storage,
    key: &str,
    tree: &Tree,
    revision: u64,
) -> std::result::Result<u64, WriteError> {
    let mut leaving = call.api.leaving(storage, tree);
    leaving.sent();
    let answer = call.api.store.delete(storage.store_key(key), Expect::ModRevision(revision)).await;
    leaving.answered(&answer);
    let deleted = answer?;
    call.api.applied(deleted.revision).await;
    leaving.settle().await;
    Ok(deleted.revision)
}

pub fn store_error(resource: &Resource, verb: &str, error: Error) -> Status {
    match error {
        Error::TooLarge(message) => Status::failure(500, Reason::Unknown, message),
        Error::Unavailable { applied: Applied::No, .. } => {
            Status::server_timeout(&resource.group, &resource.plural, verb, 2)
        }
        Error::Unavailable { .. } => Status::timeout(error, 0),
        Error::NoSpace(_) | Error::Broken(_) | Error::Closed => Status::service_unavailable(error.to_string()),
        _ => Status::internal(error),
    }
}

/// What an update does to the object: called anew for each newer object that it is tried on. The tree is of the hub
/// version, or of the request's for custom objects; it may be taken apart. What comes back is kept.
pub trait Change: Send {
    fn apply(&mut self, existing: Option<&Existing>) -> impl Future<Output = Result<Tree>> + Send;

    /// Whether the change is the server's own, to which the kind's rules for updates do not apply.
    fn is_internal(&self) -> bool {
        false
    }

    /// The uid that the change is for, if it names one.
    fn uid(&self) -> Option<&str> {
        None
    }

    /// The revision that the change is for, if it names one other than by its object's resourceVersion.
    fn revision(&self) -> Option<&str> {
        None
    }
}

/// An object as it is kept, and its tree as writes work on it.
pub struct Existing {
    pub object: Arc<Object>,
    pub tree: Tree,
}

/// Changes a kept object, or makes it where that is allowed.
pub async fn update(
    call: &Call,
    resource: &Resource,
    name: &str,
    change: &mut impl Change,
    dry_run: bool,
    allow_create: bool,
) -> Result<Updated> {
    let storage = storage(resource)?;
    let key = storage.object_key(&call.info.namespace, name);
    let mut latest = match dry_run {
        true => Latest::stored(call, resource, storage, &key, "update").await?,
        false => Latest::cached(call, resource, storage, &key, "update"),
    };
    for _ in 0..UPDATE_ATTEMPTS {
        let outcome = attempt(call, resource, storage, name, &key, &latest, change, dry_run, allow_create).await;
        if let Some(answer) = latest.conclude(outcome).await {
            return answer;
        }
    }
    Err(Status::conflict(&resource.group, &resource.plural, name, LOCK_MESSAGE))
}

#[allow(clippy::too_many_arguments, reason = "one attempt's whole state; a struct of it would live one line")]
async fn attempt(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    name: &str,
    key: &str,
    latest: &Latest<'_>,
    change: &mut impl Change,
    dry_run: bool,
    allow_create: bool,
) -> std::result::Result<Updated, Unwritten<Updated>> {
    let object = latest.object();
    if object.is_none() && !allow_create && !storage.strategy().allows_create_on_update() {
        return Err(not_found(resource, name).into());
    }
    check_preconditions(resource, storage, name, key, object.map(|object| &**object), change)?;
    let Some(object) = object else {
        let mut tree = change.apply(None).await?;
        let created = create_once(call, resource, &mut tree, dry_run).await;
        return created.map(|object| Updated { object, created: true }).map_err(Unwritten::from);
    };
    call.weigh(object.json.len()).await;
    let existing = Existing { tree: resource.working_tree(object), object: Arc::clone(object) };
    let mut tree = change.apply(Some(&existing)).await?;
    check_revision(resource, storage, name, &mut tree, &existing)?;
    let _phase = call.write_phases.begin().await;
    // What a subresource changes holds nothing beside the object.
    let mut reservation = match call.info.subresource.as_str() {
        "" => call.api.reserve(storage, &mut tree, Some(&existing.tree), dry_run).await?,
        _ => Reservation::none(),
    };
    let checked = match change.is_internal() {
        true => Ok(()),
        false => before_update(call, resource, storage, name, &mut tree, &existing, dry_run).await,
    };
    let rewrite = latest.is_outdated();
    let (held, old) = (&mut reservation, &existing);
    let result = match checked {
        Ok(()) => store_changed(call, resource, storage, name, key, old, tree, held, dry_run, rewrite).await,
        Err(status) => Err(status.into()),
    };
    reservation.settle().await;
    result
}

/// What the change says of the object that it is for.
fn check_preconditions(
    resource: &Resource,
    storage: &Storage,
    name: &str,
    key: &str,
    object: Option<&Object>,
    change: &impl Change,
) -> Result<()> {
    let conflict = |what: &str, wanted: &str, own: &str| {
        let message = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {own}");
        Err(Status::conflict(&resource.group, &resource.plural, name, storage_error(storage, key, &message)))
    };
    // What is not there has neither uid nor revision.
    let uid = object.map_or("", |object| &object.uid);
    if let Some(wanted) = change.uid().filter(|wanted| *wanted != uid) {
        return conflict("UID", wanted, uid);
    }
    if let Some(wanted) = change.revision() {
        let own = object.map_or(String::new(), |object| object.revision.to_string());
        if wanted != own {
            return conflict("ResourceVersion", wanted, &own);
        }
    }
    Ok(())
}

/// How upstream's storage layer words a failed precondition.
pub fn storage_error(storage: &Storage, key: &str, message: &str) -> String {
    format!(
        "StorageError: invalid object, Code: 4, Key: {}{key}, ResourceVersion: 0, AdditionalErrorMsg: {message}",
        storage.prefix
    )
}

fn check_revision(
    resource: &Resource,
    storage: &Storage,
    name: &str,
    tree: &mut Tree,
    existing: &Existing,
) -> Result<()> {
    let given = metadata::read(tree).resource_version();
    let revision = existing.object.revision;
    match given {
        "" | "0" if storage.strategy().allows_unconditional_update() => {
            metadata::edit(tree).set(ObjectMeta::RESOURCE_VERSION, revision.to_string().as_str());
            Ok(())
        }
        "" | "0" => {
            let mut errors = Errors::default();
            let path = Path::new("metadata");
            let path = path.child("resourceVersion");
            errors.push(FieldError::invalid(&path, BadValue::Json("0".into()), "must be specified for an update"));
            Err(Status::invalid(&resource.group, &resource.plural, name, &errors))
        }
        given => match given.parse::<u64>() {
            Ok(given) if given == revision => Ok(()),
            Ok(_) => Err(Status::conflict(&resource.group, &resource.plural, name, LOCK_MESSAGE)),
            Err(_) => Err(Status::failure(
                500,
                Reason::Unknown,
                format!("strconv.ParseUint: parsing {given:?}: invalid syntax"),
            )),
        },
    }
}

/// Rules and storage of a changed object.
#[allow(clippy::too_many_arguments, reason = "as above")]
async fn store_changed(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    name: &str,
    key: &str,
    existing: &Existing,
    mut tree: Tree,
    reservation: &mut Reservation,
    dry_run: bool,
    rewrite: bool,
) -> std::result::Result<Updated, Unwritten<Updated>> {
    ignore_new_times(&mut tree, &existing.tree);
    let attributes = Attributes { name, ..Attributes::of(call, resource, Operation::Update, dry_run) };
    call.api.admission.validate(call, &attributes, Some(&tree), Some(&existing.tree)).await?;
    storage.settle(&mut tree);

    if ends_here(&tree, &existing.tree) && storage.strategy().is_finished(tree.root()) {
        return end(call, resource, storage, &tree, key, existing, dry_run).await;
    }
    // A dry run shows a custom object as it would be read again: in another version that may be with other defaults.
    let rewrite = rewrite && !(dry_run && storage.definition().is_none());
    if storage.stores_alike(&tree, &existing.tree) && !rewrite {
        return Err(Unwritten::Unchanged(Updated { object: Arc::clone(&existing.object), created: false }));
    }
    let draft = storage.draft(&tree, key);
    if dry_run {
        return Ok(Updated { object: draft.unstored(existing.object.revision), created: false });
    }
    let lazy = storage.lifetime == Lifetime::Lease && same_holder(&tree, &existing.tree);
    let expect = Expect::ModRevision(existing.object.revision);
    match put_small_enough(call, storage, &mut tree, draft, reservation, expect, lazy).await {
        Ok(object) => Ok(Updated { object, created: false }),
        Err(WriteError::Conflict(conflict)) => Err(Unwritten::Overtaken(conflict.current)),
        Err(WriteError::Failed(error)) => Err(Unwritten::Failed(store_error(resource, "update", error))),
    }
}

fn same_holder(tree: &Tree, old: &Tree) -> bool {
    let holder = |tree: &Tree| tree.root().at(&["spec", "holderIdentity"]).map(|node| node.as_str().to_owned());
    holder(tree) == holder(old)
}

/// What holds for every update, then the kind's own rules.
async fn before_update(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    name: &str,
    tree: &mut Tree,
    existing: &Existing,
    dry_run: bool,
) -> Result<()> {
    let strategy = storage.rules.of(&call.info.subresource);
    let context = call.context(resource, dry_run);
    let old = &existing.tree;
    ensure_namespace(resource, tree, &call.info.namespace)?;
    escalation::check(call, resource, tree, Some(old)).await?;
    let old_meta = metadata::read(old);
    metadata::edit(tree).set(ObjectMeta::GENERATION, old_meta.generation());
    strategy.prepare_update(&mut tree.edit(), old.root(), &context);
    if storage.strategy().keeps_generation() && strategy.generation_changes(tree.root(), old.root()) {
        metadata::edit(tree).set(ObjectMeta::GENERATION, old_meta.generation() + 1);
    }
    let mut meta = metadata::edit(tree);
    meta.default(ObjectMeta::UID, old_meta.uid());
    if !old_meta.creation_timestamp().is_empty() {
        meta.set(ObjectMeta::CREATION_TIMESTAMP, old_meta.creation_timestamp());
    }
    if let Some(time) = old_meta.deletion_timestamp() {
        meta.set(ObjectMeta::DELETION_TIMESTAMP, time);
    }
    if let Some(seconds) = old_meta.deletion_grace_period_seconds() {
        meta.default(ObjectMeta::DELETION_GRACE_PERIOD_SECONDS, seconds);
    }
    let mut errors = object_meta::on_update(strategy, metadata::read(tree), old_meta, resource.namespaced);
    errors.append(device_access::check_update(call, resource, tree, old).await?);
    errors.append(strategy.validate_update(tree.root(), old.root(), &context));
    if !errors.is_empty() {
        return Err(Status::invalid(&storage.group, kind_in_errors(resource, tree), name, &errors));
    }
    strategy.warn_update(tree.root(), old.root(), &context).into_iter().for_each(|warning| call.warnings.add(warning));
    Ok(())
}

/// A change of nothing but the times in managedFields is none.
fn ignore_new_times(tree: &mut Tree, old: &Tree) {
    let (new_meta, old_meta) = (metadata::read(tree), metadata::read(old));
    let (new, old_entries) = (new_meta.managed_fields(), old_meta.managed_fields());
    if new.is_empty() || new.len() != old_entries.len() {
        return;
    }
    let alike = new.iter().zip(old_entries.iter()).all(|(a, b)| {
        a.manager() == b.manager()
            && a.operation() == b.operation()
            && a.api_version() == b.api_version()
            && a.subresource() == b.subresource()
            && a.fields_v1() == b.fields_v1()
    });
    if !alike {
        return;
    }
    let times_differ = new.iter().zip(old_entries.iter()).any(|(a, b)| a.time() != b.time());
    if !times_differ {
        return;
    }
    let kept = tree.get(tree.root_id(), "metadata").and_then(|id| tree.field(id, ObjectMeta::MANAGED_FIELDS));
    let old_list = old.get(old.root_id(), "metadata").and_then(|id| old.field(id, ObjectMeta::MANAGED_FIELDS));
    let (Some(kept), Some(old_list)) = (kept, old_list) else { return };
    let imported = tree.import(old.node(old_list));
    metadata::edit(tree).put(ObjectMeta::MANAGED_FIELDS, imported);
    if !tree.root().equals(old.root()) {
        metadata::edit(tree).put(ObjectMeta::MANAGED_FIELDS, kept);
    }
}

/// Whether an update takes the last finalizer from an object that waits for nothing else.
fn ends_here(tree: &Tree, old: &Tree) -> bool {
    let old = metadata::read(old);
    metadata::read(tree).finalizers().is_empty()
        && old.deletion_timestamp().is_some()
        && old.deletion_grace_period_seconds().unwrap_or(0) == 0
}

async fn end(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    tree: &Tree,
    key: &str,
    existing: &Existing,
    dry_run: bool,
) -> std::result::Result<Updated, Unwritten<Updated>> {
    let revision = existing.object.revision;
    let updated = Updated { object: storage.draft(tree, key).unstored(revision), created: false };
    if dry_run {
        return Ok(updated);
    }
    // What it holds is what the store has of it: the change itself is not stored.
    match remove(call, storage, key, &existing.tree, revision).await {
        Ok(_) => Ok(updated),
        Err(WriteError::Conflict(conflict)) => match conflict.current {
            // Somebody else took the last finalizer, too.
            None => Ok(updated),
            current => Err(Unwritten::Overtaken(current)),
        },
        Err(WriteError::Failed(error)) => Err(Unwritten::Failed(store_error(resource, "delete", error))),
    }
}
