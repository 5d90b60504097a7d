//! Whatever is given for a key or a token, nothing panics, and what was changed does not verify.

use corten_runtime::random::Random;

use super::*;

/// A few bytes changed, cut out or doubled.
fn damaged(random: &Random, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(4) {
            0 => bytes[at] = random.u64() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at.max(1)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}

#[test]
fn damaged_keys() {
    let random = Random::seeded(1);
    let pems: [&[u8]; 6] = [
        P256,
        key!("p256.sec1.pem"),
        key!("p384.public.pem"),
        key!("rsa.public.pem"),
        key!("rsa.public.pkcs1.pem"),
        key!("rsa.certificate.pem"),
    ];
    for pem in pems {
        let block = x509_parser::pem::Pem::iter_from_buffer(pem).filter_map(Result::ok).last().unwrap();
        for _ in 0..300 {
            // Damage below the base64, where it is not noticed at once.
            use base64::Engine;
            let body = base64::engine::general_purpose::STANDARD.encode(damaged(&random, &block.contents));
            let label = &block.label;
            let pem = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
            if let Ok(keys) = PublicKey::all_from_pem(pem.as_bytes()) {
                OpenId::new("https://i", "", "a", &keys).unwrap();
            }
            let _ = SigningKey::from_pem(pem.as_bytes());
        }
    }
}

#[test]
fn damaged_tokens() {
    let random = Random::seeded(2);
    let key = SigningKey::from_pem(P256).unwrap();
    let token = sign(&key, &serde_json::json!({"iss": "https://issuer", "exp": 1, "aud": ["a"]})).unwrap();
    for _ in 0..2000 {
        let text = String::from_utf8_lossy(&damaged(&random, token.as_bytes())).into_owned();
        let verified = parse_unverified(&text).is_some_and(|parts| parts.verified_by(key.public()));
        assert_eq!(verified, text == token, "{text}");
    }
}
