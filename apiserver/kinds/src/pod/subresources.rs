//! Writes of a pod through `ephemeralcontainers` and `resize`.

use std::collections::HashMap;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_object::tree::{Edit, Id, Items, Node, StringMap, Struct, Tree, View};
use corten_schema::FieldId;
use corten_views::core_v1::{Container, EphemeralContainer, Pod, PodSpec, ResourceRequirements};

use super::containers::is_restartable;
use super::{Options, SPEC, annotations, internal, prepare, totals, update};
use crate::access::{put_back, same};

/// Only ephemeral containers change.
pub fn prepare_ephemeral(pod: &mut Edit<'_>, old: Node<'_>) {
    let new = pod.path([Pod::SPEC, PodSpec::EPHEMERAL_CONTAINERS]).map(|list| list.id());
    put_back(pod, old.as_struct(), Pod::SPEC);
    put_back(pod, old.as_struct(), Pod::STATUS);
    prepare::restore_metadata(pod, old);
    let mut spec = pod.ensure(Pod::SPEC);
    match new {
        Some(list) => spec.put(PodSpec::EPHEMERAL_CONTAINERS, list),
        None => spec.remove(PodSpec::EPHEMERAL_CONTAINERS),
    }
    prepare::drop_disabled(&mut spec, old.as_struct().structure(Pod::SPEC));
}

pub fn validate_ephemeral(new: Pod<'_>, old: Pod<'_>, options: &Options, errors: &mut Errors) {
    update::validate_annotations(new, old, options, errors);
    if is_mirror(old) {
        *errors = Error::forbidden(&Path::new(""), "static pods do not support ephemeral containers").into();
        return;
    }
    let mut by_name: HashMap<&str, EphemeralContainer<'_>> = HashMap::new();
    for container in new.spec().ephemeral_containers().iter() {
        by_name.insert(container.name(), container);
    }
    let path = SPEC.child("ephemeralContainers");
    for container in old.spec().ephemeral_containers().iter() {
        let name = corten_api::field::quote(container.name());
        match by_name.get(container.name()) {
            None => {
                let detail = format!("existing ephemeral containers {name} may not be removed\n");
                errors.push(Error::forbidden(&path, detail));
            }
            Some(new) if !new.as_struct().means(container.as_struct()) => {
                errors.push_with(|| {
                    let diff = internal::diff(container, *new);
                    let detail = format!("existing ephemeral containers {name} may not be changed\n{diff}");
                    Error::forbidden(&path, detail)
                });
            }
            Some(_) => {}
        }
    }
}

fn is_mirror(pod: Pod<'_>) -> bool {
    pod.metadata().annotations().contains_key(annotations::MIRROR)
}

/// Only resources and resize policies change; where containers come or go, validation says so.
pub fn prepare_resize(pod: &mut Edit<'_>, old: Node<'_>) {
    let old_spec = PodSpec::from_struct(old.as_struct().structure(Pod::SPEC));
    let view = pod.view::<Pod<'_>>();
    let (spec, lists) = (view.spec(), [PodSpec::CONTAINERS, PodSpec::INIT_CONTAINERS]);
    let counts = (spec.containers().len(), spec.init_containers().len());
    if counts == (old_spec.containers().len(), old_spec.init_containers().len()) {
        let resources = spec.resources().and_then(|resources| resources.id());
        let merged = lists.map(|list| merge_resources(pod, old_spec, list));
        put_back(pod, old.as_struct(), Pod::SPEC);
        put_back(pod, old.as_struct(), Pod::STATUS);
        prepare::restore_metadata(pod, old);
        let mut spec = pod.ensure(Pod::SPEC);
        match resources {
            Some(id) => spec.put(PodSpec::RESOURCES, id),
            None => spec.remove(PodSpec::RESOURCES),
        }
        for (list, ids) in lists.into_iter().zip(merged) {
            if !ids.is_empty() {
                let id = spec.tree().list(&ids);
                spec.put(list, id);
            }
        }
    }
    let mut spec = pod.ensure(Pod::SPEC);
    prepare::drop_disabled(&mut spec, old_spec.as_struct());
}

