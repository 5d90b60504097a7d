mod cost;
mod cover;
mod equivalence;
mod escalation;
mod rules;

use super::*;
use crate::authorize::Decision;

/// `User:jane`, `Group:dev`, `ServiceAccount:name` or `ServiceAccount:namespace/name`.
pub(super) fn subject(text: &str) -> Subject {
    let (kind, name) = text.split_once(':').unwrap();
    let (namespace, name) = match (kind, name.split_once('/')) {
        ("ServiceAccount", Some((namespace, name))) => (namespace, name),
        _ => ("", name),
    };
    Subject { kind: kind.into(), api_group: String::new(), name: name.into(), namespace: namespace.into() }
}

pub(super) fn role(namespace: &str, name: &str, rules: &[PolicyRule]) -> Role {
    Role { namespace: namespace.into(), name: name.into(), rules: rules.to_vec() }
}

pub(super) fn binding(namespace: &str, name: &str, role: &str, subjects: &[&str]) -> Binding {
    let (kind, role) = role.split_once('/').unwrap();
    Binding {
        namespace: namespace.into(),
        name: name.into(),
        role: RoleRef { api_group: GROUP.into(), kind: kind.into(), name: role.into() },
        subjects: subjects.iter().map(|text| subject(text)).collect(),
    }
}

pub(super) fn rbac(roles: Vec<Role>, bindings: Vec<Binding>) -> Rbac {
    let rbac = Rbac::default();
    rbac.replace(roles, bindings);
    rbac
}

fn pods<'a>(user: &'a User, verb: &'a str, namespace: &'a str) -> Attributes<'a> {
    Attributes { namespace, ..Attributes::resource(user, verb, "", "v1", "pods") }
}

fn reader() -> Vec<PolicyRule> {
    vec![PolicyRule::new(&["get", "list"], &[""], &["pods"])]
}

#[test]
fn a_role_binding_counts_in_its_namespace() {
    let rbac = rbac(
        vec![role("", "admin", &[PolicyRule::new(&["*"], &["*"], &["*"])])],
        vec![binding("ns1", "b", "ClusterRole/admin", &["User:admin", "Group:admins"])],
    );
    let check = |name: &str, groups: &[&str], resource: &str, namespace: &str, expected: bool| {
        let user = User::new(name, groups);
        let attributes = Attributes { namespace, ..Attributes::resource(&user, "get", "", "v1", resource) };
        assert_eq!(rbac.authorize(&attributes).allowed(), expected, "{name} {groups:?} {resource} {namespace}");
    };
    check("admin", &[], "pods", "ns1", true);
    check("admin", &["group1"], "foobar", "ns1", true);
    check("joe", &["admins"], "foobar", "ns1", true);
    check("joe", &["group1", "admins"], "foobar", "ns1", true);
    check("joe", &["admin"], "foobar", "ns1", false);
    check("admin", &[], "pods", "ns2", false);
    check("admin", &["admins"], "nodes", "", false);
}

#[test]
fn paths_are_granted_by_cluster_role_bindings() {
    let rbac = rbac(
        vec![
            role("", "getter", &[PolicyRule::paths(&["get"], &["/apis"])]),
            role("", "all", &[PolicyRule::paths(&["*"], &["/apis"])]),
            role("", "prefix", &[PolicyRule::paths(&["get"], &["/apis/*"])]),
        ],
        vec![
            binding("", "1", "ClusterRole/getter", &["User:foo", "Group:bar"]),
            binding("", "2", "ClusterRole/all", &["User:admin", "Group:admin"]),
            binding("", "3", "ClusterRole/prefix", &["User:prefixed", "Group:prefixed"]),
        ],
    );
    let check = |name: &str, group: &str, verb, path, expected: bool| {
        for user in [User::new(name, &[]), User::new("", &[group])] {
            assert_eq!(
                rbac.authorize(&Attributes::path(&user, verb, path)).allowed(),
                expected,
                "{user:?} {verb} {path}"
            );
        }
    };
    check("foo", "bar", "get", "/apis", true);
    check("admin", "admin", "get", "/apis", true);
    check("admin", "admin", "watch", "/apis", true);
    check("prefixed", "prefixed", "get", "/apis/v1", true);
    check("prefixed", "prefixed", "get", "/apis/v1/foobar", true);
    check("foo", "bar", "watch", "/apis", false);
    check("foo", "bar", "get", "/api/v1", false);
    check("admin", "admin", "get", "/api/v1", false);
    check("prefixed", "prefixed", "get", "/api/v1", false);
    check("prefixed", "prefixed", "get", "/apis", false);
}

