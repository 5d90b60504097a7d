//! A certificate authority, and what it can be asked to sign.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use corten_runtime::{Random, Wall};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::certificate::{self, Certificate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(3650);
const LEAF_LIFETIME: Duration = DAY.saturating_mul(365);
/// Nothing of this project existed before 2026. A clock that shows an earlier time is wrong, and will be set.
pub const PROJECT_BEGAN: Wall = Wall::from_seconds(1_767_225_600);
/// Certificates begin a little in the past, for machines whose clocks are behind.
const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// A CA whose key is at hand.
pub struct Authority {
    pub certificate: Certificate,
    pub certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Who signs a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    Cluster,
    FrontProxy,
}

/// The names that a server is reached by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub dns: Vec<String>,
    pub ips: Vec<IpAddr>,
}

/// A certificate that this cluster needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The name of its files, without an ending.
    pub file: String,
    pub common_name: String,
    pub organization: Option<String>,
    /// What it serves as; a client's certificate has none.
    pub names: Names,
    pub signer: Signer,
}

impl Leaf {
    /// The API server's own. Besides the names that every cluster has: the host's name and addresses, the first
    /// address of each service range, and what the user asks for.
    pub fn serving(names: Names) -> Leaf {
        let usual = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let usual = usual.iter().chain(&["kubernetes.default.svc.cluster.local", "localhost"]);
        let mut all = Names {
            dns: usual.map(|name| (*name).to_owned()).collect(),
            ips: vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])],
        };
        for name in names.dns {
            // A host name with capitals is the same name, and certificates are compared by bytes.
            let name = name.to_ascii_lowercase();
            if !all.dns.contains(&name) {
                all.dns.push(name);
            }
        }
        for ip in names.ips {
            // An address to bind to may be a wildcard, by which nobody is reached.
            if !ip.is_unspecified() && !all.ips.contains(&ip) {
                all.ips.push(ip);
            }
        }
        Leaf { names: all, ..Leaf::client("apiserver", "kube-apiserver", None) }
    }

    /// The administrator, whom system:masters lets do anything.
    pub fn admin() -> Leaf {
        Leaf::client("admin", "kubernetes-admin", Some("system:masters"))
    }

    pub fn controller_manager() -> Leaf {
        Leaf::client("controller-manager", "system:kube-controller-manager", None)
    }

    pub fn scheduler() -> Leaf {
        Leaf::client("scheduler", "system:kube-scheduler", None)
    }

    pub fn node(name: &str) -> Leaf {
        Leaf::client(&format!("node-{name}"), &format!("system:node:{name}"), Some("system:nodes"))
    }

    /// Whom extension API servers believe what a request's headers say of the user.
    pub fn front_proxy_client() -> Leaf {
        Leaf { signer: Signer::FrontProxy, ..Leaf::client("front-proxy-client", "front-proxy-client", None) }
    }

    /// A client that the cluster CA vouches for.
    pub fn client(file: &str, common_name: &str, organization: Option<&str>) -> Leaf {
        Leaf {
            file: file.to_owned(),
            common_name: common_name.to_owned(),
            organization: organization.map(str::to_owned),
            names: Names::default(),
            signer: Signer::Cluster,
        }
    }

    fn is_server(&self) -> bool {
        !self.names.dns.is_empty() || !self.names.ips.is_empty()
    }
}

impl Authority {
    /// A new self-signed one for the key.
    ///
    /// It has to outlive the setting of a clock that is wrong today: it is valid from a time that no right clock shows,
    /// and for its whole life after that.
    pub fn create(common_name: &str, key: KeyPair, now: Wall, random: &Random) -> Result<Authority> {
        let (begin, end) = (now.min(PROJECT_BEGAN), now.max(PROJECT_BEGAN).plus(AUTHORITY_LIFETIME));
        let mut params = parameters(common_name, None, begin, end, random)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![SanType::DnsName(common_name.try_into()?)];
        let certificate = params.self_signed(&key).context("sign a CA certificate")?;
        Authority::new(certificate.pem(), key)
    }

    /// Checks that the certificate is a CA's, is valid now, and that the key is its own.
    pub fn load(certificate_pem: &[u8], key_pem: &[u8], now: Wall) -> Result<Authority> {
        let key = load_key(key_pem)?;
        let authority = Authority::new(std::str::from_utf8(certificate_pem)?.to_owned(), key)?;
        if !authority.certificate.is_ca {
            bail!("the certificate is no CA's");
        }
        if authority.certificate.public_key != authority.issuer.key().subject_public_key_info() {
            bail!("the key is not the certificate's");
        }
        if authority.certificate.not_after <= now {
            bail!("the CA has expired");
        }
        if authority.certificate.not_before > now {
            bail!("the CA is not valid yet; is the machine's clock right?");
        }
        Ok(authority)
    }

    fn new(certificate_pem: String, key: KeyPair) -> Result<Authority> {
        let chain = certificate::chain(certificate_pem.as_bytes())?;
        let first = chain.first().context("no certificate in it")?;
        let certificate = Certificate::parse(first)?;
        let issuer =
            Issuer::from_ca_cert_der(first, key).map_err(|error| anyhow!("use the CA certificate: {error}"))?;
        Ok(Authority { certificate, certificate_pem, issuer })
    }

    /// Signs a certificate for somebody's public key, as PEM. It never outlives the CA's own.
    pub fn issue(&self, leaf: &Leaf, key: &impl PublicKeyData, now: Wall, random: &Random) -> Result<String> {
        let end = now.plus(LEAF_LIFETIME).min(self.certificate.not_after);
        let mut params = parameters(&leaf.common_name, leaf.organization.as_deref(), now, end, random)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![match leaf.is_server() {
            true => ExtendedKeyUsagePurpose::ServerAuth,
            false => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        for name in &leaf.names.dns {
            let dns = name.as_str().try_into().map_err(|_| anyhow!("{name:?} cannot be a name in a certificate"))?;
            params.subject_alt_names.push(SanType::DnsName(dns));
        }
        params.subject_alt_names.extend(leaf.names.ips.iter().map(|ip| SanType::IpAddress(*ip)));
        let signed = params.signed_by(key, &self.issuer);
        Ok(signed.with_context(|| format!("sign the certificate of {}", leaf.common_name))?.pem())
    }
}

/// A key as rcgen uses it: ECDSA or RSA in PKCS #8.
pub fn load_key(pem: &[u8]) -> Result<KeyPair> {
    let der = certificate::private_key(pem)?;
    KeyPair::try_from(&der).map_err(|error| {
        anyhow!("the key is of no supported kind ({error}); openssl pkcs8 -topk8 -nocrypt turns others into one")
    })
}

fn parameters(
    common_name: &str,
    organization: Option<&str>,
    begin: Wall,
    end: Wall,
    random: &Random,
) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    // Some verifiers refuse a time before 1970, which backdating would give where the clock shows 1970.
    params.not_before = date(Wall::from_seconds((begin.seconds - BACKDATE.as_secs() as i64).max(0)))?;
    params.not_after = date(end)?;
    // 126 random bits: positive, and never shorter for a leading zero.
    let mut serial: [u8; 16] = random.bytes();
    serial[0] = serial[0] & 0x3f | 0x40;
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    Ok(params)
}

fn date(wall: Wall) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(wall.seconds).context("the clock is beyond what a certificate can say")
}
