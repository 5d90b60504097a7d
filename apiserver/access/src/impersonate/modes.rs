//! The modes of impersonation: for whom each is, and what has to be allowed for it.

use corten_api::field::Path;
use corten_api::names::{is_domain_prefixed_path, name_is_dns_subdomain};
use corten_api::status::Status;

use super::Impersonated;
use crate::authorize::{Attributes, Authorizer, forbidden};
use crate::service_account::{self, NODE_NAME_KEY, split_username};
use crate::user::{
    ANONYMOUS, AUTHENTICATED_GROUP, Extra, Info, MASTERS_GROUP, NODE_PREFIX, NODES_GROUP, UNAUTHENTICATED_GROUP, User,
};
use crate::words::{aggregate, quoted_list};

const AUTHENTICATION_GROUP: &str = "authentication.k8s.io";
/// What a requester has in `extra`, as the authorizers see it in the mode for a pod's own node.
const ASSOCIATED_NODE_KEYS: &str = "authentication.kubernetes.io/associated-node-keys";
/// From so many on, one check of `*` comes before the single ones.
const MANY: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

/// One attempt: a mode, on behalf of somebody.
struct Attempt<'a> {
    mode: Mode,
    authorizer: &'a dyn Authorizer,
    requester: &'a User,
}

impl Mode {
    pub(super) const ALL: [Mode; 5] =
        [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo, Mode::Legacy];

    fn verb(self) -> &'static str {
        match self {
            Mode::AssociatedNode => "impersonate:associated-node",
            Mode::ArbitraryNode => "impersonate:arbitrary-node",
            Mode::ServiceAccount => "impersonate:serviceaccount",
            Mode::UserInfo => "impersonate:user-info",
            Mode::Legacy => "impersonate",
        }
    }

    fn constrained(self) -> bool {
        self != Mode::Legacy
    }

    /// `None` where the mode is not for this user.
    pub(super) fn check(
        self,
        authorizer: &dyn Authorizer,
        wanted: &Info,
        attributes: &Attributes<'_>,
    ) -> Result<Option<Impersonated>, Status> {
        let requester = attributes.user;
        if !self.is_for(wanted, requester) {
            return Ok(None);
        }
        // The authorizers see which keys the requester's extra has, and not their values: the check is about any pod of
        // the service account, whatever node it is on.
        let seen = match self {
            Mode::AssociatedNode => {
                let keys = requester.extra.keys().cloned().collect();
                let extra = Extra::from([(ASSOCIATED_NODE_KEYS.to_owned(), keys)]);
                User::from(Info { extra, ..requester.clone().into_info() })
            }
            _ => requester.clone(),
        };
        let attempt = Attempt { mode: self, authorizer, requester: &seen };
        if self.constrained() {
            let (_, mode) = self.verb().split_once(':').unwrap_or_default();
            let verb = format!("impersonate-on:{mode}:{}", attributes.verb);
            attempt.authorize(Attributes { user: &seen, verb: &verb, ..*attributes })?;
        }
        let user = attempt.user(wanted)?;
        let constraint = if self.constrained() { self.verb() } else { "" };
        Ok(Some(Impersonated { user, constraint }))
    }

    fn is_for(self, wanted: &Info, requester: &User) -> bool {
        let only_a_name = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let (node, service_account) = (node_name(&wanted.name), split_username(&wanted.name));
        match self {
            Mode::AssociatedNode => {
                let own = requester.extra_value(NODE_NAME_KEY);
                only_a_name && node.is_some() && node == own && split_username(&requester.name).is_some()
            }
            Mode::ArbitraryNode => only_a_name && node.is_some(),
            Mode::ServiceAccount => only_a_name && service_account.is_some(),
            Mode::UserInfo => node.is_none() && service_account.is_none(),
            Mode::Legacy => true,
        }
    }
}

