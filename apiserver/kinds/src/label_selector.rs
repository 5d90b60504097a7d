//! Label selectors as fields of objects.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::View;
use corten_views::meta_v1::{LabelSelector, LabelSelectorRequirement};

use crate::object_meta::{invalid_each, validate_label_name, validate_labels};

/// What is let through for the sake of what is stored already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leniency {
    /// Values that no label can have.
    pub invalid_values: bool,
    pub unknown_operators: bool,
}

pub fn validate(selector: LabelSelector<'_>, leniency: Leniency, path: &Path<'_>, errors: &mut Errors) {
    validate_labels(selector.match_labels(), &path.child("matchLabels"), errors);
    let path = path.child("matchExpressions");
    for (i, requirement) in selector.match_expressions().iter().enumerate() {
        validate_requirement(requirement, leniency, &path.index(i), errors);
    }
}

fn validate_requirement(
    requirement: LabelSelectorRequirement<'_>,
    leniency: Leniency,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let values = path.child("values");
    match requirement.operator() {
        "In" | "NotIn" => {
            if requirement.values().is_empty() {
                errors.push(Error::required(&values, "must be specified when `operator` is 'In' or 'NotIn'"));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !requirement.values().is_empty() {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(Error::forbidden(&values, detail));
            }
        }
        _ if leniency.unknown_operators => {}
        operator => {
            let value = BadValue::typed(operator);
            errors.push(Error::invalid(&path.child("operator"), value, "not a valid selector operator"));
        }
    }
    validate_label_name(requirement.key(), &path.child("key"), errors);
    if !leniency.invalid_values {
        for (i, value) in requirement.values().iter().enumerate() {
            invalid_each(names::is_valid_label_value(value), value, &values.index(i), errors);
        }
    }
}

/// Whether a selector can be made of it; upstream's `LabelSelectorAsSelector` without its message.
pub fn can_select(selector: LabelSelector<'_>) -> bool {
    let mut errors = Errors::default();
    validate(selector, Leniency::default(), &Path::root(), &mut errors);
    errors.is_empty()
}

/// Whether a stored selector holds values that no label can have.
pub fn has_invalid_values(selector: Option<LabelSelector<'_>>) -> bool {
    selector.is_some_and(|selector| {
        selector
            .match_expressions()
            .iter()
            .any(|requirement| requirement.values().iter().any(|value| !names::is_valid_label_value(value).is_empty()))
    })
}

/// Whether nothing is asked for, so that everything is selected.
pub fn is_empty(selector: LabelSelector<'_>) -> bool {
    selector.as_struct().is_zero()
}
