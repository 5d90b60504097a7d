//! What the project wants to know of an X.509 certificate, and a certificate together with its key.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, anyhow, bail};
use corten_runtime::Wall;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use crate::signature;

/// The parts of a certificate that somebody here decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The last CN of the subject, as Go takes it.
    pub common_name: String,
    /// Every O of the subject, in order.
    pub organizations: Vec<String>,
    pub dns_names: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub not_before: Wall,
    pub not_after: Wall,
    pub is_ca: bool,
    /// Subject and issuer in DER, for comparing.
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    /// SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
}

/// A certificate chain with its private key, both as PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate_pem: String,
    pub key_pem: String,
    /// The first certificate of the chain.
    pub certificate: Certificate,
}

impl Certificate {
    pub fn parse(der: &[u8]) -> Result<Certificate> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|error| anyhow!("no X.509 certificate: {error}"))?;
        if !rest.is_empty() {
            bail!("no X.509 certificate: {} bytes too many", rest.len());
        }
        let (dns_names, ips) = alternative_names(&parsed);
        let constraints = parsed.basic_constraints().ok().flatten();
        Ok(Certificate {
            common_name: texts(parsed.subject(), &x509_parser::oid_registry::OID_X509_COMMON_NAME)
                .pop()
                .unwrap_or_default(),
            organizations: texts(parsed.subject(), &x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME),
            dns_names,
            ips,
            not_before: Wall::from_seconds(parsed.validity().not_before.timestamp()),
            not_after: Wall::from_seconds(parsed.validity().not_after.timestamp()),
            is_ca: constraints.is_some_and(|extension| extension.value.ca),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            public_key: parsed.public_key().raw.to_vec(),
        })
    }

    /// The first certificate of a PEM file.
    pub fn from_pem(pem: &[u8]) -> Result<Certificate> {
        Certificate::parse(chain(pem)?.first().context("no certificate in it")?)
    }

    /// Whether it needs to be renewed: when less than 30 % of its life is left, or when it is not valid yet, because the
    /// clock was ahead when it was made.
    pub fn is_due(&self, now: Wall) -> bool {
        self.renew_at() <= now || now < self.not_before
    }

    /// When less than 30 % of its life is left.
    pub fn renew_at(&self) -> Wall {
        self.not_before.plus(self.not_after.since(self.not_before).mul_f64(0.7))
    }

    /// Whether `authority` signed it: by its name, and by its key.
    pub fn is_signed_by(&self, der: &[u8], authority: &Certificate) -> bool {
        self.issuer == authority.subject && signature_fits(der, &authority.public_key)
    }
}

impl Pair {
    /// Checks that both are well formed and that they belong together.
    pub fn from_pem(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Pair> {
        certified_key(certificate_pem, key_pem)?;
        Ok(Pair {
            certificate: Certificate::from_pem(certificate_pem)?,
            certificate_pem: text(certificate_pem)?,
            key_pem: text(key_pem)?,
        })
    }

    /// For rustls, as a server's or as a client's.
    pub fn certified_key(&self) -> Result<CertifiedKey> {
        certified_key(self.certificate_pem.as_bytes(), self.key_pem.as_bytes())
    }
}

impl std::fmt::Debug for Pair {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pair").field(&self.certificate).finish()
    }
}

/// Every certificate of a PEM file, at least one.
pub fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| anyhow!("no PEM: {error}"))?;
    if chain.is_empty() {
        bail!("no certificate in it (a line -----BEGIN CERTIFICATE----- is expected)");
    }
    Ok(chain)
}

/// The first private key of a PEM file, in any of the usual forms.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => anyhow!("no private key in it"),
        error => anyhow!("no PEM: {error}"),
    })
}

pub fn certified_key(certificate_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey> {
    let (chain, key) = (chain(certificate_pem)?, private_key(key_pem).context("the key")?);
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => anyhow!("the key is not the certificate's"),
        error => anyhow!("certificate or key: {error}"),
    })
}

fn text(pem: &[u8]) -> Result<String> {
    Ok(std::str::from_utf8(pem).context("PEM is text")?.to_owned())
}

fn texts(name: &X509Name<'_>, oid: &x509_parser::der_parser::oid::Oid<'_>) -> Vec<String> {
    name.iter_by_oid(oid).filter_map(|attribute| attribute.as_str().ok()).map(str::to_owned).collect()
}

fn alternative_names(parsed: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let (mut dns_names, mut ips) = (Vec::new(), Vec::new());
    let extension = parsed.subject_alternative_name().ok().flatten();
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => ips.extend(ip(bytes)),
            _ => {}
        }
    }
    (dns_names, ips)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
    }
}

fn signature_fits(der: &[u8], public_key_info: &[u8]) -> bool {
    let (Ok((_, certificate)), Ok((_, key))) =
        (X509Certificate::from_der(der), x509_parser::x509::SubjectPublicKeyInfo::from_der(public_key_info))
    else {
        return false;
    };
    signature::certificate_is_signed_by(&certificate, &key).is_ok()
}
