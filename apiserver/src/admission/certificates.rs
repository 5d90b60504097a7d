//! CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may approve and sign for a signer is
//! a matter of rights on it, and nobody becomes a master by a certificate.

use corten_access::authorize::{Attributes as Asked, Authorizer};
use corten_api::field::quote;
use corten_api::status::{Result, Status};
use corten_kinds::certificate_signing_request::request::organizations;
use corten_object::tree::Tree;
use corten_views::certificates_v1::{
    CertificateSigningRequest, CertificateSigningRequestSpec, CertificateSigningRequestStatus,
};

use super::{Attributes, Operation, Phase, Plugin, forbidden};
use crate::call::Call;

pub struct CertificateApproval;
pub struct CertificateSigning;
pub struct CertificateSubjectRestriction;

const GROUP: &str = "certificates.k8s.io";
const REQUESTS: &str = "certificatesigningrequests";
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const MASTERS: &str = "system:masters";

impl Plugin for CertificateApproval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Validate]
    }

    fn validate(&self, call: &Call, attributes: &Attributes<'_>, _: Option<&Tree>, old: Option<&Tree>) -> Result<()> {
        match old.filter(|_| is_update_of(attributes, "approval")) {
            Some(old) => may(call, attributes, "approve", old.view::<CertificateSigningRequest<'_>>().spec()),
            None => Ok(()),
        }
    }
}

impl Plugin for CertificateSigning {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Validate]
    }

    fn validate(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: Option<&Tree>,
        old: Option<&Tree>,
    ) -> Result<()> {
        let (Some(object), Some(old)) = (object, old.filter(|_| is_update_of(attributes, "status"))) else {
            return Ok(());
        };
        let (new, old): (CertificateSigningRequest<'_>, CertificateSigningRequest<'_>) = (object.view(), old.view());
        if signs_nothing(new.status(), old.status()) { Ok(()) } else { may(call, attributes, "sign", old.spec()) }
    }
}

impl Plugin for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Validate]
    }

    fn validate(&self, _: &Call, attributes: &Attributes<'_>, object: Option<&Tree>, _: Option<&Tree>) -> Result<()> {
        let Some(object) = object.filter(|_| attributes.is(GROUP, REQUESTS)) else { return Ok(()) };
        let spec = object.view::<CertificateSigningRequest<'_>>().spec();
        if attributes.operation != Operation::Create || spec.signer_name() != CLIENT_SIGNER {
            return Ok(());
        }
        let groups = organizations(spec.request())
            .map_err(|problem| forbidden(attributes, &format!("failed to parse CSR: {problem}")))?;
        if groups.iter().any(|group| group == MASTERS) {
            let message = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
            return Err(forbidden(attributes, &message));
        }
        Ok(())
    }
}

fn is_update_of(attributes: &Attributes<'_>, subresource: &str) -> bool {
    attributes.is_or_below(GROUP, REQUESTS)
        && attributes.subresource == subresource
        && attributes.operation == Operation::Update
}

fn signs_nothing(new: CertificateSigningRequestStatus<'_>, old: CertificateSigningRequestStatus<'_>) -> bool {
    let (is, was) = (new.conditions().nodes(), old.conditions().nodes());
    new.certificate() == old.certificate()
        && is.len() == was.len()
        && is.iter().zip(was.iter()).all(|(new, old)| new.equals(old))
}

/// By a right on the signer, or on all of its domain.
fn may(
    call: &Call,
    attributes: &Attributes<'_>,
    verb: &str,
    spec: CertificateSigningRequestSpec<'_>,
) -> std::result::Result<(), Status> {
    let signer = spec.signer_name();
    let domain = format!("{}/*", signer.split('/').next().unwrap_or_default());
    let allowed = [signer, domain.as_str()].into_iter().any(|name| {
        let asked = Asked { name, ..Asked::resource(&call.user, verb, GROUP, "*", "signers") };
        call.api.authorizers.authorize(&asked).allowed()
    });
    if allowed {
        return Ok(());
    }
    let message = format!("user not permitted to {verb} requests with signerName {}", quote(signer));
    Err(forbidden(attributes, &message))
}
