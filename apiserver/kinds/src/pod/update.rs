//! What may change in a pod that is there.

use std::cell::Cell;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::come_again;
use corten_object::tree::{Items, Node, Struct, Tree, View};
use corten_schema::FieldId;
use corten_views::core_v1::{
    Affinity, Container, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSchedulingGate, PodSpec,
};

use super::checks::TextSet;
use super::{Options, SPEC, annotations, containers, internal, tolerations};
use crate::access::same;

const CHANGEABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Annotations: what may not change, and what holds for any.
pub fn validate_annotations(new: Pod<'_>, old: Pod<'_>, options: &Options, errors: &mut Errors) {
    let metadata = Path::new("metadata");
    let path = metadata.child("annotations");
    annotations::validate_update(new.metadata().annotations(), old.metadata().annotations(), &path, errors);
    annotations::validate(new.metadata().annotations(), new.spec(), options, &path, errors);
}

/// An update through the pod itself, after what holds for every pod.
pub fn validate(new: Pod<'_>, old: Pod<'_>, options: &Options, errors: &mut Errors) {
    validate_annotations(new, old, options, errors);
    let (new, old) = (new.spec(), old.spec());
    let same_count = validate_images(new.containers(), old.containers(), &SPEC.child("containers"), errors)
        && validate_images(new.init_containers(), old.init_containers(), &SPEC.child("initContainers"), errors);
    if !same_count || !validate_deadline(new, old, errors) {
        return;
    }
    let path = SPEC.child("tolerations");
    tolerations::validate_only_added(new.tolerations(), old.tolerations(), options, &path, errors);
    let path = SPEC.child("schedulingGates");
    validate_only_deleted_gates(new.scheduling_gates(), old.scheduling_gates(), &path, errors);
    if new.as_struct().means(old.as_struct()) {
        return;
    }
    let gated = !old.scheduling_gates().is_empty();
    if gated {
        validate_gated(new, old, errors);
    }
    let rest = Rest { gated, differs: Cell::new(false) };
    rest.compare(new, old);
    if rest.differs.get() {
        let munged = munge(new, old, gated);
        let diff = internal::diff(old, munged.view::<PodSpec<'_>>());
        errors.push(Error::forbidden(&SPEC, format!("{CHANGEABLE}\n{diff}")));
    }
}

fn validate_images(
    new: Items<'_, Container<'_>>,
    old: Items<'_, Container<'_>>,
    list: &Path<'_>,
    errors: &mut Errors,
) -> bool {
    if new.len() != old.len() {
        errors.push(Error::forbidden(list, "pod updates may not add or remove containers"));
        return false;
    }
    for (i, container) in new.iter().enumerate() {
        if container.image().is_empty() {
            errors.push(Error::required(&list.index(i).child("image"), ""));
        }
        containers::validate_image_space(container, &list.index(i), errors);
    }
    true
}

/// A deadline may be set, and come nearer. Says whether to go on.
fn validate_deadline(new: PodSpec<'_>, old: PodSpec<'_>, errors: &mut Errors) -> bool {
    let path = SPEC.child("activeDeadlineSeconds");
    match (new.active_deadline_seconds(), old.active_deadline_seconds()) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            let detail = names::inclusive_range_error(0, i64::from(i32::MAX));
            errors.push(Error::invalid(&path, new, detail));
            false
        }
        (Some(new), Some(old)) if old < new => {
            errors.push(Error::invalid(&path, new, "must be less than or equal to previous value"));
            false
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(Error::invalid(&path, BadValue::Null, detail));
            true
        }
        _ => true,
    }
}

fn validate_only_deleted_gates(
    new: Items<'_, PodSchedulingGate<'_>>,
    old: Items<'_, PodSchedulingGate<'_>>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    if new.is_empty() {
        return;
    }
    let known: TextSet<'_> = old.iter().map(|gate| gate.name()).collect();
    let again = come_again(new.iter().map(|gate| gate.name()));
    for (i, gate) in new.iter().enumerate() {
        if !again[i] && !known.contains(gate.name()) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name());
            errors.push(Error::forbidden(&list.index(i).child("name"), detail));
        }
    }
}

/// A pod that waits for its gates may still be narrowed down to fewer nodes.
fn validate_gated(new: PodSpec<'_>, old: PodSpec<'_>, errors: &mut Errors) {
    let (selector, old_selector) = (new.node_selector(), old.node_selector());
    if old_selector.iter().any(|(key, value)| selector.get(key) != Some(value)) {
        let value = new.as_struct().node(PodSpec::NODE_SELECTOR).map_or(BadValue::Null, Node::bad_value);
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.push(Error::invalid(&SPEC.child("nodeSelector"), value, detail));
    }
    let Some(old_terms) = required_terms(old) else { return };
    let new_terms =
        required_terms(new).unwrap_or_else(|| NodeSelector::from_struct(Struct::ABSENT).node_selector_terms());
    let affinity = SPEC.child("affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    let path = affinity.child("nodeSelectorTerms");
    if !old_terms.is_empty() && old_terms.len() != new_terms.len() {
        let value = match new_terms.is_empty() {
            true => BadValue::Null,
            false => internal::bad_list(new_terms.nodes().iter()),
        };
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(Error::invalid(&path, value, detail));
        return;
    }
    for (i, (new, old)) in new_terms.iter().zip(old_terms.iter()).enumerate() {
        if !has_only_additions(new, old) {
            let detail = "only additions are allowed (no mutations or deletions)";
            errors.push(Error::invalid(&path.index(i), internal::bad_value(new), detail));
        }
    }
}

fn required_terms<'t>(spec: PodSpec<'t>) -> Option<Items<'t, NodeSelectorTerm<'t>>> {
    let affinity = spec.affinity()?.node_affinity()?;
    Some(affinity.required_during_scheduling_ignored_during_execution()?.node_selector_terms())
}

