use std::sync::Mutex;

use super::*;
use crate::authenticate::{Anonymous, TokenFile, Tokens};
use crate::authorize::{Attributes, Decision, Rules, Verdict};
use crate::service_account::fixture::ready;

/// Answers the same to everything, and remembers what it was asked.
struct Fixed {
    verdict: Verdict,
    asked: Mutex<String>,
}

impl Authorizer for Fixed {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let Attributes { user, verb, group, version, resource, subresource, namespace, name, path, .. } = attributes;
        let fields: Vec<String> = attributes.field_selector.requirements.iter().map(|r| format!("{r:?}")).collect();
        let labels: Vec<String> = attributes
            .label_selector
            .requirements
            .iter()
            .map(|r| format!("{} {} {:?}", r.key(), r.operator().as_str(), r.values()))
            .collect();
        *self.asked.lock().unwrap() = match attributes.resource_request {
            false => format!("{} {verb} {path}", user.name),
            true => format!(
                "{} {:?} {verb} {group}/{version} {resource}/{subresource} {namespace} {name} {} {}",
                user.name,
                user.groups,
                fields.len(),
                labels.join(",")
            ),
        };
        self.verdict.clone()
    }

    fn rules_for(&self, user: &User, namespace: &str) -> Rules {
        let rule = ResourceRule {
            verbs: vec![user.name.clone()],
            resources: vec![namespace.into()],
            ..ResourceRule::default()
        };
        Rules { resource_rules: vec![rule], incomplete: true, errors: vec!["a".into(), "b".into()], ..Rules::default() }
    }
}

fn fixed(verdict: Verdict) -> Fixed {
    Fixed { verdict, asked: Mutex::default() }
}

fn spec(json: &str) -> SubjectAccessReviewSpec {
    serde_json::from_str(json).unwrap()
}

