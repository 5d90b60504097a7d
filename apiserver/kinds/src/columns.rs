//! What Tables show of each kind: the columns' heads, and the row of an object.
//!
//! A row is made once for each revision of an object and kept, so that no cell may depend on the time: ages are left to
//! the moment of sending ([`Cell::Age`], [`Cell::Around`]). Wide columns are always there, as the server sends them; the
//! client leaves them out. Objects are of the hub version: `autoscaling/v2`, and for events of either group `v1`.

use corten_api::selector::labels::{self, Selector};
use corten_api::time::Timestamp;
use corten_object::tree::{Node, View};
use corten_views::core_v1::PodTemplateSpec;
use corten_views::meta_v1::{LabelSelector, ObjectMeta};

use crate::table::{CREATED_DESCRIPTION, Cell, Column, NAME, Row};

/// A row of these cells; whatever a [`Cell`] can be made from.
macro_rules! row {
    ($($cell:expr),* $(,)?) => {
        $crate::table::Row { cells: vec![$($crate::table::Cell::from($cell)),*], conditions: Vec::new() }
    };
}

mod access;
mod admission;
mod aggregation;
mod autoscaling;
mod certificates;
mod configuration;
mod devices;
mod events;
mod flow_control;
mod jobs;
mod networking;
mod nodes;
mod pods;
mod scheduling;
mod services;
mod storage;
mod workloads;

#[cfg(test)]
mod tests;

pub struct Printer {
    pub columns: &'static [Column],
    /// The cells of an object, one for each column.
    pub row: fn(Node<'_>) -> Row,
}

/// The printer of a kind; a kind without one shows its name and when it was created.
pub fn printer(group: &str, plural: &str) -> Option<&'static Printer> {
    Some(match (group, plural) {
        ("", "componentstatuses") => &nodes::COMPONENT_STATUS,
        ("", "configmaps") => &configuration::CONFIG_MAP,
        ("", "endpoints") => &services::ENDPOINTS,
        ("" | "events.k8s.io", "events") => &events::EVENT,
        ("", "namespaces") => &configuration::NAMESPACE,
        ("", "nodes") => &nodes::NODE,
        ("", "persistentvolumeclaims") => &storage::PERSISTENT_VOLUME_CLAIM,
        ("", "persistentvolumes") => &storage::PERSISTENT_VOLUME,
        ("", "pods") => &pods::POD,
        ("", "podtemplates") => &pods::POD_TEMPLATE,
        ("", "replicationcontrollers") => &workloads::REPLICATION_CONTROLLER,
        ("", "resourcequotas") => &configuration::RESOURCE_QUOTA,
        ("", "secrets") => &configuration::SECRET,
        ("", "serviceaccounts") => &access::SERVICE_ACCOUNT,
        ("", "services") => &services::SERVICE,
        ("admissionregistration.k8s.io", plural) => return admission::printer(plural),
        ("apiregistration.k8s.io", "apiservices") => &aggregation::API_SERVICE,
        ("apps", "controllerrevisions") => &workloads::CONTROLLER_REVISION,
        ("apps", "daemonsets") => &workloads::DAEMON_SET,
        ("apps", "deployments") => &workloads::DEPLOYMENT,
        ("apps", "replicasets") => &workloads::REPLICA_SET,
        ("apps", "statefulsets") => &workloads::STATEFUL_SET,
        ("autoscaling", "horizontalpodautoscalers") => &autoscaling::HORIZONTAL_POD_AUTOSCALER,
        ("batch", "cronjobs") => &jobs::CRON_JOB,
        ("batch", "jobs") => &jobs::JOB,
        ("certificates.k8s.io", "certificatesigningrequests") => &certificates::CERTIFICATE_SIGNING_REQUEST,
        ("coordination.k8s.io", "leases") => &configuration::LEASE,
        ("discovery.k8s.io", "endpointslices") => &services::ENDPOINT_SLICE,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => &flow_control::FLOW_SCHEMA,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => &flow_control::PRIORITY_LEVEL_CONFIGURATION,
        ("networking.k8s.io", plural) => return networking::printer(plural),
        ("node.k8s.io", "runtimeclasses") => &nodes::RUNTIME_CLASS,
        ("policy", "poddisruptionbudgets") => &scheduling::POD_DISRUPTION_BUDGET,
        ("rbac.authorization.k8s.io", "clusterrolebindings") => &access::CLUSTER_ROLE_BINDING,
        ("rbac.authorization.k8s.io", "rolebindings") => &access::ROLE_BINDING,
        ("resource.k8s.io", plural) => return devices::printer(plural),
        ("scheduling.k8s.io", "priorityclasses") => &scheduling::PRIORITY_CLASS,
        ("storage.k8s.io", plural) => return storage::printer(plural),
        _ => return None,
    })
}

