//! What is there before the first case: a namespace, the custom resource, and a small object of each kind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::body::{self, JSON};
use crate::client::{Answer, Sender, Sent};
use crate::custom;
use crate::target::{BASE, NAMESPACE, Stored, Target};

const SERVED: Duration = Duration::from_secs(60);

/// Makes it; an error if the server does not take a sample.
pub async fn prepare(sender: &Sender, targets: &[Target]) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    create(sender, "/api/v1/namespaces", &namespace).await?;
    for name in ["default", BASE] {
        // No controller runs that would make the first, and pods are not admitted without.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        create(sender, &format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts"), &account).await?;
    }
    for (path, object) in limited() {
        create(sender, &format!("/apis/rbac.authorization.k8s.io/v1/{path}"), &object).await?;
    }
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    create(sender, definitions, &custom::definition()?).await?;
    let began = Instant::now();
    let things = format!("/apis/hostile.example.com/v1/namespaces/{NAMESPACE}/{}", custom::PLURAL);
    while sender.get(&things).await.code != 200 {
        ensure!(began.elapsed() < SERVED, "{things} is not served");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for target in targets.iter().filter(|target| target.stored != Stored::Nothing) {
        create(sender, &target.collection, &target.sample).await.with_context(|| target.name.clone())?;
    }
    Ok(())
}

/// The rights of the user `limited`: to write whatever there is, but by verbs that are listed one by one, so that rules
/// with other verbs exceed them.
fn limited() -> [(&'static str, Value); 2] {
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": verbs}]);
    let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"});
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"});
    let api_version = "rbac.authorization.k8s.io/v1";
    [
        (
            "clusterroles",
            json!({"apiVersion": api_version, "kind": "ClusterRole", "metadata": {"name": "limited"}, "rules": rules}),
        ),
        (
            "clusterrolebindings",
            json!({"apiVersion": api_version, "kind": "ClusterRoleBinding", "metadata": {"name": "limited"}, "roleRef": role, "subjects": [subject]}),
        ),
    ]
}

async fn create(sender: &Sender, collection: &str, object: &Value) -> Result<()> {
    let body = body::settled(object).to_string().into_bytes();
    let path = format!("{collection}?fieldValidation=Strict");
    let sent = Sent { method: "POST", path: &path, content_type: JSON, accept: JSON, user: None, body };
    let Answer { code, reason, message } = sender.send(sent).await;
    ensure!(code == 201 || reason == "AlreadyExists", "{collection}: {code} {message}");
    Ok(())
}
