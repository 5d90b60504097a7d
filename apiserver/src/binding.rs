//! Binding: a pod gets its node, once.

use std::sync::Arc;

use corten_api::field::{Error, Errors, Path};
use corten_api::status::{Reason, Result, Status};
use corten_api::time::Timestamp;
use corten_object::json;
use corten_object::tree::{Tree, View};
use corten_views::core_v1::{Binding, Pod, PodCondition, PodSpec, PodStatus};
use corten_views::meta_v1::ObjectMeta;
use http::StatusCode;

use crate::admission::{Attributes, Operation};
use crate::call::Call;
use crate::decode::{Expected, decode};
use crate::http::{ApiResponse, RequestBody};
use crate::metadata;
use crate::negotiate::{Form, body_encoding};
use crate::options::WriteOptions;
use crate::resource::Resource;
use crate::write::{Change, Existing};
use crate::{show, write};

pub async fn create(call: &Arc<Call>, pods: &Arc<Resource>, form: Form, body: RequestBody) -> Result<ApiResponse> {
    let encoding = body_encoding(&call.headers, true)?;
    let body = call.read(body).await?;
    let options = WriteOptions::read(&call.query, "CreateOptions")?;
    let expected = Expected { group: "", version: "v1", kind: "Binding", form: json::Form::Typed(Binding::TYPE) };
    let binding = decode(body, encoding, expected, options.validation, &call.warnings)?;
    let view: Binding<'_> = binding.view();
    let name = view.metadata().name();
    if !call.info.name.is_empty() && call.info.name != name {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let namespace = view.metadata().namespace();
    if !namespace.is_empty() && namespace != call.info.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    check(view)?;
    if name.is_empty() {
        return Err(Status::bad_request("Name parameter required."));
    }
    let mut change = Bind { call, pods, options: &options, binding: &binding, name };
    write::update(call, pods, name, &mut change, options.dry_run, false).await?;
    let mut response = show::status(&Status::created(), form);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

fn check(binding: Binding<'_>) -> Result<()> {
    let mut errors = Errors::default();
    let (target, path) = (binding.target(), Path::new("target"));
    if !matches!(target.kind(), "" | "Node") {
        errors.push(Error::not_supported(&path.child("kind"), target.kind(), &["Node", "<empty>"]));
    }
    if target.name().is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    }
    // Upstream makes nothing better of it.
    if errors.is_empty() { Ok(()) } else { Err(Status::failure(500, Reason::Unknown, errors.to_string())) }
}

struct Bind<'c> {
    call: &'c Call,
    pods: &'c Resource,
    options: &'c WriteOptions,
    binding: &'c Tree,
    name: &'c str,
}

impl Change for Bind<'_> {
    fn is_internal(&self) -> bool {
        true
    }

    async fn apply(&mut self, existing: Option<&Existing>) -> Result<Tree> {
        let Some(existing) = existing else { return Err(crate::call::not_found(self.pods, self.name)) };
        let pod: Pod<'_> = existing.tree.view();
        let binding: Binding<'_> = self.binding.view();
        self.check_pod(pod)?;
        let mut tree = existing.tree.clone();
        let mut edit = tree.edit();
        edit.ensure(Pod::SPEC).set(PodSpec::NODE_NAME, binding.target().name());
        edit.ensure(Pod::STATUS).remove(PodStatus::NOMINATED_NODE_NAME);
        let (annotations, labels) = (binding.metadata().annotations(), binding.metadata().labels());
        // Labels that the topology of a node gives its pods.
        for (field, map) in [(ObjectMeta::ANNOTATIONS, annotations), (ObjectMeta::LABELS, labels)] {
            if !map.is_empty() {
                let entries: Vec<(&str, &str)> = map.iter().collect();
                edit.ensure_path([Pod::METADATA, field]).set_keys(&entries);
            }
        }
        self.set_scheduled(&mut tree);
        metadata::edit(&mut tree).remove(ObjectMeta::RESOURCE_VERSION);
        let attributes = Attributes::of(self.call, self.pods, Operation::Create, self.options.dry_run);
        self.call.api.admission.precheck(self.call, &attributes).await?;
        Ok(tree)
    }

    fn uid(&self) -> Option<&str> {
        let binding: Binding<'_> = self.binding.view();
        Some(binding.metadata().uid()).filter(|uid| !uid.is_empty())
    }

    fn revision(&self) -> Option<&str> {
        let binding: Binding<'_> = self.binding.view();
        Some(binding.metadata().resource_version()).filter(|revision| !revision.is_empty())
    }
}

impl Bind<'_> {
    fn check_pod(&self, pod: Pod<'_>) -> Result<()> {
        let name = self.name;
        let conflict = |message: String| Err(Status::conflict("", "pods/binding", name, message));
        if pod.metadata().deletion_timestamp().is_some() {
            return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        if !pod.spec().node_name().is_empty() {
            return conflict(format!("pod {name} is already assigned to node \"{}\"", pod.spec().node_name()));
        }
        if !pod.spec().scheduling_gates().is_empty() {
            return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
        }
        Ok(())
    }

    fn set_scheduled(&self, tree: &mut Tree) {
        let now = Timestamp::from_seconds(self.call.now.seconds).format();
        let mut edit = tree.edit();
        let mut status = edit.ensure(Pod::STATUS);
        let known = status.items(PodStatus::CONDITIONS).into_iter().find(|&id| {
            let mut condition = status.at(id);
            condition.reborrow().view::<PodCondition<'_>>().type_() == "PodScheduled"
        });
        let mut condition = match known {
            Some(id) => status.at(id),
            None => status.append(PodStatus::CONDITIONS, PodCondition::TYPE),
        };
        let changed = condition.view::<PodCondition<'_>>().status() != "True";
        condition.set(PodCondition::TYPE_, "PodScheduled");
        condition.set(PodCondition::STATUS, "True");
        condition.remove(PodCondition::REASON);
        condition.remove(PodCondition::MESSAGE);
        if changed {
            condition.set(PodCondition::LAST_TRANSITION_TIME, now.as_str());
        }
    }
}
