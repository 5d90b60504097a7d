//! The API server put together: store, caches, identity, listener, in the order in which they can begin.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use arc_swap::ArcSwap;
use corten_access::authenticate::{
    Anonymous, Authenticators, ClientCertificates, FrontProxy, ServiceAccountTokens, TokenCache, TokenFile, Tokens,
    TrustBundle,
};
use corten_access::authorize::{Authorizer, Chain, NodeSeat};
use corten_access::impersonate::Impersonator;
use corten_access::rbac::Rbac;
use corten_access::tokens::{Issuer, OpenId, PublicKey};
use corten_config::features::FeatureGates;
use corten_pki::{Leaf, Names, Pair, Pki, ServingCertificate, kubeconfig};
use corten_runtime::clock::Clock;
use corten_runtime::health::Health;
use corten_runtime::random::Random;
use corten_runtime::tasks::{CancellationToken, OnFailure, Scope};
use corten_store::{Error, Store, Watch, embedded, etcd};
use tokio::sync::watch;

use crate::admission;
use crate::api::Api;
use crate::bootstrap::Bootstrap;
use crate::budget::Budget;
use crate::computation::Pool;
use crate::control::{self, Control};
use crate::data_folder::DataFolder;
use crate::definitions::Definitions;
use crate::definitions::seen::Seen;
use crate::feed::Feed;
use crate::http::{Bound, Listener};
use crate::identity::{Accounts, RbacObserver};
use crate::in_flight::InFlight;
use crate::metrics::{self, Metrics};
use crate::readiness::{self, Readiness, Step};
use crate::registry::Registry;
use crate::reserve;
use crate::reserve::node_ports::{NodePorts, PortRange};
use crate::reserve::under_way::UnderWay;
use crate::resource::built_in;

pub use crate::budget::BYTES_MAX as REQUEST_BYTES_MAX;
pub use crate::computation::STACK;
pub use crate::in_flight::Limits;
pub use crate::reserve::service_ranges;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The front proxy's certificate is in this name, and it says in these headers for whom it speaks.
const PROXY_NAME: &str = "front-proxy-client";
const PROXY_USERNAME: &str = "X-Remote-User";
const PROXY_UID: &str = "X-Remote-Uid";
const PROXY_GROUP: &str = "X-Remote-Group";
const PROXY_EXTRA: &str = "X-Remote-Extra-";

/// Where objects are kept.
#[derive(Debug, Clone)]
pub enum Datastore {
    Embedded,
    /// URLs.
    Etcd(Vec<String>),
}

#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub datastore: Datastore,
    pub token_auth_file: Option<PathBuf>,
    /// Of services; one of each family at most, the default family's first.
    pub service_ranges: Vec<ipnet::IpNet>,
    /// By which others reach this server; found out if none.
    pub advertise_address: Option<IpAddr>,
    pub feature_gates: FeatureGates,
    /// On requests that are answered at the same time.
    pub requests_in_flight: Limits,
    /// How many bytes requests and answers may hold.
    pub request_bytes_max: usize,
}

/// A server that answers.
pub struct Running {
    pub api: Arc<Api>,
    pub address: SocketAddr,
    pub pki: Arc<Pki>,
    /// The paths of objects that every cluster has and that could not be made; the server is not ready until they are.
    pub lacking: Vec<String>,
    store: Arc<dyn Store>,
    store_scope: Scope,
    _folder: DataFolder,
}

