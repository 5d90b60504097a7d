//! Checking of client certificates, as far as a CA vouches for them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use corten_runtime::Wall;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DistinguishedName, RootCertStore};

use crate::certificate::{self, Certificate};

/// The authorities of a file like --client-ca-file; cheap to clone.
#[derive(Clone)]
pub struct ClientCa {
    pem: Arc<str>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCa {
    pub fn from_file(path: &Path) -> Result<ClientCa> {
        let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        ClientCa::from_pem(&pem).with_context(|| format!("use the CA certificates of {}", path.display()))
    }

    /// One or more certificates.
    pub fn from_pem(pem: &[u8]) -> Result<ClientCa> {
        let mut roots = RootCertStore::empty();
        for (at, certificate) in certificate::chain(pem)?.into_iter().enumerate() {
            Certificate::parse(&certificate).with_context(|| format!("certificate {}", at + 1))?;
            roots.add(certificate).map_err(|error| anyhow!("certificate {}: {error}", at + 1))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(ClientCa { pem: std::str::from_utf8(pem)?.into(), verifier })
    }

    /// Whether one of the authorities vouches at `now` for the first certificate as a client's; the others may be
    /// intermediates. The errors are in Go's words, because they stand in logs beside upstream's.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: Wall) -> Result<(), String> {
        let (first, intermediates) = chain.split_first().ok_or("no certificate was presented")?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.seconds).unwrap_or(0)));
        match self.verifier.verify_client_cert(first, intermediates, time) {
            Ok(_verified) => Ok(()),
            Err(rustls::Error::InvalidCertificate(error)) => Err(in_gos_words(error)),
            Err(error) => Err(format!("x509: {error}")),
        }
    }

    /// The file's text, which extension API servers get in a ConfigMap.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authorities' names, for a client that must choose among its certificates.
    pub fn subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }
}

fn in_gos_words(error: CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => "x509: certificate signed by unknown authority".to_owned(),
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            format!("x509: certificate has expired or is not yet valid: {error}")
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "x509: certificate specifies an incompatible key usage".to_owned()
        }
        E::BadEncoding => "x509: malformed certificate".to_owned(),
        error => format!("x509: {error}"),
    }
}

impl std::fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientCa of {} authorities", self.subjects().len())
    }
}
