//! The reviews: a client asks what somebody may do, whose token something is, or who it is itself. From a spec to a
//! status, as plain structs in upstream's JSON.

mod access;
mod validation;

use std::collections::BTreeMap;

use corten_api::status::Status;
use serde::{Deserialize, Serialize};

use crate::authenticate::{Authenticators, intersect};
use crate::authorize::Authorizer;
use crate::user::{Info, User};
use crate::words::aggregate;

pub use access::{local_subject_access_review, self_subject_access_review, subject_access_review};

/// `spec` of SubjectAccessReview and LocalSubjectAccessReview; SelfSubjectAccessReview has the first two fields of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubjectAccessReviewSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_attributes: Option<ResourceAttributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_resource_attributes: Option<NonResourceAttributes>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceAttributes {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verb: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_selector: Option<SelectorAttributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<SelectorAttributes>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NonResourceAttributes {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verb: String,
}

/// A selector as text, or as requirements.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SelectorAttributes {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub raw_selector: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub requirements: Option<Vec<SelectorRequirement>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SelectorRequirement {
    pub key: String,
    pub operator: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub values: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubjectAccessReviewStatus {
    pub allowed: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub denied: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub evaluation_error: String,
}

/// `status` of SelfSubjectRulesReview.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubjectRulesReviewStatus {
    pub resource_rules: Vec<ResourceRule>,
    pub non_resource_rules: Vec<NonResourceRule>,
    pub incomplete: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub evaluation_error: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceRule {
    pub verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NonResourceRule {
    pub verbs: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TokenReviewSpec {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub audiences: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TokenReviewStatus {
    #[serde(skip_serializing_if = "is_false")]
    pub authenticated: bool,
    pub user: UserInfo,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// `authentication.k8s.io/v1.UserInfo`, which is also how admission and audit show a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UserInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SelfSubjectReviewStatus {
    pub user_info: UserInfo,
}

/// What the user may do in a namespace. The answer upstream gives has nothing of the request's but this.
pub fn self_subject_rules_review(
    authorizer: &dyn Authorizer,
    user: &User,
    namespace: &str,
) -> Result<SubjectRulesReviewStatus, Status> {
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let rules = authorizer.rules_for(user, namespace);
    Ok(SubjectRulesReviewStatus {
        resource_rules: rules.resource_rules,
        non_resource_rules: rules.non_resource_rules,
        incomplete: rules.incomplete,
        evaluation_error: aggregate(&rules.errors).unwrap_or_default(),
    })
}

pub async fn token_review(
    authenticators: &Authenticators,
    spec: &TokenReviewSpec,
) -> Result<TokenReviewStatus, Status> {
    if spec.token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let asked = spec.audiences.as_deref().unwrap_or_default();
    let wanted = if asked.is_empty() { authenticators.api_audiences.as_slice() } else { asked };
    match authenticators.review_token(&spec.token, wanted).await {
        Ok(None) => Ok(TokenReviewStatus::default()),
        Ok(Some(found)) if !wanted.is_empty() && intersect(wanted, &found.audiences).is_empty() => {
            Err(Status::internal("error validating audiences"))
        }
        Ok(Some(found)) => Ok(TokenReviewStatus {
            authenticated: true,
            user: (&found.user).into(),
            audiences: found.audiences,
            error: String::new(),
        }),
        Err(error) => Ok(TokenReviewStatus { error, ..TokenReviewStatus::default() }),
    }
}

pub fn self_subject_review(user: &User) -> SelfSubjectReviewStatus {
    SelfSubjectReviewStatus { user_info: user.into() }
}

impl From<&User> for UserInfo {
    fn from(user: &User) -> UserInfo {
        let Info { name, uid, groups, extra } = user.clone().into_info();
        UserInfo { username: name, uid, groups, extra }
    }
}

impl From<UserInfo> for User {
    fn from(info: UserInfo) -> User {
        let UserInfo { username, uid, groups, extra } = info;
        Info { name: username, uid, groups, extra }.into()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_empty<T>(values: &Option<Vec<T>>) -> bool {
    values.as_ref().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests;
