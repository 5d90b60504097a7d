//! Who is bound to what. Every map is persistent, so that a snapshot costs nothing and a change little.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use super::compile::{CompiledRole, Probe};
use super::{Binding, GROUP, PolicyRule, Role, RoleRef};
use crate::authorize::Attributes;
use crate::user::User;
use corten_api::status::Status;

#[derive(Clone, Default)]
pub struct Index {
    cluster: Scope,
    namespaces: HashMap<Arc<str>, Arc<Scope>>,
}

/// The roles and bindings of a namespace, or of the cluster.
#[derive(Clone, Default)]
struct Scope {
    roles: HashMap<Arc<str>, Arc<CompiledRole>>,
    bindings: HashMap<Arc<str>, Arc<Binding>>,
    /// By user name, service accounts included.
    users: HashMap<Arc<str>, Arc<Bound>>,
    groups: HashMap<Arc<str>, Arc<Bound>>,
}

/// What is bound to a subject: its roles, each with the bindings that say so, by name. A role that many bindings give is
/// looked at once.
#[derive(Clone, Default)]
struct Bound(OrdMap<Arc<RoleRef>, Bindings>);

type Bindings = OrdMap<Arc<str>, Arc<Binding>>;

/// Which of a scope's two maps a subject is in.
enum Key {
    User(String),
    Group(String),
}

/// How a search ended.
pub(super) struct Found<'i> {
    pub(super) binding: Option<&'i Arc<Binding>>,
    /// A role was not there.
    pub(super) incomplete: bool,
}

/// What bindings give a user: the rules of each, or the role that is missing, in the order of the bindings' names,
/// those of the cluster first.
pub struct Resolved<'i>(Vec<Result<&'i [PolicyRule], &'i RoleRef>>);

impl Index {
    pub fn set_role(&mut self, role: Role) {
        let Role { namespace, name, rules } = role;
        self.scope_mut(&namespace).roles.insert(name.into(), Arc::new(CompiledRole::new(rules)));
    }

    pub fn remove_role(&mut self, namespace: &str, name: &str) {
        self.scope_mut(namespace).roles.remove(name);
        self.forget_if_empty(namespace);
    }

    pub fn set_binding(&mut self, binding: Binding) {
        let binding = Arc::new(binding);
        let scope = self.scope_mut(&binding.namespace);
        if let Some(old) = scope.bindings.insert(binding.name.as_str().into(), Arc::clone(&binding)) {
            scope.unbind(&old);
        }
        scope.bind(&binding);
    }

    pub fn remove_binding(&mut self, namespace: &str, name: &str) {
        let scope = self.scope_mut(namespace);
        if let Some(old) = scope.bindings.remove(name) {
            scope.unbind(&old);
        }
        self.forget_if_empty(namespace);
    }

    /// Replaces the roles of all namespaces, or else those of the cluster.
    pub fn replace_roles(&mut self, namespaced: bool, roles: impl IntoIterator<Item = Role>) {
        self.empty(namespaced, |scope| scope.roles.clear());
        roles.into_iter().for_each(|role| self.set_role(role));
    }

    /// Replaces the bindings of all namespaces, or else those of the cluster.
    pub fn replace_bindings(&mut self, namespaced: bool, bindings: impl IntoIterator<Item = Binding>) {
        self.empty(namespaced, |scope| {
            scope.bindings.clear();
            scope.users.clear();
            scope.groups.clear();
        });
        bindings.into_iter().for_each(|binding| self.set_binding(binding));
    }

    fn empty(&mut self, namespaced: bool, empty: impl Fn(&mut Scope)) {
        if !namespaced {
            return empty(&mut self.cluster);
        }
        let names: Vec<Arc<str>> = self.namespaces.keys().cloned().collect();
        for name in names {
            empty(self.scope_mut(&name));
            self.forget_if_empty(&name);
        }
    }

    pub fn binding_count(&self) -> usize {
        self.cluster.bindings.len() + self.namespaces.values().map(|scope| scope.bindings.len()).sum::<usize>()
    }

    /// A binding that allows what is asked, if there is one: those of the cluster first, the user's own before those of
    /// groups.
    pub(super) fn find<'i>(&'i self, attributes: &Attributes<'i>) -> Found<'i> {
        let probe = Probe::new(attributes);
        let mut incomplete = false;
        for (namespace, scope) in self.scopes(attributes.namespace) {
            for (role, bindings) in scope.bound_to(attributes.user).flat_map(|bound| &bound.0) {
                match self.role(role, namespace) {
                    None => incomplete = true,
                    Some(role) if role.allows(probe, attributes) => {
                        return Found { binding: bindings.get_min().map(|(_, binding)| binding), incomplete };
                    }
                    Some(_) => {}
                }
            }
        }
        Found { binding: None, incomplete }
    }