/// Starts the server; returns when it is ready to answer.
///
/// `milestone` is told what has been reached, for whoever looks on.
pub async fn start(config: &Config, scope: &Scope, milestone: &(dyn Fn(&str) + Sync)) -> Result<Running> {
    let (clock, random) = (Clock::system(), Random::system());
    let folder = DataFolder::open(&config.data_dir)?;
    // Its scope is its own, and ends last: everything else writes to it until it has left.
    let store_scope = Scope::root("store");
    if let Datastore::Etcd(endpoints) = &config.datastore {
        milestone(&format!("connecting to etcd at {}", endpoints.join(",")));
    }
    let store = open_store(config, &store_scope).await?;
    milestone("store open");
    let pki = Pki::open(&config.data_dir.join("pki"), &clock, &random).context("the cluster's certificates")?;
    let pki = Arc::new(pki);
    // Bound early, so that a port that is taken is told before anything else is done.
    let bound = Bound::bind(config.listen).await.map_err(|error| cannot_listen(config.listen, error))?;
    let address = bound.address;
    let foundation = Foundation {
        store: Arc::clone(&store),
        shared_store: matches!(config.datastore, Datastore::Etcd(_)),
        clock,
        random,
        pki: Arc::clone(&pki),
        address,
    };
    let assembly = assemble(config, foundation, scope).await?;
    listen(config, bound, &assembly, scope)?;
    let (api, lacking) = assembly.begin(config, scope).await?;
    Ok(Running { api, address, pki, lacking, store, store_scope, _folder: folder })
}

/// What a server is put together from.
pub(crate) struct Foundation {
    pub store: Arc<dyn Store>,
    /// Whether other servers may work on the same store.
    pub shared_store: bool,
    pub clock: Clock,
    pub random: Random,
    pub pki: Arc<Pki>,
    /// Where this server is reached.
    pub address: SocketAddr,
}

/// A server whose caches follow the store: it can answer, but has not looked after its cluster yet.
pub(crate) struct Assembly {
    pub api: Arc<Api>,
    pki: Arc<Pki>,
    accounts: Arc<Accounts>,
    shared_store: bool,
    address: SocketAddr,
    node_ports: Arc<NodePorts>,
    readiness: Readiness,
    /// Of those who answer requests.
    http: Scope,
    controllers: Scope,
}

/// Puts a server together, and has it read the store and follow it. Nobody listens yet.
pub(crate) async fn assemble(config: &Config, foundation: Foundation, scope: &Scope) -> Result<Assembly> {
    let Foundation { store, shared_store, clock, random, pki, address } = foundation;
    let feed = Arc::new(Feed::new(Arc::clone(&store), clock.clone()));
    let resources = built_in(&rows(), &|dispatch| feed.cache(dispatch));
    let registry = Registry::new(resources, openapi_documents());
    let rbac = Arc::new(Rbac::default());
    observe_rbac(&registry, &rbac);
    let accounts = Arc::new(Accounts::default());
    let identity = identity(config, &pki, &accounts, &clock, &random)?;
    let health = Health::new(clock.clone());
    let mut readiness = Readiness::register(&health, &store, &clock, scope.token().clone());
    let node: Arc<dyn Authorizer> = Arc::new(NodeSeat);
    let authorizers = Arc::new(Chain::standard(node, Arc::clone(&rbac)));
    let watch = read_store(&feed, &registry).await?;
    readiness.reached(Step::Read);
    let node_ports = Arc::new(NodePorts::new(PortRange::default()));
    let families = config.service_ranges.iter().map(|range| if range.addr().is_ipv4() { "IPv4" } else { "IPv6" });
    let network = corten_kinds::service::Network { families: families.collect() };
    let services = reserve::Services { network, node_ports: Arc::clone(&node_ports) };
    let unattended = scope.child("unattended");
    let (http, controllers) = (scope.child("http"), scope.child("control"));
    let api = Arc::new(Api {
        store,
        feed: Arc::clone(&feed),
        registry: ArcSwap::from_pointee(registry),
        definitions_seen: Seen::default(),
        clock,
        random,
        authenticators: identity.authenticators,
        impersonator: Impersonator::new(Arc::clone(&authorizers) as Arc<dyn Authorizer>),
        authorizers,
        rbac,
        admission: admission::Chain::standard(),
        health,
        metrics: Metrics::new(),
        storage_size: AtomicU64::new(0),
        reservers: reserve::standard(services),
        addresses_under_way: UnderWay::default(),
        in_flight: InFlight::new(config.requests_in_flight),
        budget: Budget::new(config.request_bytes_max),
        computations: Pool::new(http.kind("computation"), http.kind("conversion")),
        writes: unattended.kind("write"),
        give_backs: unattended.kind("give-back"),
        stopping: scope.token().clone(),
        websockets: scope.kind("websocket"),
        issuer: identity.issuer,
        openid: OpenId::new(ISSUER, "", &address.to_string(), &identity.keys).ok(),
        service_accounts: accounts.clone(),
        address: address.to_string(),
    });
    metrics::register(&api, config.feature_gates);
    readiness::name_unreadable(&api);
    accounts.belong_to(&api);
    // The last one: the others leave tasks there.
    let readers = [http.clone(), controllers.clone(), unattended];
    follow_store(&feed, watch, readers, scope);
    Ok(Assembly { api, pki, accounts, shared_store, address, node_ports, readiness, http, controllers })
}

