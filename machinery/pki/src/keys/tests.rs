use super::*;

const P256: &[u8] = include_bytes!("testdata/p256.pkcs8.pem");
const P256_PUBLIC: &[u8] = include_bytes!("testdata/p256.public.pem");
const P384: &[u8] = include_bytes!("testdata/p384.sec1.pem");
const RSA: &[u8] = include_bytes!("testdata/rsa.pkcs8.pem");
/// Made by openssl: the hash of the public key's DER.
const P256_ID: &str = "Tz58-ZvL4P9T2y-AmYjl3J4uq54qqSQyFkwN_npzHF4";
const P384_ID: &str = "Qp_-l6uBULItjGk-qZzfOnrxlaEyPEYSnTNObP2zDGc";
const RSA_ID: &str = "sWeuFur95W2H5vZhXhRYMCn3FTxC_PYqa0v15Xk0Y2s";

#[test]
fn private_keys() {
    let check = |pem: &[u8], expected: Result<(&str, &str), &str>| {
        let key = SigningKey::from_pem(pem);
        let key = key.as_ref().map(|key| (key.public().algorithm(), key.public().id()));
        assert_eq!(key.map_err(ToString::to_string), expected.map_err(str::to_owned));
    };
    check(P256, Ok(("ES256", P256_ID)));
    check(include_bytes!("testdata/p256.sec1.pem"), Ok(("ES256", P256_ID)));
    check(P384, Ok(("ES384", P384_ID)));
    check(RSA, Ok(("RS256", RSA_ID)));
    check(include_bytes!("testdata/rsa.pkcs1.pem"), Ok(("RS256", RSA_ID)));
    check(
        include_bytes!("testdata/p521.sec1.pem"),
        Err("the private key is not usable: its curve is not P-256 or P-384"),
    );
    check(
        include_bytes!("testdata/p256.no-public.pem"),
        Err("the private key is not usable: it comes without its public half"),
    );
    let none = "data does not contain a valid RSA or ECDSA private key";
    check(P256_PUBLIC, Err(none));
    check(b"", Err(none));
    check(b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", Err(none));
}

#[test]
fn public_keys() {
    let check = |pems: &[&[u8]], expected: Result<&[&str], &str>| {
        let keys = PublicKey::all_from_pem(&pems.concat());
        let ids = keys.as_ref().map(|keys| keys.iter().map(PublicKey::id).collect::<Vec<_>>());
        assert_eq!(ids.map_err(ToString::to_string), expected.map(<[_]>::to_vec).map_err(str::to_owned));
    };
    check(&[include_bytes!("testdata/rsa.public.pem")], Ok(&[RSA_ID]));
    check(&[include_bytes!("testdata/rsa.public.pkcs1.pem")], Ok(&[RSA_ID]));
    check(&[include_bytes!("testdata/rsa.certificate.pem")], Ok(&[RSA_ID]));
    check(&[RSA, P256_PUBLIC, include_bytes!("testdata/p384.public.pem")], Ok(&[RSA_ID, P256_ID, P384_ID]));
    check(&[include_bytes!("testdata/p256.sec1.pem")], Ok(&[P256_ID]));
    check(&[b"nothing"], Err("data does not contain any valid RSA or ECDSA public keys"));
}

#[test]
fn what_is_signed_is_verified() {
    for (pem, algorithm, length) in [(P256, "ES256", 64), (P384, "ES384", 96), (RSA, "RS256", 256)] {
        let key = SigningKey::from_pem(pem).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature.len(), length);
        assert!(key.public().verifies(algorithm, b"message", &signature));
        assert!(!key.public().verifies(algorithm, b"other", &signature));
        assert!(!key.public().verifies("none", b"message", &signature));
    }
}

#[test]
fn public_halves_are_written_as_openssl_does() {
    for pem in [P256_PUBLIC, include_bytes!("testdata/rsa2048-public.pem")] {
        let key = PublicKey::all_from_pem(pem).unwrap().remove(0);
        assert_eq!(key.to_pem().as_bytes(), pem);
    }
}

/// The expected ids and members were computed from the public keys' DER by openssl.
#[test]
fn web_keys_are_upstreams() {
    let check = |pem: &[u8], expected: &str| {
        let key = PublicKey::all_from_pem(pem).unwrap().remove(0);
        assert_eq!(key.web_key(), expected.trim());
    };
    check(include_bytes!("testdata/ec256-public.pem"), include_str!("testdata/ec256-jwk.json"));
    check(include_bytes!("testdata/rsa2048-public.pem"), include_str!("testdata/rsa2048-jwk.json"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad");
    std::fs::write(&bad, "x").unwrap();
    let error = format!("{:#}", PublicKey::all_from_file(&bad).unwrap_err());
    assert!(error.contains("bad: data does not contain any valid"), "{error}");
    let error = format!("{:#}", SigningKey::from_file(&folder.path().join("gone")).unwrap_err());
    assert!(error.contains("gone: No such file"), "{error}");
}
