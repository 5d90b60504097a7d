//! The API server put together: store, caches, identity, listener, in the order in which they can begin.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
use corten_access::tokens::{Issuer, OpenId, PublicKey, SigningKey};
use corten_pki::{ClientCa, Leaf, Names, Pki, ServingCertificate, kubeconfig};
use corten_runtime::clock::Clock;
use corten_runtime::health::{Endpoint, Health};
use corten_runtime::metrics::Registry as Metrics;
use corten_runtime::random::Random;
use corten_runtime::tasks::{CancellationToken, OnFailure, Scope};
use corten_store::{Degraded, Store, embedded, etcd};

use crate::admission;
use crate::api::Api;
use crate::bootstrap::{self, Facts};
use crate::control::{self, Control};
use crate::data_folder::DataFolder;
use crate::definitions::Definitions;
use crate::discovery::Discovery;
use crate::feed::Feed;
use crate::http::{Bound, Listener};
use crate::identity::{Accounts, RbacObserver};
use crate::reserve;
use crate::reserve::node_ports::{NodePorts, PortRange};
use crate::resource::{Registry, built_in};

pub use crate::reserve::service_ranges;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

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
}

/// A server that answers.
pub struct Running {
    pub api: Arc<Api>,
    pub address: SocketAddr,
    pub pki: Arc<Pki>,
    store: Arc<dyn Store>,
    store_scope: Scope,
    _folder: DataFolder,
}

/// How long a health check waits for the store; upstream's default.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
const EVERYWHERE: &[Endpoint] = &[Endpoint::Healthz, Endpoint::Livez, Endpoint::Readyz];

/// Starts the server; returns when it is ready to answer.
pub async fn start(config: &Config, scope: &Scope) -> Result<Running> {
    let (clock, random) = (Clock::system(), Random::system());
    let folder = DataFolder::open(&config.data_dir)?;
    // Its scope is its own, and ends last: everything else writes to it until it has left.
    let store_scope = Scope::root("store");
    let store = open_store(config, &store_scope).await?;
    let pki = Pki::open(&config.data_dir.join("pki"), &clock, &random).context("the cluster's certificates")?;
    let pki = Arc::new(pki);
    // Bound early, so that a port that is taken is told before anything else is done.
    let bound = Bound::bind(config.listen).await.with_context(|| {
        format!("listen on {}: is another server running there? choose another with --secure-port", config.listen)
    })?;
    let address = bound.address;

    let feed = Arc::new(Feed::new(Arc::clone(&store), clock.clone()));
    let resources = built_in(&rows(), &|dispatch| feed.cache(dispatch));
    let registry = Registry::new(resources);
    let rbac = Arc::new(Rbac::default());
    observe_rbac(&registry, &rbac);
    let accounts = Arc::new(Accounts::default());
    let identity = identity(config, &pki, &accounts, &clock, &random)?;
    let health = Health::new(clock.clone());
    let ready = health.guard("poststarthook/bootstrap", EVERYWHERE, Duration::from_secs(60));
    register_store_health(&health, &store, &clock);
    let node: Arc<dyn Authorizer> = Arc::new(NodeSeat);
    let authorizers = Arc::new(Chain::standard(node, Arc::clone(&rbac)));
    let discovery = Discovery::default();
    discovery.update(&registry);
    let watch = {
        let mut storages: HashMap<Arc<str>, _> = HashMap::new();
        for resource in registry.all() {
            if let Some(storage) = &resource.storage {
                storages.insert(Arc::clone(&storage.prefix), Arc::clone(storage));
            }
        }
        feed.start(storages.into_values()).await.map_err(|error| anyhow!("read the store: {error}"))?
    };
    let node_ports = Arc::new(NodePorts::new(PortRange::default()));
    let families = config.service_ranges.iter().map(|range| if range.addr().is_ipv4() { "IPv4" } else { "IPv6" });
    let network = corten_kinds::service::Network { families: families.collect() };
    let services = reserve::Services { network, node_ports: Arc::clone(&node_ports) };
    let api = Arc::new(Api {
        store: Arc::clone(&store),
        feed: Arc::clone(&feed),
        registry: ArcSwap::from_pointee(registry),
        clock: clock.clone(),
        random: random.clone(),
        authenticators: identity.authenticators,
        impersonator: Impersonator::new(Arc::clone(&authorizers) as Arc<dyn Authorizer>),
        authorizers,
        rbac,
        admission: admission::Chain::standard(),
        health,
        metrics: Metrics::new(),
        discovery,
        openapi: openapi_documents(),
        reservers: reserve::standard(services),
        stopping: scope.token().clone(),
        issuer: identity.issuer,
        openid: OpenId::new(ISSUER, "", &address.to_string(), &identity.keys).ok(),
        service_accounts: accounts.clone(),
        address: address.to_string(),
    });
    api.metrics.register_process();
    accounts.belong_to(&api);
    // Who answers, and who asks, need the caches until they have left.
    let (http, controllers) = (scope.child("http"), scope.child("control"));
    let readers = [http.clone(), controllers.clone()];
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

    let (tls, serving) = tls(&pki, address, control::service_ip(&config.service_ranges)?)?;
    let listener = Listener::new(bound, Arc::new(tls), Arc::clone(&api) as Arc<dyn crate::http::Endpoint>, &http);
    http.spawn("listener", OnFailure::FailScope, move |token| listener.run(token));
    keep_certificates(&pki, serving, scope);

    let today = corten_api::time::Timestamp::from_seconds(clock.now().seconds).format();
    let facts = Facts { client_ca: &pki.cluster_ca().certificate_pem, today: today[..10].to_owned() };
    bootstrap::run(&api, &facts).await?;
    let settings = control::Settings {
        service_ranges: config.service_ranges.clone(),
        node_ports,
        advertise_address: config.advertise_address,
        listen: address,
        shared_store: matches!(config.datastore, Datastore::Etcd(_)),
    };
    let mut control = Control::new(&api, &settings)?;
    control.begin().await?;
    control.run(&controllers);
    let mut definitions = Definitions::new(&api)?;
    definitions.begin().await?;
    scope.spawn("definitions", OnFailure::FailScope, move |token| definitions.run(token));
    drop(ready);
    Ok(Running { api, address, pki, store, store_scope, _folder: folder })
}

