//! Nobody gives away what they do not hold: writes of RBAC's objects are checked against the writer's own rights.

use corten_access::authorize::Authorizer;
use corten_access::rbac::{Binding, GROUP, Grantor, Role, RoleWrite};
use corten_api::status::{Result, Status};
use corten_object::json;
use corten_object::tree::Tree;
use corten_views::meta_v1::ObjectMeta;

use crate::call::Call;
use crate::metadata;
use crate::resource::Resource;

pub async fn check(call: &Call, resource: &Resource, new: &Tree, old: Option<&Tree>) -> Result<()> {
    if &*resource.group != GROUP || old.is_some_and(|old| differs_for_garbage_collection_only(new, old)) {
        return Ok(());
    }
    call.api.decide(|| check_now(call, resource, new, old)).await
}

/// The same by the rights that the caches show.
fn check_now(call: &Call, resource: &Resource, new: &Tree, old: Option<&Tree>) -> Result<()> {
    let index = call.api.rbac.snapshot();
    let authorizer: &dyn Authorizer = &*call.api.authorizers;
    let grantor = Grantor { authorizer, index: &index, user: &call.user };
    let namespace = if resource.namespaced { call.info.namespace.as_str() } else { "" };
    let name = metadata::read(new).name();
    let text = json::to_vec(new.root());
    match &*resource.plural {
        "roles" | "clusterroles" => {
            let role = Role::from_json(&text).map_err(Status::internal)?;
            let aggregates = |tree: &Tree| tree.root().get("aggregationRule").is_some();
            grantor.may_write_role(&RoleWrite {
                resource: &resource.plural,
                namespace,
                request_name: &call.info.name,
                name,
                rules: &role.rules,
                aggregates: aggregates(new) || old.is_some_and(aggregates),
            })
        }
        _ => {
            let binding = Binding::from_json(&text).map_err(Status::internal)?;
            let allowed = grantor.may_write_binding(namespace, name, &binding.role);
            if allowed.is_err() {
                // A role that cannot be read is not among the rights, and looks absent there.
                let role = &binding.role.name;
                let (plural, key) = match &*binding.role.kind {
                    "Role" => ("roles", format!("{namespace}/{role}")),
                    _ => ("clusterroles", role.clone()),
                };
                call.api.lookup(GROUP, plural, &key)?;
            }
            allowed
        }
    }
}

/// Whether a write changes nothing but what the garbage collector needs.
fn differs_for_garbage_collection_only(new: &Tree, old: &Tree) -> bool {
    let mut copy = new.clone();
    let old_meta = metadata::read(old);
    for field in
        [ObjectMeta::OWNER_REFERENCES, ObjectMeta::FINALIZERS, ObjectMeta::MANAGED_FIELDS, ObjectMeta::RESOURCE_VERSION]
    {
        match corten_object::tree::View::as_struct(old_meta).node(field) {
            Some(node) => {
                let kept = copy.import(node);
                metadata::edit(&mut copy).put(field, kept);
            }
            None => metadata::edit(&mut copy).remove(field),
        }
    }
    copy.root().equals(old.root())
}
