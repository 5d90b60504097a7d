//! Deletes: at once, gracefully, or when finalizers are done.
//!
//! `options` reads what is asked for, `step` decides what it means for an object.

mod options;
mod step;

use std::sync::Arc;

use corten_api::status::{Result, Status};
use corten_kinds::strategy::Deletion;
use corten_object::tree::Tree;
use corten_store::{Expect, WriteError};

use crate::admission::{Attributes, Operation};
use crate::call::{Call, not_found};
use crate::latest::{Latest, Unwritten};
use crate::object::Object;
use crate::reserve::Reservation;
use crate::resource::{Resource, Storage};
use crate::write;
pub use options::Options;
use step::{Step, next_step};

const ATTEMPTS: usize = 100;

/// What came of a delete.
pub struct Deleted {
    pub object: Arc<Object>,
    /// It is gone; else it is marked and goes later.
    pub gone: bool,
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
    call.weigh(current.json.len()).await;
    let tree = resource.working_tree(current);
    check_preconditions(resource, storage, current, &tree, options)?;
    let step = next_step(storage, &tree, options, &call.context(resource, options.dry_run));
    let unwritten = |gone| Deleted { object: Arc::clone(current), gone };
    if let Step::Nothing = step {
        return Err(Unwritten::Decided(Ok(unwritten(false))));
    }
    let attributes =
        Attributes { name, namespace, ..Attributes::of(call, resource, Operation::Delete, options.dry_run) };
    call.api.admission.validate(call, &attributes, None, Some(&tree)).await?;
    let _phase = call.write_phases.begin().await;
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
    let (mut holds_nothing, expect) = (Reservation::none(), Expect::ModRevision(revision));
    let object = write::put(call, storage, marked, draft, &mut holds_nothing, expect, false).await?;
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
