//! Custom resources come and go: a task follows the definitions, says in their status what upstream's controllers say,
//! and swaps what is served.
//!
//! It looks at all definitions whenever one has changed. Each step is a pure function of what is there, so a step that
//! was lost to a conflict is taken at the next change, which the conflict itself announces. After any other failure it
//! looks again by itself, each time a while later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use corten_api::time::Timestamp;
use corten_custom::lifecycle::{self, Cleanup, Deleted};
use corten_custom::{CustomStrategy, Definition, Version};
use corten_object::json;
use corten_object::tree::Tree;
use corten_runtime::clock::Instant;
use corten_runtime::tasks::CancellationToken;
use corten_views::apiextensions_v1::CustomResourceDefinition;
use http::Method;
use tracing::{error, warn};

use crate::api::Api;
use crate::bootstrap::ask;
use crate::cache::{Scope, Watcher};
use crate::control::changes::Changes;
use crate::object::Object;
use crate::openapi;
use crate::resource::{Hub, Kept, Lifetime, Resource, Rules, Storage, Subresource};
use crate::watch::LastFrame;

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const WRITES: [&str; 3] = ["get", "patch", "update"];
/// How long to wait after a failure, twice as long each time.
const RETRY_FIRST: Duration = Duration::from_millis(5);
const RETRY_MAX: Duration = Duration::from_secs(1000);

/// What is served of a definition, and of which of its revisions.
struct Served {
    revision: u64,
    /// What matters of the definition: a change of anything else leaves its resources as they are.
    shape: Vec<u8>,
    storage: Arc<Storage>,
    resources: Vec<Arc<Resource>>,
}

pub struct Definitions {
    api: Arc<Api>,
    served: BTreeMap<String, Served>,
    changes: Changes,
    /// Of the objects that definitions wait for which are being deleted.
    leaving: Vec<Watcher>,
    /// Definitions whose objects could not be deleted: not tried again before it is time.
    held: BTreeSet<String>,
    /// How often in a row something could not be done, and when it is tried again.
    failures: u32,
    retry_at: Option<Instant>,
}

impl Definitions {
    pub fn new(api: &Arc<Api>) -> Result<Definitions> {
        Ok(Definitions {
            api: Arc::clone(api),
            served: BTreeMap::new(),
            changes: Changes::of(api, GROUP, PLURAL, Scope::All)?,
            leaving: Vec::new(),
            held: BTreeSet::new(),
            failures: 0,
            retry_at: None,
        })
    }

    /// Serves what the definitions that are there already define; to be called before anybody is answered.
    pub async fn begin(&mut self) -> Result<()> {
        self.look().await
    }

    pub async fn run(mut self, token: CancellationToken) -> Result<()> {
        loop {
            tokio::select! {
                () = self.changes.wait() => {}
                () = any_change(&self.leaving) => {}
                () = self.time_to_retry() => {
                    self.held.clear();
                    self.retry_at = None;
                }
                () = token.cancelled() => return Ok(()),
            }
            match self.look().await {
                Ok(()) if self.held.is_empty() => (self.failures, self.retry_at) = (0, None),
                Ok(()) => {}
                Err(error) => {
                    warn!(error = format!("{error:#}"), "definitions will be looked at again");
                    self.schedule_retry();
                }
            }
        }
    }

    fn schedule_retry(&mut self) {
        if self.retry_at.is_none() {
            let delay = RETRY_FIRST.saturating_mul(2u32.saturating_pow(self.failures)).min(RETRY_MAX);
            self.failures += 1;
            self.retry_at = Some(self.api.clock.monotonic() + delay);
        }
    }

