use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use corten_runtime::clock::ManualClock;
use corten_runtime::{CancellationToken, Clock, Random, Wall};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::authority::PROJECT_BEGAN;
use crate::certificate::chain;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Cluster {
    folder: tempfile::TempDir,
    clock: Clock,
    hands: Arc<ManualClock>,
}

impl Cluster {
    fn new() -> Cluster {
        let (clock, hands) = Clock::manual(Wall::from_seconds(1_800_000_000));
        Cluster { folder: tempfile::tempdir().unwrap(), clock, hands }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("data/pki").join(file)
    }

    fn open(&self) -> anyhow::Result<Pki> {
        Pki::open(&self.path(""), &self.clock, &Random::system())
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// What opening the authorities and the administrator's leaf says.
    fn problem(&self) -> String {
        let opened = self.open().and_then(|pki| pki.leaf(Leaf::admin()));
        format!("{:#}", opened.map(drop).unwrap_err())
    }
}

fn names(dns: &[&str], ips: &[&str]) -> Names {
    Names {
        dns: dns.iter().map(|name| (*name).to_owned()).collect(),
        ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
    }
}

fn der(pair: &Pair) -> Vec<CertificateDer<'static>> {
    chain(pair.certificate_pem.as_bytes()).unwrap()
}

#[test]
fn everything_is_made_once() {
    let cluster = Cluster::new();
    let first = cluster.open().unwrap();
    let admin = first.leaf(Leaf::admin()).unwrap();
    assert_eq!(admin.certificate.common_name, "kubernetes-admin");
    assert_eq!(admin.certificate.organizations, ["system:masters"]);
    assert_eq!(first.cluster_ca().certificate.common_name, "kubernetes");
    assert!(first.cluster_ca().certificate.is_ca && !admin.certificate.is_ca);
    let now = cluster.clock.now();
    assert_eq!(admin.certificate.not_after, now.plus(DAY * 365));
    assert_eq!(first.cluster_ca().certificate.not_after, now.plus(DAY * 3650));

    let mut files: Vec<_> = fs::read_dir(cluster.path("")).unwrap().map(|entry| entry.unwrap()).collect();
    files.sort_by_key(|file| file.file_name());
    for file in &files {
        let name = file.file_name().into_string().unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.ends_with(".key") { 0o600 } else { 0o644 }, "{name}");
    }
    let names: Vec<_> = files.iter().map(|file| file.file_name().into_string().unwrap()).collect();
    let expected =
        ["admin.crt", "admin.key", "ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];
    assert_eq!(names, expected);
    assert_eq!(fs::metadata(cluster.path("")).unwrap().permissions().mode() & 0o777, 0o700);

    let second = cluster.open().unwrap();
    assert_eq!(second.leaf(Leaf::admin()).unwrap().certificate_pem, admin.certificate_pem);
    assert_eq!(second.cluster_ca().certificate_pem, first.cluster_ca().certificate_pem);
    assert_eq!(second.service_account_key().public(), first.service_account_key().public());
}

#[test]
fn identities_are_upstreams() {
    let cluster = Cluster::new();
    let pki = cluster.open().unwrap();
    let check = |leaf: Leaf, common_name: &str, organization: &str| {
        let certificate = pki.leaf(leaf).unwrap().certificate.clone();
        assert_eq!(
            (certificate.common_name.as_str(), certificate.organizations.join("|").as_str()),
            (common_name, organization)
        );
    };
    check(Leaf::controller_manager(), "system:kube-controller-manager", "");
    check(Leaf::scheduler(), "system:kube-scheduler", "");
    check(Leaf::node("n.example"), "system:node:n.example", "system:nodes");
    check(Leaf::front_proxy_client(), "front-proxy-client", "");
    check(Leaf::serving(Names::default()), "kube-apiserver", "");
    assert!(pki.leaf(Leaf::node("../../n")).is_err());
}

#[test]
fn a_key_without_its_certificate_gets_one() {
    let cluster = Cluster::new();
    cluster.open().unwrap().leaf(Leaf::admin()).unwrap();
    let keys = (cluster.read("ca.key"), cluster.read("admin.key"));
    for file in ["ca.crt", "admin.crt", "sa.pub"] {
        fs::remove_file(cluster.path(file)).unwrap();
    }
    fs::write(cluster.path(".ca.crt.1.tmp"), "half").unwrap();
    // The administrator's certificate is gone, so that the new CA certificate may sign a new one.
    let pki = cluster.open().unwrap();
    pki.leaf(Leaf::admin()).unwrap();
    assert_eq!((cluster.read("ca.key"), cluster.read("admin.key")), keys);
    assert_eq!(cluster.read("sa.pub"), pki.service_account_key().public().to_pem());
}

