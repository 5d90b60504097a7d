//! Labels of nodes that have successors: who selects by them is warned.

use corten_api::field::Path;
use corten_api::names;
use corten_views::core_v1::NodeSelectorTerm;
use corten_views::meta_v1::LabelSelector;

const DEPRECATED: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// What to say of a label, if it is deprecated.
pub fn deprecation(label: &str) -> Option<&'static str> {
    DEPRECATED.iter().find(|(old, _)| *old == label).map(|(_, message)| *message)
}

pub fn warnings_for_selector(selector: LabelSelector<'_>, path: &Path<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let expressions = path.child("matchExpressions");
    for (i, expression) in selector.match_expressions().iter().enumerate() {
        if let Some(message) = deprecation(expression.key()) {
            out.push(format!("{}: {} is {message}", expressions.index(i).child("key"), expression.key()));
        }
    }
    for (label, _) in selector.match_labels().iter() {
        if let Some(message) = deprecation(label) {
            out.push(format!("{}: {message}", path.child("matchLabels").child(label)));
        }
    }
    out
}

/// The same for a term of a node selector; with `values`, also of values that no label can have.
pub fn warnings_for_node_term(term: NodeSelectorTerm<'_>, values: bool, path: &Path<'_>, out: &mut Vec<String>) {
    let list = path.child("matchExpressions");
    for (i, expression) in term.match_expressions().iter().enumerate() {
        let path = list.index(i);
        if let Some(message) = deprecation(expression.key()) {
            out.push(format!("{}: {} is {message}", path.child("key"), expression.key()));
        }
        let list = path.child("values");
        for (i, value) in expression.values().iter().enumerate().filter(|_| values) {
            for message in names::is_valid_label_value(value) {
                out.push(format!("{}: {value} is invalid, {message}", list.index(i)));
            }
        }
    }
}
