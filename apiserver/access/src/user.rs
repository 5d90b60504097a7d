//! Who a request comes from. A user is a name with groups; nothing is stored about it, and whoever may say who is
//! asking (certificate, token, front proxy) says it anew with each request.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// May do everything, without a rule that says so.
pub const MASTERS_GROUP: &str = "system:masters";
pub const NODES_GROUP: &str = "system:nodes";
pub const MONITORING_GROUP: &str = "system:monitoring";
pub const AUTHENTICATED_GROUP: &str = "system:authenticated";
pub const UNAUTHENTICATED_GROUP: &str = "system:unauthenticated";

pub const ANONYMOUS: &str = "system:anonymous";
/// The API server itself, where it asks on its own behalf.
pub const API_SERVER: &str = "system:apiserver";
pub const KUBE_PROXY: &str = "system:kube-proxy";
pub const KUBE_CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
pub const KUBE_SCHEDULER: &str = "system:kube-scheduler";
pub const NODE_PREFIX: &str = "system:node:";

/// The key in `extra` under which the credential that was used is named (`X509SHA256=…`, `JTI=…`).
pub const CREDENTIAL_ID_KEY: &str = "authentication.kubernetes.io/credential-id";

pub type Extra = BTreeMap<String, Vec<String>>;

/// A user; cheap to clone, because everything that handles a request holds one.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct User(Arc<Info>);

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Info {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    /// What authenticators add; keys are lower case, because impersonation carries them in header names.
    pub extra: Extra,
}

impl User {
    pub fn new(name: impl Into<String>, groups: &[&str]) -> User {
        Info { name: name.into(), groups: groups.iter().map(|&group| group.to_owned()).collect(), ..Info::default() }
            .into()
    }

    pub fn anonymous() -> User {
        User::new(ANONYMOUS, &[UNAUTHENTICATED_GROUP])
    }

    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|mine| mine == group)
    }

    /// Whether nothing is known about who asks; such clients do not get to keep HTTP/2 connections.
    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS || self.in_group(UNAUTHENTICATED_GROUP)
    }

    /// The node that this user is the agent of: group and name prefix both have to say so.
    pub fn node_name(&self) -> Option<&str> {
        let name = self.name.strip_prefix(NODE_PREFIX)?;
        self.in_group(NODES_GROUP).then_some(name)
    }

    /// This user with `system:authenticated` among the groups, as every authenticated one but the anonymous has it.
    pub fn authenticated(self) -> User {
        if self.name == ANONYMOUS || self.in_group(AUTHENTICATED_GROUP) || self.in_group(UNAUTHENTICATED_GROUP) {
            return self;
        }
        let mut info = Arc::unwrap_or_clone(self.0);
        info.groups.push(AUTHENTICATED_GROUP.to_owned());
        info.into()
    }

    /// The only value under a key of `extra`; nothing if there are several.
    pub fn extra_value(&self, key: &str) -> Option<&str> {
        match self.extra.get(key)?.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub fn into_info(self) -> Info {
        Arc::unwrap_or_clone(self.0)
    }
}

impl From<Info> for User {
    fn from(info: Info) -> User {
        User(Arc::new(info))
    }
}

impl Deref for User {
    type Target = Info;
    fn deref(&self) -> &Info {
        &self.0
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authenticated_group_is_added_once_and_never_to_anonymous() {
        let check = |name, groups: &[&str], expected: &[&str]| {
            assert_eq!(User::new(name, groups).authenticated().groups, expected, "{name} {groups:?}");
        };
        check("jane", &[], &["system:authenticated"]);
        check("jane", &["dev"], &["dev", "system:authenticated"]);
        check("jane", &["system:authenticated", "dev"], &["system:authenticated", "dev"]);
        check("jane", &["system:unauthenticated"], &["system:unauthenticated"]);
        check("system:anonymous", &[], &[]);
    }

    #[test]
    fn node_identity_needs_name_and_group() {
        let check =
            |name, groups: &[&str], expected| assert_eq!(User::new(name, groups).node_name(), expected, "{name}");
        check("system:node:a", &[NODES_GROUP], Some("a"));
        check("system:node:a", &[], None);
        check("a", &[NODES_GROUP], None);
    }
}
