use super::*;

struct Fixed(Decision, &'static str, Option<&'static str>);

impl Authorizer for Fixed {
    fn authorize(&self, _: &Attributes<'_>) -> Verdict {
        Verdict { decision: self.0, reason: self.1.into(), error: self.2.map(str::to_owned) }
    }

    fn rules_for(&self, _: &User, _: &str) -> Rules {
        let rule = NonResourceRule { verbs: vec![self.1.to_owned()], non_resource_urls: vec![] };
        Rules {
            non_resource_rules: vec![rule],
            errors: self.2.iter().map(|&e| e.to_owned()).collect(),
            ..Rules::default()
        }
    }
}

fn chain(members: Vec<Fixed>) -> Chain {
    Chain::new(members.into_iter().map(|member| Arc::new(member) as Arc<dyn Authorizer>).collect())
}

#[test]
fn the_first_opinion_counts() {
    use Decision::*;
    let user = User::new("jane", &[]);
    let check = |members: Vec<Fixed>, decision, reason: &str, error: Option<&str>| {
        let verdict = chain(members).authorize(&Attributes::path(&user, "get", "/"));
        assert_eq!((verdict.decision, verdict.reason.to_string().as_str()), (decision, reason));
        assert_eq!(verdict.error.as_deref(), error);
    };
    check(vec![], NoOpinion, "", None);
    check(vec![Fixed(NoOpinion, "a", None), Fixed(Allow, "b", None), Fixed(Deny, "c", None)], Allow, "b", None);
    check(vec![Fixed(NoOpinion, "a", Some("e")), Fixed(Deny, "b", None)], Deny, "b", None);
    check(
        vec![Fixed(NoOpinion, "a", Some("e")), Fixed(NoOpinion, "", Some("f")), Fixed(NoOpinion, "c", Some("e"))],
        NoOpinion,
        "a\nc",
        Some("[e, f]"),
    );
}

#[test]
fn rules_of_all_are_listed() {
    let members = vec![Fixed(Decision::Deny, "a", Some("e")), Fixed(Decision::Allow, "b", None)];
    let rules = chain(members).rules_for(&User::default(), "ns");
    assert_eq!(rules.non_resource_rules.iter().map(|rule| rule.verbs[0].as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((rules.incomplete, rules.errors), (false, vec!["e".to_owned()]));
}

#[test]
fn masters_and_nodes() {
    let chain = Chain::standard(Arc::new(NodeSeat), Arc::new(Rbac::default()));
    let check = |user: &User, decision| {
        assert_eq!(chain.authorize(&Attributes::path(user, "get", "/")).decision, decision, "{user:?}");
    };
    check(&User::new("root", &[MASTERS_GROUP]), Decision::Allow);
    check(&User::new(MASTERS_GROUP, &[]), Decision::NoOpinion);
    assert!(!chain.rules_for(&User::new("jane", &[]), "ns").incomplete);
    let rules = chain.rules_for(&User::new("system:node:a", &[crate::user::NODES_GROUP]), "ns");
    assert_eq!(
        (rules.incomplete, rules.errors[0].as_str()),
        (true, "node authorizer does not support user rule resolution")
    );
}

#[test]
fn forbidden_messages() {
    let user = User::new("jane <x>", &[]);
    let pods = Attributes::resource(&user, "list", "", "v1", "pods");
    let check = |attributes: Attributes<'_>, reason, expected: &str| {
        let status = forbidden(&attributes, reason);
        assert_eq!((status.message(), status.code()), (expected, 403));
    };
    check(
        Attributes { namespace: "ns", ..pods },
        "",
        r#"pods is forbidden: User "jane &lt;x&gt;" cannot list resource "pods" in API group "" in the namespace "ns""#,
    );
    check(
        Attributes { group: "apps", resource: "deployments", subresource: "scale", verb: "get", name: "a", ..pods },
        "RBAC: <no>",
        r#"deployments.apps "a" is forbidden: User "jane &lt;x&gt;" cannot get resource "deployments/scale" in API group "apps" at the cluster scope: RBAC: <no>"#,
    );
    check(
        Attributes::path(&user, "get", "/metrics&"),
        "",
        r#"forbidden: User "jane &lt;x&gt;" cannot get path "/metrics&amp;""#,
    );
}
