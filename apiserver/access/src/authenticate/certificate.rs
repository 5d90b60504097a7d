//! Client certificates: the common name is the user, organizations are the groups.

use std::sync::Arc;

use corten_runtime::clock::Clock;
use ring::digest::{SHA256, digest};
use x509_parser::asn1_rs::Oid;
use x509_parser::der_parser::oid;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

use super::trust::{Peer, Role, TrustBundle};
use super::{Authenticated, Outcome};
use crate::user::{CREDENTIAL_ID_KEY, Extra, Info, User};

/// The attribute of a subject that holds the user's UID.
const UID_OID: Oid<'static> = oid!(1.3.6.1.4.1.57683.2);

/// Knows the clients whose certificates come from the client CAs.
pub struct ClientCertificates {
    pub trust: Arc<TrustBundle>,
    pub clock: Clock,
}

impl ClientCertificates {
    pub(super) fn authenticate(&self, peer: &Peer) -> Outcome {
        let user = peer.verified(Role::Client, &self.trust, self.clock.now(), user_of)?;
        Ok(user.map(Authenticated::new))
    }
}

/// A certificate without a common name stands for nobody.
fn user_of(der: &[u8]) -> Result<Option<User>, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().last().map(text).transpose()?.unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    let groups = subject.iter_organization().map(text).collect::<Result<_, _>>()?;
    let uids = subject.iter_by_oid(&UID_OID).map(text).collect::<Result<Vec<_>, _>>();
    let uid = match uids.map_err(|_| "unable to parse UID into a string")?.as_slice() {
        [] => String::new(),
        [uid] if uid.is_empty() => return Err("UID cannot be an empty string".to_owned()),
        [uid] => uid.clone(),
        several => return Err(format!("expected 1 UID, but found multiple: [{}]", several.join(" "))),
    };
    let mut credential = String::from("X509SHA256=");
    digest(&SHA256, der).as_ref().iter().for_each(|byte| credential.push_str(&format!("{byte:02x}")));
    let extra = Extra::from([(CREDENTIAL_ID_KEY.to_owned(), vec![credential])]);
    Ok(Some(Info { name, uid, groups, extra }.into()))
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Result<String, String> {
    attribute.as_str().map(str::to_owned).map_err(|error| format!("the subject is not readable: {error}"))
}

/// The common name alone, as a user; it is all that is asked of a front proxy.
pub(super) fn common_name(der: &[u8]) -> Result<Option<User>, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    let name = certificate.subject().iter_common_name().last().map(text).transpose()?;
    Ok(Some(User::new(name.unwrap_or_default(), &[])))
}
