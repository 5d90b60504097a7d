//! Kinds that this version serves but could not honour: what would have no effect is not taken.

use corten_api::status::{Reason, Result, Status};
use corten_object::tree::Tree;

use super::{Attributes, Operation, Phase, Plugin};
use crate::call::Call;

pub struct RefuseUnbuilt;

/// Group and plural, and what is missing.
const UNBUILT: [(&str, &str, &str); 9] = [
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "admission webhooks"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "admission webhooks"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", "admission policies"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "admission policies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "admission policies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", "admission policies"),
    ("", "resourcequotas", "resource quotas"),
    ("", "limitranges", "limit ranges"),
    ("apiregistration.k8s.io", "apiservices", "API services of other servers"),
];

impl Plugin for RefuseUnbuilt {
    fn name(&self) -> &'static str {
        "CortenUnbuilt"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Validate]
    }

    fn validate(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: Option<&Tree>,
        _: Option<&Tree>,
    ) -> Result<()> {
        if attributes.operation != Operation::Create {
            return Ok(());
        }
        let Some((_, _, what)) = UNBUILT.iter().find(|(group, plural, _)| attributes.is(group, plural)) else {
            return Ok(());
        };
        // The server's own services name no other server.
        let local = object.is_some_and(|tree| tree.root().at(&["spec", "service"]).is_none());
        if attributes.is("apiregistration.k8s.io", "apiservices") && local && call.user.name == "system:apiserver" {
            return Ok(());
        }
        Err(Status::failure(
            501,
            Reason::Unknown,
            format!(
                "this version of Corten does not enforce {what}; {} are not taken, because they would have no effect",
                attributes.resource.plural
            ),
        ))
    }
}
