//! Tokens of service accounts: those that this cluster issued to be bound to an object and to expire, and the older ones
//! kept in Secrets, which last as long as the Secret does.
//!
//! A token counts only as long as what it is bound to exists, is the same by its UID, and was not deleted for more than
//! the minute by which clocks may differ.

use std::sync::Arc;

use corten_runtime::clock::{Clock, Wall};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Authenticated, Outcome, intersect};
use crate::service_account::{Identity, Meta, Secret, ServiceAccounts, TokenKind, split_username};
use crate::tokens::{Kubernetes, LEEWAY_SECONDS, PublicClaims, PublicKey, credential_id, parse_unverified};
use crate::words::quoted_list;

/// What tokens in Secrets say of who issued them, in every cluster.
pub const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

pub struct ServiceAccountTokens {
    /// `--service-account-issuer`: the first issues, all are accepted.
    pub issuers: Vec<String>,
    pub keys: Vec<PublicKey>,
    /// What a token that names no audience is good for.
    pub api_audiences: Vec<String>,
    pub objects: Arc<dyn ServiceAccounts>,
    pub clock: Clock,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BoundClaims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LegacyClaims {
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    name: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid")]
    uid: String,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    secret: String,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: String,
}

/// A token whose signature was checked.
struct Verified<C> {
    public: PublicClaims,
    private: C,
    audiences: Vec<String>,
}

/// Warnings and audit annotations that come up on the way.
type Notes = Authenticated;

const INVALIDATED: &str = "service account token has been invalidated";

impl ServiceAccountTokens {
    pub(super) async fn authenticate(&self, token: &str, audiences: Option<&[String]>) -> Outcome {
        let Some(issuer) = unverified_issuer(token) else { return Ok(None) };
        let mut notes = Notes::default();
        let (identity, audiences) = if issuer == LEGACY_ISSUER {
            let Some(verified) = self.verify(token, &[LEGACY_ISSUER.to_owned()], audiences, &mut notes)? else {
                return Ok(None);
            };
            let seen = self.objects.revision();
            let mut identity = self.check_legacy(token, &verified, &mut notes).await;
            if identity.is_err() && self.objects.was_behind(seen).await {
                identity = self.check_legacy(token, &verified, &mut notes).await;
            }
            (identity?, verified.audiences)
        } else if self.issuers.contains(&issuer) {
            let Some(verified) = self.verify(token, &self.issuers, audiences, &mut notes)? else { return Ok(None) };
            verified.public.check_times(self.clock.now()).map_err(|error| error.to_string())?;
            let seen = self.objects.revision();
            let mut identity = self.check_bound(&verified, &mut notes).await;
            if identity.is_err() && self.objects.was_behind(seen).await {
                identity = self.check_bound(&verified, &mut notes).await;
            }
            (identity?, verified.audiences)
        } else {
            return Ok(None);
        };
        Ok(Some(Authenticated { user: identity.into_user(), audiences, ..notes }))
    }

    /// Signature, issuer and audience. `None` for what is no token.
    fn verify<C: DeserializeOwned>(
        &self,
        token: &str,
        issuers: &[String],
        wanted: Option<&[String]>,
        notes: &mut Notes,
    ) -> Result<Option<Verified<C>>, String> {
        let Some(parts) = parse_unverified(token) else { return Ok(None) };
        let candidates: Vec<&PublicKey> =
            self.keys.iter().filter(|key| parts.key_id.is_empty() || parts.key_id == key.id()).collect();
        if candidates.is_empty() {
            return Err("invalid signature, no keys found".to_owned());
        }
        if !candidates.iter().any(|key| parts.verified_by(key)) {
            return Err("go-jose/go-jose: error in cryptographic primitive".to_owned());
        }
        let public: PublicClaims = serde_json::from_slice(&parts.payload).map_err(|error| error.to_string())?;
        let private: C = serde_json::from_slice(&parts.payload).map_err(|error| error.to_string())?;
        if !issuers.contains(&public.issuer) {
            return Err(format!("token issuer {} is invalid", corten_api::field::quote(&public.issuer)));
        }
        let mut offered = public.audiences.as_slice();
        if offered.is_empty() {
            notes.annotations.push(("authentication.k8s.io/legacy-token", public.subject.clone()));
            self.objects.token_used(TokenKind::Legacy);
            offered = &self.api_audiences;
        }
        let wanted = wanted.unwrap_or(&self.api_audiences);
        let audiences = intersect(offered, wanted);
        if audiences.is_empty() && !self.api_audiences.is_empty() {
            return Err(format!(
                "token audiences {} is invalid for the target audiences {}",
                quoted_list(offered),
                quoted_list(wanted)
            ));
        }
        Ok(Some(Verified { public, private, audiences }))
    }

