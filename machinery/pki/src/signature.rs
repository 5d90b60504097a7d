//! Signatures on certificates and handshakes, of every algorithm that kube-apiserver takes and that can be had here:
//! all of them but SHA-512 on the curves P-256 and P-384, the curve P-224, and PSS with RSA keys of less than 2048 bits.

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest::{self, digest};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_NIST_HASH_SHA256,
    OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512, OID_SIG_ED25519,
};
use x509_parser::prelude::X509Certificate;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    /// On the curve of the key.
    Ecdsa(Hash),
    Ed25519,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// The curve of a key of elliptic curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("cannot verify signature: algorithm unimplemented")]
    Unsupported,
    #[error("verification failure")]
    Wrong,
}

/// Whether the owner of a key signed a message.
pub fn verify(
    key: &SubjectPublicKeyInfo<'_>,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let bits = &*key.subject_public_key.data;
    let curve = curve(key);
    if let (Algorithm::Ecdsa(hash), Some(Curve::P521)) = (algorithm, curve) {
        return verify_p521(bits, hash, message, signature);
    }
    let kind = &key.algorithm.algorithm;
    let known: &dyn VerificationAlgorithm = match (algorithm, curve) {
        (Algorithm::RsaPkcs1(hash), _) if *kind == OID_PKCS1_RSAENCRYPTION => match hash {
            Hash::Sha256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Hash::Sha512 => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        },
        (Algorithm::RsaPss(hash), _) if *kind == OID_PKCS1_RSAENCRYPTION => match hash {
            Hash::Sha256 => &RSA_PSS_2048_8192_SHA256,
            Hash::Sha384 => &RSA_PSS_2048_8192_SHA384,
            Hash::Sha512 => &RSA_PSS_2048_8192_SHA512,
        },
        (Algorithm::Ecdsa(Hash::Sha256), Some(Curve::P256)) => &ECDSA_P256_SHA256_ASN1,
        (Algorithm::Ecdsa(Hash::Sha384), Some(Curve::P256)) => &ECDSA_P256_SHA384_ASN1,
        (Algorithm::Ecdsa(Hash::Sha256), Some(Curve::P384)) => &ECDSA_P384_SHA256_ASN1,
        (Algorithm::Ecdsa(Hash::Sha384), Some(Curve::P384)) => &ECDSA_P384_SHA384_ASN1,
        (Algorithm::Ed25519, _) if *kind == OID_SIG_ED25519 => &ED25519,
        _ => return Err(SignatureError::Unsupported),
    };
    UnparsedPublicKey::new(known, bits).verify(message, signature).map_err(|_| SignatureError::Wrong)
}

/// Whether the owner of a key signed a certificate.
pub fn certificate_is_signed_by(
    certificate: &X509Certificate<'_>,
    key: &SubjectPublicKeyInfo<'_>,
) -> Result<(), SignatureError> {
    let algorithm = algorithm_of(&certificate.signature_algorithm).ok_or(SignatureError::Unsupported)?;
    verify(key, algorithm, certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
}

pub fn curve(key: &SubjectPublicKeyInfo<'_>) -> Option<Curve> {
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return None;
    }
    let named = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    let known = [(OID_EC_P256, Curve::P256), (OID_NIST_EC_P384, Curve::P384), (OID_NIST_EC_P521, Curve::P521)];
    known.into_iter().find(|(oid, _)| *oid == named).map(|(_, curve)| curve)
}

fn algorithm_of(written: &AlgorithmIdentifier<'_>) -> Option<Algorithm> {
    let oid = &written.algorithm;
    if *oid == OID_PKCS1_RSASSAPSS {
        let parameters = RsaSsaPssParams::try_from(written.parameters.as_ref()?).ok()?;
        let hash = parameters.hash_algorithm_oid();
        let hashes = [
            (OID_NIST_HASH_SHA256, Hash::Sha256),
            (OID_NIST_HASH_SHA384, Hash::Sha384),
            (OID_NIST_HASH_SHA512, Hash::Sha512),
        ];
        return hashes.into_iter().find(|(oid, _)| oid == hash).map(|(_, hash)| Algorithm::RsaPss(hash));
    }
    let known = [
        (OID_PKCS1_SHA256WITHRSA, Algorithm::RsaPkcs1(Hash::Sha256)),
        (OID_PKCS1_SHA384WITHRSA, Algorithm::RsaPkcs1(Hash::Sha384)),
        (OID_PKCS1_SHA512WITHRSA, Algorithm::RsaPkcs1(Hash::Sha512)),
        (OID_SIG_ECDSA_WITH_SHA256, Algorithm::Ecdsa(Hash::Sha256)),
        (OID_SIG_ECDSA_WITH_SHA384, Algorithm::Ecdsa(Hash::Sha384)),
        (OID_SIG_ECDSA_WITH_SHA512, Algorithm::Ecdsa(Hash::Sha512)),
        (OID_SIG_ED25519, Algorithm::Ed25519),
    ];
    known.into_iter().find(|(known, _)| known == oid).map(|(_, algorithm)| algorithm)
}

fn verify_p521(point: &[u8], hash: Hash, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let hash = match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    };
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| SignatureError::Wrong)?;
    let signature = p521::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Wrong)?;
    // A hash is a number, which the crate wants as long as those of the curve.
    let (mut number, hash) = ([0; 66], digest(hash, message));
    number[66 - hash.as_ref().len()..].copy_from_slice(hash.as_ref());
    key.verify_prehash(&number, &signature).map_err(|_| SignatureError::Wrong)
}
