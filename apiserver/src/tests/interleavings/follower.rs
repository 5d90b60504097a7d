//! Clients of watches: each must see exactly what happened, in order, once.

use super::timeline::{Live, Timeline};
use crate::fixture::{Next, Watching};

/// What a list or a watch is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    pub kind: usize,
    /// Empty for all.
    pub namespace: String,
    pub selector: Selector,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    All,
    App(&'static str),
    NotApp(&'static str),
    HasApp,
    Name(String),
    Node(&'static str),
    Color(&'static str),
}

impl Selector {
    pub fn query(&self) -> String {
        match self {
            Selector::All => String::new(),
            Selector::App(app) => format!("labelSelector=app%3D{app}&"),
            Selector::NotApp(app) => format!("labelSelector=app!%3D{app}&"),
            Selector::HasApp => "labelSelector=app&".to_owned(),
            Selector::Name(name) => format!("fieldSelector=metadata.name%3D{name}&"),
            Selector::Node(node) => format!("fieldSelector=spec.nodeName%3D{node}&"),
            Selector::Color(color) => format!("fieldSelector=spec.color%3D{color}&"),
        }
    }
}

impl Scope {
    pub fn covers(&self, prefix: &str, key: &str, live: &Live) -> bool {
        let Some(rest) = key.strip_prefix(prefix) else { return false };
        let name = rest.rsplit('/').next().unwrap_or_default();
        let app = live.labels.get("app");
        let selected = match &self.selector {
            Selector::All => true,
            Selector::App(wanted) => app.is_some_and(|app| app == wanted),
            Selector::NotApp(other) => app.is_none_or(|app| app != other),
            Selector::HasApp => app.is_some(),
            Selector::Name(wanted) => name == wanted,
            Selector::Node(wanted) => live.node == *wanted,
            Selector::Color(wanted) => live.color == *wanted,
        };
        selected && (self.namespace.is_empty() || rest.starts_with(&format!("{}/", self.namespace)))
    }

    /// `key@revision` of all that it covers.
    pub fn shown(&self, timeline: &Timeline, revision: u64) -> Vec<String> {
        let prefix = super::kinds::KINDS[self.kind].prefix;
        let state = timeline.at(prefix, revision);
        let covered = state.into_iter().filter(|(key, live)| self.covers(prefix, key, live));
        covered.map(|(key, live)| format!("{}@{}", &key[prefix.len()..], live.revision)).collect()
    }
}

pub struct Follower {
    pub scope: Scope,
    pub server: usize,
    pub path: String,
    watch: Watching,
    /// Everything up to this revision was known when it began; unknown until the initial objects are there.
    pub start: Option<u64>,
    initial: Vec<String>,
    pub seen: Vec<String>,
    pub progress: u64,
    pub end: Option<Next>,
}

impl Follower {
    pub fn new(scope: Scope, server: usize, path: String, watch: Watching, start: Option<u64>) -> Follower {
        let progress = start.unwrap_or(0);
        Follower { scope, server, path, watch, start, initial: Vec::new(), seen: Vec::new(), progress, end: None }
    }

    /// Takes what has come; each object as it was shown. An error is a fault of what came.
    pub fn read(&mut self, mut shown: impl FnMut(&serde_json::Value)) -> Result<(), String> {
        while self.end.is_none() {
            let Some(next) = self.watch.try_next() else { return Ok(()) };
            let Next::Event(event) = next else {
                self.end = Some(next);
                return Ok(());
            };
            let revision = event.revision();
            let meta = &event.object["metadata"];
            let text = |name: &str| meta[name].as_str().unwrap_or_default();
            let key = match text("namespace") {
                "" => text("name").to_owned(),
                namespace => format!("{namespace}/{}", text("name")),
            };
            if event.kind == "BOOKMARK" {
                if revision < self.progress {
                    return Err(format!("a bookmark at {revision} after {}", self.progress));
                }
                self.progress = revision;
                if !meta["annotations"]["k8s.io/initial-events-end"].is_null() {
                    self.start = Some(revision);
                }
                continue;
            }
            if event.kind != "DELETED" {
                shown(&event.object);
            }
            if self.start.is_none() {
                if event.kind != "ADDED" {
                    return Err(format!("{} among the initial objects", event.short()));
                }
                self.initial.push(format!("{key}@{revision}"));
                continue;
            }
            if revision < self.progress {
                return Err(format!("{} at {revision} after {}", event.short(), self.progress));
            }
            self.progress = revision;
            self.seen.push(format!("{} {key}@{revision}", event.kind));
        }
        Ok(())
    }

    /// What it saw against what happened.
    pub fn judge(&self, timeline: &Timeline) -> Result<(), String> {
        let Some(start) = self.start else {
            return match self.end {
                Some(_) => Ok(()),
                None => Err("its initial objects never came to an end".to_owned()),
            };
        };
        let prefix = super::kinds::KINDS[self.scope.kind].prefix;
        let mut state = timeline.at(prefix, start);
        if !self.initial.is_empty() || self.path.contains("resourceVersion=&") {
            let expected = self.scope.shown(timeline, start);
            if expected != self.initial {
                return Err(format!("initial objects at {start}: {:?}, expected {expected:?}", self.initial));
            }
        }
        let mut expected = Vec::new();
        for change in timeline.changes.iter().filter(|change| change.revision > start && change.key.starts_with(prefix))
        {
            let sees = |live: Option<&Live>| live.is_some_and(|live| self.scope.covers(prefix, &change.key, live));
            let (before, after) = (sees(state.get(&*change.key).copied()), sees(change.live.as_ref()));
            let kind = match (before, after) {
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
                (false, false) => "",
            };
            if !kind.is_empty() {
                expected.push(format!("{kind} {}@{}", &change.key[prefix.len()..], change.revision));
            }
            match &change.live {
                Some(live) => state.insert(&change.key, live),
                None => state.remove(&*change.key),
            };
        }
        let right = match self.end {
            None => expected == self.seen,
            Some(_) => expected.starts_with(&self.seen),
        };
        if right {
            return Ok(());
        }
        Err(format!("after {start} it saw {:?}, expected {expected:?}; end {:?}", self.seen, self.end))
    }
}
