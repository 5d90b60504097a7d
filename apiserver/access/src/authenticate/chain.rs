//! Whether authorities vouch for a client's certificate, by the rules of Go's crypto/x509, which kube-apiserver has.
//!
//! They are looser than webpki's: a client's certificate may be of version 1 or an authority's, it may name no usage or
//! any, and an authority that was configured is trusted as it is. The search for a chain goes from the client's
//! certificate to the authorities, depth first, and ends after a number of signatures.
//!
//! Not evaluated are certificate policies; a chain with a critical constraint about those is refused.

mod names;

use std::collections::{HashMap, HashSet};

use corten_pki::signature::certificate_is_signed_by;
use corten_runtime::clock::Wall;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{ExtendedKeyUsage, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use names::{Constraints, Names};

/// Go's limit too.
const SIGNATURES_MAX: usize = 100;

/// The certificates of authorities, by their subjects.
pub(super) struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    by_subject: HashMap<Box<[u8]>, Vec<usize>>,
}

/// What of a certificate a chain depends on.
struct Link<'c> {
    certificate: X509Certificate<'c>,
    /// Whether it may sign others, and how many may stand between it and the client's; of basicConstraints.
    authority: Option<(bool, Option<u32>)>,
    /// What keyUsage says of signing certificates.
    signs: Option<bool>,
    /// Whether it is good for clients.
    for_clients: bool,
    names: Option<Names<'c>>,
    constraints: Option<Constraints<'c>>,
    /// A critical extension that nobody here knows.
    unhandled: bool,
}

impl Roots {
    pub(super) fn new(certificates: impl Iterator<Item = CertificateDer<'static>>) -> Result<Roots, String> {
        let mut roots = Roots { certificates: certificates.collect(), by_subject: HashMap::new() };
        for (at, der) in roots.certificates.iter().enumerate() {
            let subject = parse(der)?.subject().as_raw().into();
            roots.by_subject.entry(subject).or_default().push(at);
        }
        Ok(roots)
    }

    /// In DER.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.by_subject.keys().map(|subject| &**subject)
    }

    fn named(&self, subject: &[u8]) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.by_subject.get(subject).into_iter().flatten().map(|&at| &self.certificates[at])
    }
}

/// `chain` is the client's own certificate and then what else it sent, in any order.
pub(super) fn verify(chain: &[CertificateDer<'_>], roots: &Roots, now: Wall) -> Result<(), String> {
    let [own, others @ ..] = chain else { return Err("no certificate".to_owned()) };
    let leaf = Link::new(own)?;
    leaf.check_itself(now)?;
    if roots.named(leaf.certificate.subject().as_raw()).any(|root| root == own) {
        return check_chain(&[&leaf]);
    }
    let intermediates = others.iter().map(|der| Link::new(der)).collect::<Result<Vec<_>, _>>()?;
    let mut search = Search { roots, intermediates: &intermediates, now, signatures: 0, why: None };
    if search.find(&mut vec![&leaf]) {
        return Ok(());
    }
    Err(search.why.unwrap_or_else(|| "x509: certificate signed by unknown authority".to_owned()))
}

struct Search<'s> {
    roots: &'s Roots,
    intermediates: &'s [Link<'s>],
    now: Wall,
    signatures: usize,
    /// The first thing that a chain was refused for.
    why: Option<String>,
}

impl<'s> Search<'s> {
    /// Whether the chain so far, the client's certificate first, can be continued to an authority.
    fn find(&mut self, chain: &mut Vec<&Link<'s>>) -> bool {
        let Some(last) = chain.last().copied() else { return false };
        let issuer = last.certificate.issuer().as_raw();
        let roots = self.roots;
        for root in roots.named(issuer) {
            let Ok(root) = Link::new(root) else { continue };
            if !self.is_issuer(&root, chain, false) {
                continue;
            }
            let whole: Vec<&Link<'_>> = chain.iter().copied().chain([&root]).collect();
            match check_chain(&whole) {
                Ok(()) => return true,
                Err(why) => _ = self.why.get_or_insert(why),
            }
        }
        for intermediate in self.intermediates {
            if intermediate.certificate.subject().as_raw() != issuer || !self.is_issuer(intermediate, chain, true) {
                continue;
            }
            chain.push(intermediate);
            if self.find(chain) {
                return true;
            }
            chain.pop();
        }
        false
    }

