//! Access reviews: validated, put to the authorizers as if the request were made, and answered.

use corten_api::selector::{Operator, fields, labels};
use corten_api::status::Status;

use super::validation;
use super::{ResourceAttributes, SelectorAttributes, SubjectAccessReviewSpec, SubjectAccessReviewStatus};
use crate::authorize::{Attributes, Authorizer, Decision, Selected};
use crate::user::{Info, User};

/// What anybody may do, anywhere. `metadata` is the JSON of the object's metadata if there is anything in it but managed
/// fields, for the message.
pub fn subject_access_review(
    authorizer: &dyn Authorizer,
    spec: &SubjectAccessReviewSpec,
    metadata: Option<&str>,
) -> Result<SubjectAccessReviewStatus, Status> {
    validation::subject(spec, metadata).into_result()?;
    Ok(review(authorizer, &subject(spec), spec))
}

/// What the one who asks may do.
pub fn self_subject_access_review(
    authorizer: &dyn Authorizer,
    user: &User,
    spec: &SubjectAccessReviewSpec,
    metadata: Option<&str>,
) -> Result<SubjectAccessReviewStatus, Status> {
    validation::self_subject(spec, metadata).into_result()?;
    Ok(review(authorizer, user, spec))
}

/// What anybody may do in a namespace: that of the URL, which the object and the question have to name too.
/// `metadata` as before, here for anything besides the namespace.
pub fn local_subject_access_review(
    authorizer: &dyn Authorizer,
    spec: &SubjectAccessReviewSpec,
    metadata: Option<&str>,
    metadata_namespace: &str,
    namespace: &str,
) -> Result<SubjectAccessReviewStatus, Status> {
    validation::local(spec, metadata, metadata_namespace).into_result()?;
    if namespace.is_empty() {
        return Err(Status::bad_request("namespace is required on this type: "));
    }
    if namespace != metadata_namespace {
        let message = format!("spec.resourceAttributes.namespace must match namespace: {namespace}");
        return Err(Status::bad_request(message));
    }
    Ok(review(authorizer, &subject(spec), spec))
}

fn subject(spec: &SubjectAccessReviewSpec) -> User {
    Info {
        name: spec.user.clone(),
        uid: spec.uid.clone(),
        groups: spec.groups.clone().unwrap_or_default(),
        extra: spec.extra.clone().unwrap_or_default(),
    }
    .into()
}

fn review(authorizer: &dyn Authorizer, user: &User, spec: &SubjectAccessReviewSpec) -> SubjectAccessReviewStatus {
    let selectors = Selectors::of(spec.resource_attributes.as_ref());
    let attributes = match (&spec.resource_attributes, &spec.non_resource_attributes) {
        (Some(asked), _) => selectors.attributes(user, asked),
        (None, Some(asked)) => Attributes::path(user, &asked.verb, &asked.path),
        (None, None) => Attributes::path(user, "", ""),
    };
    let verdict = authorizer.authorize(&attributes);
    let mut errors: Vec<String> = verdict.error.into_iter().collect();
    errors.extend(complaint("fieldSelector", attributes.field_selector));
    errors.extend(complaint("labelSelector", attributes.label_selector));
    SubjectAccessReviewStatus {
        allowed: verdict.decision == Decision::Allow,
        denied: verdict.decision == Decision::Deny,
        reason: verdict.reason.to_string(),
        evaluation_error: errors.join("; "),
    }
}

fn complaint<R>(field: &str, selector: Selected<'_, R>) -> Option<String> {
    let partially = if selector.requirements.is_empty() { "" } else { "partially " };
    selector.invalid.then(|| format!("spec.resourceAttributes.{field} {partially}ignored due to parse error"))
}

/// What could be read of the selectors.
#[derive(Default)]
struct Selectors {
    fields: Vec<fields::Requirement>,
    fields_invalid: bool,
    labels: Vec<labels::Requirement>,
    labels_invalid: bool,
}

impl Selectors {
    fn of(asked: Option<&ResourceAttributes>) -> Selectors {
        let mut selectors = Selectors::default();
        let Some(asked) = asked else { return selectors };
        if let Some(selector) = &asked.field_selector {
            (selectors.fields, selectors.fields_invalid) = field_requirements(selector);
        }
        if let Some(selector) = &asked.label_selector {
            (selectors.labels, selectors.labels_invalid) = label_requirements(selector);
        }
        selectors
    }

    fn attributes<'a>(&'a self, user: &'a User, asked: &'a ResourceAttributes) -> Attributes<'a> {
        let version = if asked.version.is_empty() { "*" } else { &asked.version };
        Attributes {
            namespace: &asked.namespace,
            subresource: &asked.subresource,
            name: &asked.name,
            field_selector: Selected { requirements: &self.fields, invalid: self.fields_invalid },
            label_selector: Selected { requirements: &self.labels, invalid: self.labels_invalid },
            ..Attributes::resource(user, &asked.verb, &asked.group, version, &asked.resource)
        }
    }
}

/// Requirements count where there are any, else the text does.
fn field_requirements(selector: &SelectorAttributes) -> (Vec<fields::Requirement>, bool) {
    let Some(requirements) = selector.requirements.as_ref().filter(|requirements| !requirements.is_empty()) else {
        return match fields::Selector::parse(&selector.raw_selector) {
            Ok(parsed) => (parsed.requirements().to_vec(), false),
            Err(_) => (Vec::new(), true),
        };
    };
    let (mut read, mut invalid) = (Vec::new(), false);
    for requirement in requirements {
        let values = requirement.values.as_deref().unwrap_or_default();
        match (requirement.operator.as_str(), values) {
            (operator @ ("In" | "NotIn"), [value]) => read.push(fields::Requirement {
                field: requirement.key.clone(),
                equal: operator == "In",
                value: value.clone(),
            }),
            _ => invalid = true,
        }
    }
    (read, invalid)
}

fn label_requirements(selector: &SelectorAttributes) -> (Vec<labels::Requirement>, bool) {
    let Some(requirements) = selector.requirements.as_ref().filter(|requirements| !requirements.is_empty()) else {
        return match labels::parse(&selector.raw_selector) {
            Ok(parsed) => (parsed.requirements().to_vec(), false),
            Err(_) => (Vec::new(), true),
        };
    };
    let (mut read, mut invalid) = (Vec::new(), false);
    for requirement in requirements {
        let operator = match requirement.operator.as_str() {
            "In" => Some(Operator::In),
            "NotIn" => Some(Operator::NotIn),
            "Exists" => Some(Operator::Exists),
            "DoesNotExist" => Some(Operator::DoesNotExist),
            _ => None,
        };
        let values = requirement.values.clone().unwrap_or_default();
        match operator.and_then(|operator| labels::Requirement::new(&requirement.key, operator, values).ok()) {
            Some(requirement) => read.push(requirement),
            None => invalid = true,
        }
    }
    (read, invalid)
}
