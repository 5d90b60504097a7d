//! What a token says, its form on the wire, and the rules of its times.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use corten_runtime::clock::Wall;
use serde::{Deserialize, Deserializer, Serialize};

use super::{PublicKey, SigningKey};

/// Clocks differ: a token counts a minute before and after its time.
pub const LEEWAY_SECONDS: i64 = 60;

/// The claims of a token of this cluster, in the order in which upstream writes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Claims {
    #[serde(rename = "aud", skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    #[serde(rename = "exp")]
    pub expires: i64,
    #[serde(rename = "iat")]
    pub issued_at: i64,
    #[serde(rename = "iss")]
    pub issuer: String,
    #[serde(rename = "jti")]
    pub id: String,
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Kubernetes,
    #[serde(rename = "nbf")]
    pub not_before: i64,
    #[serde(rename = "sub")]
    pub subject: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kubernetes {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<ObjectRef>,
    #[serde(rename = "serviceaccount")]
    pub service_account: ObjectRef,
    #[serde(rename = "warnafter", skip_serializing_if = "Option::is_none", deserialize_with = "optional_date")]
    pub warn_after: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// The registered claims of any token, as they are read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PublicClaims {
    #[serde(rename = "iss")]
    pub issuer: String,
    #[serde(rename = "sub")]
    pub subject: String,
    #[serde(rename = "aud", deserialize_with = "one_or_many")]
    pub audiences: Vec<String>,
    #[serde(rename = "exp", deserialize_with = "optional_date")]
    pub expires: Option<i64>,
    #[serde(rename = "nbf", deserialize_with = "optional_date")]
    pub not_before: Option<i64>,
    #[serde(rename = "iat", deserialize_with = "optional_date")]
    pub issued_at: Option<i64>,
    #[serde(rename = "jti")]
    pub id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("service account token has expired")]
    Expired,
    #[error("service account token is not valid yet")]
    NotValidYet,
    #[error("service account token is issued in the future")]
    IssuedInTheFuture,
}

impl PublicClaims {
    pub fn check_times(&self, now: Wall) -> Result<(), TimeError> {
        let (late, early) = (now.seconds + LEEWAY_SECONDS, now.seconds - LEEWAY_SECONDS);
        if self.not_before.is_some_and(|not_before| late < not_before) {
            return Err(TimeError::NotValidYet);
        }
        if self.expires.is_some_and(|expires| (early, now.nanos) > (expires, 0)) {
            return Err(TimeError::Expired);
        }
        if self.issued_at.is_some_and(|issued_at| late < issued_at) {
            return Err(TimeError::IssuedInTheFuture);
        }
        Ok(())
    }
}

/// A token taken apart; nothing in it can be believed before its signature is checked.
pub(crate) struct Parts<'t> {
    pub(crate) key_id: String,
    pub(crate) payload: Vec<u8>,
    algorithm: String,
    critical: bool,
    signed: &'t str,
    signature: Vec<u8>,
}

impl Parts<'_> {
    pub(crate) fn verified_by(&self, key: &PublicKey) -> bool {
        !self.critical && key.verifies(&self.algorithm, self.signed.as_bytes(), &self.signature)
    }
}

/// `None` for what is no signed token in compact form.
pub(crate) fn parse_unverified(token: &str) -> Option<Parts<'_>> {
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Header {
        alg: String,
        kid: String,
        /// Extensions that must be understood; none is.
        crit: Vec<String>,
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    Some(Parts {
        key_id: header.kid,
        payload: BASE64.decode(payload).ok()?,
        algorithm: header.alg,
        critical: !header.crit.is_empty(),
        signed,
        signature: BASE64.decode(signature).ok()?,
    })
}

/// The token that says these claims; nothing if the key refuses to sign.
pub(crate) fn sign(key: &SigningKey, claims: &impl Serialize) -> Option<String> {
    let public = key.public();
    let header = format!(r#"{{"alg":"{}","kid":"{}"}}"#, public.algorithm(), public.id());
    let mut token = BASE64.encode(header);
    token.push('.');
    BASE64.encode_string(serde_json::to_vec(claims).ok()?, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    BASE64.encode_string(signature, &mut token);
    Some(token)
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(deserializer)? {
        Audience::One(audience) => vec![audience],
        Audience::Many(audiences) => audiences,
    })
}

/// Whole seconds; a fraction is cut off.
fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.map(|seconds| seconds as i64))
}
