//! How a service account is named as a user, what of it a token carries, and the objects that a token's life depends on.

use std::future::Future;
use std::pin::Pin;

use corten_api::names::{validate_namespace_name, validate_service_account_name};
use corten_api::status::Status;
use corten_runtime::clock::Wall;

use crate::user::{CREDENTIAL_ID_KEY, Extra, Info, User};

pub const USERNAME_PREFIX: &str = "system:serviceaccount:";
pub const GROUP_PREFIX: &str = "system:serviceaccounts:";
pub const ALL_GROUP: &str = "system:serviceaccounts";

pub const POD_NAME_KEY: &str = "authentication.kubernetes.io/pod-name";
pub const POD_UID_KEY: &str = "authentication.kubernetes.io/pod-uid";
pub const NODE_NAME_KEY: &str = "authentication.kubernetes.io/node-name";
pub const NODE_UID_KEY: &str = "authentication.kubernetes.io/node-uid";
/// The audit annotation of a request that issued a token.
pub const ISSUED_CREDENTIAL_ID_KEY: &str = "authentication.kubernetes.io/issued-credential-id";

/// A service account as its token shows it; absent parts are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub pod_name: String,
    pub pod_uid: String,
    pub node_name: String,
    pub node_uid: String,
    pub credential_id: String,
}

/// Where the objects are found that tokens are bound to. What is looked up may have been written a moment ago by another
/// server: an implementation that does not find it in its cache asks the storage.
pub trait ServiceAccounts: Send + Sync {
    fn service_account<'a>(&'a self, namespace: &'a str, name: &'a str) -> Lookup<'a, ServiceAccount>;
    fn secret<'a>(&'a self, namespace: &'a str, name: &'a str) -> Lookup<'a, Secret>;
    fn pod<'a>(&'a self, namespace: &'a str, name: &'a str) -> Lookup<'a, Pod>;
    fn node<'a>(&'a self, name: &'a str) -> Lookup<'a, Meta>;

    /// The revision of the storage that lookups show, at least.
    fn revision(&self) -> u64 {
        0
    }

    /// Whether lookups at this revision were behind the storage; they have caught up then. Asked before a token is
    /// refused for what they showed.
    fn was_behind(&self, _revision: u64) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(std::future::ready(false))
    }

    /// A token kept in a Secret was used: its label `kubernetes.io/legacy-token-last-used` is to become this day.
    /// Must not wait for it.
    fn secret_used(&self, _namespace: &str, _secret: &Secret, _day: &str) {}

    /// A token was looked at, for whoever counts.
    fn token_used(&self, _kind: TokenKind) {}
}

/// What tokens of service accounts are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// One whose holder is to ask for another before a certain time, before that time.
    Valid,
    /// The same after that time.
    Stale,
    /// It names no audience.
    Legacy,
    /// Kept in a Secret that somebody made.
    LegacyManual,
    /// Kept in a Secret that was made for the service account.
    LegacyAuto,
    /// Marked as invalid, because it was not used for long.
    InvalidLegacyAuto,
}

/// Not found is a Status like any other failure.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send + 'a>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    pub name: String,
    pub uid: String,
    pub deletion_timestamp: Option<Wall>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAccount {
    pub meta: Meta,
    pub namespace: String,
    /// The names in its `secrets`.
    pub secrets: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    pub meta: Meta,
    /// `data.token`
    pub token: Vec<u8>,
    /// The label `kubernetes.io/legacy-token-invalid-since`; empty if there is none.
    pub invalid_since: String,
    /// The label `kubernetes.io/legacy-token-last-used`; empty if there is none.
    pub last_used: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub meta: Meta,
    pub service_account_name: String,
    pub node_name: String,
}

pub fn username(namespace: &str, name: &str) -> String {
    format!("{USERNAME_PREFIX}{namespace}:{name}")
}

pub fn groups(namespace: &str) -> Vec<String> {
    vec![ALL_GROUP.to_owned(), format!("{GROUP_PREFIX}{namespace}")]
}

/// Namespace and name of the service account that a user name stands for.
pub fn split_username(username: &str) -> Option<(&str, &str)> {
    let (namespace, name) = username.strip_prefix(USERNAME_PREFIX)?.split_once(':')?;
    let valid =
        validate_namespace_name(namespace, false).is_empty() && validate_service_account_name(name, false).is_empty();
    valid.then_some((namespace, name))
}

impl Identity {
    pub fn into_user(self) -> User {
        let mut extra = Extra::new();
        let mut put = |key: &str, value: String| extra.insert(key.to_owned(), vec![value]);
        if !self.pod_name.is_empty() && !self.pod_uid.is_empty() {
            put(POD_NAME_KEY, self.pod_name);
            put(POD_UID_KEY, self.pod_uid);
        }
        if !self.credential_id.is_empty() {
            put(CREDENTIAL_ID_KEY, self.credential_id);
        }
        if !self.node_name.is_empty() {
            put(NODE_NAME_KEY, self.node_name);
            if !self.node_uid.is_empty() {
                put(NODE_UID_KEY, self.node_uid);
            }
        }
        let name = username(&self.namespace, &self.name);
        Info { name, uid: self.uid, groups: groups(&self.namespace), extra }.into()
    }
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        let check = |username, expected| assert_eq!(split_username(username), expected, "{username}");
        check("system:serviceaccount:ns:name", Some(("ns", "name")));
        check("system:serviceaccount:ns:na.me-1", Some(("ns", "na.me-1")));
        check("system:serviceaccount:ns", None);
        check("system:serviceaccount:ns:name:more", None);
        check("system:serviceaccount::name", None);
        check("system:serviceaccount:ns:", None);
        check("system:serviceaccount:n.s:name", None);
        check("system:serviceaccount:NS:name", None);
        check("system:serviceaccount:ns:name-", None);
        check("user", None);
        assert_eq!(username("ns", "name"), "system:serviceaccount:ns:name");
    }

    #[test]
    fn extra_names_what_the_token_is_bound_to() {
        let identity = Identity {
            namespace: "ns".into(),
            name: "sa".into(),
            uid: "u".into(),
            pod_name: "p".into(),
            pod_uid: "pu".into(),
            node_name: "n".into(),
            credential_id: "JTI=1".into(),
            ..Identity::default()
        };
        let user = identity.into_user();
        assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:ns"]);
        assert_eq!(
            user.extra.iter().map(|(key, values)| format!("{key}={}", values.join(","))).collect::<Vec<_>>(),
            [
                "authentication.kubernetes.io/credential-id=JTI=1",
                "authentication.kubernetes.io/node-name=n",
                "authentication.kubernetes.io/pod-name=p",
                "authentication.kubernetes.io/pod-uid=pu",
            ]
        );
    }
}
