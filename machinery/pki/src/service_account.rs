//! The keys of service-account tokens: ECDSA (P-256, P-384) or RSA, from any of the files that upstream takes.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::certificate::Certificate;

/// The `alg` of a token. A key has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    Es384,
    Rs256,
}

/// A private key that signs tokens.
pub struct SigningKey {
    key: std::sync::Arc<dyn rustls::sign::SigningKey>,
    verifying: VerifyingKey,
    pem: String,
}

/// A public key that checks tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    id: String,
    /// SubjectPublicKeyInfo in DER, and within it the key itself: a point, or RSAPublicKey in DER.
    info: Vec<u8>,
    key: Vec<u8>,
}

impl SigningKey {
    /// --service-account-signing-key-file.
    pub fn from_file(path: &Path) -> Result<SigningKey> {
        let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        SigningKey::from_pem(&pem).with_context(|| format!("use the private key of {}", path.display()))
    }

    /// The first private key of the file: PKCS #8, PKCS #1 or SEC 1.
    pub fn from_pem(pem: &[u8]) -> Result<SigningKey> {
        let der = first_private_key(pem)?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| {
            anyhow!("the private key is of no supported kind: ECDSA P-256 or P-384, or RSA of 2048 bits or more")
        })?;
        let info = key.public_key().context("the private key does not tell its public half")?;
        let verifying = VerifyingKey::from_info(&info)?;
        Ok(SigningKey { key, verifying, pem: std::str::from_utf8(pem)?.to_owned() })
    }

    /// The file that it came from, for whoever signs by other means.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm
    }

    /// The signature as JWS wants it.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let algorithm = self.algorithm();
        let signer = self.key.choose_scheme(&[algorithm.scheme()]).context("the key does not sign tokens")?;
        let signature = signer.sign(message).map_err(|error| anyhow!("sign a token: {error}"))?;
        match algorithm.coordinate_length() {
            None => Ok(signature),
            Some(length) => fixed_signature(&signature, length).context("sign a token"),
        }
    }
}

impl VerifyingKey {
    fn from_info(der: &[u8]) -> Result<VerifyingKey> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|error| anyhow!("no public key: {error}"))?;
        let algorithm = match info.parsed().map_err(|error| anyhow!("no public key: {error}"))? {
            PublicKey::RSA(key) if key.key_size() >= 2048 => Algorithm::Rs256,
            PublicKey::RSA(key) => bail!("an RSA key of {} bits is too short; 2048 are the least", key.key_size()),
            PublicKey::EC(point) => match point.data().len() {
                65 => Algorithm::Es256,
                97 => Algorithm::Es384,
                _ => bail!("an ECDSA key on another curve than P-256 and P-384 is not supported"),
            },
            _ => bail!("a public key that is neither RSA nor ECDSA is not supported"),
        };
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        Ok(VerifyingKey {
            algorithm,
            id: URL_SAFE_NO_PAD.encode(digest),
            info: der.to_vec(),
            key: info.subject_public_key.as_ref().to_vec(),
        })
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Upstream's `kid`: the SHA-256 of the key in DER, as URL-safe base64.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self.algorithm {
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }

    /// The key as /openid/v1/jwks shows it, members in upstream's order.
    pub fn to_jwk(&self) -> serde_json::Value {
        let mut jwk = serde_json::Map::new();
        let mut put = |name: &str, value: &str| drop(jwk.insert(name.to_owned(), value.into()));
        put("use", "sig");
        put("kty", if self.algorithm == Algorithm::Rs256 { "RSA" } else { "EC" });
        put("kid", &self.id);
        match self.algorithm {
            Algorithm::Es256 => put("crv", "P-256"),
            Algorithm::Es384 => put("crv", "P-384"),
            Algorithm::Rs256 => {}
        }
        put("alg", self.algorithm.name());
        match self.algorithm.coordinate_length() {
            Some(length) => {
                // The point begins with a byte that says it is not compressed.
                put("x", &URL_SAFE_NO_PAD.encode(&self.key[1..1 + length]));
                put("y", &URL_SAFE_NO_PAD.encode(&self.key[1 + length..]));
            }
            None => {
                if let Ok((_, key)) = x509_parser::public_key::RSAPublicKey::from_der(&self.key) {
                    put("n", &URL_SAFE_NO_PAD.encode(without_leading_zeros(key.modulus)));
                    put("e", &URL_SAFE_NO_PAD.encode(without_leading_zeros(key.exponent)));
                }
            }
        }
        jwk.into()
    }

    pub fn to_pem(&self) -> String {
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for line in STANDARD.encode(&self.info).as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem + "-----END PUBLIC KEY-----\n"
    }
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Rs256 => "RS256",
        }
    }

    fn scheme(self) -> SignatureScheme {
        match self {
            Algorithm::Es256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            Algorithm::Es384 => SignatureScheme::ECDSA_NISTP384_SHA384,
            Algorithm::Rs256 => SignatureScheme::RSA_PKCS1_SHA256,
        }
    }

    fn coordinate_length(self) -> Option<usize> {
        match self {
            Algorithm::Es256 => Some(32),
            Algorithm::Es384 => Some(48),
            Algorithm::Rs256 => None,
        }
    }
}