/// Answers requests from the network.
fn listen(config: &Config, bound: Bound, assembly: &Assembly, scope: &Scope) -> Result<()> {
    let Assembly { api, pki, http, .. } = assembly;
    let (tls, serving) = tls(config, pki, bound.address)?;
    let endpoint = Arc::clone(api) as Arc<dyn crate::http::Endpoint>;
    let failed_handshakes = api.metrics.failed_handshakes.clone();
    let listener = Listener::new(bound, Arc::new(tls), endpoint, failed_handshakes, http);
    http.spawn("listener", OnFailure::FailScope, move |token| listener.run(token));
    keep_certificates(pki, serving, scope);
    Ok(())
}

impl Assembly {
    /// Makes what every cluster has from the beginning, and starts what looks after it. Also returns the paths of what
    /// could not be made yet.
    pub(crate) async fn begin(self, config: &Config, scope: &Scope) -> Result<(Arc<Api>, Vec<String>)> {
        let Assembly { api, pki, accounts, shared_store, address, node_ports, mut readiness, http: _, controllers } =
            self;
        let mut bootstrap = Bootstrap::new(&api)?;
        let whole = bootstrap.begin(&mut readiness).await;
        let settings = control::Settings {
            service_ranges: config.service_ranges.clone(),
            node_ports,
            advertise_address: config.advertise_address,
            listen: address,
            trust: trust_published(&pki),
            token_uses: Arc::clone(&accounts.token_uses),
            shared_store,
        };
        let mut control = Control::new(&api, &settings)?;
        control.begin().await?;
        readiness.reached(Step::Controlled);
        control.run(&controllers);
        let mut definitions = Definitions::new(&api, &controllers, settings.shared_store)?;
        definitions.begin().await;
        readiness.reached(Step::Defined);
        controllers.spawn("definitions", OnFailure::FailScope, move |token| definitions.run(token));
        let lacking = bootstrap.left();
        if !whole {
            scope.spawn("bootstrap", OnFailure::FailScope, move |token| bootstrap.run(readiness, token));
        }
        Ok((api, lacking))
    }
}

/// How the administrator reaches the server. The certificate is renewed while the server runs.
pub struct AdminAccess {
    server: String,
    authority_pem: String,
    pair: watch::Receiver<Arc<Pair>>,
}

impl AdminAccess {
    pub fn new(server: &str, pki: &Pki) -> Result<AdminAccess> {
        Ok(AdminAccess {
            server: server.to_owned(),
            authority_pem: pki.cluster_ca().certificate_pem.clone(),
            pair: pki.follow(Leaf::admin())?,
        })
    }

    /// With the certificate of now.
    pub fn current(&mut self) -> kubeconfig::Access {
        let pair = Arc::clone(&self.pair.borrow_and_update());
        kubeconfig::Access::by_certificate(&self.server, &self.authority_pem, &pair)
    }

