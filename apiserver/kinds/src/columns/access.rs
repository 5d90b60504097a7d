//! Identities and what is bound to them.

use corten_object::tree::{Items, Node};
use corten_views::core_v1::ServiceAccount;
use corten_views::meta_v1::ObjectMeta;
use corten_views::rbac_v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};

use super::{AGE, NAME, Printer, age, text, view, wide};
use crate::table::Row;

pub(super) static SERVICE_ACCOUNT: Printer = Printer { columns: &[NAME, AGE], row: service_account };

pub(super) static ROLE_BINDING: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Role",
            "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
        ),
        AGE,
        wide("Users", "Users in the roleBinding"),
        wide("Groups", "Groups in the roleBinding"),
        wide("ServiceAccounts", "ServiceAccounts in the roleBinding"),
    ],
    row: role_binding,
};

pub(super) static CLUSTER_ROLE_BINDING: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Role",
            "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
        ),
        AGE,
        wide("Users", "Users in the clusterRoleBinding"),
        wide("Groups", "Groups in the clusterRoleBinding"),
        wide("ServiceAccounts", "ServiceAccounts in the clusterRoleBinding"),
    ],
    row: cluster_role_binding,
};

fn service_account(object: Node<'_>) -> Row {
    let object: ServiceAccount = view(object);
    row![object.metadata().name(), age(object.metadata())]
}

fn role_binding(object: Node<'_>) -> Row {
    let object: RoleBinding = view(object);
    binding(object.metadata(), object.role_ref(), object.subjects())
}

fn cluster_role_binding(object: Node<'_>) -> Row {
    let object: ClusterRoleBinding = view(object);
    binding(object.metadata(), object.role_ref(), object.subjects())
}

fn binding(metadata: ObjectMeta<'_>, role: RoleRef<'_>, subjects: Items<'_, Subject<'_>>) -> Row {
    let named = |kind: &str, show: fn(Subject<'_>) -> String| {
        subjects.iter().filter(|subject| subject.kind() == kind).map(show).collect::<Vec<_>>().join(", ")
    };
    row![
        metadata.name(),
        format!("{}/{}", role.kind(), role.name()),
        age(metadata),
        named("User", |subject| subject.name().to_owned()),
        named("Group", |subject| subject.name().to_owned()),
        named("ServiceAccount", |subject| format!("{}/{}", subject.namespace(), subject.name())),
    ]
}
