//! Bundles of CA certificates, as they are passed on to others.

use std::time::Duration;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use corten_runtime::Wall;

use crate::certificate::{Certificate, chain};

/// A certificate is passed on until so long after its end, because clocks differ.
const SLACK: Duration = Duration::from_secs(300);

/// The certificates of both, each once, those of the first before those of the second, without what has expired.
pub fn union_of_bundles(first: &str, second: &str, now: Wall) -> Result<String> {
    let mut taken = Vec::new();
    for pem in [first, second].into_iter().filter(|pem| !pem.is_empty()) {
        for der in chain(pem.as_bytes())? {
            let alive = Certificate::parse(&der)?.not_after.plus(SLACK) > now;
            if alive && !taken.contains(&der) {
                taken.push(der);
            }
        }
    }
    Ok(taken.iter().map(|der| to_pem(der)).collect())
}

/// In lines of 64 letters, as Go writes them.
fn to_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall { seconds: 1_800_000_000, nanos: 0 };

    /// A certificate that ends so many seconds from now.
    fn certificate(ends: i64) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(NOW.seconds + ends).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        to_pem(params.self_signed(&key).unwrap().der())
    }

    #[test]
    fn certificates_are_taken_once_and_leave_when_they_have_expired() {
        let (a, b, gone) = (certificate(3600), certificate(-299), certificate(-301));
        let (a_b, gone_a) = (format!("{a}{b}"), format!("{gone}{a}"));
        for (first, second, expected) in [
            ("", a.as_str(), a.as_str()),
            (&a, "", &a),
            (&a, &a, &a),
            (&a, &b, &a_b),
            (&a_b, &b, &a_b),
            (&gone_a, &b, &a_b),
            (&gone, "", ""),
        ] {
            assert_eq!(union_of_bundles(first, second, NOW).unwrap(), expected, "{first} and {second}");
        }
        assert!(union_of_bundles("no certificate", &a, NOW).is_err());
    }

    #[test]
    fn pem_is_what_the_authorities_are_written_in() {
        let certificate = rcgen::generate_simple_self_signed(Vec::new()).unwrap().cert;
        assert_eq!(to_pem(certificate.der()), certificate.pem().replace("\r\n", "\n"));
    }
}
