//! Client certificates and front proxies. The certificates of `testdata` are valid from 2020 on.

use super::*;

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../testdata/", $name, ".pem")).as_slice()
    };
}
fn authenticators(clock: &Clock) -> Authenticators {
    let bundle = |pem: &[u8]| Arc::new(TrustBundle::from_pem(pem).unwrap());
    let client_cas = [pem!("client-ca"), pem!("short-ca")].concat();
    let front_proxy = FrontProxy {
        trust: bundle(pem!("proxy-ca")),
        clock: clock.clone(),
        allowed_names: strings(&["front-proxy-client"]),
        username_headers: strings(&["X-Remote-User", "X-User"]),
        uid_headers: strings(&["X-Remote-Uid"]),
        group_headers: strings(&["X-Remote-Group", "X-Group"]),
        extra_header_prefixes: strings(&["X-Remote-Extra-"]),
    };
    Authenticators {
        front_proxy: Some(front_proxy),
        client_certificates: Some(ClientCertificates { trust: bundle(&client_cas), clock: clock.clone() }),
        ..with_tokens()
    }
}

#[test]
fn users_of_certificates() {
    let (clock, _) = clock();
    let authenticators = authenticators(&clock);
    let check = |chain: &[&[u8]], expected: &str| {
        let found = ask(&authenticators, "/", &[], peer(chain).as_ref()).0;
        let matches = match expected.split_once('…') {
            Some((start, end)) => found.contains(start) && found.contains(end),
            None => found == expected,
        };
        assert!(matches, "{found} instead of {expected}");
    };
    check(&[pem!("jane")], "jane [dev ops system:authenticated]");
    check(&[pem!("uid")], "uid [system:authenticated]");
    check(&[pem!("below"), pem!("intermediate")], "below [system:authenticated]");
    check(&[pem!("short")], "short [system:authenticated]");
    check(&[pem!("nobody")], "verifying certificate…signed by unknown authority");
    check(&[pem!("below")], "verifying certificate…signed by unknown authority");
    check(&[pem!("stranger")], "verifying certificate…signed by unknown authority");
    check(&[pem!("server")], "verifying certificate…specifies an incompatible key usage");
    check(&[pem!("expired")], "verifying certificate…has expired or is not yet valid");
    check(&[pem!("uids")], "…expected 1 UID, but found multiple: [1 2]");
}

/// A certificate without a common name stands for nobody. Without a front proxy's CA to complain about it, that is no
/// error.
#[test]
fn a_certificate_without_a_name_is_anonymous() {
    let (clock, _) = clock();
    let authenticators = Authenticators { front_proxy: None, ..authenticators(&clock) };
    assert_eq!(ask(&authenticators, "/", &[], peer(&[pem!("nobody")]).as_ref()).0, ANONYMOUS_USER);
}

#[test]
fn what_a_certificate_says_besides() {
    let (clock, _) = clock();
    let found = |pem: &[u8]| {
        let (mut headers, peer) = (HeaderMap::new(), peer(&[pem]));
        let credentials = Credentials { path: "/", headers: &mut headers, peer: peer.as_ref() };
        ready(authenticators(&clock).authenticate(credentials)).unwrap()
    };
    let user = found(pem!("uid")).user;
    assert_eq!(user.uid, "1234");

    let hash = ring::digest::digest(
        &ring::digest::SHA256,
        &Pem::iter_from_buffer(pem!("uid")).next().unwrap().unwrap().contents,
    );
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        user.extra_value("authentication.kubernetes.io/credential-id"),
        Some(format!("X509SHA256={hex}").as_str())
    );
}

#[test]
fn a_bad_certificate_does_not_keep_a_token_from_counting() {
    let (clock, _) = clock();
    let authenticators = authenticators(&clock);
    let lines = [("Authorization", "Bearer good")];
    assert_eq!(ask(&authenticators, "/", &lines, peer(&[pem!("stranger")]).as_ref()).0, JANE);
    // A good one comes before the token.
    let (found, left) = ask(&authenticators, "/", &lines, peer(&[pem!("jane")]).as_ref());
    assert_eq!((found.as_str(), left.as_str()), ("jane [dev ops system:authenticated]", ""));
}

