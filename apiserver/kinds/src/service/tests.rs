use corten_object::tree::Tree;

use super::*;
use crate::tests::{context, create, json, lines, object, update};

fn service(spec: &str) -> Tree {
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"s","namespace":"ns"}},"spec":{{{spec}}}}}"#
    );
    let mut tree = object("", "v1", "Service", &text);
    Services.default("v1", &mut tree.edit());
    tree
}

/// Plans and carries out, with addresses from 10.0.0.0/8 and the usual node ports, of which none is in use.
pub fn reserve(tree: &mut Tree, old: Option<&Tree>) -> Result<Plan, Errors> {
    let plan = plan(&mut tree.edit(), old.map(Tree::root), &Network::default())?;
    for (i, request) in plan.ips.iter().enumerate() {
        let address = request.address.clone().unwrap_or_else(|| format!("10.0.0.{}", 7 + i));
        if !address.starts_with("10.") {
            let reason = "the provided network does not match the current range";
            return Err(Plan::ip_refused(tree.root(), request, reason));
        }
        Plan::assign_ip(&mut tree.edit(), request, &address);
    }
    for (i, request) in plan.node_ports.iter().enumerate() {
        let number = request.number.unwrap_or(31000 + i as i64);
        if !(30000..32768).contains(&number) {
            let reason = "provided port is not in the valid range. The range of valid ports is 30000-32767";
            return Err(Plan::node_port_refused(request, reason));
        }
        Plan::assign_node_port(&mut tree.edit(), request, number);
    }
    if let Some(wanted) = plan.health_check {
        Plan::assign_health_check(&mut tree.edit(), wanted.unwrap_or(32000));
    }
    Ok(plan)
}

/// The errors of a create, those of planning included.
pub fn create_errors(tree: &mut Tree) -> Errors {
    Services.default("v1", &mut tree.edit());
    match reserve(tree, None) {
        Err(errors) => errors,
        Ok(_) => create(&Services, tree, &context("", "v1"), true),
    }
}

fn made(spec: &str) -> Tree {
    let mut tree = service(spec);
    reserve(&mut tree, None).expect("a plan");
    tree
}

const PORT: &str = r#""ports":[{"port":80}]"#;

fn check(spec: &str, expected: &str) {
    assert_eq!(lines(&create_errors(&mut service(spec))), expected, "{spec}");
}

