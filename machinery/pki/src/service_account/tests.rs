use super::*;

/// Keys that openssl made for these tests, one for each kind of file.
const EC_PKCS8: &str = include_str!("testdata/ec256-pkcs8.pem");
const EC_SEC1: &str = include_str!("testdata/ec256-sec1.pem");
const EC_PUBLIC: &str = include_str!("testdata/ec256-public.pem");
const EC384: &str = include_str!("testdata/ec384-pkcs8.pem");
const RSA_PKCS1: &str = include_str!("testdata/rsa2048-pkcs1.pem");
const RSA_PKCS8: &str = include_str!("testdata/rsa2048-pkcs8.pem");
const RSA_PUBLIC: &str = include_str!("testdata/rsa2048-public.pem");
const RSA_CERTIFICATE: &str = include_str!("testdata/rsa2048-certificate.pem");
const RSA1024: &str = include_str!("testdata/rsa1024-public.pem");

#[test]
fn what_is_signed_is_verified() {
    fn check(private: &str, public: &str, algorithm: Algorithm, length: usize) {
        let key = SigningKey::from_pem(private.as_bytes()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let known = verifying_keys(public.as_bytes()).unwrap();
        let [public] = &known[..] else { panic!("{known:?}") };
        assert_eq!(public, key.verifying_key());
        // Often enough for an ECDSA number to begin with a zero byte.
        for round in 0..if length == 256 { 2 } else { 600u32 } {
            let message = round.to_le_bytes();
            let signature = key.sign(&message).unwrap();
            assert_eq!(signature.len(), length);
            assert!(public.verify(&message, &signature));
            assert!(!public.verify(b"other", &signature));
        }
        assert!(!public.verify(b"", b""));
    }
    check(EC_PKCS8, EC_PKCS8, Algorithm::Es256, 64);
    check(EC_SEC1, EC_PUBLIC, Algorithm::Es256, 64);
    check(RSA_PKCS1, RSA_PUBLIC, Algorithm::Rs256, 256);
    check(RSA_PKCS8, RSA_CERTIFICATE, Algorithm::Rs256, 256);
    check(EC384, EC384, Algorithm::Es384, 96);
}

#[test]
fn files_with_several_keys() {
    let both = format!("{RSA_PUBLIC}\n{EC_PKCS8}{RSA_CERTIFICATE}");
    let keys = verifying_keys(both.as_bytes()).unwrap();
    let algorithms: Vec<_> = keys.iter().map(VerifyingKey::algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Rs256, Algorithm::Es256, Algorithm::Rs256]);
    assert_eq!(keys[0].id(), keys[2].id());
}

#[test]
fn keys_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, bad) = (folder.path().join("one"), folder.path().join("two"), folder.path().join("bad"));
    std::fs::write(&one, EC_SEC1).unwrap();
    std::fs::write(&two, RSA_PUBLIC).unwrap();
    std::fs::write(&bad, "x").unwrap();
    let key = SigningKey::from_file(&one).unwrap();
    assert_eq!(key.pem(), EC_SEC1);
    let keys = verifying_keys_of_files(&[&two, &one]).unwrap();
    assert_eq!((keys.len(), &keys[1]), (2, key.verifying_key()));
    let error = format!("{:#}", verifying_keys_of_files(&[&one, &bad]).unwrap_err());
    assert!(error.contains("bad: data does not contain any valid"), "{error}");
    let error = format!("{:#}", SigningKey::from_file(&folder.path().join("gone")).err().unwrap());
    assert!(error.contains("gone: No such file"), "{error}");
}

#[test]
fn what_is_no_key() {
    fn check<T>(result: Result<T>, expected: &str) {
        let error = format!("{:#}", result.err().unwrap());
        assert!(error.contains(expected), "{error}");
    }
    check(verifying_keys(b""), "data does not contain any valid RSA or ECDSA public keys");
    check(SigningKey::from_pem(EC_PUBLIC.as_bytes()), "data does not contain a valid RSA or ECDSA private key");
    check(verifying_keys(RSA1024.as_bytes()), "an RSA key of 1024 bits is too short");
    check(verifying_keys(b"-----BEGIN PUBLIC KEY-----\n#\n-----END PUBLIC KEY-----\n"), "no PEM");
    check(verifying_keys(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "no public key");
    check(SigningKey::from_pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "no supported kind");
}

#[test]
fn public_halves_are_written_as_openssl_does() {
    let key = SigningKey::from_pem(EC_SEC1.as_bytes()).unwrap();
    assert_eq!(key.verifying_key().to_pem(), EC_PUBLIC);
}

/// The expected ids and members were computed from the public keys' DER by openssl.
#[test]
fn jwks_are_upstreams() {
    fn check(public: &str, expected: &str) {
        let keys = verifying_keys(public.as_bytes()).unwrap();
        assert_eq!(keys[0].to_jwk().to_string(), expected.trim());
    }
    check(EC_PUBLIC, include_str!("testdata/ec256-jwk.json"));
    check(RSA_PUBLIC, include_str!("testdata/rsa2048-jwk.json"));
}

#[test]
fn der_signatures() {
    fn check(der: &[u8], expected: Option<&[u8]>) {
        assert_eq!(fixed_signature(der, 2).as_deref(), expected);
    }
    check(&[0x30, 7, 2, 2, 1, 2, 2, 1, 3], Some(&[1, 2, 0, 3]));
    check(&[0x30, 0x81, 9, 2, 3, 0, 0x81, 2, 2, 2, 1, 3], Some(&[0x81, 2, 1, 3]));
    check(&[0x30, 8, 2, 3, 1, 2, 3, 2, 1, 3], None);
    check(&[0x30, 7, 2, 2, 1, 2, 2, 1], None);
    check(&[0x31, 7, 2, 2, 1, 2, 2, 1, 3], None);
    check(&[0x30, 4, 2, 2, 1, 2], None);
    check(&[], None);
}