impl Running {
    /// What the kubeconfig of the cluster's administrator says.
    pub fn admin_access(&self) -> Result<kubeconfig::Access> {
        let pair = self.pki.leaf(Leaf::admin())?;
        let host = match self.address {
            SocketAddr::V4(address) if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
            SocketAddr::V6(address) if address.ip().is_unspecified() => format!("[::1]:{}", address.port()),
            address => address.to_string(),
        };
        Ok(kubeconfig::Access::by_certificate(
            &format!("https://{host}"),
            &self.pki.cluster_ca().certificate_pem,
            &pair,
        ))
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
            Ok(Arc::new(etcd::Etcd::open(options).await?))
        }
    }
}

/// The rules of every built-in kind.
fn rows() -> Vec<&'static [corten_kinds::rows::Row]> {
    let mut rows = corten_kinds::rows::ROWS.to_vec();
    rows.push(corten_custom::custom_resource_definition::ROWS);
    rows
}

fn openapi_documents() -> corten_openapi::Documents {
    let served: Vec<_> = corten_schema::RESOURCES.iter().filter(|row| row.served_by_default).collect();
    corten_openapi::Documents::new(&served, Vec::new())
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

/// A store that refuses writes makes a server unready; for dead it is taken only if a restart would help.
fn register_store_health(health: &Health, store: &Arc<dyn Store>, clock: &Clock) {
    let register = |endpoints: &'static [Endpoint], counts: fn(&Degraded) -> bool| {
        let (store, clock) = (Arc::clone(store), clock.clone());
        health.register_async("etcd", endpoints, move || {
            let (store, clock) = (Arc::clone(&store), clock.clone());
            async move {
                match clock.timeout(STORE_PATIENCE, store.status()).await {
                    Ok(Ok(status)) => status.degraded.filter(counts).map_or(Ok(()), |degraded| Err(degraded.reason)),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err(format!("the store did not answer in {STORE_PATIENCE:?}")),
                }
            }
        });
    };
    register(&[Endpoint::Readyz], |_| true);
    register(&[Endpoint::Healthz, Endpoint::Livez], |degraded| degraded.restart_helps);
}

struct Identity {
    authenticators: Authenticators,
    issuer: Issuer,
    keys: Vec<PublicKey>,
}

fn identity(config: &Config, pki: &Pki, accounts: &Arc<Accounts>, clock: &Clock, random: &Random) -> Result<Identity> {
    let key = SigningKey::from_pem(pki.service_account_key().pem().as_bytes())?;
    let keys = vec![key.public().clone()];
    let audiences = vec![ISSUER.to_owned()];
    let file = config.token_auth_file.as_deref().map(TokenFile::read).transpose()?;
    let trust = |pem: &str| TrustBundle::from_pem(pem.as_bytes()).map(Arc::new).map_err(|error| anyhow!(error));
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
        allowed_names: vec!["front-proxy-client".to_owned()],
        username_headers: vec!["x-remote-user".to_owned()],
        uid_headers: vec!["x-remote-uid".to_owned()],
        group_headers: vec!["x-remote-group".to_owned()],
        extra_header_prefixes: vec!["x-remote-extra-".to_owned()],
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

fn tls(pki: &Pki, address: SocketAddr, service_ip: IpAddr) -> Result<(rustls::ServerConfig, Arc<ServingCertificate>)> {
    let mut names = Names::default();
    names.ips.push(service_ip);
    if !address.ip().is_unspecified() {
        names.ips.push(address.ip());
    }
    let serving = ServingCertificate::new(&*pki.leaf(Leaf::serving(names))?)?;
    let authority = |pem: &str| ClientCa::from_pem(pem.as_bytes());
    let (cluster, proxy) =
        (authority(&pki.cluster_ca().certificate_pem)?, authority(&pki.front_proxy_ca().certificate_pem)?);
    let mut tls = corten_pki::server_config(Arc::clone(&serving), &[&cluster, &proxy])?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((tls, serving))
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
