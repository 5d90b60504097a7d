//! Groups of the Kubernetes community, in which definitions need somebody's approval.

use corten_api::field::{Error, Errors, Path, quote};
use corten_views::apiextensions_v1::CustomResourceDefinition;

pub const ANNOTATION: &str = "api-approved.kubernetes.io";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Invalid,
    Approved,
    Bypassed,
    Missing,
}

pub fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .into_iter()
        .any(|domain| group.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// What the annotation says, and that in words.
pub fn state(crd: CustomResourceDefinition<'_>) -> (State, String) {
    let annotation = crd.metadata().annotations().get(ANNOTATION).unwrap_or_default();
    let wanted = format!("protected groups must have approval annotation {}", quote(ANNOTATION));
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    if annotation.is_empty() {
        (State::Missing, format!("{wanted}, {see}"))
    } else if annotation.starts_with("unapproved") {
        (State::Bypassed, format!("not approved: {}", quote(annotation)))
    } else if crate::values::is_absolute_url(annotation) {
        (State::Approved, format!("approved in {annotation}"))
    } else {
        (State::Invalid, format!("{wanted} with either a URL or a reason starting with \"unapproved\", {see}"))
    }
}

pub fn validate(crd: CustomResourceDefinition<'_>, old: Option<CustomResourceDefinition<'_>>, errors: &mut Errors) {
    if !is_protected(crd.spec().group()) {
        return;
    }
    let (now, reason) = state(crd);
    if old.is_some_and(|old| state(old).0 == now) {
        return;
    }
    let path = Path::new("metadata");
    let path = path.child("annotations");
    let path = path.key(ANNOTATION);
    match now {
        State::Approved | State::Bypassed => {}
        State::Missing => errors.push(Error::required(&path, reason)),
        State::Invalid => {
            let value = crd.metadata().annotations().get(ANNOTATION).unwrap_or_default();
            errors.push(Error::invalid(&path, value, reason));
        }
    }
}
