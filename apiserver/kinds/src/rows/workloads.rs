//! Pods, and the kinds that make them.

use super::Row;
use crate::controller_revision::ControllerRevisions;
use crate::cron_job::CronJobs;
use crate::daemon_set::DaemonSets;
use crate::deployment::Deployments;
use crate::job::Jobs;
use crate::pod::Pods;
use crate::pod_template::PodTemplates;
use crate::replica_set::ReplicaSets;
use crate::replication_controller::ReplicationControllers;
use crate::stateful_set::StatefulSets;
use crate::strategy::Strategy;

const fn row(
    group: &'static str,
    resource: &'static str,
    strategy: &'static dyn Strategy,
    selectable: &'static [&'static str],
) -> Row {
    Row { group, resource, strategy, selectable }
}

pub static ROWS: &[Row] = &[
    row("", "pods", &Pods, crate::pod::SELECTABLE),
    row("", "podtemplates", &PodTemplates, &[]),
    row("", "replicationcontrollers", &ReplicationControllers, &["status.replicas"]),
    row("apps", "controllerrevisions", &ControllerRevisions, &[]),
    row("apps", "daemonsets", &DaemonSets, &[]),
    row("apps", "deployments", &Deployments, &[]),
    row("apps", "replicasets", &ReplicaSets, &[]),
    row("apps", "statefulsets", &StatefulSets, &[]),
    row("batch", "cronjobs", &CronJobs, &[]),
    row("batch", "jobs", &Jobs, &["status.successful"]),
];
