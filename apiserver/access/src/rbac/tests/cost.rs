//! What a decision and a change cost with 10,000 bindings, beside what they cost with 100: a search through all bindings
//! would cost a hundred times as much. Both are measured here and now, so that a slow or busy machine does not matter.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::*;

const BINDINGS: usize = 10_000;
const FEW: usize = 100;
/// How often as much the larger may cost: its tables fit no cache, and a tree has a few levels more.
const FACTOR: u32 = 20;

/// What a call costs when nothing comes between: the least of many rounds.
fn cost(mut call: impl FnMut()) -> Duration {
    const CALLS: u32 = 50;
    let round = |_| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| call());
        started.elapsed() / CALLS
    };
    (0..40).map(round).min().unwrap_or_default()
}

#[track_caller]
fn check(name: &str, few: Duration, many: Duration) {
    println!("{name}: {} ns among {FEW} bindings, {} ns among {BINDINGS}", few.as_nanos(), many.as_nanos());
    assert!(many < few * FACTOR, "{name}: {few:?} among {FEW} bindings, {many:?} among {BINDINGS}");
}

/// A team's cluster: namespaces with ten bindings each, of users, groups and service accounts, and roles of the
/// size of the default ones.
fn cluster(bindings: usize) -> Rbac {
    let resources: Vec<String> = (0..20).map(|i| format!("things{i}")).collect();
    let rules: Vec<PolicyRule> = (0..30)
        .map(|i| PolicyRule {
            verbs: vec!["create".into(), "delete".into(), "patch".into()],
            api_groups: vec![format!("group{i}.example.org")],
            resources: resources.clone(),
            ..PolicyRule::default()
        })
        .chain(reader())
        .collect();
    let roles = (0..20).map(|i| role("", &format!("role{i}"), &rules)).collect();
    let bindings = (0..bindings).map(|i| {
        let subjects = [
            format!("User:user{}", i % 500),
            format!("Group:group{}", i % 300),
            format!("ServiceAccount:default{}", i % 10),
        ];
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        binding(&format!("ns{}", i / 10), &format!("b{i}"), &format!("ClusterRole/role{}", i % 20), &subjects)
    });
    rbac(roles, bindings.collect())
}

#[test]
fn a_decision_costs_much_the_same_among_many_bindings() {
    let (small, large) = (cluster(FEW), cluster(BINDINGS));
    assert_eq!((small.snapshot().binding_count(), large.snapshot().binding_count()), (FEW, BINDINGS));
    let service_account = User::new(
        "system:serviceaccount:ns7:default3",
        &["system:serviceaccounts", "system:serviceaccounts:ns7", "system:authenticated"],
    );
    let member = User::new("jane", &["group70", "group71", "system:authenticated"]);
    let stranger = User::new("stranger", &["system:authenticated"]);
    let compare = |name: &str, attributes: Attributes<'_>, expected: bool| {
        let of = |rbac: &Rbac| {
            cost(|| assert_eq!(black_box(rbac.authorize(black_box(&attributes))).allowed(), expected, "{name}"))
        };
        check(name, of(&small), of(&large));
    };
    compare("allow a service account", pods(&service_account, "get", "ns7"), true);
    compare("allow by group", pods(&member, "list", "ns7"), true);
    compare("forbid a verb", pods(&service_account, "create", "ns7"), false);
    compare("forbid at cluster scope", pods(&member, "list", ""), false);
    compare("forbid a stranger", pods(&stranger, "list", "ns7"), false);
}

/// Everybody of one group, bound again and again: the worst that one subject can have.
#[test]
fn many_bindings_of_one_subject_cost_much_the_same_as_few() {
    let rbac = rbac(vec![role("", "reader", &reader())], Vec::new());
    let grow = |bindings: std::ops::Range<usize>| {
        bindings.for_each(|i| rbac.set_binding(binding("", &format!("b{i}"), "ClusterRole/reader", &["Group:all"])));
    };
    let user = User::new("jane", &["all"]);
    let measure = || {
        let changed = || rbac.set_binding(binding("", "b0", "ClusterRole/reader", &["Group:all"]));
        let decided = || {
            assert!(black_box(rbac.authorize(&pods(&user, "get", "ns"))).allowed());
            assert!(!black_box(rbac.authorize(&pods(&user, "delete", "ns"))).allowed());
        };
        (cost(changed), cost(decided))
    };
    grow(0..FEW);
    let few = measure();
    grow(FEW..BINDINGS);
    let many = measure();
    check("a change", few.0, many.0);
    check("two decisions", few.1, many.1);
}
