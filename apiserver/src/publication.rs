//! What custom resources there are, told everywhere at once: in the registry, in discovery and in OpenAPI.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_openapi::CustomKind;
use parking_lot::Mutex;

use crate::api::Api;
use crate::resource::{Registry, Resource};

/// What each definition publishes, by its name.
#[derive(Default)]
pub struct Publication(Mutex<BTreeMap<String, Published>>);

struct Published {
    resources: Vec<Arc<Resource>>,
    kinds: Vec<CustomKind>,
}

impl Api {
    /// Serves what a definition defines, instead of what it defined before. Nobody is told of a resource that is not
    /// served yet.
    pub fn publish(&self, name: &str, resources: Vec<Arc<Resource>>, published: Vec<CustomKind>) {
        let mut all = self.publication.0.lock();
        all.insert(name.to_owned(), Published { resources, kinds: published });
        let registry = Arc::new(self.registry_with(&all));
        self.registry.store(Arc::clone(&registry));
        self.tell(&all, &registry);
    }

    /// Serves nothing of a definition any more.
    pub fn withdraw(&self, name: &str) {
        let mut all = self.publication.0.lock();
        if all.remove(name).is_some() {
            let registry = Arc::new(self.registry_with(&all));
            self.tell(&all, &registry);
            self.registry.store(registry);
        }
    }

    fn registry_with(&self, all: &BTreeMap<String, Published>) -> Registry {
        let now = self.registry.load();
        let built_in = now.all().iter().filter(|resource| !resource.is_custom());
        Registry::new(built_in.chain(all.values().flat_map(|one| &one.resources)).cloned().collect())
    }

    fn tell(&self, all: &BTreeMap<String, Published>, registry: &Registry) {
        self.openapi.set_custom(all.values().flat_map(|one| one.kinds.iter().cloned()).collect());
        self.discovery.update(registry);
    }
}
