//! APIServices of what this server serves itself: its own groups, written once at start, and those of custom
//! resources, which come and go with their definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use corten_api::json::string as quoted;
use corten_object::json;
use corten_object::tree::{Tree, View};
use corten_runtime::tasks::CancellationToken;
use corten_schema::{GROUPS, REGISTRATION};
use corten_views::apiextensions_v1::CustomResourceDefinition;
use corten_views::apiregistration_v1::{APIService, APIServiceSpec};

use super::changes::Changes;
use super::client;
use super::pace::Pace;
use crate::api::Api;
use crate::cache::{Scope, Snapshot};
use crate::registry::Registry;

const COLLECTION: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";
const ON_START: &str = "onstart";
const ALWAYS: &str = "true";

const CUSTOM_PRIORITY: (i64, i64) = (1000, 100);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Desired {
    group: String,
    version: String,
    group_priority: i64,
    version_priority: i64,
    managed: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Create,
    Update,
    Delete,
}

pub struct ApiServices {
    api: Arc<Api>,
    definitions: Changes,
    services: Changes,
    /// The versions that each definition serves, and at which of its revisions that was read.
    served: BTreeMap<Arc<str>, (u64, Vec<Desired>)>,
    local: BTreeMap<String, Desired>,
    /// Those that were there when this server started.
    at_start: BTreeSet<String>,
    /// Those of the start that have been seen to.
    synced: BTreeSet<String>,
    pace: Pace,
}

impl ApiServices {
    pub fn new(api: &Arc<Api>) -> Result<ApiServices> {
        let services = Changes::of(api, REGISTRATION, "apiservices", Scope::All)?;
        let at_start = services.storage.cache.snapshot().objects.keys().map(|key| key.to_string()).collect();
        Ok(ApiServices {
            api: Arc::clone(api),
            definitions: Changes::of(api, "apiextensions.k8s.io", "customresourcedefinitions", Scope::All)?,
            services,
            served: BTreeMap::new(),
            local: local(&api.registry.load()),
            at_start,
            synced: BTreeSet::new(),
            pace: Pace::new(api.clock.clone()),
        })
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            tokio::select! {
                () = self.definitions.wait() => {}
                () = self.services.wait() => {}
                () = self.pace.wait() => {}
                () = token.cancelled() => return,
            }
            self.look().await;
        }
    }

    /// Looks at all of them: there are few, and they change seldom.
    pub async fn look(&mut self) {
        self.definitions.take();
        self.services.take();
        let (desired, unknown_groups) = self.desired();
        let Snapshot { objects, unreadable, .. } = self.services.storage.cache.snapshot();
        let kept: BTreeSet<String> = objects.keys().map(|key| key.to_string()).collect();
        let names = kept.iter().chain(desired.keys().filter(|name| !kept.contains(*name)));
        let mut writes = Vec::new();
        for name in names.filter(|name| !unreadable.contains_key(name.as_str())) {
            let desired = desired.get(name);
            let kept = objects.get(name.as_str()).map(|object| self.services.storage.tree(object));
            let mut step = self.next(name, kept.as_ref(), desired);
            if step == Step::Delete && name.split_once('.').is_some_and(|(_, group)| unknown_groups.contains(group)) {
                // A definition that cannot be read may serve it.
                step = Step::Nothing;
            }
            if step == Step::Nothing {
                self.pace.settled(name);
                self.synced.insert(name.clone());
            } else if self.pace.admits(name) {
                writes.push(take(&self.api, name, step, kept, desired));
            }
        }
        for (name, outcome) in futures::future::join_all(writes).await {
            match outcome {
                Ok(()) => {
                    self.pace.wrote(name);
                    self.synced.insert(name.clone());
                }
                Err(error) => {
                    tracing::warn!(name, %error, "an APIService is not as it should be");
                    self.pace.failed(name);
                }
            }
        }
    }

    /// What should be there, by name, and the groups of definitions that cannot be read.
    fn desired(&mut self) -> (BTreeMap<String, Desired>, BTreeSet<String>) {
        let storage = &self.definitions.storage;
        let Snapshot { objects, unreadable, .. } = storage.cache.snapshot();
        self.served.retain(|name, _| objects.contains_key(name) || unreadable.contains_key(name));
        for (name, object) in &objects {
            if self.served.get(name).is_none_or(|(revision, _)| *revision != object.revision) {
                self.served.insert(Arc::clone(name), (object.revision, of_definition(&storage.tree(object))));
            }
        }
        let mut desired = self.local.clone();
        for version in self.served.values().flat_map(|(_, versions)| versions) {
            let name = format!("{}.{}", version.version, version.group);
            desired.entry(name).or_insert_with(|| version.clone());
        }
        // A definition is named after its resource and its group.
        let groups = unreadable.keys().filter_map(|name| name.split_once('.'));
        (desired, groups.map(|(_, group)| group.to_owned()).collect())
    }

    fn next(&self, name: &str, kept: Option<&Tree>, desired: Option<&Desired>) -> Step {
        let meta = kept.map(crate::metadata::read);
        let found = match meta {
            None => Found::Nothing,
            // Its deletion was asked for, and to ask again would only be another event.
            Some(meta) if meta.deletion_timestamp().is_some() => Found::Leaving(meta.labels().get(LABEL)),
            Some(meta) => Found::Kept(meta.labels().get(LABEL)),
        };
        let as_desired = kept.zip(desired).is_some_and(|(kept, desired)| desired.is(kept));
        next(found, desired, (self.at_start.contains(name), self.synced.contains(name)), as_desired)
    }
}

