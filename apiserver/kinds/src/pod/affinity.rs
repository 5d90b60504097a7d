//! Which nodes a pod wants, and which pods near it.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_object::tree::Items;
use corten_views::core_v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    WeightedPodAffinityTerm,
};

use super::checks::object_name;
use super::options::Options;
use super::topology::validate_match_label_keys;
use crate::label_selector::{self, Leniency};
use crate::object_meta::{invalid_each, validate_label_name};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub fn validate(affinity: Affinity<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    if let Some(nodes) = affinity.node_affinity() {
        validate_node_affinity(nodes, options, &path.child("nodeAffinity"), errors);
    }
    let lenient = options.invalid_affinity_selectors;
    if let Some(near) = affinity.pod_affinity() {
        let path = path.child("podAffinity");
        let required = near.required_during_scheduling_ignored_during_execution();
        validate_required(required, lenient, &path.child(REQUIRED), errors);
        let preferred = near.preferred_during_scheduling_ignored_during_execution();
        validate_preferred(preferred, lenient, &path.child(PREFERRED), errors);
    }
    if let Some(far) = affinity.pod_anti_affinity() {
        let path = path.child("podAntiAffinity");
        let required = far.required_during_scheduling_ignored_during_execution();
        validate_required(required, lenient, &path.child(REQUIRED), errors);
        let preferred = far.preferred_during_scheduling_ignored_during_execution();
        validate_preferred(preferred, lenient, &path.child(PREFERRED), errors);
    }
}

fn validate_node_affinity(affinity: NodeAffinity<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    if let Some(selector) = affinity.required_during_scheduling_ignored_during_execution() {
        let lenient = options.invalid_required_node_affinity;
        validate_node_selector(selector, lenient, &path.child(REQUIRED), errors);
    }
    let list = path.child(PREFERRED);
    for (i, term) in affinity.preferred_during_scheduling_ignored_during_execution().iter().enumerate() {
        let path = list.index(i);
        validate_weight(term.weight(), &path, errors);
        // Values that no label can have do no harm here.
        validate_node_term(term.preference(), true, &path.child("preference"), errors);
    }
}

/// Also the rule for a volume's nodes.
pub fn validate_node_selector(selector: NodeSelector<'_>, lenient: bool, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms().is_empty() {
        errors.push(Error::required(&path, "must have at least one node selector term"));
    }
    for (i, term) in selector.node_selector_terms().iter().enumerate() {
        validate_node_term(term, lenient, &path.index(i), errors);
    }
}

fn validate_node_term(term: NodeSelectorTerm<'_>, lenient: bool, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("matchExpressions");
    for (i, requirement) in term.match_expressions().iter().enumerate() {
        validate_expression(requirement, lenient, &list.index(i), errors);
    }
    let list = path.child("matchFields");
    for (i, requirement) in term.match_fields().iter().enumerate() {
        validate_field(requirement, &list.index(i), errors);
    }
}

fn validate_expression(requirement: NodeSelectorRequirement<'_>, lenient: bool, path: &Path<'_>, errors: &mut Errors) {
    let values = requirement.values();
    let values_path = path.child("values");
    match requirement.operator() {
        "In" | "NotIn" => {
            if values.is_empty() {
                errors.push(Error::required(&values_path, "must be specified when `operator` is 'In' or 'NotIn'"));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(Error::forbidden(&values_path, detail));
            }
        }
        "Gt" | "Lt" => {
            if values.len() != 1 {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(Error::required(&values_path, detail));
            }
        }
        other => errors.push(bad_operator(other, path)),
    }
    validate_label_name(requirement.key(), &path.child("key"), errors);
    if !lenient {
        for (i, value) in values.iter().enumerate() {
            invalid_each(names::is_valid_label_value(value), value, &values_path.index(i), errors);
        }
    }
}

fn bad_operator(operator: &str, path: &Path<'_>) -> Error {
    Error::invalid(&path.child("operator"), BadValue::typed(operator), "not a valid selector operator")
}

fn validate_field(requirement: NodeSelectorRequirement<'_>, path: &Path<'_>, errors: &mut Errors) {
    let values = requirement.values();
    let values_path = path.child("values");
    match requirement.operator() {
        "In" | "NotIn" if values.len() == 1 => {}
        "In" | "NotIn" => {
            let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(Error::required(&values_path, detail));
        }
        other => errors.push(bad_operator(other, path)),
    }
    if requirement.key() == "metadata.name" {
        for (i, value) in values.iter().enumerate() {
            object_name(value, &values_path.index(i), errors);
        }
    } else {
        let detail = "not a valid field selector key";
        errors.push(Error::invalid(&path.child("key"), requirement.key(), detail));
    }
}

fn validate_weight(weight: i64, path: &Path<'_>, errors: &mut Errors) {
    if !(1..=100).contains(&weight) {
        errors.push(Error::invalid(&path.child("weight"), weight, "must be in the range 1-100"));
    }
}

fn validate_required(terms: Items<'_, PodAffinityTerm<'_>>, lenient: bool, list: &Path<'_>, errors: &mut Errors) {
    for (i, term) in terms.iter().enumerate() {
        validate_term(term, lenient, &list.index(i), errors);
    }
}

fn validate_preferred(
    terms: Items<'_, WeightedPodAffinityTerm<'_>>,
    lenient: bool,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    for (i, term) in terms.iter().enumerate() {
        let path = list.index(i);
        validate_weight(term.weight(), &path, errors);
        validate_term(term.pod_affinity_term(), lenient, &path.child("podAffinityTerm"), errors);
    }
}

fn validate_term(term: PodAffinityTerm<'_>, lenient: bool, path: &Path<'_>, errors: &mut Errors) {
    validate_term_selectors(term, lenient, path, errors);
    for namespace in term.namespaces().iter() {
        let wrong = names::validate_namespace_name(namespace, false);
        invalid_each(wrong, namespace, &path.child("namespace"), errors);
    }
    let keys = (term.match_label_keys(), Some(term.mismatch_label_keys()));
    validate_match_label_keys(keys.0, keys.1, term.label_selector(), path, errors);
    let path = path.child("topologyKey");
    if term.topology_key().is_empty() {
        errors.push(Error::required(&path, "can not be empty"));
    }
    validate_label_name(term.topology_key(), &path, errors);
}

pub fn validate_term_selectors(term: PodAffinityTerm<'_>, lenient: bool, path: &Path<'_>, errors: &mut Errors) {
    let leniency = Leniency { invalid_values: lenient, ..Leniency::default() };
    if let Some(selector) = term.label_selector() {
        label_selector::validate(selector, leniency, &path.child("labelSelector"), errors);
    }
    if let Some(selector) = term.namespace_selector() {
        label_selector::validate(selector, leniency, &path.child("namespaceSelector"), errors);
    }
}