/// What the `scale` subresource shows, of built-in resources and of custom ones.
pub static SCALE: Printer = autoscaling::SCALE;
pub static CUSTOM_SCALE: Printer = autoscaling::CUSTOM_SCALE;

const AGE: Column = text("Age", CREATED_DESCRIPTION);
const CONTAINERS: &str = "Names of each container in the template.";
const IMAGES: &str = "Images referenced by each container in the template.";
const NONE: &str = "<none>";
const UNKNOWN: &str = "<unknown>";
const UNSET: &str = "<unset>";

const fn column(name: &'static str, kind: &'static str, description: &'static str) -> Column {
    Column { name, kind, format: "", description, priority: 0 }
}

const fn text(name: &'static str, description: &'static str) -> Column {
    column(name, "string", description)
}

const fn integer(name: &'static str, description: &'static str) -> Column {
    column(name, "integer", description)
}

const fn boolean(name: &'static str, description: &'static str) -> Column {
    column(name, "boolean", description)
}

/// A column of wide output only.
const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { priority: 1, ..text(name, description) }
}

fn view<'t, V: View<'t>>(object: Node<'t>) -> V {
    V::from_struct(object.as_struct())
}

/// Seconds since 1970; a time that is absent or Go's zero is none.
fn seconds(time: &str) -> Option<i64> {
    if time.is_empty() {
        return None;
    }
    Timestamp::parse(time).ok().filter(|time| !time.is_zero()).map(|time| time.seconds)
}

fn age(metadata: ObjectMeta<'_>) -> Cell {
    Cell::Age(seconds(metadata.creation_timestamp()))
}

/// The text, or what stands for an empty one.
fn or<'s>(value: &'s str, otherwise: &'s str) -> &'s str {
    if value.is_empty() { otherwise } else { value }
}

fn join<'s>(items: impl IntoIterator<Item = &'s str>, separator: &str) -> String {
    let mut joined = String::new();
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item);
    }
    joined
}

/// The first three of so many, and how many more there are.
fn first_three(items: impl IntoIterator<Item = String>, count: usize) -> String {
    let mut listed = items.into_iter().take(3).collect::<Vec<_>>().join(",");
    if let Some(more) = count.checked_sub(3).filter(|more| *more > 0) {
        listed.push_str(&format!(" + {more} more..."));
    }
    listed
}

fn container_names(template: PodTemplateSpec<'_>) -> String {
    join(template.spec().containers().iter().map(|container| container.name()), ",")
}

fn container_images(template: PodTemplateSpec<'_>) -> String {
    join(template.spec().containers().iter().map(|container| container.image()), ",")
}

fn parse_selector(selector: LabelSelector<'_>) -> Result<Selector, corten_api::selector::Error> {
    let expressions = selector.match_expressions();
    Selector::from_label_selector(
        selector.match_labels().iter(),
        expressions.iter().map(|expression| (expression.key(), expression.operator(), expression.values().iter())),
    )
}

/// Upstream's `FormatLabelSelector`.
fn format_selector(selector: Option<LabelSelector<'_>>) -> String {
    selector.map_or_else(|| NONE.to_owned(), |selector| labels::format_label_selector(&parse_selector(selector)))
}