/// The old containers with the new ones' resources; the new ones, where names tell that their order changed.
fn merge_resources(pod: &mut Edit<'_>, old: PodSpec<'_>, list: FieldId) -> Vec<Id> {
    let new = pod.field(Pod::SPEC).map_or(Vec::new(), |spec| spec.items(list));
    let old: Items<'_, Container<'_>> = Items::new(old.as_struct().list(list));
    let renamed = new.iter().zip(old.iter()).any(|(&id, old)| pod.at(id).view::<Container<'_>>().name() != old.name());
    if renamed {
        return new;
    }
    let mut merged = Vec::with_capacity(new.len());
    for (&id, old) in new.iter().zip(old.iter()) {
        let parts = [Container::RESOURCES, Container::RESIZE_POLICY]
            .map(|field| (field, pod.at(id).field(field).map(|part| part.id())));
        let Some(node) = old.as_struct().as_node() else { return new };
        let copy = pod.tree().import(node);
        for (field, part) in parts {
            match part {
                Some(part) => pod.at(copy).put(field, part),
                None => pod.at(copy).remove(field),
            }
        }
        merged.push(copy);
    }
    merged
}

pub fn validate_resize(new: Pod<'_>, old: Pod<'_>, errors: &mut Errors) {
    let fatal = |detail: &str| Errors::from(Error::forbidden(&Path::new(""), detail));
    if is_mirror(old) {
        *errors = fatal("static pods cannot be resized");
        return;
    }
    if old.spec().os().is_some_and(|os| os.name() == "windows") {
        *errors = fatal("windows pods cannot be resized");
        return;
    }
    let class = Some(old.status().qos_class()).filter(|class| !class.is_empty());
    if class.unwrap_or_else(|| totals::qos_class(old.spec())) != totals::qos_class(new.spec()) {
        let value = BadValue::typed(new.status().qos_class());
        errors.push(Error::invalid(&SPEC, value, "Pod QOS Class may not change as a result of resizing"));
    }
    let running = old.status().container_statuses().iter().find(|status| status.state().running().is_some());
    if running.is_some_and(|status| status.resources().is_none()) {
        errors.push(Error::forbidden(&SPEC, "Pod running on node without support for resize"));
    }
    let (new, old_spec) = (new.spec(), old.spec());
    let mut masked = Tree::new();
    let root = new.as_struct().as_node().map(|node| masked.import(node));
    let root = root.unwrap_or_else(|| masked.structure(PodSpec::TYPE));
    masked.set_root(root);
    validate_pod_level(new, old_spec, &mut masked, errors);
    if !old.status().node_allocatable_resource_claim_statuses().is_empty() {
        let detail = "pods with node allocatable resource claims cannot be resized";
        errors.push(Error::forbidden(&SPEC, detail));
    }
    let before = errors.len();
    validate_order(new.containers(), old_spec.containers(), "containers", errors);
    validate_order(new.init_containers(), old_spec.init_containers(), "initContainers", errors);
    if errors.len() > before {
        return;
    }
    validate_removed(new.init_containers(), old_spec.init_containers(), &SPEC.child("initContainers"), errors);
    validate_removed(new.containers(), old_spec.containers(), &SPEC.child("containers"), errors);
    mask_containers(&mut masked, new, old_spec, errors);
    if errors.is_empty() && !masked.view::<PodSpec<'_>>().as_struct().means(old_spec.as_struct()) {
        errors.push(Error::forbidden(&SPEC, "only cpu and memory resources are mutable"));
    }
}

fn validate_pod_level(new: PodSpec<'_>, old: PodSpec<'_>, masked: &mut Tree, errors: &mut Errors) {
    let sizes = |own: ResourceRequirements<'_>| own.requests().len() + own.limits().len();
    let set = |spec: PodSpec<'_>| spec.resources().is_some_and(|own| sizes(own) > 0);
    if !set(old) && !set(new) {
        return;
    }
    let path = SPEC.child("resources");
    match (new.resources(), old.resources()) {
        (None, Some(_)) => {
            errors.push(Error::forbidden(&path, "pod-level resources cannot be removed"));
            return;
        }
        (Some(new), Some(old)) => {
            if is_removed(new.requests(), old.requests()) {
                let detail = "pod-level resource requests cannot be removed";
                errors.push(Error::forbidden(&path.child("requests"), detail));
            }
            if is_removed(new.limits(), old.limits()) {
                let detail = "pod-level resource limits cannot be removed";
                errors.push(Error::forbidden(&path.child("limits"), detail));
            }
        }
        _ => {}
    }
    let mut spec = masked.edit();
    if let Some(mut own) = spec.field(PodSpec::RESOURCES) {
        mask(&mut own, old.as_struct().structure(PodSpec::RESOURCES));
        let left = own.view::<ResourceRequirements<'_>>();
        if old.resources().is_none() && sizes(left) == 0 && left.claims().is_empty() {
            spec.remove(PodSpec::RESOURCES);
        }
    }
    if !same(masked.view::<PodSpec<'_>>(), old, PodSpec::RESOURCES) {
        errors.push(Error::forbidden(&SPEC, "only cpu and memory resources are mutable at pod-level"));
    }
}

