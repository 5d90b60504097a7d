use corten_object::tree::Tree;

use super::*;
use crate::tests::{context, create, json, lines, object, update};

const TARGET: &str = r#""scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}"#;

fn hpa(version: &str, spec: &str) -> Tree {
    let text = format!(
        r#"{{"apiVersion":"autoscaling/{version}","kind":"HorizontalPodAutoscaler","metadata":{{"name":"h","namespace":"ns"}},"spec":{{{TARGET},{spec}}}}}"#
    );
    object("autoscaling", version, "HorizontalPodAutoscaler", &text)
}

fn check(spec: &str, expected: &str) {
    let mut tree = hpa("v2", spec);
    let errors = create(&HorizontalPodAutoscalers, &mut tree, &context("autoscaling", "v2"), true);
    assert_eq!(lines(&errors), expected, "{spec}");
}

#[test]
fn creates() {
    check(r#""maxReplicas":5"#, "");
    check(
        r#""maxReplicas":0,"minReplicas":1"#,
        "spec.maxReplicas: Required value: must be set and greater than 0\nspec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
    );
    check(
        r#""maxReplicas":1,"minReplicas":0"#,
        "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1\nspec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
    );
    check(
        r#""maxReplicas":1,"behavior":{"scaleDown":{"stabilizationWindowSeconds":3601,"policies":[{"type":"Pods","value":0,"periodSeconds":1801}]}}"#,
        "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600\nspec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero\nspec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
    );
    check(
        r#""maxReplicas":1,"metrics":[{"type":"Pods","pods":{"metric":{"name":"a/b"},"target":{"type":"AverageValue","averageValue":"-1"}}}]"#,
        "spec.metrics[0].pods.metric.name: Invalid value: \"a/b\": may not contain '/'\nspec.metrics[0].pods.target.averageValue: Invalid value: \"-1\": must be positive",
    );
}

#[test]
fn defaults() {
    let mut tree = hpa("v2", r#""maxReplicas":1,"behavior":{}"#);
    HorizontalPodAutoscalers.default("v2", &mut tree.edit());
    let text = json(&tree);
    for part in [
        r#""minReplicas":1"#,
        r#""metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]"#,
        r#""scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max","policies":[{"type":"Pods","value":4,"periodSeconds":15},{"type":"Percent","value":100,"periodSeconds":15}]}"#,
        r#""scaleDown":{"selectPolicy":"Max","policies":[{"type":"Percent","value":100,"periodSeconds":15}]}"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn what_an_old_object_excuses() {
    let old = hpa(
        "v2",
        r#""maxReplicas":1,"minReplicas":0,"metrics":[{"type":"External","external":{"metric":{"name":"q"},"target":{"type":"Value","value":"3"}}}]"#,
    );
    let mut new = old.clone();
    assert_eq!(lines(&update(&HorizontalPodAutoscalers, &mut new, &old, &context("autoscaling", "v2"))), "");
    let mut fresh = old.clone();
    let errors = create(&HorizontalPodAutoscalers, &mut fresh, &context("autoscaling", "v2"), true);
    assert_eq!(lines(&errors), "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1");
}

fn annotation(tree: &Tree, name: &str) -> String {
    let annotations = tree.root().at(&["metadata", "annotations"]);
    let key = format!("autoscaling.alpha.kubernetes.io/{name}");
    annotations.and_then(|map| map.get(&key)).map_or(String::new(), |text| text.as_str().to_owned())
}

#[test]
fn v1_keeps_the_rest_in_annotations() {
    let hub = hpa(
        "v2",
        r#""maxReplicas":5,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}},{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"1k"}}},{"type":"Object","object":{"describedObject":{"kind":"Ingress","name":"i","apiVersion":"networking.k8s.io/v1"},"target":{"type":"Value","value":"10k"},"metric":{"name":"hits","selector":{"matchLabels":{"a":"b"}}}}}],"behavior":{"scaleDown":{"selectPolicy":"Min","policies":[{"type":"Pods","value":1,"periodSeconds":60}]}}"#,
    );
    let v1 = HorizontalPodAutoscalers.convert(&hub, ("autoscaling", "v1")).expect("a form of v1");
    assert!(json(&v1).contains(r#""targetCPUUtilizationPercentage":50"#), "{}", json(&v1));
    assert_eq!(
        annotation(&v1, "metrics"),
        r#"[{"type":"Pods","pods":{"metricName":"rps","targetAverageValue":"1k"}},{"type":"Object","object":{"target":{"kind":"Ingress","name":"i","apiVersion":"networking.k8s.io/v1"},"metricName":"hits","targetValue":"10k","selector":{"matchLabels":{"a":"b"}}}}]"#
    );
    assert_eq!(
        annotation(&v1, "behavior"),
        r#"{"ScaleUp":null,"ScaleDown":{"StabilizationWindowSeconds":null,"SelectPolicy":"Min","Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":60}],"Tolerance":null}}"#
    );

    let back = HorizontalPodAutoscalers.convert(&v1, ("autoscaling", "v2")).expect("a form of v2");
    let text = json(&back);
    assert!(!text.contains("annotations"), "{text}");
    // The processors' metric comes last on the way back.
    for part in [
        r#""metrics":[{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"1k"}}}"#,
        r#"{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]"#,
        r#""behavior":{"scaleDown":{"selectPolicy":"Min","policies":[{"type":"Pods","value":1,"periodSeconds":60}]}}"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
