//! What a write of a Service holds, and how it is given back.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use corten_kinds::service::{self, Network};
use corten_object::tree::Tree;
use corten_store::Error;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::Holding;
use super::addresses::{self, Owner};
use super::node_ports::{NodePorts, Release};
use super::services::known_ips;
use super::under_way::Entered;
use crate::api::Api;
use crate::control::client;
use crate::metadata;

/// Addresses and ports.
#[derive(Clone, Debug, Default)]
pub struct Things {
    pub addresses: Vec<Address>,
    pub ports: Vec<i64>,
}

#[derive(Clone, Debug)]
pub struct Address {
    pub ip: IpAddr,
    /// Of the IPAddress, if this write has made it.
    pub uid: Option<String>,
}

/// What a write has taken so far, and the marks that keep the repair loops from it.
#[derive(Default)]
pub struct Taken {
    pub things: Things,
    pub addresses_under_way: Vec<Entered<IpAddr>>,
    pub ports_under_way: Vec<Entered<i64>>,
}

pub struct ServiceHolding {
    api: Arc<Api>,
    node_ports: Arc<NodePorts>,
    network: Network,
    namespace: String,
    name: String,
    /// Shared with the write as long as it takes.
    taken: Arc<Mutex<Taken>>,
    /// What the object needs no longer when the write is done.
    unneeded: Things,
    /// The uid of the Endpoints that go with the object.
    endpoints: Option<String>,
    /// Decided, and not given back yet.
    addresses: Vec<Address>,
    ports: Release,
}

impl ServiceHolding {
    /// For the write of an object that will no longer need what `plan` says.
    pub fn new(api: &Arc<Api>, services: &super::Services, object: &Tree, plan: &service::Plan) -> ServiceHolding {
        let meta = metadata::read(object);
        let ips = known_ips(&services.network, &plan.release_ips).into_iter();
        let addresses = ips.map(|ip| Address { ip, uid: None }).collect();
        ServiceHolding {
            api: Arc::clone(api),
            node_ports: Arc::clone(&services.node_ports),
            network: services.network.clone(),
            namespace: meta.namespace().to_owned(),
            name: meta.name().to_owned(),
            taken: Arc::default(),
            unneeded: Things { addresses, ports: plan.release_node_ports.clone() },
            endpoints: None,
            addresses: Vec::new(),
            ports: Release::default(),
        }
    }

    /// For the deletion of an object: a Service that comes back under its name shall not find these Endpoints.
    pub fn with_endpoints(self) -> ServiceHolding {
        let key = format!("{}/{}", self.namespace, self.name);
        // Those that cannot be read cannot be deleted either.
        let endpoints = self.api.lookup("", "endpoints", &key).ok().flatten();
        let endpoints = endpoints.map(|endpoints| endpoints.uid.to_string());
        ServiceHolding { endpoints, ..self }
    }

    pub fn taken(&self) -> Arc<Mutex<Taken>> {
        Arc::clone(&self.taken)
    }

    fn take_apart(&mut self) -> (Things, Things) {
        (std::mem::take(&mut self.taken.lock().things), std::mem::take(&mut self.unneeded))
    }

    fn return_all_of(&mut self, things: Things) {
        self.addresses.extend(things.addresses);
        self.ports = Release::of(things.ports);
    }

    /// What the Service of the name holds in the store; none if there is no such Service.
    async fn in_store(&self) -> Result<Option<service::Plan>, Error> {
        let Some(storage) = self.api.storage("", "services") else { return Ok(None) };
        let key = storage.object_key(&self.namespace, &self.name);
        let fetched = self.api.store.get(&storage.store_key(&key), None).await?;
        let Some(kv) = fetched.kv else { return Ok(None) };
        let corrupt = |status: corten_api::status::Status| Error::Corrupt(status.message().to_owned());
        let object = storage.ingest(&key, &kv.value).map_err(corrupt)?.object(kv.mod_revision);
        let mut tree = storage.tree(&object);
        service::default_on_read(&mut tree.edit(), &self.network);
        Ok(Some(service::releases(tree.root())))
    }

    async fn delete_endpoints(&mut self) -> Result<(), String> {
        let Some(uid) = &self.endpoints else { return Ok(()) };
        let (namespace, name) = (&self.namespace, &self.name);
        let path = format!("/api/v1/namespaces/{namespace}/endpoints/{name}");
        match client::delete_if(&self.api, &path, uid).await {
            Ok(_) => {}
            // They are gone, or others have taken their place.
            Err(refused) if refused.is_not_found() || refused.is_conflict() => {}
            Err(refused) => return Err(format!("delete the endpoints of {namespace}/{name}: {refused}")),
        }
        self.endpoints = None;
        Ok(())
    }

    async fn give_back_all(&mut self) -> Result<(), String> {
        // Each is tried, whatever becomes of the others.
        let mut result = self.delete_endpoints().await;
        let owner = Owner { namespace: &self.namespace, name: &self.name };
        let mut left = Vec::new();
        while let Some(address) = self.addresses.last() {
            let released = addresses::release(&self.api, address.ip, address.uid.as_deref(), owner).await;
            let address = self.addresses.pop();
            if let Err(error) = released {
                left.extend(address);
                result = Err(error);
            }
        }
        self.addresses = left;
        if let Err(error) = self.node_ports.release(&*self.api.store, &mut self.ports).await {
            result = Err(format!("give back node ports: {error}"));
        }
        result
    }
}

impl Holding for ServiceHolding {
    fn decide(&mut self, stored: bool) {
        let (taken, unneeded) = self.take_apart();
        self.return_all_of(if stored { unneeded } else { taken });
        if !stored {
            self.endpoints = None;
        }
    }

    fn decide_by_store(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        async {
            let in_store = self.in_store().await?;
            let (mut all, unneeded) = self.take_apart();
            all.addresses.extend(unneeded.addresses);
            all.ports.extend(unneeded.ports);
            if let Some(holds) = in_store {
                let ips = known_ips(&self.network, &holds.release_ips);
                all.addresses.retain(|address| !ips.contains(&address.ip));
                let ports: HashSet<i64> = holds.release_node_ports.into_iter().collect();
                all.ports.retain(|port| !ports.contains(port));
                self.endpoints = None;
            }
            self.return_all_of(all);
            Ok(())
        }
        .boxed()
    }

    fn give_back(&mut self) -> BoxFuture<'_, Result<(), String>> {
        self.give_back_all().boxed()
    }

    fn is_settled(&self) -> bool {
        self.endpoints.is_none() && self.addresses.is_empty() && self.ports.ports.is_empty()
    }
}
