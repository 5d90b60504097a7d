//! The ConfigMap kube-system/extension-apiserver-authentication: by whose certificates this server knows clients, and
//! whom it lets speak for others. Servers that have a port of their own (the controller manager, the scheduler, extension
//! API servers) read from it whom to trust.
//!
//! Servers of one cluster may have different CAs, so each adds what it knows and takes nothing away but certificates that
//! have expired. What is written is in upstream's form, so that a kube-apiserver beside this one finds nothing to change.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result};
use corten_object::json;
use corten_object::tree::{Tree, View};
use corten_pki::union_of_bundles;
use corten_runtime::clock::Wall;
use corten_runtime::tasks::CancellationToken;
use corten_views::core_v1::ConfigMap;
use corten_views::meta_v1::ObjectMeta;

use super::changes::Changes;
use super::client::{self, Refused};
use super::pace::Pace;
use crate::api::Api;
use crate::cache::Scope;
use crate::metadata;

const COLLECTION: &str = "/api/v1/namespaces/kube-system/configmaps";
const NAME: &str = "extension-apiserver-authentication";
const KEY: &str = "kube-system/extension-apiserver-authentication";

const CLIENT_CA: &str = "client-ca-file";
const PROXY_CA: &str = "requestheader-client-ca-file";
const ALLOWED_NAMES: &str = "requestheader-allowed-names";
const USERNAME_HEADERS: &str = "requestheader-username-headers";
const UID_HEADERS: &str = "requestheader-uid-headers";
const GROUP_HEADERS: &str = "requestheader-group-headers";
const EXTRA_PREFIXES: &str = "requestheader-extra-headers-prefix";

/// Whom a server trusts. CAs are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    pub client_ca: String,
    /// Without one no proxy is trusted, and nothing is said of headers.
    pub proxy_ca: String,
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_header_prefixes: Vec<String>,
}

pub struct AuthenticationTrust {
    api: Arc<Api>,
    ours: Trust,
    changes: Changes,
    pace: Pace,
}

impl AuthenticationTrust {
    pub fn new(api: &Arc<Api>, ours: Trust) -> Result<AuthenticationTrust> {
        let changes = Changes::of(api, "", "configmaps", Scope::Object(KEY.into()))?;
        Ok(AuthenticationTrust { api: Arc::clone(api), ours, changes, pace: Pace::new(api.clock.clone()) })
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            tokio::select! {
                () = self.changes.wait() => {}
                () = self.pace.wait() => {}
                () = token.cancelled() => return,
            }
            self.look().await;
        }
    }

    /// Sees to it that the ConfigMap says what this server knows.
    pub async fn look(&mut self) {
        self.changes.take();
        let write = match self.next() {
            Ok(None) => return self.pace.settled(KEY),
            Ok(Some(write)) => write,
            // What cannot be read is not overwritten; there is nothing to do until somebody mends it.
            Err(error) => return tracing::warn!(error = format!("{error:#}"), "{KEY} cannot be read"),
        };
        if !self.pace.admits(KEY) {
            return;
        }
        let outcome = match write {
            Write::Create(body) => client::create(&self.api, COLLECTION, body).await,
            Write::Update(body) => client::update(&self.api, &format!("{COLLECTION}/{NAME}"), body).await,
        };
        match outcome {
            // If somebody was quicker, the event of that brings us here again.
            Err(refused) if !(refused.is_already_exists() || refused.is_conflict() || refused.is_not_found()) => {
                tracing::warn!(error = %refused, "{KEY} does not say whom this server trusts");
                self.pace.failed(KEY);
            }
            _ => self.pace.wrote(KEY),
        }
    }

    fn next(&self) -> Result<Option<Write>> {
        let now = self.api.clock.now();
        let Some(mut tree) = self.api.lookup_tree("", "configmaps", KEY).map_err(Refused::from)? else {
            let data = self.ours.combined_with(Trust::default(), now)?.to_data();
            return Ok(Some(Write::Create(new_object(&data))));
        };
        let kept = read_data(&tree);
        let data = self.ours.combined_with(Trust::from_data(&kept)?, now)?.to_data();
        if kept == data {
            return Ok(None);
        }
        set_data(&mut tree, &data);
        Ok(Some(Write::Update(json::to_vec(tree.root()))))
    }
}

/// How the ConfigMap becomes what it should be.
enum Write {
    Create(Vec<u8>),
    Update(Vec<u8>),
}

type Data = BTreeMap<String, String>;

