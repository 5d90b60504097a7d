mod certificates;
mod handshake;
mod tokens;

use corten_runtime::clock::{Clock, ManualClock, Wall};
use http::HeaderName;
use std::sync::Arc;
use x509_parser::pem::Pem;

use super::*;
use crate::service_account::fixture::ready;

/// 2024-01-01
pub(super) const NOW: i64 = 1_704_067_200;

pub(super) fn clock() -> (Clock, Arc<ManualClock>) {
    Clock::manual(Wall::from_seconds(NOW))
}

pub(super) fn peer(chain: &[&[u8]]) -> Option<Peer> {
    let der = |pem: &&[u8]| Pem::iter_from_buffer(pem).next().unwrap().unwrap().contents.into();
    Peer::new(chain.iter().map(der).collect())
}

pub(super) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    headers
}

pub(super) fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

/// Tokens `good` of jane, and `odd` of nobody known; for the audience `api`.
pub(super) fn with_tokens() -> Authenticators {
    let file = TokenFile::parse("good,jane,7,dev", "file".as_ref()).unwrap();
    let tokens = Tokens { file: Some(file), api_audiences: strings(&["api"]), ..Tokens::default() };
    Authenticators { tokens: Some(tokens), api_audiences: strings(&["api"]), ..Authenticators::default() }
}

/// `name [groups]`, or why not, and the headers that are left.
pub(super) fn ask(
    authenticators: &Authenticators,
    path: &str,
    lines: &[(&str, &str)],
    peer: Option<&Peer>,
) -> (String, String) {
    let mut headers = headers(lines);
    let found = ready(authenticators.authenticate(Credentials { path, headers: &mut headers, peer }));
    let found = match found {
        Ok(found) => format!("{} [{}]", found.user.name, found.user.groups.join(" ")),
        Err(rejected) => {
            assert_eq!((rejected.status().code(), rejected.status().message()), (401, "Unauthorized"));
            rejected.0
        }
    };
    let mut left: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    left.sort();
    (found, left.join("; "))
}

const ANONYMOUS_USER: &str = "system:anonymous [system:unauthenticated]";
const JANE: &str = "jane [dev system:authenticated]";

#[test]
fn bearer_tokens() {
    let authenticators = with_tokens();
    let check = |lines: &[(&str, &str)], found: &str, left: &str| {
        assert_eq!(ask(&authenticators, "/", lines, None), (found.to_owned(), left.to_owned()), "{lines:?}");
    };
    check(&[], ANONYMOUS_USER, "");
    check(&[("Authorization", "Bearer good")], JANE, "");
    check(&[("Authorization", "bearer good"), ("Accept", "x")], JANE, "accept: x");
    check(&[("Authorization", " BEARER good rest of it ")], JANE, "");
    check(&[("Authorization", "Bearer odd")], "invalid bearer token", "authorization: Bearer odd");
    check(&[("Authorization", "Bearer")], ANONYMOUS_USER, "");
    check(&[("Authorization", "Bearer  good")], ANONYMOUS_USER, "");
    check(&[("Authorization", "Basic good")], ANONYMOUS_USER, "");
    check(&[("Authorization", "good")], ANONYMOUS_USER, "");
}

#[test]
fn a_token_after_two_spaces_is_warned_about() {
    let mut headers = headers(&[("Authorization", "Bearer  good")]);
    let authenticators = with_tokens();
    let found =
        ready(authenticators.authenticate(Credentials { path: "/", headers: &mut headers, peer: None })).unwrap();
    assert_eq!(
        found.warnings,
        ["the provided Authorization header contains extra space before the bearer token, and is ignored"]
    );
}

#[test]
fn websocket_tokens() {
    let authenticators = with_tokens();
    let check = |protocols: &[&str], found: &str, left: &str| {
        let mut lines = vec![("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket")];
        lines.extend(protocols.iter().map(|protocol| ("Sec-WebSocket-Protocol", *protocol)));
        let (who, rest) = ask(&authenticators, "/", &lines, None);
        let rest: Vec<&str> =
            rest.split("; ").filter_map(|line| line.strip_prefix("sec-websocket-protocol: ")).collect();
        assert_eq!((who.as_str(), rest.join("|").as_str()), (found, left), "{protocols:?}");
    };
    // Z29vZA is `good`, b2Rk is `odd`.
    let token = "base64url.bearer.authorization.k8s.io.Z29vZA";
    check(&[&format!("{token}, v4.channel.k8s.io")], JANE, "v4.channel.k8s.io");
    check(&["a", &format!("b,{token},c")], JANE, "a,b,c");
    check(&["v4.channel.k8s.io"], ANONYMOUS_USER, "v4.channel.k8s.io");
    check(&[token], "missing additional subprotocol", token);
    let two = format!("{token},{token},a");
    check(&[&two], "multiple base64.bearer.authorization tokens specified", &two);
    for (encoded, error) in [
        ("b2Rk", "invalid bearer token"),
        ("b2R", "invalid base64.bearer.authorization token encoding"),
        ("_-8", "invalid base64.bearer.authorization token"),
    ] {
        let protocols = format!("base64url.bearer.authorization.k8s.io.{encoded},a");
        check(&[&protocols], error, &protocols);
    }
    let lines = [("Sec-WebSocket-Protocol", "a, base64url.bearer.authorization.k8s.io.Z29vZA")];
    assert_eq!(ask(&authenticators, "/", &lines, None).0, ANONYMOUS_USER, "no upgrade, no token");
}

#[test]
fn anonymous_requests() {
    let check = |anonymous: Anonymous, path: &str, lines: &[(&str, &str)], expected: &str| {
        let authenticators = Authenticators { anonymous: anonymous.clone(), ..with_tokens() };
        assert_eq!(ask(&authenticators, path, lines, None).0, expected, "{anonymous:?} {path}");
    };
    let paths = || Anonymous::Paths(strings(&["/healthz", "/livez"]));
    check(Anonymous::Everywhere, "/api", &[], ANONYMOUS_USER);
    check(paths(), "/livez", &[], ANONYMOUS_USER);
    check(paths(), "/livez/", &[], "no credentials");
    check(paths(), "/api", &[("Authorization", "Bearer good")], JANE);
    check(Anonymous::Nowhere, "/livez", &[], "no credentials");
    check(Anonymous::Everywhere, "/healthz", &[("Authorization", "Bearer odd")], "invalid bearer token");
}

#[test]
fn headers_of_a_front_proxy_are_removed_from_everybody() {
    let lines = [
        ("X-Remote-User", "root"),
        ("x-remote-group", "system:masters"),
        ("X-Remote-Uid", "0"),
        ("X-Remote-Extra-a", "b"),
    ];
    assert_eq!(ask(&with_tokens(), "/", &lines, None), (ANONYMOUS_USER.to_owned(), String::new()));
}

#[test]
fn audiences_of_tokens_that_know_none() {
    let check = |asked: &[&str], expected: Option<&[&str]>| {
        let authenticators = Authenticators { anonymous: Anonymous::Nowhere, ..with_tokens() };
        let found = ready(authenticators.review_token("good", &strings(asked)));
        let audiences = found.map(|found| found.map(|found| found.audiences));
        let expected = expected.map(|audiences| Some(strings(audiences)));
        assert_eq!(audiences, expected.ok_or("invalid bearer token".to_owned()), "{asked:?}");
    };
    check(&[], Some(&["api"]));
    check(&["vault", "api"], Some(&["api"]));
    check(&["vault"], None);
}
