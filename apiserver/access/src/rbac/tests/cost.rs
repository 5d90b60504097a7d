//! What a decision costs with 10,000 bindings. The bound is generous, because a test runs on anything and without
//! optimisation; a search through all bindings would still be far beyond it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::*;

const BINDINGS: usize = 10_000;
const ROUNDS: u32 = 2_000;

/// A team's cluster: 1,000 namespaces with ten bindings each, of users, groups and service accounts, and roles of the
/// size of the default ones.
fn large() -> Rbac {
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
    let bindings = (0..BINDINGS).map(|i| {
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
fn a_decision_takes_microseconds() {
    let started = Instant::now();
    let rbac = large();
    println!("building an index of {BINDINGS} bindings: {:?}", started.elapsed());
    assert_eq!(rbac.snapshot().binding_count(), BINDINGS);

    let service_account = User::new(
        "system:serviceaccount:ns7:default3",
        &["system:serviceaccounts", "system:serviceaccounts:ns7", "system:authenticated"],
    );
    let member = User::new("jane", &["group70", "group71", "system:authenticated"]);
    let stranger = User::new("stranger", &["system:authenticated"]);
    let cost = |name: &str, attributes: Attributes<'_>, expected: bool| {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            assert_eq!(black_box(rbac.authorize(black_box(&attributes))).allowed(), expected, "{name}");
        }
        let each = started.elapsed() / ROUNDS;
        println!("{name}: {} ns/decision", each.as_nanos());
        assert!(each < Duration::from_micros(200), "{name} takes {each:?}");
    };
    cost("allow a service account", pods(&service_account, "get", "ns7"), true);
    cost("allow by group", pods(&member, "list", "ns7"), true);
    cost("forbid a verb", pods(&service_account, "create", "ns7"), false);
    cost("forbid at cluster scope", pods(&member, "list", ""), false);
    cost("forbid a stranger", pods(&stranger, "list", "ns7"), false);
}

/// Everybody of one group, bound again and again: the worst that one subject can have.
#[test]
fn many_bindings_of_one_subject() {
    let rbac = rbac(vec![role("", "reader", &reader())], Vec::new());
    let started = Instant::now();
    for i in 0..BINDINGS {
        rbac.set_binding(binding("", &format!("b{i}"), "ClusterRole/reader", &["Group:all"]));
    }
    let each = started.elapsed() / BINDINGS as u32;
    println!("one change among {BINDINGS}: {} ns", each.as_nanos());
    assert!(each < Duration::from_millis(1), "{each:?}");

    let user = User::new("jane", &["all"]);
    let started = Instant::now();
    for _ in 0..ROUNDS {
        assert!(black_box(rbac.authorize(&pods(&user, "get", "ns"))).allowed());
        assert!(!black_box(rbac.authorize(&pods(&user, "delete", "ns"))).allowed());
    }
    let each = started.elapsed() / (2 * ROUNDS);
    println!("one role of {BINDINGS} bindings: {} ns/decision", each.as_nanos());
    assert!(each < Duration::from_micros(200), "{each:?}");
}
