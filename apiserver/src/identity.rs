//! What authentication and authorization need of the objects that are kept: service accounts and what their tokens are
//! bound to, and the objects of RBAC.

use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};

use corten_access::rbac::{Binding, Index, Rbac, Role};
use corten_access::service_account::{Lookup, Meta, Pod, Secret, ServiceAccount, ServiceAccounts, TokenKind};
use corten_api::status::Status;
use corten_api::time::Timestamp;
use corten_object::tree::Tree;
use corten_runtime::clock::Wall;
use corten_views::core_v1 as core;
use corten_views::meta_v1::ObjectMeta;
use tracing::warn;

use crate::api::Api;
use crate::cache::{Event, EventKind, Objects, Observer};
use crate::control::legacy_tokens::{LAST_USED, SecretName, TokenUses, Use};
use crate::metadata;
use crate::object::Object;

/// Looks service accounts and the like up in the caches. It is made before the API that it belongs to.
#[derive(Default)]
pub struct Accounts {
    api: OnceLock<Weak<Api>>,
    /// Uses of tokens, for whoever writes them down.
    pub token_uses: Arc<TokenUses>,
}

impl Accounts {
    pub fn belong_to(&self, api: &Arc<Api>) {
        let _ = self.api.set(Arc::downgrade(api));
    }

    fn api(&self) -> Result<Arc<Api>, Status> {
        self.api.get().and_then(Weak::upgrade).ok_or_else(|| Status::internal("the server is not ready"))
    }

