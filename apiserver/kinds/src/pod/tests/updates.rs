//! Updates: each case changes the text of an object, and names the errors of writing the changed one over it.

use corten_object::tree::Tree;

use super::replay::{object, strategy};
use crate::tests::{context, create, json};

const POD: &str = r#"{"metadata":{"name":"p","namespace":"default","generation":1},"spec":{"containers":[{"name":"c","image":"i:1",
"resources":{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"2","memory":"1Gi"}}}],"activeDeadlineSeconds":100,
"tolerations":[{"key":"a","operator":"Exists"}],"nodeSelector":{"a":"b"}}}"#;
const GATED: &str = r#"{"metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i:1"}],
"schedulingGates":[{"name":"x"},{"name":"y"}],"nodeSelector":{"a":"b"},"affinity":{"nodeAffinity":
{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[
{"key":"a","operator":"In","values":["b"]}]}]}}}}}"#;

fn stored(json: &str) -> Tree {
    let mut tree = object("", "v1", "Pod", json);
    let errors = create(strategy("", "Pod"), &mut tree, &context("", "v1"), true);
    assert!(errors.is_empty(), "{errors:?}");
    tree
}

/// The errors, and whether the generation would be raised.
fn write(old: &Tree, new: &str, subresource: &str) -> (String, bool) {
    let mut context = context("", "v1");
    context.subresource = subresource;
    let pods = strategy("", "Pod");
    let strategy = if subresource.is_empty() { pods } else { pods.subresource(subresource).unwrap() };
    let mut new = object("", "v1", "Pod", new);
    strategy.default("v1", &mut new.edit());
    strategy.prepare_update(&mut new.edit(), old.root(), &context);
    let errors = strategy.validate_update(new.root(), old.root(), &context);
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    (lines.join(" | "), strategy.generation_changes(new.root(), old.root()))
}

/// The stored object, with one text put for another, through a subresource.
fn check(base: &str, subresource: &str, from: &str, to: &str, expected: &str) {
    let old = stored(base);
    let text = json(&old);
    assert!(text.contains(from), "{from} is not in {text}");
    let (found, _) = write(&old, &text.replacen(from, to, 1), subresource);
    assert_eq!(found, expected, "{subresource} {from} -> {to}");
}

const FORBIDDEN: &str = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";

#[test]
fn what_a_pod_may_change() {
    let check = |from: &str, to: &str, expected: &str| check(POD, "", from, to, expected);
    check("i:1", "i:2", "");
    check(
        "i:1",
        " i",
        "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace | spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace",
    );
    check(r#""activeDeadlineSeconds":100"#, r#""activeDeadlineSeconds":50"#, "");
    check(
        r#""activeDeadlineSeconds":100"#,
        r#""activeDeadlineSeconds":500"#,
        "spec.activeDeadlineSeconds: Invalid value: 500: must be less than or equal to previous value",
    );
    check(
        r#""activeDeadlineSeconds":100,"#,
        "",
        "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
    );
    check(r#""tolerations":["#, r#""tolerations":[{"key":"z","operator":"Exists"},"#, "");
    check(
        r#""key":"a""#,
        r#""key":"q""#,
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
    );
    check(
        r#""containers":["#,
        r#""containers":[{"name":"n","image":"x"},"#,
        "spec.containers: Forbidden: pod updates may not add or remove containers",
    );
    let diff = r#"@@ -103,7 +103,7 @@
   }
  ],
  "EphemeralContainers": null,
- "RestartPolicy": "Always",
+ "RestartPolicy": "Never",
  "TerminationGracePeriodSeconds": 30,
  "ActiveDeadlineSeconds": 100,
  "DNSPolicy": "ClusterFirst",
"#;
    let found = write(&stored(POD), &json(&stored(POD)).replace("Always", "Never"), "").0;
    let numberless = |text: &str| text.split_once(" @@\n").map(|(_, rest)| rest.to_owned());
    assert_eq!(numberless(&found), numberless(diff));
    assert!(found.starts_with(FORBIDDEN), "{found}");
}