fn read_data(tree: &Tree) -> Data {
    let data = ConfigMap::from_struct(tree.root().as_struct()).data();
    data.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn new_object(data: &Data) -> Vec<u8> {
    let mut tree = Tree::of(ConfigMap::TYPE);
    metadata::set_kind(&mut tree, "v1", "ConfigMap");
    metadata::edit(&mut tree).set(ObjectMeta::NAME, NAME);
    set_data(&mut tree, data);
    json::to_vec(tree.root())
}

fn set_data(tree: &mut Tree, data: &Data) {
    tree.edit().remove(ConfigMap::DATA);
    let mut root = tree.edit();
    let mut map = root.ensure(ConfigMap::DATA);
    data.iter().for_each(|(key, value)| map.set_key(key, value.as_str()));
}

impl Trust {
    fn from_data(data: &Data) -> Result<Trust> {
        let text = |key: &str| data.get(key).cloned().unwrap_or_default();
        let list = |key: &str| match data.get(key).filter(|text| !text.is_empty()) {
            Some(text) => serde_json::from_str(text).with_context(|| format!("read {key}")),
            None => Ok(Vec::new()),
        };
        Ok(Trust {
            client_ca: text(CLIENT_CA),
            proxy_ca: text(PROXY_CA),
            allowed_names: list(ALLOWED_NAMES)?,
            username_headers: list(USERNAME_HEADERS)?,
            uid_headers: list(UID_HEADERS)?,
            group_headers: list(GROUP_HEADERS)?,
            extra_header_prefixes: list(EXTRA_PREFIXES)?,
        })
    }

    fn to_data(&self) -> Data {
        let mut data = Data::new();
        let list = |values: &[String]| {
            let values: Vec<String> = values.iter().map(|value| corten_api::json::string(value)).collect();
            format!("[{}]", values.join(","))
        };
        if !self.client_ca.is_empty() {
            data.insert(CLIENT_CA.into(), self.client_ca.clone());
        }
        if self.proxy_ca.is_empty() {
            return data;
        }
        data.insert(PROXY_CA.into(), self.proxy_ca.clone());
        data.insert(ALLOWED_NAMES.into(), list(&self.allowed_names));
        data.insert(USERNAME_HEADERS.into(), list(&self.username_headers));
        if !self.uid_headers.is_empty() {
            data.insert(UID_HEADERS.into(), list(&self.uid_headers));
        }
        data.insert(GROUP_HEADERS.into(), list(&self.group_headers));
        data.insert(EXTRA_PREFIXES.into(), list(&self.extra_header_prefixes));
        data
    }

    /// What is known already comes first, so that servers do not quarrel about the order.
    fn combined_with(&self, known: Trust, now: Wall) -> Result<Trust> {
        Ok(Trust {
            client_ca: union_of_bundles(&known.client_ca, &self.client_ca, now).context("the client CAs")?,
            proxy_ca: union_of_bundles(&known.proxy_ca, &self.proxy_ca, now).context("the front proxies' CAs")?,
            allowed_names: union(known.allowed_names, &self.allowed_names),
            username_headers: union(known.username_headers, &self.username_headers),
            uid_headers: union(known.uid_headers, &self.uid_headers),
            group_headers: union(known.group_headers, &self.group_headers),
            extra_header_prefixes: union(known.extra_header_prefixes, &self.extra_header_prefixes),
        })
    }
}

fn union(mut known: Vec<String>, ours: &[String]) -> Vec<String> {
    known.extend_from_slice(ours);
    let mut seen = HashSet::new();
    known.retain(|value| seen.insert(value.clone()));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn data_is_upstreams() {
        let mut trust = Trust { client_ca: "C".into(), uid_headers: list(&["X-Remote-Uid"]), ..Trust::default() };
        let only = Data::from([("client-ca-file".to_owned(), "C".to_owned())]);
        assert_eq!(trust.to_data(), only, "no headers without a proxy's CA");
        trust = Trust {
            proxy_ca: "P".into(),
            username_headers: list(&["X-Remote-User", "X-User"]),
            uid_headers: Vec::new(),
            ..trust
        };
        let data = trust.to_data();
        let expected = [
            ("client-ca-file", "C"),
            ("requestheader-allowed-names", "[]"),
            ("requestheader-client-ca-file", "P"),
            ("requestheader-extra-headers-prefix", "[]"),
            ("requestheader-group-headers", "[]"),
            ("requestheader-username-headers", r#"["X-Remote-User","X-User"]"#),
        ];
        assert_eq!(data.iter().map(|(key, value)| (&**key, &**value)).collect::<Vec<_>>(), expected);
        assert_eq!(Trust::from_data(&data).unwrap(), trust);
        assert!(Trust::from_data(&Data::from([("requestheader-allowed-names".into(), "front".into())])).is_err());
    }

    #[test]
    fn names_are_added_once_in_order() {
        assert_eq!(union(list(&["b", "a"]), &list(&["c", "a"])), list(&["b", "a", "c"]));
    }

    #[test]
    fn objects_hold_their_data() {
        let data = Data::from([("client-ca-file".to_owned(), "C\n".to_owned())]);
        let ty = ConfigMap::TYPE;
        let mut tree = json::parse(new_object(&data), json::Form::Typed(ty)).unwrap().tree;
        assert_eq!(read_data(&tree), data);
        let other = Data::from([("requestheader-allowed-names".to_owned(), "[]".to_owned())]);
        set_data(&mut tree, &other);
        assert_eq!(read_data(&tree), other);
    }
}
