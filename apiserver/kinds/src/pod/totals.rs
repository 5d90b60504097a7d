//! What the containers of a pod take together, and the class of service that follows from it.

use std::collections::BTreeMap;

use corten_api::quantity::Quantity;
use corten_object::tree::StringMap;
use corten_views::core_v1::{Container, PodSpec};

use super::containers::is_restartable;
use super::resources::quantity;

pub type Amounts<'t> = BTreeMap<&'t str, Quantity>;

pub fn requests<'t>(spec: PodSpec<'t>) -> Amounts<'t> {
    aggregate(spec, |container| container.resources().requests())
}

pub fn limits<'t>(spec: PodSpec<'t>) -> Amounts<'t> {
    aggregate(spec, |container| container.resources().limits())
}

/// Regular containers and sidecars run together; an init container runs with the sidecars that were started before it.
/// The pod needs whichever is more.
fn aggregate<'t>(spec: PodSpec<'t>, list: impl Fn(Container<'t>) -> StringMap<'t>) -> Amounts<'t> {
    let mut running = Amounts::new();
    for container in spec.containers().iter() {
        add(&mut running, list(container));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in spec.init_containers().iter() {
        let of_container = list(container);
        let restartable = is_restartable(container);
        if restartable {
            add(&mut running, of_container);
            add(&mut sidecars, of_container);
        }
        // What sidecars take that this container does not name was counted when they started.
        for (name, value) in of_container.iter() {
            let together = match (sidecars.get(name), restartable) {
                (Some(sidecars), true) => sidecars.clone(),
                (Some(sidecars), false) => {
                    let mut together = sidecars.clone();
                    together.add(&quantity(value));
                    together
                }
                (None, _) => quantity(value),
            };
            raise(&mut starting, name, together);
        }
    }
    for (name, value) in starting {
        raise(&mut running, name, value);
    }
    running
}

fn add<'t>(amounts: &mut Amounts<'t>, list: StringMap<'t>) {
    for (name, value) in list.iter() {
        let value = quantity(value);
        amounts.entry(name).and_modify(|sum| sum.add(&value)).or_insert(value);
    }
}

fn raise<'t>(amounts: &mut Amounts<'t>, name: &'t str, value: Quantity) {
    match amounts.get_mut(name) {
        Some(found) if *found >= value => {}
        Some(found) => *found = value,
        None => _ = amounts.insert(name, value),
    }
}

/// The sums of cpu and memory; `None` where nothing above zero is asked for.
#[derive(Default)]
struct Computes {
    cpu: Option<Quantity>,
    memory: Option<Quantity>,
}

impl Computes {
    /// Says whether both are there.
    fn add(&mut self, list: StringMap<'_>) -> bool {
        let mut both = true;
        for (name, sum) in [("cpu", &mut self.cpu), ("memory", &mut self.memory)] {
            match list.get(name).map(quantity).filter(|value| value.sign() > 0) {
                None => both = false,
                Some(value) => match sum {
                    Some(sum) => sum.add(&value),
                    None => *sum = Some(value),
                },
            }
        }
        both
    }

    fn is_empty(&self) -> bool {
        self.cpu.is_none() && self.memory.is_none()
    }
}

/// Upstream's `ComputePodQOS`.
pub fn qos_class(spec: PodSpec<'_>) -> &'static str {
    let (mut requests, mut limits) = (Computes::default(), Computes::default());
    let mut limited = true;
    match spec.resources() {
        Some(pod) => {
            requests.add(pod.requests());
            limited = limits.add(pod.limits()) || pod.limits().is_empty();
        }
        None => {
            for container in spec.containers().iter().chain(spec.init_containers().iter()) {
                requests.add(container.resources().requests());
                limited &= limits.add(container.resources().limits());
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    if limited && requests.cpu == limits.cpu && requests.memory == limits.memory { "Guaranteed" } else { "Burstable" }
}
