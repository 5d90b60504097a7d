//! Nobody gives away what they do not hold. Whoever writes a role must already have its rules, and whoever writes a
//! binding those of the role that it binds to; unless they may do everything, or hold the verb that lifts the rule:
//! `escalate` on the role, `bind` on the role that is referred to.
//!
//! A write that changes only owner references, finalizers or managed fields is not checked; the caller, who has both
//! versions, knows.

use std::collections::BTreeSet;

use corten_api::field::quote;

use super::cover::{Rest, compact_rules, covers};
use super::{GROUP, Index, PolicyRule, RoleRef};
use crate::authorize::{Attributes, Authorizer};
use crate::user::{MASTERS_GROUP, User};
use crate::words::{aggregate, quoted_list};
use corten_api::status::Status;

/// Who writes RBAC objects, with the rules they hold in a snapshot of the index.
pub struct Grantor<'a> {
    pub authorizer: &'a dyn Authorizer,
    pub index: &'a Index,
    pub user: &'a User,
}

/// A write of a Role or ClusterRole.
pub struct RoleWrite<'a> {
    /// `roles` or `clusterroles`.
    pub resource: &'a str,
    /// Of the request; empty for ClusterRoles.
    pub namespace: &'a str,
    /// As in the request's path: empty for a create.
    pub request_name: &'a str,
    pub name: &'a str,
    pub rules: &'a [PolicyRule],
    /// The new or the old version selects other ClusterRoles to take over their rules.
    pub aggregates: bool,
}

impl Grantor<'_> {
    pub fn may_write_role(&self, write: &RoleWrite<'_>) -> Result<(), Status> {
        let escalate = Attributes {
            namespace: write.namespace,
            name: write.request_name,
            ..Attributes::resource(self.user, "escalate", GROUP, "*", write.resource)
        };
        if self.user.in_group(MASTERS_GROUP) || self.authorizer.authorize(&escalate).allowed() {
            return Ok(());
        }
        let forbidden = |why: &str| Status::forbidden(GROUP, write.resource, write.name, why);
        self.holds(write.namespace, write.rules).map_err(|why| forbidden(&why))?;
        if write.aggregates {
            let everything = [PolicyRule::new(&["*"], &["*"], &["*"]), PolicyRule::paths(&["*"], &["*"])];
            self.holds(write.namespace, &everything)
                .map_err(|_| forbidden("must have cluster-admin privileges to use the aggregationRule"))?;
        }
        Ok(())
    }

    /// `namespace` is empty for a ClusterRoleBinding.
    pub fn may_write_binding(&self, namespace: &str, name: &str, role: &RoleRef) -> Result<(), Status> {
        if self.user.in_group(MASTERS_GROUP) || self.may_bind(namespace, role) {
            return Ok(());
        }
        let rules = self.index.role_rules(role, namespace)?;
        let resource = if namespace.is_empty() { "clusterrolebindings" } else { "rolebindings" };
        self.holds(namespace, rules).map_err(|why| Status::forbidden(GROUP, resource, name, &why))
    }

    fn may_bind(&self, namespace: &str, role: &RoleRef) -> bool {
        let resource = match role.kind.as_str() {
            "ClusterRole" => "clusterroles",
            "Role" => "roles",
            _ => return false,
        };
        let bind = Attributes {
            namespace,
            name: &role.name,
            ..Attributes::resource(self.user, "bind", &role.api_group, "*", resource)
        };
        self.authorizer.authorize(&bind).allowed()
    }

    /// Whether the user has all of these rules in the namespace; why not, if not.
    fn holds(&self, namespace: &str, rules: &[PolicyRule]) -> Result<(), String> {
        let resolved = self.index.resolve(self.user, namespace);
        let missing = covers(&resolved.rules().collect::<Vec<_>>(), rules);
        if missing.is_empty() {
            return Ok(());
        }
        let rest = match missing.rest {
            Rest::Nothing => None,
            Rest::NotListed => Some("and more, which are not listed"),
            Rest::NotCompared => Some("and those that were not compared, because the rules overlap in too many ways"),
        };
        let lines: BTreeSet<String> = compact_rules(missing.rules).iter().map(PolicyRule::to_string).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).chain(rest).collect();
        let mut why = format!(
            "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            quote(&self.user.name),
            quoted_list(&self.user.groups),
            lines.join("\n"),
        );
        if let Some(errors) = aggregate(&resolved.errors(true)) {
            why.push_str(&format!("; resolution errors: [{errors}]"));
        }
        Err(why)
    }
}
