//! What a kind's rules cost grows with the object, not with its square.
//!
//! Every list and map of every kind, as the schema tables know them, is filled with some thousands of elements, and with
//! twice as many: distinct ones, equal ones, and ones that break every rule. All that the pipeline asks of a strategy is
//! asked, and the processor time of the thread is compared. `make test` looks at the places that once were quadratic and
//! at some others, drawn by a seed; with `CORTEN_GROWTH=all` the test looks at all, which takes some minutes.

use std::time::Duration;

use corten_object::tree::{Node, Tree};
use corten_schema::{RESOURCES, Resource, Shape, TypeId};
use rustix::time::{ClockId, clock_gettime};

use super::{context, meta, object};
use crate::rows::{ROWS, Row};
use crate::strategy::Strategy;
use crate::{columns, object_meta, service};

/// Elements of the smaller object: enough for a comparison of all pairs to outweigh the rest.
const COUNT: usize = 1500;
/// What the clock and a busy machine may add.
const NOISE: Duration = Duration::from_millis(5);
/// How much time is spent on a list before it is believed to fail: noise comes in bursts of seconds, and a list whose
/// pairs are compared costs four times as much each time.
const SPENT_MAX: Duration = Duration::from_secs(10);
const DRAWN: usize = 6;

/// Places where lists were once compared pair by pair, and elements by which that showed.
const KNOWN: &[(&str, &str, Filling)] = &[
    ("certificatesigningrequests", "status.conditions", Filling::Distinct),
    ("configmaps", "metadata.finalizers", Filling::Distinct),
    ("configmaps", "metadata.ownerReferences", Filling::Full),
    ("csidrivers", "spec.tokenRequests", Filling::Distinct),
    ("csinodes", "spec.drivers", Filling::Distinct),
    ("csinodes", "spec.drivers.topologyKeys", Filling::Distinct),
    ("endpoints", "subsets.addresses", Filling::Distinct),
    ("endpointslices", "ports", Filling::Distinct),
    ("flowschemas", "status.conditions", Filling::Distinct),
    ("ingresses", "status.loadBalancer.ingress", Filling::Distinct),
    ("jobs", "spec.podFailurePolicy.rules.onExitCodes.values", Filling::Distinct),
    ("jobs", "status.uncountedTerminatedPods.failed", Filling::Distinct),
    ("nodes", "spec.taints", Filling::Distinct),
    ("nodes", "status.addresses", Filling::Distinct),
    ("poddisruptionbudgets", "status.conditions", Filling::Distinct),
    ("pods", "spec.containers.ports", Filling::Equal),
    ("pods", "spec.containers.resources.claims", Filling::Distinct),
    ("pods", "spec.containers.securityContext.capabilities.add", Filling::Distinct),
    ("pods", "spec.schedulingGates", Filling::Distinct),
    ("pods", "spec.tolerations", Filling::Distinct),
    ("pods", "spec.topologySpreadConstraints", Filling::Distinct),
    ("pods", "spec.volumes.configMap.items", Filling::Equal),
    ("pods", "status.conditions", Filling::Distinct),
    ("pods", "status.containerStatuses", Filling::Full),
    ("pods", "status.resourceClaimStatuses", Filling::Distinct),
    ("resourceclaims", "status.devices", Filling::Distinct),
    ("resourceclaims", "status.reservedFor", Filling::Distinct),
    ("runtimeclasses", "scheduling.tolerations", Filling::Distinct),
    ("services", "spec.ports", Filling::Distinct),
    ("services", "spec.externalIPs", Filling::Distinct),
    ("statefulsets", "spec.volumeClaimTemplates", Filling::Distinct),
    ("storageclasses", "allowedTopologies", Filling::Distinct),
    ("storageclasses", "allowedTopologies.matchLabelExpressions", Filling::Distinct),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Filling {
    /// Elements with what every one of them has.
    Distinct,
    /// Elements with everything that they can have.
    Full,
    Equal,
    Invalid,
}

/// The shape of what a step of the path leads to.
#[derive(Clone, Copy)]
enum Around {
    Struct(TypeId),
    List(TypeId),
    Map(TypeId),
}

/// A list or map of a kind.
struct Place {
    row: &'static Row,
    resource: &'static Resource,
    path: Vec<(&'static str, Around)>,
    field: &'static str,
    shape: Shape,
}

impl Place {
    fn name(&self) -> String {
        self.path.iter().map(|(name, _)| *name).chain([self.field]).collect::<Vec<_>>().join(".")
    }

    /// An object with so many elements there.
    fn object(&self, count: usize, filling: Filling, reversed: bool) -> Tree {
        let mut elements: Vec<String> = (0..count).map(|i| self.element(i, filling, reversed)).collect();
        if reversed {
            elements.reverse();
        }
        let (open, close) = if matches!(self.shape, Shape::Map(_)) { ('{', '}') } else { ('[', ']') };
        let mut text = format!("{{\"{}\":{open}{}{close}}}", self.field, elements.join(","));
        for (field, around) in self.path.iter().rev() {
            let (Around::Struct(ty) | Around::List(ty) | Around::Map(ty)) = around;
            let named = ty.get().field_named("name").is_some_and(|name| matches!(ty.field(name).shape, Shape::String));
            if named && !text.starts_with("{\"name\"") && !matches!(around, Around::Struct(_)) {
                text = format!("{{\"name\":\"x\",{}", &text[1..]);
            }
            text = match around {
                Around::Struct(_) => format!("{{\"{field}\":{text}}}"),
                Around::List(_) => format!("{{\"{field}\":[{text}]}}"),
                Around::Map(_) => format!("{{\"{field}\":{{\"x\":{text}}}}}"),
            };
        }
        let namespace = if self.resource.namespaced { r#","namespace":"ns""# } else { "" };
        let own = format!(r#""name":"x","uid":"u","resourceVersion":"1"{namespace}"#);
        text = match text.strip_prefix("{\"metadata\":{") {
            Some(rest) => format!("{{\"metadata\":{{{own},{rest}"),
            None => format!("{{\"metadata\":{{{own}}},{}", &text[1..]),
        };
        object(self.resource.group, self.resource.version, self.resource.kind, &text)
    }

    fn element(&self, i: usize, filling: Filling, changed: bool) -> String {
        let i = if matches!(filling, Filling::Equal) { 0 } else { i };
        match self.shape {
            Shape::Map(item) => {
                let key = if matches!(filling, Filling::Invalid) { format!("-{i}") } else { format!("k{i}") };
                // Keys of a map cannot be equal; its values are.
                let key = if matches!(filling, Filling::Equal) { String::new() } else { key };
                format!("\"{key}\":{}", value(*item, self.field, i + usize::from(changed), filling, 0))
            }
            Shape::List(item) | Shape::WrappedList(item) => value(*item, self.field, i, filling, 0),
            _ => unreachable!("places are lists and maps"),
        }
    }
}

fn value(shape: Shape, name: &str, i: usize, filling: Filling, depth: usize) -> String {
    let invalid = matches!(filling, Filling::Invalid);
    match shape {
        Shape::String if invalid => format!("\"-{i}-\""),
        Shape::String => format!("\"{}\"", text(name, i)),
        Shape::Bool => "true".to_owned(),
        Shape::Int32 | Shape::Int64 if invalid => format!("-{}", i + 1),
        Shape::Int32 | Shape::Int64 => (i + 1).to_string(),
        Shape::Float64 => "0.5".to_owned(),
        Shape::Bytes => "\"AAAA\"".to_owned(),
        Shape::Time => "\"2026-01-01T00:00:00Z\"".to_owned(),
        Shape::MicroTime => "\"2026-01-01T00:00:00.000000Z\"".to_owned(),
        Shape::Duration => "\"1s\"".to_owned(),
        Shape::Quantity => if invalid { "\"-1\"" } else { "\"1\"" }.to_owned(),
        Shape::IntOrString => (i + 1).to_string(),
        Shape::Raw(_) | Shape::SchemaOr(_) => "{}".to_owned(),
        Shape::Struct(ty) => structure(ty, i, filling, depth),
        Shape::List(item) | Shape::WrappedList(item) => format!("[{}]", value(*item, name, i, filling, depth + 1)),
        Shape::Map(item) => format!("{{\"k{i}\":{}}}", value(*item, name, i, filling, depth + 1)),
    }
}

/// Texts that the rules for a field of the name take.
fn text(name: &str, i: usize) -> String {
    match name {
        "protocol" => "TCP".to_owned(),
        "effect" => "NoSchedule".to_owned(),
        "operator" => "Exists".to_owned(),
        "whenUnsatisfiable" => "DoNotSchedule".to_owned(),
        "status" => "True".to_owned(),
        "add" => "CAP_SYS_ADMIN".to_owned(),
        "apiVersion" => "v1".to_owned(),
        "ip" | "address" | "externalIPs" => format!("10.{}.{}.1", i / 250 % 250, i % 250),
        "cidr" | "except" | "podCIDRs" | "loadBalancerSourceRanges" => format!("10.{}.{}.0/24", i / 250 % 250, i % 250),
        "finalizers" => format!("a/x{i}"),
        _ => format!("x{i}"),
    }
}

fn structure(ty: TypeId, i: usize, filling: Filling, depth: usize) -> String {
    let full = matches!(filling, Filling::Full);
    let fields = ty.get().fields.iter().filter(|field| match field.shape {
        Shape::Struct(_) => depth < 2 && (full || !field.pointer),
        Shape::List(_) | Shape::WrappedList(_) | Shape::Map(_) => full && depth < 1,
        _ => full || !field.pointer,
    });
    let fields =
        fields.map(|field| format!("\"{}\":{}", field.name, value(field.shape, field.name, i, filling, depth + 1)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn places() -> Vec<Place> {
    let mut all = Vec::new();
    for row in ROWS.iter().copied().flatten() {
        let of_row = RESOURCES.iter().filter(|resource| (resource.group, resource.plural) == (row.group, row.resource));
        let resource = of_row.max_by_key(|resource| resource.version).unwrap_or_else(|| panic!("{}", row.resource));
        let kind = corten_schema::kind(resource.group, resource.version, resource.kind).expect("resources have kinds");
        walk(row, resource, kind.ty, &mut Vec::new(), &mut all);
    }
    all
}

fn walk(
    row: &'static Row,
    resource: &'static Resource,
    ty: TypeId,
    path: &mut Vec<(&'static str, Around)>,
    all: &mut Vec<Place>,
) {
    let within = |ty: TypeId, path: &[(&str, Around)]| {
        path.iter().any(|(_, Around::Struct(other) | Around::List(other) | Around::Map(other))| *other == ty)
    };
    for field in ty.get().fields {
        // The rules of metadata are those of all kinds, and the rules of pods those of all templates.
        let template = matches!(field.shape, Shape::Struct(ty) if ty.get().name == "core.v1.PodTemplateSpec");
        if (field.name == "metadata" && resource.kind != "ConfigMap") || template {
            continue;
        }
        let (inner, around): (Option<TypeId>, fn(TypeId) -> Around) = match field.shape {
            Shape::Struct(ty) => (Some(ty), Around::Struct),
            Shape::List(Shape::Struct(ty)) => (Some(*ty), Around::List),
            Shape::Map(Shape::Struct(ty)) => (Some(*ty), Around::Map),
            _ => (None, Around::Struct),
        };
        if matches!(field.shape, Shape::List(_) | Shape::Map(_) | Shape::WrappedList(_)) {
            all.push(Place { row, resource, path: path.clone(), field: field.name, shape: field.shape });
        }
        if let Some(inner) = inner.filter(|inner| path.len() < 9 && !within(*inner, path)) {
            path.push((field.name, around(inner)));
            walk(row, resource, inner, path, all);
            path.pop();
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The processor time of all that is asked of a kind's strategies, in the least of some runs.
struct Cost {
    old: Tree,
    new: Tree,
    least: Duration,
    spent: Duration,
}

impl Cost {
    fn of(place: &Place, count: usize, filling: Filling) -> Cost {
        let mut cost = Cost {
            old: place.object(count, filling, false),
            new: place.object(count, filling, true),
            least: Duration::MAX,
            spent: Duration::ZERO,
        };
        cost.measure(place);
        cost
    }

    fn measure(&mut self, place: &Place) {
        let began = cpu_time();
        let (mut old, mut new) = (self.old.clone(), self.new.clone());
        let strategy = place.row.strategy;
        let context = context(place.resource.group, place.resource.version);
        strategy.default(context.version, &mut old.edit());
        strategy.default(context.version, &mut new.edit());
        if let Some(printer) = columns::printer(place.resource.group, place.resource.plural) {
            (printer.row)(old.root());
        }
        for name in ["status", "approval", "finalize", "ephemeralcontainers", "resize"] {
            if let Some(subresource) = strategy.subresource(name) {
                update(subresource, new.clone(), old.root(), place, &context);
            }
        }
        if place.resource.kind == "Service" {
            let network = service::Network::default();
            let mut planned = new.clone();
            let _ = service::plan(&mut planned.edit(), Some(old.root()), &network).map(|plan| plan.needs_ports());
            let _ = service::plan(&mut new.clone().edit(), None, &network).map(|plan| plan.needs_ports());
        }
        update(strategy, new, old.root(), place, &context);
        strategy.warn_received(old.root(), &context);
        strategy.prepare_create(&mut old.edit(), &context);
        let mut errors = object_meta::on_create(strategy, meta(old.root()), place.resource.namespaced);
        errors.append(strategy.validate(old.root(), &context));
        let _ = errors.to_string();
        strategy.warn_create(old.root(), &context);
        let cost = cpu_time() - began;
        self.least = self.least.min(cost);
        self.spent += cost;
    }
}

fn update(
    strategy: &dyn Strategy,
    mut new: Tree,
    old: Node<'_>,
    place: &Place,
    context: &crate::strategy::Context<'_>,
) {
    strategy.prepare_update(&mut new.edit(), old, context);
    strategy.generation_changes(new.root(), old);
    let mut errors = object_meta::on_update(strategy, meta(new.root()), meta(old), place.resource.namespaced);
    errors.append(strategy.validate_update(new.root(), old, context));
    let _ = errors.to_string();
    strategy.warn_update(new.root(), old, context);
}

/// None if twice the elements cost about twice the time. The least of many tries counts: while others are busy, a long
/// one is undisturbed more rarely than a short one.
fn grows_too_fast(place: &Place, filling: Filling) -> Option<String> {
    let (mut one, mut two) = (Cost::of(place, COUNT, filling), Cost::of(place, 2 * COUNT, filling));
    while two.least > one.least * 3 + NOISE {
        if one.spent + two.spent > SPENT_MAX {
            return Some(complaint(place, filling, &one, &two));
        }
        one.measure(place);
        two.measure(place);
    }
    None
}

fn complaint(place: &Place, filling: Filling, one: &Cost, two: &Cost) -> String {
    let (kind, name) = (place.resource.kind, place.name());
    format!("{kind} {name}, {filling:?}: {:?} and {:?}", one.least, two.least)
}

#[test]
fn twice_the_elements_cost_twice_the_time() {
    let all = std::env::var("CORTEN_GROWTH").is_ok_and(|what| what == "all");
    let places = places();
    for (resource, name, _) in KNOWN {
        let known = |place: &Place| place.resource.plural == *resource && place.name() == *name;
        assert!(places.iter().any(known), "{resource} have no list {name}");
    }
    // A linear congruential generator draws well enough.
    let mut drawn = 1u64;
    let mut draw = move || {
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (drawn >> 33) as usize
    };
    let count = places.len();
    let chosen: Vec<usize> = (0..DRAWN).map(|_| draw() % count).collect();
    let mut wrong = Vec::new();
    for (i, place) in places.iter().enumerate() {
        let name = place.name();
        let known = |filling| KNOWN.contains(&(place.resource.plural, name.as_str(), filling));
        for filling in [Filling::Distinct, Filling::Full, Filling::Equal, Filling::Invalid] {
            if all || known(filling) || chosen.contains(&i) {
                wrong.extend(grows_too_fast(place, filling));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the lists cost too much:\n{}", wrong.len(), wrong.join("\n"));
}
