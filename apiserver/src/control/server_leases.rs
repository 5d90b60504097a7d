//! Which servers are alive, as servers on one etcd tell each other: a key for each one's address, gone soon after it is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use corten_api::names::parse_ip_sloppy;
use corten_object::tree::{Tree, View};
use corten_store::{Expect, Put, Read, Span, Store, WriteError};
use corten_views::core_v1::{EndpointAddress, EndpointSubset, Endpoints};
use corten_views::meta_v1::ObjectMeta;

use crate::metadata;
use crate::reserve::record::Record;

const PREFIX: &str = "/registry/masterleases/";
const TTL: Duration = Duration::from_secs(15);
pub const RENEWED_EVERY: Duration = Duration::from_secs(10);
const ATTEMPTS: usize = 10;

pub struct ServerLeases {
    store: Arc<dyn Store>,
    record: Record,
    key: Arc<str>,
    address: IpAddr,
}

impl ServerLeases {
    pub fn new(store: Arc<dyn Store>, address: IpAddr) -> Result<ServerLeases> {
        let record = Record::of("Endpoints").ok_or_else(|| anyhow!("the tables lack Endpoints"))?;
        Ok(ServerLeases { store, record, key: format!("{PREFIX}{address}").into(), address })
    }

    pub async fn renew(&self) -> Result<()> {
        let mut current = self.store.get(&self.key, None).await?.kv;
        for _ in 0..ATTEMPTS {
            let revision = current.as_ref().map_or(0, |kv| kv.mod_revision);
            // A value that cannot be read is replaced.
            let kept = current.and_then(|kv| self.record.decode(&kv.value).ok());
            let tree = self.renewed(kept);
            let value = self.record.encode(&tree, self.store.encoding());
            let put = Put::new(Arc::clone(&self.key), value, Expect::ModRevision(revision)).ttl(TTL).lazy();
            match self.store.put(put).await {
                Ok(_) => return Ok(()),
                Err(WriteError::Conflict(conflict)) => current = conflict.current,
                Err(WriteError::Failed(error)) => return Err(error.into()),
            }
        }
        bail!("{} is being changed by others all the time", self.key)
    }

    /// Every renewal differs from the one before.
    fn renewed(&self, kept: Option<Tree>) -> Tree {
        let mut tree = kept.unwrap_or_else(|| self.record.empty());
        let generation = metadata::read(&tree).generation();
        metadata::edit(&mut tree).set(ObjectMeta::GENERATION, generation + 1);
        let mut root = tree.edit();
        root.remove(Endpoints::SUBSETS);
        let mut subset = root.append(Endpoints::SUBSETS, EndpointSubset::TYPE);
        let mut address = subset.append(EndpointSubset::ADDRESSES, EndpointAddress::TYPE);
        address.set(EndpointAddress::IP, &self.address.to_string());
        tree
    }

    /// True if there was one.
    pub async fn remove(&self) -> Result<bool> {
        match self.store.delete(Arc::clone(&self.key), Expect::Any).await {
            Ok(deleted) => Ok(deleted.previous.is_some()),
            Err(error) => Err(error.into()),
        }
    }

    /// The addresses of all that are alive, in the order of their keys.
    pub async fn alive(&self) -> Result<Vec<String>> {
        let listing = self.store.range(Read::of(Span::prefix(PREFIX))).await?;
        let mut addresses = Vec::new();
        for kv in &listing.kvs {
            // Of one that cannot be read nobody knows whether its server lives. It is renewed soon, or expires.
            let tree = self.record.decode(&kv.value).map_err(|error| anyhow!("{} cannot be read: {error}", kv.key))?;
            addresses.extend(first_address(&tree));
        }
        Ok(addresses)
    }
}

fn first_address(tree: &Tree) -> Option<String> {
    let subsets = Endpoints::from_struct(tree.root().as_struct()).subsets();
    let ip = subsets.get(0)?.addresses().get(0)?.ip();
    parse_ip_sloppy(ip).map(|_| ip.to_owned())
}
