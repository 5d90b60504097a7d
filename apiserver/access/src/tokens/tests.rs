mod damage;
mod issue;

use super::*;

/// The keys of corten-pki's own tests.
macro_rules! key {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../machinery/pki/src/keys/testdata/", $file))
    };
}
pub(crate) use key;

pub(crate) const P256: &[u8] = key!("p256.pkcs8.pem");
pub(crate) const RSA: &[u8] = key!("rsa.pkcs8.pem");
/// Made by openssl: the hash of the public key's DER.
const P256_ID: &str = "Tz58-ZvL4P9T2y-AmYjl3J4uq54qqSQyFkwN_npzHF4";
const RSA_ID: &str = "sWeuFur95W2H5vZhXhRYMCn3FTxC_PYqa0v15Xk0Y2s";

#[test]
fn what_one_key_signs_no_other_verifies() {
    let pems: [&[u8]; 3] = [P256, key!("p384.sec1.pem"), RSA];
    let keys: Vec<SigningKey> = pems.iter().map(|pem| SigningKey::from_pem(pem).unwrap()).collect();
    let claims = serde_json::json!({"iss": "x"});
    for signer in &keys {
        let token = sign(signer, &claims).unwrap();
        let parts = parse_unverified(&token).unwrap();
        assert_eq!((parts.key_id.as_str(), parts.payload.as_slice()), (signer.public().id(), &br#"{"iss":"x"}"#[..]));
        for key in &keys {
            let same = key.public() == signer.public();
            assert_eq!(parts.verified_by(key.public()), same, "{signer:?} {key:?}");
        }
        let (head, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = head.split_once('.').unwrap();
        let forged = format!("{header}.eyJpc3MiOiJ5In0.{signature}");
        assert!(!parse_unverified(&forged).unwrap().verified_by(signer.public()));
    }
}

/// Signed by openssl, in each of the ways that an RSA key can be used.
#[test]
fn tokens_of_others() {
    let key = PublicKey::all_from_pem(key!("rsa.public.pem")).unwrap().remove(0);
    let tokens: Vec<&str> = include_str!("testdata/rsa.tokens").lines().collect();
    assert_eq!(tokens.len(), 6);
    for token in tokens {
        let parts = parse_unverified(token).unwrap();
        assert!(parts.verified_by(&key), "{token}");
        assert_eq!(parts.payload, br#"{"iss":"https://issuer","sub":"x"}"#);
    }
}

#[test]
fn what_is_no_token() {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let key = SigningKey::from_pem(P256).unwrap();
    for text in
        ["", "a", "a.b", "a.b.c", "..", "{}", &format!("{}.e30", encode("{}")), &format!("{}.e30.e30", encode("[]"))]
    {
        assert!(parse_unverified(text).is_none_or(|parts| !parts.verified_by(key.public())), "{text}");
    }
    // Neither no algorithm nor one for another kind of key, nor an extension that nobody knows, gets past the signature.
    let good = sign(&key, &serde_json::json!({})).unwrap();
    let (_, rest) = good.split_once('.').unwrap();
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, r#"{"alg":"RS256"}"#, r#"{"alg":"ES256","crit":["x"]}"#] {
        let token = format!("{}.{rest}", encode(header));
        assert!(!parse_unverified(&token).unwrap().verified_by(key.public()), "{header}");
    }
}

#[test]
fn times_have_a_minute_of_grace() {
    use corten_runtime::clock::Wall;
    let check = |claims: &str, expected: Result<(), TimeError>| {
        let claims: PublicClaims = serde_json::from_str(claims).unwrap();
        assert_eq!(claims.check_times(Wall::from_seconds(1000)), expected, "{claims:?}");
    };
    check("{}", Ok(()));
    check(r#"{"exp":941,"nbf":1060,"iat":1060}"#, Ok(()));
    check(r#"{"exp":940}"#, Ok(()));
    check(r#"{"exp":939.9}"#, Err(TimeError::Expired));
    check(r#"{"exp":0}"#, Err(TimeError::Expired));
    check(r#"{"nbf":1061}"#, Err(TimeError::NotValidYet));
    check(r#"{"iat":1061}"#, Err(TimeError::IssuedInTheFuture));
    check(r#"{"exp":1,"nbf":1061,"iat":1061}"#, Err(TimeError::NotValidYet));
    let claims: PublicClaims = serde_json::from_str(r#"{"exp":940}"#).unwrap();
    assert_eq!(claims.check_times(Wall { seconds: 1000, nanos: 1 }), Err(TimeError::Expired));
}

#[test]
fn audiences_are_one_or_many() {
    let check = |claims: &str, expected: Option<&[&str]>| {
        let claims = serde_json::from_str::<PublicClaims>(claims).ok();
        assert_eq!(
            claims.map(|claims| claims.audiences),
            expected.map(|all| all.iter().map(|&one| one.to_owned()).collect())
        );
    };
    check("{}", Some(&[]));
    check(r#"{"aud":"a"}"#, Some(&["a"]));
    check(r#"{"aud":["a","b"]}"#, Some(&["a", "b"]));
    check(r#"{"aud":1}"#, None);
    check(r#"{"aud":[1]}"#, None);
}

#[test]
fn discovery_documents() {
    let keys = PublicKey::all_from_pem(&[RSA, key!("p256.public.pem"), P256].concat()).unwrap();
    let documents =
        OpenId::new("https://kubernetes.default.svc.cluster.local?", "", "10.0.0.1:6443", &keys[..2]).unwrap();
    assert_eq!(
        String::from_utf8(documents.configuration).unwrap(),
        r#"{"issuer":"https://kubernetes.default.svc.cluster.local?","jwks_uri":"https://10.0.0.1:6443/openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256","RS256"]}"#
    );
    let keyset: serde_json::Value = serde_json::from_slice(&documents.keyset).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let [rsa, ec] = keyset["keys"].as_array().unwrap().as_slice() else { panic!("{keyset}") };
    let fields =
        |key: &serde_json::Value| key.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!((fields(rsa).as_str(), fields(ec).as_str()), ("use kty kid alg n e", "use kty kid crv alg x y"));
    assert_eq!(
        (text(&rsa["kid"]), text(&rsa["e"]), text(&rsa["n"]).len()),
        (RSA_ID.to_owned(), "AQAB".to_owned(), 342)
    );
    assert_eq!(
        (text(&ec["kid"]), text(&ec["crv"]), text(&ec["x"]).len()),
        (P256_ID.to_owned(), "P-256".to_owned(), 43)
    );

    let check = |issuer, jwks_uri, address, keys: &[PublicKey], expected: &str| {
        let error = OpenId::new(issuer, jwks_uri, address, keys).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("", "", "a", &keys, "empty issuer URL");
    check("https://i", "", "", &keys, "either the JWKS URI or the default external address, or both, must be set");
    check("https://i", "", "a", &[], "no keys provided for validating keyset");
    check("http://i", "", "a", &keys, "issuer URL must use https scheme, got: http://i");
    check("kubernetes", "", "a", &keys, "issuer URL must use https scheme, got: kubernetes");
    check("https://i?a#", "", "a", &keys, "issuer URL may not include a query, got: https://i?a#");
    check("https://i#a?b", "", "a", &keys, "issuer URL may not include a fragment, got: https://i#a?b");
    check("https://i", "http://k", "a", &keys, "jwksURI requires https scheme, parsed as: http://k");
}
