use super::*;

fn cluster() -> Rbac {
    let verb = |verb, resource, name| PolicyRule::new(&[verb], &[GROUP], &[resource]).named(&[name]);
    rbac(
        vec![
            role("", "reader", &reader()),
            role("", "admin", &[PolicyRule::new(&["*"], &["*"], &["*"]), PolicyRule::paths(&["*"], &["*"])]),
            role("", "escalator", &[PolicyRule::new(&["escalate"], &[GROUP], &["clusterroles", "roles"])]),
            role("", "binder", &[verb("bind", "clusterroles", "admin"), verb("bind", "roles", "r")]),
            role("ns", "r", &[PolicyRule::new(&["delete"], &["apps"], &["deployments"])]),
        ],
        vec![
            binding("", "1", "ClusterRole/reader", &["User:reader"]),
            binding("", "2", "ClusterRole/admin", &["User:admin"]),
            binding("", "3", "ClusterRole/escalator", &["User:escalator"]),
            binding("ns", "4", "ClusterRole/binder", &["User:binder"]),
            binding("", "5", "ClusterRole/gone", &["User:lost"]),
            binding("ns", "6", "Role/r", &["User:local"]),
        ],
    )
}

#[test]
fn roles() {
    let rbac = cluster();
    let check = |user: &str, groups: &[&str], rules: &[PolicyRule], aggregates: bool, expected: Result<(), &str>| {
        let (index, user) = (rbac.snapshot(), User::new(user, groups));
        let grantor = Grantor { authorizer: &rbac, index: &index, user: &user };
        let write =
            RoleWrite { resource: "clusterroles", namespace: "", request_name: "", name: "new", rules, aggregates };
        let result = grantor.may_write_role(&write);
        assert_eq!(result.as_ref().map_err(|status| status.message()).copied(), expected, "{user:?}");
    };
    let rules = [
        PolicyRule::new(&["get", "delete"], &[""], &["pods", "nodes"]),
        PolicyRule::new(&["delete"], &[""], &["pods"]),
    ];
    check("anyone", &["system:masters"], &rules, true, Ok(()));
    check("admin", &[], &rules, true, Ok(()));
    check("escalator", &[], &rules, true, Ok(()));
    check("reader", &[], &reader(), false, Ok(()));
    check(
        "reader",
        &["a", "b"],
        &rules,
        false,
        Err(
            "clusterroles.rbac.authorization.k8s.io \"new\" is forbidden: user \"reader\" (groups=[\"a\" \"b\"]) is attempting to grant RBAC permissions not currently held:\n\
             {APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"delete\"]}\n\
             {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\" \"delete\"]}",
        ),
    );
    check(
        "reader",
        &[],
        &reader(),
        true,
        Err(
            r#"clusterroles.rbac.authorization.k8s.io "new" is forbidden: must have cluster-admin privileges to use the aggregationRule"#,
        ),
    );
    check(
        "lost",
        &[],
        &reader(),
        false,
        Err(
            "clusterroles.rbac.authorization.k8s.io \"new\" is forbidden: user \"lost\" (groups=[]) is attempting to grant RBAC permissions not currently held:\n\
             {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}; resolution errors: [clusterroles.rbac.authorization.k8s.io \"gone\" not found]",
        ),
    );
}

#[test]
fn bindings() {
    let rbac = cluster();
    let check = |user: &str, namespace: &str, role: &str, expected: Result<(), (u16, &str)>| {
        let (index, user) = (rbac.snapshot(), User::new(user, &[]));
        let grantor = Grantor { authorizer: &rbac, index: &index, user: &user };
        let role = binding("", "", role, &[]).role;
        let result = grantor.may_write_binding(namespace, "b", &role);
        let result = result.as_ref().map_err(|status| (status.code(), status.message()));
        assert_eq!(result.copied(), expected, "{user:?} {namespace} {role:?}");
    };
    check("reader", "", "ClusterRole/reader", Ok(()));
    check("reader", "ns", "ClusterRole/reader", Ok(()));
    check("local", "ns", "Role/r", Ok(()));
    check("binder", "ns", "ClusterRole/admin", Ok(()));
    check("binder", "ns", "Role/r", Ok(()));
    check(
        "binder",
        "",
        "ClusterRole/reader",
        Err((
            403,
            "clusterrolebindings.rbac.authorization.k8s.io \"b\" is forbidden: user \"binder\" (groups=[]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}",
        )),
    );
    check(
        "reader",
        "ns",
        "Role/r",
        Err((
            403,
            "rolebindings.rbac.authorization.k8s.io \"b\" is forbidden: user \"reader\" (groups=[]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"apps\"], Resources:[\"deployments\"], Verbs:[\"delete\"]}",
        )),
    );
    check("reader", "ns", "Role/no", Err((404, r#"roles.rbac.authorization.k8s.io "no" not found"#)));
    check("reader", "", "ClusterRole/no", Err((404, r#"clusterroles.rbac.authorization.k8s.io "no" not found"#)));
}