/// Every key of a PEM file: public ones, those of certificates, and the public halves of private ones. Blocks of other
/// kinds are passed over; a file without any key is an error.
pub fn verifying_keys(pem: &[u8]) -> Result<Vec<VerifyingKey>> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|error| anyhow!("no PEM: {error}"))?;
        match kind {
            SectionKind::PublicKey => keys.push(VerifyingKey::from_info(&der)?),
            SectionKind::Certificate => keys.push(VerifyingKey::from_info(&Certificate::parse(&der)?.public_key)?),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                if let Some(der) = PrivateKeyDer::from_pem(kind, der) {
                    let key = rustls::crypto::ring::sign::any_supported_type(&der)
                        .map_err(|error| anyhow!("a private key of no supported kind: {error}"))?;
                    let info = key.public_key().context("a private key does not tell its public half")?;
                    keys.push(VerifyingKey::from_info(&info)?);
                }
            }
            _ => {}
        }
    }
    if keys.is_empty() {
        bail!("data does not contain any valid RSA or ECDSA public keys");
    }
    Ok(keys)
}

/// The keys of every --service-account-key-file, in order.
pub fn verifying_keys_of_files<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<VerifyingKey>> {
    let mut keys = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        keys.extend(verifying_keys(&pem).with_context(|| format!("use the public keys of {}", path.display()))?);
    }
    Ok(keys)
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm.name(), self.id)
    }
}

fn first_private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    // Files of openssl begin with EC PARAMETERS, which the iterator passes over.
    match PrivateKeyDer::pem_slice_iter(pem).next() {
        Some(key) => key.map_err(|error| anyhow!("no PEM: {error}")),
        None => bail!("data does not contain a valid RSA or ECDSA private key"),
    }
}

/// ECDSA signatures come as a DER sequence of two numbers; JWS wants the two side by side, each of full length.
fn fixed_signature(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let (tag, rest) = der.split_first()?;
    let (body, []) = der_content(rest)? else { return None };
    let mut fixed = Vec::with_capacity(2 * length);
    let mut numbers = (*tag == 0x30).then_some(body)?;
    for _ in 0..2 {
        let (tag, rest) = numbers.split_first()?;
        let (number, rest) = der_content(rest)?;
        let number = (*tag == 0x02).then(|| without_leading_zeros(number))?;
        fixed.resize(fixed.len() + length.checked_sub(number.len())?, 0);
        fixed.extend_from_slice(number);
        numbers = rest;
    }
    numbers.is_empty().then_some(fixed)
}

/// What a DER length announces, and what follows it. Signatures are short: lengths of one or two bytes are enough.
fn der_content(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes.split_first()? {
        (length, rest) if *length < 0x80 => rest.split_at_checked(usize::from(*length)),
        (0x81, [length, rest @ ..]) => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests;
