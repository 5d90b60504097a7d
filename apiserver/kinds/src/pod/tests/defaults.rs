//! Defaults, what preparation adds, and warnings.

use super::replay::{object, strategy};
use crate::strategy::Deletion;
use crate::tests::{context, create, json};

fn pod(spec: &str, metadata: &str) -> String {
    let body = format!(r#"{{"metadata":{{"name":"p","namespace":"default"{metadata}}},"spec":{spec}}}"#);
    let mut tree = object("", "v1", "Pod", &body);
    let errors = create(strategy("", "Pod"), &mut tree, &context("", "v1"), true);
    assert!(errors.is_empty(), "{errors:?}");
    json(&tree)
}

#[test]
fn contains() {
    let check = |spec: &str, expected: &str| {
        let found = pod(spec, r#","labels":{"app":"v"}"#);
        assert!(found.contains(expected), "{expected}\nis not in\n{found}");
    };
    let one = r#""containers":[{"name":"c","image":"i:1"}]"#;
    check(
        &format!("{{{one}}}"),
        r#""spec":{"containers":[{"name":"c","image":"i:1","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},"schedulerName":"default-scheduler","enableServiceLinks":true},"status":{"phase":"Pending","qosClass":"BestEffort"}"#,
    );
    check(r#"{"containers":[{"name":"c","image":"i"}]}"#, r#""imagePullPolicy":"Always""#);
    check(
        r#"{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]}"#,
        r#""requests":{"cpu":"1","memory":"1Gi"}"#,
    );
    check(
        r#"{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"1","memory":"1Gi"}}}]}"#,
        r#""qosClass":"Guaranteed""#,
    );
    check(
        r#"{"hostNetwork":true,"containers":[{"name":"c","image":"i","ports":[{"containerPort":5}]}]}"#,
        r#""ports":[{"hostPort":5,"containerPort":5,"protocol":"TCP"}]"#,
    );
    check(&format!(r#"{{{one},"serviceAccount":"sa"}}"#), r#""serviceAccountName":"sa","serviceAccount":"sa""#);
    check(&format!(r#"{{{one},"terminationGracePeriodSeconds":-5}}"#), r#""terminationGracePeriodSeconds":1"#);
    check(
        &format!(r#"{{{one},"schedulingGates":[{{"name":"g"}}]}}"#),
        r#""conditions":[{"type":"PodScheduled","status":"False","lastProbeTime":null,"lastTransitionTime":"2023-11-14T22:13:20Z","reason":"SchedulingGated","message":"Scheduling is blocked due to non-empty scheduling gates"}]"#,
    );
    check(
        &format!(
            r#"{{{one},"topologySpreadConstraints":[{{"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"DoNotSchedule","labelSelector":{{}},"matchLabelKeys":["app","absent"]}}]}}"#
        ),
        r#""labelSelector":{"matchExpressions":[{"key":"app","operator":"In","values":["v"]}]}"#,
    );
    check(
        &format!(r#"{{{one},"resources":{{"limits":{{"cpu":"2","memory":"1Gi"}}}}}}"#),
        r#""resources":{"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"2","memory":"1Gi"}}"#,
    );
}

#[test]
fn app_armor_annotation_becomes_a_field() {
    let found = pod(
        r#"{"containers":[{"name":"c","image":"i:1"}]}"#,
        r#","annotations":{"container.apparmor.security.beta.kubernetes.io/c":"localhost/x"}"#,
    );
    let expected = r#""securityContext":{"appArmorProfile":{"type":"Localhost","localhostProfile":"x"}}"#;
    assert!(found.contains(expected), "{found}");
}

#[test]
fn defaults_are_stable() {
    let once = pod(
        r#"{"containers":[{"name":"c","image":"i","livenessProbe":{"grpc":{"port":5}}}],"volumes":[{"name":"v"}]}"#,
        "",
    );
    let mut tree = object("", "v1", "Pod", &once);
    strategy("", "Pod").default("v1", &mut tree.edit());
    assert_eq!(json(&tree), once);
}

#[test]
fn warnings() {
    let check = |spec: &str, expected: &[&str]| {
        let body = format!(r#"{{"metadata":{{"name":"p","namespace":"default"}},"spec":{spec}}}"#);
        let mut tree = object("", "v1", "Pod", &body);
        let errors = create(strategy("", "Pod"), &mut tree, &context("", "v1"), true);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(strategy("", "Pod").warn_create(tree.root(), &context("", "v1")), expected, "{spec}");
    };
    let with = |rest: &str| format!(r#"{{"containers":[{{"name":"c","image":"i:1"}}],{rest}}}"#);
    check(
        &with(r#""nodeSelector":{"beta.kubernetes.io/os":"linux"}"#),
        &["spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead"],
    );
    check(
        &with(r#""hostAliases":[{"ip":"FE80::1"}]"#),
        &["spec.hostAliases[0].ip: IPv6 address \"FE80::1\" should be in RFC 5952 canonical format (\"fe80::1\")"],
    );
    check(
        r#"{"containers":[{"name":"c","image":"i:1","ports":[{"containerPort":1,"hostIP":"1.2.3.4"},{"containerPort":1}]}]}"#,
        &[
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:1 Protocol:TCP HostIP:1.2.3.4}",
            "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
        ],
    );
    check(
        r#"{"containers":[{"name":"c","image":"i:1","env":[{"name":"A","value":"1"},{"name":"A","value":"$(A)2"},{"name":"A","value":"3"}]}]}"#,
        &["spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply"],
    );
    check(
        &with(
            r#""volumes":[{"name":"v","configMap":{"name":"m","items":[{"key":"a","path":"x"},{"key":"b","path":"x/y"}]}}]"#,
        ),
        &["volume \"v\" (ConfigMap \"m\"): overlapping paths: \"x/y\" with \"x\""],
    );
}

#[test]
fn deletions() {
    let check = |spec: &str, phase: &str, asked: Option<i64>, expected: i64| {
        let body = format!(r#"{{"spec":{spec},"status":{{"phase":"{phase}"}}}}"#);
        let tree = object("", "v1", "Pod", &body);
        let found = strategy("", "Pod").deletion(tree.root(), asked);
        assert_eq!(found, Deletion::Graceful { seconds: expected }, "{body}");
    };
    let bound = r#"{"nodeName":"n","terminationGracePeriodSeconds":30}"#;
    check(bound, "Running", None, 30);
    check(bound, "Running", Some(5), 5);
    check(bound, "Running", Some(0), 0);
    check(bound, "Running", Some(-1), 1);
    check(bound, "Succeeded", None, 0);
    check(r#"{"terminationGracePeriodSeconds":30}"#, "Pending", None, 0);
}
