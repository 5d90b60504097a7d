//! Every kind but the workloads.

use super::Row;
use crate::strategy::Strategy;
use crate::{
    api_service, certificate_signing_request, config_map, csi, device_class, endpoint_slice, endpoints, event,
    flow_schema, horizontal_pod_autoscaler, ingress, ingress_class, ip_address, lease, namespace, network_policy, node,
    persistent_volume, persistent_volume_claim, pod_disruption_budget, priority_class, priority_level_configuration,
    rbac, resource_claim, resource_slice, runtime_class, secret, service, service_account, service_cidr, storage,
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
    row("", "persistentvolumeclaims", &persistent_volume_claim::PersistentVolumeClaims, &[]),
    row("", "persistentvolumes", &persistent_volume::PersistentVolumes, &[]),
    row("", "secrets", &secret::Secrets, &["type"]),
    row("", "serviceaccounts", &service_account::ServiceAccounts, &[]),
    row("", "services", &service::Services, &["spec.clusterIP", "spec.type"]),
    row("apiregistration.k8s.io", "apiservices", &api_service::ApiServices, &[]),
    row("autoscaling", "horizontalpodautoscalers", &horizontal_pod_autoscaler::HorizontalPodAutoscalers, &[]),
    row(
        "certificates.k8s.io",
        "certificatesigningrequests",
        &certificate_signing_request::CertificateSigningRequests,
        certificate_signing_request::SELECTABLE,
    ),
    row("discovery.k8s.io", "endpointslices", &endpoint_slice::EndpointSlices, &[]),
    row("flowcontrol.apiserver.k8s.io", "flowschemas", &flow_schema::FlowSchemas, &[]),
    row(
        "flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations",
        &priority_level_configuration::PriorityLevelConfigurations,
        &[],
    ),
    row("networking.k8s.io", "ingressclasses", &ingress_class::IngressClasses, &[]),
    row("networking.k8s.io", "ingresses", &ingress::Ingresses, &[]),
    row("networking.k8s.io", "ipaddresses", &ip_address::IpAddresses, &[]),
    row("networking.k8s.io", "networkpolicies", &network_policy::NetworkPolicies, &[]),
    row("networking.k8s.io", "servicecidrs", &service_cidr::ServiceCidrs, &[]),
    row("node.k8s.io", "runtimeclasses", &runtime_class::RuntimeClasses, &[]),
    row("policy", "poddisruptionbudgets", &pod_disruption_budget::PodDisruptionBudgets, &[]),
    row("resource.k8s.io", "deviceclasses", &device_class::DeviceClasses, &[]),
    row("resource.k8s.io", "resourceclaims", &resource_claim::ResourceClaims, &[]),
    row("resource.k8s.io", "resourceclaimtemplates", &resource_claim::ResourceClaimTemplates, &[]),
    row("resource.k8s.io", "resourceslices", &resource_slice::ResourceSlices, resource_slice::SELECTABLE),
    row("storage.k8s.io", "csidrivers", &csi::CsiDrivers, &[]),
    row("storage.k8s.io", "csinodes", &csi::CsiNodes, &[]),
    row("storage.k8s.io", "csistoragecapacities", &csi::CsiStorageCapacities, &[]),
    row("storage.k8s.io", "storageclasses", &storage::StorageClasses, &[]),
    row("storage.k8s.io", "volumeattachments", &storage::VolumeAttachments, &[]),
    row("storage.k8s.io", "volumeattributesclasses", &storage::VolumeAttributesClasses, &[]),
    row("scheduling.k8s.io", "priorityclasses", &priority_class::PriorityClasses, &[]),
    row("coordination.k8s.io", "leases", &lease::Leases, &[]),
    row(event::GROUP, "events", &event::Events { labels: event::GROUP_SELECTABLE.len() }, event::GROUP_SELECTABLE),
    row("rbac.authorization.k8s.io", "clusterrolebindings", &rbac::ClusterRoleBindings, &[]),
    row("rbac.authorization.k8s.io", "clusterroles", &rbac::ClusterRoles, &[]),
    row("rbac.authorization.k8s.io", "rolebindings", &rbac::RoleBindings, &[]),
    row("rbac.authorization.k8s.io", "roles", &rbac::Roles, &[]),
];