    async fn find(&self, plural: &str, key: String) -> Result<Tree, Status> {
        let name = key.rsplit('/').next().unwrap_or_default();
        let api = self.api()?;
        let missing = || Status::not_found("", plural, name);
        api.decide(|| api.lookup_tree("", plural, &key)?.ok_or_else(missing)).await
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
                last_used: label(LAST_USED),
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

    fn token_used(&self, kind: TokenKind) {
        if let Ok(api) = self.api() {
            api.metrics.token_used(kind);
        }
    }

    fn secret_used(&self, namespace: &str, secret: &Secret, day: &str) {
        let name = SecretName { namespace: namespace.to_owned(), name: secret.meta.name.clone() };
        self.token_uses.note(name, Use { uid: secret.meta.uid.clone(), day: day.to_owned() });
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

/// Keeps the index of RBAC at one with the cache of one of its four resources.
pub struct RbacObserver {
    pub rbac: Arc<Rbac>,
    /// Bindings, or else roles.
    pub bindings: bool,
    pub namespaced: bool,
}

impl RbacObserver {
    /// Where the object counts. Its key decides, whatever the object calls itself.
    fn place<'o>(&self, object: &'o Object) -> (&'o str, &'o str) {
        (if self.namespaced { object.namespace() } else { "" }, object.name())
    }

    fn binding(&self, object: &Object) -> Option<Binding> {
        let (namespace, name) = self.place(object);
        let binding = readable(object, Binding::from_json(&object.json))?;
        Some(Binding { namespace: namespace.to_owned(), name: name.to_owned(), ..binding })
    }

    fn role(&self, object: &Object) -> Option<Role> {
        let (namespace, name) = self.place(object);
        let role = readable(object, Role::from_json(&object.json))?;
        Some(Role { namespace: namespace.to_owned(), name: name.to_owned(), ..role })
    }

    fn remove(&self, index: &mut Index, object: &Object) {
        let (namespace, name) = self.place(object);
        if self.bindings { index.remove_binding(namespace, name) } else { index.remove_role(namespace, name) }
    }
}

fn readable<T>(object: &Object, parsed: Result<T, serde_json::Error>) -> Option<T> {
    parsed
        .inspect_err(|error| warn!(key = %object.key, %error, "an object of RBAC cannot be read, and grants nothing"))
        .ok()
}

impl Observer for RbacObserver {
    fn reset(&self, objects: &Objects) {
        let objects = objects.values();
        self.rbac.update(|index| match self.bindings {
            true => index.replace_bindings(self.namespaced, objects.filter_map(|object| self.binding(object))),
            false => index.replace_roles(self.namespaced, objects.filter_map(|object| self.role(object))),
        });
    }

    fn changed(&self, event: &Event) {
        let object = &*event.object;
        self.rbac.update(|index| {
            if event.kind == EventKind::Deleted {
                return self.remove(index, object);
            }
            let set = match self.bindings {
                true => self.binding(object).map(|binding| index.set_binding(binding)),
                false => self.role(object).map(|role| index.set_role(role)),
            };
            // What cannot be read any more must not go on granting what it granted before.
            if set.is_none() {
                self.remove(index, object);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use corten_access::authorize::{Attributes, Authorizer};
    use corten_access::user::User;
    use corten_object::json::{self, Form};

    use super::*;
    use crate::cache::CacheId;
    use crate::object::Draft;

    /// `namespace/name` or a name, and what the object holds beside its metadata.
    fn object(key: &str, rest: &str) -> Arc<Object> {
        named(key, key, rest)
    }

    /// One that is kept under a key, and calls itself otherwise.
    fn named(key: &str, own: &str, rest: &str) -> Arc<Object> {
        let meta = match own.split_once('/') {
            Some((namespace, name)) => format!(r#""namespace":"{namespace}","name":"{name}""#),
            None => format!(r#""name":"{own}""#),
        };
        let kind = match (rest.contains("roleRef"), own.contains('/')) {
            (true, true) => "RoleBinding",
            (true, false) => "ClusterRoleBinding",
            (false, true) => "Role",
            (false, false) => "ClusterRole",
        };
        let text = format!(r#"{{"metadata":{{{meta}}},{rest}}}"#);
        let ty = corten_schema::kind("rbac.authorization.k8s.io", "v1", kind).unwrap().ty;
        let form = if rest == BROKEN { Form::Plain } else { Form::Typed(ty) };
        let tree = json::parse(text.into_bytes(), form).unwrap().tree;
        Draft::new(CacheId::new(), tree.root(), key.into(), Box::default()).object(1)
    }

    fn objects(listed: &[(&str, &str)]) -> Objects {
        listed.iter().map(|(key, rest)| (Arc::from(*key), object(key, rest))).collect()
    }

    fn event(kind: EventKind, key: &str, rest: &str) -> Event {
        Event { revision: 2, kind, object: object(key, rest), previous: None }
    }

    const RULES: &str = r#""rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]"#;
    const TO_ROLE: &str = r#""roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"jane"}]"#;
    const TO_CLUSTER_ROLE: &str =
        r#""roleRef":{"kind":"ClusterRole","name":"r"},"subjects":[{"kind":"User","name":"jane"}]"#;
    /// No rules can be read from it.
    const BROKEN: &str = r#""rules":7,"subjects":7"#;

    struct Observers {
        rbac: Arc<Rbac>,
        roles: RbacObserver,
        cluster_roles: RbacObserver,
        role_bindings: RbacObserver,
        cluster_role_bindings: RbacObserver,
    }

    /// Of an index in which jane may read the pods of `one` and `two` by role bindings, and all by one of the cluster.
    fn observers() -> Observers {
        let rbac = Arc::new(Rbac::default());
        let observer = |bindings, namespaced| RbacObserver { rbac: Arc::clone(&rbac), bindings, namespaced };
        let observers = Observers {
            roles: observer(false, true),
            cluster_roles: observer(false, false),
            role_bindings: observer(true, true),
            cluster_role_bindings: observer(true, false),
            rbac: Arc::clone(&rbac),
        };
        observers.roles.reset(&objects(&[("one/r", RULES), ("two/r", RULES)]));
        observers.cluster_roles.reset(&objects(&[("r", RULES)]));
        observers.role_bindings.reset(&objects(&[("one/b", TO_ROLE), ("two/b", TO_ROLE)]));
        observers.cluster_role_bindings.reset(&objects(&[("b", TO_CLUSTER_ROLE)]));
        observers
    }

    /// Where of `one`, `two` and `three` jane may read pods.
    fn granted(rbac: &Rbac) -> Vec<&'static str> {
        let jane = User::new("jane", &[]);
        let may = |namespace: &&'static str| {
            rbac.authorize(&Attributes { namespace, ..Attributes::resource(&jane, "get", "", "v1", "pods") }).allowed()
        };
        ["one", "two", "three"].into_iter().filter(may).collect()
    }

    #[test]
    fn a_reset_revokes_what_is_gone() {
        let check = |reset: &dyn Fn(&Observers), expected: &[&str]| {
            let observers = observers();
            assert_eq!(granted(&observers.rbac), ["one", "two", "three"]);
            reset(&observers);
            assert_eq!(granted(&observers.rbac), expected);
        };
        check(&|all| all.cluster_role_bindings.reset(&Objects::new()), &["one", "two"]);
        check(&|all| all.cluster_roles.reset(&Objects::new()), &["one", "two"]);
        let without_cluster = |all: &Observers| all.cluster_role_bindings.reset(&Objects::new());
        check(
            &|all| {
                without_cluster(all);
                all.role_bindings.reset(&objects(&[("two/b", TO_ROLE)]));
            },
            &["two"],
        );
        check(
            &|all| {
                without_cluster(all);
                all.roles.reset(&objects(&[("one/r", RULES)]));
            },
            &["one"],
        );
        check(
            &|all| {
                without_cluster(all);
                all.role_bindings.reset(&objects(&[("one/b", BROKEN), ("two/b", TO_ROLE)]));
            },
            &["two"],
        );
    }

    #[test]
    fn an_object_that_can_no_longer_be_read_grants_nothing() {
        let check = |change: &dyn Fn(&Observers), expected: &[&str]| {
            let observers = observers();
            observers.cluster_role_bindings.changed(&event(EventKind::Deleted, "b", TO_CLUSTER_ROLE));
            assert_eq!(granted(&observers.rbac), ["one", "two"]);
            change(&observers);
            assert_eq!(granted(&observers.rbac), expected);
        };
        check(&|all| all.role_bindings.changed(&event(EventKind::Modified, "one/b", BROKEN)), &["two"]);
        check(&|all| all.roles.changed(&event(EventKind::Modified, "two/r", BROKEN)), &["one"]);
        check(&|all| all.role_bindings.changed(&event(EventKind::Deleted, "two/b", TO_ROLE)), &["one"]);
    }

    /// What an object calls itself may differ from its key in a store that others write to.
    #[test]
    fn an_object_counts_where_its_key_says() {
        let observers = observers();
        observers.cluster_role_bindings.reset(&Objects::new());
        let mut listed = objects(&[("one/b", TO_ROLE)]);
        listed.insert("three/b".into(), named("three/b", "one/b", TO_ROLE));
        observers.roles.reset(&objects(&[("one/r", RULES), ("three/r", RULES)]));
        observers.role_bindings.reset(&listed);
        assert_eq!(granted(&observers.rbac), ["one", "three"]);
        listed.remove("three/b");
        observers.role_bindings.reset(&listed);
        assert_eq!(granted(&observers.rbac), ["one"]);
    }
}
