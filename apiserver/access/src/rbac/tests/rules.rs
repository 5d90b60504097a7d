//! What a single rule allows, and what rules cover.

use super::*;

#[test]
fn what_a_rule_allows() {
    // A request is `verb group resource[/subresource] [name]`.
    let check = |rule: &PolicyRule, requests: &[(&str, bool)]| {
        let user = User::default();
        for (request, expected) in requests {
            let words: Vec<&str> = request.split(' ').collect();
            let (resource, subresource) = words[2].split_once('/').unwrap_or((words[2], ""));
            let name = words.get(3).copied().unwrap_or_default();
            let attributes =
                Attributes { subresource, name, ..Attributes::resource(&user, words[0], words[1], "v1", resource) };
            assert_eq!(rule.allows(&attributes), *expected, "{rule} {request}");
            let compiled = compile::CompiledRole::new(vec![rule.clone()]);
            assert_eq!(
                compiled.allows(compile::Probe::new(&attributes), &attributes),
                *expected,
                "compiled {rule} {request}"
            );
        }
    };
    check(
        &PolicyRule::new(&["*"], &["g1"], &["r1"]),
        &[("v1 g1 r1", true), ("v1 g2 r1", false), ("v1 g1 r2", false), ("v2 g1 r1", true), ("v2 g2 r2", false)],
    );
    check(
        &PolicyRule::new(&["v1"], &["*"], &["r1"]),
        &[("v1 g1 r1", true), ("v1 g2 r1", true), ("v1 g1 r2", false), ("v2 g1 r1", false)],
    );
    check(
        &PolicyRule::new(&["v1"], &["g1"], &["*"]),
        &[("v1 g1 r1", true), ("v1 g2 r1", false), ("v1 g1 r2", true), ("v2 g1 r1", false), ("v1 g1 r1/s", true)],
    );
    check(
        &PolicyRule::new(&["v1", "v2"], &["g1", "g2"], &["r1", "r2"]),
        &[("v1 g2 r2", true), ("v2 g1 r2", true), ("v3 g1 r1", false), ("v1 g3 r1", false), ("v1 g1 r3", false)],
    );
    check(
        &PolicyRule::new(&["*"], &["*"], &["r1/s1"]),
        &[("v1 g1 r1/s1", true), ("v1 g1 r1/s2", false), ("v1 g1 r2/s1", false), ("v1 g1 r1", false)],
    );
    check(&PolicyRule::new(&["*"], &["*"], &["r1"]), &[("v1 g1 r1", true), ("v1 g1 r1/status", false)]);
    check(
        &PolicyRule::new(&["*"], &["*"], &["*/scale"]),
        &[
            ("v1 g1 r1/scale", true),
            ("v1 g1 any/scale", true),
            ("v1 g1 r1", false),
            ("v1 g1 r1/upscale", false),
            ("v1 g1 */scale", true),
        ],
    );
    check(
        &PolicyRule::new(&["get"], &[""], &["pods"]).named(&["a", "b"]),
        &[("get  pods a", true), ("get  pods b", true), ("get  pods c", false), ("get  pods", false)],
    );
}

#[test]
fn paths_a_rule_allows() {
    let check = |rule: &PolicyRule, path: &str, expected: bool| {
        let user = User::default();
        let attributes = Attributes::path(&user, "get", path);
        assert_eq!(rule.allows(&attributes), expected, "{rule} {path}");
        let compiled = compile::CompiledRole::new(vec![rule.clone()]);
        assert_eq!(compiled.allows(compile::Probe::new(&attributes), &attributes), expected, "compiled {rule} {path}");
    };
    let below = PolicyRule::paths(&["get"], &["/foo/*"]);
    let exact = PolicyRule::paths(&["*"], &["/foo", "/foo/bar/one"]);
    check(&PolicyRule::paths(&["get"], &["*"]), "/foo/bar", true);
    check(&PolicyRule::paths(&["put"], &["*"]), "/foo/bar", false);
    check(&below, "/foo", false);
    check(&below, "/foo/bar", true);
    check(&below, "/foo/bar/one", true);
    check(&below, "/notfoo/bar", false);
    check(&exact, "/foo", true);
    check(&exact, "/foo/bar", false);
    check(&exact, "/foo/bar/one", true);
    check(&PolicyRule::new(&["*"], &["*"], &["*"]), "/foo", false);
}

#[test]
fn covered_paths() {
    let check = |own: &str, path: &str, expected: bool| {
        let held = PolicyRule::paths(&["get"], &[own]);
        let uncovered = covers(&[&held], &[PolicyRule::paths(&["get"], &[path])]);
        assert_eq!(uncovered.is_empty(), expected, "{own} {path}");
    };
    check("*", "", true);
    check("*", "/", true);
    check("*", "/api", true);
    check("/*", "", false);
    check("/*", "/", true);
    check("/*", "/foo", true);
    check("/api", "/api", true);
    check("/apis", "/api", false);
    check("/api/v1", "/api", false);
    check("/api/*", "/api/v1", true);
    check("/api/*", "/api", false);
    check("/api/*/*", "/api/v1", false);
}