#[test]
fn files_that_cannot_be_used_stay_and_say_what_to_do() {
    fn check(spoil: impl Fn(&Cluster, &Cluster), expected: &[&str]) {
        let (cluster, other) = (Cluster::new(), Cluster::new());
        for each in [&cluster, &other] {
            each.open().unwrap().leaf(Leaf::admin()).unwrap();
        }
        spoil(&cluster, &other);
        let snapshot = |cluster: &Cluster| {
            let mut files: Vec<_> = fs::read_dir(cluster.path("")).unwrap().map(|file| file.unwrap().path()).collect();
            files.sort();
            files.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
        };
        let before = snapshot(&cluster);
        let problem = cluster.problem();
        for part in expected {
            assert!(problem.contains(part), "{problem} lacks {part}");
        }
        assert_eq!(snapshot(&cluster), before);
    }
    let write = |file: &'static str, text: &'static str| {
        move |cluster: &Cluster, _: &Cluster| fs::write(cluster.path(file), text).unwrap()
    };
    let remove =
        |file: &'static str| move |cluster: &Cluster, _: &Cluster| fs::remove_file(cluster.path(file)).unwrap();
    let copy = |file: &'static str| {
        move |cluster: &Cluster, other: &Cluster| fs::write(cluster.path(file), other.read(file)).unwrap()
    };
    check(write("ca.crt", "x"), &["pki/ca.crt", "restore it from a backup", "no certificate in it"]);
    check(write("ca.key", "x"), &["pki/ca", "no private key in it"]);
    check(remove("ca.key"), &["pki/ca.key", "its key is missing", "restore"]);
    check(copy("ca.key"), &["the key is not the certificate's"]);
    check(copy("front-proxy-ca.crt"), &["front-proxy-ca", "the key is not the certificate's"]);
    check(write("admin.crt", ""), &["pki/admin.crt", "remove", "pki/admin.{crt,key}", "no certificate in it"]);
    check(remove("admin.key"), &["pki/admin.key", "its key is missing"]);
    check(copy("admin.key"), &["pki/admin.crt", "the key is not the certificate's"]);
    check(write("sa.key", ""), &["pki/sa.key", "tokens handed out"]);
    check(remove("sa.key"), &["pki/sa.key", "its key is missing"]);
    check(copy("sa.pub"), &["pki/sa.pub", "it is not the public half"]);
    let both = |cluster: &Cluster, other: &Cluster| {
        copy("admin.crt")(cluster, other);
        copy("admin.key")(cluster, other);
    };
    check(both, &["pki/admin.crt", "another CA than kubernetes signed it"]);
    let anothers = |cluster: &Cluster, _: &Cluster| {
        cluster.open().unwrap().leaf(Leaf::scheduler()).unwrap();
        fs::write(cluster.path("admin.crt"), cluster.read("scheduler.crt")).unwrap();
        fs::write(cluster.path("admin.key"), cluster.read("scheduler.key")).unwrap();
    };
    check(anothers, &["made out to \"system:kube-scheduler\", not to \"kubernetes-admin\""]);
    check(|cluster, _| cluster.hands.advance(DAY * 3651), &["pki/ca.crt", "the CA has expired"]);
    let back = |cluster: &Cluster, _: &Cluster| cluster.hands.set_wall(Wall::from_seconds(1_000_000_000));
    check(back, &["pki/ca.crt", "is the machine's clock right?"]);
}

