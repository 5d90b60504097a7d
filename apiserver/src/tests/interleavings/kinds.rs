//! What is written: a few kinds that have something beside their object, or none at all.

use corten_store::simulation::Dice;
use serde_json::{Value, json};

pub struct Kind {
    pub plural: &'static str,
    /// `/api/v1`
    pub root: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    /// Of its keys.
    pub prefix: &'static str,
    /// How often it is chosen.
    pub weight: u64,
    spec: fn(&mut Dice) -> Value,
}

/// What a sequence is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Anything,
    Services,
    Definitions,
    Rights,
}

impl Theme {
    pub const ALL: [Theme; 6] =
        [Theme::Anything, Theme::Services, Theme::Definitions, Theme::Definitions, Theme::Definitions, Theme::Rights];

    /// How often a kind is chosen.
    pub fn weight(self, kind: &Kind) -> u64 {
        let is_of_theme = match self {
            Theme::Anything => true,
            Theme::Services => kind.kind == "Service" || kind.kind == "Namespace",
            Theme::Definitions => kind.is_custom() || kind.is_definition(),
            Theme::Rights => kind.root.contains("rbac"),
        };
        if is_of_theme { kind.weight } else { u64::from(kind.weight > 3) }
    }
}

/// One of these, each as likely.
pub fn pick<T: Copy>(dice: &mut Dice, from: &[T]) -> T {
    from[dice.roll(from.len() as u64) as usize]
}

pub const GROUP: &str = "example.com";