fn has_only_additions(new: NodeSelectorTerm<'_>, old: NodeSelectorTerm<'_>) -> bool {
    type Requirements<'t> = Items<'t, NodeSelectorRequirement<'t>>;
    let kept = |new: Requirements<'_>, old: Requirements<'_>| {
        old.len() <= new.len() && old.iter().zip(new.iter()).all(|(old, new)| old.as_struct().means(new.as_struct()))
    };
    let (new_expressions, new_fields) = (new.match_expressions(), new.match_fields());
    let (old_expressions, old_fields) = (old.match_expressions(), old.match_fields());
    // A term without requirements matches nothing, so that any addition would widen it.
    let empty = old_expressions.is_empty() && old_fields.is_empty();
    (!empty || new_expressions.is_empty() && new_fields.is_empty())
        && kept(new_expressions, old_expressions)
        && kept(new_fields, old_fields)
}

/// Compares what may not change.
struct Rest {
    gated: bool,
    differs: Cell<bool>,
}

/// Fields with rules of their own.
const FREE: &[FieldId] = &[PodSpec::ACTIVE_DEADLINE_SECONDS, PodSpec::TOLERATIONS, PodSpec::SCHEDULING_GATES];

impl Rest {
    fn compare(&self, new: PodSpec<'_>, old: PodSpec<'_>) {
        for i in 0..PodSpec::TYPE.get().fields.len() {
            let field = FieldId(i as u16);
            let equal = match field {
                _ if FREE.contains(&field) => true,
                PodSpec::CONTAINERS => same_containers(new.containers(), old.containers()),
                PodSpec::INIT_CONTAINERS => same_containers(new.init_containers(), old.init_containers()),
                PodSpec::TERMINATION_GRACE_PERIOD_SECONDS => same(new, old, field) || is_grace_mended(new, old),
                PodSpec::NODE_SELECTOR if self.gated => true,
                PodSpec::AFFINITY if self.gated => same_pod_affinity(new, old),
                _ => same(new, old, field),
            };
            if !equal {
                self.differs.set(true);
            }
        }
    }
}

fn same_containers(new: Items<'_, Container<'_>>, old: Items<'_, Container<'_>>) -> bool {
    new.iter().zip(old.iter()).all(|(new, old)| {
        (0..Container::TYPE.get().fields.len())
            .map(|i| FieldId(i as u16))
            .all(|field| field == Container::IMAGE || same(new, old, field))
    })
}

/// From a negative grace period, which older versions took, to the shortest.
fn is_grace_mended(new: PodSpec<'_>, old: PodSpec<'_>) -> bool {
    old.termination_grace_period_seconds().is_some_and(|seconds| seconds < 0)
        && new.termination_grace_period_seconds() == Some(1)
}

/// Node affinity has been looked at; where nothing else is in it, affinity may come and go with it.
fn same_pod_affinity(new: PodSpec<'_>, old: PodSpec<'_>) -> bool {
    let nothing = Affinity::from_struct(Struct::ABSENT);
    let pods = |affinity: Option<Affinity<'_>>| {
        affinity.is_some_and(|a| a.pod_affinity().is_some() || a.pod_anti_affinity().is_some())
    };
    match (new.affinity(), old.affinity()) {
        (None, Some(old)) => old.node_affinity().is_some() && !pods(Some(old)),
        (Some(new), None) => new.node_affinity().is_some() && !pods(Some(new)),
        (new, old) => {
            let (new, old) = (new.unwrap_or(nothing), old.unwrap_or(nothing));
            same(new, old, Affinity::POD_AFFINITY) && same(new, old, Affinity::POD_ANTI_AFFINITY)
        }
    }
}

/// The new spec with what may change put back, for the message.
fn munge(new: PodSpec<'_>, old: PodSpec<'_>, gated: bool) -> Tree {
    let mut tree = Tree::new();
    let root = new.as_struct().as_node().map(|node| tree.import(node));
    let root = root.unwrap_or_else(|| tree.structure(PodSpec::TYPE));
    tree.set_root(root);
    let mut spec = tree.edit();
    for &field in FREE {
        crate::access::put_back(&mut spec, old.as_struct(), field);
    }
    if gated {
        crate::access::put_back(&mut spec, old.as_struct(), PodSpec::NODE_SELECTOR);
        if same_pod_affinity(new, old) {
            crate::access::put_back(&mut spec, old.as_struct(), PodSpec::AFFINITY);
        } else if spec.has(PodSpec::AFFINITY) || old.affinity().is_some_and(|old| old.node_affinity().is_some()) {
            let old = old.as_struct().structure(PodSpec::AFFINITY);
            crate::access::put_back(&mut spec.ensure(PodSpec::AFFINITY), old, Affinity::NODE_AFFINITY);
        }
    }
    if is_grace_mended(new, old) {
        crate::access::put_back(&mut spec, old.as_struct(), PodSpec::TERMINATION_GRACE_PERIOD_SECONDS);
    }
    for (list, old) in [(PodSpec::CONTAINERS, old.containers()), (PodSpec::INIT_CONTAINERS, old.init_containers())] {
        for (id, old) in spec.items(list).into_iter().zip(old.iter()) {
            spec.at(id).set(Container::IMAGE, old.image());
        }
    }
    tree
}