#[test]
fn a_key_that_others_can_read_is_made_private() {
    let cluster = Cluster::new();
    cluster.open().unwrap();
    fs::set_permissions(cluster.path("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    cluster.open().unwrap();
    assert_eq!(fs::metadata(cluster.path("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn serving_names() {
    let cluster = Cluster::new();
    let pki = cluster.open().unwrap();
    let asked = names(&["Host.Example", "localhost"], &["10.96.0.1", "0.0.0.0", "::", "127.0.0.1", "192.0.2.7"]);
    let pair = pki.leaf(Leaf::serving(asked)).unwrap();
    let usual = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    assert_eq!(pair.certificate.dns_names[..5], usual);
    assert_eq!(pair.certificate.dns_names[5..], ["host.example"]);
    let ips: Vec<IpAddr> = ["127.0.0.1", "::1", "10.96.0.1", "192.0.2.7"].map(|ip| ip.parse().unwrap()).into();
    assert_eq!(pair.certificate.ips, ips);

    // Fewer names are covered by it; another one is not.
    let fewer = cluster.open().unwrap().leaf(Leaf::serving(names(&[], &["192.0.2.7"]))).unwrap();
    assert_eq!(fewer.certificate_pem, pair.certificate_pem);
    let other = cluster.open().unwrap().leaf(Leaf::serving(names(&[], &["192.0.2.8"]))).unwrap();
    assert_ne!(other.certificate_pem, pair.certificate_pem);
    assert_eq!(other.key_pem, pair.key_pem);
    assert!(cluster.open().unwrap().leaf(Leaf::serving(names(&["ü"], &[]))).is_err());
}

#[test]
fn leaves_are_renewed_when_less_than_a_third_is_left() {
    let cluster = Cluster::new();
    let pki = cluster.open().unwrap();
    let first = pki.leaf(Leaf::admin()).unwrap();
    let renew = |pki: &Pki| {
        let mut renewed = Vec::new();
        pki.renew(|file, pair| renewed.push((file.to_owned(), Arc::clone(pair)))).unwrap();
        renewed
    };
    cluster.hands.advance(DAY * 255);
    assert!(renew(&pki).is_empty());
    assert_eq!(cluster.open().unwrap().leaf(Leaf::admin()).unwrap().certificate_pem, first.certificate_pem);
    cluster.hands.advance(DAY);
    assert!(pki.next_due().unwrap() < cluster.clock.now());
    let renewed = renew(&pki);
    assert_eq!(renewed[0].0, "admin");
    assert_eq!(cluster.read("admin.crt"), renewed[0].1.certificate_pem);
    assert_eq!(renewed[0].1.certificate.not_after, cluster.clock.now().plus(DAY * 365));
    assert_eq!(renewed[0].1.key_pem, first.key_pem);
    assert!(renew(&pki).is_empty());

    // One that has expired while nothing ran is renewed at start.
    cluster.hands.advance(DAY * 400);
    let again = cluster.open().unwrap().leaf(Leaf::admin()).unwrap();
    assert_eq!(again.certificate.not_after, cluster.clock.now().plus(DAY * 365));
    // No leaf outlives its CA.
    cluster.hands.advance(DAY * (3650 - 656 - 10));
    let last = cluster.open().unwrap().leaf(Leaf::admin()).unwrap();
    assert_eq!(last.certificate.not_after, cluster.open().unwrap().cluster_ca().certificate.not_after);
}

#[tokio::test]
async fn leaves_are_renewed_while_running() {
    let cluster = Cluster::new();
    let pki = Arc::new(cluster.open().unwrap());
    pki.leaf(Leaf::admin()).unwrap();
    let (sender, mut renewed) = unbounded_channel();
    let token = CancellationToken::new();
    let task = pki.keep_renewed(token.clone(), move |file, _| sender.send(file.to_owned()).unwrap());
    let test = async {
        let mut sleeps = 0;
        let file = loop {
            tokio::select! {
                biased;
                file = renewed.recv() => break file.unwrap(),
                () = cluster.hands.wait_for_sleepers(1) => assert!(cluster.hands.advance_to_next()),
            }
            sleeps += 1;
        };
        assert_eq!(file, "admin");
        assert_eq!(sleeps, 1);
        token.cancel();
    };
    tokio::join!(task, test);
}

/// Runs `keep_renewed` beside a test that is told of each renewal.
async fn while_renewing(pki: &Arc<Pki>, test: impl AsyncFnOnce(&mut UnboundedReceiver<String>)) {
    let (sender, mut renewed) = unbounded_channel();
    let token = CancellationToken::new();
    let task = Arc::clone(pki).keep_renewed(token.clone(), move |file, _| sender.send(file.to_owned()).unwrap());
    let test = async {
        test(&mut renewed).await;
        token.cancel();
    };
    tokio::join!(task, test);
}

async fn next(renewed: &mut UnboundedReceiver<String>) -> String {
    let next = tokio::time::timeout(Duration::from_secs(60), renewed.recv()).await;
    next.expect("nothing was renewed").expect("the task goes on")
}

#[tokio::test]
async fn a_leaf_that_is_added_later_is_renewed_in_time() {
    let cluster = Cluster::new();
    cluster.open().unwrap().leaf(Leaf::admin()).unwrap();
    cluster.hands.advance(DAY * 200);
    let pki = Arc::new(cluster.open().unwrap());
    pki.leaf(Leaf::scheduler()).unwrap();
    while_renewing(&pki, async |renewed| {
        cluster.hands.wait_for_sleepers(1).await;
        // This one was made 200 days before the other.
        let mut admin = pki.follow(Leaf::admin()).unwrap();
        admin.mark_unchanged();
        cluster.hands.advance(DAY * 56);
        assert_eq!(next(renewed).await, "admin");
        admin.changed().await.unwrap();
        assert_eq!(admin.borrow().certificate.not_after, cluster.clock.now().plus(DAY * 365));
    })
    .await;
}

#[tokio::test]
async fn a_jump_of_the_clock_is_noticed_at_once() {
    const START: i64 = 1_800_000_000;
    const YEAR: i64 = 365 * 24 * 60 * 60;
    for jump in [YEAR, -YEAR] {
        let cluster = Cluster::new();
        let pki = Arc::new(cluster.open().unwrap());
        pki.leaf(Leaf::admin()).unwrap();
        while_renewing(&pki, async |renewed| {
            cluster.hands.wait_for_sleepers(1).await;
            cluster.hands.set_wall(Wall::from_seconds(START + jump));
            assert_eq!(next(renewed).await, "admin", "{jump}");
        })
        .await;
        assert!(!pki.leaf(Leaf::admin()).unwrap().certificate.is_due(cluster.clock.now()), "{jump}");
    }
}

#[tokio::test]
async fn a_jump_that_nothing_tells_of_is_noticed_in_half_a_day() {
    for jump in [DAY.as_secs() as i64 * 365, -(DAY.as_secs() as i64) * 365] {
        let cluster = Cluster::new();
        cluster.hands.hide_jumps();
        let pki = Arc::new(cluster.open().unwrap());
        pki.leaf(Leaf::admin()).unwrap();
        while_renewing(&pki, async |renewed| {
            cluster.hands.wait_for_sleepers(1).await;
            let before = cluster.clock.monotonic();
            cluster.hands.set_wall(Wall::from_seconds(cluster.clock.now().seconds + jump));
            assert!(cluster.hands.advance_to_next());
            assert_eq!(cluster.clock.since(before), DAY / 2, "{jump}");
            assert_eq!(next(renewed).await, "admin", "{jump}");
        })
        .await;
    }
}

#[test]
fn a_leaf_that_cannot_be_renewed_holds_up_no_other() {
    let cluster = Cluster::new();
    let pki = cluster.open().unwrap();
    // In the order of their files.
    for leaf in [Leaf::admin(), Leaf::controller_manager(), Leaf::scheduler()] {
        pki.leaf(leaf).unwrap();
    }
    for file in ["admin.crt", "controller-manager.crt"] {
        fs::remove_file(cluster.path(file)).unwrap();
        fs::create_dir(cluster.path(file)).unwrap();
    }
    cluster.hands.advance(DAY * 256);
    let mut renewed = Vec::new();
    let error = format!("{:#}", pki.renew(|file, _| renewed.push(file.to_owned())).unwrap_err());
    assert!(error.contains("admin.crt"), "{error}");
    assert_eq!(renewed, ["scheduler"]);
    fs::remove_dir(cluster.path("admin.crt")).unwrap();
    pki.renew(|file, _| renewed.push(file.to_owned())).unwrap_err();
    assert_eq!(renewed, ["scheduler", "admin"]);
}

#[test]
fn what_is_made_by_a_wrong_clock_can_be_used_when_it_is_set() {
    let years = |count: u32| DAY * 365 * count;
    for wrong in [0, 299, 946_684_800, 4_000_000_000] {
        let cluster = Cluster::new();
        cluster.hands.set_wall(Wall::from_seconds(wrong));
        let pki = cluster.open().unwrap();
        let pair = pki.leaf(Leaf::admin()).unwrap();
        assert!(!pair.certificate.is_due(cluster.clock.now()), "{wrong}");
        for certificate in [&pair.certificate, &pki.cluster_ca().certificate] {
            assert!(certificate.not_before >= Wall::from_seconds(0), "{wrong}: {:?}", certificate.not_before);
        }
        for now in [PROJECT_BEGAN, PROJECT_BEGAN.plus(years(9))] {
            cluster.hands.set_wall(now);
            // The server runs on, or is started again.
            pki.renew(|_, _| ()).unwrap();
            for pki in [&pki, &cluster.open().unwrap()] {
                let pair = pki.leaf(Leaf::admin()).unwrap();
                assert!(!pair.certificate.is_due(now) && now < pair.certificate.not_after, "{wrong} {now:?}");
            }
        }
    }
}

/// What each side sees after a handshake: the certificate that the server showed, the client's, and the protocol.
type Seen = (Vec<u8>, Option<Vec<u8>>, Vec<u8>);

fn shake_hands(
    pki: &Pki,
    serving: &Arc<ServingCertificate>,
    client: Option<&Pair>,
    name: &str,
) -> Result<Seen, String> {
    let mut roots = RootCertStore::empty();
    roots.add(chain(pki.cluster_ca().certificate_pem.as_bytes()).unwrap().remove(0)).unwrap();
    let server = server_config(Arc::clone(serving), roots.subjects()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = certificate::private_key(pair.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(der(pair), key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut &bytes[..]).unwrap();
        server.process_new_packets().map_err(|error| format!("server: {error}"))?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut &bytes[..]).unwrap();
        client.process_new_packets().map_err(|error| format!("client: {error}"))?;
    }
    let first = |chain: Option<&[CertificateDer<'_>]>| chain.and_then(|chain| chain.first()).map(|der| der.to_vec());
    let protocol = server.alpn_protocol().unwrap_or_default().to_vec();
    Ok((first(client.peer_certificates()).unwrap(), first(server.peer_certificates()), protocol))
}

#[test]
fn the_server_takes_every_client_and_shows_the_newest_certificate() {
    // Handshakes look at the real clock.
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::open(folder.path(), &Clock::system(), &Random::system()).unwrap();
    let pair = pki.leaf(Leaf::serving(Names::default())).unwrap();
    let serving = ServingCertificate::new(&pair).unwrap();
    let shown = der(&pair)[0].to_vec();
    let (admin, stranger) = (pki.leaf(Leaf::admin()).unwrap(), pki.leaf(Leaf::front_proxy_client()).unwrap());
    for client in [None, Some(&admin), Some(&stranger)] {
        let seen = shake_hands(&pki, &serving, client.map(Arc::as_ref), "kubernetes.default.svc").unwrap();
        let expected = client.map(|pair| der(pair)[0].to_vec());
        assert_eq!(seen, (shown.clone(), expected, b"h2".to_vec()));
    }
    shake_hands(&pki, &serving, None, "127.0.0.1").unwrap();
    assert!(shake_hands(&pki, &serving, None, "elsewhere").unwrap_err().starts_with("client: "));

    let next = pki.leaf(Leaf::serving(names(&["elsewhere"], &[]))).unwrap();
    serving.replace(&next).unwrap();
    assert_eq!(shake_hands(&pki, &serving, None, "elsewhere").unwrap().0, der(&next)[0].to_vec());

    let (certificate, key) = (folder.path().join("apiserver.crt"), folder.path().join("admin.key"));
    let error = format!("{:#}", serving.replace_from_files(&certificate, &key).unwrap_err());
    assert!(error.contains("admin.key: the key is not the certificate's"), "{error}");
    let files = ServingCertificate::from_files(&certificate, &folder.path().join("apiserver.key")).unwrap();
    assert_eq!(files.current().cert, serving.current().cert);
}

#[test]
fn a_leaf_is_due_when_seven_tenths_have_passed() {
    let certificate = Certificate {
        not_before: Wall::from_seconds(0),
        not_after: Wall::from_seconds(1000),
        ..Certificate::from_pem(include_bytes!("keys/testdata/rsa2048-certificate.pem")).unwrap()
    };
    assert_eq!(certificate.renew_at(), Wall::from_seconds(700));
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    fs::create_dir(&path).unwrap();
    let error = format!("{:#}", write_atomically(&path, b"x", 0o600).unwrap_err());
    assert!(error.starts_with(&format!("write {}: ", path.display())), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(write_atomically(&folder.path().join("gone/x"), b"x", 0o600).is_err());
}
