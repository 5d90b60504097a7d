//! What authentication and authorization need of the objects that are kept: service accounts and what their tokens are
//! bound to, and the objects of RBAC.

use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};

use corten_access::rbac::{Binding, Index, Rbac, Role};
use corten_access::service_account::{Lookup, Meta, Pod, Secret, ServiceAccount, ServiceAccounts};
use corten_api::status::Status;
use corten_api::time::Timestamp;
use corten_object::tree::Tree;
use corten_runtime::clock::Wall;
use corten_views::core_v1 as core;
use corten_views::meta_v1::ObjectMeta;
use tracing::warn;

use crate::api::Api;
use crate::cache::{Event, EventKind, Objects, Observer};
use crate::metadata;
use crate::object::Object;

/// Looks service accounts and the like up in the caches. It is made before the API that it belongs to.
#[derive(Default)]
pub struct Accounts(OnceLock<Weak<Api>>);

impl Accounts {
    pub fn belong_to(&self, api: &Arc<Api>) {
        let _ = self.0.set(Arc::downgrade(api));
    }

    fn api(&self) -> Result<Arc<Api>, Status> {
        self.0.get().and_then(Weak::upgrade).ok_or_else(|| Status::internal("the server is not ready"))
    }

    async fn find(&self, plural: &str, key: String) -> Result<Tree, Status> {
        let name = key.rsplit('/').next().unwrap_or_default();
        let api = self.api()?;
        let missing = || Status::not_found("", plural, name);
        api.decide(|| api.lookup_tree("", plural, &key).ok_or_else(missing)).await
    }
}

fn meta(meta: ObjectMeta<'_>) -> Meta {
    let deletion_timestamp = meta
        .deletion_timestamp()
        .and_then(|time| Timestamp::parse(time).ok())
        .map(|time| Wall::from_seconds(time.seconds));
    Meta { name: meta.name().to_owned(), uid: meta.uid().to_owned(), deletion_timestamp }
}

impl ServiceAccounts for Accounts {
    fn service_account<'a>(&'a self, namespace: &'a str, name: &'a str) -> Lookup<'a, ServiceAccount> {
        Box::pin(async move {
            let tree = self.find("serviceaccounts", format!("{namespace}/{name}")).await?;
            let view: core::ServiceAccount<'_> = tree.view();
            let secrets = view.secrets().iter().map(|secret| secret.name().to_owned()).collect();
            Ok(ServiceAccount { meta: meta(view.metadata()), namespace: namespace.to_owned(), secrets })
        })
    }

    fn secret<'a>(&'a self, namespace: &'a str, name: &'a str) -> Lookup<'a, Secret> {
        Box::pin(async move {
            let tree = self.find("secrets", format!("{namespace}/{name}")).await?;
            let view: core::Secret<'_> = tree.view();
            let label = |key: &str| view.metadata().labels().get(key).unwrap_or_default().to_owned();
            Ok(Secret {
                meta: meta(view.metadata()),
                token: corten_object::scalar::decode_base64(view.data().get("token").unwrap_or_default()),
                invalid_since: label("kubernetes.io/legacy-token-invalid-since"),
                last_used: label("kubernetes.io/legacy-token-last-used"),
            })
        })
    }

    fn pod<'a>(&'a self, namespace: &'a str, name: &'a str) -> Lookup<'a, Pod> {
        Box::pin(async move {
            let tree = self.find("pods", format!("{namespace}/{name}")).await?;
            let view: core::Pod<'_> = tree.view();
            Ok(Pod {
                meta: meta(view.metadata()),
                service_account_name: view.spec().service_account_name().to_owned(),
                node_name: view.spec().node_name().to_owned(),
            })
        })
    }

    fn node<'a>(&'a self, name: &'a str) -> Lookup<'a, Meta> {
        Box::pin(async move {
            let tree = self.find("nodes", name.to_owned()).await?;
            Ok(meta(metadata::read(&tree)))
        })
    }

    fn revision(&self) -> u64 {
        self.api().map_or(0, |api| api.feed.progress())
    }

    fn was_behind(&self, revision: u64) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move {
            match self.api() {
                Ok(api) => api.was_behind(revision).await.unwrap_or(false),
                Err(_) => false,
            }
        })
    }
}

/// Keeps the index of RBAC at one with the caches.
pub struct RbacObserver {
    pub rbac: Arc<Rbac>,
    /// Bindings, or else roles.
    pub bindings: bool,
    pub namespaced: bool,
}

impl RbacObserver {
    fn set(&self, index: &mut Index, object: &Object) {
        let parsed = if self.bindings {
            Binding::from_json(&object.json).map(|binding| index.set_binding(binding))
        } else {
            Role::from_json(&object.json).map(|role| index.set_role(role))
        };
        if let Err(error) = parsed {
            warn!(key = %object.key, %error, "an object of RBAC cannot be read, and grants nothing");
        }
    }

    fn remove(&self, index: &mut Index, object: &Object) {
        let (namespace, name) = (if self.namespaced { object.namespace() } else { "" }, object.name());
        if self.bindings { index.remove_binding(namespace, name) } else { index.remove_role(namespace, name) }
    }
}

impl Observer for RbacObserver {
    fn reset(&self, objects: &Objects) {
        self.rbac.update(|index| objects.values().for_each(|object| self.set(index, object)));
    }

    fn changed(&self, event: &Event) {
        self.rbac.update(|index| match event.kind {
            EventKind::Deleted => self.remove(index, &event.object),
            EventKind::Added | EventKind::Modified => self.set(index, &event.object),
        });
    }
}
