//! Node.

use std::borrow::Cow;

use corten_api::field::{BadValue, Error, Errors, Path};
use corten_api::names;
use corten_api::seen::Seen;
use corten_object::tree::{Edit, Node as TreeNode};
use corten_views::core_v1::{Node, NodeSpec, NodeStatus, Taint};

use crate::access::{go_struct, go_time, put_back, view};
use crate::object_meta::validate_label_name;
use crate::resource_name::validate_quantity;
use crate::service::validate_endpoint_families;
use crate::strategy::{Context, MetadataRun, Strategy};

const FEATURE_LENGTH: usize = 253;

pub struct Nodes;
pub struct Status;

/// What old clients say in `podCIDR` counts; whoever says only `podCIDRs` means both.
fn default_pod_cidrs(object: &mut Edit<'_>) {
    let Some(mut spec) = object.field(Node::SPEC) else { return };
    let view: NodeSpec<'_> = spec.view();
    let (one, first) = (view.pod_cidr().to_owned(), view.pod_cidrs().get(0).unwrap_or_default().to_owned());
    if one == first {
        return;
    }
    if one.is_empty() {
        return spec.set(NodeSpec::POD_CIDR, first.as_str());
    }
    let tree = spec.tree();
    let one = tree.string(&one);
    let list = tree.list(&[one]);
    spec.put(NodeSpec::POD_CIDRS, list);
}

impl Strategy for Nodes {
    fn default(&self, _version: &str, object: &mut Edit<'_>) {
        default_pod_cidrs(object);
        let Some(mut status) = object.field(Node::STATUS) else { return };
        let capacity = status.read().node(NodeStatus::CAPACITY).map(TreeNode::id);
        if let Some(capacity) = capacity.filter(|_| !status.has(NodeStatus::ALLOCATABLE)) {
            let copy = status.tree().duplicate(capacity);
            status.put(NodeStatus::ALLOCATABLE, copy);
        }
    }

    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        remove(object, Node::SPEC, NodeSpec::CONFIG_SOURCE);
        remove(object, Node::STATUS, NodeStatus::CONFIG);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: TreeNode<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Node::STATUS);
        if view::<Node<'_>>(old).spec().config_source().is_none() {
            remove(object, Node::SPEC, NodeSpec::CONFIG_SOURCE);
        }
    }

    fn validate(&self, object: TreeNode<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let node: Node<'_> = view(object);
        validate_taints(node, &mut errors);
        validate_resources(node, &mut errors);
        if let Some(capacity) = node.status().node_info().swap().and_then(|swap| swap.capacity())
            && capacity <= 0
        {
            let path = Path::new("metadata");
            let path = path.child("nodeSwapStatus");
            errors.push(Error::invalid(&path.child("capacity"), capacity, "must be greater than 0"));
        }
        validate_features(node, &mut errors);
        validate_pod_cidrs(node, &mut errors);
        errors
    }

    fn validate_update(&self, object: TreeNode<'_>, old: TreeNode<'_>, context: &Context<'_>) -> Errors {
        let mut errors = self.validate(object, context);
        validate_change(view(object), view(old), &mut errors);
        errors
    }

    fn warn_create(&self, object: TreeNode<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: TreeNode<'_>, _old: TreeNode<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Whole, MetadataRun::Change]
    }

    fn selectable<'t>(&self, object: TreeNode<'t>, out: &mut Vec<Cow<'t, str>>) {
        out.push(if view::<Node<'t>>(object).spec().unschedulable() { "true" } else { "false" }.into());
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        if name == "status" { Some(&Status) } else { None }
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status"]]
    }
}

impl Strategy for Status {
    fn default(&self, version: &str, object: &mut Edit<'_>) {
        Nodes.default(version, object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, old: TreeNode<'_>, _context: &Context<'_>) {
        put_back(object, old.as_struct(), Node::SPEC);
        if view::<Node<'_>>(old).status().config().is_none() {
            remove(object, Node::STATUS, NodeStatus::CONFIG);
        }
    }

    fn validate_update(&self, object: TreeNode<'_>, old: TreeNode<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate_change(view(object), view(old), &mut errors);
        errors
    }

    fn reset_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"]]
    }
}

fn remove(object: &mut Edit<'_>, part: corten_schema::FieldId, field: corten_schema::FieldId) {
    if let Some(mut part) = object.field(part) {
        part.remove(field);
    }
}

