//! RuntimeClass: a pod gets the overhead, node labels and tolerations of the class that it names, and no overhead but
//! that.

use std::collections::{BTreeMap, HashMap};

use corten_api::quantity::Quantity;
use corten_api::seen::Seen;
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
    if let Some(class) = call.api.lookup_tree("node.k8s.io", "runtimeclasses", name)? {
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
    let labels: Vec<(&str, &str)> = scheduling.node_selector().iter().collect();
    if !labels.is_empty() {
        pod.edit().ensure_path([Pod::SPEC, PodSpec::NODE_SELECTOR]).set_keys(&labels);
    }
    merge_tolerations(pod, class);
}

/// The pod's own tolerations and then the class's, without those that another one covers.
fn merge_tolerations(pod: &mut Tree, class: &Tree) {
    let Some(given) = class.root().at(&["scheduling", "tolerations"]) else { return };
    let mut all: Vec<Id> = pod.view::<Pod<'_>>().spec().tolerations().iter().filter_map(|own| own.id()).collect();
    all.extend(given.as_list().iter().map(|toleration| pod.import(toleration)));
    let tolerations: Vec<Toleration<'_>> =
        all.iter().map(|&id| Toleration::from_struct(pod.node(id).as_struct())).collect();
    let kept = not_covered(&tolerations);
    let merged: Vec<Id> = all.iter().zip(kept).filter(|(_, kept)| *kept).map(|(&id, _)| id).collect();
    let list = pod.list(&merged);
    pod.edit().ensure(Pod::SPEC).put(PodSpec::TOLERATIONS, list);
}

/// Which tolerations stay: those that neither one that stays before them nor another one behind them covers.
fn not_covered<'t>(all: &[Toleration<'t>]) -> Vec<bool> {
    let (mut before, mut behind): (Tolerated<'t>, Tolerated<'t>) = Default::default();
    let mut same = Seen::default();
    all.iter().for_each(|one| behind.add(*one));
    let mut kept = Vec::with_capacity(all.len());
    for &one in all {
        behind.remove(one);
        let exactly = ([one.key(), one.operator(), one.value(), one.effect()], one.toleration_seconds());
        let stays = !same.contains(&exactly) && !before.covers(one) && !behind.covers(one);
        if stays {
            same.insert(exactly);
            before.add(one);
        }
        kept.push(stays);
    }
    kept
}

/// Key, effect, and the value, or none where every value is tolerated.
type Kind<'t> = (&'t str, &'t str, Option<&'t str>);

/// How long, where for ever is longest, by which operator, and the value, which may stand where it does not count.
type Way<'t> = ((bool, i64), &'t str, &'t str);

/// What tolerations of a kind differ in, and how many there are of each way.
#[derive(Default)]
struct Tolerated<'t>(HashMap<Kind<'t>, BTreeMap<Way<'t>, usize>>);

/// None for an operator by which nothing but the same is tolerated.
fn kind<'t>(one: Toleration<'t>) -> Option<Kind<'t>> {
    let value = match one.operator() {
        "" | "Equal" => Some(one.value()),
        "Exists" => None,
        _ => return None,
    };
    Some((one.key(), one.effect(), value))
}

fn way<'t>(one: Toleration<'t>) -> Way<'t> {
    let seconds = one.toleration_seconds();
    ((seconds.is_none(), seconds.unwrap_or(0)), one.operator(), one.value())
}

impl<'t> Tolerated<'t> {
    fn add(&mut self, one: Toleration<'t>) {
        if let Some(kind) = kind(one) {
            *self.0.entry(kind).or_default().entry(way(one)).or_default() += 1;
        }
    }

    fn remove(&mut self, one: Toleration<'t>) {
        let Some(ways) = kind(one).and_then(|kind| self.0.get_mut(&kind)) else { return };
        if let Some(count) = ways.get_mut(&way(one)) {
            *count -= 1;
            if *count == 0 {
                ways.remove(&way(one));
            }
        }
    }

    /// Whether another toleration tolerates all that this one does.
    fn covers(&self, one: Toleration<'t>) -> bool {
        let (own_kind, own_way) = (kind(one), way(one));
        let by = |(key, effect, value): Kind<'t>| {
            let Some(ways) = self.0.get(&(key, effect, value)) else { return false };
            let mut others = ways.keys().rev().filter(|way| own_kind != Some((key, effect, value)) || **way != own_way);
            // The longest one covers this, or none does.
            others.next().is_some_and(|(time, ..)| effect != "NoExecute" || *time >= own_way.0)
        };
        let value = Some(one.value()).filter(|_| one.operator() == "Equal");
        [one.effect(), ""].into_iter().any(|effect| {
            by((one.key(), effect, None))
                || by(("", effect, None))
                || value.is_some_and(|value| by((one.key(), effect, Some(value))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstream's rule, pair by pair.
    fn covers(one: Toleration<'_>, other: Toleration<'_>) -> bool {
        let seconds = |of: Toleration<'_>| of.toleration_seconds();
        let any_key = one.key().is_empty() && one.operator() == "Exists";
        if one.as_struct().equals(other.as_struct()) {
            return true;
        }
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

    fn pair_by_pair(all: &[Toleration<'_>]) -> Vec<bool> {
        let mut merged: Vec<Toleration<'_>> = Vec::new();
        let mut kept = Vec::new();
        for (i, &one) in all.iter().enumerate() {
            let same = |other: Toleration<'_>| other.as_struct().equals(one.as_struct());
            let covered = merged.iter().any(|&other| covers(other, one))
                || all[i + 1..].iter().any(|&other| !same(other) && covers(other, one));
            kept.push(!covered);
            if !covered {
                merged.push(one);
            }
        }
        kept
    }

    #[test]
    fn the_same_as_pair_by_pair() {
        let random = corten_runtime::random::Random::seeded(1);
        let one_of = |all: &'static [&'static str]| all[random.below(all.len() as u64) as usize];
        for round in 0..3000 {
            let mut tree = Tree::of(PodSpec::TYPE);
            for _ in 0..=round % 9 {
                let mut edit = tree.edit();
                let mut toleration = edit.append(PodSpec::TOLERATIONS, Toleration::TYPE);
                toleration.set(Toleration::KEY, one_of(&["", "a", "b"]));
                toleration.set(Toleration::OPERATOR, one_of(&["", "Equal", "Exists", "Exists", "Lt"]));
                toleration.set(Toleration::VALUE, one_of(&["", "x", "y"]));
                toleration.set(Toleration::EFFECT, one_of(&["", "NoSchedule", "NoExecute", "NoExecute"]));
                match random.below(4) {
                    0 => {}
                    seconds => toleration.set(Toleration::TOLERATION_SECONDS, seconds as i64),
                }
            }
            let all: Vec<Toleration<'_>> = tree.view::<PodSpec<'_>>().tolerations().iter().collect();
            let shown = || corten_object::json::to_string(tree.root());
            assert_eq!(not_covered(&all), pair_by_pair(&all), "{}", shown());
        }
    }
}