    /// Returns when the certificate is another one than `current` gave last.
    pub async fn renewed(&mut self) {
        if self.pair.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Running {
    /// What the kubeconfig of the cluster's administrator says.
    pub fn admin_access(&self) -> Result<AdminAccess> {
        let host = match self.address {
            SocketAddr::V4(address) if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
            SocketAddr::V6(address) if address.ip().is_unspecified() => format!("[::1]:{}", address.port()),
            address => address.to_string(),
        };
        AdminAccess::new(&format!("https://{host}"), &self.pki)
    }

    /// After everything else has left: makes sure that all that was written is kept.
    pub async fn close(self) -> Result<()> {
        let closed = self.store.close().await.map_err(|error| anyhow!("close the store: {error}"));
        if let Err(remaining) = self.store_scope.shutdown(Duration::from_secs(10)).await {
            tracing::warn!(tasks = ?remaining.0, "the store has not left in time");
        }
        closed
    }
}

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    use std::io::ErrorKind;
    let advice = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there; stop it, or choose another port with --secure-port",
        ErrorKind::AddrNotAvailable => "this machine has no such address; choose one of its own with --bind-address",
        ErrorKind::PermissionDenied => "ports below 1024 are for root; choose another with --secure-port",
        _ => "choose another address with --bind-address or --secure-port",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {address}: {advice}"))
}

async fn open_store(config: &Config, scope: &Scope) -> Result<Arc<dyn Store>> {
    match &config.datastore {
        Datastore::Embedded => {
            let folder = config.data_dir.join("store");
            let opened =
                tokio::task::block_in_place(|| embedded::Embedded::open(folder, embedded::Options::new(scope.clone())));
            Ok(Arc::new(opened?))
        }
        Datastore::Etcd(endpoints) => {
            let options = etcd::Options::new(endpoints.iter().cloned(), scope.clone());
            let opened = etcd::Etcd::open(options).await;
            Ok(Arc::new(opened.context("no etcd answers; is it running, and is --datastore right?")?))
        }
    }
}

/// Fills the cache of each storage, which several resources may share.
async fn read_store(feed: &Feed, registry: &Registry) -> Result<Watch> {
    let mut storages: HashMap<Arc<str>, _> = HashMap::new();
    for storage in registry.all().filter_map(|resource| resource.storage.as_ref()) {
        storages.insert(Arc::clone(&storage.prefix), Arc::clone(storage));
    }
    feed.start(storages.into_values()).await.map_err(|error| match error {
        Error::Damaged { .. } => anyhow!(
            "read the store: {error}; restore the data folder from a backup, or see what can be read with `corten store \
             check` and `corten store export`, and keep that with `corten store repair`"
        ),
        error => anyhow!("read the store: {error}"),
    })
}

/// Keeps the caches up with the store until those who need them, who answer and who ask, have left.
fn follow_store(feed: &Arc<Feed>, watch: Watch, readers: [Scope; 3], scope: &Scope) {
    let feed = Arc::clone(feed);
    scope.spawn("feed", OnFailure::FailScope, move |token| async move {
        let stop = CancellationToken::new();
        let mut run = std::pin::pin!(feed.run(watch, stop.clone()));
        tokio::select! {
            ended = &mut run => return ended,
            () = token.cancelled() => {}
        }
        let left = async {
            for readers in &readers {
                readers.left().await;
            }
            stop.cancel();
        };
        tokio::join!(run, left).0
    });
}

/// The rules of every built-in kind.
pub(crate) fn rows() -> Vec<&'static [corten_kinds::rows::Row]> {
    let mut rows = corten_kinds::rows::ROWS.to_vec();
    rows.push(corten_custom::custom_resource_definition::ROWS);
    rows
}

fn openapi_documents() -> corten_openapi::Documents {
    let served: Vec<_> = corten_schema::RESOURCES.iter().filter(|row| row.served_by_default).collect();
    corten_openapi::Documents::new(&served)
}

fn observe_rbac(registry: &Registry, rbac: &Arc<Rbac>) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    for (plural, bindings, namespaced) in [
        ("roles", false, true),
        ("clusterroles", false, false),
        ("rolebindings", true, true),
        ("clusterrolebindings", true, false),
    ] {
        if let Some(storage) = registry.storage(GROUP, plural) {
            storage.cache.observe(Arc::new(RbacObserver { rbac: Arc::clone(rbac), bindings, namespaced }));
        }
    }
}

struct Identity {
    authenticators: Authenticators,
    issuer: Issuer,
    keys: Vec<PublicKey>,
}

