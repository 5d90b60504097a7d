//! Node ports: one shared bitmap for the cluster, changed by compare and swap.
//!
//! All servers on a store share the key and its form. This process remembers what it wrote last and writes on top of
//! it; if another server was first, the conflict brings what is there now, and the change is made anew on that. What
//! leads to no write, a refusal or a release of ports that are free already, is decided on what the store holds.

use std::fmt;

use bytes::Bytes;
use corten_object::scalar::{decode_base64, encode_base64};
use corten_object::tree::{Node, Tree};
use corten_runtime::random::Random;
use corten_store::{Applied, Error, Expect, KeyValue, Put, Revision, Store, WriteError};
use tokio::sync::Mutex;

use super::bitmap::Bitmap;
use super::record::Record;
use super::under_way::{Entered, UnderWay};

pub const KEY: &str = "/registry/ranges/servicenodeports";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    pub first: i64,
    pub last: i64,
}

impl Default for PortRange {
    fn default() -> PortRange {
        PortRange { first: 30000, last: 32767 }
    }
}

impl PortRange {
    /// `30000-32767`.
    pub fn parse(text: &str) -> Option<PortRange> {
        let (first, last) = text.split_once('-')?;
        let port = |text: &str| text.parse::<u16>().ok().map(i64::from);
        let range = PortRange { first: port(first)?, last: port(last)? };
        (range.first <= range.last).then_some(range)
    }

    pub fn size(self) -> usize {
        (self.last - self.first + 1) as usize
    }

    /// How many ports at its start are kept for who names one.
    pub fn band(self) -> usize {
        let size = self.size();
        if size <= 16 { 0 } else { (size / 32).clamp(16, 128) }
    }

    fn offset(self, port: i64) -> Option<usize> {
        (self.first..=self.last).contains(&port).then(|| (port - self.first) as usize)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    #[error("range is full")]
    Full,
    #[error("provided port is already allocated")]
    Allocated,
    #[error("provided port is not in the valid range. The range of valid ports is {0}")]
    NotInRange(PortRange),
    /// A service names one port twice for one protocol.
    #[error("duplicate nodePort: {0}")]
    Duplicate(String),
    #[error("{0}")]
    Other(String),
}

/// Ports of a range, and which of them are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    pub range: PortRange,
    pub taken: Bitmap,
}

impl Ports {
    pub fn new(range: PortRange) -> Ports {
        Ports { range, taken: Bitmap::default() }
    }

    pub fn take(&mut self, port: i64) -> Result<(), PortError> {
        let offset = self.range.offset(port).ok_or(PortError::NotInRange(self.range))?;
        if self.taken.set(offset) { Ok(()) } else { Err(PortError::Allocated) }
    }

    pub fn take_any(&mut self, random: &Random) -> Result<i64, PortError> {
        let free = self.taken.free(self.range.size(), self.range.band(), random).ok_or(PortError::Full)?;
        self.taken.set(free);
        Ok(self.range.first + free as i64)
    }

    /// A port outside the range, or one that is not taken, is let go without a word.
    pub fn release(&mut self, port: i64) {
        if let Some(offset) = self.range.offset(port) {
            self.taken.clear(offset);
        }
    }

    pub fn has(&self, port: i64) -> bool {
        self.range.offset(port).is_some_and(|offset| self.taken.has(offset))
    }

    fn added_to(&self, before: &Ports) -> Vec<i64> {
        self.taken.added_to(&before.taken).into_iter().map(|bit| self.range.first + bit as i64).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = i64> {
        let first = self.range.first;
        self.taken.bits().map(move |bit| first + bit as i64)
    }
}

/// The cluster's node ports.
pub struct NodePorts {
    pub range: PortRange,
    record: Record,
    /// Ports of writes that are not settled.
    pub under_way: UnderWay<i64>,
    /// What this process has seen last. Held while a change is under way, so that its changes do not race each other.
    known: Mutex<Option<Known>>,
}

/// Ports to be given back.
#[derive(Debug, Default)]
pub struct Release {
    pub ports: Vec<i64>,
    /// The revision that a release was written upon whose outcome is unknown.
    sent_at: Option<Revision>,
}

impl Release {
    pub fn of(ports: Vec<i64>) -> Release {
        Release { ports, sent_at: None }
    }
}

struct Known {
    tree: Tree,
    ports: Ports,
    revision: Revision,
}

impl NodePorts {
    pub fn new(range: PortRange) -> NodePorts {
        let record = Record::of("RangeAllocation").expect("the tables have the kind");
        NodePorts { range, record, under_way: UnderWay::default(), known: Mutex::default() }
    }

