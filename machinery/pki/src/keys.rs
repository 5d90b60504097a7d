//! The keys that sign and verify tokens: ECDSA on P-256 and P-384, and RSA, from PEM in any of the forms that upstream
//! reads. A key is named by the hash of its public half, so that the name gives away nothing that verifies.

mod der;

use std::fmt;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{self, EcdsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use self::der::Reader;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("data does not contain a valid RSA or ECDSA private key")]
    NoPrivateKey,
    #[error("data does not contain any valid RSA or ECDSA public keys")]
    NoPublicKey,
    #[error("the private key is not usable: {0}")]
    Rejected(String),
}

/// A private key; signs with the one algorithm that goes with it.
pub struct SigningKey {
    key: Key,
    public: PublicKey,
}

enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    kind: Kind,
    /// As ring takes it: the point, or the RSAPublicKey structure.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Rsa,
}

impl SigningKey {
    /// The first private key in the file; other blocks, such as EC PARAMETERS, are passed over.
    pub fn from_pem(pem: &[u8]) -> Result<SigningKey, KeyError> {
        for block in blocks(pem) {
            let key = match block.label.as_str() {
                "EC PRIVATE KEY" => ec_from_sec1(&block.contents, None),
                "RSA PRIVATE KEY" => rsa(RsaKeyPair::from_der(&block.contents)),
                "PRIVATE KEY" => from_pkcs8(&block.contents),
                _ => continue,
            };
            if let Some(key) = key {
                return key;
            }
        }
        Err(KeyError::NoPrivateKey)
    }

    /// As `--service-account-signing-key-file` names it.
    pub fn from_file(path: &Path) -> anyhow::Result<SigningKey> {
        let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        SigningKey::from_pem(&pem).with_context(|| format!("use the private key of {}", path.display()))
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Nothing if the key refuses to sign.
    pub fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ec(pair) => pair.sign(&random, input).ok().map(|signature| signature.as_ref().to_vec()),
            Key::Rsa(pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, input, &mut out).ok().map(|()| out)
            }
        }
    }
}

impl PublicKey {
    /// Every key in the file, be it public, private or in a certificate.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<PublicKey>, KeyError> {
        let keys: Vec<PublicKey> = blocks(pem).filter_map(|block| from_block(&block)).collect();
        if keys.is_empty() { Err(KeyError::NoPublicKey) } else { Ok(keys) }
    }

    /// As `--service-account-key-file` names it.
    pub fn all_from_file(path: &Path) -> anyhow::Result<Vec<PublicKey>> {
        let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        PublicKey::all_from_pem(&pem).with_context(|| format!("use the public keys of {}", path.display()))
    }

    pub fn to_pem(&self) -> String {
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for line in STANDARD.encode(info(self.kind, &self.bytes)).as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem + "-----END PUBLIC KEY-----\n"
    }

    /// The hash of the key, by which tokens say what they were signed with.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The algorithm that this server signs with such a key.
    pub fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::P256 => "ES256",
            Kind::P384 => "ES384",
            Kind::Rsa => "RS256",
        }
    }

    /// Whether this key made the signature by that algorithm. Keys of others may have been used in other ways than this
    /// server's.
    pub fn verifies(&self, algorithm: &str, input: &[u8], signed: &[u8]) -> bool {
        let verification: &'static dyn VerificationAlgorithm = match (self.kind, algorithm) {
            (Kind::P256, "ES256") => &signature::ECDSA_P256_SHA256_FIXED,
            (Kind::P384, "ES384") => &signature::ECDSA_P384_SHA384_FIXED,
            (Kind::Rsa, "RS256") => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Kind::Rsa, "RS384") => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa, "RS512") => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Kind::Rsa, "PS256") => &signature::RSA_PSS_2048_8192_SHA256,
            (Kind::Rsa, "PS384") => &signature::RSA_PSS_2048_8192_SHA384,
            (Kind::Rsa, "PS512") => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return false,
        };
        UnparsedPublicKey::new(verification, &self.bytes).verify(input, signed).is_ok()
    }

    /// The fields of a JSON web key that are the key itself, in upstream's order around `alg`.
    pub fn web_key(&self) -> String {
        let encode = |bytes: &[u8]| BASE64.encode(bytes);
        let (id, algorithm) = (&self.id, self.algorithm());
        match self.kind {
            Kind::Rsa => {
                let (modulus, exponent) = rsa_numbers(&self.bytes).unwrap_or_default();
                format!(
                    r#"{{"use":"sig","kty":"RSA","kid":"{id}","alg":"{algorithm}","n":"{}","e":"{}"}}"#,
                    encode(modulus),
                    encode(exponent)
                )
            }
            Kind::P256 | Kind::P384 => {
                let curve = if self.kind == Kind::P256 { "P-256" } else { "P-384" };
                let (x, y) = self.bytes[1..].split_at((self.bytes.len() - 1) / 2);
                format!(
                    r#"{{"use":"sig","kty":"EC","kid":"{id}","crv":"{curve}","alg":"{algorithm}","x":"{}","y":"{}"}}"#,
                    encode(x),
                    encode(y)
                )
            }
        }
    }

    fn ec(kind: Kind, point: &[u8]) -> Option<PublicKey> {
        let length = match kind {
            Kind::P256 => 65,
            Kind::P384 => 97,
            Kind::Rsa => return None,
        };
        let plain = point.len() == length && point[0] == 4;
        plain.then(|| PublicKey { id: key_id(kind, point), kind, bytes: point.to_vec() })
    }

    fn rsa(public_key: &[u8]) -> Option<PublicKey> {
        rsa_numbers(public_key)?;
        Some(PublicKey { id: key_id(Kind::Rsa, public_key), kind: Kind::Rsa, bytes: public_key.to_vec() })
    }

    /// From a SubjectPublicKeyInfo.
    fn from_spki(spki: &[u8]) -> Option<PublicKey> {
        let mut info = Reader(spki).sequence()?;
        let mut algorithm = info.sequence()?;
        let bits = info.bit_string()?;
        match algorithm.expect(der::OBJECT_IDENTIFIER)? {
            der::OID_RSA => PublicKey::rsa(bits),
            der::OID_EC => PublicKey::ec(curve(algorithm.expect(der::OBJECT_IDENTIFIER)?)?, bits),
            _ => None,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {}", self.algorithm(), self.id)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private half of {:?}", self.public)
    }
}