#[test]
fn creates() {
    check(PORT, "");
    check("", "spec.ports: Required value");
    check(r#""type":"ExternalName","externalName":"a.example.com.""#, "");
    check(r#""type":"ExternalName""#, "spec.externalName: Required value");
    check(
        r#""type":"ExternalName","externalName":"x","clusterIP":"10.0.0.1""#,
        "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
    );
    check(r#""clusterIP":"None""#, "");
    check(
        r#""clusterIP":"None","type":"NodePort","ports":[{"port":1}]"#,
        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
    );
    check(
        r#""type":"Odd","ports":[{"port":1}]"#,
        "spec.type: Unsupported value: \"Odd\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
    );
    check(
        r#""ports":[{"port":0}]"#,
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\nspec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
    );
    check(
        r#""ports":[{"port":1},{"port":1}]"#,
        "spec.ports[0].name: Required value\nspec.ports[1].name: Required value\nspec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":1,\"TargetPort\":0,\"NodePort\":0}",
    );
    check(
        r#""ports":[{"port":1,"nodePort":30001}]"#,
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    );
    check(
        &format!(r#"{PORT},"ipFamilyPolicy":"RequireDualStack""#),
        "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
    );
    check(
        &format!(r#"{PORT},"ipFamilies":["IPv6"]"#),
        "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
    );
    check(
        &format!(r#"{PORT},"clusterIP":"fd00::1""#),
        "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster",
    );
    check(
        &format!(r#"{PORT},"externalIPs":["127.0.0.1"],"externalTrafficPolicy":"Odd""#),
        "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\nspec.externalTrafficPolicy: Unsupported value: \"Odd\": supported values: \"Cluster\", \"Local\"",
    );
    check(
        &format!(r#"{PORT},"externalTrafficPolicy":"Local""#),
        "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
    );
    check(
        &format!(
            r#"{PORT},"sessionAffinity":"ClientIP","sessionAffinityConfig":{{"clientIP":{{"timeoutSeconds":86401}}}}"#
        ),
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
    );
    check(
        &format!(r#"{PORT},"loadBalancerClass":"a/b","loadBalancerSourceRanges":["1.2.3.0/24"]"#),
        "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'\nspec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
    );
    check(
        r#""type":"ExternalName","externalName":"example.com","internalTrafficPolicy":"Odd""#,
        "spec.internalTrafficPolicy: Unsupported value: \"Odd\": supported values: \"Cluster\", \"Local\"",
    );
    check(
        &format!(r#"{PORT},"trafficDistribution":"Odd""#),
        "spec.trafficDistribution: Unsupported value: \"Odd\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
    );
}

fn spec_of(tree: &Tree) -> String {
    tree.root().get("spec").map(corten_object::json::to_string).unwrap_or_default()
}

#[test]
fn created_specs() {
    let check = |spec: &str, expected: &str| assert_eq!(spec_of(&made(spec)), expected, "{spec}");
    check(
        PORT,
        r#"{"ports":[{"protocol":"TCP","port":80,"targetPort":80}],"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}"#,
    );
    check(
        r#""clusterIP":"None","selector":{"a":"b"}"#,
        r#"{"selector":{"a":"b"},"clusterIP":"None","clusterIPs":["None"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}"#,
    );
    check(
        r#""clusterIP":"None""#,
        r#"{"clusterIP":"None","clusterIPs":["None"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4","IPv6"],"ipFamilyPolicy":"RequireDualStack","internalTrafficPolicy":"Cluster"}"#,
    );
    check(
        r#""type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"name":"t","port":53},{"name":"u","port":53,"protocol":"UDP"}]"#,
        r#"{"ports":[{"name":"t","protocol":"TCP","port":53,"targetPort":53,"nodePort":31000},{"name":"u","protocol":"UDP","port":53,"targetPort":53,"nodePort":31000}],"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7"],"type":"LoadBalancer","sessionAffinity":"None","externalTrafficPolicy":"Local","healthCheckNodePort":32000,"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","allocateLoadBalancerNodePorts":true,"internalTrafficPolicy":"Cluster"}"#,
    );
    check(
        r#""type":"ExternalName","externalName":"x""#,
        r#"{"type":"ExternalName","sessionAffinity":"None","externalName":"x"}"#,
    );
}

/// An update by a client that sends only `spec`: the spec that results, what is given back, the errors.
fn check_update(old: &str, new: &str, spec: &str, released: (&[&str], &[i64]), errors: &str) {
    let old = made(old);
    let mut tree = service(new);
    let plan = match reserve(&mut tree, Some(&old)) {
        Ok(plan) => plan,
        Err(failure) => panic!("{new}: {failure:?}"),
    };
    let found = update(&Services, &mut tree, &old, &context("", "v1"));
    assert_eq!(lines(&found), errors, "{new}");
    if !spec.is_empty() {
        assert_eq!(spec_of(&tree), spec, "{new}");
    }
    assert_eq!(
        (plan.release_ips, plan.release_node_ports),
        (released.0.iter().map(|ip| (*ip).to_owned()).collect(), released.1.to_vec())
    );
}

#[test]
fn updates() {
    let node = r#""type":"NodePort","ports":[{"port":80}]"#;
    check_update(PORT, PORT, "", (&[], &[]), "");
    check_update(
        PORT,
        node,
        r#"{"ports":[{"protocol":"TCP","port":80,"targetPort":80,"nodePort":31000}],"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7"],"type":"NodePort","sessionAffinity":"None","externalTrafficPolicy":"Cluster","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}"#,
        (&[], &[]),
        "",
    );
    check_update(node, PORT, "", (&[], &[31000]), "");
    check_update(node, node, "", (&[], &[]), "");
    check_update(node, r#""type":"NodePort","ports":[{"port":80,"nodePort":31005}]"#, "", (&[], &[31000]), "");
    let local = r#""type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":80}]"#;
    check_update(local, node, "", (&[], &[32000]), "");
    check_update(
        node,
        r#""type":"ExternalName","externalName":"x""#,
        r#"{"type":"ExternalName","sessionAffinity":"None","externalName":"x"}"#,
        (&["10.0.0.7"], &[31000]),
        "",
    );
    check_update(r#""type":"ExternalName","externalName":"x""#, PORT, "", (&[], &[]), "");
    check_update(
        PORT,
        &format!(r#"{PORT},"clusterIP":"10.0.0.9""#),
        "",
        (&[], &[]),
        "spec.clusterIPs[0]: Invalid value: [\"10.0.0.9\"]: may not change once set",
    );
    check_update(r#""clusterIP":"None""#, PORT, "", (&[], &[]), "");
    let external = r#""type":"ExternalName","externalName":"x""#;
    check_update(
        external,
        &format!(r#"{external},"clusterIP":"10.0.0.77""#),
        "",
        (&[], &[]),
        "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
    );
}

#[test]
fn old_objects_are_told_their_families() {
    let check = |spec: &str, expected: &str| {
        let mut tree = object("", "v1", "Service", &format!(r#"{{"spec":{{"type":"ClusterIP",{spec}}}}}"#));
        default_on_read(&mut tree.edit(), &Network::default());
        assert!(json(&tree).contains(expected), "{spec}: {}", json(&tree));
    };
    check(r#""clusterIP":"10.0.0.1""#, r#""clusterIPs":["10.0.0.1"],"type":"ClusterIP""#);
    check(r#""clusterIP":"10.0.0.1""#, r#""ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack""#);
    check(r#""clusterIP":"None""#, r#""ipFamilies":["IPv4","IPv6"],"ipFamilyPolicy":"RequireDualStack""#);
    check(r#""clusterIP":"None","selector":{"a":"b"}"#, r#""ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack""#);
}

#[test]
fn warnings_of_services() {
    let check = |spec: &str, expected: &[&str]| assert_eq!(warnings(made(spec).view()), expected, "{spec}");
    check(PORT, &[]);
    check(
        &format!(r#"{PORT},"externalIPs":["1.2.3.4"]"#),
        &["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
    );
    check(
        &format!(r#"{PORT},"externalName":"x""#),
        &["spec.externalName is ignored when spec.type is not \"ExternalName\""],
    );
    check(
        r#""clusterIP":"None","loadBalancerIP":"1.2.3.4""#,
        &["spec.loadBalancerIP is ignored for headless services"],
    );
}