    async fn time_to_retry(&self) {
        match self.retry_at {
            Some(at) => self.api.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Whatever changed, it is the present that counts. The error is the last of those met; one definition's holds up
    /// no other.
    async fn look(&mut self) -> Result<()> {
        self.changes.take();
        let storage = Arc::clone(&self.changes.storage);
        let objects: Vec<Arc<Object>> = storage.cache.snapshot().objects.values().cloned().collect();
        let trees: Vec<Tree> = objects.iter().map(|object| storage.tree(object)).collect();
        let mut result = self.serve(&objects, &trees).await;
        let all: Vec<&Tree> = trees.iter().collect();
        self.leaving.clear();
        for (object, tree) in objects.iter().zip(&trees) {
            if let Err(error) = self.advance(object, tree, &all).await {
                result = Err(error.context(format!("advance {}", object.name())));
            }
        }
        result
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.api.clock.now().seconds)
    }

    /// Takes a definition's next step, if there is one.
    async fn advance(&mut self, object: &Object, tree: &Tree, all: &[&Tree]) -> Result<()> {
        if crate::metadata::read(tree).deletion_timestamp().is_some() {
            return self.clean_up(object, tree).await;
        }
        let next = lifecycle::reconcile(tree, all, self.now()).or_else(|| lifecycle::establish(tree, self.now()));
        match next {
            Some(next) => self.write(object, &next).await,
            None => Ok(()),
        }
    }

    async fn write(&self, object: &Object, tree: &Tree) -> Result<()> {
        let path = format!("/apis/{GROUP}/v1/{PLURAL}/{}/status", object.name());
        let (status, answer) = ask(&self.api, Method::PUT, &path, json::to_vec(tree.root())).await;
        // A conflict means that a newer one is on its way here.
        if status.is_success() || status.as_u16() == 409 || status.as_u16() == 404 {
            return Ok(());
        }
        bail!("{status}: {}", String::from_utf8_lossy(&answer))
    }

    /// Deletes a definition's objects, then, when they are gone, lets it go.
    async fn clean_up(&mut self, object: &Object, tree: &Tree) -> Result<()> {
        match lifecycle::begin_cleanup(tree, self.now()) {
            _ if self.held.contains(object.name()) => Ok(()),
            Cleanup::Nothing => Ok(()),
            Cleanup::Finish(next) => self.write(object, &next).await,
            Cleanup::DeleteObjects { announce: Some(next) } => self.write(object, &next).await,
            Cleanup::DeleteObjects { announce: None } => {
                let deleted = self.delete_objects(object).await;
                if deleted == Deleted::All && self.waits_for_objects(object) {
                    return Ok(());
                }
                self.write(object, &lifecycle::end_cleanup(tree, &deleted, self.now())).await?;
                if let Deleted::DeleteFailed(message) = deleted {
                    // What has just been written comes back as a change, at once.
                    self.held.insert(object.name().to_owned());
                    bail!("delete its objects: {message}");
                }
                Ok(())
            }
        }
    }

    /// Asks for the deletion of each object that is not on its way already.
    async fn delete_objects(&self, object: &Object) -> Deleted {
        let Some(served) = self.served.get(object.name()) else { return Deleted::All };
        let Some(resource) = served.resources.first() else { return Deleted::All };
        let mut failed = None;
        for kept in served.storage.cache.snapshot().objects.values().filter(|kept| !kept.is_being_deleted()) {
            let below = if resource.namespaced { format!("namespaces/{}/", kept.namespace()) } else { String::new() };
            let path =
                format!("/apis/{}/{}/{below}{}/{}", resource.group, resource.version, resource.plural, kept.name());
            let (status, answer) = ask(&self.api, Method::DELETE, &path, Vec::new()).await;
            if !status.is_success() && status.as_u16() != 404 {
                failed = Some(String::from_utf8_lossy(&answer).into_owned());
            }
        }
        failed.map_or(Deleted::All, Deleted::DeleteFailed)
    }

    /// Whether objects are left, which somebody's finalizers keep; then their changes are waited for.
    fn waits_for_objects(&mut self, object: &Object) -> bool {
        let Some(served) = self.served.get(object.name()) else { return false };
        let (left, watcher) = served.storage.cache.snapshot_and_watch(Scope::All);
        let waits = !left.objects.is_empty();
        if waits {
            self.leaving.push(watcher);
        }
        waits
    }

    /// Brings what is served in line with the definitions.
    async fn serve(&mut self, objects: &[Arc<Object>], trees: &[Tree]) -> Result<()> {
        for (object, tree) in objects.iter().zip(trees) {
            self.serve_one(object, tree).await?;
        }
        let gone: Vec<String> =
            self.served.keys().filter(|name| !objects.iter().any(|object| object.name() == *name)).cloned().collect();
        for name in gone {
            if let Some(served) = self.served.remove(&name) {
                self.api.feed.remove(&served.storage.prefix).await;
                self.api.withdraw(&name);
            }
        }
        Ok(())
    }

    async fn serve_one(&mut self, object: &Arc<Object>, tree: &Tree) -> Result<()> {
        let crd: CustomResourceDefinition<'_> = tree.view();
        // Served before it is said to be established, so that nobody who waited for that is disappointed.
        if !lifecycle::is_true(crd, "NamesAccepted") {
            return Ok(());
        }
        let known = self.served.get(object.name());
        if known.is_some_and(|served| served.revision == object.revision) {
            return Ok(());
        }
        let shape = shape(tree);
        if let Some(served) = self.served.get_mut(object.name()).filter(|served| served.shape == shape) {
            served.revision = object.revision;
            return Ok(());
        }
        let definition = match Definition::compile(tree.root()) {
            Ok(definition) => Arc::new(definition),
            Err(message) => {
                error!(definition = object.name(), message, "cannot be served");
                return Ok(());
            }
        };
        let storage = Arc::new(self.storage_of(&definition));
        let added = self.api.feed.add(Arc::clone(&storage)).await;
        added.map_err(|error| anyhow!("read the objects of {}: {error}", object.name()))?;
        let resources = resources_of(&definition, &storage);
        let published = resources.iter().filter_map(|resource| openapi::custom_kind(tree.root(), resource)).collect();
        self.api.publish(object.name(), resources.clone(), published);
        let served = Served { revision: object.revision, shape, storage, resources };
        self.served.insert(object.name().to_owned(), served);
        Ok(())
    }

    fn storage_of(&self, definition: &Arc<Definition>) -> Storage {
        let (group, names) = (definition.group(), definition.names());
        let form = json::Form::Custom { metadata: corten_schema::ids::meta_v1::OBJECT_META };
        Storage {
            group: Arc::clone(group),
            plural: Arc::clone(&names.plural),
            namespaced: definition.namespaced(),
            prefix: format!("/registry/{group}/{}/", names.plural).into(),
            hub: Hub {
                version: Arc::clone(definition.storage_version()),
                kind: Arc::clone(&names.kind),
                api_version: format!("{group}/{}", definition.storage_version()).into(),
                form,
                defaults: corten_object::defaults::Plan::none(),
            },
            kept: Kept::default(),
            rules: Rules::Custom(Arc::new(CustomStrategy::new(Arc::clone(definition)))),
            printer: None,
            selectable: definition.selectable().iter().map(|field| Arc::clone(&field.label)).collect(),
            cache: self.api.feed.cache(None),
            lifetime: Lifetime::Durable,
            returns_deleted: false,
        }
    }
}

/// Returns when any of these may have something to tell.
async fn any_change(watchers: &[Watcher]) {
    match watchers {
        [] => std::future::pending().await,
        watchers => drop(futures::future::select_all(watchers.iter().map(|watcher| Box::pin(watcher.changed()))).await),
    }
}

/// Names, spec and whether it is going: all that what is served depends on.
fn shape(tree: &Tree) -> Vec<u8> {
    let mut shape = Vec::new();
    for path in [&["spec"][..], &["status", "acceptedNames"]] {
        if let Some(node) = tree.root().at(path) {
            json::write(node, &mut shape);
        }
    }
    let crd: CustomResourceDefinition<'_> = tree.view();
    shape.push(u8::from(lifecycle::is_terminating(crd)));
    shape
}

fn resources_of(definition: &Arc<Definition>, storage: &Arc<Storage>) -> Vec<Arc<Resource>> {
    let served = definition.versions().iter().filter(|version| version.served());
    served.map(|version| Arc::new(resource_of(definition, version, storage))).collect()
}

fn resource_of(definition: &Definition, version: &Arc<Version>, storage: &Arc<Storage>) -> Resource {
    let names = definition.names();
    let mut subresources = Vec::new();
    if version.has_status() {
        subresources.push(Subresource {
            name: "status",
            kind: Arc::clone(&names.kind),
            group_version: None,
            verbs: WRITES.into(),
        });
    }
    if version.scale().is_some() {
        subresources.push(Subresource {
            name: "scale",
            kind: "Scale".into(),
            group_version: Some(("autoscaling", "v1")),
            verbs: WRITES.into(),
        });
    }
    let hash_of = format!("{}/{}/{}", definition.group(), definition.storage_version(), names.kind);
    Resource {
        group: Arc::clone(definition.group()),
        version: Arc::clone(version.name()),
        plural: Arc::clone(&names.plural),
        singular: Arc::clone(&names.singular),
        kind: Arc::clone(&names.kind),
        list_kind: Arc::clone(&names.list_kind),
        namespaced: definition.namespaced(),
        verbs: VERBS.into(),
        short_names: names.short_names.clone(),
        categories: names.categories.clone(),
        subresources: subresources.into(),
        storage_version_hash: storage_version_hash(&hash_of),
        form: storage.hub.form,
        defaults: corten_object::defaults::Plan::none(),
        storage: Some(Arc::clone(storage)),
        custom: Some(Arc::clone(version)),
        last_frame: LastFrame::default(),
    }
}

/// Upstream's: the first eight bytes of a digest, in base64.
fn storage_version_hash(text: &str) -> Arc<str> {
    use base64::Engine;
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(&digest.as_ref()[..8]).into()
}
