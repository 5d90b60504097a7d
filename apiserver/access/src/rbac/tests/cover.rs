//! What is missing of rules, compared with what multiplying them out finds; and what large rules cost.

use std::time::{Duration, Instant};

use corten_runtime::random::Random;

use super::*;

/// The plain rule: every right by itself, against every held rule.
fn multiplied_out(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    let mut parts = Vec::new();
    for rule in wanted {
        for (group, resource) in rule.api_groups.iter().flat_map(|g| rule.resources.iter().map(move |r| (g, r))) {
            for verb in &rule.verbs {
                let part = PolicyRule::new(&[verb], &[group], &[resource]);
                match rule.resource_names.as_slice() {
                    [] => parts.push(part),
                    names => parts.extend(names.iter().map(|name| part.clone().named(&[name]))),
                }
            }
        }
        for path in &rule.non_resource_urls {
            parts.extend(rule.verbs.iter().map(|verb| PolicyRule::paths(&[verb], &[path])));
        }
    }
    parts.retain(|part| !held.iter().any(|rule| gives(rule, part)));
    parts
}

fn gives(held: &PolicyRule, part: &PolicyRule) -> bool {
    let has = |values: &[String], wanted: &str| values.iter().any(|value| value == wanted);
    let all =
        |values: &[String], wanted: &[String]| has(values, "*") || wanted.iter().all(|wanted| has(values, wanted));
    let resource = |wanted: &String| {
        let any_with = wanted.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
        has(&held.resources, "*")
            || has(&held.resources, wanted)
            || any_with.is_some_and(|any| has(&held.resources, &any))
    };
    let path = |wanted: &String| {
        held.non_resource_urls
            .iter()
            .any(|own| own == wanted || (own.ends_with('*') && wanted.starts_with(own.trim_end_matches('*'))))
    };
    let names = match part.resource_names.as_slice() {
        [] => held.resource_names.is_empty(),
        [name, ..] => held.resource_names.is_empty() || has(&held.resource_names, name),
    };
    names
        && all(&held.verbs, &part.verbs)
        && all(&held.api_groups, &part.api_groups)
        && part.resources.iter().all(resource)
        && part.non_resource_urls.iter().all(path)
}

