//! Pods, and the kinds that make them.

use super::Row;
use crate::deployment::Deployments;
use crate::pod::Pods;

pub static ROWS: &[Row] = &[
    Row {
        group: "",
        resource: "pods",
        strategy: &Pods,
        selectable: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    },
    Row { group: "apps", resource: "deployments", strategy: &Deployments, selectable: &[] },
];
