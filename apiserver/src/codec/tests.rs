//! Values as kube-apiserver has kept them on etcd (protobuf, or JSON where it keeps that), and what it served of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use corten_object::{json, protobuf};
use corten_store::Encoding;

use crate::cache::{Cache, Objects};
use crate::resource::{Storage, built_in};

struct Recorded {
    key: String,
    kept: Bytes,
    served: String,
}

impl Recorded {
    /// The served object as a value: without its resourceVersion.
    fn as_json(&self) -> Bytes {
        let field = format!("\"resourceVersion\":\"{}\",", self.revision());
        assert!(self.served.contains(&field), "{}", self.key);
        self.served.replacen(&field, "", 1).into()
    }

    fn revision(&self) -> u64 {
        let (_, rest) = self.served.split_once("\"resourceVersion\":\"").expect("it has one");
        rest.split('"').next().and_then(|digits| digits.parse().ok()).expect("it is a number")
    }
}

fn recorded() -> Vec<Recorded> {
    let read = |line: &str| {
        let tree = json::parse(line.as_bytes().to_vec(), json::Form::Plain).expect("a line is JSON").tree;
        let word = |name: &str| tree.root().get(name).map_or("", |node| node.as_str()).to_owned();
        let kept = base64::engine::general_purpose::STANDARD.decode(word("kept")).expect("it is base64");
        Recorded { key: word("key"), kept: kept.into(), served: word("served") }
    };
    include_str!("testdata/kept.jsonl").lines().map(read).collect()
}

fn storages() -> BTreeMap<Arc<str>, Arc<Storage>> {
    let cache = |_: Option<usize>| Arc::new(Cache::new(Objects::new(), 0, Arc::default(), None));
    let resources = built_in(&crate::server::rows(), &cache);
    let storages = resources.iter().filter_map(|resource| resource.storage.as_ref());
    storages.map(|storage| (Arc::clone(&storage.prefix), Arc::clone(storage))).collect()
}

fn storage_of<'s>(storages: &'s BTreeMap<Arc<str>, Arc<Storage>>, key: &str) -> &'s Arc<Storage> {
    let found = storages.values().filter(|storage| key.starts_with(&*storage.prefix));
    found.max_by_key(|storage| storage.prefix.len()).expect("every record has its storage")
}

/// Reads a value, checks what is served of it, and gives back what an update that changes nothing would keep.
fn read_and_keep(storage: &Storage, recorded: &Recorded, value: &Bytes) -> Bytes {
    let key = &recorded.key[storage.prefix.len()..];
    let draft = storage.ingest(key, value).unwrap_or_else(|error| panic!("{}: {}", recorded.key, error.message()));
    let object = draft.object(recorded.revision());
    assert_eq!(String::from_utf8_lossy(&object.json), recorded.served, "{}", recorded.key);
    let tree = storage.tree(&object);
    storage.encode(&tree, &storage.draft(&tree, key), Encoding::Protobuf)
}

#[test]
fn what_upstream_keeps_is_kept_to_the_byte() {
    let storages = storages();
    let records = recorded();
    assert!(records.len() >= 60);
    for recorded in records {
        let storage = storage_of(&storages, &recorded.key);
        let kept = read_and_keep(storage, &recorded, &recorded.kept);
        assert_eq!(kept, recorded.kept, "{}", recorded.key);
    }
}

#[test]
fn json_is_read_and_rewritten_in_the_usual_encoding() {
    let storages = storages();
    for recorded in recorded() {
        let storage = storage_of(&storages, &recorded.key);
        let kept = read_and_keep(storage, &recorded, &recorded.as_json());
        assert_eq!(kept, recorded.kept, "{}", recorded.key);
    }
}

#[test]
fn the_embedded_engine_keeps_canonical_json() {
    let storages = storages();
    for recorded in recorded() {
        let storage = storage_of(&storages, &recorded.key);
        let draft = storage.ingest("t1", &recorded.kept).expect("it was read before");
        let tree = storage.tree(&draft.object(1));
        assert_eq!(storage.encode(&tree, &draft, Encoding::Json), recorded.as_json(), "{}", recorded.key);
    }
}

#[test]
fn a_value_of_another_kind_is_an_error() {
    let storages = storages();
    for recorded in recorded() {
        for storage in storages.values().filter(|storage| !recorded.key.starts_with(&*storage.prefix)) {
            let read = storage.ingest("t1", &recorded.kept);
            assert!(read.is_err(), "{} read as {}", recorded.key, storage.prefix);
        }
    }
}

/// Steps of a linear congruence: the same bytes are broken in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn break_some(&mut self, value: &[u8]) -> Vec<u8> {
        let mut broken = value.to_vec();
        match self.roll(4) {
            0 => broken.truncate(self.roll(value.len())),
            1 => {
                broken.remove(self.roll(value.len()));
            }
            2 => broken.insert(self.roll(value.len()), self.roll(256) as u8),
            _ => {
                for _ in 0..=self.roll(4) {
                    broken[self.roll(value.len())] = self.roll(256) as u8;
                }
            }
        }
        broken
    }
}

/// Whatever lies in the store: it is read or it is an error, and what was read can be shown and kept.
#[test]
fn broken_values_are_errors_and_no_more() {
    let storages = storages();
    let mut dice = Dice(36);
    let mut read = 0;
    for recorded in recorded() {
        let storage = storage_of(&storages, &recorded.key);
        for value in [recorded.kept.clone(), recorded.as_json()] {
            for _ in 0..60 {
                let broken = Bytes::from(dice.break_some(&value));
                let Ok(draft) = storage.ingest("t1", &broken) else { continue };
                let object = draft.object(7);
                let tree = storage.tree(&object);
                let kept = storage.encode(&tree, &storage.draft(&tree, "t1"), Encoding::Protobuf);
                assert!(storage.ingest("t1", &kept).is_ok(), "{}: {kept:?}", recorded.key);
                protobuf::encode(tree.root());
                storage
                    .printer
                    .map_or_else(|| storage.strategy().row(tree.root()), |printer| (printer.row)(tree.root()));
                read += 1;
            }
        }
    }
    assert!(read > 500, "only {read} were read");
}
