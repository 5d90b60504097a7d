//! An object in the other versions of its resource: what managedFields ask for, where others wrote through those.

use std::sync::Arc;

use corten_api::status::{Reason, Result, Status};
use corten_custom::Version;
use corten_object::managed::scale::Replicas;
use corten_object::managed::{Reset, Versions};
use corten_object::tree::Tree;
use corten_object::typing::TypeRef;

use crate::call::Call;
use crate::handlers::typing;
use crate::metadata;
use crate::registry::Registry;
use crate::resource::Resource;

/// The versions of one resource.
pub struct VersionsOf<'r> {
    resource: &'r Resource,
    subresource: &'r str,
    registry: Arc<Registry>,
}

impl<'r> VersionsOf<'r> {
    pub fn new(call: &'r Call, resource: &'r Resource) -> VersionsOf<'r> {
        VersionsOf { resource, subresource: &call.info.subresource, registry: call.api.registry.load_full() }
    }

    fn find(&self, api_version: &str) -> Option<&Resource> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        if group != &*self.resource.group {
            return None;
        }
        if version == &*self.resource.version {
            return Some(self.resource);
        }
        self.registry.find(group, version, &self.resource.plural).map(Arc::as_ref)
    }

    /// A version of a custom resource's definition, served or not.
    fn custom(&self, api_version: &str) -> Option<&Version> {
        let definition = self.resource.storage.as_ref()?.definition()?;
        let found = definition.versions().iter().find(|version| **version.api_version() == *api_version);
        found.map(Arc::as_ref)
    }

    fn is_of_group(&self, api_version: &str) -> bool {
        api_version.split_once('/').is_some_and(|(group, _)| group == &*self.resource.group)
    }

    /// Where a version has its replicas.
    pub fn replicas(&self, api_version: &str) -> Replicas {
        if !self.resource.is_custom() {
            return match self.find(api_version) {
                Some(_) => Replicas::At(vec!["spec".to_owned(), "replicas".to_owned()]),
                None => Replicas::Unknown,
            };
        }
        match self.custom(api_version).map(Version::scale) {
            None => Replicas::Unknown,
            Some(None) => Replicas::Nowhere,
            Some(Some(scale)) => Replicas::At(scale.replicas_steps().map(str::to_owned).collect()),
        }
    }
}

impl Versions for VersionsOf<'_> {
    fn convert(&self, object: &Tree, api_version: &str) -> Option<Result<Tree>> {
        if !self.resource.is_custom() {
            let from = self.find(metadata::api_version(object))?;
            return Some(Ok(self.find(api_version)?.of_hub(from.to_hub(object.clone()))));
        }
        if !self.is_of_group(api_version) {
            return None;
        }
        if self.custom(api_version).is_none() {
            let message = format!("request to convert CR to an invalid group/version: {api_version}");
            return Some(Err(Status::failure(500, Reason::Unknown, message)));
        }
        // Nothing is dropped and nothing defaulted: whether it fits that version is seen when it is compared.
        let mut tree = object.clone();
        let kind = metadata::kind(object).to_owned();
        metadata::set_kind(&mut tree, api_version, &kind);
        Some(Ok(tree))
    }

    fn typing(&self, api_version: &str) -> Option<TypeRef<'_>> {
        if !self.resource.is_custom() {
            return self.find(api_version).map(typing);
        }
        match self.custom(api_version) {
            Some(version) => Some(version.typing()),
            // Of a former version, conversion says what is wrong.
            None => self.is_of_group(api_version).then(TypeRef::deduced),
        }
    }

    fn reset(&self, api_version: &str) -> Option<Reset<'_>> {
        if !self.resource.is_custom() {
            return None;
        }
        // Upstream gives the main resource the reset fields of its own version only.
        let own = (self.subresource == "status").then(|| self.custom(api_version)).flatten();
        Some(own.map_or(&[], |version| version.reset_fields(self.subresource)))
    }
}