fn validate_taints(node: Node<'_>, errors: &mut Errors) {
    let taints = node.spec().taints();
    // Upstream says so of the metadata.
    let path = Path::new("metadata");
    let path = path.child("taints");
    let mut seen = Seen::default();
    for (i, taint) in taints.iter().enumerate() {
        let path = path.index(i);
        validate_label_name(taint.key(), &path.child("key"), errors);
        let messages = names::is_valid_label_value(taint.value());
        if !messages.is_empty() {
            errors.push(Error::invalid(&path.child("value"), taint.value(), messages.join(";")));
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        let effect = path.child("effect");
        if taint.effect().is_empty() {
            errors.push(Error::required(&effect, ""));
        } else if !effects.contains(&taint.effect()) {
            errors.push(Error::not_supported(&effect, BadValue::typed(taint.effect()), &effects));
        }
        if !seen.insert((taint.key(), taint.effect())) {
            let mut error = Error::duplicate(&path, shown(taint));
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
    }
}

fn shown(taint: Taint<'_>) -> BadValue {
    go_struct(&[
        ("Key", taint.key().into()),
        ("Value", taint.value().into()),
        ("Effect", taint.effect().into()),
        ("TimeAdded", taint.time_added().map_or(BadValue::Null, go_time)),
    ])
}

fn validate_resources(node: Node<'_>, errors: &mut Errors) {
    let path = Path::new("status");
    for (field, list) in [("capacity", node.status().capacity()), ("allocatable", node.status().allocatable())] {
        let path = path.child(field);
        for (name, quantity) in list.iter() {
            validate_quantity(name, quantity, &path.child(name), errors);
        }
    }
}

fn validate_features(node: Node<'_>, errors: &mut Errors) {
    let features = node.status().declared_features();
    let path = Path::new("status");
    let path = path.child("declaredFeatures");
    for (i, feature) in features.iter().enumerate() {
        let quoted = corten_api::field::quote(feature);
        if feature.len() > FEATURE_LENGTH {
            let detail = format!("invalid feature name {quoted}: must be no more than {FEATURE_LENGTH} characters");
            errors.push(Error::invalid(&path.index(i), feature, detail));
        } else if !is_feature(feature) {
            let detail = format!(
                "invalid feature name {quoted}: must start with an UpperCamelCase segment, with subsequent segments \
                 separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric \
                 characters and slashes"
            );
            errors.push(Error::invalid(&path.index(i), feature, detail));
        }
        if let Some(next) = features.get(i + 1) {
            if feature == next {
                errors.push(Error::duplicate(&path.index(i + 1), next));
            } else if feature > next {
                errors.push(Error::invalid(&path.index(i + 1), next, "list must be sorted alphabetically"));
            }
        }
    }
}

fn is_feature(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

fn validate_pod_cidrs(node: Node<'_>, errors: &mut Errors) {
    let cidrs = node.spec().pod_cidrs();
    let path = Path::new("spec");
    let path = path.child("podCIDRs");
    for (i, cidr) in cidrs.iter().enumerate() {
        errors.append(names::is_valid_cidr_for_legacy_field(&path.index(i), cidr, true, &Seen::default()));
    }
    if cidrs.len() > 1 {
        validate_endpoint_families(cidrs, &path, errors);
    }
}

/// What both an update of the node and one of its status keep to.
fn validate_change(new: Node<'_>, old: Node<'_>, errors: &mut Errors) {
    validate_resources(new, errors);
    validate_features(new, errors);
    let addresses = new.status().addresses();
    let path = Path::new("status");
    let path = path.child("addresses");
    let mut seen = Seen::default();
    for (i, address) in addresses.iter().enumerate() {
        if !seen.insert((address.type_(), address.address())) {
            let value = go_struct(&[("Type", address.type_().into()), ("Address", address.address().into())]);
            errors.push(Error::duplicate(&path.index(i), value));
        }
    }
    let spec = Path::new("spec");
    let (cidrs, old_cidrs) = (new.spec().pod_cidrs(), old.spec().pod_cidrs());
    if !old_cidrs.is_empty() {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        let changes = if cidrs.len() == old_cidrs.len() {
            cidrs.iter().zip(old_cidrs.iter()).filter(|(new, old)| new != old).count()
        } else {
            1
        };
        for _ in 0..changes {
            errors.push(Error::forbidden(&spec.child("podCIDRs"), detail));
        }
    }
    if !old.spec().provider_id().is_empty() && old.spec().provider_id() != new.spec().provider_id() {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.push(Error::forbidden(&spec.child("providerID"), detail));
    }
    validate_taints(new, errors);
    if new.spec().external_id() != old.spec().external_id() {
        errors.push(Error::forbidden(&spec.child("externalID"), "may not be updated"));
    }
}

fn warnings(node: Node<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if node.spec().config_source().is_some() {
        out.push("spec.configSource: the feature is removed".to_owned());
    }
    if !node.spec().external_id().is_empty() {
        out.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
    }
    let path = Path::new("spec");
    let path = path.child("podCIDRs");
    for (i, cidr) in node.spec().pod_cidrs().iter().enumerate() {
        out.extend(names::warnings_for_cidr(&path.index(i), cidr));
    }
    out
}
