//! What happened, as the engine tells it: the truth that answers and watches are held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use corten_store::{Read, Span, Store, Want, Watch, WatchFrom};
use serde_json::Value;

use super::kinds::KINDS;
use crate::fixture::{Cluster, within};

/// A key's state after a change.
#[derive(Clone, Default, PartialEq)]
pub struct Live {
    pub revision: u64,
    pub created: u64,
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    pub color: String,
    pub node: String,
    pub deleting: bool,
    pub finalizers: bool,
    /// As it is stored; empty for what was there at the beginning.
    pub value: bytes::Bytes,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let deleting = if self.deleting { " on its way out" } else { "" };
        write!(f, "{} of {}{deleting}", self.revision, self.uid)
    }
}

#[derive(Clone, Debug)]
pub struct Change {
    pub revision: u64,
    pub key: Arc<str>,
    pub live: Option<Live>,
}

pub struct Timeline {
    watch: Watch,
    /// The revision before everything that is looked at.
    pub start: u64,
    base: BTreeMap<Arc<str>, Live>,
    pub changes: Vec<Change>,
}

impl Timeline {
    pub async fn begin(cluster: &Cluster) -> Timeline {
        let read = Read::of(Span::prefix("/registry/")).want(Want::Keys);
        let listing = within("the state at the beginning", cluster.engine().range(read)).await.expect("a listing");
        let live = |kv: corten_store::KeyValue| {
            let live = Live { revision: kv.mod_revision, created: kv.create_revision, ..Live::default() };
            (kv.key, live)
        };
        let base = listing.kvs.into_iter().map(live).collect();
        let watch = cluster.engine().watch(Span::prefix("/registry/"), WatchFrom::after(listing.revision));
        let watch = within("the watch of all changes", watch).await.expect("a watch");
        Timeline { watch, start: listing.revision, base, changes: Vec::new() }
    }

    /// Takes in what has happened since the last time.
    pub fn catch_up(&mut self, cluster: &Cluster) {
        while let Some(Ok(batch)) = self.watch.try_next() {
            for event in batch.events {
                let live = event.value.as_ref().map(|value| Live {
                    revision: event.mod_revision,
                    created: event.create_revision,
                    value: value.clone(),
                    ..look_into(cluster, &event.key, value)
                });
                self.changes.push(Change { revision: event.mod_revision, key: event.key, live });
            }
        }
    }

    pub fn end(&self) -> u64 {
        self.changes.last().map_or(self.start, |change| change.revision)
    }

    /// All keys below a prefix, as they were right after a revision.
    pub fn at(&self, prefix: &str, revision: u64) -> BTreeMap<&str, &Live> {
        let base = self.base.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        let below = base.take_while(|(key, _)| key.starts_with(prefix));
        let mut state: BTreeMap<&str, &Live> = below.map(|(key, live)| (&**key, live)).collect();
        let until = self.changes.iter().take_while(|change| change.revision <= revision);
        for change in until.filter(|change| change.key.starts_with(prefix)) {
            match &change.live {
                Some(live) => state.insert(&change.key, live),
                None => state.remove(&*change.key),
            };
        }
        state
    }

    /// The states of a key from right after one revision up to another.
    pub fn states(&self, key: &str, from: u64, to: u64) -> Vec<Option<&Live>> {
        let mut state = self.base.get(key);
        let mut states = Vec::new();
        for change in self.changes.iter().filter(|change| &*change.key == key) {
            if change.revision > from && states.is_empty() {
                states.push(state);
            }
            state = change.live.as_ref();
            if change.revision > from && change.revision <= to {
                states.push(state);
            }
        }
        if states.is_empty() {
            states.push(state);
        }
        states
    }

    pub fn change_at(&self, revision: u64) -> Option<&Change> {
        let at = self.changes.binary_search_by_key(&revision, |change| change.revision).ok()?;
        Some(&self.changes[at])
    }
}

fn look_into(cluster: &Cluster, key: &str, value: &bytes::Bytes) -> Live {
    let Some(kind) = KINDS.iter().find(|kind| key.starts_with(kind.prefix)) else { return Live::default() };
    let parsed: Value = match value.first() {
        Some(b'{') => serde_json::from_slice(value).unwrap_or_default(),
        _ => {
            let api = &cluster.server(0).api;
            let group = if kind.root == "/api/v1" { "" } else { kind.root.split('/').nth(2).unwrap_or_default() };
            let storage = api.storage(group, kind.plural);
            let draft = storage.and_then(|storage| storage.ingest(&key[kind.prefix.len()..], value).ok());
            draft.and_then(|draft| serde_json::from_slice(&draft.canonical.json).ok()).unwrap_or_default()
        }
    };
    let text = |pointer: &str| parsed.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let labels = parsed.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    Live {
        uid: text("/metadata/uid"),
        labels: labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
        color: text("/spec/color"),
        node: text("/spec/nodeName"),
        deleting: parsed.pointer("/metadata/deletionTimestamp").is_some(),
        finalizers: parsed.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|all| !all.is_empty()),
        ..Live::default()
    }
}