    /// Takes ports. `choose` decides on the newest state, and may be called several times; an error leaves all as it is.
    /// The ports count as under way until what is returned beside them is dropped.
    pub async fn take<T>(
        &self,
        store: &dyn Store,
        mut choose: impl FnMut(&mut Ports) -> Result<T, PortError> + Send,
    ) -> Result<(T, Entered<i64>), PortError> {
        let mut known = self.known.lock().await;
        // A refusal is final only on what the store has shown since the call began.
        let mut fresh = false;
        loop {
            let before = match known.take() {
                Some(before) => before,
                None => {
                    fresh = true;
                    self.fetch(store).await?
                }
            };
            let mut ports = before.ports.clone();
            let chosen = match choose(&mut ports) {
                Ok(chosen) => chosen,
                Err(error) if fresh => {
                    *known = Some(before);
                    return Err(error);
                }
                Err(_) => continue,
            };
            let entered = self.under_way.enter(ports.added_to(&before.ports));
            // A write whose outcome is unknown is a refusal here. If the store took it, the ports are leaked, and the
            // repair loop is told by the change of the key.
            match self.write(store, before.tree, ports, Expect::ModRevision(before.revision)).await {
                Ok(written) => {
                    *known = Some(written);
                    return Ok((chosen, entered));
                }
                Err(WriteError::Conflict(conflict)) => {
                    *known = Some(self.known(conflict.current.as_ref())?);
                    fresh = true;
                }
                Err(WriteError::Failed(error)) => return Err(other(error)),
            }
        }
    }

    /// Gives ports back. On an error it may be called again with the same `release`.
    pub async fn release(&self, store: &dyn Store, release: &mut Release) -> Result<(), PortError> {
        let mut known = self.known.lock().await;
        let mut fresh = false;
        while !release.ports.is_empty() {
            let before = match known.take().filter(|_| release.sent_at.is_none()) {
                Some(before) => before,
                None => {
                    fresh = true;
                    self.fetch(store).await?
                }
            };
            let mut ports = before.ports.clone();
            release.ports.iter().for_each(|&port| ports.release(port));
            let sent_at = release.sent_at.take();
            if ports == before.ports {
                if fresh {
                    release.ports.clear();
                    *known = Some(before);
                }
                continue;
            }
            if sent_at.is_some_and(|revision| revision != before.revision) {
                // The release before may have taken effect, and then the ports are somebody else's.
                tracing::warn!(ports = ?release.ports, "node ports may not have been given back; the repair loop will see");
                release.ports.clear();
                *known = Some(before);
                continue;
            }
            release.sent_at = Some(before.revision);
            match self.write(store, before.tree, ports, Expect::ModRevision(before.revision)).await {
                Ok(written) => {
                    *release = Release::default();
                    *known = Some(written);
                }
                Err(WriteError::Conflict(conflict)) => {
                    release.sent_at = None;
                    *known = Some(self.known(conflict.current.as_ref())?);
                    fresh = true;
                }
                Err(WriteError::Failed(error)) => {
                    if !matches!(error, Error::Unavailable { applied: Applied::Unknown, .. }) {
                        release.sent_at = None;
                    }
                    return Err(other(error));
                }
            }
        }
        Ok(())
    }

    async fn fetch(&self, store: &dyn Store) -> Result<Known, PortError> {
        let fetched = store.get(KEY, None).await.map_err(other)?;
        self.known(fetched.kv.as_ref())
    }

    /// What is kept: the ports that are taken, in the range that they were kept in, and when that was. None if nothing is.
    pub async fn read(&self, store: &dyn Store) -> Result<(Option<Ports>, Snapshot), PortError> {
        let fetched = store.get(KEY, None).await.map_err(other)?;
        let Some(kv) = fetched.kv else { return Ok((None, Snapshot { kept: None, read_at: fetched.revision })) };
        let tree = self.record.decode(&kv.value).map_err(PortError::Other)?;
        let (text, taken) = contents(&tree);
        let range = PortRange::parse(text)
            .ok_or_else(|| PortError::Other(format!("the range {text:?} of the kept node ports is none")))?;
        let snapshot = Snapshot { kept: Some((tree, kv.mod_revision)), read_at: fetched.revision };
        Ok((Some(Ports { range, taken }), snapshot))
    }

