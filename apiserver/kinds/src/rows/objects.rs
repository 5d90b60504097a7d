//! Every kind but the workloads.

use super::Row;
use crate::strategy::Strategy;
use crate::{config_map, event, horizontal_pod_autoscaler, lease, namespace, rbac, secret, service, service_account};

const fn row(
    group: &'static str,
    resource: &'static str,
    strategy: &'static dyn Strategy,
    selectable: &'static [&'static str],
) -> Row {
    Row { group, resource, strategy, selectable }
}

pub static ROWS: &[Row] = &[
    row("", "configmaps", &config_map::ConfigMaps, &[]),
    row("", "events", &event::Events { labels: event::SELECTABLE.len() }, event::SELECTABLE),
    row("", "namespaces", &namespace::Namespaces, &["status.phase"]),
    row("", "secrets", &secret::Secrets, &["type"]),
    row("", "serviceaccounts", &service_account::ServiceAccounts, &[]),
    row("", "services", &service::Services, &["spec.clusterIP", "spec.type"]),
    row("autoscaling", "horizontalpodautoscalers", &horizontal_pod_autoscaler::HorizontalPodAutoscalers, &[]),
    row("coordination.k8s.io", "leases", &lease::Leases, &[]),
    row(event::GROUP, "events", &event::Events { labels: event::GROUP_SELECTABLE.len() }, event::GROUP_SELECTABLE),
    row("rbac.authorization.k8s.io", "clusterrolebindings", &rbac::ClusterRoleBindings, &[]),
    row("rbac.authorization.k8s.io", "clusterroles", &rbac::ClusterRoles, &[]),
    row("rbac.authorization.k8s.io", "rolebindings", &rbac::RoleBindings, &[]),
    row("rbac.authorization.k8s.io", "roles", &rbac::Roles, &[]),
];
