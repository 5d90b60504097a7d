//! How the groups of built-in kinds rank among each other, and a group's versions. Upstream has these in its programs,
//! not with its types, so they stand here by hand: every group that is served needs a row.

/// The aggregator's own group, which registers all others and not itself.
pub const REGISTRATION: &str = "apiregistration.k8s.io";

/// A group, in the order of [`GROUPS`].
#[derive(Debug)]
pub struct Group {
    pub name: &'static str,
    /// Of its APIServices.
    pub priority: i64,
    /// Each version, and how it ranks.
    pub versions: &'static [(&'static str, i64)],
}

const fn group(name: &'static str, priority: i64, versions: &'static [(&'static str, i64)]) -> Group {
    Group { name, priority, versions }
}

/// In the order in which discovery lists them.
pub const GROUPS: &[Group] = &[
    group("", 18000, &[("v1", 1)]),
    group(REGISTRATION, 0, &[]),
    group("apps", 17800, &[("v1", 15)]),
    group("events.k8s.io", 17750, &[("v1", 15)]),
    group("authentication.k8s.io", 17700, &[("v1", 15)]),
    group("authorization.k8s.io", 17600, &[("v1", 15)]),
    group("autoscaling", 17500, &[("v1", 15), ("v2", 30)]),
    group("batch", 17400, &[("v1", 15)]),
    group("certificates.k8s.io", 17300, &[("v1", 15)]),
    group("networking.k8s.io", 17200, &[("v1", 15)]),
    group("policy", 17100, &[("v1", 15)]),
    group("rbac.authorization.k8s.io", 17000, &[("v1", 15)]),
    group("storage.k8s.io", 16800, &[("v1", 15)]),
    group("admissionregistration.k8s.io", 16700, &[("v1", 15)]),
    group("apiextensions.k8s.io", 16700, &[("v1", 15)]),
    group("scheduling.k8s.io", 16600, &[("v1", 15)]),
    group("coordination.k8s.io", 16500, &[("v1", 15)]),
    group("node.k8s.io", 16300, &[("v1", 15)]),
    group("discovery.k8s.io", 16200, &[("v1", 15)]),
    group("resource.k8s.io", 16200, &[("v1", 21)]),
    group("flowcontrol.apiserver.k8s.io", 16100, &[("v1", 21)]),
];

/// Resources of which the answer to a delete that is done shows the object, not only a success.
const SHOWN_WHEN_DELETED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
    ),
    ("resource.k8s.io", &["deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"]),
    ("storage.k8s.io", &["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"]),
];

/// Namespaces show themselves too, though upstream's documents do not say so.
pub fn is_shown_when_deleted(group: &str, plural: &str) -> bool {
    SHOWN_WHEN_DELETED.iter().any(|(name, plurals)| *name == group && plurals.contains(&plural))
}
