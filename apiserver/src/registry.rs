//! Everything that is served at one moment: resources, discovery and OpenAPI.
//!
//! A registry does not change. [`Registry::with`] and [`Registry::without`] give another one, which shares with it all
//! that a definition does not touch, so a definition costs the same whatever else is served. A reader takes the whole
//! registry at one moment, and so never sees a resource that discovery does not have, or the other way round.

use std::sync::Arc;

use corten_openapi::CustomKind;
use imbl::OrdMap;

use crate::discovery;
use crate::resource::{Resource, Storage};

#[derive(Clone)]
pub struct Registry {
    groups: OrdMap<Arc<str>, Group>,
    /// What is served whatever the definitions are.
    built_in: Arc<[Arc<Resource>]>,
    /// The resources of each definition.
    definitions: OrdMap<Arc<str>, Arc<[Arc<Resource>]>>,
    openapi: corten_openapi::Documents,
    pub(crate) discovery: Arc<discovery::Documents>,
}

#[derive(Default, Clone)]
pub(crate) struct Group {
    /// By version, then by plural.
    versions: OrdMap<Arc<str>, Resources>,
    /// By plural.
    storages: OrdMap<Arc<str>, Arc<Storage>>,
}

/// The resources of a group version by plural, which is the order of discovery.
pub(crate) type Resources = OrdMap<Arc<str>, Arc<Served>>;

/// A resource, and what discovery says of it.
pub(crate) struct Served {
    pub resource: Arc<Resource>,
    pub texts: discovery::Texts,
}

impl Registry {
    pub fn new(built_in: Vec<Arc<Resource>>, openapi: corten_openapi::Documents) -> Registry {
        let mut groups = OrdMap::new();
        built_in.iter().for_each(|resource| insert(&mut groups, resource));
        let (definitions, discovery) = Default::default();
        Registry { groups, built_in: built_in.into(), definitions, openapi, discovery }
    }

    /// The registry when a definition has these resources and OpenAPI kinds, and none that it had before. A built-in
    /// resource cannot be replaced.
    pub fn with(&self, definition: &str, resources: Vec<Arc<Resource>>, published: Vec<CustomKind>) -> Registry {
        let mut next = self.clone();
        next.discovery = Arc::default();
        for resource in self.definitions.get(definition).into_iter().flat_map(|old| old.iter()) {
            remove(&mut next.groups, resource);
        }
        resources.iter().for_each(|resource| insert(&mut next.groups, resource));
        match resources.is_empty() {
            true => _ = next.definitions.remove(definition),
            false => _ = next.definitions.insert(definition.into(), resources.into()),
        }
        next.openapi = self.openapi.with(definition, published);
        next
    }

    /// The registry when a definition has nothing that is served.
    pub fn without(&self, definition: &str) -> Registry {
        self.with(definition, Vec::new(), Vec::new())
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources(group, version)?.get(plural).map(|served| &served.resource)
    }

    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.resources(group, version).is_some()
    }

    /// Whether a group is one of the server's own.
    pub fn is_built_in(&self, group: &str) -> bool {
        self.built_in.iter().any(|resource| &*resource.group == group)
    }

    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Every resource that is served: the built-in ones first, then those of definitions, by definition.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.built_in.iter().chain(self.definitions.values().flat_map(|resources| resources.iter()))
    }

    /// The storage of a built-in or custom resource, whatever its version.
    pub fn storage(&self, group: &str, plural: &str) -> Option<&Arc<Storage>> {
        self.groups.get(group)?.storages.get(plural)
    }

    pub fn openapi(&self) -> &corten_openapi::Documents {
        &self.openapi
    }

    /// The groups by name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    pub(crate) fn resources(&self, group: &str, version: &str) -> Option<&Resources> {
        self.groups.get(group)?.versions.get(version)
    }
}

impl Group {
    /// The versions by name.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &Resources)> {
        self.versions.iter().map(|(name, resources)| (&**name, resources))
    }
}

/// Whoever comes first stays: the built-in resources are there before any definition is.
fn insert(groups: &mut OrdMap<Arc<str>, Group>, resource: &Arc<Resource>) {
    let group = groups.entry(Arc::clone(&resource.group)).or_default();
    let resources = group.versions.entry(Arc::clone(&resource.version)).or_default();
    resources
        .entry(Arc::clone(&resource.plural))
        .or_insert_with(|| Arc::new(Served { resource: Arc::clone(resource), texts: discovery::Texts::default() }));
    if let Some(storage) = &resource.storage {
        group.storages.entry(Arc::clone(&resource.plural)).or_insert_with(|| Arc::clone(storage));
    }
}

fn remove(groups: &mut OrdMap<Arc<str>, Group>, resource: &Arc<Resource>) {
    let Some(group) = groups.get_mut(&resource.group) else { return };
    if let Some(resources) = group.versions.get_mut(&resource.version) {
        if resources.get(&resource.plural).is_some_and(|served| Arc::ptr_eq(&served.resource, resource)) {
            resources.remove(&resource.plural);
        }
        if resources.is_empty() {
            group.versions.remove(&resource.version);
        }
    }
    let storage = group.storages.get(&resource.plural).zip(resource.storage.as_ref());
    if storage.is_some_and(|(kept, own)| Arc::ptr_eq(kept, own)) {
        group.storages.remove(&resource.plural);
    }
    if group.versions.is_empty() {
        groups.remove(&resource.group);
    }
}

#[cfg(test)]
mod tests;