/// Gives cpu and memory back what they were.
fn mask(resources: &mut Edit<'_>, old: Struct<'_>) {
    for field in [ResourceRequirements::LIMITS, ResourceRequirements::REQUESTS] {
        let old = old.map(field);
        for name in ["cpu", "memory"] {
            match old.get(name) {
                Some(value) => resources.ensure(field).set_key(name, value.as_str()),
                None => {
                    if let Some(mut list) = resources.field(field) {
                        let id = list.id();
                        list.tree().remove_key(id, name);
                    }
                }
            }
        }
        if old.is_empty() && resources.field(field).is_some_and(|list| list.node().as_map().is_empty()) {
            resources.remove(field);
        }
    }
}

fn is_removed(new: StringMap<'_>, old: StringMap<'_>) -> bool {
    old.len() > new.len() || old.iter().any(|(name, _)| !new.contains_key(name))
}

type Containers<'t> = Items<'t, Container<'t>>;

fn validate_order(new: Containers<'_>, old: Containers<'_>, name: &str, errors: &mut Errors) {
    let list = SPEC.child(name);
    if new.len() != old.len() {
        errors.push(Error::forbidden(&list, format!("{name} may not be added or removed on resize")));
        return;
    }
    for (i, (new, old)) in new.iter().zip(old.iter()).enumerate() {
        if new.name() != old.name() {
            let detail = format!("{name} may not be renamed or reordered on resize");
            errors.push(Error::forbidden(&list.index(i).child("name"), detail));
        }
    }
}

fn validate_removed(new: Containers<'_>, old: Containers<'_>, list: &Path<'_>, errors: &mut Errors) {
    for (i, (new, old)) in new.iter().zip(old.iter()).enumerate() {
        let item = list.index(i);
        let path = item.child("resources");
        if is_removed(new.resources().requests(), old.resources().requests()) {
            errors.push(Error::forbidden(&path.child("requests"), "resource requests cannot be removed"));
        }
        if is_removed(new.resources().limits(), old.resources().limits()) {
            errors.push(Error::forbidden(&path.child("limits"), "resource limits cannot be removed"));
        }
    }
}

/// What is left to differ once cpu and memory are put back may not.
fn mask_containers(masked: &mut Tree, new: PodSpec<'_>, old: PodSpec<'_>, errors: &mut Errors) {
    let mut spec = masked.edit();
    for (id, old) in spec.items(PodSpec::CONTAINERS).into_iter().zip(old.containers().iter()) {
        if !mask_container(&mut spec.at(id), old) {
            errors.push(Error::forbidden(&SPEC, "only cpu and memory resources are mutable"));
        }
    }
    let list = SPEC.child("initContainers");
    let ids = spec.items(PodSpec::INIT_CONTAINERS);
    for (i, (id, old)) in ids.into_iter().zip(old.init_containers().iter()).enumerate() {
        let Some(new) = new.init_containers().get(i) else { continue };
        let modified = !new.as_struct().means(old.as_struct());
        if !mask_container(&mut spec.at(id), old) {
            let detail = "only cpu and memory resources for init or sidecar containers are mutable";
            errors.push(Error::forbidden(&list.index(i), detail));
        }
        if modified && !is_restartable(new) {
            for _ in new.resize_policy().iter().filter(|policy| policy.restart_policy() == "RestartContainer") {
                let detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
                errors.push(Error::forbidden(&list.index(i), detail));
            }
        }
    }
}

/// Says whether the container is then what it was. Claims are not compared: upstream drops them.
fn mask_container(container: &mut Edit<'_>, old: Container<'_>) -> bool {
    let mut resources = container.ensure(Container::RESOURCES);
    mask(&mut resources, old.resources().as_struct());
    resources.remove(ResourceRequirements::CLAIMS);
    let unclaimed = old.resources().claims().is_empty();
    unclaimed && container.read().means(old.as_struct())
}