    async fn check_bound(&self, verified: &Verified<BoundClaims>, notes: &mut Notes) -> Result<Identity, String> {
        let now = self.clock.now();
        let Kubernetes { namespace, node, pod, secret, service_account, warn_after } = &verified.private.kubernetes;
        let gone = |meta: &Meta| meta.deletion_timestamp.is_some_and(|deleted| deleted < minute_before(now));
        let invalidated = |_| INVALIDATED.to_owned();

        let account = self.objects.service_account(namespace, &service_account.name).await;
        let account = account.map_err(|status| status.message().to_owned())?.meta;
        if account.uid != service_account.uid {
            return Err(format!(
                "service account UID ({}) does not match claim ({})",
                account.uid, service_account.uid
            ));
        }
        if gone(&account) {
            return Err(format!("service account {namespace}/{} has been deleted", service_account.name));
        }
        let same = |kind: &str, claim: &str, found: &Meta, claimed: &str| {
            if found.uid != claimed {
                return Err(format!(
                    "{kind} UID ({}) does not match service account {claim} ref claim ({claimed})",
                    found.uid
                ));
            }
            if gone(found) { Err(INVALIDATED.to_owned()) } else { Ok(()) }
        };
        if let Some(claim) = secret {
            let found = self.objects.secret(namespace, &claim.name).await.map_err(invalidated)?;
            same("secret", "secret", &found.meta, &claim.uid)?;
        }
        if let Some(claim) = pod {
            let found = self.objects.pod(namespace, &claim.name).await.map_err(invalidated)?;
            same("pod", "pod", &found.meta, &claim.uid)?;
        }
        // In the token of a pod the node is only told; the pod's own end ends the token.
        if let (Some(claim), None) = (node, pod) {
            let found = self.objects.node(&claim.name).await.map_err(invalidated)?;
            same("node", "node", &found, &claim.uid)?;
        }
        if let Some(warn_after) = warn_after.filter(|&seconds| seconds != 0) {
            if now > Wall::from_seconds(warn_after) {
                let text = format!(
                    "subject: {}, seconds after warning threshold: {}",
                    verified.public.subject,
                    now.seconds.saturating_sub(warn_after)
                );
                notes.annotations.push(("authentication.k8s.io/stale-token", text));
                self.objects.token_used(TokenKind::Stale);
            } else {
                self.objects.token_used(TokenKind::Valid);
            }
        }
        let (pod, node) = (pod.clone().unwrap_or_default(), node.clone().unwrap_or_default());
        Ok(Identity {
            namespace: namespace.clone(),
            name: service_account.name.clone(),
            uid: service_account.uid.clone(),
            pod_name: pod.name,
            pod_uid: pod.uid,
            node_name: node.name,
            node_uid: node.uid,
            credential_id: credential_id(&verified.public.id),
        })
    }

    async fn check_legacy(
        &self,
        token: &str,
        verified: &Verified<LegacyClaims>,
        notes: &mut Notes,
    ) -> Result<Identity, String> {
        let LegacyClaims { name, uid, secret, namespace } = &verified.private;
        let subject = &verified.public.subject;
        let required = [
            ("sub", subject),
            ("namespace", namespace),
            ("secretName", secret),
            ("serviceAccountName", name),
            ("serviceAccountUID", uid),
        ];
        if let Some((claim, _)) = required.into_iter().find(|(_, value)| value.is_empty()) {
            return Err(format!("{claim} claim is missing"));
        }
        if split_username(subject) != Some((namespace, name)) {
            return Err("sub claim is invalid".to_owned());
        }
        let invalidated = || "Token has been invalidated".to_owned();
        let found = self.objects.secret(namespace, secret).await.map_err(|_| invalidated())?;
        if found.meta.deletion_timestamp.is_some() {
            return Err(invalidated());
        }
        // Hashes are compared, so that how long it takes says nothing about the token.
        if digest(&SHA256, &found.token).as_ref() != digest(&SHA256, token.as_bytes()).as_ref() {
            return Err("Token does not match server's copy".to_owned());
        }
        let account =
            self.objects.service_account(namespace, name).await.map_err(|status| status.message().to_owned())?;
        if account.meta.deletion_timestamp.is_some() {
            return Err(format!("ServiceAccount {namespace}/{name} has been deleted"));
        }
        if account.meta.uid != *uid {
            return Err(format!("ServiceAccount UID ({}) does not match claim ({uid})", account.meta.uid));
        }
        if !found.invalid_since.is_empty() {
            self.objects.token_used(TokenKind::InvalidLegacyAuto);
            self.note_use(namespace, &found);
            return Err(format!(
                "the token in secret {namespace}/{secret} for service account {namespace}/{name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token"
            ));
        }
        if account.secrets.contains(secret) {
            notes.warnings.push(
                "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens."
                    .to_owned(),
            );
            notes.annotations.push(("authentication.k8s.io/legacy-token-autogenerated-secret", secret.clone()));
            self.objects.token_used(TokenKind::LegacyAuto);
        } else {
            notes.annotations.push(("authentication.k8s.io/legacy-token-manual-secret", secret.clone()));
            self.objects.token_used(TokenKind::LegacyManual);
        }
        self.note_use(namespace, &found);
        Ok(Identity { namespace: namespace.clone(), name: name.clone(), uid: uid.clone(), ..Identity::default() })
    }

    /// At most once a day; servers whose clocks differ do not undo each other's note.
    fn note_use(&self, namespace: &str, secret: &Secret) {
        let now = self.clock.now().seconds;
        let (today, tomorrow) = (day(now), day(now + 24 * 60 * 60));
        if secret.last_used != today && secret.last_used != tomorrow {
            self.objects.secret_used(namespace, secret, &today);
        }
    }
}

/// Who the token says issued it; read before anything is verified, to tell whose token it is.
fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        iss: String,
    }
    let claims: Claims = serde_json::from_slice(&parse_unverified(token)?.payload).ok()?;
    Some(claims.iss)
}

fn minute_before(now: Wall) -> Wall {
    Wall { seconds: now.seconds - LEEWAY_SECONDS, ..now }
}

/// `2006-01-02`
fn day(seconds: i64) -> String {
    match time::OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(time) => format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day()),
        Err(_) => String::new(),
    }
}
