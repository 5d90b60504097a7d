//! TLS with certificates of any kind, as the server asks for them.

use std::io::Cursor;

use p521::ecdsa::signature::hazmat::RandomizedPrehashSigner;
use p521::elliptic_curve::rand_core::{self, CryptoRng, RngCore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme,
};

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(name: &str, issuer: &Authority) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// The certificates that the server gets to see.
fn shake_hands(
    server: &Arc<ServerConfig>,
    roots: &RootCertStore,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Option<Vec<CertificateDer<'static>>> {
    let provider = rustls::crypto::ring::default_provider();
    let client = client.map(|(chain, key)| CertifiedKey::from_der(chain, key, &provider).unwrap());
    try_to_shake_hands(server, roots, client).unwrap()
}

fn try_to_shake_hands(
    server: &Arc<ServerConfig>,
    roots: &RootCertStore,
    client: Option<CertifiedKey>,
) -> Result<Option<Vec<CertificateDer<'static>>>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots.clone());
    let config = match client {
        Some(client) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(client))),
        None => config.with_no_client_auth(),
    };
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = Cursor::new(bytes);
        while server.read_tls(&mut bytes).unwrap() > 0 {}
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = Cursor::new(bytes);
        while client.read_tls(&mut bytes).unwrap() > 0 {}
        client.process_new_packets()?;
    }
    Ok(server.peer_certificates().map(<[_]>::to_vec))
}

#[test]
fn any_certificate_gets_through_and_is_judged_afterwards() {
    let (ours, other) = (authority("ours"), authority("other"));
    let trust = Arc::new(TrustBundle::from_pem(ours.pem().as_bytes()).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_client_cert_verifier(corten_pki::any_client(trust.subjects()));
    let (chain, key) = leaf("server", &ours);
    let server = Arc::new(server.with_single_cert(chain, key).unwrap());
    let mut roots = RootCertStore::empty();
    roots.add(ours.der().clone()).unwrap();

    let authenticators = Authenticators {
        client_certificates: Some(ClientCertificates { trust, clock: clock().0 }),
        ..Authenticators::default()
    };
    let check = |client, expected: &str| {
        let peer = shake_hands(&server, &roots, client).and_then(Peer::new);
        let found = ask(&authenticators, "/", &[], peer.as_ref()).0;
        assert!(found.contains(expected), "{found}");
    };
    check(None, ANONYMOUS_USER);
    check(Some(leaf("jane", &ours)), "jane [system:authenticated]");
    check(Some(leaf("jane", &other)), "signed by unknown authority");
}

/// A P-521 key, with which rustls' own cryptography cannot sign either.
#[derive(Clone)]
struct P521(p521::ecdsa::SigningKey);

impl P521 {
    /// From PKCS #8: the number follows the mark of a string of 66 bytes.
    fn from_pem(pem: &[u8]) -> P521 {
        let der = x509_parser::pem::Pem::iter_from_buffer(pem).next().unwrap().unwrap().contents;
        let at = der.windows(2).position(|bytes| bytes == [4, 66]).unwrap() + 2;
        P521(p521::ecdsa::SigningKey::from_slice(&der[at..at + 66]).unwrap())
    }
}

impl std::fmt::Debug for P521 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P521")
    }
}

impl SigningKey for P521 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let hash = ring::digest::digest(&ring::digest::SHA512, message);
        let signature = self.0.sign_prehash_with_rng(&mut Ones, hash.as_ref());
        let signature: p521::ecdsa::Signature = signature.map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

/// What a signature needs at random; nobody learns anything from this one.
struct Ones;

impl RngCore for Ones {
    fn next_u32(&mut self) -> u32 {
        0x0101_0101
    }

    fn next_u64(&mut self) -> u64 {
        0x0101_0101_0101_0101
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(1);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        bytes.fill(1);
        Ok(())
    }
}

impl CryptoRng for Ones {}

/// Certificates that webpki would not even read, and a key that ring does not know: the handshake succeeds, and a
/// certificate that is no good is one more credential that proves nothing.
#[test]
fn any_certificate_gets_through_the_handshake() {
    let ours = authority("ours");
    let (chain, key) = leaf("server", &ours);
    let mut roots = RootCertStore::empty();
    roots.add(ours.der().clone()).unwrap();
    let trust = Arc::new(TrustBundle::from_pem(include_bytes!("../testdata/client-ca.pem")).unwrap());
    let p521 = P521::from_pem(include_bytes!("../testdata/p521.key"));
    let mut number = [1; 66];
    number[0] = 0;
    let stranger = P521(p521::ecdsa::SigningKey::from_slice(&number).unwrap());
    let authenticators = Authenticators {
        client_certificates: Some(ClientCertificates { trust: Arc::clone(&trust), clock: clock().0 }),
        ..Authenticators::default()
    };
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let server = server.with_client_cert_verifier(corten_pki::any_client(trust.subjects()));
        let server = Arc::new(server.with_single_cert(chain.clone(), key.clone_key()).unwrap());
        let check = |pem: &[u8], key: &P521, expected: Option<&str>| {
            let der = x509_parser::pem::Pem::iter_from_buffer(pem).next().unwrap().unwrap().contents;
            let own = CertifiedKey::new(vec![der.into()], Arc::new(key.clone()));
            let found = try_to_shake_hands(&server, &roots, Some(own))
                .map(|chain| ask(&authenticators, "/", &[], chain.and_then(Peer::new).as_ref()).0);
            match expected {
                Some(expected) => assert!(found.as_ref().is_ok_and(|found| found.contains(expected)), "{found:?}"),
                None => assert!(found.is_err(), "{found:?}"),
            }
        };
        check(include_bytes!("../testdata/p521.pem"), &p521, Some("p521 [system:authenticated]"));
        check(include_bytes!("../testdata/version1.pem"), &p521, Some("version1 [system:authenticated]"));
        check(include_bytes!("../testdata/critical.pem"), &p521, Some("unhandled critical extension"));
        check(include_bytes!("../testdata/p521.pem"), &stranger, None);
        check(include_bytes!("../testdata/jane.pem"), &p521, None);
    }
}
