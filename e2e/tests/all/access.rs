//! Who may do what, and how one proves who one is.

use crate::support::{Fixture, parse, refusal, refused};
use anyhow::Context;
use corten_e2e::eventually;
use http::Request;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use kube::config::AuthInfo;
use serde_json::{Value, json};

impl Fixture {
    /// The administrator acting as somebody else.
    async fn acting_as(&self, user: &str, groups: &[&str]) -> anyhow::Result<Client> {
        let mut config = self.server.config().await?;
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = Some(groups.iter().map(|group| group.to_string()).collect());
        Ok(Client::try_from(config)?)
    }

    /// Somebody who shows a bearer token, or nothing.
    async fn bearing(&self, token: Option<&str>) -> anyhow::Result<Client> {
        let mut config = self.server.config().await?;
        config.auth_info = AuthInfo { token: token.map(Into::into), ..AuthInfo::default() };
        Ok(Client::try_from(config)?)
    }

    async fn allow(&self, user: &str, verbs: &[&str], resource: &str) -> anyhow::Result<()> {
        let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": verbs}]);
        let role: Role = parse(json!({"metadata": {"name": resource}, "rules": rules}))?;
        Api::namespaced(self.client.clone(), &self.namespace).create(&PostParams::default(), &role).await?;
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": resource});
        let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
        let binding: RoleBinding =
            parse(json!({"metadata": {"name": resource}, "roleRef": role, "subjects": [subject]}))?;
        Api::namespaced(self.client.clone(), &self.namespace).create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    async fn token(&self, account: &str, spec: Value) -> anyhow::Result<String> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let request: TokenRequest = parse(json!({"spec": spec}))?;
        let answer: TokenRequest = api.create_subresource("token", account, &PostParams::default(), &request).await?;
        answer.status.and_then(|status| status.token).context("a token")
    }
}

async fn who(client: &Client) -> anyhow::Result<(String, Vec<String>)> {
    let review = Api::all(client.clone()).create(&PostParams::default(), &SelfSubjectReview::default()).await?;
    let user = review.status.and_then(|status| status.user_info).unwrap_or_default();
    Ok((user.username.unwrap_or_default(), user.groups.unwrap_or_default()))
}

#[tokio::test]
async fn rights_come_with_a_binding_and_no_further() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let jane = fixture.acting_as("jane", &["system:authenticated"]).await?;
    let configmaps: Api<ConfigMap> = Api::namespaced(jane.clone(), &fixture.namespace);
    assert_eq!(refusal(configmaps.list(&ListParams::default()).await)?, refused(403, "Forbidden"));
    fixture.allow("jane", &["get", "list"], "configmaps").await?;
    eventually("the new right", async || Ok(configmaps.list(&ListParams::default()).await.ok())).await?;
    let object = parse(json!({"metadata": {"name": "a"}}))?;
    assert_eq!(refusal(configmaps.create(&PostParams::default(), &object).await)?, refused(403, "Forbidden"));
    let elsewhere: Api<ConfigMap> = Api::namespaced(jane.clone(), "default");
    assert_eq!(refusal(elsewhere.list(&ListParams::default()).await)?, refused(403, "Forbidden"));
    let secrets: Api<Secret> = Api::namespaced(jane, &fixture.namespace);
    assert_eq!(refusal(secrets.list(&ListParams::default()).await)?, refused(403, "Forbidden"));
    Ok(())
}

#[tokio::test]
async fn nobody_gives_what_he_has_not() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let role = |name: &str, group: &str, resources: &[&str]| {
        let rules = json!([{"apiGroups": [group], "resources": resources, "verbs": ["create", "get"]}]);
        parse::<Role>(json!({"metadata": {"name": name}, "rules": rules}))
    };
    let binding = |name: &str, kind: &str, role: &str| {
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role});
        let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"});
        parse::<RoleBinding>(json!({"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}))
    };
    let roles: Api<Role> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let bindings: Api<RoleBinding> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let params = PostParams::default();
    let clerk = role("clerk", "rbac.authorization.k8s.io", &["roles", "rolebindings"])?;
    roles.create(&params, &clerk).await?;
    bindings.create(&params, &binding("jane", "Role", "clerk")?).await?;

    let jane = fixture.acting_as("jane", &["system:authenticated"]).await?;
    let hers: Api<Role> = Api::namespaced(jane.clone(), &fixture.namespace);
    let within = role("within", "rbac.authorization.k8s.io", &["roles"])?;
    eventually("jane's rights", async || Ok(hers.create(&params, &within).await.ok())).await?;
    let beyond = hers.create(&params, &role("beyond", "", &["nodes"])?).await;
    assert_eq!(refusal(beyond)?, refused(403, "Forbidden"));
    let hers: Api<RoleBinding> = Api::namespaced(jane, &fixture.namespace);
    hers.create(&params, &binding("again", "Role", "clerk")?).await?;
    let beyond = hers.create(&params, &binding("more", "ClusterRole", "cluster-admin")?).await;
    assert_eq!(refusal(beyond)?, refused(403, "Forbidden"));
    Ok(())
}

#[tokio::test]
async fn an_aggregated_role_is_left_to_its_controller() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let view: Api<ClusterRole> = Api::all(fixture.client.clone());
    let view = view.get("view").await?;
    assert!(view.aggregation_rule.is_some());
    Ok(())
}