    /// Whether a certificate with the right name issued the last one of a chain.
    fn is_issuer(&mut self, issuer: &Link<'_>, chain: &[&Link<'_>], intermediate: bool) -> bool {
        self.signatures += 1;
        if self.signatures > SIGNATURES_MAX {
            self.why.get_or_insert(
                "x509: signature check attempts limit reached while verifying certificate chain".to_owned(),
            );
            return false;
        }
        if chain.iter().any(|link| link.is_same(issuer)) {
            return false;
        }
        match issuer.may_continue(chain, intermediate, self.now) {
            Ok(()) => true,
            Err(why) => {
                self.why.get_or_insert(format!(
                    "x509: certificate signed by unknown authority (possibly because of {why})"
                ));
                false
            }
        }
    }
}

/// What depends on a chain as a whole.
fn check_chain(chain: &[&Link<'_>]) -> Result<(), String> {
    if !chain.iter().all(|link| link.for_clients) {
        return Err("x509: certificate specifies an incompatible key usage".to_owned());
    }
    for (at, issuer) in chain.iter().enumerate() {
        let Some(constraints) = &issuer.constraints else { continue };
        for names in chain[..at].iter().filter_map(|link| link.names.as_ref()) {
            constraints.permit(names).map_err(|why| {
                format!("x509: a root or intermediate certificate is not authorized to sign for this name: {why}")
            })?;
        }
    }
    Ok(())
}

impl<'c> Link<'c> {
    fn new(der: &'c [u8]) -> Result<Link<'c>, String> {
        let certificate = parse(der)?;
        let (mut authority, mut signs, mut for_clients) = (None, None, true);
        let (mut names, mut constraints, mut unhandled) = (None, None, false);
        let mut seen = HashSet::new();
        for extension in certificate.extensions() {
            if !seen.insert(extension.oid.as_bytes()) {
                return Err("x509: certificate contains duplicate extensions".to_owned());
            }
            let handled = match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(basic) => {
                    authority = Some((basic.ca, basic.path_len_constraint));
                    true
                }
                ParsedExtension::KeyUsage(usage) => {
                    signs = (usage.flags != 0).then(|| usage.key_cert_sign());
                    true
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    for_clients = usage.any || usage.client_auth || names_no_usage(usage);
                    true
                }
                ParsedExtension::SubjectAlternativeName(written) => {
                    !names.insert(Names::new(&written.general_names)).is_empty()
                }
                ParsedExtension::NameConstraints(written) => constraints.insert(Constraints::new(written)?).all_known,
                ParsedExtension::AuthorityKeyIdentifier(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::CRLDistributionPoints(_) => true,
                ParsedExtension::ParseError { error } => return Err(format!("x509: invalid extension: {error}")),
                _ => false,
            };
            unhandled |= extension.critical && !handled;
        }
        drop(seen);
        Ok(Link { certificate, authority, signs, for_clients, names, constraints, unhandled })
    }

    fn check_itself(&self, now: Wall) -> Result<(), String> {
        if self.unhandled {
            return Err("x509: unhandled critical extension".to_owned());
        }
        let validity = self.certificate.validity();
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        if now.seconds < from || until < now.seconds {
            return Err("x509: certificate has expired or is not yet valid".to_owned());
        }
        Ok(())
    }

    /// Whether this is a good issuer of the last certificate of a chain.
    fn may_continue(&self, chain: &[&Link<'_>], intermediate: bool, now: Wall) -> Result<(), String> {
        let may_sign = match self.authority {
            Some((ca, _)) => ca,
            None => self.certificate.version() != X509Version::V3,
        };
        if !may_sign || self.signs == Some(false) {
            return Err("x509: invalid signature: parent certificate cannot sign this kind of certificate".to_owned());
        }
        let Some(child) = chain.last() else { return Err("no chain".to_owned()) };
        certificate_is_signed_by(&child.certificate, self.certificate.public_key())
            .map_err(|error| format!("x509: {error}"))?;
        self.check_itself(now)?;
        if intermediate && self.authority.is_none() {
            return Err("x509: certificate is not authorized to sign other certificates".to_owned());
        }
        if let Some((_, Some(between))) = self.authority
            && chain.len() - 1 > between as usize
        {
            return Err("x509: too many intermediates for path length constraint".to_owned());
        }
        Ok(())
    }

    /// Whether both stand for the same owner.
    fn is_same(&self, other: &Link<'_>) -> bool {
        self.certificate.subject().as_raw() == other.certificate.subject().as_raw()
            && self.certificate.public_key().raw == other.certificate.public_key().raw
            && self.names == other.names
    }
}

fn names_no_usage(usage: &ExtendedKeyUsage<'_>) -> bool {
    let known = usage.server_auth
        || usage.code_signing
        || usage.email_protection
        || usage.time_stamping
        || usage.ocsp_signing
        || usage.any
        || usage.client_auth;
    !known && usage.other.is_empty()
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("x509: trailing data".to_owned()),
        Err(error) => Err(format!("not a certificate: {error}")),
    }
}

#[cfg(test)]
mod tests;
