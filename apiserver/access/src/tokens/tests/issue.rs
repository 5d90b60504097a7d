//! TokenRequest, against objects that exist only here.

use corten_api::status::Status;
use corten_runtime::clock::{Clock, Wall};
use corten_runtime::random::Random;

use super::*;
use crate::service_account::fixture::{Objects, account, meta, ready};

const NOW: i64 = 1_700_000_000;

fn issuer() -> Issuer {
    let (clock, _) = Clock::manual(Wall { seconds: NOW, nanos: 5 });
    Issuer {
        key: SigningKey::from_pem(P256).unwrap().into(),
        issuer: "https://issuer".into(),
        api_audiences: vec!["https://issuer".into(), "api".into()],
        expiration_seconds_max: 0,
        extend_expiration: true,
        clock,
        random: Random::seeded(1),
    }
}

fn request(expiration_seconds: i64, bound: Option<(&str, &str, &str, &str)>) -> TokenRequest {
    TokenRequest {
        expiration_seconds,
        bound_object_ref: bound.map(|(api_version, kind, name, uid)| BoundObjectRef {
            kind: kind.into(),
            api_version: api_version.into(),
            name: name.into(),
            uid: uid.into(),
        }),
        ..TokenRequest::default()
    }
}

fn run(issuer: &Issuer, mut request: TokenRequest) -> Result<Issued, Status> {
    let account = account();
    issuer.prepare(&mut request, "ns", "sa", &account)?;
    assert_eq!((request.name.as_str(), request.namespace.as_str(), request.uid.as_str()), ("sa", "ns", "sa-uid"));
    assert_eq!(request.creation_timestamp, Wall::from_seconds(NOW));
    ready(issuer.issue(&request, &account, &Objects::default()))
}

fn payload(issued: &Issued) -> String {
    String::from_utf8(parse_unverified(&issued.token).unwrap().payload).unwrap()
}

#[test]
fn claims_are_upstreams() {
    let check = |request: TokenRequest, expected: &str| {
        let issuer = issuer();
        let issued = run(&issuer, request).unwrap();
        let id =
            serde_json::from_str::<serde_json::Value>(&payload(&issued)).unwrap()["jti"].as_str().unwrap().to_owned();
        assert_eq!(payload(&issued), expected.replace("JTI", &id));
        assert!(parse_unverified(&issued.token).unwrap().verified_by(issuer.key.public()));
        assert_eq!(issued.annotations, [("authentication.kubernetes.io/issued-credential-id", format!("JTI={id}"))]);
        assert_eq!(issued.warnings, Vec::<String>::new());
    };
    check(
        request(3600, None),
        r#"{"aud":["https://issuer","api"],"exp":1700003600,"iat":1700000000,"iss":"https://issuer","jti":"JTI","kubernetes.io":{"namespace":"ns","serviceaccount":{"name":"sa","uid":"sa-uid"}},"nbf":1700000000,"sub":"system:serviceaccount:ns:sa"}"#,
    );
    check(
        request(3607, Some(("v1", "Pod", "pod", "pod-uid"))),
        r#"{"aud":["https://issuer","api"],"exp":1731536000,"iat":1700000000,"iss":"https://issuer","jti":"JTI","kubernetes.io":{"namespace":"ns","node":{"name":"node","uid":"node-uid"},"pod":{"name":"pod","uid":"pod-uid"},"serviceaccount":{"name":"sa","uid":"sa-uid"},"warnafter":1700003607},"nbf":1700000000,"sub":"system:serviceaccount:ns:sa"}"#,
    );
    check(
        TokenRequest { audiences: vec!["vault".into()], ..request(3607, Some(("v1", "Pod", "lost-pod", ""))) },
        r#"{"aud":["vault"],"exp":1700003607,"iat":1700000000,"iss":"https://issuer","jti":"JTI","kubernetes.io":{"namespace":"ns","node":{"name":"lost"},"pod":{"name":"lost-pod","uid":"lost-pod-uid"},"serviceaccount":{"name":"sa","uid":"sa-uid"}},"nbf":1700000000,"sub":"system:serviceaccount:ns:sa"}"#,
    );
    check(
        request(3607, Some(("v1", "Secret", "secret", ""))),
        r#"{"aud":["https://issuer","api"],"exp":1700003607,"iat":1700000000,"iss":"https://issuer","jti":"JTI","kubernetes.io":{"namespace":"ns","secret":{"name":"secret","uid":"secret-uid"},"serviceaccount":{"name":"sa","uid":"sa-uid"}},"nbf":1700000000,"sub":"system:serviceaccount:ns:sa"}"#,
    );
    check(
        request(600, Some(("v1", "Node", "node", "node-uid"))),
        r#"{"aud":["https://issuer","api"],"exp":1700000600,"iat":1700000000,"iss":"https://issuer","jti":"JTI","kubernetes.io":{"namespace":"ns","node":{"name":"node","uid":"node-uid"},"serviceaccount":{"name":"sa","uid":"sa-uid"}},"nbf":1700000000,"sub":"system:serviceaccount:ns:sa"}"#,
    );
}

