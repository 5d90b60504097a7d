//! Events about objects.

use std::sync::Arc;

use corten_api::json::string as quoted;
use corten_api::time::Timestamp;
use corten_object::tree::{Node, Tree};

use super::client;
use crate::api::Api;
use crate::metadata;

pub struct Recorder {
    pub controller: &'static str,
}

/// The object that an event is about, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    pub api_version: String,
    pub kind: String,
    /// Empty for an object of the whole cluster.
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub revision: String,
}

impl Reference {
    /// To an object of the hub version.
    fn to(object: &Tree) -> Reference {
        let meta = metadata::read(object);
        let word = |name: &str| object.root().get(name).map_or("", Node::as_str).to_owned();
        Reference {
            api_version: word("apiVersion"),
            kind: word("kind"),
            namespace: meta.namespace().to_owned(),
            name: meta.name().to_owned(),
            uid: meta.uid().to_owned(),
            revision: meta.resource_version().to_owned(),
        }
    }

    fn json(&self) -> String {
        let Reference { api_version, kind, namespace, name, uid, revision } = self;
        let fields = [
            ("kind", kind),
            ("namespace", namespace),
            ("name", name),
            ("uid", uid),
            ("apiVersion", api_version),
            ("resourceVersion", revision),
        ];
        let known = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields: Vec<String> = known.map(|(field, value)| format!(r#""{field}":{}"#, quoted(value))).collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// What is wrong with the object.
pub struct Warning<'w> {
    pub reason: &'w str,
    pub action: &'w str,
    pub note: &'w str,
}

impl Recorder {
    /// Warns about an object of the hub version. A failure is only logged.
    pub async fn warn(&self, api: &Arc<Api>, object: &Tree, reason: &str, action: &str, note: &str) {
        let now = api.clock.now();
        let stamp = now.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(now.nanos));
        let about = Reference::to(object);
        let name = format!("{}.{stamp:x}", about.name);
        if let Err(refused) = self.write(api, &name, &about, &Warning { reason, action, note }).await {
            tracing::warn!(reason, note, error = %refused, "the event could not be written");
        }
    }

    /// Makes the event of a name: in the namespace of the object, or in `default` for one of the whole cluster.
    pub async fn write(
        &self,
        api: &Arc<Api>,
        name: &str,
        about: &Reference,
        warning: &Warning<'_>,
    ) -> client::Result<()> {
        let namespace = if about.namespace.is_empty() { "default" } else { &about.namespace };
        let now = api.clock.now();
        let body = format!(
            concat!(
                r#"{{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{{"name":{name},"namespace":{namespace}}},"#,
                r#""eventTime":"{time}","reportingController":"{controller}","reportingInstance":{instance},"#,
                r#""action":"{action}","reason":"{reason}","regarding":{regarding},"note":{note},"type":"Warning"}}"#
            ),
            name = quoted(name),
            namespace = quoted(namespace),
            time = Timestamp { seconds: now.seconds, nanos: now.nanos }.format_micro(),
            controller = self.controller,
            instance = quoted(&format!("{}-{}", self.controller, super::hostname())),
            action = warning.action,
            reason = warning.reason,
            regarding = about.json(),
            note = quoted(warning.note),
        );
        let collection = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        client::create(api, &collection, body).await.map(drop)
    }
}