async fn take<'n>(
    api: &Arc<Api>,
    name: &'n String,
    step: Step,
    kept: Option<Tree>,
    desired: Option<&Desired>,
) -> (&'n String, Result<()>) {
    let path = format!("{COLLECTION}/{name}");
    let outcome = match (step, desired, kept) {
        (Step::Create, Some(desired), _) => client::create(api, COLLECTION, desired.body()).await,
        (Step::Update, Some(desired), Some(mut kept)) => {
            desired.write(&mut kept);
            client::update(api, &path, json::to_vec(kept.root())).await
        }
        (Step::Delete, _, Some(kept)) => client::delete_if(api, &path, crate::metadata::read(&kept).uid()).await,
        _ => return (name, Ok(())),
    };
    let outcome = match outcome {
        Ok(_) => Ok(()),
        // Somebody was quicker, and the event of that brings us here again.
        Err(refused) if refused.is_already_exists() || refused.is_conflict() || refused.is_not_found() => Ok(()),
        Err(refused) => Err(anyhow!(refused)),
    };
    (name, outcome)
}

/// What is there, and the value of the label by which somebody keeps it.
#[derive(Clone, Copy, Debug)]
enum Found<'l> {
    Nothing,
    Kept(Option<&'l str>),
    /// It waits for its finalizers.
    Leaving(Option<&'l str>),
}

/// What is to be done about one. `known` says whether it was there at the start, and whether it was seen to since.
fn next(found: Found<'_>, desired: Option<&Desired>, known: (bool, bool), as_desired: bool) -> Step {
    let (at_start, synced) = known;
    let once = |managed: Option<&str>| managed == Some(ON_START);
    let desired_once = once(desired.map(|desired| desired.managed));
    match (found, desired) {
        (Found::Nothing, None) => Step::Nothing,
        _ if desired_once && synced => Step::Nothing,
        (Found::Nothing, Some(_)) => Step::Create,
        (Found::Kept(managed) | Found::Leaving(managed), _) if !once(managed) && managed != Some(ALWAYS) => {
            Step::Nothing
        }
        (Found::Kept(managed) | Found::Leaving(managed), _) if once(managed) && (!at_start || synced) => Step::Nothing,
        (Found::Leaving(_), None) => Step::Nothing,
        (Found::Kept(_), None) => Step::Delete,
        _ if as_desired => Step::Nothing,
        _ => Step::Update,
    }
}

/// The versions that a definition serves.
fn of_definition(tree: &Tree) -> Vec<Desired> {
    let spec = CustomResourceDefinition::from_struct(tree.root().as_struct()).spec();
    let served = spec.versions().iter().filter(|version| version.served());
    let desired = served.map(|version| Desired {
        group: spec.group().to_owned(),
        version: version.name().to_owned(),
        group_priority: CUSTOM_PRIORITY.0,
        version_priority: CUSTOM_PRIORITY.1,
        managed: ALWAYS,
    });
    desired.collect()
}

fn local(registry: &Registry) -> BTreeMap<String, Desired> {
    let mut found = BTreeMap::new();
    for resource in registry.all().filter(|resource| !resource.is_custom()) {
        let Some(group) = GROUPS.iter().find(|group| group.name == &*resource.group) else { continue };
        let versions = group.versions;
        let Some((_, version_priority)) = versions.iter().find(|(version, _)| *version == &*resource.version) else {
            continue;
        };
        found.entry(format!("{}.{}", resource.version, resource.group)).or_insert_with(|| Desired {
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            group_priority: group.priority,
            version_priority: *version_priority,
            managed: ON_START,
        });
    }
    found
}

impl Desired {
    fn body(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(r#""group":{},"#, quoted(&self.group)) };
        format!(
            concat!(
                r#"{{"kind":"APIService","apiVersion":"apiregistration.k8s.io/v1","metadata":{{"name":{name},"#,
                r#""labels":{{"{label}":"{managed}"}}}},"spec":{{{group}"version":{version},"#,
                r#""groupPriorityMinimum":{group_priority},"versionPriority":{version_priority}}}}}"#
            ),
            name = quoted(&format!("{}.{}", self.version, self.group)),
            label = LABEL,
            managed = self.managed,
            group = group,
            version = quoted(&self.version),
            group_priority = self.group_priority,
            version_priority = self.version_priority,
        )
    }

    fn is(&self, tree: &Tree) -> bool {
        let spec = APIService::from_struct(tree.root().as_struct()).spec();
        spec.group() == self.group
            && spec.version() == self.version
            && spec.group_priority_minimum() == self.group_priority
            && spec.version_priority() == self.version_priority
            && spec.service().is_none()
    }

    fn write(&self, tree: &mut Tree) {
        let mut root = tree.edit();
        root.remove(APIService::SPEC);
        let mut spec = root.ensure(APIService::SPEC);
        spec.set(APIServiceSpec::GROUP, &self.group);
        spec.set(APIServiceSpec::VERSION, &self.version);
        spec.set(APIServiceSpec::GROUP_PRIORITY_MINIMUM, self.group_priority);
        spec.set(APIServiceSpec::VERSION_PRIORITY, self.version_priority);
    }
}

/// Proves at start that every group that is served ranks somewhere.
pub fn check_priorities(registry: &Registry) -> Result<()> {
    let ranked = local(registry);
    for resource in registry.all().filter(|resource| !resource.is_custom() && &*resource.group != REGISTRATION) {
        if !ranked.contains_key(&format!("{}.{}", resource.version, resource.group)) {
            bail!("{} has no row in machinery/schema/src/groups.rs", resource.api_version());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let desired = |managed| Desired {
            group: "g".into(),
            version: "v1".into(),
            group_priority: 1,
            version_priority: 1,
            managed,
        };
        let (once, always) = (desired(ON_START), desired(ALWAYS));
        let check = |found: Found<'_>, desired: Option<&Desired>, known: (bool, bool), expected: Step| {
            assert_eq!(next(found, desired, known, false), expected, "{found:?} {desired:?} {known:?}");
        };
        check(Found::Nothing, None, (false, false), Step::Nothing);
        check(Found::Nothing, Some(&once), (false, false), Step::Create);
        check(Found::Nothing, Some(&once), (false, true), Step::Nothing);
        check(Found::Nothing, Some(&always), (false, true), Step::Create);
        for desired in [None, Some(&once), Some(&always)] {
            check(Found::Kept(None), desired, (true, false), Step::Nothing);
            check(Found::Kept(Some(ON_START)), desired, (false, false), Step::Nothing);
        }
        check(Found::Kept(Some(ON_START)), None, (true, false), Step::Delete);
        check(Found::Kept(Some(ON_START)), None, (true, true), Step::Nothing);
        check(Found::Kept(Some(ON_START)), Some(&once), (true, false), Step::Update);
        check(Found::Kept(Some(ALWAYS)), None, (false, true), Step::Delete);
        check(Found::Kept(Some(ALWAYS)), Some(&always), (false, true), Step::Update);
        check(Found::Leaving(Some(ALWAYS)), None, (false, true), Step::Nothing);
        check(Found::Leaving(Some(ON_START)), None, (true, false), Step::Nothing);
        check(Found::Leaving(Some(ALWAYS)), Some(&always), (false, true), Step::Update);
        assert_eq!(next(Found::Kept(Some(ALWAYS)), Some(&always), (true, false), true), Step::Nothing);
    }
}
