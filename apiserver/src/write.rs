//! The write path: what every create and update of a kept object goes through, whatever its kind and whoever asks.
//!
//! Create: system fields, reservation, the kind's preparation and rules, the rules of metadata, validating admission,
//! storage. Update: the same around a change that is tried on the newest object until the store takes it. An update that
//! changes nothing writes nothing; one that takes the last finalizer from an object that is being deleted deletes it.

use std::sync::Arc;

use corten_api::field::{BadValue, Error as FieldError, Errors, Path};
use corten_api::status::{Reason, Result, Status};
use corten_api::time::Timestamp;
use corten_kinds::object_meta;
use corten_object::tree::Tree;
use corten_store::{Applied, Conflict, Error, Expect, KeyValue, Put, WriteError};
use corten_views::meta_v1::ObjectMeta;

use crate::admission::{Attributes, Operation};
use crate::call::{Call, not_found};
use crate::device_access;
use crate::escalation;
use crate::metadata;
use crate::object::{Draft, Object};
use crate::reserve::Reservation;
use crate::resource::{Lifetime, Resource, Storage};

/// How often a generated name is tried anew.
const GENERATE_ATTEMPTS: usize = 8;
/// How often an update is tried on an object that others change meanwhile.
const UPDATE_ATTEMPTS: usize = 100;

const LOCK_MESSAGE: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// What came of an update.
pub struct Updated {
    pub object: Arc<Object>,
    pub created: bool,
}

fn storage(resource: &Resource) -> Result<&Arc<Storage>> {
    resource.storage.as_ref().ok_or_else(|| Status::internal(format!("{} are not kept", resource.plural)))
}

