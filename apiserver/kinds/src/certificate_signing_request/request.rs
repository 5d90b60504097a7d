//! The request itself: PEM around PKCS #10, signed by the key that it is for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pem;

const KIND: &str = "CERTIFICATE REQUEST";
const CERTIFICATE: &str = "CERTIFICATE";
const OID_RSA: &str = "1.2.840.113549.1.1.";
const OID_ECDSA: &str = "1.2.840.10045.4.";
const OID_ED25519: &str = "1.3.101.112";

/// What is wrong with a request in base64, whose signature is checked too.
pub fn check(base64: &str) -> Result<(), String> {
    with_request(base64, |request| {
        let algorithm = request.signature_algorithm.algorithm.to_id_string();
        request.verify_signature().map_err(|_| signature_problem(&algorithm).to_owned())
    })?
}

/// The organizations of its subject.
pub fn organizations(base64: &str) -> Result<Vec<String>, String> {
    with_request(base64, |request| {
        let subject = &request.certification_request_info.subject;
        subject.iter_organization().filter_map(|value| value.as_str().ok().map(str::to_owned)).collect()
    })
}

fn with_request<R>(base64: &str, look: impl FnOnce(&X509CertificationRequest<'_>) -> R) -> Result<R, String> {
    let text = decoded(base64);
    let block = pem::next(&text).map(|(block, _)| block).filter(|block| block.kind == KIND);
    let Some(block) = block else { return Err(format!("PEM block type must be {KIND}")) };
    match X509CertificationRequest::from_der(&block.bytes) {
        Ok(([], request)) => Ok(look(&request)),
        Ok(_) => Err("asn1: syntax error: trailing data".to_owned()),
        Err(_) if is_cut_off(&block.bytes) => Err("asn1: syntax error: data truncated".to_owned()),
        Err(_) => Err("asn1: structure error: malformed certificate request".to_owned()),
    }
}

/// Whether the value says that it is longer than what there is.
fn is_cut_off(der: &[u8]) -> bool {
    let [_tag, length, rest @ ..] = der else { return true };
    if *length < 0x80 {
        return rest.len() < usize::from(*length);
    }
    let digits = usize::from(*length & 0x7f);
    let Some((digits, rest)) = rest.split_at_checked(digits) else { return true };
    let length = digits.iter().fold(0usize, |length, digit| length.saturating_mul(256).saturating_add((*digit).into()));
    rest.len() < length
}

fn decoded(base64: &str) -> String {
    let digits: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    String::from_utf8_lossy(&STANDARD.decode(digits).unwrap_or_default()).into_owned()
}

fn signature_problem(algorithm: &str) -> &'static str {
    match algorithm {
        _ if algorithm.starts_with(OID_RSA) => "crypto/rsa: verification error",
        _ if algorithm.starts_with(OID_ECDSA) => "x509: ECDSA verification failure",
        OID_ED25519 => "x509: Ed25519 verification failure",
        _ => "x509: cannot verify signature: algorithm unimplemented",
    }
}

/// What is wrong with a chain of certificates, in base64 too; nothing is a chain as well.
pub fn certificate_problem(base64: &str) -> Option<String> {
    if base64.is_empty() {
        return None;
    }
    let text = decoded(base64);
    let (mut rest, mut blocks) = (text.as_str(), 0);
    while let Some((block, after)) = pem::next(rest) {
        if block.kind != CERTIFICATE {
            let kind = corten_api::field::quote(&block.kind);
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {kind}"));
        }
        if block.has_headers {
            return Some("no PEM block headers are permitted".to_owned());
        }
        let mut der = block.bytes.as_slice();
        if der.is_empty() {
            return Some("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        while !der.is_empty() {
            match X509Certificate::from_der(der) {
                Ok((after, _)) => der = after,
                Err(_) => return Some("x509: malformed certificate".to_owned()),
            }
        }
        blocks += 1;
        rest = after;
    }
    (blocks == 0).then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}