#[test]
fn what_the_client_is_told_of_the_expiration() {
    let check = |max, seconds, pod, expected: i64, warnings: &[&str]| {
        let issuer = Issuer { expiration_seconds_max: max, ..issuer() };
        let bound = if pod { Some(("v1", "Pod", "pod", "")) } else { None };
        let issued = run(&issuer, request(seconds, bound)).unwrap();
        assert_eq!(issued.expiration_timestamp, Wall { seconds: NOW + expected, nanos: 5 });
        assert_eq!(
            (issued.expiration_seconds, issued.warnings),
            (expected, warnings.iter().map(|&text| text.to_owned()).collect())
        );
    };
    check(0, 3607, true, 3607, &[]);
    check(0, 7200, false, 7200, &[]);
    check(7200, 7201, false, 7200, &["requested expiration of 7201 seconds shortened to 7200 seconds"]);
    check(7200, 3607, true, 3607, &[]);
}

#[test]
fn refusals() {
    let check = |request: TokenRequest, code: u16, message: &str| {
        let status = run(&issuer(), request).unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message));
    };
    let named = |name: &str, namespace: &str, uid: &str| TokenRequest {
        name: name.into(),
        namespace: namespace.into(),
        uid: uid.into(),
        ..request(3600, None)
    };
    check(
        request(599, None),
        422,
        r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"#,
    );
    check(
        request((1 << 32) + 1, None),
        422,
        r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds"#,
    );
    check(
        named("other", "", ""),
        422,
        r#"TokenRequest.authentication.k8s.io "sa" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified"#,
    );
    check(
        named("", "other", ""),
        422,
        r#"TokenRequest.authentication.k8s.io "sa" is invalid: metadata.namespace: Invalid value: "other": must match the service account namespace if specified"#,
    );
    check(
        named("", "", "other"),
        409,
        r#"Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "sa": the UID in the token request (other) does not match the UID of the service account (sa-uid)"#,
    );
    check(
        request(3600, Some(("v1", "Pod", "pod", "other"))),
        409,
        r#"Operation cannot be fulfilled on Pod "pod": the UID in the bound object reference (other) does not match the UID in record. The object might have been deleted and then recreated"#,
    );
    check(request(3600, Some(("v1", "Pod", "none", ""))), 404, r#"pods "none" not found"#);
    check(
        request(3600, Some(("v1", "Pod", "foreign-pod", ""))),
        400,
        r#"cannot bind token for serviceaccount "sa" to pod running with different serviceaccount name."#,
    );
    check(
        request(3600, Some(("apps/v1", "Deployment", "d", ""))),
        400,
        "cannot bind token to object of type apps/v1, Kind=Deployment",
    );
}

#[test]
fn fixtures_are_as_the_tests_think() {
    assert_eq!(account().meta, meta("sa"));
}
