//! Certificate authorities, and connections whose certificates they vouch for.
//!
//! TLS asks every client for a certificate and takes any (`corten_pki::any_client`): a client may also bring a token,
//! and what is wrong with a certificate becomes a 401 rather than a broken handshake. Whether a certificate is good is decided here, once for a
//! connection and a set of authorities, and again when either changes or a certificate of the chain begins or ceases to
//! be valid.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use corten_runtime::clock::Wall;
use rustls::DistinguishedName;
use rustls::pki_types::CertificateDer;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::chain;
use crate::user::User;

/// A set of authorities that can be exchanged while everything runs.
pub struct TrustBundle(ArcSwap<Authorities>);

struct Authorities {
    certificates: Vec<(CertificateDer<'static>, Validity)>,
    roots: chain::Roots,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Validity {
    from: i64,
    until: i64,
}

/// The client certificates of a connection, its own first. One for each connection, because it remembers what was found
/// out about them.
pub struct Peer {
    chain: Vec<CertificateDer<'static>>,
    /// By role.
    known: [ArcSwapOption<Known>; 2],
}

/// What a certificate may be good for; each has authorities of its own.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Client,
    FrontProxy,
}

struct Known {
    by: Arc<Authorities>,
    /// As long as no certificate that could matter starts or ends being valid.
    validity: Validity,
    user: Result<Option<User>, String>,
}

impl TrustBundle {
    /// Certificates in PEM; at least one.
    pub fn from_pem(pem: &[u8]) -> Result<TrustBundle, String> {
        Ok(TrustBundle(ArcSwap::from_pointee(Authorities::from_pem(pem)?)))
    }

    /// The authorities' names, by which a client chooses among its certificates.
    pub fn subjects(&self) -> Vec<DistinguishedName> {
        self.0.load().roots.subjects().map(|name| DistinguishedName::from(name.to_vec())).collect()
    }

    /// Takes effect with the next request, on living connections too.
    pub fn replace(&self, pem: &[u8]) -> Result<(), String> {
        self.0.store(Arc::new(Authorities::from_pem(pem)?));
        Ok(())
    }
}

impl Peer {
    /// `None` for a client without a certificate.
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Option<Peer> {
        (!chain.is_empty()).then(|| Peer { chain, known: Default::default() })
    }

    /// The user in the certificate, if these authorities vouch for it.
    pub(super) fn verified(
        &self,
        role: Role,
        trust: &TrustBundle,
        now: Wall,
        user_of: impl FnOnce(&[u8]) -> Result<Option<User>, String>,
    ) -> Result<Option<User>, String> {
        let authorities = trust.0.load();
        let slot = &self.known[role as usize];
        if let Some(known) = &*slot.load()
            && Arc::ptr_eq(&known.by, &authorities)
            && known.validity.holds(now)
        {
            return known.user.clone();
        }
        let validity = authorities.unchanged_around(&self.chain, now)?;
        let user = authorities.verify(&self.chain, now).and_then(|()| user_of(&self.chain[0]));
        slot.store(Some(Arc::new(Known { by: Arc::clone(&authorities), validity, user: user.clone() })));
        user
    }
}

impl Authorities {
    fn from_pem(pem: &[u8]) -> Result<Authorities, String> {
        let blocks = Pem::iter_from_buffer(pem).filter_map(Result::ok).filter(|block| block.label == "CERTIFICATE");
        let mut certificates = Vec::new();
        for der in blocks.map(|block| CertificateDer::from(block.contents)) {
            let validity = Validity::of(&der)?;
            certificates.push((der, validity));
        }
        if certificates.is_empty() {
            return Err("no certificates in PEM format".to_owned());
        }
        let roots = chain::Roots::new(certificates.iter().map(|(der, _)| der.clone()))?;
        Ok(Authorities { certificates, roots })
    }

    /// The time in which the answer stays what it is now.
    fn unchanged_around(&self, chain: &[CertificateDer<'_>], now: Wall) -> Result<Validity, String> {
        let mut all = Validity { from: i64::MIN, until: i64::MAX };
        for certificate in chain {
            all.narrow(Validity::of(certificate)?, now);
        }
        self.certificates.iter().for_each(|(_, validity)| all.narrow(*validity, now));
        Ok(all)
    }

    fn verify(&self, chain: &[CertificateDer<'_>], now: Wall) -> Result<(), String> {
        chain::verify(chain, &self.roots, now)
            .map_err(|error| format!("verifying certificate {} failed: {error}", identify(&chain[0])))
    }
}

impl Validity {
    fn of(der: &[u8]) -> Result<Validity, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| format!("not a certificate: {error}"))?;
        let validity = certificate.validity();
        Ok(Validity { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() })
    }

    fn holds(self, now: Wall) -> bool {
        self.from <= now.seconds && now.seconds <= self.until
    }

    /// To the time around `now` in which nothing about `other` changes.
    fn narrow(&mut self, other: Validity, now: Wall) {
        for (starts_a_new_time, edge) in [(other.from, other.from - 1), (other.until + 1, other.until)] {
            if now.seconds >= starts_a_new_time {
                self.from = self.from.max(starts_a_new_time);
            } else {
                self.until = self.until.min(edge);
            }
        }
    }
}

/// A certificate in a log line.
fn identify(der: &[u8]) -> String {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => {
            format!("SN={}, issued by {}", certificate.raw_serial_as_string(), certificate.issuer())
        }
        Err(_) => "that is not readable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_holds_until_something_begins_or_ends() {
        let check = |validities: &[(i64, i64)], now, expected: (i64, i64)| {
            let mut all = Validity { from: 0, until: 1000 };
            let now = Wall::from_seconds(now);
            validities.iter().for_each(|&(from, until)| all.narrow(Validity { from, until }, now));
            assert_eq!((all.from, all.until), expected, "{validities:?} at {now:?}");
        };
        check(&[], 5, (0, 1000));
        check(&[(10, 20)], 15, (10, 20));
        check(&[(10, 20), (12, 30)], 15, (12, 20));
        check(&[(10, 20)], 5, (0, 9));
        check(&[(10, 20)], 25, (21, 1000));
        check(&[(10, 20), (1, 5), (17, 19)], 15, (10, 16));
    }
}
