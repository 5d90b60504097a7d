//! How evenly pods must be spread, and the label keys by which a pod joins its own kind.

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::seen::{Index, Seen, come_again};
use corten_object::tree::{Items, Strings};
use corten_views::core_v1::{PodSpec, TopologySpreadConstraint};
use corten_views::meta_v1::LabelSelector;

use super::checks::{one_of, positive};
use super::options::Options;
use crate::label_selector::{self, Leniency};
use crate::object_meta::validate_label_name;

const ACTIONS: &[&str] = &["DoNotSchedule", "ScheduleAnyway"];
const POLICIES: &[&str] = &["Honor", "Ignore"];
const IN_BOTH: &str = "exists in both matchLabelKeys and labelSelector";

pub fn validate(
    constraints: Items<'_, TopologySpreadConstraint<'_>>,
    options: &Options,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let again = come_again(constraints.iter().map(|one| (one.topology_key(), one.when_unsatisfiable())));
    for (i, constraint) in constraints.iter().enumerate() {
        let path = list.index(i);
        positive(constraint.max_skew(), &path.child("maxSkew"), errors);
        if constraint.topology_key().is_empty() {
            errors.push(Error::required(&path.child("topologyKey"), "can not be empty"));
        }
        let (key, action) = (constraint.topology_key(), constraint.when_unsatisfiable());
        one_of(action, ACTIONS, &path.child("whenUnsatisfiable"), errors);
        if again[i] {
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            errors.push(Error::duplicate(&path, format!("{{{key}, {action}}}")));
        }
        if let Some(domains) = constraint.min_domains() {
            let path = path.child("minDomains");
            positive(domains, &path, errors);
            if action != "DoNotSchedule" {
                let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errors.push(Error::invalid(&path, domains, detail));
            }
        }
        if let Some(policy) = constraint.node_affinity_policy() {
            one_of(policy, POLICIES, &path.child("nodeAffinityPolicy"), errors);
        }
        if let Some(policy) = constraint.node_taints_policy() {
            one_of(policy, POLICIES, &path.child("nodeTaintsPolicy"), errors);
        }
        let (keys, selector) = (constraint.match_label_keys(), constraint.label_selector());
        if options.legacy_match_label_keys {
            validate_legacy_keys(keys, selector, &path.child("matchLabelKeys"), errors);
        } else {
            validate_match_label_keys(keys, None, selector, &path, errors);
        }
        if let Some(selector) = selector.filter(|_| !options.invalid_spread_selectors) {
            label_selector::validate(selector, Leniency::default(), &path.child("labelSelector"), errors);
        }
    }
}

/// Whether an object in the store breaks today's rules.
pub fn has_invalid_match_label_keys(spec: PodSpec<'_>) -> bool {
    let mut errors = Errors::default();
    for constraint in spec.topology_spread_constraints().iter() {
        let (keys, selector) = (constraint.match_label_keys(), constraint.label_selector());
        validate_match_label_keys(keys, None, selector, &Path::root(), &mut errors);
    }
    !errors.is_empty()
}

/// By now the keys have become requirements of the selector, so that a key that stands there twice was asked for twice.
pub fn validate_match_label_keys(
    keys: Strings<'_>,
    mismatch_keys: Option<Strings<'_>>,
    selector: Option<LabelSelector<'_>>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    validate_keys(keys, selector, &path.child("matchLabelKeys"), errors);
    if let Some(keys) = mismatch_keys {
        validate_keys(keys, selector, &path.child("mismatchLabelKeys"), errors);
    }
    if keys.is_empty() {
        return;
    }
    if let Some(selector) = selector {
        // The last one counts where a key is repeated.
        let places = Index::of_last(keys.iter().enumerate().map(|(i, key)| (key, i)));
        let mut seen = Seen::default();
        for expression in selector.match_expressions().iter() {
            let key = expression.key();
            let came_before = !seen.insert(key);
            let Some(&i) = places.get(key) else { continue };
            if selector.match_labels().contains_key(key) || came_before {
                errors.push(Error::invalid(&path.index(i), key, IN_BOTH));
            }
        }
    }
    if let Some(mismatch) = mismatch_keys {
        let list = path.child("matchLabelKeys");
        let mismatch: Seen<&str> = mismatch.iter().collect();
        for (i, key) in keys.iter().enumerate().filter(|(_, key)| mismatch.contains(key)) {
            errors.push(Error::invalid(&list.index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys"));
        }
    }
}

fn validate_keys(keys: Strings<'_>, selector: Option<LabelSelector<'_>>, list: &Path<'_>, errors: &mut Errors) {
    if keys.is_empty() {
        return;
    }
    if selector.is_none() {
        errors.push(Error::forbidden(list, "must not be specified when labelSelector is not set"));
        return;
    }
    for (i, key) in keys.iter().enumerate() {
        validate_label_name(key, &list.index(i), errors);
    }
}

/// The rules of before keys were made requirements.
fn validate_legacy_keys(keys: Strings<'_>, selector: Option<LabelSelector<'_>>, list: &Path<'_>, errors: &mut Errors) {
    if keys.is_empty() {
        return;
    }
    if selector.is_none() {
        errors.push(Error::forbidden(list, "must not be specified when labelSelector is not set"));
    }
    let expressions = selector.into_iter().flat_map(|selector| selector.match_expressions().iter());
    let expressions: Seen<&str> = expressions.map(|expression| expression.key()).collect();
    for (i, key) in keys.iter().enumerate() {
        let path = list.index(i);
        validate_label_name(key, &path, errors);
        if selector.is_some_and(|selector| selector.match_labels().contains_key(key)) || expressions.contains(key) {
            errors.push(Error::invalid(&path, BadValue::from(key), IN_BOTH));
        }
    }
}
