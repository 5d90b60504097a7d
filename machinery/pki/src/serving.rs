//! TLS as the API server wants it: a certificate that can be exchanged while running, and client certificates that are
//! asked for but not judged. Who a client is, is decided in authentication, where an unknown certificate is one more
//! credential that proves nothing; a handshake that fails could not even say so.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, ServerConfig, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::certificate::{self, Certificate, Pair};
use crate::signature::{self, Algorithm, Curve, Hash};

/// What a server shows; handshakes that begin after `replace` see the new one.
#[derive(Debug)]
pub struct ServingCertificate(ArcSwap<CertifiedKey>);

impl ServingCertificate {
    pub fn new(pair: &Pair) -> Result<Arc<ServingCertificate>> {
        Ok(Arc::new(ServingCertificate(ArcSwap::from_pointee(pair.certified_key()?))))
    }

    /// --tls-cert-file and --tls-private-key-file.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Arc<ServingCertificate>> {
        Ok(Arc::new(ServingCertificate(ArcSwap::from_pointee(read(certificate, key)?))))
    }

    pub fn replace(&self, pair: &Pair) -> Result<()> {
        self.0.store(Arc::new(pair.certified_key()?));
        Ok(())
    }

    /// Reads the files again; if they cannot be used, what was shown stays.
    pub fn replace_from_files(&self, certificate: &Path, key: &Path) -> Result<()> {
        self.0.store(Arc::new(read(certificate, key)?));
        Ok(())
    }

    pub fn current(&self) -> Arc<CertifiedKey> {
        self.0.load_full()
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, client certificates optional and unjudged. The names of authorities are hints
/// only, by which a client with several certificates chooses.
pub fn server_config(serving: Arc<ServingCertificate>, hints: Vec<DistinguishedName>) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(any_client(hints))
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Asks for a certificate and takes any.
pub fn any_client(hints: Vec<DistinguishedName>) -> Arc<dyn ClientCertVerifier> {
    Arc::new(AnyClient { hints })
}

/// Accepts every certificate whose key the client can prove to have: of any version, with any extensions, of whatever
/// issuer. rustls' own check of the proof would read the certificate as webpki does, which refuses some of these.
#[derive(Debug)]
struct AnyClient {
    hints: Vec<DistinguishedName>,
}

/// What a client may sign the handshake with, the preferred first.
const SCHEMES: [(SignatureScheme, Algorithm); 10] = [
    (SignatureScheme::RSA_PSS_SHA256, Algorithm::RsaPss(Hash::Sha256)),
    (SignatureScheme::ECDSA_NISTP256_SHA256, Algorithm::Ecdsa(Hash::Sha256)),
    (SignatureScheme::ED25519, Algorithm::Ed25519),
    (SignatureScheme::RSA_PSS_SHA384, Algorithm::RsaPss(Hash::Sha384)),
    (SignatureScheme::RSA_PSS_SHA512, Algorithm::RsaPss(Hash::Sha512)),
    (SignatureScheme::RSA_PKCS1_SHA256, Algorithm::RsaPkcs1(Hash::Sha256)),
    (SignatureScheme::RSA_PKCS1_SHA384, Algorithm::RsaPkcs1(Hash::Sha384)),
    (SignatureScheme::RSA_PKCS1_SHA512, Algorithm::RsaPkcs1(Hash::Sha512)),
    (SignatureScheme::ECDSA_NISTP384_SHA384, Algorithm::Ecdsa(Hash::Sha384)),
    (SignatureScheme::ECDSA_NISTP521_SHA512, Algorithm::Ecdsa(Hash::Sha512)),
];

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match Certificate::parse(end_entity) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(_) => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    /// In TLS 1.2 a scheme says nothing of the curve.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, certificate, signed)
    }

    /// In TLS 1.3 each scheme of elliptic curves is for one of them, and RSA is always padded by PSS.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let curve = match signed.scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => Some(Curve::P256),
            SignatureScheme::ECDSA_NISTP384_SHA384 => Some(Curve::P384),
            SignatureScheme::ECDSA_NISTP521_SHA512 => Some(Curve::P521),
            SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512 => {
                return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
            }
            _ => None,
        };
        let fits = |parsed: &X509Certificate<'_>| curve.is_none() || signature::curve(parsed.public_key()) == curve;
        match X509Certificate::from_der(certificate) {
            Ok((_, parsed)) if fits(&parsed) => verify(message, certificate, signed),
            _ => Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.iter().map(|(scheme, _)| *scheme).collect()
    }
}

fn verify(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let Some((_, algorithm)) = SCHEMES.iter().find(|(scheme, _)| *scheme == signed.scheme) else {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    };
    signature::verify(parsed.public_key(), *algorithm, message, signed.signature())
        .map(|()| HandshakeSignatureValid::assertion())
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadSignature))
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let pair = certificate::certified_key(&read(certificate)?, &read(key)?);
    pair.with_context(|| format!("serve with {} and {}", certificate.display(), key.display()))
}
