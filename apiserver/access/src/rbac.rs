//! Role-based access control: an index of roles and bindings, kept up to date as the objects change, and decisions
//! made on snapshots of it.
//!
//! The index knows for each user and group what is bound to them, cluster-wide and in each namespace, so that a
//! decision looks at the asking user's bindings and not at all there are. A service account is indexed under its user
//! name, which is all that identifies it. Maps are persistent: a change shares what it does not touch with the snapshot
//! before it, and readers neither lock nor wait.
//!
//! A binding counts by its present role; roles may come later than what binds to them. Rules only ever allow, so what
//! cannot be found is reported and otherwise ignored.

mod compile;
mod cover;
mod escalation;
mod index;
mod rule;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use corten_api::field::quote;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::authorize::{Attributes, Authorizer, Rules, Verdict};
use crate::review::{NonResourceRule, ResourceRule};
use crate::user::User;
use crate::words::aggregate;

pub use cover::{Missing, Rest, compact_rules, covers};
pub use escalation::{Grantor, RoleWrite};
pub use index::{Index, Resolved};
pub use rule::PolicyRule;

pub const GROUP: &str = "rbac.authorization.k8s.io";

/// A Role, or, without a namespace, a ClusterRole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    pub namespace: String,
    pub name: String,
    pub rules: Vec<PolicyRule>,
}

