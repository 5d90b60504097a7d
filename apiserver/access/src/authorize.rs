//! What a user may do: authorizers in a row, each of which allows, denies or has no opinion. The first opinion counts,
//! and without one the request is forbidden. A decision does no I/O and takes microseconds.

mod forbidden;

use std::fmt;
use std::sync::Arc;

use corten_api::selector::{fields, labels};

use crate::rbac::{Grant, Rbac};
use crate::review::{NonResourceRule, ResourceRule};
use crate::user::{MASTERS_GROUP, User};
use crate::words::aggregate;

pub use forbidden::{forbidden, forbidden_message};

/// Audit annotations of a decision.
pub const DECISION_ANNOTATION: &str = "authorization.k8s.io/decision";
pub const REASON_ANNOTATION: &str = "authorization.k8s.io/reason";

/// What is asked for. A request is for a resource, or else for a path.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    pub user: &'a User,
    pub verb: &'a str,
    pub resource_request: bool,
    pub group: &'a str,
    /// `*` where a check is about every version.
    pub version: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub path: &'a str,
    pub field_selector: Selected<'a, fields::Requirement>,
    pub label_selector: Selected<'a, labels::Requirement>,
}

/// The requirements that a list, watch or deletecollection sets itself. An authorizer may rely on those that it
/// understands, and must not fail because of others.
#[derive(Debug)]
pub struct Selected<'a, R> {
    pub requirements: &'a [R],
    /// The selector, or a part of it, could not be read; what could be is in `requirements`.
    pub invalid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny,
    NoOpinion,
}

/// A decision, why, and what went wrong on the way to it. An error with `Allow` does not matter.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub decision: Decision,
    pub reason: Reason,
    pub error: Option<String>,
}

/// Why; becomes text only where somebody reads it.
#[derive(Clone, Debug, Default)]
pub enum Reason {
    #[default]
    None,
    Text(Arc<str>),
    Granted(Grant),
}

/// What a user may do, as far as it can be listed.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub resource_rules: Vec<ResourceRule>,
    pub non_resource_rules: Vec<NonResourceRule>,
    /// There are permissions that cannot be listed.
    pub incomplete: bool,
    pub errors: Vec<String>,
}

pub trait Authorizer: Send + Sync {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict;

    /// What this authorizer alone would allow the user in a namespace; nothing by default.
    fn rules_for(&self, _user: &User, _namespace: &str) -> Rules {
        Rules::default()
    }
}

/// Authorizers in the order in which they are asked.
#[derive(Default)]
pub struct Chain(Vec<Arc<dyn Authorizer>>);

/// Allows everything to the members of `system:masters`.
pub struct Masters;

/// The place of the node authorizer. Until there is one, a node has what RBAC gives it, and, as upstream, what it may
/// do cannot be listed.
pub struct NodeSeat;

impl<'a> Attributes<'a> {
    pub fn resource(user: &'a User, verb: &'a str, group: &'a str, version: &'a str, resource: &'a str) -> Self {
        Attributes { resource_request: true, group, version, resource, ..Attributes::path(user, verb, "") }
    }

    pub fn path(user: &'a User, verb: &'a str, path: &'a str) -> Self {
        Attributes {
            user,
            verb,
            resource_request: false,
            group: "",
            version: "",
            resource: "",
            subresource: "",
            namespace: "",
            name: "",
            path,
            field_selector: Selected::default(),
            label_selector: Selected::default(),
        }
    }

    pub fn is_read_only(&self) -> bool {
        matches!(self.verb, "get" | "list" | "watch")
    }
}

impl<R> Clone for Selected<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Selected<'_, R> {}

impl<R> Default for Selected<'_, R> {
    fn default() -> Self {
        Selected { requirements: &[], invalid: false }
    }
}

impl Verdict {
    pub fn allow(reason: impl Into<Reason>) -> Verdict {
        Verdict { decision: Decision::Allow, reason: reason.into(), error: None }
    }

    pub fn deny(reason: impl Into<Reason>) -> Verdict {
        Verdict { decision: Decision::Deny, reason: reason.into(), error: None }
    }

    pub fn no_opinion(reason: impl Into<Reason>) -> Verdict {
        Verdict { decision: Decision::NoOpinion, reason: reason.into(), error: None }
    }

    pub fn allowed(&self) -> bool {
        self.decision == Decision::Allow
    }

    /// What the audit event says of it. An error that decided nothing is told without what it was.
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        match (self.allowed(), &self.error) {
            (true, _) => vec![(DECISION_ANNOTATION, "allow".to_owned()), (REASON_ANNOTATION, self.reason.to_string())],
            (false, Some(_)) => vec![(REASON_ANNOTATION, "internal error".to_owned())],
            (false, None) => {
                vec![(DECISION_ANNOTATION, "forbid".to_owned()), (REASON_ANNOTATION, self.reason.to_string())]
            }
        }
    }
}

impl Reason {
    pub fn is_none(&self) -> bool {
        match self {
            Reason::None => true,
            Reason::Text(text) => text.is_empty(),
            Reason::Granted(_) => false,
        }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Reason {
        if text.is_empty() { Reason::None } else { Reason::Text(text.into()) }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        text.as_str().into()
    }
}

impl From<Grant> for Reason {
    fn from(grant: Grant) -> Reason {
        Reason::Granted(grant)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::None => Ok(()),
            Reason::Text(text) => f.write_str(text),
            Reason::Granted(grant) => grant.fmt(f),
        }
    }
}

impl Chain {
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Chain {
        Chain(authorizers)
    }

    /// `--authorization-mode=Node,RBAC`, behind the group that may do everything.
    pub fn standard(node: Arc<dyn Authorizer>, rbac: Arc<Rbac>) -> Chain {
        Chain(vec![Arc::new(Masters), node, rbac])
    }
}

impl Authorizer for Chain {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let (mut reasons, mut errors) = (Vec::new(), Vec::new());
        for authorizer in &self.0 {
            let verdict = authorizer.authorize(attributes);
            if verdict.decision != Decision::NoOpinion {
                return verdict;
            }
            if !verdict.reason.is_none() {
                reasons.push(verdict.reason.to_string());
            }
            errors.extend(verdict.error);
        }
        Verdict { error: aggregate(&errors), ..Verdict::no_opinion(reasons.join("\n")) }
    }

    fn rules_for(&self, user: &User, namespace: &str) -> Rules {
        let mut all = Rules::default();
        for authorizer in &self.0 {
            let rules = authorizer.rules_for(user, namespace);
            all.resource_rules.extend(rules.resource_rules);
            all.non_resource_rules.extend(rules.non_resource_rules);
            all.incomplete |= rules.incomplete;
            all.errors.extend(rules.errors);
        }
        all
    }
}

impl Authorizer for Masters {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        if attributes.user.in_group(MASTERS_GROUP) {
            Verdict::allow(Reason::None)
        } else {
            Verdict::no_opinion(Reason::None)
        }
    }
}

impl Authorizer for NodeSeat {
    fn authorize(&self, _attributes: &Attributes<'_>) -> Verdict {
        Verdict::no_opinion(Reason::None)
    }

    fn rules_for(&self, user: &User, _namespace: &str) -> Rules {
        match user.node_name() {
            None => Rules::default(),
            Some(_) => Rules {
                incomplete: true,
                errors: vec!["node authorizer does not support user rule resolution".to_owned()],
                ..Rules::default()
            },
        }
    }
}

#[cfg(test)]
mod tests;