impl Attempt<'_> {
    /// The user that results, if each part of it may be impersonated.
    fn user(&self, wanted: &Info) -> Result<User, Status> {
        let mut user = wanted.clone();
        self.name(wanted, &mut user.groups)?;
        if !wanted.uid.is_empty() {
            self.authorize(self.part(AUTHENTICATION_GROUP, "uids", &wanted.uid))?;
        }
        self.groups(&wanted.groups)?;
        self.extra(&wanted.extra)?;
        let unauthenticated = user.groups.iter().any(|group| group == UNAUTHENTICATED_GROUP);
        let (group, wants) = match user.name.as_str() {
            ANONYMOUS => (UNAUTHENTICATED_GROUP, true),
            _ => (AUTHENTICATED_GROUP, !unauthenticated),
        };
        if wants && !user.groups.iter().any(|mine| mine == group) {
            user.groups.push(group.to_owned());
        }
        Ok(user.into())
    }

    fn name(&self, wanted: &Info, groups: &mut Vec<String>) -> Result<(), Status> {
        let constrained = self.mode.constrained();
        let mut attributes = self.part(self.user_group(), "users", &wanted.name);
        let not_with_groups = |attributes: &Attributes<'_>, what: &str| {
            let reason =
                format!("when impersonating a {what}, cannot impersonate groups {}", quoted_list(&wanted.groups));
            Err(forbidden(attributes, &reason))
        };
        if let (true, Some(node)) = (constrained, node_name(&wanted.name)) {
            (attributes.resource, attributes.name) = ("nodes", node);
            if !wanted.groups.is_empty() {
                return not_with_groups(&attributes, "node");
            }
            *groups = vec![NODES_GROUP.to_owned()];
        }
        if let Some((namespace, name)) = split_username(&wanted.name) {
            (attributes.resource, attributes.namespace, attributes.name) = ("serviceaccounts", namespace, name);
            if constrained && !wanted.groups.is_empty() {
                return not_with_groups(&attributes, "service account");
            }
            if wanted.groups.is_empty() {
                *groups = service_account::groups(namespace);
            }
        }
        self.authorize(attributes)
    }

    fn groups(&self, groups: &[String]) -> Result<(), Status> {
        let attributes = self.part(self.user_group(), "groups", "");
        if self.mode.constrained() {
            if groups.iter().any(String::is_empty) {
                return Err(forbidden(&attributes, "impersonating the empty string group is not allowed"));
            }
            if groups.iter().any(|group| group == MASTERS_GROUP) {
                let attributes = Attributes { name: MASTERS_GROUP, ..attributes };
                return Err(forbidden(&attributes, "impersonating the system:masters group is not allowed"));
            }
            if groups.len() >= MANY && self.authorize(Attributes { name: "*", ..attributes }).is_ok() {
                return Ok(());
            }
        }
        groups.iter().try_for_each(|group| self.authorize(Attributes { name: group, ..attributes }))
    }

    fn extra(&self, extra: &Extra) -> Result<(), Status> {
        let attributes = self.part(AUTHENTICATION_GROUP, "userextras", "");
        if self.mode.constrained() {
            if let Some(reason) = extra.iter().find_map(|(key, values)| invalid_extra(key, values)) {
                return Err(forbidden(&attributes, &reason));
            }
            let many = extra.len() >= MANY || extra.values().map(Vec::len).sum::<usize>() >= MANY;
            if many && self.authorize(Attributes { subresource: "*", name: "*", ..attributes }).is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            for value in values {
                self.authorize(Attributes { subresource: key, name: value, ..attributes })?;
            }
        }
        Ok(())
    }

    /// Where users and groups are as resources; the older generation has them among the core ones.
    fn user_group(&self) -> &'static str {
        if self.mode.constrained() { AUTHENTICATION_GROUP } else { "" }
    }

    fn part<'s>(&'s self, group: &'s str, resource: &'s str, name: &'s str) -> Attributes<'s> {
        Attributes { name, ..Attributes::resource(self.requester, self.mode.verb(), group, "v1", resource) }
    }

    fn authorize(&self, mut attributes: Attributes<'_>) -> Result<(), Status> {
        if attributes.verb == Mode::AssociatedNode.verb() {
            attributes.name = "*";
        }
        let verdict = self.authorizer.authorize(&attributes);
        if verdict.allowed() {
            return Ok(());
        }
        let reason = verdict.reason.to_string();
        Err(forbidden(
            &attributes,
            &match verdict.error {
                Some(error) if reason.is_empty() => error,
                Some(error) => format!("{error}: {reason}"),
                None => reason,
            },
        ))
    }
}

fn node_name(username: &str) -> Option<&str> {
    username.strip_prefix(NODE_PREFIX).filter(|name| name_is_dns_subdomain(name, false).is_empty())
}

fn invalid_extra(key: &str, values: &[String]) -> Option<String> {
    if key.is_empty() {
        return Some("impersonating the empty string key in extra is not allowed".to_owned());
    }
    let path = Path::new("extra");
    let errors: Vec<String> =
        is_domain_prefixed_path(&path.child("key"), key).iter().map(|error| error.to_string()).collect();
    if let Some(error) = aggregate(&errors) {
        return Some(format!("impersonating an invalid key in extra is not allowed: {error}"));
    }
    if key.chars().any(char::is_uppercase) {
        return Some(format!(
            "impersonating a non-lowercase key in extra is not allowed: {}",
            corten_api::field::quote(key)
        ));
    }
    if values.is_empty() {
        return Some("impersonating empty values in extra is not allowed".to_owned());
    }
    let empty = values.iter().any(String::is_empty);
    empty.then(|| "impersonating the empty string value in extra is not allowed".to_owned())
}
