//! NamespaceLifecycle: nothing is made in a namespace that is not there or is going, and three namespaces never go.

use corten_api::status::{Cause, Result, Status};

use super::{Attributes, Operation, Phase, Plugin};
use crate::call::Call;

pub struct NamespaceLifecycle;

const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Admit]
    }

    fn precheck(&self, call: &Call, attributes: &Attributes<'_>) -> Result<()> {
        if attributes.is_or_below("", "namespaces") {
            if attributes.operation == Operation::Delete && IMMORTAL.contains(&attributes.name) {
                return Err(Status::forbidden("", "namespaces", attributes.name, "this namespace may not be deleted"));
            }
            return Ok(());
        }
        let access_review = &*attributes.resource.group == "authorization.k8s.io"
            && &*attributes.resource.plural == "localsubjectaccessreviews";
        if attributes.namespace.is_empty() || attributes.operation == Operation::Delete || access_review {
            return Ok(());
        }
        let Some(namespace) = call.api.lookup("", "namespaces", attributes.namespace)? else {
            return Err(Status::not_found("", "namespaces", attributes.namespace));
        };
        let phase = namespace.fields.first().map_or("", |phase| phase);
        if attributes.operation == Operation::Create && phase == "Terminating" {
            return Err(terminating(attributes));
        }
        Ok(())
    }
}

fn terminating(attributes: &Attributes<'_>) -> Status {
    let namespace = attributes.namespace;
    let message = format!("unable to create new content in namespace {namespace} because it is being terminated");
    super::forbidden(attributes, &message).with_cause(Cause::new(
        "NamespaceTerminating",
        format!("namespace {namespace} is being terminated"),
        "metadata.namespace",
    ))
}
