//! Controllers that run inside the API server, because the cluster needs them before any other component lives: its
//! namespaces, its own Service, its service network, its APIServices, its identity, whom it trusts, priority and
//! fairness, the tracking of old tokens, the repair of what Services reserve, and events about objects that cannot be
//! read.
//!
//! Each looks at the present when something that it follows has changed, and asks the API as everybody does, as the
//! server's own user. What a cluster must have before anybody is answered is made by [`Control::begin`].

pub mod agenda;
mod api_services;
mod authentication_trust;
pub mod changes;
pub mod client;
mod flow_control_defaults;
mod flow_schemas;
mod identity_lease;
mod kubernetes_service;
pub mod legacy_tokens;
pub mod pace;
mod recorder;
mod repair_addresses;
mod repair_node_ports;
mod server_leases;
mod service_cidr;
mod system_namespaces;
mod unreadable_objects;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use corten_runtime::tasks::{OnFailure, Scope};
use ipnet::IpNet;

use crate::api::Api;
use crate::reserve::AddressRange;
use crate::reserve::node_ports::NodePorts;
use api_services::ApiServices;
use authentication_trust::AuthenticationTrust;
use flow_control_defaults::FlowControlDefaults;
use flow_schemas::FlowSchemas;
use identity_lease::IdentityLease;
use kubernetes_service::KubernetesService;
pub use kubernetes_service::advertised;
use legacy_tokens::{LegacyTokens, TokenUses};
use repair_addresses::AddressRepair;
use repair_node_ports::NodePortRepair;
use service_cidr::DefaultServiceCidr;
use system_namespaces::SystemNamespaces;
use unreadable_objects::UnreadableObjects;

pub use authentication_trust::Trust;

/// Between attempts of a start to repair the node ports.
const PAUSES_SECONDS: [u64; 5] = [1, 2, 4, 8, 15];

pub struct Settings {
    /// Of one family or of both; the first one's family is the default.
    pub service_ranges: Vec<IpNet>,
    pub node_ports: Arc<NodePorts>,
    /// By which others reach this server, if that is told.
    pub advertise_address: Option<IpAddr>,
    pub listen: SocketAddr,
    pub trust: Trust,
    /// Uses of tokens, as authentication notes them.
    pub token_uses: Arc<TokenUses>,
    /// Whether other servers may work on the same store.
    pub shared_store: bool,
}

/// The controllers, before they run.
pub struct Control {
    api: Arc<Api>,
    system_namespaces: SystemNamespaces,
    service_cidr: DefaultServiceCidr,
    address_repair: AddressRepair,
    node_port_repair: NodePortRepair,
    kubernetes_service: KubernetesService,
    api_services: ApiServices,
    flow_control_defaults: FlowControlDefaults,
    flow_schemas: FlowSchemas,
    authentication_trust: AuthenticationTrust,
    legacy_tokens: LegacyTokens,
    unreadable_objects: UnreadableObjects,
    identity: IdentityLease,
}

impl Control {
    pub fn new(api: &Arc<Api>, settings: &Settings) -> Result<Control> {
        api_services::check_priorities(&api.registry.load())?;
        let service_ip = service_ip(&settings.service_ranges)?;
        let address = kubernetes_service::advertised(settings.advertise_address, settings.listen);
        if address.is_none() {
            tracing::warn!(
                "this machine has no address by which others could reach it, so default/kubernetes gets no endpoints; \
                 --advertise-address names one"
            );
        }
        let at = (address, settings.listen.port());
        Ok(Control {
            api: Arc::clone(api),
            system_namespaces: SystemNamespaces::new(api)?,
            service_cidr: DefaultServiceCidr::new(api, &settings.service_ranges)?,
            address_repair: AddressRepair::new(api)?,
            node_port_repair: NodePortRepair::new(api, Arc::clone(&settings.node_ports))?,
            kubernetes_service: KubernetesService::new(api, service_ip, at, settings.shared_store)?,
            api_services: ApiServices::new(api)?,
            flow_control_defaults: FlowControlDefaults::new(api)?,
            flow_schemas: FlowSchemas::new(api)?,
            authentication_trust: AuthenticationTrust::new(api, settings.trust.clone())?,
            legacy_tokens: LegacyTokens::new(api, Arc::clone(&settings.token_uses))?,
            unreadable_objects: UnreadableObjects::new(api),
            identity: IdentityLease::new(api, hostname()),
        })
    }

    /// Makes what should be there before anybody is answered. Where that fails (another service has the address, or
    /// another server writes the same), a controller tries again when it runs, and the server is of use meanwhile.
    pub async fn begin(&mut self) -> Result<()> {
        self.service_cidr.look().await;
        self.repair_node_ports().await.context("repair the node ports")?;
        self.address_repair.look().await;
        self.kubernetes_service.look(true).await;
        self.api_services.look().await;
        self.flow_control_defaults.look().await;
        self.flow_schemas.look().await;
        self.authentication_trust.look().await;
        self.legacy_tokens.look().await;
        self.identity.begin().await;
        Ok(())
    }

    /// Until the node ports are known to be right, none may be given out.
    async fn repair_node_ports(&mut self) -> Result<()> {
        for pause in PAUSES_SECONDS {
            match self.node_port_repair.pass().await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "the node ports could not be repaired"),
            }
            self.api.clock.sleep(Duration::from_secs(pause)).await;
        }
        self.node_port_repair.pass().await
    }

    /// Runs them until the scope, which is theirs alone, is cancelled.
    pub fn run(self, scope: &Scope) {
        let Control {
            api,
            system_namespaces,
            service_cidr,
            address_repair,
            node_port_repair,
            kubernetes_service,
            api_services,
            flow_control_defaults,
            flow_schemas,
            authentication_trust,
            legacy_tokens,
            unreadable_objects,
            identity,
        } = self;
        scope.spawn("system-namespaces", OnFailure::FailScope, |token| system_namespaces.run(token));
        scope.spawn("flow-control-defaults", OnFailure::FailScope, |token| flow_control_defaults.run(token));
        scope.spawn("legacy-tokens", OnFailure::FailScope, |token| legacy_tokens.run(token));
        scope.spawn("unreadable-objects", OnFailure::FailScope, |token| unreadable_objects.run(token));
        scope.spawn("service-cidr", OnFailure::FailScope, |token| service_cidr.run(token));
        scope.spawn("address-repair", OnFailure::FailScope, |token| address_repair.run(token));
        scope.spawn("node-port-repair", OnFailure::FailScope, |token| node_port_repair.run(token));
        scope.spawn("kubernetes-service", OnFailure::FailScope, |token| kubernetes_service.run(token));
        scope.spawn("api-services", OnFailure::FailScope, |token| api_services.run(token));
        scope.spawn("flow-schemas", OnFailure::FailScope, |token| flow_schemas.run(token));
        scope.spawn("authentication-trust", OnFailure::FailScope, |token| authentication_trust.run(token));
        scope.spawn("identity-lease", OnFailure::FailScope, |token| identity.run(token));
        scope.spawn("identity-lease-collector", OnFailure::FailScope, |token| identity_lease::collect(api, token));
    }
}

/// The address of default/kubernetes: the first one of the service network.
pub fn service_ip(ranges: &[IpNet]) -> Result<IpAddr> {
    let first = ranges.first().ok_or_else(|| anyhow!("there is no service range"))?;
    let range = AddressRange::new(*first).ok_or_else(|| anyhow!("the service range {first} is too large"))?;
    Ok(range.first())
}

/// The machine's name.
pub fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
