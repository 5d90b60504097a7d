//! How a service account is named as a user, and what of it a token carries.

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

pub fn username(namespace: &str, name: &str) -> String {
    format!("{USERNAME_PREFIX}{namespace}:{name}")
}

pub fn groups(namespace: &str) -> Vec<String> {
    vec![ALL_GROUP.to_owned(), format!("{GROUP_PREFIX}{namespace}")]
}

/// Namespace and name of the service account that a user name stands for.
pub fn split_username(username: &str) -> Option<(&str, &str)> {
    let (namespace, name) = username.strip_prefix(USERNAME_PREFIX)?.split_once(':')?;
    (is_dns_label(namespace) && is_dns_subdomain(name)).then_some((namespace, name))
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

fn is_dns_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

/// Labels joined by dots; unlike a label alone, the whole may be long and so may each part.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        edge(part.as_bytes().first())
            && edge(part.as_bytes().last())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

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
