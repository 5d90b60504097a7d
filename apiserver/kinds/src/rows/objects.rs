//! Every kind but the workloads.

use super::Row;
use crate::strategy::Strategy;
use crate::{
    config_map, endpoint_slice, endpoints, event, horizontal_pod_autoscaler, ingress, ingress_class, ip_address, lease,
    namespace, network_policy, node, priority_class, rbac, secret, service, service_account, service_cidr,
};

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
    row("", "endpoints", &endpoints::EndpointsStrategy, &[]),
    row("", "events", &event::Events { labels: event::SELECTABLE.len() }, event::SELECTABLE),
    row("", "namespaces", &namespace::Namespaces, &["status.phase"]),
    row("", "nodes", &node::Nodes, &["spec.unschedulable"]),
    row("", "secrets", &secret::Secrets, &["type"]),
    row("", "serviceaccounts", &service_account::ServiceAccounts, &[]),
    row("", "services", &service::Services, &["spec.clusterIP", "spec.type"]),
    row("autoscaling", "horizontalpodautoscalers", &horizontal_pod_autoscaler::HorizontalPodAutoscalers, &[]),
    row("discovery.k8s.io", "endpointslices", &endpoint_slice::EndpointSlices, &[]),
    row("networking.k8s.io", "ingressclasses", &ingress_class::IngressClasses, &[]),
    row("networking.k8s.io", "ingresses", &ingress::Ingresses, &[]),
    row("networking.k8s.io", "ipaddresses", &ip_address::IpAddresses, &[]),
    row("networking.k8s.io", "networkpolicies", &network_policy::NetworkPolicies, &[]),
    row("networking.k8s.io", "servicecidrs", &service_cidr::ServiceCidrs, &[]),
    row("scheduling.k8s.io", "priorityclasses", &priority_class::PriorityClasses, &[]),
    row("coordination.k8s.io", "leases", &lease::Leases, &[]),
    row(event::GROUP, "events", &event::Events { labels: event::GROUP_SELECTABLE.len() }, event::GROUP_SELECTABLE),
    row("rbac.authorization.k8s.io", "clusterrolebindings", &rbac::ClusterRoleBindings, &[]),
    row("rbac.authorization.k8s.io", "clusterroles", &rbac::ClusterRoles, &[]),
    row("rbac.authorization.k8s.io", "rolebindings", &rbac::RoleBindings, &[]),
    row("rbac.authorization.k8s.io", "roles", &rbac::Roles, &[]),
];
