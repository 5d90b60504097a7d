use super::*;
use crate::authorize::{Decision, Verdict};
use crate::user::Extra;

/// Allows what is listed, each as `verb group/resource[/subresource] [namespace/]name`, and remembers what it was asked.
#[derive(Default)]
struct Listed {
    allowed: Vec<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Authorizer for Listed {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let Attributes { verb, group, resource, subresource, namespace, name, .. } = attributes;
        let subresource = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let asked = format!("{verb} {group}/{resource}{subresource} {namespace}{name}");
        let allowed = self.allowed.contains(&asked.as_str());
        self.asked.lock().push(asked);
        if allowed {
            Verdict::allow("")
        } else {
            Verdict { decision: Decision::NoOpinion, ..Verdict::no_opinion("no") }
        }
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    headers
}

fn requester() -> User {
    let extra = Extra::from([("authentication.kubernetes.io/node-name".to_owned(), vec!["mine".to_owned()])]);
    Info { name: "system:serviceaccount:ns:agent".into(), extra, ..Info::default() }.into()
}

/// `name [groups] constraint`, or the message. The request lists pods in `default`.
fn run(allowed: &[&'static str], lines: &[(&str, &str)]) -> Result<String, String> {
    let impersonator = Impersonator::new(Arc::new(Listed { allowed: allowed.to_vec(), ..Listed::default() }));
    ask(&impersonator, lines)
}

fn ask(impersonator: &Impersonator, lines: &[(&str, &str)]) -> Result<String, String> {
    let user = requester();
    let attributes = Attributes { namespace: "default", ..Attributes::resource(&user, "list", "", "v1", "pods") };
    let mut headers = headers(lines);
    let found =
        impersonator.impersonate(&mut headers, &attributes).map_err(|status| format!("{} {status}", status.code()))?;
    assert!(found.is_none() || headers.is_empty(), "{headers:?}");
    Ok(found.map_or_else(String::new, |found| {
        format!("{} [{}] {}", found.user.name, found.user.groups.join(" "), found.constraint).trim_end().to_owned()
    }))
}

#[test]
fn headers_without_a_user() {
    let check = |lines: &[(&str, &str)], expected: Result<&str, &str>| {
        assert_eq!(run(&[], lines).as_deref().map_err(String::as_str), expected);
    };
    check(&[], Ok(""));
    check(&[("Impersonate-User", ""), ("Accept", "x")], Ok(""));
    check(
        &[("Impersonate-Group", "g")],
        Err(
            r#"400 requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a user name"#,
        ),
    );
    check(
        &[
            ("Impersonate-Uid", "u"),
            ("Impersonate-Extra-Scopes", "a"),
            ("Impersonate-Extra-scopes", "b"),
            ("Impersonate-Extra-x%2Fy", ""),
        ],
        Err(
            r#"400 requested &user.DefaultInfo{Name:"", UID:"u", Groups:[]string(nil), Extra:map[string][]string{"scopes":[]string{"a", "b"}, "x/y":[]string{""}}} without impersonating a user name"#,
        ),
    );
}

#[test]
fn the_older_generation() {
    let check = |allowed: &[&'static str], lines: &[(&str, &str)], expected: &str| {
        assert_eq!(run(allowed, lines).as_deref(), Ok(expected), "{lines:?}");
    };
    let user = ("Impersonate-User", "jane");
    let all = [
        "impersonate /users jane",
        "impersonate /groups g",
        "impersonate authentication.k8s.io/uids u",
        "impersonate authentication.k8s.io/userextras/scopes a",
        "impersonate /groups system:unauthenticated",
    ];
    check(&all, &[user], "jane [system:authenticated]");
    check(
        &all,
        &[user, ("Impersonate-Group", "g"), ("Impersonate-Uid", "u"), ("Impersonate-Extra-Scopes", "a")],
        "jane [g system:authenticated]",
    );
    check(&all, &[user, ("Impersonate-Group", "system:unauthenticated")], "jane [system:unauthenticated]");
    check(
        &["impersonate /users system:anonymous"],
        &[("Impersonate-User", "system:anonymous")],
        "system:anonymous [system:unauthenticated]",
    );
    check(
        &["impersonate /users system:node:n"],
        &[("Impersonate-User", "system:node:n")],
        "system:node:n [system:authenticated]",
    );
    let account = ("Impersonate-User", "system:serviceaccount:ns:sa");
    let accounts = ["impersonate /serviceaccounts ns/sa", "impersonate /groups g"];
    check(
        &accounts,
        &[account],
        "system:serviceaccount:ns:sa [system:serviceaccounts system:serviceaccounts:ns system:authenticated]",
    );
    check(&accounts, &[account, ("Impersonate-Group", "g")], "system:serviceaccount:ns:sa [g system:authenticated]");
}

#[test]
fn constrained_modes() {
    let check = |allowed: &[&'static str], lines: &[(&str, &str)], expected: &str| {
        assert_eq!(run(allowed, lines).as_deref(), Ok(expected), "{lines:?}");
    };
    check(
        &[
            "impersonate-on:associated-node:list /pods default/",
            "impersonate:associated-node authentication.k8s.io/nodes *",
        ],
        &[("Impersonate-User", "system:node:mine")],
        "system:node:mine [system:nodes system:authenticated] impersonate:associated-node",
    );
    check(
        &[
            "impersonate-on:arbitrary-node:list /pods default/",
            "impersonate:arbitrary-node authentication.k8s.io/nodes other",
        ],
        &[("Impersonate-User", "system:node:other")],
        "system:node:other [system:nodes system:authenticated] impersonate:arbitrary-node",
    );
    check(
        &[
            "impersonate-on:serviceaccount:list /pods default/",
            "impersonate:serviceaccount authentication.k8s.io/serviceaccounts ns/sa",
        ],
        &[("Impersonate-User", "system:serviceaccount:ns:sa")],
        "system:serviceaccount:ns:sa [system:serviceaccounts system:serviceaccounts:ns system:authenticated] impersonate:serviceaccount",
    );
    let user_info = [
        "impersonate-on:user-info:list /pods default/",
        "impersonate:user-info authentication.k8s.io/users jane",
        "impersonate:user-info authentication.k8s.io/groups *",
        "impersonate:user-info authentication.k8s.io/groups a",
        "impersonate:user-info authentication.k8s.io/userextras/example.org/k v",
    ];
    let group = |name| ("Impersonate-Group", name);
    check(
        &user_info,
        &[("Impersonate-User", "jane"), group("a")],
        "jane [a system:authenticated] impersonate:user-info",
    );
    check(
        &user_info,
        &[("Impersonate-User", "jane"), group("a"), group("b"), group("c"), group("d")],
        "jane [a b c d system:authenticated] impersonate:user-info",
    );
    check(
        &user_info,
        &[("Impersonate-User", "jane"), ("Impersonate-Extra-example.org%2Fk", "v")],
        "jane [system:authenticated] impersonate:user-info",
    );
}

#[test]
fn refusals() {
    let check = |allowed: &[&'static str], lines: &[(&str, &str)], expected: &str| {
        assert_eq!(run(allowed, lines), Err(format!("403 {expected}")), "{lines:?}");
    };
    let me = r#"User "system:serviceaccount:ns:agent" cannot"#;
    let user = ("Impersonate-User", "jane");
    // The first mode that the user is for tells why not.
    check(
        &[],
        &[user],
        &format!(
            r#"pods is forbidden: {me} impersonate-on:user-info:list resource "pods" in API group "" in the namespace "default": no"#
        ),
    );
    check(
        &[],
        &[("Impersonate-User", "system:node:mine")],
        &format!(
            r#"pods is forbidden: {me} impersonate-on:associated-node:list resource "pods" in API group "" in the namespace "default": no"#
        ),
    );
    check(
        &["impersonate-on:associated-node:list /pods default/"],
        &[("Impersonate-User", "system:node:mine")],
        &format!(
            r#"nodes.authentication.k8s.io "*" is forbidden: {me} impersonate:associated-node resource "nodes" in API group "authentication.k8s.io" at the cluster scope: no"#
        ),
    );
    let on = "impersonate-on:user-info:list /pods default/";
    let jane = "impersonate:user-info authentication.k8s.io/users jane";
    let groups = format!(
        r#"{me} impersonate:user-info resource "groups" in API group "authentication.k8s.io" at the cluster scope"#
    );
    let extras = format!(
        r#"userextras.authentication.k8s.io is forbidden: {me} impersonate:user-info resource "userextras" in API group "authentication.k8s.io" at the cluster scope"#
    );
    check(
        &[on, jane],
        &[user, ("Impersonate-Group", "system:masters")],
        &format!(
            r#"groups.authentication.k8s.io "system:masters" is forbidden: {groups}: impersonating the system:masters group is not allowed"#
        ),
    );
    check(
        &[on, jane],
        &[user, ("Impersonate-Group", "")],
        &format!(
            "groups.authentication.k8s.io is forbidden: {groups}: impersonating the empty string group is not allowed"
        ),
    );
    check(
        &[on, jane],
        &[user, ("Impersonate-Group", "g")],
        &format!(r#"groups.authentication.k8s.io "g" is forbidden: {groups}: no"#),
    );
    check(
        &[on, jane],
        &[user, ("Impersonate-Extra-scopes", "v")],
        &format!(
            r#"{extras}: impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "scopes": must be a domain-prefixed path (such as "acme.io/foo")"#
        ),
    );
    check(
        &[on, jane],
        &[user, ("Impersonate-Extra-example.org%2F%4B", "v")],
        &format!(r#"{extras}: impersonating a non-lowercase key in extra is not allowed: "example.org/K""#),
    );
    check(
        &[on, jane],
        &[user, ("Impersonate-Extra-example.org%2Fk", "")],
        &format!("{extras}: impersonating the empty string value in extra is not allowed"),
    );
}

#[test]
fn the_mode_that_worked_is_tried_first() {
    let listed = Arc::new(Listed { allowed: vec!["impersonate /users jane"], ..Listed::default() });
    let impersonator = Impersonator::new(listed.clone());
    let asked = |user: &str| {
        listed.asked.lock().clear();
        let result = ask(&impersonator, &[("Impersonate-User", user)]);
        (result, listed.asked.lock().len())
    };
    assert_eq!(asked("jane"), (Ok("jane [system:authenticated]".to_owned()), 2));
    assert_eq!(asked("jane"), (Ok("jane [system:authenticated]".to_owned()), 1));
    let message = r#"403 users "joe" is forbidden: User "system:serviceaccount:ns:agent" cannot impersonate resource "users" in API group "" at the cluster scope: no"#;
    assert_eq!(asked("joe"), (Err(message.to_owned()), 2));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut remembered = Remembered::default();
    for i in 0..3 * REMEMBERED_MAX {
        remembered.put(&i.to_string(), Mode::Legacy);
        assert!(remembered.young.len() + remembered.old.len() <= REMEMBERED_MAX);
    }
    assert_eq!(remembered.get(&(3 * REMEMBERED_MAX - 1).to_string()), Some(Mode::Legacy));
    assert_eq!(remembered.get("0"), None);
}