#[test]
fn time_and_new_authorities_reach_living_connections() {
    let (clock, manual) = clock();
    let authenticators = authenticators(&clock);
    let (jane, short) = (peer(&[pem!("jane")]), peer(&[pem!("short")]));
    let known = |peer: &Option<Peer>| ask(&authenticators, "/", &[], peer.as_ref()).0.ends_with("authenticated]");
    assert!(known(&jane) && known(&short) && known(&jane));
    // 2025-01-01, when short-ca ends, and the second after it.
    manual.set_wall(Wall::from_seconds(1_735_689_600));
    assert!(known(&jane) && known(&short));
    manual.set_wall(Wall::from_seconds(1_735_689_601));
    assert!(known(&jane) && !known(&short));
    manual.set_wall(Wall::from_seconds(NOW));
    assert!(known(&jane) && known(&short));
    manual.set_wall(Wall::from_seconds(1_500_000_000));
    assert!(!known(&jane) && !known(&short));
    manual.set_wall(Wall::from_seconds(NOW));
    let trust = &authenticators.client_certificates.as_ref().unwrap().trust;
    trust.replace(pem!("short-ca")).unwrap();
    assert!(!known(&jane) && known(&short));
    assert!(trust.replace(b"nothing").is_err());
    assert!(!known(&jane) && known(&short));
}

#[test]
fn front_proxies() {
    let (clock, _) = clock();
    let authenticators = authenticators(&clock);
    let check = |certificate: &[u8], lines: &[(&str, &str)], expected: &str| {
        let (found, left) = ask(&authenticators, "/", lines, peer(&[certificate]).as_ref());
        assert!(found.contains(expected), "{found} instead of {expected}");
        assert!(!expected.ends_with(']') || left.is_empty(), "{left}");
    };
    let proxied = [("x-remote-user", "root"), ("X-Remote-Group", "a"), ("X-Group", "c"), ("x-remote-group", "b")];
    check(pem!("proxy"), &proxied, "root [a b c system:authenticated]");
    check(pem!("proxy"), &[("X-Remote-User", ""), ("X-User", "u")], "u [system:authenticated]");
    check(pem!("proxy"), &[("X-Remote-Group", "a")], "x509: certificate signed by unknown authority");
    check(pem!("other-proxy"), &proxied, "x509: subject with cn=other-proxy is not in the allowed list");
    check(pem!("jane"), &proxied, "jane [dev ops system:authenticated]");
    check(pem!("stranger"), &proxied, "x509: certificate signed by unknown authority");
}

#[test]
fn what_a_front_proxy_says_besides() {
    let (clock, _) = clock();
    let mut headers = headers(&[
        ("X-Remote-User", "root"),
        ("X-Remote-Uid", "7"),
        ("X-Remote-Extra-Scopes", "a"),
        ("x-remote-extra-scopes", "b"),
        ("X-Remote-Extra-example.org%2fkey", "c"),
        ("X-Remote-Extra-bad%2", "d"),
    ]);
    let peer = peer(&[pem!("proxy")]);
    let authenticators = authenticators(&clock);
    let found =
        ready(authenticators.authenticate(Credentials { path: "/", headers: &mut headers, peer: peer.as_ref() }))
            .unwrap();
    assert_eq!((found.user.uid.as_str(), found.audiences), ("7", strings(&["api"])));
    let extra: Vec<String> =
        found.user.extra.iter().map(|(key, values)| format!("{key}={}", values.join(","))).collect();
    assert_eq!(extra, ["bad%2=d", "example.org/key=c", "scopes=a,b"]);
    assert!(headers.is_empty(), "{headers:?}");
}
