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

impl Recorder {
    /// Warns about an object of the hub version.
    pub async fn warn(&self, api: &Arc<Api>, object: &Tree, reason: &str, action: &str, note: &str) {
        let meta = metadata::read(object);
        let namespace = if meta.namespace().is_empty() { "default" } else { meta.namespace() };
        let now = api.clock.now();
        let stamp = now.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(now.nanos));
        let time = Timestamp { seconds: now.seconds, nanos: now.nanos }.format_micro();
        let word = |name: &str| object.root().get(name).map_or("", Node::as_str);
        let body = format!(
            concat!(
                r#"{{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{{"name":{name},"namespace":{namespace}}},"#,
                r#""eventTime":"{time}","reportingController":"{controller}","reportingInstance":{instance},"#,
                r#""action":"{action}","reason":"{reason}","regarding":{{"kind":"{kind}","namespace":{own_namespace},"#,
                r#""name":{own_name},"uid":{uid},"apiVersion":"{api_version}","resourceVersion":{revision}}},"#,
                r#""note":{note},"type":"Warning"}}"#
            ),
            name = quoted(&format!("{}.{stamp:x}", meta.name())),
            namespace = quoted(namespace),
            time = time,
            controller = self.controller,
            instance = quoted(&format!("{}-{}", self.controller, super::hostname())),
            action = action,
            reason = reason,
            kind = word("kind"),
            own_namespace = quoted(meta.namespace()),
            own_name = quoted(meta.name()),
            uid = quoted(meta.uid()),
            api_version = word("apiVersion"),
            revision = quoted(meta.resource_version()),
            note = quoted(note),
        );
        let collection = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        if let Err(refused) = client::create(api, &collection, body).await {
            tracing::warn!(reason, note, error = %refused, "the event could not be written");
        }
    }
}
