//! Tokens of service accounts, and the cache.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corten_runtime::random::Random;
use serde_json::{Value, json};

use super::*;
use crate::authenticate::cache::TokenCache;
use crate::service_account::TokenKind;
use crate::service_account::fixture::Objects;
use crate::tokens::tests::key;
use crate::tokens::{PublicKey, SigningKey, sign};

const KEY: &[u8] = key!("p256.pkcs8.pem");
const OTHER_KEY: &[u8] = key!("rsa.pkcs8.pem");

fn service_accounts(objects: Objects) -> ServiceAccountTokens {
    ServiceAccountTokens {
        issuers: strings(&["https://issuer", "https://former"]),
        keys: PublicKey::all_from_pem(KEY).unwrap(),
        api_audiences: strings(&["api", "https://issuer"]),
        objects: Arc::new(objects),
        clock: clock().0,
    }
}

fn signed(pem: &[u8], claims: &Value) -> String {
    sign(&SigningKey::from_pem(pem).unwrap(), claims).unwrap()
}

/// A good token's claims, with `changes` over them.
fn claims(kubernetes: Value, changes: Value) -> Value {
    let mut claims = json!({
        "aud": ["api"], "exp": NOW + 10, "iat": NOW, "nbf": NOW, "iss": "https://issuer", "jti": "id",
        "sub": "system:serviceaccount:ns:sa",
        "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "sa", "uid": "sa-uid"}},
    });
    for (key, value) in kubernetes.as_object().unwrap() {
        claims["kubernetes.io"][key] = value.clone();
    }
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

fn reference(name: &str) -> Value {
    json!({"name": name, "uid": format!("{name}-uid")})
}

#[test]
fn bound_tokens() {
    let check = |kubernetes: Value, changes: Value, expected: Result<&str, &str>| {
        let objects = Objects { deleted_at: NOW - 61, ..Objects::default() };
        let token = signed(KEY, &claims(kubernetes, changes));
        let found = ready(service_accounts(objects).authenticate(&token, None));
        let found = found.map(|found| {
            let user = found.expect("the issuer is ours").user;
            assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:serviceaccount:ns:sa", "sa-uid"));
            let short = |key: &String| key.trim_start_matches("authentication.kubernetes.io/").to_owned();
            user.extra
                .iter()
                .map(|(key, values)| format!("{}={}", short(key), values.join(",")))
                .collect::<Vec<_>>()
                .join(" ")
        });
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    };
    let no_change = || json!({});
    let gone = Err("service account token has been invalidated");
    check(no_change(), no_change(), Ok("credential-id=JTI=id"));
    check(no_change(), json!({"iss": "https://former", "jti": ""}), Ok(""));
    check(
        json!({"pod": reference("pod"), "node": reference("node")}),
        no_change(),
        Ok("credential-id=JTI=id node-name=node node-uid=node-uid pod-name=pod pod-uid=pod-uid"),
    );
    // The node of a pod is not looked at.
    check(
        json!({"pod": reference("pod"), "node": {"name": "none"}}),
        no_change(),
        Ok("credential-id=JTI=id node-name=none pod-name=pod pod-uid=pod-uid"),
    );
    check(json!({"node": reference("node")}), no_change(), Ok("credential-id=JTI=id node-name=node node-uid=node-uid"));
    check(json!({"secret": reference("secret")}), no_change(), Ok("credential-id=JTI=id"));
    check(json!({"pod": reference("none")}), no_change(), gone);
    check(json!({"pod": reference("deleted-pod")}), no_change(), gone);
    check(json!({"node": reference("none")}), no_change(), gone);
    check(json!({"node": reference("deleted")}), no_change(), gone);
    check(json!({"secret": reference("none")}), no_change(), gone);
    check(json!({"secret": reference("deleted")}), no_change(), gone);
    check(
        json!({"pod": {"name": "pod", "uid": "x"}}),
        no_change(),
        Err("pod UID (pod-uid) does not match service account pod ref claim (x)"),
    );
    check(
        json!({"secret": {"name": "secret", "uid": "x"}}),
        no_change(),
        Err("secret UID (secret-uid) does not match service account secret ref claim (x)"),
    );
    check(
        json!({"node": {"name": "node", "uid": "x"}}),
        no_change(),
        Err("node UID (node-uid) does not match service account node ref claim (x)"),
    );
    check(json!({"serviceaccount": reference("none")}), no_change(), Err(r#"serviceaccounts "none" not found"#));
    check(
        json!({"serviceaccount": reference("deleted")}),
        no_change(),
        Err("service account ns/deleted has been deleted"),
    );
    check(
        json!({"serviceaccount": {"name": "sa", "uid": "x"}}),
        no_change(),
        Err("service account UID (sa-uid) does not match claim (x)"),
    );
    check(no_change(), json!({"exp": NOW - 60}), Ok("credential-id=JTI=id"));
    check(no_change(), json!({"exp": NOW - 61}), Err("service account token has expired"));
    check(no_change(), json!({"nbf": NOW + 61}), Err("service account token is not valid yet"));
    check(no_change(), json!({"iat": NOW + 61}), Err("service account token is issued in the future"));
    check(
        no_change(),
        json!({"aud": ["vault"]}),
        Err(r#"token audiences ["vault"] is invalid for the target audiences ["api" "https://issuer"]"#),
    );
    check(no_change(), json!({"aud": "api"}), Ok("credential-id=JTI=id"));
}

#[test]
fn an_object_deleted_less_than_a_minute_ago_counts() {
    for (deleted_at, expected) in [(NOW - 60, true), (NOW - 61, false)] {
        let objects = Objects { deleted_at, ..Objects::default() };
        let token = signed(KEY, &claims(json!({"pod": reference("deleted")}), json!({})));
        assert_eq!(ready(service_accounts(objects).authenticate(&token, None)).is_ok(), expected);
    }
}

#[test]
fn whose_token_it_is() {
    let check = |token: &str, expected: Result<bool, &str>| {
        let found = ready(service_accounts(Objects::default()).authenticate(token, None));
        assert_eq!(found.as_ref().map(Option::is_some).map_err(String::as_str), expected, "{token}");
    };
    let good = claims(json!({}), json!({}));
    check(&signed(KEY, &good), Ok(true));
    check(&signed(OTHER_KEY, &good), Err("invalid signature, no keys found"));
    check(&signed(KEY, &claims(json!({}), json!({"iss": "https://other"}))), Ok(false));
    check(&signed(OTHER_KEY, &claims(json!({}), json!({"iss": "https://other"}))), Ok(false));
    check("good", Ok(false));
    check("a.b.c", Ok(false));
    check("", Ok(false));
    let mut forged = signed(KEY, &good);
    let last = if forged.ends_with('A') { 'Q' } else { 'A' };
    forged.pop();
    forged.push(last);
    check(&forged, Err("go-jose/go-jose: error in cryptographic primitive"));
}

#[test]
fn audiences_that_are_asked_for() {
    let check = |claimed: Value, asked: Option<&[&str]>, expected: Result<&[&str], &str>, legacy: bool| {
        let asked = asked.map(strings);
        let token = signed(KEY, &claims(json!({}), json!({"aud": claimed})));
        let found = ready(service_accounts(Objects::default()).authenticate(&token, asked.as_deref()));
        let found = found.map(|found| found.unwrap());
        assert_eq!(
            found.as_ref().map(|found| &found.audiences).map_err(String::as_str),
            expected.map(strings).as_ref().map_err(|&error| error)
        );
        if let Ok(found) = found {
            assert_eq!(found.annotations.iter().any(|(key, _)| *key == "authentication.k8s.io/legacy-token"), legacy);
        }
    };
    check(json!(["api", "x"]), None, Ok(&["api"]), false);
    check(json!(["api", "x"]), Some(&["x", "y", "api"]), Ok(&["x", "api"]), false);
    check(json!([]), Some(&["api"]), Ok(&["api"]), true);
    check(
        json!([]),
        Some(&["x"]),
        Err(r#"token audiences ["api" "https://issuer"] is invalid for the target audiences ["x"]"#),
        false,
    );
}

#[test]
fn a_token_after_its_warning_time_is_noted() {
    let check = |warn_after: i64, expected: &[(&'static str, &str)]| {
        let token = signed(KEY, &claims(json!({"warnafter": warn_after}), json!({})));
        let found = ready(service_accounts(Objects::default()).authenticate(&token, None)).unwrap().unwrap();
        assert_eq!(found.annotations, expected.iter().map(|&(key, text)| (key, text.to_owned())).collect::<Vec<_>>());
    };
    check(NOW, &[]);
    let text = "subject: system:serviceaccount:ns:sa, seconds after warning threshold: 3";
    check(NOW - 3, &[("authentication.k8s.io/stale-token", text)]);
}

#[test]
fn tokens_in_secrets() {
    let good = |secret: &str, changes: Value| {
        let mut claims = json!({
            "iss": "kubernetes/serviceaccount",
            "sub": "system:serviceaccount:ns:sa",
            "kubernetes.io/serviceaccount/namespace": "ns",
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": "sa",
            "kubernetes.io/serviceaccount/service-account.uid": "sa-uid",
        });
        changes.as_object().unwrap().iter().for_each(|(key, value)| claims[key] = value.clone());
        claims
    };
    let check = |claims: Value, last_used: &str, stored: Option<&str>, expected: Result<&str, &str>, uses: &[&str]| {
        let token = signed(KEY, &claims);
        let objects = Objects { last_used: last_used.into(), ..Objects::default() };
        *objects.token.lock() = stored.unwrap_or(&token).into();
        let objects = Arc::new(objects);
        let tokens = ServiceAccountTokens { objects: objects.clone(), ..service_accounts(Objects::default()) };
        let found = ready(tokens.authenticate(&token, None)).map(|found| {
            let found = found.unwrap();
            assert_eq!(found.user.name, "system:serviceaccount:ns:sa");
            assert!(found.user.extra.is_empty());
            assert_eq!(found.warnings.is_empty(), found.annotations[1].0.ends_with("manual-secret"));
            found.annotations[1].0
        });
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
        assert_eq!(*objects.uses.lock(), strings(uses));
        let counted = objects.counted.lock();
        let kind = counted.iter().find(|kind| **kind != TokenKind::Legacy).copied();
        assert_eq!(
            kind,
            match &expected {
                Ok(annotation) if annotation.ends_with("manual-secret") => Some(TokenKind::LegacyManual),
                Ok(_) => Some(TokenKind::LegacyAuto),
                Err(error) if error.contains("marked invalid") => Some(TokenKind::InvalidLegacyAuto),
                Err(_) => None,
            }
        );
        assert!(counted.contains(&TokenKind::Legacy));
    };
    let manual = Ok("authentication.k8s.io/legacy-token-manual-secret");
    let no_change = || json!({});
    check(good("secret", no_change()), "", None, manual, &["ns/secret 2024-01-01"]);
    check(good("secret", no_change()), "2024-01-01", None, manual, &[]);
    check(good("secret", no_change()), "2024-01-02", None, manual, &[]);
    check(good("secret", no_change()), "2023-12-31", None, manual, &["ns/secret 2024-01-01"]);
    check(
        good("auto-secret", no_change()),
        "2024-01-01",
        None,
        Ok("authentication.k8s.io/legacy-token-autogenerated-secret"),
        &[],
    );
    check(good("secret", no_change()), "", Some("other"), Err("Token does not match server's copy"), &[]);
    check(good("none", no_change()), "", None, Err("Token has been invalidated"), &[]);
    check(good("deleted", no_change()), "", None, Err("Token has been invalidated"), &[]);
    check(
        good("invalid-secret", no_change()),
        "",
        None,
        Err(
            "the token in secret ns/invalid-secret for service account ns/sa has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token",
        ),
        &["ns/invalid-secret 2024-01-01"],
    );
    check(good("secret", json!({"sub": "system:serviceaccount:ns:other"})), "", None, Err("sub claim is invalid"), &[]);
    check(
        good("secret", json!({"kubernetes.io/serviceaccount/service-account.uid": "x"})),
        "",
        None,
        Err("ServiceAccount UID (sa-uid) does not match claim (x)"),
        &[],
    );
    for (key, name) in [
        ("sub", "sub"),
        ("kubernetes.io/serviceaccount/namespace", "namespace"),
        ("kubernetes.io/serviceaccount/secret.name", "secretName"),
        ("kubernetes.io/serviceaccount/service-account.name", "serviceAccountName"),
        ("kubernetes.io/serviceaccount/service-account.uid", "serviceAccountUID"),
    ] {
        check(good("secret", json!({key: ""})), "", None, Err(&format!("{name} claim is missing")), &[]);
    }
}

/// Knows every token but `bad`, and counts how often it is asked.
#[derive(Default)]
struct Counting(AtomicUsize);

impl TokenAuthenticator for Counting {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        _audiences: Option<&'a [String]>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(match token {
            "bad" => Err("no good".to_owned()),
            token => Ok(Some(Authenticated::new(User::new(token, &[])))),
        }))
    }
}

#[test]
fn good_tokens_are_remembered_for_ten_seconds() {
    let (clock, manual) = clock();
    let counting = Arc::new(Counting::default());
    let cache = TokenCache::with_capacity(clock, &Random::seeded(1), 3);
    let tokens = Tokens { others: vec![counting.clone()], cache: Some(cache), ..Tokens::default() };
    let check = |token: &str, audiences: Option<&[&str]>, asked: usize| {
        let before = counting.0.load(Ordering::Relaxed);
        let audiences = audiences.map(strings);
        let found = ready(tokens.authenticate(token, audiences.as_deref()));
        assert_eq!(found.is_ok_and(|found| found.is_some_and(|found| found.user.name == token)), token != "bad");
        assert_eq!(counting.0.load(Ordering::Relaxed) - before, asked, "{token} {audiences:?}");
    };
    check("a", None, 1);
    check("a", None, 0);
    check("a", Some(&[]), 1);
    check("a", Some(&["x"]), 1);
    check("a", Some(&["x"]), 0);
    check("bad", None, 1);
    check("bad", None, 1);
    manual.advance(Duration::from_millis(9_999));
    check("a", None, 0);
    manual.advance(Duration::from_millis(1));
    check("a", None, 1);
    for token in ["b", "c", "d", "e"] {
        check(token, None, 1);
    }
    assert_eq!(tokens.cache.as_ref().unwrap().len(), 3);
    check("e", None, 0);
    check("b", None, 1);
}
