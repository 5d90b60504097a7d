//! What is served of a definition: a storage, and a resource for each of its versions that is served.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use corten_custom::{CustomStrategy, Definition, Version, lifecycle};
use corten_object::json;
use corten_object::tree::Tree;
use corten_views::apiextensions_v1::CustomResourceDefinition;
use ring::digest::{SHA256, digest};
use tracing::{error, warn};

use super::Definitions;
use crate::feed::Feed;
use crate::openapi;
use crate::resource::{Hub, Kept, Lifetime, Resource, Rules, Storage, Subresource};
use crate::serving::Serving;
use crate::watch::LastFrame;

const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
/// What discovery tells of a resource whose definition is going.
const VERBS_OF_TERMINATING: [&str; 5] = ["delete", "deletecollection", "get", "list", "watch"];
const WRITES: [&str; 3] = ["get", "patch", "update"];
/// How long the requests of a storage that was replaced are waited for: twice what a request may take, as upstream does.
pub const DRAIN_MAX: Duration = Duration::from_secs(120);

/// What is served of a definition.
pub struct Served {
    shape: Shape,
    terminating: bool,
    definition: Arc<Definition>,
    pub storage: Arc<Storage>,
}

/// A digest of all that storage and resources are made from: a change of anything else leaves them as they are.
#[derive(PartialEq, Eq)]
struct Shape([u8; 32]);

impl Shape {
    fn of(tree: &Tree) -> Shape {
        let mut text = Vec::new();
        for path in [&["metadata", "uid"][..], &["spec"], &["status", "acceptedNames"]] {
            if let Some(node) = tree.root().at(path) {
                json::write(node, &mut text);
            }
            text.push(b'\n');
        }
        let mut shape = [0; 32];
        shape.copy_from_slice(digest(&SHA256, &text).as_ref());
        Shape(shape)
    }
}

impl Served {
    pub fn uid(&self) -> &str {
        self.definition.uid()
    }

    /// The resource in which the server itself deletes objects: in the version that is kept, served or not.
    pub fn kept_version(&self) -> Option<Resource> {
        let version = self.definition.version(self.definition.storage_version())?;
        Some(resource_of(&self.definition, version, &self.storage, self.terminating))
    }
}

impl Definitions {
    /// Brings what is served in line with a definition. What it replaces goes on until nobody is answered from it any
    /// more. After an error everything is as it was.
    pub(super) async fn serve(&mut self, key: &Arc<str>, tree: &Tree) -> Result<()> {
        let crd: CustomResourceDefinition<'_> = tree.view();
        // Served before it is said to be established, so that nobody who waited for that is disappointed.
        if !lifecycle::is_served(crd) {
            return Ok(());
        }
        let (shape, terminating) = (Shape::of(tree), lifecycle::is_terminating(crd));
        let same = self.served.get(key).is_some_and(|served| served.shape == shape);
        let definition = if same { None } else { self.compiled(key, tree, terminating) };
        let Some(definition) = definition else {
            if let Some(served) = self.served.get_mut(key).filter(|served| served.terminating != terminating) {
                served.terminating = terminating;
                self.publish(key, tree);
            }
            return Ok(());
        };
        let storage = Arc::new(storage_of(&definition, &self.api.feed));
        if self.api.registry.load().storage(&storage.group, &storage.plural).is_some_and(|other| !other.is_custom()) {
            error!(definition = %key, "cannot be served: the server has such a resource of its own");
            return Ok(());
        }
        if let Err(error) = self.api.feed.add(Arc::clone(&storage)).await {
            self.api.definitions_seen.failed(key);
            bail!("read its objects: {error}");
        }
        self.api.definitions_seen.did_not_fail(key);
        let served = Served { shape, terminating, definition, storage };
        let replaced = self.served.insert(Arc::clone(key), served);
        self.publish(key, tree);
        if let Some(replaced) = replaced {
            self.retire(replaced.storage);
        }
        Ok(())
    }

    fn compiled(&self, key: &Arc<str>, tree: &Tree, terminating: bool) -> Option<Arc<Definition>> {
        match Definition::compile(tree.root()) {
            Ok(definition) => return Some(Arc::new(definition)),
            Err(message) => error!(definition = %key, message, "cannot be served"),
        }
        // Its objects are deleted all the same.
        let needed = terminating && !self.served.contains_key(key);
        needed.then(|| Definition::without_schemas(tree.root()).ok().map(Arc::new)).flatten()
    }

    /// Tells what a definition defines now.
    fn publish(&self, key: &Arc<str>, tree: &Tree) {
        let Some(served) = self.served.get(key) else { return };
        if served.terminating {
            served.storage.serving.refuse_creates();
        }
        let versions = served.definition.versions().iter().filter(|version| version.served());
        let resources: Vec<Arc<Resource>> = versions
            .map(|version| Arc::new(resource_of(&served.definition, version, &served.storage, served.terminating)))
            .collect();
        let published = resources.iter().filter_map(|resource| openapi::custom_kind(tree.root(), resource)).collect();
        self.api.publish(key, resources, published);
    }

    /// Ends a storage that nobody finds any more, when the requests that hold it have been answered.
    pub(super) fn retire(&self, storage: Arc<Storage>) {
        let api = Arc::clone(&self.api);
        let (answered, stopping) = (storage.serving.close(), self.retirements.token().clone());
        self.retirements.spawn(async move {
            tokio::select! {
                answered = api.clock.timeout(DRAIN_MAX, answered) => {
                    if answered.is_err() {
                        warn!(prefix = %storage.prefix, "requests take too long; what they read is no longer kept up");
                    }
                }
                () = stopping.cancelled() => {}
            }
            api.feed.remove(&storage);
        });
    }
}

fn storage_of(definition: &Arc<Definition>, feed: &Feed) -> Storage {
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
        cache: feed.cache(None),
        lifetime: Lifetime::Durable,
        returns_deleted: false,
        serving: Serving::default(),
    }
}

fn resource_of(definition: &Definition, version: &Arc<Version>, storage: &Arc<Storage>, terminating: bool) -> Resource {
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
        verbs: if terminating { VERBS_OF_TERMINATING.into() } else { VERBS.into() },
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
    let digest = digest(&SHA256, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(&digest.as_ref()[..8]).into()
}