#[test]
fn subjects_that_a_binding_applies_to() {
    // The namespace is that of the binding, and of the request.
    let check = |subjects: &[&str], user: User, namespace: &str, expected: Option<&str>| {
        let (role, kind) = match namespace {
            "" => (role("", "r", &reader()), "ClusterRole/r"),
            namespace => (role(namespace, "r", &reader()), "Role/r"),
        };
        let rbac = rbac(vec![role], vec![binding(namespace, "b", kind, subjects)]);
        let verdict = rbac.authorize(&pods(&user, "get", namespace));
        assert_eq!(verdict.allowed(), expected.is_some(), "{subjects:?} {user:?}");
        let reason = verdict.reason.to_string();
        assert_eq!(reason.split_once(" to ").map(|(_, to)| to), expected, "{reason}");
    };
    let auth = ["Group:system:authenticated", "Group:system:unauthenticated"];
    let service_account = || User::new("system:serviceaccount:kube-system:default", &[]);
    check(&["User:foobar"], User::new("foobar", &[]), "", Some(r#"User "foobar""#));
    check(&["User:barfoo", "User:foobar"], User::new("foobar", &[]), "", Some(r#"User "foobar""#));
    check(&["User:barfoo", "User:foobar"], User::new("zimzam", &[]), "", None);
    check(&["User:barfoo", "Group:foobar"], User::new("zimzam", &["foobar"]), "", Some(r#"Group "foobar""#));
    check(&["User:barfoo", "Group:foobar"], User::new("zimzam", &["foobar"]), "ns", Some(r#"Group "foobar""#));
    check(
        &["User:a", "ServiceAccount:kube-system/default"],
        service_account(),
        "ns",
        Some(r#"ServiceAccount "default/kube-system""#),
    );
    check(
        &["ServiceAccount:default"],
        service_account(),
        "kube-system",
        Some(r#"ServiceAccount "default/kube-system""#),
    );
    check(&["ServiceAccount:default"], service_account(), "default", None);
    check(&["ServiceAccount:default"], service_account(), "", None);
    check(&["User:*"], User::new("foobar", &[]), "ns", None);
    check(&["Robot:foobar"], User::new("foobar", &[]), "ns", None);
    check(&auth, User::new("foobar", &["system:authenticated"]), "ns", Some(r#"Group "system:authenticated""#));
    check(&auth, User::anonymous(), "ns", Some(r#"Group "system:unauthenticated""#));
    // The first that applies is named, whichever way the binding was found.
    check(&["Group:g", "User:u"], User::new("u", &["g"]), "ns", Some(r#"Group "g""#));
}

#[test]
fn reasons() {
    let rbac = rbac(
        vec![role("", "cr", &reader()), role("ns", "r", &reader())],
        vec![
            binding("", "cb", "ClusterRole/cr", &["User:a"]),
            binding("ns", "b", "Role/r", &["User:b", "ServiceAccount:sa"]),
            binding("ns", "bc", "ClusterRole/cr", &["User:c"]),
            binding("", "gone", "ClusterRole/gone", &["User:d", "User:e"]),
            binding("ns", "gone", "Role/gone", &["User:d"]),
            binding("ns", "gone2", "Role/gone", &["User:d"]),
            binding("", "wrong", "Role/r", &["User:f"]),
            binding("", "odd", "Rolle/r", &["User:g"]),
        ],
    );
    let check = |user, decision, reason: &str| {
        let user = User::new(user, &[]);
        let verdict = rbac.authorize(&pods(&user, "get", "ns"));
        assert_eq!((verdict.decision, verdict.reason.to_string().as_str(), verdict.error), (decision, reason, None));
    };
    let allow = Decision::Allow;
    check("a", allow, r#"RBAC: allowed by ClusterRoleBinding "cb" of ClusterRole "cr" to User "a""#);
    check("b", allow, r#"RBAC: allowed by RoleBinding "b/ns" of Role "r" to User "b""#);
    check("c", allow, r#"RBAC: allowed by RoleBinding "bc/ns" of ClusterRole "cr" to User "c""#);
    check(
        "system:serviceaccount:ns:sa",
        allow,
        r#"RBAC: allowed by RoleBinding "b/ns" of Role "r" to ServiceAccount "sa/ns""#,
    );
    let none = Decision::NoOpinion;
    check("nobody", none, "");
    check("e", none, r#"RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found"#);
    check(
        "d",
        none,
        r#"RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, role.rbac.authorization.k8s.io "gone" not found]"#,
    );
    // A role of a namespace is out of a ClusterRoleBinding's reach, whatever namespace the request is for.
    check("f", none, r#"RBAC: role.rbac.authorization.k8s.io "r" not found"#);
    check("g", none, r#"RBAC: unsupported role reference kind: "Rolle""#);
}

#[test]
fn changes_take_effect() {
    let rbac = Rbac::default();
    let user = User::new("jane", &["dev"]);
    let check = |expected: bool| assert_eq!(rbac.authorize(&pods(&user, "get", "ns")).allowed(), expected);
    rbac.set_binding(binding("ns", "b", "ClusterRole/r", &["User:jane"]));
    check(false);
    rbac.set_role(role("", "r", &reader()));
    check(true);
    rbac.set_role(role("", "r", &[]));
    check(false);
    rbac.set_role(role("", "r", &reader()));
    rbac.set_binding(binding("ns", "b", "ClusterRole/r", &["User:joe"]));
    check(false);
    rbac.set_binding(binding("ns", "b", "ClusterRole/r", &["Group:dev"]));
    check(true);
    rbac.set_binding(binding("ns", "b2", "ClusterRole/r", &["Group:dev"]));
    rbac.remove_binding("ns", "b");
    check(true);
    rbac.remove_binding("ns", "b2");
    check(false);
    rbac.remove_binding("ns", "b2");
    rbac.remove_role("", "r");
    let before = rbac.snapshot();
    rbac.set_binding(binding("ns", "b", "Role/r", &["User:jane"]));
    rbac.set_role(role("ns", "r", &reader()));
    check(true);
    assert_eq!((before.binding_count(), rbac.snapshot().binding_count()), (0, 1));
    rbac.remove_role("ns", "r");
    check(false);
    rbac.replace([role("", "r", &reader())], [binding("", "b", "ClusterRole/r", &["User:jane"])]);
    check(true);
}

/// The cases of upstream's rule resolver.
#[test]
fn rules_of_a_user() {
    let rule = |verbs: &[&str], resource| PolicyRule::new(verbs, &["v1"], &[resource]);
    let (read_pods, read_services) = (rule(&["GET", "WATCH"], "pods"), rule(&["GET", "WATCH"], "services"));
    let admin = PolicyRule::new(&["*"], &["*"], &["*"]);
    let rbac = rbac(
        vec![
            role("namespace1", "readthings", &[read_pods.clone(), read_services.clone()]),
            role("", "cluster-admin", std::slice::from_ref(&admin)),
            role("", "write-nodes", &[rule(&["PUT", "CREATE", "UPDATE"], "nodes")]),
        ],
        vec![
            binding("namespace1", "", "Role/readthings", &["User:foobar", "Group:group1"]),
            binding("", "", "ClusterRole/cluster-admin", &["User:admin", "Group:admin"]),
        ],
    );
    let check = |user: User, namespace, expected: &[&PolicyRule]| {
        let index = rbac.snapshot();
        let resolved = index.resolve(&user, namespace);
        assert_eq!(resolved.rules().collect::<Vec<_>>(), expected);
        assert!(resolved.errors(false).is_empty());
    };
    check(User::new("foobar", &[]), "namespace1", &[&read_pods, &read_services]);
    check(User::new("foobar", &["group1"]), "namespace1", &[&read_pods, &read_services]);
    check(User::new("foobar", &[]), "namespace2", &[]);
    check(User::new("foobar", &["admin"]), "", &[&admin]);
    check(User::new("foobar", &["admin"]), "namespace1", &[&admin, &read_pods, &read_services]);
    check(User::default(), "", &[]);
}

#[test]
fn rules_are_listed_by_what_they_are_about() {
    let both = PolicyRule {
        non_resource_urls: vec!["/x".into()],
        ..PolicyRule::new(&["get"], &[""], &["pods"]).named(&["a"])
    };
    let rbac = rbac(
        vec![role("", "r", &[both, PolicyRule::paths(&["get"], &["/y"])])],
        vec![binding("", "b", "ClusterRole/r", &["User:jane"]), binding("ns", "c", "Role/gone", &["User:jane"])],
    );
    let listed = rbac.rules_for(&User::new("jane", &[]), "ns");
    let json = |value: serde_json::Result<String>| value.unwrap();
    assert_eq!(
        json(serde_json::to_string(&listed.resource_rules)),
        r#"[{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]}]"#
    );
    assert_eq!(
        json(serde_json::to_string(&listed.non_resource_rules)),
        r#"[{"verbs":["get"],"nonResourceURLs":["/x"]},{"verbs":["get"],"nonResourceURLs":["/y"]}]"#
    );
    assert_eq!(listed.errors, [r#"role.rbac.authorization.k8s.io "gone" not found"#]);
    assert!(!listed.incomplete);
}

#[test]
fn stored_objects() {
    let read = |json: &str| Role::from_json(json.as_bytes()).unwrap();
    assert_eq!(read(r#"{"kind":"ClusterRole","metadata":{"name":"r","uid":"1"},"rules":null}"#), role("", "r", &[]));
    assert_eq!(
        read(
            r#"{"metadata":{"name":"r","namespace":"ns"},"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"],"nonResourceURLs":null}]}"#
        ),
        role("ns", "r", &reader())
    );
    let json = r#"{"metadata":{"name":"b"},"subjects":[{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"g"}],
        "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"r"}}"#;
    let mut expected = binding("", "b", "ClusterRole/r", &["Group:g"]);
    expected.subjects[0].api_group = GROUP.into();
    assert_eq!(Binding::from_json(json.as_bytes()).unwrap(), expected);
    assert!(Role::from_json(b"[").is_err());
}
