//! Rights that claims of devices need beyond the write itself: administrators' access is for namespaces that are marked
//! for it, and what schedulers and drivers write into a claim's status has rights of its own.

use corten_access::authorize::{Attributes, Authorizer, forbidden};
use corten_api::field::{Error, Errors, Path};
use corten_api::status::Status;
use corten_object::tree::{Items, Tree, View};
use corten_views::resource_v1::{
    AllocatedDeviceStatus, DeviceRequest, ResourceClaim, ResourceClaimStatus, ResourceClaimTemplate,
};

use crate::call::Call;
use crate::resource::Resource;

const GROUP: &str = "resource.k8s.io";
const ADMIN_LABEL: &str = "resource.kubernetes.io/admin-access";
const NODE_NAME_KEY: &str = "authentication.kubernetes.io/node-name";

/// What is wrong with a new claim or template.
pub async fn check_create(call: &Call, resource: &Resource, tree: &Tree) -> Result<Errors, Status> {
    if &*resource.group != GROUP {
        return Ok(Errors::default());
    }
    confirmed(call, || create_errors(call, resource, tree)).await
}

/// What is wrong with a change of a claim's status.
pub async fn check_update(call: &Call, resource: &Resource, tree: &Tree, old: &Tree) -> Result<Errors, Status> {
    let is_status = call.info.subresource == "status";
    if &*resource.group != GROUP || &*resource.plural != "resourceclaims" || !is_status {
        return Ok(Errors::default());
    }
    confirmed(call, || update_errors(call, resource, tree, old)).await
}

/// Errors that hold for the rights and namespaces as the store has them, not only for what the caches show of them.
async fn confirmed(call: &Call, check: impl Fn() -> Errors) -> Result<Errors, Status> {
    let seen = call.api.feed.progress();
    let errors = check();
    if errors.is_empty() || !call.api.was_behind(seen).await? { Ok(errors) } else { Ok(check()) }
}

fn create_errors(call: &Call, resource: &Resource, tree: &Tree) -> Errors {
    let mut errors = Errors::default();
    let requests = match &*resource.plural {
        "resourceclaims" => tree.view::<ResourceClaim<'_>>().spec().devices().requests(),
        "resourceclaimtemplates" => tree.view::<ResourceClaimTemplate<'_>>().spec().spec().devices().requests(),
        _ => return errors,
    };
    let asks = |request: DeviceRequest<'_>| request.exactly().is_some_and(|one| one.admin_access() == Some(true));
    if let Some(i) = requests.iter().position(asks) {
        let path = Path::new("spec");
        let path = path.child("devices.requests");
        check_namespace(call, &path.index(i).child("adminAccess"), &mut errors);
    }
    errors
}

fn update_errors(call: &Call, resource: &Resource, tree: &Tree, old: &Tree) -> Errors {
    let mut errors = Errors::default();
    let new = tree.view::<ResourceClaim<'_>>().status();
    let old = old.view::<ResourceClaim<'_>>().status();
    if admin_result(old).is_none()
        && let Some(i) = admin_result(new)
    {
        let path = Path::new("status");
        let path = path.child("allocation.devices.results");
        check_namespace(call, &path.index(i).child("adminAccess"), &mut errors);
    }
    check_binding(call, resource, new, old, &mut errors);
    if new.allocation().is_some() {
        check_drivers(call, resource, new, old, &mut errors);
    }
    errors
}

fn check_namespace(call: &Call, path: &Path<'_>, errors: &mut Errors) {
    match call.api.lookup("", "namespaces", &call.info.namespace) {
        Ok(Some(namespace)) if namespace.label(ADMIN_LABEL) == Some("true") => return,
        Ok(_) => {}
        Err(status) => return errors.push(Error::internal(path, status.message())),
    }
    let detail =
        format!("admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace");
    errors.push(Error::forbidden(path, detail));
}

fn admin_result(status: ResourceClaimStatus<'_>) -> Option<usize> {
    status.allocation()?.devices().results().iter().position(|result| result.admin_access() == Some(true))
}

