//! RuntimeClass: a pod gets the overhead, node labels and tolerations of the class that it names, and no overhead but
//! that.

use corten_api::quantity::Quantity;
use corten_api::status::{Reason, Result, Status};
use corten_object::tree::{Id, StringMap, Tree, View};
use corten_views::core_v1::{Pod, PodSpec, Toleration};
use corten_views::node_v1;

use super::{Attributes, Operation, Phase, Plugin, forbidden};
use crate::call::Call;

pub struct RuntimeClass;

impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Admit, Phase::Validate]
    }

    fn admit(&self, call: &Call, attributes: &Attributes<'_>, object: &mut Tree, _: Option<&Tree>) -> Result<()> {
        if attributes.operation != Operation::Create || !attributes.is("", "pods") {
            return Ok(());
        }
        let Some(class) = class_of(call, attributes, object)? else { return Ok(()) };
        check_overhead(attributes, object, class.view())?;
        check_node_selector(attributes, object, class.view())?;
        set_overhead(object, class.view());
        set_scheduling(object, &class);
        Ok(())
    }

    fn validate(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: Option<&Tree>,
        _: Option<&Tree>,
    ) -> Result<()> {
        let (Operation::Create, true, Some(object)) = (attributes.operation, attributes.is("", "pods"), object) else {
            return Ok(());
        };
        let class = class_of(call, attributes, object)?;
        let overhead = class.as_ref().and_then(|class| class.view::<node_v1::RuntimeClass<'_>>().overhead());
        let spec = object.view::<Pod<'_>>().spec();
        match overhead {
            Some(overhead) if !same_amounts(overhead.pod_fixed(), spec.overhead()) => Err(mismatch(attributes)),
            None if spec.as_struct().has(PodSpec::OVERHEAD) => Err(forbidden(
                attributes,
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            )),
            _ => Ok(()),
        }
    }
}

fn class_of(call: &Call, attributes: &Attributes<'_>, pod: &Tree) -> Result<Option<Tree>> {
    let Some(name) = pod.view::<Pod<'_>>().spec().runtime_class_name() else { return Ok(None) };
    if let Some(class) = call.api.lookup_tree("node.k8s.io", "runtimeclasses", name) {
        return Ok(Some(class));
    }
    if name.is_empty() {
        return Err(Status::failure(500, Reason::Unknown, "resource name may not be empty"));
    }
    let name = corten_api::json::string(name);
    Err(forbidden(attributes, &format!("pod rejected: RuntimeClass {name} not found")))
}

fn mismatch(attributes: &Attributes<'_>) -> Status {
    forbidden(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
}

fn check_overhead(attributes: &Attributes<'_>, pod: &Tree, class: node_v1::RuntimeClass<'_>) -> Result<()> {
    let own = pod.view::<Pod<'_>>().spec().overhead();
    match class.overhead() {
        Some(overhead) if !own.is_empty() && !same_amounts(overhead.pod_fixed(), own) => Err(mismatch(attributes)),
        _ => Ok(()),
    }
}

fn set_overhead(pod: &mut Tree, class: node_v1::RuntimeClass<'_>) {
    let Some(overhead) = class.overhead() else { return };
    let mut edit = pod.edit();
    let mut spec = edit.ensure(Pod::SPEC);
    spec.remove(PodSpec::OVERHEAD);
    for (name, amount) in overhead.pod_fixed().iter() {
        spec.ensure(PodSpec::OVERHEAD).set_key(name, amount);
    }
}

fn same_amounts(a: StringMap<'_>, b: StringMap<'_>) -> bool {
    let same = |a: &str, b: &str| match (Quantity::parse(a), Quantity::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    a.len() == b.len() && a.iter().zip(b.iter()).all(|((k, a), (l, b))| k == l && same(a, b))
}

fn check_node_selector(attributes: &Attributes<'_>, pod: &Tree, class: node_v1::RuntimeClass<'_>) -> Result<()> {
    let Some(scheduling) = class.scheduling() else { return Ok(()) };
    let chosen = pod.view::<Pod<'_>>().spec().node_selector();
    for (key, value) in scheduling.node_selector().iter() {
        if let Some(own) = chosen.get(key).filter(|own| *own != value) {
            let message = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
            );
            return Err(forbidden(attributes, &message));
        }
    }
    Ok(())
}

fn set_scheduling(pod: &mut Tree, class: &Tree) {
    let Some(scheduling) = class.view::<node_v1::RuntimeClass<'_>>().scheduling() else { return };
    for (key, value) in scheduling.node_selector().iter() {
        pod.edit().ensure_path([Pod::SPEC, PodSpec::NODE_SELECTOR]).set_key(key, value);
    }
    merge_tolerations(pod, class);
}

/// The pod's own tolerations and then the class's, without those that another one covers.
fn merge_tolerations(pod: &mut Tree, class: &Tree) {
    let Some(given) = class.root().at(&["scheduling", "tolerations"]) else { return };
    let mut all: Vec<Id> = pod.view::<Pod<'_>>().spec().tolerations().iter().filter_map(|own| own.id()).collect();
    all.extend(given.as_list().iter().map(|toleration| pod.import(toleration)));
    let at = |id: Id| Toleration::from_struct(pod.node(id).as_struct());
    let mut merged: Vec<Id> = Vec::new();
    for (i, &id) in all.iter().enumerate() {
        let covered = merged.iter().any(|&other| covers(at(other), at(id)))
            || all[i + 1..].iter().any(|&other| !pod.equal(id, pod, other) && covers(at(other), at(id)));
        if !covered {
            merged.push(id);
        }
    }
    let list = pod.list(&merged);
    pod.edit().ensure(Pod::SPEC).put(PodSpec::TOLERATIONS, list);
}

/// Whether one toleration tolerates all that the other does.
fn covers(one: Toleration<'_>, other: Toleration<'_>) -> bool {
    let seconds = |of: Toleration<'_>| of.toleration_seconds();
    let same = one.key() == other.key()
        && one.operator() == other.operator()
        && one.value() == other.value()
        && one.effect() == other.effect()
        && seconds(one) == seconds(other);
    if same {
        return true;
    }
    let any_key = one.key().is_empty() && one.operator() == "Exists";
    if one.key() != other.key() && !any_key || one.effect() != other.effect() && !one.effect().is_empty() {
        return false;
    }
    if one.effect() == "NoExecute"
        && let Some(longest) = seconds(one)
        && seconds(other).is_none_or(|own| own > longest)
    {
        return false;
    }
    match one.operator() {
        "" | "Equal" => other.operator() == "Equal" && one.value() == other.value(),
        operator => operator == "Exists",
    }
}