    /// Puts a rebuilt state in place of the one that was read. False if that has changed meanwhile.
    pub async fn replace(&self, store: &dyn Store, snapshot: Snapshot, ports: Ports) -> Result<bool, PortError> {
        let mut known = self.known.lock().await;
        let (tree, expect) = match snapshot.kept {
            Some((tree, revision)) => (tree, Expect::ModRevision(revision)),
            None => (self.record.empty(), Expect::Absent),
        };
        match self.write(store, tree, ports, expect).await {
            Ok(written) => {
                *known = Some(written);
                Ok(true)
            }
            Err(WriteError::Conflict(_)) => Ok(false),
            Err(WriteError::Failed(error)) => Err(other(error)),
        }
    }

    async fn write(
        &self,
        store: &dyn Store,
        mut tree: Tree,
        ports: Ports,
        expect: Expect,
    ) -> Result<Known, WriteError> {
        fill(&mut tree, &ports);
        let value: Bytes = self.record.encode(&tree, store.encoding());
        let revision = store.put(Put::new(KEY, value, expect)).await?;
        Ok(Known { tree, ports, revision })
    }

    fn known(&self, kv: Option<&KeyValue>) -> Result<Known, PortError> {
        let Some(kv) = kv else {
            let message = "cannot allocate resources of type servicenodeportallocations at this time";
            return Err(PortError::Other(message.to_owned()));
        };
        let tree = self.record.decode(&kv.value).map_err(PortError::Other)?;
        let (range, taken) = contents(&tree);
        if range != self.range.to_string() {
            return Err(PortError::Other("the provided range does not match the current range".to_owned()));
        }
        let ports = Ports { range: self.range, taken };
        Ok(Known { tree, ports, revision: kv.mod_revision })
    }
}

/// What `NodePorts::read` read.
pub struct Snapshot {
    kept: Option<(Tree, Revision)>,
    /// The store's revision then.
    pub read_at: Revision,
}

fn other(error: Error) -> PortError {
    PortError::Other(error.to_string())
}

fn contents(tree: &Tree) -> (&str, Bitmap) {
    let word = |name: &str| tree.root().get(name).map_or("", Node::as_str);
    (word("range"), Bitmap::from_bytes(&decode_base64(word("data"))))
}

fn fill(tree: &mut Tree, ports: &Ports) {
    let root = tree.root_id();
    let range = tree.string(&ports.range.to_string());
    tree.set_named(root, "range", range);
    // Present also where nothing is taken: upstream writes an empty one.
    let data = tree.string(&encode_base64(&ports.taken.to_bytes()));
    tree.set_named(root, "data", data);
}

#[cfg(test)]
mod tests {
    use corten_store::Encoding;

    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, size: usize, band: usize| {
            let range = PortRange::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((range.size(), range.band(), range.to_string().as_str()), (size, band, text));
        };
        check("30000-32767", 2768, 86);
        check("30000-30015", 16, 0);
        check("30000-30099", 100, 16);
        check("1-65535", 65535, 128);
        assert_eq!(PortRange::parse("30000"), None);
        assert_eq!(PortRange::parse("2-1"), None);
        assert_eq!(PortRange::parse("1-70000"), None);
    }

    #[test]
    fn ports_are_taken_once() {
        let mut ports = Ports::new(PortRange { first: 30000, last: 30001 });
        let random = Random::seeded(1);
        assert_eq!(ports.take(30001), Ok(()));
        assert_eq!(ports.take(30001), Err(PortError::Allocated));
        assert_eq!(ports.take(29999), Err(PortError::NotInRange(ports.range)));
        assert_eq!(ports.take_any(&random), Ok(30000));
        assert_eq!(ports.take_any(&random), Err(PortError::Full));
        ports.release(30001);
        ports.release(1);
        assert_eq!(ports.all().collect::<Vec<_>>(), [30000]);
        let error = PortError::NotInRange(ports.range).to_string();
        assert_eq!(error, "provided port is not in the valid range. The range of valid ports is 30000-30001");
    }

    #[test]
    fn kept_as_upstream_keeps_it() {
        let record = Record::of("RangeAllocation").unwrap();
        let mut tree = record.empty();
        let mut ports = Ports::new(PortRange::default());
        fill(&mut tree, &ports);
        let empty = b"k8s\0\n\x15\n\x02v1\x12\x0fRangeAllocation\x12\x21\n\x10\n\0\x12\0\x1a\0\x22\0\x2a\0\x32\0\x38\0\x42\0\x12\x0b30000-32767\x1a\0\x1a\0\x22\0";
        assert_eq!(&record.encode(&tree, Encoding::Protobuf)[..], &empty[..]);
        ports.take(30009).unwrap();
        fill(&mut tree, &ports);
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let read = record.decode(&record.encode(&tree, encoding)).unwrap();
            assert_eq!(contents(&read), ("30000-32767", ports.taken.clone()), "{encoding:?}");
        }
    }
}
