//! TokenRequest: the `token` subresource of a service account.
//!
//! `prepare` fills in and validates what was asked for, admission sees the result, and `issue` looks up what the token is
//! bound to and signs it.

use std::sync::Arc;

use corten_api::field::{Error, Errors, Path};
use corten_api::status::Status;
use corten_runtime::clock::{Clock, Wall};
use corten_runtime::random::Random;

use super::{
    Claims, EXTENDED_EXPIRATION_SECONDS, Kubernetes, ObjectRef, PROJECTED_EXPIRATION_SECONDS, SigningKey,
    credential_id, sign,
};
use crate::service_account::{self, ISSUED_CREDENTIAL_ID_KEY, Meta, ServiceAccount, ServiceAccounts};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";
const EXPIRATION_SECONDS_MIN: i64 = 10 * 60;
const EXPIRATION_SECONDS_MAX: i64 = 1 << 32;

/// Signs this cluster's tokens.
pub struct Issuer {
    pub key: Arc<SigningKey>,
    /// What the `iss` of a token says: the first `--service-account-issuer`.
    pub issuer: String,
    /// `--api-audiences`: what a token is for unless the request says otherwise.
    pub api_audiences: Vec<String>,
    /// `--service-account-max-token-expiration`; 0 for none.
    pub expiration_seconds_max: i64,
    /// `--service-account-extend-token-expiration`
    pub extend_expiration: bool,
    pub clock: Clock,
    pub random: Random,
}

/// What of a TokenRequest object matters; the defaults of its spec have been set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRequest {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub creation_timestamp: Wall,
    pub audiences: Vec<String>,
    pub expiration_seconds: i64,
    pub bound_object_ref: Option<BoundObjectRef>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundObjectRef {
    pub kind: String,
    pub api_version: String,
    pub name: String,
    pub uid: String,
}

/// The status of the answer, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub token: String,
    /// When the client should think that it expires; a projected token may live longer.
    pub expiration_timestamp: Wall,
    /// `spec.expirationSeconds` of the answer.
    pub expiration_seconds: i64,
    pub warnings: Vec<String>,
    pub annotations: Vec<(&'static str, String)>,
}

/// What a token dies with.
#[derive(Default)]
struct Bound {
    pod: Option<ObjectRef>,
    node: Option<ObjectRef>,
    secret: Option<ObjectRef>,
}

impl Issuer {
    /// Makes the request complete, or refuses it. `name` and `namespace` are those of the URL, `account` is the service
    /// account found there.
    pub fn prepare(
        &self,
        request: &mut TokenRequest,
        namespace: &str,
        name: &str,
        account: &ServiceAccount,
    ) -> Result<(), Status> {
        must_match(&request.name, name, name, "name")?;
        must_match(&request.namespace, namespace, name, "namespace")?;
        let uid = &account.meta.uid;
        if !request.uid.is_empty() && request.uid != *uid {
            let message = format_args!(
                "the UID in the token request ({}) does not match the UID of the service account ({uid})",
                request.uid
            );
            return Err(Status::conflict(GROUP, KIND, name, message));
        }
        if request.audiences.is_empty() {
            request.audiences.clone_from(&self.api_audiences);
        }
        request.name.clone_from(&account.meta.name);
        request.namespace.clone_from(&account.namespace);
        request.uid.clone_from(uid);
        request.creation_timestamp = Wall::from_seconds(self.clock.now().seconds);
        let errors = validate(request);
        if errors.is_empty() { Ok(()) } else { Err(Status::invalid(GROUP, KIND, "", &errors)) }
    }

