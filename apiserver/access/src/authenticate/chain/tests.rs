//! Chains of the kinds that there are; what is expected is what Go's x509.Verify says of the same certificates.

use x509_parser::pem::Pem;

use super::*;

macro_rules! pem {
    ($($name:literal),*) => {
        [$(include_bytes!(concat!("../testdata/", $name, ".pem")).as_slice()),*]
    };
}

fn ders(pems: &[&[u8]]) -> Vec<CertificateDer<'static>> {
    let der = |pem: &&[u8]| Pem::iter_from_buffer(pem).next().unwrap().unwrap().contents.into();
    pems.iter().map(der).collect()
}

#[test]
fn vouches_for_what_go_vouches_for() {
    let roots = ders(&pem!["client-ca", "rsa-ca", "p521-ca", "p384-ca", "version1-ca"]);
    let roots = Roots::new(roots.into_iter()).unwrap();
    // 2024-01-01
    let now = Wall::from_seconds(1_704_067_200);
    let check = |chain: &[&[u8]], expected: &str| {
        let found = verify(&ders(chain), &roots, now).err().unwrap_or_default();
        assert!(
            if expected.is_empty() { found.is_empty() } else { found.contains(expected) },
            "{found}, not {expected}"
        );
    };
    let (unknown, usage) = ("signed by unknown authority", "incompatible key usage");
    check(&pem!["jane"], "");
    check(&pem!["below", "intermediate"], "");
    check(&pem!["below", "stranger", "jane", "intermediate"], "");
    check(&pem!["below"], unknown);
    check(&pem!["stranger"], unknown);
    // Of any version, use and key.
    check(&pem!["version1"], "");
    check(&pem!["any-usage"], "");
    check(&pem!["no-usage"], "");
    check(&pem!["server"], usage);
    check(&pem!["p521"], "");
    check(&pem!["rsa1024"], "");
    check(&pem!["ed25519"], "");
    check(&pem!["critical"], "unhandled critical extension");
    check(&pem!["expired"], "has expired or is not yet valid");
    check(&pem!["later"], "has expired or is not yet valid");
    // An authority is a client like others.
    check(&pem!["intermediate"], "");
    check(&pem!["client-ca"], "");
    // Signed by keys of any kind, by authorities of any version.
    check(&pem!["below-rsa"], "");
    check(&pem!["below-p384"], "");
    check(&pem!["below-p521"], "");
    check(&pem!["below-version1"], "");
    // Who may not sign.
    check(&pem!["below-leaf", "jane"], "cannot sign this kind of certificate");
    check(&pem!["below-version1-leaf", "version1"], "not authorized to sign");
    check(&pem!["below-signs-nothing", "signs-nothing"], "cannot sign this kind of certificate");
    check(&pem!["last"], "");
    check(&pem!["below-last", "last"], "");
    check(&pem!["after-last", "last"], "");
    check(&pem!["too-deep", "last", "after-last"], "too many intermediates for path length constraint");
    check(&pem!["of-servers"], usage);
    check(&pem!["below-servers", "of-servers"], usage);
    check(&pem!["a", "of-a"], "");
    check(&pem!["b", "of-a"], "not authorized to sign for this name");
    check(&pem!["no-name", "of-a"], "");
}

#[test]
fn a_signature_of_another_certificate_does_not_count() {
    let roots = Roots::new(ders(&pem!["client-ca", "p521-ca"]).into_iter()).unwrap();
    for name in [pem!["jane"], pem!["version1"], pem!["below-p521"]] {
        let mut der = ders(&name).remove(0).to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        let found = verify(&[der.into()], &roots, Wall::from_seconds(1_704_067_200));
        assert!(found.unwrap_err().contains("verification failure"));
    }
}

/// A client cannot make the search long: many certificates of one name, each as good an issuer as the others.
#[test]
fn the_search_for_a_chain_ends() {
    let roots = Roots::new(ders(&pem!["client-ca"]).into_iter()).unwrap();
    let [below, intermediate] = pem!["below", "short-ca"];
    let mut chain = ders(&[below]);
    for _ in 0..200 {
        chain.extend(ders(&[intermediate]));
    }
    chain.extend(std::iter::repeat_n(ders(&pem!["intermediate"]).remove(0), 200));
    assert_eq!(verify(&chain, &roots, Wall::from_seconds(1_704_067_200)), Ok(()));
}
