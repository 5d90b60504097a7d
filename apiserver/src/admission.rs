//! Admission: the chain of plugins that may change what is written, then of those that may refuse it.
//!
//! Plugins stand in upstream's order. A plugin decides from the request and from the caches; it writes nothing. One that
//! refuses is asked once more if the caches were behind the store. The mutating phase is run once: only webhooks and
//! mutating policies ask upstream for a second run, and there are none yet.

mod certificates;
mod default_toleration_seconds;
mod namespace_lifecycle;
mod persistent_volume_claim_resize;
mod priority;
mod refuse_unbuilt;
mod runtime_class;
mod service_account;
mod storage_object_in_use_protection;
mod taint_nodes_by_condition;

use std::sync::Arc;

use corten_api::status::{Result, Status};
use corten_object::tree::Tree;
use tracing::debug;

use crate::call::Call;
use crate::metadata;
use crate::resource::Resource;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// What a plugin may know of a write, beside the objects.
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    pub resource: &'a Resource,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub operation: Operation,
    pub dry_run: bool,
}

impl<'a> Attributes<'a> {
    pub fn of(call: &'a Call, resource: &'a Resource, operation: Operation, dry_run: bool) -> Attributes<'a> {
        Attributes {
            resource,
            subresource: &call.info.subresource,
            namespace: &call.info.namespace,
            name: &call.info.name,
            operation,
            dry_run,
        }
    }

    /// `is("", "pods")`: the resource, not one of its subresources.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.subresource.is_empty() && self.is_or_below(group, plural)
    }

    pub fn is_or_below(&self, group: &str, plural: &str) -> bool {
        &*self.resource.group == group && &*self.resource.plural == plural
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Admit,
    Validate,
}

impl Operation {
    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

pub trait Plugin: Send + Sync {
    /// Upstream's name.
    fn name(&self) -> &'static str;

    /// The phases in which it has something to say; it is asked in no other.
    fn phases(&self) -> &'static [Phase];

    /// May change the object, which is of the hub version. What it refuses it has not changed, or only so that it may be
    /// asked again.
    fn admit(&self, _call: &Call, _attributes: &Attributes<'_>, _object: &mut Tree, _old: Option<&Tree>) -> Result<()> {
        Ok(())
    }

    /// May refuse the write. Of a delete there is only the old object.
    fn validate(
        &self,
        _call: &Call,
        _attributes: &Attributes<'_>,
        _object: Option<&Tree>,
        _old: Option<&Tree>,
    ) -> Result<()> {
        Ok(())
    }

    /// Refuses before anything is looked at, deletes included: what upstream checks in its mutating phase.
    fn precheck(&self, _call: &Call, _attributes: &Attributes<'_>) -> Result<()> {
        Ok(())
    }
}

pub struct Chain(Vec<Arc<dyn Plugin>>);

impl Chain {
    /// The plugins that are on by default and built, in upstream's order.
    pub fn standard() -> Chain {
        Chain(vec![
            Arc::new(namespace_lifecycle::NamespaceLifecycle),
            Arc::new(service_account::ServiceAccount),
            Arc::new(taint_nodes_by_condition::TaintNodesByCondition),
            Arc::new(priority::Priority),
            Arc::new(default_toleration_seconds::DefaultTolerationSeconds),
            Arc::new(storage_object_in_use_protection::StorageObjectInUseProtection),
            Arc::new(persistent_volume_claim_resize::PersistentVolumeClaimResize),
            Arc::new(runtime_class::RuntimeClass),
            Arc::new(certificates::CertificateApproval),
            Arc::new(certificates::CertificateSigning),
            Arc::new(certificates::CertificateSubjectRestriction),
            Arc::new(refuse_unbuilt::RefuseUnbuilt),
        ])
    }

    /// The mutating phase of a create or update.
    pub async fn admit(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: &mut Tree,
        old: Option<&Tree>,
    ) -> Result<()> {
        refuse_new_of_terminating(attributes, object)?;
        self.phase(call, attributes, Phase::Admit, |plugin| {
            plugin.precheck(call, attributes)?;
            plugin.admit(call, attributes, object, old)
        })
        .await
    }

    /// What stands before a delete or a connect.
    pub async fn precheck(&self, call: &Call, attributes: &Attributes<'_>) -> Result<()> {
        self.phase(call, attributes, Phase::Admit, |plugin| plugin.precheck(call, attributes)).await
    }

    /// The validating phase.
    pub async fn validate(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: Option<&Tree>,
        old: Option<&Tree>,
    ) -> Result<()> {
        self.phase(call, attributes, Phase::Validate, |plugin| plugin.validate(call, attributes, object, old)).await
    }

    /// Asks the plugins of a phase in their order until one refuses, and measures them.
    async fn phase(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        phase: Phase,
        mut ask: impl FnMut(&dyn Plugin) -> Result<()>,
    ) -> Result<()> {
        let (clock, metrics) = (&call.api.clock, &call.api.metrics);
        let label = if phase == Phase::Admit { "admit" } else { "validate" };
        let began = clock.monotonic();
        let mut last = began;
        let mut outcome = Ok(());
        for plugin in self.0.iter().filter(|plugin| plugin.phases().contains(&phase)) {
            outcome = call.api.decide(|| ask(&**plugin)).await;
            let now = clock.monotonic();
            metrics.admission_plugin(plugin.name(), label, attributes.operation, now - last, &outcome);
            last = now;
            if let Err(status) = &outcome {
                debug!(plugin = plugin.name(), message = status.message(), "refused");
                break;
            }
        }
        metrics.admission_step(label, attributes.operation, last - began, &outcome);
        outcome
    }
}

/// Whatever the plugins say, nothing is created any more of a resource whose definition is being deleted.
fn refuse_new_of_terminating(attributes: &Attributes<'_>, object: &Tree) -> Result<()> {
    let Attributes { resource, operation, .. } = attributes;
    let refuses = resource.storage.as_ref().is_some_and(|storage| storage.serving.refuses_creates());
    if *operation != Operation::Create || !refuses {
        return Ok(());
    }
    Err(terminating(resource, metadata::read(object).name()))
}

/// The refusal to create an object of a definition that is being deleted.
pub fn terminating(resource: &Resource, name: &str) -> Status {
    let message = "create not allowed while custom resource definition is terminating";
    Status::forbidden(&resource.group, &resource.plural, name, message)
}

/// The refusal of a plugin; it names the object as upstream does.
pub fn forbidden(attributes: &Attributes<'_>, message: &str) -> Status {
    let name = if attributes.name.is_empty() { "Unknown" } else { attributes.name };
    Status::forbidden(&attributes.resource.group, &attributes.resource.plural, name, message)
}