fn identity(config: &Config, pki: &Pki, accounts: &Arc<Accounts>, clock: &Clock, random: &Random) -> Result<Identity> {
    let key = Arc::clone(pki.service_account_key());
    let keys = vec![key.public().clone()];
    let audiences = vec![ISSUER.to_owned()];
    let file = config.token_auth_file.as_deref().map(TokenFile::read).transpose()?;
    let service_accounts = ServiceAccountTokens {
        issuers: audiences.clone(),
        keys: keys.clone(),
        api_audiences: audiences.clone(),
        objects: Arc::clone(accounts) as Arc<dyn corten_access::service_account::ServiceAccounts>,
        clock: clock.clone(),
    };
    let tokens = Tokens {
        file,
        service_accounts: Some(service_accounts),
        others: Vec::new(),
        cache: Some(TokenCache::new(clock.clone(), random)),
        api_audiences: audiences.clone(),
    };
    let front_proxy = FrontProxy {
        trust: trust(&pki.front_proxy_ca().certificate_pem)?,
        clock: clock.clone(),
        allowed_names: vec![PROXY_NAME.to_owned()],
        username_headers: vec![PROXY_USERNAME.to_owned()],
        uid_headers: vec![PROXY_UID.to_owned()],
        group_headers: vec![PROXY_GROUP.to_owned()],
        extra_header_prefixes: vec![PROXY_EXTRA.to_owned()],
    };
    let certificates = ClientCertificates { trust: trust(&pki.cluster_ca().certificate_pem)?, clock: clock.clone() };
    let authenticators = Authenticators {
        front_proxy: Some(front_proxy),
        client_certificates: Some(certificates),
        tokens: Some(tokens),
        anonymous: Anonymous::Everywhere,
        api_audiences: audiences.clone(),
    };
    let issuer = Issuer {
        key,
        issuer: ISSUER.to_owned(),
        api_audiences: audiences,
        expiration_seconds_max: 0,
        extend_expiration: true,
        clock: clock.clone(),
        random: random.clone(),
    };
    Ok(Identity { authenticators, issuer, keys })
}

/// What other servers of the cluster are told of it.
fn trust_published(pki: &Pki) -> control::Trust {
    control::Trust {
        client_ca: pki.cluster_ca().certificate_pem.clone(),
        proxy_ca: pki.front_proxy_ca().certificate_pem.clone(),
        allowed_names: vec![PROXY_NAME.to_owned()],
        username_headers: vec![PROXY_USERNAME.to_owned()],
        uid_headers: vec![PROXY_UID.to_owned()],
        group_headers: vec![PROXY_GROUP.to_owned()],
        extra_header_prefixes: vec![PROXY_EXTRA.to_owned()],
    }
}

/// The certificate names whatever others may reach this server by: its host, its address, the Service of the cluster.
fn tls(config: &Config, pki: &Pki, address: SocketAddr) -> Result<(rustls::ServerConfig, Arc<ServingCertificate>)> {
    let mut names = Names { dns: vec![control::hostname()], ips: vec![control::service_ip(&config.service_ranges)?] };
    names.ips.extend(control::advertised(config.advertise_address, address));
    if !address.ip().is_unspecified() {
        names.ips.push(address.ip());
    }
    let serving = ServingCertificate::new(&*pki.leaf(Leaf::serving(names))?)?;
    let mut hints = Vec::new();
    for authority in [pki.cluster_ca(), pki.front_proxy_ca()] {
        hints.extend(trust(&authority.certificate_pem)?.subjects());
    }
    Ok((corten_pki::server_config(Arc::clone(&serving), hints)?, serving))
}

fn trust(pem: &str) -> Result<Arc<TrustBundle>> {
    TrustBundle::from_pem(pem.as_bytes()).map(Arc::new).map_err(|error| anyhow!(error))
}

fn keep_certificates(pki: &Arc<Pki>, serving: Arc<ServingCertificate>, scope: &Scope) {
    let pki = Arc::clone(pki);
    scope.spawn("certificates", OnFailure::Log, move |token| async move {
        pki.keep_renewed(token, move |file, pair| {
            if file == "apiserver"
                && let Err(error) = serving.replace(pair)
            {
                tracing::error!(%error, "the renewed serving certificate cannot be used");
            }
        })
        .await;
    });
}

/// The folder of a user who says nothing.
pub fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/corten");
    }
    std::env::var_os("HOME")
        .map_or_else(|| PathBuf::from("corten"), |home| Path::new(&home).join(".local/share/corten"))
}