/// Who gives devices away needs a right on all bindings.
fn check_binding(
    call: &Call,
    resource: &Resource,
    new: ResourceClaimStatus<'_>,
    old: ResourceClaimStatus<'_>,
    errors: &mut Errors,
) {
    let kept = [ResourceClaimStatus::ALLOCATION, ResourceClaimStatus::RESERVED_FOR]
        .into_iter()
        .all(|field| same(new.as_struct().node(field), old.as_struct().node(field)));
    if kept {
        return;
    }
    let verb = call.info.verb.as_str();
    let asked = Attributes {
        subresource: "binding",
        ..Attributes::resource(&call.user, verb, GROUP, &resource.version, "resourceclaims")
    };
    if let Err(problem) = ask(call, &asked) {
        let path = Path::new("status");
        let detail = format!(
            "changing status.allocation or status.reservedFor requires resource=\"resourceclaims/binding\", \
             verb=\"{verb}\" permission: {problem}"
        );
        errors.push(Error::forbidden(&path.child("allocation"), detail));
    }
}

fn same(new: Option<corten_object::tree::Node<'_>>, old: Option<corten_object::tree::Node<'_>>) -> bool {
    match (new, old) {
        (Some(new), Some(old)) => new.equals(old),
        (new, old) => new.or(old).is_none_or(|node| node.as_list().is_empty() && node.as_struct().is_absent()),
    }
}

/// Who speaks for devices needs a right on their drivers: on any node, or on the one that it runs on.
fn check_drivers(
    call: &Call,
    resource: &Resource,
    new: ResourceClaimStatus<'_>,
    old: ResourceClaimStatus<'_>,
    errors: &mut Errors,
) {
    let verb = &call.info.verb;
    let mut verbs = vec![format!("arbitrary-node:{verb}")];
    if runs_where(call, new) {
        verbs.insert(0, format!("associated-node:{verb}"));
    }
    for driver in changed_drivers(new.devices(), old.devices()) {
        let mut first = None;
        let allowed = verbs.iter().any(|verb| {
            let asked = Attributes {
                subresource: "driver",
                namespace: &call.info.namespace,
                name: &driver,
                ..Attributes::resource(&call.user, verb, GROUP, &resource.version, "resourceclaims")
            };
            ask(call, &asked).map_err(|problem| first.get_or_insert(problem).len()).is_ok()
        });
        if !allowed {
            let path = Path::new("status");
            let detail = format!(
                "changing status.devices requires resource=\"resourceclaims/driver\", verb=\"[{}]\" permission: {}",
                verbs.join(" "),
                first.unwrap_or_default()
            );
            errors.push(Error::forbidden(&path.child("devices"), detail));
        }
    }
}

fn ask(call: &Call, asked: &Attributes<'_>) -> Result<(), String> {
    let verdict = call.api.authorizers.authorize(asked);
    if verdict.allowed() { Ok(()) } else { Err(forbidden(asked, &verdict.reason.to_string()).message().to_owned()) }
}

/// The drivers of what is said anew, otherwise, or no more; sorted.
fn changed_drivers<'t>(
    new: Items<'t, AllocatedDeviceStatus<'t>>,
    old: Items<'t, AllocatedDeviceStatus<'t>>,
) -> Vec<String> {
    let key = |one: AllocatedDeviceStatus<'t>| (one.driver(), one.pool(), one.device(), one.share_id());
    let changed = new
        .iter()
        .filter(|one| !old.iter().any(|old| key(old) == key(*one) && old.as_struct().equals(one.as_struct())));
    let gone = old.iter().filter(|old| !new.iter().any(|one| key(one) == key(*old)));
    let mut drivers: Vec<String> = changed.chain(gone).map(|one| one.driver().to_owned()).collect();
    drivers.sort_unstable();
    drivers.dedup();
    drivers
}

/// Whether a service account asks from the one node that the devices are on.
fn runs_where(call: &Call, status: ResourceClaimStatus<'_>) -> bool {
    if !call.user.name.starts_with("system:serviceaccount:") {
        return false;
    }
    let Some([node]) = call.user.extra.get(NODE_NAME_KEY).map(Vec::as_slice) else { return false };
    allocated_node(status).is_some_and(|allocated| allocated == node)
}

fn allocated_node(status: ResourceClaimStatus<'_>) -> Option<&str> {
    let terms = status.allocation()?.node_selector()?.node_selector_terms();
    let term = terms.get(0).filter(|term| terms.len() == 1 && term.match_expressions().is_empty())?;
    let field = term.match_fields().get(0).filter(|_| term.match_fields().len() == 1)?;
    let is_name = field.key() == "metadata.name" && field.operator() == "In" && field.values().len() == 1;
    field.values().iter().next().filter(|_| is_name)
}