/// Keeps a new object, which is of the hub version and has been through mutating admission.
pub async fn create(call: &Call, resource: &Resource, mut tree: Tree, dry_run: bool) -> Result<Arc<Object>> {
    let meta = metadata::read(&tree);
    if !meta.name().is_empty() || meta.generate_name().is_empty() {
        return create_once(call, resource, &mut tree, dry_run).await;
    }
    let mut attempt = 1;
    loop {
        let mut tree = tree.clone();
        match create_once(call, resource, &mut tree, dry_run).await {
            Err(status) if status.is_already_exists() && attempt < GENERATE_ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

async fn create_once(call: &Call, resource: &Resource, tree: &mut Tree, dry_run: bool) -> Result<Arc<Object>> {
    let storage = storage(resource)?;
    let generated = fill_system_fields(call, resource, tree);
    let _phase = call.write_phases.begin().await;
    let mut reservation = call.api.reserve(storage, tree, None, dry_run).await?;
    let result = store_new(call, resource, storage, tree, &mut reservation, dry_run, generated).await;
    reservation.settle().await;
    result
}

/// True if the name was generated.
fn fill_system_fields(call: &Call, resource: &Resource, tree: &mut Tree) -> bool {
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
    generated.is_some()
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
    generated: bool,
) -> Result<Arc<Object>> {
    let strategy = storage.strategy();
    let context = call.context(resource, dry_run);
    ensure_namespace(resource, tree, &call.info.namespace)?;
    escalation::check(call, resource, tree, None)?;
    let warn = |warnings: Vec<String>| warnings.into_iter().for_each(|warning| call.warnings.add(warning));
    warn(strategy.warn_received(tree.root(), &context));
    strategy.prepare_create(&mut tree.edit(), &context);
    let mut errors = object_meta::on_create(strategy, metadata::read(tree), resource.namespaced);
    errors.append(device_access::check_create(call, resource, tree));
    errors.append(strategy.validate(tree.root(), &context));
    let name = metadata::read(tree).name().to_owned();
    if !errors.is_empty() {
        return Err(Status::invalid(&storage.group, kind_in_errors(resource, tree), &name, &errors));
    }
    warn(strategy.warn_create(tree.root(), &context));
    let attributes = Attributes { name: &name, ..Attributes::of(call, resource, Operation::Create, dry_run) };
    call.api.admission.validate(call, &attributes, Some(tree), None).await?;

    let key = storage.object_key(&call.info.namespace, &name);
    let draft = storage.draft(tree, &key);
    if dry_run {
        return match storage.cache.get(&key) {
            Some(_) => Err(Status::already_exists(&resource.group, &resource.plural, &name)),
            None => Ok(draft.unstored(0)),
        };
    }
    match put(call, storage, tree, draft, reservation, Expect::Absent, false).await {
        Ok(object) => Ok(object),
        Err(WriteError::Conflict(conflict)) => Err(already_exists(resource, storage, &name, generated, &conflict)),
        Err(WriteError::Failed(error)) => Err(store_error(resource, "create", error)),
    }
}

fn already_exists(resource: &Resource, storage: &Storage, name: &str, generated: bool, conflict: &Conflict) -> Status {
    let status = if generated {
        Status::generate_name_conflict(&resource.group, &resource.plural, name, 1)
    } else {
        Status::already_exists(&resource.group, &resource.plural, name)
    };
    let deleting = conflict.current.as_ref().is_some_and(|current| {
        let draft = storage.ingest(name, &current.value);
        draft.is_ok_and(|draft| {
            let json = &draft.canonical.json;
            let meta = draft.canonical.metadata.start as usize..draft.canonical.metadata.end as usize;
            memchr::memmem::find(&json[meta], b"\"deletionTimestamp\":").is_some()
        })
    });
    if deleting {
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

/// Gives an object to the store. On success the object is in the cache before anybody reads a later revision.
async fn put(
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

pub fn store_error(resource: &Resource, verb: &str, error: Error) -> Status {
    match error {
        Error::TooLarge(message) => Status::too_large(message),
        Error::Unavailable { applied: Applied::No, .. } => {
            Status::server_timeout(&resource.group, &resource.plural, verb, 2)
        }
        Error::Unavailable { .. } => Status::timeout(error, 0),
        Error::NoSpace(_) | Error::Broken(_) | Error::Closed => Status::service_unavailable(error.to_string()),
        _ => Status::internal(error),
    }
}

/// What an update does to the object: called anew for each newer object that it is tried on. The tree is of the hub
/// version and may be taken apart; what comes back is kept.
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
}

/// An object as it is kept, and its tree in the hub version.
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
    let mut object = storage.cache.get(&key);
    // The cache may be behind; only the store can say that something is not there.
    let mut sure = false;
    for _ in 0..UPDATE_ATTEMPTS {
        if object.is_none() && !sure {
            object = newest(call, storage, &key).await.map_err(|error| store_error(resource, "update", error))?;
            sure = true;
        }
        let existing = object.take().map(|object| Existing { tree: storage.tree(&object), object });
        match attempt(call, resource, storage, name, &key, existing, change, dry_run, allow_create).await {
            Ok(updated) => return Ok(updated),
            Err(Attempt::Failed(status)) => {
                // A refusal that a stale cache may have caused is tried once more on what the store holds.
                if sure || !(status.is_conflict() || status.is_invalid() || status.is_not_found()) {
                    return Err(status);
                }
                let newer =
                    newest(call, storage, &key).await.map_err(|error| store_error(resource, "update", error))?;
                let seen = storage.cache.get(&key).map_or(0, |object| object.revision);
                if newer.as_ref().map_or(0, |object| object.revision) == seen {
                    return Err(status);
                }
                object = newer;
                sure = true;
            }
            Err(Attempt::Changed(current)) => {
                object = match current {
                    Some(kv) => Some(ingested(storage, &key, &kv)?),
                    None => None,
                };
                sure = true;
            }
        }
    }
    Err(Status::conflict(&resource.group, &resource.plural, name, LOCK_MESSAGE))
}

fn ingested(storage: &Storage, key: &str, kv: &KeyValue) -> Result<Arc<Object>> {
    Ok(storage.ingest(key, &kv.value)?.object(kv.mod_revision))
}

/// What the store holds now, decoded only if the cache does not hold the same.
pub async fn newest(call: &Call, storage: &Storage, key: &str) -> std::result::Result<Option<Arc<Object>>, Error> {
    let fetched = call.api.store.get(&storage.store_key(key), None).await?;
    let Some(kv) = fetched.kv else { return Ok(None) };
    if let Some(cached) = storage.cache.get(key).filter(|object| object.revision == kv.mod_revision) {
        return Ok(Some(cached));
    }
    match ingested(storage, key, &kv) {
        Ok(object) => Ok(Some(object)),
        Err(status) => Err(Error::Corrupt(status.message().to_owned())),
    }
}

enum Attempt {
    Failed(Status),
    /// Somebody else was first; this is there now.
    Changed(Option<KeyValue>),
}

impl From<Status> for Attempt {
    fn from(status: Status) -> Self {
        Attempt::Failed(status)
    }
}

#[allow(clippy::too_many_arguments, reason = "one attempt's whole state; a struct of it would live one line")]
async fn attempt(
    call: &Call,
    resource: &Resource,
    storage: &Storage,
    name: &str,
    key: &str,
    existing: Option<Existing>,
    change: &mut impl Change,
    dry_run: bool,
    allow_create: bool,
) -> std::result::Result<Updated, Attempt> {
    let Some(existing) = existing else {
        if !allow_create && !storage.strategy().allows_create_on_update() {
            return Err(not_found(resource, name).into());
        }
        let mut tree = change.apply(None).await?;
        let object = create_once(call, resource, &mut tree, dry_run).await?;
        return Ok(Updated { object, created: true });
    };
    if let Some(uid) = change.uid().filter(|uid| **uid != *existing.object.uid) {
        let message =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", existing.object.uid);
        return Err(
            Status::conflict(&resource.group, &resource.plural, name, storage_error(storage, key, &message)).into()
        );
    }
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
        false => before_update(call, resource, storage, name, &mut tree, &existing, dry_run),
    };
    let result = match checked {
        Ok(()) => store_changed(call, resource, storage, name, key, &existing, tree, &mut reservation, dry_run).await,
        Err(status) => Err(status.into()),
    };
    reservation.settle().await;
    result
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
) -> std::result::Result<Updated, Attempt> {
    ignore_new_times(&mut tree, &existing.tree);
    let attributes = Attributes { name, ..Attributes::of(call, resource, Operation::Update, dry_run) };
    call.api.admission.validate(call, &attributes, Some(&tree), Some(&existing.tree)).await?;

    if ends_here(&tree, &existing.tree) && storage.strategy().is_finished(tree.root()) {
        return end(call, resource, storage, &tree, key, existing, dry_run).await;
    }
    if tree.root().equals(existing.tree.root()) && (dry_run || kept_as_now(call, storage, key, existing).await?) {
        return Ok(Updated { object: Arc::clone(&existing.object), created: false });
    }
    let draft = storage.draft(&tree, key);
    if dry_run {
        return Ok(Updated { object: draft.unstored(existing.object.revision), created: false });
    }
    let lazy = storage.lifetime == Lifetime::Lease && same_holder(&tree, &existing.tree);
    let expect = Expect::ModRevision(existing.object.revision);
    match put(call, storage, &tree, draft, reservation, expect, lazy).await {
        Ok(object) => Ok(Updated { object, created: false }),
        Err(WriteError::Conflict(conflict)) => Err(Attempt::Changed(conflict.current)),
        Err(WriteError::Failed(error)) => Err(store_error(resource, "update", error).into()),
    }
}

fn same_holder(tree: &Tree, old: &Tree) -> bool {
    let holder = |tree: &Tree| tree.root().at(&["spec", "holderIdentity"]).map(|node| node.as_str().to_owned());
    holder(tree) == holder(old)
}

/// An update that changes nothing writes all the same where what is kept is in an older encoding.
async fn kept_as_now(call: &Call, storage: &Storage, key: &str, existing: &Existing) -> Result<bool> {
    let encoding = call.api.store.encoding();
    if encoding == corten_store::Encoding::Json {
        return Ok(true);
    }
    let kept = call.api.store.get(&storage.store_key(key), None).await.map_err(Status::internal)?.kv;
    let Some(kept) = kept.filter(|kept| kept.mod_revision == existing.object.revision) else { return Ok(false) };
    let draft = storage.draft(&existing.tree, key);
    Ok(storage.encode(&existing.tree, &draft, encoding) == kept.value)
}

/// What holds for every update, then the kind's own rules.
fn before_update(
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
    escalation::check(call, resource, tree, Some(old))?;
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
    errors.append(device_access::check_update(call, resource, tree, old));
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
) -> std::result::Result<Updated, Attempt> {
    let draft = storage.draft(tree, key);
    let object = draft.unstored(existing.object.revision);
    if dry_run {
        return Ok(Updated { object, created: false });
    }
    let mut leaving = call.api.leaving(storage, &existing.tree);
    leaving.sent();
    let answer = call.api.store.delete(storage.store_key(key), Expect::ModRevision(existing.object.revision)).await;
    leaving.answered(&answer);
    match answer {
        Ok(deleted) => {
            call.api.applied(deleted.revision).await;
            leaving.settle().await;
            Ok(Updated { object, created: false })
        }
        Err(WriteError::Conflict(conflict)) => Err(Attempt::Changed(conflict.current)),
        Err(WriteError::Failed(error)) => Err(store_error(resource, "delete", error).into()),
    }
}