    pub async fn issue(
        &self,
        request: &TokenRequest,
        account: &ServiceAccount,
        objects: &dyn ServiceAccounts,
    ) -> Result<Issued, Status> {
        let now = self.clock.now();
        let bound = match &request.bound_object_ref {
            Some(reference) => find_bound(reference, account, objects).await?,
            None => Bound::default(),
        };
        let mut warnings = Vec::new();
        let mut expiration_seconds = request.expiration_seconds;
        if self.expiration_seconds_max > 0 && expiration_seconds > self.expiration_seconds_max {
            warnings.push(format!(
                "requested expiration of {expiration_seconds} seconds shortened to {} seconds",
                self.expiration_seconds_max
            ));
            expiration_seconds = self.expiration_seconds_max;
        }
        let extended = self.extend_expiration
            && bound.pod.is_some()
            && expiration_seconds == PROJECTED_EXPIRATION_SECONDS
            && request.audiences.iter().all(|audience| self.api_audiences.contains(audience));
        let lifetime = if extended { EXTENDED_EXPIRATION_SECONDS } else { expiration_seconds };
        let id = self.random.uuid().to_string();
        let claims = Claims {
            audiences: request.audiences.clone(),
            expires: now.seconds + lifetime,
            issued_at: now.seconds,
            issuer: self.issuer.clone(),
            id: id.clone(),
            kubernetes: Kubernetes {
                namespace: account.namespace.clone(),
                node: bound.node,
                pod: bound.pod,
                secret: bound.secret,
                service_account: reference_to(&account.meta),
                warn_after: extended.then_some(now.seconds + expiration_seconds),
            },
            not_before: now.seconds,
            subject: service_account::username(&account.namespace, &account.meta.name),
        };
        let token = sign(&self.key, &claims)
            .ok_or_else(|| Status::internal("failed to generate token: the key does not sign"))?;
        Ok(Issued {
            token,
            expiration_timestamp: Wall { seconds: now.seconds + expiration_seconds, ..now },
            expiration_seconds,
            warnings,
            annotations: vec![(ISSUED_CREDENTIAL_ID_KEY, credential_id(&id))],
        })
    }
}

fn must_match(given: &str, wanted: &str, name: &str, field: &str) -> Result<(), Status> {
    if given.is_empty() || given == wanted {
        return Ok(());
    }
    let mut errors = Errors::default();
    let message = format!("must match the service account {field} if specified");
    errors.push(Error::invalid(&Path::new("metadata").child(field), given, message));
    Err(Status::invalid(GROUP, KIND, name, &errors))
}

fn validate(request: &TokenRequest) -> Errors {
    let (mut errors, spec) = (Errors::default(), Path::new("spec"));
    let mut invalid =
        |message| errors.push(Error::invalid(&spec.child("expirationSeconds"), request.expiration_seconds, message));
    if request.expiration_seconds < EXPIRATION_SECONDS_MIN {
        invalid("may not specify a duration less than 10 minutes");
    }
    if request.expiration_seconds > EXPIRATION_SECONDS_MAX {
        invalid("may not specify a duration larger than 2^32 seconds");
    }
    errors
}

async fn find_bound(
    reference: &BoundObjectRef,
    account: &ServiceAccount,
    objects: &dyn ServiceAccounts,
) -> Result<Bound, Status> {
    let mut bound = Bound::default();
    let (group, version) = corten_api::gvk::split_api_version(&reference.api_version).unwrap_or_default();
    let uid = match (group, reference.kind.as_str()) {
        ("", "Pod") => {
            let pod = objects.pod(&account.namespace, &reference.name).await?;
            let name = &account.meta.name;
            if pod.service_account_name != *name {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount {} to pod running with different serviceaccount name.",
                    corten_api::field::quote(name)
                )));
            }
            if !pod.node_name.is_empty() {
                bound.node = Some(node_of_pod(&pod.node_name, objects).await?);
            }
            bound.pod.insert(reference_to(&pod.meta)).uid.clone()
        }
        ("", "Node") => bound.node.insert(reference_to(&objects.node(&reference.name).await?)).uid.clone(),
        ("", "Secret") => {
            let secret = objects.secret(&account.namespace, &reference.name).await?;
            bound.secret.insert(reference_to(&secret.meta)).uid.clone()
        }
        (_, kind) => {
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    if !reference.uid.is_empty() && reference.uid != uid {
        let message = format_args!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
            reference.uid
        );
        return Err(Status::conflict(group, &reference.kind, &reference.name, message));
    }
    Ok(bound)
}

/// The node is told to whoever inspects the token, by its name alone if it does not exist.
async fn node_of_pod(name: &str, objects: &dyn ServiceAccounts) -> Result<ObjectRef, Status> {
    match objects.node(name).await {
        Ok(node) => Ok(reference_to(&node)),
        Err(status) if status.is_not_found() => Ok(ObjectRef { name: name.to_owned(), uid: String::new() }),
        Err(status) => Err(Status::internal(status)),
    }
}

fn reference_to(meta: &Meta) -> ObjectRef {
    ObjectRef { name: meta.name.clone(), uid: meta.uid.clone() }
}
