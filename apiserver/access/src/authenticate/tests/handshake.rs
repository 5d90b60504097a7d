//! TLS with certificates of any kind, as the server asks for them.

use std::io::Cursor;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots.clone());
    let config = match client {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
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
        server.process_new_packets().unwrap();
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = Cursor::new(bytes);
        while client.read_tls(&mut bytes).unwrap() > 0 {}
        client.process_new_packets().unwrap();
    }
    server.peer_certificates().map(<[_]>::to_vec)
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
    check(Some(leaf("jane", &other)), "UnknownIssuer");
}