#[test]
fn covered_rules() {
    // A rule is `verbs groups resources [names]`, lists joined by commas.
    let parse = |text: &str| {
        let words: Vec<Vec<&str>> = text.split(' ').map(|word| word.split(',').collect()).collect();
        if words[1][0].starts_with('/') || words[1][0] == "URL" {
            return PolicyRule::paths(&words[0], &words[1]);
        }
        PolicyRule::new(&words[0], &words[1], &words[2]).named(words.get(3).map_or(&[], Vec::as_slice))
    };
    let check = |held: &[&str], wanted: &[&str], missing: &[&str]| {
        let parse = |texts: &[&str]| texts.iter().map(|text| parse(text)).collect::<Vec<_>>();
        let held = parse(held);
        let found = covers(&held.iter().collect::<Vec<_>>(), &parse(wanted));
        assert_eq!((found.rules, found.rest), (parse(missing), Rest::Nothing), "{held:?} {wanted:?}");
    };
    check(&["get v1 builds"], &["get v1 builds"], &[]);
    check(&["get v1 */scale"], &["get v1 foo/scale"], &[]);
    check(&["get v1 */scale"], &["get v1 foo/status"], &["get v1 foo/status"]);
    check(
        &["delete v1 deployments", "delete v1 builds", "update v1 builds,deployments"],
        &["delete,update v1 builds,deployments"],
        &[],
    );
    check(
        &["delete,update v1 builds,deployments", "delete v1 pods"],
        &["delete,update v1 builds,deployments,pods"],
        &["update v1 pods"],
    );
    check(&["delete,update g1,g2 builds"], &["delete g1 builds", "update g2 builds"], &[]);
    check(&["get * roles"], &["get g1,g2 roles"], &[]);
    check(&["get g roles"], &["get * roles"], &["get * roles"]);
    check(&["* v1 roles"], &["watch,list v1 roles"], &[]);
    check(&["get,list,watch,create,update,delete,exec v1 roles"], &["* v1 roles"], &["* v1 roles"]);
    check(&["get v1 *"], &["get v1 deployments,*"], &[]);
    check(&["get v1 roles"], &["get v1 *"], &["get v1 *"]);
    check(&["get v1 pods"], &["get v1 pods foo,bar"], &[]);
    check(&["get v1 pods foo,bar"], &["get v1 pods"], &["get v1 pods"]);
    check(&["get v1 pods foo"], &["get v1 pods foo,bar"], &["get v1 pods bar"]);
    check(&["* /apis"], &["* /apis"], &[]);
    check(&["get /apis/*"], &["get /apis,/apis/v1"], &["get /apis"]);
    check(&["get v1 builds"], &["get /apis"], &["get /apis"]);
}

#[test]
fn rules_are_compacted() {
    let daemonsets = |verb, names: &[&str]| PolicyRule::new(&[verb], &["extensions"], &["daemonsets"]).named(names);
    let compacted = compact_rules(vec![
        PolicyRule::new(&["get"], &[""], &["builds"]),
        PolicyRule::new(&["list"], &[""], &["builds"]),
        PolicyRule::new(&["update", "patch"], &[""], &["builds"]),
        daemonsets("create", &[]),
        daemonsets("delete", &[]),
        daemonsets("patch", &[""]),
        daemonsets("get", &["foo"]),
        daemonsets("list", &["foo"]),
        PolicyRule::new(&["get"], &["", "apps"], &["pods"]),
        PolicyRule::new(&["list"], &["", "apps"], &["pods"]),
        PolicyRule::paths(&["get"], &["/"]),
    ]);
    assert_eq!(
        compacted.iter().map(PolicyRule::to_string).collect::<Vec<_>>(),
        [
            r#"{APIGroups:[""], Resources:["builds"], Verbs:["get" "list" "update" "patch"]}"#,
            r#"{APIGroups:["extensions"], Resources:["daemonsets"], Verbs:["create" "delete"]}"#,
            r#"{APIGroups:["extensions"], Resources:["daemonsets"], ResourceNames:[""], Verbs:["patch"]}"#,
            r#"{APIGroups:["extensions"], Resources:["daemonsets"], ResourceNames:["foo"], Verbs:["get" "list"]}"#,
            r#"{APIGroups:["" "apps"], Resources:["pods"], Verbs:["get"]}"#,
            r#"{APIGroups:["" "apps"], Resources:["pods"], Verbs:["list"]}"#,
            r#"{NonResourceURLs:["/"], Verbs:["get"]}"#,
        ]
    );
}