#[test]
fn what_a_gated_pod_may_change() {
    let check = |from: &str, to: &str, expected: &str| check(GATED, "", from, to, expected);
    check(r#""nodeSelector":{"#, r#""nodeSelector":{"n":"m","#, "");
    check(
        r#""nodeSelector":{"a":"b"}"#,
        r#""nodeSelector":{"a":"c"}"#,
        "spec.nodeSelector: Invalid value: {\"a\":\"c\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)",
    );
    check(r#""values":["b"]}"#, r#""values":["b"]},{"key":"z","operator":"Exists"}"#, "");
    check(
        r#""values":["b"]}]}"#,
        r#""values":["b"]}]},{"matchFields":[{"key":"metadata.name","operator":"In","values":["n"]}]}"#,
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Invalid value: [{\"MatchExpressions\":[{\"Key\":\"a\",\"Operator\":\"In\",\"Values\":[\"b\"]}],\"MatchFields\":null},{\"MatchExpressions\":null,\"MatchFields\":[{\"Key\":\"metadata.name\",\"Operator\":\"In\",\"Values\":[\"n\"]}]}]: no additions/deletions to non-empty NodeSelectorTerms list are allowed",
    );
    check(r#"{"name":"x"},"#, "", "");
    check(
        r#"{"name":"x"}"#,
        r#"{"name":"z"}"#,
        "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'z'",
    );
}

#[test]
fn ephemeral_containers() {
    let base = r#"{"metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i:1"}]}}"#;
    let old = stored(base);
    let with =
        json(&old).replace(r#""restartPolicy""#, r#""ephemeralContainers":[{"name":"e","image":"x"}],"restartPolicy""#);
    assert_eq!(write(&old, &with.replace("i:1", "other"), "ephemeralcontainers"), (String::new(), true));
    let mut held = object("", "v1", "Pod", &with);
    strategy("", "Pod").default("v1", &mut held.edit());
    let (found, _) = write(&held, &json(&old), "ephemeralcontainers");
    assert_eq!(found, "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be removed\n");
    let (found, _) = write(&held, &with.replace(r#""image":"x""#, r#""image":"y""#), "ephemeralcontainers");
    assert!(found.starts_with("spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be changed\n@@ -1,6 +1,6 @@\n {\n  \"Name\": \"e\",\n- \"Image\": \"x\",\n+ \"Image\": \"y\",\n"), "{found}");
}

#[test]
fn resizes() {
    let check = |from: &str, to: &str, expected: &str| check(POD, "resize", from, to, expected);
    check(r#""requests":{"cpu":"1""#, r#""requests":{"cpu":"1500m""#, "");
    check("i:1", "other", "");
    check(
        r#""requests":{"cpu":"1","memory":"1Gi"}"#,
        r#""requests":{"cpu":"1","memory":"2Gi"}"#,
        "spec.containers[0].resources.requests: Invalid value: \"2Gi\": must be less than or equal to memory limit of 1Gi",
    );
    check(
        r#""limits":{"cpu":"2","memory":"1Gi"}"#,
        r#""limits":{"memory":"1Gi"}"#,
        "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
    );
    check(
        r#""limits":{"cpu":"2""#,
        r#""limits":{"ephemeral-storage":"1Gi","cpu":"2""#,
        "spec: Forbidden: only cpu and memory resources are mutable",
    );
    check(
        r#""name":"c""#,
        r#""name":"z""#,
        "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
    );
}

#[test]
fn statuses() {
    let check = |to: &str, expected: &str| check(POD, "status", r#""qosClass":"Burstable""#, to, expected);
    check(r#""phase":"Running""#, "");
    check(r#""qosClass":"Guaranteed""#, "status.qosClass: Invalid value: \"Guaranteed\": field is immutable");
    check(r#""observedGeneration":-1"#, "status.observedGeneration: Invalid value: -1: must be a non-negative integer");
    check(
        r#""podIPs":[{"ip":"1.2.3.4"},{"ip":"1.2.3.5"}]"#,
        "status.podIPs: Invalid value: [{\"IP\":\"1.2.3.4\"},{\"IP\":\"1.2.3.5\"}]: may specify no more than one IP for each IP family",
    );
    check(r#""podIPs":[{"ip":"1.2.3.4"},{"ip":"::1"}]"#, "");
    check(
        r#""hostIPs":[{"ip":"1.2.3.4"}]"#,
        "status.hostIPs[0].ip: Invalid value: \"1.2.3.4\": must be equal to `hostIP`",
    );
}

#[test]
fn a_status_leaves_the_rest_alone() {
    let old = stored(POD);
    let new = json(&old).replace("i:1", "other").replace(r#""phase":"Pending""#, r#""phase":"Running""#);
    let mut new = object("", "v1", "Pod", &new);
    let status = strategy("", "Pod").subresource("status").unwrap();
    status.prepare_update(&mut new.edit(), old.root(), &context("", "v1"));
    assert_eq!(json(&new), json(&old).replace(r#""phase":"Pending""#, r#""phase":"Running""#));
}

#[test]
fn generation() {
    let old = stored(POD);
    let text = json(&old);
    assert!(!write(&old, &text, "").1);
    assert!(!write(&old, &text.replace(r#""phase":"Pending""#, r#""phase":"Running""#), "").1);
    assert!(write(&old, &text.replace("i:1", "i:2"), "").1);
}