fn blocks(pem: &[u8]) -> impl Iterator<Item = Pem> {
    Pem::iter_from_buffer(pem).filter_map(Result::ok)
}

fn key_id(kind: Kind, key: &[u8]) -> String {
    BASE64.encode(ring::digest::digest(&ring::digest::SHA256, &info(kind, key)))
}

/// SubjectPublicKeyInfo in DER.
fn info(kind: Kind, key: &[u8]) -> Vec<u8> {
    let (algorithm, parameters) = match kind {
        Kind::P256 => (der::OID_EC, der::element(der::OBJECT_IDENTIFIER, &[der::OID_P256])),
        Kind::P384 => (der::OID_EC, der::element(der::OBJECT_IDENTIFIER, &[der::OID_P384])),
        Kind::Rsa => (der::OID_RSA, der::element(der::NULL, &[])),
    };
    let algorithm = der::element(der::SEQUENCE, &[&der::element(der::OBJECT_IDENTIFIER, &[algorithm]), &parameters]);
    der::element(der::SEQUENCE, &[&algorithm, &der::element(der::BIT_STRING, &[&[0], key])])
}

fn from_block(block: &Pem) -> Option<PublicKey> {
    let contents = &block.contents;
    match block.label.as_str() {
        "PUBLIC KEY" => PublicKey::from_spki(contents),
        "RSA PUBLIC KEY" => PublicKey::rsa(contents),
        "CERTIFICATE" => PublicKey::from_spki(X509Certificate::from_der(contents).ok()?.1.public_key().raw),
        "EC PRIVATE KEY" => ec_from_sec1(contents, None)?.ok().map(|key| key.public),
        "RSA PRIVATE KEY" => rsa(RsaKeyPair::from_der(contents))?.ok().map(|key| key.public),
        "PRIVATE KEY" => from_pkcs8(contents)?.ok().map(|key| key.public),
        _ => None,
    }
}

/// `None` where the block is no such key at all.
type Parsed = Option<Result<SigningKey, KeyError>>;

fn from_pkcs8(contents: &[u8]) -> Parsed {
    let mut info = Reader(contents).sequence()?;
    info.expect(der::INTEGER)?;
    let mut algorithm = info.sequence()?;
    let inner = info.expect(der::OCTET_STRING)?;
    match algorithm.expect(der::OBJECT_IDENTIFIER)? {
        der::OID_RSA => rsa(RsaKeyPair::from_der(inner)),
        der::OID_EC => ec_from_sec1(inner, curve(algorithm.expect(der::OBJECT_IDENTIFIER)?)),
        _ => None,
    }
}

/// An ECPrivateKey; the curve stands outside it in PKCS #8.
fn ec_from_sec1(contents: &[u8], outer_curve: Option<Kind>) -> Parsed {
    let mut key = Reader(contents).sequence()?;
    key.expect(der::INTEGER)?;
    let private = key.expect(der::OCTET_STRING)?;
    let (mut kind, mut point) = (outer_curve, None);
    while let Some((tag, content)) = key.any() {
        match tag {
            der::CONTEXT_1 => point = Reader(content).bit_string(),
            _ => kind = kind.or_else(|| curve(Reader(content).expect(der::OBJECT_IDENTIFIER)?)),
        }
    }
    let kind = match kind {
        Some(kind) => kind,
        None => return Some(Err(KeyError::Rejected("its curve is not P-256 or P-384".to_owned()))),
    };
    let Some(point) = point else {
        return Some(Err(KeyError::Rejected("it comes without its public half".to_owned())));
    };
    let algorithm = match kind {
        Kind::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, point, &SystemRandom::new());
    let public = PublicKey::ec(kind, point)?;
    Some(match pair {
        Ok(pair) => Ok(SigningKey { key: Key::Ec(pair), public }),
        Err(rejected) => Err(KeyError::Rejected(rejected.to_string())),
    })
}

fn rsa(pair: Result<RsaKeyPair, ring::error::KeyRejected>) -> Parsed {
    match pair {
        Ok(pair) => {
            let public = PublicKey::rsa(pair.public().as_ref())?;
            Some(Ok(SigningKey { key: Key::Rsa(pair), public }))
        }
        Err(rejected) => Some(Err(KeyError::Rejected(rejected.to_string()))),
    }
}

fn curve(oid: &[u8]) -> Option<Kind> {
    match oid {
        der::OID_P256 => Some(Kind::P256),
        der::OID_P384 => Some(Kind::P384),
        _ => None,
    }
}

/// Modulus and exponent of an RSAPublicKey, without leading zeros.
fn rsa_numbers(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut key = Reader(public_key).sequence()?;
    let mut number = || {
        let bytes = key.expect(der::INTEGER)?;
        Some(&bytes[bytes.iter().take_while(|&&byte| byte == 0).count()..])
    };
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests;