#[test]
fn what_is_asked_for() {
    let check = |json: &str, expected: &str| {
        let authorizer = fixed(Verdict::allow("why"));
        let status = subject_access_review(&authorizer, &spec(json), None).unwrap();
        assert_eq!(serde_json::to_string(&status).unwrap(), r#"{"allowed":true,"reason":"why"}"#);
        assert_eq!(*authorizer.asked.lock().unwrap(), expected);
    };
    check(
        r#"{"user":"u","groups":["g"],"resourceAttributes":{"verb":"get","group":"apps","version":"v1","resource":"deployments","subresource":"scale","namespace":"ns","name":"n"}}"#,
        r#"u ["g"] get apps/v1 deployments/scale ns n 0 "#,
    );
    check(r#"{"groups":["g"],"resourceAttributes":{}}"#, r#" ["g"]  /* /   0 "#);
    check(r#"{"user":"u","nonResourceAttributes":{"path":"/x","verb":"get"}}"#, "u get /x");
    check(
        r#"{"user":"u","resourceAttributes":{"fieldSelector":{"rawSelector":"a=b"},"labelSelector":{"rawSelector":"a in (x,y),!b"}}}"#,
        r#"u []  /* /   1 a in ["x", "y"],b ! []"#,
    );
    check(
        r#"{"user":"u","resourceAttributes":{"labelSelector":{"requirements":[{"key":"k","operator":"Exists"},{"key":"k","operator":"NotIn","values":["v"]}]},"fieldSelector":{"requirements":[{"key":"k","operator":"In","values":["v"]}]}}}"#,
        r#"u []  /* /   1 k exists [],k notin ["v"]"#,
    );
}

#[test]
fn answers() {
    let check = |verdict: Verdict, json: &str, expected: &str| {
        let status = self_subject_access_review(&fixed(verdict), &User::new("me", &[]), &spec(json), None).unwrap();
        assert_eq!(serde_json::to_string(&status).unwrap(), expected);
    };
    let plain = r#"{"resourceAttributes":{"verb":"get"}}"#;
    check(Verdict::allow(""), plain, r#"{"allowed":true}"#);
    check(Verdict::deny("no"), plain, r#"{"allowed":false,"denied":true,"reason":"no"}"#);
    let failed = || Verdict { decision: Decision::NoOpinion, error: Some("e".into()), ..Verdict::no_opinion("") };
    check(failed(), plain, r#"{"allowed":false,"evaluationError":"e"}"#);
    check(
        failed(),
        r#"{"resourceAttributes":{"fieldSelector":{"rawSelector":"a"},"labelSelector":{"requirements":[{"key":"a","operator":"Exists"},{"key":"a","operator":"Like"}]}}}"#,
        r#"{"allowed":false,"evaluationError":"e; spec.resourceAttributes.fieldSelector ignored due to parse error; spec.resourceAttributes.labelSelector partially ignored due to parse error"}"#,
    );
    check(
        Verdict::allow(""),
        r#"{"resourceAttributes":{"fieldSelector":{"requirements":[{"key":"a","operator":"In","values":["x","y"]},{"key":"a","operator":"NotIn","values":["x"]}]},"labelSelector":{"rawSelector":"a b"}}}"#,
        r#"{"allowed":true,"evaluationError":"spec.resourceAttributes.fieldSelector partially ignored due to parse error; spec.resourceAttributes.labelSelector ignored due to parse error"}"#,
    );
}

#[test]
fn invalid_reviews() {
    let check = |result: Result<SubjectAccessReviewStatus, Status>, code: u16, message: &str| {
        let status = result.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message));
    };
    let authorizer = fixed(Verdict::allow(""));
    let subject = |json: &str, metadata: Option<&str>| subject_access_review(&authorizer, &spec(json), metadata);
    let own = |json: &str| self_subject_access_review(&authorizer, &User::default(), &spec(json), None);
    let local = |json: &str, in_metadata: &str, in_url: &str| {
        local_subject_access_review(&authorizer, &spec(json), None, in_metadata, in_url)
    };
    check(
        subject("{}", None),
        422,
        r#".authorization.k8s.io "" is invalid: [spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: "": at least one of user or group must be specified]"#,
    );
    check(
        own(r#"{"resourceAttributes":{},"nonResourceAttributes":{"path":"/x","verb":"get"}}"#),
        422,
        r#".authorization.k8s.io "" is invalid: spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: cannot be specified in combination with resourceAttributes"#,
    );
    check(
        subject(r#"{"user":"u","resourceAttributes":{}}"#, Some(r#"{"name":"x"}"#)),
        422,
        r#".authorization.k8s.io "" is invalid: metadata: Invalid value: {"name":"x"}: must be empty"#,
    );
    check(
        own(
            r#"{"resourceAttributes":{"fieldSelector":{},"labelSelector":{"rawSelector":"a","requirements":[{"key":"a b","operator":"In"}]}}}"#,
        ),
        422,
        r#".authorization.k8s.io "" is invalid: [spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required, spec.resourceAttributes.labelSelector.rawSelector: Invalid value: "a": may not specified at the same time as requirements, spec.resourceAttributes.labelSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn', spec.resourceAttributes.labelSelector.requirements[0].key: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')]"#,
    );
    check(
        own(r#"{"resourceAttributes":{"fieldSelector":{"requirements":[{"operator":"Exists","values":["x"]}]}}}"#),
        422,
        r#".authorization.k8s.io "" is invalid: [spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified, spec.resourceAttributes.fieldSelector.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist']"#,
    );
    check(
        local(r#"{"user":"u","resourceAttributes":{"namespace":"a"}}"#, "b", "b"),
        422,
        r#".authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "a": must match metadata.namespace"#,
    );
    check(
        local(r#"{"user":"u","nonResourceAttributes":{}}"#, "b", "b"),
        422,
        r#".authorization.k8s.io "" is invalid: spec.nonResourceAttributes: Invalid value: {"Path":"","Verb":""}: disallowed on this kind of request"#,
    );
    check(
        local(r#"{"user":"u","resourceAttributes":{"namespace":"a"}}"#, "a", "b"),
        400,
        "spec.resourceAttributes.namespace must match namespace: b",
    );
    check(local(r#"{"user":"u","resourceAttributes":{}}"#, "", ""), 400, "namespace is required on this type: ");
    assert!(
        local(r#"{"user":"u","resourceAttributes":{"namespace":"a"}}"#, "a", "a").is_ok_and(|status| status.allowed)
    );
}

#[test]
fn rules() {
    let review = self_subject_rules_review(&fixed(Verdict::allow("")), &User::new("me", &[]), "ns").unwrap();
    assert_eq!(
        serde_json::to_string(&review).unwrap(),
        r#"{"resourceRules":[{"verbs":["me"],"resources":["ns"]}],"nonResourceRules":[],"incomplete":true,"evaluationError":"[a, b]"}"#
    );
    let refused = self_subject_rules_review(&fixed(Verdict::allow("")), &User::default(), "").unwrap_err();
    assert_eq!((refused.code(), refused.message()), (400, "no namespace on request"));
}

#[test]
fn tokens() {
    let file = TokenFile::parse("good,jane,7,dev", "file".as_ref()).unwrap();
    let tokens = Tokens { file: Some(file), api_audiences: vec!["api".into()], ..Tokens::default() };
    let authenticators = Authenticators {
        tokens: Some(tokens),
        api_audiences: vec!["api".into()],
        anonymous: Anonymous::Everywhere,
        ..Authenticators::default()
    };
    let check = |json: &str, expected: Result<&str, (u16, &str)>| {
        let spec: TokenReviewSpec = serde_json::from_str(json).unwrap();
        let status = ready(token_review(&authenticators, &spec)).map(|status| serde_json::to_string(&status).unwrap());
        assert_eq!(status.as_deref().map_err(|status| (status.code(), status.message())), expected, "{json}");
    };
    let jane = r#""user":{"username":"jane","uid":"7","groups":["dev","system:authenticated"]}"#;
    check(r#"{"token":"good"}"#, Ok(&format!(r#"{{"authenticated":true,{jane},"audiences":["api"]}}"#)));
    check(
        r#"{"token":"good","audiences":["x","api"]}"#,
        Ok(&format!(r#"{{"authenticated":true,{jane},"audiences":["api"]}}"#)),
    );
    check(r#"{"token":"good","audiences":["x"]}"#, Ok(r#"{"user":{},"error":"invalid bearer token"}"#));
    check(r#"{"token":"bad"}"#, Ok(r#"{"user":{},"error":"invalid bearer token"}"#));
    check(r#"{"token":"a\nb"}"#, Ok(r#"{"user":{},"error":"invalid bearer token"}"#));
    check("{}", Err((400, "token is required for TokenReview in authentication")));
}

#[test]
fn oneself() {
    let user = User::new("me", &["g"]);
    assert_eq!(
        serde_json::to_string(&self_subject_review(&user)).unwrap(),
        r#"{"userInfo":{"username":"me","groups":["g"]}}"#
    );
    assert_eq!(User::from(UserInfo::from(&user)), user);
}
