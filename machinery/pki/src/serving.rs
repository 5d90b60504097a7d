//! TLS as the API server wants it: a certificate that can be exchanged while running, and client certificates that are
//! asked for but not judged. Who a client is, is decided in authentication, where an unknown certificate is one more
//! credential that proves nothing; a handshake that fails could not even say so.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};

use crate::certificate::{self, Certificate, Pair};

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
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    Arc::new(AnyClient { hints, algorithms })
}

/// Accepts every certificate whose key the client can prove to have.
#[derive(Debug)]
struct AnyClient {
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

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

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let pair = certificate::certified_key(&read(certificate)?, &read(key)?);
    pair.with_context(|| format!("serve with {} and {}", certificate.display(), key.display()))
}
