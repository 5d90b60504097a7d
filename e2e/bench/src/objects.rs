//! The objects that are written: a ConfigMap of 1 KB and a Pod of 3 KB, as people write them.

use bytes::Bytes;
use serde_json::{Value, json};

pub fn namespace(name: &str) -> Bytes {
    bytes(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
}

pub fn service_account(name: &str) -> Bytes {
    bytes(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}))
}

/// `note` tells one version of it from another: a write that changes nothing would not reach the store.
pub fn config_map(name: &str, run: &str, note: &str) -> Bytes {
    bytes(&json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "load", "run": run}},
        "data": {"key": "v".repeat(900), "note": note},
    }))
}

pub fn pod(name: &str) -> Bytes {
    bytes(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "load", "tier": "backend", "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"checksum/config": "0f3a9c8e7d6b5a4f3e2d1c0b9a8f7e6d", "owner": "team-load"},
        },
        "spec": {
            // No scheduler answers to this name, so the pods stay as they are.
            "schedulerName": "nobody",
            "automountServiceAccountToken": false,
            "containers": [application(name), sidecar()],
            "volumes": [
                {"name": "config", "configMap": {"name": "app-config", "optional": true}},
                {"name": "tmp", "emptyDir": {}},
            ],
            "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "load", "effect": "NoSchedule"}],
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "labelSelector": {"matchLabels": {"app": "load"}},
                    "topologyKey": "kubernetes.io/hostname",
                },
            }]}},
        },
    }))
}

fn application(pod: &str) -> Value {
    let setting = |i| json!({"name": format!("SETTING_{i}"), "value": format!("some-configuration-value-{i}-{pod}")});
    json!({
        "name": "app",
        "image": "example.test/app:1.2.3",
        "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 9090, "name": "metrics"}],
        "env": (0..12).map(setting).collect::<Vec<_>>(),
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "tmp", "mountPath": "/tmp"}],
    })
}

fn sidecar() -> Value {
    json!({
        "name": "sidecar",
        "image": "example.test/proxy:0.9",
        "args": ["--listen=:15001", "--upstream=127.0.0.1:8080"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    })
}

fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}
