//! What the etcd engine promises beyond the contract, on a real etcd: the one on the PATH, or CORTEN_ETCD.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use corten_runtime::{Clock, Scope, Wall};
use corten_store::etcd::{Options, Tls};
use corten_store::{
    Applied, Encoding, Error, Etcd, Expect, KeyValue, OpenError, Put, Read, Span, Store, WatchFrom, WriteError,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::conformance::Fixture;
use crate::history::History;
use crate::support::{PATIENCE, create, events, free_port, get, put, revision, short, try_put, watch, within};

/// A service that has been dead for decades, on a port that is given to nobody else.
const DEAD_PORT: u16 = 1;

/// An etcd of our own, in a folder and on ports of its own.
pub struct Daemon {
    folder: TempDir,
    client_port: u16,
    peer_port: u16,
    scheme: &'static str,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Daemon {
    pub fn start() -> Daemon {
        Daemon::start_with("http", tempfile::tempdir().unwrap(), Vec::new())
    }

    pub fn start_with(scheme: &'static str, folder: TempDir, arguments: Vec<String>) -> Daemon {
        let (client_port, peer_port) = (free_port(), free_port());
        let mut daemon = Daemon { folder, client_port, peer_port, scheme, arguments, child: None };
        daemon.run();
        daemon
    }

    pub fn run(&mut self) {
        let program = std::env::var("CORTEN_ETCD").unwrap_or_else(|_| "etcd".to_owned());
        let (client, peer) = (self.url(), format!("http://127.0.0.1:{}", self.peer_port));
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new(&program)
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--logger", "zap"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        match child {
            Ok(child) => self.child = Some(child),
            Err(error) => panic!("{program}: {error}: these tests need etcd; install Debian's package etcd-server"),
        }
    }

    pub fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            kill_process(Pid::from_child(&child), signal).unwrap();
            child.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.client_port)
    }

    pub fn options(&self) -> Options {
        let (connect_timeout, request_timeout) = (PATIENCE, PATIENCE);
        Options {
            connect_timeout,
            request_timeout,
            compaction_interval: None,
            ..Options::new([self.url()], Scope::root("test"))
        }
    }

    pub async fn open(&self, options: Options) -> Etcd {
        match Etcd::open(options).await {
            Ok(store) => store,
            Err(error) => panic!("{error}\n{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap()),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

/// The engine on an etcd of its own.
pub struct Server {
    pub daemon: Daemon,
    pub store: Arc<Etcd>,
}

impl Fixture for Server {
    async fn start() -> Server {
        let daemon = Daemon::start();
        let store = Arc::new(daemon.open(daemon.options()).await);
        Server { daemon, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn restart(&mut self) {
        self.daemon.end(Signal::TERM);
        self.daemon.run();
    }

    /// etcd's clock is the machine's, and tests wait for what it does.
    async fn pass(&self, _: Duration) {}

    const WATCH_SURVIVES: bool = true;
}

#[tokio::test]
async fn says_what_it_is() {
    let server = Server::start().await;
    assert_eq!(server.store.encoding(), Encoding::Protobuf);
    create(&*server.store, "/registry/a", "one").await;
    let status = server.store.status().await.unwrap();
    assert_eq!(status.revision, revision(&*server.store).await);
    assert!(status.size > 0);
    assert_eq!(status.degraded, None);
}

#[tokio::test]
async fn an_absent_etcd_is_named() {
    let url = format!("http://127.0.0.1:{DEAD_PORT}");
    let options = Options { connect_timeout: Duration::from_secs(1), ..Options::new([&url], Scope::root("test")) };
    let error = within("open", Etcd::open(options)).await.err().expect("nobody is there");
    assert!(matches!(error, OpenError::Etcd { .. }));
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("etcd at {url}: ")), "{shown}");
    assert!(shown.contains("refused"), "{shown}");
}

#[tokio::test]
async fn an_outage_is_said_in_time_and_outlived() {
    let mut server = Server::start().await;
    // Only what is to be refused has to be done in this time.
    let quick = Options { request_timeout: Duration::from_secs(2), ..server.daemon.options() };
    let store = server.daemon.open(quick).await;
    let start = create(&*server.store, "/registry/a", "one").await;
    let mut live = watch(&store, "/registry/", WatchFrom::after(start)).await;
    put(&*server.store, "/registry/a", "two", Expect::Any).await;
    let mut history = vec![];
    history.extend(events(&mut live, 1).await);
    server.daemon.end(Signal::KILL);
    let refused = within("get", store.get("/registry/a", None)).await;
    assert!(refused.as_ref().is_err_and(Error::retryable), "{refused:?}");
    let refused = try_put(&store, "/registry/a", "x", Expect::Any).await;
    let Err(WriteError::Failed(error)) = refused else { panic!("{refused:?}") };
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    // By now the connection is known to be gone, and nothing was sent.
    let refused = try_put(&store, "/registry/a", "x", Expect::Any).await;
    let Err(WriteError::Failed(error)) = refused else { panic!("{refused:?}") };
    assert!(matches!(error, Error::Unavailable { applied: Applied::No, .. }), "{error:?}");
    assert!(error.retryable());

    server.daemon.run();
    // The other one waits for as long as it takes.
    put(&*server.store, "/registry/a", "three", Expect::Any).await;
    history.extend(events(&mut live, 1).await);
    assert_eq!(short(&history), ["/registry/a=two", "/registry/a=three"]);
}

#[tokio::test]
async fn a_dead_endpoint_does_not_matter() {
    let server = Server::start().await;
    let endpoints = vec![format!("http://127.0.0.1:{DEAD_PORT}"), server.daemon.url()];
    let store = server.daemon.open(Options { endpoints, ..server.daemon.options() }).await;
    let start = revision(&store).await;
    let mut live = watch(&store, "/registry/", WatchFrom::after(start)).await;
    for turn in 0..20 {
        create(&store, &format!("/registry/{turn}"), "x").await;
    }
    assert_eq!(events(&mut live, 20).await.len(), 20);
}

#[tokio::test]
async fn values_are_limited_by_etcd() {
    let server = Server::start().await;
    let large = Put::new("/registry/a", vec![b'x'; 3 << 20], Expect::Any);
    let refused = within("put", server.store.put(large)).await;
    assert!(matches!(refused, Err(WriteError::Failed(Error::TooLarge(_)))), "{refused:?}");
}

#[tokio::test]
async fn long_lists_come_in_parts() {
    let server = Server::start().await;
    let store = &*server.store;
    let keys = 4500;
    let writes = (0..keys).map(|turn| async move { create(store, &format!("/registry/{turn:05}"), "x").await });
    within("writes", futures::future::join_all(writes)).await;
    let check = async |read: Read, expected: usize| {
        let listing = within("range", store.range(read)).await.unwrap();
        assert_eq!((listing.kvs.len(), listing.count, listing.more), (expected, keys, expected < keys));
        let ordered = |pair: &[KeyValue]| pair[0].key < pair[1].key;
        assert!(listing.kvs.windows(2).all(ordered));
    };
    check(Read::of(Span::prefix("/registry/")), keys).await;
    check(Read::of(Span::prefix("/registry/")).limit(4400), 4400).await;
    check(Read::of(Span::prefix("/registry/")).limit(3), 3).await;
}

#[tokio::test]
async fn leases_are_shared() {
    let server = Server::start().await;
    let store = &*server.store;
    let ttl = Duration::from_secs(3600);
    for turn in 0..5 {
        let one = Put::new(format!("/registry/events/{turn}"), "x", Expect::Absent).ttl(ttl);
        within("put", store.put(one)).await.unwrap();
    }
    let mut client = etcd_client::Client::connect([server.daemon.url()], None).await.unwrap();
    assert_eq!(client.leases().await.unwrap().leases().len(), 1);
    // Somebody revokes it: the next write gets another.
    let id = client.leases().await.unwrap().leases()[0].id();
    client.lease_revoke(id).await.unwrap();
    assert_eq!(get(store, "/registry/events/0").await, None);
    let one = Put::new("/registry/events/again", "x", Expect::Absent).ttl(ttl);
    within("put", store.put(one)).await.unwrap();
    assert!(get(store, "/registry/events/again").await.unwrap().leased);
}

/// Two servers take turns at compaction as kube-apiserver does, under its key.
#[tokio::test]
async fn servers_agree_on_compaction() {
    let server = Server::start().await;
    let store = &*server.store;
    let other = server.daemon.open(server.daemon.options()).await;
    let turn = async |of: &Etcd| within("turn", of.take_compaction_turn()).await.unwrap();
    let check = async |expected: u64| {
        assert_eq!(get(store, "compact_rev_key").await.unwrap().value, expected.to_string());
    };
    let one = create(store, "/registry/a", "one").await;
    // The first turn compacts nothing; it only notes where it was.
    turn(store).await;
    check(0).await;
    let noted = revision(store).await;
    put(store, "/registry/a", "two", Expect::Any).await;
    // Preceded, it notes where it was, too.
    turn(&other).await;
    check(0).await;
    put(store, "/registry/a", "three", Expect::Any).await;
    turn(store).await;
    check(noted).await;
    assert!(within("get", store.get("/registry/a", Some(noted))).await.is_ok());
    assert!(matches!(within("get", store.get("/registry/a", Some(one))).await, Err(Error::Compacted { .. })));
    let noted = revision(store).await;
    turn(&other).await;
    turn(store).await;
    check(noted).await;
    // The first one is gone: the other has noted another turn of it, and takes over the one after.
    let noted = revision(store).await;
    turn(&other).await;
    turn(&other).await;
    check(noted).await;
}

#[tokio::test]
async fn compaction_by_others_is_learnt() {
    let server = Server::start().await;
    let store = &*server.store;
    let (clock, hand) = Clock::manual(Wall::default());
    let interval = Duration::from_secs(300);
    // Requests do not go by this clock, or they would time out when it leaps.
    let request_timeout = Duration::from_secs(u64::MAX / 2);
    let tasks = Scope::root_with("test", clock);
    let options = Options { tasks, request_timeout, compaction_interval: Some(interval), ..server.daemon.options() };
    let listener = server.daemon.open(options).await;
    within("turn", store.take_compaction_turn()).await.unwrap();
    let noted = revision(store).await;
    within("turn", store.take_compaction_turn()).await.unwrap();
    let reached = async |least: u64| {
        within("learning", async {
            for turn in 1_u64.. {
                if listener.compacted_revision() >= least {
                    break;
                }
                // Whoever met an error waits a while by this clock; its own turn is not to come yet.
                if turn % 10_000 == 0 && turn / 10_000 < interval.as_secs() {
                    hand.advance(Duration::from_secs(1));
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    reached(noted).await;
    // And it takes its own turns in time: one to note, one to compact.
    within("turn", hand.wait_for_sleepers(1)).await;
    let now = create(store, "/registry/a", "one").await;
    within("turns", async {
        while listener.compacted_revision() < now {
            hand.advance(interval);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Servers that share an etcd see one history, whoever writes and whoever goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_share_one_history() {
    let server = Server::start().await;
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(Arc::new(server.daemon.open(server.daemon.options()).await));
    }
    let start = revision(&*server.store).await;
    let mut watches = Vec::new();
    for store in &stores {
        watches.push(watch(&**store, "/registry/", WatchFrom::after(start).with_previous()).await);
    }
    let write = async |writer: usize| {
        for turn in 0..100 {
            let store = &stores[writer % stores.len()];
            // The first one goes halfway.
            if turn == 50 && writer == 0 {
                within("close", store.close()).await.unwrap();
            }
            let key = format!("/registry/{}", (writer + turn) % 5);
            match try_put(&**store, &key, &format!("{writer} {turn}"), Expect::Any).await {
                Ok(_) => {}
                Err(WriteError::Failed(Error::Closed)) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    futures::future::join_all((0..9).map(write)).await;
    let last = create(&*server.store, "/registry/last", "x").await;
    let mut histories = Vec::new();
    for mut watch in watches {
        let mut history = History::after(start);
        while history.revision() < last {
            match within("event", watch.next()).await {
                Ok(batch) => history.take(batch),
                Err(Error::Closed) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
        histories.push(history);
    }
    let whole = histories[2].revisions();
    assert!(whole.len() > 600);
    assert_eq!(histories[1].revisions(), whole);
    assert!(whole.starts_with(&histories[0].revisions()));
    histories[1].check_equals(&*server.store, "/registry/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_over_restarts_miss_and_repeat_nothing() {
    let mut server = Server::start().await;
    let store: Arc<dyn Store> = server.store.clone();
    let start = revision(&*store).await;
    let mut live = watch(&*store, "/registry/", WatchFrom::after(start).with_previous()).await;
    let mut history = History::after(start);
    let mut written = Vec::new();
    for round in 0..3 {
        for turn in 0..20 {
            written
                .push(put(&*store, &format!("/registry/{}", turn % 7), &format!("{round} {turn}"), Expect::Any).await);
        }
        server.daemon.end(Signal::KILL);
        server.daemon.run();
    }
    while history.events.len() < written.len() {
        history.take(within("event", live.next()).await.unwrap());
    }
    assert_eq!(history.revisions(), written);
    history.check_equals(&*store, "/registry/").await;
}

/// A CA, and what it signed for the server and for us; all PEM.
struct Pki {
    ca: String,
    server: (String, String),
    client: (String, String),
}

fn pki() -> Pki {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(params, ca_key);
    let sign = |usages: Vec<Usage>| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = usages;
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };
    // etcd asks itself with the server's certificate.
    let server = sign(vec![Usage::ServerAuth, Usage::ClientAuth]);
    Pki { ca, server, client: sign(vec![Usage::ClientAuth]) }
}

#[tokio::test]
async fn tls_with_certificates_of_both() {
    let pki = pki();
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["--client-cert-auth".to_owned()];
    for (flag, name, text) in [
        ("--trusted-ca-file", "ca.pem", &pki.ca),
        ("--cert-file", "server.pem", &pki.server.0),
        ("--key-file", "server.key", &pki.server.1),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        arguments.extend([flag.to_owned(), path.display().to_string()]);
    }
    let daemon = Daemon::start_with("https", folder, arguments);
    let ours =
        Tls { ca: Some(pki.ca.clone().into()), certificate: Some(pki.client.0.into()), key: Some(pki.client.1.into()) };
    let store = daemon.open(Options { tls: Some(ours.clone()), ..daemon.options() }).await;
    let mut live = watch(&store, "/registry/", WatchFrom::now()).await;
    create(&store, "/registry/a", "one").await;
    assert_eq!(short(&events(&mut live, 1).await), ["+/registry/a=one"]);

    let short_of = async |tls: Tls| {
        let connect_timeout = Duration::from_secs(1);
        let refused = Etcd::open(Options { tls: Some(tls), connect_timeout, ..daemon.options() });
        let error = within("open", refused).await.err().expect("it is not trusted");
        assert!(matches!(error, OpenError::Etcd { .. }), "{error:?}");
    };
    short_of(Tls { certificate: None, key: None, ..ours.clone() }).await;
    short_of(Tls { ca: Some(self::pki().ca.into()), ..ours }).await;
    assert!(!format!("{:?}", daemon.options().tls).contains("BEGIN"));
}