pub const KINDS: &[Kind] = &[
    Kind {
        plural: "configmaps",
        root: "/api/v1",
        kind: "ConfigMap",
        namespaced: true,
        prefix: "/registry/configmaps/",
        weight: 6,
        spec: |dice| json!({"data": {"a": number(dice)}}),
    },
    Kind {
        plural: "services",
        root: "/api/v1",
        kind: "Service",
        namespaced: true,
        prefix: "/registry/services/specs/",
        weight: 12,
        spec: service,
    },
    Kind {
        plural: "pods",
        root: "/api/v1",
        kind: "Pod",
        namespaced: true,
        prefix: "/registry/pods/",
        weight: 3,
        spec: |dice| {
            let node = pick(dice, &["", "n1", "n2"]);
            json!({"spec": {"nodeName": node, "containers": [{"name": "c", "image": format!("i:{}", dice.roll(3))}]}})
        },
    },
    Kind {
        plural: "deployments",
        root: "/apis/apps/v1",
        kind: "Deployment",
        namespaced: true,
        prefix: "/registry/deployments/",
        weight: 3,
        spec: |dice| {
            let template =
                json!({"metadata": {"labels": {"d": "d"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
            json!({"spec": {
                "replicas": dice.roll(4), "selector": {"matchLabels": {"d": "d"}}, "template": template
            }})
        },
    },
    Kind {
        plural: "leases",
        root: "/apis/coordination.k8s.io/v1",
        kind: "Lease",
        namespaced: true,
        prefix: "/registry/leases/",
        weight: 2,
        spec: |dice| json!({"spec": {"holderIdentity": format!("h{}", dice.roll(2)), "leaseDurationSeconds": 10 + dice.roll(3)}}),
    },
    Kind {
        plural: "roles",
        root: "/apis/rbac.authorization.k8s.io/v1",
        kind: "Role",
        namespaced: true,
        prefix: "/registry/roles/",
        weight: 2,
        spec: rules,
    },
    Kind {
        plural: "rolebindings",
        root: "/apis/rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        namespaced: true,
        prefix: "/registry/rolebindings/",
        weight: 3,
        spec: |dice| binding(pick(dice, &["Role", "ClusterRole"]), dice),
    },
    Kind {
        plural: "clusterroles",
        root: "/apis/rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        namespaced: false,
        prefix: "/registry/clusterroles/",
        weight: 2,
        spec: rules,
    },
    Kind {
        plural: "clusterrolebindings",
        root: "/apis/rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        namespaced: false,
        prefix: "/registry/clusterrolebindings/",
        weight: 3,
        spec: |dice| binding("ClusterRole", dice),
    },
    Kind {
        plural: "namespaces",
        root: "/api/v1",
        kind: "Namespace",
        namespaced: false,
        prefix: "/registry/namespaces/",
        weight: 2,
        spec: |_| json!({}),
    },
    Kind {
        plural: "customresourcedefinitions",
        root: "/apis/apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        namespaced: false,
        prefix: "/registry/apiextensions.k8s.io/customresourcedefinitions/",
        weight: 7,
        spec: |_| json!({}),
    },
    Kind {
        plural: "widgets",
        root: "/apis/example.com/v1",
        kind: "Widget",
        namespaced: true,
        prefix: "/registry/example.com/widgets/",
        weight: 8,
        spec: custom,
    },
    Kind {
        plural: "widgets",
        root: "/apis/example.com/v2",
        kind: "Widget",
        namespaced: true,
        prefix: "/registry/example.com/widgets/",
        weight: 2,
        spec: custom,
    },
    Kind {
        plural: "gadgets",
        root: "/apis/example.com/v1",
        kind: "Gadget",
        namespaced: false,
        prefix: "/registry/example.com/gadgets/",
        weight: 3,
        spec: custom,
    },
];

impl Kind {
    pub fn is_custom(&self) -> bool {
        self.root.starts_with("/apis/example.com/")
    }

    pub fn is_definition(&self) -> bool {
        self.kind == "CustomResourceDefinition"
    }

    pub fn api_version(&self) -> &'static str {
        self.root.strip_prefix("/apis/").unwrap_or("v1")
    }

    pub fn collection(&self, namespace: &str) -> String {
        match self.namespaced && !namespace.is_empty() {
            true => format!("{}/namespaces/{namespace}/{}", self.root, self.plural),
            false => format!("{}/{}", self.root, self.plural),
        }
    }

    pub fn key(&self, namespace: &str, name: &str) -> String {
        match self.namespaced {
            true => format!("{}{namespace}/{name}", self.prefix),
            false => format!("{}{name}", self.prefix),
        }
    }

    /// A name out of a small pool.
    pub fn name(&self, dice: &mut Dice) -> String {
        match self.kind {
            "CustomResourceDefinition" => {
                ["widgets.example.com", "gadgets.example.com"][usize::from(dice.roll(3) == 0)].to_owned()
            }
            "Namespace" => pick(dice, &["red", "blue"]).to_owned(),
            "Service" => pick(dice, &["s1", "s2", "s3"]).to_owned(),
            _ => pick(dice, &["a", "b", "c"]).to_owned(),
        }
    }

    /// A whole object of that name.
    pub fn object(&self, name: &str, dice: &mut Dice) -> Value {
        let mut object = if self.is_definition() { definition(name, dice) } else { (self.spec)(dice) };
        object["apiVersion"] = self.api_version().into();
        object["kind"] = self.kind.into();
        object["metadata"]["name"] = name.into();
        match dice.roll(4) {
            0 => {}
            _ => object["metadata"]["labels"] = json!({"app": pick(dice, &["x", "y", "z"])}),
        }
        if dice.roll(12) == 0 {
            object["metadata"]["finalizers"] = json!(["example.com/hold"]);
        }
        object
    }
}

fn number(dice: &mut Dice) -> String {
    dice.roll(5).to_string()
}

fn service(dice: &mut Dice) -> Value {
    let mut port = json!({"name": "p", "port": 80 + dice.roll(2)});
    let ty = pick(dice, &["ClusterIP", "NodePort", "NodePort", "LoadBalancer", "ExternalName"]);
    if ty != "ClusterIP" && ty != "ExternalName" && dice.roll(2) == 0 {
        port["nodePort"] = (30001 + dice.roll(3)).into();
    }
    let mut spec = json!({"type": ty, "ports": [port]});
    if ty == "ExternalName" {
        spec["externalName"] = "elsewhere.example.com".into();
    } else if dice.roll(4) == 0 {
        spec["clusterIP"] = pick(dice, &["None", "10.96.0.50", "10.96.0.51"]).into();
    }
    if ty == "LoadBalancer" && dice.roll(2) == 0 {
        spec["externalTrafficPolicy"] = "Local".into();
    }
    // Refused, but by rules that come after what it asks for.
    if dice.roll(6) == 0 {
        spec["sessionAffinity"] = "Sometimes".into();
    }
    json!({"spec": spec})
}

fn rules(dice: &mut Dice) -> Value {
    let resource = pick(dice, &["pods", "secrets", "configmaps"]);
    let verbs = [json!(["get"]), json!(["get", "list"]), json!(["*"])][dice.roll(3) as usize].clone();
    json!({"rules": [{"apiGroups": [""], "resources": [resource], "verbs": verbs}]})
}

fn binding(kind: &str, dice: &mut Dice) -> Value {
    let role = pick(dice, &["a", "b", "c"]);
    let subject = [
        json!({"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}),
        json!({"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}),
        json!({"kind": "Group", "name": "staff", "apiGroup": "rbac.authorization.k8s.io"}),
    ][dice.roll(3) as usize]
        .clone();
    json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}, "subjects": [subject]})
}

fn custom(dice: &mut Dice) -> Value {
    json!({"spec": {"color": pick(dice, &["red", "green"]), "size": dice.roll(4)}})
}

fn definition(name: &str, dice: &mut Dice) -> Value {
    let plural = name.split('.').next().unwrap_or_default();
    let (kind, scope) = if plural == "widgets" { ("Widget", "Namespaced") } else { ("Gadget", "Cluster") };
    // Versions of one schema could not differ in their fields.
    let schema = |version: &str| {
        let mut spec = json!({"color": {"type": "string"}});
        if version == "v2" {
            spec["size"] = json!({"type": "integer"});
        }
        let spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": spec});
        let whole =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"spec": spec}});
        json!({"openAPIV3Schema": whole})
    };
    let kept = if plural == "widgets" { dice.roll(4) } else { 0 };
    let version = |name: &str, stored: bool| {
        json!({"name": name, "served": true, "storage": stored, "schema": schema(name),
            "subresources": {"status": {}}, "selectableFields": [], "additionalPrinterColumns": []})
    };
    let mut versions = vec![version("v1", kept != 1)];
    if plural == "widgets" && kept > 0 {
        versions.push(version("v2", kept == 1));
    }
    for version in &mut versions {
        match dice.roll(3) {
            0 => {
                version["additionalPrinterColumns"] =
                    json!([{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}])
            }
            1 => version["selectableFields"] = json!([{"jsonPath": ".spec.color"}]),
            _ => {}
        }
        // Empty ones are left out, as clients do.
        let version = version.as_object_mut().expect("an object");
        version.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
    }
    json!({"spec": {
        "group": GROUP, "scope": scope, "versions": versions,
        "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")}
    }})
}