#[test]
fn finds_what_multiplying_out_finds() {
    let random = Random::seeded(3);
    let some = |from: &[&str], max: u64| -> Vec<String> {
        (0..random.below(max + 1)).map(|_| from[random.below(from.len() as u64) as usize].to_owned()).collect()
    };
    let rule = |many: u64| PolicyRule {
        verbs: some(&["get", "list", "update", "delete", "*"], many),
        api_groups: some(&["", "apps", "batch", "*"], many),
        resources: some(&["pods", "pods/log", "nodes", "*/log", "x/y/z", "*/y/z", "*", "/"], many),
        resource_names: if random.below(3) == 0 { some(&["a", "b", "c"], many) } else { Vec::new() },
        non_resource_urls: if random.below(4) == 0 {
            some(&["/a", "/a/*", "/a*", "/b/c", "", "*", "/**", "/b/*/*"], many)
        } else {
            Vec::new()
        },
    };
    let (mut covered, mut uncovered) = (0, 0);
    for _ in 0..4000 {
        let held: Vec<PolicyRule> = (0..random.below(90)).map(|_| rule(1 + random.below(4))).collect();
        let wanted: Vec<PolicyRule> = (0..random.below(4)).map(|_| rule(6)).collect();
        let found = covers(&held.iter().collect::<Vec<_>>(), &wanted);
        let expected = multiplied_out(&held, &wanted);
        assert_eq!((&found.rules, found.rest), (&expected, Rest::Nothing), "{held:#?} {wanted:#?}");
        *if expected.is_empty() { &mut covered } else { &mut uncovered } += 1;
    }
    assert!(covered > 500 && uncovered > 500, "{covered} and {uncovered}: the cases say little");
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// Everything of so many groups, resources and verbs.
fn cube(side: usize) -> PolicyRule {
    PolicyRule {
        api_groups: numbered("g", side),
        resources: numbered("r", side),
        verbs: numbered("v", side),
        ..PolicyRule::default()
    }
}

/// Each of these would be millions of rights.
#[test]
fn large_products_are_not_multiplied_out() {
    let check = |held: &[PolicyRule], wanted: &[PolicyRule], missing: &[PolicyRule]| {
        let found = covers(&held.iter().collect::<Vec<_>>(), wanted);
        assert_eq!((found.rules.as_slice(), found.rest), (missing, Rest::Nothing));
    };
    let cube = cube(1000);
    let wanted = std::slice::from_ref(&cube);
    check(&[PolicyRule::new(&["*"], &["*"], &["*"])], wanted, &[]);
    check(wanted, wanted, &[]);
    let of_each_group = |group: &String| PolicyRule { api_groups: vec![group.clone()], ..cube.clone() };
    check(&cube.api_groups.iter().map(of_each_group).collect::<Vec<_>>(), wanted, &[]);
    let halves = [
        PolicyRule { verbs: cube.verbs[..500].to_vec(), ..cube.clone() },
        PolicyRule { verbs: cube.verbs[500..].to_vec(), ..cube.clone() },
    ];
    check(&halves, wanted, &[]);
    // All but one right in a billion.
    let but_one = [
        PolicyRule { verbs: cube.verbs[1..].to_vec(), ..cube.clone() },
        PolicyRule { resources: cube.resources[1..].to_vec(), ..cube.clone() },
        PolicyRule { api_groups: cube.api_groups[1..].to_vec(), ..cube.clone() },
    ];
    check(&but_one, wanted, &[PolicyRule::new(&["v0"], &["g0"], &["r0"])]);
    let named = PolicyRule { resource_names: numbered("n", 1000), ..cube.clone() };
    check(
        &but_one,
        std::slice::from_ref(&named),
        &[PolicyRule {
            api_groups: vec!["g0".into()],
            resources: vec!["r0".into()],
            verbs: vec!["v0".into()],
            resource_names: Vec::new(),
            non_resource_urls: Vec::new(),
        }]
        .iter()
        .flat_map(|rule| named.resource_names.iter().map(|name| rule.clone().named(&[name])))
        .collect::<Vec<_>>(),
    );
}

/// What cannot be listed or compared as a whole is refused, and the message says so.
#[test]
fn what_is_endless_is_cut_off() {
    let missing = |held: &[PolicyRule], wanted: &[PolicyRule]| covers(&held.iter().collect::<Vec<_>>(), wanted);
    let found = missing(&[], &[cube(200)]);
    assert_eq!(found.rest, Rest::NotListed);
    assert_eq!(
        found.rules[..2],
        [PolicyRule::new(&["v0"], &["g0"], &["r0"]), PolicyRule::new(&["v1"], &["g0"], &["r0"])]
    );
    assert_eq!(found.rules.len(), 20_000);
    // A text that is in every right counts each time.
    let long = PolicyRule { api_groups: vec!["g".repeat(100_000)], ..cube(200) };
    assert_eq!(
        (missing(&[], std::slice::from_ref(&long)).rules.len(), missing(&[], &[long]).rest),
        (10, Rest::NotListed)
    );

    // Rules that overlap in every way: each group with each resource has another set of them.
    let random = Random::seeded(5);
    let half = |texts: &[String]| texts.iter().filter(|_| random.below(2) == 0).cloned().collect::<Vec<_>>();
    let wanted = PolicyRule { verbs: numbered("v", 2), ..cube(1000) };
    let held: Vec<PolicyRule> = (0..1000)
        .map(|number| PolicyRule {
            api_groups: half(&wanted.api_groups),
            resources: half(&wanted.resources),
            verbs: vec![wanted.verbs[number % 2].clone()],
            ..PolicyRule::default()
        })
        .collect();
    let found = missing(&held, &[wanted]);
    assert_eq!((found.rules.len(), found.rest, found.is_empty()), (0, Rest::NotCompared, false));

    let rbac = Rbac::default();
    let (index, user) = (rbac.snapshot(), User::new("jane", &[]));
    let rules = [cube(200)];
    let write = RoleWrite {
        resource: "roles",
        namespace: "ns",
        request_name: "",
        name: "new",
        rules: &rules,
        aggregates: false,
    };
    let refused = Grantor { authorizer: &rbac, index: &index, user: &user }.may_write_role(&write).unwrap_err();
    assert!(refused.message().ends_with("\nand more, which are not listed"), "{}", refused.message().len());
    assert!(refused.message().len() < 1 << 20);
}

/// Twice the rules, and twice of what each is about, in twice the time.
#[test]
fn the_cost_grows_with_the_size() {
    let cost = |size: usize| -> Duration {
        let held: Vec<PolicyRule> = numbered("g", size / 10)
            .iter()
            .map(|group| PolicyRule { api_groups: vec![group.clone()], ..cube(20) })
            .chain([PolicyRule { resource_names: numbered("n", size), ..cube(1) }])
            .collect();
        let wanted: Vec<PolicyRule> = held
            .iter()
            .cloned()
            .chain(numbered("g", size / 10).iter().map(|group| PolicyRule::new(&["v3"], &[group], &["r5", "r7"])))
            .chain([PolicyRule {
                non_resource_urls: numbered("/", size),
                verbs: vec!["get".into()],
                ..PolicyRule::default()
            }])
            .collect();
        let held: Vec<&PolicyRule> = held.iter().collect();
        let round = |_| {
            let started = Instant::now();
            assert_eq!(covers(&held, &wanted).rules.len(), size);
            started.elapsed()
        };
        (0..5).map(round).min().unwrap_or_default()
    };
    let (once, twice) = (cost(2000), cost(4000));
    assert!(twice < once * 5, "{once:?}, and {twice:?} for twice as much");
}