#[tokio::test]
async fn impersonation_is_itself_a_right() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let (name, groups) = who(&fixture.acting_as("jane", &["devs"]).await?).await?;
    assert_eq!(name, "jane");
    assert!(groups.contains(&"devs".to_owned()) && groups.contains(&"system:authenticated".to_owned()));

    let token = fixture.token("default", json!({"audiences": []})).await?;
    let mut config = fixture.server.config().await?;
    config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
    config.auth_info.impersonate = Some("jane".into());
    let review =
        Api::all(Client::try_from(config)?).create(&PostParams::default(), &SelfSubjectReview::default()).await;
    assert_eq!(refusal(review)?, refused(403, "Forbidden"));
    Ok(())
}

#[tokio::test]
async fn a_requested_token_is_its_account() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let token = fixture.token("default", json!({"audiences": [], "expirationSeconds": 600})).await?;
    let client = fixture.bearing(Some(&token)).await?;
    let (name, groups) = who(&client).await?;
    assert_eq!(name, format!("system:serviceaccount:{}:default", fixture.namespace));
    assert!(groups.contains(&format!("system:serviceaccounts:{}", fixture.namespace)));

    let may = |verb: &str, resource: &str| {
        let attributes = json!({"namespace": fixture.namespace, "verb": verb, "resource": resource});
        parse::<SelfSubjectAccessReview>(json!({"spec": {"resourceAttributes": attributes}}))
    };
    let review = Api::all(client.clone()).create(&PostParams::default(), &may("list", "secrets")?).await?;
    assert_eq!(review.status.map(|status| status.allowed), Some(false));
    fixture.allow(&name, &["list"], "secrets").await?;
    let secrets: Api<Secret> = Api::namespaced(client, &fixture.namespace);
    eventually("the account's right", async || Ok(secrets.list(&ListParams::default()).await.ok())).await?;
    Ok(())
}

#[tokio::test]
async fn a_token_ends_with_what_it_is_bound_to() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    secrets.create(&PostParams::default(), &parse(json!({"metadata": {"name": "bond"}}))?).await?;
    let bond = json!({"audiences": [], "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "bond"}});
    let token = fixture.token("default", bond).await?;
    let client = fixture.bearing(Some(&token)).await?;
    who(&client).await?;
    secrets.delete("bond", &Default::default()).await?;
    eventually("the token to end", async || {
        let review = Api::all(client.clone()).create(&PostParams::default(), &SelfSubjectReview::default()).await;
        Ok(refusal(review).ok().filter(|refusal| refusal.0 == 401))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_foreign_token_is_nobody() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let client = fixture.bearing(Some("nonsense")).await?;
    let configmaps: Api<ConfigMap> = Api::namespaced(client, &fixture.namespace);
    assert_eq!(refusal(configmaps.list(&ListParams::default()).await)?, refused(401, "Unauthorized"));
    Ok(())
}

#[tokio::test]
async fn the_anonymous_see_health_and_version_only() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let client = fixture.bearing(None).await?;
    for path in ["/livez", "/readyz", "/healthz", "/version"] {
        client.request_text(Request::get(path).body(Vec::new())?).await?;
    }
    for path in ["/api", "/apis", "/api/v1/namespaces", "/metrics", "/openapi/v3", "/nothing"] {
        let answer = client.request_text(Request::get(path).body(Vec::new())?).await;
        assert_eq!(refusal(answer)?.0, 403, "{path}");
    }
    Ok(())
}

/// Of a cluster that trusts a front proxy.
#[tokio::test]
async fn other_servers_are_told_whom_to_trust() -> anyhow::Result<()> {
    const NAME: &str = "extension-apiserver-authentication";
    let fixture = Fixture::start().await?;
    let configmaps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "kube-system");
    let told =
        || async { anyhow::Ok(configmaps.get_opt(NAME).await?.and_then(|found| found.data).unwrap_or_default()) };
    let first = told().await?;
    for (key, expected) in [
        ("client-ca-file", "-----BEGIN CERTIFICATE-----\n"),
        ("requestheader-client-ca-file", "-----BEGIN CERTIFICATE-----\n"),
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
    ] {
        assert!(first.get(key).is_some_and(|value| value.starts_with(expected)), "{key}: {:?}", first.get(key));
    }
    configmaps.delete(NAME, &Default::default()).await?;
    eventually("the ConfigMap made again", async || Ok((told().await? == first).then_some(()))).await
}
