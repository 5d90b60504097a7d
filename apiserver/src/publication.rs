//! What is served changes: a definition publishes its resources, or withdraws them.
//!
//! Each change swaps the whole [`Registry`](crate::registry::Registry) at once, and costs what the one definition costs.

use std::sync::Arc;

use corten_openapi::CustomKind;

use crate::api::Api;
use crate::resource::Resource;

impl Api {
    /// Serves these resources of a definition, and none that it published before. `published` is what OpenAPI says of
    /// them.
    pub fn publish(&self, definition: &str, resources: Vec<Arc<Resource>>, published: Vec<CustomKind>) {
        self.registry.rcu(|registry| registry.with(definition, resources.clone(), published.clone()));
    }

    /// Serves nothing of a definition.
    pub fn withdraw(&self, definition: &str) {
        self.registry.rcu(|registry| registry.without(definition));
    }
}
