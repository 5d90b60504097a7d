//! What an access review must say.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names::{is_qualified_name, is_valid_label_value};
use corten_api::status::Status;

use super::{NonResourceAttributes, SelectorAttributes, SelectorRequirement, SubjectAccessReviewSpec};

/// The errors of one review.
pub(super) struct Found(Errors);

impl Found {
    /// Upstream's message names no kind, because its internal objects know none.
    pub(super) fn into_result(self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(Status::invalid("authorization.k8s.io", "", "", &self.0)) }
    }
}

pub(super) fn subject(spec: &SubjectAccessReviewSpec, metadata: Option<&str>) -> Found {
    let mut errors = Errors::default();
    check_subject_spec(spec, &mut errors);
    check_metadata(metadata, "must be empty", &mut errors);
    Found(errors)
}

pub(super) fn self_subject(spec: &SubjectAccessReviewSpec, metadata: Option<&str>) -> Found {
    let mut errors = Errors::default();
    check_one_of(spec, &mut errors);
    check_selectors(spec, &mut errors);
    check_metadata(metadata, "must be empty", &mut errors);
    Found(errors)
}

pub(super) fn local(spec: &SubjectAccessReviewSpec, metadata: Option<&str>, metadata_namespace: &str) -> Found {
    let mut errors = Errors::default();
    check_subject_spec(spec, &mut errors);
    check_metadata(metadata, "must be empty except for namespace", &mut errors);
    if let Some(asked) = &spec.resource_attributes
        && asked.namespace != metadata_namespace
    {
        let path = Path::new("spec.resourceAttributes.namespace");
        errors.push(Error::invalid(&path, asked.namespace.as_str(), "must match metadata.namespace"));
    }
    if let Some(asked) = &spec.non_resource_attributes {
        let path = Path::new("spec.nonResourceAttributes");
        errors.push(Error::invalid(&path, shown(asked), "disallowed on this kind of request"));
    }
    Found(errors)
}

fn check_subject_spec(spec: &SubjectAccessReviewSpec, errors: &mut Errors) {
    check_one_of(spec, errors);
    if spec.user.is_empty() && spec.groups.as_ref().is_none_or(Vec::is_empty) {
        let message = "at least one of user or group must be specified";
        errors.push(Error::invalid(&Path::new("spec").child("user"), "", message));
    }
    check_selectors(spec, errors);
}

fn check_one_of(spec: &SubjectAccessReviewSpec, errors: &mut Errors) {
    let path = Path::new("spec");
    match (&spec.resource_attributes, &spec.non_resource_attributes) {
        (Some(_), Some(asked)) => errors.push(Error::invalid(
            &path.child("nonResourceAttributes"),
            shown(asked),
            "cannot be specified in combination with resourceAttributes",
        )),
        (None, None) => errors.push(Error::invalid(
            &path.child("resourceAttributes"),
            BadValue::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
}

fn check_metadata(metadata: Option<&str>, message: &str, errors: &mut Errors) {
    if let Some(metadata) = metadata {
        errors.push(Error::invalid(&Path::new("metadata"), BadValue::Json(metadata.to_owned()), message));
    }
}

fn check_selectors(spec: &SubjectAccessReviewSpec, errors: &mut Errors) {
    let Some(asked) = &spec.resource_attributes else { return };
    let path = Path::new("spec.resourceAttributes");
    if let Some(selector) = &asked.field_selector {
        check_selector(selector, &path.child("fieldSelector"), check_field_requirement, errors);
    }
    if let Some(selector) = &asked.label_selector {
        check_selector(selector, &path.child("labelSelector"), check_label_requirement, errors);
    }
}

fn check_selector(
    selector: &SelectorAttributes,
    path: &Path<'_>,
    check: fn(&SelectorRequirement, &Path<'_>, &mut Errors),
    errors: &mut Errors,
) {
    let requirements = selector.requirements.as_deref().unwrap_or_default();
    match (selector.raw_selector.as_str(), requirements.is_empty()) {
        ("", true) => {
            let message = format!("when {path} is specified, requirements or rawSelector is required");
            errors.push(Error::required(&path.child("requirements"), message));
        }
        ("", false) | (_, true) => {}
        (raw, false) => {
            let message = "may not specified at the same time as requirements";
            errors.push(Error::invalid(&path.child("rawSelector"), raw, message));
        }
    }
    for (i, requirement) in requirements.iter().enumerate() {
        check(requirement, &path.child("requirements").index(i), errors);
    }
}

fn check_field_requirement(requirement: &SelectorRequirement, path: &Path<'_>, errors: &mut Errors) {
    if requirement.key.is_empty() {
        errors.push(Error::required(&path.child("key"), "must be specified"));
    }
    check_values(requirement, path, errors);
}

fn check_label_requirement(requirement: &SelectorRequirement, path: &Path<'_>, errors: &mut Errors) {
    check_values(requirement, path, errors);
    for message in is_qualified_name(&requirement.key) {
        errors.push(Error::invalid(&path.child("key"), requirement.key.as_str(), message));
    }
    for (i, value) in requirement.values.iter().flatten().enumerate() {
        for message in is_valid_label_value(value) {
            errors.push(Error::invalid(&path.child("values").index(i), value.as_str(), message));
        }
    }
}

/// An unknown operator is nobody's fault here: the authorizers leave such a requirement out.
fn check_values(requirement: &SelectorRequirement, path: &Path<'_>, errors: &mut Errors) {
    let empty = requirement.values.as_ref().is_none_or(Vec::is_empty);
    match (requirement.operator.as_str(), empty) {
        ("In" | "NotIn", true) => {
            let message = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(Error::required(&path.child("values"), message));
        }
        ("Exists" | "DoesNotExist", false) => {
            let message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(Error::forbidden(&path.child("values"), message));
        }
        _ => {}
    }
}

/// As upstream's internal type, whose fields have no JSON names, shows itself.
fn shown(asked: &NonResourceAttributes) -> BadValue {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    BadValue::Json(format!(r#"{{"Path":{},"Verb":{}}}"#, text(&asked.path), text(&asked.verb)))
}