/// A RoleBinding, or, without a namespace, a ClusterRoleBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    pub namespace: String,
    pub name: String,
    pub role: RoleRef,
    pub subjects: Vec<Subject>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RoleRef {
    pub api_group: String,
    /// `Role` (of the binding's namespace) or `ClusterRole`.
    pub kind: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`.
    pub kind: String,
    pub api_group: String,
    pub name: String,
    /// Of a service account; the binding's own where it is empty.
    pub namespace: String,
}

/// Why RBAC allowed something; its text is what upstream gives as the reason.
#[derive(Clone, Debug)]
pub struct Grant {
    binding: Arc<Binding>,
    user: User,
}

/// The authorizer, and the place that changes of RBAC objects are reported to.
#[derive(Default)]
pub struct Rbac {
    index: ArcSwap<Index>,
    /// Writers take turns, because each builds on the snapshot before.
    writer: Mutex<()>,
}

impl Rbac {
    /// Applies changes as one: no decision sees a part of them. Many changes in one call cost much less than in many.
    pub fn update(&self, change: impl FnOnce(&mut Index)) {
        let _turn = self.writer.lock();
        let mut index = Index::clone(&self.index.load());
        change(&mut index);
        self.index.store(Arc::new(index));
    }

    pub fn set_role(&self, role: Role) {
        self.update(|index| index.set_role(role));
    }

    /// An empty namespace means a ClusterRole.
    pub fn remove_role(&self, namespace: &str, name: &str) {
        self.update(|index| index.remove_role(namespace, name));
    }

    pub fn set_binding(&self, binding: Binding) {
        self.update(|index| index.set_binding(binding));
    }

    /// An empty namespace means a ClusterRoleBinding.
    pub fn remove_binding(&self, namespace: &str, name: &str) {
        self.update(|index| index.remove_binding(namespace, name));
    }

    /// Everything anew, after a list.
    pub fn replace(&self, roles: impl IntoIterator<Item = Role>, bindings: impl IntoIterator<Item = Binding>) {
        let mut index = Index::default();
        roles.into_iter().for_each(|role| index.set_role(role));
        bindings.into_iter().for_each(|binding| index.set_binding(binding));
        let _turn = self.writer.lock();
        self.index.store(Arc::new(index));
    }

    pub fn snapshot(&self) -> Arc<Index> {
        self.index.load_full()
    }
}

impl Authorizer for Rbac {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let index = self.index.load();
        let found = index.find(attributes);
        match found.binding {
            Some(binding) => Verdict::allow(Grant { binding: Arc::clone(binding), user: attributes.user.clone() }),
            None if found.incomplete => {
                let errors = index.resolve(attributes.user, attributes.namespace).errors(false);
                let errors = aggregate(&errors).unwrap_or_default();
                Verdict::no_opinion(format!("RBAC: {errors}"))
            }
            None => Verdict::no_opinion(""),
        }
    }

    fn rules_for(&self, user: &User, namespace: &str) -> Rules {
        let index = self.index.load();
        let resolved = index.resolve(user, namespace);
        let mut listed = Rules { errors: resolved.errors(false), ..Rules::default() };
        for rule in resolved.rules() {
            if !rule.resources.is_empty() {
                listed.resource_rules.push(ResourceRule {
                    verbs: rule.verbs.clone(),
                    api_groups: rule.api_groups.clone(),
                    resources: rule.resources.clone(),
                    resource_names: rule.resource_names.clone(),
                });
            }
            if !rule.non_resource_urls.is_empty() {
                listed.non_resource_rules.push(NonResourceRule {
                    verbs: rule.verbs.clone(),
                    non_resource_urls: rule.non_resource_urls.clone(),
                });
            }
        }
        listed
    }
}

impl Subject {
    /// The user name that a subject of this kind stands for; nothing for groups and for what means nobody.
    fn username(&self, binding_namespace: &str) -> Option<String> {
        match self.kind.as_str() {
            "User" => Some(self.name.clone()),
            "ServiceAccount" => {
                let namespace = if self.namespace.is_empty() { binding_namespace } else { &self.namespace };
                (!namespace.is_empty()).then(|| crate::service_account::username(namespace, &self.name))
            }
            _ => None,
        }
    }
}

/// Tells which of many subjects a user with many groups is.
struct Matcher<'u> {
    user: &'u User,
    groups: HashSet<&'u str>,
}

impl<'u> Matcher<'u> {
    fn new(user: &'u User) -> Matcher<'u> {
        Matcher { user, groups: user.groups.iter().map(String::as_str).collect() }
    }

    fn matches(&self, subject: &Subject, binding_namespace: &str) -> bool {
        match subject.kind.as_str() {
            "Group" => self.groups.contains(subject.name.as_str()),
            _ => subject.username(binding_namespace).is_some_and(|name| name == self.user.name),
        }
    }
}

impl fmt::Display for Grant {
    /// `RBAC: allowed by RoleBinding "b/ns" of Role "r" to ServiceAccount "sa/ns"`; the name does come before the
    /// namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { namespace, name, role, subjects } = &*self.binding;
        let (kind, name) = match namespace.as_str() {
            "" => ("ClusterRoleBinding", quote(name)),
            namespace => ("RoleBinding", quote(&format!("{name}/{namespace}"))),
        };
        write!(f, "RBAC: allowed by {kind} {name} of {} {} to ", role.kind, quote(&role.name))?;
        let matcher = Matcher::new(&self.user);
        let Some(subject) = subjects.iter().find(|subject| matcher.matches(subject, namespace)) else {
            return Ok(());
        };
        let subject_name = match subject.kind.as_str() {
            "ServiceAccount" if subject.namespace.is_empty() => format!("{}/{namespace}", subject.name),
            "ServiceAccount" => format!("{}/{}", subject.name, subject.namespace),
            _ => subject.name.clone(),
        };
        write!(f, "{} {}", subject.kind, quote(&subject_name))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stored {
    metadata: StoredMetadata,
    rules: Option<Vec<PolicyRule>>,
    #[serde(rename = "roleRef")]
    role_ref: RoleRef,
    subjects: Option<Vec<Subject>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StoredMetadata {
    name: String,
    namespace: String,
}

impl Role {
    /// From the JSON of a Role or ClusterRole.
    pub fn from_json(bytes: &[u8]) -> Result<Role, serde_json::Error> {
        let Stored { metadata, rules, .. } = serde_json::from_slice(bytes)?;
        Ok(Role { namespace: metadata.namespace, name: metadata.name, rules: rules.unwrap_or_default() })
    }
}

impl Binding {
    /// From the JSON of a RoleBinding or ClusterRoleBinding.
    pub fn from_json(bytes: &[u8]) -> Result<Binding, serde_json::Error> {
        let Stored { metadata, role_ref, subjects, .. } = serde_json::from_slice(bytes)?;
        Ok(Binding {
            namespace: metadata.namespace,
            name: metadata.name,
            role: role_ref,
            subjects: subjects.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