    pub fn resolve<'i>(&'i self, user: &'i User, namespace: &'i str) -> Resolved<'i> {
        let mut resolved = Vec::new();
        for (namespace, scope) in self.scopes(namespace) {
            let bound = scope.bound_to(user).flat_map(|bound| &bound.0).flat_map(|(_, bindings)| bindings.values());
            // A user can be bound by name and by group at once; the binding counts once.
            let by_name: BTreeMap<&str, &Binding> = bound.map(|binding| (binding.name.as_str(), &**binding)).collect();
            resolved.extend(by_name.into_values().map(|binding| {
                self.role(&binding.role, namespace).map(|role| role.rules.as_slice()).ok_or(&binding.role)
            }));
        }
        Resolved(resolved)
    }

    /// The rules of the role that a binding in this namespace refers to.
    pub fn role_rules(&self, role: &RoleRef, namespace: &str) -> Result<&[PolicyRule], Status> {
        match (self.role(role, namespace), role.kind.as_str()) {
            (Some(role), _) => Ok(&role.rules),
            (None, "Role") => Err(Status::not_found(GROUP, "roles", &role.name)),
            (None, "ClusterRole") => Err(Status::not_found(GROUP, "clusterroles", &role.name)),
            (None, _) => Err(Status::internal(missing(role, true))),
        }
    }

    fn role(&self, role: &RoleRef, namespace: &str) -> Option<&CompiledRole> {
        let scope = match role.kind.as_str() {
            "ClusterRole" => &self.cluster,
            "Role" if !namespace.is_empty() => &**self.namespaces.get(namespace)?,
            _ => return None,
        };
        scope.roles.get(role.name.as_str()).map(|role| &**role)
    }

    /// The bindings that count in a namespace, each with where the roles that they refer to are.
    fn scopes<'i>(&'i self, namespace: &'i str) -> impl Iterator<Item = (&'i str, &'i Scope)> {
        let inner = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        std::iter::once(("", &self.cluster)).chain(inner.map(|scope| (namespace, &**scope)))
    }

    fn scope_mut(&mut self, namespace: &str) -> &mut Scope {
        match namespace {
            "" => &mut self.cluster,
            namespace => Arc::make_mut(self.namespaces.entry(namespace.into()).or_default()),
        }
    }

    fn forget_if_empty(&mut self, namespace: &str) {
        let empty = |scope: &Arc<Scope>| scope.roles.is_empty() && scope.bindings.is_empty();
        if self.namespaces.get(namespace).is_some_and(empty) {
            self.namespaces.remove(namespace);
        }
    }
}

impl Scope {
    fn bound_to<'s>(&'s self, user: &'s User) -> impl Iterator<Item = &'s Bound> {
        let own = self.users.get(user.name.as_str());
        own.into_iter()
            .chain(user.groups.iter().filter_map(|group| self.groups.get(group.as_str())))
            .map(|bound| &**bound)
    }

    fn bind(&mut self, binding: &Arc<Binding>) {
        for key in keys(binding) {
            let (map, name) = self.map_of(key);
            Arc::make_mut(map.entry(name.into()).or_default()).add(binding);
        }
    }

    fn unbind(&mut self, binding: &Binding) {
        for key in keys(binding) {
            let (map, name) = self.map_of(key);
            let Some(bound) = map.get_mut(name.as_str()) else { continue };
            let bound = Arc::make_mut(bound);
            bound.remove(binding);
            if bound.0.is_empty() {
                map.remove(name.as_str());
            }
        }
    }

    fn map_of(&mut self, key: Key) -> (&mut HashMap<Arc<str>, Arc<Bound>>, String) {
        match key {
            Key::User(name) => (&mut self.users, name),
            Key::Group(name) => (&mut self.groups, name),
        }
    }
}

impl Bound {
    fn add(&mut self, binding: &Arc<Binding>) {
        let (name, entry) = (binding.name.as_str().into(), Arc::clone(binding));
        match self.0.get_mut(&binding.role) {
            Some(bindings) => {
                bindings.insert(name, entry);
            }
            None => {
                self.0.insert(Arc::new(binding.role.clone()), OrdMap::unit(name, entry));
            }
        }
    }

    fn remove(&mut self, binding: &Binding) {
        if let Some(bindings) = self.0.get_mut(&binding.role) {
            bindings.remove(binding.name.as_str());
            if bindings.is_empty() {
                self.0.remove(&binding.role);
            }
        }
    }
}

impl<'i> Resolved<'i> {
    pub fn rules(&self) -> impl Iterator<Item = &'i PolicyRule> {
        self.0.iter().copied().filter_map(Result::ok).flatten()
    }

    /// The roles that were not found. Upstream's authorizer and its storage name the resource differently, and so do
    /// their messages.
    pub fn errors(&self, in_storage: bool) -> Vec<String> {
        self.0.iter().filter_map(|resolved| resolved.err()).map(|role| missing(role, in_storage)).collect()
    }
}

fn keys(binding: &Binding) -> impl Iterator<Item = Key> {
    binding.subjects.iter().filter_map(|subject| match subject.kind.as_str() {
        "Group" => Some(Key::Group(subject.name.clone())),
        _ => subject.username(&binding.namespace).map(Key::User),
    })
}

fn missing(role: &RoleRef, in_storage: bool) -> String {
    let plural = if in_storage { "s" } else { "" };
    match role.kind.as_str() {
        kind @ ("Role" | "ClusterRole") => {
            format!("{}{plural}.{GROUP} \"{}\" not found", kind.to_ascii_lowercase(), role.name)
        }
        kind => format!("unsupported role reference kind: {}", corten_api::field::quote(kind)),
    }
}
