//! Writers on all servers at once, at odds with each other over few objects.

use super::kinds::{self, Kind};
use super::ledger::{Contents, Ledger, Version};
use corten_e2e::eventually;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams, Preconditions};
use kube::{Client, ResourceExt};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::RwLock;

/// Objects of each kind that the writers share.
const NAMES: u64 = 24;

pub struct Load {
    pub namespace: String,
    /// One for each server.
    pub clients: Vec<Client>,
    pub ledger: Mutex<Ledger>,
    /// How many writes each server has acknowledged.
    pub acknowledged_by: Vec<AtomicUsize>,
    pub over: AtomicBool,
    /// Writers hold it for reading during each turn; whoever has it for writing finds the store at rest.
    pub rest: RwLock<()>,
}

impl Load {
    pub fn new(namespace: String, clients: Vec<Client>) -> Load {
        Load {
            namespace,
            acknowledged_by: clients.iter().map(|_| AtomicUsize::new(0)).collect(),
            clients,
            ledger: Mutex::default(),
            over: AtomicBool::new(false),
            rest: RwLock::default(),
        }
    }

    pub fn api(&self, server: usize, kind: Kind) -> Api<DynamicObject> {
        kind.api(&self.clients[server], &self.namespace)
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn acknowledged(&self) -> usize {
        self.ledger.lock().expect("the ledger").acknowledged()
    }

    /// All objects of a kind as a server lists them, and the list's revision.
    pub async fn list(&self, server: usize, kind: Kind) -> kube::Result<(u64, Vec<DynamicObject>)> {
        let list = self.api(server, kind).list(&ListParams::default()).await?;
        let at = list.metadata.resource_version.as_deref().unwrap_or_default().parse().unwrap_or(0);
        Ok((at, list.items))
    }

    /// What stands in the cluster as one server shows it, and the oldest revision of the lists.
    pub async fn contents(&self, server: usize) -> anyhow::Result<(u64, Contents)> {
        let (mut contents, mut oldest) = (Contents::new(), u64::MAX);
        for kind in Kind::ALL {
            let (at, objects) = self.list(server, kind).await?;
            oldest = oldest.min(at);
            // All but the end's own.
            for object in objects.iter().filter(|object| !kinds::attempt(object).is_empty()) {
                contents.insert((kind, object.name_any()), Version::of(object)?);
            }
        }
        Ok((oldest, contents))
    }

    /// Writes by one server until the load is over.
    pub async fn write(&self, writer: usize, server: usize) -> anyhow::Result<()> {
        let mut writer = Writer { load: self, number: writer, server, turns: 0, dice: Dice::new() };
        while !self.is_over() {
            let answered = {
                let _turn = self.rest.read().await;
                writer.turn().await?
            };
            if !answered {
                eventually("a server to answer again", async || {
                    let answer = self.api(server, Kind::ConfigMap).get_opt("nothing").await;
                    Ok((answer.is_ok() || self.is_over()).then_some(()))
                })
                .await?;
            }
        }
        Ok(())
    }
}

struct Writer<'l> {
    load: &'l Load,
    number: usize,
    server: usize,
    turns: usize,
    dice: Dice,
}

impl Writer<'_> {
    /// One request, or none if the server does not answer; false then.
    async fn turn(&mut self) -> anyhow::Result<bool> {
        self.turns += 1;
        let kind = Kind::ALL[self.dice.roll(Kind::ALL.len() as u64) as usize];
        let name = format!("o{}", self.dice.roll(NAMES));
        let api = self.load.api(self.server, kind);
        let found = match api.get_opt(&name).await {
            Ok(found) => found,
            Err(error) => return open(error).map(|()| false),
        };
        match found {
            Some(object) if object.metadata.deletion_timestamp.is_some() || self.dice.roll(6) == 0 => {
                self.delete(&api, kind, &object).await
            }
            found => self.put(&api, kind, &name, found).await,
        }
    }

    async fn put(
        &mut self,
        api: &Api<DynamicObject>,
        kind: Kind,
        name: &str,
        before: Option<DynamicObject>,
    ) -> anyhow::Result<bool> {
        let (attempt, holder) = (format!("{}-{}", self.number, self.turns), self.number.to_string());
        let mut object = before.clone().unwrap_or_else(|| kind.object(&self.load.namespace, name, &holder));
        kind.change(&mut object, &holder, self.dice.roll(4) == 0);
        kinds::mark(&mut object, &attempt);
        let lazy = kind.is_lazy(before.as_ref(), &object);
        self.ledger(|ledger| ledger.begin(&attempt, kind, name, lazy));
        let params = PostParams::default();
        let answer = match before {
            Some(_) => api.replace(name, &params, &object).await,
            None => api.create(&params, &object).await,
        };
        match answer {
            Ok(written) => {
                self.ledger(|ledger| ledger.acknowledge(&attempt, &written))?;
                self.count();
                self.read_elsewhere(kind, name, &Version::of(&written)?).await?;
            }
            Err(error) if refused(&error) => self.ledger(|ledger| ledger.refuse(&attempt)),
            Err(error) => return open(error).map(|()| false),
        }
        Ok(true)
    }

    async fn delete(&mut self, api: &Api<DynamicObject>, kind: Kind, object: &DynamicObject) -> anyhow::Result<bool> {
        let uid = object.uid().unwrap_or_default();
        // Now and then whatever is there by now, if it is the same object.
        let revision = if self.dice.roll(2) == 0 { object.resource_version() } else { None };
        let preconditions = Some(Preconditions { uid: Some(uid.clone()), resource_version: revision });
        self.ledger(|ledger| ledger.begin_deletion(&uid));
        match api.delete(&object.name_any(), &DeleteParams { preconditions, ..DeleteParams::default() }).await {
            Ok(_) => {
                self.ledger(|ledger| ledger.acknowledge_deletion(&uid));
                self.count();
            }
            Err(error) if refused(&error) => self.ledger(|ledger| ledger.refuse_deletion(kind, &uid)),
            Err(error) => return open(error).map(|()| false),
        }
        Ok(true)
    }

    /// A read is not older than a write that was answered before it began, whichever server is asked.
    async fn read_elsewhere(&mut self, kind: Kind, name: &str, written: &Version) -> anyhow::Result<()> {
        let server = self.dice.roll(self.load.clients.len() as u64) as usize;
        let read = match self.load.api(server, kind).get_opt(name).await {
            Ok(Some(object)) => Version::of(&object)?,
            Ok(None) => return Ok(()),
            Err(error) => return open(error),
        };
        anyhow::ensure!(read.at >= written.at, "server {server} answered {read:?} of {name} after {written:?}");
        Ok(())
    }

    fn count(&self) {
        self.load.acknowledged_by[self.server].fetch_add(1, Ordering::Relaxed);
    }

    fn ledger<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        change(&mut self.load.ledger.lock().expect("the ledger"))
    }
}

/// Somebody else was quicker: nothing has happened.
fn refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if [404, 409].contains(&status.code))
}

/// An error that leaves open whether anything has happened: the server or its store is gone, or going. Any other is not
/// expected here.
fn open(error: kube::Error) -> anyhow::Result<()> {
    match error {
        kube::Error::Api(status) if status.code < 500 => anyhow::bail!("refused: {status:?}"),
        _ => Ok(()),
    }
}

/// Numbers without an order to them.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        Dice(RandomState::new().build_hasher().finish() | 1)
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below.max(1)
    }
}
