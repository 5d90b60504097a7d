//! The FlowSchemas and PriorityLevelConfigurations that every cluster has: made again when they are deleted, and kept as
//! they are meant to be.
//!
//! Priority and fairness cannot do without the mandatory ones, which are set right whoever changes them. The others are
//! suggestions: an operator may change them, and says by an annotation (or by having changed the spec) that they are
//! hers now. One that says that it is kept up, and that this version does not know, is left over from another version
//! and is deleted.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use corten_runtime::tasks::CancellationToken;
use serde_json::{Value, json};

use super::changes::Changes;
use super::client;
use super::pace::Pace;
use crate::api::Api;
use crate::bootstrap::{self, FLOW_CONTROL, Initial};
use crate::cache::{Scope, Snapshot};

const MANAGER: &str = "fieldManager=api-priority-and-fairness-config-producer-v1";
const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";
/// Of both kinds.
const MANDATORY: [&str; 2] = ["exempt", "catch-all"];
const LEVEL: &str = "PriorityLevelConfiguration";

pub struct FlowControlDefaults {
    api: Arc<Api>,
    /// Levels first, then the schemas that refer to them.
    resources: [Kept; 2],
    pace: Pace,
}

/// One of the two resources.
struct Kept {
    changes: Changes,
    collection: String,
    initial: Vec<(Initial, Value)>,
}

impl FlowControlDefaults {
    pub fn new(api: &Arc<Api>) -> Result<FlowControlDefaults> {
        let resources = [kept(api, "prioritylevelconfigurations")?, kept(api, "flowschemas")?];
        Ok(FlowControlDefaults { api: Arc::clone(api), resources, pace: Pace::new(api.clock.clone()) })
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            let [levels, schemas] = &self.resources;
            tokio::select! {
                () = levels.changes.wait() => {}
                () = schemas.changes.wait() => {}
                () = self.pace.wait() => {}
                () = token.cancelled() => return,
            }
            self.look().await;
        }
    }

    /// Sees to all of them: there are few, and they change seldom.
    pub async fn look(&mut self) {
        for kept in &mut self.resources {
            kept.changes.take();
            for (path, step) in kept.steps() {
                let Some(step) = step else {
                    self.pace.settled(&path);
                    continue;
                };
                if !self.pace.admits(&path) {
                    continue;
                }
                match take(&self.api, kept, &path, step).await {
                    Ok(()) => self.pace.wrote(&path),
                    Err(error) => {
                        tracing::warn!(object = path, %error, "priority and fairness are not configured as they should be");
                        self.pace.failed(&path);
                    }
                }
            }
        }
    }
}

fn kept(api: &Arc<Api>, plural: &str) -> Result<Kept> {
    let changes = Changes::of(api, FLOW_CONTROL, plural, Scope::All)?;
    let mut initial = Vec::new();
    let all = bootstrap::objects(&api.registry.load())?;
    for object in all.into_iter().filter(|object| object.group == FLOW_CONTROL && object.plural == plural) {
        // With defaults, as it would be kept.
        let draft = changes.storage.ingest(&object.key, &Bytes::from_static(object.json.as_bytes()));
        let draft = draft.map_err(|status| anyhow!("{}: {}", object.path(), status.message()))?;
        let value = serde_json::from_slice(&draft.canonical.json)?;
        initial.push((object, value));
    }
    let collection = initial.first().map(|(object, _)| object.collection.clone()).unwrap_or_default();
    Ok(Kept { changes, collection, initial })
}

/// What is to be done about an object.
enum Step {
    Create(&'static str),
    Update(Value),
    Delete(String),
}

impl Kept {
    /// Of each object that is there or should be, by its path.
    fn steps(&self) -> Vec<(String, Option<Step>)> {
        let Snapshot { objects, unreadable, .. } = self.changes.storage.cache.snapshot();
        let mut steps = Vec::new();
        for (initial, expected) in &self.initial {
            let step = match objects.get(initial.key.as_str()) {
                // Nothing is written over it.
                None if unreadable.contains_key(initial.key.as_str()) => None,
                None => Some(Step::Create(initial.json)),
                Some(object) => read(&object.json).and_then(|current| revised(&current, expected)).map(Step::Update),
            };
            steps.push((initial.path(), step));
        }
        let known = |name: &str| self.initial.iter().any(|(initial, _)| initial.name == name);
        for object in objects.values().filter(|object| !known(object.name())) {
            let step = read(&object.json)
                .filter(is_left_over)
                .map(|current| Step::Delete(current["metadata"]["uid"].as_str().unwrap_or_default().to_owned()));
            steps.push((format!("{}/{}", self.collection, object.name()), step));
        }
        steps
    }
}

async fn take(api: &Arc<Api>, kept: &Kept, path: &str, step: Step) -> client::Result<()> {
    let outcome = match step {
        Step::Create(body) => client::create(api, &format!("{}?{MANAGER}", kept.collection), body).await,
        Step::Update(body) => client::update(api, &format!("{path}?{MANAGER}"), body.to_string()).await,
        Step::Delete(uid) => client::delete_if(api, path, &uid).await,
    };
    match outcome {
        // Somebody was quicker, and the event of that brings us here again.
        Err(refused) if !(refused.is_already_exists() || refused.is_conflict() || refused.is_not_found()) => {
            Err(refused)
        }
        _ => Ok(()),
    }
}

fn read(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(json).ok()
}

/// The object as it should be, if it is otherwise.
fn revised(current: &Value, expected: &Value) -> Option<Value> {
    let name = expected["metadata"]["name"].as_str().unwrap_or_default();
    let annotated = auto_update(current);
    let unchanged = current["metadata"]["generation"] == 1;
    let updates = MANDATORY.contains(&name) || annotated.unwrap_or(unchanged);
    let mut expected = expected["spec"].clone();
    if current["kind"] == LEVEL && name == "exempt" && current["spec"]["exempt"].is_object() {
        // How much is lent and borrowed is the operator's in any case.
        expected["exempt"] = current["spec"]["exempt"].clone();
    }
    let wrong_spec = updates && current["spec"] != expected;
    if !wrong_spec && annotated == Some(updates) {
        return None;
    }
    let mut revised = current.clone();
    if wrong_spec {
        revised["spec"] = expected;
    }
    if !revised["metadata"]["annotations"].is_object() {
        revised["metadata"]["annotations"] = json!({});
    }
    if annotated != Some(updates) {
        revised["metadata"]["annotations"][AUTO_UPDATE] = updates.to_string().into();
    }
    Some(revised)
}

fn is_left_over(current: &Value) -> bool {
    auto_update(current) == Some(true) && current["metadata"]["deletionTimestamp"].is_null()
}

/// What the annotation says, if it is one of Go's words for a truth value.
fn auto_update(object: &Value) -> Option<bool> {
    match object["metadata"]["annotations"][AUTO_UPDATE].as_str()? {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, annotation: Option<&str>, generation: i64, spec: Value) -> Value {
        let mut object = json!({"kind": kind, "metadata": {"name": name, "generation": generation}, "spec": spec});
        if let Some(annotation) = annotation {
            object["metadata"]["annotations"] = json!({AUTO_UPDATE: annotation});
        }
        object
    }

    #[test]
    fn suggestions_are_the_operators_and_the_mandatory_ones_are_not() {
        let (right, other) = (json!({"a": 1}), json!({"a": 2}));
        let check = |name: &str, kept: (Option<&str>, i64, &Value), expected: Option<(&str, &Value)>| {
            let (annotation, generation, spec) = kept;
            let current = object("FlowSchema", name, annotation, generation, spec.clone());
            let wanted = expected
                .map(|(annotation, spec)| object("FlowSchema", name, Some(annotation), generation, spec.clone()));
            let initial = object("FlowSchema", name, Some("true"), 1, right.clone());
            assert_eq!(revised(&current, &initial), wanted, "{current}");
        };
        check("probes", (Some("true"), 1, &right), None);
        check("probes", (Some("true"), 2, &other), Some(("true", &right)));
        check("probes", (Some("false"), 1, &other), None);
        check("probes", (None, 1, &other), Some(("true", &right)));
        check("probes", (None, 2, &other), Some(("false", &other)));
        check("probes", (Some("perhaps"), 2, &right), Some(("false", &right)));
        check("catch-all", (Some("false"), 2, &other), Some(("true", &right)));
        check("catch-all", (Some("true"), 2, &right), None);
        check("catch-all", (None, 2, &right), Some(("true", &right)));
    }

    #[test]
    fn what_the_exempt_level_lends_is_the_operators() {
        let initial =
            object(LEVEL, "exempt", Some("true"), 1, json!({"type": "Exempt", "exempt": {"lendablePercent": 0}}));
        let check = |spec: Value, expected: Option<Value>| {
            let revised = revised(&object(LEVEL, "exempt", Some("true"), 1, spec.clone()), &initial);
            assert_eq!(revised.map(|object| object["spec"].clone()), expected, "{spec}");
        };
        check(json!({"type": "Exempt", "exempt": {"lendablePercent": 50}}), None);
        check(json!({"type": "Exempt"}), Some(initial["spec"].clone()));
        let limited = json!({"type": "Limited", "exempt": {"lendablePercent": 50}});
        check(limited, Some(json!({"type": "Exempt", "exempt": {"lendablePercent": 50}})));
    }

    #[test]
    fn only_what_says_so_is_left_over() {
        let check = |annotation: Option<&str>, expected: bool| {
            assert_eq!(
                is_left_over(&object("FlowSchema", "old", annotation, 1, json!({}))),
                expected,
                "{annotation:?}"
            );
        };
        check(Some("true"), true);
        check(Some("T"), true);
        check(Some("false"), false);
        check(Some("yes"), false);
        check(None, false);
        let mut leaving = object("FlowSchema", "old", Some("true"), 1, json!({}));
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(!is_left_over(&leaving), "it waits for its finalizers");
    }
}
